// Elementary functions on one vector of floats: the same polynomials on every instruction set.
//
// The largest errors stated hold with FMA and without it (measured against double precision on every 211th
// float32; tests/unit/device/simd_math_test.cc measures some of them). One ulp is taken at the exact result.
// NaN gives NaN. The polynomials interpolate the function at Chebyshev nodes of the reduced range.
#pragma once
#include "device/cpu/kernels/simd.h"

namespace skiff::cpu::SKIFF_ISA {

SKIFF_INLINE vf infinity() { return splat(__builtin_inff()); }

// 2^n for integral n in [-126, 127].
SKIFF_INLINE vf pow2_int(vi n) { return as_float(shl(n + 127, 23)); }

// The reduction shared by exp and expm1: x = n ln2 + r with |r| <= ln2 / 2; returns e^r - 1.
SKIFF_INLINE vf exp_reduced(vf x, vf* n) {
  *n = round_even(x * 1.44269504f);
  // ln2 in two parts; the first has few enough bits that n times it is exact.
  vf r = x - *n * 0.693359375f;
  r = r + *n * 2.12194440e-4f;
  vf p = splat(0.00139263924f);
  p = fma(p, r, splat(0.00836334564f));
  p = fma(p, r, splat(0.0416665524f));
  p = fma(p, r, splat(0.166665763f));
  p = fma(p, r, splat(0.5f));
  return fma(p, r * r, r);
}

// e^x. Error <= 1.5 ulp for normal results; results below 2^-126 are rounded denormals, above the range
// infinity.
SKIFF_INLINE vf exp(vf x) {
  x = min(splat(89.0f), max(splat(-104.0f), x));
  vf n;
  const vf y = exp_reduced(x, &n) + 1.0f;
  // Two factors, each in the exponent range, so that over- and underflow come out right.
  const vi ni = to_int(n), half = shr(ni, 1);
  return y * pow2_int(half) * pow2_int(ni - half);
}

// 1 / (1 + e^-x). Error <= 3 ulp; below x = -88 the result, a denormal, may be flushed to 0.
SKIFF_INLINE vf sigmoid(vf x) { return 1.0f / (1.0f + exp(-x)); }

// tanh x = m / (m + 2) with m = e^(2|x|) - 1. Error <= 3 ulp.
SKIFF_INLINE vf tanh(vf x) {
  vf n;
  const vf y = min(splat(18.1f), abs(x) * 2.0f);
  const vf p = exp_reduced(y, &n), s = pow2_int(to_int(n));
  const vf m = fma(p, s, s - 1.0f);
  return copysign(m / (m + 2.0f), x);
}

// Natural logarithm. Error <= 2 ulp. log 0 = -inf, negative: NaN, +inf: +inf; denormals are handled.
SKIFF_INLINE vf log(vf x) {
  const vi tiny = x < 1.17549435e-38f;
  const vf scaled = select(tiny, x * 8388608.0f, x);
  // Mantissa in [sqrt(1/2), sqrt(2)): subtract the bits of sqrt(1/2), so that the exponent field counts from
  // there.
  const vi bits = (vi)((vu)scaled - 0x3f3504f3u);  // wraps for negative x, which is made NaN below
  const vi exponent = shr(bits, 23);
  const vf f = as_float((bits & 0x007fffff) + 0x3f3504f3) - 1.0f;
  const vf e = to_float(exponent) - select(tiny, splat(23.0f), splat(0.0f));
  vf q = splat(0.0697161183f);
  q = fma(q, f, splat(-0.114797339f));
  q = fma(q, f, splat(0.116854198f));
  q = fma(q, f, splat(-0.124256872f));
  q = fma(q, f, splat(0.142490581f));
  q = fma(q, f, splat(-0.166678026f));
  q = fma(q, f, splat(0.200007156f));
  q = fma(q, f, splat(-0.24999997f));
  q = fma(q, f, splat(0.333333313f));
  const vf f2 = f * f;
  vf r = fma(q, f2 * f, e * -2.12194440e-4f);
  r = fma(f2, splat(-0.5f), r);
  r = (f + r) + e * 0.693359375f;
  r = select(x == 0.0f, -infinity(), r);
  r = select(x < 0.0f, splat(__builtin_nanf("")), r);
  return select((x < infinity()), r, x);  // +inf and NaN pass through
}

// The error function. Error <= 2.5 ulp.
SKIFF_INLINE vf erf(vf x) {
  const vf t = abs(x), z = x * x;
  vf p = splat(7.87587487e-05f);
  p = fma(p, z, splat(-0.00080168643f));
  p = fma(p, z, splat(0.00518908724f));
  p = fma(p, z, splat(-0.0268542115f));
  p = fma(p, z, splat(0.112835944f));
  p = fma(p, z, splat(-0.37612626f));
  p = fma(p, z, splat(0.128379167f));
  const vf small = fma(p, x, x);
  // 1 - erfc(t), erfc(t) = exp(polynomial); 1 - erfc(3.95) rounds to 1.
  const vf u = min(splat(4.0f), t);
  vf q = splat(1.64267897e-06f);
  q = fma(q, u, splat(-4.61647869e-05f));
  q = fma(q, u, splat(0.000597677252f));
  q = fma(q, u, splat(-0.00476350961f));
  q = fma(q, u, splat(0.0264316425f));
  q = fma(q, u, splat(-0.110097244f));
  q = fma(q, u, splat(-0.631809533f));
  q = fma(q, u, splat(-1.13024187f));
  q = fma(q, u, splat(0.000321866246f));
  const vf large = copysign(1.0f - exp(q), x);
  return select(t < 1.0f, small, large);
}

// x/2 (1 + erf(x / sqrt 2)): GELU; and its approximation by tanh. Absolute error <= 2e-7 max(1, |x|).
SKIFF_INLINE vf gelu_erf(vf x) { return 0.5f * x * (1.0f + erf(x * 0.707106781f)); }
SKIFF_INLINE vf gelu_tanh(vf x) {
  return 0.5f * x * (1.0f + tanh(0.797884561f * fma(x * x * 0.044715f, x, x)));
}

// x * sigmoid(x). Error <= 4 ulp.
SKIFF_INLINE vf silu(vf x) { return x * sigmoid(x); }

}  // namespace skiff::cpu::SKIFF_ISA
