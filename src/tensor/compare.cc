#include "tensor/compare.h"

#include <algorithm>
#include <cmath>

namespace skiff {
namespace {

Difference unequal(std::string text) {
  Difference d;
  d.equal = false;
  d.text = std::move(text);
  return d;
}

std::string position(const Dims& dims, int64_t index) {
  std::string s = "]";
  for (size_t i = dims.size(); i-- > 0;) {
    int64_t e = std::max<int64_t>(dims[i], 1);
    s = std::to_string(index % e) + (i + 1 < dims.size() ? ", " : "") + s;
    index /= e;
  }
  return "[" + s;
}

// Complex tensors are compared as pairs of reals.
Tensor as_reals(const Tensor& t) {
  if (t.dtype() != DType::kComplex64 && t.dtype() != DType::kComplex128) return t;
  Dims d = t.dims();
  d.push_back(2);
  return Tensor::view(t.dtype() == DType::kComplex64 ? DType::kFloat : DType::kDouble, d, t.raw(), t.owner());
}

Difference compare_strings(const Tensor& a, const Tensor& b) {
  Difference r;
  r.elements = b.size();
  for (int64_t i = 0; i < b.size(); ++i) {
    const std::string &x = a.data<std::string>()[i], &y = b.data<std::string>()[i];
    if (x == y) continue;
    if (r.equal) {
      r.worst_index = i;
      r.text =
          cat("at ", position(b.dims(), i), " got \"", x.substr(0, 40), "\", want \"", y.substr(0, 40), "\"");
    }
    r.equal = false;
    ++r.mismatches;
  }
  return r;
}

Difference compare_tensors(const Tensor& got, const Tensor& want, double rtol, double atol) {
  if (got.dtype() != want.dtype() || !(got.dims() == want.dims()))
    return unequal(cat("got ", describe(got), ", want ", describe(want)));
  if (want.dtype() == DType::kString) return compare_strings(got, want);
  Tensor a = as_reals(got), b = as_reals(want);
  Difference r;
  r.elements = b.size();
  double worst = -1;
  for (int64_t i = 0; i < b.size(); ++i) {
    double x = get_double(a, i), y = get_double(b, i);
    if (x == y || (std::isnan(x) && std::isnan(y))) continue;
    double diff = std::isfinite(x) && std::isfinite(y) ? std::fabs(x - y) : INFINITY;
    r.max_abs = std::max(r.max_abs, diff);
    if (y != 0) r.max_rel = std::max(r.max_rel, diff / std::fabs(y));
    double excess = std::isfinite(diff) ? diff - (atol + rtol * std::fabs(y)) : INFINITY;
    if (excess > worst || (excess == worst && worst < 0)) {
      worst = excess;
      r.worst_index = i;
      r.got = x;
      r.want = y;
    }
    if (excess > 0) {
      ++r.mismatches;
      r.equal = false;
    }
  }
  if (!r.equal)
    r.text = cat(r.mismatches, " of ", r.elements, " elements differ, worst at ",
                 position(b.dims(), r.worst_index), ": got ", r.got, ", want ", r.want,
                 " (largest difference ", r.max_abs, ", relative ", r.max_rel, ")");
  return r;
}

void merge(Difference& into, const Difference& d, const std::string& where) {
  into.max_abs = std::max(into.max_abs, d.max_abs);
  into.max_rel = std::max(into.max_rel, d.max_rel);
  into.mismatches += d.mismatches;
  into.elements += d.elements;
  if (!d.equal && into.equal) {
    into.equal = false;
    into.text = cat(where, ": ", d.text);
    into.worst_index = d.worst_index;
    into.got = d.got;
    into.want = d.want;
  }
}

Difference compare_maps(const Datum::Map& got, const Datum::Map& want, double rtol, double atol) {
  if (got.keys.dtype() != want.keys.dtype() || got.keys.size() != want.keys.size())
    return unequal(cat("got a map of ", got.keys.size(), " keys, want ", want.keys.size()));
  auto key = [](const Tensor& t, int64_t i) {
    return t.dtype() == DType::kString ? t.data<std::string>()[i] : std::to_string(get_int(t, i));
  };
  Difference r;
  for (int64_t i = 0; i < want.keys.size(); ++i) {
    std::string k = key(want.keys, i);
    int64_t j = 0;
    while (j < got.keys.size() && key(got.keys, j) != k) ++j;
    if (j == got.keys.size()) return unequal(cat("the key ", k, " is missing"));
    merge(r, compare(got.values[static_cast<size_t>(j)], want.values[static_cast<size_t>(i)], rtol, atol),
          cat("key ", k));
  }
  return r;
}

const char* kind_name(Datum::Kind k) {
  static constexpr const char* kNames[] = {"nothing", "a tensor", "a sequence", "a map", "a sparse tensor"};
  return kNames[static_cast<int>(k)];
}

}  // namespace

Difference compare(const Datum& got, const Datum& want, double rtol, double atol) {
  if (got.kind() != want.kind())
    return unequal(cat("got ", kind_name(got.kind()), ", want ", kind_name(want.kind())));
  switch (want.kind()) {
    case Datum::Kind::kTensor: return compare_tensors(got.tensor(), want.tensor(), rtol, atol);
    case Datum::Kind::kMap: return compare_maps(got.map(), want.map(), rtol, atol);
    case Datum::Kind::kSequence: {
      const auto &a = got.items(), &b = want.items();
      if (a.size() != b.size())
        return unequal(cat("got a sequence of ", a.size(), " items, want ", b.size()));
      Difference r;
      for (size_t i = 0; i < b.size(); ++i) merge(r, compare(a[i], b[i], rtol, atol), cat("item ", i));
      return r;
    }
    case Datum::Kind::kSparse: {
      const auto &a = got.sparse(), &b = want.sparse();
      if (!(a.dims == b.dims)) return unequal("sparse tensors of different shape");
      Difference r = compare_tensors(a.indices, b.indices, 0, 0);
      merge(r, compare_tensors(a.values, b.values, rtol, atol), "values");
      return r;
    }
    default: return {};
  }
}

}  // namespace skiff
