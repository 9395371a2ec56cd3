#include <algorithm>

#include "adapt/quantize/range.h"

namespace skiff::adapt {

Range range_percentile(const Histogram& h, const RangeOptions& o) {
  double out = static_cast<double>(h.count()) * (1 - std::clamp(o.percentile, 50.0, 100.0) / 100);
  bool two_sided = h.min() < 0 && h.max() > 0;
  double each = two_sided ? out / 2 : out;
  double sum = 0, lo = h.min(), hi = h.max();
  if (h.min() < 0)
    for (int i = 0; i < h.bins(); ++i) {
      sum += static_cast<double>(h[i]);
      if (sum > each) {
        lo = std::max<double>(lo, h.edge(i));
        break;
      }
    }
  sum = 0;
  if (h.max() > 0)
    for (int i = h.bins(); i-- > 0;) {
      sum += static_cast<double>(h[i]);
      if (sum > each) {
        hi = std::min<double>(hi, h.edge(i + 1));
        break;
      }
    }
  return {lo, hi};
}

}  // namespace skiff::adapt
