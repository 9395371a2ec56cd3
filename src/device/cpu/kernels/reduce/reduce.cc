#include "device/cpu/kernels/reduce/reduce.h"

#include <math.h>

#include "device/cpu/kernels/reduce/pairwise.h"
#include "device/cpu/kernels/simd_math.h"

namespace skiff::cpu::SKIFF_ISA {
namespace {

// shift: for kLogSumExp the vector that is subtracted before exp.
template <ReduceOp kOp>
struct Step {
  SKIFF_INLINE vf identity() {
    if constexpr (kOp == ReduceOp::kMax) return splat(-INFINITY);
    if constexpr (kOp == ReduceOp::kMin) return splat(INFINITY);
    if constexpr (kOp == ReduceOp::kProd) return splat(1.0f);
    return vf{};
  }
  SKIFF_INLINE vf merge(vf a, vf b) {
    if constexpr (kOp == ReduceOp::kMax) return select(a != a, a, max(a, b));  // a NaN of b survives in max
    if constexpr (kOp == ReduceOp::kMin) return select(a != a, a, min(a, b));
    if constexpr (kOp == ReduceOp::kProd) return a * b;
    return a + b;
  }
  SKIFF_INLINE vf add(vf acc, vf x, [[maybe_unused]] vf shift) {
    if constexpr (kOp == ReduceOp::kL1) return acc + abs(x);
    if constexpr (kOp == ReduceOp::kL2 || kOp == ReduceOp::kSumSquare) return fma(x, x, acc);
    if constexpr (kOp == ReduceOp::kLogSumExp) return acc + exp(x - shift);
    return merge(acc, x);
  }
  SKIFF_INLINE vf finish(vf s, [[maybe_unused]] float count, [[maybe_unused]] vf shift) {
    if constexpr (kOp == ReduceOp::kMean) return s / count;
    if constexpr (kOp == ReduceOp::kL2) return sqrt(s);
    if constexpr (kOp == ReduceOp::kLogSum) return log(s);
    if constexpr (kOp == ReduceOp::kLogSumExp) return log(s) + shift;
    return s;
  }
};

// An infinite or NaN maximum cannot be subtracted; exp of the elements themselves then tells the same story.
SKIFF_INLINE vf finite_or_zero(vf m) { return select(abs(m) < INFINITY, m, vf{}); }

// Lanes moved down by kBy, around the end.
template <int kBy>
SKIFF_INLINE vf rotate(vf x) {
#define SKIFF_LANE(i) (i + kBy) % kLanes
#if defined(__AVX512F__)
  return __builtin_shufflevector(x, x, SKIFF_LANE(0), SKIFF_LANE(1), SKIFF_LANE(2), SKIFF_LANE(3),
                                 SKIFF_LANE(4), SKIFF_LANE(5), SKIFF_LANE(6), SKIFF_LANE(7), SKIFF_LANE(8),
                                 SKIFF_LANE(9), SKIFF_LANE(10), SKIFF_LANE(11), SKIFF_LANE(12),
                                 SKIFF_LANE(13), SKIFF_LANE(14), SKIFF_LANE(15));
#elif defined(__AVX2__)
  return __builtin_shufflevector(x, x, SKIFF_LANE(0), SKIFF_LANE(1), SKIFF_LANE(2), SKIFF_LANE(3),
                                 SKIFF_LANE(4), SKIFF_LANE(5), SKIFF_LANE(6), SKIFF_LANE(7));
#else
  return __builtin_shufflevector(x, x, SKIFF_LANE(0), SKIFF_LANE(1), SKIFF_LANE(2), SKIFF_LANE(3));
#endif
#undef SKIFF_LANE
}

template <ReduceOp kOp>
SKIFF_INLINE vf merge_lanes(vf x) {  // the result in every lane
  typedef Step<kOp> S;
  if constexpr (kLanes > 8) x = S::merge(x, rotate<8 % kLanes>(x));
  if constexpr (kLanes > 4) x = S::merge(x, rotate<4 % kLanes>(x));
  x = S::merge(x, rotate<2>(x));
  return S::merge(x, rotate<1>(x));
}

template <ReduceOp kOp>
vf row(const float* x, int64_t n, vf shift) {
  typedef Step<kOp> S;
  auto merge = [](vf a, vf b) { return S::merge(a, b); };
  Pairwise<1, decltype(merge)> parts;
  vf s[4];
  int64_t i = 0;
  for (; i + kSumBlock * kLanes <= n; i += kSumBlock * kLanes) {
    for (vf& v : s) v = S::identity();
    for (int64_t j = i; j < i + kSumBlock * kLanes; j += 4 * kLanes)
      for (int u = 0; u < 4; ++u) s[u] = S::add(s[u], load(x + j + u * kLanes), shift);
    parts.push({{merge(merge(s[0], s[1]), merge(s[2], s[3]))}}, merge);
  }
  for (vf& v : s) v = S::identity();
  for (; i + 2 * kLanes <= n; i += 2 * kLanes) {
    s[0] = S::add(s[0], load(x + i), shift);
    s[1] = S::add(s[1], load(x + i + kLanes), shift);
  }
  if (i + kLanes <= n) {
    s[2] = S::add(s[2], load(x + i), shift);
    i += kLanes;
  }
  if (i < n) {
    const int m = static_cast<int>(n - i);
    s[3] = select(iota() < splat_i(m), S::add(s[3], load_n(x + i, m), shift), s[3]);
  }
  return merge_lanes<kOp>(parts.total({{merge(merge(s[0], s[1]), merge(s[2], s[3]))}}, merge).v[0]);
}

// kV neighbouring vectors of columns; the last one has m lanes.
template <ReduceOp kOp, int kV>
Vectors<kV> columns(const float* x, int64_t stride, int64_t n, int m, const Vectors<kV>& shift) {
  typedef Step<kOp> S;
  auto merge = [](vf a, vf b) { return S::merge(a, b); };
  Pairwise<kV, decltype(merge)> parts;
  Vectors<kV> s;
  for (int64_t r = 0;;) {
    for (vf& v : s.v) v = S::identity();
    const int64_t stop = r + kSumBlock < n ? r + kSumBlock : n;
    for (; r < stop; ++r) {
      const float* p = x + r * stride;
      for (int u = 0; u + 1 < kV; ++u) s.v[u] = S::add(s.v[u], load(p + u * kLanes), shift.v[u]);
      s.v[kV - 1] = S::add(s.v[kV - 1], load_n(p + (kV - 1) * kLanes, m), shift.v[kV - 1]);
    }
    if (r >= n) break;
    parts.push(s, merge);
  }
  return parts.total(s, merge);
}

template <ReduceOp kOp, int kV>
void reduce_columns(const float* x, float* y, const ReduceParams& p, int m) {
  Vectors<kV> shift = {};
  if constexpr (kOp == ReduceOp::kLogSumExp) {
    shift = columns<ReduceOp::kMax, kV>(x, p.inner, p.reduced, m, shift);
    for (vf& v : shift.v) v = finite_or_zero(v);
  }
  const Vectors<kV> s = columns<kOp, kV>(x, p.inner, p.reduced, m, shift);
  for (int u = 0; u < kV; ++u) {
    const vf r = Step<kOp>::finish(s.v[u], static_cast<float>(p.reduced), shift.v[u]);
    store_n(y + u * kLanes, r, u + 1 < kV ? kLanes : m);
  }
}

template <ReduceOp kOp>
void reduce_as(const ReduceParams& p, int64_t begin, int64_t end) {
  if (p.inner == 1) {
    for (int64_t o = begin; o < end; ++o) {
      const float* x = p.x + o * p.reduced;
      vf shift = {};
      if constexpr (kOp == ReduceOp::kLogSumExp)
        shift = splat(finite_or_zero(row<ReduceOp::kMax>(x, p.reduced, shift))[0]);
      p.y[o] = Step<kOp>::finish(row<kOp>(x, p.reduced, shift), static_cast<float>(p.reduced), shift)[0];
    }
    return;
  }
  for (int64_t at = begin; at < end;) {
    const int64_t o = at / p.inner, c = at % p.inner;
    int64_t n = p.inner - c < end - at ? p.inner - c : end - at;
    const float* x = p.x + o * p.reduced * p.inner + c;
    if (n >= 4 * kLanes) {
      n = 4 * kLanes;
      reduce_columns<kOp, 4>(x, p.y + at, p, kLanes);
    } else {
      if (n > kLanes) n = kLanes;
      reduce_columns<kOp, 1>(x, p.y + at, p, static_cast<int>(n));
    }
    at += n;
  }
}

void reduce(ReduceOp op, const ReduceParams& p, int64_t begin, int64_t end) {
  switch (op) {
    case ReduceOp::kSum: return reduce_as<ReduceOp::kSum>(p, begin, end);
    case ReduceOp::kMean: return reduce_as<ReduceOp::kMean>(p, begin, end);
    case ReduceOp::kMax: return reduce_as<ReduceOp::kMax>(p, begin, end);
    case ReduceOp::kMin: return reduce_as<ReduceOp::kMin>(p, begin, end);
    case ReduceOp::kProd: return reduce_as<ReduceOp::kProd>(p, begin, end);
    case ReduceOp::kL1: return reduce_as<ReduceOp::kL1>(p, begin, end);
    case ReduceOp::kL2: return reduce_as<ReduceOp::kL2>(p, begin, end);
    case ReduceOp::kSumSquare: return reduce_as<ReduceOp::kSumSquare>(p, begin, end);
    case ReduceOp::kLogSum: return reduce_as<ReduceOp::kLogSum>(p, begin, end);
    case ReduceOp::kLogSumExp: return reduce_as<ReduceOp::kLogSumExp>(p, begin, end);
    default: return;
  }
}

// Positions are kept as int32, so a column is walked in runs of at most 2^30 rows.
constexpr int64_t kArgRun = int64_t{1} << 30;

// v (already negated for the minimum) against best: whether v wins.
SKIFF_INLINE vi wins(vf v, vf best, bool last) {
  const vi nan_v = v != v, nan_best = best != best;
  const vi better = last ? v >= best : v > best;
  return (nan_v & (last ? nan_v : ~nan_best)) | (better & ~nan_best);
}
SKIFF_INLINE bool wins_one(float v, float best, bool last) {
  if (v != v) return last || best == best;
  return best == best && (last ? v >= best : v > best);
}

int64_t arg_row(const float* x, int64_t n, const ArgParams& p) {
  const float sign = p.max ? 1.0f : -1.0f;
  float best = sign * x[0];
  int64_t where = 0, i = 1;
  for (; n - i >= kLanes;) {
    const int64_t run = n - i < kArgRun ? n - i : kArgRun;
    vf b = splat(best);
    vi w = splat_i(-1), k = iota();  // -1: what came before this run
    int64_t j = 0;
    for (; j + kLanes <= run; j += kLanes, k += kLanes) {
      const vf v = load(x + i + j) * sign;
      const vi m = wins(v, b, p.select_last);
      b = select(m, v, b);
      w = select_i(m, k, w);
    }
    // Among the lanes: the best, and of equals the first or the last.
    int64_t found = -1;
    for (int l = 0; l < kLanes; ++l) {
      if (w[l] < 0) continue;
      const bool both_nan = b[l] != b[l] && best != best;
      const bool equal = found >= 0 && (b[l] == best || both_nan);
      if (equal ? (p.select_last ? w[l] > found : w[l] < found) : wins_one(b[l], best, p.select_last)) {
        best = b[l];
        found = w[l];
      }
    }
    if (found >= 0) where = i + found;
    i += j;
  }
  for (; i < n; ++i)
    if (wins_one(sign * x[i], best, p.select_last)) {
      best = sign * x[i];
      where = i;
    }
  return where;
}

void arg_columns(const float* x, int64_t* y, const ArgParams& p, int m) {
  const float sign = p.max ? 1.0f : -1.0f;
  vf best = load_n(x, m) * sign;
  int64_t where[kLanes] = {};
  for (int64_t r0 = 1; r0 < p.reduced; r0 += kArgRun) {
    const int64_t stop = r0 + kArgRun < p.reduced ? r0 + kArgRun : p.reduced;
    vi w = splat_i(-1);
    for (int64_t r = r0; r < stop; ++r) {
      const vf v = load_n(x + r * p.inner, m) * sign;
      const vi win = wins(v, best, p.select_last);
      best = select(win, v, best);
      w = select_i(win, splat_i(static_cast<int32_t>(r - r0)), w);
    }
    for (int l = 0; l < m; ++l)
      if (w[l] >= 0) where[l] = r0 + w[l];
  }
  for (int l = 0; l < m; ++l) y[l] = where[l];
}

void arg(const ArgParams& p, int64_t begin, int64_t end) {
  if (p.reduced <= 0) return;
  if (p.inner == 1) {
    for (int64_t o = begin; o < end; ++o) p.y[o] = arg_row(p.x + o * p.reduced, p.reduced, p);
    return;
  }
  for (int64_t at = begin; at < end;) {
    const int64_t o = at / p.inner, c = at % p.inner;
    int64_t n = p.inner - c < end - at ? p.inner - c : end - at;
    if (n > kLanes) n = kLanes;
    arg_columns(p.x + o * p.reduced * p.inner + c, p.y + at, p, static_cast<int>(n));
    at += n;
  }
}

void cumsum(const CumsumParams& p, int64_t begin, int64_t end) {
  if (p.axis == 0) return;
  const int64_t step = p.reverse ? -p.inner : p.inner;
  for (int64_t at = begin; at < end;) {
    const int64_t o = at / p.inner, c = at % p.inner;
    int64_t n = p.inner - c < end - at ? p.inner - c : end - at;
    const int64_t first = (o * p.axis + (p.reverse ? p.axis - 1 : 0)) * p.inner + c;
    const float* x = p.x + first;
    float* y = p.y + first;
    if (n == 1) {
      float s = 0;
      for (int64_t i = 0; i < p.axis; ++i, x += step, y += step) {
        const float v = *x;
        *y = p.exclusive ? s : s + v;
        s += v;
      }
    } else {
      if (n > kLanes) n = kLanes;
      const int m = static_cast<int>(n);
      vf s = {};
      for (int64_t i = 0; i < p.axis; ++i, x += step, y += step) {
        const vf v = load_n(x, m);
        store_n(y, p.exclusive ? s : s + v, m);
        s += v;
      }
    }
    at += n;
  }
}

}  // namespace

extern const ReduceKernels reduce_kernels;
const ReduceKernels reduce_kernels = {reduce, arg, cumsum};

}  // namespace skiff::cpu::SKIFF_ISA
