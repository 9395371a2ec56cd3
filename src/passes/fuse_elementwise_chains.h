// Runs of float elementwise nodes of one result shape become skiff.Elementwise: at least 2, at most 16 steps,
// at most 6 operands; intermediate values must have no use outside the run. For targets that want it.
#pragma once
#include "passes/pass.h"

namespace skiff::passes {

bool fuse_elementwise_chains(Graph& g, PassContext& ctx);

}  // namespace skiff::passes
