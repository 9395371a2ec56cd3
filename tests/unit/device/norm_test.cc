#include "device/cpu/kernels/norm/norm.h"

#include <algorithm>

#include "unit/device/kernel_test.h"

using namespace skiff::cpu;

namespace {

struct Shape {
  int64_t outer, axis, inner;
};
const Shape kShapes[] = {{1, 1, 1}, {3, 7, 1}, {2, 16, 1},   {2, 1000, 1}, {3, 5, 4},     {2, 10, 37},
                         {0, 3, 1}, {4, 0, 1}, {2, 21, 130}, {1, 5000, 2}, {2, 30000, 1}, {7, 33, 16}};
constexpr double kUlp = 1.2e-7;

size_t at(const Shape& s, int64_t i, int64_t r) {
  return static_cast<size_t>((i / s.inner * s.axis + r) * s.inner + i % s.inner);
}

// Runs units [0, n) at once into y and in pieces into a second buffer; the two must agree to the bit.
template <class P, class K>
std::vector<float> run(P p, size_t size, int64_t units, K kernel) {
  std::vector<float> y(size, 55), z(size, 55);
  p.y = y.data();
  kernel(p, 0, units);
  p.y = z.data();
  in_pieces(units, 3, [&](int64_t b, int64_t e) { kernel(p, b, e); });
  CHECK(same_bits(y, z));
  return y;
}

}  // namespace

TEST_CASE("softmax, log-softmax: relative error, any shape") {
  for (const Shape& s : kShapes)
    for (bool log : {false, true}) {
      Rng rng(23);
      const auto x = rng.floats(s.outer * s.axis * s.inner, -30, 30);
      std::vector<double> want(x.size());
      for (int64_t i = 0; i < s.outer * s.inner; ++i) {
        double top = -kInf, sum = 0;
        for (int64_t r = 0; r < s.axis; ++r) top = std::max<double>(top, x[at(s, i, r)]);
        for (int64_t r = 0; r < s.axis; ++r) sum += std::exp(x[at(s, i, r)] - top);
        for (int64_t r = 0; r < s.axis; ++r) {
          const double d = x[at(s, i, r)] - top;
          want[at(s, i, r)] = log ? d - std::log(sum) : std::exp(d) / sum;
        }
      }
      for_each_isa([&](const KernelTables& k) {
        const SoftmaxParams p{x.data(), nullptr, s.outer, s.axis, s.inner, log};
        const auto y = run(p, x.size(), s.outer * s.inner, k.norm->softmax);
        CHECK(worst(y, want, log ? 1.0 : 1e-30) <=
              (log ? 4 : 60) * kUlp);  // exp turns x - max of 60 into 60 ulp
      });
    }
}

TEST_CASE("softmax: overflow, masked elements, NaN") {
  for_each_isa([&](const KernelTables& k) {
    for (int64_t n : {4, 40}) {
      std::vector<float> x(static_cast<size_t>(n), 1e30f), y(x.size());
      x[1] = -kInf;
      k.norm->softmax({x.data(), y.data(), 1, n, 1, false}, 0, 1);
      CHECK(y[0] == doctest::Approx(1.0 / static_cast<double>(n - 1)));
      CHECK(y[1] == 0.0f);
      k.norm->softmax({x.data(), y.data(), 1, n / 2, 2, true}, 0, 2);
      CHECK(y[1] == -kInf);
      x[2] = kNan;
      k.norm->softmax({x.data(), y.data(), 1, n, 1, false}, 0, 1);
      CHECK(std::isnan(y[0]));
      std::fill(x.begin(), x.end(), -kInf);
      k.norm->softmax({x.data(), y.data(), 1, n, 1, false}, 0, 1);
      CHECK(std::isnan(y[0]));
    }
  });
}

