#include "device/cpu/kernels/resize/resize.h"

#include <string.h>

#include "device/cpu/kernels/simd.h"

namespace skiff::cpu::SKIFF_ISA {
namespace {

// y[i] = sum over t of weight[t] * x[index[t] * stride + i], i < n. kTaps 0: any number.
template <int kTaps>
void blend_rows(const float* x, const int32_t* index, const float* weight, int64_t taps, int64_t stride,
                int64_t n, float* y) {
  const int64_t count = kTaps ? kTaps : taps;
  for (int64_t i = 0; i < n; i += kLanes) {
    const int m = n - i < kLanes ? static_cast<int>(n - i) : kLanes;
    vf s = {};
    for (int64_t t = 0; t < count; ++t) {
      const float* from = x + index[t] * stride + i;
      const vf v = m == kLanes ? load(from) : load_n(from, m);
      s = t == 0 ? v * weight[0] : fma(v, splat(weight[t]), s);
    }
    if (m == kLanes) {
      store(y + i, s);
    } else {
      store_n(y + i, s, m);
    }
  }
}

void blend(const float* x, const int32_t* index, const float* weight, int64_t taps, int64_t stride, int64_t n,
           float* y) {
  if (taps == 2) return blend_rows<2>(x, index, weight, taps, stride, n, y);
  if (taps == 4) return blend_rows<4>(x, index, weight, taps, stride, n, y);
  return blend_rows<0>(x, index, weight, taps, stride, n, y);
}

// The input row an output row is made of: one of x itself, or blended into scratch.
const float* source_row(const ResizeParams& p, const float* x, int64_t oh, int64_t n, float* scratch) {
  const int32_t* index = p.rows.index + oh * p.rows.taps;
  if (!p.rows.weight) return x + index[0] * n;
  blend(x, index, p.rows.weight + oh * p.rows.taps, p.rows.taps, n, n, scratch);
  return scratch;
}

void nhwc(const ResizeParams& p, void* scratch, int64_t begin, int64_t end) {
  const int64_t row = p.w * p.c, taps = p.columns.taps;
  for (int64_t unit = begin; unit < end; ++unit) {
    const float* x =
        source_row(p, p.x + unit / p.oh * p.h * row, unit % p.oh, row, static_cast<float*>(scratch));
    float* y = p.y + unit * p.ow * p.c;
    for (int64_t ow = 0; ow < p.ow; ++ow, y += p.c) {
      const int32_t* index = p.columns.index + ow * taps;
      if (p.columns.weight) {
        blend(x, index, p.columns.weight + ow * taps, taps, p.c, p.c, y);
      } else if (p.c == 1) {
        *y = x[index[0]];
      } else {
        memcpy(y, x + index[0] * p.c, static_cast<size_t>(p.c) * sizeof(float));
      }
    }
  }
}

template <int kTaps>
void columns(const float* x, const ResizeAxis& axis, int64_t n, float* y) {
  const int64_t taps = kTaps ? kTaps : axis.taps;
  const int32_t* index = axis.index;
  const float* weight = axis.weight;
  for (int64_t i = 0; i < n; ++i, index += taps, weight += taps) {
    float s = x[index[0]] * weight[0];
    for (int64_t t = 1; t < taps; ++t) s += x[index[t]] * weight[t];
    y[i] = s;
  }
}

void nchw(const ResizeParams& p, void* scratch, int64_t begin, int64_t end) {
  for (int64_t unit = begin; unit < end; ++unit) {
    const float* x =
        source_row(p, p.x + unit / p.oh * p.h * p.w, unit % p.oh, p.w, static_cast<float*>(scratch));
    float* y = p.y + unit * p.ow;
    if (!p.columns.weight) {
      for (int64_t ow = 0; ow < p.ow; ++ow) y[ow] = x[p.columns.index[ow]];
    } else if (p.columns.taps == 2) {
      columns<2>(x, p.columns, p.ow, y);
    } else if (p.columns.taps == 4) {
      columns<4>(x, p.columns, p.ow, y);
    } else {
      columns<0>(x, p.columns, p.ow, y);
    }
  }
}

}  // namespace

extern const ResizeKernels resize_kernels;
const ResizeKernels resize_kernels = {nhwc, nchw};

}  // namespace skiff::cpu::SKIFF_ISA
