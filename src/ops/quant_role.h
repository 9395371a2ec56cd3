// What a quantizer may do with an operator.
#pragma once
#include <cstdint>
#include <string_view>

#include "graph/graph.h"

namespace skiff {

enum class QuantRole : uint8_t {
  kFloat,    // stays in float
  kProduct,  // weights (input 1) times activations, summed up in integers: Conv, Gemm, MatMul
  kMoves,    // every output element is one of input 0's (or zero): both have one scale
  kJoins,    // every output element is one of some input's: Concat
  kMaps,     // computed between tensors of scales of their own: Add, Mul, AveragePool, Sigmoid
  kClamps,   // bounds its input: goes into the range of the tensor before it (Relu, Clip)
};

QuantRole quant_role(const Node& n);

}  // namespace skiff
