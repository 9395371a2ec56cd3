// fp32 convolutions on channels-last images: [N, D, H, W, C] with C contiguous (1-D has D = H = 1, 2-D has D
// = 1).
//
// There are several methods; each accepts some shapes, packs ONNX weights once, divides the work into tasks,
// and runs one task. The result does not depend on how many tasks there are. All pointers need only the
// alignment of float.
#pragma once
#include <stddef.h>
#include <stdint.h>

#include "device/cpu/kernels/gemm/gemm.h"

namespace skiff::cpu {

// Sizes in elements; the axes are depth, height, width. Padding at the far ends is whatever out[] implies.
// ConvTranspose: in[] is the small image, out[] the large one, pad_begin is cut off from the full result.
struct ConvShape {
  int64_t batch = 1, in_channels = 1, out_channels = 1, groups = 1;
  int64_t in[3] = {1, 1, 1}, out[3] = {1, 1, 1}, kernel[3] = {1, 1, 1};
  int64_t stride[3] = {1, 1, 1}, dilation[3] = {1, 1, 1}, pad_begin[3] = {0, 0, 0};
  // pad_begin follows from the attributes alone, so that it is the same when weights are packed and in every
  // run.
  bool pad_is_fixed = false;
};

struct ConvArgs {
  ConvShape shape;
  const float* in = nullptr;  // pixel (n, d, h, w) at in + index * in_pixel, index counting pixels row by row
  int64_t in_pixel = 0;       // floats from a pixel to the next; >= in_channels (method `planar`: unused)
  const float* weights = nullptr;  // packed by the method's pack
  float* scratch = nullptr;  // the method's scratch_bytes, for this call alone, at the start of a cache line
  float* out = nullptr;
  int64_t out_pixel = 0;  // >= out_channels: the result may be a slice of the channels of a wider image
  // Per output channel bias; residual with ld_residual floats from a pixel to the next; no row_bias.
  // (`transpose` with a kernel as wide as its stride: out_pixel == ld_residual == out_channels.)
  Epilogue epilogue;
};

struct ConvMethod {
  const char* name;
  bool (*accepts)(const ConvShape& shape);
  size_t (*packed_bytes)(const ConvShape& shape);
  // weights: ONNX Conv [out_channels, in_channels / groups, kernel...], for `transpose` ONNX ConvTranspose
  // [in_channels, out_channels / groups, kernel...].
  void (*pack)(const ConvShape& shape, const float* weights, float* packed);
  // The grid is for run() alone: what its rows and columns are is the method's own affair.
  TaskGrid (*plan)(const ConvShape& shape, int32_t threads);
  // One task of the grid, 0 <= task < grid.tasks(), in any order, on any thread.
  void (*run)(const ConvArgs& args, const TaskGrid& grid, int64_t task);
  // Memory a call of run() writes for itself; null: none.
  size_t (*scratch_bytes)(const ConvShape& shape);
};

struct ConvKernels {
  // Any shape: a matrix product whose rows are found through pointers.
  const ConvMethod* igemm;
  // groups == in_channels == out_channels, 2-D. Fast for 3x3 and 5x5 with stride 1 or 2.
  const ConvMethod* depthwise;
  // One group, few input channels, no dilation along the width, 2-D; in_pixel == in_channels.
  const ConvMethod* few_channels;
  // The same with a planar input [N, C, H, W] (a model's first layer); the result is channels-last.
  const ConvMethod* planar;
  // ConvTranspose, any shape of 1-D and 2-D.
  const ConvMethod* transpose;
  // 3x3, stride 1, one group, no dilation, at least 8 channels in and out: a quarter (a fifth) of the
  // multiplications, at some 10 (20) times the rounding error.
  const ConvMethod *winograd4, *winograd6;
};

}  // namespace skiff::cpu
