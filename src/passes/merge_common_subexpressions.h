// Nodes of the same operator, attributes and operands become one; small constants are compared by content.
// Not merged: nondeterministic operators, quantizers, nodes with subgraphs.
#pragma once
#include "passes/pass.h"

namespace skiff::passes {

bool merge_common_subexpressions(Graph& g, PassContext& ctx);

}  // namespace skiff::passes
