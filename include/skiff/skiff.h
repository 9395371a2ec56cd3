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

/* Any int a caller passes for an enumeration is looked at and refused when it names nothing. */
#ifdef __cplusplus
#define SKIFF_ENUM(name) enum name : int
#else
#define SKIFF_ENUM(name) enum name
#endif

typedef SKIFF_ENUM(skiff_status) {
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
typedef SKIFF_ENUM(skiff_dtype) {
  SKIFF_UNDEFINED = 0, SKIFF_FLOAT = 1, SKIFF_UINT8 = 2, SKIFF_INT8 = 3, SKIFF_UINT16 = 4, SKIFF_INT16 = 5,
  SKIFF_INT32 = 6, SKIFF_INT64 = 7, SKIFF_STRING = 8, SKIFF_BOOL = 9, SKIFF_FLOAT16 = 10, SKIFF_DOUBLE = 11,
  SKIFF_UINT32 = 12, SKIFF_UINT64 = 13, SKIFF_COMPLEX64 = 14, SKIFF_COMPLEX128 = 15, SKIFF_BFLOAT16 = 16,
  SKIFF_FLOAT8E4M3FN = 17, SKIFF_FLOAT8E4M3FNUZ = 18, SKIFF_FLOAT8E5M2 = 19, SKIFF_FLOAT8E5M2FNUZ = 20,
  SKIFF_UINT4 = 21, SKIFF_INT4 = 22, SKIFF_FLOAT4E2M1 = 23, SKIFF_FLOAT8E8M0 = 24, SKIFF_UINT2 = 25, SKIFF_INT2 = 26
} skiff_dtype;

/* What a value is. */
typedef SKIFF_ENUM(skiff_kind) {
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
 *   memory_limit       bytes a session may hold for weights, arenas and outputs, what loading needs besides included; a suffix
 *                      K, M or G multiplies [auto: four fifths of the machine's memory]; 0: no limit
 *   skip_passes        names of graph passes to skip, separated by ','; "all" skips every optional pass
 *   profile            1: measure every node (skiff_session_profile_json) [0]
 *   max_model_size     most bytes of the model file, external data not counted [2G]; 0: no limit
 *   max_nodes          most nodes after expansion of functions [1000000]
 *   max_nesting        deepest nesting of subgraphs, 1 to 64 [32]
 *   max_loop_trips     most trips of one Loop or Scan [1000000000]
 *   time_limit         seconds one load or one run may take [3600]; 0: no limit
 *   fold_limit         most bytes of one folded constant [16777216]
 *   external_data_dir  folder of external data for models loaded from memory [none]
 *   custom_ops         shared libraries of custom operators, separated by ';', added to those loaded before [none]
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
 * SKIFF_CANCELLED at the next node, the next trip of a loop, or within a long kernel. reset makes the handle usable again. */
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
/* An empty optional (SKIFF_KIND_NONE), for inputs of an optional type; NULL means an input that is not given. */
SKIFF_API skiff_status skiff_none_create(skiff_value** value);
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
/* The same, read as what input or output (is_output != 0) i of the session is declared to be: optional values too. */
SKIFF_API skiff_status skiff_session_read_pb(const skiff_session* session, int is_output, size_t i, const char* path,
                                             skiff_value** value, char** name);
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

/* ---------------------------------------------------------------- custom operators
 * An author describes an operator in a skiff_custom_op: its name, what it takes and gives, a type and shape rule, and a
 * kernel. It is registered for the whole process or in the options of one session, from a program or from a shared
 * library that exports SKIFF_REGISTER_OPS_SYMBOL. docs/custom-operators.md walks through an example.
 *
 * Callbacks get a skiff_call, valid until they return, and reach Skiff through the function table alone, so that a
 * library needs nothing but this header. They report an error by returning a status other than SKIFF_OK, with a message
 * left by `fail`; Skiff adds the node's name. Exceptions of C++ authors are caught and become errors as well.
 *
 * Threads: runs of one session may call `compute` of one node from several threads at once, with the same state; an
 * operator with SKIFF_OP_SERIAL is called by one thread at a time for each node. `create`, `destroy` and `infer` are
 * called by any thread; for one node, `create` is over before its first compute and `destroy` comes after the last. */

typedef struct skiff_call skiff_call;          /* one call of an author's callback */
typedef struct skiff_registry skiff_registry;  /* where a library puts its operators */

typedef enum skiff_attr_type {  /* numbered as onnx.AttributeProto.AttributeType */
  SKIFF_ATTR_FLOAT = 1, SKIFF_ATTR_INT = 2, SKIFF_ATTR_STRING = 3, SKIFF_ATTR_TENSOR = 4,
  SKIFF_ATTR_FLOATS = 6, SKIFF_ATTR_INTS = 7, SKIFF_ATTR_STRINGS = 8, SKIFF_ATTR_TENSORS = 9
} skiff_attr_type;

typedef enum skiff_arity {
  SKIFF_REQUIRED = 0,
  SKIFF_OPTIONAL = 1,  /* may be left out */
  SKIFF_VARIADIC = 2   /* any number from here on, none included; the last input or output alone */
} skiff_arity;

/* Bit of an element type in skiff_custom_formal.dtypes. */
#define SKIFF_DTYPE_BIT(t) (((uint64_t)1) << (t))

enum {
  SKIFF_FORMAL_SHAPES = 1  /* input: the shape rule reads this input's value (input_ints); Skiff waits for it */
};

/* One input or output. */
typedef struct skiff_custom_formal {
  const char* name;
  uint64_t dtypes;  /* SKIFF_DTYPE_BITs of the element types allowed; 0: any value, also sequences and maps */
  char type_var;    /* inputs and outputs of one letter share one element type; 0: free */
  uint8_t arity;    /* skiff_arity */
  uint16_t flags;   /* SKIFF_FORMAL_... */
  uint32_t reserved; /* 0 */
} skiff_custom_formal;

typedef struct skiff_custom_attr {
  const char* name;
  int type;      /* skiff_attr_type */
  int required;  /* 1: a node without it is refused when the model is loaded */
} skiff_custom_attr;

enum {
  SKIFF_OP_PURE = 1,    /* without create: results depend on inputs and attributes alone; constants may be folded */
  SKIFF_OP_SERIAL = 2,  /* compute of one node is never called by two threads at once */
  SKIFF_OP_VALUE_SHAPES = 4  /* output shapes are known only when compute made the outputs */
};

/* An operator. Skiff copies what it is given; strings and arrays need not outlive the registration. Fields may be added
 * at the end: struct_size says which the author knows. */
typedef struct skiff_custom_op {
  uint32_t struct_size;          /* sizeof(skiff_custom_op) */
  uint32_t flags;                /* SKIFF_OP_... */
  const char* domain;            /* one's own, "com.example"; those of the standard (ai.onnx...) and "skiff" are refused */
  const char* name;
  const int* versions;           /* since-versions, ascending; NULL: {1} */
  size_t version_count;
  const skiff_custom_formal* inputs;
  size_t input_count;
  const skiff_custom_formal* outputs;
  size_t output_count;
  const skiff_custom_attr* attributes;
  size_t attribute_count;
  void* user;                    /* handed to every callback */
  void (*free_user)(void* user); /* may be NULL; after the last session that knows the operator is gone */
  /* Type and shape rule: sets output types (set_output_type) from input types, attributes, and the values of inputs with
   * SKIFF_FORMAL_SHAPES. NULL: outputs take the element type of their letter or the only one allowed, shapes are found
   * when compute makes the outputs. Called often, with symbolic and with concrete shapes; must depend on nothing else. */
  skiff_status (*infer)(skiff_call* call, void* user);
  /* Makes a node's state when a session prepares it; attributes may be read. NULL: no state. */
  skiff_status (*create)(skiff_call* call, void* user, void** state);
  /* Reads the inputs, asks for every output it is wanted for, fills it. Must not be NULL. */
  skiff_status (*compute)(skiff_call* call, void* user, void* state);
  void (*destroy)(void* user, void* state); /* must be given when create is */
} skiff_custom_op;

/* Extent of a shape: a number, else -1 and a symbol ("N", "2*N + 1"), or NULL where nothing is known. A symbol read from
 * an input keeps its meaning when it is set on an output. */
typedef struct skiff_dim {
  int64_t value;
  const char* symbol;
} skiff_dim;

typedef struct skiff_type {
  skiff_kind kind;       /* SKIFF_KIND_NONE: not known */
  skiff_dtype dtype;     /* element type; SKIFF_UNDEFINED: not known */
  int rank;              /* -1: not known */
  const skiff_dim* dims; /* rank of them */
} skiff_type;

#define SKIFF_CUSTOM_API_VERSION 1
#define SKIFF_REGISTER_OPS_SYMBOL "skiff_register_ops"

/* What Skiff offers to authors. Functions are only ever added, at the end; a library built against version V runs with
 * every table whose version is at least V. Borrowed values belong to the call: they are not freed. Functions that return
 * SKIFF_NOT_FOUND for something optional leave no message. */
typedef struct skiff_custom_api {
  uint32_t version;
  uint32_t struct_size;
  skiff_status (*register_op)(skiff_registry* registry, const skiff_custom_op* op);
  /* Leaves a message for the error the callback is about to return; gives the status back: return api->fail(...). */
  skiff_status (*fail)(skiff_call* call, skiff_status status, const char* message);

  /* The node: in every callback. */
  const char* (*node_name)(const skiff_call* call);
  int (*opset_version)(const skiff_call* call);     /* version of the operator's domain the model imports */
  size_t (*input_count)(const skiff_call* call);    /* absent ones in between included */
  size_t (*output_count)(const skiff_call* call);
  int (*has_input)(const skiff_call* call, size_t i);
  int (*wants_output)(const skiff_call* call, size_t i);
  /* Attributes: SKIFF_NOT_FOUND when the node has none of that name, SKIFF_INVALID_MODEL when it is of another type. What
   * they give lives as long as the node. strings and tensors: item i of the list, SKIFF_NOT_FOUND behind its end. */
  skiff_status (*attr_int)(skiff_call* call, const char* name, int64_t* value);
  skiff_status (*attr_float)(skiff_call* call, const char* name, float* value);
  skiff_status (*attr_string)(skiff_call* call, const char* name, const char** text, size_t* length);
  skiff_status (*attr_tensor)(skiff_call* call, const char* name, const skiff_value** value);
  skiff_status (*attr_ints)(skiff_call* call, const char* name, const int64_t** values, size_t* count);
  skiff_status (*attr_floats)(skiff_call* call, const char* name, const float** values, size_t* count);
  skiff_status (*attr_strings_item)(skiff_call* call, const char* name, size_t i, const char** text, size_t* length);
  skiff_status (*attr_tensors_item)(skiff_call* call, const char* name, size_t i, const skiff_value** value);

  /* In infer alone. An absent input has kind SKIFF_KIND_NONE. */
  skiff_status (*input_type)(skiff_call* call, size_t i, skiff_type* type);
  /* Elements of an integer tensor of rank 0 or 1; SKIFF_NOT_FOUND while they are not known. */
  skiff_status (*input_ints)(skiff_call* call, size_t i, const int64_t** values, size_t* count);
  skiff_status (*set_output_type)(skiff_call* call, size_t i, const skiff_type* type);

  /* In compute alone. input: a borrowed value, NULL where absent; it must not be changed. output: a borrowed tensor to
   * fill; dtype and shape must be those of the shape rule where it gave them. set_output: any value, copied by reference. */
  skiff_status (*input)(skiff_call* call, size_t i, const skiff_value** value);
  skiff_status (*output)(skiff_call* call, size_t i, skiff_dtype dtype, const int64_t* dims, int rank,
                         skiff_value** value);
  skiff_status (*set_output)(skiff_call* call, size_t i, const skiff_value* value);
  /* Not SKIFF_OK when the run was cancelled or its time is over: return it. Long kernels ask now and then. */
  skiff_status (*poll)(skiff_call* call);

  /* The functions of this header by the same names. */
  skiff_kind (*value_kind)(const skiff_value*);
  skiff_status (*tensor_info)(const skiff_value*, skiff_dtype*, int* rank, const int64_t** dims);
  skiff_status (*tensor_data)(const skiff_value*, void** data, size_t* elements, size_t* bytes);
  skiff_status (*tensor_get_string)(const skiff_value*, size_t i, const char** text, size_t* length);
  skiff_status (*tensor_set_string)(skiff_value*, size_t i, const char* text, size_t length);
  skiff_status (*tensor_create)(skiff_dtype, const int64_t* dims, int rank, skiff_value**);
  skiff_status (*value_count)(const skiff_value*, size_t* count);
  skiff_status (*value_item)(const skiff_value*, size_t i, skiff_value** item);
  skiff_status (*map_keys)(const skiff_value*, skiff_value** keys);
  skiff_status (*sequence_create)(const skiff_value* const* items, size_t count, skiff_value**);
  skiff_status (*map_create)(const skiff_value* keys, const skiff_value* const* values, size_t count, skiff_value**);
  void (*value_free)(skiff_value*);
} skiff_custom_api;

/* What a library exports under SKIFF_REGISTER_OPS_SYMBOL. Returns the first status of register_op that is not SKIFF_OK,
 * or SKIFF_UNSUPPORTED when api->version is too old for it. */
typedef skiff_status (*skiff_register_ops_fn)(const skiff_custom_api* api, skiff_registry* registry);

SKIFF_API const skiff_custom_api* skiff_custom_api_table(void);
/* Registers an operator for every session made from now on, or for those made with `options`. Errors:
 * SKIFF_INVALID_ARGUMENT for a missing or contradictory field, a reserved domain, a name that is taken. */
SKIFF_API skiff_status skiff_register_op(const skiff_custom_op* op);
SKIFF_API skiff_status skiff_options_register_op(skiff_options* options, const skiff_custom_op* op);
/* Loads a library's operators for the whole process; it is never unloaded. The option custom_ops loads for one session:
 * such a library is unloaded when the options and every session made with them are gone. Loading one again does nothing.
 * Errors: SKIFF_NOT_FOUND, SKIFF_INVALID_ARGUMENT (no library, no entry, refused operators); then none is registered. */
SKIFF_API skiff_status skiff_load_custom_ops(const char* path);

/* ---------------------------------------------------------------- machine and build */

/* Devices there are: JSON array of {"name","description","available","memory_bytes","cores","isa","isas":[...]}. */
SKIFF_API skiff_status skiff_devices_json(char** json);
/* Every environment knob (SKIFF_...): JSON array of {"name","value","default","description"}. */
SKIFF_API skiff_status skiff_knobs_json(char** json);
/* Measures this machine (some 200 ms): JSON {"threads","isa","fp32_gflops","read_gbps","copy_gbps"} for `device`
 * (NULL: the first there is) with the options' threads and isa; `options` may be NULL. */
SKIFF_API skiff_status skiff_measure_peaks_json(const char* device, const skiff_options* options, char** json);
/* Operators this build knows: JSON array of {"domain","name","versions":[...],"random"}; random: the result may differ from
 * run to run. */
SKIFF_API skiff_status skiff_operators_json(char** json);
/* Graph passes in their order: JSON array of {"name","description"}. */
SKIFF_API skiff_status skiff_passes_json(char** json);

/* Reads a model and writes it again (external: weights of at least `external_threshold` bytes go to FILE.data; 0: all
 * inside, unless the file would exceed 2 GiB). The file is replaced atomically. */
SKIFF_API skiff_status skiff_model_rewrite(const char* path, const char* out_path, size_t external_threshold);
/* The same, and every node of the default domain is brought to `opset` (0: the newest this build knows) so that it
 * computes the same; functions and subgraphs too. Errors: SKIFF_INVALID_ARGUMENT for an older opset than the model's,
 * SKIFF_UNSUPPORTED naming a node that the newer opset cannot say. */
SKIFF_API skiff_status skiff_model_upgrade(const char* path, const char* out_path, int opset, size_t external_threshold);

/* ---------------------------------------------------------------- adaptation
 * Calls that make another model out of a model. They take options as a JSON object, data through callbacks, and give a
 * report. Callbacks are called on the calling thread. */
typedef struct skiff_adapt_callbacks {
  void* user; /* handed to each callback */
  /* The inputs of sample `index` (from 0, in order; again from 0 for another pass): fills inputs[i] with a new value for
   * input i of the model, which the library frees (NULL: the input's default). Returns 1; 0 when there are no more
   * samples; below 0 when it failed, which ends the call with SKIFF_INVALID_ARGUMENT. May be NULL: no data. */
  int (*sample)(void* user, size_t index, skiff_value** inputs, size_t input_count);
  /* How good a model is on data of the caller's: higher is better, and option max_drop is about this number. The session
   * is the library's and ends with the call. Returns 0, or below 0 when it failed. May be NULL: models are then compared
   * by their outputs on the samples. */
  int (*score)(void* user, skiff_session* session, double* score);
  /* `share` in [0, 1] of a stage ("calibrate", "compare", ...) is done. Returns 0 to go on; anything else ends the call
   * with SKIFF_CANCELLED. May be NULL. */
  int (*progress)(void* user, const char* stage, double share);
} skiff_adapt_callbacks;

/* Quantizes the model file `path` and writes the result, plain ONNX, to `out_path` (atomically, and only when everything
 * went well; the model itself is never overwritten). `options_json` (may be NULL): see skiff_quantize_options_json; any
 * option of a session may stand beside them. `callbacks` may be NULL for the modes that need no data. The caller frees
 * the reports; each may be NULL. report_json: {"mode", "samples", "seconds", "size_before", "size_after", "sqnr_db",
 * "cosine", "agreement", "score_before", "score_after", "ns_before", "ns_after", "notes":[...], "layers":[{"name", "op",
 * "precision", "reason", "weight_sqnr_db", "output_sqnr_db", "saturated", "lo", "hi", "scale", "zero", "histogram"}],
 * "regions":[{"first", "last", "nodes", "float_ns", "quantized_ns", "reverted", "how"}]}; report_html: one page with
 * plots.
 * Errors: SKIFF_INVALID_ARGUMENT (an option, no samples, a sample that holds NaN or does not fit, a model that is
 * quantized already), SKIFF_UNSUPPORTED, SKIFF_NOT_FOUND, SKIFF_IO, SKIFF_INVALID_MODEL, SKIFF_CANCELLED. */
SKIFF_API skiff_status skiff_quantize(const char* path, const char* out_path, const char* options_json,
                                      const skiff_adapt_callbacks* callbacks, char** report_json, char** report_html);
/* The options there are: JSON array of {"name","default","description"}. */
SKIFF_API skiff_status skiff_quantize_options_json(char** json);

#ifdef __cplusplus
}
#endif
#endif /* SKIFF_SKIFF_H */
