// The innermost step of byte products on one instruction set, and how finished sums become bytes.
//
// Sets with a byte dot product take A as it lies (s8 made u8 by flipping the top bit) and B as s8, four
// elements of k to a 32-bit lane. The others take both centred, as s16, two to a lane: a product of two lanes
// cannot saturate.
#pragma once
#include "device/cpu/kernels/int8/int8.h"
#include "device/cpu/kernels/simd.h"

namespace skiff::cpu::SKIFF_ISA {

#if defined(__AVX512VNNI__)
constexpr bool kByteDots = true;
#else
constexpr bool kByteDots = false;
#endif
constexpr int kGroup = kByteDots ? 4 : 2;    // elements of k in a lane
constexpr int kElement = kByteDots ? 1 : 2;  // bytes of one
#if defined(__AVX512F__)
constexpr int kPanelVectors = 4;
constexpr int kRows = 6;
#elif defined(__AVX2__)
constexpr int kPanelVectors = 2;
constexpr int kRows = 6;
#else
constexpr int kPanelVectors = 2;
constexpr int kRows = 4;
#endif
constexpr int kPanel = kPanelVectors * kLanes;

typedef int16_t vs __attribute__((vector_size(kLanes * 4), may_alias));
typedef uint8_t vb __attribute__((vector_size(kLanes * 4), may_alias));
typedef vb vb_unaligned __attribute__((aligned(1)));

SKIFF_INLINE vi load_lanes(const void* p) { return (vi) * (const vb_unaligned*)p; }
SKIFF_INLINE void store_lanes(void* p, vi x) { *(vb_unaligned*)p = (vb)x; }

// sum + a * b over the elements of each lane.
SKIFF_INLINE vi dot(vi sum, vi a, vi b) {
#if defined(__AVX512VNNI__)
  // g++ 12 copies and spills the accumulators around the intrinsic.
  asm("vpdpbusd %2, %1, %0" : "+v"(sum) : "v"(a), "vm"(b));
  return sum;
#elif defined(__AVX512F__)
  return sum + (vi)_mm512_madd_epi16((__m512i)a, (__m512i)b);
#elif defined(__AVX2__)
  return sum + (vi)_mm256_madd_epi16((__m256i)a, (__m256i)b);
#elif defined(__SSE2__)
  return sum + (vi)_mm_madd_epi16((__m128i)a, (__m128i)b);
#else
  return sum + ((a << 16) >> 16) * ((b << 16) >> 16) + (a >> 16) * (b >> 16);
#endif
}

// A product that is rounded before anything is added to it, on every instruction set.
SKIFF_INLINE vf rounded(vf x) {
#if defined(__SSE2__)
  asm("" : "+x"(x));
#else
  asm("" : "+w"(x));
#endif
  return x;
}

// ---- Sums to bytes. Columns of a panel of V vectors lie so that packing pairs of vectors lane by lane
// restores their order: column_of(V, vector, lane) is the column found in a lane.

SKIFF_INLINE int column_of(int vectors, int vector, int lane) {
  const int run = lane / 4, at = lane % 4;  // 128-bit runs
  return run * 4 * vectors + 4 * vector + at;
}

struct Bytes {
  bool is_signed, narrow;  // narrow: low and high are tighter than the type
  vi zero;
  vf low, high;  // before the zero point is added
};
SKIFF_INLINE Bytes bytes_of(const QStore& s) {
  Bytes b;
  b.is_signed = s.is_signed;
  b.narrow = s.is_signed ? s.low > -128 || s.high < 127 : s.low > 0 || s.high < 255;
  b.zero = splat_i(s.zero);
  b.low = splat((float)(s.low - s.zero));
  b.high = splat((float)(s.high - s.zero));
  return b;
}

// round(sum * scale), clamped when narrow; the caller sees to it that |sum * scale| stays below 2^30.
SKIFF_INLINE vi scaled(vi sum, vf scale, const Bytes& b) {
  vf v = to_float(sum) * scale;
  if (b.narrow) v = min(b.high, max(b.low, v));
  return to_int_nearest(v);
}

// Adds the zero point, saturates, and stores the first n bytes of V vectors of scaled sums.
template <int V>
SKIFF_INLINE void store_bytes(uint8_t* p, const vi (&v)[V], const Bytes& b, int n) {
#if defined(__AVX512F__)
  const __m512i zero = _mm512_packs_epi32((__m512i)b.zero, (__m512i)b.zero);
  const auto pair = [&](vi x, vi y) {
    return _mm512_adds_epi16(_mm512_packs_epi32((__m512i)x, (__m512i)y), zero);
  };
  if constexpr (V == 4) {
    const __m512i x = pair(v[0], v[1]), y = pair(v[2], v[3]);
    const __m512i r = b.is_signed ? _mm512_packs_epi16(x, y) : _mm512_packus_epi16(x, y);
    // Masked stores are slow on some processors: the common sizes do without.
    if (n == 64) {
      _mm512_storeu_si512(p, r);
    } else if (n == 32) {
      _mm256_storeu_si256((__m256i*)p, _mm512_maskz_extracti64x4_epi64(0xf, r, 0));
    } else {
      _mm512_mask_storeu_epi8(p, (__mmask64)((1ull << n) - 1), r);
    }
  } else if constexpr (V == 2) {
    const __m512i x = pair(v[0], v[1]);
    const __mmask32 all = 0xffffffffu, mask = (__mmask32)((1ull << n) - 1);
    const __m256i r = b.is_signed
                          ? _mm512_maskz_cvtsepi16_epi8(all, x)
                          : _mm512_maskz_cvtusepi16_epi8(all, _mm512_max_epi16(x, _mm512_setzero_si512()));
    if (n == 32) {
      _mm256_storeu_si256((__m256i*)p, r);
    } else {
      _mm256_mask_storeu_epi8(p, mask, r);
    }
  } else {
    const vi x = v[0] + b.zero;
    const __mmask16 mask = first_lanes(n);
    const __m128i r = b.is_signed ? _mm512_maskz_cvtsepi32_epi8(kAllLanes, (__m512i)x)
                                  : _mm512_maskz_cvtusepi32_epi8(kAllLanes, (__m512i)max_i(x, vi{}));
    if (n == 16) {
      _mm_storeu_si128((__m128i*)p, r);
    } else {
      _mm_mask_storeu_epi8(p, mask, r);
    }
  }
#elif defined(__AVX2__)
  const __m256i zero = _mm256_packs_epi32((__m256i)b.zero, (__m256i)b.zero);
  __m256i x = _mm256_adds_epi16(_mm256_packs_epi32((__m256i)v[0], (__m256i)v[V - 1]), zero);
  x = b.is_signed ? _mm256_packs_epi16(x, x) : _mm256_packus_epi16(x, x);
  // V == 2: 8 columns a half; V == 1: 4 columns a half.
  x = V == 2 ? _mm256_permute4x64_epi64(x, 0x08)
             : _mm256_permutevar8x32_epi32(x, _mm256_setr_epi32(0, 4, 0, 4, 0, 4, 0, 4));
  const __m128i r = _mm256_castsi256_si128(x);
  if (n == 8 * V) {
    if constexpr (V == 2) {
      _mm_storeu_si128((__m128i*)p, r);
    } else {
      _mm_storel_epi64((__m128i*)p, r);
    }
  } else {
    uint8_t t[16];
    _mm_storeu_si128((__m128i*)t, r);
    for (int i = 0; i < n; i++) p[i] = t[i];
  }
#elif defined(__SSE2__)
  const __m128i zero = _mm_packs_epi32((__m128i)b.zero, (__m128i)b.zero);
  __m128i x = _mm_adds_epi16(_mm_packs_epi32((__m128i)v[0], (__m128i)v[V - 1]), zero);
  x = b.is_signed ? _mm_packs_epi16(x, x) : _mm_packus_epi16(x, x);
  uint8_t t[16];
  _mm_storeu_si128((__m128i*)t, x);
  if (n == 4 * V) {
    memcpy(p, t, 4 * V);
  } else {
    for (int i = 0; i < n; i++) p[i] = t[i];
  }
#else
  const int low = b.is_signed ? -128 : 0, high = low + 255;
  for (int i = 0; i < n; i++) {
    const int run = i / (4 * V), j = i / 4 % V;
    const int x = v[j][run * 4 + i % 4] + b.zero[0];
    p[i] = (uint8_t)(x < low ? low : x > high ? high : x);
  }
#endif
}

SKIFF_INLINE int64_t min64(int64_t a, int64_t b) { return a < b ? a : b; }
SKIFF_INLINE int64_t max64(int64_t a, int64_t b) { return a > b ? a : b; }
SKIFF_INLINE int64_t round_up(int64_t a, int64_t b) { return (a + b - 1) / b * b; }

// Parts of the table, each in its own file.
size_t q_packed_bytes(int64_t k, int64_t n);
void q_pack(const QWeights& w, bool bytes_out, void* packed);
int64_t q_padded_columns(int64_t n);
void q_pack_columns(int64_t n, bool bytes_out, const void* values, void* packed);
void q_prepare_bias(const QWeights& w, int32_t a_zero, bool a_signed, const int32_t* bias, int32_t* start);
int32_t q_weight_shift(bool is_signed);
size_t q_scratch_bytes(const QGemm& g);
void q_run(const QGemm& g, int64_t m0, int64_t m1, int64_t n0, int64_t n1, void* scratch);
size_t q_depthwise_bytes(int64_t channels, int64_t kh, int64_t kw);
int32_t q_pack_depthwise(const QWeights& w, int64_t kh, int64_t kw, int32_t a_zero, bool a_signed,
                         const int32_t* bias, const float* scale, void* packed);
void q_depthwise(const QDepthwise& d, int64_t row0, int64_t row1);
void q_binary(const QBinary& p, int64_t begin, int64_t end);
void q_lookup(const uint8_t* table, const uint8_t* x, uint8_t* y, int64_t n);
void q_max(const uint8_t* x, bool is_signed, int64_t n, uint8_t* best);
void q_add_pixels(const uint8_t* x, bool is_signed, int64_t pixels, int64_t channels, int32_t* sums);
void q_range(const float* x, int64_t n, float* low, float* high);

}  // namespace skiff::cpu::SKIFF_ISA
