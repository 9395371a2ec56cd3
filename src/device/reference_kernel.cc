#include "device/reference_kernel.h"

namespace skiff {
namespace {

class ReferenceBound : public BoundKernel {
 public:
  ReferenceBound(const Node& n, size_t outputs) : node_(n), outputs_(outputs) {}
  void run(const RunArgs& a) override {
    // The context owns its output list; planned tensors are views, so results land in their memory.
    std::vector<Datum> out(outputs_);
    for (size_t i = 0; i < outputs_; ++i)
      if (a.out[i] && a.out[i]->is_tensor()) out[i] = *a.out[i];
    KernelContext c(node_, a.in, out, a.host);
    node_.def->reference(c);
    for (size_t i = 0; i < outputs_; ++i)
      if (a.out[i] && !a.out[i]->is_tensor()) *a.out[i] = std::move(out[i]);
  }

 private:
  const Node& node_;
  size_t outputs_;
};

class ReferenceKernel : public Kernel {
 public:
  explicit ReferenceKernel(const Node& n) : node_(n) {}
  std::string_view name() const override { return kReferenceKernel; }
  std::unique_ptr<BoundKernel> bind(std::span<const TensorDesc>, std::span<const TensorDesc> out) override {
    return std::make_unique<ReferenceBound>(node_, out.size());
  }

 private:
  const Node node_;  // a copy: kernels outlive graph edits
};

}  // namespace

std::optional<KernelChoice> reference_choice(const NodeQuery& q) {
  if (!q.node.def || !q.node.def->reference) return std::nullopt;
  Cost c = cost_of(*q.node.def, CostContext{q.node, q.in, q.out});
  return KernelChoice{kReferenceKernel, c.flops / 2e8 + c.bytes / 2e8 + 1e-6};
}

std::unique_ptr<Kernel> make_reference_kernel(const NodeQuery& q) {
  check(q.node.def && q.node.def->reference, Code::kUnsupported, q.node.label(), " has no implementation");
  return std::make_unique<ReferenceKernel>(q.node);
}

}  // namespace skiff
