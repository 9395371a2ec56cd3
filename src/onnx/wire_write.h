// The structs of proto.h -> protocol buffer bytes, in field number order, unknown fields last. Sizes are
// computed first and the bytes then streamed, so a file is written without a second copy of the model in
// memory.
#pragma once
#include <cstddef>
#include <cstdint>
#include <string>

#include "onnx/proto.h"

namespace skiff::onnx {

// protobuf readers refuse a message of 2 GiB or more.
inline constexpr uint64_t kMaxProtoBytes = 0x7fffffff;

class ByteSink {
 public:
  virtual ~ByteSink() = default;
  virtual void write(const char* data, size_t size) = 0;
};

// Bytes `m` takes on the wire. T is any message of proto.h.
template <class T>
uint64_t wire_size(const T& m);

// Throws Error kLimit, naming the remedy, when the message is larger than `limit`. Nothing has been written
// then.
template <class T>
void serialize(const T& m, ByteSink& to, uint64_t limit = kMaxProtoBytes);
template <class T>
std::string serialize(const T& m, uint64_t limit = kMaxProtoBytes);

// Writes `m` to a file, atomically: a failure leaves what was there before. T: as parse_file.
template <class T>
void serialize_file(const T& m, const std::string& path, uint64_t limit = kMaxProtoBytes);

}  // namespace skiff::onnx
