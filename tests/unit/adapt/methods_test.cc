#include <unistd.h>

#include <algorithm>
#include <cstdio>
#include <fstream>

#include "adapt/quantize/rounding.h"
#include "adapt/quantize/speed.h"
#include "support.h"
#include "unit/adapt/error_text.h"

using namespace skiff;
using namespace skiff::adapt;

namespace {
const Dims kPicture{1, 3, 12, 12};

Quantized run(const Model& m, const char* options, const Dims& dims, size_t samples = 16) {
  return quantize(m, parse_quantize_options(options), samples_of(samples, dims));
}

// Two matrix products with Relu; input channel 3 is far larger than the others when `skewed`.
Model mlp(bool skewed) {
  ModelMaker b;
  ValueId x = b.input("x", {4, 64});
  if (skewed) {
    Tensor s(DType::kFloat, {64});
    for (int i = 0; i < 64; ++i) s.data<float>()[i] = i == 3 ? 60.0f : 1.0f;
    x = b.op("Mul", {x, b.constant("gain", s)}, "gained");
  }
  Tensor w = noise({64, 48}, 1, 0.2f);
  if (skewed)
    for (int i = 0; i < 48; ++i) w.data<float>()[3 * 48 + i] /= 60;
  ValueId y = b.op("MatMul", {x, b.constant("w1", w)}, "p1");
  y = b.op("Relu", {b.op("Add", {y, b.constant("b1", noise({48}, 2, 0.3f))}, "a1")}, "r1");
  y = b.op("MatMul", {y, b.constant("w2", noise({48, 20}, 3, 0.2f))}, "p2");
  return b.done(b.op("Add", {y, b.constant("b2", noise({20}, 4, 0.3f))}, "y"));
}
}  // namespace

TEST_CASE("rounding by second moments beats rounding to nearest at 4 bits") {
  // Inputs with much in common, as activations have: there the errors of several weights can make up for each
  // other.
  ModelMaker maker;
  ValueId x = maker.op("Abs", {maker.input("x", {8, 64})}, "positive");
  Model m = maker.done(maker.op("Gemm", {x, maker.constant("w", noise({64, 24}, 1, 0.2f))}, "y"));
  auto with = [&](const char* method) {
    std::string o = cat("{\"weight_bits\": 4, \"bias_correction\": false, \"weight_method\": \"", method, "\"}");
    return sqnr_between(m, run(m, o.c_str(), {8, 64}, 64).model, {8, 64});
  };
  double nearest = with("mse"), gptq = with("gptq"), ada = with("adaround");
  CAPTURE(nearest);
  CHECK(gptq > nearest + 1);
  CHECK(ada > nearest + 1);
}

TEST_CASE("adaptive rounding never raises the error it minimizes") {
  Tensor w = noise({6, 12}, 5), x = noise({40, 12}, 6);
  WeightRows rows{6, 12, 12, 1, 1};
  Hessian h{12, 1, 40, std::vector<float>(144, 0)};
  for (int r = 0; r < 40; ++r)
    for (int i = 0; i < 12; ++i)
      for (int j = 0; j < 12; ++j)
        h.values[static_cast<size_t>(i * 12 + j)] +=
            x.data<float>()[r * 12 + i] * x.data<float>()[r * 12 + j];
  WeightSpec spec;
  spec.bits = 4;
  spec.channel_axis = 0;
  Grid grid(w.dims(), spec);
  std::vector<float> v = to_floats(w);
  Scales s = choose_scales(v, grid, spec);
  auto error = [&](const std::vector<int8_t>& q) {
    double sum = 0;
    for (int o = 0; o < 6; ++o)
      for (int r = 0; r < 40; ++r) {
        double d = 0;
        for (int k = 0; k < 12; ++k) {
          auto e = static_cast<size_t>(o * 12 + k);
          d += (q[e] * s.scale[static_cast<size_t>(o)] - v[e]) * x.data<float>()[r * 12 + k];
        }
        sum += d * d;
      }
    return sum;
  };
  double nearest = error(round_to_nearest(v, grid, s)), best = error(round_adaptively(v, grid, s, rows, h));
  CHECK(best < nearest * 0.9);
}

TEST_CASE("equalization keeps the function and mends channels of unequal range") {
  ModelMaker b;
  ValueId x = b.input("x", {1, 4, 8, 8});
  Tensor w1 = noise({8, 4, 3, 3}, 1, 0.3f), b1 = noise({8}, 2, 0.1f), w2 = noise({6, 8, 1, 1}, 3, 0.5f);
  for (int c = 0; c < 8; ++c) {
    float f = std::ldexp(1.0f, c - 4);
    for (int k = 0; k < 36; ++k) w1.data<float>()[c * 36 + k] *= f;
    b1.data<float>()[c] *= f;
    for (int o = 0; o < 6; ++o) w2.data<float>()[o * 8 + c] /= f;
  }
  ValueId y = b.op("Conv", {x, b.constant("w1", w1), b.constant("b1", b1)}, "c1");
  y = b.op("Relu", {y}, "r");
  y = b.op("Conv", {y, b.constant("w2", w2)}, "c2");
  Model m = b.done(y);
  const Dims d{1, 4, 8, 8};
  double plain = sqnr_between(m, run(m, R"({"per_channel": false})", d).model, d);
  Quantized q = run(m, R"({"per_channel": false, "equalize": true})", d);
  CHECK(q.report.notes.at(0) == "1 pairs of layers equalized");
  CHECK(sqnr_between(m, q.model, d) > plain + 6);
}

