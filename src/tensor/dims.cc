#include "tensor/dims.h"

#include <limits>

namespace skiff {

int64_t element_count(const Dims& d, size_t begin, size_t end) {
  int64_t n = 1;
  bool overflow = false;
  for (size_t i = begin; i < end; ++i) {
    check(d[i] >= 0, Code::kInvalidArgument, "shape ", to_string(d), " has a negative extent");
    if (d[i] == 0) return 0;
    overflow |= __builtin_mul_overflow(n, d[i], &n);
  }
  check(!overflow, Code::kLimit, "shape ", to_string(d), " has more elements than can be addressed");
  return n;
}

int64_t element_count(const Dims& d) { return element_count(d, 0, d.size()); }

std::string to_string(const Dims& d) {
  std::string s = "[";
  for (size_t i = 0; i < d.size(); ++i) {
    if (i) s += ", ";
    s += std::to_string(d[i]);
  }
  return s + "]";
}

Dims strides_of(const Dims& d) {
  Dims s(d.size());
  int64_t n = 1;
  for (size_t i = d.size(); i-- > 0;) {
    s[i] = n;
    n *= d[i];
  }
  return s;
}

Dims broadcast(const Dims& a, const Dims& b) {
  const Dims& l = a.size() >= b.size() ? a : b;
  const Dims& s = a.size() >= b.size() ? b : a;
  Dims r = l;
  size_t off = l.size() - s.size();
  for (size_t i = 0; i < s.size(); ++i) {
    int64_t x = l[off + i], y = s[i];
    check(x == y || x == 1 || y == 1, Code::kInvalidArgument, "shapes ", to_string(a), " and ", to_string(b),
          " cannot be broadcast together");
    r[off + i] = x == 1 ? y : x;
  }
  return r;
}

int64_t normalize_axis(int64_t axis, int64_t rank) {
  check(axis >= -rank && axis < rank, Code::kInvalidArgument, "axis ", axis, " is outside [", -rank, ", ",
        rank - 1, "] for a tensor of rank ", rank);
  return axis < 0 ? axis + rank : axis;
}

}  // namespace skiff
