#include "device/cpu/glue_epilogue.h"

#include <limits>

#include "ops/activation.h"

namespace skiff::cpu {

FusedActivation fused_activation(const Node& n) {
  if (n.domain != "skiff") return {};
  Activation a = activation_of(n);
  switch (a.kind) {
    case ActivationKind::kNone: return {};
    case ActivationKind::kRelu: return {Act::kClip, 0, std::numeric_limits<float>::infinity()};
    case ActivationKind::kClip: return {Act::kClip, a.alpha, a.beta};
    case ActivationKind::kLeakyRelu: return {Act::kLeakyRelu, a.alpha, 0};
    case ActivationKind::kSigmoid: return {Act::kSigmoid};
    case ActivationKind::kTanh: return {Act::kTanh};
    case ActivationKind::kSilu: return {Act::kSilu};
    case ActivationKind::kHardSwish: return {Act::kHardSwish};
    case ActivationKind::kHardSigmoid: return {Act::kHardSigmoid, a.alpha, a.beta};
    case ActivationKind::kGelu: return {Act::kGeluErf};
    case ActivationKind::kGeluTanh: return {Act::kGeluTanh};
  }
  return {};
}

double lane_use(int64_t n, int64_t lanes) {
  n = std::max<int64_t>(n, 1);
  return static_cast<double>(n) / static_cast<double>((n + lanes - 1) / lanes * lanes);
}

}  // namespace skiff::cpu
