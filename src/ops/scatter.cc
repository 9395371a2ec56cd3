// Operators that write at indices: Scatter, ScatterElements, ScatterND, TensorScatter, OneHot.
#include <algorithm>
#include <cmath>

#include "ops/ref_util.h"
#include "ops/rule_util.h"

namespace skiff {
namespace {

int64_t wrap_index(int64_t i, int64_t n) {
  check(i >= -n && i < n, Code::kInvalidArgument, "index ", i, " is outside [", -n, ", ", n - 1, "]");
  return i < 0 ? i + n : i;
}

enum class Reduction { kNone, kAdd, kMul, kMax, kMin };

Reduction reduction_of(const Node& n) {
  std::string s = n.attr_s("reduction", "none");
  if (s == "none") return Reduction::kNone;
  if (s == "add") return Reduction::kAdd;
  if (s == "mul") return Reduction::kMul;
  if (s == "max") return Reduction::kMax;
  check(s == "min", Code::kInvalidModel, "attribute 'reduction' = '", s,
        "'; it must be 'none', 'add', 'mul', 'max' or 'min'");
  return Reduction::kMin;
}

double combine(Reduction r, double a, double b) {
  switch (r) {
    case Reduction::kAdd: return a + b;
    case Reduction::kMul: return a * b;
    case Reduction::kMax: return a > b || a != a ? a : b;
    case Reduction::kMin: return a < b || a != a ? a : b;
    default: return b;
  }
}

int64_t combine(Reduction r, int64_t a, int64_t b, bool unsigned64) {
  auto x = static_cast<uint64_t>(a), y = static_cast<uint64_t>(b);
  bool less = unsigned64 ? x < y : a < b;
  switch (r) {
    case Reduction::kAdd: return static_cast<int64_t>(x + y);
    case Reduction::kMul: return static_cast<int64_t>(x * y);
    case Reduction::kMax: return less ? b : a;
    case Reduction::kMin: return less ? a : b;
    default: return b;
  }
}

// y[at ..] = reduction(y[at ..], u[from ..]), n consecutive elements.
void write(Tensor& y, int64_t at, const Tensor& u, int64_t from, int64_t n, Reduction r) {
  if (r == Reduction::kNone) return ref::copy(y, at, 1, u, from, 1, n);
  check(y.dtype() != DType::kString, Code::kInvalidModel, "strings cannot be reduced");
  bool ints = dtype_is_integer(y.dtype()) || y.dtype() == DType::kBool;
  for (int64_t i = 0; i < n; ++i) {
    if (ints)
      set_int(y, at + i, combine(r, get_int(y, at + i), get_int(u, from + i), y.dtype() == DType::kUint64));
    else
      set_double(y, at + i, combine(r, get_double(y, at + i), get_double(u, from + i)));
  }
}

// Output 0 as a copy of the data.
Tensor& copy_of(KernelContext& c, const Tensor& x) {
  Tensor& y = c.out(0, x.dtype(), x.dims());
  ref::copy(y, 0, 1, x, 0, 1, x.size());
  return y;
}

// ---------------------------------------------------------------- ScatterElements

void scatter_elements_reference(KernelContext& c) {
  const Tensor &x = c.in(0), &q = c.in(1), &u = c.in(2);
  Reduction r = reduction_of(c.node());
  check(x.rank() == q.rank() && q.dims() == u.dims() && u.dtype() == x.dtype(), Code::kInvalidModel, "data ",
        describe(x), ", indices ", describe(q), " and updates ", describe(u), " do not fit together");
  auto axis = static_cast<size_t>(normalize_axis(c.node().attr_i("axis", 0), x.rank()));
  for (size_t k = 0; k < q.dims().size(); ++k)
    check(k == axis || q.dims()[k] <= x.dims()[k], Code::kInvalidModel, "the indices' shape ",
          to_string(q.dims()), " exceeds the data's ", to_string(x.dims()), " along axis ", k);
  Tensor& y = copy_of(c, x);
  Dims own = strides_of(x.dims()), s = own;
  s[axis] = 0;
  ref::StridedRuns runs(q.dims(), {strides_of(q.dims()), s});
  while (runs.next())
    for (int64_t i = 0; i < runs.n(); ++i) {
      int64_t from = runs.at(0) + i * runs.step(0);
      int64_t to = wrap_index(get_int(q, from), x.dims()[axis]);
      write(y, runs.at(1) + i * runs.step(1) + to * own[axis], u, from, 1, r);
    }
}

// ---------------------------------------------------------------- ScatterND

void scatter_nd_reference(KernelContext& c) {
  const Tensor &x = c.in(0), &q = c.in(1), &u = c.in(2);
  Reduction r = reduction_of(c.node());
  check(q.rank() >= 1 && u.dtype() == x.dtype(), Code::kInvalidModel,
        "the indices need an axis, the updates the data's type");
  int64_t depth = q.dim(q.rank() - 1);
  check(depth >= 0 && depth <= x.rank(), Code::kInvalidModel, "the indices ", describe(q),
        " address more axes than ", describe(x), " has");
  Dims want(q.dims().begin(), q.dims().end() - 1);
  for (int64_t i = depth; i < x.rank(); ++i) want.push_back(x.dim(i));
  check(u.dims() == want, Code::kInvalidModel, "the updates must have shape ", to_string(want),
        ", they have ", to_string(u.dims()));
  Tensor& y = copy_of(c, x);
  Dims strides = strides_of(x.dims());
  int64_t inner = element_count(x.dims(), static_cast<size_t>(depth), x.dims().size());
  int64_t rows = element_count(q.dims(), 0, q.dims().size() - 1);
  for (int64_t i = 0; i < rows; ++i) {
    int64_t to = 0;
    for (int64_t k = 0; k < depth; ++k)
      to += wrap_index(get_int(q, i * depth + k), x.dim(k)) * strides[static_cast<size_t>(k)];
    write(y, to, u, i * inner, inner, r);
  }
}

// ---------------------------------------------------------------- TensorScatter

// Writes `update` into a key/value cache at a position per batch entry, along `axis`.
void tensor_scatter_reference(KernelContext& c) {
  const Tensor &x = c.in(0), &u = c.in(1);
  const Tensor* where = c.maybe(2);
  std::string mode = c.node().attr_s("mode", "linear");
  check(mode == "linear" || mode == "circular", Code::kInvalidModel, "attribute 'mode' = '", mode,
        "'; it must be 'linear' or 'circular'");
  auto axis = static_cast<size_t>(normalize_axis(c.node().attr_i("axis", -2), x.rank()));
  check(axis > 0 && u.rank() == x.rank() && u.dtype() == x.dtype(), Code::kInvalidModel, "cannot write ",
        describe(u), " into ", describe(x), " along axis ", axis);
  for (size_t k = 0; k < x.dims().size(); ++k)
    check(k == axis ? u.dims()[k] <= x.dims()[k] : u.dims()[k] == x.dims()[k], Code::kInvalidModel,
          "cannot write ", describe(u), " into ", describe(x), " along axis ", axis);
  int64_t batch = x.dim(0), n = x.dims()[axis], m = u.dims()[axis];
  check(!where || where->size() == batch, Code::kInvalidModel,
        "input 'write_indices' must have one entry for each of the ", batch, " batch entries");
  Tensor& y = copy_of(c, x);
  int64_t middle = element_count(x.dims(), 1, axis),
          inner = element_count(x.dims(), axis + 1, x.dims().size());
  for (int64_t b = 0; b < batch; ++b) {
    int64_t first = where ? get_int(*where, b) : 0;
    check(first >= 0 && (mode == "circular" || first <= n - m), Code::kInvalidArgument, "write index ", first,
          " with ", m, " entries does not fit into the cache of ", n);
    for (int64_t k = 0; k < middle; ++k)
      for (int64_t i = 0; i < m; ++i)
        ref::copy(y, ((b * middle + k) * n + (first % std::max<int64_t>(n, 1) + i) % n) * inner, 1, u,
                  ((b * middle + k) * m + i) * inner, 1, inner);
  }
}

// ---------------------------------------------------------------- OneHot

void infer_one_hot(InferContext& c) {
  c.set(0, c.dtype(2));
  if (!c.has_rank(0)) return;
  std::vector<Dim> d = c.shape(0).dims();
  size_t axis = rule::axis(c.node().attr_i("axis", -1), d.size() + 1);
  auto depth = rule::numbers(c, 1);
  d.insert(d.begin() + static_cast<ptrdiff_t>(axis), depth && depth->size() == 1 ? (*depth)[0] : Dim());
  c.set(0, c.dtype(2), SymShape(std::move(d)));
}

void one_hot_reference(KernelContext& c) {
  const Tensor &q = c.in(0), &depth_in = c.in(1), &values = c.in(2);
  check(depth_in.size() == 1 && values.size() == 2, Code::kInvalidModel,
        "OneHot needs one depth and two values, it got ", describe(depth_in), " and ", describe(values));
  int64_t depth = get_int(depth_in, 0);
  auto axis = static_cast<size_t>(normalize_axis(c.node().attr_i("axis", -1), q.rank() + 1));
  Dims d = q.dims();
  d.insert(axis, depth);
  Tensor& y = c.out(0, values.dtype(), d);
  ref::fill(y, values, 0);
  int64_t inner = element_count(q.dims(), axis, q.dims().size());
  for (int64_t i = 0; i < q.size(); ++i) {
    int64_t k = get_int(q, i);
    if (k < -depth || k >= depth) continue;
    if (k < 0) k += depth;
    ref::copy(y, (i / inner * depth + k) * inner + i % inner, 1, values, 1, 1, 1);
  }
}

OpDef scatter(const char* name, std::vector<int> versions, void (*reference)(KernelContext&),
              std::vector<AttrDef> attributes) {
  return {.name = name,
          .versions = std::move(versions),
          .inputs = {{"data", kAllTypes, 'T'}, {"indices", kIndexTypes}, {"updates", kAllTypes, 'T'}},
          .outputs = {{"output", kAllTypes, 'T'}},
          .attributes = std::move(attributes),
          .infer = infer_same,
          .reference = reference};
}

}  // namespace

// Indices and depth of OneHot.
static constexpr TypeMask kIndicators = kNumericTypes & ~mask_of(DType::kBFloat16);

SKIFF_OP_DEF(ai_onnx, OneHot) {
  return {.name = "OneHot",
          .versions = {9, 11, 28},
          .inputs = {{"indices", kIndicators}, {"depth", kIndicators}, {"values", kAllTypes, 'T'}},
          .outputs = {{"output", kAllTypes, 'T'}},
          .attributes = {{"axis", AttrType::kInt}},
          .infer = infer_one_hot,
          .reference = one_hot_reference,
          .value_inputs = 2};
}

SKIFF_OP_DEF(ai_onnx, Scatter) {
  OpDef d = scatter("Scatter", {9}, scatter_elements_reference, {{"axis", AttrType::kInt}});
  d.removed = 11;
  return d;
}
SKIFF_OP_DEF(ai_onnx, ScatterElements) {
  return scatter("ScatterElements", {11, 13, 16, 18}, scatter_elements_reference,
                 {{"axis", AttrType::kInt}, {"reduction", AttrType::kString}});
}
SKIFF_OP_DEF(ai_onnx, ScatterND) {
  OpDef d = scatter("ScatterND", {11, 13, 16, 18}, scatter_nd_reference, {{"reduction", AttrType::kString}});
  d.inputs[1].types = mask_of(DType::kInt64);
  return d;
}

SKIFF_OP_DEF(ai_onnx, TensorScatter) {
  return {.name = "TensorScatter",
          .versions = {24},
          .inputs = {{"past_cache", kAllTypes, 'T'},
                     {"update", kAllTypes, 'T'},
                     {"write_indices", mask_of(DType::kInt64), 0, Arity::kOptional}},
          .outputs = {{"present_cache", kAllTypes, 'T'}},
          .attributes = {{"axis", AttrType::kInt}, {"mode", AttrType::kString}},
          .infer = infer_same,
          .reference = tensor_scatter_reference};
}

}  // namespace skiff
