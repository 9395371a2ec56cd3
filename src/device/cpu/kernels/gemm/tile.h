// The innermost loop of every matrix product and convolution: a tile of C of up to 8 rows and up to 4 vectors
// of columns, held in registers, summed over taps x k. A matrix product has one tap; a convolution has one
// per kernel position, and the rows of A may then lie anywhere. Columns are counted in units: half a vector
// where half vectors run at twice the rate of whole ones (512 bits), so that 24 columns cost 1.5 vectors.
#pragma once
#include "device/cpu/kernels/gemm/gemm.h"
#include "device/cpu/kernels/simd_math.h"

namespace skiff::cpu::SKIFF_ISA {

// Registers: rows * vectors accumulators, one vector of B each and one broadcast element of A.
constexpr int kMaxRows = 8;
#if defined(__AVX512F__) || defined(__aarch64__)
constexpr int kMaxVectors = 4;
constexpr int kTileRows[kMaxVectors + 1] = {0, 8, 8, 8, 6};
#elif defined(__AVX2__)
constexpr int kMaxVectors = 2;
constexpr int kTileRows[kMaxVectors + 1] = {0, 8, 6};
#else
constexpr int kMaxVectors = 2;
constexpr int kTileRows[kMaxVectors + 1] = {0, 8, 4};
#endif

#if defined(__AVX512F__)
constexpr int kUnit = kLanes / 2;
#else
constexpr int kUnit = kLanes;
#endif
constexpr int kVectorUnits = kLanes / kUnit;
constexpr int kMaxUnits = kMaxVectors * kVectorUnits;

struct TileArgs {
  const float* const* a;  // [taps][kMaxRows] pointers to the first element of each row; row 0 null: the tap
                          // is all padding and is skipped
  int64_t taps, k;
  int64_t a_step;  // distance of an element of A from the next
  const float* b;  // packed: [taps][k][units * kUnit]
  float* c;
  int64_t ldc;
  const float* add;  // null, or what is added to the sum, with row stride ld_add; may be c
  int64_t ld_add;
  const float* bias;  // null, or one per column
  float alpha;
  float low, high;  // the result is clipped to these; NaN passes
  int last;         // columns used of the last vector or half vector: 1..kLanes, 1..kUnit
};

typedef void (*TileFn)(const TileArgs&);
// By units - 1 and rows - 1.
extern const TileFn gemm_tiles[kMaxUnits][kMaxRows];

// Panels are as even as whole vectors allow, so that the last one is not a sliver: 6 vectors are cut 3 + 3,
// not 4 + 2.
SKIFF_INLINE int panel_vectors(int64_t n) {
  const int64_t vectors = (n + kLanes - 1) / kLanes, panels = (vectors + kMaxVectors - 1) / kMaxVectors;
  return panels ? (int)((vectors + panels - 1) / panels) : 1;
}

SKIFF_INLINE int64_t min64(int64_t a, int64_t b) { return a < b ? a : b; }
SKIFF_INLINE int64_t max64(int64_t a, int64_t b) { return a > b ? a : b; }
SKIFF_INLINE int64_t ceil_div(int64_t a, int64_t b) { return (a + b - 1) / b; }
SKIFF_INLINE int64_t round_up(int64_t a, int64_t b) { return ceil_div(a, b) * b; }

}  // namespace skiff::cpu::SKIFF_ISA
