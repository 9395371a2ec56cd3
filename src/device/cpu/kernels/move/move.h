// Kernels that only move bytes: transpose, strided copies, gather of rows. Any element type, by its size.
#pragma once
#include <stddef.h>
#include <stdint.h>

#include "device/cpu/broadcast.h"

namespace skiff::cpu {

// dst[flat] = src[...] for a dense row-major dst. Made by plan_transpose (device/cpu/move_plan.h).
struct TransposeParams {
  const void* src;
  void* dst;
  int elem_size;                      // 1, 2, 4, 8 or 16 bytes
  int rank;                           // of the collapsed output, 1..kMaxLoopDims
  int64_t dims[kMaxLoopDims];         // output dims
  int64_t src_strides[kMaxLoopDims];  // in elements, per output dim
  int64_t dst_strides[kMaxLoopDims];
  // The output dim along which src is contiguous. rank-1: runs are copied. Otherwise the plane
  // (fast_dim x last dim) is transposed tile by tile.
  int fast_dim;
  int64_t items;  // units of work for the range
};

// Transposed rows of one unit of work where fast_dim is not the last dim; elements of one unit where it is.
inline constexpr int64_t kTransposeRows = 32;
inline constexpr int64_t kTransposeRun = 4096;

// dst[i*dst_strides] = src[i*src_strides] over loop: operand 0 of loop is src, operand 1 is dst. A src whose
// strides are all 0 fills. src and dst must not overlap unless they are the same walk.
struct CopyParams {
  const void* src;
  void* dst;
  int elem_size;  // 1, 2, 4, 8 or 16 bytes
  LoopShape loop;
};

// dst[o][i][:] = src[o][index[i]][:], rows of row_bytes bytes. Negative indices count from the end.
struct GatherParams {
  const void* src;
  void* dst;
  const void* indices;  // int64, or int32 when indices_are_32
  bool indices_are_32;
  int64_t outer;      // leading dims
  int64_t axis;       // size of the gathered axis in src
  int64_t count;      // number of indices
  int64_t row_bytes;  // bytes behind one index
};

struct MoveKernels {
  // Units [begin, end) of p.items.
  void (*transpose)(const TransposeParams& p, int64_t begin, int64_t end);
  // Elements [begin, end) of p.loop.size, in the row-major order of the loop.
  void (*copy)(const CopyParams& p, int64_t begin, int64_t end);
  // Rows [begin, end) of outer*count. Returns -1, or the position in `indices` of an index outside [-axis,
  // axis): its rows are filled with zero bytes, never read.
  int64_t (*gather)(const GatherParams& p, int64_t begin, int64_t end);
};

}  // namespace skiff::cpu
