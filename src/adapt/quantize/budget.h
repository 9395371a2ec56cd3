// Choosing a precision for each layer so that the model stays within a bound.
#pragma once
#include "adapt/quantize/static_quantizer.h"

namespace skiff::adapt {

// Starts from int8 everywhere (int16 with 16-bit activations). While the bound does not hold, the layers that
// cost most accuracy for the work they save get more bits, then float; when it holds and int4 is among
// o.precisions, the layers that cost least get fewer bits. How much a layer costs is measured once: the noise
// that it alone, quantized, makes in the outputs. The bound is max_drop of the caller's score, or without a
// score the fidelity bounds. Measurements go into o.cache as they are made and are taken from there. Fills
// sensitivities and scores of the report. Errors: kInvalidArgument for a bound that cannot be measured
// (max_drop without a score and without other bounds).
Overrides choose_precisions(const StaticQuantizer& q, const Callbacks& call, Report& report);

}  // namespace skiff::adapt
