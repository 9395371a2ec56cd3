// Scales and zero points of activations, from what calibration saw.
#pragma once
#include <unordered_map>
#include <vector>

#include "adapt/quantize/histogram.h"
#include "adapt/quantize/plan.h"

namespace skiff::adapt {

// real = (integer - zero) * scale
struct Params {
  DType dtype = DType::kUint8;
  float scale = 1;
  int32_t zero = 0;
  double lowest() const;  // smallest and largest real value there is
  double highest() const;
};

// Covers [lo, hi] and 0 with integers of `bits`. A range without extent gets scale 1.
Params params_of(double lo, double hi, int bits, bool symmetric, bool power_of_two);

using Histograms = std::unordered_map<ValueId, Histogram>;

// All tensors the plan rounds.
std::vector<ValueId> quantized_tensors(const Plan& plan);

// Parameters of every quantized tensor, by value id. Moved data shares its source's; the operands of a Concat
// share one when their ranges are within a factor of two.
std::vector<Params> choose_params(const Graph& g, const Plan& plan, const Histograms& seen,
                                  const QuantizeOptions& o);

}  // namespace skiff::adapt
