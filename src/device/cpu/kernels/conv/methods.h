// The methods, one per source file, and what they share.
#pragma once
#include "device/cpu/kernels/conv/conv.h"
#include "device/cpu/kernels/gemm/engine.h"

namespace skiff::cpu::SKIFF_ISA {

extern const ConvMethod conv_igemm, conv_depthwise, conv_few_channels, conv_planar, conv_transpose,
    conv_winograd4, conv_winograd6;

SKIFF_INLINE int64_t taps_of(const ConvShape& s) { return s.kernel[0] * s.kernel[1] * s.kernel[2]; }
SKIFF_INLINE int64_t out_pixels(const ConvShape& s) { return s.batch * s.out[0] * s.out[1] * s.out[2]; }

// One 64-bit lane per row of a strip.
typedef int64_t v8 __attribute__((vector_size(kMaxRows * 8), may_alias));
typedef uint64_t vu8 __attribute__((vector_size(kMaxRows * 8), may_alias));
SKIFF_INLINE v8 splat8(int64_t x) { return x - v8{}; }
SKIFF_INLINE bool any8(v8 mask) {
#if defined(__AVX512F__)
  return _mm512_test_epi64_mask((__m512i)mask, (__m512i)mask) != 0;
#else
  int64_t s = 0;
  SKIFF_UNROLL for (int i = 0; i < kMaxRows; i++) s |= mask[i];
  return s != 0;
#endif
}

// A packed matrix B[k, n] whose element (row, column) is at(row, column), in the layout of
// GemmKernels::pack_b.
template <class At>
static inline void pack_matrix(int64_t k, int64_t n, float* packed, At at) {
  const int64_t width = (int64_t)panel_vectors(n) * kLanes;
  for (int64_t n0 = 0; n0 < n; n0 += width) {
    const int64_t columns = min64(width, n - n0), padded = round_up(columns, kUnit);
    float* out = packed + n0 * k;
    for (int64_t p = 0; p < k; p++, out += padded) {
      for (int64_t j = 0; j < columns; j++) out[j] = at(p, n0 + j);
      for (int64_t j = columns; j < padded; j++) out[j] = 0;
    }
  }
}
SKIFF_INLINE int64_t packed_floats(int64_t k, int64_t n) { return k * round_up(n, kUnit); }

// The epilogue of a part of the output that begins `floats` after its start, at output channel `channel`.
SKIFF_INLINE Epilogue epilogue_at(const Epilogue& e, int64_t pixel, int64_t channel) {
  Epilogue r = e;
  if (r.bias) r.bias += channel;
  if (r.residual) r.residual += pixel * e.ld_residual + channel;
  r.row_bias = nullptr;
  return r;
}

// What stands in for the pixels of the padding: as many zeros as one tap of one chunk reads.
static const float kZeros[kChunkMax] = {};

}  // namespace skiff::cpu::SKIFF_ISA
