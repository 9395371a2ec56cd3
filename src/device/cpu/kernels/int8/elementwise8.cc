// Elementwise work on bytes.
#include "device/cpu/kernels/int8/dot.h"

namespace skiff::cpu::SKIFF_ISA {
namespace {

// kLanes bytes as integers.
typedef uint8_t few_u __attribute__((vector_size(kLanes), may_alias, aligned(1)));
typedef int8_t few_s __attribute__((vector_size(kLanes), may_alias, aligned(1)));
SKIFF_INLINE vi widen(const uint8_t* p, bool is_signed) {
  return is_signed ? __builtin_convertvector(*(const few_s*)p, vi)
                   : __builtin_convertvector(*(const few_u*)p, vi);
}

// Calls f(i, n) over [begin, end): n == kLanes elements from i on; the last ones through buffers of f's.
template <class F>
SKIFF_INLINE void lanes(int64_t begin, int64_t end, const F& f) {
  int64_t i = begin;
  for (; i + kLanes <= end; i += kLanes) f(i, kLanes);
  if (i < end) f(i, (int)(end - i));
}
SKIFF_INLINE vi widen_n(const uint8_t* p, bool is_signed, int n) {
  if (n == kLanes) return widen(p, is_signed);
  uint8_t t[kLanes] = {};
  for (int i = 0; i < n; i++) t[i] = p[i];
  return widen(t, is_signed);
}

// Rounds and clamps a real number of steps; NaN gives the zero point.
SKIFF_INLINE vi steps(vf v, const Bytes& b) {
  v = select(v == v, v, vf{});
  return to_int_nearest(min(b.high, max(b.low, v)));
}

}  // namespace

void q_binary(const QBinary& args, int64_t begin, int64_t end) {
  const QBinary p = args;
  QStore s;
  s.is_signed = p.is_signed;
  s.zero = p.y_zero;
  s.low = p.low;
  s.high = p.high;
  const Bytes bytes = bytes_of(s);
  const vi za = splat_i(p.a_zero), zb = splat_i(p.b_zero);
  const vf sa = splat(p.a_scale), sb = splat(p.b_scale);
  const int32_t single = p.b_single ? (p.is_signed ? (int8_t)p.b[0] : p.b[0]) : 0;
  lanes(begin, end, [&](int64_t i, int n) {
    const vi a = widen_n(p.a + i, p.is_signed, n) - za;
    const vi b = (p.b_single ? splat_i(single) : widen_n(p.b + i, p.is_signed, n)) - zb;
    vi v[1];
    if (p.multiply) {
      v[0] = steps(to_float(a * b) * sa, bytes);
    } else {
      v[0] = steps(rounded(to_float(a) * sa) + rounded(to_float(b) * sb), bytes);
    }
    store_bytes<1>(p.y + i, v, bytes, n);
  });
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
  lanes(0, channels, [&](int64_t c, int n) {
    vi s = load_n_i(sums + c, n);
    for (int64_t p = 0; p < pixels; p++) s += widen_n(x + p * channels + c, is_signed, n);
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
