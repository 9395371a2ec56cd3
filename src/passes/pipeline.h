// The ordered lists of passes, and the one way they are run.
#pragma once
#include <span>

#include "passes/pass.h"

namespace skiff::passes {

// Good for every device: what `skiff optimize` writes and what every session starts from.
std::span<const Pass> general_passes();
// What a device asks for through TargetTraits: fusions and layouts in terms of skiff.* operators. They need
// PassContext::target, and the graph must have gone through the general passes.
std::span<const Pass> target_passes();

// Runs the list in order on the graph and on every subgraph, again and again until nothing changes (at most
// options.max_rounds rounds). Each pass is timed in ctx.log and left out when options.skip names it. After a
// pass that changed something operators are looked up, types inferred and the graph verified. Expects
// resolved operators (resolve_ops); infers types itself. Throws kInvalidArgument when `skip` names no pass at
// all. Returns whether anything changed.
bool run_passes(Graph& g, PassContext& ctx, std::span<const Pass> list);

}  // namespace skiff::passes
