// Which range of a tensor its integers cover: one method, one file.
#pragma once
#include <string>

#include "adapt/quantize/histogram.h"

namespace skiff::adapt {

struct Range {
  double lo = 0, hi = 0;
};

struct RangeOptions {
  int levels = 256;           // integers there are
  bool symmetric = false;     // |lo| = |hi| will be used
  double percentile = 99.99;  // of range_percentile
};

// The extremes seen.
Range range_min_max(const Histogram& h, const RangeOptions& o);
// Moving averages of the batches' extremes: less swayed by single samples.
Range range_average(const Histogram& h, const RangeOptions& o);
// Leaves out (100 - percentile) / 2 percent of the elements at each end; all of them where only one side is
// used.
Range range_percentile(const Histogram& h, const RangeOptions& o);
// Smallest Kullback-Leibler divergence between the tensor's and its quantized distribution (S. Migacz, 8-bit
// Inference with TensorRT, GTC 2017).
Range range_entropy(const Histogram& h, const RangeOptions& o);
// Smallest expected squared error: rounding inside, clipping outside.
Range range_mse(const Histogram& h, const RangeOptions& o);

using RangeMethod = Range (*)(const Histogram&, const RangeOptions&);
// minmax, average, percentile, entropy, mse. Errors: kInvalidArgument naming those there are.
RangeMethod range_method(const std::string& name);

}  // namespace skiff::adapt
