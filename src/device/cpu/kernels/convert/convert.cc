#include "device/cpu/kernels/convert/convert.h"

#include <string.h>

#include "device/cpu/kernels/simd.h"

namespace skiff::cpu::SKIFF_ISA {
namespace {

// ---- Half floats by their bits, as plain integer code that compilers vectorize. Both agree with the F16C
// instructions in every bit, NaN payloads included.

SKIFF_INLINE uint32_t bits_of(float x) {
  uint32_t u;
  memcpy(&u, &x, 4);
  return u;
}
SKIFF_INLINE float float_of(uint32_t u) {
  float x;
  memcpy(&x, &u, 4);
  return x;
}

SKIFF_INLINE uint16_t half_from_float(float x) {
  const uint32_t u = bits_of(x), sign = u >> 16 & 0x8000, a = u & 0x7fffffff;
  // Normal results: round the 13 dropped bits to nearest even, rebias the exponent.
  const uint32_t normal = (a + 0xfff + (a >> 13 & 1) - (112u << 23)) >> 13;
  // Denormal results: adding 0.5 lines the mantissa up with units of 2^-24, rounded by the addition itself.
  const uint32_t denormal = bits_of(float_of(a) + 0.5f) - 0x3f000000;
  const uint32_t nan = 0x7e00 | (a >> 13 & 0x3ff);
  const uint32_t h = a > 0x7f800000 ? nan : a >= 0x477ff000 ? 0x7c00 : a < 0x38800000 ? denormal : normal;
  return static_cast<uint16_t>(sign | h);
}

SKIFF_INLINE float float_from_half(uint16_t h) {
  const uint32_t sign = static_cast<uint32_t>(h & 0x8000) << 16, a = h & 0x7fffu;
  const uint32_t normal = (a << 13) + (112u << 23);
  // Denormals: 2^-14 + a * 2^-24 is exact; take 2^-14 away again.
  const uint32_t denormal = bits_of(float_of((113u << 23) + (a << 13)) - 6.103515625e-05f);
  const uint32_t special = (a << 13) | 0x7f800000 | (a > 0x7c00 ? 0x400000 : 0);
  return float_of(sign | (a >= 0x7c00 ? special : a < 0x400 ? denormal : normal));
}

SKIFF_INLINE uint16_t bfloat_from_float(float x) {
  const uint32_t u = bits_of(x);
  const uint32_t rounded = (u + 0x7fff + (u >> 16 & 1)) >> 16;
  return static_cast<uint16_t>((u & 0x7fffffff) > 0x7f800000 ? (u >> 16 | 0x40) : rounded);
}

void halves_from_floats(const float* x, uint16_t* y, int64_t n) {
  int64_t i = 0;
#if defined(__AVX512F__)
  for (; i + 16 <= n; i += 16)
    _mm256_storeu_si256(reinterpret_cast<__m256i*>(y + i),
                        _mm512_maskz_cvtps_ph(kAllLanes, (__m512)load(x + i), 0));
#elif defined(__F16C__)
  for (; i + 8 <= n; i += 8)
    _mm_storeu_si128(reinterpret_cast<__m128i*>(y + i), _mm256_cvtps_ph((__m256)load(x + i), 0));
#endif
  for (; i < n; ++i) y[i] = half_from_float(x[i]);
}

void floats_from_halves(const uint16_t* x, float* y, int64_t n) {
  int64_t i = 0;
#if defined(__AVX512F__)
  for (; i + 16 <= n; i += 16)
    store(y + i,
          (vf)_mm512_maskz_cvtph_ps(kAllLanes, _mm256_loadu_si256(reinterpret_cast<const __m256i*>(x + i))));
#elif defined(__F16C__)
  for (; i + 8 <= n; i += 8)
    store(y + i, (vf)_mm256_cvtph_ps(_mm_loadu_si128(reinterpret_cast<const __m128i*>(x + i))));
#endif
  for (; i < n; ++i) y[i] = float_from_half(x[i]);
}

// ---- Casts through one of three pivots: a row of floats, of int32 or of int64.

SKIFF_INLINE int32_t int_of(float x) {
  return x >= -2147483648.0f && x < 2147483648.0f ? static_cast<int32_t>(x) : INT32_MIN;
}
SKIFF_INLINE int64_t long_of(float x) {
  return x >= -9223372036854775808.0f && x < 9223372036854775808.0f ? static_cast<int64_t>(x) : INT64_MIN;
}

constexpr int64_t kRun = 512;  // elements of a pivot block

// Where x stands as float already, it is used in place.
const float* floats_at(CastType from, const void* x, int64_t i, int64_t n, float* block) {
  if (from == CastType::kF32) return static_cast<const float*>(x) + i;
  if (from == CastType::kF16) {
    floats_from_halves(static_cast<const uint16_t*>(x) + i, block, n);
  } else {
    const uint16_t* s = static_cast<const uint16_t*>(x) + i;
    for (int64_t j = 0; j < n; ++j) block[j] = float_of(static_cast<uint32_t>(s[j]) << 16);
  }
  return block;
}

void store_floats(const float* s, CastType to, void* y, int64_t i, int64_t n) {
  switch (to) {
    case CastType::kF32:
      memcpy(static_cast<float*>(y) + i, s, static_cast<size_t>(n) * sizeof(float));
      return;
    case CastType::kF16: return halves_from_floats(s, static_cast<uint16_t*>(y) + i, n);
    case CastType::kBF16:
      for (int64_t j = 0; j < n; ++j) static_cast<uint16_t*>(y)[i + j] = bfloat_from_float(s[j]);
      return;
    case CastType::kI32:
      for (int64_t j = 0; j < n; ++j) static_cast<int32_t*>(y)[i + j] = int_of(s[j]);
      return;
    case CastType::kI64:
      for (int64_t j = 0; j < n; ++j) static_cast<int64_t*>(y)[i + j] = long_of(s[j]);
      return;
    case CastType::kBool:
      for (int64_t j = 0; j < n; ++j) static_cast<uint8_t*>(y)[i + j] = s[j] != 0.0f;
      return;
    default:  // kU8, kI8: the low byte
      for (int64_t j = 0; j < n; ++j) static_cast<uint8_t*>(y)[i + j] = static_cast<uint8_t>(int_of(s[j]));
      return;
  }
}

template <class T>
void from_integers(const T* x, CastType to, void* y, int64_t begin, int64_t end) {
  switch (to) {
    case CastType::kF32:
      for (int64_t i = begin; i < end; ++i) static_cast<float*>(y)[i] = static_cast<float>(x[i]);
      return;
    case CastType::kI32:
      for (int64_t i = begin; i < end; ++i) static_cast<int32_t*>(y)[i] = static_cast<int32_t>(x[i]);
      return;
    case CastType::kI64:
      for (int64_t i = begin; i < end; ++i) static_cast<int64_t*>(y)[i] = static_cast<int64_t>(x[i]);
      return;
    case CastType::kU8:
    case CastType::kI8:
      for (int64_t i = begin; i < end; ++i) static_cast<uint8_t*>(y)[i] = static_cast<uint8_t>(x[i]);
      return;
    case CastType::kBool:
      for (int64_t i = begin; i < end; ++i) static_cast<uint8_t*>(y)[i] = x[i] != 0;
      return;
    default: break;
  }
  float block[kRun];  // kF16, kBF16
  for (int64_t i = begin; i < end; i += kRun) {
    const int64_t n = end - i < kRun ? end - i : kRun;
    for (int64_t j = 0; j < n; ++j) block[j] = static_cast<float>(x[i + j]);
    store_floats(block, to, y, i, n);
  }
}

void cast(CastType from, CastType to, const void* x, void* y, int64_t begin, int64_t end) {
  switch (from) {
    case CastType::kI32: return from_integers(static_cast<const int32_t*>(x), to, y, begin, end);
    case CastType::kI64: return from_integers(static_cast<const int64_t*>(x), to, y, begin, end);
    case CastType::kU8:
    case CastType::kBool: return from_integers(static_cast<const uint8_t*>(x), to, y, begin, end);
    case CastType::kI8: return from_integers(static_cast<const int8_t*>(x), to, y, begin, end);
    default: break;
  }
  float block[kRun];
  for (int64_t i = begin; i < end; i += kRun) {
    const int64_t n = end - i < kRun ? end - i : kRun;
    store_floats(floats_at(from, x, i, n, block), to, y, i, n);
  }
}

// ---- Linear quantization

// Rounded quotients are clamped as floats, so that the conversion to int32 is always in range. The order of
// the operands sends NaN to 0.
SKIFF_INLINE vi quantize_vector(vf x, vf scale, vi zero, vi lo, vi hi) {
  vf q = round_even(x / scale);
  q = select(q == q, min(max(q, splat(-65536.0f)), splat(65536.0f)), vf{});
  return min_i(max_i(to_int(q) + zero, lo), hi);
}

// One run of n elements with one scale, or (per_element) with a scale and zero point for each.
template <class T, bool kPerElement>
void quantize_run(const float* x, const float* scale, const T* zero, int64_t n, T* y) {
  const vi lo = splat_i(static_cast<T>(-1) < 0 ? -128 : 0), hi = lo + 255;
  const vf s1 = kPerElement ? vf{} : splat(*scale);
  const vi z1 = kPerElement || !zero ? vi{} : splat_i(*zero);
  for (int64_t i = 0; i < n; i += kLanes) {
    const int m = n - i < kLanes ? static_cast<int>(n - i) : kLanes;
    vf s = s1;
    vi z = z1;
    if constexpr (kPerElement) {
      s = load_n(scale + i, m);
      if (zero)
        for (int l = 0; l < m; ++l) z[l] = zero[i + l];
    }
    const vi q = quantize_vector(m == kLanes ? load(x + i) : load_n(x + i, m), s, z, lo, hi);
#if defined(__AVX512F__)
    const __m128i bytes = _mm512_maskz_cvtepi32_epi8(kAllLanes, (__m512i)q);
#else
    typedef int8_t Bytes __attribute__((vector_size(kLanes)));
    const Bytes bytes = __builtin_convertvector(q, Bytes);
#endif
    if (m == kLanes) {
      memcpy(y + i, &bytes, kLanes);
    } else {
      memcpy(y + i, &bytes, static_cast<size_t>(m));
    }
  }
}

template <class T, bool kPerElement>
void dequantize_run(const T* x, const float* scale, const T* zero, int64_t n, float* y) {
  const float s1 = *scale;
  const int32_t z1 = zero ? *zero : 0;
  if constexpr (!kPerElement) {
    for (int64_t i = 0; i < n; ++i) y[i] = static_cast<float>(x[i] - z1) * s1;
  } else if (zero) {
    for (int64_t i = 0; i < n; ++i) y[i] = static_cast<float>(x[i] - zero[i]) * scale[i];
  } else {
    for (int64_t i = 0; i < n; ++i) y[i] = static_cast<float>(x[i]) * scale[i];
  }
}

// Cuts [begin, end) into runs of one channel, or with inner = 1 of neighbouring channels:
// f(at, channel, n, per_element).
template <class F>
SKIFF_INLINE void runs(const QuantParams& p, int64_t begin, int64_t end, F f) {
  if (begin >= end) return;
  if (p.channels == 1) return f(begin, int64_t{0}, end - begin, false);
  const int64_t length = p.inner == 1 ? p.channels : p.inner;
  for (int64_t at = begin; at < end;) {
    const int64_t c = at / p.inner % p.channels;
    int64_t n = length - at % length;
    if (n > end - at) n = end - at;
    f(at, c, n, p.inner == 1);
    at += n;
  }
}

template <class T>
void quantize_as(const QuantParams& p, int64_t begin, int64_t end) {
  const float* x = static_cast<const float*>(p.x);
  const T* zero = static_cast<const T*>(p.zero_point);
  T* y = static_cast<T*>(p.y);
  runs(p, begin, end, [&](int64_t at, int64_t c, int64_t n, bool each) {
    const T* z = zero ? zero + c : nullptr;
    if (each) {
      quantize_run<T, true>(x + at, p.scale + c, z, n, y + at);
    } else {
      quantize_run<T, false>(x + at, p.scale + c, z, n, y + at);
    }
  });
}

template <class T>
void dequantize_as(const QuantParams& p, int64_t begin, int64_t end) {
  const T* x = static_cast<const T*>(p.x);
  const T* zero = static_cast<const T*>(p.zero_point);
  float* y = static_cast<float*>(p.y);
  runs(p, begin, end, [&](int64_t at, int64_t c, int64_t n, bool each) {
    const T* z = zero ? zero + c : nullptr;
    if (each) {
      dequantize_run<T, true>(x + at, p.scale + c, z, n, y + at);
    } else {
      dequantize_run<T, false>(x + at, p.scale + c, z, n, y + at);
    }
  });
}

void quantize(const QuantParams& p, int64_t begin, int64_t end) {
  return p.is_signed ? quantize_as<int8_t>(p, begin, end) : quantize_as<uint8_t>(p, begin, end);
}

void dequantize(const QuantParams& p, int64_t begin, int64_t end) {
  return p.is_signed ? dequantize_as<int8_t>(p, begin, end) : dequantize_as<uint8_t>(p, begin, end);
}

}  // namespace

extern const ConvertKernels convert_kernels;
const ConvertKernels convert_kernels = {cast, quantize, dequantize};

}  // namespace skiff::cpu::SKIFF_ISA
