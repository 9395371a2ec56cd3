// 3x3 convolution with stride 1 by Winograd's minimal filtering: tiles of T x T outputs are computed from
// E x E inputs, E = T + 2, by E * E products in place of 9 * T * T. The products over the channels of a block
// of tiles are matrix products, one per point e of the E x E grid.
//
//   V[e][tile][ic] = (B' d B)[e]   U[e][ic][oc] = (G g G')[e]   M[e] = V[e] U[e]   y = A' M A
//
// Points of interpolation: 0, 1, -1, 2, -2, infinity for T = 4; 1/2 and -1/2 in addition for T = 6. Their
// growth costs accuracy: measured on uniform data with 16 to 256 channels, the error is 5 to 11 times (root
// mean square) that of a direct sum for T = 4, 10 to 21 times for T = 6.
#include "device/cpu/kernels/conv/methods.h"

namespace skiff::cpu::SKIFF_ISA {
namespace {

// One dimension of each transform.
SKIFF_INLINE void input_1d(const vf (&d)[6], vf (&t)[6]) {
  const vf a = d[4] - 4.0f * d[2], b = d[3] - 4.0f * d[1], c = d[4] - d[2], e = d[3] - d[1];
  t[0] = 4.0f * d[0] + (d[4] - 5.0f * d[2]);
  t[1] = a + b;
  t[2] = a - b;
  t[3] = c + 2.0f * e;
  t[4] = c - 2.0f * e;
  t[5] = 4.0f * d[1] + (d[5] - 5.0f * d[3]);
}
SKIFF_INLINE void input_1d(const vf (&d)[8], vf (&t)[8]) {
  const vf a = d[2] + d[6] - 4.25f * d[4], b = d[1] + d[5] - 4.25f * d[3];
  const vf c = d[6] + 0.25f * d[2] - 1.25f * d[4], e = 0.5f * d[1] - 2.5f * d[3] + 2.0f * d[5];
  const vf f = d[6] + 4.0f * (d[2] - 1.25f * d[4]), g = 2.0f * d[1] - 2.5f * d[3] + 0.5f * d[5];
  t[0] = (d[0] - d[6]) + 5.25f * (d[4] - d[2]);
  t[1] = a + b;
  t[2] = a - b;
  t[3] = c + e;
  t[4] = c - e;
  t[5] = f + g;
  t[6] = f - g;
  t[7] = (d[7] - d[1]) + 5.25f * (d[3] - d[5]);
}
SKIFF_INLINE void output_1d(const vf (&m)[6], vf (&y)[4]) {
  const vf a = m[1] + m[2], b = m[1] - m[2], c = m[3] + m[4], d = m[3] - m[4];
  y[0] = m[0] + (a + c);
  y[1] = b + 2.0f * d;
  y[2] = a + 4.0f * c;
  y[3] = m[5] + (b + 8.0f * d);
}
SKIFF_INLINE void output_1d(const vf (&m)[8], vf (&y)[6]) {
  const vf a = m[1] + m[2], b = m[1] - m[2], c = m[3] + m[4], d = m[3] - m[4], e = m[5] + m[6],
           f = m[5] - m[6];
  y[0] = m[0] + (a + c) + 32.0f * e;
  y[1] = b + 2.0f * d + 16.0f * f;
  y[2] = a + 4.0f * c + 8.0f * e;
  y[3] = b + 8.0f * d + 4.0f * f;
  y[4] = a + 16.0f * c + 2.0f * e;
  y[5] = m[7] + (b + 32.0f * d) + f;
}

// G, by rows. The rows of 1/2 and -1/2 are divided by 32, which the output transform multiplies back.
template <int T>
constexpr float kFilter[T + 2][3] = {};
template <>
constexpr float kFilter<4>[6][3] = {{1.0f / 4, 0, 0},
                                    {-1.0f / 6, -1.0f / 6, -1.0f / 6},
                                    {-1.0f / 6, 1.0f / 6, -1.0f / 6},
                                    {1.0f / 24, 1.0f / 12, 1.0f / 6},
                                    {1.0f / 24, -1.0f / 12, 1.0f / 6},
                                    {0, 0, 1}};
template <>
constexpr float kFilter<6>[8][3] = {{1, 0, 0},
                                    {-2.0f / 9, -2.0f / 9, -2.0f / 9},
                                    {-2.0f / 9, 2.0f / 9, -2.0f / 9},
                                    {1.0f / 90, 1.0f / 45, 2.0f / 45},
                                    {1.0f / 90, -1.0f / 45, 2.0f / 45},
                                    {1.0f / 45, 1.0f / 90, 1.0f / 180},
                                    {1.0f / 45, -1.0f / 90, 1.0f / 180},
                                    {0, 0, 1}};

bool accepts(const ConvShape& s) {
  return s.groups == 1 && s.in[0] == 1 && s.out[0] == 1 && s.kernel[0] == 1 && s.pad_begin[0] == 0 &&
         s.kernel[1] == 3 && s.kernel[2] == 3 && s.stride[1] == 1 && s.stride[2] == 1 && s.dilation[1] == 1 &&
         s.dilation[2] == 1 && s.in_channels >= 8 && s.out_channels >= 8;
}

template <int T>
size_t packed_bytes(const ConvShape& s) {
  return (size_t)((T + 2) * (T + 2) * packed_floats(s.in_channels, s.out_channels)) * sizeof(float);
}

// Panel after panel of output channels: [E * E][ic][columns rounded up to whole units].
template <int T>
void pack(const ConvShape& s, const float* weights, float* packed) {
  constexpr int E = T + 2;
  const int64_t ic = s.in_channels, oc = s.out_channels, width = (int64_t)panel_vectors(oc) * kLanes;
  for (int64_t n = 0; n < oc; n += width) {
    const int64_t columns = min64(width, oc - n), padded = round_up(columns, kUnit);
    for (int64_t i = 0; i < ic; i++) {
      for (int64_t j = 0; j < padded; j++) {
        float half[E][3] = {};  // G g
        if (j < columns) {
          const float* g = weights + ((n + j) * ic + i) * 9;
          for (int r = 0; r < E; r++)
            for (int x = 0; x < 3; x++)
              half[r][x] =
                  kFilter<T>[r][0] * g[x] + kFilter<T>[r][1] * g[3 + x] + kFilter<T>[r][2] * g[6 + x];
        }
        for (int r = 0; r < E; r++)
          for (int q = 0; q < E; q++)
            packed[((r * E + q) * ic + i) * padded + j] =
                kFilter<T>[q][0] * half[r][0] + kFilter<T>[q][1] * half[r][1] + kFilter<T>[q][2] * half[r][2];
      }
    }
    packed += E * E * ic * padded;
  }
}

// Tiles of the batch, image by image, row by row.
template <int T>
struct Tiles {
  int64_t columns, per_image, count;
  explicit Tiles(const ConvShape& s)
      : columns(ceil_div(s.out[2], T)),
        per_image(columns * ceil_div(s.out[1], T)),
        count(s.batch * per_image) {}
};

// Tiles transformed at a time: V and M of one panel are to stay in the second cache.
constexpr int64_t kBlockBytes = 512 * 1024;
SKIFF_INLINE int64_t v_row(const ConvShape& s) { return round_up(s.in_channels, kLanes) + 16; }
template <int T>
int64_t block_tiles(const ConvShape& s) {
  const int64_t width = (int64_t)panel_vectors(s.out_channels) * kLanes;
  return max64(8, min64(64, kBlockBytes / (4 * (T + 2) * (T + 2) * (v_row(s) + width))));
}
template <int T>
size_t scratch_bytes(const ConvShape& s) {
  const int64_t width = (int64_t)panel_vectors(s.out_channels) * kLanes;
  const int64_t tiles = min64(block_tiles<T>(s), Tiles<T>(s).count);
  return (size_t)((T + 2) * (T + 2) * tiles * (v_row(s) + width)) * sizeof(float);
}

// Rows are tiles, columns output channels. Where there are few tiles the channels are divided: every task
// then transforms the same input, which costs little beside many channels.
template <int T>
TaskGrid plan(const ConvShape& s, int32_t threads) {
  constexpr int64_t kPoints = (T + 2) * (T + 2), kFewTiles = 8;
  const int64_t tiles = Tiles<T>(s).count, width = (int64_t)panel_vectors(s.out_channels) * kLanes;
  TaskGrid g;
  if (tiles <= 0) return g;
  const double work = (double)(tiles * kPoints) * (double)(s.in_channels * s.out_channels);
  const int64_t wanted = wanted_tasks(work, threads), together = wanted < threads ? wanted : threads;
  g.m_step = min64(tiles, max64(kFewTiles, ceil_div(tiles, wanted)));
  g.m_tasks = ceil_div(tiles, g.m_step);
  g.n_step = min64(s.out_channels, round_up(ceil_div(s.out_channels, max64(1, together / g.m_tasks)), width));
  g.n_tasks = ceil_div(s.out_channels, g.n_step);
  if (g.tasks() < together) {  // one panel of channels
    g.m_step = ceil_div(tiles, together);
    g.m_tasks = ceil_div(tiles, g.m_step);
  }
  return g;
}

// The input of one tile, at (image, y, x), all channels: V at v + e * point + c.
template <int T>
void transform_input(const ConvArgs& a, int64_t image, int64_t y, int64_t x, float* v, int64_t point) {
  constexpr int E = T + 2;
  const ConvShape& s = a.shape;
  y -= s.pad_begin[1], x -= s.pad_begin[2];
  const bool inside = y >= 0 && x >= 0 && y + E <= s.in[1] && x + E <= s.in[2];
  const float* in = (const float*)((intptr_t)a.in + 4 * ((image * s.in[1] + y) * s.in[2] + x) * a.in_pixel);
  const int64_t line = s.in[2] * a.in_pixel;
  for (int64_t c = 0; c < s.in_channels; c += kLanes) {
    const int lanes = (int)min64(kLanes, s.in_channels - c);
    vf half[E][E];
    for (int r = 0; r < E; r++) {
      vf d[E];
      const float* p = in + r * line + c;
      if (inside && lanes == kLanes) {
        SKIFF_UNROLL for (int q = 0; q < E; q++) d[q] = load(p + q * a.in_pixel);
      } else {
        const bool row = (uint64_t)(y + r) < (uint64_t)s.in[1];
        SKIFF_UNROLL for (int q = 0; q < E; q++) d[q] =
            row && (uint64_t)(x + q) < (uint64_t)s.in[2] ? load_n(p + q * a.in_pixel, lanes) : vf{};
      }
      input_1d(d, half[r]);
    }
    for (int q = 0; q < E; q++) {
      vf d[E], t[E];
      SKIFF_UNROLL for (int r = 0; r < E; r++) d[r] = half[r][q];
      input_1d(d, t);
      SKIFF_UNROLL for (int r = 0; r < E; r++) store(v + (r * E + q) * point + c, t[r]);
    }
  }
}

// M of one tile, `columns` output channels from `channel` on, into the image. M at m + e * point + column.
template <int T>
void transform_output(const ConvArgs& a, int64_t image, int64_t y, int64_t x, int64_t channel,
                      int64_t columns, const float* m, int64_t point) {
  constexpr int E = T + 2;
  const ConvShape& s = a.shape;
  const Epilogue& e = a.epilogue;
  const int rows = (int)min64(T, s.out[1] - y), width = (int)min64(T, s.out[2] - x);
  const bool clip = e.act == Act::kClip;
  const vf low = splat(clip ? e.p0 : -__builtin_inff()), high = splat(clip ? e.p1 : __builtin_inff());
  const int64_t first = (image * s.out[1] + y) * s.out[2] + x;
  for (int64_t j = 0; j < columns; j += kLanes) {
    const int lanes = (int)min64(kLanes, columns - j);
    vf half[T][E];
    for (int q = 0; q < E; q++) {
      vf d[E], t[T];
      SKIFF_UNROLL for (int r = 0; r < E; r++) d[r] = load(m + (r * E + q) * point + j);
      output_1d(d, t);
      SKIFF_UNROLL for (int r = 0; r < T; r++) half[r][q] = t[r];
    }
    const vf bias = e.bias ? load_n(e.bias + channel + j, lanes) : vf{};
    for (int r = 0; r < rows; r++) {
      vf t[T];
      output_1d(half[r], t);
      const int64_t pixel = first + r * s.out[2];
      float* out = a.out + pixel * a.out_pixel + channel + j;
      const float* residual = e.residual ? e.residual + pixel * e.ld_residual + channel + j : nullptr;
      SKIFF_UNROLL for (int q = 0; q < T; q++) {
        if (q >= width) continue;
        vf v = t[q] + bias;
        if (residual) v += load_n(residual + q * e.ld_residual, lanes);
        v = min(high, max(low, v));
        if (lanes == kLanes) {
          store(out + q * a.out_pixel, v);
        } else {
          store_n(out + q * a.out_pixel, v, lanes);
        }
      }
    }
  }
  if (clip || e.act == Act::kNone) return;
  for (int r = 0; r < rows; r++)
    activate_rows(e.act, e.p0, e.p1, a.out + (first + r * s.out[2]) * a.out_pixel + channel, a.out_pixel,
                  width, columns);
}

template <int T>
void run(const ConvArgs& a, const TaskGrid& grid, int64_t task) {
  constexpr int64_t kPoints = (T + 2) * (T + 2);
  const ConvShape& s = a.shape;
  const Tiles<T> tiles(s);
  const int64_t m0 = task / grid.n_tasks * grid.m_step, m1 = min64(m0 + grid.m_step, tiles.count);
  const int64_t n0 = task % grid.n_tasks * grid.n_step, n1 = min64(n0 + grid.n_step, s.out_channels);
  const int64_t ic = s.in_channels, row = v_row(s), width = (int64_t)panel_vectors(s.out_channels) * kLanes;
  const int64_t strip_rows = kTileRows[panel_vectors(s.out_channels)];
  const int64_t blocks = ceil_div(m1 - m0, block_tiles<T>(s));
  const Strips all = {m0, m1 - m0, blocks};
  const auto place = [&](int64_t t, auto f) __attribute__((always_inline)) {
    const int64_t image = t / tiles.per_image, q = t % tiles.per_image;
    f(image, q / tiles.columns * T, q % tiles.columns * T);
  };
  for (int64_t b = 0; b < blocks; b++) {
    const int64_t t0 = all.begin(b), count = all.rows(b);
    float *v = a.scratch, *m = v + kPoints * count * row;
    for (int64_t i = 0; i < count; i++)
      place(t0 + i, [&](int64_t image, int64_t y, int64_t x) {
        transform_input<T>(a, image, y, x, v + i * row, count * row);
      });
    const Strips strips = {0, count, ceil_div(count, strip_rows)};
    for (int64_t n = n0; n < n1; n += width) {
      const int64_t columns = min64(width, s.out_channels - n), units = ceil_div(columns, kUnit);
      const float* weights = a.weights + n * kPoints * ic;
      TileArgs t = {};
      t.taps = 1, t.k = ic, t.a_step = 1;
      t.ldc = width, t.alpha = 1;
      t.low = -__builtin_inff(), t.high = __builtin_inff();
      t.last = (int)(units * kUnit - (units - 1) / kVectorUnits * kLanes);
      for (int64_t e = 0; e < kPoints; e++) {
        t.b = weights + e * ic * units * kUnit;
        for (int64_t strip = 0; strip < strips.strips; strip++) {
          const int64_t first = e * count + strips.begin(strip);
          const float* pointers[kMaxRows];
          SKIFF_UNROLL for (int i = 0; i < kMaxRows; i++) pointers[i] = v + (first + i) * row;
          t.a = pointers;
          t.c = m + first * width;
          gemm_tiles[units - 1][strips.rows(strip) - 1](t);
        }
      }
      for (int64_t i = 0; i < count; i++)
        place(t0 + i, [&](int64_t image, int64_t y, int64_t x) {
          transform_output<T>(a, image, y, x, n, columns, m + i * width, count * width);
        });
    }
  }
}

}  // namespace

const ConvMethod conv_winograd4 = {"winograd_f4", accepts, packed_bytes<4>, pack<4>,
                                   plan<4>,       run<4>,  scratch_bytes<4>};
const ConvMethod conv_winograd6 = {"winograd_f6", accepts, packed_bytes<6>, pack<6>,
                                   plan<6>,       run<6>,  scratch_bytes<6>};

}  // namespace skiff::cpu::SKIFF_ISA
