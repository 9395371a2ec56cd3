#include "device/cpu/kernels/conv/conv.h"

#include <doctest/doctest.h>

#include <limits>
#include <string>

#include "device/cpu/isa.h"
#include "unit/device/kernel_test_util.h"

using namespace skiff::cpu;

namespace {

size_t at(int64_t i) { return static_cast<size_t>(i); }

// A 2-D shape with output sizes as ONNX computes them from symmetric padding.
ConvShape shape2d(int64_t batch, int64_t ic, int64_t h, int64_t w, int64_t oc, int64_t kh, int64_t kw,
                  int64_t stride, int64_t pad, int64_t dilation = 1, int64_t groups = 1) {
  ConvShape s;
  s.batch = batch, s.in_channels = ic, s.out_channels = oc, s.groups = groups;
  const int64_t in[3] = {1, h, w}, kernel[3] = {1, kh, kw};
  for (int a = 0; a < 3; a++) {
    s.in[a] = in[a], s.kernel[a] = kernel[a];
    s.stride[a] = a ? stride : 1, s.dilation[a] = a ? dilation : 1;
    s.pad_begin[a] = a ? std::min(pad, kernel[a] - 1) : 0;
    s.out[a] = (in[a] + 2 * s.pad_begin[a] - ((kernel[a] - 1) * s.dilation[a] + 1)) / s.stride[a] + 1;
  }
  return s;
}

int64_t pixels(const int64_t (&size)[3]) { return size[0] * size[1] * size[2]; }
int64_t weight_count(const ConvShape& s, bool transpose) {
  return (transpose ? s.in_channels * s.out_channels : s.out_channels * s.in_channels) / s.groups *
         pixels(s.kernel);
}

struct Options {
  bool planar = false, transpose = false, bias = true, residual = false;
  int64_t in_gap = 0, out_gap = 0;  // floats between pixels
  Act act = Act::kNone;
  float p0 = 0, p1 = 0;
  double inexact = 1;  // times the bound of a direct sum
};

struct Problem {
  Problem(const ConvShape& s_, const Options& o_)
      : s(s_),
        o(o_),
        in_pixel(s.in_channels + o.in_gap),
        out_pixel(s.out_channels + o.out_gap),
        in(test_values(s.batch * pixels(s.in) * in_pixel - o.in_gap, 1)),
        weights(test_values(weight_count(s, o.transpose), 2)),
        bias(test_values(s.out_channels, 3)),
        residual(test_values(s.batch * pixels(s.out) * out_pixel, 4)),
        out(at(std::max<int64_t>(0, s.batch * pixels(s.out) * out_pixel - o.out_gap)), 77.0f) {
    sum();
  }

  double input(int64_t n, int64_t pixel, int64_t c) const {
    const int64_t p = pixels(s.in);
    return static_cast<double>(o.planar ? in[at((n * s.in_channels + c) * p + pixel)]
                                        : in[at((n * p + pixel) * in_pixel + c)]);
  }

  // want is what `out` shall be, with the gaps between pixels as they were.
  void sum() {
    std::vector<double> acc(at(s.batch * pixels(s.out) * s.out_channels));
    const int64_t icg = s.in_channels / s.groups, ocg = s.out_channels / s.groups, taps = pixels(s.kernel);
    // `big` is the side the kernel slides over with stride; for a transpose that is the output.
    const int64_t(&small)[3] = o.transpose ? s.in : s.out;
    const int64_t(&big)[3] = o.transpose ? s.out : s.in;
    for (int64_t n = 0; n < s.batch; n++)
      for (int64_t q = 0; q < pixels(small); q++)
        for (int64_t t = 0; t < taps; t++) {
          int64_t big_at[3], qq = q, tt = t;
          bool inside = true;
          for (int a = 2; a >= 0; a--) {
            big_at[a] = qq % small[a] * s.stride[a] - s.pad_begin[a] + tt % s.kernel[a] * s.dilation[a];
            inside = inside && big_at[a] >= 0 && big_at[a] < big[a];
            qq /= small[a], tt /= s.kernel[a];
          }
          if (!inside) continue;
          const int64_t b = (big_at[0] * big[1] + big_at[1]) * big[2] + big_at[2];
          const int64_t in_at = o.transpose ? q : b, out_at = o.transpose ? b : q;
          for (int64_t oc = 0; oc < s.out_channels; oc++)
            for (int64_t i = 0; i < icg; i++) {
              const int64_t ic = oc / ocg * icg + i;
              const int64_t w = o.transpose ? (ic * ocg + oc % ocg) * taps + t : (oc * icg + i) * taps + t;
              acc[at((n * pixels(s.out) + out_at) * s.out_channels + oc)] +=
                  input(n, in_at, ic) * static_cast<double>(weights[at(w)]);
            }
        }
    want.assign(out.size(), 77.0);
    for (int64_t p = 0; p < s.batch * pixels(s.out); p++)
      for (int64_t oc = 0; oc < s.out_channels; oc++) {
        double v = acc[at(p * s.out_channels + oc)];
        if (o.bias) v += static_cast<double>(bias[at(oc)]);
        if (o.residual) v += static_cast<double>(residual[at(p * out_pixel + oc)]);
        want[at(p * out_pixel + oc)] =
            reference_act(o.act, static_cast<double>(o.p0), static_cast<double>(o.p1), v);
      }
  }

