#include "device/cpu/peaks.h"

#include <algorithm>
#include <chrono>
#include <vector>

#include "device/cpu/kernels/peak/peak.h"

namespace skiff::cpu {
namespace {

double seconds_since(std::chrono::steady_clock::time_point t) {
  return std::chrono::duration<double>(std::chrono::steady_clock::now() - t).count();
}

// Runs `work(thread)` on every thread at once, again and again; returns the best time of one round. Short
// rounds and the minimum: on a shared machine the peak is what is left when nobody interferes.
template <class F>
double best_round(ThreadPool& pool, int rounds, F&& work) {
  double best = 1e9;
  for (int r = 0; r < rounds; ++r) {
    auto t = std::chrono::steady_clock::now();
    pool.parallel_for(pool.threads(), 1, [&](int64_t b, int64_t e) {
      for (int64_t i = b; i < e; ++i) work(i);
    });
    best = std::min(best, seconds_since(t));
  }
  return best;
}

}  // namespace

Peaks measure_peaks(const CpuContext& c) {
  Peaks p;
  ThreadPool& pool = *c.pool;
  p.threads = pool.threads();
  const PeakKernels& k = *c.k->peak;

  std::vector<float> sink(static_cast<size_t>(p.threads) * 64);
  constexpr int64_t kFmaRounds = 20000;
  double flops = 0;
  {
    float s = 0;
    flops = k.fma(kFmaRounds, &s);  // warms the clock up, and says what one call does
  }
  double t =
      best_round(pool, 60, [&](int64_t i) { (void)k.fma(kFmaRounds, &sink[static_cast<size_t>(i) * 64]); });
  p.fp32_flops = flops * p.threads / t;

  // Beyond the caches: 64 MiB a thread for reading, half of it for each side of a copy.
  constexpr int64_t kFloats = 16 << 20;
  std::vector<std::vector<float>> memory(static_cast<size_t>(p.threads));
  for (auto& m : memory) m.assign(static_cast<size_t>(kFloats), 1.0F);
  auto bytes = static_cast<double>(kFloats) * sizeof(float) * p.threads;
  t = best_round(pool, 4, [&](int64_t i) {
    sink[static_cast<size_t>(i) * 64] += k.read(memory[static_cast<size_t>(i)].data(), kFloats);
  });
  p.read_bytes = bytes / t;
  t = best_round(pool, 4, [&](int64_t i) {
    float* m = memory[static_cast<size_t>(i)].data();
    k.copy(m, m + kFloats / 2, kFloats / 2);
  });
  p.copy_bytes = bytes / t;  // half read, half written
  return p;
}

}  // namespace skiff::cpu
