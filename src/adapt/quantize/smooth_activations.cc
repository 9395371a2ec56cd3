#include <algorithm>
#include <cmath>

#include "adapt/quantize/channel_stats.h"
#include "adapt/quantize/hessian.h"
#include "adapt/quantize/transforms.h"
#include "passes/edit.h"

namespace skiff::adapt {

namespace {
std::vector<NodeId> matrix_products(const Graph& g) {
  std::vector<NodeId> list;
  for (NodeId id : g.order()) {
    const Node& n = g.node(id);
    const Tensor* w = passes::constant_of(g, n.input(1));
    if ((n.is("MatMul") || (n.is("Gemm") && n.attr_i("transA", 0) == 0)) && w && w->rank() == 2 &&
        w->dtype() == DType::kFloat && !passes::constant_of(g, n.inputs[0]))
      list.push_back(id);
  }
  return list;
}
constexpr size_t kSamples = 64;
}  // namespace

void smooth_activations(Model& m, const QuantizeOptions& o, const Callbacks& call, Report& report) {
  Graph& g = m.graph;
  std::vector<NodeId> list = matrix_products(g);
  auto stats =
      collect_channel_stats(m, list, o, std::min(kSamples, static_cast<size_t>(o.max_samples)), call);
  Patch p(g);
  int done = 0;
  for (NodeId id : list) {
    const Node& n = g.node(id);
    WeightRows rows = weight_rows(g, n);
    auto it = stats.find(id);
    if (it == stats.end() || static_cast<int64_t>(it->second.largest.size()) != rows.depth) continue;
    std::vector<float> w = floats_of(g, n.inputs[1]), s(static_cast<size_t>(rows.depth)), inverse(s);
    for (int64_t k = 0; k < rows.depth; ++k) {
      float top = 0;
      for (int64_t r = 0; r < rows.outputs; ++r)
        top = std::max(top, std::fabs(w[static_cast<size_t>(r * rows.output_step + k * rows.depth_step)]));
      float x = it->second.largest[static_cast<size_t>(k)];
      auto alpha = static_cast<float>(o.smooth);
      float f = x > 0 && top > 0 ? std::pow(x, alpha) / std::pow(top, 1 - alpha) : 1;
      s[static_cast<size_t>(k)] = std::clamp(f, 1e-4f, 1e4f);
    }
    for (int64_t k = 0; k < rows.depth; ++k) {
      auto c = static_cast<size_t>(k);
      inverse[c] = 1 / s[c];
      for (int64_t r = 0; r < rows.outputs; ++r)
        w[static_cast<size_t>(r * rows.output_step + k * rows.depth_step)] *= s[c];
    }
    ValueId f = p.constant(n.name + "_smooth", Tensor::from(std::span<const float>(inverse), {rows.depth}));
    ValueId x = p.op("", "Mul", n.opset, {n.inputs[0], f}, {}, n.name + "_smoothed");
    p.set_input(id, 0, x);
    p.set_input(id, 1,
                p.constant(g.value(n.inputs[1]).name,
                           Tensor::from(std::span<const float>(w), g.value(n.inputs[1]).constant.dims())));
    ++done;
  }
  if (!p.empty()) p.apply();
  refresh(m);
  report.notes.push_back(cat(done, " matrix products smoothed"));
}

std::vector<std::string> split_outliers(Model& m, const QuantizeOptions& o, const Callbacks& call,
                                        Report& report) {
  Graph& g = m.graph;
  std::vector<NodeId> list = matrix_products(g);
  auto stats =
      collect_channel_stats(m, list, o, std::min(kSamples, static_cast<size_t>(o.max_samples)), call);
  Patch p(g);
  std::vector<std::string> names;
  for (NodeId id : list) {
    const Node& n = g.node(id);
    WeightRows rows = weight_rows(g, n);
    auto it = stats.find(id);
    auto count = static_cast<int64_t>(o.outliers * static_cast<double>(rows.depth));
    if (it == stats.end() || static_cast<int64_t>(it->second.largest.size()) != rows.depth || count < 1)
      continue;
    std::vector<int64_t> order(static_cast<size_t>(rows.depth));
    for (int64_t k = 0; k < rows.depth; ++k) order[static_cast<size_t>(k)] = k;
    std::stable_sort(order.begin(), order.end(), [&](int64_t a, int64_t b) {
      return it->second.largest[static_cast<size_t>(a)] > it->second.largest[static_cast<size_t>(b)];
    });
    order.resize(static_cast<size_t>(count));
    std::sort(order.begin(), order.end());
    std::vector<float> w = floats_of(g, n.inputs[1]), mask(static_cast<size_t>(rows.depth), 1),
                       apart(static_cast<size_t>(count * rows.outputs));
    for (int64_t i = 0; i < count; ++i) {
      int64_t k = order[static_cast<size_t>(i)];
      mask[static_cast<size_t>(k)] = 0;
      for (int64_t r = 0; r < rows.outputs; ++r) {
        float& e = w[static_cast<size_t>(r * rows.output_step + k * rows.depth_step)];
        apart[static_cast<size_t>(i * rows.outputs + r)] = e;
        e = 0;
      }
    }
    auto keep = [&](const char* what, const std::vector<float>& v, Dims d) {
      return p.constant(cat(n.name, "_", what), Tensor::from(std::span<const float>(v), std::move(d)));
    };
    ValueId x = n.inputs[0], y = n.outputs[0];
    ValueId rest = p.op("", "Mul", n.opset, {x, keep("mask", mask, {rows.depth})}, {}, n.name + "_rest");
    ValueId index = p.constant(n.name + "_outliers", Tensor::from(std::span<const int64_t>(order)));
    ValueId some =
        p.op("", "Gather", n.opset, {x, index}, {Attribute("axis", int64_t{-1})}, n.name + "_outlier_inputs");
    Node mm;
    mm.op = "MatMul";
    mm.opset = n.opset;
    mm.name = n.name + "_in_float";
    mm.inputs = {some, keep("outlier_weights", apart, {count, rows.outputs})};
    names.push_back(mm.name);
    ValueId beside = p.add(std::move(mm), 1, n.name + "_outlier_product")[0];
    // The product itself goes on with what is left; its users read the sum.
    Node main = n;
    main.inputs[0] = rest;
    main.inputs[1] =
        p.constant(g.value(n.inputs[1]).name,
                   Tensor::from(std::span<const float>(w), g.value(n.inputs[1]).constant.dims()));
    ValueId inner = p.add(std::move(main), 1, g.value(y).name + "_main")[0];
    Node add;
    add.op = "Add";
    add.opset = n.opset;
    add.name = n.name + "_join";
    add.inputs = {inner, beside};
    names.push_back(add.name);
    p.replace(y, p.add(std::move(add), 1, g.value(y).name)[0]);
    p.remove(id);
  }
  if (!p.empty()) p.apply();
  refresh(m);
  passes::remove_unused(g);
  report.notes.push_back(
      cat(names.size() / 2, " matrix products keep their largest input channels in float"));
  return names;
}

}  // namespace skiff::adapt
