// Reductions of f32 over the middle of (outer, reduced, inner), all dense row-major. Ranges are flat elements
// of the (outer, inner) result; any split gives the same bits. Sums are blocked and added pairwise: the
// relative error of a sum of like signs is below (20 + log2(reduced)) * 2^-24.
#pragma once
#include <stddef.h>
#include <stdint.h>

namespace skiff::cpu {

// Over nothing (reduced = 0) a sum is 0, a product 1, a mean NaN, a maximum -inf, a minimum +inf.
enum class ReduceOp : uint8_t {
  kSum,
  kMean,
  kMax,  // NaN if any element is
  kMin,
  kProd,
  kL1,  // sum |x|
  kL2,  // sqrt(sum x^2)
  kSumSquare,
  kLogSum,     // log(sum x)
  kLogSumExp,  // log(sum exp x), without overflow
  kCount,
};

struct ReduceParams {
  const float* x;
  float* y;
  int64_t outer, reduced, inner;
};

struct ArgParams {
  const float* x;
  int64_t* y;
  int64_t outer, reduced, inner;
  bool max;          // else min
  bool select_last;  // of equal extremes, the last instead of the first
};

struct CumsumParams {
  const float* x;
  float* y;
  int64_t outer, axis, inner;
  bool exclusive, reverse;
};

struct ReduceKernels {
  void (*reduce)(ReduceOp op, const ReduceParams& p, int64_t begin, int64_t end);
  // The first NaN counts as the extreme, as in numpy (the last with select_last). reduced must not be 0.
  void (*arg)(const ArgParams& p, int64_t begin, int64_t end);
  // Columns [begin, end) of outer*inner. Sequential sums, in order. y may be x.
  void (*cumsum)(const CumsumParams& p, int64_t begin, int64_t end);
};

}  // namespace skiff::cpu
