#include "ops/infer.h"
#include "base/error_where.h"

#include <unordered_map>

namespace skiff {
namespace {

// Longer integer vectors are not shapes: following them costs more than it tells.
constexpr size_t kMaxData = 1024;

void check_types(const Node& n, std::span<const InputInfo> in) {
  if (!n.def) return;
  const auto& formals = n.def->inputs;
  DType bound[128] = {};
  for (size_t i = 0; i < in.size(); ++i) {
    if (!in[i].type || formals.empty()) continue;
    const Formal& f = i < formals.size() ? formals[i] : formals.back();
    const Type& t = *in[i].type;
    if (t.kind != Type::Kind::kTensor || t.dtype == DType::kUndefined || f.types == 0) continue;
    check((f.types & mask_of(t.dtype)) != 0, Code::kInvalidModel, "input ", i, " ('", f.name,
          "') has element type ", dtype_name(t.dtype), ", which the operator does not take");
    if (!f.tvar) continue;
    DType& b = bound[static_cast<unsigned char>(f.tvar) & 127];
    check(b == DType::kUndefined || b == t.dtype, Code::kInvalidModel, "input ", i, " ('", f.name,
          "') has element type ", dtype_name(t.dtype), "; it must be ", dtype_name(b),
          " like the inputs before it");
    b = t.dtype;
  }
}

class Inference : public SubgraphInfer {
 public:
  void run(Graph& g, const std::vector<const Type*>& captures) {
    Data data;
    for (const Graph::Capture& c : g.captures()) {
      if (static_cast<size_t>(c.index) < captures.size() && captures[static_cast<size_t>(c.index)])
        g.mutable_value(c.inner).type = *captures[static_cast<size_t>(c.index)];
    }
    for (NodeId id : g.order()) node(g, id, data);
  }

  std::vector<Type> infer(const Node& n, const Graph& sub, std::span<const Type> inputs) override {
    // Rules see subgraphs as const; inference owns the graph it walks and may write their types.
    auto& g = const_cast<Graph&>(sub);
    restore_declared(g);
    for (size_t i = 0; i < g.inputs().size() && i < inputs.size(); ++i) {
      Value& v = g.mutable_value(g.inputs()[i]);
      if (inputs[i].kind != Type::Kind::kUnknown) v.type = inputs[i];
    }
    check(++depth_ < 64, Code::kLimit, "subgraphs nest deeper than 64 levels");
    std::vector<const Type*> captures;
    for (ValueId v : n.captures) captures.push_back(&current_->value(v).type);
    const Graph* saved = current_;
    current_ = &g;
    run(g, captures);
    current_ = saved;
    --depth_;
    std::vector<Type> r;
    for (ValueId v : g.outputs()) r.push_back(g.value(v).type);
    return r;
  }

  const Graph* current_ = nullptr;

 private:
  using Data = std::unordered_map<ValueId, std::vector<Dim>>;

  // A rule may infer its body more than once (Loop looks for shapes that last); what one attempt assumed must
  // not colour the next.
  void restore_declared(Graph& g) {
    auto [it, first] = declared_.try_emplace(&g);
    for (size_t i = 0; i < g.value_slots(); ++i) {
      Type& t = g.mutable_value(static_cast<ValueId>(i)).type;
      if (first)
        it->second.push_back(t);
      else
        t = it->second[i];
    }
  }

  void node(Graph& g, NodeId id, Data& data) {
    const Node& n = g.node(id);
    if (!n.def) return;  // a function call: its outputs stay as declared until it is inlined
    std::vector<InputInfo> in(n.inputs.size());
    for (size_t i = 0; i < n.inputs.size(); ++i) {
      ValueId v = n.inputs[i];
      if (v == kNoValue) continue;
      const Value& val = g.value(v);
      in[i].type = &val.type;
      if (val.is_constant()) in[i].constant = &val.constant;
      auto it = data.find(v);
      if (it != data.end()) in[i].data = &it->second;
    }
    std::vector<OutputInfo> out(n.outputs.size());
    infer_node(n, in, out, this);
    for (size_t i = 0; i < out.size(); ++i) {
      ValueId v = n.outputs[i];
      if (v == kNoValue) continue;
      Value& val = g.mutable_value(v);
      merge(n, val, std::move(out[i].type));
      if (out[i].has_data && out[i].data.size() <= kMaxData) data[v] = std::move(out[i].data);
    }
  }

