#include "adapt/quantize/range.h"

namespace skiff::adapt {

Range range_min_max(const Histogram& h, const RangeOptions&) { return {h.min(), h.max()}; }

}  // namespace skiff::adapt
