// Seeing what values tensors take, sample by sample, in bounded memory.
#pragma once
#include <span>
#include <string>

#include "adapt/adapt.h"
#include "adapt/quantize/params.h"

namespace skiff::adapt {

struct Calibration {
  Histograms tensors;
  size_t samples = 0;
};

// Runs the model on the caller's samples (at most o.max_samples) and keeps a histogram of each tensor.
// Errors: kInvalidArgument when there is no sample, an input is NaN or infinite (naming sample and input), or
// a sample does not fit the model.
Calibration calibrate(const Model& m, std::span<const ValueId> tensors, const QuantizeOptions& o,
                      const Callbacks& call);

// Sample i of the caller's, checked against the model's inputs; false when there is none.
bool take_sample(const Model& m, const Callbacks& call, size_t i, std::vector<Datum>& inputs);

}  // namespace skiff::adapt
