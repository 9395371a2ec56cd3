#include "passes/recognize_gelu.h"

#include "passes/match.h"

namespace skiff::passes {
namespace {

// 1 + erf(x / sqrt 2) or 1 + tanh(sqrt(2/pi) (x + 0.044715 x^3)): "none", "tanh", or null.
const char* gelu_kind(const Graph& g, ValueId one_plus, ValueId x) {
  ValueId v = added_to(g, one_plus, 1);
  const Node* fn = producer(g, v);
  if (!fn || !only_use(g, v) || (!fn->is("Erf") && !fn->is("Tanh"))) return nullptr;
  auto inner = polynomial_in(g, fn->inputs[0], x);
  if (!inner) return nullptr;
  constexpr double kSlope = 0.7978845608028654;  // sqrt(2 / pi)
  if (fn->op == "Erf") return close(*inner, Poly{0, 0.7071067811865476, 0, 0}) ? "none" : nullptr;
  return close(*inner, Poly{0, kSlope, 0, kSlope * 0.044715}) ? "tanh" : nullptr;
}

}  // namespace

bool recognize_gelu(Graph& g, PassContext& ctx) {
  if (!have_op("", "Gelu")) return false;
  bool changed = false;
  for (NodeId id : std::vector<NodeId>(g.order())) {
    const Node& n = g.node(id);
    if (n.dead || (!n.is("Mul") && !n.is("Div")) || n.opset < 7) continue;
    ValueId y = n.outputs[0];
    auto f = product_of(g, y);
    if (!f || f->terms.size() != 2 || !close(f->constant, 0.5)) continue;
    for (size_t k = 0; k < 2; ++k) {
      ValueId x = f->terms[k];
      const char* kind = gelu_kind(g, f->terms[1 - k], x);
      if (!kind || !same_shape(g, x, y)) continue;
      std::vector<Attribute> attributes;
      if (kind[0] == 't') attributes.emplace_back("approximate", std::string("tanh"));
      Patch p(g);
      p.replace(y, p.op("", "Gelu", 20, {x}, std::move(attributes), g.value(y).name));
      p.remove(id);
      commit(g, ctx, p);
      changed = true;
      break;
    }
  }
  if (changed) remove_unused(g);
  return changed;
}

}  // namespace skiff::passes
