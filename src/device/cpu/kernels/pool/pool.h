// Max, average and global pooling of f32 images, NHWC and NCHW. 1-D pooling is h = 1.
#pragma once
#include <stddef.h>
#include <stdint.h>

namespace skiff::cpu {

// Windows start at o * stride - pad_begin; output sizes are the caller's (ceil_mode is just a larger oh, ow;
// every window must touch the padded input). The maximum of a window that holds no input is -inf, NaN counts
// as larger than all; an average divides by the elements inside the image, or with count_include_pad by those
// inside the padded image (pad_end matters only there), as ONNX says.
struct PoolParams {
  const float* x;
  float* y;
  int64_t n, c, h, w, oh, ow;
  int64_t kh, kw;
  int64_t stride_h, stride_w;
  int64_t dilation_h, dilation_w;
  int64_t pad_top, pad_left, pad_bottom, pad_right;
  bool count_include_pad;
  // NHWC only: floats between neighbouring pixels of x and of y; c if dense. Lets a pool read from or write
  // into a slice of a wider tensor.
  int64_t x_pixel, y_pixel;
};

// Scratch of the NCHW kernels, per thread: two rows.
static inline size_t pool_nchw_scratch_bytes(const PoolParams& p) {
  return static_cast<size_t>(2 * p.w) * sizeof(float);
}

struct PoolKernels {
  // Units: n*oh rows of output.
  void (*max_nhwc)(const PoolParams& p, int64_t begin, int64_t end);
  void (*average_nhwc)(const PoolParams& p, int64_t begin, int64_t end);
  // Units: n*c planes.
  void (*max_nchw)(const PoolParams& p, void* scratch, int64_t begin, int64_t end);
  void (*average_nchw)(const PoolParams& p, void* scratch, int64_t begin, int64_t end);
};
// Global pooling is a reduction: (n, h*w, c) in NHWC, (n*c, h*w, 1) in NCHW; see reduce.h.

}  // namespace skiff::cpu
