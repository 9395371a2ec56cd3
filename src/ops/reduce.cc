// The Reduce family.
#include <algorithm>
#include <cmath>
#include <limits>

#include "ops/ref_util.h"
#include "ops/rule_util.h"

namespace skiff {
namespace {

// A reduction folds elements into an accumulator, run by run: onto one accumulator when the run lies along a
// reduced axis, onto n of them otherwise.
template <class W>
struct Fold {
  W init = 0;
  void (*onto_one)(W* acc, const W* v, int64_t n) = nullptr;
  void (*onto_many)(W* acc, int64_t step, const W* v, int64_t n) = nullptr;
};

template <class W, auto F>
constexpr Fold<W> fold_of(W init) {
  return {init,
          [](W* acc, const W* v, int64_t n) {
            W a = *acc;
            for (int64_t i = 0; i < n; ++i) a = F(a, v[i]);
            *acc = a;
          },
          [](W* acc, int64_t step, const W* v, int64_t n) {
            for (int64_t i = 0; i < n; ++i) acc[i * step] = F(acc[i * step], v[i]);
          }};
}

constexpr double kInf = std::numeric_limits<double>::infinity();
using U = uint64_t;
constexpr int64_t kTop = INT64_MIN;  // flipping the top bit orders uint64 as int64

constexpr Fold<double> kSum = fold_of<double, [](double a, double v) { return a + v; }>(0);
constexpr Fold<double> kAbsSum = fold_of<double, [](double a, double v) { return a + std::abs(v); }>(0);
constexpr Fold<double> kSquareSum = fold_of<double, [](double a, double v) { return a + v * v; }>(0);
constexpr Fold<double> kProd = fold_of<double, [](double a, double v) { return a * v; }>(1);
constexpr Fold<double> kMax =
    fold_of<double, [](double a, double v) { return (v > a || v != v ? v : a); }>(-kInf);
constexpr Fold<double> kMin =
    fold_of<double, [](double a, double v) { return (v < a || v != v ? v : a); }>(kInf);
constexpr Fold<int64_t> kIntSum =
    fold_of<int64_t, [](int64_t a, int64_t v) { return static_cast<int64_t>(U(a) + U(v)); }>(0);
constexpr Fold<int64_t> kIntAbsSum = fold_of<int64_t, [](int64_t a, int64_t v) {
  return static_cast<int64_t>(v < 0 ? U(a) - U(v) : U(a) + U(v));
}>(0);
constexpr Fold<int64_t> kIntSquareSum =
    fold_of<int64_t, [](int64_t a, int64_t v) { return static_cast<int64_t>(U(a) + U(v) * U(v)); }>(0);
constexpr Fold<int64_t> kIntProd =
    fold_of<int64_t, [](int64_t a, int64_t v) { return static_cast<int64_t>(U(a) * U(v)); }>(1);
constexpr Fold<int64_t> kIntMax =
    fold_of<int64_t, [](int64_t a, int64_t v) { return (v > a ? v : a); }>(INT64_MIN);
constexpr Fold<int64_t> kIntMin =
    fold_of<int64_t, [](int64_t a, int64_t v) { return (v < a ? v : a); }>(INT64_MAX);

// acc[out index] = fold over x; out_strides has one entry per axis of x, 0 along reduced axes. `prepare`
// transforms a block before it is folded (null: nothing), given the accumulators' index and step.
template <class W, class P>
void accumulate(const Tensor& x, const Dims& out_strides, const Fold<W>& f, std::vector<W>& acc, P prepare) {
  W block[ref::kBlock];
  ref::StridedRuns r(x.dims(), {strides_of(x.dims()), out_strides});
  while (r.next()) {
    for (int64_t b = 0; b < r.n(); b += ref::kBlock) {
      int64_t n = std::min(ref::kBlock, r.n() - b), at = r.at(1) + b * r.step(1);
      ref::load(x, r.at(0) + b * r.step(0), r.step(0), n, block);
      prepare(block, n, at, r.step(1));
      W* a = acc.data() + at;
      r.step(1) == 0 ? f.onto_one(a, block, n) : f.onto_many(a, r.step(1), block, n);
    }
  }
}

struct Plan {
  Dims out;               // the output's dims, keepdims applied
  Dims out_strides;       // per input axis
  int64_t count = 1;      // elements folded into one
  bool identity = false;  // nothing to reduce
};

// Axes come from the attribute before `input_since`, then from input 1. No axes: all, or none under
// noop_with_empty_axes.
Plan plan_of(const KernelContext& c, int input_since) {
  const Tensor& x = c.in(0);
  std::vector<int64_t> axes;
  if (c.opset() < input_since)
    axes = c.node().attr_ints("axes");
  else if (c.has(1))
    axes = to_ints(c.in(1));
  Plan p;
  std::vector<bool> reduced(x.dims().size());
  if (axes.empty()) {
    p.identity = c.opset() >= input_since && c.node().attr_i("noop_with_empty_axes", 0) != 0;
    std::fill(reduced.begin(), reduced.end(), !p.identity);
  }
  for (size_t a : rule::axes(axes, reduced.size())) reduced[a] = true;
  bool keep = c.node().attr_i("keepdims", 1) != 0;
  Dims kept;
  for (size_t i = 0; i < reduced.size(); ++i) {
    kept.push_back(reduced[i] ? 1 : x.dims()[i]);
    if (reduced[i]) p.count *= x.dims()[i];
    if (!reduced[i] || keep) p.out.push_back(kept.back());
  }
  p.out_strides = strides_of(kept);
  for (size_t i = 0; i < reduced.size(); ++i)
    if (reduced[i]) p.out_strides[i] = 0;
  return p;
}

constexpr auto kNothing = [](auto*, int64_t, int64_t, int64_t) {};

// What follows the fold.
enum class Finish { kNone, kMean, kSqrt, kLog };

void run_real(const Tensor& x, Tensor& y, const Plan& p, const Fold<double>& f, Finish finish) {
  std::vector<double> acc(static_cast<size_t>(y.size()), f.init);
  accumulate(x, p.out_strides, f, acc, kNothing);
  for (double& v : acc) {
    if (finish == Finish::kMean) v /= static_cast<double>(p.count);
    if (finish == Finish::kSqrt) v = std::sqrt(v);
    if (finish == Finish::kLog) v = std::log(v);
  }
  ref::store(y, 0, y.size(), acc.data());
}

void run_int(const Tensor& x, Tensor& y, const Plan& p, const Fold<int64_t>& f, bool mean, bool ordered) {
  // An empty maximum is the least value the type holds, and the other way about.
  int64_t init = f.init, flip = ordered && x.dtype() == DType::kUint64 ? kTop : 0;
  if (ordered && p.count == 0) {
    bool sgn = dtype_is_signed(x.dtype()), is_bool = x.dtype() == DType::kBool;
    int bits = is_bool ? 1 : dtype_bits(x.dtype());
    bool least = init == INT64_MIN;
    init = sgn ? (least ? INT64_MIN >> (64 - bits) : INT64_MAX >> (64 - bits))
               : (least ? 0 : static_cast<int64_t>(~U{0} >> (64 - bits)));
    init ^= flip;
  }
  std::vector<int64_t> acc(static_cast<size_t>(y.size()), init);
  accumulate(x, p.out_strides, f, acc, [flip](int64_t* v, int64_t n, int64_t, int64_t) {
    for (int64_t i = 0; flip && i < n; ++i) v[i] ^= flip;
  });
  for (int64_t& v : acc) {
    v ^= flip;
    if (mean) v = p.count ? v / p.count : 0;
  }
  ref::store(y, 0, y.size(), acc.data());
}

// log(sum(exp(x))), shifted by the maximum so that nothing overflows.
void log_sum_exp(const Tensor& x, Tensor& y, const Plan& p) {
  std::vector<double> top(static_cast<size_t>(y.size()), -kInf), sum(top.size(), 0.0);
  accumulate(x, p.out_strides, kMax, top, kNothing);
  accumulate(x, p.out_strides, kSum, sum, [&top](double* v, int64_t n, int64_t at, int64_t step) {
    for (int64_t i = 0; i < n; ++i) {
      double m = top[static_cast<size_t>(at + i * step)];
      v[i] = std::exp(std::isinf(m) ? (v[i] == m ? 0 : -kInf) : v[i] - m);
    }
  });
  for (size_t i = 0; i < sum.size(); ++i) sum[i] = std::log(sum[i]) + top[i];
  ref::store(y, 0, y.size(), sum.data());
}

struct Reduction {
  const char* name;
  int input_since;
  const Fold<double>* real;
  const Fold<int64_t>* integer;  // null: integers go through doubles
  Finish finish = Finish::kNone;
  bool ordered = false;  // a maximum or minimum
};

constexpr Reduction kTable[] = {
    {"ReduceL1", 18, &kAbsSum, &kIntAbsSum},
    {"ReduceL2", 18, &kSquareSum, nullptr, Finish::kSqrt},
    {"ReduceLogSum", 18, &kSum, nullptr, Finish::kLog},
    {"ReduceLogSumExp", 18, nullptr, nullptr},
    {"ReduceMax", 18, &kMax, &kIntMax, Finish::kNone, true},
    {"ReduceMean", 18, &kSum, &kIntSum, Finish::kMean},
    {"ReduceMin", 18, &kMin, &kIntMin, Finish::kNone, true},
    {"ReduceProd", 18, &kProd, &kIntProd},
    {"ReduceSum", 13, &kSum, &kIntSum},
    {"ReduceSumSquare", 18, &kSquareSum, &kIntSquareSum},
};

const Reduction& find_reduction(std::string_view op) {
  for (const Reduction& r : kTable)
    if (op == r.name) return r;
  fail(Code::kInternal, op, " is not a reduction");
}

void reduce_reference(KernelContext& c) {
  const Reduction& r = find_reduction(c.node().op);
  const Tensor& x = c.in(0);
  Plan p = plan_of(c, r.input_since);
  Tensor& y = c.out(0, x.dtype(), p.out);
  bool is_int = dtype_is_integer(x.dtype()) || x.dtype() == DType::kBool;
  if (p.identity && (r.finish == Finish::kMean || r.ordered || r.real == &kSum || r.real == &kProd) &&
      r.finish != Finish::kLog)
    return ref::copy(y, 0, 1, x, 0, 1, x.size());
  if (!r.real) return log_sum_exp(x, y, p);
  if (is_int && r.integer) return run_int(x, y, p, *r.integer, r.finish == Finish::kMean, r.ordered);
  run_real(x, y, p, *r.real, r.finish);
}

// ---------------------------------------------------------------- rule

void infer_reduce(InferContext& c) {
  const Reduction& r = find_reduction(c.node().op);
  bool keep = c.node().attr_i("keepdims", 1) != 0;
  std::optional<std::vector<int64_t>> axes = std::vector<int64_t>{};
  if (c.opset() < r.input_since)
    axes = c.node().attr_ints("axes");
  else if (c.has(1))
    axes = c.ints(1);
  bool noop = c.opset() >= r.input_since && c.node().attr_i("noop_with_empty_axes", 0) != 0;
  c.set(0, c.dtype(0));
  if (!c.has_rank(0)) return;
  const SymShape& s = c.shape(0);
  if (!axes) {
    auto n = rule::length(c, 1);
    if (keep) return c.set(0, c.dtype(0), SymShape::of_rank(s.rank()));
    if (n && *n <= s.rank() && (*n || !noop)) c.set(0, c.dtype(0), SymShape::of_rank(*n ? s.rank() - *n : 0));
    return;
  }
  std::vector<bool> reduced(s.rank(), axes->empty() && !noop);
  for (size_t a : rule::axes(*axes, s.rank())) reduced[a] = true;
  std::vector<Dim> d;
  for (size_t i = 0; i < s.rank(); ++i) {
    if (!reduced[i])
      d.push_back(s[i]);
    else if (keep)
      d.push_back(int64_t{1});
  }
  c.set(0, c.dtype(0), SymShape(std::move(d)));
  // Shape arithmetic: the product (sum, extremes) of a vector of extents.
  if (s.rank() != 1 || !reduced[0]) return;
  auto data = c.data(0);
  if (!data || data->empty()) return;
  Dim v = (*data)[0];
  for (size_t i = 1; i < data->size(); ++i) {
    const Dim& x = (*data)[i];
    if (r.integer == &kIntProd)
      v = v * x;
    else if (r.integer == &kIntSum && r.finish == Finish::kNone)
      v = v + x;
    else if (r.integer == &kIntMax)
      v = dim_max(v, x);
    else if (r.integer == &kIntMin)
      v = dim_min(v, x);
    else
      return;
  }
  c.set_data(0, {v});
}

Cost reduce_cost(const CostContext& c) {
  double n = c.in_elements(0), b = c.in[0] ? dtype_bits(c.in[0]->dtype) / 8.0 : 0;
  return {n, (n + c.out_elements(0)) * b};
}

constexpr TypeMask kWideTypes = kFloatTypes | kIndexTypes | mask_of(DType::kUint32) | mask_of(DType::kUint64);
// The extremes also of bytes and truth values.
constexpr TypeMask kExtremeTypes = kWideTypes | mask_of(DType::kInt8) | mask_of(DType::kUint8) | kBoolType;

OpDef reduce(const char* name, std::vector<int> versions, TypeMask types = kWideTypes) {
  return {.name = name,
          .versions = std::move(versions),
          .inputs = {{"data", types, 'T'}, {"axes", mask_of(DType::kInt64), 0, Arity::kOptional}},
          .outputs = {{"reduced", types, 'T'}},
          .attributes = {{"axes", AttrType::kInts},
                         {"keepdims", AttrType::kInt},
                         {"noop_with_empty_axes", AttrType::kInt}},
          .infer = infer_reduce,
          .reference = reduce_reference,
          .cost = reduce_cost,
          .value_inputs = 2};
}

}  // namespace

SKIFF_OP_DEF(ai_onnx, ReduceL1) { return reduce("ReduceL1", {1, 11, 13, 18}); }
SKIFF_OP_DEF(ai_onnx, ReduceL2) { return reduce("ReduceL2", {1, 11, 13, 18}); }
SKIFF_OP_DEF(ai_onnx, ReduceLogSum) { return reduce("ReduceLogSum", {1, 11, 13, 18, 28}); }
SKIFF_OP_DEF(ai_onnx, ReduceLogSumExp) { return reduce("ReduceLogSumExp", {1, 11, 13, 18, 28}); }
SKIFF_OP_DEF(ai_onnx, ReduceMax) { return reduce("ReduceMax", {1, 11, 12, 13, 18, 20}, kExtremeTypes); }
SKIFF_OP_DEF(ai_onnx, ReduceMean) { return reduce("ReduceMean", {1, 11, 13, 18}); }
SKIFF_OP_DEF(ai_onnx, ReduceMin) { return reduce("ReduceMin", {1, 11, 12, 13, 18, 20}, kExtremeTypes); }
SKIFF_OP_DEF(ai_onnx, ReduceProd) { return reduce("ReduceProd", {1, 11, 13, 18}); }
SKIFF_OP_DEF(ai_onnx, ReduceSum) { return reduce("ReduceSum", {1, 11, 13}); }
SKIFF_OP_DEF(ai_onnx, ReduceSumSquare) { return reduce("ReduceSumSquare", {1, 11, 13, 18}); }

}  // namespace skiff
