#include "ops/interpret.h"
#include "base/error_where.h"

namespace skiff {
namespace {

class Interpreter : public KernelHost {
 public:
  explicit Interpreter(const InterpretLimits& l) : limits_(l) {}

  std::vector<Datum> run(const Graph& g, std::span<const Datum> inputs, std::span<const Datum> captures) {
    check(++depth_ <= limits_.max_depth, Code::kLimit, "subgraphs nest deeper than ", limits_.max_depth,
          " levels");
    std::vector<Datum> values(g.value_slots());
    std::vector<uint8_t> have(g.value_slots(), 0);
    auto put = [&](ValueId v, Datum d) {
      values[static_cast<size_t>(v)] = std::move(d);
      have[static_cast<size_t>(v)] = 1;
    };
    for (size_t i = 0; i < g.value_slots(); ++i) {
      const Value& v = g.value(static_cast<ValueId>(i));
      if (v.dead) continue;
      if (v.constant.defined()) put(static_cast<ValueId>(i), v.constant);
      if (v.sparse) put(static_cast<ValueId>(i), Datum::sparse(*v.sparse));
    }
    check(inputs.size() <= g.inputs().size(), Code::kInvalidArgument, "the graph takes ", g.inputs().size(),
          " inputs, ", inputs.size(), " were given");
    for (size_t i = 0; i < inputs.size(); ++i) {
      ValueId v = g.inputs()[i];
      if (inputs[i].kind() == Datum::Kind::kNone && g.value(v).constant.defined()) continue;
      put(v, inputs[i]);
    }
    for (const Graph::Capture& c : g.captures()) {
      check(static_cast<size_t>(c.index) < captures.size(), Code::kInternal, "a captured value is not bound");
      put(c.inner, captures[static_cast<size_t>(c.index)]);
    }
    for (NodeId id : g.order()) {
      const Node& n = g.node(id);
      std::vector<const Datum*> in(n.inputs.size());
      for (size_t i = 0; i < in.size(); ++i) {
        if (n.inputs[i] == kNoValue) continue;
        auto v = static_cast<size_t>(n.inputs[i]);
        check(have[v], Code::kInvalidArgument, n.label(), ": input '", g.value(n.inputs[i]).name,
              "' was not given");
        in[i] = &values[v];
      }
      Frame frame{&n, {}, parent_};
      for (ValueId v : n.captures) frame.captures.push_back(values[static_cast<size_t>(v)]);
      parent_ = &frame;
      std::vector<Datum> out = run_reference(n, in, this);
      parent_ = frame.up;
      for (size_t i = 0; i < out.size(); ++i)
        if (n.outputs[i] != kNoValue) put(n.outputs[i], std::move(out[i]));
    }
    std::vector<Datum> r;
    for (ValueId v : g.outputs()) r.push_back(values[static_cast<size_t>(v)]);
    --depth_;
    return r;
  }

  std::vector<Datum> run_subgraph(const Node& n, const Graph& g, std::span<const Datum> inputs) override {
    check(parent_ && parent_->node == &n, Code::kInternal, "subgraph run outside its node");
    Frame* saved = parent_;
    std::vector<Datum> r = run(g, inputs, saved->captures);
    parent_ = saved;
    return r;
  }
  void poll() override {}
  int64_t max_loop_trips() const override { return limits_.max_loop_trips; }

 private:
  struct Frame {
    const Node* node;
    std::vector<Datum> captures;
    Frame* up;
  };
  InterpretLimits limits_;
  Frame* parent_ = nullptr;
  int depth_ = 0;
};

}  // namespace

std::vector<Datum> run_reference(const Node& n, std::span<const Datum* const> in, KernelHost* host) {
  check(n.def != nullptr && n.def->reference != nullptr, Code::kUnsupported, n.label(),
        " has no implementation (a model-local function must be inlined first)");
  std::vector<Datum> out(n.outputs.size());
  try {
    std::unique_ptr<NodeState> state = n.def->make_state ? n.def->make_state(n) : nullptr;
    KernelContext c(n, in, out, host, state.get());
    n.def->reference(c);
  } catch (Error& e) {
    add_where_once(e, n.label());
    throw;
  }
  return out;
}

std::vector<Datum> interpret(const Graph& g, std::span<const Datum> inputs, std::span<const Datum> captures,
                             const InterpretLimits& limits) {
  Interpreter it(limits);
  return it.run(g, inputs, captures);
}

}  // namespace skiff
