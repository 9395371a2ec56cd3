// Writing the decisions into the graph: QuantizeLinear and DequantizeLinear around what computes in integers.
#pragma once
#include <functional>
#include <unordered_map>

#include "adapt/quantize/params.h"
#include "adapt/quantize/weights.h"

namespace skiff::adapt {

// What became of a layer's weight and tensors, for reports and corrections.
struct Emitted {
  std::unordered_map<ValueId, ValueId> real;  // quantized value -> its dequantized form
  std::unordered_map<NodeId, double> weight_sqnr;
  int removed_clamps = 0;
};

// The weight of a product as integers. `least_scale` by output channel, see WeightSpec.
using WeightMaker = std::function<QuantizedWeight(NodeId, const Tensor& w, const WeightSpec& spec)>;

// A change to the bias of a product, by output channel, given its integers; empty: none. May be empty itself.
using BiasShift = std::function<std::vector<float>(NodeId, const QuantizedWeight& q)>;

// How the weight of a product is stored under the options.
WeightSpec weight_spec(const Graph& g, const Node& n, const QuantizeOptions& o, Precision p);

// Edits `m.graph` (whose ids the plan's are). Biases become int32 with the scale of activation times weight.
// Clamps that the integers' own bounds imply are removed.
Emitted emit_qdq(Model& m, const Plan& plan, const std::vector<Params>& params, const QuantizeOptions& o,
                 const WeightMaker& make_weight, const BiasShift& shift_bias = {});

}  // namespace skiff::adapt
