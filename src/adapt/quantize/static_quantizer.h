// Static quantization of one prepared model, any number of times under different decisions, from one
// calibration.
#pragma once
#include <map>
#include <memory>

#include "adapt/quantize/calibrate.h"
#include "adapt/quantize/channel_stats.h"
#include "adapt/quantize/emit_qdq.h"
#include "adapt/quantize/hessian.h"
#include "adapt/quantize/plan.h"
#include "adapt/report/report.h"

namespace skiff::adapt {

using Overrides = std::map<std::string, Precision>;  // by the name of a product

struct Build {
  Model model;
  Plan plan;
  std::vector<Params> params;
  Emitted emitted;
};

class StaticQuantizer {
 public:
  // `base` is prepared; takes the samples once. Notes go into `report`.
  StaticQuantizer(Model base, const QuantizeOptions& o, const Callbacks& call, Report& report);

  const Model& base() const { return base_; }
  const QuantizeOptions& options() const { return o_; }
  const Calibration& calibration() const { return calibration_; }
  // Names of the products that can compute in integers, in graph order.
  std::vector<std::string> products() const;

  Build build(const Overrides& overrides) const;
  // Layers, histograms and errors of a build.
  void describe(const Build& b, const Callbacks& call, Report& report) const;

 private:
  void leave_out_broken(Report& report);
  std::vector<float> bias_shift(NodeId n, const QuantizedWeight& q) const;

  Model base_;
  QuantizeOptions o_;
  Calibration calibration_;
  std::unordered_map<NodeId, Hessian> hessians_;    // for gptq and adaround
  std::unordered_map<NodeId, ChannelStats> stats_;  // for bias correction
  std::map<std::string, std::string> broken_;       // nodes kept in float because of what calibration saw
};

}  // namespace skiff::adapt
