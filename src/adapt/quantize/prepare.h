// The graph a quantizer starts from: plain ONNX of one opset, normalizations folded, matrix products with
// their biases.
#pragma once
#include "adapt/quantize/options.h"
#include "graph/graph.h"

namespace skiff::adapt {

// Opset the mode and bit widths ask for (4 and 16 bits, blocks: 21; else 13), but no older than the model's.
int needed_opset(const Model& m, const QuantizeOptions& o);

// Rewrites the model in place: resolves, runs the general passes that keep to old opsets, raises the opset,
// turns MatMul + Add of two-dimensional operands into Gemm and folds Gemm's alpha and beta into constants.
// Errors: those of the passes and of upgrade_opset; kInvalidArgument for a model that is quantized already.
void prepare(Model& m, const QuantizeOptions& o);

// Inputs that have a default (initializers listed among the inputs, as old exporters do) become constants.
// Returns the positions, among the inputs there were, of those that are left.
std::vector<size_t> fix_default_inputs(Model& m);

// Gives every node of the graph a name of its own: reports and exclusions go by names.
void name_nodes(Graph& g);

// The first node that shows a model is quantized; null when none does.
const Node* quantized_node(const Graph& g);

}  // namespace skiff::adapt
