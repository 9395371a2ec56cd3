// Replaces every call of a model-local function (PassContext::functions) by the nodes of its body. Attribute
// references take the value of the caller, else the function default, else they are left out (ONNX IR,
// section "Functions"). Nested calls are expanded too, subgraphs of the body included. Throws kInvalidModel
// when functions call each other in a circle, kLimit when the expansion would exceed
// options.max_inlined_nodes.
#pragma once
#include "passes/pass.h"

namespace skiff::passes {

bool inline_functions(Graph& g, PassContext& ctx);

}  // namespace skiff::passes
