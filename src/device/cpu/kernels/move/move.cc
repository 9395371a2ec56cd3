#include "device/cpu/kernels/move/move.h"

#include <string.h>

namespace skiff::cpu::SKIFF_ISA {
namespace {

// Elements are moved as words that may alias any type and need no alignment.
#define SKIFF_WORD __attribute__((may_alias, packed))
struct SKIFF_WORD W1 {
  uint8_t v;
};
struct SKIFF_WORD W2 {
  uint16_t v;
};
struct SKIFF_WORD W4 {
  uint32_t v;
};
struct SKIFF_WORD W8 {
  uint64_t v;
};
struct SKIFF_WORD W16 {
  uint64_t v[2];
};
#undef SKIFF_WORD

struct Walk {
  int rank;
  const int64_t* dims;
  const int64_t* ss;
  const int64_t* ds;
};

template <class T>
inline void copy_run(const T* src, int64_t ss, T* dst, int64_t ds, int64_t n) {
  if (ds == 1 && ss == 1) {
    memcpy(static_cast<void*>(dst), static_cast<const void*>(src), static_cast<size_t>(n) * sizeof(T));
  } else if (ds == 1 && ss == 0) {
    const T v = *src;
    for (int64_t i = 0; i < n; ++i) dst[i] = v;
  } else {
    for (int64_t i = 0; i < n; ++i) dst[i * ds] = src[i * ss];
  }
}

template <class T>
void copy_walk(const Walk& w, const void* src_, void* dst_, int64_t begin, int64_t end) {
  const T* src = static_cast<const T*>(src_);
  T* dst = static_cast<T*>(dst_);
  const int last = w.rank - 1;
  const int64_t n = w.dims[last], ss = w.ss[last], ds = w.ds[last];
  if (begin >= end) return;
  int64_t at[kMaxLoopDims];
  int64_t rest = begin;
  for (int d = last; d >= 0; --d) {
    at[d] = rest % w.dims[d];
    rest /= w.dims[d];
  }
  while (begin < end) {
    const T* s = src;
    T* t = dst;
    for (int d = 0; d <= last; ++d) {
      s += at[d] * w.ss[d];
      t += at[d] * w.ds[d];
    }
    if (at[last] == 0 && last > 0 && end - begin >= n) {
      // Whole rows of the two innermost dims, as many as there are, without recomputing the position.
      int64_t rows = w.dims[last - 1] - at[last - 1];
      if (rows > (end - begin) / n) rows = (end - begin) / n;
      for (int64_t r = 0; r < rows; ++r) {
        copy_run(s, ss, t, ds, n);
        s += w.ss[last - 1];
        t += w.ds[last - 1];
      }
      begin += rows * n;
      at[last - 1] += rows;
    } else {
      int64_t run = n - at[last];
      if (run > end - begin) run = end - begin;
      copy_run(s, ss, t, ds, run);
      begin += run;
      at[last] = 0;  // either the row is done or the range is
      if (last > 0) ++at[last - 1];
    }
    for (int d = last - 1; d > 0 && at[d] == w.dims[d]; --d) {
      at[d] = 0;
      ++at[d - 1];
    }
  }
}

void copy_any(int elem_size, const Walk& w, const void* src, void* dst, int64_t begin, int64_t end) {
  switch (elem_size) {
    case 1: return copy_walk<W1>(w, src, dst, begin, end);
    case 2: return copy_walk<W2>(w, src, dst, begin, end);
    case 4: return copy_walk<W4>(w, src, dst, begin, end);
    case 8: return copy_walk<W8>(w, src, dst, begin, end);
    default: return copy_walk<W16>(w, src, dst, begin, end);
  }
}

// dst[r*drow + c] = src[r + c*scol] for r < rows, c < cols.
template <class T, int K>
void few_cols(const T* src, int64_t scol, T* dst, int64_t drow, int64_t rows) {
  for (int64_t r = 0; r < rows; ++r)
    for (int c = 0; c < K; ++c) dst[r * drow + c] = src[r + c * scol];
}
template <class T, int K>
void few_rows(const T* src, int64_t scol, T* dst, int64_t drow, int64_t cols) {
  for (int64_t c = 0; c < cols; ++c)
    for (int r = 0; r < K; ++r) dst[r * drow + c] = src[r + c * scol];
}

template <class T>
void plane_plain(const T* src, int64_t scol, T* dst, int64_t drow, int64_t rows, int64_t cols) {
  constexpr int64_t kTile = 64 / sizeof(T) < 8 ? 8 : 64 / sizeof(T);
  for (int64_t c0 = 0; c0 < cols; c0 += kTile) {
    const int64_t cn = cols - c0 < kTile ? cols - c0 : kTile;
    for (int64_t r = 0; r < rows; ++r) {
      const T* s = src + r + c0 * scol;
      T* d = dst + r * drow + c0;
      if (cn == kTile) {
        for (int64_t c = 0; c < kTile; ++c) d[c] = s[c * scol];
      } else {
        for (int64_t c = 0; c < cn; ++c) d[c] = s[c * scol];
      }
    }
  }
}

#if defined(__AVX2__)
constexpr int kSide = 8;
typedef uint32_t V __attribute__((vector_size(32)));
typedef uint32_t Vu __attribute__((vector_size(32), may_alias, aligned(1)));
inline void tile(const W4* s, int64_t scol, W4* d, int64_t drow) {
  V a[8], b[8];
  for (int i = 0; i < 8; ++i) a[i] = *reinterpret_cast<const Vu*>(s + i * scol);
  for (int i = 0; i < 4; ++i) {
    b[2 * i] = __builtin_shufflevector(a[2 * i], a[2 * i + 1], 0, 8, 1, 9, 4, 12, 5, 13);
    b[2 * i + 1] = __builtin_shufflevector(a[2 * i], a[2 * i + 1], 2, 10, 3, 11, 6, 14, 7, 15);
  }
  for (int i = 0; i < 2; ++i) {
    a[4 * i] = __builtin_shufflevector(b[4 * i], b[4 * i + 2], 0, 1, 8, 9, 4, 5, 12, 13);
    a[4 * i + 1] = __builtin_shufflevector(b[4 * i], b[4 * i + 2], 2, 3, 10, 11, 6, 7, 14, 15);
    a[4 * i + 2] = __builtin_shufflevector(b[4 * i + 1], b[4 * i + 3], 0, 1, 8, 9, 4, 5, 12, 13);
    a[4 * i + 3] = __builtin_shufflevector(b[4 * i + 1], b[4 * i + 3], 2, 3, 10, 11, 6, 7, 14, 15);
  }
  for (int i = 0; i < 4; ++i) {
    *reinterpret_cast<Vu*>(d + i * drow) = __builtin_shufflevector(a[i], a[i + 4], 0, 1, 2, 3, 8, 9, 10, 11);
    *reinterpret_cast<Vu*>(d + (i + 4) * drow) =
        __builtin_shufflevector(a[i], a[i + 4], 4, 5, 6, 7, 12, 13, 14, 15);
  }
}
#else
constexpr int kSide = 4;
typedef uint32_t V __attribute__((vector_size(16)));
typedef uint32_t Vu __attribute__((vector_size(16), may_alias, aligned(1)));
inline void tile(const W4* s, int64_t scol, W4* d, int64_t drow) {
  V a[4], b[4];
  for (int i = 0; i < 4; ++i) a[i] = *reinterpret_cast<const Vu*>(s + i * scol);
  b[0] = __builtin_shufflevector(a[0], a[1], 0, 4, 1, 5);
  b[1] = __builtin_shufflevector(a[0], a[1], 2, 6, 3, 7);
  b[2] = __builtin_shufflevector(a[2], a[3], 0, 4, 1, 5);
  b[3] = __builtin_shufflevector(a[2], a[3], 2, 6, 3, 7);
  *reinterpret_cast<Vu*>(d) = __builtin_shufflevector(b[0], b[2], 0, 1, 4, 5);
  *reinterpret_cast<Vu*>(d + drow) = __builtin_shufflevector(b[0], b[2], 2, 3, 6, 7);
  *reinterpret_cast<Vu*>(d + 2 * drow) = __builtin_shufflevector(b[1], b[3], 0, 1, 4, 5);
  *reinterpret_cast<Vu*>(d + 3 * drow) = __builtin_shufflevector(b[1], b[3], 2, 3, 6, 7);
}
#endif

// Tiles in registers; 16 columns at a time so that every touched output line is filled at once.
void plane_tiles(const W4* src, int64_t scol, W4* dst, int64_t drow, int64_t rows, int64_t cols) {
  const int64_t rt = rows / kSide * kSide, ct = cols / kSide * kSide;
  for (int64_t c0 = 0; c0 < ct; c0 += 16) {
    const int64_t c1 = c0 + 16 < ct ? c0 + 16 : ct;
    for (int64_t r = 0; r < rt; r += kSide)
      for (int64_t c = c0; c < c1; c += kSide) tile(src + r + c * scol, scol, dst + r * drow + c, drow);
  }
  if (rt < rows) plane_plain(src + rt, scol, dst + rt * drow, drow, rows - rt, ct);
  if (ct < cols) plane_plain(src + ct * scol, scol, dst + ct, drow, rows, cols - ct);
}

template <class T>
void plane(const T* src, int64_t scol, T* dst, int64_t drow, int64_t rows, int64_t cols) {
  switch (cols) {
    case 2: return few_cols<T, 2>(src, scol, dst, drow, rows);
    case 3: return few_cols<T, 3>(src, scol, dst, drow, rows);
    case 4: return few_cols<T, 4>(src, scol, dst, drow, rows);
    default: break;
  }
  switch (rows) {
    case 2: return few_rows<T, 2>(src, scol, dst, drow, cols);
    case 3: return few_rows<T, 3>(src, scol, dst, drow, cols);
    case 4: return few_rows<T, 4>(src, scol, dst, drow, cols);
    default: break;
  }
  if constexpr (sizeof(T) == 4) {
    plane_tiles(src, scol, dst, drow, rows, cols);
  } else {
    plane_plain(src, scol, dst, drow, rows, cols);
  }
}

template <class T>
void transpose_planes(const TransposeParams& p, int64_t begin, int64_t end) {
  const int last = p.rank - 1, fast = p.fast_dim;
  const int64_t chunks = (p.dims[fast] + kTransposeRows - 1) / kTransposeRows;
  for (int64_t item = begin; item < end; ++item) {
    const int64_t r0 = item % chunks * kTransposeRows;
    int64_t rest = item / chunks;
    const T* src = static_cast<const T*>(p.src) + r0;
    T* dst = static_cast<T*>(p.dst) + r0 * p.dst_strides[fast];
    for (int d = last - 1; d >= 0; --d) {
      if (d == fast) continue;
      const int64_t i = rest % p.dims[d];
      rest /= p.dims[d];
      src += i * p.src_strides[d];
      dst += i * p.dst_strides[d];
    }
    const int64_t rows = p.dims[fast] - r0 < kTransposeRows ? p.dims[fast] - r0 : kTransposeRows;
    plane<T>(src, p.src_strides[last], dst, p.dst_strides[fast], rows, p.dims[last]);
  }
}

void transpose(const TransposeParams& p, int64_t begin, int64_t end) {
  if (p.fast_dim == p.rank - 1) {
    int64_t size = 1;
    for (int d = 0; d < p.rank; ++d) size *= p.dims[d];
    const int64_t from = begin * kTransposeRun;
    const int64_t to = end * kTransposeRun < size ? end * kTransposeRun : size;
    copy_any(p.elem_size, {p.rank, p.dims, p.src_strides, p.dst_strides}, p.src, p.dst, from, to);
    return;
  }
  switch (p.elem_size) {
    case 1: return transpose_planes<W1>(p, begin, end);
    case 2: return transpose_planes<W2>(p, begin, end);
    case 4: return transpose_planes<W4>(p, begin, end);
    case 8: return transpose_planes<W8>(p, begin, end);
    default: return transpose_planes<W16>(p, begin, end);
  }
}

void copy(const CopyParams& p, int64_t begin, int64_t end) {
  copy_any(p.elem_size, {p.loop.rank, p.loop.dims, p.loop.strides[0], p.loop.strides[1]}, p.src, p.dst, begin,
           end);
}

int64_t gather(const GatherParams& p, int64_t begin, int64_t end) {
  int64_t bad = -1;
  const uint8_t* src = static_cast<const uint8_t*>(p.src);
  uint8_t* dst = static_cast<uint8_t*>(p.dst) + begin * p.row_bytes;
  for (int64_t row = begin; row < end; ++row, dst += p.row_bytes) {
    const int64_t o = row / p.count, i = row % p.count;
    int64_t index = p.indices_are_32 ? static_cast<const int32_t*>(p.indices)[i]
                                     : static_cast<const int64_t*>(p.indices)[i];
    if (index < 0) index += p.axis;
    if (index < 0 || index >= p.axis) {
      if (bad < 0) bad = i;
      memset(dst, 0, static_cast<size_t>(p.row_bytes));
      continue;
    }
    const uint8_t* s = src + (o * p.axis + index) * p.row_bytes;
    if (p.row_bytes == 4) {
      *reinterpret_cast<W4*>(dst) = *reinterpret_cast<const W4*>(s);
    } else if (p.row_bytes == 8) {
      *reinterpret_cast<W8*>(dst) = *reinterpret_cast<const W8*>(s);
    } else {
      memcpy(dst, s, static_cast<size_t>(p.row_bytes));
    }
  }
  return bad;
}

}  // namespace

extern const MoveKernels move_kernels;
const MoveKernels move_kernels = {transpose, copy, gather};

}  // namespace skiff::cpu::SKIFF_ISA