  void check(const ConvMethod* ConvKernels::*method) {
    for (Isa isa : available_isas()) {
      const ConvMethod& m = *(kernels(isa).conv->*method);
      REQUIRE(m.accepts(s));
      std::vector<float> scratch(m.scratch_bytes ? m.scratch_bytes(s) / sizeof(float) : 0,
                                 std::numeric_limits<float>::quiet_NaN());
      std::vector<float> packed(m.packed_bytes(s) / sizeof(float), std::numeric_limits<float>::quiet_NaN());
      m.pack(s, weights.data(), packed.data());
      ConvArgs a;
      a.shape = s;
      a.in = in.data(), a.in_pixel = in_pixel, a.weights = packed.data(), a.scratch = scratch.data();
      a.out_pixel = out_pixel;
      if (o.bias) a.epilogue.bias = bias.data();
      if (o.residual) a.epilogue.residual = residual.data(), a.epilogue.ld_residual = out_pixel;
      a.epilogue.act = o.act, a.epilogue.p0 = o.p0, a.epilogue.p1 = o.p1;
      std::vector<float> first;
      for (int threads : {1, 3, 8}) {
        std::vector<float> result = out;
        a.out = result.data();
        const TaskGrid grid = m.plan(s, threads);
        for (int64_t t = grid.tasks() - 1; t >= 0; t--) m.run(a, grid, t);
        if (threads == 1) first = result;
        INFO(std::string(isa_name(isa)), " ", m.name, " n", s.batch, " ic", s.in_channels, " oc",
             s.out_channels, " g", s.groups, " in ", s.in[0], "x", s.in[1], "x", s.in[2], " k ", s.kernel[1],
             "x", s.kernel[2], " s", s.stride[2], " p", s.pad_begin[1], " d", s.dilation[2], " threads ",
             threads);
        // Sums of k products of values below 1: the rounding error grows at most like k.
        const double k = static_cast<double>(pixels(s.kernel) * s.in_channels / s.groups);
        CHECK(largest_difference(result, want) <= o.inexact * 1e-6 * (0.2 * k + 4));
        CHECK(result == first);
      }
    }
  }

  ConvShape s;
  Options o;
  int64_t in_pixel, out_pixel;
  std::vector<float> in, weights, bias, residual, out;
  std::vector<double> want;
};

void check(const ConvMethod* ConvKernels::*method, const ConvShape& s, const Options& o = {}) {
  Problem(s, o).check(method);
}

constexpr auto kIgemm = &ConvKernels::igemm;
constexpr auto kDepthwise = &ConvKernels::depthwise;
constexpr auto kFew = &ConvKernels::few_channels;
constexpr auto kPlanar = &ConvKernels::planar;
constexpr auto kTranspose = &ConvKernels::transpose;
constexpr auto kWinograd4 = &ConvKernels::winograd4;
constexpr auto kWinograd6 = &ConvKernels::winograd6;

Options transpose_options() {
  Options o;
  o.transpose = true;
  return o;
}

}  // namespace

TEST_CASE("conv igemm: kernels, strides, padding, dilation") {
  for (int64_t k : {1, 2, 3, 5})
    for (int64_t stride : {1, 2, 3})
      for (int64_t pad : {0, 1, 2}) check(kIgemm, shape2d(1, 5, 9, 11, 7, k, k, stride, pad));
  check(kIgemm, shape2d(2, 20, 12, 9, 70, 3, 3, 1, 2, 2));
  check(kIgemm, shape2d(1, 3, 9, 9, 4, 1, 5, 1, 2));
  check(kIgemm, shape2d(1, 3, 14, 6, 33, 7, 1, 2, 3, 2));
  check(kIgemm, shape2d(3, 16, 7, 7, 24, 1, 1, 1, 0));
  check(kIgemm, shape2d(1, 16, 7, 7, 24, 1, 1, 2, 0));
}

TEST_CASE("conv igemm: sums in several chunks, of taps and of channels; more rows than a block") {
  check(kIgemm, shape2d(1, 64, 6, 6, 65, 3, 3, 1, 1));
  check(kIgemm, shape2d(1, 200, 4, 4, 33, 3, 3, 1, 1));
  check(kIgemm, shape2d(1, 2, 15, 15, 5, 11, 11, 1, 5));
  check(kIgemm, shape2d(1, 4, 23, 31, 20, 3, 3, 1, 1));
}

