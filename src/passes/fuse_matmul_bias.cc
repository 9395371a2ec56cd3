#include "passes/fuse_matmul_bias.h"

#include "ops/op.h"
#include "passes/activation.h"

namespace skiff::passes {
namespace {

// v is Transpose of the last two axes: its source.
ValueId swapped_source(const Graph& g, ValueId v) {
  const Node* t = made_by(g, v, "Transpose");
  if (!t) return kNoValue;
  Perm p = perm_of(g, *t);
  size_t r = p.size();
  if (r < 2) return kNoValue;
  std::swap(p[r - 1], p[r - 2]);
  return is_identity(p) ? t->inputs[0] : kNoValue;
}

// A bias along the last axis of y: rank 1 (or leading extents of 1), last extent that of y.
bool is_bias(const Graph& g, ValueId bias, ValueId y) {
  const SymShape* b = shape_of(g, bias);
  const SymShape* s = shape_of(g, y);
  if (!b || !s || b->rank() == 0 || b->rank() > s->rank() || s->rank() < 2) return false;
  for (size_t i = 0; i + 1 < b->rank(); ++i)
    if (!(*b)[i].is(1)) return false;
  return (*b)[b->rank() - 1] == (*s)[s->rank() - 1];
}

// What is being built, and the value it will replace.
struct Product {
  Node node;
  float scale = 1;
  ValueId bias = kNoValue, residual = kNoValue;
  ValueId y = kNoValue;
  std::vector<NodeId> absorbed;
};

Attribute flag(const char* name, bool v) { return Attribute(name, static_cast<int64_t>(v)); }

// A bias of rank 1 whatever leading ones it had.
ValueId as_vector(const Graph& g, Patch& p, ValueId bias) {
  if (rank_of(g, bias) == 1) return bias;
  if (const Tensor* c = constant_of(g, bias)) {
    Dims d;
    d.push_back(c->size());
    return p.constant(g.value(bias).name, c->reshaped(d));
  }
  return add_reshape(p, bias, {-1}, g.value(bias).name);
}

// Operands and what Gemm itself brings; false when the node has no skiff form.
bool start(const Graph& g, Patch& p, NodeId id, Product& m) {
  const Node& n = g.node(id);
  m.y = n.outputs[0];
  m.absorbed.push_back(id);
  m.node.domain = "skiff";
  m.node.op = "MatMul";
  m.node.name = n.name;
  m.node.opset = 1;
  ValueId a = n.inputs[0], b = n.inputs[1];
  bool trans_a = false, trans_b = false;
  if (n.is("Gemm")) {
    trans_a = n.attr_i("transA", 0) != 0;
    trans_b = n.attr_i("transB", 0) != 0;
    m.scale = n.attr_f("alpha", 1);
    float beta = n.attr_f("beta", 1);
    ValueId c = n.input(2);
    if (c != kNoValue && beta != 0) {
      bool fits = is_bias(g, c, m.y);
      if (!fits && !same_shape(g, c, m.y)) return false;
      if (beta != 1) {
        const Tensor* t = constant_of(g, c);
        if (!t) return false;
        Tensor scaled(t->dtype(), t->dims());
        for (int64_t i = 0; i < t->size(); ++i)
          set_double(scaled, i, get_double(*t, i) * static_cast<double>(beta));
        if (fits) scaled = scaled.reshaped(Dims{scaled.size()});
        c = p.constant(cat(g.value(c).name, "_scaled"), std::move(scaled));
      } else if (fits) {
        c = as_vector(g, p, c);
      }
      (fits ? m.bias : m.residual) = c;
    }
  }
  for (bool first : {true, false}) {
    ValueId& v = first ? a : b;
    ValueId source = swapped_source(g, v);
    if (source == kNoValue) continue;
    v = source;
    bool& t = first ? trans_a : trans_b;
    t = !t;
  }
  m.node.inputs = {a, b};
  m.node.attributes = {flag("trans_a", trans_a), flag("trans_b", trans_b)};
  return true;
}

void absorb(const Graph& g, Product& m, NodeId id) {
  m.absorbed.push_back(id);
  m.y = g.node(id).outputs[0];
}

void take_scale(const Graph& g, Product& m) {
  NodeId user = sole_user(g, m.y);
  if (user == kNoNode || m.bias != kNoValue || m.residual != kNoValue) return;
  const Node& n = g.node(user);
  if ((!n.is("Mul") && !n.is("Div")) || n.opset < 7 || touches_quantizer(g, n)) return;
  size_t c = n.inputs[0] == m.y ? 1 : 0;
  auto s = scalar_of(g, n.inputs[c]);
  if (!s || rank_of(g, n.inputs[c]) > rank_of(g, m.y)) return;
  if (n.op == "Div" && (c == 0 || *s == 0)) return;
  m.scale *= static_cast<float>(n.op == "Mul" ? *s : 1 / *s);
  absorb(g, m, user);
}

void take_bias(const Graph& g, Patch& p, Product& m) {
  NodeId user = sole_user(g, m.y);
  if (user == kNoNode || m.bias != kNoValue || m.residual != kNoValue) return;
  const Node& n = g.node(user);
  if (!n.is("Add") || n.inputs.size() != 2 || n.opset < 7 || touches_quantizer(g, n)) return;
  ValueId other = n.inputs[0] == m.y ? n.inputs[1] : n.inputs[0];
  if (!is_bias(g, other, m.y) || dtype_of(g, other) != DType::kFloat) return;
  m.bias = as_vector(g, p, other);
  absorb(g, m, user);
}

bool is_candidate(const Graph& g, const Node& n) {
  if (!n.is("MatMul") && !n.is("Gemm")) return false;
  return dtype_of(g, n.outputs[0]) == DType::kFloat && rank_of(g, n.inputs[0]) >= 2 &&
         rank_of(g, n.inputs[1]) >= 2 && !touches_quantizer(g, n);
}

bool fuse(Graph& g, PassContext& ctx, NodeId id) {
  Patch p(g);
  Product m;
  if (!start(g, p, id, m)) return false;
  take_scale(g, m);
  take_bias(g, p, m);
  if (ctx.target->fuse_residual && m.residual == kNoValue) {
    Residual r = residual_after(g, m.y);
    if (r.node != kNoNode) {
      m.residual = r.value;
      absorb(g, m, r.node);
    }
  }
  Epilogue e = activation_after(g, ctx, m.y);
  if (e.node != kNoNode) {
    set_activation(m.node, e.activation);
    absorb(g, m, e.node);
  }
  if (m.scale != 1) m.node.attributes.emplace_back("scale", m.scale);
  if (m.bias != kNoValue || m.residual != kNoValue) m.node.inputs.push_back(m.bias);
  if (m.residual != kNoValue) m.node.inputs.push_back(m.residual);
  p.replace(m.y, p.add(std::move(m.node), 1, g.value(m.y).name)[0]);
  for (NodeId a : m.absorbed) p.remove(a);
  commit(g, ctx, p);
  return true;
}

}  // namespace

bool fuse_matmul_bias(Graph& g, PassContext& ctx) {
  if (!target_fuses(ctx) || !have_op("skiff", "MatMul")) return false;
  bool changed = false;
  for (NodeId id : std::vector<NodeId>(g.order()))
    if (!g.node(id).dead && is_candidate(g, g.node(id))) changed = fuse(g, ctx, id) || changed;
  if (changed) remove_unused(g);
  return changed;
}

}  // namespace skiff::passes
