#include "base/half.h"

#include <doctest/doctest.h>

#include <cmath>
#include <cstring>
#include <initializer_list>

using namespace skiff;

TEST_CASE("every half goes to float and back") {
  for (uint32_t h = 0; h < 65536; ++h) {
    float f = half_to_float(static_cast<uint16_t>(h));
    if (std::isnan(f)) {
      CHECK(((h & 0x7c00) == 0x7c00 && (h & 0x3ff) != 0));
      continue;
    }
    REQUIRE(float_to_half(f) == h);
    REQUIRE(double_to_half(f) == h);
  }
}

TEST_CASE("halves round to nearest even") {
  CHECK(float_to_half(65504.0f) == 0x7bff);
  CHECK(float_to_half(65519.99f) == 0x7bff);
  CHECK(float_to_half(65520.0f) == 0x7c00);
  CHECK(float_to_half(1.0f + 0x1p-11f) == 0x3c00);      // tie to even
  CHECK(float_to_half(1.0f + 3 * 0x1p-11f) == 0x3c02);  // tie to even, up
  CHECK(float_to_half(0x1p-25f) == 0);                  // tie with zero
  CHECK(float_to_half(0x1.8p-25f) == 1);
  CHECK(double_to_half(1.0 + 0x1p-11 + 0x1p-40) == 0x3c01);  // rounding through float would lose it
}

TEST_CASE("bfloat16 keeps NaN and rounds to even") {
  CHECK(std::isnan(bfloat16_to_float(float_to_bfloat16(NAN))));
  CHECK(float_to_bfloat16(1.0f) == 0x3f80);
  CHECK(float_to_bfloat16(1.0f + 0x1p-8f) == 0x3f80);
  CHECK(float_to_bfloat16(1.0f + 3 * 0x1p-8f) == 0x3f82);
}

TEST_CASE("float8 codes survive a round trip, and saturate as ONNX's table says") {
  for (Float8 k : {Float8::kE4M3FN, Float8::kE4M3FNUZ, Float8::kE5M2, Float8::kE5M2FNUZ})
    for (int b = 0; b < 256; ++b) {
      float f = float8_to_float(static_cast<uint8_t>(b), k);
      if (std::isnan(f) || std::isinf(f)) continue;
      REQUIRE(float_to_float8(f, k) == b);
    }
  CHECK(float8_to_float(float_to_float8(1000.0f, Float8::kE4M3FN), Float8::kE4M3FN) == 448.0f);
  CHECK(std::isnan(float8_to_float(float_to_float8(1000.0f, Float8::kE4M3FN, false), Float8::kE4M3FN)));
  CHECK(std::isinf(float8_to_float(float_to_float8(1e6f, Float8::kE5M2, false), Float8::kE5M2)));
  CHECK(float8_to_float(float_to_float8(1000.0f, Float8::kE4M3FNUZ), Float8::kE4M3FNUZ) == 240.0f);
}

TEST_CASE("float4 and e8m0") {
  const float values[] = {0, 0.5f, 1, 1.5f, 2, 3, 4, 6};
  for (int i = 0; i < 8; ++i) {
    CHECK(float4_to_float(static_cast<uint8_t>(i)) == values[i]);
    CHECK(float_to_float4(values[i]) == i);
  }
  CHECK(float_to_float4(100.0f) == 7);
  CHECK(float_to_float4(2.5f) == 4);  // tie to even: 2
  CHECK(float_to_float4(5.0f) == 6);  // tie to even: 4
  CHECK(e8m0_to_float(127) == 1.0f);
  CHECK(float_to_e8m0(1.0f) == 127);
  CHECK(float_to_e8m0(1.1f) == 128);
  CHECK(float_to_e8m0(1.1f, true, E8M0Round::kDown) == 127);
}