TEST_CASE("layer norm, RMS norm: with and without residual, scale, bias, extra outputs") {
  for (int64_t n : {1, 5, 16, 100, 768, 5000})
    for (int mode = 0; mode < 32; ++mode) {
      const bool rms = mode & 1, residual = mode & 2, scale = mode & 4, extra = mode & 8, offset = mode & 16;
      if (n > 1000 && mode % 5) continue;
      Rng rng(29);
      const int64_t rows = 4;
      const auto x = rng.floats(rows * n, offset ? 9 : -1, offset ? 11 : 2), r = rng.floats(rows * n),
                 rb = rng.floats(n), g = rng.floats(n), b = rng.floats(n);
      std::vector<double> want(x.size()), sums(x.size()), means, invs;
      const float epsilon = 1e-5f;
      for (int64_t row = 0; row < rows; ++row) {
        double mean = 0, var = 0;
        for (int64_t i = 0; i < n; ++i) {
          double& v = sums[row * n + i];
          v = static_cast<double>(x[row * n + i]) +
              (residual ? static_cast<double>(r[row * n + i]) + rb[i] : 0.0);
          mean += v / static_cast<double>(n);
        }
        if (rms) mean = 0;
        for (int64_t i = 0; i < n; ++i) var += std::pow(sums[row * n + i] - mean, 2) / static_cast<double>(n);
        means.push_back(mean);
        invs.push_back(1 / std::sqrt(var + epsilon));
        for (int64_t i = 0; i < n; ++i)
          want[row * n + i] =
              (sums[row * n + i] - mean) * invs.back() * (scale ? g[i] : 1.0) + (scale ? b[i] : 0.0);
      }
      for_each_isa([&](const KernelTables& k) {
        std::vector<float> sum(x.size()), mean(rows), inv(rows);
        LayerNormParams p{x.data(),
                          residual ? r.data() : nullptr,
                          residual ? rb.data() : nullptr,
                          scale ? g.data() : nullptr,
                          scale ? b.data() : nullptr,
                          nullptr,
                          extra ? sum.data() : nullptr,
                          extra ? mean.data() : nullptr,
                          extra ? inv.data() : nullptr,
                          rows,
                          n,
                          epsilon,
                          rms};
        CAPTURE(n);
        CAPTURE(mode);
        const auto y = run(p, x.size(), rows, k.norm->layer_norm);
        // A mean of 10 beside a deviation of 0.6 costs its ratio, and 1/sqrt(epsilon) where the variance is
        // 0.
        const double bound = (n == 1 ? 4000 : offset ? 60 : 10) * kUlp;
        CHECK(worst(y, want, 1.0) <= bound);
        if (extra) {
          CHECK(worst(sum, sums, 1.0) <= 2 * kUlp);
          CHECK(worst(mean, means, 1.0) <= 4 * kUlp);
          CHECK(worst(inv, invs) <= (n == 1 ? 1e-4 : 1e-5));
        }
        auto z = x;  // in place
        p.x = p.y = z.data();
        k.norm->layer_norm(p, 0, rows);
        CHECK(same_bits(y, z));
      });
    }
}

TEST_CASE("group and instance norm: NCHW and NHWC") {
  const int64_t cases[][4] = {{1, 4, 9, 2},     {2, 6, 35, 3},   {2, 6, 35, 6}, {1, 70, 50, 70},
                              {3, 130, 8, 130}, {1, 40, 300, 1}, {2, 36, 7, 2}, {1, 3, 20000, 3},
                              {1, 4, 0, 2},     {0, 4, 3, 4}};
  for (const auto& c : cases)
    for (bool scaled : {false, true}) {
      Rng rng(31);
      const int64_t n = c[0], ch = c[1], hw = c[2], groups = c[3], per = ch / groups;
      const auto x = rng.floats(n * ch * hw, -1, 3), g = rng.floats(ch), b = rng.floats(ch);
      std::vector<float> nhwc(x.size());
      std::vector<double> want(x.size()), want_nhwc(x.size());
      for (int64_t i = 0; i < n; ++i)
        for (int64_t gr = 0; gr < groups; ++gr) {
          const int64_t from = (i * ch + gr * per) * hw, count = per * hw;
          double mean = 0, var = 0;
          for (int64_t j = 0; j < count; ++j) mean += x[from + j] / static_cast<double>(count);
          for (int64_t j = 0; j < count; ++j)
            var += std::pow(x[from + j] - mean, 2) / static_cast<double>(count);
          for (int64_t j = 0; j < count; ++j) {
            const int64_t cc = gr * per + j / hw;
            want[from + j] =
                (x[from + j] - mean) / std::sqrt(var + 1e-3f) * (scaled ? g[cc] : 1) + (scaled ? b[cc] : 0);
          }
        }
      for (int64_t i = 0; i < n; ++i)
        for (int64_t cc = 0; cc < ch; ++cc)
          for (int64_t j = 0; j < hw; ++j) {
            nhwc[(i * hw + j) * ch + cc] = x[(i * ch + cc) * hw + j];
            want_nhwc[(i * hw + j) * ch + cc] = want[(i * ch + cc) * hw + j];
          }
      for_each_isa([&](const KernelTables& k) {
        GroupNormParams p{
            x.data(), nullptr, scaled ? g.data() : nullptr, scaled ? b.data() : nullptr, n, ch, hw,
            groups,   1e-3f};
        CHECK(worst(run(p, x.size(), group_norm_units(p, false), k.norm->group_norm_nchw), want, 1.0) <=
              12 * kUlp);
        p.x = nhwc.data();
        CHECK(worst(run(p, x.size(), group_norm_units(p, true), k.norm->group_norm_nhwc), want_nhwc, 1.0) <=
              12 * kUlp);
      });
    }
}

