#include "passes/fold_constants.h"

#include <unordered_map>

#include "base/interrupt.h"
#include "ops/infer.h"
#include "ops/interpret.h"
#include "passes/edit.h"

namespace skiff::passes {
namespace {

using Data = std::unordered_map<ValueId, std::vector<Dim>>;
constexpr size_t kMaxData = 1024;  // longer integer vectors are not shapes

// Lets whoever loads the model stop a fold.
class FoldHost : public KernelHost {
 public:
  std::vector<Datum> run_subgraph(const Node& n, const Graph&, std::span<const Datum>) override {
    fail(Code::kInternal, n.label(), " was folded with its subgraph");
  }
  void poll() override { poll_interrupt(); }
};

class Folder {
 public:
  Folder(Graph& g, PassContext& ctx) : g_(g), ctx_(ctx) {}

  bool run() {
    for (NodeId id : std::vector<NodeId>(g_.order())) {
      const Node& n = g_.node(id);
      bind_captures(n);
      if (!n.def || n.def->is(kControlFlow)) continue;
      Infos outs(n.outputs.size());
      infer(n, outs);
      if (n.def->is(kNondeterministic) || is_quantizer(n)) continue;
      if (std::vector<Tensor> known = from_data(n, outs); !known.empty() || from_constants(n, outs, known))
        become_constants(id, known);
    }
    return changed_;
  }

 private:
  using Infos = std::vector<OutputInfo>;

  void infer(const Node& n, Infos& out) {
    std::vector<InputInfo> in(n.inputs.size());
    for (size_t i = 0; i < in.size(); ++i) {
      ValueId v = n.inputs[i];
      if (v == kNoValue) continue;
      in[i].type = &g_.value(v).type;
      in[i].constant = constant_of(g_, v);
      auto it = data_.find(v);
      if (it != data_.end()) in[i].data = &it->second;
    }
    infer_node(n, in, out);
    for (size_t i = 0; i < out.size(); ++i)
      if (n.outputs[i] != kNoValue && out[i].has_data && out[i].data.size() <= kMaxData)
        data_[n.outputs[i]] = out[i].data;
  }

  // All outputs are integer tensors of rank 0 or 1 whose every element inference knows.
  static std::vector<Tensor> from_data(const Node& n, const Infos& outs) {
    std::vector<Tensor> known;
    for (size_t i = 0; i < outs.size(); ++i) {
      const OutputInfo& o = outs[i];
      if (n.outputs[i] == kNoValue) {
        known.emplace_back();
        continue;
      }
      bool usable = o.has_data && o.data.size() <= kMaxData && o.type.is_tensor() &&
                    o.type.shape.has_rank() && o.type.shape.rank() <= 1 &&
                    (dtype_is_integer(o.type.dtype) || o.type.dtype == DType::kBool);
      if (!usable || (o.type.shape.rank() == 0 && o.data.size() != 1)) return {};
      Dims dims;
      if (o.type.shape.rank() == 1) dims.push_back(static_cast<int64_t>(o.data.size()));
      Tensor t(o.type.dtype, dims);
      for (size_t k = 0; k < o.data.size(); ++k) {
        if (!o.data[k].is_const()) return {};
        set_int(t, static_cast<int64_t>(k), o.data[k].value());
      }
      known.push_back(std::move(t));
    }
    return known;
  }

