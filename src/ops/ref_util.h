// What reference implementations share: iteration over strided and broadcast operands, wide loads and stores,
// and the block-wise driver of elementwise operators. References compute in double (all floats; the results
// of + - * / and sqrt are then correctly rounded), int64 (all integers, wrapping) or copy elements.
#pragma once
#include <span>
#include <vector>

#include "ops/op.h"

namespace skiff::ref {

// Elements converted at a time: small enough for the first-level cache.
inline constexpr int64_t kBlock = 256;

// Visits the elements of several operands in row-major order of common extents, as runs along the innermost
// extent. Extents that can be merged are merged, so contiguous operands give one long run.
//   StridedRuns r(extents, {strides0, strides1}, {start0, start1});
//   while (r.next()) use r.n() elements: operand k from element r.at(k) on, r.step(k) apart.
class StridedRuns {
 public:
  // strides[k] has one entry (in elements) per extent; starts may be missing (0).
  StridedRuns(const Dims& extents, std::vector<Dims> strides, std::vector<int64_t> starts = {});
  bool next();
  int64_t n() const { return n_; }
  int64_t at(size_t k) const { return at_[k]; }
  int64_t step(size_t k) const { return steps_[k]; }

 private:
  Dims extents_, index_;  // the outer extents
  std::vector<Dims> strides_;
  std::vector<int64_t> at_, steps_;
  int64_t n_ = 1;
  bool first_ = true, done_ = false;
};

// Strides (in elements) with which a tensor of dims `in` is read under the shape `out` it broadcasts to: 0
// along repeated extents.
Dims broadcast_strides(const Dims& in, const Dims& out);
// Operand 0 is a contiguous tensor of dims `out`, operand 1+i the tensor of dims ins[i] broadcast to it.
StridedRuns broadcast_runs(const Dims& out, const std::vector<Dims>& ins);

// n elements from `first`, `step` apart, as wide numbers. Any numeric type (bool as 0/1; uint64 as its bits
// in int64). Throws kInvalidArgument for strings and complex numbers.
void load(const Tensor& t, int64_t first, int64_t step, int64_t n, double* out);
void load(const Tensor& t, int64_t first, int64_t step, int64_t n, int64_t* out);
// Stores n consecutive elements with the type's rounding (integers wrap; bool: v != 0).
void store(Tensor& t, int64_t first, int64_t n, const double* v);
void store(Tensor& t, int64_t first, int64_t n, const int64_t* v);
// The whole tensor.
std::vector<double> to_doubles(const Tensor& t);

// Copies n elements between tensors of one element type (any type), steps in elements.
void copy(Tensor& dst, int64_t dst_first, int64_t dst_step, const Tensor& src, int64_t src_first,
          int64_t src_step, int64_t n);
// Copies a box of the given extents.
void copy_box(Tensor& dst, int64_t dst_first, const Dims& dst_strides, const Tensor& src, int64_t src_first,
              const Dims& src_strides, const Dims& extents);
// All bits zero; empty strings.
void fill_zero(Tensor& t);
// Every element of dst becomes element `index` of src (same type).
void fill(Tensor& dst, const Tensor& src, int64_t index = 0);

// One block of an elementwise function: in[k][i] -> out[i] for i < n; p: the operator's parameters.
using RealFn = void (*)(const double* const* in, double* out, int64_t n, const double* p);
using IntFn = void (*)(const int64_t* const* in, int64_t* out, int64_t n, const double* p);
struct ElementwiseFns {
  RealFn real = nullptr;       // for float inputs
  IntFn integer = nullptr;     // for integers and bool; null: through `real`
  IntFn unsigned64 = nullptr;  // for uint64 where it differs from `integer` (the int64 holds its bits)
};
// y = f(inputs broadcast together), block by block, computed in the class of the first input's type. y has
// its dtype and dims already; it may share memory with an input of its own shape.
void elementwise(Tensor& y, std::span<const Tensor> in, const ElementwiseFns& f,
                 const double* params = nullptr);
// The same from a node's first `arity` inputs (0: all) to its output 0 of element type `out`.
void elementwise(KernelContext& c, DType out, const ElementwiseFns& f, const double* params = nullptr,
                 size_t arity = 0);
// The dims the inputs broadcast to.
Dims broadcast_dims(std::span<const Tensor> in);

// Makes block functions of plain ones: real_fn1<[](double x, const double* p) { return ...; }>
template <auto F>
void real_fn1(const double* const* in, double* out, int64_t n, const double* p) {
  const double* a = in[0];
  for (int64_t i = 0; i < n; ++i) out[i] = static_cast<double>(F(a[i], p));
}
template <auto F>
void real_fn2(const double* const* in, double* out, int64_t n, const double*) {
  const double *a = in[0], *b = in[1];
  for (int64_t i = 0; i < n; ++i) out[i] = static_cast<double>(F(a[i], b[i]));
}
template <auto F>
void int_fn1(const int64_t* const* in, int64_t* out, int64_t n, const double*) {
  const int64_t* a = in[0];
  for (int64_t i = 0; i < n; ++i) out[i] = static_cast<int64_t>(F(a[i]));
}
template <auto F>
void int_fn2(const int64_t* const* in, int64_t* out, int64_t n, const double*) {
  const int64_t *a = in[0], *b = in[1];
  for (int64_t i = 0; i < n; ++i) out[i] = static_cast<int64_t>(F(a[i], b[i]));
}
template <auto F>  // on the bits as uint64
void uint_fn2(const int64_t* const* in, int64_t* out, int64_t n, const double*) {
  const int64_t *a = in[0], *b = in[1];
  for (int64_t i = 0; i < n; ++i)
    out[i] = static_cast<int64_t>(F(static_cast<uint64_t>(a[i]), static_cast<uint64_t>(b[i])));
}

// Axis list of a reference, each in [0, rank), sorted, no duplicates (duplicates throw kInvalidArgument).
std::vector<int64_t> normalize_axes(std::vector<int64_t> axes, int64_t rank);

}  // namespace skiff::ref
