#include "device/cpu/kernels/resize/resize.h"

#include <algorithm>

#include "unit/device/kernel_test.h"

using namespace skiff::cpu;

TEST_CASE("resize: nearest, two, four and more taps, NHWC and NCHW, any split") {
  Rng rng(59);
  for (int round = 0; round < 60; ++round) {
    const int64_t n = 1 + rng.below(2), c = 1 + rng.below(round % 2 ? 6 : 70), h = 1 + rng.below(9),
                  w = 1 + rng.below(33);
    const int64_t oh = 1 + rng.below(13), ow = 1 + rng.below(40);
    const int64_t taps_h = std::vector<int64_t>{1, 2, 4, 3, 7}[round % 5],
                  taps_w = std::vector<int64_t>{1, 2, 4, 3, 7}[round / 5 % 5];
    const auto table = [&](int64_t size, int64_t count) {
      std::vector<int32_t> v(static_cast<size_t>(count));
      for (auto& i : v) i = static_cast<int32_t>(rng.below(size));
      return v;
    };
    const auto ih = table(h, oh * taps_h), iw = table(w, ow * taps_w);
    const auto wh = rng.floats(oh * taps_h), ww = rng.floats(ow * taps_w);
    const bool plain_h = taps_h == 1 && rng.below(2), plain_w = taps_w == 1 && rng.below(2);
    const auto x = rng.floats(n * c * h * w);
    std::vector<float> packed(x.size());
    for (int64_t i = 0; i < n * c * h * w; ++i)
      packed[(i / (c * h * w) * h * w + i % (h * w)) * c + i / (h * w) % c] = x[i];
    std::vector<double> want, want_packed(static_cast<size_t>(n * c * oh * ow));
    for (int64_t i = 0; i < n * c * oh * ow; ++i) {
      const int64_t col = i % ow, row = i / ow % oh, plane = i / (oh * ow);
      double s = 0;
      for (int64_t a = 0; a < taps_h; ++a)
        for (int64_t b = 0; b < taps_w; ++b)
          s += (plain_h ? 1.0 : static_cast<double>(wh[row * taps_h + a])) *
               (plain_w ? 1.0 : static_cast<double>(ww[col * taps_w + b])) *
               x[(plane * h + ih[row * taps_h + a]) * w + iw[col * taps_w + b]];
      want.push_back(s);
      want_packed[((plane / c * oh + row) * ow + col) * c + plane % c] = s;
    }
    for_each_isa([&](const KernelTables& k) {
      std::vector<float> y(want.size()), z(want.size());
      ResizeParams p{x.data(),
                     y.data(),
                     n,
                     c,
                     h,
                     w,
                     oh,
                     ow,
                     {taps_h, ih.data(), plain_h ? nullptr : wh.data()},
                     {taps_w, iw.data(), plain_w ? nullptr : ww.data()}};
      std::vector<uint8_t> scratch(resize_scratch_bytes(p, true));
      in_pieces(n * c * oh, 5, [&](int64_t b, int64_t e) { k.resize->nchw(p, scratch.data(), b, e); });
      CHECK(worst(y, want, 1.0) <= 2e-6);
      p.x = packed.data();
      p.y = z.data();
      in_pieces(n * oh, 3, [&](int64_t b, int64_t e) { k.resize->nhwc(p, scratch.data(), b, e); });
      CHECK(worst(z, want_packed, 1.0) <= 2e-6);
    });
  }
}
