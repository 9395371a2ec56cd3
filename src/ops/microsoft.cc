// com.microsoft operators on floats: normalizations with a residual, GELU forms, fused matrix products.
#include <algorithm>
#include <cmath>

#include "ops/elementwise_fns.h"
#include "ops/norm.h"
#include "ops/ref_matmul.h"

namespace skiff {
namespace {

constexpr const char* kDomain = "com.microsoft";

Formal optional(const char* name, TypeMask types, char tvar = 0) {
  return {name, types, tvar, Arity::kOptional};
}

// ---------------------------------------------------------------- layer normalizations with a residual

// Rows along the last axis; the sum of input, skip and bias is normalized and is output 3.
void skip_norm(KernelContext& c, bool simplified) {
  const Tensor &x = c.in(0), &skip = c.in(1);
  ref::expect_rank(x, 1, "input", true);
  int64_t n = x.dim(x.rank() - 1), rows = n ? x.size() / n : 0;
  size_t beta_at = simplified ? 99 : 3, bias_at = simplified ? 3 : 4;
  for (size_t i : {size_t{2}, beta_at, bias_at})
    if (c.has(i)) ref::expect_dims(c.in(i), {n}, "gamma, beta and bias");
  check(skip.size() == x.size() || (skip.size() > 0 && x.size() % skip.size() == 0), Code::kInvalidModel,
        "skip ", to_string(skip.dims()), " does not repeat to ", to_string(x.dims()));
  std::vector<double> sum = ref::to_doubles(x), add = ref::to_doubles(skip), gamma = ref::to_doubles(c.in(2));
  std::vector<double> beta, bias;
  if (c.has(beta_at)) beta = ref::to_doubles(c.in(beta_at));
  if (c.has(bias_at)) bias = ref::to_doubles(c.in(bias_at));
  for (size_t i = 0; i < sum.size(); ++i)
    sum[i] += add[i % add.size()] + (bias.empty() ? 0 : bias[i % static_cast<size_t>(n)]);
  std::vector<double> mean(static_cast<size_t>(rows)), inv(mean.size()), y(sum.size());
  RowNorm p;
  p.rows = rows;
  p.n = n;
  p.epsilon = c.node().attr_f("epsilon", 1e-12f);
  p.simplified = simplified;
  p.scale = gamma.data();
  p.bias = beta.empty() ? nullptr : beta.data();
  p.mean = mean.data();
  p.inv_std = inv.data();
  normalize_rows(p, sum.data(), y.data());
  ref::store_all(c.out(0, x.dtype(), x.dims()), y.data());
  Dims d = x.dims();
  d.back() = 1;
  if (c.wants(1)) ref::store_all(c.out(1, DType::kFloat, d), mean.data());
  if (c.wants(2)) ref::store_all(c.out(2, DType::kFloat, d), inv.data());
  if (c.wants(3)) ref::store_all(c.out(3, x.dtype(), x.dims()), sum.data());
}

void infer_skip_norm(InferContext& c) {
  c.set(0, c.type(0));
  SymShape s = c.shape(0);
  if (s.rank()) s[s.rank() - 1] = 1;
  for (size_t i = 1; i < 3; ++i)
    if (c.wants(i)) c.set(i, DType::kFloat, s);
  if (c.wants(3)) c.set(3, c.type(0));
}

void skip_layer_norm_reference(KernelContext& c) { skip_norm(c, false); }
void skip_simplified_reference(KernelContext& c) { skip_norm(c, true); }

std::vector<Formal> skip_outputs() {
  return {{"output", kFloatTypes, 'T'},
          optional("mean", mask_of(DType::kFloat)),
          optional("inv_std_var", mask_of(DType::kFloat)),
          optional("input_skip_bias_sum", kFloatTypes, 'T')};
}

}  // namespace

SKIFF_OP_DEF(com_microsoft, SkipLayerNormalization) {
  return {.domain = kDomain,
          .name = "SkipLayerNormalization",
          .versions = {1},
          .inputs = {{"input", kFloatTypes, 'T'},
                     {"skip", kFloatTypes, 'T'},
                     {"gamma", kFloatTypes, 'T'},
                     optional("beta", kFloatTypes, 'T'),
                     optional("bias", kFloatTypes, 'T')},
          .outputs = skip_outputs(),
          .attributes = {{"epsilon", AttrType::kFloat}},
          .infer = infer_skip_norm,
          .reference = skip_layer_norm_reference};
}

SKIFF_OP_DEF(com_microsoft, SkipSimplifiedLayerNormalization) {
  return {.domain = kDomain,
          .name = "SkipSimplifiedLayerNormalization",
          .versions = {1},
          .inputs = {{"input", kFloatTypes, 'T'},
                     {"skip", kFloatTypes, 'T'},
                     {"gamma", kFloatTypes, 'T'},
                     optional("bias", kFloatTypes, 'T')},
          .outputs = skip_outputs(),
          .attributes = {{"epsilon", AttrType::kFloat}},
          .infer = infer_skip_norm,
          .reference = skip_simplified_reference};
}

// ---------------------------------------------------------------- SimplifiedLayerNormalization

namespace {

void infer_simplified_norm(InferContext& c) {
  SymShape s = c.shape(0);
  if (s.has_rank()) {
    size_t a = rule::axis(c.node().attr_i("axis", -1), s.rank());
    for (; a < s.rank(); ++a) s[a] = 1;
  }
  c.set(0, c.has(1) ? c.dtype(1) : c.dtype(0), c.shape(0));
  if (c.wants(1)) c.set(1, rule::dtype_attr(c.node(), "stash_type", DType::kFloat), std::move(s));
}

void simplified_norm_reference(KernelContext& c) {
  const Tensor& x = c.in(0);
  ref::expect_rank(x, 1, "X", true);
  auto axis = static_cast<int64_t>(rule::axis(c.node().attr_i("axis", -1), x.dims().size()));
  RowNorm p;
  p.rows = ref::count_of(x.dims(), 0, axis);
  p.n = ref::count_of(x.dims(), axis, x.rank());
  p.epsilon = c.node().attr_f("epsilon", 1e-5f);
  p.simplified = true;
  std::vector<double> scale = broadcast_operand(&c.in(1), x.dims(), axis, "scale", p.full_scale);
  std::vector<double> v = ref::to_doubles(x), y(v.size()), inv(static_cast<size_t>(p.rows));
  p.scale = scale.data();
  p.inv_std = inv.data();
  normalize_rows(p, v.data(), y.data());
  ref::store_all(c.out(0, c.in(1).dtype(), x.dims()), y.data());
  Dims d = x.dims();
  for (auto a = static_cast<size_t>(axis); a < d.size(); ++a) d[a] = 1;
  if (c.wants(1))
    ref::store_all(c.out(1, rule::dtype_attr(c.node(), "stash_type", DType::kFloat), d), inv.data());
}

}  // namespace

// Exporters write it into the default domain, though the standard does not have it.
SKIFF_OP_DEF(ai_onnx, SimplifiedLayerNormalization) {
  return {
      .name = "SimplifiedLayerNormalization",
      .versions = {1},
      .inputs = {{"X", kFloatTypes, 'T'}, {"scale", kFloatTypes, 'V'}},
      .outputs = {{"Y", kFloatTypes, 'V'}, optional("inv_std_var", kFloatTypes)},
      .attributes = {{"axis", AttrType::kInt}, {"epsilon", AttrType::kFloat}, {"stash_type", AttrType::kInt}},
      .infer = infer_simplified_norm,
      .reference = simplified_norm_reference};
}

// ---------------------------------------------------------------- GELU forms

namespace {

// Adds the bias of the last axis (input 1, if there) and applies f.
template <class F>
void biased(KernelContext& c, F&& f) {
  const Tensor& x = c.in(0);
  std::vector<double> v = ref::to_doubles(x), b;
  if (c.has(1)) {
    ref::expect_rank(x, 1, "the input", true);
    ref::expect_dims(c.in(1), {x.dim(x.rank() - 1)}, "the bias");
    b = ref::to_doubles(c.in(1));
  }
  for (size_t i = 0; i < v.size(); ++i) v[i] = f(v[i] + (b.empty() ? 0 : b[i % b.size()]));
  ref::store_all(c.out(0, x.dtype(), x.dims()), v.data());
}

double gelu(double x) { return 0.5 * x * (1 + std::erf(x * 0.70710678118654752440)); }

void gelu_reference(KernelContext& c) { biased(c, gelu); }
void fast_gelu_reference(KernelContext& c) {
  biased(c, [](double x) {
    return 0.5 * x * (1 + std::tanh(0.79788456080286535588 * (x + 0.044715 * x * x * x)));
  });
}
void quick_gelu_reference(KernelContext& c) {
  double alpha = c.node().attr_f("alpha", 1.702f);
  biased(c, [alpha](double x) { return x / (1 + std::exp(-alpha * x)); });
}

OpDef gelu_form(const char* name, Arity bias, bool has_bias, void (*reference)(KernelContext&)) {
  OpDef d;
  d.domain = kDomain;
  d.name = name;
  d.versions = {1};
  d.inputs = {{"X", kFloatTypes, 'T'}};
  if (has_bias) d.inputs.push_back({"bias", kFloatTypes, 'T', bias});
  d.outputs = {{"Y", kFloatTypes, 'T'}};
  d.infer = infer_same;
  d.reference = reference;
  return d;
}

}  // namespace

SKIFF_OP_DEF(com_microsoft, Gelu) { return gelu_form("Gelu", Arity::kRequired, false, gelu_reference); }
SKIFF_OP_DEF(com_microsoft, BiasGelu) {
  return gelu_form("BiasGelu", Arity::kRequired, true, gelu_reference);
}
SKIFF_OP_DEF(com_microsoft, FastGelu) {
  return gelu_form("FastGelu", Arity::kOptional, true, fast_gelu_reference);
}
SKIFF_OP_DEF(com_microsoft, QuickGelu) {
  OpDef d = gelu_form("QuickGelu", Arity::kRequired, false, quick_gelu_reference);
  d.attributes = {{"alpha", AttrType::kFloat}};
  return d;
}

// ---------------------------------------------------------------- FusedMatMul, FusedGemm

namespace {

bool flag(const Node& n, const char* name) { return n.attr_i(name, 0) != 0; }

// transBatch: the first axis belongs behind the batches, [M, batches..., K] -> [batches..., M, K].
SymShape batches_first(SymShape s, bool trans_batch) {
  if (trans_batch && s.has_rank() && s.rank() > 2)
    std::rotate(s.dims().begin(), s.dims().begin() + 1, s.dims().end() - 1);
  return s;
}
Tensor batches_first(const Tensor& t, bool trans_batch) {
  if (!trans_batch || t.rank() <= 2) return t;
  // [M, B, K] with the batches as one axis.
  int64_t m = t.dim(0), k = t.dim(t.rank() - 1), b = m * k != 0 ? t.size() / (m * k) : 0;
  Dims d = t.dims();
  std::rotate(d.begin(), d.begin() + 1, d.end() - 1);
  Tensor r(t.dtype(), d);
  if (t.size()) ref::copy_box(r, 0, {m * k, k, 1}, t, 0, {k, b * k, 1}, {b, m, k});
  return r;
}

void infer_fused_matmul(InferContext& c) {
  const Node& n = c.node();
  c.set(0, c.dtype(0),
        rule::matmul_shape(batches_first(c.shape(0), flag(n, "transBatchA")),
                           batches_first(c.shape(1), flag(n, "transBatchB")), flag(n, "transA"),
                           flag(n, "transB")));
}

void fused_matmul_reference(KernelContext& c) {
  const Node& n = c.node();
  Tensor a = batches_first(c.in(0), flag(n, "transBatchA")),
         b = batches_first(c.in(1), flag(n, "transBatchB"));
  ref::MatMulPlan p = ref::plan_matmul(a.dims(), b.dims(), flag(n, "transA"), flag(n, "transB"));
  double alpha = n.attr_f("alpha", 1);
  Tensor& y = c.out(0, a.dtype(), p.out);
  ref::for_batches(p, [&](int64_t batch, int64_t ia, int64_t ib) {
    ref::multiply<double>({&a, ia, p.a_row, p.a_col}, {&b, ib, p.b_row, p.b_col}, p.m, p.k, p.n, {}, {},
                          [&](int64_t i, int64_t j, double* acc, int64_t count) {
                            for (int64_t k = 0; k < count; ++k) acc[k] *= alpha;
                            ref::store(y, (batch * p.m + i) * p.n + j, count, acc);
                          });
  });
}

void infer_fused_gemm(InferContext& c) {
  c.expect_rank(0, 2);
  c.expect_rank(1, 2);
  c.set(0, c.dtype(0),
        rule::matmul_shape(c.shape(0), c.shape(1), flag(c.node(), "transA"), flag(c.node(), "transB")));
}

// act(alpha * A B + beta * C); the activation is named as ONNX's operator.
void fused_gemm_reference(KernelContext& c) {
  const Node& n = c.node();
  const Tensor &a = c.in(0), &b = c.in(1);
  ref::expect_rank(a, 2, "A");
  ref::expect_rank(b, 2, "B");
  ref::MatMulPlan p = ref::plan_matmul(a.dims(), b.dims(), flag(n, "transA"), flag(n, "transB"));
  double alpha = n.attr_f("alpha", 1), beta = n.attr_f("beta", 1);
  std::string act = n.attr_s("activation", "");
  static constexpr const char* kNames[][2] = {
      {"", ""},         {"Relu", "relu"},       {"LeakyRelu", "leaky_relu"},
      {"Tanh", "tanh"}, {"Sigmoid", "sigmoid"}, {"HardSigmoid", "hard_sigmoid"}};
  const char* ours = nullptr;
  for (const auto& k : kNames)
    if (act == k[0]) ours = k[1];
  check(ours != nullptr, Code::kUnsupported, "activation '", act, "' of FusedGemm");
  double pa = n.attr_f("activation_alpha", act == "HardSigmoid" ? 0.2f : 0.01f),
         pb = n.attr_f("activation_beta", 0.5f);
  Tensor& y = c.out(0, a.dtype(), p.out);
  std::vector<double> add(static_cast<size_t>(p.m * p.n), 0.0);
  if (c.has(2)) {
    ref::StridedRuns r = ref::broadcast_runs({p.m, p.n}, {c.in(2).dims()});
    while (r.next()) ref::load(c.in(2), r.at(1), r.step(1), r.n(), add.data() + r.at(0));
  }
  ref::multiply<double>({&a, 0, p.a_row, p.a_col}, {&b, 0, p.b_row, p.b_col}, p.m, p.k, p.n, {}, {},
                        [&](int64_t i, int64_t j, double* acc, int64_t count) {
                          const double* d = add.data() + i * p.n + j;
                          for (int64_t k = 0; k < count; ++k) acc[k] = alpha * acc[k] + beta * d[k];
                          ref::activate(ours, pa, pb, acc, count);
                          ref::store(y, i * p.n + j, count, acc);
                        });
}

OpDef fused_matmul(const char* name) {
  return {.domain = kDomain,
          .name = name,
          .versions = {1},
          .inputs = {{"A", kFloatTypes, 'T'}, {"B", kFloatTypes, 'T'}},
          .outputs = {{"Y", kFloatTypes, 'T'}},
          .attributes = {{"alpha", AttrType::kFloat},
                         {"transA", AttrType::kInt},
                         {"transB", AttrType::kInt},
                         {"transBatchA", AttrType::kInt},
                         {"transBatchB", AttrType::kInt}},
          .infer = infer_fused_matmul,
          .reference = fused_matmul_reference};
}

}  // namespace

SKIFF_OP_DEF(com_microsoft, FusedMatMul) { return fused_matmul("FusedMatMul"); }
SKIFF_OP_DEF(com_microsoft, TransposeMatMul) { return fused_matmul("TransposeMatMul"); }

SKIFF_OP_DEF(com_microsoft, FusedGemm) {
  return {.domain = kDomain,
          .name = "FusedGemm",
          .versions = {1},
          .inputs = {{"A", kFloatTypes, 'T'}, {"B", kFloatTypes, 'T'}, optional("C", kFloatTypes, 'T')},
          .outputs = {{"Y", kFloatTypes, 'T'}},
          .attributes = {{"activation", AttrType::kString},
                         {"activation_alpha", AttrType::kFloat},
                         {"activation_beta", AttrType::kFloat},
                         {"alpha", AttrType::kFloat},
                         {"beta", AttrType::kFloat},
                         {"transA", AttrType::kInt},
                         {"transB", AttrType::kInt}},
          .infer = infer_fused_gemm,
          .reference = fused_gemm_reference};
}

// ---------------------------------------------------------------- EmbedLayerNormalization

namespace {

void infer_embed_norm(InferContext& c) {
  c.expect_rank(0, 2);
  for (size_t i : {2, 3, 4}) c.expect_rank(i, 2);
  SymShape y = SymShape::of_rank(3);
  if (c.has_rank(0)) {
    y[0] = c.shape(0)[0];
    y[1] = c.shape(0)[1];
  }
  if (c.has_rank(2)) y[2] = c.shape(2)[1];
  c.set(0, c.dtype(2), y);
  if (c.wants(1)) c.set(1, DType::kInt32, SymShape(std::vector<Dim>{y[0]}));
  if (c.wants(2)) c.set(2, c.dtype(2), y);
}

void embed_norm_reference(KernelContext& c) {
  const Tensor &ids = c.in(0), &words = c.in(2), &places = c.in(3);
  ref::expect_rank(ids, 2, "input_ids");
  ref::expect_rank(words, 2, "word_embedding");
  int64_t batch = ids.dim(0), seq = ids.dim(1), n = words.dim(1);
  ref::expect_dims(places, {places.rank() == 2 ? places.dim(0) : 0, n}, "position_embedding");
  ref::expect_dims(c.in(5), {n}, "gamma");
  ref::expect_dims(c.in(6), {n}, "beta");
  check(c.has(1) == c.has(4), Code::kInvalidModel,
        "segment_ids and segment_embedding must be given together");
  std::vector<double> sum(static_cast<size_t>(batch * seq * n)), row(static_cast<size_t>(n)), y(sum.size());
  auto add = [&](int64_t at, const Tensor& table, int64_t id) {
    check(id >= 0 && id < table.dim(0), Code::kInvalidArgument, "id ", id, " lies outside a table of ",
          table.dim(0));
    ref::load(table, id * n, 1, n, row.data());
    for (int64_t i = 0; i < n; ++i) sum[static_cast<size_t>(at * n + i)] += row[static_cast<size_t>(i)];
  };
  if (c.has(1)) {
    ref::expect_dims(c.in(1), ids.dims(), "segment_ids");
    ref::expect_dims(c.in(4), {c.in(4).rank() == 2 ? c.in(4).dim(0) : 0, n}, "segment_embedding");
  }
  if (c.has(8))
    check(c.in(8).size() == seq || c.in(8).size() == batch * seq, Code::kInvalidModel, "position_ids ",
          to_string(c.in(8).dims()), " do not fit ", to_string(ids.dims()));
  for (int64_t i = 0; i < batch * seq; ++i) {
    add(i, words, get_int(ids, i));
    add(i, places, c.has(8) ? get_int(c.in(8), i % c.in(8).size()) : i % seq);
    if (c.has(1)) add(i, c.in(4), get_int(c.in(1), i));
  }
  std::vector<double> gamma = ref::to_doubles(c.in(5)), beta = ref::to_doubles(c.in(6));
  RowNorm p;
  p.rows = batch * seq;
  p.n = n;
  p.epsilon = c.node().attr_f("epsilon", 1e-12f);
  p.scale = gamma.data();
  p.bias = beta.data();
  normalize_rows(p, sum.data(), y.data());
  Dims d{batch, seq, n};
  ref::store_all(c.out(0, words.dtype(), d), y.data());
  if (c.wants(1)) {
    Tensor& mask = c.out(1, DType::kInt32, {batch});
    for (int64_t b = 0; b < batch; ++b) {
      int32_t count = 0;
      for (int64_t s = 0; c.has(7) && s < seq; ++s) count += get_int(c.in(7), b * seq + s) != 0;
      mask.data<int32_t>()[b] = count;
    }
  }
  if (c.wants(2)) ref::store_all(c.out(2, words.dtype(), d), sum.data());
}

}  // namespace

SKIFF_OP_DEF(com_microsoft, EmbedLayerNormalization) {
  TypeMask ints = mask_of(DType::kInt32) | mask_of(DType::kInt64);
  return {.domain = kDomain,
          .name = "EmbedLayerNormalization",
          .versions = {1},
          .inputs = {{"input_ids", ints},
                     optional("segment_ids", ints),
                     {"word_embedding", kFloatTypes, 'T'},
                     {"position_embedding", kFloatTypes, 'T'},
                     optional("segment_embedding", kFloatTypes, 'T'),
                     {"gamma", kFloatTypes, 'T'},
                     {"beta", kFloatTypes, 'T'},
                     optional("mask", ints),
                     optional("position_ids", ints)},
          .outputs = {{"output", kFloatTypes, 'T'},
                      optional("mask_index", mask_of(DType::kInt32)),
                      optional("embedding_sum", kFloatTypes, 'T')},
          .attributes = {{"epsilon", AttrType::kFloat}, {"mask_index_type", AttrType::kInt}},
          .infer = infer_embed_norm,
          .reference = embed_norm_reference};
}

}  // namespace skiff
