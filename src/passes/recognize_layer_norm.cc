#include "passes/recognize_layer_norm.h"

#include <algorithm>

#include "passes/match.h"

namespace skiff::passes {
namespace {

// sqrt(v + eps): v and eps.
struct Deviation {
  ValueId variance = kNoValue;
  float epsilon = 0;
};

Deviation plus_epsilon(const Graph& g, ValueId v) {
  const Node* n = made_by(g, v, "Add");
  if (!n || !only_use(g, v)) return {};
  for (size_t k = 0; k < 2; ++k)
    if (auto e = scalar_of(g, n->inputs[k]); e && *e >= 0) return {n->inputs[1 - k], static_cast<float>(*e)};
  return {};
}

Deviation square_root(const Graph& g, ValueId v) {
  if (!only_use(g, v)) return {};
  if (const Node* n = made_by(g, v, "Sqrt")) return plus_epsilon(g, n->inputs[0]);
  const Node* n = made_by(g, v, "Pow");
  if (n && scalar_of(g, n->inputs[1]) == 0.5) return plus_epsilon(g, n->inputs[0]);
  return {};
}

Deviation inverse_root(const Graph& g, ValueId v) {
  if (!only_use(g, v)) return {};
  if (const Node* n = made_by(g, v, "Reciprocal")) return square_root(g, n->inputs[0]);
  if (const Node* n = made_by(g, v, "Div"); n && scalar_of(g, n->inputs[0]) == 1.0)
    return square_root(g, n->inputs[1]);
  const Node* n = made_by(g, v, "Pow");
  if (n && scalar_of(g, n->inputs[1]) == -0.5) return plus_epsilon(g, n->inputs[0]);
  return {};
}

// ReduceMean over trailing axes, extents kept: its operand and first axis.
struct Mean {
  ValueId of = kNoValue;
  int64_t axis = 0;
};

Mean trailing_mean(const Graph& g, ValueId v) {
  const Node* n = made_by(g, v, "ReduceMean");
  if (!n || n->attr_i("keepdims", 1) == 0) return {};
  int64_t rank = rank_of(g, n->inputs[0]);
  auto axes = rank < 0 ? std::nullopt : axes_of(g, *n, n->opset >= 18 ? 1 : 99, rank);
  if (!axes || axes->list.empty()) return {};
  std::sort(axes->list.begin(), axes->list.end());
  for (size_t i = 0; i < axes->list.size(); ++i)
    if (axes->list[i] != rank - static_cast<int64_t>(axes->list.size() - i)) return {};
  return {n->inputs[0], axes->list[0]};
}

bool is_square_of(const Graph& g, ValueId v, ValueId x) {
  if (const Node* n = made_by(g, v, "Pow")) return n->inputs[0] == x && scalar_of(g, n->inputs[1]) == 2.0;
  const Node* n = made_by(g, v, "Mul");
  return n && n->inputs[0] == x && n->inputs[1] == x;
}

struct Match {
  ValueId numerator = kNoValue, x = kNoValue;
  int64_t axis = 0;
  float epsilon = 0;
  bool centred = false;
};

std::optional<Match> match_at(const Graph& g, ValueId numerator, const Deviation& d) {
  if (d.variance == kNoValue || !only_use(g, d.variance)) return std::nullopt;
  Mean m = trailing_mean(g, d.variance);
  if (m.of == kNoValue || !only_use(g, m.of) || !is_square_of(g, m.of, numerator)) return std::nullopt;
  Match r{numerator, numerator, m.axis, d.epsilon, false};
  const Node* sub = made_by(g, numerator, "Sub");
  if (!sub) return r;
  Mean mean = trailing_mean(g, sub->inputs[1]);
  if (mean.of == kNoValue || mean.of != sub->inputs[0] || mean.axis != m.axis) return r;
  // The centred value must not be needed elsewhere: the square and the quotient are its users.
  const Value& v = g.value(numerator);
  if (v.is_output) return std::nullopt;
  for (const Use& u : v.uses) {
    const Node& n = g.node(u.node);
    bool inside = n.outputs[0] == m.of || n.is("Div") || n.is("Mul");
    if (!inside) return std::nullopt;
  }
  r.x = mean.of;
  r.centred = true;
  return r;
}

std::optional<Match> match(const Graph& g, const Node& n) {
  if (n.is("Div")) return match_at(g, n.inputs[0], square_root(g, n.inputs[1]));
  if (!n.is("Mul")) return std::nullopt;
  auto r = match_at(g, n.inputs[0], inverse_root(g, n.inputs[1]));
  return r ? r : match_at(g, n.inputs[1], inverse_root(g, n.inputs[0]));
}

// The operand of `op` after y that has exactly the normalized extents; y moves on to the node's result.
ValueId parameter_after(const Graph& g, const char* op, const std::vector<Dim>& extents, ValueId& y,
                        std::vector<NodeId>& absorbed) {
  NodeId user = sole_user(g, y);
  if (user == kNoNode || !g.node(user).is(op)) return kNoValue;
  const Node& n = g.node(user);
  ValueId other = n.inputs[0] == y ? n.inputs[1] : n.inputs[0];
  const SymShape* s = shape_of(g, other);
  if (!s || s->dims() != extents || touches_quantizer(g, n)) return kNoValue;
  absorbed.push_back(user);
  y = n.outputs[0];
  return other;
}

}  // namespace

bool recognize_layer_norm(Graph& g, PassContext& ctx) {
  bool changed = false;
  for (NodeId id : std::vector<NodeId>(g.order())) {
    const Node& n = g.node(id);
    if (n.dead) continue;
    auto m = match(g, n);
    if (!m) continue;
    const char* op = m->centred ? "LayerNormalization" : "RMSNormalization";
    DType t = dtype_of(g, m->x);
    if (!have_op("", op) || (t != DType::kFloat && t != DType::kDouble && t != DType::kFloat16)) continue;
    const SymShape& shape = *shape_of(g, m->x);
    std::vector<Dim> extents(shape.dims().begin() + m->axis, shape.dims().end());
    if (!SymShape(extents).is_static() || !same_shape(g, m->x, n.outputs[0])) continue;
    ValueId y = n.outputs[0];
    std::vector<NodeId> absorbed{id};
    ValueId scale = parameter_after(g, "Mul", extents, y, absorbed);
    ValueId bias = m->centred ? parameter_after(g, "Add", extents, y, absorbed) : kNoValue;
    Patch p(g);
    if (scale == kNoValue) {
      Tensor ones(t, SymShape(extents).to_dims());
      for (int64_t i = 0; i < ones.size(); ++i) set_double(ones, i, 1);
      scale = p.constant(cat(g.value(y).name, "_scale"), std::move(ones));
    }
    std::vector<ValueId> inputs{m->x, scale};
    if (bias != kNoValue) inputs.push_back(bias);
    p.replace(y, p.op("", op, m->centred ? 17 : 23, std::move(inputs),
                      {Attribute("axis", m->axis), Attribute("epsilon", m->epsilon)}, g.value(y).name));
    for (NodeId a : absorbed) p.remove(a);
    commit(g, ctx, p);
    changed = true;
  }
  if (changed) remove_unused(g);
  return changed;
}

}  // namespace skiff::passes
