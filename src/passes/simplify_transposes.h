// Transposes in a row become one or vanish; one that moves only unit extents becomes a Reshape; one in front
// of a reduction or slice moves behind it (smaller tensor); several equal ones in front of one node become
// one behind it; one that meets its inverse after a run of nodes that do not mind the order of axes is
// cancelled with it.
#pragma once
#include "passes/pass.h"

namespace skiff::passes {

bool simplify_transposes(Graph& g, PassContext& ctx);

}  // namespace skiff::passes
