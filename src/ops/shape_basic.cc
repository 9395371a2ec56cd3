// Operators that tell or make shapes and constants: Shape, Size, Identity, Constant, ConstantOfShape,
// EyeLike, Range, Dropout.
#include <algorithm>
#include <cmath>
#include <random>

#include "ops/ref_util.h"
#include "ops/rule_util.h"

namespace skiff {
namespace {

// ---------------------------------------------------------------- Shape, Size

// The slice [start, end) of the extents that Shape-15 gives.
std::pair<size_t, size_t> shape_range(const Node& n, size_t rank) {
  auto r = static_cast<int64_t>(rank);
  auto clamp = [r](int64_t v) { return std::clamp<int64_t>(v < 0 ? v + r : v, 0, r); };
  int64_t b = clamp(n.attr_i("start", 0)), e = n.has_attr("end") ? clamp(n.attr_i("end", 0)) : r;
  return {static_cast<size_t>(b), static_cast<size_t>(std::max(b, e))};
}

void infer_shape(InferContext& c) {
  if (!c.has_rank(0)) return c.set(0, DType::kInt64, SymShape::of_rank(1));
  auto [b, e] = shape_range(c.node(), c.shape(0).rank());
  const auto& d = c.shape(0).dims();
  c.set(0, DType::kInt64, SymShape({Dim(static_cast<int64_t>(e - b))}));
  c.set_data(0, {d.begin() + static_cast<ptrdiff_t>(b), d.begin() + static_cast<ptrdiff_t>(e)});
}

void shape_reference(KernelContext& c) {
  const Dims& d = c.in(0).dims();
  auto [b, e] = shape_range(c.node(), d.size());
  Tensor& y = c.out(0, DType::kInt64, {static_cast<int64_t>(e - b)});
  std::copy(d.begin() + b, d.begin() + e, y.data<int64_t>());
}

// ---------------------------------------------------------------- Identity, Dropout

void infer_identity(InferContext& c) {
  infer_same(c);
  rule::pass_data(c);
}

// Training mode draws from the Mersenne twister as NumPy's legacy generator does, so that a seed gives the
// standard's published results.
void dropout_reference(KernelContext& c) {
  const Tensor& x = c.in(0);
  bool training = c.opset() >= 12 && c.has(2) && c.in(2).size() == 1 && get_int(c.in(2), 0) != 0;
  double ratio = 0.5;
  if (c.opset() >= 12 && c.has(1)) {
    check(c.in(1).size() == 1, Code::kInvalidModel, "input 'ratio' must be a scalar, it is ",
          describe(c.in(1)));
    ratio = get_double(c.in(1), 0);
  }
  DType mask_type = c.opset() < 10 ? x.dtype() : DType::kBool;
  if (!training || ratio == 0) {
    c.set_out(0, x);
    if (!c.wants(1)) return;
    Tensor& mask = c.out(1, mask_type, x.dims());
    for (int64_t i = 0; i < mask.size(); ++i) set_int(mask, i, 1);
    return;
  }
  check(ratio >= 0 && ratio < 1, Code::kInvalidModel, "the ratio ", ratio, " is outside [0, 1)");
  std::mt19937 gen(c.node().has_attr("seed") ? static_cast<uint32_t>(c.node().attr_i("seed", 0))
                                             : std::random_device()());
  Tensor& y = c.out(0, x.dtype(), x.dims());
  Tensor* mask = c.wants(1) ? &c.out(1, mask_type, x.dims()) : nullptr;
  for (int64_t i = 0; i < x.size(); ++i) {
    double high = gen() >> 5, low = gen() >> 6;
    bool keep = (high * 67108864.0 + low) / 9007199254740992.0 >= ratio;
    set_double(y, i, keep ? get_double(x, i) / (1 - ratio) : 0);
    if (mask) set_int(*mask, i, keep);
  }
}

// ---------------------------------------------------------------- Constant

Tensor dense_of(const Datum::Sparse& s) {
  Tensor t(s.values.dtype(), s.dims);
  ref::fill_zero(t);
  Dims strides = strides_of(s.dims);
  bool linear = s.indices.rank() == 1;
  auto rank = static_cast<int64_t>(s.dims.size());
  check(linear || (s.indices.rank() == 2 && s.indices.dim(1) == rank), Code::kInvalidModel,
        "the indices of a sparse tensor have shape ", to_string(s.indices.dims()));
  check(s.indices.dim(0) == s.values.size(), Code::kInvalidModel, "a sparse tensor has ", s.values.size(),
        " values and ", s.indices.dim(0), " indices");
  for (int64_t i = 0; i < s.values.size(); ++i) {
    int64_t at = linear ? get_int(s.indices, i) : 0;
    for (int64_t k = 0; !linear && k < rank; ++k) {
      int64_t v = get_int(s.indices, i * rank + k);
      check(v >= 0 && v < s.dims[static_cast<size_t>(k)], Code::kInvalidModel, "sparse index ", v,
            " is outside ", to_string(s.dims));
      at += v * strides[static_cast<size_t>(k)];
    }
    check(at >= 0 && at < t.size(), Code::kInvalidModel, "sparse index ", at, " is outside ",
          to_string(s.dims));
    ref::copy(t, at, 1, s.values, i, 1, 1);
  }
  return t;
}

Tensor constant_value(const Node& n) {
  for (const Attribute& a : n.attributes) {
    if (a.name.rfind("value", 0) != 0 && a.name != "sparse_value") continue;
    if (auto* t = std::get_if<Tensor>(&a.value)) return *t;
    if (auto* f = std::get_if<float>(&a.value)) return Tensor::scalar(*f);
    if (auto* i = std::get_if<int64_t>(&a.value)) return Tensor::scalar(*i);
    if (auto* v = std::get_if<Attribute::Ints>(&a.value)) return Tensor::from(*v);
    if (auto* v = std::get_if<Attribute::Floats>(&a.value))
      return Tensor::from(*v, {static_cast<int64_t>(v->size())});
    if (auto* s = std::get_if<std::string>(&a.value)) {
      Tensor t(DType::kString, {});
      *t.data<std::string>() = *s;
      return t;
    }
    if (auto* v = std::get_if<Attribute::Strings>(&a.value)) {
      Tensor t(DType::kString, {static_cast<int64_t>(v->size())});
      std::copy(v->begin(), v->end(), t.data<std::string>());
      return t;
    }
    if (auto* s = std::get_if<Datum::Sparse>(&a.value)) return dense_of(*s);
  }
  fail(Code::kInvalidModel, "Constant has no attribute 'value', 'sparse_value' or 'value_*'");
}

void infer_constant(InferContext& c) {
  Tensor t = constant_value(c.node());
  c.set(0, t.dtype(), SymShape(t.dims()));
  if (t.rank() > 1 || t.size() > 64 || !(dtype_is_integer(t.dtype()) || t.dtype() == DType::kBool)) return;
  std::vector<Dim> d;
  for (int64_t i = 0; i < t.size(); ++i) d.emplace_back(get_int(t, i));
  c.set_data(0, std::move(d));
}

// ---------------------------------------------------------------- ConstantOfShape, EyeLike

Tensor fill_value(const Node& n) {
  const Tensor* v = n.attr_tensor("value");
  if (!v) return Tensor::scalar(0.0f);
  check(v->size() == 1, Code::kInvalidModel, "attribute 'value' must have one element, it is ", describe(*v));
  return *v;
}

void infer_constant_of_shape(InferContext& c) {
  c.expect_rank(0, 1);
  Tensor v = fill_value(c.node());
  auto extents = c.data(0);
  if (!extents) {
    auto n = rule::length(c, 0);
    return n ? c.set(0, v.dtype(), SymShape::of_rank(*n)) : c.set(0, v.dtype());
  }
  rule::set_shape_from(c, 0, v.dtype(), extents);
  bool whole = dtype_is_integer(v.dtype()) || v.dtype() == DType::kBool;
  if (!whole || extents->size() > 1) return;
  if (extents->empty()) return c.set_data(0, {Dim(get_int(v, 0))});
  const Dim& n = (*extents)[0];
  if (n.is_const() && n.value() <= 64)
    c.set_data(0, std::vector<Dim>(static_cast<size_t>(n.value()), Dim(get_int(v, 0))));
}

void eye_like_reference(KernelContext& c) {
  const Tensor& x = c.in(0);
  check(x.rank() == 2, Code::kInvalidModel, "EyeLike needs a matrix, it got ", describe(x));
  Tensor& y = c.out(0, rule::dtype_attr(c.node(), "dtype", x.dtype()), x.dims());
  ref::fill_zero(y);
  int64_t k = c.node().attr_i("k", 0), rows = x.dim(0), cols = x.dim(1);
  if (k <= -rows || k >= cols) return;
  for (int64_t i = std::max<int64_t>(0, -k); i < rows && i + k < cols; ++i) set_int(y, i * cols + i + k, 1);
}

// ---------------------------------------------------------------- Range

constexpr TypeMask kRangeTypes = kFloatTypes | kIndexTypes | mask_of(DType::kInt16);

int64_t range_count(double start, double limit, double delta) {
  check(delta != 0, Code::kInvalidModel, "Range has the step 0");
  double n = std::ceil((limit - start) / delta);
  if (!(n > 0)) return 0;
  check(n < 1e15, Code::kLimit, "Range has ", n, " elements");
  return static_cast<int64_t>(n);
}

int64_t range_count(int64_t start, int64_t limit, int64_t delta) {
  check(delta != 0, Code::kInvalidModel, "Range has the step 0");
  if (delta > 0 ? limit <= start : limit >= start) return 0;
  auto a = static_cast<uint64_t>(start), b = static_cast<uint64_t>(limit), d = static_cast<uint64_t>(delta);
  uint64_t span = delta > 0 ? b - a : a - b, step = delta > 0 ? d : uint64_t{0} - d;
  uint64_t n = span / step + (span % step != 0);
  check(n < (uint64_t{1} << 60), Code::kLimit, "Range has more elements than can be addressed");
  return static_cast<int64_t>(n);
}

void infer_range(InferContext& c) {
  DType t = c.dtype(0);
  const Tensor *s = c.constant(0), *l = c.constant(1), *d = c.constant(2);
  if (s && l && d && s->size() == 1 && l->size() == 1 && d->size() == 1 && dtype_is_float(t)) {
    int64_t n = range_count(get_double(*s, 0), get_double(*l, 0), get_double(*d, 0));
    return c.set(0, t, SymShape({Dim(n)}));
  }
  auto a = rule::numbers(c, 0), b = rule::numbers(c, 1), step = rule::numbers(c, 2);
  Dim n;
  if (a && b && step && a->size() == 1 && b->size() == 1 && step->size() == 1) {
    const Dim &x = (*a)[0], &y = (*b)[0], &z = (*step)[0];
    if (x.is_const() && y.is_const() && z.is_const()) {
      n = range_count(x.value(), y.value(), z.value());
      if (n.value() <= 64) {
        std::vector<Dim> v;
        for (int64_t i = 0; i < n.value(); ++i) v.emplace_back(x.value() + i * z.value());
        c.set_data(0, std::move(v));
      }
    } else if (z.is_const() && z.value() > 0) {
      n = ceil_div(y - x, z);
      // A difference may be negative, and then the range is empty.
      if (!x.is(0)) n = dim_max(n, Dim(int64_t{0}));
    }
  }
  c.set(0, t, SymShape({n}));
}

void range_reference(KernelContext& c) {
  for (size_t i = 0; i < 3; ++i)
    check(c.in(i).size() == 1 && c.in(i).dtype() == c.in(0).dtype(), Code::kInvalidModel,
          "Range needs three scalars of one type, input ", i, " is ", describe(c.in(i)));
  DType t = c.in(0).dtype();
  if (dtype_is_float(t)) {
    double s = get_double(c.in(0), 0), d = get_double(c.in(2), 0);
    Tensor& y = c.out(0, t, {range_count(s, get_double(c.in(1), 0), d)});
    // 16-bit floats are computed in the stash type: another than float shows in its rounding.
    Tensor stash(t == DType::kFloat || t == DType::kDouble
                     ? t
                     : rule::dtype_attr(c.node(), "stash_type", DType::kFloat),
                 {1});
    auto rounded = [&](double v) {
      set_double(stash, 0, v);
      return get_double(stash, 0);
    };
    for (int64_t i = 0; i < y.size(); ++i) set_double(y, i, rounded(s + rounded(static_cast<double>(i) * d)));
  } else {
    int64_t s = get_int(c.in(0), 0), d = get_int(c.in(2), 0);
    Tensor& y = c.out(0, t, {range_count(s, get_int(c.in(1), 0), d)});
    for (int64_t i = 0; i < y.size();
         ++i, s = static_cast<int64_t>(static_cast<uint64_t>(s) + static_cast<uint64_t>(d)))
      set_int(y, i, s);
  }
}

}  // namespace

SKIFF_OP_DEF(ai_onnx, Constant) {
  return {.name = "Constant",
          .versions = {1, 9, 11, 12, 13, 19, 21, 23, 24, 25},
          .outputs = {{"output", kAllTypes}},
          .attributes = {{"value", AttrType::kTensor},
                         {"sparse_value", AttrType::kSparse},
                         {"value_float", AttrType::kFloat},
                         {"value_floats", AttrType::kFloats},
                         {"value_int", AttrType::kInt},
                         {"value_ints", AttrType::kInts},
                         {"value_string", AttrType::kString},
                         {"value_strings", AttrType::kStrings}},
          .infer = infer_constant,
          .reference = [](KernelContext& c) { c.set_out(0, constant_value(c.node())); }};
}

SKIFF_OP_DEF(ai_onnx, ConstantOfShape) {
  return {.name = "ConstantOfShape",
          .versions = {9, 20, 21, 23, 24, 25},
          .inputs = {{"input", mask_of(DType::kInt64)}},
          .outputs = {{"output", kAllTypes & ~(rule::kStringType | mask_of(DType::kComplex64) |
                                               mask_of(DType::kComplex128))}},
          .attributes = {{"value", AttrType::kTensor}},
          .infer = infer_constant_of_shape,
          .reference =
              [](KernelContext& c) {
                std::vector<int64_t> s = to_ints(c.in(0));
                Tensor v = fill_value(c.node());
                ref::fill(c.out(0, v.dtype(), Dims(s.begin(), s.end())), v);
              },
          .value_inputs = 1};
}

SKIFF_OP_DEF(ai_onnx, Dropout) {
  return {.name = "Dropout",
          .versions = {1, 6, 7, 10, 12, 13, 22},
          .inputs = {{"data", kFloatTypes | rule::kFloat8Types, 'T'},
                     {"ratio", kFloatTypes | rule::kFloat8Types, 0, Arity::kOptional},
                     {"training_mode", kBoolType, 0, Arity::kOptional}},
          .outputs = {{"output", kFloatTypes | rule::kFloat8Types, 'T'},
                      {"mask", (kFloatTypes & ~mask_of(DType::kBFloat16)) | kBoolType, 0, Arity::kOptional}},
          .attributes = {{"is_test", AttrType::kInt}, {"seed", AttrType::kInt}, {"ratio", AttrType::kFloat}},
          .infer =
              [](InferContext& c) {
                infer_same(c);
                if (c.wants(1)) c.set(1, c.opset() < 10 ? c.dtype(0) : DType::kBool, c.shape(0));
              },
          .reference = dropout_reference};
}

SKIFF_OP_DEF(ai_onnx, EyeLike) {
  return {.name = "EyeLike",
          .versions = {9, 22},
          .inputs = {{"input", kNumericTypes | kBoolType}},
          .outputs = {{"output", kNumericTypes | kBoolType}},
          .attributes = {{"dtype", AttrType::kInt}, {"k", AttrType::kInt}},
          .infer =
              [](InferContext& c) {
                c.expect_rank(0, 2);
                c.set(0,
                      rule::dtype_attr(c.node(), "dtype",
                                       c.dtype(0) == DType::kUndefined ? DType::kFloat : c.dtype(0)),
                      c.shape(0));
              },
          .reference = eye_like_reference};
}

SKIFF_OP_DEF(ai_onnx, Identity) {
  return {.name = "Identity",
          .versions = {1, 13, 14, 16, 19, 21, 23, 24, 25},
          .inputs = {{"input", kAllTypes, 'T'}},
          .outputs = {{"output", kAllTypes, 'T'}},
          .infer = infer_identity,
          .reference = [](KernelContext& c) { c.set_out(0, c.in_datum(0)); },
          .flags = kView};
}

SKIFF_OP_DEF(ai_onnx, Range) {
  return {.name = "Range",
          .versions = {11, 27},
          .inputs = {{"start", kRangeTypes, 'T'}, {"limit", kRangeTypes, 'T'}, {"delta", kRangeTypes, 'T'}},
          .outputs = {{"output", kRangeTypes, 'T'}},
          .attributes = {{"stash_type", AttrType::kInt}},
          .infer = infer_range,
          .reference = range_reference,
          .value_inputs = 7};
}

SKIFF_OP_DEF(ai_onnx, Shape) {
  return {.name = "Shape",
          .versions = {1, 13, 15, 19, 21, 23, 24, 25},
          .inputs = {{"data", kAllTypes}},
          .outputs = {{"shape", mask_of(DType::kInt64)}},
          .attributes = {{"start", AttrType::kInt}, {"end", AttrType::kInt}},
          .infer = infer_shape,
          .reference = shape_reference,
          .cost = [](const CostContext&) { return Cost{}; }};
}

SKIFF_OP_DEF(ai_onnx, Size) {
  return {
      .name = "Size",
      .versions = {1, 13, 19, 21, 23, 24, 25},
      .inputs = {{"data", kAllTypes}},
      .outputs = {{"size", mask_of(DType::kInt64)}},
      .infer =
          [](InferContext& c) {
            c.set(0, DType::kInt64, SymShape::of_rank(0));
            if (c.has_rank(0)) c.set_data(0, {c.shape(0).count()});
          },
      .reference = [](KernelContext& c) { *c.out(0, DType::kInt64, {}).data<int64_t>() = c.in(0).size(); },
      .cost = [](const CostContext&) { return Cost{}; }};
}

}  // namespace skiff
