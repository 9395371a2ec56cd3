// (x - mean) / sqrt(var + eps) [* scale] [+ bias] over trailing axes becomes LayerNormalization (opset 17);
// x / sqrt(mean(x^2) + eps) [* scale] becomes RMSNormalization (opset 23). Extents of the normalized axes
// must be numbers, and scale and bias must have exactly that shape.
#pragma once
#include "passes/pass.h"

namespace skiff::passes {

bool recognize_layer_norm(Graph& g, PassContext& ctx);

}  // namespace skiff::passes
