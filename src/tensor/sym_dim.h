// Symbolic extents: integer polynomials over named dimensions, so that shape arithmetic (Shape, Gather, Mul,
// Div, Concat, Reshape ...) can be followed through a model whose inputs have names instead of numbers.
#pragma once
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "tensor/dims.h"
#include "tensor/dtype.h"

namespace skiff {

// One extent: a number, a known expression ("2*N + 1", "floor(H/2)"), or unknown. Two expressions are equal
// when their normal forms are; an unknown equals nothing, itself included.
class Dim {
 public:
  Dim() = default;                             // unknown
  Dim(int64_t v) : known_(true), value_(v) {}  // NOLINT: implicit on purpose
  static Dim symbol(const std::string& name);
  static Dim unknown() { return {}; }

  bool is_const() const { return known_ && !poly_; }
  bool is_known() const { return known_; }  // a number or an expression
  bool is(int64_t v) const { return is_const() && value_ == v; }
  int64_t value() const { return value_; }  // only for is_const()
  // "N", "2*N + 1", "7", "?"
  std::string to_string() const;

  // Substitutes symbols by numbers; the result may stay symbolic.
  template <class F>  // std::optional<int64_t> F(const std::string& name)
  Dim substitute(F&& lookup) const;

  friend Dim operator+(const Dim& a, const Dim& b);
  friend Dim operator-(const Dim& a, const Dim& b);
  friend Dim operator*(const Dim& a, const Dim& b);
  friend bool operator==(const Dim& a, const Dim& b);
  // Floor and ceiling division; exact when the polynomial divides. Division by zero gives unknown.
  friend Dim floor_div(const Dim& a, const Dim& b);
  friend Dim ceil_div(const Dim& a, const Dim& b);
  friend Dim dim_min(const Dim& a, const Dim& b);
  friend Dim dim_max(const Dim& a, const Dim& b);

  // coefficient * product of atoms (sorted); the constant term has no atoms.
  struct Term {
    std::vector<std::string> atoms;
    int64_t coef = 0;
    friend bool operator==(const Term&, const Term&) = default;
  };
  using Poly = std::vector<Term>;  // sorted by atoms, no zero coefficients, never a lone constant

 private:
  static Dim from_poly(Poly p);
  Poly poly() const;
  static Dim opaque(const char* fn, const Dim& a, const Dim& b);
  friend struct DimOps;
  bool known_ = false;
  int64_t value_ = 0;
  std::shared_ptr<const Poly> poly_;
};

Dim floor_div(const Dim& a, const Dim& b);
Dim ceil_div(const Dim& a, const Dim& b);
Dim dim_min(const Dim& a, const Dim& b);
Dim dim_max(const Dim& a, const Dim& b);

// A shape that may have an unknown rank, and unknown or symbolic extents.
class SymShape {
 public:
  SymShape() = default;                                                 // unknown rank
  SymShape(std::vector<Dim> d) : ranked_(true), dims_(std::move(d)) {}  // NOLINT: implicit on purpose
  SymShape(const Dims& d);                                              // NOLINT
  static SymShape of_rank(size_t r) { return SymShape(std::vector<Dim>(r)); }
  bool has_rank() const { return ranked_; }
  size_t rank() const { return dims_.size(); }
  const std::vector<Dim>& dims() const { return dims_; }
  std::vector<Dim>& dims() { return dims_; }
  const Dim& operator[](size_t i) const { return dims_[i]; }
  Dim& operator[](size_t i) { return dims_[i]; }
  bool is_static() const;  // rank and every extent are numbers
  Dims to_dims() const;    // only for is_static()
  Dim count() const;       // product of extents
  std::string to_string() const;
  friend bool operator==(const SymShape& a, const SymShape& b) {
    return a.ranked_ == b.ranked_ && a.dims_ == b.dims_;
  }

 private:
  bool ranked_ = false;
  std::vector<Dim> dims_;
};

// Broadcasting where extents may be symbolic: 1 yields to anything, equal expressions stay, a number beside a
// symbol wins (the only way both can be true), else unknown. Throws kInvalidModel when two numbers clash.
SymShape broadcast(const SymShape& a, const SymShape& b);

// An ONNX type: what a value may hold.
struct Type {
  enum class Kind : uint8_t { kUnknown, kTensor, kSparse, kSequence, kMap, kOptional, kOpaque };
  Kind kind = Kind::kUnknown;
  DType dtype = DType::kUndefined;   // element type (tensor, sparse) or key type (map)
  SymShape shape;                    // tensor, sparse
  std::shared_ptr<const Type> elem;  // sequence, optional; value type of a map
  std::string denotation;            // and, for opaque, "domain:name"

  static Type tensor(DType t, SymShape s = {});
  static Type sequence(Type elem);
  static Type optional(Type elem);
  static Type map(DType key, Type value);
  bool is_tensor() const { return kind == Kind::kTensor; }
  std::string to_string() const;  // "float[N, 3, 224, 224]", "seq(map(int64, float))"
};

template <class F>
Dim Dim::substitute(F&& lookup) const {
  if (!poly_) return *this;
  Dim sum = int64_t{0};
  for (const Term& t : *poly_) {
    Dim product = t.coef;
    for (const std::string& a : t.atoms) {
      std::optional<int64_t> v = lookup(a);
      product = product * (v ? Dim(*v) : symbol(a));
    }
    sum = sum + product;
  }
  return sum;
}

}  // namespace skiff
