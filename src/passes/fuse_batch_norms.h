// Conv, ConvTranspose, Gemm or MatMul with constant weights followed by BatchNormalization (inference) with
// constant parameters, or by Mul / Div / Add / Sub with per-channel constants: folded into weights and bias.
// A BatchNormalization left alone becomes Mul and Add. Fires only when the intermediate value has no other
// use. Results differ by rounding only.
#pragma once
#include "passes/pass.h"

namespace skiff::passes {

bool fuse_batch_norms(Graph& g, PassContext& ctx);

}  // namespace skiff::passes
