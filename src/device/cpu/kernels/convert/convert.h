// Conversions between element types and linear quantization. Ranges are flat elements. All of it is
// bit-identical on every instruction set.
#pragma once
#include <stddef.h>
#include <stdint.h>

namespace skiff::cpu {

// The types these kernels convert; kBool holds 0 or 1 in a byte.
enum class CastType : uint8_t { kF32, kF16, kBF16, kI32, kI64, kU8, kI8, kBool, kCount };

// y = x / scale, rounded half to even, plus zero point, saturated. (outer, channels, inner) with one scale
// and zero point per channel; channels = 1 is per-tensor. x / scale is an IEEE float32 division; NaN gives
// the zero point. Dequantize: x = (y - zero_point) * scale, in float32 after an exact subtraction.
struct QuantParams {
  const void* x;
  void* y;
  const float* scale;      // [channels]
  const void* zero_point;  // null (0) or [channels] of the quantized type
  int64_t outer, channels, inner;
  bool is_signed;  // int8, else uint8
};

struct ConvertKernels {
  // From any CastType to any other. To f16 and bf16: round to nearest even, NaN stays NaN (quiet). From float
  // to an integer: truncation; what does not fit int32 (int64 for kI64), and NaN, becomes its minimum, as in
  // numpy on x86; 8-bit results are the low byte of the int32. Between integers: the low bits. To kBool: x !=
  // 0.
  void (*cast)(CastType from, CastType to, const void* x, void* y, int64_t begin, int64_t end);
  void (*quantize)(const QuantParams& p, int64_t begin, int64_t end);    // f32 -> u8 or s8
  void (*dequantize)(const QuantParams& p, int64_t begin, int64_t end);  // u8 or s8 -> f32
};

}  // namespace skiff::cpu
