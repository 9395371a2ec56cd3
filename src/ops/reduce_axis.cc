// Operators along one axis: ArgMax, ArgMin, CumSum, CumProd, TopK.
#include <algorithm>
#include <numeric>

#include "ops/ref_util.h"
#include "ops/rule_util.h"

namespace skiff {
namespace {

// A tensor seen as [outer, n, inner] around an axis.
struct AxisView {
  int64_t outer, n, inner;
  AxisView(const Dims& d, int64_t axis)
      : outer(element_count(d, 0, static_cast<size_t>(axis))),
        n(d[static_cast<size_t>(axis)]),
        inner(element_count(d, static_cast<size_t>(axis) + 1, d.size())) {}
};

bool computes_in_ints(DType t) { return dtype_is_integer(t) || t == DType::kBool; }

// Loads values whose order as W is the order of the elements (uint64 is shifted into int64's range).
template <class W>
void load_ordered(const Tensor& x, int64_t first, int64_t step, int64_t n, W* out) {
  ref::load(x, first, step, n, out);
  if constexpr (std::is_same_v<W, int64_t>)
    if (x.dtype() == DType::kUint64)
      for (int64_t i = 0; i < n; ++i) out[i] ^= INT64_MIN;
}

// ---------------------------------------------------------------- ArgMax, ArgMin

void infer_arg(InferContext& c) {
  bool keep = c.node().attr_i("keepdims", 1) != 0;
  if (!c.has_rank(0)) return c.set(0, DType::kInt64);
  SymShape s = c.shape(0);
  size_t a = rule::axis(c.node().attr_i("axis", 0), s.rank());
  check(!s[a].is(0), Code::kInvalidModel, "the axis ", a, " is empty: it has no extreme element");
  if (keep)
    s[a] = int64_t{1};
  else
    s.dims().erase(s.dims().begin() + static_cast<ptrdiff_t>(a));
  c.set(0, DType::kInt64, std::move(s));
}

// `best` keeps one candidate per inner position. A NaN is extreme, the first one wins.
template <class W>
void arg_lines(const Tensor& x, Tensor& y, const AxisView& v, bool max, bool last) {
  std::vector<W> best(static_cast<size_t>(v.inner)), row(best.size());
  for (int64_t o = 0; o < v.outer; ++o) {
    int64_t* index = y.data<int64_t>() + o * v.inner;
    std::fill(index, index + v.inner, 0);
    load_ordered(x, o * v.n * v.inner, 1, v.inner, best.data());
    for (int64_t k = 1; k < v.n; ++k) {
      load_ordered(x, (o * v.n + k) * v.inner, 1, v.inner, row.data());
      for (size_t i = 0; i < best.size(); ++i) {
        W a = row[i], b = best[i];
        if (b != b && !(last && a != a)) continue;
        bool better = a != a || (max ? a > b : a < b) || (last && a == b);
        if (!better) continue;
        best[i] = a;
        index[i] = k;
      }
    }
  }
}

void arg_reference(KernelContext& c) {
  const Tensor& x = c.in(0);
  int64_t axis = normalize_axis(c.node().attr_i("axis", 0), x.rank());
  bool keep = c.node().attr_i("keepdims", 1) != 0, last = c.node().attr_i("select_last_index", 0) != 0;
  AxisView v(x.dims(), axis);
  check(v.n > 0, Code::kInvalidArgument, "the axis ", axis, " is empty: it has no extreme element");
  Dims d = x.dims();
  if (keep)
    d[static_cast<size_t>(axis)] = 1;
  else
    d.erase(static_cast<size_t>(axis));
  Tensor& y = c.out(0, DType::kInt64, d);
  bool max = c.node().op == "ArgMax";
  computes_in_ints(x.dtype()) ? arg_lines<int64_t>(x, y, v, max, last)
                              : arg_lines<double>(x, y, v, max, last);
}

OpDef arg_extreme(const char* name) {
  return {.name = name,
          .versions = {1, 11, 12, 13},
          .inputs = {{"data", kNumericTypes, 'T'}},
          .outputs = {{"reduced", mask_of(DType::kInt64)}},
          .attributes = {{"axis", AttrType::kInt},
                         {"keepdims", AttrType::kInt},
                         {"select_last_index", AttrType::kInt}},
          .infer = infer_arg,
          .reference = arg_reference,
          .cost = [](const CostContext& c) {
            double b = c.in[0] ? dtype_bits(c.in[0]->dtype) / 8.0 : 0;
            return Cost{c.in_elements(0), c.in_elements(0) * b + c.out_elements(0) * 8};
          }};
}

// ---------------------------------------------------------------- CumSum, CumProd

template <class W>
void scan_lines(const Tensor& x, Tensor& y, const AxisView& v, bool product, bool exclusive, bool reverse) {
  std::vector<W> acc(static_cast<size_t>(v.inner)), row(acc.size());
  for (int64_t o = 0; o < v.outer; ++o) {
    std::fill(acc.begin(), acc.end(), W(product));
    for (int64_t k = 0; k < v.n; ++k) {
      int64_t at = (o * v.n + (reverse ? v.n - 1 - k : k)) * v.inner;
      ref::load(x, at, 1, v.inner, row.data());
      if (exclusive) ref::store(y, at, v.inner, acc.data());
      for (size_t i = 0; i < acc.size(); ++i) {
        if constexpr (std::is_same_v<W, double>) {
          acc[i] = product ? acc[i] * row[i] : acc[i] + row[i];
        } else {
          auto a = static_cast<uint64_t>(acc[i]), b = static_cast<uint64_t>(row[i]);
          acc[i] = static_cast<int64_t>(product ? a * b : a + b);
        }
      }
      if (!exclusive) ref::store(y, at, v.inner, acc.data());
    }
  }
}

void scan_reference(KernelContext& c) {
  const Tensor &x = c.in(0), &axis = c.in(1);
  check(axis.size() == 1, Code::kInvalidModel, "input 'axis' must be a scalar, it is ", describe(axis));
  AxisView v(x.dims(), normalize_axis(get_int(axis, 0), x.rank()));
  bool exclusive = c.node().attr_i("exclusive", 0) != 0, reverse = c.node().attr_i("reverse", 0) != 0;
  bool product = c.node().op == "CumProd";
  Tensor& y = c.out(0, x.dtype(), x.dims());
  computes_in_ints(x.dtype()) ? scan_lines<int64_t>(x, y, v, product, exclusive, reverse)
                              : scan_lines<double>(x, y, v, product, exclusive, reverse);
}

OpDef cumulative(const char* name, std::vector<int> versions) {
  constexpr TypeMask kTypes = kFloatTypes | kIndexTypes | mask_of(DType::kUint32) | mask_of(DType::kUint64);
  return {.name = name,
          .versions = std::move(versions),
          .inputs = {{"x", kTypes, 'T'}, {"axis", kIndexTypes}},
          .outputs = {{"y", kTypes, 'T'}},
          .attributes = {{"exclusive", AttrType::kInt}, {"reverse", AttrType::kInt}},
          .infer = infer_same,
          .reference = scan_reference};
}

// ---------------------------------------------------------------- TopK

void infer_topk(InferContext& c) {
  std::optional<std::vector<Dim>> k;
  if (c.opset() < 10)
    k = std::vector<Dim>{c.node().attr_i("k", -1)};
  else
    k = c.data(1);
  SymShape s = c.shape(0);
  if (s.has_rank()) {
    size_t a = rule::axis(c.node().attr_i("axis", -1), s.rank());
    Dim n = k && k->size() == 1 ? (*k)[0] : Dim();
    check(!n.is_const() || (n.value() >= 0 && (!s[a].is_const() || n.value() <= s[a].value())),
          Code::kInvalidModel, "k = ", n.to_string(), " is negative or exceeds the extent ",
          s[a].to_string());
    s[a] = n;
  }
  c.set(1, DType::kInt64, s);
  c.set(0, c.dtype(0), std::move(s));
}

// Equal values are ordered by index; NaN counts as the greatest.
template <class W>
void topk_lines(const Tensor& x, Tensor& y, Tensor& index, const AxisView& v, int64_t k, bool largest) {
  std::vector<W> line(static_cast<size_t>(v.n));
  std::vector<int64_t> order(line.size());
  auto above = [&line, largest](int64_t i, int64_t j) {
    W a = line[static_cast<size_t>(i)], b = line[static_cast<size_t>(j)];
    if (a != a || b != b) {
      if ((a != a) != (b != b)) return (a != a) == largest;
      return i < j;
    }
    return a == b ? i < j : (a > b) == largest;
  };
  for (int64_t o = 0; o < v.outer; ++o) {
    for (int64_t p = 0; p < v.inner; ++p) {
      int64_t first = o * v.n * v.inner + p;
      load_ordered(x, first, v.inner, v.n, line.data());
      std::iota(order.begin(), order.end(), int64_t{0});
      std::partial_sort(order.begin(), order.begin() + k, order.end(), above);
      for (int64_t i = 0; i < k; ++i) {
        int64_t to = (o * k + i) * v.inner + p, from = order[static_cast<size_t>(i)];
        ref::copy(y, to, 1, x, first + from * v.inner, 1, 1);
        index.data<int64_t>()[to] = from;
      }
    }
  }
}

void topk_reference(KernelContext& c) {
  const Tensor& x = c.in(0);
  int64_t axis = normalize_axis(c.node().attr_i("axis", -1), x.rank());
  int64_t k = c.node().attr_i("k", -1);
  if (c.opset() >= 10) {
    check(c.in(1).size() == 1, Code::kInvalidModel, "input 'K' must have one element, it is ",
          describe(c.in(1)));
    k = get_int(c.in(1), 0);
  }
  AxisView v(x.dims(), axis);
  check(k >= 0 && k <= v.n, Code::kInvalidArgument, "k = ", k, " is negative or exceeds the extent ", v.n);
  Dims d = x.dims();
  d[static_cast<size_t>(axis)] = k;
  Tensor& y = c.out(0, x.dtype(), d);
  Tensor spare;
  if (!c.wants(1)) spare = Tensor(DType::kInt64, d);
  Tensor& index = c.wants(1) ? c.out(1, DType::kInt64, d) : spare;
  bool largest = c.node().attr_i("largest", 1) != 0;
  computes_in_ints(x.dtype()) ? topk_lines<int64_t>(x, y, index, v, k, largest)
                              : topk_lines<double>(x, y, index, v, k, largest);
}

}  // namespace

SKIFF_OP_DEF(ai_onnx, ArgMax) { return arg_extreme("ArgMax"); }
SKIFF_OP_DEF(ai_onnx, ArgMin) { return arg_extreme("ArgMin"); }
SKIFF_OP_DEF(ai_onnx, CumProd) { return cumulative("CumProd", {26}); }
SKIFF_OP_DEF(ai_onnx, CumSum) { return cumulative("CumSum", {11, 14}); }

SKIFF_OP_DEF(ai_onnx, TopK) {
  return {.name = "TopK",
          .versions = {1, 10, 11, 24},
          .inputs = {{"X", kNumericTypes, 'T'}, {"K", mask_of(DType::kInt64), 0, Arity::kOptional}},
          .outputs = {{"Values", kNumericTypes, 'T'}, {"Indices", mask_of(DType::kInt64)}},
          .attributes = {{"axis", AttrType::kInt},
                         {"k", AttrType::kInt},
                         {"largest", AttrType::kInt},
                         {"sorted", AttrType::kInt}},
          .infer = infer_topk,
          .reference = topk_reference,
          .value_inputs = 2};
}

}  // namespace skiff