  bool from_constants(const Node& n, const Infos& outs, std::vector<Tensor>& known) {
    if (n.def->is(kNonTensor) && !n.is("Constant")) return false;
    std::vector<Datum> values;
    values.reserve(n.inputs.size());
    int64_t in_bytes = 0;
    for (ValueId v : n.inputs) {
      const Tensor* t = constant_of(g_, v);
      if (v != kNoValue && !t) return false;
      values.push_back(t ? Datum(*t) : Datum());
      if (t) in_bytes += static_cast<int64_t>(t->bytes());
    }
    bool literal = n.is("Constant");
    if (!literal && !affordable(n, outs, in_bytes)) return false;
    std::vector<const Datum*> in;
    for (size_t i = 0; i < values.size(); ++i) in.push_back(n.inputs[i] == kNoValue ? nullptr : &values[i]);
    std::vector<Datum> results;
    try {
      FoldHost host;
      results = run_reference(n, in, &host);
      if (n.def->is(kUntrusted))
        for (size_t i = 0; i < results.size(); ++i) check_promise(n, i, outs[i].type, results[i]);
    } catch (const Error& e) {
      if (e.code() == Code::kLimit || e.code() == Code::kCancelled) poll_interrupt();
      return false;
    }
    int64_t out_bytes = 0;
    for (size_t i = 0; i < results.size(); ++i) {
      if (n.outputs[i] == kNoValue) {
        known.emplace_back();
        continue;
      }
      if (!results[i].is_tensor()) return known.clear(), false;
      known.push_back(results[i].tensor());
      out_bytes += static_cast<int64_t>(known.back().bytes());
    }
    if (!literal) ctx_.folded_bytes += std::max<int64_t>(0, out_bytes - in_bytes);
    return true;
  }

  // The size of the result is known beforehand, or bounded by the operands, and within the limits.
  bool affordable(const Node& n, const Infos& outs, int64_t in_bytes) const {
    int64_t out_bytes = 0;
    for (size_t i = 0; i < outs.size(); ++i) {
      if (n.outputs[i] == kNoValue) continue;
      const Type& t = outs[i].type;
      if (n.def->is(kDataDependent)) {
        // Indices of what was selected: at most rank 8-byte numbers per element.
        out_bytes += in_bytes * 64;
        continue;
      }
      if (!t.is_tensor() || !t.shape.is_static()) return false;
      double bytes = dtype_bits(t.dtype) / 8.0;
      for (const Dim& d : t.shape.dims()) bytes *= static_cast<double>(d.value());
      if (bytes > static_cast<double>(ctx_.options.max_folded_bytes)) return false;
      out_bytes += static_cast<int64_t>(bytes);
    }
    if (out_bytes > ctx_.options.max_folded_bytes && out_bytes > in_bytes) return false;
    if (ctx_.folded_bytes + out_bytes - in_bytes > ctx_.options.max_folded_total) return false;
    std::vector<const Type*> in_types, out_types;
    for (ValueId v : n.inputs) in_types.push_back(v == kNoValue ? nullptr : &g_.value(v).type);
    for (const OutputInfo& o : outs) out_types.push_back(&o.type);
    return cost_of(*n.def, CostContext{n, in_types, out_types}).flops <= ctx_.options.max_fold_work;
  }

  void become_constants(NodeId id, std::vector<Tensor>& known) {
    const Node& n = g_.node(id);
    Patch p(g_);
    for (size_t i = 0; i < known.size(); ++i)
      if (n.outputs[i] != kNoValue)
        p.replace(n.outputs[i], p.constant(g_.value(n.outputs[i]).name, std::move(known[i])));
    p.remove(id);
    commit(g_, ctx_, p);
    changed_ = true;
  }

  // Outer constants become constants inside, where the passes of the subgraph can use them.
  void bind_captures(const Node& n) {
    auto bind = [&](const std::shared_ptr<Graph>& s) {
      for (const Graph::Capture& c : s->captures()) {
        const Tensor* t = constant_of(g_, n.captures[static_cast<size_t>(c.index)]);
        const Value& inner = s->value(c.inner);
        if (!t || inner.uses.empty() || inner.is_output) continue;
        Patch p(*s);
        p.replace(c.inner, p.constant(inner.name, *t));
        commit(*s, ctx_, p);
        changed_ = true;
      }
    };
    for (const Attribute& a : n.attributes) {
      if (const auto* s = std::get_if<std::shared_ptr<Graph>>(&a.value)) bind(*s);
      if (const auto* l = std::get_if<std::vector<std::shared_ptr<Graph>>>(&a.value))
        for (const auto& s : *l) bind(s);
    }
  }

  Graph& g_;
  PassContext& ctx_;
  Data data_;
  bool changed_ = false;
};

}  // namespace

bool fold_constants(Graph& g, PassContext& ctx) { return Folder(g, ctx).run(); }

}  // namespace skiff::passes
