#include "adapt/quantize/static_quantizer.h"

#include <algorithm>

#include "adapt/fidelity.h"
#include "adapt/observe.h"
#include "adapt/quantize/make_weight.h"
#include "passes/edit.h"

namespace skiff::adapt {

StaticQuantizer::StaticQuantizer(Model base, const QuantizeOptions& o, const Callbacks& call, Report& report)
    : base_(std::move(base)), o_(o) {
  Plan plan = make_plan(base_.graph, o_);
  std::vector<ValueId> tensors = quantized_tensors(plan);
  calibration_ = calibrate(base_, tensors, o_, call);
  report.samples = calibration_.samples;
  if (calibration_.samples == 1)
    report.notes.push_back("calibrated on a single sample: ranges of other inputs may be cut off; give more");
  leave_out_broken(report);
  std::vector<NodeId> products;
  for (const Layer& l : make_plan(base_.graph, o_).layers)
    if (l.quantized() && l.role == QuantRole::kProduct &&
        passes::constant_of(base_.graph, base_.graph.node(l.node).input(1)))
      products.push_back(l.node);
  constexpr size_t kEnough = 64;  // samples, for second moments and means
  size_t n = std::min(kEnough, static_cast<size_t>(o_.max_samples));
  if (needs_hessian(o_.weight_method)) hessians_ = collect_hessians(base_, products, o_, n, call);
  if (o_.bias_correction) stats_ = collect_channel_stats(base_, products, o_, n, call);
}

// Nodes that make or read values which are NaN or infinite for finite inputs stay in float.
void StaticQuantizer::leave_out_broken(Report& report) {
  for (const auto& [v, h] : calibration_.tensors) {
    if (h.not_finite() == 0) continue;
    const Value& val = base_.graph.value(v);
    std::string why = cat("tensor '", val.name, "' holds NaN or infinities");
    auto leave = [&](NodeId n) { broken_.emplace(base_.graph.node(n).name, why); };
    if (val.producer != kNoNode) leave(val.producer);
    for (const Use& u : val.uses) leave(u.node);
    report.notes.push_back(why + "; the nodes around it stay in float");
  }
  for (const auto& [name, why] : broken_) o_.exclude.push_back(name);
}

std::vector<std::string> StaticQuantizer::products() const {
  std::vector<std::string> names;
  for (const Layer& l : make_plan(base_.graph, o_).layers)
    if (l.quantized() && l.role == QuantRole::kProduct) names.push_back(base_.graph.node(l.node).name);
  return names;
}

// The mean of what the weights' errors add to each output, with its sign turned: sum over inputs of error
// times mean input. Exact for matrix products; convolutions have the mean over all positions for each tap.
std::vector<float> StaticQuantizer::bias_shift(NodeId id, const QuantizedWeight& q) const {
  auto it = stats_.find(id);
  const Node& n = base_.graph.node(id);
  WeightRows rows = weight_rows(base_.graph, n);
  if (it == stats_.end() || rows.outputs == 0) return {};
  std::vector<float> w = floats_of(base_.graph, n.inputs[1]), back = dequantize(q),
                     shift(static_cast<size_t>(rows.outputs));
  const std::vector<double>& mean = it->second.mean;
  auto channels = static_cast<int64_t>(mean.size()), per_group = channels / rows.groups;
  if (per_group == 0 || rows.depth % per_group != 0) return {};
  int64_t taps = rows.depth / per_group, outputs_per_group = rows.outputs / rows.groups;
  for (int64_t o = 0; o < rows.outputs; ++o) {
    double sum = 0;
    for (int64_t k = 0; k < rows.depth; ++k) {
      auto e = static_cast<size_t>(o * rows.output_step + k * rows.depth_step);
      sum += (static_cast<double>(w[e]) - back[e]) *
             mean[static_cast<size_t>(o / outputs_per_group * per_group + k / taps)];
    }
    shift[static_cast<size_t>(o)] = static_cast<float>(sum);
  }
  return shift;
}

Build StaticQuantizer::build(const Overrides& overrides) const {
  Build b;
  b.plan = make_plan(base_.graph, o_, overrides);
  b.params = choose_params(base_.graph, b.plan, calibration_.tensors, o_);
  b.model = copy_model(base_);
  WeightMaker make = [&](NodeId id, const Tensor& w, const WeightSpec& spec) {
    auto h = hessians_.find(id);
    return make_weight(base_.graph, base_.graph.node(id), w, spec, o_.weight_method,
                       h == hessians_.end() ? nullptr : &h->second);
  };
  BiasShift shift;
  if (o_.bias_correction) shift = [&](NodeId id, const QuantizedWeight& q) { return bias_shift(id, q); };
  b.emitted = emit_qdq(b.model, b.plan, b.params, o_, make, shift);
  return b;
}

void StaticQuantizer::describe(const Build& b, const Callbacks& call, Report& report) const {
  const Graph& g = base_.graph;
  std::vector<ValueId> want, got;
  for (const auto& [v, real] : b.emitted.real) {
    if (g.value(v).is_input) continue;
    want.push_back(v);
    got.push_back(real);
  }
  std::vector<Sqnr> sqnr(want.size());
  Fidelity fidelity;
  {
    Observer a(base_, want, o_.session), q(b.model, got, o_.session);
    auto float_model = open(base_, o_.session), integer_model = open(b.model, o_.session);
    std::vector<Datum> inputs;
    auto most = static_cast<size_t>(std::min(o_.report_samples, o_.max_samples));
    for (size_t i = 0; i < most && take_sample(base_, call, i, inputs); ++i) {
      std::vector<Tensor> seen(want.size());
      a.run(inputs, [&](size_t k, const Tensor& t) { seen[k] = t; });
      q.run(inputs, [&](size_t k, const Tensor& t) { sqnr[k].add(seen[k], t); });
      fidelity.add(float_model->run(inputs), integer_model->run(inputs));
      call.report("compare", static_cast<double>(i + 1) / static_cast<double>(most));
    }
  }
  report.sqnr = fidelity.sqnr();
  report.cosine = fidelity.cosine();
  if (fidelity.has_decisions()) report.agreement = fidelity.agreement();
  for (const Layer& l : b.plan.layers) {
    const Node& n = g.node(l.node);
    if (l.role == QuantRole::kFloat &&
        passes::dtype_of(g, n.outputs.empty() ? kNoValue : n.outputs[0]) != DType::kFloat)
      continue;
    LayerReport r;
    r.name = n.name;
    r.op = n.op;
    r.precision = precision_name(l.precision);
    r.reason = l.reason;
    if (l.role == QuantRole::kFloat) r.reason = "no integer form";
    if (l.absorbed) r.reason = "inside the layer before it";
    for (const auto& [name, noise] : report.sensitivities)
      if (name == n.name) r.sensitivity = noise;
    if (auto it = broken_.find(n.name); it != broken_.end()) r.reason = it->second;
    if (auto it = b.emitted.weight_sqnr.find(l.node); it != b.emitted.weight_sqnr.end())
      r.weight_sqnr = it->second;
    ValueId v = n.output(0);
    if (b.plan.is_quantized(v)) {
      const Params& p = b.params[static_cast<size_t>(v)];
      auto it = std::find(want.begin(), want.end(), v);
      if (it != want.end()) r.output_sqnr = sqnr[static_cast<size_t>(it - want.begin())].db();
      if (auto h = calibration_.tensors.find(v); h != calibration_.tensors.end()) {
        r.lo = h->second.min();
        r.hi = h->second.max();
        r.histogram = h->second.coarse(32);
        double half = p.scale / 2;
        if (h->second.count() > 0)
          r.saturated = static_cast<double>(h->second.outside(p.lowest() - half, p.highest() + half)) /
                        static_cast<double>(h->second.count());
      }
      r.scale = p.scale;
      r.zero = p.zero;
    }
    report.layers.push_back(std::move(r));
  }
}

}  // namespace skiff::adapt
