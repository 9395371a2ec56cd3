// A thin layer over the vector extensions of GCC and Clang: one native vector of floats (vf) and of 32-bit
// integers (vi), as wide as the instruction set this file is compiled for. Arithmetic and comparisons are the
// compiler's own operators (a + b, a * 2.0f, a < b); a comparison gives a vi of 0 and -1 per lane. What the
// operators lack is here.
//
// Rules of kernel files: everything lives in skiff::cpu::SKIFF_ISA, nothing has external linkage but the
// family's table, and no standard-library template is used, so that no code of one instruction set can be
// linked into another.
#pragma once
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#if defined(__SSE2__)
#include <immintrin.h>
#endif

#ifndef SKIFF_ISA
#error "kernel files are compiled once per instruction set with -DSKIFF_ISA=<name> (see cmake/SkiffIsa.cmake)"
#endif

#define SKIFF_INLINE static inline __attribute__((always_inline))
#define SKIFF_NOINLINE static __attribute__((noinline))
#ifdef __clang__
#define SKIFF_UNROLL _Pragma("clang loop unroll(full)")
#else
#define SKIFF_UNROLL _Pragma("GCC unroll 64")
#endif

namespace skiff::cpu::SKIFF_ISA {

#if defined(__AVX512F__)
constexpr int kLanes = 16;
#elif defined(__AVX2__)
constexpr int kLanes = 8;
#else
constexpr int kLanes = 4;
#endif

typedef float vf __attribute__((vector_size(kLanes * 4), may_alias));
typedef int32_t vi __attribute__((vector_size(kLanes * 4), may_alias));
typedef uint32_t vu __attribute__((vector_size(kLanes * 4), may_alias));
typedef float vf_unaligned __attribute__((vector_size(kLanes * 4), may_alias, aligned(4)));
typedef int32_t vi_unaligned __attribute__((vector_size(kLanes * 4), may_alias, aligned(4)));

// ---- Broadcast, bit casts, loads and stores. No function reads or writes outside the lanes it is told to.

SKIFF_INLINE vf splat(float x) { return x - vf{}; }
SKIFF_INLINE vi splat_i(int32_t x) { return x - vi{}; }
SKIFF_INLINE vi as_int(vf x) { return (vi)x; }
SKIFF_INLINE vf as_float(vi x) { return (vf)x; }

SKIFF_INLINE vf load(const float* p) { return *(const vf_unaligned*)p; }
SKIFF_INLINE void store(float* p, vf x) { *(vf_unaligned*)p = x; }
SKIFF_INLINE vi load_i(const int32_t* p) { return *(const vi_unaligned*)p; }
SKIFF_INLINE void store_i(int32_t* p, vi x) { *(vi_unaligned*)p = x; }

// The lane numbers 0, 1, 2 ...
SKIFF_INLINE vi iota() {
#if defined(__AVX512F__)
  return vi{0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15};
#elif defined(__AVX2__)
  return vi{0, 1, 2, 3, 4, 5, 6, 7};
#else
  return vi{0, 1, 2, 3};
#endif
}

// load_n, store_n: the first n lanes only, 0 <= n <= kLanes; the other lanes of a load are 0.
#if defined(__AVX512F__)
// The zero-masking forms are used throughout: g++ 12 warns of an uninitialized value inside the plain ones.
constexpr __mmask16 kAllLanes = 0xffff;
SKIFF_INLINE __mmask16 first_lanes(int n) { return (__mmask16)((1u << n) - 1u); }
SKIFF_INLINE vf load_n(const float* p, int n) { return (vf)_mm512_maskz_loadu_ps(first_lanes(n), p); }
SKIFF_INLINE void store_n(float* p, vf x, int n) { _mm512_mask_storeu_ps(p, first_lanes(n), (__m512)x); }
SKIFF_INLINE vi load_n_i(const int32_t* p, int n) { return (vi)_mm512_maskz_loadu_epi32(first_lanes(n), p); }
SKIFF_INLINE void store_n_i(int32_t* p, vi x, int n) {
  _mm512_mask_storeu_epi32(p, first_lanes(n), (__m512i)x);
}
#elif defined(__AVX2__)
SKIFF_INLINE __m256i first_lanes(int n) { return (__m256i)(iota() < splat_i(n)); }
SKIFF_INLINE vf load_n(const float* p, int n) { return (vf)_mm256_maskload_ps(p, first_lanes(n)); }
SKIFF_INLINE void store_n(float* p, vf x, int n) { _mm256_maskstore_ps(p, first_lanes(n), (__m256)x); }
SKIFF_INLINE vi load_n_i(const int32_t* p, int n) { return (vi)_mm256_maskload_epi32(p, first_lanes(n)); }
SKIFF_INLINE void store_n_i(int32_t* p, vi x, int n) {
  _mm256_maskstore_epi32(p, first_lanes(n), (__m256i)x);
}
#else
SKIFF_INLINE vf load_n(const float* p, int n) {
  if (n == kLanes) return load(p);
  vf x = {};
  for (int i = 0; i < n; i++) x[i] = p[i];
  return x;
}
SKIFF_INLINE void store_n(float* p, vf x, int n) {
  if (n == kLanes) return store(p, x);
  for (int i = 0; i < n; i++) p[i] = x[i];
}
SKIFF_INLINE vi load_n_i(const int32_t* p, int n) {
  vi x = {};
  for (int i = 0; i < n; i++) x[i] = p[i];
  return x;
}
SKIFF_INLINE void store_n_i(int32_t* p, vi x, int n) {
  for (int i = 0; i < n; i++) p[i] = x[i];
}
#endif

// ---- Arithmetic

// a * b + c; one rounding where the instruction set has FMA, two otherwise.
SKIFF_INLINE vf fma(vf a, vf b, vf c) { return a * b + c; }

// min: a < b ? a : b, max: a > b ? a : b. So a NaN in either gives b: put the value whose NaN must survive
// second, max(splat(0), x).
#if defined(__AVX512F__)
SKIFF_INLINE vf min(vf a, vf b) { return (vf)_mm512_maskz_min_ps(kAllLanes, (__m512)a, (__m512)b); }
SKIFF_INLINE vf max(vf a, vf b) { return (vf)_mm512_maskz_max_ps(kAllLanes, (__m512)a, (__m512)b); }
#elif defined(__AVX2__)
SKIFF_INLINE vf min(vf a, vf b) { return (vf)_mm256_min_ps((__m256)a, (__m256)b); }
SKIFF_INLINE vf max(vf a, vf b) { return (vf)_mm256_max_ps((__m256)a, (__m256)b); }
#elif defined(__SSE2__)
SKIFF_INLINE vf min(vf a, vf b) { return (vf)_mm_min_ps((__m128)a, (__m128)b); }
SKIFF_INLINE vf max(vf a, vf b) { return (vf)_mm_max_ps((__m128)a, (__m128)b); }
#else
SKIFF_INLINE vf min(vf a, vf b) { return a < b ? a : b; }
SKIFF_INLINE vf max(vf a, vf b) { return a > b ? a : b; }
#endif
SKIFF_INLINE vi min_i(vi a, vi b) { return a < b ? a : b; }
SKIFF_INLINE vi max_i(vi a, vi b) { return a > b ? a : b; }

// Per lane: mask (0 or -1) ? a : b.
SKIFF_INLINE vf select(vi mask, vf a, vf b) { return mask ? a : b; }
SKIFF_INLINE vi select_i(vi mask, vi a, vi b) { return mask ? a : b; }

SKIFF_INLINE vf abs(vf x) { return as_float(as_int(x) & 0x7fffffff); }
// The magnitude of a with the sign of s.
SKIFF_INLINE vf copysign(vf a, vf s) {
  return as_float((as_int(a) & 0x7fffffff) | (as_int(s) & (int32_t)0x80000000));
}

// IEEE square root, correctly rounded.
SKIFF_INLINE vf sqrt(vf x) {
#if defined(__AVX512F__)
  return (vf)_mm512_maskz_sqrt_ps(kAllLanes, (__m512)x);
#elif defined(__AVX2__)
  return (vf)_mm256_sqrt_ps((__m256)x);
#elif defined(__SSE2__)
  return (vf)_mm_sqrt_ps((__m128)x);
#else
  for (int i = 0; i < kLanes; i++) x[i] = __builtin_sqrtf(x[i]);
  return x;
#endif
}

// Integer shifts by the same count in every lane, 0 <= n < 32. shr is arithmetic, shr_logical fills with 0.
SKIFF_INLINE vi shl(vi x, int n) { return (vi)((vu)x << (uint32_t)n); }
SKIFF_INLINE vi shr(vi x, int n) { return x >> n; }
SKIFF_INLINE vi shr_logical(vi x, int n) { return (vi)((vu)x >> (uint32_t)n); }

// ---- Rounding and conversion

SKIFF_INLINE vf to_float(vi x) { return __builtin_convertvector(x, vf); }

// Rounds to an integral float: nearest with ties to even; floor; ceil. NaN, infinities and -0 pass through.
#if defined(__AVX512F__)
SKIFF_INLINE vf round_even(vf x) { return (vf)_mm512_maskz_roundscale_ps(kAllLanes, (__m512)x, 0x08); }
SKIFF_INLINE vf floor(vf x) { return (vf)_mm512_maskz_roundscale_ps(kAllLanes, (__m512)x, 0x09); }
SKIFF_INLINE vf ceil(vf x) { return (vf)_mm512_maskz_roundscale_ps(kAllLanes, (__m512)x, 0x0a); }
#elif defined(__AVX2__)
SKIFF_INLINE vf round_even(vf x) { return (vf)_mm256_round_ps((__m256)x, 0x08); }
SKIFF_INLINE vf floor(vf x) { return (vf)_mm256_round_ps((__m256)x, 0x09); }
SKIFF_INLINE vf ceil(vf x) { return (vf)_mm256_round_ps((__m256)x, 0x0a); }
#elif defined(__SSE4_1__)
SKIFF_INLINE vf round_even(vf x) { return (vf)_mm_round_ps((__m128)x, 0x08); }
SKIFF_INLINE vf floor(vf x) { return (vf)_mm_round_ps((__m128)x, 0x09); }
SKIFF_INLINE vf ceil(vf x) { return (vf)_mm_round_ps((__m128)x, 0x0a); }
#else
// Adding 2^23 leaves no fraction bits, rounded by the current (nearest-even) mode; above 2^23 all floats are
// integral.
SKIFF_INLINE vf round_even(vf x) {
  const vf big = splat(8388608.0f), m = abs(x);
  return select(m < big, copysign((m + big) - big, x), x);
}
SKIFF_INLINE vf floor(vf x) {
  const vf r = round_even(x);
  return select(r > x, r - 1.0f, r);
}
SKIFF_INLINE vf ceil(vf x) {
  const vf r = round_even(x);
  return select(r < x, copysign(r + 1.0f, x), r);
}
#endif

// To int32, truncating (to_int) or to nearest even (to_int_nearest). Out of the range of int32 or NaN:
// unspecified.
SKIFF_INLINE vi to_int(vf x) { return __builtin_convertvector(x, vi); }
SKIFF_INLINE vi to_int_nearest(vf x) {
#if defined(__AVX512F__)
  return (vi)_mm512_maskz_cvtps_epi32(kAllLanes, (__m512)x);
#elif defined(__AVX2__)
  return (vi)_mm256_cvtps_epi32((__m256)x);
#elif defined(__SSE2__)
  return (vi)_mm_cvtps_epi32((__m128)x);
#else
  return to_int(round_even(x));
#endif
}

// ---- Across lanes. The order of a sum is fixed: halves are added to halves.

SKIFF_INLINE float sum_lanes(vf x) {
  float t[kLanes];
  store(t, x);
  SKIFF_UNROLL for (int w = kLanes / 2; w > 0; w /= 2) {
    SKIFF_UNROLL for (int i = 0; i < w; i++) t[i] += t[i + w];
  }
  return t[0];
}
// A NaN lane may or may not survive, as with max.
SKIFF_INLINE float max_lanes(vf x) {
  float t[kLanes];
  store(t, x);
  SKIFF_UNROLL for (int w = kLanes / 2; w > 0; w /= 2) {
    SKIFF_UNROLL for (int i = 0; i < w; i++) t[i] = t[i] > t[i + w] ? t[i] : t[i + w];
  }
  return t[0];
}
SKIFF_INLINE float min_lanes(vf x) { return -max_lanes(-x); }
SKIFF_INLINE int32_t sum_lanes_i(vi x) {
  int32_t s = 0;
  SKIFF_UNROLL for (int i = 0; i < kLanes; i++) s += x[i];
  return s;
}
// Whether any lane of a comparison's result is set.
SKIFF_INLINE bool any(vi mask) {
#if defined(__AVX512F__)
  return _mm512_test_epi32_mask((__m512i)mask, (__m512i)mask) != 0;
#elif defined(__AVX2__)
  return !_mm256_testz_si256((__m256i)mask, (__m256i)mask);
#else
  int32_t s = 0;
  SKIFF_UNROLL for (int i = 0; i < kLanes; i++) s |= mask[i];
  return s != 0;
#endif
}

}  // namespace skiff::cpu::SKIFF_ISA
