// Prepares the parameters of the move kernels from shapes.
#pragma once
#include "device/cpu/kernels/move/move.h"

namespace skiff::cpu {

// Transpose of a dense src of in_dims: output dim d is input dim perm[d] (ONNX Transpose). Returns false when
// more than kMaxLoopDims dimensions remain after collapsing. src and dst are left null.
bool plan_transpose(int rank, const int64_t* in_dims, const int64_t* perm, int elem_size,
                    TransposeParams* out);

}  // namespace skiff::cpu
