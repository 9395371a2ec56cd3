// Quantized regions become integer programs. Dequantizers move down through nodes that only move elements; a
// node between dequantizers and a quantizer becomes its integer form (skiff.QLinearConv, skiff.QLinearMatMul,
// QLinearAdd ...), elementwise ones a table of 256 entries (skiff.Lookup). Per-tensor activations and
// constant weights of 8 bits, weights per tensor or per output channel. What has no integer form stays float
// between its (de)quantizers. Results are those of the rounded integers: they may differ from the float
// region's by a step where its sums rounded differently.
#pragma once
#include "passes/pass.h"

namespace skiff::passes {

bool use_integers(Graph& g, PassContext& ctx);

}  // namespace skiff::passes