TEST_CASE("channel affine: NCHW and NHWC") {
  Rng rng(37);
  for (int64_t ch : {1, 5, 37})
    for (int64_t hw : {1, 20, 33}) {
      const auto x = rng.floats(2 * ch * hw), s = rng.floats(ch), t = rng.floats(ch);
      std::vector<double> planar, packed;
      for (int64_t i = 0; i < 2 * ch * hw; ++i) {
        planar.push_back(static_cast<double>(x[i]) * s[i / hw % ch] + t[i / hw % ch]);
        packed.push_back(static_cast<double>(x[i]) * s[i % ch] + t[i % ch]);
      }
      for_each_isa([&](const KernelTables& k) {
        const ChannelAffineParams p{x.data(), nullptr, s.data(), t.data(), 2, ch, hw};
        CHECK(worst(run(p, x.size(), 2 * ch, k.norm->affine_nchw), planar, 1.0) <= kUlp);
        CHECK(worst(run(p, x.size(), 2 * hw, k.norm->affine_nhwc), packed, 1.0) <= kUlp);
      });
    }
}

TEST_CASE("LRN: NCHW and NHWC, odd and even windows, common and other exponents") {
  for (int64_t ch : {1, 3, 17, 64, 2100})
    for (int64_t size : {1, 2, 5, 6, 40})
      for (float beta : {0.75f, 0.5f, 1.0f, 0.6f}) {
        Rng rng(41);
        const int64_t n = 2, hw = 35;
        const float alpha = 0.3f, bias = 1.5f;
        const auto x = rng.floats(n * ch * hw, -3, 3);
        std::vector<float> nhwc(x.size());
        std::vector<double> want(x.size()), want_nhwc(x.size());
        for (int64_t i = 0; i < n; ++i)
          for (int64_t c = 0; c < ch; ++c)
            for (int64_t j = 0; j < hw; ++j) {
              double s = 0;
              for (int64_t q = std::max<int64_t>(0, c - (size - 1) / 2); q <= std::min(ch - 1, c + size / 2);
                   ++q)
                s += std::pow(static_cast<double>(x[(i * ch + q) * hw + j]), 2);
              const size_t planar = static_cast<size_t>((i * ch + c) * hw + j),
                           packed = static_cast<size_t>((i * hw + j) * ch + c);
              want[planar] = want_nhwc[packed] =
                  x[planar] / std::pow(bias + alpha / static_cast<double>(size) * s, beta);
              nhwc[packed] = x[planar];
            }
        for_each_isa([&](const KernelTables& k) {
          LrnParams p{x.data(), nullptr, n, ch, hw, size, alpha, beta, bias};
          CHECK(worst(run(p, x.size(), n * hw, k.norm->lrn_nchw), want) <= 6 * kUlp);
          p.x = nhwc.data();
          CHECK(worst(run(p, x.size(), n * hw, k.norm->lrn_nhwc), want_nhwc) <= 6 * kUlp);
        });
      }
}

TEST_CASE("lp normalization: p 1 and 2, a zero row stays zero") {
  for (const Shape& s : kShapes)
    for (int lp : {1, 2}) {
      Rng rng(43);
      auto x = rng.floats(s.outer * s.axis * s.inner);
      for (int64_t r = 0; r < s.axis && s.outer > 0; ++r) x[at(s, 0, r)] = 0;
      std::vector<double> want(x.size());
      for (int64_t i = 0; i < s.outer * s.inner; ++i) {
        double sum = 0;
        for (int64_t r = 0; r < s.axis; ++r)
          sum += std::pow(std::abs(static_cast<double>(x[at(s, i, r)])), lp);
        if (lp == 2) sum = std::sqrt(sum);
        for (int64_t r = 0; r < s.axis; ++r) want[at(s, i, r)] = sum == 0 ? 0 : x[at(s, i, r)] / sum;
      }
      for_each_isa([&](const KernelTables& k) {
        const LpNormParams p{x.data(), nullptr, s.outer, s.axis, s.inner, lp};
        CHECK(worst(run(p, x.size(), s.outer * s.inner, k.norm->lp_norm), want) <= 20 * kUlp);
      });
    }
}
