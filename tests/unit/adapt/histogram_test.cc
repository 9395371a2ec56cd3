#include <doctest/doctest.h>

#include <cmath>
#include <random>

#include "adapt/quantize/histogram.h"
#include "adapt/quantize/params.h"
#include "adapt/quantize/range.h"

using namespace skiff;
using namespace skiff::adapt;

namespace {
// A bell of width 1 and one outlier.
Histogram bell(float outlier, bool outlier_first) {
  std::mt19937 g(7);
  std::normal_distribution<float> d;
  std::vector<float> x(100000);
  for (float& v : x) v = d(g);
  Histogram h;
  std::vector<float> far{outlier};
  if (outlier_first) h.add(far);
  h.add(x);
  if (!outlier_first) h.add(far);
  return h;
}
}  // namespace

TEST_CASE("a histogram widens without losing count, whatever comes first") {
  Histogram a = bell(40, true), b = bell(40, false);
  CHECK(a.count() == 100001);
  CHECK(a.max() == 40);
  uint64_t sum = 0;
  for (int i = 0; i < a.bins(); ++i) {
    CHECK(std::abs(static_cast<double>(a[i]) - static_cast<double>(b[i])) <= 3);  // rounding at the edges
    sum += a[i];
  }
  CHECK(sum == a.count());
  CHECK(a.outside(-41, 41) == 0);
  CHECK(a.outside(-10, 10) == 1);
}

TEST_CASE("zeros before anything else, NaN and infinities") {
  Histogram h;
  std::vector<float> zeros(10), odd{1e-4f, NAN, -INFINITY, -2e-4f};
  h.add(zeros);
  h.add(odd);
  CHECK(h.count() == 12);
  CHECK(h.not_finite() == 2);
  CHECK(h[Histogram::kHalf] == 10);
  CHECK(h.width() < 1e-6);
  Histogram nothing;
  CHECK(nothing.coarse(4) == std::vector<uint64_t>(4, 0));
}

TEST_CASE("methods cut outliers as they promise") {
  Histogram h = bell(40, false);
  RangeOptions o;
  CHECK(range_min_max(h, o).hi == 40);
  CHECK(range_average(h, o).hi < 40);
  Range p = range_percentile(h, o);
  CHECK(p.hi == doctest::Approx(3.9).epsilon(0.1));  // 0.005 % of a bell lies above 3.89
  CHECK(p.lo == doctest::Approx(-3.9).epsilon(0.1));
  Range m = range_mse(h, o), e = range_entropy(h, o);
  CHECK(m.hi < 40);
  CHECK(m.hi > 2.5);
  CHECK(e.hi < 30);
  CHECK(e.hi > 1.5);
  // Fewer levels: a narrower range is best.
  RangeOptions four;
  four.levels = 16;
  CHECK(range_mse(h, four).hi < m.hi);
}

TEST_CASE("parameters cover their range and hold zero exactly") {
  for (auto [lo, hi] : {std::pair{-1.0, 2.0}, {0.0, 6.0}, {3.0, 5.0}, {-7.0, -2.0}, {0.0, 0.0}}) {
    for (int bits : {8, 16})
      for (bool symmetric : {false, true}) {
        Params p = params_of(lo, hi, bits, symmetric, false);
        CHECK(p.lowest() <= std::min(lo, 0.0) + p.scale);
        CHECK(p.highest() >= std::max(hi, 0.0) - p.scale);
        CHECK(p.scale > 0);
        if (symmetric) CHECK(p.zero == 0);
      }
  }
  CHECK(params_of(0, 6, 8, false, false).highest() == doctest::Approx(6));
  CHECK(params_of(0, 6, 8, false, true).scale == 0.03125f);
}