TEST_CASE("smoothing and splitting help where one input channel drowns the others") {
  Model m = mlp(true);
  double plain = sqnr_between(m, run(m, "", {4, 64}).model, {4, 64});
  CHECK(sqnr_between(m, run(m, R"({"smooth": 0.5})", {4, 64}).model, {4, 64}) > plain + 3);
  CHECK(sqnr_between(m, run(m, R"({"outliers": 0.02})", {4, 64}).model, {4, 64}) > plain + 3);
}

TEST_CASE("bias correction takes out the mean error of coarse weights") {
  // All-positive inputs: errors of the weights do not cancel.
  ModelMaker b;
  ValueId x = b.op("Abs", {b.input("x", {2, 256})}, "positive");
  Model m = b.done(
      b.op("Gemm", {x, b.constant("w", noise({256, 10}, 1, 0.1f)), b.constant("b", noise({10}, 2))}, "y"));
  const char* rtn = R"({"weight_bits": 4, "weight_method": "rtn", "bias_correction": false})";
  double plain = sqnr_between(m, run(m, rtn, {2, 256}).model, {2, 256});
  double mended = sqnr_between(
      m, run(m, R"({"weight_bits": 4, "weight_method": "rtn", "bias_correction": true})", {2, 256}).model,
      {2, 256});
  CHECK(mended > plain + 1);
}

TEST_CASE("weight-only: blocks behind DequantizeLinear, or MatMulNBits") {
  Model m = mlp(false);
  Quantized q = quantize(m, parse_quantize_options(R"({"mode": "weights", "weight_bits": 4})"), {});
  CHECK(q.model.opset("") == 21);
  CHECK(count_ops(q.model.graph, "QuantizeLinear") == 0);
  CHECK(sqnr_between(m, q.model, {4, 64}) > 15);
  for (NodeId id : q.model.graph.order()) {
    const Node& n = q.model.graph.node(id);
    if (n.op != "DequantizeLinear") continue;
    CHECK(n.attr_i("block_size", 0) == 32);
    CHECK(q.model.graph.value(n.inputs[0]).constant.dtype() == DType::kUint4);
  }
  Quantized nbits = quantize(
      m, parse_quantize_options(R"({"mode": "weights", "weight_bits": 4, "format": "qoperator"})"), {});
  CHECK(count_ops(nbits.model.graph, "MatMulNBits") == 2);
  // The same integers in another layout.
  CHECK(sqnr_between(q.model, nbits.model, {4, 64}) > 80);
  Quantized eight = quantize(m, parse_quantize_options(R"({"mode": "weights"})"), {});
  CHECK(sqnr_between(m, eight.model, {4, 64}) > 38);
  CHECK(error_text([&] {
          quantize(m, parse_quantize_options(R"({"mode": "weights", "weight_method": "gptq"})"), {});
        }).find("needs samples") != std::string::npos);
}

TEST_CASE("dynamic quantization needs no samples") {
  Model m = mlp(false);
  Quantized q = quantize(m, parse_quantize_options(R"({"mode": "dynamic"})"), {});
  CHECK(count_ops(q.model.graph, "DynamicQuantizeLinear") == 2);
  CHECK(count_ops(q.model.graph, "MatMulInteger") == 2);
  CHECK(sqnr_between(m, q.model, {4, 64}) > 25);
}

TEST_CASE("16-bit floats keep the outside and leave out what overflows") {
  Model m = small_net();
  Quantized q = run(m, R"({"mode": "float16"})", kPicture);
  CHECK(q.model.graph.value(q.model.graph.outputs()[0]).type.dtype == DType::kFloat);
  CHECK(layer(q.report, "c1_node")->precision == "float16");
  CHECK(sqnr_between(m, q.model, kPicture) > 40);
  ModelMaker b;
  ValueId x = b.input("x", {4, 8});
  ValueId y = b.op("MatMul", {x, b.constant("w", noise({8, 8}, 1))}, "p");
  // Abs in between: scales would go into the weights before them.
  y = b.op("Mul", {b.op("Abs", {y}, "abs1"), b.constant("big", Tensor::scalar(1e5f))}, "huge");
  y = b.op("Abs", {y}, "abs2");
  y = b.op("Mul", {y, b.constant("small", Tensor::scalar(1e-5f))}, "back");
  Model wide = b.done(b.op("MatMul", {y, b.constant("w2", noise({8, 8}, 2))}, "y"));
  Quantized half = run(wide, R"({"mode": "float16"})", {4, 8});
  CHECK(layer(half.report, "huge_node")->precision == "float");
  CHECK(layer(half.report, "huge_node")->reason.find("beyond float16") != std::string::npos);
  CHECK(layer(half.report, "y_node")->precision == "float16");
  CHECK(sqnr_between(wide, half.model, {4, 8}) > 40);
}

