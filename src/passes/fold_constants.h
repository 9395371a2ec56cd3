// Nodes whose operands are all compile-time constants are run by their reference implementation and become
// constants, within options.max_folded_bytes / max_folded_total / max_fold_work. So do nodes whose result
// type inference knows entirely (Shape of fixed extents and the arithmetic on it), and captured constants
// inside subgraphs. Never folded: nondeterministic operators, quantizers, control flow, overridable
// initializers. A node whose reference run fails is left as it is: the error belongs to the run.
#pragma once
#include "passes/pass.h"

namespace skiff::passes {

bool fold_constants(Graph& g, PassContext& ctx);

}  // namespace skiff::passes
