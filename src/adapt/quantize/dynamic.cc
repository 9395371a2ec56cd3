#include "adapt/quantize/dynamic.h"

#include <algorithm>

#include "adapt/observe.h"
#include "adapt/quantize/make_weight.h"
#include "adapt/quantize/plan.h"
#include "passes/edit.h"

namespace skiff::adapt {

void quantize_dynamically(Model& m, const QuantizeOptions& o, Report& report) {
  Graph& g = m.graph;
  auto opset = static_cast<int>(m.opset(""));
  // The same decisions as for static integers, of which the matrix products are taken.
  Plan plan = make_plan(g, o);
  Patch p(g);
  std::unordered_map<ValueId, std::vector<ValueId>> made;  // activation -> integers, scale, zero point
  for (const Layer& l : plan.layers) {
    if (l.role != QuantRole::kProduct) continue;
    const Node& n = g.node(l.node);
    LayerReport r;
    r.name = n.name;
    r.op = n.op;
    r.precision = "float";
    const Tensor* w = passes::constant_of(g, n.input(1));
    if (!l.quantized() || !w || (n.op != "MatMul" && n.op != "Gemm") || w->rank() != 2) {
      r.reason = !l.reason.empty()  ? l.reason
                 : n.op == "MatMul" ? "both operands are activations"
                                    : "convolutions gain from static scales only (mode static)";
      report.layers.push_back(std::move(r));
      continue;
    }
    // MatMulInteger takes [K, N].
    Tensor kn = *w;
    if (n.op == "Gemm" && n.attr_i("transB", 0)) kn = passes::permuted(*w, {1, 0});
    WeightSpec spec;
    spec.channel_axis = o.per_channel ? 1 : -1;
    spec.search = o.weight_method == "mse";
    QuantizedWeight q = quantize_weight(kn, spec);
    std::vector<float> back = dequantize(q);
    Sqnr sqnr;
    sqnr.add(kn, Tensor::from(std::span<const float>(back), kn.dims()));
    r.weight_sqnr = sqnr.db();
    r.precision = "dynamic int8";
    const std::string &name = g.value(n.inputs[1]).name, &out = g.value(n.outputs[0]).name;
    std::vector<ValueId>& x = made[n.inputs[0]];
    if (x.empty()) {
      Node d;
      d.op = "DynamicQuantizeLinear";
      d.opset = opset;
      d.inputs = {n.inputs[0]};
      x = p.add(std::move(d), 3, g.value(n.inputs[0]).name + "_dynamic");
    }
    ValueId product = p.op("", "MatMulInteger", opset,
                           {x[0], p.constant(name + "_quantized", q.values), x[2]}, {}, out + "_int32");
    ValueId real = p.op("", "Cast", opset, {product}, {Attribute("to", static_cast<int64_t>(DType::kFloat))},
                        out + "_sums");
    ValueId scale = p.op("", "Mul", opset, {x[1], p.constant(name + "_scale", q.scale)}, {}, out + "_scale");
    ValueId y = p.op("", "Mul", opset, {real, scale}, {}, out + "_product");
    if (n.input(2) != kNoValue) y = p.op("", "Add", opset, {y, n.inputs[2]}, {}, out);
    p.replace(n.outputs[0], y);
    p.remove(l.node);
    report.layers.push_back(std::move(r));
  }
  if (p.empty()) {
    report.notes.push_back("no matrix product with constant weights; nothing was quantized");
    return;
  }
  p.apply();
  refresh(m);
  passes::remove_unused(g);
}

}  // namespace skiff::adapt
