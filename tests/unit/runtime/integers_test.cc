// Quantized models give the same bits on every instruction set and with any number of threads, and what the
// passes made of them gives those bits on the oracle, too.
#include <doctest/doctest.h>

#include <cmath>
#include <filesystem>
#include <random>

#include "cases/case.h"
#include "device/cpu/cpu_device.h"
#include "device/cpu/isa.h"
#include "ops/interpret.h"
#include "passes/pipeline.h"
#include "runtime/session.h"

using namespace skiff;
using runtime::Session;
using runtime::SessionOptions;

namespace {

std::vector<Datum> random_inputs(const Session& s, uint32_t seed) {
  std::vector<Datum> r;
  for (const runtime::Port& p : s.inputs()) {
    Dims d;
    for (int64_t x : p.dims) d.push_back(x < 0 ? 2 : x);
    const DType t = p.type.dtype;
    r.push_back(
        cases::random_tensor(t, d, seed++, t == DType::kFloat ? -2 : 0, t == DType::kFloat ? 2 : 255));
  }
  return r;
}

// The graph the passes make of a model for the CPU.
Graph prepared(Model m) {
  auto device = make_cpu_device({});
  resolve_ops(m.graph, m.functions);
  passes::PassContext ctx;
  ctx.functions = &m.functions;
  ctx.target = &device->traits();
  passes::run_passes(m.graph, ctx, passes::general_passes());
  passes::run_passes(m.graph, ctx, passes::target_passes());
  return std::move(m.graph);
}

// Outputs of every instruction set, with one thread and two, are those of the oracle's graph (null: of the
// first).
template <class Load>
void check_everywhere(Load load, uint32_t seed, const Graph* oracle) {
  std::vector<Datum> want;
  for (cpu::Isa isa : cpu::available_isas())
    for (int threads : {1, 2}) {
      SessionOptions o;
      o.isa = cpu::isa_name(isa);
      o.threads = threads;
      auto s = load(o);
      std::vector<Datum> in = random_inputs(*s, seed);
      if (want.empty()) want = oracle ? interpret(*oracle, in) : s->run(in);
      std::vector<Datum> got = s->run(in);
      REQUIRE(got.size() == want.size());
      for (size_t i = 0; i < got.size(); ++i) {
        INFO("isa ", o.isa, " threads ", threads, " output ", i);
        CHECK(identical(got[i].tensor(), want[i].tensor()));
      }
    }
}

// Random quantized networks: convolutions of all kinds, sums, products, pools, moves, activations.
class Network {
 public:
  explicit Network(uint32_t seed) : rng_(seed) {
    m_.ir_version = 8;
    m_.opsets = {{"", 17}};
    Value v{m_.graph.add_input("x", Type::tensor(DType::kFloat, SymShape(Dims{1 + pick(2), 4 + pick(20),
                                                                              7 + pick(6), 7 + pick(6)}))),
            {}};
    v.dims = m_.graph.value(v.id).type.shape.to_dims();
    values_.push_back(quantized(v));
  }
  Model build(int nodes) {
    for (int i = 0; i < nodes; ++i) step();
    m_.graph.mark_output(values_.back().id);
    if (values_.size() > 2 && pick(2)) m_.graph.mark_output(values_[values_.size() - 2].id);
    return std::move(m_);
  }

 private:
  struct Value {
    ValueId id;  // dequantized floats
    Dims dims;
  };
  int pick(int n) { return static_cast<int>(rng_() % static_cast<uint32_t>(n)); }
  ValueId constant(Tensor t) { return m_.graph.add_constant(cat("c", next_++), std::move(t)); }
  ValueId op(const char* name, std::vector<ValueId> in, std::vector<Attribute> a = {}) {
    Node n;
    n.op = name;
    n.name = cat(name, next_);
    n.opset = 17;
    n.inputs = std::move(in);
    n.attributes = std::move(a);
    ValueId y = m_.graph.add_value(cat("v", next_++));
    n.outputs = {y};
    m_.graph.add_node(std::move(n));
    return y;
  }
  ValueId scalar(DType t, double v) {
    Tensor x(t, {});
    set_double(x, 0, v);
    return constant(std::move(x));
  }
  // Through a quantizer and back, of random type, scale and zero point.
  Value quantized(Value v) {
    const bool u = pick(2) != 0;
    const DType t = u ? DType::kUint8 : DType::kInt8;
    ValueId scale = scalar(DType::kFloat, 0.01 + 0.001 * pick(40)),
            zero = scalar(t, (u ? 128 : 0) + pick(60) - 30);
    return {op("DequantizeLinear", {op("QuantizeLinear", {v.id, scale, zero}), scale, zero}), v.dims};
  }
  ValueId weight(Dims d, int64_t axis) {
    const bool u = pick(3) == 0;
    const DType t = u ? DType::kUint8 : DType::kInt8;
    const int64_t n = d[static_cast<size_t>(axis)];
    double depth = static_cast<double>(element_count(d)) / static_cast<double>(n);
    Tensor w = cases::random_tensor(t, d, static_cast<uint32_t>(pick(9999)), u ? 0 : -128, u ? 256 : 128);
    Dims sd = pick(2) ? Dims{n} : Dims{};
    ValueId scale = constant(cases::random_tensor(DType::kFloat, sd, static_cast<uint32_t>(pick(9999)),
                                                  0.005 / std::sqrt(depth), 0.03 / std::sqrt(depth)));
    Tensor z = cases::random_tensor(t, sd, static_cast<uint32_t>(pick(9999)), u ? 110 : 0,
                                    u ? 140 : (pick(3) == 0 ? 9 : 0.5));
    return op("DequantizeLinear", {constant(std::move(w)), scale, constant(std::move(z))},
              {Attribute("axis", axis)});
  }
  ValueId activated(ValueId v) {
    switch (pick(4)) {
      case 0: return op("Relu", {v});
      case 1: return op("Clip", {v, scalar(DType::kFloat, 0), scalar(DType::kFloat, 1 + pick(3))});
      default: return v;
    }
  }

