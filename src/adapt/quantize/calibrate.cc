#include "adapt/quantize/calibrate.h"

#include <algorithm>
#include <cmath>

#include "adapt/observe.h"
#include "base/thread_pool.h"

namespace skiff::adapt {

bool take_sample(const Model& m, const Callbacks& call, size_t i, std::vector<Datum>& inputs) {
  inputs.assign(m.graph.inputs().size(), Datum());
  if (!call.sample || !call.sample(i, inputs)) return false;
  check(inputs.size() == m.graph.inputs().size(), Code::kInvalidArgument, "sample ", i, " has ",
        inputs.size(), " inputs, the model ", m.graph.inputs().size());
  for (size_t k = 0; k < inputs.size(); ++k) {
    if (!inputs[k].is_tensor() || inputs[k].tensor().dtype() != DType::kFloat) continue;
    for (float v : inputs[k].tensor().span<float>())
      check(std::isfinite(v), Code::kInvalidArgument, "sample ", i, ": input '",
            m.graph.value(m.graph.inputs()[k]).name,
            "' holds NaN or infinities; mend or leave out the sample");
  }
  return true;
}

Calibration calibrate(const Model& m, std::span<const ValueId> tensors, const QuantizeOptions& o,
                      const Callbacks& call) {
  Calibration c;
  std::vector<Histogram> seen(tensors.size());
  Observer observer(m, tensors, o.session);
  std::vector<Datum> inputs;
  auto most = static_cast<size_t>(o.max_samples);
  for (size_t i = 0; i < most && take_sample(m, call, i, inputs); ++i) {
    try {
      observer.run(inputs, [&](size_t k, const Tensor& t) {
        if (t.dtype() == DType::kFloat) seen[k].add(t.span<float>());
      });
    } catch (Error& e) {
      e.add_where(cat("calibration sample ", i));
      throw;
    }
    ++c.samples;
    // How many there are is the caller's to know: half of what is left after each keeps the bar moving.
    call.report("calibrate", static_cast<double>(c.samples) / static_cast<double>(most));
  }
  check(c.samples > 0, Code::kInvalidArgument,
        "calibration needs samples and got none; give a folder or table of real inputs (--data), or choose "
        "the mode "
        "dynamic, weights or float16, which need none");
  for (size_t k = 0; k < tensors.size(); ++k) c.tensors.emplace(tensors[k], std::move(seen[k]));
  return c;
}

}  // namespace skiff::adapt
