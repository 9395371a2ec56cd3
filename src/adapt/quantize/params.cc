#include "adapt/quantize/params.h"

#include <algorithm>
#include <cmath>
#include <numeric>

#include "adapt/quantize/range.h"
#include "ops/quantize.h"
#include "passes/edit.h"

namespace skiff::adapt {

double Params::lowest() const { return (static_cast<double>(quant::range_of(dtype).lo) - zero) * scale; }
double Params::highest() const { return (static_cast<double>(quant::range_of(dtype).hi) - zero) * scale; }

Params params_of(double lo, double hi, int bits, bool symmetric, bool power_of_two) {
  Params p;
  lo = std::min(lo, 0.0);
  hi = std::max(hi, 0.0);
  double levels = std::ldexp(1.0, bits);
  auto settle = [&](double scale) {
    if (!(scale > 1e-30)) scale = 1;
    if (power_of_two) scale = std::exp2(std::ceil(std::log2(scale) - 1e-9));
    return static_cast<float>(scale);
  };
  if (symmetric) {
    p.dtype = bits == 16 ? DType::kInt16 : DType::kInt8;
    p.scale = settle(std::max(-lo, hi) / (levels / 2 - 1));
    return p;
  }
  p.dtype = bits == 16 ? DType::kUint16 : DType::kUint8;
  p.scale = settle((hi - lo) / (levels - 1));
  p.zero = static_cast<int32_t>(std::clamp(std::nearbyint(-lo / p.scale), 0.0, levels - 1));
  return p;
}

std::vector<ValueId> quantized_tensors(const Plan& plan) {
  std::vector<ValueId> list;
  for (size_t i = 0; i < plan.quantized.size(); ++i)
    if (plan.quantized[i]) list.push_back(static_cast<ValueId>(i));
  return list;
}

std::vector<Params> choose_params(const Graph& g, const Plan& plan, const Histograms& seen,
                                  const QuantizeOptions& o) {
  size_t n = g.value_slots();
  std::vector<ValueId> root(n);
  std::iota(root.begin(), root.end(), 0);
  auto find = [&](ValueId v) {
    while (root[static_cast<size_t>(v)] != v) v = root[static_cast<size_t>(v)];
    return v;
  };
  for (NodeId id : g.order()) {
    const Layer& l = plan.of(id);
    if (!l.quantized() || l.role != QuantRole::kMoves) continue;
    for (ValueId out : g.node(id).outputs)
      if (out != kNoValue) root[static_cast<size_t>(out)] = find(g.node(id).inputs[0]);
  }
  RangeMethod method = range_method(o.calibration);
  std::vector<Range> range(n);
  std::vector<uint8_t> bits(plan.bits);
  for (size_t i = 0; i < n; ++i) {
    auto v = static_cast<ValueId>(i);
    if (!plan.quantized[i]) continue;
    auto r = static_cast<size_t>(find(v));
    bits[r] = std::max(bits[r], plan.bits[i]);
    auto it = seen.find(v);
    if (static_cast<ValueId>(r) != v) continue;
    check(it != seen.end(), Code::kInternal, "tensor '", g.value(v).name, "' was not seen in calibration");
    RangeOptions ro{1 << bits[i], o.symmetric, o.percentile};
    range[i] = method(it->second, ro);
  }
  auto extent = [&](ValueId v) {
    const Range& r = range[static_cast<size_t>(v)];
    return std::max(r.hi, 0.0) - std::min(r.lo, 0.0);
  };
  for (NodeId id : g.order()) {
    const Layer& l = plan.of(id);
    const Node& node = g.node(id);
    if (!l.quantized() || l.role != QuantRole::kJoins || !plan.is_quantized(node.outputs[0])) continue;
    ValueId to = find(node.outputs[0]);
    double least = extent(to), most = least;
    for (ValueId v : node.inputs)
      least = std::min(least, extent(find(v))), most = std::max(most, extent(find(v)));
    if (most > 2 * least) continue;
    for (ValueId v : node.inputs) {
      ValueId from = find(v);
      if (from == to) continue;
      Range &a = range[static_cast<size_t>(to)], b = range[static_cast<size_t>(from)];
      a = {std::min(a.lo, b.lo), std::max(a.hi, b.hi)};
      bits[static_cast<size_t>(to)] =
          std::max(bits[static_cast<size_t>(to)], bits[static_cast<size_t>(from)]);
      root[static_cast<size_t>(from)] = to;
    }
  }
  std::vector<Params> params(n);
  for (size_t i = 0; i < n; ++i) {
    if (!plan.quantized[i]) continue;
    auto r = static_cast<size_t>(find(static_cast<ValueId>(i)));
    params[i] = params_of(range[r].lo, range[r].hi, bits[r], o.symmetric, o.power_of_two);
  }
  return params;
}

}  // namespace skiff::adapt
