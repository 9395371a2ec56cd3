#include "device/cpu/kernels/peak/peak.h"

#include "device/cpu/kernels/simd.h"

namespace skiff::cpu::SKIFF_ISA {
namespace {

// Twelve chains cover latency 4 on two or three pipes and leave registers for the operands on every set.
constexpr int kChains = 12;

double fma_rate(int64_t rounds, float* sink) {
  vf acc[kChains];
  for (int i = 0; i < kChains; ++i) acc[i] = splat(static_cast<float>(i));
  // The factors are unknown to the compiler and keep the values bounded.
  vf a = splat(0.5f + *sink * 0.0f), b = splat(0.25f);
  asm volatile("" : "+m"(a), "+m"(b));
  const vf factor = a, term = b;
  for (int64_t r = 0; r < rounds; ++r) {
    SKIFF_UNROLL for (int i = 0; i < kChains; ++i) acc[i] = fma(acc[i], factor, term);
  }
  vf s = {};
  for (int i = 0; i < kChains; ++i) s += acc[i];
  *sink = sum_lanes(s);
  return 2.0 * kChains * kLanes * static_cast<double>(rounds);
}

float read(const float* x, int64_t n) {
  vf s[8] = {};
  int64_t i = 0;
  for (; i + 8 * kLanes <= n; i += 8 * kLanes) {
    SKIFF_UNROLL for (int u = 0; u < 8; ++u) s[u] += load(x + i + u * kLanes);
  }
  for (; i < n; i += kLanes) s[0] += load_n(x + i, n - i < kLanes ? static_cast<int>(n - i) : kLanes);
  for (int u = 1; u < 8; ++u) s[0] += s[u];
  return sum_lanes(s[0]);
}

void copy(const float* x, float* y, int64_t n) {
  int64_t i = 0;
  for (; i + kLanes <= n; i += kLanes) store(y + i, load(x + i));
  for (; i < n; ++i) y[i] = x[i];
}

void fill(float* y, int64_t n, float value) {
  const vf v = splat(value);
  int64_t i = 0;
  for (; i + kLanes <= n; i += kLanes) store(y + i, v);
  for (; i < n; ++i) y[i] = value;
}

}  // namespace

extern const PeakKernels peak_kernels;
const PeakKernels peak_kernels = {fma_rate, read, copy, fill};

}  // namespace skiff::cpu::SKIFF_ISA
