#include "device/cpu/kernels/typed/typed.h"

#include "device/cpu/kernels/elementwise/blocks.h"

// Plain loops: the compiler vectorizes them for each instruction set.
namespace skiff::cpu::SKIFF_ISA {
namespace {

// Runs f(a, a_one, b, b_one, y, n) over the blocks of a broadcast loop.
template <class T, class Y, class F>
inline void walk(const BinaryParams& p, int64_t begin, int64_t end, F f) {
  if (begin >= end) return;
  alignas(64) T buffer[2][kBlock];
  Operand<T> a, b;
  a.init(p.a, p.loop, 0, buffer[0]);
  b.init(p.b, p.loop, 1, buffer[1]);
  const int64_t periods[2] = {a.period(), b.period()};
  const int64_t length = block_length(p.loop, periods, 2);
  for (int64_t at = begin; at < end;) {
    int64_t block_at;
    bool a_one, b_one;
    const int64_t n = next_block(p.loop, length, at, end, block_at);
    const T* u = a.get(block_at, at, n, a_one);
    const T* v = b.get(block_at, at, n, b_one);
    f(u, a_one, v, b_one, static_cast<Y*>(p.y) + at, n);
    at += n;
  }
}

template <class T, class Y, class F>
inline void loops(const BinaryParams& p, int64_t begin, int64_t end, F f) {
  walk<T, Y>(p, begin, end, [f](const T* a, bool a_one, const T* b, bool b_one, Y* y, int64_t n) {
    if (!a_one && !b_one) {
      for (int64_t i = 0; i < n; ++i) y[i] = f(a[i], b[i]);
    } else if (!a_one) {
      const T v = *b;
      for (int64_t i = 0; i < n; ++i) y[i] = f(a[i], v);
    } else {
      const T u = *a;
      const int64_t step = b_one ? 0 : 1;
      for (int64_t i = 0; i < n; ++i) y[i] = f(u, b[i * step]);
    }
  });
}

// T is signed, U its unsigned twin, in which overflow wraps.
template <class T, class U>
inline T divide(T a, T b) {
  if (b == 0) return 0;
  if (b == -1) return static_cast<T>(U{0} - static_cast<U>(a));
  return a / b;
}

template <class T, class U>
inline T power(T a, T e) {
  if (e < 0) {
    if (a == 1) return 1;
    if (a == -1) return (e & 1) ? -1 : 1;
    return 0;
  }
  U r = 1, base = static_cast<U>(a);
  for (U n = static_cast<U>(e); n; n >>= 1) {
    if (n & 1) r *= base;
    base *= base;
  }
  return static_cast<T>(r);
}

template <class T, class U>
bool integer_binary(BinaryOp op, const BinaryParams& p, int64_t begin, int64_t end) {
  switch (op) {
    case BinaryOp::kAdd:
      loops<T, T>(p, begin, end,
                  [](T a, T b) { return static_cast<T>(static_cast<U>(a) + static_cast<U>(b)); });
      return true;
    case BinaryOp::kSub:
      loops<T, T>(p, begin, end,
                  [](T a, T b) { return static_cast<T>(static_cast<U>(a) - static_cast<U>(b)); });
      return true;
    case BinaryOp::kMul:
      loops<T, T>(p, begin, end,
                  [](T a, T b) { return static_cast<T>(static_cast<U>(a) * static_cast<U>(b)); });
      return true;
    case BinaryOp::kDiv: loops<T, T>(p, begin, end, [](T a, T b) { return divide<T, U>(a, b); }); return true;
    case BinaryOp::kPow: loops<T, T>(p, begin, end, [](T a, T b) { return power<T, U>(a, b); }); return true;
    case BinaryOp::kMin: loops<T, T>(p, begin, end, [](T a, T b) { return a < b ? a : b; }); return true;
    case BinaryOp::kMax: loops<T, T>(p, begin, end, [](T a, T b) { return a > b ? a : b; }); return true;
    case BinaryOp::kPrelu:
      loops<T, T>(p, begin, end,
                  [](T a, T b) { return a < 0 ? static_cast<T>(static_cast<U>(a) * static_cast<U>(b)) : a; });
      return true;
    case BinaryOp::kSquaredDifference:
      loops<T, T>(p, begin, end, [](T a, T b) {
        const U d = static_cast<U>(a) - static_cast<U>(b);
        return static_cast<T>(d * d);
      });
      return true;
    default: return false;
  }
}

bool binary(NumType type, BinaryOp op, const BinaryParams& p, int64_t begin, int64_t end) {
  if (type == NumType::kI32) return integer_binary<int32_t, uint32_t>(op, p, begin, end);
  if (type == NumType::kI64) return integer_binary<int64_t, uint64_t>(op, p, begin, end);
  return false;
}

template <class T>
void compare_as(CompareOp op, const BinaryParams& p, int64_t begin, int64_t end) {
  switch (op) {
    case CompareOp::kEqual:
      return loops<T, uint8_t>(p, begin, end, [](T a, T b) { return static_cast<uint8_t>(a == b); });
    case CompareOp::kLess:
      return loops<T, uint8_t>(p, begin, end, [](T a, T b) { return static_cast<uint8_t>(a < b); });
    case CompareOp::kGreater:
      return loops<T, uint8_t>(p, begin, end, [](T a, T b) { return static_cast<uint8_t>(a > b); });
    case CompareOp::kLessOrEqual:
      return loops<T, uint8_t>(p, begin, end, [](T a, T b) { return static_cast<uint8_t>(a <= b); });
    default: return loops<T, uint8_t>(p, begin, end, [](T a, T b) { return static_cast<uint8_t>(a >= b); });
  }
}

void compare(NumType type, CompareOp op, const BinaryParams& p, int64_t begin, int64_t end) {
  switch (type) {
    case NumType::kF32: return compare_as<float>(op, p, begin, end);
    case NumType::kI32: return compare_as<int32_t>(op, p, begin, end);
    case NumType::kI64: return compare_as<int64_t>(op, p, begin, end);
    default: return compare_as<uint8_t>(op, p, begin, end);
  }
}

void logical(LogicalOp op, const BinaryParams& p, int64_t begin, int64_t end) {
  typedef uint8_t B;
  switch (op) {
    case LogicalOp::kAnd:
      return loops<B, B>(p, begin, end, [](B a, B b) { return static_cast<B>((a != 0) & (b != 0)); });
    case LogicalOp::kOr:
      return loops<B, B>(p, begin, end, [](B a, B b) { return static_cast<B>((a | b) != 0); });
    default: return loops<B, B>(p, begin, end, [](B a, B b) { return static_cast<B>((a != 0) != (b != 0)); });
  }
}

void logical_not(const uint8_t* x, uint8_t* y, int64_t begin, int64_t end) {
  for (int64_t i = begin; i < end; ++i) y[i] = x[i] == 0;
}

template <class T>
void where_as(const WhereParams& p, int64_t begin, int64_t end) {
  if (begin >= end) return;
  alignas(64) T buffer[2][kBlock];
  alignas(64) uint8_t cond_buffer[kBlock];
  Operand<uint8_t> c;
  Operand<T> a, b;
  c.init(p.cond, p.loop, 0, cond_buffer);
  a.init(p.a, p.loop, 1, buffer[0]);
  b.init(p.b, p.loop, 2, buffer[1]);
  const int64_t periods[3] = {c.period(), a.period(), b.period()};
  const int64_t length = block_length(p.loop, periods, 3);
  for (int64_t at = begin; at < end;) {
    int64_t block_at;
    bool c_one, a_one, b_one;
    const int64_t n = next_block(p.loop, length, at, end, block_at);
    const uint8_t* k = c.get(block_at, at, n, c_one);
    const T* u = a.get(block_at, at, n, a_one);
    const T* v = b.get(block_at, at, n, b_one);
    T* y = static_cast<T*>(p.y) + at;
    const int64_t ks = c_one ? 0 : 1, us = a_one ? 0 : 1, vs = b_one ? 0 : 1;
    if (!c_one && !a_one && !b_one) {
      for (int64_t i = 0; i < n; ++i) y[i] = k[i] ? u[i] : v[i];
    } else if (!c_one && a_one && !b_one) {
      const T one = *u;
      for (int64_t i = 0; i < n; ++i) y[i] = k[i] ? one : v[i];
    } else if (!c_one && !a_one && b_one) {
      const T one = *v;
      for (int64_t i = 0; i < n; ++i) y[i] = k[i] ? u[i] : one;
    } else {
      for (int64_t i = 0; i < n; ++i) y[i] = k[i * ks] ? u[i * us] : v[i * vs];
    }
    at += n;
  }
}

// Words that may alias any type.
struct __attribute__((may_alias)) Word2 {
  uint16_t v;
};
struct __attribute__((may_alias)) Word4 {
  uint32_t v;
};
struct __attribute__((may_alias)) Word8 {
  uint64_t v;
};

void where(const WhereParams& p, int64_t begin, int64_t end) {
  switch (p.elem_size) {
    case 1: return where_as<uint8_t>(p, begin, end);
    case 2: return where_as<Word2>(p, begin, end);
    case 4: return where_as<Word4>(p, begin, end);
    default: return where_as<Word8>(p, begin, end);
  }
}

}  // namespace

extern const TypedKernels typed_kernels;
const TypedKernels typed_kernels = {binary, compare, logical, logical_not, where};

}  // namespace skiff::cpu::SKIFF_ISA
