// Removes nodes from whose outputs no graph output follows, and lets go of the tensors of constants nothing
// uses.
#pragma once
#include "passes/pass.h"

namespace skiff::passes {

bool remove_dead_nodes(Graph& g, PassContext& ctx);

}  // namespace skiff::passes
