// ai.onnx.ml linear models and support vector machines.
#include <algorithm>
#include <cmath>

#include "ops/ml.h"

namespace skiff {
namespace ml {
namespace {

std::vector<double> list(const Node& n, const char* name) {
  std::vector<float> f = n.attr_floats(name);
  return {f.begin(), f.end()};
}

// ---------------------------------------------------------------- LinearRegressor

void infer_linear_regressor(InferContext& c) {
  c.set(0, DType::kFloat, rows_by(c.shape(0), c.node().attr_i("targets", 1)));
}

void linear_regressor_reference(KernelContext& c) {
  const Node& n = c.node();
  Rows x = rows_of(c.in(0));
  int64_t targets = n.attr_i("targets", 1);
  check(targets >= 1 && targets < (1 << 24), Code::kInvalidModel, "targets is ", targets);
  std::vector<double> w = list(n, "coefficients"), b = list(n, "intercepts"), s(static_cast<size_t>(targets));
  check(static_cast<int64_t>(w.size()) == targets * x.features, Code::kInvalidModel, "there are ", w.size(),
        " coefficients for ", targets, " targets of ", x.features, " features");
  check(b.empty() || static_cast<int64_t>(b.size()) == targets, Code::kInvalidModel, "there are ", b.size(),
        " intercepts for ", targets, " targets");
  Post post = post_of(n);
  float* y = c.out(0, DType::kFloat, {x.n, targets}).data<float>();
  for (int64_t r = 0; r < x.n; ++r) {
    for (int64_t t = 0; t < targets; ++t) {
      double sum = b.empty() ? 0 : b[static_cast<size_t>(t)];
      for (int64_t f = 0; f < x.features; ++f)
        sum += w[static_cast<size_t>(t * x.features + f)] * x.row(r)[f];
      s[static_cast<size_t>(t)] = sum;
    }
    transform(post, s.data(), targets);
    for (int64_t t = 0; t < targets; ++t) y[r * targets + t] = static_cast<float>(s[static_cast<size_t>(t)]);
  }
}

// ---------------------------------------------------------------- LinearClassifier

// Columns of the scores: one a class; a single row of coefficients for two classes gives two columns.
int64_t score_columns(const Labels& l, int64_t rows) { return rows == 1 && l.size() == 2 ? 2 : rows; }

void infer_linear_classifier(InferContext& c) {
  Labels l = labels_of(c.node(), "classlabels_ints", "classlabels_strings");
  c.set(0, l.dtype(), SymShape(std::vector<Dim>{row_count(c.shape(0))}));
  if (!c.wants(1)) return;
  Dim cols;
  const SymShape& x = c.shape(0);
  if (x.has_rank() && x.rank() && x[x.rank() - 1].is_const() && x[x.rank() - 1].value() > 0)
    cols = score_columns(
        l, static_cast<int64_t>(c.node().attr_floats("coefficients").size()) / x[x.rank() - 1].value());
  c.set(1, DType::kFloat, rows_by(x, cols));
}

void linear_classifier_reference(KernelContext& c) {
  const Node& n = c.node();
  Rows x = rows_of(c.in(0));
  Labels l = labels_of(n, "classlabels_ints", "classlabels_strings");
  std::vector<double> w = list(n, "coefficients"), b = list(n, "intercepts");
  check(x.features > 0 && !w.empty() && w.size() % static_cast<size_t>(x.features) == 0, Code::kInvalidModel,
        "there are ", w.size(), " coefficients for ", x.features, " features");
  size_t rows = w.size() / static_cast<size_t>(x.features);
  check(b.empty() || b.size() == rows, Code::kInvalidModel, "there are ", b.size(), " intercepts for ", rows,
        " scores");
  check(l.size() == rows || (rows == 1 && l.size() <= 2), Code::kInvalidModel, "there are ", l.size(),
        " labels for ", rows, " scores");
  Post post = post_of(n);
  int64_t cols = score_columns(l, static_cast<int64_t>(rows));
  Tensor& y = c.out(0, l.dtype(), {x.n});
  float* z = c.wants(1) ? c.out(1, DType::kFloat, {x.n, cols}).data<float>() : nullptr;
  for (int64_t r = 0; r < x.n; ++r) {
    std::vector<double> s(rows);
    for (size_t k = 0; k < rows; ++k) {
      s[k] = b.empty() ? 0 : b[k];
      for (int64_t f = 0; f < x.features; ++f)
        s[k] += w[k * static_cast<size_t>(x.features) + static_cast<size_t>(f)] * x.row(r)[f];
    }
    if (cols == 2 && rows == 1) s = {-s[0], s[0]};
    double raw = s[0];
    size_t best = static_cast<size_t>(std::max_element(s.begin(), s.end()) - s.begin());
    transform(post, s.data(), cols);
    if (cols == 1) {
      // One score and at most one label: the label, or nothing.
      bool hit = post == Post::kNone ? raw >= 0 : s[0] >= 0.5;
      if (l.dtype() == DType::kInt64)
        y.data<int64_t>()[r] = hit ? (l.ints.empty() ? 1 : l.ints[0]) : 0;
      else
        y.data<std::string>()[r] = hit ? l.strings[0] : "";
    } else {
      l.put(y, r, best);
    }
    for (int64_t k = 0; k < cols && z; ++k) z[r * cols + k] = static_cast<float>(s[static_cast<size_t>(k)]);
  }
}

// ---------------------------------------------------------------- support vector machines

struct Kernel {
  enum { kLinear, kPoly, kRbf, kSigmoid } type = kLinear;
  double gamma = 0, coef0 = 0, degree = 0;

