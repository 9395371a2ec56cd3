#include "ops/grad.h"

#include <algorithm>
#include <unordered_set>

namespace skiff {

#define SKIFF_GRAD(op_name) SKIFF_GRAD_DEF(op_name);
#include "ops/grads.inc"
#undef SKIFF_GRAD

namespace grad {

Rule find_rule(const Node& n) {
  static const std::unordered_map<std::string_view, Rule> rules = {
#define SKIFF_GRAD(op_name) {#op_name, skiff_grad_##op_name},
#include "ops/grads.inc"
#undef SKIFF_GRAD
  };
  if (!n.domain.empty()) return nullptr;
  auto it = rules.find(n.op);
  return it == rules.end() ? nullptr : it->second;
}

Context::Context(Patch& p, const Node& node, std::vector<ValueId> grads, std::vector<bool> wanted)
    : patch_(p),
      node_(node),
      grads_(std::move(grads)),
      wanted_(std::move(wanted)),
      results_(wanted_.size(), kNoValue) {}

void Context::set(size_t i, ValueId gradient) {
  if (wants(i)) results_[i] = results_[i] == kNoValue ? gradient : add(results_[i], gradient);
}

ValueId Context::grad() const {
  check(grad(0) != kNoValue, Code::kUnsupported, "only the gradient through the first output is built");
  return grads_[0];
}

const Value* Context::forward(ValueId v) const {
  return v >= 0 && static_cast<size_t>(v) < patch_.graph().value_slots() ? &patch_.graph().value(v) : nullptr;
}

DType Context::dtype(ValueId v) const {
  check(forward(v) != nullptr, Code::kInternal, "the type of a value that is not of the forward graph");
  return forward(v)->type.dtype;
}
const SymShape& Context::shape(ValueId v) const {
  check(forward(v) != nullptr, Code::kInternal, "the shape of a value that is not of the forward graph");
  return forward(v)->type.shape;
}

int64_t Context::rank(ValueId v) const {
  check(shape(v).has_rank(), Code::kUnsupported, "the gradient needs the rank of '",
        patch_.graph().value(v).name, "', which is unknown; fix the model's input shapes");
  return static_cast<int64_t>(shape(v).rank());
}

const Tensor* Context::constant(ValueId v) const {
  const Value* x = forward(v);
  return x && x->is_constant() ? &x->constant : nullptr;
}

ValueId Context::axes(int input_since) {
  if (opset() >= input_since) return in(1);
  std::vector<int64_t> list = node_.attr_ints("axes");
  return list.empty() ? kNoValue : ints(std::move(list));
}

std::vector<ValueId> Context::ops(std::string_view name, std::vector<ValueId> in, size_t outputs,
                                  std::vector<Attribute> attributes) {
  Node n;
  n.op = name;
  n.opset = kOpset;
  n.inputs = std::move(in);
  n.attributes = std::move(attributes);
  n.name = cat(node_.name.empty() ? node_.op : node_.name, "/grad/", name);
  std::string hint = n.name;
  return patch_.add(std::move(n), outputs, hint);
}

ValueId Context::op(std::string_view name, std::vector<ValueId> in, std::vector<Attribute> attributes) {
  return ops(name, std::move(in), 1, std::move(attributes))[0];
}

ValueId Context::number(double v, ValueId like) {
  Tensor t(dtype(like), {});
  set_double(t, 0, v);
  return tensor(std::move(t));
}
ValueId Context::ints(std::vector<int64_t> v) { return tensor(Tensor::from(std::span<const int64_t>(v))); }
ValueId Context::int_scalar(int64_t v) { return tensor(Tensor::scalar(v)); }
ValueId Context::tensor(Tensor t) { return patch_.constant("grad/constant", std::move(t)); }

ValueId Context::zeros_like(ValueId v) {
  Tensor zero(dtype(v), {1});
  set_double(zero, 0, 0);
  return op("ConstantOfShape", {shape_of(v)}, {{"value", zero}});
}

ValueId Context::cast_like(ValueId v, ValueId like) {
  return op("Cast", {v}, {{"to", static_cast<int64_t>(dtype(like))}});
}

ValueId Context::reshape_like(ValueId v, ValueId like) {
  return op("Reshape", {v, shape_of(like)}, {{"allowzero", int64_t{1}}});
}

ValueId Context::sum(ValueId v, std::vector<int64_t> axes, bool keep) {
  if (axes.empty()) return v;
  return op("ReduceSum", {v, ints(std::move(axes))}, {{"keepdims", int64_t{keep}}});
}

ValueId Context::sum_to(ValueId g, ValueId like, ValueId broadcast) {
  const SymShape &a = shape(like), &b = shape(broadcast);
  if (a == b && a.has_rank()) return g;
  int64_t ra = rank(like), rb = rank(broadcast);
  // Where every extent is known to be 1 or to agree, the axes are numbers.
  std::vector<int64_t> list;
  bool known = true;
  for (int64_t i = 0; i < rb && known; ++i) {
    int64_t k = i - (rb - ra);
    if (k < 0 || (a[static_cast<size_t>(k)].is(1) && !b[static_cast<size_t>(i)].is(1)))
      list.push_back(i);
    else
      known = a[static_cast<size_t>(k)] == b[static_cast<size_t>(i)];
  }
  if (known) {
    ValueId s = sum(g, list);
    return ra == rb ? s : reshape_like(s, like);
  }
  ValueId extents = shape_of(like);
  if (rb > ra)
    extents = op("Concat", {ints(std::vector<int64_t>(static_cast<size_t>(rb - ra), 1)), extents},
                 {{"axis", int64_t{0}}});
  ValueId where = op("NonZero", {op("Equal", {extents, ints({1})})});
  ValueId s = op("ReduceSum", {g, op("Reshape", {where, ints({-1})})},
                 {{"keepdims", int64_t{1}}, {"noop_with_empty_axes", int64_t{1}}});
  return reshape_like(s, like);
}

// ---------------------------------------------------------------- the walk

namespace {

// Nodes whose outputs depend on the variables.
std::unordered_set<NodeId> dependents(const Graph& g, std::span<const ValueId> xs) {
  std::unordered_set<NodeId> seen;
  std::vector<ValueId> open(xs.begin(), xs.end());
  while (!open.empty()) {
    ValueId v = open.back();
    open.pop_back();
    for (const Use& u : g.value(v).uses) {
      if (!seen.insert(u.node).second) continue;
      for (ValueId o : g.node(u.node).outputs)
        if (o != kNoValue) open.push_back(o);
    }
  }
  return seen;
}

// Nodes y is computed from, up to the variables, producers first.
std::vector<NodeId> ancestors(const Graph& g, ValueId y, const std::unordered_set<ValueId>& variables) {
  std::unordered_set<NodeId> needed;
  std::vector<ValueId> open{y};
  while (!open.empty()) {
    ValueId v = open.back();
    open.pop_back();
    NodeId n = v == kNoValue || variables.count(v) ? kNoNode : g.value(v).producer;
    if (n == kNoNode || !needed.insert(n).second) continue;
    for (ValueId i : g.node(n).inputs) open.push_back(i);
    for (ValueId i : g.node(n).captures) open.push_back(i);
  }
  std::vector<NodeId> r;
  for (NodeId n : g.order())
    if (needed.count(n)) r.push_back(n);
  return r;
}

bool differentiable(const Type& t) {
  return t.kind == Type::Kind::kTensor &&
         (mask_of(t.dtype) & (kFloatTypes | mask_of(DType::kUndefined))) != 0;
}

}  // namespace

std::vector<ValueId> backward(Patch& p, ValueId y, std::span<const ValueId> xs, ValueId seed) {
  const Graph& g = p.graph();
  check(differentiable(g.value(y).type) && g.value(y).type.dtype != DType::kUndefined, Code::kInvalidModel,
        "'", g.value(y).name, "' is ", g.value(y).type.to_string(),
        "; only floating-point tensors have gradients");
  std::unordered_set<ValueId> variables(xs.begin(), xs.end());
  std::unordered_set<NodeId> moving = dependents(g, xs);
  std::unordered_map<ValueId, ValueId> gradient;
  Node start;
  start.name = "loss";
  Context root(p, start, {}, {});
  if (seed == kNoValue) {
    Tensor one(g.value(y).type.dtype, {1});
    set_double(one, 0, 1);
    seed = root.op("ConstantOfShape", {root.shape_of(y)}, {{"value", one}});
  }
  gradient[y] = seed;
  std::vector<NodeId> order = ancestors(g, y, variables);
  for (size_t k = order.size(); k-- > 0;) {
    const Node& n = g.node(order[k]);
    if (!moving.count(order[k])) continue;
    std::vector<ValueId> out;
    bool flows = false;
    for (ValueId o : n.outputs) {
      auto it = gradient.find(o);
      out.push_back(it == gradient.end() ? kNoValue : it->second);
      flows = flows || out.back() != kNoValue;
    }
    if (!flows) continue;
    std::vector<bool> wanted;
    for (ValueId i : n.inputs) {
      bool w = i != kNoValue && differentiable(g.value(i).type) &&
               (variables.count(i) || (g.value(i).producer != kNoNode && moving.count(g.value(i).producer)));
      wanted.push_back(w);
    }
    if (n.captures.empty() && std::find(wanted.begin(), wanted.end(), true) == wanted.end()) continue;
    Rule rule = n.captures.empty() ? find_rule(n) : nullptr;
    check(rule != nullptr, Code::kUnsupported, n.label(),
          " has no gradient in this build, and the result depends on the variables through it");
    Context c(p, n, std::move(out), wanted);
    try {
      rule(c);
    } catch (Error& e) {
      e.add_where(cat("gradient of ", n.label()));
      throw;
    }
    for (size_t i = 0; i < wanted.size(); ++i) {
      ValueId r = c.result(i);
      if (r == kNoValue) continue;
      auto [it, first] = gradient.try_emplace(n.inputs[i], r);
      if (!first) it->second = root.add(it->second, r);
    }
  }
  std::vector<ValueId> results;
  for (ValueId x : xs) {
    auto it = gradient.find(x);
    results.push_back(it == gradient.end() ? root.zeros_like(x) : it->second);
  }
  return results;
}

}  // namespace grad
}  // namespace skiff
