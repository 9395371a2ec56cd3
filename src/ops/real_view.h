// Floating tensors as plain arrays for reference loops: float and double tensors are used in place, the small
// formats are converted to float and back. Loops are therefore written for two types only.
#pragma once
#include <type_traits>
#include <vector>

#include "ops/ref_util.h"
#include "ops/rule_util.h"

namespace skiff {

inline constexpr TypeMask kInt8Types = mask_of(DType::kInt8) | mask_of(DType::kUint8);
// What "all tensor types" means before the 8-bit floats and sub-byte types came.
inline constexpr TypeMask kTensorTypes = kNumericTypes | kBoolType | mask_of(DType::kString) |
                                         mask_of(DType::kComplex64) | mask_of(DType::kComplex128);

}  // namespace skiff

namespace skiff::ref {

template <class T>
constexpr DType real_dtype() {
  return std::is_same_v<T, double>  ? DType::kDouble
         : std::is_same_v<T, float> ? DType::kFloat
                                    : DType::kInt32;
}

// The whole tensor as float (any real type, exact for those of at most 24 bits) or int32 (integers,
// wrapping).
void load_all(const Tensor& t, float* out);
void load_all(const Tensor& t, double* out);
void load_all(const Tensor& t, int32_t* out);
// Every element of t from `in`, with the type's rounding.
void store_all(Tensor& t, const float* in);
void store_all(Tensor& t, const double* in);

// Read-only array of a tensor's elements as T (float, double or int32_t). A null tensor gives a null array.
template <class T>
class RealIn {
 public:
  explicit RealIn(const Tensor* t) {
    if (!t) return;
    if (t->dtype() == real_dtype<T>()) {
      p_ = t->data<T>();
      return;
    }
    own_.resize(static_cast<size_t>(t->size()) + 1);
    load_all(*t, own_.data());
    p_ = own_.data();
  }
  explicit RealIn(const Tensor& t) : RealIn(&t) {}
  RealIn(const RealIn&) = delete;
  RealIn& operator=(const RealIn&) = delete;
  explicit operator bool() const { return p_ != nullptr; }
  const T* data() const { return p_; }
  const T& operator[](int64_t i) const { return p_[i]; }

 private:
  const T* p_ = nullptr;
  std::vector<T> own_;
};

// Array to be filled as T; commit() writes it into the tensor when it is not the tensor's own memory.
template <class T>
class RealOut {
 public:
  explicit RealOut(Tensor& t) : t_(t) {
    if (t.dtype() == real_dtype<T>()) {
      p_ = t.data<T>();
      return;
    }
    own_.resize(static_cast<size_t>(t.size()) + 1);
    p_ = own_.data();
  }
  RealOut(const RealOut&) = delete;
  RealOut& operator=(const RealOut&) = delete;
  T* data() { return p_; }
  T& operator[](int64_t i) { return p_[i]; }
  void commit() {
    if (!own_.empty()) store_all(t_, p_);
  }

 private:
  Tensor& t_;
  T* p_ = nullptr;
  std::vector<T> own_;
};

// Calls f with a value of the type loops compute on: double for double tensors, float for the rest.
template <class F>
void with_real(DType t, F&& f) {
  if (t == DType::kDouble)
    f(double{});
  else
    f(float{});
}

// `t` with its axes in another order: output axis i is input axis perm[i]. Any type.
void permute_into(const Tensor& t, const std::vector<size_t>& perm, Tensor& out);
Tensor permuted(const Tensor& t, const std::vector<size_t>& perm);

// Number of elements in d[begin, end).
inline int64_t count_of(const Dims& d, int64_t begin, int64_t end) {
  return element_count(d, static_cast<size_t>(begin), static_cast<size_t>(end));
}
// Throws kInvalidModel unless tensor `t` has these dims.
void expect_dims(const Tensor& t, const Dims& d, const char* what);
// Throws kInvalidModel unless `t` is of rank r (or at least r when `at_least`).
void expect_rank(const Tensor& t, int64_t r, const char* what, bool at_least = false);
// The single value of a scalar or one-element tensor.
double scalar_of(const Tensor& t, const char* what);

}  // namespace skiff::ref
