// Reshape, Flatten, Squeeze and Unsqueeze in a row become one Reshape; a Reshape whose target is computed
// becomes one with a constant target when shape inference knows enough (numbers, 0 for kept, one -1).
#pragma once
#include "passes/pass.h"

namespace skiff::passes {

bool simplify_reshapes(Graph& g, PassContext& ctx);

}  // namespace skiff::passes
