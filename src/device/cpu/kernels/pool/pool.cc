#include "device/cpu/kernels/pool/pool.h"

#include <math.h>

#include "device/cpu/kernels/simd.h"

namespace skiff::cpu::SKIFF_ISA {
namespace {

// The taps [first, last) of a window of size k at start that fall inside [0, size).
struct Span {
  int64_t first, last;
};
SKIFF_INLINE Span inside(int64_t start, int64_t k, int64_t dilation, int64_t size) {
  Span s;
  s.first = start >= 0 ? 0 : (-start + dilation - 1) / dilation;
  if (s.first > k) s.first = k;
  s.last = start >= size ? 0 : (size - start + dilation - 1) / dilation;
  if (s.last > k) s.last = k;
  if (s.last < s.first) s.last = s.first;
  return s;
}

// Taps of an average's divisor: inside the image, or inside the padded image.
SKIFF_INLINE int64_t counted(const Span& s, bool with_pad, int64_t start, int64_t k, int64_t dilation,
                             int64_t size, int64_t pad_begin, int64_t pad_end) {
  if (!with_pad) return s.last - s.first;
  const Span padded = inside(start + pad_begin, k, dilation, size + pad_begin + pad_end);
  return padded.last - padded.first;
}

template <bool kMax>
SKIFF_INLINE vf join(vf acc, vf x) {
  if constexpr (kMax) return select(acc != acc, acc, max(acc, x));
  return acc + x;
}
template <bool kMax>
SKIFF_INLINE float join_one(float acc, float x) {
  if constexpr (kMax) return acc != acc ? acc : acc > x ? acc : x;
  return acc + x;
}
template <bool kMax>
SKIFF_INLINE float start_value() {
  return kMax ? -INFINITY : 0.0f;
}

// kV vectors of channels of one output pixel; the last has m lanes.
template <bool kMax, int kV>
SKIFF_INLINE void pixel(const float* x, const Span& sh, const Span& sw, int64_t row, int64_t step,
                        float scale, float* y, int m) {
  vf acc[kV];
  for (int v = 0; v < kV; ++v) acc[v] = splat(start_value<kMax>());
  for (int64_t i = sh.first; i < sh.last; ++i)
    for (int64_t j = sw.first; j < sw.last; ++j) {
      const float* s = x + i * row + j * step;
      for (int v = 0; v + 1 < kV; ++v) acc[v] = join<kMax>(acc[v], load(s + v * kLanes));
      const float* last = s + (kV - 1) * kLanes;
      acc[kV - 1] = join<kMax>(acc[kV - 1], m == kLanes ? load(last) : load_n(last, m));
    }
  for (int v = 0; v < kV; ++v) {
    const vf r = kMax ? acc[v] : acc[v] / scale;
    if (v + 1 < kV || m == kLanes) {
      store(y + v * kLanes, r);
    } else {
      store_n(y + v * kLanes, r, m);
    }
  }
}

template <bool kMax>
void pool_nhwc(const PoolParams& p, int64_t begin, int64_t end) {
  const int64_t row = p.dilation_h * p.w * p.x_pixel, step = p.dilation_w * p.x_pixel;
  for (int64_t unit = begin; unit < end; ++unit) {
    const int64_t image = unit / p.oh, top = unit % p.oh * p.stride_h - p.pad_top;
    const Span sh = inside(top, p.kh, p.dilation_h, p.h);
    const int64_t count_h =
        counted(sh, p.count_include_pad, top, p.kh, p.dilation_h, p.h, p.pad_top, p.pad_bottom);
    float* y = p.y + unit * p.ow * p.y_pixel;
    for (int64_t ow = 0; ow < p.ow; ++ow, y += p.y_pixel) {
      const int64_t left = ow * p.stride_w - p.pad_left;
      const Span sw = inside(left, p.kw, p.dilation_w, p.w);
      const int64_t count =
          count_h * counted(sw, p.count_include_pad, left, p.kw, p.dilation_w, p.w, p.pad_left, p.pad_right);
      const float scale = static_cast<float>(count);
      const float* x = p.x + ((image * p.h + top) * p.w + left) * p.x_pixel;
      int64_t c = 0;
      for (; c + 4 * kLanes <= p.c; c += 4 * kLanes)
        pixel<kMax, 4>(x + c, sh, sw, row, step, scale, y + c, kLanes);
      for (; c < p.c; c += kLanes) {
        const int m = p.c - c < kLanes ? static_cast<int>(p.c - c) : kLanes;
        pixel<kMax, 1>(x + c, sh, sw, row, step, scale, y + c, m);
      }
    }
  }
}

// First the rows of a window are joined, whole rows at a time, then the columns of the joined row.
template <bool kMax>
void pool_nchw(const PoolParams& p, void* scratch, int64_t begin, int64_t end) {
  float* line = static_cast<float*>(scratch);
  // Outputs whose windows lie inside the row.
  int64_t in_first = (p.pad_left + p.stride_w - 1) / p.stride_w;
  const int64_t room = p.w + p.pad_left - (p.kw - 1) * p.dilation_w - 1;
  int64_t in_last = room < 0 ? 0 : room / p.stride_w + 1;
  if (in_first > p.ow) in_first = p.ow;
  if (in_last > p.ow) in_last = p.ow;
  if (in_last < in_first) in_last = in_first;
  for (int64_t plane = begin; plane < end; ++plane) {
    const float* x = p.x + plane * p.h * p.w;
    float* y = p.y + plane * p.oh * p.ow;
    for (int64_t oh = 0; oh < p.oh; ++oh, y += p.ow) {
      const int64_t top = oh * p.stride_h - p.pad_top;
      const Span sh = inside(top, p.kh, p.dilation_h, p.h);
      const float count_h = static_cast<float>(
          counted(sh, p.count_include_pad, top, p.kh, p.dilation_h, p.h, p.pad_top, p.pad_bottom));
      const float* joined = line;
      if (sh.last - sh.first == 1) {
        joined = x + (top + sh.first * p.dilation_h) * p.w;
      } else {
        for (int64_t i = 0; i < p.w; i += kLanes) {
          const int m = p.w - i < kLanes ? static_cast<int>(p.w - i) : kLanes;
          vf acc = splat(start_value<kMax>());
          for (int64_t k = sh.first; k < sh.last; ++k) {
            const float* s = x + (top + k * p.dilation_h) * p.w + i;
            acc = join<kMax>(acc, m == kLanes ? load(s) : load_n(s, m));
          }
          store_n(line + i, acc, m);
        }
      }
      const auto border = [&](int64_t ow) {
        const int64_t left = ow * p.stride_w - p.pad_left;
        const Span sw = inside(left, p.kw, p.dilation_w, p.w);
        float acc = start_value<kMax>();
        for (int64_t k = sw.first; k < sw.last; ++k)
          acc = join_one<kMax>(acc, joined[left + k * p.dilation_w]);
        if (!kMax) {
          acc /= count_h * static_cast<float>(counted(sw, p.count_include_pad, left, p.kw, p.dilation_w, p.w,
                                                      p.pad_left, p.pad_right));
        }
        y[ow] = acc;
      };
      for (int64_t ow = 0; ow < in_first; ++ow) border(ow);
      const float full = count_h * static_cast<float>(p.kw);
      const float* from = joined - p.pad_left;
      // A stride above 1 pools at every position and keeps each stride-th: vectors make up for the waste.
      const bool every = p.stride_w == 1;
      const int64_t count = in_last == in_first ? 0
                            : every             ? in_last - in_first
                                                : (in_last - in_first - 1) * p.stride_w + 1;
      const float* first = from + in_first * p.stride_w;
      float* to = every ? y + in_first : line + p.w;
      for (int64_t i = 0; i < count; i += kLanes) {
        const int m = count - i < kLanes ? static_cast<int>(count - i) : kLanes;
        vf acc = splat(start_value<kMax>());
        for (int64_t k = 0; k < p.kw; ++k) {
          const float* s = first + i + k * p.dilation_w;
          acc = join<kMax>(acc, m == kLanes ? load(s) : load_n(s, m));
        }
        store_n(to + i, kMax ? acc : acc / full, m);
      }
      if (!every)
        for (int64_t ow = in_first; ow < in_last; ++ow) y[ow] = to[(ow - in_first) * p.stride_w];
      for (int64_t ow = in_last; ow < p.ow; ++ow) border(ow);
    }
  }
}

}  // namespace

extern const PoolKernels pool_kernels;
const PoolKernels pool_kernels = {pool_nhwc<true>, pool_nhwc<false>, pool_nchw<true>, pool_nchw<false>};

}  // namespace skiff::cpu::SKIFF_ISA
