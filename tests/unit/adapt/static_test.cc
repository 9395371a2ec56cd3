#include "adapt/quantize/static_quantizer.h"
#include "support.h"
#include "unit/adapt/error_text.h"

using namespace skiff;
using namespace skiff::adapt;

namespace {
const Dims kPicture{1, 3, 12, 12};

Quantized run(const char* options, size_t samples = 8) {
  return quantize(small_net(), parse_quantize_options(options), samples_of(samples, kPicture));
}
}  // namespace

TEST_CASE("a small net becomes integers, with clamps and normalizations inside") {
  Quantized q = run("");
  const Graph& g = q.model.graph;
  CHECK(count_ops(g, "BatchNormalization") == 0);
  CHECK(count_ops(g, "Relu") == 0);
  CHECK(count_ops(g, "Clip") == 0);  // the range seen stays below 6
  CHECK(q.model.opset("") == 17);
  for (NodeId id : g.order()) {
    const Node& n = g.node(id);
    if (n.op != "Conv" && n.op != "Gemm") continue;
    for (ValueId v : n.inputs) {
      const Node& dq = g.node(g.value(v).producer);
      CHECK(dq.op == "DequantizeLinear");
      CHECK(g.value(dq.inputs[1]).constant.dtype() == DType::kFloat);
    }
    const Node& w = g.node(g.value(n.inputs[1]).producer);
    CHECK(g.value(w.inputs[0]).constant.dtype() == DType::kInt8);
    CHECK(g.value(w.inputs[1]).constant.size() ==
          g.value(n.inputs[1]).type.shape[n.op == "Gemm" ? 1 : 0].value());
    if (n.input(2) == kNoValue) continue;
    // The bias has the scale of activation times weight.
    const Node &x = g.node(g.value(n.inputs[0]).producer), &b = g.node(g.value(n.inputs[2]).producer);
    CHECK(g.value(b.inputs[0]).constant.dtype() == DType::kInt32);
    float sx = to_floats(g.value(x.inputs[1]).constant)[0], sw = to_floats(g.value(w.inputs[1]).constant)[0];
    CHECK(to_floats(g.value(b.inputs[1]).constant)[0] == sx * sw);
  }
  // The last product gives its sums as floats; nothing else is left between.
  CHECK(g.node(g.value(g.outputs()[0]).producer).op == "Gemm");
  CHECK(sqnr_between(small_net(), q.model, kPicture) > 25);
  CHECK(layer(q.report, "c1_node")->precision == "int8");
  CHECK(*layer(q.report, "c1_node")->weight_sqnr > 35);
  CHECK(layer(q.report, "sum_node")->output_sqnr.has_value());
  CHECK(q.report.samples == 8);
}

TEST_CASE("a pool shares the scale of what it pools") {
  Model base = small_net();
  Quantized q = run("");
  const Graph& g = q.model.graph;
  for (NodeId id : g.order()) {
    const Node& n = g.node(id);
    if (n.op != "MaxPool") continue;
    const Node& before = g.node(g.value(n.inputs[0]).producer);
    const Node& after = g.node(g.value(n.outputs[0]).uses.at(0).node);
    CHECK(after.op == "QuantizeLinear");
    CHECK(identical(g.value(before.inputs[1]).constant, g.value(after.inputs[1]).constant));
    CHECK(identical(g.value(before.inputs[2]).constant, g.value(after.inputs[2]).constant));
  }
}

TEST_CASE("every calibration method gives a usable model, and they differ") {
  std::vector<double> db;
  for (const char* method : {"minmax", "average", "percentile", "entropy", "mse"}) {
    Quantized q = run(cat("{\"calibration\": \"", method, "\", \"percentile\": 99.9}").c_str());
    db.push_back(sqnr_between(small_net(), q.model, kPicture));
    CAPTURE(method);
    CHECK(db.back() > 12);
  }
  CHECK(db[0] != db[1]);
  CHECK(db[0] != db[2]);
}

