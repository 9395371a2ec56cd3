// DequantizeLinear of a compile-time constant becomes a float constant, when its users are float compute (not
// quantizers). It runs last: passes that turn quantized patterns into integer kernels come before it. Off
// with options.fold_dequantized_weights = false; bounded like fold_constants.
#pragma once
#include "passes/pass.h"

namespace skiff::passes {

bool fold_dequantized_weights(Graph& g, PassContext& ctx);

}  // namespace skiff::passes
