// Writing a model: Model -> ONNX file or bytes.
#pragma once
#include <string>

#include "graph/graph.h"
#include "onnx/external_data.h"

namespace skiff::onnx {

struct ExportOptions {
  bool value_info = true;  // also write the types of inner values, declared or inferred
  WriteOptions write;
};

// Nodes in topological order, everything that was read and not changed as it was (doc strings, metadata,
// annotations, training info, unknown fields). Names of the main graph are kept; names inside subgraphs that
// hide an outer one are made unique, as the standard demands. The IR version is raised where an element type
// or a function needs it, and operator sets that nodes use are added to the imports. Weights are viewed, and
// kept alive by the message.
ModelProto export_model(const Model& m, const ExportOptions& options = {});

// Atomic; see write_model_file for external data and the 2 GiB limit.
void write_model(const Model& m, const std::string& path, const ExportOptions& options = {});
std::string write_model_bytes(const Model& m, const ExportOptions& options = {});

}  // namespace skiff::onnx
