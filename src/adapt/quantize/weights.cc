#include "adapt/quantize/weights.h"

#include <algorithm>
#include <cmath>

namespace skiff::adapt {

// Integers are kept as int8_t minus 128 where they are unsigned 8 bits: q + bias() is the stored value.
namespace {
int bias_of(DType t) { return t == DType::kUint8 ? 128 : 0; }
}  // namespace

Grid::Grid(const Dims& dims, const WeightSpec& s)
    : dims_(dims),
      strides_(strides_of(dims)),
      channel_axis_(s.channel_axis),
      block_axis_(s.block_axis),
      block_(s.block) {
  if (s.symmetric) {
    dtype_ = s.bits == 4 ? DType::kInt4 : DType::kInt8;
    hi_ = (1 << (s.bits - 1)) - 1;
    lo_ = s.bits == 4 ? -8 : -hi_;  // 4 bits: every level counts
  } else {
    dtype_ = s.bits == 4 ? DType::kUint4 : DType::kUint8;
    lo_ = s.bits == 4 ? 0 : -128;
    hi_ = s.bits == 4 ? 15 : 127;
  }
  if (block_ > 0) {
    scale_dims_ = dims;
    auto a = static_cast<size_t>(block_axis_);
    scale_dims_[a] = (dims[a] + block_ - 1) / block_;
    scale_strides_ = strides_of(scale_dims_);
    groups_ = static_cast<size_t>(element_count(scale_dims_));
  } else if (channel_axis_ >= 0) {
    scale_dims_ = {dims[static_cast<size_t>(channel_axis_)]};
    groups_ = static_cast<size_t>(scale_dims_[0]);
  }
}

size_t Grid::group(int64_t e) const {
  if (block_ > 0) {
    int64_t at = 0;
    for (size_t k = 0; k < dims_.size(); ++k) {
      int64_t i = e / strides_[k] % dims_[k];
      if (static_cast<int>(k) == block_axis_) i /= block_;
      at += i * scale_strides_[k];
    }
    return static_cast<size_t>(at);
  }
  if (channel_axis_ < 0) return 0;
  auto a = static_cast<size_t>(channel_axis_);
  return static_cast<size_t>(e / strides_[a] % dims_[a]);
}

namespace {

float settle(double scale, const WeightSpec& spec, size_t group) {
  if (!(scale > 1e-30)) scale = 0;
  if (spec.power_of_two && scale > 0) scale = std::exp2(std::ceil(std::log2(scale) - 1e-9));
  if (spec.least_scale.size() > group)
    scale = std::max<double>(scale, spec.least_scale[group]);
  else if (spec.least_scale.size() == 1)
    scale = std::max<double>(scale, spec.least_scale[0]);
  return scale > 0 ? static_cast<float>(scale) : 1.0f;  // a channel of zeros
}

int to_level(float w, float scale, int zero, const Grid& g) {
  return static_cast<int>(
      std::clamp(std::nearbyint(w / scale) + zero, static_cast<float>(g.lo()), static_cast<float>(g.hi())));
}

}  // namespace

Scales choose_scales(std::span<const float> w, const Grid& grid, const WeightSpec& spec) {
  size_t n = grid.groups();
  std::vector<float> lo(n, 0), hi(n, 0);
  std::vector<uint32_t> group(w.size());
  for (size_t i = 0; i < w.size(); ++i) {
    size_t k = grid.group(static_cast<int64_t>(i));
    group[i] = static_cast<uint32_t>(k);
    lo[k] = std::min(lo[k], w[i]);
    hi[k] = std::max(hi[k], w[i]);
  }
  Scales s{std::vector<float>(n), std::vector<int>(n, 0)};
  auto set = [&](size_t k, double share, Scales& to) {
    double a = lo[k] * share, b = hi[k] * share;
    if (spec.symmetric) {
      // The side that reaches further decides; with 4 bits the negative side has one level more.
      to.scale[k] = settle(std::max(-a / -grid.lo(), b / grid.hi()), spec, k);
    } else {
      to.scale[k] = settle((b - a) / (grid.hi() - grid.lo()), spec, k);
      to.zero[k] =
          static_cast<int>(std::clamp(std::nearbyint(grid.lo() - a / to.scale[k]),
                                      static_cast<double>(grid.lo()), static_cast<double>(grid.hi())));
    }
  };
  for (size_t k = 0; k < n; ++k) set(k, 1, s);
  if (!spec.search) return s;
  std::vector<double> least(n, HUGE_VAL);
  Scales best = s, trial = s;
  for (int step = 0; step < 40; ++step) {
    for (size_t k = 0; k < n; ++k) set(k, 1 - step * 0.015, trial);
    std::vector<double> error(n, 0);
    for (size_t i = 0; i < w.size(); ++i) {
      size_t k = group[i];
      double d =
          w[i] - static_cast<double>(to_level(w[i], trial.scale[k], trial.zero[k], grid) - trial.zero[k]) *
                     trial.scale[k];
      error[k] += d * d;
    }
    for (size_t k = 0; k < n; ++k)
      if (error[k] < least[k])
        least[k] = error[k], best.scale[k] = trial.scale[k], best.zero[k] = trial.zero[k];
  }
  return best;
}

std::vector<int8_t> round_to_nearest(std::span<const float> w, const Grid& grid, const Scales& s) {
  std::vector<int8_t> q(w.size());
  for (size_t i = 0; i < w.size(); ++i) {
    size_t k = grid.group(static_cast<int64_t>(i));
    q[i] = static_cast<int8_t>(to_level(w[i], s.scale[k], s.zero[k], grid));
  }
  return q;
}

QuantizedWeight pack(const Tensor& w, const Grid& grid, const Scales& s, std::span<const int8_t> q,
                     const WeightSpec& spec) {
  QuantizedWeight r;
  int bias = bias_of(grid.dtype());
  r.values = Tensor(grid.dtype(), w.dims());
  if (spec.bits == 8) {
    auto* to = r.values.data<uint8_t>();
    for (size_t i = 0; i < q.size(); ++i) to[i] = static_cast<uint8_t>(q[i] + bias);
  } else {
    auto* to = r.values.data<uint8_t>();
    for (size_t i = 0; i < q.size(); i += 2)
      to[i / 2] = static_cast<uint8_t>((q[i] & 15) | (i + 1 < q.size() ? (q[i + 1] & 15) << 4 : 0));
  }
  r.scale = Tensor::from(std::span<const float>(s.scale), grid.scale_dims());
  r.block = spec.block;
  r.axis = spec.block > 0 ? spec.block_axis : spec.channel_axis;
  if (!spec.symmetric) {
    r.zero = Tensor(grid.dtype(), grid.scale_dims());
    for (size_t k = 0; k < s.zero.size(); ++k) set_int(r.zero, static_cast<int64_t>(k), s.zero[k] + bias);
  }
  return r;
}

QuantizedWeight quantize_weight(const Tensor& w, const WeightSpec& spec) {
  std::vector<float> v = to_floats(w);
  Grid grid(w.dims(), spec);
  Scales s = choose_scales(v, grid, spec);
  return pack(w, grid, s, round_to_nearest(v, grid, s), spec);
}

std::vector<float> dequantize(const QuantizedWeight& q) {
  WeightSpec spec;
  DType t = q.values.dtype();
  spec.bits = t == DType::kInt4 || t == DType::kUint4 ? 4 : 8;
  spec.symmetric = t == DType::kInt4 || t == DType::kInt8;
  (q.block > 0 ? spec.block_axis : spec.channel_axis) = q.axis;
  spec.block = q.block;
  Grid grid(q.values.dims(), spec);
  std::vector<float> scale = to_floats(q.scale), v(static_cast<size_t>(q.values.size()));
  for (int64_t i = 0; i < q.values.size(); ++i) {
    size_t k = grid.group(i);
    int64_t zero = q.zero.defined() ? get_int(q.zero, static_cast<int64_t>(k)) : 0;
    v[static_cast<size_t>(i)] = static_cast<float>(get_int(q.values, i) - zero) * scale[k];
  }
  return v;
}

}  // namespace skiff::adapt
