// Second moments of what enters a product: how much an error in each weight costs.
#pragma once
#include <memory>
#include <unordered_map>
#include <vector>

#include "adapt/adapt.h"
#include "adapt/quantize/options.h"

namespace skiff::adapt {

// H = sum over positions and samples of x x^T, x the `depth` inputs of one output (one H for each group of a
// convolution). The squared error a weight error d makes in the output is d^T H d.
struct Hessian {
  int64_t depth = 0, groups = 1;
  double positions = 0;       // summed over
  std::vector<float> values;  // [groups, depth, depth]
  const float* of(int64_t group) const { return values.data() + group * depth * depth; }
};

// Products deeper than this keep rounding to nearest: their H would not fit in reasonable memory.
inline constexpr int64_t kMostDepth = 4096;

// How the weight of a product (Conv, Gemm, MatMul) is laid out: `outputs` rows of `depth` weights, element
// (o, k) of the row-major weight at o * output_step + k * depth_step.
struct WeightRows {
  int64_t outputs = 0, depth = 0, output_step = 0, depth_step = 1, groups = 1;
};
// outputs == 0: no such layout (ConvTranspose, batched MatMul).
WeightRows weight_rows(const Graph& g, const Node& n);

// One H for each of the nodes that has weight_rows within kMostDepth; from at most `samples` samples.
std::unordered_map<NodeId, Hessian> collect_hessians(const Model& m, const std::vector<NodeId>& nodes,
                                                     const QuantizeOptions& o, size_t samples,
                                                     const Callbacks& call);

}  // namespace skiff::adapt
