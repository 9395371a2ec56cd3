#include "device/cpu/kernels/pool/pool.h"

#include <algorithm>

#include "unit/device/kernel_test.h"

using namespace skiff::cpu;

namespace {

// NCHW, by the definition in ONNX MaxPool and AveragePool.
std::vector<double> reference(const PoolParams& p, const std::vector<float>& x, bool max) {
  std::vector<double> y;
  for (int64_t plane = 0; plane < p.n * p.c; ++plane)
    for (int64_t oh = 0; oh < p.oh; ++oh)
      for (int64_t ow = 0; ow < p.ow; ++ow) {
        double s = max ? -kInf : 0, count = 0;
        for (int64_t i = 0; i < p.kh; ++i)
          for (int64_t j = 0; j < p.kw; ++j) {
            const int64_t r = oh * p.stride_h - p.pad_top + i * p.dilation_h;
            const int64_t c = ow * p.stride_w - p.pad_left + j * p.dilation_w;
            if (r >= 0 && r < p.h && c >= 0 && c < p.w) {
              const double v = x[static_cast<size_t>((plane * p.h + r) * p.w + c)];
              s = !max ? s + v : std::isnan(s) || std::isnan(v) ? kNan : std::max(s, v);
              ++count;
            } else if (p.count_include_pad && r < p.h + p.pad_bottom && c < p.w + p.pad_right) {
              ++count;
            }
          }
        y.push_back(max ? s : s / count);
      }
  return y;
}

}  // namespace

TEST_CASE("pooling: max and average, NHWC and NCHW, pads, strides, dilations, ceil mode, any split") {
  Rng rng(53);
  int tried = 0;
  for (int round = 0; tried < 150; ++round) {
    PoolParams p{};
    p.n = 1 + rng.below(2);
    p.c = round % 3 == 0 ? 1 + rng.below(130) : 1 + rng.below(20);
    p.h = 1 + rng.below(12), p.w = 1 + rng.below(40);
    p.kh = 1 + rng.below(4), p.kw = 1 + rng.below(4);
    p.stride_h = 1 + rng.below(3), p.stride_w = 1 + rng.below(3);
    p.dilation_h = 1 + rng.below(2), p.dilation_w = 1 + rng.below(2);
    p.pad_top = rng.below(p.kh), p.pad_bottom = rng.below(p.kh);
    p.pad_left = rng.below(p.kw), p.pad_right = rng.below(p.kw);
    p.count_include_pad = rng.below(2);
    const bool ceil = rng.below(2);
    const auto out = [&](int64_t size, int64_t k, int64_t s, int64_t d, int64_t pb, int64_t pe) {
      const int64_t room = size + pb + pe - (k - 1) * d - 1;
      if (room < 0) return int64_t{0};
      int64_t o = (room + (ceil ? s - 1 : 0)) / s + 1;
      if (ceil && (o - 1) * s >= size + pb) --o;
      return o;
    };
    p.oh = out(p.h, p.kh, p.stride_h, p.dilation_h, p.pad_top, p.pad_bottom);
    p.ow = out(p.w, p.kw, p.stride_w, p.dilation_w, p.pad_left, p.pad_right);
    if (p.oh <= 0 || p.ow <= 0) continue;
    ++tried;
    auto x = rng.floats(p.n * p.c * p.h * p.w);
    if (round % 4 == 0) x[x.size() / 2] = kNan;
    for (bool max : {true, false}) {
      const auto want = reference(p, x, max);
      for_each_isa([&](const KernelTables& k) {
        std::vector<float> y(want.size(), 88), z(want.size(), 88);
        std::vector<uint8_t> scratch(pool_nchw_scratch_bytes(p));
        PoolParams q = p;
        q.x = x.data();
        q.y = y.data();
        const auto nchw = max ? k.pool->max_nchw : k.pool->average_nchw;
        in_pieces(p.n * p.c, 3, [&](int64_t b, int64_t e) { nchw(q, scratch.data(), b, e); });
        CHECK(worst(y, want, 1.0) <= (max ? 0 : 4e-7));
        // NHWC, read from and written into the middle of wider pixels.
        const int64_t xp = p.c + rng.below(3), yp = p.c + rng.below(3);
        std::vector<float> xs(static_cast<size_t>(p.n * p.h * p.w * xp), kNan);
        for (int64_t i = 0; i < p.n * p.c * p.h * p.w; ++i) {
          const int64_t hw = p.h * p.w;
          xs[static_cast<size_t>((i / hw / p.c * hw + i % hw) * xp + i / hw % p.c)] = x[i];
        }
        std::vector<float> ys(static_cast<size_t>(p.n * p.oh * p.ow * yp), 88);
        q.x = xs.data(), q.y = ys.data(), q.x_pixel = xp, q.y_pixel = yp;
        const auto nhwc = max ? k.pool->max_nhwc : k.pool->average_nhwc;
        in_pieces(p.n * p.oh, 2, [&](int64_t b, int64_t e) { nhwc(q, b, e); });
        const int64_t ohw = p.oh * p.ow;
        for (int64_t i = 0; i < static_cast<int64_t>(z.size()); ++i)
          z[i] = ys[static_cast<size_t>((i / ohw / p.c * ohw + i % ohw) * yp + i / ohw % p.c)];
        CHECK(worst(z, want, 1.0) <= (max ? 0 : 4e-7));
        if (yp > p.c) CHECK(ys[static_cast<size_t>(p.c)] == 88);
      });
    }
  }
}
