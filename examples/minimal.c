/* The C interface of Skiff in one page: load a model, fill its inputs, run it twice into the same outputs.
 *
 *   minimal MODEL.onnx
 *
 * Inputs are tensors of zeros; extents the model leaves open are 1. Prints the outputs' types and first elements. */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "skiff/skiff.h"

#define MOST_PORTS 16
#define MOST_RANK 16

static int failed(const char* what) {
  fprintf(stderr, "minimal: %s: %s\n", what, skiff_last_error());
  return 1;
}

/* A tensor of zeros of the declared type; returns 0 on success. */
static int make_input(const skiff_port* port, skiff_value** value) {
  int64_t dims[MOST_RANK];
  void* data = NULL;
  size_t bytes = 0;
  int k;
  if (port->kind != SKIFF_KIND_TENSOR || port->rank < 0 || port->rank > MOST_RANK || port->dtype == SKIFF_STRING) {
    fprintf(stderr, "minimal: input %s is %s; only tensors of numbers are filled here\n", port->name, port->type_text);
    return 1;
  }
  for (k = 0; k < port->rank; ++k) dims[k] = port->dims[k] < 0 ? 1 : port->dims[k];
  if (skiff_tensor_create(port->dtype, dims, port->rank, value) != SKIFF_OK) return failed(port->name);
  if (skiff_tensor_data(*value, &data, NULL, &bytes) != SKIFF_OK) return failed(port->name);
  memset(data, 0, bytes);
  return 0;
}

static int print_output(const skiff_port* port, const skiff_value* value) {
  skiff_dtype dtype;
  int rank, k;
  const int64_t* dims;
  size_t elements, i;
  if (skiff_value_kind(value) != SKIFF_KIND_TENSOR) {
    printf("%s: %s\n", port->name, port->type_text);
    return 0;
  }
  if (skiff_tensor_info(value, &dtype, &rank, &dims) != SKIFF_OK) return failed(port->name);
  if (skiff_tensor_data(value, NULL, &elements, NULL) != SKIFF_OK) return failed(port->name);
  printf("%s: %s[", port->name, skiff_dtype_name(dtype));
  for (k = 0; k < rank; ++k) printf("%s%" PRId64, k ? ", " : "", dims[k]);
  printf("]");
  for (i = 0; i < elements && i < 4 && dtype != SKIFF_STRING; ++i) {
    double v = 0;
    if (skiff_tensor_get_double(value, i, &v) != SKIFF_OK) return failed(port->name);
    printf(" %g", v);
  }
  printf("%s\n", elements > 4 ? " ..." : "");
  return 0;
}

static int work(skiff_session* session, skiff_value** inputs, skiff_value** outputs) {
  size_t n_in = skiff_session_input_count(session), n_out = skiff_session_output_count(session), i;
  skiff_port port;
  int run;
  if (n_in > MOST_PORTS || n_out > MOST_PORTS) {
    fprintf(stderr, "minimal: at most %d inputs and outputs are handled here\n", MOST_PORTS);
    return 1;
  }
  for (i = 0; i < n_in; ++i) {
    if (skiff_session_input(session, i, &port) != SKIFF_OK) return failed("input");
    if (!port.optional && make_input(&port, &inputs[i])) return 1;
  }
  /* The first run makes the outputs (NULL on entry), the second writes into the same memory. */
  for (run = 0; run < 2; ++run)
    if (skiff_run(session, (const skiff_value* const*)inputs, n_in, outputs, n_out, NULL) != SKIFF_OK)
      return failed("run");
  for (i = 0; i < n_out; ++i) {
    if (skiff_session_output(session, i, &port) != SKIFF_OK) return failed("output");
    if (print_output(&port, outputs[i])) return 1;
  }
  return 0;
}

int main(int argc, char** argv) {
  skiff_session* session = NULL;
  skiff_value *inputs[MOST_PORTS] = {NULL}, *outputs[MOST_PORTS] = {NULL};
  int i, result;
  if (argc != 2) {
    fprintf(stderr, "usage: minimal MODEL.onnx\n");
    return 2;
  }
  if (skiff_session_load(argv[1], NULL, &session) != SKIFF_OK) return failed("load");
  result = work(session, inputs, outputs);
  for (i = 0; i < MOST_PORTS; ++i) {
    skiff_value_free(inputs[i]);
    skiff_value_free(outputs[i]);
  }
  skiff_session_free(session);
  return result;
}
