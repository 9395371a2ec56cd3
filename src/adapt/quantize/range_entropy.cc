#include <algorithm>
#include <cmath>
#include <vector>

#include "adapt/quantize/range.h"

namespace skiff::adapt {

namespace {

// Divergence between `p` (n bins, the tail added to the last one) and its form with `levels` steps: the mass
// of a step is spread over those of its bins that hold anything.
double divergence(const std::vector<double>& bins, int n, int levels) {
  double tail = 0, total = 0;
  for (size_t i = static_cast<size_t>(n); i < bins.size(); ++i) tail += bins[i];
  for (double b : bins) total += b;
  std::vector<double> q(static_cast<size_t>(n), 0);
  for (int level = 0; level < levels; ++level) {
    int begin = static_cast<int>(static_cast<int64_t>(level) * n / levels),
        end = static_cast<int>(static_cast<int64_t>(level + 1) * n / levels), filled = 0;
    double sum = 0;
    for (int i = begin; i < end; ++i) {
      sum += bins[static_cast<size_t>(i)];
      filled += bins[static_cast<size_t>(i)] > 0;
    }
    for (int i = begin; i < end && filled; ++i)
      if (bins[static_cast<size_t>(i)] > 0) q[static_cast<size_t>(i)] = sum / filled;
  }
  double kl = 0, inside = total - tail;
  if (!(inside > 0)) return HUGE_VAL;
  for (int i = 0; i < n; ++i) {
    double p = bins[static_cast<size_t>(i)] + (i == n - 1 ? tail : 0);
    if (!(p > 0)) continue;
    double qi = q[static_cast<size_t>(i)];
    if (!(qi > 0)) qi = 1e-4 * total / n;  // a clipped tail on an empty bin: smoothed
    kl += p / total * std::log((p / total) / (qi / inside));
  }
  return kl;
}

}  // namespace

Range range_entropy(const Histogram& h, const RangeOptions& o) {
  Range r{std::min<double>(h.min(), 0), std::max<double>(h.max(), 0)};
  std::vector<double> magnitude(Histogram::kHalf, 0);
  for (int i = 0; i < Histogram::kHalf; ++i) {
    auto k = static_cast<size_t>(i);
    magnitude[k] =
        static_cast<double>(h[Histogram::kHalf + i]) + static_cast<double>(h[Histogram::kHalf - 1 - i]);
  }
  int levels = r.lo < 0 ? o.levels / 2 : o.levels;
  int last = Histogram::kHalf;
  while (last > 1 && magnitude[static_cast<size_t>(last - 1)] == 0) --last;
  if (last <= levels) return r;
  double least = HUGE_VAL;
  int best = last;
  for (int n = levels; n <= last; n += std::max(1, last / 256)) {
    double d = divergence(magnitude, n, levels);
    if (d <= least) least = d, best = n;
  }
  if (best + std::max(1, last / 256) > last) return r;
  double limit = best * h.width();
  return {std::max(r.lo, -limit), std::min(r.hi, limit)};
}

}  // namespace skiff::adapt
