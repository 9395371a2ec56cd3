#include "device/cpu/kernels/gemm/tile.h"

namespace skiff::cpu::SKIFF_ISA {
namespace {

#if defined(__AVX512F__)
// The lower half of a vector; see kUnit.
typedef float vh __attribute__((vector_size(kUnit * 4), may_alias));
typedef float vh_unaligned __attribute__((vector_size(kUnit * 4), may_alias, aligned(4)));
SKIFF_INLINE vh lower(vf x) { return __builtin_shufflevector(x, x, 0, 1, 2, 3, 4, 5, 6, 7); }
SKIFF_INLINE __mmask8 first_of_half(int n) { return (__mmask8)((1u << n) - 1u); }
SKIFF_INLINE vh load_half(const float* p, int n) {
  return n == kUnit ? (vh) * (const vh_unaligned*)p : (vh)_mm256_maskz_loadu_ps(first_of_half(n), p);
}
SKIFF_INLINE void store_half(float* p, vh x, int n) {
  if (n == kUnit) {
    *(vh_unaligned*)p = x;
  } else {
    _mm256_mask_storeu_ps(p, first_of_half(n), (__m256)x);
  }
}
SKIFF_INLINE vh clip(vh x, vf low, vf high) {
  return (vh)_mm256_min_ps((__m256)lower(high), _mm256_max_ps((__m256)lower(low), (__m256)x));
}
constexpr bool kHalves = true;
#else
constexpr bool kHalves = false;
#endif

// One form with and without something to add: the branches are foreseen, and the stores take longer.
template <int Rows, int Vectors, bool Last>
SKIFF_INLINE void finish(const TileArgs& t, const vf (&sum)[Rows][Vectors]) {
  const vf low = splat(t.low), high = splat(t.high), alpha = splat(t.alpha);
  SKIFF_UNROLL for (int j = 0; j < Vectors; j++) {
    const bool whole = !Last || j < Vectors - 1 || t.last == kLanes;
    vf bias = {};
    if (t.bias) bias = whole ? load(t.bias + j * kLanes) : load_n(t.bias + j * kLanes, t.last);
    SKIFF_UNROLL for (int i = 0; i < Rows; i++) {
      vf v = fma(sum[i][j], alpha, bias);
      if (t.add) {
        const float* p = t.add + i * t.ld_add + j * kLanes;
        v += whole ? load(p) : load_n(p, t.last);
      }
      v = min(high, max(low, v));
      float* c = t.c + i * t.ldc + j * kLanes;
      if (whole) {
        store(c, v);
      } else {
        store_n(c, v, t.last);
      }
    }
  }
}

#if defined(__AVX512F__)
template <int Rows>
SKIFF_INLINE void finish_half(const TileArgs& t, const vh (&sum)[Rows], int column) {
  const vf low = splat(t.low), high = splat(t.high);
  const vh bias = t.bias ? load_half(t.bias + column, t.last) : vh{};
  SKIFF_UNROLL for (int i = 0; i < Rows; i++) {
    vh v = sum[i] * t.alpha + bias;
    if (t.add) v += load_half(t.add + i * t.ld_add + column, t.last);
    store_half(t.c + i * t.ldc + column, clip(v, low, high), t.last);
  }
}
#else
struct vh {};
#endif

template <int Rows, int Units>
void tile(const TileArgs& args) {
  constexpr bool kHalf = Units % kVectorUnits != 0;
  constexpr int Vectors = Units / kVectorUnits;
  static_assert(!kHalf || kHalves);
  vf sum[Rows][Vectors + (Vectors == 0)];
  vh half[Rows];
  SKIFF_UNROLL for (int i = 0; i < Rows; i++) {
    SKIFF_UNROLL for (int j = 0; j < Vectors; j++) sum[i][j] = vf{};
    half[i] = vh{};
  }
  const float* b = args.b;
  for (int64_t tap = 0; tap < args.taps; tap++) {
    const float* const* rows = args.a + tap * kMaxRows;
    if (!rows[0]) {
      b += args.k * (Units * kUnit);
      continue;
    }
    const float* a[Rows];
    SKIFF_UNROLL for (int i = 0; i < Rows; i++) a[i] = rows[i];
    const int64_t step = args.a_step, end = args.k * step;
    for (int64_t at = 0; at < end; at += step) {
      vf w[Vectors + (Vectors == 0)];
      SKIFF_UNROLL for (int j = 0; j < Vectors; j++) w[j] = load(b + j * kLanes);
#if defined(__AVX512F__)
      vh last = {};
      if constexpr (kHalf) last = *(const vh_unaligned*)(b + Vectors * kLanes);
#endif
      SKIFF_UNROLL for (int i = 0; i < Rows; i++) {
        const vf x = splat(a[i][at]);
        SKIFF_UNROLL for (int j = 0; j < Vectors; j++) sum[i][j] = fma(x, w[j], sum[i][j]);
#if defined(__AVX512F__)
        if constexpr (kHalf) half[i] = lower(x) * last + half[i];
#endif
      }
      b += Units * kUnit;
    }
  }
  const TileArgs t = args;  // its own copy: a store to C cannot change it
  if constexpr (Vectors > 0) finish<Rows, Vectors, !kHalf>(t, sum);
#if defined(__AVX512F__)
  if constexpr (kHalf) finish_half<Rows>(t, half, Vectors * kLanes);
#endif
}

template <int Rows, int Units>
constexpr TileFn tile_or_null() {
  if constexpr (Rows <= kTileRows[(Units + kVectorUnits - 1) / kVectorUnits]) return tile<Rows, Units>;
  return nullptr;
}

}  // namespace

#define SKIFF_TILES(v)                                                                         \
  {                                                                                            \
    tile_or_null<1, v>(), tile_or_null<2, v>(), tile_or_null<3, v>(), tile_or_null<4, v>(),    \
        tile_or_null<5, v>(), tile_or_null<6, v>(), tile_or_null<7, v>(), tile_or_null<8, v>() \
  }
extern const TileFn gemm_tiles[kMaxUnits][kMaxRows] = {
    SKIFF_TILES(1), SKIFF_TILES(2),
#if defined(__AVX512F__) || defined(__aarch64__)
    SKIFF_TILES(3), SKIFF_TILES(4),
#endif
#if defined(__AVX512F__)
    SKIFF_TILES(5), SKIFF_TILES(6), SKIFF_TILES(7), SKIFF_TILES(8),
#endif
};

}  // namespace skiff::cpu::SKIFF_ISA
