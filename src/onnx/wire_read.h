// Protocol buffer bytes -> the structs of proto.h. Hostile input ends in an Error kInvalidModel or kLimit
// that names the field and the message it stands in; never in a crash, a leak or unbounded memory.
#pragma once
#include <cstdint>
#include <memory>
#include <string>
#include <string_view>

#include "onnx/proto.h"

namespace skiff::onnx {

struct ReadLimits {
  // Messages within messages. A subgraph costs three levels (node, attribute, graph). At most 1000.
  int max_depth = 100;
  // Bytes the parsed structs may take, payloads that are only viewed (raw_data) not counted.
  uint64_t max_memory = uint64_t{4} << 30;
};

// Parses `bytes` into `m`, merging into what it already holds as protobuf prescribes. Payloads are not
// copied: they view `bytes` and hold `owner`, which keeps them alive; with a null owner the caller does. T is
// any message of proto.h.
template <class T>
void parse(T& m, std::string_view bytes, const std::shared_ptr<const void>& owner,
           const ReadLimits& limits = {});

// A whole file, mapped: every payload views the mapping. Errors name the file. T: ModelProto, TensorProto,
// SequenceProto, OptionalProto, MapProto.
template <class T>
T parse_file(const std::string& path, const ReadLimits& limits = {});

}  // namespace skiff::onnx
