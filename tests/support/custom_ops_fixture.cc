// A library of custom operators that behaves as the variable SKIFF_TEST_FIXTURE says: "" well, else badly.
#include <cstdlib>
#include <cstring>
#include <stdexcept>

#include "skiff/skiff.h"

namespace {

const skiff_custom_api* table;

skiff_status twice(skiff_call* call, void*, void*) {
  const skiff_value* x = nullptr;
  skiff_value* y = nullptr;
  const int64_t* dims = nullptr;
  int rank = 0;
  void *from = nullptr, *to = nullptr;
  size_t n = 0;
  if (skiff_status s = table->input(call, 0, &x); s != SKIFF_OK) return s;
  if (skiff_status s = table->tensor_info(x, nullptr, &rank, &dims); s != SKIFF_OK) return s;
  if (skiff_status s = table->output(call, 0, SKIFF_FLOAT, dims, rank, &y); s != SKIFF_OK) return s;
  table->tensor_data(x, &from, &n, nullptr);
  table->tensor_data(y, &to, nullptr, nullptr);
  for (size_t i = 0; i < n; ++i) static_cast<float*>(to)[i] = 2 * static_cast<float*>(from)[i];
  return SKIFF_OK;
}

}  // namespace

extern "C" __attribute__((visibility("default"))) skiff_status skiff_register_ops(const skiff_custom_api* api,
                                                                                  skiff_registry* registry) {
  const char* how = std::getenv("SKIFF_TEST_FIXTURE");
  if (how && !std::strcmp(how, "throw")) throw std::runtime_error("no mood");
  if (how && !std::strcmp(how, "fail")) return SKIFF_UNSUPPORTED;
  if (how && !std::strcmp(how, "nothing")) return SKIFF_OK;
  if (api->version < 1) return SKIFF_UNSUPPORTED;
  table = api;
  const skiff_custom_formal x = {"X", SKIFF_DTYPE_BIT(SKIFF_FLOAT), 0, SKIFF_REQUIRED, 0, 0};
  skiff_custom_op op = {};
  op.struct_size = sizeof op;
  op.domain = "test.fixture";
  op.name = "Twice";
  op.inputs = op.outputs = &x;
  op.input_count = op.output_count = 1;
  op.compute = twice;
  skiff_status s = api->register_op(registry, &op);
  if (s == SKIFF_OK && how && !std::strcmp(how, "again")) s = api->register_op(registry, &op);
  return s;
}
