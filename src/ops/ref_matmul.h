// The plain matrix product of references: wide accumulation, any strides, optional zero points.
#pragma once
#include <algorithm>
#include <vector>

#include "base/interrupt.h"
#include "ops/ref_util.h"

namespace skiff::ref {

// A matrix inside a tensor: element (i, j) is t[first + i * row + j * col].
struct MatView {
  const Tensor* t;
  int64_t first, row, col;
};

// Adds products so that integers wrap.
inline void multiply_add(double* acc, double a, const double* b, int64_t n) {
  for (int64_t j = 0; j < n; ++j) acc[j] += a * b[j];
}
inline void multiply_add(int64_t* acc, int64_t a, const int64_t* b, int64_t n) {
  for (int64_t j = 0; j < n; ++j)
    acc[j] = static_cast<int64_t>(static_cast<uint64_t>(acc[j]) +
                                  static_cast<uint64_t>(a) * static_cast<uint64_t>(b[j]));
}

// a [m, k] times b [k, n]. store(i, j, acc, count) receives elements (i, j .. j + count) of the product.
// a_zero: empty, or one (or m) numbers subtracted from the rows of a; b_zero: likewise for columns of b.
template <class W, class Store>
void multiply(const MatView& a, const MatView& b, int64_t m, int64_t k, int64_t n,
              const std::vector<W>& a_zero, const std::vector<W>& b_zero, Store store) {
  std::vector<W> panel(static_cast<size_t>(std::min(n, kBlock) * std::max<int64_t>(k, 1)));
  std::vector<W> row(static_cast<size_t>(k)), acc(static_cast<size_t>(std::min(n, kBlock)));
  for (int64_t j = 0; j < n; j += kBlock) {
    int64_t w = std::min(kBlock, n - j);
    for (int64_t p = 0; p < k; ++p) {
      W* line = panel.data() + p * w;
      load(*b.t, b.first + p * b.row + j * b.col, b.col, w, line);
      for (int64_t q = 0; !b_zero.empty() && q < w; ++q)
        line[q] -= b_zero[b_zero.size() == 1 ? 0 : static_cast<size_t>(j + q)];
    }
    for (int64_t i = 0; i < m; ++i) {
      if ((i & 15) == 0) poll_interrupt();
      load(*a.t, a.first + i * a.row, a.col, k, row.data());
      W zero = a_zero.empty() ? W(0) : a_zero[a_zero.size() == 1 ? 0 : static_cast<size_t>(i)];
      std::fill(acc.begin(), acc.end(), W(0));
      for (int64_t p = 0; p < k; ++p)
        multiply_add(acc.data(), row[static_cast<size_t>(p)] - zero, panel.data() + p * w, w);
      store(i, j, acc.data(), w);
    }
  }
}

// How MatMul reads its operands: vectors become matrices, batches broadcast.
struct MatMulPlan {
  int64_t m = 1, k = 1, n = 1;
  Dims batch;             // broadcast batch extents
  Dims a_batch, b_batch;  // strides of the batches, 0 where repeated
  int64_t a_row, a_col, b_row, b_col;
  Dims out;  // the result's dims
};
// Throws kInvalidModel when the shapes do not fit. trans_*: the last two axes are swapped (rank >= 2 only).
MatMulPlan plan_matmul(const Dims& a, const Dims& b, bool trans_a = false, bool trans_b = false);

// Calls f(batch number, first element of a, first element of b) for every batch.
template <class F>
void for_batches(const MatMulPlan& p, F f) {
  StridedRuns r(p.batch, {strides_of(p.batch), p.a_batch, p.b_batch});
  while (r.next())
    for (int64_t i = 0; i < r.n(); ++i)
      f(r.at(0) + i * r.step(0), r.at(1) + i * r.step(1), r.at(2) + i * r.step(2));
}

}  // namespace skiff::ref

namespace skiff::rule {
// The shape of A times B by MatMul's rules, extents possibly symbolic.
SymShape matmul_shape(SymShape a, SymShape b, bool trans_a = false, bool trans_b = false);
}  // namespace skiff::rule
