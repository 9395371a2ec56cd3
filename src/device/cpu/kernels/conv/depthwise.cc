// Convolution of each channel by itself. A vector holds neighbouring channels; a tile of output pixels is
// kept in registers while the input pixels under it are read once each.
#include "device/cpu/kernels/conv/methods.h"

namespace skiff::cpu::SKIFF_ISA {
namespace {

constexpr int kTileW = kLanes == 16 ? 7 : 4;  // output pixels along a row
constexpr int kTileH = kLanes == 4 ? 1 : 2;   // output rows

// A vector of channels of rows of the output. Input lines are given apart: pointers to column 0, channel 0,
// or null where the line is padding.
struct RowJob {
  int64_t channel, in_pixel, in_w;
  const float* weights;  // [taps][kLanes]
  vf bias, low, high;
  float* out;  // column 0, first output row
  int64_t out_pixel, out_row, out_w;
  const float* residual;  // as out, or null
  int64_t residual_pixel, residual_row;
  int64_t pad;  // columns before the first
  int lanes;
};

SKIFF_INLINE void put(const RowJob& j, int row, int64_t x, vf v, bool whole) {
  if (j.residual) {
    const float* r = j.residual + row * j.residual_row + x * j.residual_pixel;
    v += whole ? load(r) : load_n(r, j.lanes);
  }
  v = min(j.high, max(j.low, v));
  float* o = j.out + row * j.out_row + x * j.out_pixel;
  if (whole) {
    store(o, v);
  } else {
    store_n(o, v, j.lanes);
  }
}

// Output pixels [x, x + kTileW) of Height rows; lines: the first input line under them. Edge: pixels of the
// tile or of the input may lie outside. Whole: all lanes are used.
template <int K, int S, int Height, bool Edge, bool Whole>
SKIFF_INLINE void tile(const RowJob& j, const float* const* lines, const vf (&w)[K * K], int64_t x) {
  vf sum[Height][kTileW];
  SKIFF_UNROLL for (int r = 0; r < Height; r++) {
    SKIFF_UNROLL for (int q = 0; q < kTileW; q++) sum[r][q] = j.bias;
  }
  const int64_t x0 = x * S - j.pad;
  constexpr int kInH = (Height - 1) * S + K, kInW = (kTileW - 1) * S + K;
  SKIFF_UNROLL for (int iy = 0; iy < kInH; iy++) {
    const float* line = lines[iy];
    if (!line) continue;
    line += x0 * j.in_pixel + j.channel;
    SKIFF_UNROLL for (int ix = 0; ix < kInW; ix++) {
      if (Edge && (uint64_t)(x0 + ix) >= (uint64_t)j.in_w) continue;
      const vf d = Whole ? load(line + ix * j.in_pixel) : load_n(line + ix * j.in_pixel, j.lanes);
      SKIFF_UNROLL for (int r = 0; r < Height; r++) {
        SKIFF_UNROLL for (int q = 0; q < kTileW; q++) {
          const int ky = iy - r * S, kx = ix - q * S;
          if (ky >= 0 && ky < K && kx >= 0 && kx < K) sum[r][q] = fma(d, w[ky * K + kx], sum[r][q]);
        }
      }
    }
  }
  SKIFF_UNROLL for (int r = 0; r < Height; r++) {
    SKIFF_UNROLL for (int q = 0; q < kTileW; q++) {
      if (!Edge || x + q < j.out_w) put(j, r, x + q, sum[r][q], Whole);
    }
  }
}

template <int K, int S, int Height, bool Whole>
SKIFF_INLINE void row_tiles(const RowJob& j, const float* const* lines, const vf (&w)[K * K]) {
  constexpr int kInW = (kTileW - 1) * S + K;
  for (int64_t x = 0; x < j.out_w; x += kTileW) {
    const int64_t x0 = x * S - j.pad;
    if (Whole && x0 >= 0 && x0 + kInW <= j.in_w && x + kTileW <= j.out_w) {
      tile<K, S, Height, false, true>(j, lines, w, x);
    } else {
      tile<K, S, Height, true, Whole>(j, lines, w, x);
    }
  }
}

// `rows` output rows, the first of them at job.out; lines: the input lines under the first.
template <int K, int S>
SKIFF_NOINLINE void rows_fixed(const RowJob& job, const float* const* lines, int64_t rows) {
  RowJob j = job;  // a copy of its own stays in registers; stores might change what a reference names
  vf w[K * K];
  SKIFF_UNROLL for (int t = 0; t < K * K; t++) w[t] = load(j.weights + t * kLanes);
  const auto next = [&](int count) {
    lines += count * S;
    j.out += count * j.out_row;
    if (j.residual) j.residual += count * j.residual_row;
  };
  if constexpr (kLanes > 4) {
    if (j.lanes < kLanes) {  // one row at a time, which is less code
      for (; rows > 0; rows--, next(1)) row_tiles<K, S, 1, false>(j, lines, w);
      return;
    }
    for (; rows >= kTileH; rows -= kTileH, next(kTileH)) row_tiles<K, S, kTileH, true>(j, lines, w);
  }
  for (; rows > 0; rows--, next(1)) row_tiles<K, S, 1, true>(j, lines, w);
}

// Any kernel, one output row.
SKIFF_NOINLINE void row_any(const RowJob& job, const float* const* lines, int64_t kernel_h, int64_t kernel_w,
                            int64_t stride, int64_t dilation) {
  constexpr int kPixels = 4;
  const RowJob j = job;
  for (int64_t x = 0; x < j.out_w; x += kPixels) {
    const int count = (int)min64(kPixels, j.out_w - x);
    vf sum[kPixels];
    for (int q = 0; q < kPixels; q++) sum[q] = j.bias;
    for (int64_t ky = 0; ky < kernel_h; ky++) {
      if (!lines[ky]) continue;
      for (int64_t kx = 0; kx < kernel_w; kx++) {
        const vf w = load(j.weights + (ky * kernel_w + kx) * kLanes);
        for (int q = 0; q < count; q++) {
          const int64_t ix = (x + q) * stride - j.pad + kx * dilation;
          if ((uint64_t)ix < (uint64_t)j.in_w)
            sum[q] = fma(load_n(lines[ky] + ix * j.in_pixel + j.channel, j.lanes), w, sum[q]);
        }
      }
    }
    for (int q = 0; q < count; q++) put(j, 0, x + q, sum[q], false);
  }
}

typedef void (*RowsFn)(const RowJob&, const float* const*, int64_t);
// The kernel for a square window without dilation; null if there is none.
RowsFn fixed_rows(const ConvShape& s) {
  if (s.kernel[1] != s.kernel[2] || s.stride[1] != s.stride[2] || s.dilation[1] != 1 || s.dilation[2] != 1)
    return nullptr;
  const int64_t k = s.kernel[1], stride = s.stride[1];
  if (k == 3 && stride == 1) return rows_fixed<3, 1>;
  if (k == 3 && stride == 2) return rows_fixed<3, 2>;
  if (k == 5 && stride == 1) return rows_fixed<5, 1>;
  if (k == 5 && stride == 2) return rows_fixed<5, 2>;
  return nullptr;
}

constexpr int kLinesMax = 64;  // kernel height of the general kernel
constexpr int kBandMax = 64;   // output rows of a band of the others

bool accepts(const ConvShape& s) {
  return s.groups == s.in_channels && s.out_channels == s.in_channels && s.in[0] == 1 && s.out[0] == 1 &&
         s.kernel[0] == 1 && s.pad_begin[0] == 0 && s.kernel[1] <= kLinesMax;
}

size_t packed_bytes(const ConvShape& s) {
  return (size_t)(round_up(s.in_channels, kLanes) * taps_of(s)) * sizeof(float);
}

// [channels / kLanes][taps][kLanes], padded with zeros.
void pack(const ConvShape& s, const float* weights, float* packed) {
  const int64_t taps = taps_of(s);
  for (int64_t c = 0; c < s.in_channels; c += kLanes)
    for (int64_t t = 0; t < taps; t++)
      for (int64_t i = 0; i < kLanes; i++)
        *packed++ = c + i < s.in_channels ? weights[(c + i) * taps + t] : 0.0f;
}

// Rows are pairs of output rows (of each image by itself); columns are vectors of channels.
SKIFF_INLINE int64_t row_pairs(const ConvShape& s) { return ceil_div(s.out[1], kTileH); }

TaskGrid plan(const ConvShape& s, int32_t threads) {
  const int64_t rows = s.batch * row_pairs(s), blocks = ceil_div(s.in_channels, kLanes);
  TaskGrid g;
  if (rows <= 0 || blocks <= 0 || s.out[2] <= 0) return g;
  const int64_t work = rows * blocks * kTileH * s.out[2] * kLanes * taps_of(s);
  const int64_t wanted = wanted_tasks((double)work, threads);
  g.m_step = ceil_div(rows, wanted);
  g.m_tasks = ceil_div(rows, g.m_step);
  g.n_step = ceil_div(blocks, max64(1, wanted / g.m_tasks));
  g.n_tasks = ceil_div(blocks, g.n_step);
  return g;
}

// The input lines under output rows [y, y + rows) of an image, in order.
SKIFF_INLINE void find_lines(const ConvArgs& a, int64_t image, int64_t y, int64_t rows, const float** lines) {
  const ConvShape& s = a.shape;
  const int64_t count = (rows - 1) * s.stride[1] + s.kernel[1];
  for (int64_t t = 0; t < count; t++) {
    const int64_t iy = y * s.stride[1] - s.pad_begin[1] + t * s.dilation[1];
    const bool inside = (uint64_t)iy < (uint64_t)s.in[1];
    lines[t] = inside ? a.in + (image * s.in[1] + iy) * s.in[2] * a.in_pixel : nullptr;
  }
}

// Rows [y, y + rows) of an image, channels [c0, c1).
void run_band(const ConvArgs& a, RowJob j, RowsFn fixed, int64_t image, int64_t y, int64_t rows, int64_t c0,
              int64_t c1) {
  const ConvShape& s = a.shape;
  const Epilogue& e = a.epilogue;
  const float* lines[kLinesMax + 2 * kBandMax];
  find_lines(a, image, y, rows, lines);
  const int64_t first = (image * s.out[1] + y) * s.out[2];
  for (int64_t c = c0; c < c1; c += kLanes) {
    j.channel = c;
    j.weights = a.weights + c * taps_of(s);
    j.lanes = (int)min64(kLanes, s.in_channels - c);
    j.bias = e.bias ? load_n(e.bias + c, j.lanes) : vf{};
    j.out = a.out + first * a.out_pixel + c;
    j.residual = e.residual ? e.residual + first * e.ld_residual + c : nullptr;
    if (fixed && (kLanes > 4 || j.lanes == kLanes)) {
      fixed(j, lines, rows);
      continue;
    }
    for (int64_t r = 0; r < rows; r++) {
      row_any(j, lines + r * s.stride[1], s.kernel[1], s.kernel[2], s.stride[2], s.dilation[2]);
      j.out += j.out_row;
      if (j.residual) j.residual += j.residual_row;
    }
  }
  if (e.act != Act::kClip && e.act != Act::kNone)
    activate_rows(e.act, e.p0, e.p1, a.out + first * a.out_pixel + c0, a.out_pixel, rows * s.out[2], c1 - c0);
}

void run(const ConvArgs& a, const TaskGrid& grid, int64_t task) {
  const ConvShape& s = a.shape;
  const Epilogue& e = a.epilogue;
  const int64_t r0 = task / grid.n_tasks * grid.m_step, r1 = min64(r0 + grid.m_step, s.batch * row_pairs(s));
  const int64_t c0 = task % grid.n_tasks * grid.n_step * kLanes;
  const int64_t c1 = min64(c0 + grid.n_step * kLanes, s.in_channels);
  const RowsFn fixed = fixed_rows(s);
  const bool clip = e.act == Act::kClip;
  RowJob j = {};
  j.in_pixel = a.in_pixel, j.in_w = s.in[2];
  j.low = splat(clip ? e.p0 : -__builtin_inff());
  j.high = splat(clip ? e.p1 : __builtin_inff());
  j.out_pixel = a.out_pixel, j.out_row = s.out[2] * a.out_pixel, j.out_w = s.out[2];
  j.residual_pixel = e.ld_residual, j.residual_row = s.out[2] * e.ld_residual;
  j.pad = s.pad_begin[2];

  // A band of rows stays in the second cache while one vector of channels after the other runs down it; the
  // input lines that neighbouring rows share are then still in the first cache.
  constexpr int64_t kBandBytes = 512 * 1024;
  const int64_t row_bytes = 4 * (c1 - c0) * (s.in[2] * s.stride[1] + s.out[2]);
  const int64_t band =
      fixed ? max64(kTileH, min64(kBandMax, kBandBytes / max64(1, row_bytes)) / kTileH * kTileH) : 1;
  const int64_t pairs = row_pairs(s);
  for (int64_t r = r0; r < r1;) {  // image by image
    const int64_t image = r / pairs, end = min64(r1, (image + 1) * pairs);
    const int64_t y1 = min64((end - image * pairs) * kTileH, s.out[1]);
    for (int64_t y = (r - image * pairs) * kTileH; y < y1; y += band)
      run_band(a, j, fixed, image, y, min64(band, y1 - y), c0, c1);
    r = end;
  }
}

}  // namespace

const ConvMethod conv_depthwise = {"depthwise", accepts, packed_bytes, pack, plan, run, nullptr};

}  // namespace skiff::cpu::SKIFF_ISA
