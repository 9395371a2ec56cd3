#include "device/cpu/kernels/reduce/reduce.h"

#include <algorithm>

#include "unit/device/kernel_test.h"

using namespace skiff::cpu;

namespace {

double reference(ReduceOp op, const std::vector<double>& v) {
  double s = op == ReduceOp::kMax    ? -kInf
             : op == ReduceOp::kMin  ? kInf
             : op == ReduceOp::kProd ? 1
                                     : 0,
         top = -kInf;
  for (double x : v) top = std::max(top, x);
  if (!std::isfinite(top)) top = 0;
  for (double x : v) switch (op) {
      case ReduceOp::kMax: s = std::isnan(s) || std::isnan(x) ? kNan : std::max(s, x); break;
      case ReduceOp::kMin: s = std::isnan(s) || std::isnan(x) ? kNan : std::min(s, x); break;
      case ReduceOp::kProd: s *= x; break;
      case ReduceOp::kL1: s += std::abs(x); break;
      case ReduceOp::kL2:
      case ReduceOp::kSumSquare: s += x * x; break;
      case ReduceOp::kLogSumExp: s += std::exp(x - top); break;
      default: s += x;
    }
  if (op == ReduceOp::kMean) return s / static_cast<double>(v.size());
  if (op == ReduceOp::kL2) return std::sqrt(s);
  if (op == ReduceOp::kLogSum) return std::log(s);
  if (op == ReduceOp::kLogSumExp) return std::log(s) + top;
  return s;
}

struct Shape {
  int64_t outer, reduced, inner;
};
const Shape kShapes[] = {{1, 1, 1},     {3, 0, 1},   {3, 0, 5},      {0, 4, 2},    {5, 7, 1},
                         {2, 1000, 1},  {3, 4, 5},   {2, 3, 200},    {1, 100, 33}, {2, 9001, 1},
                         {1, 70000, 3}, {2, 65, 64}, {1, 300000, 1}, {4, 64, 1},   {1, 128, 130}};

std::vector<double> line(const std::vector<float>& x, const Shape& s, int64_t at) {
  std::vector<double> v;
  for (int64_t r = 0; r < s.reduced; ++r)
    v.push_back(x[static_cast<size_t>((at / s.inner * s.reduced + r) * s.inner + at % s.inner)]);
  return v;
}

}  // namespace

TEST_CASE("reduce: every op and shape within the stated error, any split") {
  for (const Shape& s : kShapes)
    for (int o = 0; o < static_cast<int>(ReduceOp::kCount); ++o) {
      const ReduceOp op = static_cast<ReduceOp>(o);
      Rng rng(3);
      const bool prod = op == ReduceOp::kProd;  // factors near 1, so that long products stay in range
      const auto x = rng.floats(s.outer * s.reduced * s.inner, prod ? 0.9999f : 0.1f, prod ? 1.0001f : 1.0f);
      const int64_t n = s.outer * s.inner;
      std::vector<double> want;
      for (int64_t i = 0; i < n; ++i) want.push_back(reference(op, line(x, s, i)));
      double bound = (20 + std::log2(static_cast<double>(s.reduced + 1))) * 0x1p-24;
      if (prod) bound = std::max<double>(4, static_cast<double>(s.reduced)) * 0x1p-24;
      if (op == ReduceOp::kMax || op == ReduceOp::kMin) bound = 0;
      if (op == ReduceOp::kLogSum || op == ReduceOp::kLogSumExp) bound *= 4;  // relative to max(1, |result|)
      for_each_isa([&](const KernelTables& k) {
        CAPTURE(o);
        CAPTURE(s.reduced);
        std::vector<float> y(static_cast<size_t>(n), 77), z(y);
        k.reduce->reduce(op, {x.data(), y.data(), s.outer, s.reduced, s.inner}, 0, n);
        CHECK(worst(y, want, op == ReduceOp::kLogSum || op == ReduceOp::kLogSumExp ? 1.0 : 1e-30) <= bound);
        in_pieces(n, 7, [&](int64_t b, int64_t e) {
          k.reduce->reduce(op, {x.data(), z.data(), s.outer, s.reduced, s.inner}, b, e);
        });
        CHECK(same_bits(y, z));
      });
    }
}

TEST_CASE("reduce: a long sum of equal values keeps its digits") {
  const std::vector<float> x(1 << 22, 0.1f);
  for_each_isa([&](const KernelTables& k) {
    float y = 0, z[2] = {};
    k.reduce->reduce(ReduceOp::kSum, {x.data(), &y, 1, 1 << 22, 1}, 0, 1);
    CHECK(std::abs(y / (static_cast<double>(0.1f) * (1 << 22)) - 1) < 42 * 0x1p-24);
    k.reduce->reduce(ReduceOp::kSum, {x.data(), z, 1, 1 << 21, 2}, 0, 2);
    CHECK(std::abs(z[1] / (static_cast<double>(0.1f) * (1 << 21)) - 1) < 42 * 0x1p-24);
  });
}

