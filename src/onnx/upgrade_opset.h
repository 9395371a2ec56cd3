// Bringing a model to a newer version of the default operator set.
#pragma once
#include "graph/graph.h"

namespace skiff::onnx {

// Every ai.onnx node, subgraphs included, is written for opset `target` afterwards, with the same meaning:
// attributes that became inputs are moved, changed defaults are spelled out, removed operators are replaced
// by what took their place. Nodes younger than `target` are an error. Expects resolved operators and inferred
// types; the caller resolves and infers again. The IR version is raised to what the opset asks for. Errors:
// kUnsupported naming node and operator, nothing promised about the model then.
void upgrade_opset(Model& m, int target);

}  // namespace skiff::onnx
