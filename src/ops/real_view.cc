#include "ops/real_view.h"

#include <algorithm>

namespace skiff::ref {
namespace {

// Through blocks of the wide type W.
template <class W, class T>
void load_through(const Tensor& t, T* out) {
  W block[kBlock];
  for (int64_t b = 0; b < t.size(); b += kBlock) {
    int64_t n = std::min(kBlock, t.size() - b);
    load(t, b, 1, n, block);
    for (int64_t i = 0; i < n; ++i) out[b + i] = static_cast<T>(block[i]);
  }
}

}  // namespace

void load_all(const Tensor& t, float* out) { load_through<double>(t, out); }
void load_all(const Tensor& t, double* out) { load(t, 0, 1, t.size(), out); }
void load_all(const Tensor& t, int32_t* out) { load_through<int64_t>(t, out); }

void store_all(Tensor& t, const float* in) {
  double block[kBlock];
  for (int64_t b = 0; b < t.size(); b += kBlock) {
    int64_t n = std::min(kBlock, t.size() - b);
    for (int64_t i = 0; i < n; ++i) block[i] = in[b + i];
    store(t, b, n, block);
  }
}
void store_all(Tensor& t, const double* in) { store(t, 0, t.size(), in); }

void permute_into(const Tensor& t, const std::vector<size_t>& perm, Tensor& out) {
  Dims from = strides_of(t.dims()), step;
  for (size_t a : perm) step.push_back(from[a]);
  copy_box(out, 0, strides_of(out.dims()), t, 0, step, out.dims());
}

Tensor permuted(const Tensor& t, const std::vector<size_t>& perm) {
  Dims d;
  for (size_t a : perm) d.push_back(t.dims()[a]);
  Tensor r(t.dtype(), d);
  permute_into(t, perm, r);
  return r;
}

void expect_dims(const Tensor& t, const Dims& d, const char* what) {
  if (!(t.dims() == d))
    fail(Code::kInvalidModel, what, " must have shape ", to_string(d), ", it has ", to_string(t.dims()));
}

void expect_rank(const Tensor& t, int64_t r, const char* what, bool at_least) {
  if (at_least ? t.rank() < r : t.rank() != r)
    fail(Code::kInvalidModel, what, " must have rank ", r, at_least ? " or more" : "", ", it has shape ",
         to_string(t.dims()));
}

double scalar_of(const Tensor& t, const char* what) {
  if (t.size() != 1)
    fail(Code::kInvalidModel, what, " must hold one element, it has shape ", to_string(t.dims()));
  return get_double(t, 0);
}

}  // namespace skiff::ref
