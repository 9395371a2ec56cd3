// TensorProto, SparseTensorProto and the value messages of onnx-data.proto <-> Skiff's tensors and run-time
// values.
#pragma once
#include <cstdint>

#include "onnx/proto.h"
#include "tensor/dtype.h"

namespace skiff::onnx {

// "tensor 'w'" for messages.
std::string describe(const TensorProto& t);

// The element type. Errors: kInvalidModel for a number ONNX does not define, kUnsupported for FLOAT6.
DType dtype_of(const TensorProto& t);
// Elements the dims name. kInvalidModel on a negative extent or a product beyond 63 bits.
int64_t element_count(const TensorProto& t);
// Bytes of the packed payload: 4- and 2-bit elements share bytes. As above; strings have no raw payload.
uint64_t raw_bytes(const TensorProto& t);

}  // namespace skiff::onnx
