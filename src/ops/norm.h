// Normalization shared between the standard operators and their com.microsoft variants.
#pragma once
#include "ops/real_view.h"

namespace skiff {

// Normalizes rows of n consecutive elements: y = (x - mean) / sqrt(var + eps) * scale + bias, or without the
// mean (`simplified`: root mean square). scale and bias (may be null) hold n elements, or rows * n when
// `full_scale`/`full_bias`. mean and inv_std (may be null) receive one value a row.
struct RowNorm {
  int64_t rows = 0, n = 0;
  double epsilon = 1e-5;
  bool simplified = false;
  const double *scale = nullptr, *bias = nullptr;
  bool full_scale = false, full_bias = false;
  double *mean = nullptr, *inv_std = nullptr;
};
template <class T>
void normalize_rows(const RowNorm& p, const T* x, T* y);

// An operand broadcast (unidirectionally) to dims[axis...) of X, or to the whole of X when it has a higher
// rank; `full` tells which. Throws kInvalidModel when it does not fit.
std::vector<double> broadcast_operand(const Tensor* t, const Dims& x, int64_t axis, const char* what,
                                      bool& full);

}  // namespace skiff
