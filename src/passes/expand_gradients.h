// Replaces every Gradient node (ai.onnx.preview.training) by the nodes that compute it. Where the node's
// inputs are the tensors its xs and zs name, the forward nodes serve both; otherwise the part of the graph
// between them and y is computed once more with the node's own inputs. Throws kInvalidModel when a name
// stands for nothing in the graph, kUnsupported when an operator on the way has no gradient.
#pragma once
#include "passes/pass.h"

namespace skiff::passes {

bool expand_gradients(Graph& g, PassContext& ctx);

}  // namespace skiff::passes
