// What the glue files share: kernels that are a planning function, division of work, access to operands.
#pragma once
#include <algorithm>
#include <cstring>
#include <utility>

#include "device/cpu/broadcast.h"
#include "device/cpu/factory.h"

namespace skiff::cpu {

// What a planning function sees: the node, concrete operands, and constants small enough to be kept.
struct PlanArgs {
  const Node& node;
  const CpuContext& c;
  std::span<const TensorDesc> in, out;
  std::span<const Tensor> constants;  // undefined where not constant (or too large to keep)

  bool has(size_t i) const { return i < in.size() && in[i].dtype != DType::kUndefined; }
  const Dims& x(size_t i = 0) const { return in[i].dims; }
  const Dims& y(size_t i = 0) const { return out[i].dims; }
  const Tensor* constant(size_t i) const {
    return i < constants.size() && constants[i].defined() ? &constants[i] : nullptr;
  }
};

// Concrete shapes -> the bound kernel; null when this shape must be left to the reference implementation.
using PlanFn = std::unique_ptr<BoundKernel> (*)(const PlanArgs& p);

// Constants up to this size are kept by a kernel for its planning function.
inline constexpr size_t kKeptBytes = size_t{1} << 16;

// A kernel without state of its own.
class GlueKernel : public Kernel {
 public:
  GlueKernel(const NodeQuery& q, const CpuContext& c, const char* name, PlanFn plan, uint32_t in_place);
  std::string_view name() const override { return name_; }
  std::unique_ptr<BoundKernel> bind(std::span<const TensorDesc> in, std::span<const TensorDesc> out) override;
  bool in_place(size_t i) const override { return i < 32 && (in_place_ >> i & 1) != 0; }

 private:
  const Node node_;  // a copy: kernels outlive graph edits
  const CpuContext& c_;
  const char* name_;
  PlanFn plan_;
  uint32_t in_place_;
  std::vector<Tensor> constants_;
  std::unique_ptr<Kernel> reference_;  // owns the node its bindings use
};

// A kernel's name as a template argument.
template <size_t N>
struct KernelName {
  char text[N];
  constexpr KernelName(const char (&s)[N]) { std::copy_n(s, N, text); }  // NOLINT: implicit on purpose
};

using MatchFn = std::optional<double> (*)(const NodeQuery& q, const CpuContext& c);

// kInPlace: bit i says that output 0 may be written over input i.
template <KernelName kName, PlanFn kPlan, uint32_t kInPlace = 0>
constexpr KernelFactory glue(const char* domain, const char* op, MatchFn match) {
  return {domain, op, kName.text, match,
          [](const NodeQuery& q, const CpuContext& c) -> std::unique_ptr<Kernel> {
            return std::make_unique<GlueKernel>(q, c, kName.text, kPlan, kInPlace);
          }};
}

// A bound kernel made of a callable taking RunArgs.
template <class F>
std::unique_ptr<BoundKernel> bound(F f, size_t workspace = 0) {
  struct Bound : BoundKernel {
    Bound(F fn, size_t bytes) : f(std::move(fn)), ws(bytes) {}
    size_t workspace() const override { return ws; }
    void run(const RunArgs& a) override { f(a); }
    F f;
    size_t ws;
  };
  return std::make_unique<Bound>(std::move(f), workspace);
}

// Units of work and how many of them a task takes.
struct Work {
  int64_t units = 0, grain = 1;
  int64_t tasks() const { return units == 0 ? 0 : (units + grain - 1) / grain; }
};
// `units` that last `seconds` together on one thread, divided into tasks worth waking a thread for; tasks
// start at multiples of `multiple`.
Work divide(const CpuContext& c, int64_t units, double seconds, int64_t multiple = 1);
// Seconds of moving this many bytes, on one thread.
inline double move_seconds(double bytes) { return bytes / 8e9; }

// fn(begin, end) over the units.
template <class F>
void each(const CpuContext& c, const Work& w, const F& fn) {
  if (w.units <= 0) return;
  if (w.units <= w.grain)
    fn(int64_t{0}, w.units);
  else
    c.pool->parallel_for(w.units, w.grain, fn);
}

inline const Tensor& in_tensor(const RunArgs& a, size_t i) { return a.in[i]->tensor(); }
inline const float* in_floats(const RunArgs& a, size_t i) { return a.in[i]->tensor().data<float>(); }
inline float* out_floats(const RunArgs& a, size_t i = 0) { return a.out[i]->tensor().data<float>(); }
inline const float* maybe_floats(const RunArgs& a, size_t i) {
  return i < a.in.size() && a.in[i] ? in_floats(a, i) : nullptr;
}

// Bytes rounded up so that what follows in a workspace is aligned.
inline size_t align_up(size_t bytes) {
  return (bytes + Tensor::kAlignment - 1) / Tensor::kAlignment * Tensor::kAlignment;
}
// Product of d[begin, end).
inline int64_t span_of(const Dims& d, size_t begin, size_t end) { return element_count(d, begin, end); }

// Bytes of an element; 0 for strings and types smaller than a byte.
inline int elem_bytes(DType t) {
  return t == DType::kString || t == DType::kUndefined || dtype_bits(t) % 8 ? 0 : dtype_bits(t) / 8;
}

inline const char* in_bytes(const RunArgs& a, size_t i) {
  return static_cast<const char*>(a.in[i]->tensor().raw());
}
inline char* out_bytes(const RunArgs& a, size_t i = 0) {
  return static_cast<char*>(a.out[i]->tensor().raw());
}
inline void copy_bytes(char* dst, const char* src, int64_t n) {
  if (n > 0) std::memcpy(dst, src, static_cast<size_t>(n));
}
inline double bytes_of(const TensorDesc& d) {
  return static_cast<double>(element_count(d.dims)) * elem_bytes(d.dtype);
}
inline int64_t rank_of(const Dims& d) { return static_cast<int64_t>(d.size()); }

// Matches: every input and output 0 is float with known ranks; estimated by the operator's cost.
std::optional<double> match_floats(const NodeQuery& q, const CpuContext& c);
// Input 0 and the outputs are tensors of known rank whose elements are whole bytes.
std::optional<double> match_moves(const NodeQuery& q, const CpuContext& c);
// The same, of a rank that fits a loop.
inline std::optional<double> match_ranked(const NodeQuery& q, const CpuContext& c) {
  return in_rank(q, 0) > kMaxLoopDims ? std::nullopt : match_moves(q, c);
}
double moves_seconds(const NodeQuery& q, const CpuContext& c);

// The broadcast loop of inputs [0, n) over output 0; false when it does not fit.
bool broadcast_loop(const PlanArgs& p, std::span<const size_t> inputs, LoopShape* loop);

}  // namespace skiff::cpu