  void conv(const Value& x) {
    const int64_t c = x.dims[1], k = 1 + 2 * pick(3), stride = 1 + pick(2);
    if (x.dims[2] < k || x.dims[3] < k) return;
    int64_t group = 1, m = 1 + pick(70);
    if (pick(3) == 0)
      group = m = c;
    else if (c % 2 == 0 && pick(4) == 0)
      group = 2, m += m % 2;
    std::vector<ValueId> in{x.id, weight({m, c / group, k, k}, 0)};
    if (pick(3))
      in.push_back(
          constant(cases::random_tensor(DType::kFloat, {m}, static_cast<uint32_t>(pick(9999)), -1, 1)));
    const int64_t pad = pick(2) ? k / 2 : 0;
    ValueId y = op("Conv", in,
                   {Attribute("group", group), Attribute("kernel_shape", Attribute::Ints{k, k}),
                    Attribute("strides", Attribute::Ints{stride, stride}),
                    Attribute("pads", Attribute::Ints{pad, pad, pad, pad})});
    auto extent = [&](int64_t n) { return (n + 2 * pad - k) / stride + 1; };
    values_.push_back(quantized({activated(y), {x.dims[0], m, extent(x.dims[2]), extent(x.dims[3])}}));
  }

  void step() {
    const Value x = values_[values_.size() - 1 -
                            static_cast<size_t>(pick(std::min<int>(3, static_cast<int>(values_.size()))))];
    const int64_t h = x.dims[2], w = x.dims[3];
    switch (pick(11)) {
      case 0:
        for (const Value& o : values_)
          if (o.dims == x.dims && o.id != x.id) {
            values_.push_back(quantized({activated(op(pick(2) ? "Add" : "Mul", {x.id, o.id})), x.dims}));
            return;
          }
        return conv(x);
      case 1: {
        std::vector<ValueId> parts{x.id};
        Dims d = x.dims;
        for (const Value& o : values_)
          if (o.dims[0] == d[0] && o.dims[2] == h && o.dims[3] == w && parts.size() < 3) {
            parts.push_back(o.id);
            d[1] += o.dims[1];
          }
        values_.push_back(quantized({op("Concat", parts, {Attribute("axis", int64_t{1})}), d}));
        return;
      }
      case 2:
        if (h < 2 || w < 2) return conv(x);
        values_.push_back(quantized({op(pick(2) ? "MaxPool" : "AveragePool", {x.id},
                                        {Attribute("kernel_shape", Attribute::Ints{2, 2}),
                                         Attribute("strides", Attribute::Ints{1, 1})}),
                                     {x.dims[0], x.dims[1], h - 1, w - 1}}));
        return;
      case 3: values_.push_back(quantized({op(pick(2) ? "Sigmoid" : "HardSwish", {x.id}), x.dims})); return;
      case 4: values_.push_back({op("GlobalAveragePool", {x.id}), {x.dims[0], x.dims[1], 1, 1}}); break;
      case 5: {
        ValueId to = constant(Tensor::from(std::vector<int64_t>{0, 0, -1, 1}));
        values_.push_back({op("Reshape", {x.id, to}), {x.dims[0], x.dims[1], h * w, 1}});
        break;
      }
      default: return conv(x);
    }
    values_.back() = quantized(values_.back());
  }

  Model m_;
  std::mt19937 rng_;
  int next_ = 0;
  std::vector<Value> values_;
};

int count(const Graph& g, std::string_view op) {
  int n = 0;
  for (NodeId id : g.order()) n += g.node(id).op == op;
  return n;
}

}  // namespace