TEST_CASE("operator form computes what QDQ computes") {
  Model m = small_net();
  Quantized qdq = run(m, "", kPicture), op = run(m, R"({"format": "qoperator"})", kPicture);
  CHECK(count_ops(op.model.graph, "QLinearConv") == 4);
  CHECK(count_ops(op.model.graph, "QGemm") == 1);
  CHECK(count_ops(op.model.graph, "QLinearAdd") == 1);
  CHECK(count_ops(op.model.graph, "Conv") == 0);
  CHECK(sqnr_between(qdq.model, op.model, kPicture) > 30);
  CHECK(sqnr_between(m, op.model, kPicture) > 25);
}

TEST_CASE("a budget raises as few layers as it needs, and a search goes on from its cache") {
  Model m = small_net();
  double all8 = *run(m, "", kPicture).report.sqnr;
  std::string path = cat("/tmp/skiff_adapt_cache_", static_cast<long>(getpid()));
  std::string options = cat("{\"min_sqnr\": ", all8 + 3, ", \"cache\": \"", path, "\"}");
  Quantized q = run(m, options.c_str(), kPicture);
  CHECK(*q.report.sqnr >= all8 + 3);
  int kept = 0, raised = 0;
  for (const LayerReport& l : q.report.layers) {
    if (l.op != "Conv" && l.op != "Gemm") continue;
    (l.precision == "int8" ? kept : raised) += 1;
    CHECK(l.sensitivity.has_value());
  }
  CHECK(kept > 0);
  CHECK(raised > 0);
  std::ifstream in(path);
  std::string first((std::istreambuf_iterator<char>(in)), {});
  CHECK(std::count(first.begin(), first.end(), '\n') >= 5);
  Quantized again = run(m, options.c_str(), kPicture);
  std::ifstream in2(path);
  std::string second((std::istreambuf_iterator<char>(in2)), {});
  CHECK(second == first);  // nothing was measured twice
  CHECK(*again.report.sqnr == *q.report.sqnr);
  std::remove(path.c_str());

  // A score of the caller's: here minus the largest difference.
  Callbacks c = samples_of(16, kPicture);
  int calls = 0;
  c.score = [&](std::unique_ptr<runtime::Session> s) {
    ++calls;
    auto want = open(small_net(), {});
    std::vector<Datum> x{noise(kPicture, 77)};
    std::vector<float> a = to_floats(want->run(x)[0].tensor()), b = to_floats(s->run(x)[0].tensor());
    double worst = 0;
    for (size_t i = 0; i < a.size(); ++i) worst = std::max<double>(worst, std::fabs(a[i] - b[i]));
    return -worst;
  };
  Quantized free = quantize(m, parse_quantize_options(R"({"max_drop": 1000})"), c);
  CHECK(calls == 2);  // float and int8: it holds at once
  CHECK(layer(free.report, "c3_node")->precision == "int8");
  Quantized strict =
      quantize(m, parse_quantize_options(R"({"max_drop": 0, "precisions": ["int8", "float"]})"), c);
  for (const LayerReport& l : strict.report.layers) CHECK(l.precision == "float");
  Quantized four =
      quantize(m, parse_quantize_options(R"({"max_drop": 1000, "precisions": ["int4", "int8"]})"), c);
  CHECK(layer(four.report, "c3_node")->precision == "int4");
  CHECK(error_text([&] { run(m, R"({"max_drop": 0.1})", kPicture); }).find("needs a score") !=
        std::string::npos);
}

TEST_CASE("regions are judged against their float form, by clock or by table") {
  Model m = small_net();
  Quantized q = run(m, R"({"speed_check": "on"})", kPicture);
  REQUIRE(q.report.regions.size() == 1);
  const RegionReport& r = q.report.regions[0];
  CHECK(r.first == "c0_node");
  CHECK(r.float_ns > 0);
  CHECK(r.quantized_ns > 0);
  CHECK(r.reverted == (r.quantized_ns >= r.float_ns));
  CHECK((layer(q.report, "c0_node")->precision == "float") == r.reverted);
  CHECK(run(m, R"({"target": "amx", "speed_check": "on"})", kPicture).report.regions.at(0).how ==
        "cost table amx");
  CHECK(integer_advantage("avx512_vnni") > integer_advantage("avx2"));
  CHECK(error_text([&] { run(m, R"({"target": "z80"})", kPicture); }).find("avx512_vnni") !=
        std::string::npos);
}

TEST_CASE("the page holds what the report holds and nothing from outside") {
  Quantized q = run(small_net(), R"({"exclude": ["c3_node"]})", kPicture);
  std::string page = q.report.html(), json = q.report.json();
  for (const LayerReport& l : q.report.layers) CHECK(page.find(l.name) != std::string::npos);
  CHECK(page.find("<svg") != std::string::npos);
  CHECK(page.find("excluded by the caller") != std::string::npos);
  CHECK(page.find("src=") == std::string::npos);
  CHECK(page.find("http") == std::string::npos);
  CHECK(json.find("\"output_sqnr_db\"") != std::string::npos);
}
