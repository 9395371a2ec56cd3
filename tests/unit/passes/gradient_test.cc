// Gradients: every operator case whose operator has a rule, against central differences in double; and the
// Gradient operator's naming of tensors.
#include <doctest/doctest.h>
#include <cmath>
#include <map>
#include <random>
#include <set>

#include "cases/make.h"
#include "ops/grad.h"
#include "ops/infer.h"
#include "ops/interpret.h"
#include "passes/expand_gradients.h"

using namespace skiff;
using namespace skiff::cases;

namespace {

constexpr const char* kTraining = "ai.onnx.preview.training";

// The tensor in double, moved off the round numbers where functions have kinks.
Tensor in_double(const Tensor& t, uint32_t seed) {
  std::mt19937 gen(seed);
  Tensor d(DType::kDouble, t.dims());
  for (int64_t i = 0; i < t.size(); ++i)
    set_double(d, i, get_double(t, i) * (1 - 1e-3 * (1 + gen() % 1000 / 1000.0)));
  return d;
}

struct Checked {
  Graph forward;  // with the loss
  Graph plain;    // gives the weighted outputs themselves
  std::vector<Tensor> weights;
  std::vector<Datum> inputs;
  std::vector<std::string> xs, zs;
  ValueId loss = kNoValue;
};

NodeId add(Graph& g, std::string domain, std::string op, int opset, std::vector<ValueId> in,
           std::vector<ValueId> out, std::vector<Attribute> attributes = {}) {
  Node n;
  n.domain = std::move(domain);
  n.op = std::move(op);
  n.opset = opset;
  n.inputs = std::move(in);
  n.outputs = std::move(out);
  n.attributes = std::move(attributes);
  n.name = "n_" + n.op;
  return g.add_node(std::move(n));
}

// loss = sum over the outputs' elements, each with a weight of its own.
Checked checked(const OpCase& c) {
  Checked r;
  const OpDef* def = find_op(c.domain, c.op);
  std::vector<ValueId> in;
  for (size_t i = 0; i < c.inputs.size(); ++i) {
    if (c.inputs[i].kind() == Datum::Kind::kNone) {
      in.push_back(kNoValue);
      continue;
    }
    const Formal& f = i < def->inputs.size() ? def->inputs[i] : def->inputs.back();
    Tensor t = c.inputs[i].tensor();
    bool moves = dtype_is_float(t.dtype()) && (f.types & mask_of(DType::kDouble));
    if (moves) t = in_double(t, static_cast<uint32_t>(i + 1));
    if (i == 2 && c.op.ends_with("Loss")) moves = false;  // class weights
    std::string name = cat("in", i);
    // Attributes' and shapes' values must be known; what moves is an input.
    if (!moves && i < c.constant.size() && c.constant[i]) {
      in.push_back(r.forward.add_constant(name, t));
      continue;
    }
    in.push_back(r.forward.add_input(name, Type::tensor(t.dtype(), SymShape(t.dims()))));
    r.inputs.emplace_back(t);
    (moves ? r.xs : r.zs).push_back(name);
  }
  std::vector<ValueId> out;
  for (size_t i = 0; i < c.outputs; ++i) out.push_back(r.forward.add_value(cat("out", i)));
  add(r.forward, c.domain, c.op, c.opset, in, out, c.attributes);
  resolve_ops(r.forward);
  infer_types(r.forward);
  Graph probe = r.forward.clone();
  for (ValueId v : out) probe.mark_output(v);
  std::vector<Datum> have = interpret(probe, r.inputs);
  r.plain = r.forward.clone();
  bool every = c.op == "Split" || c.op == "SoftmaxCrossEntropyLoss";
  for (size_t i = 0; i < out.size(); ++i) {
    if ((i > 0 && !every) || have[i].tensor().dtype() != DType::kDouble) continue;
    Tensor w =
        random_tensor(DType::kDouble, have[i].tensor().dims(), static_cast<uint32_t>(77 + i), 0.5, 1.5);
    r.plain.mark_output(out[i]);
    r.weights.push_back(w);
    ValueId product = r.forward.add_value(cat("weighted", i)), sum = r.forward.add_value(cat("sum", i));
    add(r.forward, "", "Mul", 14, {out[i], r.forward.add_constant(cat("weight", i), w)}, {product});
    add(r.forward, "", "ReduceSum", 13, {product}, {sum}, {{"keepdims", int64_t{0}}});
    if (r.loss == kNoValue) {
      r.loss = sum;
    } else {
      ValueId total = r.forward.add_value(cat("total", i));
      add(r.forward, "", "Add", 14, {r.loss, sum}, {total});
      r.loss = total;
    }
  }
  if (r.loss == kNoValue) return r;
  r.forward.mark_output(r.loss);
  resolve_ops(r.forward);
  infer_types(r.forward);
  return r;
}

Graph with_gradients(const Checked& c) {
  Graph g = c.forward.clone();
  std::vector<ValueId> in, out;
  for (const auto* list : {&c.xs, &c.zs})
    for (const std::string& s : *list) in.push_back(g.find_value(s));
  for (const std::string& s : c.xs) {
    out.push_back(g.add_value("d_" + s));
    g.mark_output(out.back());
  }
  add(g, kTraining, "Gradient", 1, in, out, {{"xs", c.xs}, {"zs", c.zs}, {"y", g.value(c.loss).name}});
  resolve_ops(g);
  infer_types(g);
  passes::PassContext ctx;
  bool changed = passes::expand_gradients(g, ctx);
  CHECK(changed);
  infer_types(g);
  verify(g);
  return g;
}

// Returns whether anything was compared.
bool check_case(const OpCase& c) {
  Checked k = checked(c);
  if (k.loss == kNoValue || k.xs.empty()) return false;
  Graph g = with_gradients(k);
  std::vector<Datum> got = interpret(g, k.inputs);
  std::mt19937 gen(5);
  for (size_t x = 0; x < k.xs.size(); ++x) {
    size_t slot = 0;
    while (g.value(g.inputs()[slot]).name != k.xs[x]) ++slot;
    const Tensor& d = got[1 + x].tensor();
    const Tensor& at = k.inputs[slot].tensor();
    REQUIRE(d.dims() == at.dims());
    REQUIRE(d.dtype() == at.dtype());
    for (int64_t n = 0; n < std::min<int64_t>(at.size(), 12); ++n) {
      int64_t i = at.size() <= 12 ? n : static_cast<int64_t>(gen()) % at.size();
      // The difference of the weighted sums, as the weighted sum of differences: large terms do not hide it.
      constexpr double kStep = 1e-6;
      std::vector<Datum> side[2];
      for (int k2 = 0; k2 < 2; ++k2) {
        std::vector<Datum> moved = k.inputs;
        Tensor t = at.clone();
        set_double(t, i, get_double(t, i) + (k2 ? kStep : -kStep));
        moved[slot] = t;
        side[k2] = interpret(k.plain, moved);
      }
      double want = 0, have = get_double(d, i);
      for (size_t o = 0; o < k.weights.size(); ++o)
        for (int64_t e = 0; e < k.weights[o].size(); ++e)
          want += get_double(k.weights[o], e) *
                  (get_double(side[1][o].tensor(), e) - get_double(side[0][o].tensor(), e));
      want /= 2 * kStep;
      if (!std::isfinite(want)) continue;  // cases with infinities and NaN
      CHECK_MESSAGE(std::abs(have - want) <= 1e-5 + 1e-4 * std::abs(want), c.name, ": d(", k.xs[x], ")[", i,
                    "] is ", have, ", by differences ", want);
    }
  }
  return true;
}

// Rules that say "does not move", or whose operator takes no number that could move.
const std::set<std::string> kStill = {
    "ArgMax",      "ArgMin",  "CastLike",       "Ceil",    "ConstantOfShape", "Equal", "EyeLike",
    "Floor",       "Greater", "GreaterOrEqual", "Hardmax", "IsInf",           "IsNaN", "Less",
    "LessOrEqual", "NonZero", "OneHot",         "Round",   "Shape",           "Sign",  "Size"};

// Operators that the common list has no case in numbers for.
std::vector<OpCase> more_cases() {
  Tensor targets = values<int>(DType::kInt64, {4, 2}, {0, 2, 1, 1, 2, 0, 1, 2}), weight = f32({3}, 3, 0.5, 2);
  Tensor scores = f32({4, 3, 2}, 1);
  std::vector<OpCase> r;
  for (const char* how : {"none", "sum", "mean"}) {
    Attribute reduction{"reduction", std::string(how)};
    for (const char* op : {"NegativeLogLikelihoodLoss", "SoftmaxCrossEntropyLoss"}) {
      r.push_back(make(cat(op, " ", how), op, 13, {scores, targets}, {reduction}));
      r.push_back(make(cat(op, " ignoring ", how), op, 13, {scores, targets},
                       {reduction, {"ignore_index", int64_t{1}}}));
      // The class weights stay: constants do not move.
      r.push_back(make(cat(op, " weighted ", how), op, 13, {scores, targets, weight},
                       {reduction, {"ignore_index", int64_t{2}}}, 2));
    }
  }
  OpCase two = with_outputs(2, make("both outputs", "SoftmaxCrossEntropyLoss", 13, {scores, targets}));
  r.push_back(two);
  r.push_back(make("mod", "Mod", 13, {f32({3, 4}, 5, 1, 9), f32({4}, 6, 1, 2)}, {{"fmod", int64_t{1}}}));
  r.push_back(make("swiglu", "SwiGLU", 28, {f32({2, 3}, 7), f32({2, 3}, 8)}, {{"alpha", 1.5f}}));
  r.push_back(make("tile", "Tile", 13, {f32({2, 3}, 9), values<int>(DType::kInt64, {2}, {3, 2})}));
  r.push_back(make("scatter", "Scatter", 9,
                   {f32({3, 3}, 10), values<int>(DType::kInt64, {2, 2}, {0, 1, 2, 0}), f32({2, 2}, 11)}));
  r.push_back(make("clip bounds", "Clip", 13,
                   {f32({9}, 12, -2, 2), one(DType::kFloat, -0.5), one(DType::kFloat, 0.7)}));
  return r;
}

}  // namespace

