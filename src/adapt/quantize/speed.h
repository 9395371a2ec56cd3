// Never slower: integer regions that do not win against their float form go back.
#pragma once
#include "adapt/quantize/static_quantizer.h"

namespace skiff::adapt {

// Regions are the connected parts of the graph that compute in integers. Each is cut out in both forms and
// run on the same values, taken from the first sample, by turns; or, with o.target, judged by that
// instruction set's cost table. The products of a region that is not faster are set to float in `precisions`.
// Fills Report::regions.
void revert_slow_regions(const StaticQuantizer& q, const Callbacks& call, Overrides& precisions,
                         Report& report);

// Multiply-adds a cycle and core, in 8-bit integers over float32, that an instruction set can do at best, for
// dense products; what stays in memory bound shares the size of the data. Errors: kInvalidArgument naming
// those there are.
double integer_advantage(const std::string& isa);

}  // namespace skiff::adapt
