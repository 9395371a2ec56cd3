#include <algorithm>
#include <cmath>

#include "adapt/quantize/hessian.h"
#include "adapt/quantize/weight_only.h"
#include "adapt/quantize/weights.h"
#include "passes/edit.h"

namespace skiff::adapt {

std::vector<float> awq_factors(const Graph& g, const Node& n, const WeightSpec& spec, const Hessian& h) {
  WeightRows rows = weight_rows(g, n);
  const Tensor& w = *passes::constant_of(g, n.inputs[1]);
  if (rows.outputs == 0 || rows.groups != 1 || !(h.positions > 0)) return {};
  std::vector<float> v = to_floats(w), rms(static_cast<size_t>(rows.depth));
  for (int64_t k = 0; k < rows.depth; ++k)
    rms[static_cast<size_t>(k)] = std::sqrt(static_cast<float>(h.of(0)[k * rows.depth + k] / h.positions));
  std::vector<float> best;
  double least = HUGE_VAL;
  for (int step = 0; step <= 10; ++step) {
    float alpha = static_cast<float>(step) / 10;
    std::vector<float> s(rms.size());
    double log_sum = 0;
    for (size_t k = 0; k < s.size(); ++k)
      log_sum += std::log(s[k] = std::pow(std::max(rms[k], 1e-5f), alpha));
    auto centre = static_cast<float>(std::exp(log_sum / static_cast<double>(s.size())));
    for (float& x : s) x = std::clamp(x / centre, 1e-3f, 1e3f);
    Tensor scaled = w.clone();
    auto each = [&](auto&& f) {
      for (int64_t o = 0; o < rows.outputs; ++o)
        for (int64_t k = 0; k < rows.depth; ++k)
          f(static_cast<size_t>(o * rows.output_step + k * rows.depth_step), static_cast<size_t>(k));
    };
    each([&](size_t e, size_t k) { scaled.data<float>()[e] = v[e] * s[k]; });
    std::vector<float> back = dequantize(quantize_weight(scaled, spec));
    double error = 0;  // by the diagonal of the second moments
    each([&](size_t e, size_t k) {
      double d = back[e] / s[k] - v[e];
      error += d * d * rms[k] * rms[k];
    });
    if (error < least * 0.999) {
      least = error;
      best = step == 0 ? std::vector<float>() : s;
    }
  }
  return best;
}

}  // namespace skiff::adapt
