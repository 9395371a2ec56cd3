// x * (1 + erf(x / sqrt 2)) / 2 and the tanh approximation, in any order of factors, become Gelu (opset 20).
#pragma once
#include "passes/pass.h"

namespace skiff::passes {

bool recognize_gelu(Graph& g, PassContext& ctx);

}  // namespace skiff::passes
