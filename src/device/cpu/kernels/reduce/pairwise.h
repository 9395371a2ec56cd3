// Sums of many vectors with an error that grows as the logarithm of their number. Included by kernels:
// everything has internal linkage.
#pragma once
#include "device/cpu/kernels/simd.h"

namespace skiff::cpu::SKIFF_ISA {
namespace {

// kV vectors side by side.
template <int kV>
struct Vectors {
  vf v[kV];
};

// A binary counter of partial results: the n-th push merges with those of equal weight.
template <int kV, class Merge>
class Pairwise {
 public:
  void push(Vectors<kV> x, Merge merge) {
    for (int64_t bits = count_++; bits & 1; bits >>= 1) join(x, merge);
    parts_[top_++] = x;
  }
  Vectors<kV> total(Vectors<kV> x, Merge merge) {  // x: the rest, merged last
    while (top_ > 0) join(x, merge);
    return x;
  }

 private:
  void join(Vectors<kV>& x, Merge merge) {
    --top_;
    for (int u = 0; u < kV; ++u) x.v[u] = merge(parts_[top_].v[u], x.v[u]);
  }
  Vectors<kV> parts_[48];  // 2^48 blocks
  int top_ = 0;
  int64_t count_ = 0;
};

constexpr int64_t kSumBlock = 64;  // vectors summed one by one (in four accumulators for rows)

// The sum of term(i, m) over i = 0, kLanes, 2*kLanes ... < n, where m <= kLanes lanes count; others are
// dropped.
template <class Term>
SKIFF_INLINE float sum_row(int64_t n, Term term) {
  auto add = [](vf a, vf b) { return a + b; };
  Pairwise<1, decltype(add)> parts;
  int64_t i = 0;
  for (; i + kSumBlock * kLanes <= n; i += kSumBlock * kLanes) {
    vf s0 = {}, s1 = {}, s2 = {}, s3 = {};
    for (int64_t j = i; j < i + kSumBlock * kLanes; j += 4 * kLanes) {
      s0 += term(j, kLanes);
      s1 += term(j + kLanes, kLanes);
      s2 += term(j + 2 * kLanes, kLanes);
      s3 += term(j + 3 * kLanes, kLanes);
    }
    parts.push({{(s0 + s1) + (s2 + s3)}}, add);
  }
  vf s0 = {}, s1 = {};
  for (; i + 2 * kLanes <= n; i += 2 * kLanes) {
    s0 += term(i, kLanes);
    s1 += term(i + kLanes, kLanes);
  }
  for (; i < n; i += kLanes) {
    const int m = n - i < kLanes ? static_cast<int>(n - i) : kLanes;
    s0 += select(iota() < splat_i(m), term(i, m), vf{});
  }
  return sum_lanes(parts.total({{s0 + s1}}, add).v[0]);
}

}  // namespace
}  // namespace skiff::cpu::SKIFF_ISA
