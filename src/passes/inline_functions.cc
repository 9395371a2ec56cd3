#include "passes/inline_functions.h"

#include <algorithm>

#include "ops/op.h"
#include "passes/edit.h"
#include "passes/splice.h"

namespace skiff::passes {
namespace {

// Calls f(graph) for the graph and every subgraph below it. Depth is bounded by the reader's own limit.
template <class F>
void each_graph(const Graph& g, F&& f) {
  f(g);
  for (NodeId id : g.order())
    for (const Attribute& a : g.node(id).attributes) {
      if (const auto* s = std::get_if<std::shared_ptr<Graph>>(&a.value)) each_graph(**s, f);
      if (const auto* l = std::get_if<std::vector<std::shared_ptr<Graph>>>(&a.value))
        for (const auto& s : *l) each_graph(*s, f);
    }
}

class Expansion {
 public:
  Expansion(const std::vector<Function>& functions, int64_t limit)
      : functions_(functions), limit_(limit), state_(functions.size(), kNew), size_(functions.size(), 0) {}

  // Index of the function a node calls, -1 when it is none. Model-local functions win over the catalogue.
  int callee(const Node& n) const {
    for (size_t i = 0; i < functions_.size(); ++i) {
      const Function& f = functions_[i];
      if (f.name == n.op && f.overload == n.overload && same_domain(f.domain, n.domain))
        return static_cast<int>(i);
    }
    return -1;
  }

  // Nodes of a graph after full expansion, subgraphs included; never above limit + 1.
  int64_t size_of(const Graph& g) {
    int64_t total = 0;
    each_graph(g, [&](const Graph& x) {
      for (NodeId id : x.order()) {
        int f = callee(x.node(id));
        total = std::min(limit_ + 1, total + (f < 0 ? 1 : size_of_function(static_cast<size_t>(f))));
      }
    });
    return total;
  }

 private:
  enum State : uint8_t { kNew, kOpen, kDone };

  static bool same_domain(std::string_view a, std::string_view b) {
    if (a == "ai.onnx") a = "";
    if (b == "ai.onnx") b = "";
    return a == b;
  }

  int64_t size_of_function(size_t i) {
    const Function& f = functions_[i];
    check(state_[i] != kOpen, Code::kInvalidModel, "function '", f.domain, "::", f.name,
          "' calls itself, directly or through others; ONNX functions must not be recursive");
    if (state_[i] == kDone) return size_[i];
    check(++depth_ < 256, Code::kLimit, "functions nest deeper than 256 levels");
    state_[i] = kOpen;
    check(f.body != nullptr, Code::kInternal, "function '", f.name, "' has no body");
    size_[i] = size_of(*f.body);
    state_[i] = kDone;
    --depth_;
    return size_[i];
  }

  const std::vector<Function>& functions_;
  int64_t limit_;
  std::vector<State> state_;
  std::vector<int64_t> size_;
  int depth_ = 0;
};

// Gives every attribute reference of the graph (and its subgraphs) the caller's value, the function's
// default, or removes it.
void resolve_references(Graph& g, const Node& call, const Function& f) {
  each_graph(g, [&](const Graph& x) {
    auto& graph = const_cast<Graph&>(x);  // a private copy of the body
    for (NodeId id : x.order()) {
      auto& attributes = graph.mutable_node(id).attributes;
      std::vector<Attribute> resolved;
      for (Attribute& a : attributes) {
        if (a.ref_name.empty()) {
          resolved.push_back(std::move(a));
          continue;
        }
        const Attribute* given = call.attr(a.ref_name);
        for (const Attribute& d : f.attribute_defaults)
          if (!given && d.name == a.ref_name) given = &d;
        if (!given) continue;
        Attribute r = *given;
        r.name = a.name;
        resolved.push_back(std::move(r));
      }
      attributes = std::move(resolved);
    }
  });
}

void inline_call(Graph& g, PassContext& ctx, NodeId id, const Function& f) {
  const Node& call = g.node(id);
  Graph body = f.body->clone();
  check(call.inputs.size() <= body.inputs().size() && call.outputs.size() <= body.outputs().size(),
        Code::kInvalidModel, call.label(), " gives ", call.inputs.size(), " inputs and takes ",
        call.outputs.size(), " outputs; function '", f.name, "' has ", body.inputs().size(), " and ",
        body.outputs().size());
  for (const std::string& a : f.attributes)
    check(call.has_attr(a), Code::kInvalidModel, call.label(), ": attribute '", a, "' of function '", f.name,
          "' is required");
  resolve_references(body, call, f);
  std::unordered_map<ValueId, ValueId> bound;
  for (size_t i = 0; i < body.inputs().size(); ++i) bound[body.inputs()[i]] = call.input(i);
  std::string prefix = call.name.empty() ? f.name : call.name;
  Patch p(g);
  std::vector<ValueId> results = splice(p, body, std::move(bound), prefix);
  for (size_t i = 0; i < call.outputs.size(); ++i) {
    ValueId out = call.outputs[i];
    if (out == kNoValue) continue;
    ValueId to = results[i];
    check(to != kNoValue, Code::kInvalidModel, call.label(), ": output ", i, " of function '", f.name,
          "' is an argument the call leaves out");
    // An argument handed straight through, or one result under two names, keeps a node of its own so that
    // graph outputs keep their names.
    bool repeated = std::find(results.begin(), results.begin() + static_cast<std::ptrdiff_t>(i), to) !=
                    results.begin() + static_cast<std::ptrdiff_t>(i);
    bool through = std::find(call.inputs.begin(), call.inputs.end(), to) != call.inputs.end();
    if (g.value(out).is_output && (repeated || through))
      to = p.op("", "Identity", kMadeOpset, {to}, {}, prefix);
    p.replace(out, to);
  }
  p.remove(id);
  commit(g, ctx, p);
}

}  // namespace

bool inline_functions(Graph& g, PassContext& ctx) {
  if (!ctx.functions || ctx.functions->empty()) return false;
  const std::vector<Function>& functions = *ctx.functions;
  Expansion e(functions, ctx.options.max_inlined_nodes);
  auto is_call = [&](NodeId id) { return e.callee(g.node(id)) >= 0; };
  if (std::none_of(g.order().begin(), g.order().end(), is_call)) return false;
  check(e.size_of(g) <= ctx.options.max_inlined_nodes, Code::kLimit,
        "expanding the model's functions gives more than max_nodes = ", ctx.options.max_inlined_nodes,
        " nodes; raise max_nodes if the model can be trusted");
  for (bool again = true; again;) {
    again = false;
    for (NodeId id : std::vector<NodeId>(g.order())) {
      int f = e.callee(g.node(id));
      if (f < 0) continue;
      inline_call(g, ctx, id, functions[static_cast<size_t>(f)]);
      again = true;
    }
  }
  resolve_ops(g, functions, ctx.custom_ops);  // bodies are checked like any other nodes
  return true;
}

}  // namespace skiff::passes