TEST_CASE("gradients agree with central differences") {
  std::map<std::string, int> compared;
  std::vector<std::string> without;
  std::vector<OpCase> list = all_cases();
  for (OpCase& c : more_cases()) list.push_back(std::move(c));
  for (const OpCase& c : list) {
    Node n;
    n.domain = c.domain;
    n.op = c.op;
    if (!grad::find_rule(n) || kStill.count(c.op)) continue;
    if (c.name == "scatter_nd_none") continue;  // indices repeat: which update lasts is not defined
    INFO(c.name);
    try {
      compared[c.op] += check_case(c);
    } catch (const Error& e) {
      CHECK_MESSAGE(e.code() == Code::kUnsupported, c.name, ": ", std::string(e.what()));
      without.push_back(cat(c.name, ": ", e.what()));
    }
  }
#define SKIFF_GRAD(op_name)                                         \
  CHECK_MESSAGE((kStill.count(#op_name) || compared[#op_name] > 0), \
                "no case compares the gradient of " #op_name);
#include "ops/grads.inc"
#undef SKIFF_GRAD
  for (const std::string& s : without) MESSAGE(std::string("not built: " + s));
}

TEST_CASE("a gradient at other values than the named ones, and the gradient of a gradient") {
  Graph g;
  auto in = [&](const char* name) {
    return g.add_input(name, Type::tensor(DType::kDouble, SymShape(Dims{2})));
  };
  auto value = [&](const char* name) { return g.add_value(name); };
  ValueId x = in("x"), w = in("w"), other = in("other"), xx = value("xx"), y = value("y");
  add(g, "", "Mul", 14, {x, x}, {xx});
  add(g, "", "Mul", 14, {xx, w}, {y});  // y = x^2 w
  ValueId dx = value("dx"), at = value("at"), dxx = value("dxx");
  add(g, kTraining, "Gradient", 1, {x, w}, {dx},
      {{"xs", Strings{"x"}}, {"zs", Strings{"w"}}, {"y", std::string("y")}});
  add(g, kTraining, "Gradient", 1, {other, w}, {at},
      {{"xs", Strings{"x"}}, {"zs", Strings{"w"}}, {"y", std::string("y")}});
  // d(2 x w)/dx = 2 w, of a tensor another Gradient makes.
  add(g, kTraining, "Gradient", 1, {x, w}, {dxx}, {{"xs", Strings{"x", "w"}}, {"y", std::string("dx")}});
  for (ValueId v : {dx, at, dxx}) g.mark_output(v);
  resolve_ops(g);
  infer_types(g);
  passes::PassContext ctx;
  CHECK(passes::expand_gradients(g, ctx));
  infer_types(g);
  verify(g);
  CHECK(g.value(g.outputs()[2]).name == "dxx");
  std::vector<Datum> out = interpret(g, std::vector<Datum>{values<double>(DType::kDouble, {2}, {3, 5}),
                                                           values<double>(DType::kDouble, {2}, {7, 11}),
                                                           values<double>(DType::kDouble, {2}, {2, 4})});
  CHECK(to_floats(out[0].tensor()) == Floats{42, 110});
  CHECK(to_floats(out[1].tensor()) == Floats{28, 88});
  CHECK(to_floats(out[2].tensor()) == Floats{14, 22});
}

TEST_CASE("gradients that cannot be built say why") {
  auto error = [](const std::string& op, const std::string& y) {
    Graph g;
    ValueId x = g.add_input("x", Type::tensor(DType::kFloat, SymShape(Dims{2, 2}))), v = g.add_value("v"),
            d = g.add_value("d");
    add(g, "", op, 17, {x}, {v});
    add(g, kTraining, "Gradient", 1, {x}, {d}, {{"xs", Strings{"x"}}, {"y", y}});
    g.mark_output(d);
    resolve_ops(g);
    infer_types(g);
    passes::PassContext ctx;
    try {
      passes::expand_gradients(g, ctx);
    } catch (const Error& e) {
      return std::string(e.what());
    }
    return std::string();
  };
  CHECK(error("Det", "v").find("node 'n_Det' (Det) has no gradient in this build") != std::string::npos);
  CHECK(error("Relu", "nowhere").find("names the tensor 'nowhere'") != std::string::npos);
  CHECK(error("Relu", "v").empty());
}
