#include "adapt/quantize/range.h"

#include "base/error.h"

namespace skiff::adapt {

RangeMethod range_method(const std::string& name) {
  if (name == "minmax") return range_min_max;
  if (name == "average") return range_average;
  if (name == "percentile") return range_percentile;
  if (name == "entropy") return range_entropy;
  if (name == "mse") return range_mse;
  fail(Code::kInvalidArgument, "there is no calibration method '", name,
       "'; there are: minmax, average, percentile, entropy, mse");
}

}  // namespace skiff::adapt
