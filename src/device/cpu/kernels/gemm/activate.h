// Activations on rows that were just stored (and still lie in the nearest cache).
#pragma once
#include "device/cpu/kernels/gemm/gemm.h"
#include "device/cpu/kernels/simd_math.h"

namespace skiff::cpu::SKIFF_ISA {

SKIFF_INLINE vf activation(Act act, float p0, float p1, vf x) {
  const vf zero = {};
  switch (act) {
    case Act::kNone: return x;
    case Act::kClip: return min(splat(p1), max(splat(p0), x));
    case Act::kLeakyRelu: return select(x < zero, x * p0, x);
    case Act::kSigmoid: return sigmoid(x);
    case Act::kTanh: return tanh(x);
    case Act::kSilu: return silu(x);
    case Act::kHardSwish: return x * min(splat(1.0f), max(zero, x * (1.0f / 6.0f) + 0.5f));
    case Act::kHardSigmoid: return min(splat(1.0f), max(zero, x * p0 + p1));
    case Act::kGeluErf: return gelu_erf(x);
    case Act::kGeluTanh: return gelu_tanh(x);
  }
  return x;
}

template <Act kAct>
SKIFF_NOINLINE void activate_rows_as(float p0, float p1, float* x, int64_t ld, int64_t rows,
                                     int64_t columns) {
  for (int64_t i = 0; i < rows; i++, x += ld) {
    int64_t j = 0;
    for (; j + kLanes <= columns; j += kLanes) store(x + j, activation(kAct, p0, p1, load(x + j)));
    const int rest = (int)(columns - j);
    if (rest) store_n(x + j, activation(kAct, p0, p1, load_n(x + j, rest)), rest);
  }
}

SKIFF_NOINLINE void activate_rows(Act act, float p0, float p1, float* x, int64_t ld, int64_t rows,
                                  int64_t columns) {
  switch (act) {
    case Act::kNone: return;
    case Act::kClip: return activate_rows_as<Act::kClip>(p0, p1, x, ld, rows, columns);
    case Act::kLeakyRelu: return activate_rows_as<Act::kLeakyRelu>(p0, p1, x, ld, rows, columns);
    case Act::kSigmoid: return activate_rows_as<Act::kSigmoid>(p0, p1, x, ld, rows, columns);
    case Act::kTanh: return activate_rows_as<Act::kTanh>(p0, p1, x, ld, rows, columns);
    case Act::kSilu: return activate_rows_as<Act::kSilu>(p0, p1, x, ld, rows, columns);
    case Act::kHardSwish: return activate_rows_as<Act::kHardSwish>(p0, p1, x, ld, rows, columns);
    case Act::kHardSigmoid: return activate_rows_as<Act::kHardSigmoid>(p0, p1, x, ld, rows, columns);
    case Act::kGeluErf: return activate_rows_as<Act::kGeluErf>(p0, p1, x, ld, rows, columns);
    case Act::kGeluTanh: return activate_rows_as<Act::kGeluTanh>(p0, p1, x, ld, rows, columns);
  }
}

}  // namespace skiff::cpu::SKIFF_ISA