TEST_CASE("conv igemm: groups") {
  check(kIgemm, shape2d(1, 12, 6, 5, 8, 3, 3, 1, 1, 1, 4));
  check(kIgemm, shape2d(2, 40, 5, 5, 80, 1, 1, 1, 0, 1, 2));
  check(kIgemm, shape2d(1, 6, 8, 8, 12, 3, 3, 2, 1, 1, 6));
}

TEST_CASE("conv igemm: one and three dimensions") {
  ConvShape line = shape2d(2, 6, 1, 30, 9, 1, 5, 2, 2);
  check(kIgemm, line);
  ConvShape s = shape2d(1, 4, 6, 5, 10, 3, 2, 1, 1);
  s.in[0] = 5, s.kernel[0] = 3, s.stride[0] = 2, s.pad_begin[0] = 1, s.out[0] = 3;
  check(kIgemm, s);
}

TEST_CASE("conv: epilogues, and pixels that are part of a wider image") {
  const float inf = std::numeric_limits<float>::infinity();
  for (Act act : {Act::kNone, Act::kClip, Act::kSilu, Act::kHardSwish, Act::kLeakyRelu})
    for (bool residual : {false, true}) {
      Options o;
      o.act = act, o.residual = residual, o.bias = !residual;
      o.p0 = act == Act::kLeakyRelu ? 0.1f : 0.0f, o.p1 = inf;
      o.in_gap = 3, o.out_gap = 5;
      check(kIgemm, shape2d(1, 150, 5, 6, 21, 3, 3, 1, 1), o);
      check(kIgemm, shape2d(1, 12, 5, 6, 8, 3, 3, 1, 1, 1, 4), o);
      check(kDepthwise, shape2d(1, 21, 9, 17, 21, 3, 3, 1, 1, 1, 21), o);
      check(kDepthwise, shape2d(1, 21, 9, 8, 21, 4, 4, 1, 1, 1, 21), o);
      o.inexact = 4;
      check(kWinograd4, shape2d(1, 12, 5, 6, 21, 3, 3, 1, 1), o);
      check(kWinograd6, shape2d(1, 12, 9, 6, 21, 3, 3, 1, 1), o);
      o.inexact = 1;
      o.in_gap = 0;
      check(kFew, shape2d(1, 3, 9, 17, 21, 3, 3, 2, 1), o);
      o.planar = true;
      check(kPlanar, shape2d(2, 3, 9, 17, 21, 3, 3, 2, 1), o);
      o.planar = false, o.transpose = true, o.in_gap = 3;
      ConvShape s = shape2d(1, 21, 9, 9, 13, 3, 3, 2, 1);
      std::swap(s.in, s.out);
      check(kTranspose, s, o);
    }
}

TEST_CASE("conv depthwise") {
  for (int64_t channels : {1, 4, 7, 8, 16, 24, 35})
    for (int64_t stride : {1, 2})
      for (int64_t k : {3, 5})
        for (int64_t pad : {0, 1, 2})
          check(kDepthwise, shape2d(1, channels, 10, 19, channels, k, k, stride, pad, 1, channels));
  for (int64_t size : {3, 4, 7, 8, 9, 14, 15, 22})
    for (int64_t stride : {1, 2}) check(kDepthwise, shape2d(2, 16, size, size, 16, 3, 3, stride, 1, 1, 16));
  check(kDepthwise, shape2d(1, 20, 12, 12, 20, 3, 3, 1, 2, 2, 20));
  check(kDepthwise, shape2d(1, 20, 9, 12, 20, 1, 7, 1, 3, 1, 20));
  check(kDepthwise, shape2d(1, 9, 9, 12, 9, 2, 2, 3, 0, 1, 9));
  check(kDepthwise, shape2d(1, 5, 1, 1, 5, 3, 3, 1, 1, 1, 5));
}

TEST_CASE("conv of few channels, channels-last and planar") {
  Options planar;
  planar.planar = true;
  for (int64_t ic : {1, 2, 3, 4})
    for (int64_t k : {1, 3, 5, 7})
      for (int64_t stride : {1, 2}) {
        const ConvShape s = shape2d(1, ic, 13, 21, 20, k, k, stride, k / 2);
        check(kFew, s);
        check(kPlanar, s, planar);
      }
  check(kPlanar, shape2d(2, 3, 10, 30, 100, 3, 3, 2, 1), planar);
  check(kPlanar, shape2d(1, 3, 5, 2, 8, 3, 5, 1, 2), planar);
  check(kFew, shape2d(1, 3, 5, 2, 8, 3, 5, 1, 2));
  CHECK(!kernels(Isa::kGeneric).conv->planar->accepts(shape2d(1, 64, 9, 9, 8, 3, 3, 1, 1)));
}

