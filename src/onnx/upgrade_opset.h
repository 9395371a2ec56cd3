// Bringing a model to a newer opset of the default domain.
#pragma once
#include "graph/graph.h"

namespace skiff::onnx {

// Rewrites every node of the default domain, in subgraphs and model-local functions too, to what computes the
// same under `target` (in [1, kNewestOpset]), and the model's imports with them. Nodes of removed operators
// become what took their place. Types are inferred on the way. Throws kInvalidArgument when the model is
// newer than the target, kUnsupported naming a node that cannot be said in the newer opset. Other domains
// stay as they are.
void upgrade_opset(Model& m, int target);

}  // namespace skiff::onnx
