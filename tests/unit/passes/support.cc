#include "unit/passes/support.h"

#include <algorithm>
#include <cmath>

#include "cases/case.h"
#include "ops/infer.h"
#include "ops/interpret.h"

namespace skiff::passes::test {

ValueId Build::in(const std::string& name, std::vector<Dim> shape, DType t) {
  return g.add_input(name, Type::tensor(t, SymShape(std::move(shape))));
}
ValueId Build::constant(Tensor t) { return g.add_constant(fresh("c"), std::move(t)); }
ValueId Build::floats(Dims dims, uint32_t seed, double lo, double hi) {
  return constant(cases::random_tensor(DType::kFloat, std::move(dims), seed, lo, hi));
}
ValueId Build::values(std::vector<float> v, Dims dims) {
  return constant(Tensor::from(std::span<const float>(v), std::move(dims)));
}
ValueId Build::scalar(float v) { return constant(Tensor::scalar(v)); }
ValueId Build::ints(std::vector<int64_t> v) { return constant(Tensor::from(std::span<const int64_t>(v))); }

std::vector<ValueId> Build::multi(const std::string& op, std::vector<ValueId> in,
                                  std::vector<Attribute> attributes, size_t outputs) {
  Node n;
  n.op = op;
  n.name = fresh(op);
  n.opset = opset_;
  n.inputs = std::move(in);
  n.attributes = std::move(attributes);
  for (size_t i = 0; i < outputs; ++i) n.outputs.push_back(g.add_value(fresh("v")));
  return g.node(g.add_node(n)).outputs;
}

ValueId Build::op(const std::string& op, std::vector<ValueId> in, std::vector<Attribute> attributes,
                  const std::string& domain) {
  Node n;
  n.domain = domain;
  n.op = op;
  n.name = fresh(op);
  n.opset = domain.empty() ? opset_ : 1;
  n.inputs = std::move(in);
  n.attributes = std::move(attributes);
  ValueId y = g.add_value(fresh("v"));
  n.outputs = {y};
  g.add_node(std::move(n));
  return y;
}

Attribute ints_attr(const char* name, std::vector<int64_t> v) { return Attribute(name, std::move(v)); }
Attribute int_attr(const char* name, int64_t v) { return Attribute(name, v); }
Attribute float_attr(const char* name, float v) { return Attribute(name, v); }
Attribute string_attr(const char* name, const char* v) { return Attribute(name, std::string(v)); }

namespace {
std::string full_name(const Node& n) { return n.domain.empty() ? n.op : n.domain + "." + n.op; }

const Pass& pass_named(const std::string& name) {
  for (auto list : {general_passes(), target_passes()})
    for (const Pass& p : list)
      if (name == p.name) return p;
  FAIL("no such pass: ", name);
  return general_passes()[0];
}

double element(const Tensor& t, int64_t i) { return get_double(t, i); }

bool same_tensor(const Tensor& a, const Tensor& b, double rtol, double atol) {
  if (a.dtype() != b.dtype() || to_string(a.dims()) != to_string(b.dims())) {
    MESSAGE("result ", describe(a), " became ", describe(b));
    return false;
  }
  if (!dtype_is_float(a.dtype())) return identical(a, b);
  for (int64_t i = 0; i < a.size(); ++i) {
    double x = element(a, i), y = element(b, i);
    if (x == y || (std::isnan(x) && std::isnan(y))) continue;
    if (!(std::abs(x - y) <= atol + rtol * std::abs(x))) {
      MESSAGE("element ", i, " of ", describe(a), " was ", x, ", is ", y);
      return false;
    }
  }
  return true;
}

bool run_lists(Graph& g, const std::vector<std::span<const Pass>>& lists, const TargetTraits* target,
               const PassOptions& options, const Tolerance& tolerance) {
  resolve_ops(g);
  infer_types(g);
  verify(g);
  std::vector<Datum> inputs = random_inputs(g, 7);
  std::vector<Datum> before = interpret(g, inputs);
  auto output_names = [&g] {
    std::vector<std::string> r;
    for (ValueId v : g.outputs()) r.push_back(g.value(v).name);
    return r;
  };
  std::vector<std::string> names = output_names();
  PassContext ctx;
  ctx.options = options;
  ctx.target = target;
  bool changed = false;
  for (auto list : lists) changed = run_passes(g, ctx, list) || changed;
  verify(g);
  CHECK(output_names() == names);
  CHECK(same_results(before, interpret(g, inputs), tolerance.rtol, tolerance.atol));
  // Nothing is left to do: the fixed point was reached.
  PassContext again = ctx;
  for (auto list : lists) CHECK_FALSE(run_passes(g, again, list));
  return changed;
}

}  // namespace

int count(const Graph& g, const std::string& op) {
  int n = 0;
  for (NodeId id : g.order()) n += full_name(g.node(id)) == op;
  return n;
}

const Node& find(const Graph& g, const std::string& op) {
  for (NodeId id : g.order())
    if (full_name(g.node(id)) == op) return g.node(id);
  FAIL("no ", op, " in ", print(g));
  return g.node(0);
}

TargetTraits everything() {
  TargetTraits t;
  t.channels_last = true;
  t.planar_stem_channels = 4;
  t.fused_activations = {"relu", "clip",       "leaky_relu",   "sigmoid", "tanh",
                         "silu", "hard_swish", "hard_sigmoid", "gelu",    "gelu_tanh"};
  t.fuse_residual = true;
  t.fuse_elementwise_chains = true;
  return t;
}

std::vector<Datum> random_inputs(const Graph& g, uint32_t seed, int64_t symbol) {
  std::vector<Datum> r;
  for (ValueId v : g.inputs()) {
    const Value& val = g.value(v);
    if (val.constant.defined()) {
      r.emplace_back();
      continue;
    }
    Dims d;
    for (const Dim& x : val.type.shape.dims()) d.push_back(x.is_const() ? x.value() : symbol);
    r.emplace_back(cases::random_tensor(val.type.dtype, d, seed++, -2, 2));
  }
  return r;
}

bool same_results(const std::vector<Datum>& a, const std::vector<Datum>& b, double rtol, double atol) {
  if (a.size() != b.size()) return false;
  for (size_t i = 0; i < a.size(); ++i) {
    if (a[i].kind() != b[i].kind()) return false;
    if (a[i].is_tensor() && !same_tensor(a[i].tensor(), b[i].tensor(), rtol, atol)) return false;
  }
  return true;
}

bool run_pass(Graph& g, const std::string& pass, const TargetTraits* target, const PassOptions& options) {
  return run_lists(g, {std::span<const Pass>(&pass_named(pass), 1)}, target, options, {});
}

bool run_all(Graph& g, const TargetTraits* target, const PassOptions& options, const Tolerance& tolerance) {
  std::vector<std::span<const Pass>> lists{general_passes()};
  if (target) lists.push_back(target_passes());
  return run_lists(g, lists, target, options, tolerance);
}

}  // namespace skiff::passes::test
