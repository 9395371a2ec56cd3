#include "device/cpu/move_plan.h"

#include <vector>

namespace skiff::cpu {

bool plan_transpose(int rank, const int64_t* in_dims, const int64_t* perm, int elem_size,
                    TransposeParams* out) {
  std::vector<int64_t> in_strides(static_cast<size_t>(rank)), dims(in_strides), strides(in_strides);
  int64_t step = 1;
  for (int d = rank - 1; d >= 0; --d) {
    in_strides[d] = step;
    step *= in_dims[d];
  }
  for (int d = 0; d < rank; ++d) {
    dims[d] = in_dims[perm[d]];
    strides[d] = in_strides[perm[d]];
  }
  const int64_t* rows[1] = {strides.data()};
  LoopShape loop;
  if (!collapse_strided(rank, dims.data(), 1, rows, &loop)) return false;
  TransposeParams p{};
  p.elem_size = elem_size;
  p.rank = loop.rank;
  p.fast_dim = loop.rank - 1;
  int64_t dst_step = 1;
  for (int d = loop.rank - 1; d >= 0; --d) {
    p.dims[d] = loop.dims[d];
    p.src_strides[d] = loop.strides[0][d];
    p.dst_strides[d] = dst_step;
    dst_step *= loop.dims[d];
    if (loop.strides[0][d] == 1) p.fast_dim = d;
  }
  if (loop.size == 0) {
    p.items = 0;
  } else if (p.fast_dim == p.rank - 1) {
    p.items = (loop.size + kTransposeRun - 1) / kTransposeRun;
  } else {
    const int64_t plane = p.dims[p.fast_dim] * p.dims[p.rank - 1];
    p.items = loop.size / plane * ((p.dims[p.fast_dim] + kTransposeRows - 1) / kTransposeRows);
  }
  *out = p;
  return true;
}

}  // namespace skiff::cpu
