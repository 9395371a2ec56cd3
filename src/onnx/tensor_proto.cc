#include "onnx/tensor_proto.h"

#include "base/error.h"

namespace skiff::onnx {

std::string describe(const TensorProto& t) { return cat("tensor '", *t.name, "'"); }

DType dtype_of(const TensorProto& t) {
  int32_t n = *t.data_type;
  check(n != 27 && n != 28, Code::kUnsupported, "element type ", n, " (6-bit float) is not supported");
  check(n > 0 && n < kDTypeCount, Code::kInvalidModel, "unknown element type ", n);
  return static_cast<DType>(n);
}

int64_t element_count(const TensorProto& t) {
  int64_t n = 1;
  bool empty = false;
  for (int64_t d : t.dims) {
    check(d >= 0, Code::kInvalidModel, "negative extent ", d, " in a tensor's dims");
    empty = empty || d == 0;
  }
  if (empty) return 0;
  for (int64_t d : t.dims)
    check(!__builtin_mul_overflow(n, d, &n), Code::kInvalidModel, "the product of a tensor's dims overflows");
  return n;
}

uint64_t raw_bytes(const TensorProto& t) {
  DType type = dtype_of(t);
  check(type != DType::kString, Code::kInvalidModel, "strings cannot be stored as raw or external data");
  return dtype_bytes(type, element_count(t));
}

}  // namespace skiff::onnx
