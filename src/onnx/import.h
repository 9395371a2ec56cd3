// Reading a model: ONNX file or bytes -> Model.
#pragma once
#include <cstdint>
#include <memory>
#include <string>
#include <string_view>

#include "graph/graph.h"
#include "onnx/wire_read.h"

namespace skiff {
class MappedFile;
}

namespace skiff::onnx {

class ExternalFiles;

struct ReadOptions {
  ReadLimits limits;
  // Nodes of the whole model, subgraphs counted, every call of a model-local function counted as its body.
  uint64_t max_nodes = 10'000'000;
  // Where external data lies. Read from a file: the file's own folder unless given. From memory: must be
  // given for a model that has any.
  std::string external_folder;
  bool allow_links = false;  // see ExternalFiles
};

// Weights view the mapped file (and external data files), which the tensors keep alive; misaligned ones are
// copied. Operators are not looked up (Node::def stays null: resolve_ops). What Graph does not model is kept
// as wire bytes in the `extra` members, so that write_model loses nothing.
//
// Errors name file, node and tensor. kInvalidModel: not an ONNX model, damaged, a name defined twice or not
// at all, a cycle, no opset_import, a domain not imported, an attribute without value or of an unknown type,
// recursive functions, bad tensors and external data; kUnsupported: an IR version outside 3 to 14; kLimit.
Model read_model(const std::string& path, const ReadOptions& options = {});
// The same from a file that is mapped already.
Model read_model(const std::shared_ptr<const MappedFile>& file, const ReadOptions& options = {});
// `owner` keeps the bytes alive for the model's weights; when null they are copied first.
Model read_model_bytes(std::string_view bytes, std::shared_ptr<const void> owner = {},
                       const ReadOptions& options = {});

// The parsed message -> Model; consumes it. `files` serves external data and may be null. `mapping`, when
// given, is the file the payloads view: its pages are dropped as misaligned weights are copied out, so that
// they are not resident twice.
Model import_model(ModelProto m, ExternalFiles* files, const ReadOptions& options = {},
                   const MappedFile* mapping = nullptr);

}  // namespace skiff::onnx
