#include "ops/rule_util.h"

#include <algorithm>
#include <cmath>

namespace skiff::rule {

size_t axis(int64_t a, size_t rank) {
  auto r = static_cast<int64_t>(rank);
  check(a >= -r && a < r, Code::kInvalidModel, "axis ", a, " is outside [", -r, ", ", r - 1,
        "] for a tensor of rank ", r);
  return static_cast<size_t>(a < 0 ? a + r : a);
}

std::vector<size_t> axes(const std::vector<int64_t>& list, size_t rank) {
  std::vector<size_t> r;
  std::vector<bool> seen(rank);
  for (int64_t a : list) {
    size_t x = axis(a, rank);
    check(!seen[x], Code::kInvalidModel, "axis ", a, " is listed twice");
    seen[x] = true;
    r.push_back(x);
  }
  return r;
}

std::optional<std::vector<Dim>> numbers(const InferContext& c, size_t i) {
  const Tensor* t = c.constant(i);
  if (!t || !dtype_is_float(t->dtype())) return c.data(i);
  if (t->rank() > 1 || t->size() > 64) return std::nullopt;
  std::vector<Dim> d;
  for (int64_t k = 0; k < t->size(); ++k) {
    double v = get_double(*t, k);
    bool whole = std::abs(v) < 9e15 && v == std::floor(v);
    d.push_back(whole ? Dim(static_cast<int64_t>(v)) : Dim());
  }
  return d;
}

bool scalar_like(const Type& t) {
  return t.is_tensor() && t.shape.has_rank() &&
         (t.shape.rank() == 0 || (t.shape.rank() == 1 && t.shape[0].is(1)));
}

namespace {

bool may_hold_data(const InferContext& c, size_t i) { return c.has_rank(i) && c.shape(i).rank() <= 1; }

void combine(std::vector<Dim>& a, const std::vector<Dim>& b, DimFn f) {
  if (a.size() == 1 && b.size() > 1) a.assign(b.size(), Dim(a[0]));
  for (size_t k = 0; k < a.size(); ++k) a[k] = f(a[k], b.size() == 1 ? b[0] : b[k]);
}

bool fits(size_t a, size_t b) { return a == b || a == 1 || b == 1; }

}  // namespace

void propagate(InferContext& c, DimFn f) {
  if (!may_hold_data(c, 0) || !may_hold_data(c, 1)) return;
  auto a = numbers(c, 0);
  if (!a) return;
  auto b = numbers(c, 1);
  if (!b || a->empty() || b->empty() || !fits(a->size(), b->size())) return;
  combine(*a, *b, f);
  c.set_data(0, std::move(*a));
}

void propagate_all(InferContext& c, DimFn f) {
  std::vector<Dim> r;
  for (size_t i = 0; i < c.inputs(); ++i) {
    if (!may_hold_data(c, i)) return;
    auto d = numbers(c, i);
    if (!d || d->empty()) return;
    if (i == 0) {
      r = std::move(*d);
    } else {
      if (!fits(r.size(), d->size())) return;
      combine(r, *d, f);
    }
  }
  if (!r.empty()) c.set_data(0, std::move(r));
}

void pass_data(InferContext& c, size_t i) {
  if (!may_hold_data(c, i)) return;
  if (auto d = numbers(c, i)) c.set_data(0, std::move(*d));
}

Dim count(const SymShape& s, size_t begin, size_t end) {
  Dim n = int64_t{1};
  for (size_t i = begin; i < end; ++i) n = n * s[i];
  return n;
}

void set_shape_from(InferContext& c, size_t i, DType dtype, const std::optional<std::vector<Dim>>& extents) {
  if (!extents) {
    c.set(i, dtype);
    return;
  }
  std::vector<Dim> d = *extents;
  for (Dim& x : d)
    check(!x.is_const() || x.value() >= 0, Code::kInvalidModel, "the shape has the negative extent ",
          x.to_string());
  c.set(i, dtype, SymShape(std::move(d)));
}

std::optional<size_t> length(const InferContext& c, size_t i) {
  if (!c.has_rank(i) || c.shape(i).rank() != 1 || !c.shape(i)[0].is_const()) return std::nullopt;
  int64_t n = c.shape(i)[0].value();
  if (n < 0 || n > 1024) return std::nullopt;
  return static_cast<size_t>(n);
}

DType dtype_attr(const Node& n, const char* name, DType def_value) {
  int64_t v = n.attr_i(name, static_cast<int64_t>(def_value));
  check(v > 0 && v < kDTypeCount, Code::kInvalidModel, "attribute '", name, "' = ", v,
        " names no element type");
  return static_cast<DType>(v);
}

}  // namespace skiff::rule
