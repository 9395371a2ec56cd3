#include "device/cpu/kernels/gemm/tile.h"

namespace skiff::cpu::SKIFF_ISA {
namespace {

template <int Rows, int Vectors, bool Add>
SKIFF_INLINE void finish(const TileArgs& args, const vf (&sum)[Rows][Vectors]) {
  const TileArgs t = args;  // its own copy: a store to C cannot change it
  const vf low = splat(t.low), high = splat(t.high), alpha = splat(t.alpha);
  SKIFF_UNROLL for (int j = 0; j < Vectors; j++) {
    const bool whole = j < Vectors - 1 || t.last == kLanes;
    vf bias = {};
    if (t.bias) bias = whole ? load(t.bias + j * kLanes) : load_n(t.bias + j * kLanes, t.last);
    SKIFF_UNROLL for (int i = 0; i < Rows; i++) {
      vf v = fma(sum[i][j], alpha, bias);
      if constexpr (Add) {
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

template <int Rows, int Vectors>
void tile(const TileArgs& t) {
  vf sum[Rows][Vectors];
  SKIFF_UNROLL for (int i = 0; i < Rows; i++) {
    SKIFF_UNROLL for (int j = 0; j < Vectors; j++) sum[i][j] = vf{};
  }
  const float* b = t.b;
  for (int64_t tap = 0; tap < t.taps; tap++) {
    const float* const* rows = t.a + tap * kMaxRows;
    if (!rows[0]) {
      b += t.k * (Vectors * kLanes);
      continue;
    }
    const float* a[Rows];
    SKIFF_UNROLL for (int i = 0; i < Rows; i++) a[i] = rows[i];
    const int64_t end = t.k * t.a_step;
    for (int64_t at = 0; at < end; at += t.a_step) {
      vf w[Vectors];
      SKIFF_UNROLL for (int j = 0; j < Vectors; j++) w[j] = load(b + j * kLanes);
      SKIFF_UNROLL for (int i = 0; i < Rows; i++) {
        const vf x = splat(a[i][at]);
        SKIFF_UNROLL for (int j = 0; j < Vectors; j++) sum[i][j] = fma(x, w[j], sum[i][j]);
      }
      b += Vectors * kLanes;
    }
  }
  if (t.add) {
    finish<Rows, Vectors, true>(t, sum);
  } else {
    finish<Rows, Vectors, false>(t, sum);
  }
}

template <int Rows, int Vectors>
constexpr TileFn tile_or_null() {
  if constexpr (Rows <= kTileRows[Vectors]) return tile<Rows, Vectors>;
  return nullptr;
}

}  // namespace

#define SKIFF_TILES(v)                                                                         \
  {                                                                                            \
    tile_or_null<1, v>(), tile_or_null<2, v>(), tile_or_null<3, v>(), tile_or_null<4, v>(),    \
        tile_or_null<5, v>(), tile_or_null<6, v>(), tile_or_null<7, v>(), tile_or_null<8, v>() \
  }
extern const TileFn gemm_tiles[kMaxVectors][kMaxRows] = {SKIFF_TILES(1), SKIFF_TILES(2)
#if defined(__AVX512F__) || defined(__aarch64__)
                                                                             ,
                                                         SKIFF_TILES(3), SKIFF_TILES(4)
#endif
};

}  // namespace skiff::cpu::SKIFF_ISA
