// Matching arithmetic whatever the order and grouping of its terms.
#pragma once
#include <array>

#include "passes/edit.h"

namespace skiff::passes {

// v = constant * product of terms. Follows Mul and Div by scalar constants through values used nowhere else.
// At most four terms.
struct Product {
  double constant = 1;
  std::vector<ValueId> terms;
};
std::optional<Product> product_of(const Graph& g, ValueId v);

// v as a polynomial of degree <= 3 in x, elementwise with scalar constants: coefficient of x^i at [i].
using Poly = std::array<double, 4>;
std::optional<Poly> polynomial_in(const Graph& g, ValueId v, ValueId x);

// Equal to 2 parts in 100,000: four printed digits of sqrt(2/pi) pass, constants rounded to half precision do not (they
// change what the model computes).
bool close(double a, double b);
bool close(const Poly& p, const Poly& q);

// The other operand of Add(v', scalar c) when v is made by one, else kNoValue. v must have no other use.
ValueId added_to(const Graph& g, ValueId v, double c);

}  // namespace skiff::passes
