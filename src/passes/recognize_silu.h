// x * sigmoid(a x) becomes Swish (opset 24); x * hardsigmoid(x), x * clip(x + 3, 0, 6) / 6 become HardSwish
// (14); clip(x + 3, 0, 6) / 6 becomes HardSigmoid; x * tanh(softplus(x)) becomes Mish (18); log(1 + exp(x))
// Softplus.
#pragma once
#include "passes/pass.h"

namespace skiff::passes {

bool recognize_silu(Graph& g, PassContext& ctx);

}  // namespace skiff::passes
