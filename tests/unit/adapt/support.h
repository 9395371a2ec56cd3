// Small float models and data for the adaptation tests.
#pragma once
#include <doctest/doctest.h>

#include <cmath>
#include <random>

#include "adapt/quantize/quantize.h"
#include "ops/op.h"

namespace skiff::adapt {

// Deterministic values in [-1, 1).
inline Tensor noise(const Dims& dims, uint32_t seed, float scale = 1) {
  Tensor t(DType::kFloat, dims);
  std::mt19937 g(seed);
  for (int64_t i = 0; i < t.size(); ++i)
    t.data<float>()[i] = scale * (static_cast<float>(g() >> 8) / 8388608.0f - 1.0f);
  return t;
}

struct ModelMaker {
  Model m;
  explicit ModelMaker(int opset = 17) {
    m.ir_version = 8;
    m.opsets = {{"", opset}};
  }
  ValueId input(const char* name, const Dims& d) {
    return m.graph.add_input(name, Type::tensor(DType::kFloat, SymShape(d)));
  }
  ValueId constant(const char* name, Tensor t) { return m.graph.add_constant(name, std::move(t)); }
  ValueId op(const char* op, std::vector<ValueId> in, const char* out,
             std::vector<Attribute> attributes = {}) {
    Node n;
    n.op = op;
    n.name = std::string(out) + "_node";
    n.opset = static_cast<int>(m.opset(""));
    n.inputs = std::move(in);
    n.outputs = {m.graph.add_value(out)};
    n.attributes = std::move(attributes);
    ValueId v = n.outputs[0];
    m.graph.add_node(std::move(n));
    return v;
  }
  Model done(ValueId out) {
    m.graph.mark_output(out);
    return std::move(m);
  }
};

using Ints = Attribute::Ints;

// Conv 3x3 - BatchNormalization - Relu, depthwise conv - Clip(0, 6), residual Add, MaxPool,
// GlobalAveragePool, Gemm.
inline Model small_net() {
  ModelMaker b;
  ValueId x = b.input("x", {1, 3, 12, 12});
  ValueId y =
      b.op("Conv", {x, b.constant("w0", noise({8, 3, 3, 3}, 1, 0.4f))}, "c0", {{"pads", Ints{1, 1, 1, 1}}});
  Tensor scale = noise({8}, 2), mean = noise({8}, 3, 0.2f), var = noise({8}, 4), shift = noise({8}, 5, 0.3f);
  for (int i = 0; i < 8; ++i) scale.data<float>()[i] += 1.5f, var.data<float>()[i] += 1.5f;
  y = b.op("BatchNormalization",
           {y, b.constant("s", scale), b.constant("b", shift), b.constant("m", mean), b.constant("v", var)},
           "bn");
  ValueId r = b.op("Relu", {y}, "r0");
  y = b.op("Conv", {r, b.constant("w1", noise({8, 1, 3, 3}, 6, 0.6f)), b.constant("b1", noise({8}, 7))}, "c1",
           {{"pads", Ints{1, 1, 1, 1}}, {"group", int64_t{8}}});
  y = b.op("Clip", {y, b.constant("zero", Tensor::scalar(0.0f)), b.constant("six", Tensor::scalar(6.0f))},
           "r1");
  y = b.op("Conv", {y, b.constant("w2", noise({8, 8, 1, 1}, 8, 0.5f)), b.constant("b2", noise({8}, 9, 0.2f))},
           "c2");
  y = b.op("Add", {y, r}, "sum");
  y = b.op("MaxPool", {y}, "pool", {{"kernel_shape", Ints{2, 2}}, {"strides", Ints{2, 2}}});
  y = b.op("Conv", {y, b.constant("w3", noise({8, 8, 3, 3}, 10, 0.3f))}, "c3");
  y = b.op("GlobalAveragePool", {y}, "gap");
  y = b.op("Flatten", {y}, "flat");
  y = b.op("Gemm", {y, b.constant("wg", noise({8, 5}, 11)), b.constant("bg", noise({5}, 12))}, "logits");
  return b.done(y);
}

inline Callbacks samples_of(size_t count, Dims dims, float scale = 1) {
  Callbacks c;
  c.sample = [=](size_t i, std::vector<Datum>& in) {
    if (i >= count) return false;
    in[0] = noise(dims, static_cast<uint32_t>(100 + i), scale);
    return true;
  };
  return c;
}

inline int count_ops(const Graph& g, std::string_view op) {
  int n = 0;
  for (NodeId id : g.order()) n += g.node(id).op == op;
  return n;
}

inline const LayerReport* layer(const Report& r, std::string_view name) {
  for (const LayerReport& l : r.layers)
    if (l.name == name) return &l;
  return nullptr;
}

// Output SQNR of `got` against `want` on samples the calibration did not see, in dB.
inline double sqnr_between(const Model& want, const Model& got, const Dims& dims) {
  auto a = open(want, {}), b = open(got, {});
  double signal = 0, error = 0;
  for (uint32_t i = 0; i < 8; ++i) {
    std::vector<Datum> in{noise(dims, 900 + i)};
    std::vector<float> x = to_floats(a->run(in)[0].tensor()), y = to_floats(b->run(in)[0].tensor());
    for (size_t k = 0; k < x.size(); ++k) signal += x[k] * x[k], error += (x[k] - y[k]) * (x[k] - y[k]);
  }
  return 10 * std::log10(signal / std::max(error, 1e-30));
}

}  // namespace skiff::adapt
