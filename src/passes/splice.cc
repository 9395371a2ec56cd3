#include "passes/splice.h"

namespace skiff::passes {
namespace {

// Attributes are copied by value; subgraphs must not be shared between two nodes.
void own_subgraphs(Node& n) {
  for (Attribute& a : n.attributes) {
    if (auto* s = std::get_if<std::shared_ptr<Graph>>(&a.value)) {
      *s = std::make_shared<Graph>((*s)->clone());
    } else if (auto* l = std::get_if<std::vector<std::shared_ptr<Graph>>>(&a.value)) {
      for (auto& x : *l) x = std::make_shared<Graph>(x->clone());
    }
  }
}

}  // namespace

std::vector<ValueId> splice(Patch& p, const Graph& body, std::unordered_map<ValueId, ValueId> bound,
                            std::string_view prefix) {
  auto map = [&](ValueId v) -> ValueId {
    if (v == kNoValue) return kNoValue;
    auto it = bound.find(v);
    if (it != bound.end()) return it->second;
    const Value& val = body.value(v);
    std::string hint = cat(prefix, "/", val.name);
    ValueId to = kNoValue;
    if (val.constant.defined()) {
      to = p.constant(hint, val.constant);
    } else if (val.sparse) {
      to = p.op("", "Constant", 13, {}, {Attribute("sparse_value", *val.sparse)}, hint);
    } else {
      fail(Code::kInvalidModel, "'", val.name, "' is used inside ", prefix, " but nothing defines it");
    }
    bound.emplace(v, to);
    return to;
  };
  for (NodeId id : body.order()) {
    Node n = body.node(id);
    for (ValueId& v : n.inputs) v = map(v);
    for (ValueId& v : n.captures) {
      ValueId to = map(v);
      check(to != kNoValue, Code::kUnsupported, n.label(), " inside ", prefix, ": a subgraph uses '",
            body.value(v).name, "', an argument the call leaves out; pass that argument");
      v = to;
    }
    std::vector<ValueId> outs = n.outputs;
    while (!outs.empty() && outs.back() == kNoValue) outs.pop_back();
    own_subgraphs(n);
    if (!n.name.empty()) n.name = cat(prefix, "/", n.name);
    std::string hint =
        cat(prefix, "/", outs.empty() || outs[0] == kNoValue ? n.op : body.value(outs[0]).name);
    std::vector<ValueId> made = p.add(std::move(n), outs.size(), hint);
    for (size_t i = 0; i < outs.size(); ++i)
      if (outs[i] != kNoValue) bound[outs[i]] = made[i];
  }
  std::vector<ValueId> r;
  for (ValueId v : body.outputs()) r.push_back(map(v));
  return r;
}

}  // namespace skiff::passes
