// Weights as integers: spacing of the scales here, the choice of each integer in a file per method.
#pragma once
#include <cstdint>
#include <span>
#include <string>
#include <vector>

#include "tensor/tensor.h"

namespace skiff::adapt {

// How one weight is to be stored. Elements along `channel_axis` have scales of their own; with `block` > 0 so
// have runs of that many elements along `block_axis`.
struct WeightSpec {
  int bits = 8;
  int channel_axis = -1;
  int block_axis = -1;
  int64_t block = 0;
  bool symmetric = true;  // int8/int4 around zero; else uint8/uint4 with a zero point
  bool power_of_two = false;
  bool search = false;  // scales of least squared error instead of full range
  std::span<const float>
      least_scale;  // by channel: no scale is smaller (so that a bias fits int32); may be empty
};

struct QuantizedWeight {
  Tensor values;  // int8, uint8, int4 or uint4, of the weight's shape
  Tensor scale;   // float: scalar, [channels], or the shape with the block axis divided (rounded up)
  Tensor zero;    // as scale, of the values' type; undefined when symmetric
  int axis = -1;  // attribute of DequantizeLinear
  int64_t block = 0;
};

// Which scale each element has, and what the integers' bounds are.
class Grid {
 public:
  Grid(const Dims& dims, const WeightSpec& spec);
  size_t groups() const { return groups_; }
  size_t group(int64_t element) const;
  int lo() const { return lo_; }
  int hi() const { return hi_; }
  DType dtype() const { return dtype_; }
  Dims scale_dims() const { return scale_dims_; }

 private:
  Dims dims_, strides_, scale_dims_, scale_strides_;
  int channel_axis_, block_axis_;
  int64_t block_;
  size_t groups_ = 1;
  int lo_, hi_;
  DType dtype_;
};

struct Scales {
  std::vector<float> scale;
  std::vector<int> zero;
};

// Full range of each group, or the range of least squared error.
Scales choose_scales(std::span<const float> w, const Grid& grid, const WeightSpec& spec);
// Half-quadratic optimization of the zero points (HQQ: H. Badri, A. Shaji, 2023), rounded to integers. Not
// for symmetric ones.
void improve_zeros_hqq(std::span<const float> w, const Grid& grid, Scales& s);

// To the nearest integer.
std::vector<int8_t> round_to_nearest(std::span<const float> w, const Grid& grid, const Scales& s);

QuantizedWeight pack(const Tensor& w, const Grid& grid, const Scales& s, std::span<const int8_t> q,
                     const WeightSpec& spec);
// choose_scales, round_to_nearest, pack.
QuantizedWeight quantize_weight(const Tensor& w, const WeightSpec& spec);
std::vector<float> dequantize(const QuantizedWeight& q);

}  // namespace skiff::adapt
