#include "ops/activation.h"

#include <algorithm>
#include <cmath>

namespace skiff {

double Activation::operator()(double x) const {
  switch (kind) {
    case ActivationKind::kNone: return x;
    case ActivationKind::kRelu: return x < 0 ? 0 : x;
    case ActivationKind::kClip:
      return std::min(std::max(x, static_cast<double>(alpha)), static_cast<double>(beta));
    case ActivationKind::kLeakyRelu: return x < 0 ? alpha * x : x;
    case ActivationKind::kSigmoid: return 1 / (1 + std::exp(-x));
    case ActivationKind::kTanh: return std::tanh(x);
    case ActivationKind::kSilu: return x / (1 + std::exp(-x));
    case ActivationKind::kHardSwish: return x * std::clamp(x / 6 + 0.5, 0.0, 1.0);
    case ActivationKind::kHardSigmoid: return std::clamp(alpha * x + beta, 0.0, 1.0);
    case ActivationKind::kGelu: return 0.5 * x * (1 + std::erf(x * 0.70710678118654752440));
    case ActivationKind::kGeluTanh:
      return 0.5 * x * (1 + std::tanh(0.79788456080286535588 * (x + 0.044715 * x * x * x)));
  }
  return x;
}

void Activation::apply(double* x, int64_t n) const {
  if (kind == ActivationKind::kNone) return;
  for (int64_t i = 0; i < n; ++i) x[i] = (*this)(x[i]);
}

Activation activation_of(const Node& n) {
  static constexpr const char* kNames[] = {"",         "relu", "clip",       "leaky_relu",   "sigmoid",
                                           "tanh",     "silu", "hard_swish", "hard_sigmoid", "gelu",
                                           "gelu_tanh"};
  Activation a;
  std::string name = n.attr_s("activation", "");
  const auto* it = std::find(std::begin(kNames), std::end(kNames), name);
  check(it != std::end(kNames), Code::kInvalidModel, "activation '", name, "' is not known");
  a.kind = static_cast<ActivationKind>(it - std::begin(kNames));
  a.alpha = n.attr_f("alpha", a.kind == ActivationKind::kHardSigmoid ? 0.2f : 0.0f);
  a.beta = n.attr_f("beta", a.kind == ActivationKind::kHardSigmoid ? 0.5f : 0.0f);
  return a;
}

}  // namespace skiff
