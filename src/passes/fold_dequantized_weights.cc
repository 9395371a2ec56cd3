#include "passes/fold_dequantized_weights.h"

#include <algorithm>

#include "ops/interpret.h"
#include "passes/edit.h"

namespace skiff::passes {

bool fold_dequantized_weights(Graph& g, PassContext& ctx) {
  if (!ctx.options.fold_dequantized_weights) return false;
  bool changed = false;
  for (NodeId id : std::vector<NodeId>(g.order())) {
    const Node& n = g.node(id);
    if (n.op != "DequantizeLinear" || !n.def) continue;
    const Tensor* weight = constant_of(g, n.input(0));
    if (!weight) continue;
    const Value& out = g.value(n.outputs[0]);
    bool plain = std::none_of(out.uses.begin(), out.uses.end(),
                              [&](const Use& u) { return is_quantizer(g.node(u.node)); });
    auto bytes = static_cast<int64_t>(4 * weight->size());
    if (!plain || bytes > ctx.options.max_folded_bytes ||
        ctx.folded_bytes + bytes > ctx.options.max_folded_total)
      continue;
    std::vector<Datum> values;
    std::vector<const Datum*> in;
    values.reserve(n.inputs.size());
    bool all = true;
    for (ValueId v : n.inputs) {
      const Tensor* t = constant_of(g, v);
      all = all && (t || v == kNoValue);
      values.push_back(t ? Datum(*t) : Datum());
      in.push_back(t ? &values.back() : nullptr);
    }
    if (!all) continue;
    std::vector<Datum> result;
    try {
      result = run_reference(n, in);
    } catch (const Error&) {
      continue;  // the error belongs to the run
    }
    ctx.folded_bytes += bytes;
    Patch p(g);
    p.replace(n.outputs[0], p.constant(out.name, result[0].tensor()));
    p.remove(id);
    commit(g, ctx, p);
    changed = true;
  }
  return changed;
}

}  // namespace skiff::passes
