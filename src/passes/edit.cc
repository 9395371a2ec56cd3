#include "passes/edit.h"

#include <algorithm>
#include <cstring>

#include "ops/infer.h"

namespace skiff::passes {

void commit(Graph& g, PassContext& ctx, Patch& p) {
  size_t before = g.node_slots();
  p.apply();
  ++ctx.changes;
  for (size_t i = before; i < g.node_slots(); ++i) {
    auto id = static_cast<NodeId>(i);
    Node& n = g.mutable_node(id);
    if (!n.def) n.def = find_op(n.domain, n.op);
    if (!n.def || n.def->is(kControlFlow)) continue;
    std::vector<InputInfo> in(n.inputs.size());
    for (size_t k = 0; k < in.size(); ++k) {
      if (n.inputs[k] == kNoValue) continue;
      const Value& v = g.value(n.inputs[k]);
      in[k].type = &v.type;
      if (v.is_constant()) in[k].constant = &v.constant;
    }
    std::vector<OutputInfo> out(n.outputs.size());
    infer_node(n, in, out);
    for (size_t k = 0; k < out.size(); ++k) {
      if (n.outputs[k] == kNoValue || out[k].type.kind == Type::Kind::kUnknown) continue;
      Type& have = g.mutable_value(n.outputs[k]).type;
      if (have.kind != Type::Kind::kTensor || !have.shape.has_rank() || !out[k].type.is_tensor() ||
          !out[k].type.shape.has_rank() || out[k].type.shape.rank() != have.shape.rank()) {
        have = std::move(out[k].type);
        continue;
      }
      have.dtype = out[k].type.dtype;
      for (size_t d = 0; d < have.shape.rank(); ++d)
        if (out[k].type.shape[d].is_known()) have.shape[d] = out[k].type.shape[d];
    }
  }
}

int remove_unused(Graph& g) {
  int removed = 0;
  std::vector<NodeId> order = g.order();
  Patch p(g);
  std::vector<uint8_t> gone(g.node_slots(), 0);
  for (size_t i = order.size(); i-- > 0;) {
    const Node& n = g.node(order[i]);
    bool needed = false;
    for (ValueId v : n.outputs) {
      if (v == kNoValue) continue;
      const Value& val = g.value(v);
      needed = needed || val.is_output || std::any_of(val.uses.begin(), val.uses.end(), [&](const Use& u) {
                 return !gone[static_cast<size_t>(u.node)];
               });
    }
    if (needed) continue;
    gone[static_cast<size_t>(order[i])] = 1;
    p.remove(order[i]);
    ++removed;
  }
  p.apply();
  return removed;
}

const Node* producer(const Graph& g, ValueId v) {
  if (v == kNoValue) return nullptr;
  NodeId n = g.value(v).producer;
  return n == kNoNode ? nullptr : &g.node(n);
}

const Node* made_by(const Graph& g, ValueId v, std::string_view op) {
  const Node* n = producer(g, v);
  return n && n->is(op) ? n : nullptr;
}

bool only_use(const Graph& g, ValueId v) {
  if (v == kNoValue) return false;
  const Value& val = g.value(v);
  return val.uses.size() == 1 && val.uses[0].index >= 0 && !val.is_output;
}

NodeId sole_user(const Graph& g, ValueId v) { return only_use(g, v) ? g.value(v).uses[0].node : kNoNode; }

const Tensor* constant_of(const Graph& g, ValueId v) {
  if (v == kNoValue) return nullptr;
  const Value& val = g.value(v);
  return val.is_constant() ? &val.constant : nullptr;
}

std::optional<double> scalar_of(const Graph& g, ValueId v) {
  const Tensor* t = constant_of(g, v);
  if (!t || t->size() != 1) return std::nullopt;
  if (t->dtype() == DType::kString || t->dtype() == DType::kComplex64 || t->dtype() == DType::kComplex128)
    return std::nullopt;
  return get_double(*t, 0);
}

std::optional<std::vector<int64_t>> ints_of(const Graph& g, ValueId v) {
  const Tensor* t = constant_of(g, v);
  if (!t || !dtype_is_integer(t->dtype())) return std::nullopt;
  return to_ints(*t);
}

const SymShape* shape_of(const Graph& g, ValueId v) {
  if (v == kNoValue) return nullptr;
  const Type& t = g.value(v).type;
  return t.is_tensor() && t.shape.has_rank() ? &t.shape : nullptr;
}

int64_t rank_of(const Graph& g, ValueId v) {
  const SymShape* s = shape_of(g, v);
  return s ? static_cast<int64_t>(s->rank()) : -1;
}

DType dtype_of(const Graph& g, ValueId v) {
  return v != kNoValue && g.value(v).type.is_tensor() ? g.value(v).type.dtype : DType::kUndefined;
}

bool same_shape(const Graph& g, ValueId a, ValueId b) {
  const SymShape* x = shape_of(g, a);
  const SymShape* y = shape_of(g, b);
  return x && y && *x == *y;
}

bool can_replace(const Graph& g, ValueId from, ValueId to) {
  if (!g.value(from).is_output) return true;
  const Value& t = g.value(to);
  return !t.is_output && !t.is_input && !t.is_capture && t.producer != kNoNode;
}

std::optional<Axes> axes_of(const Graph& g, const Node& n, size_t input_index, int64_t rank) {
  Axes a;
  ValueId v = n.input(input_index);
  if (v != kNoValue) {
    auto list = ints_of(g, v);
    if (!list) return std::nullopt;
    a.list = std::move(*list);
  } else if (n.has_attr("axes")) {
    a.list = n.attr_ints("axes");
  } else {
    a.absent = true;
    return a;
  }
  for (int64_t& x : a.list) {
    if (x < -rank || x >= rank) return std::nullopt;
    if (x < 0) x += rank;
  }
  return a;
}

bool is_quantizer(const Node& n) {
  return n.op == "QuantizeLinear" || n.op == "DequantizeLinear" || n.op == "DynamicQuantizeLinear";
}

bool touches_quantizer(const Graph& g, const Node& n) {
  for (ValueId v : n.inputs) {
    const Node* p = producer(g, v);
    if (p && is_quantizer(*p)) return true;
  }
  for (ValueId v : n.outputs) {
    if (v == kNoValue) continue;
    for (const Use& u : g.value(v).uses)
      if (is_quantizer(g.node(u.node))) return true;
  }
  return false;
}

bool have_op(std::string_view domain, std::string_view op) { return find_op(domain, op) != nullptr; }

Perm inverse(const Perm& p) {
  Perm r(p.size());
  for (size_t i = 0; i < p.size(); ++i) r[static_cast<size_t>(p[i])] = static_cast<int64_t>(i);
  return r;
}

Perm compose(const Perm& first, const Perm& then) {
  Perm r(first.size());
  for (size_t i = 0; i < r.size(); ++i) r[i] = first[static_cast<size_t>(then[i])];
  return r;
}

bool is_identity(const Perm& p) {
  for (size_t i = 0; i < p.size(); ++i)
    if (p[i] != static_cast<int64_t>(i)) return false;
  return true;
}

Perm perm_of(const Graph& g, const Node& n) {
  Perm p = n.attr_ints("perm");
  int64_t rank = rank_of(g, n.input(0));
  if (!n.has_attr("perm")) {
    for (int64_t i = rank - 1; i >= 0; --i) p.push_back(i);
    return p;
  }
  std::vector<uint8_t> seen(p.size(), 0);
  for (int64_t x : p) {
    if (x < 0 || x >= static_cast<int64_t>(p.size()) || seen[static_cast<size_t>(x)]++) return {};
  }
  return rank >= 0 && rank != static_cast<int64_t>(p.size()) ? Perm{} : p;
}

Tensor permuted(const Tensor& t, const Perm& perm) {
  check(t.dtype() != DType::kString && dtype_bits(t.dtype()) % 8 == 0, Code::kInternal,
        "only whole-byte constants are transposed");
  check(perm.size() == t.dims().size(), Code::kInternal, "permutation of another rank");
  Dims d;
  for (int64_t p : perm) d.push_back(t.dim(p));
  Tensor r(t.dtype(), d);
  Dims in_strides = strides_of(t.dims());
  size_t es = static_cast<size_t>(dtype_bits(t.dtype())) / 8;
  size_t rank = perm.size();
  const auto* src = static_cast<const char*>(t.raw());
  auto* dst = static_cast<char*>(r.raw());
  Dims index;
  for (size_t i = 0; i < rank; ++i) index.push_back(0);
  int64_t at = 0;
  for (int64_t i = 0; i < r.size(); ++i) {
    std::memcpy(dst + static_cast<size_t>(i) * es, src + static_cast<size_t>(at) * es, es);
    for (size_t k = rank; k-- > 0;) {
      int64_t stride = in_strides[static_cast<size_t>(perm[k])];
      at += stride;
      if (++index[k] < d[k]) break;
      at -= stride * d[k];
      index[k] = 0;
    }
  }
  return r;
}

std::optional<std::vector<int64_t>> reshape_target(const SymShape& from, const SymShape& to) {
  if (!from.has_rank() || !to.has_rank()) return std::nullopt;
  std::vector<int64_t> target;
  bool inferred = false, empty = false;
  for (size_t i = 0; i < to.rank(); ++i) {
    const Dim& d = to[i];
    if (d.is_const()) {
      empty = empty || d.value() == 0;
      // A literal 0 means "keep": right only where the input has that 0 too.
      if (d.value() == 0 && !(i < from.rank() && from[i].is(0))) return std::nullopt;
      target.push_back(d.value());
    } else if (d.is_known() && i < from.rank() && from[i] == d) {
      target.push_back(0);
    } else if (!inferred) {
      target.push_back(-1);
      inferred = true;
    } else {
      return std::nullopt;
    }
  }
  if (inferred && empty) return std::nullopt;
  return target;
}

ValueId add_reshape(Patch& p, ValueId x, const std::vector<int64_t>& target, std::string_view hint) {
  ValueId shape = p.constant(cat(hint, "_shape"), Tensor::from(std::span<const int64_t>(target)));
  return p.op("", "Reshape", kMadeOpset, {x, shape}, {}, hint);
}

ValueId add_transpose(Patch& p, ValueId x, const Perm& perm, std::string_view hint) {
  return p.op("", "Transpose", kMadeOpset, {x}, {Attribute("perm", perm)}, hint);
}

}  // namespace skiff::passes
