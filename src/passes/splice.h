// Copying one graph's nodes into another: what inlining functions and branches share.
#pragma once
#include <string_view>
#include <unordered_map>
#include <vector>

#include "graph/patch.h"

namespace skiff::passes {

// Adds copies of `body`'s nodes and constants to the patch. `bound` maps body values (inputs, captures) to
// values of the patched graph, kNoValue for an argument that is not there. Values get `prefix` before their
// names. Returns what the body's outputs became. Throws kUnsupported when a subgraph captures an absent
// argument.
std::vector<ValueId> splice(Patch& p, const Graph& body, std::unordered_map<ValueId, ValueId> bound,
                            std::string_view prefix);

}  // namespace skiff::passes