  explicit Kernel(const Node& n) {
    std::string s = n.attr_s("kernel_type", "LINEAR");
    if (s == "POLY")
      type = kPoly;
    else if (s == "RBF")
      type = kRbf;
    else if (s == "SIGMOID")
      type = kSigmoid;
    else
      check(s == "LINEAR", Code::kInvalidModel, "kernel_type '", s, "' is not known");
    std::vector<float> p = n.attr_floats("kernel_params");
    check(p.empty() || p.size() == 3, Code::kInvalidModel, "kernel_params has ", p.size(),
          " entries, 3 are needed");
    if (p.empty()) return;
    gamma = p[0];
    coef0 = p[1];
    degree = p[2];
  }
  double operator()(const double* a, const double* b, int64_t n) const {
    double dot = 0, far = 0;
    for (int64_t i = 0; i < n; ++i) {
      dot += a[i] * b[i];
      far += (a[i] - b[i]) * (a[i] - b[i]);
    }
    switch (type) {
      case kPoly: return std::pow(gamma * dot + coef0, degree);
      case kRbf: return std::exp(-gamma * far);
      case kSigmoid: return std::tanh(gamma * dot + coef0);
      default: return dot;
    }
  }
};

void infer_svm_regressor(InferContext& c) { c.set(0, DType::kFloat, rows_by(c.shape(0), 1)); }

void svm_regressor_reference(KernelContext& c) {
  const Node& n = c.node();
  Rows x = rows_of(c.in(0));
  Kernel kernel(n);
  int64_t supports = n.attr_i("n_supports", 0);
  std::vector<double> w = list(n, "coefficients"), v = list(n, "support_vectors"), rho = list(n, "rho");
  check(supports >= 0 && rho.size() == 1, Code::kInvalidModel, "rho has ", rho.size(),
        " entries, 1 is needed");
  if (supports > 0) {
    check(static_cast<int64_t>(w.size()) == supports && v.size() % static_cast<size_t>(supports) == 0 &&
              static_cast<int64_t>(v.size()) / supports == x.features,
          Code::kInvalidModel, "coefficients (", w.size(), ") and support_vectors (", v.size(),
          ") do not fit ", supports, " vectors of ", x.features, " features");
  } else {
    check(static_cast<int64_t>(w.size()) == x.features, Code::kInvalidModel, "there are ", w.size(),
          " coefficients for ", x.features, " features");
    kernel.type = Kernel::kLinear;
  }
  bool one_class = n.attr_i("one_class", 0) != 0;
  Post post = post_of(n);
  float* y = c.out(0, DType::kFloat, {x.n, 1}).data<float>();
  for (int64_t r = 0; r < x.n; ++r) {
    double s = rho[0];
    for (int64_t i = 0; i < supports; ++i)
      s += w[static_cast<size_t>(i)] * kernel(x.row(r), v.data() + i * x.features, x.features);
    if (supports == 0) s += kernel(x.row(r), w.data(), x.features);
    if (one_class) s = s > 0 ? 1 : -1;
    transform(post, &s, 1);
    y[r] = static_cast<float>(s);
  }
}

double clamp_probability(double p) { return std::clamp(p, 1e-7, 1 - 1e-7); }

// Class probabilities from pairwise ones: Wu, Lin, Weng, "Probability estimates for multi-class
// classification by pairwise coupling" (2004), second approach.
std::vector<double> couple(const std::vector<double>& r, size_t k) {
  std::vector<double> q(k * k), p(k, 1.0 / static_cast<double>(k)), qp(k);
  for (size_t t = 0; t < k; ++t) {
    for (size_t j = 0; j < k; ++j) {
      if (j == t) continue;
      q[t * k + t] += r[j * k + t] * r[j * k + t];
      q[t * k + j] = -r[j * k + t] * r[t * k + j];
    }
  }
  double eps = 0.005 / static_cast<double>(k);
  for (size_t iter = 0; iter < std::max<size_t>(100, k); ++iter) {
    double pqp = 0, worst = 0;
    for (size_t t = 0; t < k; ++t) {
      qp[t] = 0;
      for (size_t j = 0; j < k; ++j) qp[t] += q[t * k + j] * p[j];
      pqp += p[t] * qp[t];
    }
    for (size_t t = 0; t < k; ++t) worst = std::max(worst, std::abs(qp[t] - pqp));
    if (worst < eps) break;
    for (size_t t = 0; t < k; ++t) {
      double d = (pqp - qp[t]) / q[t * k + t];
      p[t] += d;
      pqp = (pqp + d * (d * q[t * k + t] + 2 * qp[t])) / (1 + d) / (1 + d);
      for (size_t j = 0; j < k; ++j) {
        qp[j] = (qp[j] + d * q[t * k + j]) / (1 + d);
        p[j] /= 1 + d;
      }
    }
  }
  return p;
}

struct Svm {
  Labels labels;
  size_t classes = 1, vectors = 0;
  std::vector<int64_t> per;
  std::vector<size_t> start;
  std::vector<double> w, sv, rho, prob_a, prob_b;

