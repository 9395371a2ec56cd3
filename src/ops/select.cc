// Operators whose output is chosen by the data: NonZero, Compress, Unique; and ReverseSequence.
#include <algorithm>
#include <complex>
#include <numeric>

#include "ops/ref_util.h"
#include "ops/rule_util.h"

namespace skiff {
namespace {

bool is_zero(const Tensor& t, int64_t i) {
  switch (t.dtype()) {
    case DType::kString: return t.data<std::string>()[i].empty();
    case DType::kComplex64: return t.data<std::complex<float>>()[i] == 0.0f;
    case DType::kComplex128: return t.data<std::complex<double>>()[i] == 0.0;
    default: return get_double(t, i) == 0;
  }
}

// ---------------------------------------------------------------- NonZero

void non_zero_reference(KernelContext& c) {
  const Tensor& x = c.in(0);
  std::vector<int64_t> where;
  for (int64_t i = 0; i < x.size(); ++i)
    if (!is_zero(x, i)) where.push_back(i);
  auto n = static_cast<int64_t>(where.size());
  Tensor& y = c.out(0, DType::kInt64, {x.rank(), n});
  Dims strides = strides_of(x.dims());
  for (size_t k = 0; k < strides.size(); ++k)
    for (int64_t i = 0; i < n; ++i)
      y.data<int64_t>()[static_cast<int64_t>(k) * n + i] =
          where[static_cast<size_t>(i)] / strides[k] % x.dims()[k];
}

// ---------------------------------------------------------------- Compress

void infer_compress(InferContext& c) {
  c.set(0, c.dtype(0));
  if (!c.node().has_attr("axis")) return c.set(0, c.dtype(0), SymShape::of_rank(1));
  if (!c.has_rank(0)) return;
  SymShape s = c.shape(0);
  s[rule::axis(c.node().attr_i("axis", 0), s.rank())] = Dim();
  c.set(0, c.dtype(0), std::move(s));
}

void compress_reference(KernelContext& c) {
  const Tensor& cond = c.in(1);
  Tensor x = c.in(0);
  check(cond.rank() == 1 && cond.dtype() == DType::kBool, Code::kInvalidModel,
        "the condition must be a vector of bool, it is ", describe(cond));
  if (!c.node().has_attr("axis")) x = x.reshaped({x.size()});
  auto axis = static_cast<size_t>(normalize_axis(c.node().attr_i("axis", 0), x.rank()));
  int64_t n = x.dims()[axis], given = std::min(cond.size(), n);
  std::vector<int64_t> keep;
  for (int64_t i = 0; i < given; ++i)
    if (get_int(cond, i)) keep.push_back(i);
  Dims d = x.dims();
  d[axis] = static_cast<int64_t>(keep.size());
  int64_t outer = element_count(d, 0, axis), inner = element_count(d, axis + 1, d.size());
  Tensor& y = c.out(0, x.dtype(), d);
  int64_t at = 0;
  for (int64_t o = 0; o < outer; ++o)
    for (int64_t i : keep) {
      ref::copy(y, at, 1, x, (o * n + i) * inner, 1, inner);
      at += inner;
    }
}

// ---------------------------------------------------------------- Unique

void infer_unique(InferContext& c) {
  SymShape s = SymShape::of_rank(1);
  if (c.node().has_attr("axis")) {
    s = c.shape(0);
    if (s.has_rank()) s[rule::axis(c.node().attr_i("axis", 0), s.rank())] = Dim();
  }
  c.set(0, c.dtype(0), std::move(s));
  Dim count;
  if (c.has_rank(0))
    count = c.node().has_attr("axis") ? c.shape(0)[rule::axis(c.node().attr_i("axis", 0), c.shape(0).rank())]
                                      : c.shape(0).count();
  for (size_t i : {1, 2, 3})
    if (c.wants(i)) c.set(i, DType::kInt64, SymShape(std::vector<Dim>{i == 2 ? count : Dim()}));
}

// -1, 0, 1; a NaN comes last and equals only itself, bit for bit aside.
int compare_elements(const Tensor& t, int64_t i, int64_t j) {
  if (t.dtype() == DType::kString) {
    int r = t.data<std::string>()[i].compare(t.data<std::string>()[j]);
    return (r > 0) - (r < 0);
  }
  if (dtype_is_float(t.dtype())) {
    double a = get_double(t, i), b = get_double(t, j);
    if (a != a || b != b) return (a != a) - (b != b);
    return (a > b) - (a < b);
  }
  int64_t a = get_int(t, i), b = get_int(t, j);
  if (t.dtype() == DType::kUint64) {
    a ^= INT64_MIN;
    b ^= INT64_MIN;
  }
  return (a > b) - (a < b);
}

void unique_reference(KernelContext& c) {
  Tensor x = c.in(0);
  bool sorted = c.node().attr_i("sorted", 1) != 0;
  if (!c.node().has_attr("axis")) x = x.reshaped({x.size()});
  auto axis = static_cast<size_t>(normalize_axis(c.node().attr_i("axis", 0), x.rank()));
  int64_t n = x.dims()[axis];
  Dims d = x.dims();
  int64_t outer = element_count(d, 0, axis), inner = element_count(d, axis + 1, d.size());
  // Slices along the axis compare as their elements in order.
  auto compare = [&](int64_t i, int64_t j) {
    for (int64_t o = 0; o < outer; ++o)
      for (int64_t k = 0; k < inner; ++k)
        if (int r = compare_elements(x, (o * n + i) * inner + k, (o * n + j) * inner + k)) return r;
    return 0;
  };
  std::vector<int64_t> order(static_cast<size_t>(n));
  std::iota(order.begin(), order.end(), int64_t{0});
  std::sort(order.begin(), order.end(), [&](int64_t i, int64_t j) {
    int r = compare(i, j);
    return r < 0 || (r == 0 && i < j);
  });
  // Groups of equal slices; each is known by its first member.
  std::vector<int64_t> first, count, group(order.size());
  for (size_t i = 0; i < order.size(); ++i) {
    if (i == 0 || compare(order[i - 1], order[i]) != 0) {
      first.push_back(order[i]);
      count.push_back(0);
    }
    ++count.back();
    group[static_cast<size_t>(order[i])] = static_cast<int64_t>(first.size()) - 1;
  }
  std::vector<int64_t> rank(first.size());  // groups in the order of the output
  std::iota(rank.begin(), rank.end(), int64_t{0});
  if (!sorted)
    std::sort(rank.begin(), rank.end(), [&](int64_t a, int64_t b) {
      return first[static_cast<size_t>(a)] < first[static_cast<size_t>(b)];
    });
  auto groups = static_cast<int64_t>(rank.size());
  d[axis] = groups;
  Tensor& y = c.out(0, x.dtype(), d);
  for (int64_t o = 0; o < outer; ++o)
    for (int64_t g = 0; g < groups; ++g)
      ref::copy(y, (o * groups + g) * inner, 1, x,
                (o * n + first[static_cast<size_t>(rank[static_cast<size_t>(g)])]) * inner, 1, inner);
  std::vector<int64_t> position(rank.size());
  for (size_t g = 0; g < rank.size(); ++g) position[static_cast<size_t>(rank[g])] = static_cast<int64_t>(g);
  auto put = [&](size_t i, const std::vector<int64_t>& from, const std::vector<int64_t>& index,
                 bool inverse) {
    if (!c.wants(i)) return;
    Tensor& t = c.out(i, DType::kInt64, {static_cast<int64_t>(index.size())});
    for (size_t k = 0; k < index.size(); ++k) {
      auto v = static_cast<size_t>(index[k]);
      t.data<int64_t>()[k] = inverse ? position[v] : from[v];
    }
  };
  put(1, first, rank, false);
  put(2, first, group, true);
  put(3, count, rank, false);
}

// ---------------------------------------------------------------- ReverseSequence

void reverse_sequence_reference(KernelContext& c) {
  const Tensor &x = c.in(0), &lens = c.in(1);
  check(x.rank() >= 2, Code::kInvalidModel, "the input needs batch and time axes, it is ", describe(x));
  auto batch = static_cast<size_t>(normalize_axis(c.node().attr_i("batch_axis", 1), x.rank()));
  auto time = static_cast<size_t>(normalize_axis(c.node().attr_i("time_axis", 0), x.rank()));
  check(batch + time == 1, Code::kInvalidModel, "batch_axis and time_axis must be 0 and 1");
  int64_t n = x.dims()[batch], t = x.dims()[time];
  check(lens.size() == n, Code::kInvalidModel, "input 'sequence_lens' must have ", n, " entries");
  Dims s = strides_of(x.dims());
  int64_t inner = element_count(x.dims(), 2, x.dims().size());
  Tensor& y = c.out(0, x.dtype(), x.dims());
  for (int64_t b = 0; b < n; ++b) {
    int64_t len = get_int(lens, b);
    check(len >= 0 && len <= t, Code::kInvalidModel, "sequence length ", len, " is outside [0, ", t, "]");
    for (int64_t i = 0; i < t; ++i)
      ref::copy(y, b * s[batch] + i * s[time], 1, x, b * s[batch] + (i < len ? len - 1 - i : i) * s[time], 1,
                inner);
  }
}

}  // namespace

SKIFF_OP_DEF(ai_onnx, Compress) {
  return {.name = "Compress",
          .versions = {9, 11, 28},
          .inputs = {{"input", kAllTypes, 'T'}, {"condition", kBoolType}},
          .outputs = {{"output", kAllTypes, 'T'}},
          .attributes = {{"axis", AttrType::kInt}},
          .infer = infer_compress,
          .reference = compress_reference,
          .flags = kDataDependent};
}

SKIFF_OP_DEF(ai_onnx, NonZero) {
  return {.name = "NonZero",
          .versions = {9, 13},
          .inputs = {{"X", kAllTypes}},
          .outputs = {{"Y", mask_of(DType::kInt64)}},
          .infer =
              [](InferContext& c) {
                SymShape s = SymShape::of_rank(2);
                if (c.has_rank(0)) s[0] = static_cast<int64_t>(c.shape(0).rank());
                c.set(0, DType::kInt64, std::move(s));
              },
          .reference = non_zero_reference,
          .flags = kDataDependent};
}

SKIFF_OP_DEF(ai_onnx, ReverseSequence) {
  return {.name = "ReverseSequence",
          .versions = {10, 28},
          .inputs = {{"input", kAllTypes, 'T'}, {"sequence_lens", mask_of(DType::kInt64)}},
          .outputs = {{"Y", kAllTypes, 'T'}},
          .attributes = {{"batch_axis", AttrType::kInt}, {"time_axis", AttrType::kInt}},
          .infer = infer_same,
          .reference = reverse_sequence_reference};
}

SKIFF_OP_DEF(ai_onnx, Unique) {
  constexpr TypeMask kIndex = mask_of(DType::kInt64);
  return {.name = "Unique",
          .versions = {11, 28},
          .inputs = {{"X", kAllTypes, 'T'}},
          .outputs = {{"Y", kAllTypes, 'T'},
                      {"indices", kIndex, 0, Arity::kOptional},
                      {"inverse_indices", kIndex, 0, Arity::kOptional},
                      {"counts", kIndex, 0, Arity::kOptional}},
          .attributes = {{"axis", AttrType::kInt}, {"sorted", AttrType::kInt}},
          .infer = infer_unique,
          .reference = unique_reference,
          .flags = kDataDependent};
}

}  // namespace skiff
