#include <algorithm>

#include "graph/graph.h"

namespace skiff {
namespace {

template <class... A>
void need(bool ok, const A&... a) {
  check(ok, Code::kInternal, "graph verification failed: ", a...);
}

void verify_subgraphs(const Node& n) {
  auto one = [&n](const std::shared_ptr<Graph>& s) {
    need(s != nullptr, n.label(), " has an empty subgraph");
    for (const Graph::Capture& c : s->captures()) {
      need(c.inner >= 0 && static_cast<size_t>(c.inner) < s->value_slots(), n.label(),
           ": capture of no value");
      need(c.index >= 0 && static_cast<size_t>(c.index) < n.captures.size(), n.label(), ": capture '",
           s->value(c.inner).name, "' points outside the node's captures");
    }
    verify(*s);
  };
  for (const Attribute& a : n.attributes) {
    if (const auto* g = std::get_if<std::shared_ptr<Graph>>(&a.value)) one(*g);
    if (const auto* gs = std::get_if<std::vector<std::shared_ptr<Graph>>>(&a.value))
      for (const auto& g : *gs) one(g);
  }
}

bool defined(const Value& v) {
  return v.producer != kNoNode || v.is_input || v.is_capture || v.constant.defined() || v.sparse;
}

void verify_node(const Graph& g, NodeId id) {
  const Node& n = g.node(id);
  auto in_range = [&g](ValueId v) { return v >= 0 && static_cast<size_t>(v) < g.value_slots(); };
  auto used = [&](ValueId v, Use u) {
    need(in_range(v), n.label(), " uses value ", v, ", which does not exist");
    const Value& val = g.value(v);
    need(!val.dead, n.label(), " uses the removed value '", val.name, "'");
    need(std::count(val.uses.begin(), val.uses.end(), u) == 1, n.label(), ": use of '", val.name,
         "' is not recorded");
    need(defined(val), n.label(), " uses '", val.name, "', which nothing defines");
  };
  for (size_t k = 0; k < n.inputs.size(); ++k)
    if (n.inputs[k] != kNoValue) used(n.inputs[k], {id, static_cast<int>(k)});
  for (size_t k = 0; k < n.captures.size(); ++k) used(n.captures[k], {id, -1 - static_cast<int>(k)});
  for (size_t k = 0; k < n.outputs.size(); ++k) {
    ValueId o = n.outputs[k];
    if (o == kNoValue) continue;
    need(in_range(o) && !g.value(o).dead, n.label(), " defines a value that does not exist");
    need(g.value(o).producer == id && g.value(o).producer_index == static_cast<int>(k), n.label(),
         ": output '", g.value(o).name, "' has another producer");
  }
  verify_subgraphs(n);
}

void verify_value(const Graph& g, ValueId id) {
  const Value& v = g.value(id);
  need(g.find_value(v.name) == id, "the name '", v.name, "' leads to another value");
  for (const Use& u : v.uses) {
    need(u.node >= 0 && static_cast<size_t>(u.node) < g.node_slots() && !g.node(u.node).dead, "'", v.name,
         "' is used by a removed node");
    const Node& n = g.node(u.node);
    auto k = static_cast<size_t>(u.index >= 0 ? u.index : -1 - u.index);
    ValueId back = u.index >= 0 ? n.input(k) : (k < n.captures.size() ? n.captures[k] : kNoValue);
    need(back == id, "'", v.name, "' records a use that ", n.label(), " does not have");
  }
  if (v.producer != kNoNode) need(!g.node(v.producer).dead, "'", v.name, "' is made by a removed node");
}

}  // namespace

void verify(const Graph& g) {
  for (size_t i = 0; i < g.node_slots(); ++i)
    if (!g.node(static_cast<NodeId>(i)).dead) verify_node(g, static_cast<NodeId>(i));
  for (size_t i = 0; i < g.value_slots(); ++i)
    if (!g.value(static_cast<ValueId>(i)).dead) verify_value(g, static_cast<ValueId>(i));
  for (ValueId v : g.outputs()) {
    need(v >= 0 && static_cast<size_t>(v) < g.value_slots() && !g.value(v).dead,
         "a graph output does not exist");
    need(g.value(v).is_output, "'", g.value(v).name, "' is not marked as an output");
    need(defined(g.value(v)), "output '", g.value(v).name, "' is made by nothing");
  }
  (void)g.order();
}

}  // namespace skiff
