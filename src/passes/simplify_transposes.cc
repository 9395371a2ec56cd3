#include "passes/simplify_transposes.h"

#include <algorithm>
#include <unordered_set>

#include "ops/op.h"
#include "passes/sink_transpose.h"

namespace skiff::passes {
namespace {

// Transpose after Transpose: one, or none.
bool join(Graph& g, PassContext& ctx, NodeId id) {
  const Node& n = g.node(id);
  const Node* first = made_by(g, n.input(0), "Transpose");
  if (!first) return false;
  Perm a = perm_of(g, *first), b = perm_of(g, n);
  if (a.empty() || a.size() != b.size()) return false;
  Perm both = compose(a, b);
  ValueId source = first->inputs[0], out = n.outputs[0];
  bool cancels = is_identity(both);
  if (cancels && !can_replace(g, out, source)) return false;
  Patch p(g);
  p.replace(out, cancels ? source : add_transpose(p, source, both, g.value(out).name));
  p.remove(id);
  commit(g, ctx, p);
  return true;
}

// A Transpose that leaves the elements where they are is a Reshape.
bool make_reshape(Graph& g, PassContext& ctx, NodeId id) {
  const Node& n = g.node(id);
  Perm perm = perm_of(g, n);
  const SymShape* from = shape_of(g, n.input(0));
  const SymShape* to = shape_of(g, n.outputs[0]);
  if (perm.empty() || is_identity(perm) || !from || !to || !moves_only_units(*from, perm)) return false;
  auto target = reshape_target(*from, *to);
  if (!target) return false;
  Patch p(g);
  p.replace(n.outputs[0], add_reshape(p, n.inputs[0], *target, g.value(n.outputs[0]).name));
  p.remove(id);
  commit(g, ctx, p);
  return true;
}

bool shrinks(const Node& n) {
  return n.op.starts_with("Reduce") || n.is("ArgMax") || n.is("ArgMin") || n.is("Slice") || n.is("Gather");
}

bool keeps_axes(const Node& n) {
  return n.def && !is_quantizer(n) &&
         (n.def->is(kElementwise) || n.is("Concat") || n.is("Pad") || n.is("Slice") || n.is("Softmax") ||
          n.is("LogSoftmax"));
}

// Following single users from v through nodes that keep the order of axes one comes to the inverse of perm.
bool meets_inverse(const Graph& g, ValueId v, const Perm& perm) {
  for (int steps = 0; steps < 32; ++steps) {
    if (g.value(v).uses.empty() || g.value(v).is_output) return false;
    bool all_inverse = true;
    for (const Use& u : g.value(v).uses) {
      const Node& n = g.node(u.node);
      all_inverse = all_inverse && n.is("Transpose") && perm_of(g, n) == inverse(perm);
    }
    if (all_inverse) return true;
    NodeId user = sole_user(g, v);
    if (user == kNoNode || !keeps_axes(g.node(user)) || g.node(user).outputs.size() != 1) return false;
    v = g.node(user).outputs[0];
  }
  return false;
}

bool worth_sinking(const Graph& g, const Node& n) {
  std::unordered_set<ValueId> transposed;
  Perm perm;
  for (ValueId v : n.inputs) {
    const Node* t = made_by(g, v, "Transpose");
    if (!t) continue;
    for (const Use& u : g.value(v).uses)
      if (&g.node(u.node) != &n) return false;
    if (g.value(v).is_output) return false;
    Perm p = perm_of(g, *t);
    if (p.empty() || (!perm.empty() && p != perm)) return false;
    perm = std::move(p);
    transposed.insert(v);
  }
  if (transposed.empty() || n.outputs.size() != 1) return false;
  if (shrinks(n) || transposed.size() >= 2) return true;
  return keeps_axes(n) && meets_inverse(g, n.outputs[0], perm);
}

}  // namespace

bool simplify_transposes(Graph& g, PassContext& ctx) {
  bool changed = false;
  for (NodeId id : std::vector<NodeId>(g.order())) {
    if (g.node(id).is("Transpose")) {
      changed = join(g, ctx, id) || changed;
    } else if (worth_sinking(g, g.node(id))) {
      changed = sink_transpose(g, ctx, id, {}) || changed;
    }
  }
  for (NodeId id : std::vector<NodeId>(g.order()))
    if (g.node(id).is("Transpose")) changed = make_reshape(g, ctx, id) || changed;
  if (changed) remove_unused(g);
  return changed;
}

}  // namespace skiff::passes
