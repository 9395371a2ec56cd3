// Float Gemm and MatMul (+ scalar scale, + bias along the last axis, + residual, + activation) become
// skiff.MatMul: Y = act(scale * A@B + bias + Z). A Transpose of the last two axes of an operand goes into
// trans_a / trans_b. For targets that fuse activations; nodes of quantized patterns are left alone.
#pragma once
#include "passes/pass.h"

namespace skiff::passes {

bool fuse_matmul_bias(Graph& g, PassContext& ctx);

}  // namespace skiff::passes
