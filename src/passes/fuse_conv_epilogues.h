// Float Conv (+ residual) (+ activation) becomes skiff.Conv: Y = act(conv(X, W) + B + Z), ConvTranspose (+
// activation) skiff.ConvTranspose. Only the activations in TargetTraits::fused_activations, the residual only
// when the target takes one and it has the shape of the result; nodes of quantized patterns are left alone.
#pragma once
#include "passes/pass.h"

namespace skiff::passes {

bool fuse_conv_epilogues(Graph& g, PassContext& ctx);

}  // namespace skiff::passes
