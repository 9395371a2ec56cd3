// Normalizations of f32. Every kernel takes a range of its units of work; any split gives the same bits.
#pragma once
#include <stddef.h>
#include <stdint.h>

namespace skiff::cpu {

// Softmax and LogSoftmax over the middle of (outer, axis, inner); y may be x. Units: outer*inner.
struct SoftmaxParams {
  const float* x;
  float* y;
  int64_t outer, axis, inner;
  bool log;
};

// y = (v - mean(v)) / sqrt(var(v) + epsilon) * scale + bias per row, v = x [+ residual [+ residual_bias]].
// With rms: y = v / sqrt(mean(v^2) + epsilon) * scale + bias. Units: rows. y may be x or residual.
struct LayerNormParams {
  const float* x;
  const float* residual;       // null or [rows, n]
  const float* residual_bias;  // null or [n], added with the residual
  const float* scale;          // null or [n]
  const float* bias;           // null or [n]
  float* y;
  float* sum;      // null or [rows, n]: receives v
  float* mean;     // null or [rows]
  float* inv_std;  // null or [rows]: receives 1 / sqrt(var + epsilon)
  int64_t rows, n;
  float epsilon;
  bool rms;
};

// Group normalization over the channels of a group and space; groups == c is instance normalization. scale
// and bias are per channel, null for 1 and 0. y may be x. Units: group_norm_units.
struct GroupNormParams {
  const float* x;
  float* y;
  const float* scale;        // null or [c]
  const float* bias;         // null or [c]
  int64_t n, c, hw, groups;  // groups divides c
  float epsilon;
};
inline constexpr int64_t kInstanceChannels = 64;  // channels of one unit of NHWC instance normalization
static inline int64_t group_norm_units(const GroupNormParams& p, bool nhwc) {
  return nhwc && p.groups == p.c ? p.n * ((p.c + kInstanceChannels - 1) / kInstanceChannels) : p.n * p.groups;
}

// y = x * scale[c] + shift[c]: batch normalization with folded statistics. y may be x.
struct ChannelAffineParams {
  const float* x;
  float* y;
  const float* scale;
  const float* shift;
  int64_t n, c, hw;
};

// Local response normalization across channels, ONNX LRN: y = x / (bias + alpha / size * sum)^beta with the
// squares of channels c - floor((size-1)/2) .. c + ceil((size-1)/2). y must not be x. Units: n*hw pixels.
struct LrnParams {
  const float* x;
  float* y;
  int64_t n, c, hw, size;
  float alpha, beta, bias;
};

// y = x / (sum |x|^p)^(1/p) over the middle of (outer, axis, inner), p 1 or 2; 0 where the norm is 0. y may
// be x. Units: outer*inner.
struct LpNormParams {
  const float* x;
  float* y;
  int64_t outer, axis, inner;
  int p;
};

struct NormKernels {
  void (*softmax)(const SoftmaxParams& p, int64_t begin, int64_t end);
  void (*layer_norm)(const LayerNormParams& p, int64_t begin, int64_t end);
  void (*group_norm_nchw)(const GroupNormParams& p, int64_t begin, int64_t end);
  void (*group_norm_nhwc)(const GroupNormParams& p, int64_t begin, int64_t end);
  void (*affine_nchw)(const ChannelAffineParams& p, int64_t begin, int64_t end);  // units: n*c planes
  void (*affine_nhwc)(const ChannelAffineParams& p, int64_t begin, int64_t end);  // units: n*hw pixels
  void (*lrn_nchw)(const LrnParams& p, int64_t begin, int64_t end);
  void (*lrn_nhwc)(const LrnParams& p, int64_t begin, int64_t end);
  void (*lp_norm)(const LpNormParams& p, int64_t begin, int64_t end);
};

}  // namespace skiff::cpu
