#include <algorithm>
#include <cmath>

#include "adapt/quantize/weights.h"

namespace skiff::adapt {

// Alternates between an estimate e of the outliers' error (the proximal operator of |e|^p, p = 0.7) and the
// zero point that fits the rest best.
void improve_zeros_hqq(std::span<const float> w, const Grid& grid, Scales& s) {
  constexpr double kP = 0.7;
  constexpr int kRounds = 20;
  std::vector<double> real_zero(s.zero.begin(), s.zero.end());
  double beta = 10;
  std::vector<uint32_t> group(w.size());
  for (size_t i = 0; i < w.size(); ++i) group[i] = static_cast<uint32_t>(grid.group(static_cast<int64_t>(i)));
  std::vector<double> sum(s.zero.size()), count(s.zero.size());
  for (int round = 0; round < kRounds; ++round, beta *= 1.01) {
    std::fill(sum.begin(), sum.end(), 0);
    std::fill(count.begin(), count.end(), 0);
    for (size_t i = 0; i < w.size(); ++i) {
      size_t k = group[i];
      double level = std::clamp(std::nearbyint(w[i] / s.scale[k] + real_zero[k]),
                                static_cast<double>(grid.lo()), static_cast<double>(grid.hi()));
      double d = w[i] - (level - real_zero[k]) * s.scale[k];
      double shrunk = std::fabs(d) - std::pow(std::fabs(d) + 1e-12, kP - 1) / beta;
      double e = shrunk > 0 ? std::copysign(shrunk, d) : 0;
      sum[k] += level - (w[i] - e) / s.scale[k];
      count[k] += 1;
    }
    for (size_t k = 0; k < sum.size(); ++k)
      if (count[k] > 0) real_zero[k] = sum[k] / count[k];
  }
  for (size_t k = 0; k < s.zero.size(); ++k)
    s.zero[k] = static_cast<int>(std::clamp(std::nearbyint(real_zero[k]), static_cast<double>(grid.lo()),
                                            static_cast<double>(grid.hi())));
}

}  // namespace skiff::adapt
