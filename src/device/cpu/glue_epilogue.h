// What the glue of matrix products and convolutions shares: the fused activation, running a grid of tasks,
// and figures for estimates.
#pragma once
#include <algorithm>

#include "base/interrupt.h"
#include "device/cpu/factory.h"
#include "device/cpu/kernels/gemm/gemm.h"

namespace skiff::cpu {

struct FusedActivation {
  Act act = Act::kNone;
  float p0 = 0, p1 = 0;
  void into(Epilogue& e) const {
    e.act = act;
    e.p0 = p0;
    e.p1 = p1;
  }
};

// What a skiff.* node's `activation`, `alpha`, `beta` say, or the attributes of com.microsoft's fused
// operators; none for standard operators, whose alpha and beta mean other things. nullopt: not one of ours.
std::optional<FusedActivation> fused_activation(const Node& n);

// Part of the lanes that columns use when n of them are computed in whole vectors; in (0, 1].
double lane_use(int64_t n, int64_t lanes);

// Threads that `seconds` of single-thread work is divided for: all or one.
inline int32_t useful_threads(const CpuContext& c, double seconds) {
  return seconds < kSerialSeconds ? 1 : c.pool->threads();
}
// Parts that work of `seconds` for `threads` is planned in: more than there are threads only where a run
// could else not be stopped for long.
inline int32_t parts_of(double seconds, int32_t threads) {
  constexpr double kStopWithin = 0.25;
  return std::max(threads, static_cast<int32_t>(std::min(256.0, seconds / kStopWithin)));
}
// Tasks per chunk when `tasks` of them last `seconds` on one thread.
inline int64_t chunk_of(int64_t tasks, double seconds) {
  if (seconds < kSerialSeconds) return std::max<int64_t>(tasks, 1);
  const double each = seconds / static_cast<double>(std::max<int64_t>(tasks, 1));
  return each >= kChunkSeconds ? 1 : std::min<int64_t>(tasks, static_cast<int64_t>(kChunkSeconds / each) + 1);
}

// fn(task) for every task below `tasks`, in chunks of `grain`; without the pool when there is one chunk.
template <class F>
void run_tasks(ThreadPool* pool, int64_t tasks, int64_t grain, const F& fn) {
  if (tasks <= grain) {
    for (int64_t t = 0; t < tasks; ++t) {
      if (t > 0) poll_interrupt();
      fn(t);
    }
    return;
  }
  pool->parallel_for(tasks, grain, [&fn](int64_t begin, int64_t end) {
    for (int64_t t = begin; t < end; ++t) fn(t);
  });
}

// Bytes rounded up so that what follows in a workspace is aligned.
inline size_t aligned(size_t bytes) {
  return (bytes + Tensor::kAlignment - 1) / Tensor::kAlignment * Tensor::kAlignment;
}

inline const float* floats(const RunArgs& a, size_t i) { return a.in[i]->tensor().data<float>(); }

}  // namespace skiff::cpu
