#include "passes/activation.h"

#include <algorithm>
#include <cfloat>

#include "ops/op.h"

namespace skiff::passes {
namespace {

std::optional<Activation> clip(const Graph& g, const Node& n) {
  float lo = -FLT_MAX, hi = FLT_MAX;
  if (n.opset < 11) {
    lo = n.attr_f("min", lo);
    hi = n.attr_f("max", hi);
  } else {
    for (size_t i = 1; i <= 2; ++i) {
      if (n.input(i) == kNoValue) continue;
      auto bound = scalar_of(g, n.input(i));
      if (!bound) return std::nullopt;
      (i == 1 ? lo : hi) = static_cast<float>(*bound);
    }
  }
  if (lo == 0 && hi >= FLT_MAX) return Activation{"relu", 0, 0};
  return Activation{"clip", lo, hi};
}

}  // namespace

std::optional<Activation> activation_of(const Graph& g, const Node& n) {
  if (!n.domain.empty() || n.inputs.empty() || dtype_of(g, n.inputs[0]) != DType::kFloat) return std::nullopt;
  std::string_view op = n.op;
  if (op == "Relu") return Activation{"relu", 0, 0};
  if (op == "Sigmoid") return Activation{"sigmoid", 0, 0};
  if (op == "Tanh") return Activation{"tanh", 0, 0};
  if (op == "HardSwish") return Activation{"hard_swish", 0, 0};
  if (op == "LeakyRelu") return Activation{"leaky_relu", n.attr_f("alpha", 0.01F), 0};
  if (op == "HardSigmoid") return Activation{"hard_sigmoid", n.attr_f("alpha", 0.2F), n.attr_f("beta", 0.5F)};
  if (op == "Clip") return clip(g, n);
  if (op == "Gelu") return Activation{n.attr_s("approximate", "none") == "tanh" ? "gelu_tanh" : "gelu", 0, 0};
  if (op == "Swish" && n.attr_f("alpha", 1) == 1) return Activation{"silu", 0, 0};
  if (op == "PRelu") {
    auto slope = scalar_of(g, n.input(1));
    if (slope && rank_of(g, n.inputs[1]) <= rank_of(g, n.inputs[0]))
      return Activation{"leaky_relu", static_cast<float>(*slope), 0};
  }
  return std::nullopt;
}

Epilogue activation_after(const Graph& g, const PassContext& ctx, ValueId y) {
  NodeId user = sole_user(g, y);
  if (user == kNoNode || g.value(y).uses[0].index != 0) return {};
  const Node& n = g.node(user);
  auto a = activation_of(g, n);
  const auto& fused = ctx.target->fused_activations;
  if (!a || std::find(fused.begin(), fused.end(), a->name) == fused.end() || touches_quantizer(g, n))
    return {};
  return {user, *a};
}

Residual residual_after(const Graph& g, ValueId y) {
  NodeId user = sole_user(g, y);
  if (user == kNoNode) return {};
  const Node& n = g.node(user);
  if ((!n.is("Add") && !n.is("Sum")) || n.inputs.size() != 2 || touches_quantizer(g, n)) return {};
  ValueId z = n.inputs[0] == y ? n.inputs[1] : n.inputs[0];
  if (!same_shape(g, y, z) || dtype_of(g, z) != dtype_of(g, y)) return {};
  return {user, z};
}

void set_activation(Node& n, const Activation& a) {
  std::erase_if(n.attributes, [](const Attribute& x) {
    return x.name == "activation" || x.name == "alpha" || x.name == "beta";
  });
  n.attributes.emplace_back("activation", a.name);
  n.attributes.emplace_back("alpha", a.alpha);
  n.attributes.emplace_back("beta", a.beta);
}

bool target_fuses(const PassContext& ctx) {
  return ctx.target && (!ctx.target->fused_activations.empty() || ctx.target->fuse_residual);
}

}  // namespace skiff::passes