TEST_CASE("integers: random quantized networks give the same bits everywhere") {
  int integer_convs = 0;
  for (uint32_t seed = 1; seed <= 60; ++seed) {
    CAPTURE(seed);
    auto load = [&](const SessionOptions& o) { return Session::from_model(Network(seed).build(6), o); };
    const Graph oracle = prepared(Network(seed).build(6));
    integer_convs += count(oracle, "QLinearConv");
    check_everywhere(load, seed, &oracle);
  }
  CHECK(integer_convs > 60);
}

TEST_CASE("integers: a dynamically quantized layer becomes one product, with the same bits everywhere") {
  auto model = [] {
    Model m;
    m.ir_version = 8;
    m.opsets = {{"", 17}};
    Graph& g = m.graph;
    auto add = [&](const char* name, std::vector<ValueId> in, size_t outputs, std::vector<Attribute> a = {}) {
      Node n;
      n.op = n.name = name;
      n.opset = 17;
      n.inputs = std::move(in);
      n.attributes = std::move(a);
      for (size_t i = 0; i < outputs; ++i) n.outputs.push_back(g.add_value(cat(name, i)));
      std::vector<ValueId> y = n.outputs;
      g.add_node(std::move(n));
      return y;
    };
    ValueId x = g.add_input("x", Type::tensor(DType::kFloat, SymShape(Dims{2, 9, 70})));
    ValueId w = g.add_constant("w", cases::random_tensor(DType::kInt8, {70, 45}, 1, -128, 128));
    ValueId wz = g.add_constant("wz", cases::random_tensor(DType::kInt8, {}, 2, 3, 3.5));
    ValueId ws = g.add_constant("ws", cases::random_tensor(DType::kFloat, {45}, 3, 0.001, 0.02));
    ValueId bias = g.add_constant("b", cases::random_tensor(DType::kFloat, {45}, 4, -1, 1));
    auto q = add("DynamicQuantizeLinear", {x}, 3);
    ValueId y = add("MatMulInteger", {q[0], w, q[2], wz}, 1)[0];
    y = add("Cast", {y}, 1, {Attribute("to", int64_t{1})})[0];
    ValueId scale = add("Mul", {q[1], ws}, 1)[0];
    Node n;
    n.op = "Mul";
    n.name = "scale";
    n.opset = 17;
    n.inputs = {y, scale};
    n.outputs = {g.add_value("scaled")};
    y = n.outputs[0];
    g.add_node(std::move(n));
    g.mark_output(add("Add", {y, bias}, 1)[0]);
    return m;
  };
  const Graph oracle = prepared(model());
  CHECK(count(oracle, "MatMulIntegerToFloat") == 1);
  CHECK(oracle.node_count() == 2);
  check_everywhere([&](const SessionOptions& o) { return Session::from_model(model(), o); }, 3, &oracle);
}

TEST_CASE("integers: quantized networks stay near their float form") {
  for (uint32_t seed = 1; seed <= 40; ++seed) {
    CAPTURE(seed);
    SessionOptions plain;
    plain.skip_passes = {"use_integers"};
    auto s = Session::from_model(Network(seed).build(3), {}),
         f = Session::from_model(Network(seed).build(3), plain);
    std::vector<Datum> in = random_inputs(*s, seed), a = s->run(in), b = f->run(in);
    for (size_t i = 0; i < a.size(); ++i) {
      std::vector<float> x = to_floats(a[i].tensor()), y = to_floats(b[i].tensor());
      double off = 0;
      for (size_t k = 0; k < x.size(); ++k)
        off += std::abs(static_cast<double>(x[k]) - static_cast<double>(y[k]));
      // A step is at most 0.05; roundings differ where float sums end near a half.
      CHECK(off / static_cast<double>(x.size() + 1) < 0.005);
    }
  }
}

TEST_CASE("integers: the quantized models give the same bits everywhere") {
  namespace fs = std::filesystem;
  const fs::path models = fs::path(SKIFF_SOURCE_DIR) / ".." / "shared" / "models";
  int found = 0;
  for (const char* name :
       {"mlperf_tiny/ad_autoencoder_qdq_s8", "mlperf_tiny/ic_resnet8_qdq_s8", "mlperf_tiny/ic_resnet8_qop_s8",
        "mlperf_tiny/kws_dscnn_qdq_s8", "mlperf_tiny/kws_dscnn_qop_s8", "mlperf_tiny/sww_qdq_s8",
        "mlperf_tiny/vww_mnv1_025_qdq_s8", "classification/mobilenet_v1_0.25_128_qdq_u8",
        "classification/mobilenet_v1_0.25_128_qop_u8", "classification/mobilenet_v2_1.0_224_qdq_u8",
        "classification/tf2_mobilenet_v2_1.0_224_qdq_s8"}) {
    const fs::path path = models / name / "model.onnx";
    if (!fs::exists(path)) continue;
    ++found;
    CAPTURE(name);
    // Their Softmax is float; it is quantized again before it leaves.
    check_everywhere([&](const SessionOptions& o) { return Session::load(path.string(), o); }, 7, nullptr);
  }
  if (!found) MESSAGE("skipped: no ", models.string());
}