TEST_CASE("more bits err less, fewer more") {
  double eight = sqnr_between(small_net(), run("").model, kPicture);
  Quantized wide = run("{\"activation_bits\": 16}"), narrow = run("{\"weight_bits\": 4}");
  CHECK(wide.model.opset("") == 21);
  CHECK(sqnr_between(small_net(), wide.model, kPicture) > eight);
  double four = sqnr_between(small_net(), narrow.model, kPicture);
  CHECK(four < eight);
  CHECK(four > 8);
  CHECK(layer(narrow.report, "c3_node")->precision == "int4");
  bool int4 = false;
  for (size_t i = 0; i < narrow.model.graph.value_slots(); ++i) {
    const Value& v = narrow.model.graph.value(static_cast<ValueId>(i));
    int4 = int4 || (!v.dead && v.constant.defined() && v.constant.dtype() == DType::kInt4);
  }
  CHECK(int4);
}

TEST_CASE("scales that are powers of two, symmetric activations, one scale a weight") {
  Quantized q = run("{\"power_of_two\": true, \"symmetric\": true, \"per_channel\": false}");
  const Graph& g = q.model.graph;
  int scales = 0;
  for (NodeId id : g.order()) {
    const Node& n = g.node(id);
    if (n.op != "QuantizeLinear" && n.op != "DequantizeLinear") continue;
    const Tensor& s = g.value(n.inputs[1]).constant;
    CHECK(s.size() == 1);
    int e = 0;
    CHECK(std::frexp(to_floats(s)[0], &e) == 0.5);
    ++scales;
    if (n.op != "QuantizeLinear") continue;
    CHECK(g.value(n.inputs[2]).constant.dtype() == DType::kInt8);
    CHECK(get_int(g.value(n.inputs[2]).constant, 0) == 0);
  }
  CHECK(scales > 10);
  CHECK(sqnr_between(small_net(), q.model, kPicture) > 15);
}

TEST_CASE("excluded nodes stay in float and say so") {
  Quantized q = run("{\"exclude\": [\"c3_node\", \"op:Gemm\"]}");
  CHECK(layer(q.report, "c3_node")->precision == "float");
  CHECK(layer(q.report, "c3_node")->reason == "excluded by the caller");
  CHECK(layer(q.report, "logits_node")->precision == "float");
  CHECK(layer(q.report, "c0_node")->precision == "int8");
  for (NodeId id : q.model.graph.order())
    if (q.model.graph.node(id).name == "c3_node")
      CHECK(q.model.graph.value(q.model.graph.node(id).inputs[1]).constant.dtype() == DType::kFloat);
}

TEST_CASE("bad samples are refused by name") {
  auto with = [](std::function<bool(size_t, std::vector<Datum>&)> f) {
    Callbacks c;
    c.sample = std::move(f);
    return error_text([&] { quantize(small_net(), QuantizeOptions(), c); });
  };
  CHECK(error_text([&] { quantize(small_net(), QuantizeOptions(), {}); }).find("needs samples") !=
        std::string::npos);
  CHECK(with([](size_t, auto&) { return false; }).find("needs samples") != std::string::npos);
  CHECK(with([](size_t i, std::vector<Datum>& in) {
          Tensor t = noise({1, 3, 12, 12}, 1);
          if (i == 1) t.data<float>()[5] = NAN;
          in[0] = t;
          return i < 3;
        }).find("sample 1: input 'x' holds NaN") != std::string::npos);
  CHECK(with([](size_t i, std::vector<Datum>& in) {
          in[0] = noise({1, 4, 12, 12}, 1);
          return i < 3;
        }).find("x") != std::string::npos);
}

