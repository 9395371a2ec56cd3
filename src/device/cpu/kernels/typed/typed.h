// Elementwise kernels on other types than f32: integers, comparisons, logic, selection. Ranges and aliasing
// as in elementwise.h.
#pragma once
#include "device/cpu/kernels/elementwise/elementwise.h"

namespace skiff::cpu {

enum class CompareOp : uint8_t { kEqual, kLess, kGreater, kLessOrEqual, kGreaterOrEqual, kCount };
enum class LogicalOp : uint8_t { kAnd, kOr, kXor, kCount };
enum class NumType : uint8_t { kF32, kI32, kI64, kU8 };

// y = cond ? a : b; operands 0, 1, 2 of loop are cond (one byte, 0 or not), a, b.
struct WhereParams {
  const uint8_t* cond;
  const void* a;
  const void* b;
  void* y;
  int elem_size;  // 1, 2, 4 or 8
  LoopShape loop;
};

struct TypedKernels {
  // kI32, kI64: wrap on overflow; kDiv truncates toward zero, and gives 0 for a zero divisor. kPow: exponents
  // < 0 give 0 unless the base is 1 or -1. kPrelu as written above. kF32 and kU8 are not taken: returns
  // false.
  bool (*binary)(NumType type, BinaryOp op, const BinaryParams& p, int64_t begin, int64_t end);
  // y is one byte per element, 0 or 1. Comparisons with NaN are false.
  void (*compare)(NumType type, CompareOp op, const BinaryParams& p, int64_t begin, int64_t end);
  // a, b, y bytes; any non-zero byte is true.
  void (*logical)(LogicalOp op, const BinaryParams& p, int64_t begin, int64_t end);
  void (*logical_not)(const uint8_t* x, uint8_t* y, int64_t begin, int64_t end);
  void (*where)(const WhereParams& p, int64_t begin, int64_t end);
};

}  // namespace skiff::cpu
