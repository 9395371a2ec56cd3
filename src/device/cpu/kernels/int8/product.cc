// Products of bytes: packing, gathering rows, tiles.
#include "device/cpu/kernels/int8/dot.h"

namespace skiff::cpu::SKIFF_ISA {
namespace {

// Vectors of the panel that starts where n columns are left.
SKIFF_INLINE int panel_vectors(int64_t n) {
  const int64_t vectors = (n + kLanes - 1) / kLanes;
  if (vectors >= kPanelVectors) return kPanelVectors;
  return vectors >= 2 ? 2 : 1;
}
SKIFF_INLINE int64_t padded_k(int64_t k) { return round_up(k, kGroup); }

struct Tile {
  const uint8_t* a;
  int64_t lda;  // bytes
  int64_t groups;
  const uint8_t* b;
  const int32_t* bias;
  const float* scale;
  const int32_t* row_add;                // null, or what is added to each row's sums
  const int32_t *row_sum, *column_zero;  // null, or: minus their product
  uint32_t flip;
  int n;       // columns
  uint8_t* c;  // bytes, or int32 when the tile is raw
  int64_t ldc;
};

template <int Rows, int Vectors, bool Raw>
void tile(const Tile& tile_args, const Bytes& bytes_args) {
  const Tile t = tile_args;
  vi sum[Rows][Vectors];
  SKIFF_UNROLL for (int j = 0; j < Vectors; j++) {
    const vi bias = load_i(t.bias + j * kLanes);
    SKIFF_UNROLL for (int i = 0; i < Rows; i++) sum[i][j] = bias;
  }
  if (t.row_add) {
    SKIFF_UNROLL for (int i = 0; i < Rows; i++) {
      SKIFF_UNROLL for (int j = 0; j < Vectors; j++) sum[i][j] += splat_i(t.row_add[i]);
    }
  }
  if (t.row_sum) {
    SKIFF_UNROLL for (int j = 0; j < Vectors; j++) {
      const vi zero = load_i(t.column_zero + j * kLanes);
      SKIFF_UNROLL for (int i = 0; i < Rows; i++) sum[i][j] -= splat_i(t.row_sum[i]) * zero;
    }
  }
  const uint8_t *a = t.a, *b = t.b;
  for (int64_t g = 0; g < t.groups; g++) {
    vi w[Vectors];
    SKIFF_UNROLL for (int j = 0; j < Vectors; j++) w[j] = load_lanes(b + j * sizeof(vi));
    SKIFF_UNROLL for (int i = 0; i < Rows; i++) {
      int32_t bits;
      memcpy(&bits, a + i * t.lda, 4);
      vi x = splat_i(bits);
      if constexpr (kByteDots) x ^= splat_i((int32_t)t.flip);
      SKIFF_UNROLL for (int j = 0; j < Vectors; j++) sum[i][j] = dot(sum[i][j], x, w[j]);
    }
    a += 4;
    b += Vectors * sizeof(vi);
  }
  if constexpr (Raw) {
    SKIFF_UNROLL for (int i = 0; i < Rows; i++) {
      SKIFF_UNROLL for (int j = 0; j < Vectors; j++)
          store_i((int32_t*)t.c + i * t.ldc + j * kLanes, sum[i][j]);
    }
  } else {
    const Bytes bytes = bytes_args;
    SKIFF_UNROLL for (int i = 0; i < Rows; i++) {
      vi v[Vectors];
      SKIFF_UNROLL for (int j = 0; j < Vectors; j++) v[j] =
          scaled(sum[i][j], load(t.scale + j * kLanes), bytes);
      store_bytes<Vectors>(t.c + i * t.ldc, v, bytes, t.n);
    }
  }
}

typedef void (*TileFn)(const Tile&, const Bytes&);
template <int Vectors, bool Raw>
TileFn tile_of(int rows) {
  if constexpr (Raw) {  // not worth a tile for every height
    return rows == 1   ? tile<1, Vectors, true>
           : rows == 2 ? tile<2, Vectors, true>
                       : tile<kRows, Vectors, true>;
  } else {
    switch (rows) {
      case 1: return tile<1, Vectors, false>;
      case 2: return tile<2, Vectors, false>;
      case 3: return tile<3, Vectors, false>;
#if defined(__AVX2__)
      case 4: return tile<4, Vectors, false>;
      case 5: return tile<5, Vectors, false>;
#endif
      default: return tile<kRows, Vectors, false>;
    }
  }
}
TileFn find_tile(int rows, int vectors, bool raw) {
#if defined(__AVX512F__)
  if (vectors == 4) return raw ? tile_of<4, true>(rows) : tile_of<4, false>(rows);
#endif
  if (vectors == 2) return raw ? tile_of<2, true>(rows) : tile_of<2, false>(rows);
  return raw ? tile_of<1, true>(rows) : tile_of<1, false>(rows);
}
// Raw tiles have 1, 2 or kRows rows; they work on a copy of A when fewer are left.
SKIFF_INLINE int tile_rows(int64_t left, bool raw) {
  if (left >= kRows) return kRows;
  return raw ? (left >= 2 ? 2 : 1) : (int)left;
}

// ---------------------------------------------------------------- rows of A

typedef uint8_t chunk __attribute__((vector_size(16), may_alias, aligned(1)));

// n bytes; may read and write up to 15 more where `wide` says that this is safe.
SKIFF_INLINE void copy_run(uint8_t* dst, const uint8_t* src, int64_t n, bool wide) {
  if (wide) {
    for (int64_t i = 0; i < n; i += 16) *(chunk*)(dst + i) = *(const chunk*)(src + i);
    return;
  }
  memcpy(dst, src, (size_t)n);
}

// Elements of a run as the tiles take them. Returns where the next go.
SKIFF_INLINE uint8_t* put_run(uint8_t* dst, const uint8_t* src, int64_t n, bool wide, const QRows& r) {
  if constexpr (kByteDots) {
    copy_run(dst, src, n, wide);
  } else {
    int16_t* d = (int16_t*)dst;
    const int16_t zero = (int16_t)r.zero;
    if (r.is_signed) {
      const int8_t* s = (const int8_t*)src;
      for (int64_t i = 0; i < n; i++) d[i] = (int16_t)(s[i] - zero);
    } else {
      for (int64_t i = 0; i < n; i++) d[i] = (int16_t)(src[i] - zero);
    }
  }
  return dst + n * kElement;
}
SKIFF_INLINE uint8_t* put_outside(uint8_t* dst, int64_t n, const QRows& r) {
  memset(dst, kByteDots ? r.zero & 255 : 0, (size_t)(n * kElement));
  return dst + n * kElement;
}

// Gathers `count` rows from `first` on, `stride` bytes apart. What is behind the elements of a row is left as
// it is: its weights are 0.
void gather(const QRows& r, int64_t first, int64_t count, uint8_t* dst, int64_t stride) {
  if (r.direct) {
    for (int64_t i = 0; i < count; i++)
      put_run(dst + i * stride, r.x + (first + i) * r.pixel, r.channels, false, r);
    return;
  }
  int64_t ox = first % r.out[1], oy = first / r.out[1] % r.out[0], image = first / r.out[1] / r.out[0];
  const bool solid = r.dilation[1] == 1 && r.pixel == r.channels;
  const int64_t run = r.kernel[1] * r.channels, line_bytes = r.in[1] * r.pixel;
  for (int64_t i = 0; i < count; i++, dst += stride) {
    const uint8_t* base = r.x + image * r.in[0] * line_bytes;
    const int64_t x0 = ox * r.stride[1] - r.pad[1], y0 = oy * r.stride[0] - r.pad[0];
    const bool inside = solid && x0 >= 0 && x0 + r.kernel[1] <= r.in[1];
    // Reading on is safe within the line; writing on, where later runs follow (or the slack behind a row).
    const bool wide = inside && x0 * r.pixel + run + 15 <= line_bytes;
    uint8_t* to = dst;
    for (int64_t ky = 0; ky < r.kernel[0]; ky++) {
      const int64_t y = y0 + ky * r.dilation[0];
      const uint8_t* line = base + y * line_bytes;
      if (y < 0 || y >= r.in[0]) {
        to = put_outside(to, run, r);
      } else if (inside) {
        to = put_run(to, line + x0 * r.pixel, run, wide, r);
      } else {
        for (int64_t kx = 0; kx < r.kernel[1]; kx++) {
          const int64_t x = x0 + kx * r.dilation[1];
          to = x < 0 || x >= r.in[1] ? put_outside(to, r.channels, r)
                                     : put_run(to, line + x * r.pixel, r.channels, false, r);
        }
      }
    }
    if (++ox == r.out[1]) {
      ox = 0;
      if (++oy == r.out[0]) {
        oy = 0;
        image++;
      }
    }
  }
}

// Sum of the stored bytes of a row, flipped to u8.
int32_t sum_bytes(const uint8_t* a, int64_t n, uint8_t flip) {
#if defined(__AVX512VNNI__)
  const vi ones = splat_i(0x01010101), flips = splat_i(flip * 0x01010101);
  vi sum = {};
  int64_t i = 0;
  if (n <= 48 && n % 4 == 0) {  // a short row costs less broadcast than added up across lanes
    for (; i < n; i += 4) {
      int32_t bits;
      memcpy(&bits, a + i, 4);
      sum = dot(sum, splat_i(bits) ^ flips, ones);
    }
    return sum[0];
  }
  for (; i + 64 <= n; i += 64) sum = dot(sum, load_lanes(a + i) ^ flips, ones);
  if (i < n) {
    const __mmask64 rest = (1ull << (n - i)) - 1;
    sum = dot(sum, (vi)_mm512_maskz_xor_epi64(0xff, (__m512i)flips, _mm512_maskz_loadu_epi8(rest, a + i)),
              (vi)_mm512_maskz_mov_epi8(rest, (__m512i)ones));
  }
  sum += __builtin_shufflevector(sum, sum, 8, 9, 10, 11, 12, 13, 14, 15, 0, 1, 2, 3, 4, 5, 6, 7);
  sum += __builtin_shufflevector(sum, sum, 4, 5, 6, 7, 0, 1, 2, 3, 12, 13, 14, 15, 8, 9, 10, 11);
  sum += __builtin_shufflevector(sum, sum, 2, 3, 0, 1, 6, 7, 4, 5, 10, 11, 8, 9, 14, 15, 12, 13);
  return sum[0] + sum[1];
#else
  int32_t s = 0;
  for (int64_t i = 0; i < n; i++) s += (uint8_t)(a[i] ^ flip);
  return s;
#endif
}

constexpr int64_t kSlack = 64;  // behind a gathered row: wide copies write on
constexpr int64_t kBlockRows = 48;

struct Blocking {
  bool direct;
  int64_t rows, stride;  // of a block of A; bytes of a gathered row
};
Blocking blocking(const QGemm& g) {
  Blocking b;
  b.direct = kByteDots && g.rows.direct && g.k % kGroup == 0;
  b.stride = round_up(padded_k(g.k) * kElement, 64) + kSlack;
  int64_t rows = 49152 / b.stride / kRows * kRows;
  b.rows = b.direct ? kBlockRows : max64(kRows, min64(rows, kBlockRows));
  return b;
}

// Sums of a raw tile to floats or integers.
void finish_raw(const QGemm& g, const int32_t* sums, int64_t lds, int64_t row, int64_t rows, int64_t column,
                int n) {
  for (int64_t i = 0; i < rows; i++) {
    const int32_t* s = sums + i * lds;
    if (g.store.out == QOut::kInt) {
      int32_t* c = (int32_t*)g.c + (row + i) * g.ldc + column;
      for (int j = 0; j < n; j++) c[j] = s[j];
      continue;
    }
    float* c = (float*)g.c + (row + i) * g.ldc + column;
    for (int j = 0; j < n; j += kLanes) {
      const int k = n - j < kLanes ? n - j : kLanes;
      vf v = rounded(to_float(load_n_i(s + j, k)) * load(g.store.scale + column + j));
      if (g.store.float_bias) v += load_n(g.store.float_bias + column + j, k);
      store_n(c + j, v, k);
    }
  }
}

}  // namespace

size_t q_packed_bytes(int64_t k, int64_t n) {
  return (size_t)(padded_k(k) * q_padded_columns(n) * kElement) + 64;
}
int64_t q_padded_columns(int64_t n) { return round_up(n, kLanes); }
int32_t q_weight_shift(bool is_signed) { return kByteDots && !is_signed ? -128 : 0; }

// Calls f(first column, vectors) for every panel.
template <class F>
SKIFF_INLINE void each_panel(int64_t n0, int64_t n1, const F& f) {
  for (int64_t j = n0; j < n1;) {
    const int v = panel_vectors(n1 - j);
    f(j, v);
    j += v * kLanes;
  }
}

void q_pack(const QWeights& w, bool bytes_out, void* packed) {
  const int64_t groups = padded_k(w.k) / kGroup;
  each_panel(0, w.n, [&](int64_t j0, int vectors) {
    uint8_t* dst = (uint8_t*)packed + j0 * groups * 4;
    for (int64_t g = 0; g < groups; g++)
      for (int v = 0; v < vectors; v++)
        for (int l = 0; l < kLanes; l++) {
          const int64_t j = j0 + (bytes_out ? column_of(vectors, v, l) : v * kLanes + l);
          for (int e = 0; e < kGroup; e++) {
            const int64_t p = g * kGroup + e;
            int32_t x = 0;
            if (j < w.n && p < w.k) {
              const uint8_t raw = w.data[p * w.k_stride + j * w.n_stride];
              x = w.is_signed ? (int8_t)raw : raw;
              if constexpr (kByteDots) {
                x += q_weight_shift(w.is_signed);
              } else if (w.zero) {
                x -= w.zero[w.zeros == 1 ? 0 : j];
              }
            }
            if constexpr (kByteDots) {
              *(int8_t*)dst = (int8_t)x;
            } else {
              const int16_t s = (int16_t)x;
              memcpy(dst, &s, 2);
            }
            dst += kElement;
          }
        }
  });
}

void q_pack_columns(int64_t n, bool bytes_out, const void* values, void* packed) {
  const uint32_t* from = (const uint32_t*)values;
  uint32_t* to = (uint32_t*)packed;
  const int64_t padded = q_padded_columns(n);
  for (int64_t j = 0; j < padded; j++) to[j] = 0;
  each_panel(0, n, [&](int64_t j0, int vectors) {
    for (int v = 0; v < vectors; v++)
      for (int l = 0; l < kLanes; l++) {
        const int64_t j = j0 + (bytes_out ? column_of(vectors, v, l) : v * kLanes + l);
        to[j0 + v * kLanes + l] = j < n ? from[j] : 0;
      }
  });
}

void q_prepare_bias(const QWeights& w, int32_t a_zero, bool a_signed, const int32_t* bias, int32_t* start) {
  for (int64_t j = 0; j < w.n; j++) {
    uint32_t s = bias ? (uint32_t)bias[j] : 0;
    if constexpr (kByteDots) {
      // Sum of (a - za)(b - zb) over stored bytes, less the part that depends on the row.
      const int32_t za = a_zero + (a_signed ? 128 : 0), shift = q_weight_shift(w.is_signed);
      const int32_t zb = (w.zero ? w.zero[w.zeros == 1 ? 0 : j] : 0) + shift;
      int64_t sum = 0;
      for (int64_t p = 0; p < w.k; p++) {
        const uint8_t raw = w.data[p * w.k_stride + j * w.n_stride];
        sum += (w.is_signed ? (int8_t)raw : raw) + shift;
      }
      s += (uint32_t)(int64_t)(za * (w.k * zb - sum));
    }
    start[j] = (int32_t)s;
  }
}

size_t q_scratch_bytes(const QGemm& g) {
  const Blocking b = blocking(g);
  size_t bytes = (size_t)(2 * kBlockRows * 4);  // sums of rows, what is added to them
  bytes += (size_t)(kRows * kPanel * 4);        // raw sums
  return bytes + (b.direct ? 0 : (size_t)(b.rows * b.stride)) + 128;
}

void q_run(const QGemm& g, int64_t m0, int64_t m1, int64_t n0, int64_t n1, void* scratch) {
  const Blocking blocks = blocking(g);
  int32_t* row_sum = (int32_t*)scratch;
  int32_t* row_add = row_sum + kBlockRows;
  int32_t* raw_sums = row_add + kBlockRows;
  uint8_t* gathered = (uint8_t*)(raw_sums + kRows * kPanel);
  const bool raw = g.store.out != QOut::kBytes;
  const int64_t groups = padded_k(g.k) / kGroup;
  const Bytes bytes = bytes_of(g.store);
  Tile t;
  t.groups = groups;
  t.flip = g.rows.is_signed ? 0x80808080u : 0;
  t.lda = blocks.direct ? g.rows.pixel : blocks.stride;
  const bool shifted = kByteDots && (g.zero || g.zero_all != 0);
  // Blocks of even height, so that none is left with a sliver.
  const int64_t tiles = (m1 - m0 + kRows - 1) / kRows, per_block = blocks.rows / kRows;
  const int64_t count = (tiles + per_block - 1) / per_block;
  const int64_t step = count ? round_up((tiles + count - 1) / count * kRows, kRows) : kRows;
  for (int64_t m = m0; m < m1; m += step) {
    const int64_t rows = min64(step, m1 - m);
    const uint8_t* a = g.rows.x + m * g.rows.pixel;
    if (!blocks.direct) {
      gather(g.rows, m, rows, gathered, blocks.stride);
      a = gathered;
    }
    if (shifted)
      for (int64_t i = 0; i < rows; i++) {
        row_sum[i] = sum_bytes(a + i * t.lda, g.k, (uint8_t)t.flip);
        row_add[i] = -g.zero_all * row_sum[i];
      }
    each_panel(n0, n1, [&](int64_t j, int vectors) {
      t.b = (const uint8_t*)g.b + j * groups * 4;
      t.bias = g.store.bias + j;
      t.scale = raw ? nullptr : g.store.scale + j;
      t.n = (int)min64(vectors * kLanes, n1 - j);
      // Strips as even as can be: 7 rows are 4 + 3, not 6 + 1.
      const int64_t strips = (rows + kRows - 1) / kRows;
      int64_t i = 0;
      for (int64_t s = 0; i < rows; s++) {
        int64_t h = raw ? tile_rows(rows - i, true) : (rows - i + strips - s - 1) / (strips - s);
        t.a = a + i * t.lda;
        t.row_add = shifted && !g.zero ? row_add + i : nullptr;
        t.row_sum = shifted && g.zero ? row_sum + i : nullptr;
        t.column_zero = g.zero ? g.zero + j : nullptr;
        if (raw) {
          t.c = (uint8_t*)raw_sums;
          t.ldc = kPanel;
        } else {
          t.c = (uint8_t*)g.c + (m + i) * g.ldc + j;
          t.ldc = g.ldc;
        }
        find_tile((int)h, vectors, raw)(t, bytes);
        if (raw) finish_raw(g, raw_sums, kPanel, m + i, h, j, t.n);
        i += h;
      }
    });
  }
}

}  // namespace skiff::cpu::SKIFF_ISA
