#include "passes/remove_dead_nodes.h"

#include "passes/edit.h"

namespace skiff::passes {

bool remove_dead_nodes(Graph& g, PassContext& ctx) {
  int removed = remove_unused(g);
  ctx.changes += removed;
  for (size_t i = 0; i < g.value_slots(); ++i) {
    const Value& v = g.value(static_cast<ValueId>(i));
    if (v.uses.empty() && !v.is_output && !v.is_input && v.constant.defined())
      g.mutable_value(static_cast<ValueId>(i)).constant = Tensor();
  }
  return removed > 0;
}

}  // namespace skiff::passes
