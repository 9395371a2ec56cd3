#include "device/cpu/kernels/norm/norm.h"

#include <math.h>
#include <string.h>

#include "device/cpu/kernels/reduce/pairwise.h"
#include "device/cpu/kernels/simd_math.h"

namespace skiff::cpu::SKIFF_ISA {
namespace {

// Calls f(i, m) for the vectors of n elements: m lanes from i on.
template <class F>
SKIFF_INLINE void each(int64_t n, F f) {
  int64_t i = 0;
  for (; i + kLanes <= n; i += kLanes) f(i, kLanes);
  if (i < n) f(i, static_cast<int>(n - i));
}

SKIFF_INLINE vf load_m(const float* p, int m) { return m == kLanes ? load(p) : load_n(p, m); }
SKIFF_INLINE void store_m(float* p, vf x, int m) {
  if (m == kLanes) {
    store(p, x);
  } else {
    store_n(p, x, m);
  }
}

// Cuts columns [begin, end) of outer*inner into runs of at most kLanes in one row: f(offset of the first
// element, m).
template <class F>
SKIFF_INLINE void each_columns(int64_t axis, int64_t inner, int64_t begin, int64_t end, F f) {
  for (int64_t at = begin; at < end;) {
    const int64_t o = at / inner, c = at % inner;
    int64_t n = inner - c < end - at ? inner - c : end - at;
    if (n > kLanes) n = kLanes;
    f(o * axis * inner + c, static_cast<int>(n));
    at += n;
  }
}

// Sum over rows of term(r), r < n: vectors, added block by block.
template <class Term>
SKIFF_INLINE vf sum_column(int64_t n, Term term) {
  auto add = [](vf a, vf b) { return a + b; };
  Pairwise<1, decltype(add)> parts;
  for (int64_t r = 0;;) {
    vf s = {};
    const int64_t stop = r + kSumBlock < n ? r + kSumBlock : n;
    for (; r < stop; ++r) s += term(r);
    if (r >= n) return parts.total({{s}}, add).v[0];
    parts.push({{s}}, add);
  }
}

// ---- Softmax

void softmax_row(const float* x, float* y, int64_t n, bool log_of) {
  vf m0 = splat(-INFINITY), m1 = m0;
  int64_t i = 0;
  for (; i + 2 * kLanes <= n; i += 2 * kLanes) {
    m0 = max(load(x + i), m0);
    m1 = max(load(x + i + kLanes), m1);
  }
  float top = max_lanes(max(m0, m1));
  for (; i < n; ++i) top = x[i] > top ? x[i] : top;
  const vf shift = splat(top);
  if (log_of) {
    const float s = sum_row(n, [&](int64_t j, int m) { return exp(load_m(x + j, m) - shift); });
    const vf less = log(splat(s));
    each(n, [&](int64_t j, int m) { store_m(y + j, (load_m(x + j, m) - shift) - less, m); });
    return;
  }
  const float s = sum_row(n, [&](int64_t j, int m) {
    const vf e = exp(load_m(x + j, m) - shift);
    store_m(y + j, e, m);
    return e;
  });
  const vf scale = splat(1.0f / s);
  each(n, [&](int64_t j, int m) { store_m(y + j, load_m(y + j, m) * scale, m); });
}

void softmax_columns(const float* x, float* y, int64_t n, int64_t stride, int m, bool log_of) {
  vf top = splat(-INFINITY);
  for (int64_t r = 0; r < n; ++r) top = max(load_m(x + r * stride, m), top);
  if (log_of) {
    const vf less = log(sum_column(n, [&](int64_t r) { return exp(load_m(x + r * stride, m) - top); }));
    for (int64_t r = 0; r < n; ++r) store_m(y + r * stride, (load_m(x + r * stride, m) - top) - less, m);
    return;
  }
  const vf s = sum_column(n, [&](int64_t r) {
    const vf e = exp(load_m(x + r * stride, m) - top);
    store_m(y + r * stride, e, m);
    return e;
  });
  const vf scale = 1.0f / s;
  for (int64_t r = 0; r < n; ++r) store_m(y + r * stride, load_m(y + r * stride, m) * scale, m);
}

void softmax(const SoftmaxParams& p, int64_t begin, int64_t end) {
  if (p.axis == 0) return;
  if (p.inner == 1) {
    for (int64_t o = begin; o < end; ++o) softmax_row(p.x + o * p.axis, p.y + o * p.axis, p.axis, p.log);
    return;
  }
  each_columns(p.axis, p.inner, begin, end,
               [&](int64_t at, int m) { softmax_columns(p.x + at, p.y + at, p.axis, p.inner, m, p.log); });
}

// ---- Layer normalization

void layer_norm(const LayerNormParams& p, int64_t begin, int64_t end) {
  const int64_t n = p.n;
  const float count = static_cast<float>(n);
  for (int64_t row = begin; row < end; ++row) {
    const float* x = p.x + row * n;
    float* y = p.y + row * n;
    if (p.residual || p.sum) {
      const float* r = p.residual ? p.residual + row * n : nullptr;
      float* v = p.sum ? p.sum + row * n : y;
      each(n, [&](int64_t i, int m) {
        vf s = load_m(x + i, m);
        if (r) s += load_m(r + i, m);
        if (r && p.residual_bias) s += load_m(p.residual_bias + i, m);
        store_m(v + i, s, m);
      });
      x = v;
    }
    // Counted from the row's first element: a common offset then costs no accuracy.
    const float pivot = p.rms || n == 0 ? 0 : x[0];
    const vf vp = splat(pivot);
    float mean = 0;
    if (!p.rms) mean = sum_row(n, [&](int64_t i, int m) { return load_m(x + i, m) - vp; }) / count;
    const vf vm = splat(mean);
    const float square = sum_row(n, [&](int64_t i, int m) {
      const vf d = (load_m(x + i, m) - vp) - vm;
      return d * d;
    });
    const float inv = 1.0f / sqrtf(square / count + p.epsilon);
    if (p.mean) p.mean[row] = pivot + mean;
    if (p.inv_std) p.inv_std[row] = inv;
    const vf vi_ = splat(inv);
    each(n, [&](int64_t i, int m) {
      vf d = ((load_m(x + i, m) - vp) - vm) * vi_;
      if (p.scale) d *= load_m(p.scale + i, m);
      if (p.bias) d += load_m(p.bias + i, m);
      store_m(y + i, d, m);
    });
  }
}

// ---- Group and instance normalization

void group_norm_nchw(const GroupNormParams& p, int64_t begin, int64_t end) {
  if (p.hw == 0 || p.groups == 0) return;
  const int64_t per = p.c / p.groups, size = per * p.hw;
  for (int64_t unit = begin; unit < end; ++unit) {
    const float* x = p.x + unit * size;
    float* y = p.y + unit * size;
    const float count = static_cast<float>(size);
    const float mean = sum_row(size, [&](int64_t i, int m) { return load_m(x + i, m); }) / count;
    const vf vm = splat(mean);
    const float square = sum_row(size, [&](int64_t i, int m) {
      const vf d = load_m(x + i, m) - vm;
      return d * d;
    });
    const float inv = 1.0f / sqrtf(square / count + p.epsilon);
    const int64_t first = unit % p.groups * per;
    for (int64_t c = 0; c < per; ++c) {
      const vf scale = splat(p.scale ? inv * p.scale[first + c] : inv);
      const vf bias = splat(p.bias ? p.bias[first + c] : 0.0f);
      const float* xc = x + c * p.hw;
      float* yc = y + c * p.hw;
      each(p.hw, [&](int64_t i, int m) { store_m(yc + i, fma(load_m(xc + i, m) - vm, scale, bias), m); });
    }
  }
}

// m channels of one image, each with its own statistics.
SKIFF_INLINE void instance_channels(const GroupNormParams& p, const float* x, float* y, int64_t c, int m) {
  const float count = static_cast<float>(p.hw);
  const vf mean = sum_column(p.hw, [&](int64_t r) { return load_m(x + r * p.c, m); }) / count;
  const vf square = sum_column(p.hw, [&](int64_t r) {
    const vf d = load_m(x + r * p.c, m) - mean;
    return d * d;
  });
  vf scale = 1.0f / sqrt(square / count + p.epsilon);
  if (p.scale) scale *= load_m(p.scale + c, m);
  const vf bias = p.bias ? load_m(p.bias + c, m) : vf{};
  for (int64_t r = 0; r < p.hw; ++r) store_m(y + r * p.c, fma(load_m(x + r * p.c, m) - mean, scale, bias), m);
}

void group_norm_nhwc(const GroupNormParams& p, int64_t begin, int64_t end) {
  if (p.hw == 0 || p.groups == 0) return;
  if (p.groups == p.c) {
    const int64_t blocks = (p.c + kInstanceChannels - 1) / kInstanceChannels;
    for (int64_t unit = begin; unit < end; ++unit) {
      const int64_t image = unit / blocks * p.hw * p.c, c0 = unit % blocks * kInstanceChannels;
      const int64_t n = p.c - c0 < kInstanceChannels ? p.c - c0 : kInstanceChannels;
      each(n, [&](int64_t i, int m) {
        instance_channels(p, p.x + image + c0 + i, p.y + image + c0 + i, c0 + i, m);
      });
    }
    return;
  }
  const int64_t per = p.c / p.groups;
  for (int64_t unit = begin; unit < end; ++unit) {
    const int64_t first = unit % p.groups * per, at = unit / p.groups * p.hw * p.c + first;
    const float* x = p.x + at;
    float* y = p.y + at;
    const float count = static_cast<float>(per * p.hw);
    vf sum = {};
    each(per, [&](int64_t i, int m) {
      sum += sum_column(p.hw, [&](int64_t r) { return load_m(x + r * p.c + i, m); });
    });
    const vf mean = splat(sum_lanes(sum) / count);
    vf square = {};
    each(per, [&](int64_t i, int m) {
      const vf s = sum_column(p.hw, [&](int64_t r) {
        const vf d = load_m(x + r * p.c + i, m) - mean;
        return d * d;
      });
      square += select(iota() < splat_i(m), s, vf{});
    });
    const float inv = 1.0f / sqrtf(sum_lanes(square) / count + p.epsilon);
    each(per, [&](int64_t i, int m) {
      vf scale = splat(inv);
      if (p.scale) scale *= load_m(p.scale + first + i, m);
      const vf bias = p.bias ? load_m(p.bias + first + i, m) : vf{};
      for (int64_t r = 0; r < p.hw; ++r)
        store_m(y + r * p.c + i, fma(load_m(x + r * p.c + i, m) - mean, scale, bias), m);
    });
  }
}

void affine_nchw(const ChannelAffineParams& p, int64_t begin, int64_t end) {
  for (int64_t plane = begin; plane < end; ++plane) {
    const float* x = p.x + plane * p.hw;
    float* y = p.y + plane * p.hw;
    const vf scale = splat(p.scale[plane % p.c]), shift = splat(p.shift[plane % p.c]);
    each(p.hw, [&](int64_t i, int m) { store_m(y + i, fma(load_m(x + i, m), scale, shift), m); });
  }
}

void affine_nhwc(const ChannelAffineParams& p, int64_t begin, int64_t end) {
  for (int64_t pixel = begin; pixel < end; ++pixel) {
    const float* x = p.x + pixel * p.c;
    float* y = p.y + pixel * p.c;
    each(p.c, [&](int64_t i, int m) {
      store_m(y + i, fma(load_m(x + i, m), load_m(p.scale + i, m), load_m(p.shift + i, m)), m);
    });
  }
}

// ---- Local response normalization

// s^-beta; square roots for the exponents of AlexNet and its kin.
SKIFF_INLINE vf inverse_power(vf s, float beta) {
  if (beta == 0.75f) {
    const vf r = sqrt(s);
    return 1.0f / (r * sqrt(r));
  }
  if (beta == 0.5f) return 1.0f / sqrt(s);
  if (beta == 1.0f) return 1.0f / s;
  return exp(log(s) * -beta);
}

void lrn_nchw(const LrnParams& p, int64_t begin, int64_t end) {
  const int64_t before = (p.size - 1) / 2, after = p.size / 2;
  const float scale = p.alpha / static_cast<float>(p.size);
  each_columns(p.c, p.hw, begin, end, [&](int64_t at, int m) {
    const float* x = p.x + at;
    float* y = p.y + at;
    for (int64_t c = 0; c < p.c; ++c) {
      const int64_t from = c > before ? c - before : 0, to = c + after < p.c - 1 ? c + after : p.c - 1;
      vf s = {};
      for (int64_t k = from; k <= to; ++k) {
        const vf v = load_m(x + k * p.hw, m);
        s = fma(v, v, s);
      }
      s = fma(s, splat(scale), splat(p.bias));
      store_m(y + c * p.hw, load_m(x + c * p.hw, m) * inverse_power(s, p.beta), m);
    }
  });
}

constexpr int64_t kLrnChannels = 2048, kLrnPad = 32;  // of a pixel whose squares fit the stack

void lrn_nhwc(const LrnParams& p, int64_t begin, int64_t end) {
  const int64_t before = (p.size - 1) / 2, after = p.size / 2;
  const vf scale = splat(p.alpha / static_cast<float>(p.size)), bias = splat(p.bias);
  const bool small = p.c <= kLrnChannels && p.size <= kLrnPad;
  // Squares with zeros on both sides; a tail's loads may reach kLanes beyond the channels.
  float squares[kLrnChannels + 2 * kLrnPad + kLanes];
  if (small) memset(squares, 0, sizeof squares);
  float* square = squares + kLrnPad;
  for (int64_t pixel = begin; pixel < end; ++pixel) {
    const float* x = p.x + pixel * p.c;
    float* y = p.y + pixel * p.c;
    if (small) {
      each(p.c, [&](int64_t i, int m) {
        const vf v = load_m(x + i, m);
        store(square + i, v * v);  // lanes beyond m are 0
      });
      each(p.c, [&](int64_t i, int m) {
        vf s = {};
        for (int64_t k = -before; k <= after; ++k) s += load(square + i + k);
        store_m(y + i, load_m(x + i, m) * inverse_power(fma(s, scale, bias), p.beta), m);
      });
      continue;
    }
    for (int64_t c = 0; c < p.c; ++c) {
      const int64_t from = c > before ? c - before : 0, to = c + after < p.c - 1 ? c + after : p.c - 1;
      float s = 0;
      for (int64_t k = from; k <= to; ++k) s += x[k] * x[k];
      y[c] = x[c] * inverse_power(fma(splat(s), scale, bias), p.beta)[0];
    }
  }
}

// ---- Lp normalization

void lp_norm(const LpNormParams& p, int64_t begin, int64_t end) {
  const bool one = p.p == 1;
  if (p.inner == 1) {
    for (int64_t o = begin; o < end; ++o) {
      const float* x = p.x + o * p.axis;
      float* y = p.y + o * p.axis;
      float s = sum_row(p.axis, [&](int64_t i, int m) {
        const vf v = load_m(x + i, m);
        return one ? abs(v) : v * v;
      });
      if (!one) s = sqrtf(s);
      const vf norm = splat(s);
      each(p.axis, [&](int64_t i, int m) { store_m(y + i, s == 0 ? vf{} : load_m(x + i, m) / norm, m); });
    }
    return;
  }
  each_columns(p.axis, p.inner, begin, end, [&](int64_t at, int m) {
    const float* x = p.x + at;
    float* y = p.y + at;
    vf s = sum_column(p.axis, [&](int64_t r) {
      const vf v = load_m(x + r * p.inner, m);
      return one ? abs(v) : v * v;
    });
    if (!one) s = sqrt(s);
    for (int64_t r = 0; r < p.axis; ++r)
      store_m(y + r * p.inner, select(s == 0.0f, vf{}, load_m(x + r * p.inner, m) / s), m);
  });
}

}  // namespace

extern const NormKernels norm_kernels;
const NormKernels norm_kernels = {softmax,     layer_norm, group_norm_nchw, group_norm_nhwc, affine_nchw,
                                  affine_nhwc, lrn_nchw,   lrn_nhwc,        lp_norm};

}  // namespace skiff::cpu::SKIFF_ISA
