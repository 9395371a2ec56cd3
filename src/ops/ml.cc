// ai.onnx.ml: Scaler, Normalizer, Imputer, Binarizer, ZipMap, FeatureVectorizer, ArrayFeatureExtractor, and
// what the family shares.
#include "ops/ml.h"

#include <algorithm>
#include <cmath>

namespace skiff {
namespace ml {

Rows rows_of(const Tensor& x) {
  check(x.rank() == 1 || x.rank() == 2, Code::kInvalidModel, "X must be [N, C] or [C], it has shape ",
        to_string(x.dims()));
  Rows r;
  r.n = x.rank() == 2 ? x.dim(0) : 1;
  r.features = x.dim(x.rank() - 1);
  r.v = ref::to_doubles(x);
  return r;
}

Dim row_count(const SymShape& x) {
  if (!x.has_rank()) return {};
  check(x.rank() == 1 || x.rank() == 2, Code::kInvalidModel, "X must have rank 1 or 2");
  return x.rank() == 2 ? x[0] : Dim(1);
}

SymShape rows_by(const SymShape& x, Dim cols) {
  return SymShape(std::vector<Dim>{row_count(x), std::move(cols)});
}

Post post_of(const Node& n) {
  static constexpr const char* kNames[] = {"NONE", "SOFTMAX", "LOGISTIC", "SOFTMAX_ZERO", "PROBIT"};
  std::string s = n.attr_s("post_transform", "NONE");
  for (size_t i = 0; i < std::size(kNames); ++i)
    if (s == kNames[i]) return static_cast<Post>(i);
  fail(Code::kInvalidModel, "post_transform '", s, "' is not known");
}

namespace {

double logistic(double v) { return v < 0 ? 1 - 1 / (1 + std::exp(v)) : 1 / (1 + std::exp(-v)); }

// sqrt(2) * erf^-1(2p - 1) by Winitzki's formula: what this operator's other implementations agree on.
double probit(double p) {
  double x = 2 * p - 1, l = std::log((1 - x) * (1 + x));
  if (x == 0) return 0;
  double v = 2 / (3.14159265358979323846 * 0.147) + 0.5 * l, w = l / 0.147;
  double r = std::sqrt(std::sqrt(v * v - w) - v);
  return 1.41421356 * (x < 0 ? -r : r);
}

}  // namespace

void transform(Post p, double* s, int64_t n) {
  if (n == 0) return;
  if (p == Post::kLogistic || p == Post::kProbit) {
    for (int64_t i = 0; i < n; ++i) s[i] = p == Post::kLogistic ? logistic(s[i]) : probit(s[i]);
  }
  if (p != Post::kSoftmax && p != Post::kSoftmaxZero) return;
  double max = *std::max_element(s, s + n), sum = 0;
  for (int64_t i = 0; i < n; ++i) {
    bool zero = p == Post::kSoftmaxZero && std::abs(s[i]) <= 1e-7;
    s[i] = zero ? s[i] * std::exp(-max) : std::exp(s[i] - max);
    sum += s[i];
  }
  for (int64_t i = 0; i < n; ++i) s[i] = sum == 0 ? 0.5 : s[i] / sum;
}

Labels labels_of(const Node& n, std::string_view ints, std::string_view strings) {
  Labels l{n.attr_ints(ints), n.attr_strings(strings)};
  check(l.ints.empty() || l.strings.empty(), Code::kInvalidModel, "only one of '", ints, "' and '", strings,
        "' may be given");
  return l;
}

void Labels::put(Tensor& y, int64_t i, size_t label) const {
  if (strings.empty())
    y.data<int64_t>()[i] = ints[label];
  else
    y.data<std::string>()[i] = strings[label];
}

Tensor Labels::keys() const {
  Tensor k(dtype(), {static_cast<int64_t>(size())});
  for (size_t i = 0; i < size(); ++i) put(k, static_cast<int64_t>(i), i);
  return k;
}

size_t decide(std::vector<double>& s, size_t classes, bool single, bool all_positive, Post p) {
  if (!single || classes != 2) {
    size_t best = static_cast<size_t>(std::max_element(s.begin(), s.end()) - s.begin());
    transform(p, s.data(), static_cast<int64_t>(s.size()));
    return best;
  }
  // One score for two classes: a probability when no weight is negative, else a margin around zero.
  double v = s[0];
  size_t best = v > (all_positive ? 0.5 : 0) ? 1 : 0;
  if (p == Post::kNone || p == Post::kProbit) {
    s = all_positive ? std::vector<double>{1 - v, v} : std::vector<double>{-v, v};
    if (p == Post::kProbit) transform(p, s.data(), 2);
  } else {
    s = all_positive && p != Post::kLogistic ? std::vector<double>{1 - v, v} : std::vector<double>{-v, v};
    transform(p, s.data(), 2);
  }
  return best;
}

namespace {

// ---------------------------------------------------------------- Scaler

void infer_to_float(InferContext& c) { c.set(0, DType::kFloat, c.shape(0)); }

// A list attribute as one value for each feature: absent, of one element, or of `n`.
std::vector<double> per_feature(const Node& node, std::string_view name, int64_t n, double def) {
  std::vector<float> v = node.attr_floats(name);
  if (v.empty()) return std::vector<double>(static_cast<size_t>(n), def);
  if (v.size() == 1) return std::vector<double>(static_cast<size_t>(n), static_cast<double>(v[0]));
  check(static_cast<int64_t>(v.size()) == n, Code::kInvalidModel, "attribute '", name, "' has ", v.size(),
        " entries for ", n, " features");
  return {v.begin(), v.end()};
}

void scaler_reference(KernelContext& c) {
  Rows x = rows_of(c.in(0));
  std::vector<double> offset = per_feature(c.node(), "offset", x.features, 0);
  std::vector<double> scale = per_feature(c.node(), "scale", x.features, 1);
  float* y = c.out(0, DType::kFloat, c.in(0).dims()).data<float>();
  for (int64_t i = 0; i < x.n * x.features; ++i) {
    auto f = static_cast<size_t>(i % x.features);
    y[i] = static_cast<float>((x.v[static_cast<size_t>(i)] - offset[f]) * scale[f]);
  }
}

// ---------------------------------------------------------------- Normalizer

void normalizer_reference(KernelContext& c) {
  Rows x = rows_of(c.in(0));
  std::string norm = c.node().attr_s("norm", "MAX");
  check(norm == "MAX" || norm == "L1" || norm == "L2", Code::kInvalidModel, "norm '", norm, "' is not known");
  float* y = c.out(0, DType::kFloat, c.in(0).dims()).data<float>();
  for (int64_t r = 0; r < x.n; ++r) {
    const double* p = x.row(r);
    double d = norm == "MAX" && x.features ? p[0] : 0;
    for (int64_t i = 0; i < x.features; ++i) {
      if (norm == "MAX")
        d = std::max(d, p[i]);
      else
        d += norm == "L1" ? std::abs(p[i]) : p[i] * p[i];
    }
    if (norm == "L2") d = std::sqrt(d);
    for (int64_t i = 0; i < x.features; ++i)
      y[r * x.features + i] = static_cast<float>(d == 0 ? p[i] : p[i] / d);
  }
}

// ---------------------------------------------------------------- Imputer

void imputer_reference(KernelContext& c) {
  const Tensor& x = c.in(0);
  const Node& n = c.node();
  bool real = dtype_is_float(x.dtype());
  Rows r = rows_of(x);
  Tensor& y = c.out(0, x.dtype(), x.dims());
  std::vector<double> with;
  if (real) {
    for (float f : n.attr_floats("imputed_value_floats")) with.push_back(static_cast<double>(f));
  } else {
    for (int64_t f : n.attr_ints("imputed_value_int64s")) with.push_back(static_cast<double>(f));
  }
  check(with.size() == 1 || static_cast<int64_t>(with.size()) == r.features, Code::kInvalidModel,
        "there are ", with.size(), " imputed values for ", r.features, " features");
  auto what = static_cast<double>(n.attr_f("replaced_value_float", 0));
  auto what_int = n.attr_i("replaced_value_int64", 0);
  for (int64_t i = 0; i < x.size(); ++i) {
    double v = r.v[static_cast<size_t>(i)];
    bool hit = real ? v == what || (v != v && what != what) : get_int(x, i) == what_int;
    if (hit)
      set_double(y, i, with[with.size() == 1 ? 0 : static_cast<size_t>(i % r.features)]);
    else
      ref::copy(y, i, 1, x, i, 1, 1);
  }
}

// ---------------------------------------------------------------- Binarizer

void binarizer_block(const double* const* in, double* out, int64_t n, const double* p) {
  for (int64_t i = 0; i < n; ++i) out[i] = in[0][i] > p[0] ? 1 : 0;
}

void binarizer_reference(KernelContext& c) {
  double p = c.node().attr_f("threshold", 0);
  ref::ElementwiseFns f;
  f.real = binarizer_block;
  ref::elementwise(c, c.in(0).dtype(), f, &p, 1);
}

// ---------------------------------------------------------------- ZipMap

void infer_zip_map(InferContext& c) {
  Labels l = labels_of(c.node(), "classlabels_int64s", "classlabels_strings");
  c.set(0, Type::sequence(Type::map(l.dtype(), Type::tensor(DType::kFloat, SymShape(Dims{})))));
}

void zip_map_reference(KernelContext& c) {
  Rows x = rows_of(c.in(0));
  Labels l = labels_of(c.node(), "classlabels_int64s", "classlabels_strings");
  check(static_cast<int64_t>(l.size()) == x.features, Code::kInvalidModel, "there are ", l.size(),
        " labels for ", x.features, " columns");
  Tensor keys = l.keys();
  std::vector<Datum> maps;
  for (int64_t r = 0; r < x.n; ++r) {
    Datum::Map m{keys, {}};
    for (int64_t i = 0; i < x.features; ++i)
      m.values.emplace_back(Tensor::scalar(static_cast<float>(x.row(r)[i])));
    maps.push_back(Datum::map(std::move(m)));
  }
  c.set_out(0, Datum::sequence(std::move(maps)));
}

// ---------------------------------------------------------------- FeatureVectorizer

std::vector<int64_t> vector_widths(const Node& n, size_t inputs) {
  std::vector<int64_t> w = n.attr_ints("inputdimensions");
  check(w.size() == inputs, Code::kInvalidModel, "inputdimensions has ", w.size(), " entries for ", inputs,
        " inputs");
  int64_t sum = 0;
  for (int64_t d : w) {
    check(d >= 0 && d < (int64_t{1} << 31), Code::kInvalidModel, "inputdimensions holds ", d);
    sum += d;
  }
  check(sum < (int64_t{1} << 31), Code::kInvalidModel, "the vectors are too long");
  return w;
}

void infer_feature_vectorizer(InferContext& c) {
  int64_t sum = 0;
  for (int64_t w : vector_widths(c.node(), c.inputs())) sum += w;
  c.set(0, DType::kFloat, rows_by(c.shape(0), sum));
}

// Rows are cut or filled with zeros to the widths the attribute gives.
void feature_vectorizer_reference(KernelContext& c) {
  std::vector<int64_t> w = vector_widths(c.node(), c.inputs());
  int64_t sum = 0, at = 0, rows = rows_of(c.in(0)).n;
  for (int64_t d : w) sum += d;
  Tensor& y = c.out(0, DType::kFloat, {rows, sum});
  ref::fill_zero(y);
  for (size_t i = 0; i < w.size(); ++i) {
    Rows x = rows_of(c.in(i));
    check(x.n == rows, Code::kInvalidModel, "input ", i, " has ", x.n, " rows, the first has ", rows);
    for (int64_t r = 0; r < rows; ++r)
      for (int64_t k = 0; k < std::min(w[i], x.features); ++k)
        y.data<float>()[r * sum + at + k] = static_cast<float>(x.row(r)[k]);
    at += w[i];
  }
}

// ---------------------------------------------------------------- ArrayFeatureExtractor

void infer_array_feature(InferContext& c) {
  SymShape s = c.shape(0);
  if (!s.has_rank()) return c.set(0, c.dtype(0));
  check(s.rank() > 0, Code::kInvalidModel, "X must not be a scalar");
  if (s.rank() == 1) s = SymShape(std::vector<Dim>{Dim(1), s[0]});
  s[s.rank() - 1] = c.shape(1).count();
  c.set(0, c.dtype(0), std::move(s));
}

void array_feature_reference(KernelContext& c) {
  const Tensor& x = c.in(0);
  ref::expect_rank(x, 1, "X", true);
  std::vector<int64_t> pick = to_ints(c.in(1));
  int64_t n = x.dim(x.rank() - 1), k = static_cast<int64_t>(pick.size());
  // Below 0 they count from the end, as in the standard's reference evaluator: converters of radius neighbours
  // write -1 for "none" and mask it afterwards.
  for (int64_t& i : pick) {
    check(i >= -n && i < n, Code::kInvalidModel, "index ", i, " lies outside ", n, " features");
    if (i < 0) i += n;
  }
  Dims d = x.dims();
  if (d.size() == 1) d = {1, n};
  d.back() = k;
  Tensor& y = c.out(0, x.dtype(), d);
  for (int64_t r = 0; r < (k ? y.size() / k : 0); ++r)
    for (int64_t i = 0; i < k; ++i) ref::copy(y, r * k + i, 1, x, r * n + pick[static_cast<size_t>(i)], 1, 1);
}

}  // namespace
}  // namespace ml

using namespace ml;  // NOLINT: the entries below name the functions above

SKIFF_OP_DEF(ai_onnx_ml, Scaler) {
  return {.domain = "ai.onnx.ml",
          .name = "Scaler",
          .versions = {1},
          .inputs = {{"X", kIndexTypes | mask_of(DType::kFloat) | mask_of(DType::kDouble), 'T'}},
          .outputs = {{"Y", mask_of(DType::kFloat)}},
          .attributes = {{"offset", AttrType::kFloats}, {"scale", AttrType::kFloats}},
          .infer = infer_to_float,
          .reference = scaler_reference};
}

SKIFF_OP_DEF(ai_onnx_ml, Normalizer) {
  return {.domain = "ai.onnx.ml",
          .name = "Normalizer",
          .versions = {1},
          .inputs = {{"X", kIndexTypes | mask_of(DType::kFloat) | mask_of(DType::kDouble), 'T'}},
          .outputs = {{"Y", mask_of(DType::kFloat)}},
          .attributes = {{"norm", AttrType::kString}},
          .infer = infer_to_float,
          .reference = normalizer_reference};
}

SKIFF_OP_DEF(ai_onnx_ml, Imputer) {
  return {.domain = "ai.onnx.ml",
          .name = "Imputer",
          .versions = {1},
          .inputs = {{"X", kIndexTypes | mask_of(DType::kFloat) | mask_of(DType::kDouble), 'T'}},
          .outputs = {{"Y", kIndexTypes | mask_of(DType::kFloat) | mask_of(DType::kDouble), 'T'}},
          .attributes = {{"imputed_value_floats", AttrType::kFloats},
                         {"imputed_value_int64s", AttrType::kInts},
                         {"replaced_value_float", AttrType::kFloat},
                         {"replaced_value_int64", AttrType::kInt}},
          .infer = infer_same,
          .reference = imputer_reference};
}

SKIFF_OP_DEF(ai_onnx_ml, Binarizer) {
  return {.domain = "ai.onnx.ml",
          .name = "Binarizer",
          .versions = {1},
          .inputs = {{"X", kIndexTypes | mask_of(DType::kFloat) | mask_of(DType::kDouble), 'T'}},
          .outputs = {{"Y", kIndexTypes | mask_of(DType::kFloat) | mask_of(DType::kDouble), 'T'}},
          .attributes = {{"threshold", AttrType::kFloat}},
          .infer = infer_same,
          .reference = binarizer_reference};
}

SKIFF_OP_DEF(ai_onnx_ml, ZipMap) {
  return {
      .domain = "ai.onnx.ml",
      .name = "ZipMap",
      .versions = {1},
      .inputs = {{"X", mask_of(DType::kFloat)}},
      .outputs = {{"Z", 0, 'T'}},
      .attributes = {{"classlabels_int64s", AttrType::kInts}, {"classlabels_strings", AttrType::kStrings}},
      .infer = infer_zip_map,
      .reference = zip_map_reference,
      .flags = kNonTensor};
}

SKIFF_OP_DEF(ai_onnx_ml, FeatureVectorizer) {
  return {.domain = "ai.onnx.ml",
          .name = "FeatureVectorizer",
          .versions = {1},
          .inputs = {{"X", kIndexTypes | mask_of(DType::kFloat) | mask_of(DType::kDouble), '1',
                      Arity::kVariadic}},
          .outputs = {{"Y", mask_of(DType::kFloat)}},
          .attributes = {{"inputdimensions", AttrType::kInts}},
          .infer = infer_feature_vectorizer,
          .reference = feature_vectorizer_reference};
}

SKIFF_OP_DEF(ai_onnx_ml, ArrayFeatureExtractor) {
  return {
      .domain = "ai.onnx.ml",
      .name = "ArrayFeatureExtractor",
      .versions = {1},
      .inputs = {{"X",
                  kIndexTypes | mask_of(DType::kFloat) | mask_of(DType::kDouble) | mask_of(DType::kString),
                  'T'},
                 {"Y", mask_of(DType::kInt64)}},
      .outputs = {{"Z",
                   kIndexTypes | mask_of(DType::kFloat) | mask_of(DType::kDouble) | mask_of(DType::kString),
                   'T'}},
      .infer = infer_array_feature,
      .reference = array_feature_reference};
}

}  // namespace skiff