TEST_CASE("reduce: NaN, infinities, log-sum-exp of large values") {
  for (int64_t n : {3, 40, 2000})
    for (int64_t inner : {1, 3}) {
      std::vector<float> x(static_cast<size_t>(n * inner), 1.0f);
      x[static_cast<size_t>((n - 2) * inner)] = kNan;
      for_each_isa([&](const KernelTables& k) {
        std::vector<float> y(static_cast<size_t>(inner));
        const ReduceParams p{x.data(), y.data(), 1, n, inner};
        for (ReduceOp op : {ReduceOp::kMax, ReduceOp::kMin, ReduceOp::kSum, ReduceOp::kProd, ReduceOp::kL2}) {
          k.reduce->reduce(op, p, 0, inner);
          CHECK(std::isnan(y[0]));
          if (inner > 1) CHECK(std::isfinite(y[1]));
        }
      });
    }
  for_each_isa([&](const KernelTables& k) {
    const auto lse = [&](std::vector<float> v) {
      float y = 0;
      k.reduce->reduce(ReduceOp::kLogSumExp, {v.data(), &y, 1, static_cast<int64_t>(v.size()), 1}, 0, 1);
      return y;
    };
    CHECK(lse({1000, 1000}) == doctest::Approx(1000.6931));
    CHECK(lse({-1000, -1000}) == doctest::Approx(-999.3069));
    CHECK(lse({-kInf, -kInf}) == -kInf);
    CHECK(lse({kInf, 1}) == kInf);
    CHECK(std::isnan(lse({kNan, 1})));
  });
}

TEST_CASE("argmax, argmin: first and last of equals, NaN, any split") {
  for (const Shape& s : kShapes) {
    if (s.reduced == 0) continue;
    Rng rng(17);
    std::vector<float> x(static_cast<size_t>(s.outer * s.reduced * s.inner));
    for (float& v : x) v = static_cast<float>(rng.below(50) - 25);  // many ties
    for (int nans : {0, 1}) {
      if (nans)
        for (size_t i = 1; i < x.size(); i += 97) x[i] = kNan;
      const int64_t n = s.outer * s.inner;
      for (bool max : {true, false})
        for (bool last : {false, true}) {
          std::vector<int64_t> want;
          for (int64_t i = 0; i < n; ++i) {
            const auto v = line(x, s, i);
            int64_t best = 0;
            for (int64_t r = 1; r < s.reduced; ++r) {
              const double a = max ? v[r] : -v[r], b = max ? v[best] : -v[best];
              if (std::isnan(a) ? (last || !std::isnan(b)) : !std::isnan(b) && (last ? a >= b : a > b))
                best = r;
            }
            want.push_back(best);
          }
          for_each_isa([&](const KernelTables& k) {
            std::vector<int64_t> y(want.size(), -7);
            in_pieces(n, 50, [&](int64_t b, int64_t e) {
              k.reduce->arg({x.data(), y.data(), s.outer, s.reduced, s.inner, max, last}, b, e);
            });
            CHECK(y == want);
          });
        }
    }
  }
}

TEST_CASE("cumsum: forward and reverse, exclusive or not") {
  for (const Shape& s : kShapes) {
    if (s.reduced > 2000) continue;
    Rng rng(19);
    const auto x = rng.floats(s.outer * s.reduced * s.inner, 0, 1);
    for (bool exclusive : {false, true})
      for (bool reverse : {false, true}) {
        std::vector<double> want(x.size());
        for (int64_t i = 0; i < s.outer * s.inner; ++i) {
          double sum = 0;
          for (int64_t r = 0; r < s.reduced; ++r) {
            const int64_t row = reverse ? s.reduced - 1 - r : r;
            const size_t at = static_cast<size_t>((i / s.inner * s.reduced + row) * s.inner + i % s.inner);
            want[at] = exclusive ? sum : sum + x[at];
            sum += x[at];
          }
        }
        for_each_isa([&](const KernelTables& k) {
          auto y = x;  // in place
          in_pieces(s.outer * s.inner, 21, [&](int64_t b, int64_t e) {
            k.reduce->cumsum({y.data(), y.data(), s.outer, s.reduced, s.inner, exclusive, reverse}, b, e);
          });
          CHECK(worst(y, want, 1e-3) <= static_cast<double>(s.reduced) * 0x1p-24);
        });
      }
  }
}
