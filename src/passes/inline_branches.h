// If with a compile-time constant condition: the nodes of the branch taken replace it. The other branch goes.
#pragma once
#include "passes/pass.h"

namespace skiff::passes {

bool inline_branches(Graph& g, PassContext& ctx);

}  // namespace skiff::passes
