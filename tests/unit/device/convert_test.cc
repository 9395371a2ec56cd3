#include "device/cpu/kernels/convert/convert.h"

#include <algorithm>
#include <bit>

#include "unit/device/kernel_test.h"

using namespace skiff::cpu;

namespace {

// The value of a half float, and the half float nearest to x as a value; by the definition, in double.
double half_value(uint16_t h) {
  const int e = h >> 10 & 31, m = h & 1023;
  const double v = e == 31 ? (m ? kNan : kInf) : e ? std::ldexp(1024 + m, e - 25) : std::ldexp(m, -24);
  return h & 0x8000 ? -v : v;
}
double nearest_half(double x) {
  if (std::isnan(x) || std::isinf(x) || x == 0) return x;
  int e;
  std::frexp(x, &e);
  const double unit = std::ldexp(1.0, std::max(e - 11, -24));
  const double r = std::nearbyint(x / unit) * unit;
  return std::abs(r) > 65504 ? std::copysign(kInf, x) : r;
}

std::vector<float> interesting(Rng& rng) {
  std::vector<float> v;
  for (int i = 0; i < 3000; ++i) v.push_back(std::bit_cast<float>(static_cast<uint32_t>(rng.next())));
  for (int i = 0; i < 3000; ++i) v.push_back(rng.uniform(-300, 300));
  for (uint32_t h = 0; h < 65536; h += 7) {  // halves, their midpoints and neighbours of those
    const float x = static_cast<float>(half_value(static_cast<uint16_t>(h)));
    const uint32_t u = std::bit_cast<uint32_t>(x);
    for (uint32_t d : {0u, 0x1000u, 0xfffu, 0x1001u}) v.push_back(std::bit_cast<float>(u + d));
  }
  for (float x :
       {0.0f,   -0.0f,         kInf,           -kInf,   kNan,     65504.0f,      65519.99f, 65520.0f,
        1e-40f, 2147483648.0f, -2147483648.0f, 9.3e18f, -9.3e18f, 2147483520.0f, 0.5f,      1.5f,
        2.5f,   -0.5f,         255.7f,         256.0f,  -1.0f,    1e-8f,         2.98e-8f,  2.99e-8f})
    v.push_back(x);
  return v;
}

template <class T>
std::vector<T> cast_to(const KernelTables& k, CastType from, CastType to, const void* x, size_t n) {
  std::vector<T> y(n), z(n);
  k.convert->cast(from, to, x, y.data(), 0, static_cast<int64_t>(n));
  in_pieces(static_cast<int64_t>(n), 1003,
            [&](int64_t b, int64_t e) { k.convert->cast(from, to, x, z.data(), b, e); });
  CHECK((n == 0 || std::memcmp(y.data(), z.data(), n * sizeof(T)) == 0));
  return y;
}

}  // namespace

TEST_CASE("half floats: every value both ways, rounding, and the same bits on every instruction set") {
  std::vector<uint16_t> all(65536);
  for (size_t i = 0; i < all.size(); ++i) all[i] = static_cast<uint16_t>(i);
  Rng rng(3);
  const auto x = interesting(rng);
  const KernelTables& base = kernels(Isa::kGeneric);
  const auto floats0 = cast_to<float>(base, CastType::kF16, CastType::kF32, all.data(), all.size());
  const auto halves0 = cast_to<uint16_t>(base, CastType::kF32, CastType::kF16, x.data(), x.size());
  const auto bfloats0 = cast_to<uint16_t>(base, CastType::kF32, CastType::kBF16, x.data(), x.size());
  int wrong = 0;
  for (size_t i = 0; i < all.size(); ++i)
    wrong += !same_float(floats0[i], static_cast<float>(half_value(all[i])));
  for (size_t i = 0; i < x.size(); ++i) {
    wrong += !same_float(static_cast<float>(half_value(halves0[i])), static_cast<float>(nearest_half(x[i])));
    // bf16 by the definition: the nearer of two neighbours, the even one of a tie.
    const uint32_t u = std::bit_cast<uint32_t>(x[i]), low = u & 0xffff;
    const uint32_t up = low > 0x8000 || (low == 0x8000 && (u >> 16 & 1));
    if (std::isnan(x[i])) {
      wrong += !std::isnan(std::bit_cast<float>(static_cast<uint32_t>(bfloats0[i]) << 16));
    } else {
      wrong += bfloats0[i] != static_cast<uint16_t>((u >> 16) + up);
    }
  }
  CHECK(wrong == 0);
  for_each_isa([&](const KernelTables& k) {
    CHECK(same_bits(cast_to<float>(k, CastType::kF16, CastType::kF32, all.data(), all.size()), floats0));
    CHECK(cast_to<uint16_t>(k, CastType::kF32, CastType::kF16, x.data(), x.size()) == halves0);
    CHECK(cast_to<uint16_t>(k, CastType::kF32, CastType::kBF16, x.data(), x.size()) == bfloats0);
    const auto back = cast_to<uint16_t>(k, CastType::kF16, CastType::kF16, all.data(), all.size());
    int changed = 0;
    for (size_t i = 0; i < all.size(); ++i) changed += !std::isnan(half_value(all[i])) && back[i] != all[i];
    CHECK(changed == 0);
    const auto wide = cast_to<float>(k, CastType::kBF16, CastType::kF32, all.data(), all.size());
    for (size_t i = 0; i < all.size(); ++i)
      changed += std::bit_cast<uint32_t>(wide[i]) != static_cast<uint32_t>(i) << 16;
    CHECK(changed == 0);
  });
}

