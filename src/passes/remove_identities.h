// Removes nodes whose result is their first operand: Identity, inference Dropout, Cast to the same type, Add
// 0, Mul 1, Reshape/Expand/Slice/Squeeze/... to the same shape, Transpose by the identity, Concat/Sum/Max/...
// of one operand, Pad and Tile by nothing, 1x1 MaxPool. A node stays when removing it would leave a graph
// output without its name (input passed straight to output). Add 0 turns -0 into +0: the pass does not
// preserve the sign of zero.
#pragma once
#include "passes/pass.h"

namespace skiff::passes {

bool remove_identities(Graph& g, PassContext& ctx);

}  // namespace skiff::passes
