// The elementwise functions on vectors. Included by kernels: everything has internal linkage.
#pragma once
#include <math.h>

#include "device/cpu/kernels/elementwise/elementwise.h"
#include "device/cpu/kernels/simd.h"
#include "device/cpu/kernels/simd_math.h"

namespace skiff::cpu::SKIFF_ISA {
namespace {

// log(1 + t) for t >= 0 without loss near 0: the rounding error of 1 + t is put back to first order.
SKIFF_INLINE vf log1p_positive(vf t) {
  const vf u = 1.0f + t;
  return log(u) + (t - (u - 1.0f)) / u;
}

// exp(x) - 1 for x <= 0 without loss near 0.
SKIFF_INLINE vf expm1_negative(vf x) {
  const vf t = tanh(x * 0.5f);
  return (t + t) / (1.0f - t);
}

// max that keeps a NaN of x: NaN lanes of the first operand give the second (see simd.h).
SKIFF_INLINE vf at_least(vf x, float lo) { return max(splat(lo), x); }
SKIFF_INLINE vf at_most(vf x, float hi) { return min(splat(hi), x); }

// sin (quadrant 0) or cos (quadrant 1): x = n * pi/2 + r with |r| <= pi/4, pi/2 in three parts (Cody-Waite),
// then the minimax polynomials of Cephes. Lanes beyond 2^13 go through libm.
SKIFF_INLINE vf sin_cos(vf x, int32_t quadrant) {
  const vf n = round_even(x * 0.636619772f);
  vf r = fma(n, splat(-1.5703125f), x);
  r = fma(n, splat(-4.837512969970703125e-4f), r);
  r = fma(n, splat(-7.549789948768648e-8f), r);
  const vi q = to_int(select(abs(x) < 8192.0f, n, splat(0))) + quadrant;
  const vf z = r * r;
  vf s = fma(z, splat(-1.9515295891e-4f), splat(8.3321608736e-3f));
  s = fma(s, z, splat(-1.6666654611e-1f));
  s = fma(s * z, r, r);
  vf c = fma(z, splat(2.443315711809948e-5f), splat(-1.388731625493765e-3f));
  c = fma(c, z, splat(4.166664568298827e-2f));
  c = fma(c * z, z, 1.0f - 0.5f * z);
  vf y = select((q & 1) == 0, s, c);
  y = as_float(as_int(y) ^ shl(q & 2, 30));
  const vi far = (abs(x) < 8192.0f) == 0;
  if (any(far)) {
    for (int i = 0; i < kLanes; ++i)
      if (far[i]) y[i] = quadrant ? ::cosf(x[i]) : ::sinf(x[i]);
  }
  return y;
}

// The sign of zero of x survives in sin.
SKIFF_INLINE vf sine(vf x) { return select(x == 0.0f, x, sin_cos(x, 0)); }

template <UnaryOp kOp>
SKIFF_INLINE vf apply(vf x, [[maybe_unused]] float alpha, [[maybe_unused]] float beta) {
  const vf zero = {};
  if constexpr (kOp == UnaryOp::kIdentity) return x;
  if constexpr (kOp == UnaryOp::kAbs) return abs(x);
  if constexpr (kOp == UnaryOp::kNeg) return -x;
  if constexpr (kOp == UnaryOp::kRelu) return at_least(x, 0.0f);
  if constexpr (kOp == UnaryOp::kLeakyRelu) return select(x < zero, x * alpha, x);
  if constexpr (kOp == UnaryOp::kThresholdedRelu) return select(x <= splat(alpha), zero, x);
  if constexpr (kOp == UnaryOp::kClip) return at_most(at_least(x, alpha), beta);
  if constexpr (kOp == UnaryOp::kSigmoid) return sigmoid(x);
  if constexpr (kOp == UnaryOp::kTanh) return tanh(x);
  if constexpr (kOp == UnaryOp::kExp) return exp(x);
  if constexpr (kOp == UnaryOp::kLog) return log(x);
  if constexpr (kOp == UnaryOp::kSqrt) return sqrt(x);
  if constexpr (kOp == UnaryOp::kReciprocal) return 1.0f / x;
  if constexpr (kOp == UnaryOp::kFloor) return floor(x);
  if constexpr (kOp == UnaryOp::kCeil) return ceil(x);
  if constexpr (kOp == UnaryOp::kRound) return round_even(x);
  if constexpr (kOp == UnaryOp::kErf) return erf(x);
  if constexpr (kOp == UnaryOp::kGelu) {
    const vf half = x * 0.5f;
    return select(x == -INFINITY, zero, fma(half, erf(x * 0.70710678118654752f), half));
  }
  if constexpr (kOp == UnaryOp::kGeluTanh) {
    const vf u = 1.5957691216057308f * x * fma(x * x, splat(0.044715f), splat(1.0f));
    return select(x == -INFINITY, zero, x * sigmoid(u));  // (1 + tanh(u/2)) / 2 = sigmoid(u)
  }
  if constexpr (kOp == UnaryOp::kQuickGelu) {
    const vf s = sigmoid(x * alpha);
    return select(s == zero, zero, x * s);
  }
  if constexpr (kOp == UnaryOp::kSilu) return select(x == -INFINITY, zero, x * sigmoid(x));
  if constexpr (kOp == UnaryOp::kHardSwish)
    return x * at_least(at_most(fma(x, splat(1.0f / 6.0f), splat(0.5f)), 1.0f), 0.0f);
  if constexpr (kOp == UnaryOp::kHardSigmoid)
    return at_least(at_most(fma(x, splat(alpha), splat(beta)), 1.0f), 0.0f);
  if constexpr (kOp == UnaryOp::kSoftplus) return max(zero, x) + log1p_positive(exp(-abs(x)));
  if constexpr (kOp == UnaryOp::kElu) return select(x < zero, alpha * expm1_negative(min(zero, x)), x);
  if constexpr (kOp == UnaryOp::kSelu)
    return beta * select(x < zero, alpha * expm1_negative(min(zero, x)), x);
  if constexpr (kOp == UnaryOp::kCelu) {
    const vf q = x / alpha;  // alpha < 0 turns the exponential branch around, as the formula does
    const vf e = select(q < zero, expm1_negative(min(zero, q)), exp(q) - 1.0f);
    return at_least(x, 0.0f) + min(alpha * e, zero);
  }
  if constexpr (kOp == UnaryOp::kSoftsign)
    return select(abs(x) == INFINITY, copysign(splat(1), x), x / (1.0f + abs(x)));
  if constexpr (kOp == UnaryOp::kMish) {
    // tanh(log(1 + e)) = n / (n + 2) with n = e (e + 2), e = exp(x)
    const vf e = exp(at_most(x, 20.0f)), n = e * (e + 2.0f);
    return select(x > 20.0f, x, select(x == -INFINITY, zero, x * n / (n + 2.0f)));
  }
  if constexpr (kOp == UnaryOp::kSin) return sine(x);
  if constexpr (kOp == UnaryOp::kCos) return sin_cos(x, 1);
  if constexpr (kOp == UnaryOp::kSign) {
    return select(x > zero, splat(1.0f), select(x < zero, splat(-1.0f), x));
  }
  if constexpr (kOp == UnaryOp::kSquare) return x * x;
  if constexpr (kOp == UnaryOp::kCube) return x * x * x;
  if constexpr (kOp == UnaryOp::kPowHalf) return select(x == -INFINITY, -x, sqrt(x) + 0.0f);
  if constexpr (kOp == UnaryOp::kScaleShift) return fma(x, splat(alpha), splat(beta));
}

// powf lane by lane: a vector exp(b log a) would lose digits as b log a grows.
SKIFF_INLINE vf power(vf a, vf b) {
  for (int i = 0; i < kLanes; ++i) a[i] = ::powf(a[i], b[i]);
  return a;
}

template <BinaryOp kOp>
SKIFF_INLINE vf apply(vf a, vf b) {
  if constexpr (kOp == BinaryOp::kAdd) return a + b;
  if constexpr (kOp == BinaryOp::kSub) return a - b;
  if constexpr (kOp == BinaryOp::kMul) return a * b;
  if constexpr (kOp == BinaryOp::kDiv) return a / b;
  if constexpr (kOp == BinaryOp::kPow) return power(a, b);
  if constexpr (kOp == BinaryOp::kMin) return select(a != a, a, min(a, b));
  if constexpr (kOp == BinaryOp::kMax) return select(a != a, a, max(a, b));
  if constexpr (kOp == BinaryOp::kPrelu) return select(a < 0.0f, a * b, a);
  if constexpr (kOp == BinaryOp::kSquaredDifference) return (a - b) * (a - b);
}

}  // namespace
}  // namespace skiff::cpu::SKIFF_ISA
