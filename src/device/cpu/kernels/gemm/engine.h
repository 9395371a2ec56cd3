// The loops around the tile. A rectangle of C is cut into blocks of rows and columns that stay in the second
// cache while the sum over K runs in chunks; within a chunk, one panel of B stays in the first cache while
// all strips of rows of the block pass by it.
#pragma once
#include "device/cpu/kernels/gemm/activate.h"
#include "device/cpu/kernels/gemm/tile.h"

namespace skiff::cpu::SKIFF_ISA {

constexpr int64_t kPanelBytes = 96 * 1024;  // of B in the first cache: sets the length of a chunk of K,
constexpr int64_t kChunkMax = 384;          // which this bounds for narrow panels
constexpr int64_t kBlockColumns = 384;      // of C in a block
constexpr int kBlockStrips = 40;            // of rows in a block
constexpr int kMaxPointers = 512;           // strips x taps of a block
constexpr int kMaxTaps = 32;                // taps in one chunk

struct Product {
  int64_t n;
  int64_t taps, k;  // the sum runs over taps x k
  int64_t a_step;
  const float* packed;
  float* c;  // row 0
  int64_t ldc;
  float alpha;
  Epilogue epilogue;  // its row 0 is C's
};

// What one pass over a block of C adds: taps [tap, tap + taps), of each elements [k0, k0 + k).
struct Chunk {
  int64_t tap, taps, k0, k;
  bool first, last;
};

// Rows [m, m + count) of C in strips of nearly equal height.
struct Strips {
  int64_t m, count, strips;
  __attribute__((always_inline)) int64_t begin(int64_t s) const {
    return m + s * (count / strips) + min64(s, count % strips);
  }
  __attribute__((always_inline)) int rows(int64_t s) const {
    return (int)(count / strips + (s < count % strips));
  }
};

// One chunk of one panel of B against the strips of a block. pointers: [strips][chunk.taps][kMaxRows].
static inline void run_panel(const Product& p, const Chunk& chunk, const Strips& block,
                             const float* const* pointers, int64_t n, int64_t columns) {
  const Epilogue& e = p.epilogue;
  // Clipping happens in registers; the other activations after the tile is stored.
  const bool clip = chunk.last && e.act == Act::kClip && !e.row_bias;
  const bool later = chunk.last && (e.row_bias || (e.act != Act::kNone && e.act != Act::kClip));
  const int64_t width = (int64_t)panel_vectors(p.n) * kLanes;
  const int units = (int)ceil_div(min64(width, p.n - n), kUnit);
  const float* residual = chunk.first && e.residual ? e.residual + n : nullptr;
  TileArgs t;
  t.taps = chunk.taps;
  t.k = chunk.k;
  t.a_step = p.a_step;
  t.b = p.packed + n * (p.taps * p.k) + (chunk.tap * p.k + chunk.k0) * units * kUnit;
  t.ldc = p.ldc;
  t.ld_add = chunk.first ? e.ld_residual : p.ldc;
  t.bias = chunk.last && e.bias ? e.bias + n : nullptr;
  t.alpha = p.alpha;
  t.low = clip ? e.p0 : -__builtin_inff();
  t.high = clip ? e.p1 : __builtin_inff();
  const int before = (units - 1) / kVectorUnits * kLanes;  // the last vector or half vector begins here
  t.last = (int)(columns - before);
  int64_t m = block.m;
  for (int64_t s = 0; s < block.strips; s++, pointers += chunk.taps * kMaxRows) {
    const int rows = block.rows(s);
    t.a = pointers;
    t.c = p.c + m * p.ldc + n;
    t.add = chunk.first ? (residual ? residual + m * e.ld_residual : nullptr) : t.c;
    gemm_tiles[units - 1][rows - 1](t);
    if (later) {
      if (e.row_bias)
        for (int i = 0; i < rows; i++)
          for (int64_t j = 0; j < columns; j++) t.c[i * p.ldc + j] += e.row_bias[m + i];
      activate_rows(e.act, e.p0, e.p1, t.c, p.ldc, rows, columns);
    }
    m += rows;
  }
}

// Rows [m0, m1), columns [n0, n1) of C. Source::rows(m, count, tap0, taps, k0, pointers) puts at
// pointers[t * kMaxRows + i] the address of element k0 of row m + i of A at tap tap0 + t (a null pointer at i
// = 0 says that the tap is zero for all these rows).
template <class Source>
static inline void run_product(const Source& source, const Product& p, int64_t m0, int64_t m1, int64_t n0,
                               int64_t n1) {
  if (m0 >= m1 || n0 >= n1) return;
  const int vectors = panel_vectors(p.n);
  const int64_t width = (int64_t)vectors * kLanes;
  const int64_t strip_rows = kTileRows[vectors];

  // A chunk is either several whole taps or a part of one; an empty sum (k = 0) is one empty chunk.
  const int64_t chunk_max = min64(kChunkMax, kPanelBytes / (4 * width));
  const int64_t pieces = max64(1, ceil_div(p.k, chunk_max)), piece = max64(1, ceil_div(p.k, pieces));
  int64_t taps_max = pieces > 1 ? 1 : min64(kMaxTaps, max64(1, chunk_max / max64(1, p.k)));
  taps_max = ceil_div(p.taps, ceil_div(p.taps, taps_max));

  // Blocks of nearly equal size.
  const int64_t rows_max = min64(kBlockStrips, kMaxPointers / taps_max) * strip_rows;
  const int64_t row_blocks = ceil_div(m1 - m0, rows_max);
  const int64_t columns_max = max64(1, kBlockColumns / width) * width;

  const float* pointers[kMaxPointers * kMaxRows];
  for (int64_t nb = n0; nb < n1; nb += columns_max) {
    const int64_t nb_end = min64(nb + columns_max, n1);
    const Strips blocks = {m0, m1 - m0, row_blocks};
    for (int64_t mb = 0; mb < row_blocks; mb++) {
      const int64_t first_row = blocks.begin(mb), rows = blocks.begin(mb + 1) - first_row;
      const Strips block = {first_row, rows, ceil_div(rows, strip_rows)};
      for (int64_t tap = 0; tap < p.taps; tap += taps_max) {
        for (int64_t k0 = 0; k0 == 0 || k0 < p.k; k0 += piece) {
          Chunk chunk = {tap,  min64(taps_max, p.taps - tap), k0, min64(piece, p.k - k0), tap == 0 && k0 == 0,
                         false};
          chunk.last = tap + chunk.taps >= p.taps && k0 + chunk.k >= p.k;
          for (int64_t s = 0; s < block.strips; s++)
            source.rows(block.begin(s), block.rows(s), tap, (int)chunk.taps, k0,
                        pointers + s * chunk.taps * kMaxRows);
          for (int64_t n = nb; n < nb_end; n += width)
            run_panel(p, chunk, block, pointers, n, min64(width, nb_end - n));
        }
      }
    }
  }
}

// Rows of a matrix that lies in memory, in either orientation.
struct MatrixRows {
  const float* a;
  int64_t row_stride, k_stride;
  __attribute__((always_inline)) void rows(int64_t m, int count, int64_t, int, int64_t k0,
                                           const float** out) const {
    const float* p = a + m * row_stride + k0 * k_stride;
    for (int i = 0; i < count; i++) out[i] = p + i * row_stride;
  }
};

// Into how many tasks to divide this many multiply-adds: about four a thread, each worth handing over, and as
// many for every thread.
static inline int64_t wanted_tasks(double work, int64_t threads) {
  constexpr double kSmallest = 80000;  // multiply-adds of a task, more than a microsecond
  if (threads <= 1) return 1;
  const int64_t wanted = max64(1, (int64_t)min64(threads * 4, (int64_t)(work / kSmallest)));
  return wanted < threads ? wanted : wanted - wanted % threads;
}

// The grid that should end first: whole strips of rows, whole steps of columns, no thread left with one task
// more if it can be helped. columns_step: what n is cut at.
static inline TaskGrid plan_grid(int64_t m, int64_t n, int64_t k, int64_t columns_step, int32_t threads) {
  constexpr double kOverhead = 10000;  // of a task, in multiply-adds
  TaskGrid best;
  if (m <= 0 || n <= 0) return best;
  const double depth = (double)max64(1, k);
  const int64_t wanted = wanted_tasks((double)m * (double)n * depth, threads);
  const int64_t strip = kTileRows[panel_vectors(n)];
  double least = 0;
  for (int64_t i = 1; i <= wanted; i++) {
    TaskGrid g;
    g.m_step = min64(m, round_up(ceil_div(m, i), strip));
    g.m_tasks = ceil_div(m, g.m_step);
    if (g.m_tasks < i) continue;  // as a smaller i
    for (int64_t j = 1; j <= wanted / i; j++) {
      g.n_step = min64(n, round_up(ceil_div(n, j), columns_step));
      g.n_tasks = ceil_div(n, g.n_step);
      if (g.n_tasks < j) continue;
      const double task = (double)round_up(g.m_step, strip) * (double)g.n_step * depth + kOverhead;
      // Half a task more: threads do not start together.
      const double time = task * ((double)ceil_div(g.tasks(), max64(1, threads)) + (threads > 1 ? 0.5 : 0));
      if (least == 0 || time < least) best = g, least = time;
    }
  }
  return best;
}

}  // namespace skiff::cpu::SKIFF_ISA
