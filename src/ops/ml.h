// What the ai.onnx.ml operators share: rows of features, score transforms, class labels.
#pragma once
#include <string>

#include "ops/real_view.h"

namespace skiff::ml {

// X [N, C], or [C] for a single row, as numbers.
struct Rows {
  int64_t n = 0, features = 0;
  std::vector<double> v;
  const double* row(int64_t i) const { return v.data() + i * features; }
};
Rows rows_of(const Tensor& x);
// The first extent of the outputs of X.
Dim row_count(const SymShape& x);
// Shape [N, cols] for X.
SymShape rows_by(const SymShape& x, Dim cols);

enum class Post : uint8_t { kNone, kSoftmax, kLogistic, kSoftmaxZero, kProbit };
// The attribute post_transform by name.
Post post_of(const Node& n);
// One row of scores, in place.
void transform(Post p, double* scores, int64_t n);

// Class labels under the attributes `ints` or `strings`.
struct Labels {
  std::vector<int64_t> ints;
  std::vector<std::string> strings;
  size_t size() const { return std::max(ints.size(), strings.size()); }
  DType dtype() const { return strings.empty() ? DType::kInt64 : DType::kString; }
  void put(Tensor& y, int64_t i, size_t label) const;
  Tensor keys() const;
};
Labels labels_of(const Node& n, std::string_view ints, std::string_view strings);

// A classifier's outcome of one row: `scores` has one value a class, or a single one (`single`) that speaks
// for class 1 against class 0. Returns the class and leaves the transformed scores (one a class).
size_t decide(std::vector<double>& scores, size_t classes, bool single, bool all_positive, Post p);

inline constexpr TypeMask kInputs =
    mask_of(DType::kFloat) | mask_of(DType::kDouble) | mask_of(DType::kInt64) | mask_of(DType::kInt32);

}  // namespace skiff::ml
