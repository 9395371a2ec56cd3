#include "passes/expand_gradients.h"

#include <algorithm>
#include <unordered_set>

#include "ops/grad.h"
#include "ops/infer.h"
#include "passes/edit.h"

namespace skiff::passes {
namespace {

constexpr const char* kDomain = "ai.onnx.preview.training";

std::string prefix(const Node& n) { return n.name.empty() ? "gradient" : n.name; }
bool is_gradient(const Node& n) { return n.is(kDomain, "Gradient"); }

class Expansion {
 public:
  Expansion(Graph& g, PassContext& ctx) : g_(g), ctx_(ctx) {}

  // A gradient whose y is computed from no other one; kNoNode when there is none left.
  NodeId next() {
    bool any = false;
    for (NodeId id : g_.order()) {
      if (!is_gradient(g_.node(id))) continue;
      any = true;
      if (!depends_on_gradient(named(g_.node(id), g_.node(id).attr_s("y", "")))) return id;
    }
    check(!any, Code::kInvalidModel, "Gradient nodes depend on each other in a circle");
    return kNoNode;
  }

  void expand(NodeId id) {
    const Node n = g_.node(id);
    ValueId y = named(n, n.attr_s("y", ""));
    std::vector<ValueId> xs, from;
    for (const std::string& s : n.attr_strings("xs")) xs.push_back(named(n, s));
    from = xs;
    for (const std::string& s : n.attr_strings("zs")) from.push_back(named(n, s));
    check(n.inputs.size() == from.size() && n.outputs.size() <= xs.size(), Code::kInvalidModel, n.label(),
          " has ", n.inputs.size(), " inputs and ", n.outputs.size(), " outputs; its xs and zs name ",
          from.size(), " tensors, its xs ", xs.size());
    if (n.inputs != from) {
      y = copy_forward(n, y, from);
      for (size_t i = 0; i < xs.size(); ++i) xs[i] = n.inputs[i];
    }
    Patch p(g_);
    std::vector<ValueId> gradients;
    try {
      gradients = grad::backward(p, y, xs);
    } catch (Error& e) {
      e.add_where(n.label());
      throw;
    }
    std::vector<std::pair<std::string, ValueId>> made;
    for (size_t i = 0; i < n.outputs.size(); ++i) {
      if (n.outputs[i] == kNoValue) continue;
      // A node of its own: one gradient may serve two outputs, and each keeps its name.
      ValueId to = p.op("", "Identity", kMadeOpset, {gradients[i]}, {}, prefix(n));
      made.emplace_back(g_.value(n.outputs[i]).name, to);
      p.replace(n.outputs[i], to);
    }
    p.remove(id);
    commit(g_, ctx_, p);
    // Other gradients may name this one's results.
    for (const auto& [name, v] : made) renamed_[name] = v;
  }

 private:
  ValueId named(const Node& n, const std::string& name) const {
    auto it = renamed_.find(name);
    ValueId v = it != renamed_.end() ? it->second : g_.find_value(name);
    check(v != kNoValue, Code::kInvalidModel, n.label(), " names the tensor '", name,
          "', which its graph does not have");
    return v;
  }

  bool depends_on_gradient(ValueId v) const {
    std::unordered_set<NodeId> seen;
    std::vector<ValueId> open{v};
    while (!open.empty()) {
      ValueId at = open.back();
      open.pop_back();
      NodeId n = at == kNoValue ? kNoNode : g_.value(at).producer;
      if (n == kNoNode || !seen.insert(n).second) continue;
      if (is_gradient(g_.node(n))) return true;
      open.insert(open.end(), g_.node(n).inputs.begin(), g_.node(n).inputs.end());
    }
    return false;
  }

  // y computed again from the node's inputs in place of the tensors it names.
  ValueId copy_forward(const Node& n, ValueId y, const std::vector<ValueId>& from) {
    std::unordered_map<ValueId, ValueId> copy;
    for (size_t i = 0; i < from.size(); ++i) copy[from[i]] = n.inputs[i];
    std::vector<NodeId> order = g_.order();
    Patch p(g_);
    for (NodeId id : order) {
      Node m = g_.node(id);
      if (is_gradient(m)) continue;
      bool touched = std::any_of(m.inputs.begin(), m.inputs.end(),
                                 [&](ValueId v) { return v != kNoValue && copy.count(v) != 0; });
      bool cut = std::any_of(m.outputs.begin(), m.outputs.end(),
                             [&](ValueId v) { return v != kNoValue && copy.count(v) != 0; });
      if (!touched || cut) continue;
      check(m.captures.empty(), Code::kUnsupported, n.label(), ": ", m.label(),
            " has subgraphs and lies on the way; feed the tensors that xs and zs name");
      for (ValueId& v : m.inputs)
        if (v != kNoValue && copy.count(v)) v = copy[v];
      std::vector<ValueId> outs = m.outputs;
      std::string hint = cat(prefix(n), "/", m.op);
      std::vector<ValueId> fresh = p.add(std::move(m), outs.size(), hint);
      for (size_t i = 0; i < outs.size(); ++i)
        if (outs[i] != kNoValue) copy[outs[i]] = fresh[i];
    }
    auto it = copy.find(y);
    if (it == copy.end()) return y;
    ValueId r = it->second;
    if (!p.empty()) {
      commit(g_, ctx_, p);
      infer_types(g_);
    }
    return r;
  }

  Graph& g_;
  PassContext& ctx_;
  std::unordered_map<std::string, ValueId> renamed_;
};

}  // namespace

bool expand_gradients(Graph& g, PassContext& ctx) {
  bool any = false;
  for (NodeId id : g.order()) any = any || is_gradient(g.node(id));
  if (!any) return false;
  Expansion e(g, ctx);
  for (NodeId id = e.next(); id != kNoNode; id = e.next()) e.expand(id);
  remove_unused(g);  // what was there to be named only
  return true;
}

}  // namespace skiff::passes
