// A random small graph gives the same everywhere: on the reference device, on every instruction set of the
// CPU device, with one thread and two, with every pass, with none and with each one skipped, as when it is
// interpreted node by node. Integers agree exactly, floats within kRelative of the largest value that went
// into the result.
#include <cmath>

#include "device/device.h"
#include "fuzz/fuzz.h"
#include "ops/infer.h"
#include "ops/interpret.h"
#include "passes/pipeline.h"
#include "runtime/devices.h"
#include "runtime/session.h"

using namespace skiff;
using namespace skiff::fuzz;

namespace {

// Each float node may add this much of its result's largest magnitude; a graph has at most kNodes of them.
constexpr double kRelative = 2e-4;
constexpr int kNodes = 10;
constexpr double kTooLarge = 1e4;  // beyond it the bound would say nothing

class Generator {
 public:
  explicit Generator(Choices& c) : c_(c) {
    m_.ir_version = 9;
    m_.opsets = {{"", 20}};
    channels_ = 1 + static_cast<int64_t>(c_.pick(20));
    int64_t side = 3 + static_cast<int64_t>(c_.pick(8));
    add_input("x", DType::kFloat, {1 + static_cast<int64_t>(c_.pick(2)), channels_, side, side});
    add_input("y", DType::kFloat,
              {1 + static_cast<int64_t>(c_.pick(3)), 1 + static_cast<int64_t>(c_.pick(40))});
    add_input("i", DType::kInt64, {2, 1 + static_cast<int64_t>(c_.pick(9))});
  }

  Model build() {
    int nodes = 1 + static_cast<int>(c_.pick(kNodes));
    for (int k = 0; k < nodes; ++k) step();
    for (size_t k = 0; k < 3; ++k) {
      ValueId v = k == 0 ? values_.back() : any();
      const Value& val = m_.graph.value(v);
      if (!val.is_output && !val.is_input) m_.graph.mark_output(v);
    }
    if (m_.graph.outputs().empty()) m_.graph.mark_output(node("Identity", {any()}));
    return std::move(m_);
  }
  std::vector<Datum> inputs() { return inputs_; }

 private:
  void add_input(const char* name, DType t, Dims d) {
    values_.push_back(m_.graph.add_input(name, Type::tensor(t, SymShape(d))));
    inputs_.emplace_back(random(t, d));
  }
  // Small numbers, the fuzzer's choice which.
  Tensor random(DType t, const Dims& d) {
    Tensor x(t, d);
    uint32_t s = c_.byte() * 2654435761U + 12345;
    for (int64_t i = 0; i < x.size(); ++i) {
      s = s * 1664525U + 1013904223U;
      double u = static_cast<double>(s >> 8) / (1 << 24);
      set_double(x, i, t == DType::kFloat ? 2 * u - 1 : std::floor(u * 11) - 5);
    }
    return x;
  }
  ValueId constant(Tensor t) { return m_.graph.add_constant(cat("c", m_.graph.value_slots()), std::move(t)); }
  ValueId ints(std::vector<int64_t> v) { return constant(Tensor::from(v)); }
  ValueId weight(Dims d) { return constant(random(DType::kFloat, d)); }
  ValueId node(const std::string& op, std::vector<ValueId> in, std::vector<Attribute> attributes = {}) {
    Node n;
    n.op = op;
    n.name = cat(op, m_.graph.node_slots());
    n.opset = 20;
    n.inputs = std::move(in);
    n.attributes = std::move(attributes);
    ValueId out = m_.graph.add_value(cat("v", m_.graph.value_slots()));
    n.outputs = {out};
    m_.graph.add_node(std::move(n));
    return out;
  }
  ValueId any() {
    size_t n = values_.size();
    return values_[c_.one_in(3) ? c_.pick(n) : n - 1 - std::min(n - 1, c_.pick(3))];
  }
  ValueId any_of(DType t) {
    ValueId v = any();
    for (int k = 0; k < 8 && dtype(v) != t; ++k) v = values_[c_.pick(values_.size())];
    return dtype(v) == t ? v : values_[t == DType::kInt64 ? 2 : 0];
  }
  DType dtype(ValueId v) { return m_.graph.value(v).type.dtype; }
  Dims dims(ValueId v) { return m_.graph.value(v).type.shape.to_dims(); }
  void keep(ValueId v) {
    resolve_ops(m_.graph);
    infer_types(m_.graph);
    const Type& t = m_.graph.value(v).type;
    if (!t.is_tensor() || !t.shape.is_static() || element_count(dims(v)) > 6000) return;
    values_.push_back(v);
  }
  int64_t axis(const Dims& d) { return static_cast<int64_t>(c_.pick(d.size())); }