TEST_CASE("one sample, constant and zero activations, zero weights: usable, with a word of caution") {
  CHECK(run("", 1).report.notes.at(0).find("single sample") != std::string::npos);
  Callbacks zero;
  zero.sample = [](size_t i, std::vector<Datum>& in) {
    Tensor t(DType::kFloat, {1, 3, 12, 12});
    std::fill_n(t.data<float>(), t.size(), i == 0 ? 0.0f : 0.25f);
    in[0] = t;
    return i < 2;
  };
  Quantized q = quantize(small_net(), QuantizeOptions(), zero);
  for (float f : to_floats(open(q.model, {})->run(std::vector<Datum>{noise({1, 3, 12, 12}, 5)})[0].tensor()))
    CHECK(std::isfinite(f));

  ModelMaker b;
  ValueId x = b.input("x", {1, 2, 6, 6});
  Tensor w = noise({4, 2, 3, 3}, 1);
  std::fill_n(w.data<float>() + 18, 18, 0.0f);  // channel 1
  ValueId y = b.op("Conv", {x, b.constant("w", w), b.constant("b", noise({4}, 2, 1e6f))}, "y");
  Model m = b.done(y);
  Quantized z = quantize(m, QuantizeOptions(), samples_of(4, {1, 2, 6, 6}));
  CHECK(sqnr_between(m, z.model, {1, 2, 6, 6}) > 25);  // a bias far larger than the products fits as well
}

TEST_CASE("activations that are not finite keep the nodes around them in float") {
  ModelMaker b;
  ValueId x = b.input("x", {1, 2, 6, 6});
  ValueId y = b.op("Conv", {x, b.constant("w", noise({2, 2, 3, 3}, 1))}, "c0");
  y = b.op("Log", {b.op("Abs", {b.op("Mul", {y, b.constant("z", Tensor::scalar(0.0f))}, "nil")}, "abs")},
           "log");
  y = b.op("Conv", {y, b.constant("w2", noise({2, 2, 1, 1}, 2))}, "c1");
  Quantized q = quantize(b.done(y), QuantizeOptions(), samples_of(3, {1, 2, 6, 6}));
  CHECK(layer(q.report, "c0_node")->precision == "int8");
  CHECK(layer(q.report, "c1_node")->precision == "float");
  CHECK(layer(q.report, "c1_node")->reason.find("NaN or infinities") != std::string::npos);
}

TEST_CASE("models that cannot be quantized") {
  Quantized q = run("");
  CHECK(error_text([&] {
          quantize(q.model, QuantizeOptions(), samples_of(2, kPicture));
        }).find("quantized already") != std::string::npos);
  ModelMaker b;
  ValueId x = b.m.graph.add_input("x", Type::tensor(DType::kDouble, SymShape(Dims{2, 2})));
  Model m = b.done(b.op("MatMul",
                        {x, b.constant("w",
                                       [] {
                                         Tensor t(DType::kDouble, {2, 2});
                                         std::fill_n(t.data<double>(), 4, 1.0);
                                         return t;
                                       }())},
                        "y"));
  Callbacks c;
  c.sample = [](size_t i, std::vector<Datum>& in) {
    Tensor t(DType::kDouble, {2, 2});
    std::fill_n(t.data<double>(), 4, 1.0);
    in[0] = t;
    return i < 2;
  };
  Quantized kept = quantize(m, QuantizeOptions(), c);
  CHECK(kept.report.notes.back().find("its elements are double") != std::string::npos);
}

TEST_CASE("options are checked") {
  CHECK(error_text([] { parse_quantize_options("{\"wieght_bits\": 4}"); }).find("'wieght_bits'") !=
        std::string::npos);
  CHECK(error_text([] { parse_quantize_options("{\"weight_bits\": 5}"); }).find("4 or 8") !=
        std::string::npos);
  CHECK(error_text([] { parse_quantize_options("{\"calibration\": \"best\"}"); }).find("entropy") !=
        std::string::npos);
  CHECK(error_text([] { parse_quantize_options("{\"mode\": 1"); }).find("not JSON") != std::string::npos);
  CHECK(parse_quantize_options("{\"threads\": 3}").session.threads == 3);
}
