// The arithmetic of Resize and Upsample, shared by the reference and the kernels: which axes change, and
// where each output coordinate reads.
#pragma once
#include <vector>

#include "ops/op.h"

namespace skiff {

// One axis of a resizing.
struct ResizeAxis {
  size_t axis = 0;
  int64_t in = 0, out = 0;
  double scale = 1;
  double width = 0;           // the output extent before rounding
  double start = 0, end = 1;  // region of interest

  bool unchanged() const { return out == in && scale == 1 && start == 0 && end == 1; }
};

// For each output coordinate of an axis: `taps` source indices (clamped into the axis) and weights.
struct ResizeTable {
  size_t taps = 1;
  std::vector<int64_t> index;
  std::vector<double> weight;    // empty for nearest: 1
  std::vector<uint8_t> outside;  // 1: takes the extrapolation value; empty when nothing does
};

// Positions of the inputs roi, scales and sizes; 0: the version has no such input.
struct ResizeInputs {
  size_t roi = 0, scales = 0, sizes = 0;
};
ResizeInputs resize_inputs(const Node& n);

// The axes the node resizes (its attribute `axes`, or all).
std::vector<size_t> resized_axes(const Node& n, size_t rank);
// Scales given by attributes, as Upsample's before version 9.
std::vector<float> resize_attribute_scales(const Node& n, size_t rank);
// Extents and scales of those axes for an input of dims x; exactly one of scales and sizes is not empty.
// Throws kInvalidModel when they contradict the node.
std::vector<ResizeAxis> resize_axes(const Node& n, const Dims& x, const std::vector<float>& scales,
                                    const std::vector<int64_t>& sizes);
// The table of an axis by the node's mode and coordinate transformation. Throws kLimit for an absurd table.
ResizeTable resize_table(const Node& n, const ResizeAxis& a);

}  // namespace skiff
