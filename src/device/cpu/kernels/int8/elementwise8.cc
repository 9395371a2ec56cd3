// Elementwise work on bytes.
#include "device/cpu/kernels/int8/dot.h"

namespace skiff::cpu::SKIFF_ISA {
namespace {

// kLanes bytes as integers, after flipping bits: s8 is read as u8 with its top bit flipped, 128 too large.
typedef uint8_t few __attribute__((vector_size(kLanes), may_alias));
typedef few few_unaligned __attribute__((aligned(1)));
SKIFF_INLINE vi widen(few x, few flip) { return __builtin_convertvector(x ^ flip, vi); }
SKIFF_INLINE few flip_of(bool is_signed) {
  const uint8_t flip = is_signed ? 128 : 0;
  return flip - few{};
}

// Calls f(i, n) over [begin, end): n == kLanes elements from i on; the last ones through buffers of f's.
template <class F>
SKIFF_INLINE void lanes(int64_t begin, int64_t end, const F& f) {
  int64_t i = begin;
  for (; i + kLanes <= end; i += kLanes) f(i, kLanes);
  if (i < end) f(i, (int)(end - i));
}
SKIFF_INLINE few load_few(const uint8_t* p, int n) {
  if (n == kLanes) return *(const few_unaligned*)p;
  few x = {};
  for (int i = 0; i < n; i++) x[i] = p[i];
  return x;
}

}  // namespace

namespace {

// Four vectors of neighbours as bytes, or one.
template <int V>
SKIFF_INLINE void store_neighbours(uint8_t* p, vi (&v)[V], const Bytes& b, int n) {
#if defined(__AVX512F__)
  if constexpr (V == 4) {
    const __m512i zero = _mm512_packs_epi32((__m512i)b.zero, (__m512i)b.zero);
    const __m512i x = _mm512_adds_epi16(_mm512_packs_epi32((__m512i)v[0], (__m512i)v[1]), zero);
    const __m512i y = _mm512_adds_epi16(_mm512_packs_epi32((__m512i)v[2], (__m512i)v[3]), zero);
    // Packing left each 128-bit run with four bytes of every vector: gather them.
    const vi r = (vi)(b.is_signed ? _mm512_packs_epi16(x, y) : _mm512_packus_epi16(x, y));
    store_lanes(p, __builtin_shufflevector(r, r, 0, 4, 8, 12, 1, 5, 9, 13, 2, 6, 10, 14, 3, 7, 11, 15));
    return;
  }
#endif
  SKIFF_UNROLL for (int i = 0; i < V; i++) {
    const vi one[1] = {v[i]};
    store_bytes<1>(p + i * kLanes, one, b, V == 1 ? n : kLanes);
  }
}

template <bool kMultiply>
void binary(const QBinary& args, int64_t i, int64_t end) {
  const uint8_t *pa = args.a, *pb = args.b;
  uint8_t* py = args.y;
  const bool is_signed = args.is_signed, single = args.b_single;
  QStore s;
  s.is_signed = is_signed;
  s.zero = args.y_zero;
  s.low = args.low;
  s.high = args.high;
  const Bytes bytes = bytes_of(s);
  const int32_t shift = is_signed ? 128 : 0;
  const few flip = flip_of(is_signed);
  const vi za = splat_i(args.a_zero + shift), zb = splat_i(args.b_zero + shift);
  const vf sa = splat(args.a_scale), sb = splat(args.b_scale);
  const few b0 = pb[0] - few{};
  const auto value = [&](int64_t at, int n) {
    const vi a = widen(load_few(pa + at, n), flip) - za;
    const vi b = widen(single ? b0 : load_few(pb + at, n), flip) - zb;
    vf v;
    if constexpr (kMultiply) {
      v = to_float(a * b) * sa;
    } else {
      v = rounded(to_float(a) * sa) + rounded(to_float(b) * sb);
    }
    return to_int_nearest(min(bytes.high, max(bytes.low, v)));
  };
  constexpr int kStep = 4;
  for (; i + kStep * kLanes <= end; i += kStep * kLanes) {
    vi v[kStep];
    SKIFF_UNROLL for (int k = 0; k < kStep; k++) v[k] = value(i + k * kLanes, kLanes);
    store_neighbours<kStep>(py + i, v, bytes, kLanes);
  }
  lanes(i, end, [&](int64_t at, int n) {
    vi v[1] = {value(at, n)};
    store_neighbours<1>(py + at, v, bytes, n);
  });
}

}  // namespace

void q_binary(const QBinary& p, int64_t begin, int64_t end) {
  if (p.multiply) {
    binary<true>(p, begin, end);
  } else {
    binary<false>(p, begin, end);
  }
}

void q_lookup(const uint8_t* table, const uint8_t* x, uint8_t* y, int64_t n) {
  int64_t i = 0;
#if defined(__AVX512BW__)
  // 256 entries are 16 rows of 16: a row is chosen by the high bits, an entry by the low ones.
  vb rows[16];
  SKIFF_UNROLL for (int r = 0; r < 16; r++) {
    SKIFF_UNROLL for (int k = 0; k < 4; k++) memcpy((uint8_t*)&rows[r] + 16 * k, table + 16 * r, 16);
  }
  for (; i + 64 <= n; i += 64) {
    const vb v = *(const vb_unaligned*)(x + i), at = v & 15, high = v >> 4;
    vb r = {};
    SKIFF_UNROLL for (int k = 0; k < 16; k++) r |= (vb)_mm512_maskz_shuffle_epi8(
        _mm512_cmpeq_epi8_mask((__m512i)high, (__m512i)(vb)(vi)splat_i(k * 0x01010101)), (__m512i)rows[k],
        (__m512i)at);
    *(vb_unaligned*)(y + i) = r;
  }
#endif
  for (; i < n; i++) y[i] = table[x[i]];
}

void q_add_pixels(const uint8_t* x, bool is_signed, int64_t pixels, int64_t channels, int32_t* sums) {
  const few flip = flip_of(is_signed);
  const vi shift = splat_i((int32_t)(pixels * (is_signed ? 128 : 0)));
  lanes(0, channels, [&](int64_t c, int n) {
    vi s = load_n_i(sums + c, n) - shift;
    for (int64_t p = 0; p < pixels; p++) s += widen(load_few(x + p * channels + c, n), flip);
    store_n_i(sums + c, s, n);
  });
}

void q_max(const uint8_t* x, bool is_signed, int64_t n, uint8_t* best) {
  if (is_signed) {
    const int8_t* s = (const int8_t*)x;
    int8_t* b = (int8_t*)best;
    for (int64_t i = 0; i < n; i++) b[i] = s[i] > b[i] ? s[i] : b[i];
  } else {
    for (int64_t i = 0; i < n; i++) best[i] = x[i] > best[i] ? x[i] : best[i];
  }
}

void q_range(const float* x, int64_t n, float* low, float* high) {
  vf lo = {}, hi = {};
  lanes(0, n, [&](int64_t i, int k) {
    const vf v = load_n(x + i, k);
    lo = min(v, lo);
    hi = max(v, hi);
  });
  *low = min_lanes(lo);
  *high = max_lanes(hi);
}

}  // namespace skiff::cpu::SKIFF_ISA