  void step() {
    if (c_.one_in(4)) return integer();
    ValueId v = any_of(DType::kFloat);
    Dims d = dims(v);
    if (d.empty() || element_count(d) == 0) return;
    switch (c_.pick(20)) {
      case 0:
      case 1:
      case 2: return keep(unary(v));
      case 3:
      case 4:
      case 5: return keep(binary(v, d));
      case 6:
      case 7:
      case 8: return d.size() == 4 ? keep(conv(v, d)) : keep(matmul(v, d));
      case 9:
        if (d.size() != 4) return keep(matmul(v, d));
        return keep(node("BatchNormalization",
                         {v, weight({d[1]}), weight({d[1]}), weight({d[1]}), node("Abs", {weight({d[1]})})},
                         {{"epsilon", 0.5F}}));
      case 10: return d.size() == 4 ? keep(pool(v, d)) : keep(unary(v));
      case 11: {
        Attribute::Ints p(d.size());
        for (size_t k = 0; k < p.size(); ++k) p[k] = static_cast<int64_t>(k);
        for (size_t k = p.size(); k > 1; --k) std::swap(p[k - 1], p[c_.pick(k)]);
        return keep(node("Transpose", {v}, {{"perm", p}}));
      }
      case 12: {
        ValueId w = any_of(DType::kFloat);
        if (dims(w) != d) w = v;
        return keep(node("Concat", {v, w}, {{"axis", axis(d)}}));
      }
      case 13: {
        int64_t a = axis(d), n = d[static_cast<size_t>(a)];
        return keep(node("Slice", {v, ints({static_cast<int64_t>(c_.pick(2))}),
                                   ints({n - static_cast<int64_t>(c_.pick(2))}), ints({a}),
                                   ints({1 + static_cast<int64_t>(c_.pick(2))})}));
      }
      case 14: {
        static const char* const kOps[] = {"ReduceMean", "ReduceMax", "ReduceSum", "ReduceMin", "ReduceL2"};
        return keep(
            node(c_.of(kOps), {v, ints({axis(d)})}, {{"keepdims", static_cast<int64_t>(c_.pick(2))}}));
      }
      case 15: return keep(node(c_.one_in(3) ? "LogSoftmax" : "Softmax", {v}, {{"axis", axis(d)}}));
      case 16:
        return keep(node("LayerNormalization", {v, weight({d[d.size() - 1]}), weight({d[d.size() - 1]})},
                         {{"axis", int64_t{-1}}, {"epsilon", 0.5F}}));
      case 17: {
        ValueId a = node("Reshape", {v, ints({0, -1})});
        return d.size() > 1 ? keep(a) : keep(node("Unsqueeze", {v, ints({0})}));
      }
      case 18: {
        std::vector<int64_t> p(d.size() * 2);
        for (int64_t& x : p) x = static_cast<int64_t>(c_.pick(3)) - (c_.one_in(6) ? 1 : 0);
        return keep(node("Pad", {v, ints(p)}, {{"mode", std::string("constant")}}));
      }
      default:
        if (d.size() != 4) return keep(node("Gather", {v, ints({0, -1, 0})}, {{"axis", axis(d)}}));
        return keep(node("Resize", {v, kNoValue, constant(Tensor::from(std::vector<float>{1, 1, 2, 2}, {4}))},
                         {{"mode", std::string(c_.pick(2) ? "nearest" : "linear")}}));
    }
  }

