#include "device/cpu/kernels/gemm/gemm.h"

#include "device/cpu/kernels/gemm/engine.h"

namespace skiff::cpu::SKIFF_ISA {
namespace {

// ---- Packing: panel after panel, each [k][columns rounded up to whole units], padded with zeros.

int64_t panel_width(int64_t n) { return (int64_t)panel_vectors(n) * kLanes; }

size_t packed_b_bytes(int64_t k, int64_t n) { return (size_t)(k * round_up(n, kUnit)) * sizeof(float); }

void pack_panel(int64_t k, int64_t columns, const float* b, int64_t ldb, bool trans_b, float* out) {
  const int64_t width = round_up(columns, kUnit);
  if (!trans_b) {
    for (int64_t p = 0; p < k; p++, b += ldb, out += width) {
      for (int64_t j = 0; j < columns; j++) out[j] = b[j];
      for (int64_t j = columns; j < width; j++) out[j] = 0;
    }
    return;
  }
  constexpr int64_t kBlock = 16;  // reads run along k, so that a cache line is used whole
  for (int64_t p = 0; p < k; p += kBlock) {
    const int64_t end = min64(kBlock, k - p);
    for (int64_t j = 0; j < columns; j++)
      for (int64_t q = 0; q < end; q++) out[(p + q) * width + j] = b[j * ldb + p + q];
    for (int64_t q = 0; q < end; q++)
      for (int64_t j = columns; j < width; j++) out[(p + q) * width + j] = 0;
  }
}

void pack_b_columns(int64_t k, int64_t n, const float* b, int64_t ldb, bool trans_b, float* packed,
                    int64_t n0, int64_t n1) {
  const int64_t width = panel_width(n);
  for (int64_t j = n0; j < n1; j += width)
    pack_panel(k, min64(width, n - j), trans_b ? b + j * ldb : b + j, ldb, trans_b, packed + j * k);
}

void pack_b(int64_t k, int64_t n, const float* b, int64_t ldb, bool trans_b, float* packed) {
  pack_b_columns(k, n, b, ldb, trans_b, packed, 0, n);
}

// ---- One row: bound by the reading of B. Two sums per column hide the latency of the multiply-add.

void finish_row(const GemmArgs& g, int64_t n0, int64_t n1) {
  const Epilogue& e = g.epilogue;
  if (e.row_bias)
    for (int64_t j = n0; j < n1; j++) g.c[j] += e.row_bias[0];
  activate_rows(e.act, e.p0, e.p1, g.c + n0, 0, 1, n1 - n0);
}

SKIFF_INLINE void put(const GemmArgs& g, int64_t j, vf sum, int count) {
  const Epilogue& e = g.epilogue;
  vf v = sum * g.alpha;
  if (e.bias) v += load_n(e.bias + j, count);
  if (e.residual) v += load_n(e.residual + j, count);
  store_n(g.c + j, v, count);
}

// Columns [j, j + Vectors * kLanes), of which the last vector has `last`.
template <int Vectors, bool Whole>
SKIFF_INLINE void gemv_columns(const GemmArgs& g, const float* b, int64_t ldb, int64_t j, int last) {
  vf even[Vectors], odd[Vectors];
  SKIFF_UNROLL for (int v = 0; v < Vectors; v++) even[v] = odd[v] = vf{};
  const float* a = g.a;
  int64_t p = 0;
  for (; p + 2 <= g.k; p += 2, b += 2 * ldb, a += 2 * g.a_k_stride) {
    const vf x = splat(a[0]), y = splat(a[g.a_k_stride]);
    SKIFF_UNROLL for (int v = 0; v < Vectors; v++) {
      const float* q = b + v * kLanes;
      const bool whole = Whole || v < Vectors - 1;
      even[v] = fma(x, whole ? load(q) : load_n(q, last), even[v]);
      odd[v] = fma(y, whole ? load(q + ldb) : load_n(q + ldb, last), odd[v]);
    }
  }
  if (p < g.k) {
    SKIFF_UNROLL for (int v = 0; v < Vectors; v++) {
      const float* q = b + v * kLanes;
      even[v] = fma(splat(a[0]), Whole || v < Vectors - 1 ? load(q) : load_n(q, last), even[v]);
    }
  }
  SKIFF_UNROLL for (int v = 0; v < Vectors; v++)
      put(g, j + v * kLanes, even[v] + odd[v], v < Vectors - 1 ? kLanes : last);
}

template <bool Whole>
void gemv_panel(const GemmArgs& g, const float* b, int64_t ldb, int64_t j, int64_t columns) {
  constexpr int kWide = 4;
  while (columns >= kWide * kLanes) {
    gemv_columns<kWide, true>(g, b, ldb, j, kLanes);
    b += kWide * kLanes, j += kWide * kLanes, columns -= kWide * kLanes;
  }
  while (columns > 0) {
    const int last = (int)min64(columns, kLanes);
    if (columns > kLanes) {
      const int second = (int)min64(columns - kLanes, kLanes);
      gemv_columns<2, Whole>(g, b, ldb, j, second);
      b += 2 * kLanes, j += 2 * kLanes, columns -= 2 * kLanes;
    } else {
      gemv_columns<1, Whole>(g, b, ldb, j, last);
      columns = 0;
    }
  }
}

// One row of C against columns of B stored as rows of length k: dot products, four at a time.
template <int Count>
SKIFF_INLINE void dots(const GemmArgs& g, const float* b, int64_t ldb, int64_t j) {
  vf sum[Count];
  SKIFF_UNROLL for (int i = 0; i < Count; i++) sum[i] = vf{};
  int64_t p = 0;
  for (; p + kLanes <= g.k; p += kLanes) {
    const vf x = load(g.a + p);
    SKIFF_UNROLL for (int i = 0; i < Count; i++) sum[i] = fma(x, load(b + i * ldb + p), sum[i]);
  }
  const int rest = (int)(g.k - p);
  if (rest) {
    const vf x = load_n(g.a + p, rest);
    SKIFF_UNROLL for (int i = 0; i < Count; i++) sum[i] = fma(x, load_n(b + i * ldb + p, rest), sum[i]);
  }
  vf v = {};
  SKIFF_UNROLL for (int i = 0; i < Count; i++) v[i] = sum_lanes(sum[i]);
  put(g, j, v, Count);
}

void gemv_dot(const GemmArgs& g, const float* b, int64_t ldb, int64_t n0, int64_t n1) {
  int64_t j = n0;
  for (; j + 4 <= n1; j += 4) dots<4>(g, b + j * ldb, ldb, j);
  for (; j < n1; j++) dots<1>(g, b + j * ldb, ldb, j);
}

void gemv(const GemmArgs& g, int64_t ldb, bool trans_b, int64_t n0, int64_t n1) {
  if (n0 >= n1) return;
  if (!trans_b) {
    gemv_panel<false>(g, g.b + n0, ldb, n0, n1 - n0);
  } else if (g.a_k_stride == 1) {
    gemv_dot(g, g.b, ldb, n0, n1);
  } else {
    for (int64_t j = n0; j < n1; j++) {
      vf sum = {};
      for (int64_t p = 0; p < g.k; p++) sum[0] += g.a[p * g.a_k_stride] * g.b[j * ldb + p];
      put(g, j, sum, 1);
    }
  }
  finish_row(g, n0, n1);
}

// ---- The product

void run(const GemmArgs& g, int64_t m0, int64_t m1, int64_t n0, int64_t n1) {
  if (m0 >= m1 || n0 >= n1) return;
  if (g.m == 1) {
    const int64_t width = panel_width(g.n);
    for (int64_t j = n0; j < n1; j += width) {
      const int64_t columns = min64(width, g.n - j);
      const int64_t ldb = round_up(columns, kUnit);
      const auto panel = ldb % kLanes == 0 ? gemv_panel<true> : gemv_panel<false>;
      panel(g, g.b + j * g.k, ldb, j, min64(columns, n1 - j));
    }
    return finish_row(g, n0, n1);
  }
  const MatrixRows source = {g.a, g.a_row_stride, g.a_k_stride};
  const Product p = {g.n, 1, g.k, g.a_k_stride, g.b, g.c, g.ldc, g.alpha, g.epilogue};
  run_product(source, p, m0, m1, n0, n1);
}

TaskGrid plan(int64_t m, int64_t n, int64_t k, int32_t threads) {
  return plan_grid(m, n, k, panel_width(n), threads);
}

void activate(Act act, float p0, float p1, float* x, int64_t count) {
  activate_rows(act, p0, p1, x, 0, 1, count);
}

}  // namespace

extern const GemmKernels gemm_kernels;
const GemmKernels gemm_kernels = {kLanes, kUnit, packed_b_bytes, pack_b,  pack_b_columns, panel_width,
                                  plan,   run,   gemv,           activate};

}  // namespace skiff::cpu::SKIFF_ISA
