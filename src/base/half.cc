#include "base/half.h"

#include <cmath>
#include <limits>

namespace skiff {
namespace {

// Rounds |f| (finite, given as its float bits without sign) to a format with `mant` mantissa bits and
// exponent bias `bias`; returns the magnitude bits (exponent and mantissa), unbounded above: the caller
// handles overflow.
template <class Bits, int kMant, int kBias>
uint64_t round_magnitude(Bits bits, int mant, int bias) {
  int exp = static_cast<int>(bits >> kMant);
  Bits m = bits & ((Bits{1} << kMant) - 1);
  if (exp == 0) {
    if (m == 0) return 0;
    while (!(m >> kMant)) m <<= 1, --exp;  // normalise a subnormal of the source
    ++exp;
  } else {
    m |= Bits{1} << kMant;
  }
  int e = exp - kBias + bias;  // target's biased exponent
  int shift = kMant - mant;
  if (e <= 0) {
    shift += 1 - e;
    e = 1;
    if (shift > kMant + 2) return 0;
  }
  Bits half = Bits{1} << (shift - 1), rest = m & ((Bits{1} << shift) - 1), q = m >> shift;
  if (rest > half || (rest == half && (q & 1))) ++q;
  // q has the hidden bit at position mant (or is subnormal); a carry moves into the exponent by itself.
  return (static_cast<uint64_t>(e - 1) << mant) + q;
}

}  // namespace

uint16_t float_to_half(float f) {
  auto u = std::bit_cast<uint32_t>(f);
  auto sign = static_cast<uint16_t>((u >> 16) & 0x8000);
  u &= 0x7fffffffu;
  if (u > 0x7f800000u) return sign | 0x7e00 | static_cast<uint16_t>((u >> 13) & 0x3ff);
  if (u == 0x7f800000u) return sign | 0x7c00;
  uint64_t m = round_magnitude<uint32_t, 23, 127>(u, 10, 15);
  return sign | static_cast<uint16_t>(m >= 0x7c00 ? 0x7c00 : m);
}

uint16_t double_to_half(double d) {
  auto u = std::bit_cast<uint64_t>(d);
  auto sign = static_cast<uint16_t>((u >> 48) & 0x8000);
  u &= ~(uint64_t{1} << 63);
  if (u > 0x7ff0000000000000u) return sign | 0x7e00;
  if (u == 0x7ff0000000000000u) return sign | 0x7c00;
  uint64_t m = round_magnitude<uint64_t, 52, 1023>(u, 10, 15);
  return sign | static_cast<uint16_t>(m >= 0x7c00 ? 0x7c00 : m);
}

float half_to_float(uint16_t h) {
  uint32_t sign = static_cast<uint32_t>(h & 0x8000) << 16, exp = (h >> 10) & 0x1f, m = h & 0x3ff;
  if (exp == 0x1f) return std::bit_cast<float>(sign | 0x7f800000u | (m << 13));
  if (exp == 0) {
    float v = static_cast<float>(m) * 0x1p-24f;
    return sign ? -v : v;
  }
  return std::bit_cast<float>(sign | ((exp + 112) << 23) | (m << 13));
}

uint8_t float_to_float8(float f, Float8 kind, bool saturate) {
  auto u = std::bit_cast<uint32_t>(f);
  auto sign = static_cast<uint8_t>((u >> 24) & 0x80);
  u &= 0x7fffffffu;
  bool nan = u > 0x7f800000u, inf = u == 0x7f800000u;
  struct Format {
    int mant, bias;
    uint8_t max, nan, over;  // largest finite; NaN; the overflow result when not saturating
    bool unsigned_zero;
  };
  static constexpr Format kFormats[] = {
      {3, 7, 0x7e, 0x7f, 0x7f, false},
      {3, 8, 0x7f, 0x80, 0x80, true},
      {2, 15, 0x7b, 0x7f, 0x7c, false},
      {2, 16, 0x7f, 0x80, 0x80, true},
  };
  const Format& k = kFormats[static_cast<int>(kind)];
  if (nan) return k.unsigned_zero ? k.nan : static_cast<uint8_t>(sign | k.nan);
  uint64_t m = inf ? ~uint64_t{0} : round_magnitude<uint32_t, 23, 127>(u, k.mant, k.bias);
  if (m > k.max) {
    if (saturate) return static_cast<uint8_t>(sign | k.max);
    return k.unsigned_zero ? k.over : static_cast<uint8_t>(sign | k.over);
  }
  if (m == 0 && k.unsigned_zero) return 0;
  return static_cast<uint8_t>(sign | m);
}

float float8_to_float(uint8_t b, Float8 kind) {
  bool uz = kind == Float8::kE4M3FNUZ || kind == Float8::kE5M2FNUZ;
  int mant = kind == Float8::kE4M3FN || kind == Float8::kE4M3FNUZ ? 3 : 2;
  int bias = mant == 3 ? (uz ? 8 : 7) : (uz ? 16 : 15);
  constexpr float kNan = std::numeric_limits<float>::quiet_NaN();
  if (uz && b == 0x80) return kNan;
  int mag = b & 0x7f, exp = mag >> mant, m = mag & ((1 << mant) - 1);
  float sign = b & 0x80 ? -1.0f : 1.0f;
  if (!uz && kind == Float8::kE4M3FN && mag == 0x7f) return std::copysign(kNan, sign);
  if (!uz && kind == Float8::kE5M2 && exp == 31)
    return m ? std::copysign(kNan, sign) : sign * std::numeric_limits<float>::infinity();
  if (exp == 0) return sign * std::ldexp(static_cast<float>(m), 1 - bias - mant);
  return sign * std::ldexp(static_cast<float>(m + (1 << mant)), exp - bias - mant);
}

uint8_t float_to_float4(float f) {
  auto u = std::bit_cast<uint32_t>(f);
  auto sign = static_cast<uint8_t>((u >> 28) & 8);
  u &= 0x7fffffffu;
  if (u > 0x7f800000u) return 8;  // NaN has no pattern: negative zero, as the standard's Cast tests have it
  uint64_t m = u == 0x7f800000u ? 7 : round_magnitude<uint32_t, 23, 127>(u, 1, 1);
  return static_cast<uint8_t>(sign | (m > 7 ? 7 : m));
}

float float4_to_float(uint8_t n) {
  static constexpr float kValues[] = {0.0f, 0.5f, 1.0f, 1.5f, 2.0f, 3.0f, 4.0f, 6.0f};
  float v = kValues[n & 7];
  return n & 8 ? -v : v;
}

uint8_t float_to_e8m0(float f, bool saturate, E8M0Round mode) {
  auto u = std::bit_cast<uint32_t>(f) & 0x7fffffffu;  // the sign has no place in the format
  if (u > 0x7f800000u) return 255;
  if (u == 0x7f800000u) return saturate ? 254 : 255;
  if (u == 0) return 0;
  uint32_t exp = u >> 23, m = u & 0x7fffff;
  bool up = false;
  if (mode == E8M0Round::kUp) {
    up = exp == 0 ? m > 0x400000 : m != 0;  // 2^-127 is the float subnormal with m = 0x400000
  } else if (mode == E8M0Round::kNearest) {
    // Ties go up: 1.5 * 2^k is nearer to neither in the linear scale, and ONNX rounds it away from zero.
    up = exp == 0 ? m >= 0x600000 : m >= 0x400000;
  }
  if (up) ++exp;
  if (exp >= 255) return saturate ? 254 : 255;
  return static_cast<uint8_t>(exp);
}

float e8m0_to_float(uint8_t b) {
  if (b == 255) return std::numeric_limits<float>::quiet_NaN();
  return std::ldexp(1.0f, static_cast<int>(b) - 127);
}

}  // namespace skiff
