// Small floating types as bit patterns, converted by exact integer arithmetic (round to nearest even), so
// that every machine gives the same bits. Format definitions: IEEE 754 binary16; bfloat16; OCP 8-bit and MX
// specifications, and ONNX "Float stored in 8 bits" (the FN / FNUZ / E8M0 / E2M1 variants).
#pragma once
#include <bit>
#include <cstdint>

namespace skiff {

uint16_t float_to_half(float f);
float half_to_float(uint16_t h);
// Correctly rounded from double (float_to_half((float)d) would round twice).
uint16_t double_to_half(double d);

inline float bfloat16_to_float(uint16_t b) { return std::bit_cast<float>(static_cast<uint32_t>(b) << 16); }
inline uint16_t float_to_bfloat16(float f) {
  auto u = std::bit_cast<uint32_t>(f);
  if ((u & 0x7fffffffu) > 0x7f800000u) return static_cast<uint16_t>((u >> 16) | 0x40);  // keep NaN a NaN
  return static_cast<uint16_t>((u + 0x7fff + ((u >> 16) & 1)) >> 16);
}

enum class Float8 : uint8_t { kE4M3FN, kE4M3FNUZ, kE5M2, kE5M2FNUZ };
// saturate: out-of-range values become the largest finite value; otherwise NaN (E4M3FN, FNUZ) or infinity
// (E5M2), as in the table of ONNX's Cast.
uint8_t float_to_float8(float f, Float8 kind, bool saturate = true);
float float8_to_float(uint8_t b, Float8 kind);

// float4 E2M1: 0 .5 1 1.5 2 3 4 6 and their negatives; saturates; NaN becomes -0 (the format has none).
uint8_t float_to_float4(float f);
float float4_to_float(uint8_t nibble);

// E8M0: 2^(b-127), 255 is NaN. round_mode as in ONNX Cast-24: "up", "down", "nearest".
enum class E8M0Round : uint8_t { kUp, kDown, kNearest };
uint8_t float_to_e8m0(float f, bool saturate = true, E8M0Round mode = E8M0Round::kUp);
float e8m0_to_float(uint8_t b);

}  // namespace skiff
