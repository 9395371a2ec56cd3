// Pad with constant zeros before Conv, or before AveragePool that counts padding, becomes the attribute
// `pads` of that node; Pad before MaxPool when it pads with minus infinity, or with zeros after an operator
// whose result is never negative.
#pragma once
#include "passes/pass.h"

namespace skiff::passes {

bool fuse_pads(Graph& g, PassContext& ctx);

}  // namespace skiff::passes
