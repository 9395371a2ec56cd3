// The activation a fused internal operator ends with (attributes `activation`, `alpha`, `beta`).
#pragma once
#include "graph/graph.h"

namespace skiff {

enum class ActivationKind : uint8_t {
  kNone,
  kRelu,
  kClip,       // alpha = lower, beta = upper bound
  kLeakyRelu,  // alpha = slope of the negative half
  kSigmoid,
  kTanh,
  kSilu,         // x * sigmoid(x)
  kHardSwish,    // x * clip(x / 6 + 0.5, 0, 1)
  kHardSigmoid,  // clip(alpha * x + beta, 0, 1)
  kGelu,         // x * normal distribution function
  kGeluTanh,     // its tanh approximation
};

struct Activation {
  ActivationKind kind = ActivationKind::kNone;
  float alpha = 0, beta = 0;
  double operator()(double x) const;
  // In place over n elements.
  void apply(double* x, int64_t n) const;
};

// kInvalidModel when the name is not one of "", "relu", "clip", "leaky_relu", "sigmoid", "tanh", "silu",
// "hard_swish", "hard_sigmoid", "gelu", "gelu_tanh".
Activation activation_of(const Node& n);

}  // namespace skiff
