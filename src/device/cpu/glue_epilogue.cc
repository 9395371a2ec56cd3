#include "device/cpu/glue_epilogue.h"

#include <limits>

namespace skiff::cpu {
namespace {

struct Named {
  const char *name, *onnx;  // in skiff.* nodes; in com.microsoft's, null where those do not have it
  Act act;
};
constexpr Named kActivations[] = {
    {"", "", Act::kNone},
    {"relu", "Relu", Act::kClip},
    {"clip", "Clip", Act::kClip},
    {"leaky_relu", "LeakyRelu", Act::kLeakyRelu},
    {"sigmoid", "Sigmoid", Act::kSigmoid},
    {"tanh", "Tanh", Act::kTanh},
    {"silu", nullptr, Act::kSilu},
    {"hard_swish", nullptr, Act::kHardSwish},
    {"hard_sigmoid", "HardSigmoid", Act::kHardSigmoid},
    {"gelu", nullptr, Act::kGeluErf},
    {"gelu_tanh", nullptr, Act::kGeluTanh},
};

}  // namespace

std::optional<FusedActivation> fused_activation(const Node& n) {
  if (n.domain.empty()) return FusedActivation{};
  const bool ours = n.domain == "skiff";
  const std::string name = n.attr_s("activation", "");
  for (const Named& a : kActivations) {
    const char* s = ours ? a.name : a.onnx;
    if (!s || name != s) continue;
    FusedActivation r{a.act, 0, 0};
    if (name == "relu" || name == "Relu") {
      r.p1 = std::numeric_limits<float>::infinity();
    } else if (ours) {
      r.p0 = n.attr_f("alpha", 0);
      r.p1 = n.attr_f("beta", 0);
    } else if (n.op == "FusedGemm") {
      r.p0 = n.attr_f("activation_alpha", a.act == Act::kHardSigmoid ? 0.2f : 0.01f);
      r.p1 = n.attr_f("activation_beta", 0.5f);
    } else {
      std::vector<float> p = n.attr_floats("activation_params");
      r.p0 = p.empty() ? 0 : p[0];
      r.p1 = p.size() < 2 ? 0 : p[1];
    }
    return r;
  }
  return std::nullopt;
}

double lane_use(int64_t n, int64_t lanes) {
  n = std::max<int64_t>(n, 1);
  return static_cast<double>(n) / static_cast<double>((n + lanes - 1) / lanes * lanes);
}

}  // namespace skiff::cpu
