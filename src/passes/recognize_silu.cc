#include "passes/recognize_silu.h"

#include "passes/activation.h"
#include "passes/match.h"

namespace skiff::passes {
namespace {

constexpr double kSixth = 1.0 / 6;

struct Found {
  const char* op = nullptr;
  int opset = 0;
  ValueId x = kNoValue;
  std::vector<Attribute> attributes;
};

// clip(x + 3, 0, 6), used nowhere else: x.
ValueId relu6_of_plus_3(const Graph& g, ValueId v) {
  const Node* n = made_by(g, v, "Clip");
  if (!n || !only_use(g, v)) return kNoValue;
  auto a = activation_of(g, *n);
  if (!a || a->name != "clip" || a->alpha != 0 || a->beta != 6) return kNoValue;
  return added_to(g, n->inputs[0], 3);
}

// The factor that makes x * factor a known activation.
Found gated(const Graph& g, ValueId x, ValueId gate, double constant) {
  const Node* n = producer(g, gate);
  if (!n || !only_use(g, gate) || !n->domain.empty()) return {};
  if (close(constant, kSixth) && relu6_of_plus_3(g, gate) == x) return {"HardSwish", 14, x, {}};
  if (constant != 1) return {};
  if (n->op == "Sigmoid") {
    auto p = polynomial_in(g, n->inputs[0], x);
    if (!p || (*p)[0] != 0 || (*p)[1] == 0 || (*p)[2] != 0 || (*p)[3] != 0) return {};
    Found f{"Swish", 24, x, {}};
    if ((*p)[1] != 1) f.attributes.emplace_back("alpha", static_cast<float>((*p)[1]));
    return f;
  }
  if (n->op == "HardSigmoid" && n->inputs[0] == x &&
      close(static_cast<double>(n->attr_f("alpha", 0.2F)), kSixth) && n->attr_f("beta", 0.5F) == 0.5F)
    return {"HardSwish", 14, x, {}};
  if (n->op == "Tanh") {
    const Node* s = made_by(g, n->inputs[0], "Softplus");
    if (s && only_use(g, n->inputs[0]) && s->inputs[0] == x) return {"Mish", 18, x, {}};
  }
  return {};
}

Found match_product(const Graph& g, ValueId y) {
  auto f = product_of(g, y);
  if (!f) return {};
  if (f->terms.size() == 1 && close(f->constant, kSixth)) {
    ValueId x = relu6_of_plus_3(g, f->terms[0]);
    if (x == kNoValue) return {};
    return {"HardSigmoid", 6, x, {Attribute("alpha", static_cast<float>(kSixth)), Attribute("beta", 0.5F)}};
  }
  if (f->terms.size() != 2) return {};
  Found r = gated(g, f->terms[0], f->terms[1], f->constant);
  return r.op ? r : gated(g, f->terms[1], f->terms[0], f->constant);
}

Found match_log(const Graph& g, const Node& n) {
  ValueId e = added_to(g, n.inputs[0], 1);
  const Node* exp = made_by(g, e, "Exp");
  if (!exp || !only_use(g, e)) return {};
  return {"Softplus", 1, exp->inputs[0], {}};
}

}  // namespace

bool recognize_silu(Graph& g, PassContext& ctx) {
  bool changed = false;
  for (NodeId id : std::vector<NodeId>(g.order())) {
    const Node& n = g.node(id);
    if (n.dead) continue;
    Found f;
    if ((n.is("Mul") || n.is("Div")) && n.opset >= 7) f = match_product(g, n.outputs[0]);
    if (n.is("Log")) f = match_log(g, n);
    if (!f.op || !have_op("", f.op) || !same_shape(g, f.x, n.outputs[0])) continue;
    Patch p(g);
    p.replace(n.outputs[0],
              p.op("", f.op, f.opset, {f.x}, std::move(f.attributes), g.value(n.outputs[0]).name));
    p.remove(id);
    commit(g, ctx, p);
    changed = true;
  }
  if (changed) remove_unused(g);
  return changed;
}

}  // namespace skiff::passes
