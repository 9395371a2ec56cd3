#include "passes/simplify_reshapes.h"

#include "ops/infer.h"
#include "passes/edit.h"

namespace skiff::passes {
namespace {

bool is_reshaping(const Node& n) {
  return n.is("Reshape") || n.is("Flatten") || n.is("Squeeze") || n.is("Unsqueeze");
}

// Where the chain of reshaping nodes above v starts.
ValueId chain_source(const Graph& g, ValueId v) {
  for (const Node* n = producer(g, v); n && is_reshaping(*n) && shape_of(g, n->input(0)); n = producer(g, v))
    v = n->inputs[0];
  return v;
}

// The node's operand, when it is already a Reshape with this constant target.
bool is_already(const Graph& g, const Node& n, ValueId source, const std::vector<int64_t>& target) {
  if (!n.is("Reshape") || n.inputs[0] != source) return false;
  auto have = ints_of(g, n.input(1));
  return have && n.attr_i("allowzero", 0) == 0 && *have == target;
}

}  // namespace

bool simplify_reshapes(Graph& g, PassContext& ctx) {
  bool changed = false;
  for (NodeId id : std::vector<NodeId>(g.order())) {
    const Node& n = g.node(id);
    if (!is_reshaping(n) || n.inputs.empty()) continue;
    if (!shape_of(g, n.inputs[0])) continue;
    ValueId source = chain_source(g, n.inputs[0]);
    const SymShape* from = shape_of(g, source);
    const SymShape* to = shape_of(g, n.outputs[0]);
    if (!from || !to) continue;
    bool chain = source != n.inputs[0];
    bool computed = n.is("Reshape") && !constant_of(g, n.input(1));
    if (!chain && !computed) continue;
    auto target = reshape_target(*from, *to);
    if (!target || is_already(g, n, source, *target)) continue;
    Patch p(g);
    p.replace(n.outputs[0], add_reshape(p, source, *target, g.value(n.outputs[0]).name));
    p.remove(id);
    commit(g, ctx, p);
    changed = true;
  }
  return changed;
}

}  // namespace skiff::passes
