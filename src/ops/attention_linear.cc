// Attention variants: LinearAttention (a recurrent state instead of scores) and FlexAttention (scores and
// probabilities pass through subgraphs).
#include <algorithm>
#include <cmath>

#include "ops/attention.h"

namespace skiff {
namespace {

// ---------------------------------------------------------------- LinearAttention

int64_t head_count(const Node& n, const char* name) {
  int64_t h = n.attr_i(name, 0);
  check(h > 0 && h < (1 << 20), Code::kInvalidModel, name, " is ", h);
  return h;
}

void infer_linear_attention(InferContext& c) {
  int64_t qh = head_count(c.node(), "q_num_heads"), kh = head_count(c.node(), "kv_num_heads");
  for (size_t i = 0; i < 3; ++i) c.expect_rank(i, 3);
  SymShape y = SymShape::of_rank(3), s = SymShape::of_rank(4);
  s[1] = kh;
  if (c.has_rank(0)) {
    y[0] = s[0] = c.shape(0)[0];
    y[1] = c.shape(0)[1];
    s[2] = floor_div(c.shape(0)[2], qh);
  }
  if (c.has_rank(2)) {
    s[3] = floor_div(c.shape(2)[2], kh);
    y[2] = s[3] * Dim(qh);
  }
  c.set(0, c.dtype(0), std::move(y));
  if (c.wants(1)) c.set(1, c.has(3) ? c.dtype(3) : c.dtype(0), std::move(s));
}

// state[D, E] of each key head: decays, is corrected, takes k x v, and is read by the queries that share it.
void linear_attention_reference(KernelContext& c) {
  const Node& n = c.node();
  int64_t qh = head_count(n, "q_num_heads"), kh = head_count(n, "kv_num_heads");
  check(qh % kh == 0, Code::kInvalidModel, "q_num_heads ", qh, " is no multiple of kv_num_heads ", kh);
  std::string rule = n.attr_s("update_rule", "gated_delta");
  check(rule == "linear" || rule == "gated" || rule == "delta" || rule == "gated_delta", Code::kInvalidModel,
        "update_rule '", rule, "' is not known");
  bool gated = rule[0] == 'g', delta = rule.find("delta") != std::string::npos;
  check(gated == c.has(4) && delta == c.has(5), Code::kInvalidModel, "update_rule '", rule, "' needs ",
        gated ? "a decay" : "no decay", " and ", delta ? "a beta" : "no beta");
  for (size_t i = 0; i < 3; ++i) ref::expect_rank(c.in(i), 3, "query, key and value");
  int64_t batch = c.in(0).dim(0), steps = c.in(0).dim(1);
  check(c.in(0).dim(2) % qh == 0 && c.in(2).dim(2) % kh == 0, Code::kInvalidModel,
        "the widths do not divide into the heads");
  int64_t d = c.in(0).dim(2) / qh, e = c.in(2).dim(2) / kh;
  ref::expect_dims(c.in(1), {batch, steps, kh * d}, "key");
  ref::expect_dims(c.in(2), {batch, steps, kh * e}, "value");
  std::vector<double> q = ref::to_doubles(c.in(0)), k = ref::to_doubles(c.in(1)),
                      v = ref::to_doubles(c.in(2));
  std::vector<double> decay, beta, state(static_cast<size_t>(batch * kh * d * e));
  int64_t decays = 0, betas = 0;
  if (gated) {
    decays = c.in(4).rank() == 3 ? c.in(4).dim(2) : 0;
    check(decays == kh || decays == kh * d, Code::kInvalidModel, "decay has width ", decays);
    ref::expect_dims(c.in(4), {batch, steps, decays}, "decay");
    decay = ref::to_doubles(c.in(4));
  }
  if (delta) {
    betas = c.in(5).rank() == 3 ? c.in(5).dim(2) : 0;
    check(betas == kh || betas == 1, Code::kInvalidModel, "beta has width ", betas);
    ref::expect_dims(c.in(5), {batch, steps, betas}, "beta");
    beta = ref::to_doubles(c.in(5));
  }
  Dims sd{batch, kh, d, e};
  if (c.has(3)) {
    ref::expect_dims(c.in(3), sd, "past_state");
    state = ref::to_doubles(c.in(3));
  }
  double scale = n.attr_f("scale", 0);
  if (scale == 0) scale = 1 / std::sqrt(static_cast<double>(d));
  std::vector<double> out(static_cast<size_t>(batch * steps * qh * e)), write(static_cast<size_t>(e));
  for (int64_t b = 0; b < batch; ++b) {
    for (int64_t t = 0; t < steps; ++t) {
      c.poll();
      int64_t row = b * steps + t;
      for (int64_t h = 0; h < kh; ++h) {
        double* s = state.data() + (b * kh + h) * d * e;
        const double* kp = k.data() + (row * kh + h) * d;
        const double* vp = v.data() + (row * kh + h) * e;
        for (int64_t i = 0; i < d && gated; ++i) {
          double g = std::exp(decay[static_cast<size_t>(row * decays + (decays == kh ? h : h * d + i))]);
          for (int64_t j = 0; j < e; ++j) s[i * e + j] *= g;
        }
        for (int64_t j = 0; j < e; ++j) {
          double w = vp[j];
          if (delta) {
            for (int64_t i = 0; i < d; ++i) w -= s[i * e + j] * kp[i];
            w *= beta[static_cast<size_t>(row * betas + (betas == 1 ? 0 : h))];
          }
          write[static_cast<size_t>(j)] = w;
        }
        for (int64_t i = 0; i < d; ++i)
          for (int64_t j = 0; j < e; ++j) s[i * e + j] += kp[i] * write[static_cast<size_t>(j)];
        for (int64_t r = h * (qh / kh); r < (h + 1) * (qh / kh); ++r)
          for (int64_t i = 0; i < d; ++i)
            for (int64_t j = 0; j < e; ++j)
              out[static_cast<size_t>((row * qh + r) * e + j)] +=
                  scale * q[static_cast<size_t>((row * qh + r) * d + i)] * s[i * e + j];
      }
    }
  }
  ref::store_all(c.out(0, c.in(0).dtype(), {batch, steps, qh * e}), out.data());
  if (c.wants(1)) ref::store_all(c.out(1, c.has(3) ? c.in(3).dtype() : c.in(0).dtype(), sd), state.data());
}

// ---------------------------------------------------------------- FlexAttention

void infer_flex_attention(InferContext& c) {
  for (size_t i = 0; i < 3; ++i) c.expect_rank(i, 4);
  SymShape y = c.has_rank(0) ? c.shape(0) : SymShape::of_rank(4);
  y[3] = c.has_rank(2) ? c.shape(2)[3] : Dim();
  c.set(0, c.dtype(0), std::move(y));
  // The subgraphs' types are inferred too.
  DType t = rule::dtype_attr(c.node(), "softmax_precision",
                             c.dtype(0) == DType::kDouble ? DType::kDouble : DType::kFloat);
  SymShape s = SymShape::of_rank(4);
  if (c.has_rank(0) && c.has_rank(1))
    s = SymShape({c.shape(0)[0], c.shape(0)[1], c.shape(0)[2], c.shape(1)[2]});
  std::vector<Type> in{Type::tensor(t, s)};
  for (const char* name : {"score_mod", "prob_mod"})
    if (c.node().has_attr(name)) (void)c.infer_subgraph(name, in);
}

// Runs a modifier, if the node has it.
Tensor modified(KernelContext& c, const char* name, Tensor t) {
  if (!c.node().has_attr(name)) return t;
  std::vector<Datum> in{t}, out = c.run_subgraph(name, in);
  check(out.size() == 1 && out[0].is_tensor(), Code::kInvalidModel, name, " must give one tensor");
  ref::expect_dims(out[0].tensor(), t.dims(), name);
  return out[0].tensor();
}

void flex_attention_reference(KernelContext& c) {
  const Tensor &q = c.in(0), &k = c.in(1), &v = c.in(2);
  for (size_t i = 0; i < 3; ++i) ref::expect_rank(c.in(i), 4, "Q, K and V");
  int64_t batch = q.dim(0), heads = q.dim(1), queries = q.dim(2), d = q.dim(3), groups = k.dim(1),
          kv = k.dim(2), e = v.dim(3);
  ref::expect_dims(k, {batch, groups, kv, d}, "K");
  ref::expect_dims(v, {batch, groups, kv, e}, "V");
  check(groups > 0 && heads % groups == 0, Code::kInvalidModel, heads, " query heads for ", groups,
        " key heads");
  double scale =
      c.node().has_attr("scale") ? c.node().attr_f("scale", 1) : 1 / std::sqrt(static_cast<double>(d));
  DType t = rule::dtype_attr(c.node(), "softmax_precision",
                             q.dtype() == DType::kDouble ? DType::kDouble : DType::kFloat);
  std::vector<double> qv = ref::to_doubles(q), kv_ = ref::to_doubles(k), vv = ref::to_doubles(v);
  std::vector<double> s(static_cast<size_t>(batch * heads * queries * kv));
  auto group = [&](int64_t row) {
    return row / queries / heads * groups + row / queries % heads / (heads / groups);
  };
  int64_t rows = batch * heads * queries;
  for (int64_t r = 0; r < rows; ++r) {
    c.poll();
    const double* kp = kv_.data() + group(r) * kv * d;
    for (int64_t j = 0; j < kv; ++j) {
      double sum = 0;
      for (int64_t i = 0; i < d; ++i) sum += qv[static_cast<size_t>(r * d + i)] * kp[j * d + i];
      s[static_cast<size_t>(r * kv + j)] = sum * scale;
    }
  }
  Tensor scores(t, {batch, heads, queries, kv});
  ref::store_all(scores, s.data());
  s = ref::to_doubles(modified(c, "score_mod", std::move(scores)));
  for (int64_t r = 0; r < rows && kv > 0; ++r) {
    double* p = s.data() + r * kv;
    double max = *std::max_element(p, p + kv), sum = 0;
    for (int64_t j = 0; j < kv; ++j) sum += p[j] = std::exp(p[j] - max);
    for (int64_t j = 0; j < kv; ++j) p[j] /= sum;
  }
  Tensor probs(t, {batch, heads, queries, kv});
  ref::store_all(probs, s.data());
  s = ref::to_doubles(modified(c, "prob_mod", std::move(probs)));
  Tensor& y = c.out(0, q.dtype(), {batch, heads, queries, e});
  std::vector<double> out(static_cast<size_t>(y.size()));
  for (int64_t r = 0; r < rows; ++r) {
    const double* vp = vv.data() + group(r) * kv * e;
    for (int64_t j = 0; j < kv; ++j)
      for (int64_t i = 0; i < e; ++i)
        out[static_cast<size_t>(r * e + i)] += s[static_cast<size_t>(r * kv + j)] * vp[j * e + i];
  }
  ref::store_all(y, out.data());
}

}  // namespace

SKIFF_OP_DEF(ai_onnx, LinearAttention) {
  return {.name = "LinearAttention",
          .versions = {27},
          .inputs =
              {{"query", mask_of(DType::kFloat) | mask_of(DType::kFloat16) | mask_of(DType::kBFloat16), 'T'},
               {"key", mask_of(DType::kFloat) | mask_of(DType::kFloat16) | mask_of(DType::kBFloat16), 'T'},
               {"value", mask_of(DType::kFloat) | mask_of(DType::kFloat16) | mask_of(DType::kBFloat16), 'T'},
               {"past_state", mask_of(DType::kFloat) | mask_of(DType::kFloat16) | mask_of(DType::kBFloat16),
                'S', Arity::kOptional},
               {"decay", mask_of(DType::kFloat) | mask_of(DType::kFloat16) | mask_of(DType::kBFloat16), 'T',
                Arity::kOptional},
               {"beta", mask_of(DType::kFloat) | mask_of(DType::kFloat16) | mask_of(DType::kBFloat16), 'T',
                Arity::kOptional}},
          .outputs = {{"output",
                       mask_of(DType::kFloat) | mask_of(DType::kFloat16) | mask_of(DType::kBFloat16), 'T'},
                      {"present_state",
                       mask_of(DType::kFloat) | mask_of(DType::kFloat16) | mask_of(DType::kBFloat16), 'S'}},
          .attributes = {{"chunk_size", AttrType::kInt},
                         {"kv_num_heads", AttrType::kInt, true},
                         {"q_num_heads", AttrType::kInt, true},
                         {"scale", AttrType::kFloat},
                         {"update_rule", AttrType::kString}},
          .infer = infer_linear_attention,
          .reference = linear_attention_reference};
}

SKIFF_OP_DEF(ai_onnx_preview, FlexAttention) {
  return {.domain = "ai.onnx.preview",
          .name = "FlexAttention",
          .versions = {1},
          .inputs = {{"Q", kFloatTypes, 'T'}, {"K", kFloatTypes, 'T'}, {"V", kFloatTypes, 'T'}},
          .outputs = {{"Y", kFloatTypes, 'T'}},
          .attributes = {{"prob_mod", AttrType::kGraph},
                         {"scale", AttrType::kFloat},
                         {"score_mod", AttrType::kGraph},
                         {"softmax_precision", AttrType::kInt}},
          .infer = infer_flex_attention,
          .reference = flex_attention_reference,
          .flags = kControlFlow};
}

}  // namespace skiff
