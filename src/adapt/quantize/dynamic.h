// Integers whose activation scales are found at run time: no samples are needed.
#pragma once
#include "adapt/adapt.h"
#include "adapt/quantize/options.h"
#include "adapt/report/report.h"

namespace skiff::adapt {

// Matrix products with constant weights become DynamicQuantizeLinear, MatMulInteger and a scale for each
// output channel.
void quantize_dynamically(Model& m, const QuantizeOptions& o, Report& report);

}  // namespace skiff::adapt
