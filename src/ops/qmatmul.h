// Matrix products of quantized operands, shared by QLinearMatMul and its com.microsoft relatives.
#pragma once
#include "ops/quantize.h"

namespace skiff::quant {

// Extents of a NumPy-style matrix product [batch..., m, k] x [batch..., k, n] (1-D operands as a row or
// column, their axis dropped from y).
struct MatShape {
  Dims batch, y;
  int64_t m = 1, k = 1, n = 1;
  Dims a_batch, b_batch;  // batch extents of each operand
};
MatShape mat_shape(const Dims& a, const Dims& b);
// The same for types.
SymShape mat_output(const SymShape& a, const SymShape& b);

// Calls f(batch index of a, of b, of y), each in matrices.
template <class F>
void for_each_matrix(const MatShape& s, F&& f) {
  ref::StridedRuns r = ref::broadcast_runs(s.batch, {s.a_batch, s.b_batch});
  while (r.next())
    for (int64_t i = 0; i < r.n(); ++i) f(r.at(1) + i * r.step(1), r.at(2) + i * r.step(2), r.at(0) + i);
}

// c[m, n] = a[m, k] * b[k, n] in int32 (wrapping).
void int_gemm(const int32_t* a, const int32_t* b, int32_t* c, int64_t m, int64_t k, int64_t n);

// Scale or zero point of row i / column j of a product: one value, one for each row (or column), or one for
// each in each matrix of the batch.
class PerLine {
 public:
  // `lines`: rows or columns of a matrix; t: values, null for none (0). Throws kInvalidModel on a size that
  // fits nothing.
  PerLine(const Tensor* t, int64_t lines, const char* what);
  float at(int64_t matrix, int64_t line) const {
    return v_[v_.size() == 1
                  ? 0
                  : static_cast<size_t>((matrix * lines_ + line) % static_cast<int64_t>(v_.size()))];
  }

 private:
  std::vector<float> v_;
  int64_t lines_;
};

}  // namespace skiff::quant