  void merge(const Node& n, Value& v, Type t) {
    Type& have = v.type;
    if (t.kind == Type::Kind::kUnknown) {
      name_unknowns(v);
      return;
    }
    if (have.kind == Type::Kind::kUnknown || have.kind != t.kind) {
      have = std::move(t);
    } else {
      check(t.dtype == DType::kUndefined || have.dtype == DType::kUndefined || t.dtype == have.dtype,
            Code::kInvalidModel, n.label(), ": output '", v.name, "' is declared ", have.to_string(),
            " but is ", t.to_string());
      if (t.dtype != DType::kUndefined) have.dtype = t.dtype;
      if (t.elem) have.elem = t.elem;
      merge_shape(have.shape, t.shape);
    }
    name_unknowns(v);
  }

  // What the rule knows wins; declared shapes fill the gaps (exporters declare wrong shapes often enough that
  // a clash is settled for the rule, as every run time does).
  static void merge_shape(SymShape& have, const SymShape& rule) {
    if (!rule.has_rank()) return;
    if (!have.has_rank() || have.rank() != rule.rank()) {
      have = rule;
      return;
    }
    for (size_t i = 0; i < rule.rank(); ++i)
      if (rule[i].is_known()) have[i] = rule[i];
  }

  static void name_unknowns(Value& v) {
    if (v.type.kind != Type::Kind::kTensor || !v.type.shape.has_rank()) return;
    for (size_t i = 0; i < v.type.shape.rank(); ++i)
      if (!v.type.shape[i].is_known()) v.type.shape[i] = Dim::symbol(cat(v.name, ".", i));
  }

  std::unordered_map<const Graph*, std::vector<Type>> declared_;
  int depth_ = 0;
};

}  // namespace

void infer_node(const Node& n, std::span<const InputInfo> in, std::span<OutputInfo> out, SubgraphInfer* sub) {
  try {
    check_types(n, in);
    InferContext c(n, in, out, sub);
    n.def->infer(c);
  } catch (Error& e) {
    add_where_once(e, n.label());
    throw;
  }
}

void check_promise(const Node& n, size_t i, const Type& promised, const Datum& made) {
  if (i >= n.outputs.size() || n.outputs[i] == kNoValue || promised.kind == Type::Kind::kUnknown) return;
  auto kind_fits = [&] {
    switch (promised.kind) {
      case Type::Kind::kTensor: return made.is_tensor();
      case Type::Kind::kSequence: return made.kind() == Datum::Kind::kSequence;
      case Type::Kind::kMap: return made.kind() == Datum::Kind::kMap;
      case Type::Kind::kSparse: return made.kind() == Datum::Kind::kSparse;
      default: return true;
    }
  };
  static constexpr const char* kKinds[] = {"nothing", "a tensor", "a sequence", "a map", "a sparse tensor"};
  check(kind_fits(), Code::kInvalidArgument, "output ", i, " was promised as ", promised.to_string(),
        " by its type rule or the model, but its kernel made ", kKinds[static_cast<size_t>(made.kind())]);
  if (!promised.is_tensor()) return;
  const Tensor& t = made.tensor();
  bool fits = promised.dtype == DType::kUndefined || promised.dtype == t.dtype();
  if (promised.shape.has_rank()) {
    fits = fits && promised.shape.rank() == t.dims().size();
    for (size_t d = 0; fits && d < t.dims().size(); ++d)
      fits = !promised.shape[d].is_const() || promised.shape[d].value() == t.dims()[d];
  }
  check(fits, Code::kInvalidArgument, "output ", i, " was promised as ", promised.to_string(),
        " by its type and shape rule or the model, but its kernel made ", describe(t));
}

void infer_types(Graph& g) {
  Inference inf;
  inf.current_ = &g;
  inf.run(g, {});
}

}  // namespace skiff
