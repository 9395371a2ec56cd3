// What the kernel tests share: a walk over the instruction sets, random data, comparison with double
// references.
#pragma once
#include <doctest/doctest.h>

#include <cmath>
#include <cstdint>
#include <cstring>
#include <limits>
#include <string>
#include <vector>

#include "device/cpu/isa.h"

namespace skiff::cpu {

inline constexpr float kInf = std::numeric_limits<float>::infinity();
inline constexpr float kNan = std::numeric_limits<float>::quiet_NaN();

template <class F>
void for_each_isa(F f) {
  for (Isa isa : available_isas()) {
    const std::string name(isa_name(isa));
    CAPTURE(name);
    f(kernels(isa));
  }
}

class Rng {
 public:
  explicit Rng(uint64_t seed) : s_(seed * 2654435761u + 88172645463325252ull) {}
  uint64_t next() {
    s_ ^= s_ << 13;
    s_ ^= s_ >> 7;
    s_ ^= s_ << 17;
    return s_;
  }
  int64_t below(int64_t n) { return static_cast<int64_t>(next() % static_cast<uint64_t>(n)); }
  float uniform(float lo, float hi) { return lo + (hi - lo) * static_cast<float>(next() >> 40) * 0x1p-24f; }
  // Exactly n elements, so that a sanitizer sees any step beyond them.
  std::vector<float> floats(int64_t n, float lo = -1, float hi = 1) {
    std::vector<float> v(static_cast<size_t>(n));
    for (float& x : v) x = uniform(lo, hi);
    return v;
  }

 private:
  uint64_t s_;
};

inline int64_t product(const std::vector<int64_t>& d) {
  int64_t n = 1;
  for (int64_t x : d) n *= x;
  return n;
}

inline bool same_float(float a, float b) {  // NaN equals NaN; -0 differs from +0
  return std::isnan(a) ? std::isnan(b) : a == b && std::signbit(a) == std::signbit(b);
}

inline bool same_bits(const std::vector<float>& a, const std::vector<float>& b) {
  return a.size() == b.size() && (a.empty() || std::memcmp(a.data(), b.data(), a.size() * sizeof(float)) == 0);
}

// The largest |got - want| / max(floor, |want|); infinite if a NaN or an infinity stands at the wrong place.
inline double worst(const std::vector<float>& got, const std::vector<double>& want, double floor = 1e-30) {
  double w = got.size() == want.size() ? 0 : kInf;
  for (size_t i = 0; i < got.size() && i < want.size(); ++i) {
    const double g = got[i], t = want[i];
    if (std::isnan(t) || std::isnan(g)) {
      if (std::isnan(t) != std::isnan(g)) return kInf;
      continue;
    }
    if (std::isinf(g) || std::isinf(static_cast<float>(t))) {
      if (static_cast<float>(t) != got[i]) return kInf;
      continue;
    }
    const double e = std::abs(g - t) / std::max(floor, std::abs(t));
    if (e > w) w = e;
  }
  return w;
}

// Calls f(begin, end) over [0, n) in pieces of odd sizes.
template <class F>
void in_pieces(int64_t n, int64_t piece, F f) {
  for (int64_t at = 0; at < n; at += piece) f(at, at + piece < n ? at + piece : n);
}

}  // namespace skiff::cpu
