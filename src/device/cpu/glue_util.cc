#include "device/cpu/glue_util.h"

#include "device/reference_kernel.h"

namespace skiff::cpu {

GlueKernel::GlueKernel(const NodeQuery& q, const CpuContext& c, const char* name, PlanFn plan,
                       uint32_t in_place)
    : node_(q.node), c_(c), name_(name), plan_(plan), in_place_(in_place) {
  for (const Tensor* t : q.constants) constants_.push_back(t && t->bytes() <= kKeptBytes ? *t : Tensor());
}

std::unique_ptr<BoundKernel> GlueKernel::bind(std::span<const TensorDesc> in,
                                              std::span<const TensorDesc> out) {
  if (auto b = plan_({node_, c_, in, out, constants_})) return b;
  if (!reference_) reference_ = make_reference_kernel({node_, {}, {}, {}});
  return reference_->bind(in, out);
}

Work divide(const CpuContext& c, int64_t units, double seconds, int64_t multiple) {
  if (units <= 1 || seconds < kSerialSeconds || c.pool->threads() == 1)
    return {units, std::max<int64_t>(units, 1)};
  const double most = 8.0 * c.pool->threads();
  auto tasks = static_cast<int64_t>(std::clamp(seconds / kChunkSeconds, 1.0, most));
  tasks = std::min(tasks, units);
  int64_t grain = (units + tasks - 1) / tasks;
  return {units, (grain + multiple - 1) / multiple * multiple};
}

std::optional<double> match_floats(const NodeQuery& q, const CpuContext& c) {
  if (q.in.empty() || !q.in[0] || !all_inputs(q, DType::kFloat) || !output_is(q, DType::kFloat))
    return std::nullopt;
  return c.estimate(node_cost(q), 0.3);
}

double moves_seconds(const NodeQuery& q, const CpuContext& c) {
  return c.estimate({0, node_cost(q).bytes}, 1);
}

std::optional<double> match_moves(const NodeQuery& q, const CpuContext& c) {
  if (q.in.empty() || !q.in[0] || in_rank(q, 0) < 0 || elem_bytes(q.in[0]->dtype) == 0) return std::nullopt;
  for (const Type* t : q.out)
    if (t && (!t->is_tensor() || t->dtype != q.in[0]->dtype)) return std::nullopt;
  return moves_seconds(q, c);
}

bool broadcast_loop(const PlanArgs& p, std::span<const size_t> inputs, LoopShape* loop) {
  if (inputs.size() > kMaxLoopOperands) return false;
  int ranks[kMaxLoopOperands];
  const int64_t* dims[kMaxLoopOperands];
  for (size_t i = 0; i < inputs.size(); ++i) {
    ranks[i] = static_cast<int>(p.x(inputs[i]).size());
    dims[i] = p.x(inputs[i]).data();
  }
  return collapse_broadcast(static_cast<int>(p.y().size()), p.y().data(), static_cast<int>(inputs.size()),
                            ranks, dims, loop);
}

}  // namespace skiff::cpu
