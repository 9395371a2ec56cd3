#include "device/cpu/broadcast.h"

#include <vector>

namespace skiff::cpu {

bool collapse_strided(int rank, const int64_t* dims, int operands, const int64_t* const* strides,
                      LoopShape* out) {
  if (operands < 0 || operands > kMaxLoopOperands) return false;
  LoopShape s;
  s.operands = operands;
  s.rank = 0;
  s.size = 1;
  for (int d = 0; d < rank; ++d) s.size *= dims[d];
  for (int d = 0; d < rank; ++d) {
    if (dims[d] == 1) continue;
    bool merge = s.rank > 0;
    for (int i = 0; i < operands && merge; ++i) merge = s.strides[i][s.rank - 1] == strides[i][d] * dims[d];
    if (merge) {
      s.dims[s.rank - 1] *= dims[d];
      for (int i = 0; i < operands; ++i) s.strides[i][s.rank - 1] = strides[i][d];
      continue;
    }
    if (s.rank == kMaxLoopDims) return false;
    s.dims[s.rank] = dims[d];
    for (int i = 0; i < operands; ++i) s.strides[i][s.rank] = strides[i][d];
    ++s.rank;
  }
  if (s.rank == 0) {
    s.rank = 1;
    s.dims[0] = 1;
    for (int i = 0; i < operands; ++i) s.strides[i][0] = 0;
  }
  *out = s;
  return true;
}

bool collapse_broadcast(int out_rank, const int64_t* out_dims, int operands, const int* ranks,
                        const int64_t* const* dims, LoopShape* out) {
  if (operands < 0 || operands > kMaxLoopOperands) return false;
  std::vector<int64_t> strides(static_cast<size_t>(operands * out_rank), 0);
  const int64_t* rows[kMaxLoopOperands] = {};
  for (int i = 0; i < operands; ++i) {
    if (ranks[i] > out_rank) return false;
    int64_t* row = strides.data() + i * out_rank;
    rows[i] = row;
    int64_t step = 1;
    for (int d = ranks[i] - 1; d >= 0; --d) {
      const int o = out_rank - ranks[i] + d;
      if (dims[i][d] != out_dims[o] && dims[i][d] != 1) return false;
      row[o] = dims[i][d] == 1 ? 0 : step;
      step *= dims[i][d];
    }
  }
  return collapse_strided(out_rank, out_dims, operands, rows, out);
}

}  // namespace skiff::cpu