TEST_CASE("conv transpose") {
  for (int64_t k : {1, 2, 3, 4})
    for (int64_t stride : {1, 2, 3})
      for (int64_t pad : {0, 1}) {
        ConvShape s = shape2d(1, 7, 12, 13, 5, k, k, stride, pad);
        std::swap(s.in, s.out);
        check(kTranspose, s, transpose_options());
      }
  for (int64_t stride : {1, 2, 4})  // kernels as wide as the stride: whole, cut off, and padded rows
    for (int64_t out_w : {8, 11, 12, 13, 14})
      for (int64_t oc : {1, 3, 20})
        for (bool residual : {false, true}) {
          ConvShape s = shape2d(2, 9, 12, 12, oc, 3, stride, stride, 0);
          std::swap(s.in, s.out);
          s.in[2] = 12 / stride, s.out[2] = out_w, s.pad_begin[1] = 1;
          Options o = transpose_options();
          o.act = Act::kSilu, o.residual = residual;
          check(kTranspose, s, o);
        }
  ConvShape s = shape2d(2, 9, 11, 11, 40, 3, 3, 2, 1, 2);
  std::swap(s.in, s.out);
  check(kTranspose, s, transpose_options());
  s = shape2d(1, 8, 7, 9, 12, 3, 3, 2, 1, 1, 4);
  std::swap(s.in, s.out);
  check(kTranspose, s, transpose_options());
}

TEST_CASE("conv winograd: channels, image sizes, padding, batches") {
  for (const auto method : {kWinograd4, kWinograd6}) {
    Options o;
    o.inexact = method == kWinograd4 ? 2 : 4;
    for (int64_t size : {3, 4, 5, 6, 7, 8, 11, 13})
      for (int64_t pad : {0, 1, 2}) check(method, shape2d(1, 9, size, size + 2, 21, 3, 3, 1, pad), o);
    for (int64_t channels : {8, 16, 24, 40, 65})
      check(method, shape2d(2, channels, 9, 14, channels + 3, 3, 3, 1, 1), o);
    check(method, shape2d(1, 40, 40, 50, 16, 3, 3, 1, 1), o);  // several blocks of tiles
    check(method, shape2d(1, 160, 6, 6, 300, 3, 3, 1, 1), o);  // channels divided
    const ConvMethod& m = *(kernels(Isa::kGeneric).conv->*method);
    CHECK(!m.accepts(shape2d(1, 16, 9, 9, 16, 3, 3, 2, 1)));
    CHECK(!m.accepts(shape2d(1, 16, 9, 9, 16, 3, 3, 1, 1, 2)));
    CHECK(!m.accepts(shape2d(1, 16, 9, 9, 16, 3, 3, 1, 1, 1, 2)));
    CHECK(!m.accepts(shape2d(1, 16, 9, 9, 16, 5, 5, 1, 1)));
  }
}

TEST_CASE("conv: a NaN in the input reaches exactly the outputs whose window holds it") {
  const ConvShape s = shape2d(1, 16, 8, 8, 16, 3, 3, 1, 1, 1, 16);
  for (Isa isa : available_isas()) {
    const ConvMethod& m = *kernels(isa).conv->depthwise;
    std::vector<float> in = test_values(8 * 8 * 16, 1), w = test_values(16 * 9, 2), out(8 * 8 * 16);
    in[0] = std::numeric_limits<float>::quiet_NaN();  // pixel (0, 0), channel 0
    std::vector<float> packed(m.packed_bytes(s) / sizeof(float));
    m.pack(s, w.data(), packed.data());
    ConvArgs a;
    a.shape = s, a.in = in.data(), a.in_pixel = 16, a.weights = packed.data(), a.out = out.data(),
    a.out_pixel = 16;
    const TaskGrid grid = m.plan(s, 1);
    for (int64_t t = 0; t < grid.tasks(); t++) m.run(a, grid, t);
    for (int64_t y = 0; y < 8; y++)
      for (int64_t x = 0; x < 8; x++)
        for (int64_t c = 0; c < 16; c++)
          CHECK(std::isnan(out[at((y * 8 + x) * 16 + c)]) == (y < 2 && x < 2 && c == 0));
  }
}

TEST_CASE("conv: an empty batch does nothing") {
  ConvShape s = shape2d(1, 8, 5, 5, 8, 3, 3, 1, 1);
  s.batch = 0;
  check(kIgemm, s);
  s.groups = 8;
  check(kDepthwise, s);
  s.groups = 1;
  check(kFew, s);
  check(kTranspose, s, transpose_options());
}
