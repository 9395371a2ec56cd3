#include <algorithm>

#include "adapt/quantize/range.h"

namespace skiff::adapt {

namespace {

// Expected squared error of an element: step^2 / 12 inside the range, the distance to its end outside.
double error_of(const Histogram& h, double lo, double hi, int levels) {
  double step = (hi - lo) / (levels - 1), inside = step * step / 12, sum = 0;
  for (int i = 0; i < h.bins(); ++i) {
    if (h[i] == 0) continue;
    double x = h.centre(i), d = x < lo ? lo - x : x > hi ? x - hi : 0;
    sum += static_cast<double>(h[i]) * (d > 0 ? d * d : inside);
  }
  return sum;
}

}  // namespace

Range range_mse(const Histogram& h, const RangeOptions& o) {
  Range best{std::min<double>(h.min(), 0), std::max<double>(h.max(), 0)};
  if (o.symmetric) {
    best.hi = std::max(-best.lo, best.hi);
    best.lo = -best.hi;
  }
  if (!(best.hi > best.lo)) return best;
  constexpr int kSteps = 64;
  const Range full = best;
  double least = error_of(h, best.lo, best.hi, o.levels);
  // One end at a time, twice: the ends matter to each other through the step alone.
  for (int round = 0; round < (o.symmetric ? 1 : 2); ++round)
    for (int end = 0; end < (o.symmetric ? 1 : 2); ++end) {
      Range base = best;
      for (int k = 1; k < kSteps; ++k) {
        double share = 1 - static_cast<double>(k) / kSteps;
        Range r = base;
        if (o.symmetric) {
          r = {full.lo * share, full.hi * share};
        } else {
          (end == 0 ? r.hi : r.lo) = (end == 0 ? full.hi : full.lo) * share;
        }
        if (!(r.hi > r.lo)) continue;
        double e = error_of(h, r.lo, r.hi, o.levels);
        if (e < least) least = e, best = r;
      }
    }
  return best;
}

}  // namespace skiff::adapt
