#include "device/cpu/kernels/nbits/nbits.h"

#include "device/cpu/kernels/simd.h"

namespace skiff::cpu::SKIFF_ISA {
namespace {

SKIFF_INLINE int64_t ceil_div(int64_t a, int64_t b) { return (a + b - 1) / b; }

// A panel holds kLanes columns: for each block the scales, the zero points, then words of 32 / bits
// successive values of a column, one word a lane.
struct Layout {
  int64_t per_word, words, blocks, block_bytes;
};
SKIFF_INLINE Layout layout_of(int64_t k, int64_t block, int64_t bits) {
  Layout l;
  l.per_word = 32 / bits;
  l.words = block / l.per_word;
  l.blocks = ceil_div(k, block);
  l.block_bytes = (2 + l.words) * (int64_t)sizeof(vi);
  return l;
}

size_t packed_bytes(const NBitsWeights& w) {
  const Layout l = layout_of(w.k, w.block, w.bits);
  return (size_t)(ceil_div(w.n, kLanes) * l.blocks * l.block_bytes);
}

void pack(const NBitsWeights& w, void* packed) {
  const Layout l = layout_of(w.k, w.block, w.bits);
  uint8_t* dst = (uint8_t*)packed;
  const int64_t bytes = w.block * w.bits / 8;
  for (int64_t p = 0; p < ceil_div(w.n, kLanes); p++)
    for (int64_t b = 0; b < l.blocks; b++, dst += l.block_bytes) {
      float* scale = (float*)dst;
      uint32_t* words = (uint32_t*)(dst + 2 * sizeof(vi));
      for (int64_t j = 0; j < kLanes; j++) {
        const int64_t column = p * kLanes + j, at = column * l.blocks + b;
        const bool there = column < w.n;
        scale[j] = there ? w.scale[at] : 0;
        scale[kLanes + j] = there ? w.zero[at] : 0;
        for (int64_t i = 0; i < l.words; i++) {
          uint32_t v = 0;
          if (there) memcpy(&v, w.q + at * bytes + 4 * i, 4);
          words[i * kLanes + j] = v;
        }
      }
    }
}

void block_sums(const NBitsArgs& g, float* sums) {
  for (int64_t i = 0; i < g.m; i++)
    for (int64_t k = 0; k < g.k; k += g.block) {
      float s = 0;
      for (int64_t p = k; p < g.k && p < k + g.block; p++) s += g.a[i * g.k + p];
      *sums++ = s;
    }
}

template <int kBits, int kRowCount>
void panel(const NBitsArgs& g, int64_t row, int64_t p) {
  constexpr int kPerWord = 32 / kBits;
  // Several sums a row, so that additions need not wait for each other.
  constexpr int kSums = kRowCount == 1 ? 4 : 1;
  constexpr uint32_t kMask = (1u << kBits) - 1;
  const Layout l = layout_of(g.k, g.block, kBits);
  const uint8_t* src = (const uint8_t*)g.packed + p * l.blocks * l.block_bytes;
  const float* a = g.a + row * g.k;
  vf total[kRowCount] = {};
  for (int64_t b = 0; b < l.blocks; b++, src += l.block_bytes) {
    const int64_t k0 = b * g.block, left = g.k - k0;
    const int32_t* words = (const int32_t*)(src + 2 * sizeof(vi));
    vf sum[kRowCount][kSums] = {};
    int64_t w = 0;
    for (; w < l.words && (w + 1) * kPerWord <= left; w++) {
      const vi word = load_i(words + w * kLanes);
      SKIFF_UNROLL for (int i = 0; i < kPerWord; i++) {
        const vf q = to_float(shr_logical(word, kBits * i) & (int32_t)kMask);
        SKIFF_UNROLL for (int r = 0; r < kRowCount; r++) sum[r][i % kSums] =
            fma(splat(a[r * g.k + k0 + w * kPerWord + i]), q, sum[r][i % kSums]);
      }
    }
    for (; w < l.words && w * kPerWord < left; w++) {
      const vi word = load_i(words + w * kLanes);
      for (int i = 0; w * kPerWord + i < left; i++) {
        const vf q = to_float(shr_logical(word, kBits * i) & (int32_t)kMask);
        for (int r = 0; r < kRowCount; r++)
          sum[r][0] = fma(splat(a[r * g.k + k0 + w * kPerWord + i]), q, sum[r][0]);
      }
    }
    const vf scale = load((const float*)src), zero = load((const float*)src + kLanes);
    SKIFF_UNROLL for (int r = 0; r < kRowCount; r++) {
      vf s = sum[r][0];
      SKIFF_UNROLL for (int i = 1; i < kSums; i++) s += sum[r][i];
      s -= zero * splat(g.sums[(row + r) * l.blocks + b]);
      total[r] = fma(s, scale, total[r]);
    }
  }
  const int64_t j = p * kLanes;
  const int n = g.n - j < kLanes ? (int)(g.n - j) : kLanes;
  SKIFF_UNROLL for (int r = 0; r < kRowCount; r++) {
    if (g.bias) total[r] += load_n(g.bias + j, n);
    store_n(g.c + (row + r) * g.n + j, total[r], n);
  }
}

template <int kBits>
void panels(const NBitsArgs& g, int64_t p0, int64_t p1) {
  for (int64_t p = p0; p < p1; p++) {
    int64_t i = 0;
    for (; i + 4 <= g.m; i += 4) panel<kBits, 4>(g, i, p);
    for (; i < g.m; i++) panel<kBits, 1>(g, i, p);
  }
}

void run(const NBitsArgs& g, int64_t p0, int64_t p1) {
  if (g.bits == 4) return panels<4>(g, p0, p1);
  if (g.bits == 8) return panels<8>(g, p0, p1);
  panels<2>(g, p0, p1);
}

}  // namespace

extern const NBitsKernels nbits_kernels;
const NBitsKernels nbits_kernels = {kLanes, packed_bytes, pack, block_sums, run};

}  // namespace skiff::cpu::SKIFF_ISA