  void integer() {
    ValueId v = any_of(DType::kInt64);
    Dims d = dims(v);
    switch (c_.pick(7)) {
      case 0: return keep(node("Add", {v, any_int(d)}));
      case 1: return keep(node("Mul", {v, any_int(d)}));
      case 2: return keep(node("Sub", {any_int(d), v}));
      case 3: return keep(node("Div", {v, ints({1 + static_cast<int64_t>(c_.pick(7))})}));
      case 4: return keep(node("Neg", {v}));
      case 5:
        return d.empty() ? keep(node("Abs", {v}))
                         : keep(node("CumSum", {v, constant(Tensor::scalar(axis(d)))}));
      default: {
        ValueId f = any_of(DType::kFloat);  // which is larger must not hang on the last bit
        return keep(node("Cast", {node("Shape", {f})}, {{"to", int64_t{7}}}));
      }
    }
  }
  ValueId any_int(const Dims& d) {
    ValueId w = any_of(DType::kInt64);
    return dims(w) == d ? w : ints({static_cast<int64_t>(c_.pick(9)) - 4});
  }

  ValueId unary(ValueId v) {
    static const char* const kOps[] = {
        "Relu",        "Sigmoid",  "Tanh", "Neg", "Abs", "HardSwish", "Identity", "LeakyRelu", "Elu",
        "HardSigmoid", "Softplus", "Erf",  "Sin", "Cos", "Gelu",      "Mish",     "Selu"};
    size_t k = c_.pick(std::size(kOps) + 3);
    if (k < std::size(kOps)) return node(kOps[k], {v});
    ValueId one = constant(Tensor::scalar(1.0F)), half = constant(Tensor::scalar(0.5F));
    if (k == std::size(kOps)) return node("Clip", {v, constant(Tensor::scalar(-0.5F)), one});
    if (k == std::size(kOps) + 1) return node("Mul", {v, node("Sigmoid", {v})});
    ValueId e = node("Erf", {node("Div", {v, constant(Tensor::scalar(1.41421356F))})});
    return node("Mul", {node("Mul", {v, node("Add", {e, one})}), half});
  }
  ValueId binary(ValueId v, const Dims& d) {
    static const char* const kOps[] = {"Add", "Mul", "Sub", "Max", "Min"};
    std::string op = c_.of(kOps);
    ValueId w = kNoValue;
    switch (c_.pick(5)) {
      case 0: w = weight({}); break;
      case 1: w = weight({d[d.size() - 1]}); break;
      case 2: w = d.size() > 2 ? weight({d[1], 1, 1}) : weight(d); break;
      case 3: w = weight(d); break;
      default:
        w = any_of(DType::kFloat);
        if (dims(w) != d) w = v;
    }
    return c_.pick(2) ? node(op, {v, w}) : node(op, {w, v});
  }
  ValueId matmul(ValueId v, const Dims& d) {
    int64_t n = 1 + static_cast<int64_t>(c_.pick(36));
    ValueId y = node("MatMul", {v, weight({d[d.size() - 1], n})});
    if (c_.pick(2)) y = node("Add", {y, weight({n})});
    return c_.pick(2) ? node("Relu", {y}) : y;
  }
  ValueId conv(ValueId v, const Dims& d) {
    int64_t k = c_.pick(2) && d[2] > 2 && d[3] > 2 ? 3 : 1, pad = k / 2, group = 1;
    if (c_.one_in(3)) group = d[1];
    int64_t out =
        group > 1 ? group * (1 + static_cast<int64_t>(c_.pick(2))) : 1 + static_cast<int64_t>(c_.pick(34));
    std::vector<ValueId> in{v, weight({out, d[1] / group, k, k})};
    if (c_.pick(2)) in.push_back(weight({out}));
    int64_t stride = c_.one_in(3) ? 2 : 1;
    ValueId y =
        node("Conv", in,
             {{"group", group}, {"pads", Attribute::Ints(4, pad)}, {"strides", Attribute::Ints(2, stride)}});
    return c_.pick(2) ? unary(y) : y;
  }
  ValueId pool(ValueId v, const Dims& d) {
    if (c_.one_in(4) || d[2] < 3 || d[3] < 3) return node("GlobalAveragePool", {v});
    return node(c_.pick(2) ? "MaxPool" : "AveragePool", {v},
                {{"kernel_shape", Attribute::Ints{3, 3}},
                 {"pads", Attribute::Ints(4, static_cast<int64_t>(c_.pick(2)))},
                 {"strides", Attribute::Ints(2, 1 + static_cast<int64_t>(c_.pick(2)))}});
  }

