#include "passes/inline_branches.h"

#include <algorithm>

#include "passes/edit.h"
#include "passes/splice.h"

namespace skiff::passes {

bool inline_branches(Graph& g, PassContext& ctx) {
  bool changed = false;
  for (NodeId id : std::vector<NodeId>(g.order())) {
    const Node& n = g.node(id);
    if (!n.is("If")) continue;
    auto condition = scalar_of(g, n.input(0));
    if (!condition) continue;
    const std::shared_ptr<Graph> body = n.attr_graph(*condition != 0 ? "then_branch" : "else_branch");
    if (body->outputs().size() < n.outputs.size()) continue;
    std::unordered_map<ValueId, ValueId> bound;
    for (const Graph::Capture& c : body->captures())
      bound[c.inner] = n.captures[static_cast<size_t>(c.index)];
    std::string prefix = n.name.empty() ? "If" : n.name;
    Patch p(g);
    std::vector<ValueId> results = splice(p, *body, std::move(bound), prefix);
    for (size_t i = 0; i < n.outputs.size(); ++i) {
      ValueId out = n.outputs[i], to = results[i];
      if (out == kNoValue) continue;
      auto seen = results.begin() + static_cast<std::ptrdiff_t>(i);
      bool repeated = std::find(results.begin(), seen, to) != seen;
      bool through = std::find(n.captures.begin(), n.captures.end(), to) != n.captures.end();
      if (g.value(out).is_output && (repeated || through))
        to = p.op("", "Identity", kMadeOpset, {to}, {}, prefix);
      p.replace(out, to);
    }
    p.remove(id);
    commit(g, ctx, p);
    changed = true;
  }
  return changed;
}

}  // namespace skiff::passes