TEST_CASE("casts between numbers: truncation, wrapping, saturation to the minimum, bool") {
  Rng rng(5);
  const auto x = interesting(rng);
  std::vector<int64_t> longs;
  for (int i = 0; i < 2000; ++i) longs.push_back(static_cast<int64_t>(rng.next()) >> rng.below(64));
  std::vector<int32_t> ints(longs.begin(), longs.end());
  std::vector<int8_t> bytes(longs.begin(), longs.end());
  for_each_isa([&](const KernelTables& k) {
    const auto i32 = cast_to<int32_t>(k, CastType::kF32, CastType::kI32, x.data(), x.size());
    const auto i64 = cast_to<int64_t>(k, CastType::kF32, CastType::kI64, x.data(), x.size());
    const auto u8 = cast_to<uint8_t>(k, CastType::kF32, CastType::kU8, x.data(), x.size());
    const auto i8 = cast_to<int8_t>(k, CastType::kF32, CastType::kI8, x.data(), x.size());
    const auto b = cast_to<uint8_t>(k, CastType::kF32, CastType::kBool, x.data(), x.size());
    int wrong = 0;
    for (size_t i = 0; i < x.size(); ++i) {
      const double t = std::trunc(static_cast<double>(x[i]));
      const int32_t w = t >= -2147483648.0 && t <= 2147483647.0 ? static_cast<int32_t>(t) : INT32_MIN;
      const int64_t l = t >= -0x1p63 && t < 0x1p63 ? static_cast<int64_t>(t) : INT64_MIN;
      wrong += i32[i] != w || i64[i] != l || u8[i] != static_cast<uint8_t>(w) ||
               i8[i] != static_cast<int8_t>(w) || b[i] != (x[i] != 0);
    }
    CHECK(wrong == 0);
    const auto from_long = cast_to<float>(k, CastType::kI64, CastType::kF32, longs.data(), longs.size());
    const auto from_int = cast_to<float>(k, CastType::kI32, CastType::kF32, ints.data(), ints.size());
    const auto from_byte = cast_to<float>(k, CastType::kI8, CastType::kF32, bytes.data(), bytes.size());
    const auto unsigned_byte = cast_to<int32_t>(k, CastType::kU8, CastType::kI32, bytes.data(), bytes.size());
    const auto low = cast_to<int8_t>(k, CastType::kI64, CastType::kI8, longs.data(), longs.size());
    const auto half = cast_to<uint16_t>(k, CastType::kI32, CastType::kF16, ints.data(), ints.size());
    const auto truth = cast_to<uint8_t>(k, CastType::kI64, CastType::kBool, longs.data(), longs.size());
    for (size_t i = 0; i < longs.size(); ++i) {
      wrong += from_long[i] != static_cast<float>(longs[i]) || from_int[i] != static_cast<float>(ints[i]) ||
               from_byte[i] != static_cast<float>(bytes[i]) ||
               unsigned_byte[i] != static_cast<uint8_t>(bytes[i]) || low[i] != bytes[i] ||
               truth[i] != (longs[i] != 0) ||
               half_value(half[i]) != nearest_half(static_cast<float>(ints[i]));
    }
    CHECK(wrong == 0);
  });
}

namespace {
template <class T>
void check_quantization() {
  constexpr bool is_signed = std::is_signed_v<T>;
  const int64_t shapes[][3] = {{1, 1, 1000}, {3, 1, 5}, {2, 7, 33}, {5, 37, 1}, {1, 3, 100}, {0, 3, 2}};
  for (const auto& s : shapes)
    for (bool zeros : {false, true}) {
      Rng rng(47);
      const int64_t n = s[0] * s[1] * s[2];
      auto x = rng.floats(n, -40, 40);
      for (size_t i = 0; i < x.size(); i += 3) x[i] = std::round(x[i] * 4) / 4;  // ties
      if (n > 30) x[3] = kInf, x[7] = -kInf, x[9] = 1e30f, x[11] = -3e9f, x[13] = kNan;
      std::vector<float> scale = rng.floats(s[1], 0.01f, 1.5f);
      scale[0] = 0.5f;
      std::vector<T> zero(static_cast<size_t>(s[1])), q(x.size());
      for (auto& z : zero) z = zeros ? static_cast<T>(rng.next()) : T{0};
      std::vector<float> d(x.size());
      for (int64_t i = 0; i < n; ++i) {
        const int64_t c = i / s[2] % s[1];
        const double r = std::nearbyint(static_cast<double>(x[i] / scale[c])) + zero[c];
        q[i] = std::isnan(r) ? zero[c]
                             : static_cast<T>(std::clamp<double>(r, std::numeric_limits<T>::min(),
                                                                 std::numeric_limits<T>::max()));
        d[i] = static_cast<float>(q[i] - zero[c]) * scale[c];
      }
      for_each_isa([&](const KernelTables& k) {
        std::vector<T> y(q.size());
        std::vector<float> z(d.size());
        QuantParams p{x.data(), y.data(), scale.data(), zeros ? zero.data() : nullptr,
                      s[0],     s[1],     s[2],         is_signed};
        in_pieces(n, 101, [&](int64_t b, int64_t e) { k.convert->quantize(p, b, e); });
        CHECK(y == q);
        p.x = q.data();
        p.y = z.data();
        in_pieces(n, 101, [&](int64_t b, int64_t e) { k.convert->dequantize(p, b, e); });
        CHECK(same_bits(z, d));
      });
    }
}
}  // namespace

TEST_CASE("quantize, dequantize: every bit as in IEEE float32, per tensor and per channel") {
  check_quantization<uint8_t>();
  check_quantization<int8_t>();
}
