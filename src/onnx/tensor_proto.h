// TensorProto and SparseTensorProto <-> Skiff's tensors. (value_proto.h: sequences, maps and optionals.)
#pragma once
#include <cstdint>
#include <string>

#include "onnx/proto.h"
#include "tensor/tensor.h"

namespace skiff::onnx {

class ExternalFiles;

// "tensor 'w'" for messages.
std::string describe(const TensorProto& t);

// The element type. Errors: kInvalidModel for a number ONNX does not define, kUnsupported for FLOAT6.
DType dtype_of(const TensorProto& t);
// Elements the dims name. kInvalidModel on a negative extent or a product beyond 63 bits.
int64_t element_count(const TensorProto& t);
// Bytes of the packed payload: 4- and 2-bit elements share bytes. As above; strings have no raw payload.
uint64_t raw_bytes(const TensorProto& t);

// The tensor a message holds, in whichever of its fields. Raw and external payloads are viewed, not copied,
// where their alignment allows; the tensor keeps their owner alive. Nothing is allocated before the payload
// is known to be as long as the dims say. `files` serves external data; without it such a tensor is an error.
// Errors: kInvalidModel, kUnsupported (segments), kNotFound, kLimit, naming the tensor.
Tensor to_tensor(const TensorProto& t, ExternalFiles* files = nullptr);
// The payload as raw_data (strings: string_data), viewing the tensor's memory and holding its owner. A tensor
// that owns nothing must outlive the message.
TensorProto to_proto(const Tensor& t, std::string name = {});

// Indices are checked: int64, in range, ascending, as many as there are values.
Datum::Sparse to_sparse(const SparseTensorProto& s, ExternalFiles* files = nullptr);
SparseTensorProto to_proto(const Datum::Sparse& s, std::string name = {});
// The dense form, zeros (or empty strings) elsewhere. kLimit when it would take more than max_bytes.
Tensor densify(const Datum::Sparse& s, uint64_t max_bytes = uint64_t{1} << 30);

// Removes what to_tensor / to_sparse read, so that what is left (name, doc string, metadata, unknown fields)
// can be kept beside the tensor.
void strip_payload(TensorProto& t);
void strip_payload(SparseTensorProto& s);

}  // namespace skiff::onnx
