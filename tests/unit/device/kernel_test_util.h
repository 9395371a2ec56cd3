// Helpers of the kernel tests: reproducible inputs, and the activations in double precision.
#pragma once
#include <algorithm>
#include <cmath>
#include <cstdint>
#include <vector>

#include "device/cpu/kernels/gemm/gemm.h"

namespace skiff::cpu {

// n values in [-1, 1). A vector holds exactly n floats, so that AddressSanitizer sees any access past them.
inline std::vector<float> test_values(int64_t n, uint32_t seed) {
  std::vector<float> v(static_cast<size_t>(n));
  uint32_t s = seed * 2654435761u + 1;
  for (float& x : v) {
    s = s * 1664525u + 1013904223u;
    x = static_cast<float>(s >> 8) / 8388608.0f - 1.0f;
  }
  return v;
}

inline double reference_act(Act act, double p0, double p1, double x) {
  switch (act) {
    case Act::kNone: return x;
    case Act::kClip: return std::min(std::max(x, p0), p1);
    case Act::kLeakyRelu: return x < 0 ? p0 * x : x;
    case Act::kSigmoid: return 1 / (1 + std::exp(-x));
    case Act::kTanh: return std::tanh(x);
    case Act::kSilu: return x / (1 + std::exp(-x));
    case Act::kHardSwish: return x * std::min(std::max(x / 6 + 0.5, 0.0), 1.0);
    case Act::kHardSigmoid: return std::min(std::max(p0 * x + p1, 0.0), 1.0);
    case Act::kGeluErf: return 0.5 * x * (1 + std::erf(x / std::sqrt(2.0)));
    case Act::kGeluTanh:
      return 0.5 * x * (1 + std::tanh(std::sqrt(2 / 3.14159265358979323846) * (x + 0.044715 * x * x * x)));
  }
  return 0;
}

// The largest |got - want|; NaN counts as infinitely far.
inline double largest_difference(const std::vector<float>& got, const std::vector<double>& want) {
  double worst = got.size() == want.size() ? 0 : INFINITY;
  for (size_t i = 0; i < got.size() && i < want.size(); i++) {
    const double d = std::fabs(static_cast<double>(got[i]) - want[i]);
    if (!(d <= worst)) worst = std::isnan(d) ? INFINITY : d;
  }
  return worst;
}

}  // namespace skiff::cpu
