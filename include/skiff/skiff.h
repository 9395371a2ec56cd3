/* Skiff: puts ONNX models on any device. The stable C interface.
 *
 * Conventions
 *   - Every call that can fail returns a skiff_status; SKIFF_OK is 0. After a failure skiff_last_error() gives, for the
 *     calling thread, what is wrong, what it is about (file, node, operator, tensor) and what would mend it.
 *   - Outputs of a call are its last parameters. On failure they are left untouched.
 *   - Handles are opaque. Each *_create/_load/_clone has its *_free; freeing NULL is allowed.
 *   - Sessions may be used by several threads at once. Values and options belong to one thread at a time.
 *   - Strings are UTF-8 and end in NUL. Strings returned as `const char*` belong to the handle they came from; strings
 *     returned through `char**` belong to the caller, who frees them with skiff_string_free.
 *   - Tensors are dense and row-major; sub-byte types are packed lowest element first, as in ONNX.
 */
#ifndef SKIFF_SKIFF_H
#define SKIFF_SKIFF_H

#include <stddef.h>
#include <stdint.h>

#if defined(_WIN32)
#define SKIFF_API __declspec(dllexport)
#else
#define SKIFF_API __attribute__((visibility("default")))
#endif

#ifdef __cplusplus
extern "C" {
#endif

typedef enum skiff_status {
  SKIFF_OK = 0,
  SKIFF_INVALID_ARGUMENT = 1, /* the caller's fault: wrong name, dtype, rank, shape, option */
  SKIFF_NOT_FOUND = 2,        /* no such file, input, device */
  SKIFF_INVALID_MODEL = 3,    /* the model breaks the ONNX standard */
  SKIFF_UNSUPPORTED = 4,      /* legal, but this build or device cannot do it */
  SKIFF_IO = 5,               /* reading or writing failed */
  SKIFF_LIMIT = 6,            /* a resource limit (memory, nodes, depth, time) was reached */
  SKIFF_CANCELLED = 7,        /* skiff_cancel_request was called */
  SKIFF_INTERNAL = 8          /* a bug in Skiff: please report it */
} skiff_status;

/* Numbered as onnx.TensorProto.DataType. */
typedef enum skiff_dtype {
  SKIFF_UNDEFINED = 0, SKIFF_FLOAT = 1, SKIFF_UINT8 = 2, SKIFF_INT8 = 3, SKIFF_UINT16 = 4, SKIFF_INT16 = 5,
  SKIFF_INT32 = 6, SKIFF_INT64 = 7, SKIFF_STRING = 8, SKIFF_BOOL = 9, SKIFF_FLOAT16 = 10, SKIFF_DOUBLE = 11,
  SKIFF_UINT32 = 12, SKIFF_UINT64 = 13, SKIFF_COMPLEX64 = 14, SKIFF_COMPLEX128 = 15, SKIFF_BFLOAT16 = 16,
  SKIFF_FLOAT8E4M3FN = 17, SKIFF_FLOAT8E4M3FNUZ = 18, SKIFF_FLOAT8E5M2 = 19, SKIFF_FLOAT8E5M2FNUZ = 20,
  SKIFF_UINT4 = 21, SKIFF_INT4 = 22, SKIFF_FLOAT4E2M1 = 23, SKIFF_FLOAT8E8M0 = 24, SKIFF_UINT2 = 25, SKIFF_INT2 = 26
} skiff_dtype;

/* What a value is. */
typedef enum skiff_kind {
  SKIFF_KIND_NONE = 0,     /* an empty optional, or an absent input */
  SKIFF_KIND_TENSOR = 1,
  SKIFF_KIND_SEQUENCE = 2,
  SKIFF_KIND_MAP = 3,      /* keys: int64 or string tensor [n]; values: n values */
  SKIFF_KIND_SPARSE = 4
} skiff_kind;

typedef struct skiff_options skiff_options;
typedef struct skiff_session skiff_session;
typedef struct skiff_value skiff_value;
typedef struct skiff_cancel skiff_cancel;

/* The library's version, "0.1.0". */
SKIFF_API const char* skiff_version(void);
/* Message of this thread's last failed call; "" when none failed yet. Valid until the next failing call. */
SKIFF_API const char* skiff_last_error(void);
/* Short name of a status: "invalid argument". */
SKIFF_API const char* skiff_status_name(skiff_status s);
SKIFF_API const char* skiff_dtype_name(skiff_dtype t);
/* Accepts ONNX's and NumPy's names ("float", "float32"). SKIFF_UNDEFINED when unknown. */
SKIFF_API skiff_dtype skiff_dtype_from_name(const char* name);
/* Bits of one element: 2, 4, 8 ... 128; 0 for strings. */
SKIFF_API int skiff_dtype_bits(skiff_dtype t);
SKIFF_API void skiff_string_free(char* s);

/* ---------------------------------------------------------------- options
 * Key-value options of a session. Keys (defaults in brackets):
 *   threads            number of threads a run may use, the caller's included [cores of the machine]; 1 starts none
 *   isa                instruction set: generic sse4 avx2 avx512 ... [the best there is]
 *   device             device for every node: cpu, reference [the first there is: cpu]
 *   place              further placement rules, applied in order: "NODE=device" by node name, "op:Conv=device" by
 *                      operator, "share:0.5=device" the first half of the nodes; separated by ';'
 *   memory_limit       bytes a session may hold for weights, arenas and outputs [0: no limit]
 *   skip_passes        names of graph passes to skip, separated by ','; "all" skips every optional pass
 *   profile            1: measure every node (skiff_session_profile_json) [0]
 *   max_nodes          most nodes after expansion of functions [1000000]
 *   max_loop_trips     most trips of one Loop [1000000000]
 *   time_limit         seconds one run may take [0: no limit]
 *   fold_limit         most bytes of one folded constant [16777216]
 *   external_data_dir  folder of external data for models loaded from memory [none]
 * Unknown keys and malformed values are refused at once.
 */
SKIFF_API skiff_status skiff_options_create(skiff_options** options);
SKIFF_API void skiff_options_free(skiff_options* options);
SKIFF_API skiff_status skiff_options_set(skiff_options* options, const char* key, const char* value);
/* JSON array of {"name","default","description"} for every option; the caller frees it. */
SKIFF_API skiff_status skiff_options_describe_json(char** json);

/* ---------------------------------------------------------------- sessions */

/* Reads a model file and makes it ready to run. `options` may be NULL. External data is looked for beside the file.
 * Errors: SKIFF_NOT_FOUND, SKIFF_IO, SKIFF_INVALID_MODEL, SKIFF_UNSUPPORTED, SKIFF_LIMIT. */
SKIFF_API skiff_status skiff_session_load(const char* path, const skiff_options* options, skiff_session** session);
/* The same from memory. `data` must stay alive and unchanged as long as the session. */
SKIFF_API skiff_status skiff_session_load_memory(const void* data, size_t size, const skiff_options* options,
                                                 skiff_session** session);
SKIFF_API void skiff_session_free(skiff_session* session);

SKIFF_API size_t skiff_session_input_count(const skiff_session* session);
SKIFF_API size_t skiff_session_output_count(const skiff_session* session);
/* What is declared of input or output i. */
typedef struct skiff_port {
  const char* name;
  skiff_kind kind;
  skiff_dtype dtype;      /* element type; of a map: its key type */
  int rank;               /* -1: unknown */
  const int64_t* dims;    /* rank extents; -1 where symbolic or unknown */
  const char* const* dim_names; /* rank names: "N" for symbolic extents, "" for numbers and unknowns */
  const char* type_text;  /* "float[N, 3, 224, 224]", "seq(map(int64, float))" */
  int optional;           /* 1: an input that has a default value */
} skiff_port;
SKIFF_API skiff_status skiff_session_input(const skiff_session* session, size_t i, skiff_port* port);
SKIFF_API skiff_status skiff_session_output(const skiff_session* session, size_t i, skiff_port* port);
/* Value of a metadata_props entry; SKIFF_NOT_FOUND when the model has none of that key. */
SKIFF_API skiff_status skiff_session_metadata(const skiff_session* session, const char* key, const char** value);
/* Everything about the model as JSON: producer, ir_version, opsets, metadata, inputs, outputs, operators with counts,
 * parameters, nodes {name, op, device, kernel, inputs, outputs, flops, bytes}, totals, memory plan, passes with times,
 * placement. Shapes are those of the declared inputs, open extents taken as 1; `shapes` (may be NULL) gives others:
 * "image=1x3x224x224;N=4" (an input's shape or a symbol's value). */
SKIFF_API skiff_status skiff_session_info_json(skiff_session* session, const char* shapes, char** json);
/* Times of every node over the runs since the last call, when the option `profile` is 1: JSON {"runs", "wall_ns",
 * "nodes":[{"name","op","kernel","device","count","ns","flops","bytes"}], "events":[{"name","op","kernel","start_ns",
 * "ns","thread"}] of the last run}. Runs that override a default and runs that do not are kept apart: what is told is of
 * the kind of the last run. */
SKIFF_API skiff_status skiff_session_profile_json(skiff_session* session, char** json);
/* Text of the optimized graph, one line a node. */
SKIFF_API skiff_status skiff_session_print(skiff_session* session, char** text);

/* Runs the model. inputs[i] belongs to input i of the session (NULL for one that has a default: the first run that gives
 * one of those compiles the model a second time, with nothing assumed of them); outputs[i] to output i:
 *   outputs[i] == NULL on entry: a new value is made, the caller frees it;
 *   outputs[i] != NULL: the value is written into: a tensor over a caller's buffer of the right dtype and byte size is
 *   filled in place (its shape must agree, else SKIFF_INVALID_ARGUMENT); a tensor with memory of its own is filled in
 *   place when dtype and shape agree and replaced otherwise.
 * When every outputs[i] is given and fits, a run allocates nothing after the first of the same shapes.
 * On failure no output is changed, except that given buffers may be partly written. `cancel` may be NULL.
 * Errors: SKIFF_INVALID_ARGUMENT (input missing, wrong dtype, rank or shape), SKIFF_CANCELLED, SKIFF_LIMIT. */
SKIFF_API skiff_status skiff_run(skiff_session* session, const skiff_value* const* inputs, size_t input_count,
                                 skiff_value** outputs, size_t output_count, skiff_cancel* cancel);

/* Cancellation: request may be called from any thread, also from a signal handler; the run it was given to ends with
 * SKIFF_CANCELLED at the next node. reset makes the handle usable again. */
SKIFF_API skiff_status skiff_cancel_create(skiff_cancel** cancel);
SKIFF_API void skiff_cancel_request(skiff_cancel* cancel);
SKIFF_API void skiff_cancel_reset(skiff_cancel* cancel);
SKIFF_API void skiff_cancel_free(skiff_cancel* cancel);

/* ---------------------------------------------------------------- values */

/* A tensor with memory of its own, uninitialised (strings: empty). rank 0: a scalar. */
SKIFF_API skiff_status skiff_tensor_create(skiff_dtype dtype, const int64_t* dims, int rank, skiff_value** value);
/* A tensor over the caller's memory, which must stay alive as long as the value; `bytes` is its size and must be at least
 * what dims say. Not for strings. */
SKIFF_API skiff_status skiff_tensor_wrap(skiff_dtype dtype, const int64_t* dims, int rank, void* data, size_t bytes,
                                         skiff_value** value);
SKIFF_API void skiff_value_free(skiff_value* value);
SKIFF_API skiff_kind skiff_value_kind(const skiff_value* value);
/* dtype, rank and extents (rank of them; valid as long as the value is unchanged) of a tensor. */
SKIFF_API skiff_status skiff_tensor_info(const skiff_value* value, skiff_dtype* dtype, int* rank, const int64_t** dims);
/* Elements and bytes of a tensor; NULL data for strings. */
SKIFF_API skiff_status skiff_tensor_data(const skiff_value* value, void** data, size_t* elements, size_t* bytes);
SKIFF_API skiff_status skiff_tensor_get_string(const skiff_value* value, size_t i, const char** text, size_t* length);
SKIFF_API skiff_status skiff_tensor_set_string(skiff_value* value, size_t i, const char* text, size_t length);
/* Element i of any real-valued tensor as double: convenient, slow. */
SKIFF_API skiff_status skiff_tensor_get_double(const skiff_value* value, size_t i, double* element);
/* A copy converted to another dtype with ONNX Cast semantics (numbers only). */
SKIFF_API skiff_status skiff_tensor_cast(const skiff_value* value, skiff_dtype dtype, skiff_value** result);
/* Sequences and maps: number of items; item i (borrowed: a new handle that the caller frees, sharing the elements). */
SKIFF_API skiff_status skiff_value_count(const skiff_value* value, size_t* count);
SKIFF_API skiff_status skiff_value_item(const skiff_value* value, size_t i, skiff_value** item);
SKIFF_API skiff_status skiff_map_keys(const skiff_value* value, skiff_value** keys);
SKIFF_API skiff_status skiff_sequence_create(const skiff_value* const* items, size_t count, skiff_value** value);
SKIFF_API skiff_status skiff_map_create(const skiff_value* keys, const skiff_value* const* values, size_t count,
                                        skiff_value** value);

/* The pixels of an image file's contents (JPEG, PNG, BMP, PNM, TIFF, WebP or JPEG 2000, told by the contents), as ONNX's
 * ImageDecoder gives them: a uint8 tensor [height, width, 3], red, green, blue. Alpha is dropped, palettes and grey are
 * spread, of more than 8 bits the upper 8 are kept. Errors: SKIFF_INVALID_ARGUMENT (no image, or a broken one),
 * SKIFF_LIMIT (over 65500 pixels a side or 100 million in all), SKIFF_UNSUPPORTED (a format this build leaves out). */
SKIFF_API skiff_status skiff_image_decode(const void* contents, size_t size, skiff_value** image);

/* ONNX's own files of values (.pb: TensorProto, SequenceProto, MapProto, OptionalProto, tried in the order that fits
 * `kind`; SKIFF_KIND_NONE: tensor first). */
SKIFF_API skiff_status skiff_value_read_pb(const char* path, skiff_kind kind, skiff_value** value, char** name);
SKIFF_API skiff_status skiff_value_write_pb(const skiff_value* value, const char* name, const char* path);

/* Result of comparing two values as |got - want| <= atol + rtol * |want|, NaN equal to NaN. */
typedef struct skiff_difference {
  int equal;             /* 1 when kind, dtype, shape and every element agree within the tolerance */
  double max_abs;        /* largest absolute difference */
  double max_rel;        /* largest relative difference */
  size_t mismatches;     /* elements outside the tolerance */
  size_t elements;
  size_t worst_index;    /* linear index of the element furthest outside */
  double got, want;      /* that element's values */
  char text[240];        /* one line: what differs, how far, where */
} skiff_difference;
SKIFF_API skiff_status skiff_value_compare(const skiff_value* got, const skiff_value* want, double rtol, double atol,
                                           skiff_difference* difference);

/* ---------------------------------------------------------------- machine and build */

/* Devices there are: JSON array of {"name","description","available","memory_bytes","cores","isa","isas":[...]}. */
SKIFF_API skiff_status skiff_devices_json(char** json);
/* Every environment knob (SKIFF_...): JSON array of {"name","value","default","description"}. */
SKIFF_API skiff_status skiff_knobs_json(char** json);
/* Measures this machine (some 200 ms): JSON {"threads","isa","fp32_gflops","read_gbps","copy_gbps"} for `device`
 * (NULL: the first there is) with the options' threads and isa; `options` may be NULL. */
SKIFF_API skiff_status skiff_measure_peaks_json(const char* device, const skiff_options* options, char** json);
/* Operators this build knows: JSON array of {"domain","name","versions":[...]}. */
SKIFF_API skiff_status skiff_operators_json(char** json);
/* Graph passes in their order: JSON array of {"name","description"}. */
SKIFF_API skiff_status skiff_passes_json(char** json);

/* Reads a model and writes it again (external: weights of at least `external_threshold` bytes go to FILE.data; 0: all
 * inside). The file is replaced atomically. */
SKIFF_API skiff_status skiff_model_rewrite(const char* path, const char* out_path, size_t external_threshold);

#ifdef __cplusplus
}
#endif
#endif /* SKIFF_SKIFF_H */