  Choices& c_;
  Model m_;
  int64_t channels_;
  std::vector<ValueId> values_;
  std::vector<Datum> inputs_;
};

Model copy(const Model& m) {
  Model c;
  c.ir_version = m.ir_version;
  c.opsets = m.opsets;
  c.graph = m.graph.clone();
  return c;
}

// The largest magnitude among the values of the graph: what rounding errors are measured against.
double largest(const Model& m, const std::vector<Datum>& in) {
  Model all = copy(m);
  for (NodeId id : all.graph.order())
    for (ValueId v : all.graph.node(id).outputs) all.graph.mark_output(v);
  double most = 1;
  for (const Datum& d : interpret(all.graph, in)) {
    if (d.tensor().dtype() != DType::kFloat) continue;
    for (float f : d.tensor().span<float>())
      most = std::isfinite(f) ? std::max<double>(most, std::fabs(f)) : INFINITY;
  }
  return most;
}

void expect_same(const std::vector<Datum>& got, const std::vector<Datum>& want, double bound,
                 const std::string& how, const Model& m) {
  for (size_t i = 0; i < want.size(); ++i) {
    const Tensor &g = got[i].tensor(), &w = want[i].tensor();
    FUZZ_CHECK(g.dtype() == w.dtype() && g.dims() == w.dims(), how, ": output ", i, " is ", describe(g),
               " instead of ", describe(w), "\n", print(m.graph));
    for (int64_t k = 0; k < w.size(); ++k) {
      double a = get_double(g, k), b = get_double(w, k);
      bool same = w.dtype() == DType::kFloat ? std::fabs(a - b) <= bound || (a != a && b != b)
                                             : get_int(g, k) == get_int(w, k);
      FUZZ_CHECK(same, how, ": output ", i, " element ", k, " is ", a, " instead of ", b, ", bound ", bound,
                 "\n", print(m.graph));
    }
  }
}

const std::vector<std::string>& isas() {
  static const std::vector<std::string> k = runtime::make_device("cpu", {})->info().isas;
  return k;
}

std::vector<std::string> optional_passes() {
  std::vector<std::string> r;
  for (auto list : {passes::general_passes(), passes::target_passes()})
    for (const passes::Pass& p : list)
      if (std::string(p.name) != "inline_functions" && std::find(r.begin(), r.end(), p.name) == r.end())
        r.emplace_back(p.name);
  return r;
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  if (size > 600) return -1;
  Choices c(data, size);
  Generator generator(c);
  Model m;
  std::vector<Datum> in, want;
  double bound = 0;
  bool valid = succeeds([&] {
    m = generator.build();
    in = generator.inputs();
    resolve_ops(m.graph);
    infer_types(m.graph);
    want = interpret(m.graph, in);
    bound = largest(m, in);
  });
  if (!valid || !(bound < kTooLarge)) return 0;
  bound *= kRelative;
  auto check = [&](const runtime::SessionOptions& o, const std::string& how) {
    try {
      auto s = runtime::Session::from_model(copy(m), o);
      expect_same(s->run(in), want, bound, how, m);
      expect_same(s->run(in), want, bound, how + ", second run", m);
    } catch (const Error& e) {
      FUZZ_CHECK(false, how, ": ", e.what(), "\n", print(m.graph));
    }
  };
  runtime::SessionOptions o;
  o.threads = 1;
  o.device = "reference";
  check(o, "the reference device");
  o.device = "cpu";
  o.skip_passes = {"all"};
  check(o, "without passes");
  o.skip_passes = {};
  for (const std::string& isa : isas()) {
    o.isa = isa;
    check(o, "instruction set " + isa);
  }
  o.isa = "";
  o.threads = 2;
  check(o, "two threads");
  o.threads = 1;
  static const std::vector<std::string> kPasses = optional_passes();
  for (const std::string& p : kPasses) {
    o.skip_passes = {p};
    check(o, "without the pass " + p);
  }
  return 0;
}
