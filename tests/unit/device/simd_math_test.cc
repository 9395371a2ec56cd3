// The vector functions of simd_math.h, compiled here for the test program's own baseline instruction set. The
// polynomials are the same on every set; the kernel tests run the others.
#define SKIFF_ISA simd_math_test
#include "device/cpu/kernels/simd_math.h"

#include <doctest/doctest.h>

#include <cmath>
#include <limits>

namespace simd = skiff::cpu::simd_math_test;
using simd::splat;
using simd::vf;

namespace {

double ulps(double want, float got) {
  const float w = std::fmax(std::fabs(static_cast<float>(want)), std::numeric_limits<float>::min());
  int e = 0;
  std::frexp(w, &e);
  return std::fabs(want - got) / std::ldexp(1.0, e - 24);
}

template <class F, class G>
double worst(F f, G g, float lo, float hi) {
  double m = 0;
  for (int i = 0; i <= 200000; i++) {
    const float x = lo + (hi - lo) * static_cast<float>(i) / 200000.0f;
    m = std::fmax(m, ulps(g(static_cast<double>(x)), f(splat(x))[1]));
  }
  return m;
}

float at(vf (*f)(vf), float x) { return f(splat(x))[0]; }
vf exp_v(vf x) { return simd::exp(x); }
vf log_v(vf x) { return simd::log(x); }
vf tanh_v(vf x) { return simd::tanh(x); }
vf sigmoid_v(vf x) { return simd::sigmoid(x); }
vf erf_v(vf x) { return simd::erf(x); }

}  // namespace

TEST_CASE("vector functions stay within their stated errors") {
  CHECK(worst(
            exp_v, [](double x) { return std::exp(x); }, -87.0f, 88.5f) <= 1.5);
  CHECK(worst(
            log_v, [](double x) { return std::log(x); }, 1e-30f, 10.0f) <= 2.0);
  CHECK(worst(
            log_v, [](double x) { return std::log(x); }, 0.5f, 2.0f) <= 2.0);
  CHECK(worst(
            tanh_v, [](double x) { return std::tanh(x); }, -12.0f, 12.0f) <= 3.0);
  CHECK(worst(
            tanh_v, [](double x) { return std::tanh(x); }, -1e-3f, 1e-3f) <= 3.0);
  CHECK(worst(
            sigmoid_v, [](double x) { return 1 / (1 + std::exp(-x)); }, -86.0f, 40.0f) <= 3.0);
  CHECK(worst(
            erf_v, [](double x) { return std::erf(x); }, -5.0f, 5.0f) <= 2.5);
}

TEST_CASE("vector functions at the edges") {
  const float inf = std::numeric_limits<float>::infinity(), nan = std::numeric_limits<float>::quiet_NaN();
  CHECK(at(exp_v, inf) == inf);
  CHECK(at(exp_v, -inf) == 0.0f);
  CHECK(at(exp_v, 0.0f) == 1.0f);
  CHECK(at(exp_v, -100.0f) == doctest::Approx(std::exp(-100.0)).epsilon(0.03));  // a denormal
  CHECK(at(log_v, 0.0f) == -inf);
  CHECK(at(log_v, inf) == inf);
  CHECK(std::isnan(at(log_v, -1.0f)));
  CHECK(at(log_v, 1e-40f) == doctest::Approx(std::log(static_cast<double>(1e-40f))));
  CHECK(at(tanh_v, inf) == 1.0f);
  CHECK(at(tanh_v, -inf) == -1.0f);
  CHECK(at(sigmoid_v, -inf) == 0.0f);
  CHECK(at(erf_v, inf) == 1.0f);
  vf (*const all[])(vf) = {exp_v, log_v, tanh_v, sigmoid_v, erf_v};
  for (auto f : all) CHECK(std::isnan(at(f, nan)));
}
