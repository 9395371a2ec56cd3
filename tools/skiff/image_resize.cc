// Separable resampling with the triangle filter, in the fixed point that Pillow uses.
#include <algorithm>
#include <cmath>
#include <vector>

#include "fail.h"
#include "image.h"

namespace skiff::tool {

namespace {

// Weights carry 22 fractional bits: 8 bits of pixel, 2 of head room, in 32.
constexpr int kBits = 32 - 8 - 2;

struct Taps {
  std::vector<int> first, count;  // source pixels of every target pixel
  std::vector<int> weight;        // `stride` weights a target pixel
  size_t stride = 0;
};

Taps make_taps(int in, int out) {
  double scale = static_cast<double>(in) / out, widen = std::max(scale, 1.0), support = widen;
  Taps t;
  t.stride = static_cast<size_t>(std::ceil(support)) * 2 + 1;
  t.weight.assign(t.stride * static_cast<size_t>(out), 0);
  std::vector<double> w(t.stride);
  for (int i = 0; i < out; ++i) {
    double centre = (i + 0.5) * scale;
    int lo = std::max(0, static_cast<int>(centre - support + 0.5));
    int hi = std::min(in, static_cast<int>(centre + support + 0.5));
    double sum = 0;
    for (int k = lo; k < hi; ++k) {
      double x = std::fabs((k - centre + 0.5) * (1.0 / widen));
      sum += w[static_cast<size_t>(k - lo)] = x < 1 ? 1 - x : 0;
    }
    for (int k = lo; k < hi; ++k) {
      double v = sum != 0 ? w[static_cast<size_t>(k - lo)] / sum : 0;
      t.weight[t.stride * static_cast<size_t>(i) + static_cast<size_t>(k - lo)] =
          static_cast<int>(0.5 + v * (1 << kBits));
    }
    t.first.push_back(lo);
    t.count.push_back(hi - lo);
  }
  return t;
}

uint8_t round_pixel(int sum) { return static_cast<uint8_t>(std::clamp(sum >> kBits, 0, 255)); }

Image resize_columns(const Image& in, int width) {
  Taps t = make_taps(in.width, width);
  Image out(width, in.height, in.channels);
  for (int y = 0; y < in.height; ++y)
    for (int x = 0; x < width; ++x) {
      auto i = static_cast<size_t>(x);
      const int* w = t.weight.data() + t.stride * i;
      for (int c = 0; c < in.channels; ++c) {
        const uint8_t* p = in.at(t.first[i], y) + c;
        int sum = 1 << (kBits - 1);
        for (int k = 0; k < t.count[i]; ++k) sum += w[k] * p[k * in.channels];
        out.at(x, y)[c] = round_pixel(sum);
      }
    }
  return out;
}

Image resize_rows(const Image& in, int height) {
  Taps t = make_taps(in.height, height);
  Image out(in.width, height, in.channels);
  auto row = static_cast<size_t>(in.width) * static_cast<size_t>(in.channels);
  std::vector<int> sum(row);
  for (int y = 0; y < height; ++y) {
    auto i = static_cast<size_t>(y);
    std::fill(sum.begin(), sum.end(), 1 << (kBits - 1));
    for (int k = 0; k < t.count[i]; ++k) {
      int w = t.weight[t.stride * i + static_cast<size_t>(k)];
      const uint8_t* p = in.at(0, t.first[i] + k);
      for (size_t x = 0; x < row; ++x) sum[x] += w * p[x];
    }
    uint8_t* q = out.at(0, y);
    for (size_t x = 0; x < row; ++x) q[x] = round_pixel(sum[x]);
  }
  return out;
}

}  // namespace

Image resize_bilinear(const Image& image, int width, int height) {
  if (width < 1 || height < 1) fail("cannot resize an image to ", width, "x", height);
  Image out = width == image.width ? image : resize_columns(image, width);
  return height == out.height ? out : resize_rows(out, height);
}

}  // namespace skiff::tool
