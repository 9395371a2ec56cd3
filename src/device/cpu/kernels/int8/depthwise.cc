// Depthwise convolutions of bytes. A column of the window (up to kh taps of a block of channels) is arranged
// once, taps side by side in 32-bit lanes, and serves every output it reaches.
#include "device/cpu/kernels/int8/dot.h"

namespace skiff::cpu::SKIFF_ISA {
namespace {

// Vectors of sums of a block of channels, and channels in it.
constexpr int kParts = kByteDots ? 4 : 2;
constexpr int kBlock = kParts * kLanes;
constexpr int kMaxKernel = 5;  // rows of the unrolled windows

SKIFF_INLINE int64_t groups_of(int64_t kh) { return (kh + kGroup - 1) / kGroup; }
// First channel of block b: the last one overlaps its neighbour rather than being short.
SKIFF_INLINE int64_t block_start(int64_t b, int64_t channels) {
  return channels <= kBlock ? 0 : min64(b * kBlock, channels - kBlock);
}
SKIFF_INLINE int64_t blocks_of(int64_t channels) { return (channels + kBlock - 1) / kBlock; }

// Layout of a block: weights [set][kx][group][part][lane], then start sums and scales [part][lane].
struct Layout {
  int64_t set, block;  // bytes
};
SKIFF_INLINE Layout layout_of(int64_t kh, int64_t kw, int64_t sets) {
  Layout l;
  l.set = kw * groups_of(kh) * kParts * (int64_t)sizeof(vi);
  l.block = sets * l.set + 2 * kParts * (int64_t)sizeof(vi);
  return l;
}

// kBlock elements of a tap as they are interleaved: bytes, or s16.
#if defined(__AVX512VNNI__)
typedef __m512i Tap;
struct Reader {
  __mmask64 mask;
  __m512i flip;
  bool all;
};
SKIFF_INLINE Reader reader(const QRows& r, int64_t n) {
  Reader d;
  d.all = n == kBlock;
  d.mask = d.all ? ~0ull : (1ull << n) - 1;
  d.flip = _mm512_set1_epi8(r.is_signed ? (char)0x80 : 0);
  return d;
}
SKIFF_INLINE Tap read(const uint8_t* p, const Reader& d) {
  return _mm512_xor_si512(_mm512_maskz_loadu_epi8(d.mask, p), d.flip);
}
SKIFF_INLINE Tap no_tap() { return _mm512_setzero_si512(); }
// Four taps (kGroup) -> kParts vectors.
SKIFF_INLINE void arrange(const Tap* t, vi* out) {
  const __m512i a = _mm512_unpacklo_epi8(t[0], t[1]), b = _mm512_unpackhi_epi8(t[0], t[1]),
                c = _mm512_unpacklo_epi8(t[2], t[3]), d = _mm512_unpackhi_epi8(t[2], t[3]);
  out[0] = (vi)_mm512_unpacklo_epi16(a, c);
  out[1] = (vi)_mm512_unpackhi_epi16(a, c);
  out[2] = (vi)_mm512_unpacklo_epi16(b, d);
  out[3] = (vi)_mm512_unpackhi_epi16(b, d);
}
#else
typedef vs Tap;  // 2 * kLanes centred elements
typedef uint8_t few __attribute__((vector_size(kBlock), may_alias));
typedef few few_unaligned __attribute__((aligned(1)));
struct Reader {
  int n;
  few flip;  // s8 is read as u8 with the top bit flipped
  vs zero;
};
SKIFF_INLINE Reader reader(const QRows& r, int64_t n) {
  Reader d;
  d.n = (int)n;
  const uint8_t flip = r.is_signed ? 128 : 0;
  d.flip = flip - few{};
  const int16_t zero = (int16_t)(r.zero + flip);
  d.zero = zero - vs{};
  return d;
}
SKIFF_INLINE Tap centre(few x, const Reader& d) { return __builtin_convertvector(x ^ d.flip, vs) - d.zero; }
// Fewer channels than a block.
SKIFF_NOINLINE void read_part(const uint8_t* p, int n, few* x) {
  for (int i = 0; i < n; i++) (*x)[i] = p[i];
}
SKIFF_INLINE Tap read(const uint8_t* p, const Reader& d) {
  few x = {};
  if (__builtin_expect(d.n == kBlock, 1)) {
    x = *(const few_unaligned*)p;
  } else {
    read_part(p, d.n, &x);
  }
  return centre(x, d);
}
SKIFF_INLINE Tap no_tap() { return vs{}; }
// Two taps -> kParts vectors.
SKIFF_INLINE void arrange(const Tap* t, vi* out) {
#if defined(__AVX512F__)
  out[0] = (vi)_mm512_unpacklo_epi16((__m512i)t[0], (__m512i)t[1]);
  out[1] = (vi)_mm512_unpackhi_epi16((__m512i)t[0], (__m512i)t[1]);
#elif defined(__AVX2__)
  out[0] = (vi)_mm256_unpacklo_epi16((__m256i)t[0], (__m256i)t[1]);
  out[1] = (vi)_mm256_unpackhi_epi16((__m256i)t[0], (__m256i)t[1]);
#elif defined(__SSE2__)
  out[0] = (vi)_mm_unpacklo_epi16((__m128i)t[0], (__m128i)t[1]);
  out[1] = (vi)_mm_unpackhi_epi16((__m128i)t[0], (__m128i)t[1]);
#else
  for (int part = 0; part < 2; part++)
    for (int l = 0; l < kLanes; l++) {
      const int e = part * kLanes + l;
      out[part][l] = (int32_t)((uint16_t)t[0][e] | (uint32_t)(uint16_t)t[1][e] << 16);
    }
#endif
}
#endif

// The channel of a block found in lane `lane` of part `part`.
SKIFF_INLINE int channel_of(int part, int lane) {
#if defined(__SSE2__)
  return kParts == 4 ? column_of(4, part, lane) : column_of(2, part, lane);
#else
  return column_of(kParts, part, lane);
#endif
}

struct Line {
  const uint8_t* rows[kMaxKernel];  // pixel 0 of each tap's line; `outside` where there is none
  int64_t step[kMaxKernel];         // bytes from a pixel to the next: 0 outside
};

// `count` outputs from column x0 on (an input column, may be outside) that are `kStride` apart. KH, KW 0: as
// told.
template <int KH, int KW, int kStride, int kOutputs>
SKIFF_INLINE void outputs(const QDepthwise& d, const Line& line, const Reader& read_args,
                          const uint8_t* packed, const Layout& layout, int64_t x0, int64_t channel,
                          uint8_t* c, int n, const Bytes& bytes) {
  constexpr int kGroups = (KH + kGroup - 1) / kGroup;
  constexpr int kColumns = (kOutputs - 1) * kStride + KW;
  const uint8_t* tail = packed + d.sets * layout.set;
  vi sum[kOutputs][kParts];
  SKIFF_UNROLL for (int p = 0; p < kParts; p++) {
    const vi start = load_lanes(tail + p * sizeof(vi));
    SKIFF_UNROLL for (int o = 0; o < kOutputs; o++) sum[o][p] = start;
  }
  SKIFF_UNROLL for (int x = 0; x < kColumns; x++) {
    const int64_t at = x0 + x;
    const bool inside = at >= 0 && at < d.rows.in[1];
    SKIFF_UNROLL for (int g = 0; g < kGroups; g++) {
      Tap taps[kGroup];
      SKIFF_UNROLL for (int k = 0; k < kGroup; k++) {
        const int y = g * kGroup + k;
        if (y < KH) {
          const uint8_t* p = inside ? line.rows[y] + at * line.step[y] : d.outside;
          taps[k] = read(p + channel, read_args);
        } else {
          taps[k] = no_tap();
        }
      }
      vi v[kParts];
      arrange(taps, v);
      for (int32_t s = 0; s < (kByteDots ? d.sets : 1); s++) {
        const uint8_t* w = packed + s * layout.set + g * kParts * sizeof(vi);
        SKIFF_UNROLL for (int o = 0; o < kOutputs; o++) {
          const int kx = x - o * kStride;
          if (kx < 0 || kx >= KW) continue;
          SKIFF_UNROLL for (int p = 0; p < kParts; p++) sum[o][p] =
              dot(sum[o][p], v[p], load_lanes(w + (kx * kGroups * kParts + p) * sizeof(vi)));
        }
      }
    }
  }
  SKIFF_UNROLL for (int o = 0; o < kOutputs; o++) {
    vi v[kParts];
    SKIFF_UNROLL for (int p = 0; p < kParts; p++) v[p] =
        scaled(sum[o][p], (vf)load_lanes(tail + (kParts + p) * sizeof(vi)), bytes);
    store_bytes<kParts>(c + o * d.rows.channels, v, bytes, n);
  }
}

// One output of any window.
void any_output(const QDepthwise& d, const Reader& read_args, const uint8_t* packed, const Layout& layout,
                const uint8_t* image, int64_t y0, int64_t x0, int64_t channel, uint8_t* c, int n,
                const Bytes& bytes) {
  const QRows& r = d.rows;
  const int64_t groups = groups_of(r.kernel[0]);
  const uint8_t* tail = packed + d.sets * layout.set;
  vi sum[kParts];
  for (int p = 0; p < kParts; p++) sum[p] = load_lanes(tail + p * sizeof(vi));
  for (int64_t kx = 0; kx < r.kernel[1]; kx++) {
    const int64_t x = x0 + kx * r.dilation[1];
    for (int64_t g = 0; g < groups; g++) {
      Tap taps[kGroup];
      for (int k = 0; k < kGroup; k++) {
        const int64_t ky = g * kGroup + k, y = y0 + ky * r.dilation[0];
        const bool inside = x >= 0 && x < r.in[1] && y >= 0 && y < r.in[0];
        taps[k] = ky >= r.kernel[0]
                      ? no_tap()
                      : read((inside ? image + (y * r.in[1] + x) * r.pixel : d.outside) + channel, read_args);
      }
      vi v[kParts];
      arrange(taps, v);
      for (int32_t s = 0; s < (kByteDots ? d.sets : 1); s++) {
        const uint8_t* w = packed + s * layout.set + (kx * groups + g) * kParts * (int64_t)sizeof(vi);
        for (int p = 0; p < kParts; p++) sum[p] = dot(sum[p], v[p], load_lanes(w + p * sizeof(vi)));
      }
    }
  }
  vi v[kParts];
  for (int p = 0; p < kParts; p++)
    v[p] = scaled(sum[p], (vf)load_lanes(tail + (kParts + p) * (int64_t)sizeof(vi)), bytes);
  store_bytes<kParts>(c, v, bytes, n);
}

#if defined(__AVX512F__)
constexpr int kOutputsAtOnce = 4;
#elif defined(__SSE4_1__)
constexpr int kOutputsAtOnce = 2;
#else
constexpr int kOutputsAtOnce = 1;
#endif

template <int KH, int KW, int kStride>
void row(const QDepthwise& d, const Line& line, const Reader& read_args, const uint8_t* packed,
         const Layout& layout, int64_t channel, uint8_t* c, int n, const Bytes& bytes) {
  const int64_t w = d.rows.out[1];
  int64_t x = 0;
  for (; x + kOutputsAtOnce <= w; x += kOutputsAtOnce)
    outputs<KH, KW, kStride, kOutputsAtOnce>(d, line, read_args, packed, layout, x * kStride - d.rows.pad[1],
                                             channel, c + x * d.rows.channels, n, bytes);
  if constexpr (kOutputsAtOnce > 1)
    for (; x < w; x++)
      outputs<KH, KW, kStride, 1>(d, line, read_args, packed, layout, x * kStride - d.rows.pad[1], channel,
                                  c + x * d.rows.channels, n, bytes);
}

typedef void (*RowFn)(const QDepthwise&, const Line&, const Reader&, const uint8_t*, const Layout&, int64_t,
                      uint8_t*, int, const Bytes&);
RowFn find_row(const QRows& r) {
  if (r.kernel[0] != r.kernel[1] || r.stride[0] != r.stride[1] || r.dilation[0] != 1 || r.dilation[1] != 1)
    return nullptr;
  if (r.kernel[0] == 3) return r.stride[0] == 1 ? row<3, 3, 1> : r.stride[0] == 2 ? row<3, 3, 2> : nullptr;
  if constexpr (kByteDots)
    if (r.kernel[0] == 5) return r.stride[0] == 1 ? row<5, 5, 1> : r.stride[0] == 2 ? row<5, 5, 2> : nullptr;
  return nullptr;
}

// A tap's weight less its zero point, cut into `sets` terms that fit s8 (one term on sets with s16).
SKIFF_INLINE int32_t weight_at(const QWeights& w, int64_t channel, int64_t tap) {
  const uint8_t raw = w.data[tap * w.k_stride + channel * w.n_stride];
  return (w.is_signed ? (int8_t)raw : raw) - (w.zero ? w.zero[w.zeros == 1 ? 0 : channel] : 0);
}
SKIFF_INLINE int32_t cut(int32_t x, int32_t set) {
  for (int32_t s = 0;; s++) {
    const int32_t term = x < -128 ? -128 : x > 127 ? 127 : x;
    if (s == set) return term;
    x -= term;
  }
}

}  // namespace

size_t q_depthwise_bytes(int64_t channels, int64_t kh, int64_t kw) {
  return (size_t)(blocks_of(channels) * layout_of(kh, kw, kByteDots ? 3 : 1).block);
}

int32_t q_pack_depthwise(const QWeights& w, int64_t kh, int64_t kw, int32_t a_zero, bool a_signed,
                         const int32_t* bias, const float* scale, void* packed) {
  int32_t sets = 1;
  if constexpr (kByteDots)
    for (int64_t c = 0; c < w.n; c++)
      for (int64_t t = 0; t < w.k; t++) {
        const int32_t x = weight_at(w, c, t);
        const int32_t need = x < -256 || x > 254 ? 3 : x < -128 || x > 127 ? 2 : 1;
        if (need > sets) sets = need;
      }
  const Layout layout = layout_of(kh, kw, sets);
  const int64_t groups = groups_of(kh);
  for (int64_t b = 0; b < blocks_of(w.n); b++) {
    uint8_t* dst = (uint8_t*)packed + b * layout.block;
    const int64_t first = block_start(b, w.n);
    const auto each_lane = [&](auto&& f) {
      for (int p = 0; p < kParts; p++)
        for (int l = 0; l < kLanes; l++) f(first + channel_of(p, l));
    };
    for (int32_t s = 0; s < sets; s++)
      for (int64_t kx = 0; kx < kw; kx++)
        for (int64_t g = 0; g < groups; g++)
          each_lane([&](int64_t c) {
            for (int e = 0; e < kGroup; e++) {
              const int64_t ky = g * kGroup + e;
              const int32_t x = c < w.n && ky < kh ? weight_at(w, c, ky * kw + kx) : 0;
              if constexpr (kByteDots) {
                *(int8_t*)dst = (int8_t)cut(x, s);
              } else {
                const int16_t v = (int16_t)x;
                memcpy(dst, &v, 2);
              }
              dst += kElement;
            }
          });
    each_lane([&](int64_t c) {
      uint32_t start = c < w.n && bias ? (uint32_t)bias[c] : 0;
      if (kByteDots && c < w.n) {
        int32_t sum = 0;
        for (int64_t t = 0; t < w.k; t++) sum += weight_at(w, c, t);
        start -= (uint32_t)(sum * (a_zero + (a_signed ? 128 : 0)));
      }
      memcpy(dst, &start, 4);
      dst += 4;
    });
    each_lane([&](int64_t c) {
      const float f = c < w.n ? scale[c] : 0;
      memcpy(dst, &f, 4);
      dst += 4;
    });
  }
  return sets;
}

void q_depthwise(const QDepthwise& d, int64_t row0, int64_t row1) {
  const QRows& r = d.rows;
  const Layout layout = layout_of(r.kernel[0], r.kernel[1], d.sets);
  const Bytes bytes = bytes_of(d.store);
  const RowFn fast = find_row(r);
  const int n = (int)min64(kBlock, r.channels);
  const Reader read_args = reader(r, n);
  for (int64_t b = 0; b < blocks_of(r.channels); b++) {
    const int64_t channel = block_start(b, r.channels);
    const uint8_t* packed = (const uint8_t*)d.weights + b * layout.block;
    for (int64_t at = row0; at < row1; at++) {
      const uint8_t* image = r.x + at / r.out[0] * r.in[0] * r.in[1] * r.pixel;
      const int64_t y0 = at % r.out[0] * r.stride[0] - r.pad[0];
      uint8_t* c = d.c + at * r.out[1] * r.channels + channel;
      if (!fast) {
        for (int64_t x = 0; x < r.out[1]; x++)
          any_output(d, read_args, packed, layout, image, y0, x * r.stride[1] - r.pad[1], channel,
                     c + x * r.channels, n, bytes);
        continue;
      }
      Line line;
      for (int64_t k = 0; k < r.kernel[0]; k++) {
        const int64_t y = y0 + k;
        const bool inside = y >= 0 && y < r.in[0];
        line.rows[k] = inside ? image + y * r.in[1] * r.pixel : d.outside;
        line.step[k] = inside ? r.pixel : 0;
      }
      fast(d, line, read_args, packed, layout, channel, c, n, bytes);
    }
  }
}

}  // namespace skiff::cpu::SKIFF_ISA