  explicit Svm(const Node& n)
      : labels(labels_of(n, "classlabels_ints", "classlabels_strings")),
        per(n.attr_ints("vectors_per_class")),
        w(list(n, "coefficients")),
        sv(list(n, "support_vectors")),
        rho(list(n, "rho")),
        prob_a(list(n, "prob_a")),
        prob_b(list(n, "prob_b")) {
    classes = std::max<size_t>(labels.size(), 1);
    check(classes < 4096, Code::kLimit, "an SVM with ", classes, " classes");
    for (int64_t v : per) {
      check(v >= 0 && v <= static_cast<int64_t>(sv.size()), Code::kInvalidModel, "vectors_per_class holds ",
            v);
      start.push_back(vectors);
      vectors += static_cast<size_t>(v);
    }
    if (vectors == 0) {
      check(!rho.empty(), Code::kInvalidModel, "rho is empty");
      return;
    }
    size_t pairs = classes * (classes - 1) / 2;
    check(per.size() == classes && classes >= 2, Code::kInvalidModel, "vectors_per_class has ", per.size(),
          " entries for ", classes, " classes");
    check(w.size() == (classes - 1) * vectors && rho.size() == pairs && sv.size() % vectors == 0,
          Code::kInvalidModel, "coefficients, rho and support_vectors do not fit ", vectors, " vectors of ",
          classes, " classes");
    check(prob_a.size() == prob_b.size() && (prob_a.empty() || prob_a.size() == pairs), Code::kInvalidModel,
          "prob_a and prob_b must have ", pairs, " entries");
  }
  bool probabilities() const { return vectors > 0 && !prob_a.empty(); }
  size_t columns() const {
    size_t s = vectors == 0 || probabilities() ? classes : classes * (classes - 1) / 2;
    return s == 1 && classes == 2 ? 2 : s;
  }
};

void infer_svm_classifier(InferContext& c) {
  Svm m(c.node());
  c.set(0, m.labels.dtype(), SymShape(std::vector<Dim>{row_count(c.shape(0))}));
  if (c.wants(1)) c.set(1, DType::kFloat, rows_by(c.shape(0), static_cast<int64_t>(m.columns())));
}

void svm_classifier_reference(KernelContext& c) {
  const Node& n = c.node();
  Rows x = rows_of(c.in(0));
  Svm m(n);
  Kernel kernel(n);
  auto features = static_cast<size_t>(x.features);
  if (m.vectors)
    check(m.sv.size() / m.vectors == features, Code::kInvalidModel, "the support vectors have ",
          m.sv.size() / m.vectors, " features, X has ", features);
  else
    check(m.w.size() == m.classes * features, Code::kInvalidModel, "there are ", m.w.size(),
          " coefficients for ", m.classes, " classes of ", features, " features");
  bool positive = std::all_of(m.w.begin(), m.w.end(), [](double v) { return v >= 0; });
  Post post = post_of(n);
  auto cols = static_cast<int64_t>(m.columns());
  Tensor& y = c.out(0, m.labels.dtype(), {x.n});
  float* z = c.wants(1) ? c.out(1, DType::kFloat, {x.n, cols}).data<float>() : nullptr;
  std::vector<double> k(m.vectors), s, votes;
  for (int64_t r = 0; r < x.n; ++r) {
    c.poll();
    s.clear();
    votes.assign(m.vectors ? m.classes : 0, 0);
    if (m.vectors == 0) {
      for (size_t j = 0; j < m.classes; ++j) {
        double d = m.rho[0];
        for (size_t f = 0; f < features; ++f) d += x.row(r)[f] * m.w[j * features + f];
        s.push_back(d);
      }
    } else {
      for (size_t v = 0; v < m.vectors; ++v) k[v] = kernel(x.row(r), m.sv.data() + v * features, x.features);
      for (size_t i = 0; i < m.classes; ++i) {
        for (size_t j = i + 1; j < m.classes; ++j) {
          double d = m.rho[s.size()];
          for (size_t v = 0; v < static_cast<size_t>(m.per[i]); ++v)
            d += m.w[(j - 1) * m.vectors + m.start[i] + v] * k[m.start[i] + v];
          for (size_t v = 0; v < static_cast<size_t>(m.per[j]); ++v)
            d += m.w[i * m.vectors + m.start[j] + v] * k[m.start[j] + v];
          s.push_back(d);
          votes[d > 0 ? i : j] += 1;
        }
      }
    }
    if (m.probabilities()) {
      std::vector<double> pair(m.classes * m.classes);
      size_t e = 0;
      for (size_t i = 0; i < m.classes; ++i)
        for (size_t j = i + 1; j < m.classes; ++j, ++e) {
          double p = clamp_probability(1 / (1 + std::exp(s[e] * m.prob_a[e] + m.prob_b[e])));
          pair[i * m.classes + j] = p;
          pair[j * m.classes + i] = 1 - p;
        }
      s = couple(pair, m.classes);
    }
    const std::vector<double>& rank = votes.empty() ? s : votes;
    auto best = static_cast<size_t>(std::max_element(rank.begin(), rank.end()) - rank.begin());
    if (m.labels.size() == 0) {
      y.data<int64_t>()[r] = rank[best] > 0 ? 1 : 0;
    } else if (m.labels.size() == 1) {
      if (m.labels.dtype() == DType::kInt64)
        y.data<int64_t>()[r] = rank[best] > 0 ? m.labels.ints[0] : 0;
      else
        y.data<std::string>()[r] = rank[best] > 0 ? m.labels.strings[0] : "";
    } else {
      m.labels.put(y, r, best);
    }
    if (s.size() == 1 && m.classes == 2) {
      // One margin for two classes.
      s = {positive ? 1 - s[0] : -s[0], s[0]};
      if (post != Post::kProbit && post != Post::kNone) s[0] = -s[1];
    }
    transform(post, s.data(), cols);
    for (int64_t i = 0; i < cols && z; ++i) z[r * cols + i] = static_cast<float>(s[static_cast<size_t>(i)]);
  }
}

}  // namespace
}  // namespace ml

using namespace ml;  // NOLINT: the entries below name the functions above

SKIFF_OP_DEF(ai_onnx_ml, LinearRegressor) {
  return {.domain = "ai.onnx.ml",
          .name = "LinearRegressor",
          .versions = {1},
          .inputs = {{"X", kIndexTypes | mask_of(DType::kFloat) | mask_of(DType::kDouble), 'T'}},
          .outputs = {{"Y", mask_of(DType::kFloat)}},
          .attributes = {{"coefficients", AttrType::kFloats},
                         {"intercepts", AttrType::kFloats},
                         {"post_transform", AttrType::kString},
                         {"targets", AttrType::kInt}},
          .infer = infer_linear_regressor,
          .reference = linear_regressor_reference};
}

SKIFF_OP_DEF(ai_onnx_ml, LinearClassifier) {
  return {.domain = "ai.onnx.ml",
          .name = "LinearClassifier",
          .versions = {1},
          .inputs = {{"X", kIndexTypes | mask_of(DType::kFloat) | mask_of(DType::kDouble), '1'}},
          .outputs = {{"Y", mask_of(DType::kInt64) | mask_of(DType::kString), '2'},
                      {"Z", mask_of(DType::kFloat)}},
          .attributes = {{"classlabels_ints", AttrType::kInts},
                         {"classlabels_strings", AttrType::kStrings},
                         {"coefficients", AttrType::kFloats, true},
                         {"intercepts", AttrType::kFloats},
                         {"multi_class", AttrType::kInt},
                         {"post_transform", AttrType::kString}},
          .infer = infer_linear_classifier,
          .reference = linear_classifier_reference};
}

SKIFF_OP_DEF(ai_onnx_ml, SVMRegressor) {
  return {.domain = "ai.onnx.ml",
          .name = "SVMRegressor",
          .versions = {1},
          .inputs = {{"X", kIndexTypes | mask_of(DType::kFloat) | mask_of(DType::kDouble), 'T'}},
          .outputs = {{"Y", mask_of(DType::kFloat)}},
          .attributes = {{"coefficients", AttrType::kFloats},
                         {"kernel_params", AttrType::kFloats},
                         {"kernel_type", AttrType::kString},
                         {"n_supports", AttrType::kInt},
                         {"one_class", AttrType::kInt},
                         {"post_transform", AttrType::kString},
                         {"rho", AttrType::kFloats},
                         {"support_vectors", AttrType::kFloats}},
          .infer = infer_svm_regressor,
          .reference = svm_regressor_reference};
}

SKIFF_OP_DEF(ai_onnx_ml, SVMClassifier) {
  return {.domain = "ai.onnx.ml",
          .name = "SVMClassifier",
          .versions = {1},
          .inputs = {{"X", kIndexTypes | mask_of(DType::kFloat) | mask_of(DType::kDouble), '1'}},
          .outputs = {{"Y", mask_of(DType::kInt64) | mask_of(DType::kString), '2'},
                      {"Z", mask_of(DType::kFloat)}},
          .attributes = {{"classlabels_ints", AttrType::kInts},
                         {"classlabels_strings", AttrType::kStrings},
                         {"coefficients", AttrType::kFloats},
                         {"kernel_params", AttrType::kFloats},
                         {"kernel_type", AttrType::kString},
                         {"post_transform", AttrType::kString},
                         {"prob_a", AttrType::kFloats},
                         {"prob_b", AttrType::kFloats},
                         {"rho", AttrType::kFloats},
                         {"support_vectors", AttrType::kFloats},
                         {"vectors_per_class", AttrType::kInts}},
          .infer = infer_svm_classifier,
          .reference = svm_classifier_reference};
}

}  // namespace skiff
