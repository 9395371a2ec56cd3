#include "onnx/upgrade_opset.h"

#include <algorithm>

#include "onnx/upgrade_rules.h"
#include "ops/infer.h"

namespace skiff::onnx {
namespace {

template <class F>
void each_subgraph(Node& n, F&& f) {
  for (Attribute& a : n.attributes) {
    if (auto* s = std::get_if<std::shared_ptr<Graph>>(&a.value)) f(**s);
    if (auto* l = std::get_if<std::vector<std::shared_ptr<Graph>>>(&a.value))
      for (auto& s : *l) f(*s);
  }
}

// Operators without a version of their own at `opset`: what was removed and has no successor here.
void check_alive(const Node& n, int target) {
  const OpDef* d = find_op("", n.op);
  check(!d || d->removed == 0 || target < d->removed, Code::kUnsupported, n.label(), ": ", n.op,
        " was removed in opset ", d ? d->removed : 0, " and nothing took its place");
}

void upgrade_node(Graph& g, NodeId id, int target) {
  int from = g.node(id).opset;
  for (const UpgradeRule& r : upgrade_rules()) {
    if (g.node(id).dead) return;  // it gave way to others
    if (r.version <= from || r.version > target || g.node(id).op != r.op) continue;
    try {
      for (const Attribute& a : g.node(id).attributes)
        check(a.ref_name.empty(), Code::kUnsupported, "it takes its attribute '", a.name,
              "' from the caller of a function; inline the model's functions first");
      NodeUpgrade u(g, id, target);
      r.apply(u);
      u.apply();
    } catch (Error& e) {
      e.add_where(cat(g.node(id).label(), ", from opset ", from, " to ", target));
      throw;
    }
  }
  if (g.node(id).dead) return;
  const Node& n = g.node(id);
  check(from <= target || n.def->version(from) == n.def->version(target), Code::kUnsupported, n.label(),
        " is written for opset ", from, ", newer than ", target);
  check_alive(g.node(id), target);
  g.mutable_node(id).opset = target;
}

void upgrade_graph(Graph& g, int target, int depth) {
  check(depth < 64, Code::kLimit, "subgraphs nest deeper than 64 levels");
  for (NodeId id : std::vector<NodeId>(g.order())) {
    each_subgraph(g.mutable_node(id), [&](Graph& s) { upgrade_graph(s, target, depth + 1); });
    if (g.node(id).domain.empty() && g.node(id).def) upgrade_node(g, id, target);
  }
}

void set_import(std::vector<OpsetId>& list, int target) {
  for (OpsetId& o : list)
    if (o.domain.empty() || o.domain == "ai.onnx") {
      check(o.version <= target, Code::kInvalidArgument, "the model is of opset ",
            static_cast<long long>(o.version), "; it cannot be brought to the older ", target);
      o.version = target;
    }
}

// The oldest IR version of the release that brought an opset.
int64_t ir_version_of(int opset) {
  struct Step {
    int opset;
    int64_t ir;
  };
  static constexpr Step kSteps[] = {{25, 13}, {24, 12}, {23, 11}, {21, 10}, {19, 9},
                                    {15, 8},  {12, 7},  {11, 6},  {10, 5},  {9, 4}};
  for (const Step& s : kSteps)
    if (opset >= s.opset) return s.ir;
  return 3;
}

}  // namespace

void upgrade_opset(Model& m, int target) {
  check(target >= 1 && target <= kNewestOpset, Code::kInvalidArgument, "opset ", target, " is not in [1, ",
        kNewestOpset, "]");
  set_import(m.opsets, target);
  resolve_ops(m.graph, m.functions);
  infer_types(m.graph);
  upgrade_graph(m.graph, target, 0);
  for (Function& f : m.functions) {
    set_import(f.opsets, target);
    resolve_ops(*f.body, m.functions);
    infer_types(*f.body);
    upgrade_graph(*f.body, target, 0);
    resolve_ops(*f.body, m.functions);
  }
  m.ir_version = std::max(m.ir_version, ir_version_of(target));
  resolve_ops(m.graph, m.functions);
  infer_types(m.graph);
  verify(m.graph);
}

}  // namespace skiff::onnx
