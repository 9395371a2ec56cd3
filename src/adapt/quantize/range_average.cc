#include "adapt/quantize/range.h"

namespace skiff::adapt {

Range range_average(const Histogram& h, const RangeOptions&) { return {h.average_min(), h.average_max()}; }

}  // namespace skiff::adapt
