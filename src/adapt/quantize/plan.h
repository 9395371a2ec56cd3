// Which nodes compute in integers, and which tensors carry them: the decisions, before any number is known.
#pragma once
#include <map>
#include <string>
#include <vector>

#include "adapt/quantize/options.h"
#include "graph/graph.h"
#include "ops/quant_role.h"

namespace skiff::adapt {

// Of a product's weights and activations: 4 x 8, 8 x 8, 8 x 16 bits.
enum class Precision : uint8_t { kFloat, kInt4, kInt8, kInt16 };
const char* precision_name(Precision p);
Precision parse_precision(const std::string& name);

struct Layer {
  NodeId node = kNoNode;
  QuantRole role = QuantRole::kFloat;
  Precision precision = Precision::kFloat;
  bool absorbed = false;  // works on the result of the node before it, which is not rounded in between
  std::string reason;     // why it stays in float
  bool quantized() const { return precision != Precision::kFloat; }
};

struct Plan {
  std::vector<Layer> layers;       // of every node, in graph order
  std::vector<int> layer_of;       // by node id; -1: none
  std::vector<uint8_t> quantized;  // by value id: rounded to integers
  std::vector<uint8_t> bits;       // by value id, of a quantized one
  const Layer& of(NodeId n) const { return layers[static_cast<size_t>(layer_of[static_cast<size_t>(n)])]; }
  bool is_quantized(ValueId v) const { return v != kNoValue && quantized[static_cast<size_t>(v)]; }
};

// Operands that carry data (and get a scale), as against shapes, axes and bounds.
std::vector<size_t> data_inputs(const Node& n, QuantRole role);
// Output channels' axis of a product's weight; -1 when there is one scale for all.
int channel_axis(const Graph& g, const Node& n);

// `overrides`: precision of products by node name, over what the options say.
Plan make_plan(const Graph& g, const QuantizeOptions& o,
               const std::map<std::string, Precision>& overrides = {});

}  // namespace skiff::adapt
