// How far two values are apart.
#pragma once
#include <string>

#include "tensor/tensor.h"

namespace skiff {

struct Difference {
  bool equal = true;
  double max_abs = 0, max_rel = 0;
  int64_t mismatches = 0, elements = 0, worst_index = 0;
  double got = 0, want = 0;
  std::string text;  // one line; empty when equal
};

// |got - want| <= atol + rtol * |want| for every element; NaN equals NaN, infinities and strings must be the
// same, kind, dtype and shape too. Maps are compared by key.
Difference compare(const Datum& got, const Datum& want, double rtol, double atol);

}  // namespace skiff
