#include "device/reference_kernel.h"

#include <algorithm>

#include "ops/infer.h"

namespace skiff {
namespace {

bool shares_memory(const Tensor& t, std::span<const Datum* const> in) {
  auto lies_in = [&](const Datum* d) {
    if (!d || !d->is_tensor() || !d->tensor().bytes()) return false;
    auto first = reinterpret_cast<uintptr_t>(d->tensor().raw()), at = reinterpret_cast<uintptr_t>(t.raw());
    return at >= first && at < first + d->tensor().bytes();
  };
  return t.bytes() > 0 && std::any_of(in.begin(), in.end(), lies_in);
}

// An unplanned result outlives the planned memory of the node's inputs, so it must not refer to that: a
// sequence keeps copies of the tensors put into it.
Datum detached(Datum v, std::span<const Datum* const> in) {
  auto shared = [&](const Datum& d) { return d.is_tensor() && shares_memory(d.tensor(), in); };
  if (shared(v)) return v.tensor().clone();
  if (v.kind() == Datum::Kind::kSequence && std::any_of(v.items().begin(), v.items().end(), shared)) {
    std::vector<Datum> items = v.items();
    for (Datum& d : items) d = detached(std::move(d), in);
    return Datum::sequence(std::move(items), v.elem_type());
  }
  return v;
}

class ReferenceKernel : public Kernel {
 public:
  explicit ReferenceKernel(const NodeQuery& q) : node_(q.node) {
    if (node_.def->make_state) state_ = node_.def->make_state(node_);
    if (node_.def->is(kUntrusted))
      for (const Type* t : q.out) promised_.push_back(t ? *t : Type());
  }
  std::string_view name() const override { return kReferenceKernel; }
  std::unique_ptr<BoundKernel> bind(std::span<const TensorDesc>, std::span<const TensorDesc> out) override;

  void run(const RunArgs& a, size_t outputs) const {
    // The context owns its output list; planned tensors are views, so results land in their memory.
    std::vector<Datum> out(outputs);
    for (size_t i = 0; i < outputs; ++i)
      if (a.out[i] && a.out[i]->is_tensor()) out[i] = *a.out[i];
    KernelContext c(node_, a.in, out, a.host, state_.get());
    node_.def->reference(c);
    for (size_t i = 0; i < promised_.size(); ++i) check_promise(node_, i, promised_[i], out[i]);
    for (size_t i = 0; i < outputs; ++i)
      if (a.out[i] && !a.out[i]->is_tensor()) *a.out[i] = detached(std::move(out[i]), a.in);
  }

 private:
  const Node node_;  // a copy: kernels outlive graph edits
  std::unique_ptr<NodeState> state_;
  std::vector<Type> promised_;  // of the outputs, where the implementation is not trusted to keep it
};

class ReferenceBound : public BoundKernel {
 public:
  ReferenceBound(const ReferenceKernel& k, size_t outputs) : kernel_(k), outputs_(outputs) {}
  void run(const RunArgs& a) override { kernel_.run(a, outputs_); }

 private:
  const ReferenceKernel& kernel_;
  size_t outputs_;
};

std::unique_ptr<BoundKernel> ReferenceKernel::bind(std::span<const TensorDesc>,
                                                   std::span<const TensorDesc> out) {
  return std::make_unique<ReferenceBound>(*this, out.size());
}

}  // namespace

std::optional<KernelChoice> reference_choice(const NodeQuery& q) {
  if (!q.node.def || !q.node.def->reference) return std::nullopt;
  Cost c = cost_of(*q.node.def, CostContext{q.node, q.in, q.out});
  return KernelChoice{kReferenceKernel, c.flops / 2e8 + c.bytes / 2e8 + 1e-6};
}

std::unique_ptr<Kernel> make_reference_kernel(const NodeQuery& q) {
  check(q.node.def && q.node.def->reference, Code::kUnsupported, q.node.label(), " has no implementation");
  return std::make_unique<ReferenceKernel>(q);
}

}  // namespace skiff
