// Models in 16-bit floats.
#pragma once
#include "adapt/adapt.h"
#include "adapt/quantize/options.h"
#include "adapt/report/report.h"

namespace skiff::adapt {

// Nodes compute in float16 or bfloat16 (o.mode) where the operator can; inputs and outputs of the model keep
// their types, with Casts in between. With samples, nodes whose tensors leave float16's range stay in
// float32; so do nodes whose constants do.
void convert_to_half(Model& m, const QuantizeOptions& o, const Callbacks& call, Report& report);

}  // namespace skiff::adapt
