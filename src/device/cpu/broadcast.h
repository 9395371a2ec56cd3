// Shapes of strided loops, collapsed to as few dimensions as possible, shared by the kernels and their
// callers. Plain structs only: kernels include this header in every instruction set's namespace.
#pragma once
#include <stddef.h>
#include <stdint.h>

namespace skiff::cpu {

inline constexpr int kMaxLoopDims = 8;      // dimensions left after collapsing
inline constexpr int kMaxLoopOperands = 8;  // strided operands beside the output

// A row-major walk of an output with, per operand, element strides of each dimension.
// Invariant made by collapse_broadcast: rank >= 1, no dimension of size 1 unless it is the only one, and no
// two neighbouring dimensions that every operand could walk as one.
struct LoopShape {
  int rank = 1;
  int operands = 0;
  int64_t dims[kMaxLoopDims] = {1};
  int64_t strides[kMaxLoopOperands][kMaxLoopDims] = {};
  int64_t size = 1;  // product of dims
};

// Multidirectional broadcasting as in ONNX. out_dims has out_rank entries; operand i has ranks[i] entries at
// dims[i], is dense row-major and is broadcastable to out_dims (aligned right). The innermost stride of each
// operand in the result is 0 or 1. Returns false when an operand is not broadcastable, when there are more
// than kMaxLoopOperands operands or when more than kMaxLoopDims dimensions remain.
bool collapse_broadcast(int out_rank, const int64_t* out_dims, int operands, const int* ranks,
                        const int64_t* const* dims, LoopShape* out);

// The same for given strides (0 broadcasts, negative walks backwards): drops dimensions of size 1 and merges
// neighbours in place. strides[i] has rank entries. Returns false if it does not fit.
bool collapse_strided(int rank, const int64_t* dims, int operands, const int64_t* const* strides,
                      LoopShape* out);

}  // namespace skiff::cpu
