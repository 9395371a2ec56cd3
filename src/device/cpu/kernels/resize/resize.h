// Resizing of f32 images by tables the caller computes per axis: nearest, linear, cubic, antialiased, any
// coordinate transformation. NHWC and NCHW.
#pragma once
#include <stddef.h>
#include <stdint.h>

namespace skiff::cpu {

// One output coordinate is the sum of `taps` input coordinates with weights; taps = 1 with null weight copies
// (nearest). All indices must be inside the input: clamp them, or give weight 0 to those outside.
struct ResizeAxis {
  int64_t taps;
  const int32_t* index;  // [out][taps]
  const float* weight;   // [out][taps] or null for 1
};

struct ResizeParams {
  const float* x;
  float* y;
  int64_t n, c, h, w, oh, ow;
  ResizeAxis rows, columns;  // along h and w
};

// Scratch per thread.
static inline size_t resize_scratch_bytes(const ResizeParams& p, bool nhwc) {
  return static_cast<size_t>(p.w * (nhwc ? p.c : 1)) * sizeof(float);
}

struct ResizeKernels {
  // First the rows of an output row are blended, then its columns. Units: n*oh (NHWC), n*c*oh (NCHW).
  void (*nhwc)(const ResizeParams& p, void* scratch, int64_t begin, int64_t end);
  void (*nchw)(const ResizeParams& p, void* scratch, int64_t begin, int64_t end);
};

}  // namespace skiff::cpu
