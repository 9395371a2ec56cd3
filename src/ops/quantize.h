// Arithmetic of quantized integers, the same on every device: float32 multiply, round half to even, add the
// zero point, clamp.
#pragma once
#include <algorithm>
#include <cmath>

#include "ops/real_view.h"

namespace skiff::quant {

struct Range {
  int32_t lo, hi;
};
// Smallest and largest value of an integer type of at most 16 bits; kInvalidModel for others.
Range range_of(DType t);

// Rounds half to even, adds the zero point and clamps; NaN gives the zero point.
inline int32_t to_step(float v, int32_t zero, Range r) {
  float x = std::nearbyint(v);
  if (!(x == x)) return zero;
  double y = static_cast<double>(x) + zero;
  return static_cast<int32_t>(std::clamp(y, static_cast<double>(r.lo), static_cast<double>(r.hi)));
}
// int32 sum -> quantized value, with the combined scale of the inputs over the output's.
inline int32_t requantize(int32_t sum, float scale, int32_t zero, Range r) {
  return to_step(static_cast<float>(sum) * scale, zero, r);
}

// The zero point and scale of a whole tensor (absent zero point: 0).
inline int32_t zero_of(const Tensor* t) {
  return t ? static_cast<int32_t>(ref::scalar_of(*t, "zero point")) : 0;
}
inline float scale_of(const Tensor& t) { return static_cast<float>(ref::scalar_of(t, "scale")); }

// Elements minus their zero point, widened: per tensor, or one zero point for each index along `axis`.
std::vector<int32_t> centred(const Tensor& t, const Tensor* zero, int64_t axis);

}  // namespace skiff::quant
