// Attention, RotaryEmbedding.
#include "ops/attention.h"

#include <algorithm>
#include <cmath>
#include <optional>

namespace skiff {
namespace attn {

Tensor split_heads(const Tensor& t, int64_t heads, const char* what) {
  if (t.rank() == 4) return t;
  ref::expect_rank(t, 3, what);
  check(heads > 0 && t.dim(2) % heads == 0, Code::kInvalidModel, what, " of width ", t.dim(2),
        " does not divide into ", heads, " heads");
  return ref::permuted(t.reshaped({t.dim(0), t.dim(1), heads, t.dim(2) / heads}), {0, 2, 1, 3});
}

Tensor join_heads(const Tensor& t) {
  return ref::permuted(t, {0, 2, 1, 3}).reshaped({t.dim(0), t.dim(2), t.dim(1) * t.dim(3)});
}

Tensor append(const Tensor& past, const Tensor& now, const char* what) {
  ref::expect_rank(past, 4, what);
  Dims d = now.dims();
  d[2] = past.dim(2);
  ref::expect_dims(past, d, what);
  d[2] += now.dim(2);
  Tensor r(now.dtype(), d);
  int64_t a = past.dim(2) * d[3], b = now.dim(2) * d[3];
  for (int64_t i = 0; i < d[0] * d[1]; ++i) {
    ref::copy(r, i * (a + b), 1, past, i * a, 1, a);
    ref::copy(r, i * (a + b) + a, 1, now, i * b, 1, b);
  }
  return r;
}

MaskBias::MaskBias(const Tensor& mask, int64_t batch, int64_t heads, int64_t queries, int64_t kv) {
  check(mask.rank() <= 4, Code::kInvalidModel, "the mask has rank ", mask.rank(), ", at most 4 is allowed");
  v_ = ref::to_doubles(mask);
  if (mask.dtype() == DType::kBool)
    for (double& x : v_) x = x != 0 ? 0 : -INFINITY;
  dims_ = mask.dims();
  while (dims_.size() < 4) dims_.insert(0, 1);
  strides_ = strides_of(dims_);
  Dims full{batch, heads, queries, kv};
  for (size_t i = 0; i < 4; ++i) {
    bool fits = dims_[i] == 1 || dims_[i] == full[i] || (i == 3 && dims_[i] < kv);
    check(fits, Code::kInvalidModel, "the mask of shape ", to_string(mask.dims()), " does not broadcast to ",
          to_string(full));
    if (dims_[i] == 1) strides_[i] = 0;
  }
}

void MaskBias::fill(int64_t b, int64_t h, int64_t query, double* row, int64_t kv) {
  int64_t at = b * strides_[0] + h * strides_[1] + query * strides_[2];
  for (int64_t j = 0; j < kv; ++j) {
    // A single column is repeated; a shorter mask hides the keys beyond it.
    if (dims_[3] == 1)
      row[j] += v_[static_cast<size_t>(at)];
    else
      row[j] += j < dims_[3] ? v_[static_cast<size_t>(at + j)] : -INFINITY;
  }
}

namespace {

template <class T>
void attend_as(const Tensor& qt, const Tensor& kt, const Tensor& vt, Tensor& yt, double scale, double softcap,
               Bias* bias, const Trace& trace, KernelContext& poll) {
  ref::RealIn<T> q(qt), k(kt), v(vt);
  ref::RealOut<T> y(yt);
  int64_t heads = qt.dim(1), queries = qt.dim(2), d = qt.dim(3), groups = kt.dim(1), kv = kt.dim(2),
          e = vt.dim(3);
  std::vector<double> score(static_cast<size_t>(kv)), add(score.size()), out(static_cast<size_t>(e));
  for (int64_t b = 0; b < qt.dim(0); ++b) {
    for (int64_t h = 0; h < heads; ++h) {
      int64_t g = groups ? h / (heads / groups) : 0;
      const T* kp = k.data() + (b * groups + g) * kv * d;
      const T* vp = v.data() + (b * groups + g) * kv * e;
      for (int64_t i = 0; i < queries; ++i) {
        poll.poll();
        int64_t row = (b * heads + h) * queries + i;
        const T* qp = q.data() + row * d;
        std::fill(add.begin(), add.end(), 0.0);
        if (bias) bias->fill(b, h, i, add.data(), kv);
        double max = -INFINITY, sum = 0;
        bool seen = false;
        for (int64_t j = 0; j < kv; ++j) {
          double s = 0;
          for (int64_t p = 0; p < d; ++p)
            s += static_cast<double>(qp[p]) * static_cast<double>(kp[j * d + p]);
          s *= scale;
          if (trace.raw) trace.raw[row * kv + j] = s;
          if (softcap > 0) s = softcap * std::tanh(s / softcap);
          if (trace.capped) trace.capped[row * kv + j] = s;
          seen = seen || add[static_cast<size_t>(j)] != -INFINITY;
          s += add[static_cast<size_t>(j)];
          if (trace.biased) trace.biased[row * kv + j] = s;
          score[static_cast<size_t>(j)] = s;
          max = std::max(max, s);
        }
        for (double& s : score) {
          s = seen && max != -INFINITY ? std::exp(s - max) : 0;
          sum += s;
        }
        std::fill(out.begin(), out.end(), 0.0);
        for (int64_t j = 0; j < kv; ++j) {
          double p = sum == 0 ? 0 : score[static_cast<size_t>(j)] / sum;
          if (trace.probabilities) trace.probabilities[row * kv + j] = p;
          for (int64_t t = 0; t < e && p != 0; ++t)
            out[static_cast<size_t>(t)] += p * static_cast<double>(vp[j * e + t]);
        }
        for (int64_t t = 0; t < e; ++t) y[row * e + t] = static_cast<T>(out[static_cast<size_t>(t)]);
      }
    }
  }
  y.commit();
}

}  // namespace

Tensor attend(const Tensor& q, const Tensor& k, const Tensor& v, double scale, double softcap, Bias* bias,
              const Trace& trace, KernelContext& poll) {
  int64_t heads = q.dim(1), groups = k.dim(1);
  check(k.dim(0) == q.dim(0) && v.dim(0) == q.dim(0) && v.dim(1) == groups && v.dim(2) == k.dim(2) &&
            k.dim(3) == q.dim(3) && (groups ? heads % groups == 0 : heads == 0),
        Code::kInvalidModel, "queries ", to_string(q.dims()), ", keys ", to_string(k.dims()), " and values ",
        to_string(v.dims()), " do not fit together");
  Tensor y(q.dtype(), {q.dim(0), heads, q.dim(2), v.dim(3)});
  ref::with_real(q.dtype(), [&](auto zero) {
    attend_as<decltype(zero)>(q, k, v, y, scale, softcap, bias, trace, poll);
  });
  return y;
}

namespace {

// ---------------------------------------------------------------- Attention

int64_t heads_attr(const Node& n, const char* name) {
  int64_t h = n.attr_i(name, 0);
  check(h > 0, Code::kInvalidModel, "the attribute '", name,
        "' is needed for 3-D inputs and must be positive");
  return h;
}

// [B, H, S, D] of an input of rank 3 or 4.
SymShape headed(const SymShape& s, int64_t heads) {
  if (!s.has_rank() || s.rank() == 4) return s;
  if (s.rank() != 3)
    fail(Code::kInvalidModel, "an input must have rank 3 or 4, it has shape ", s.to_string());
  return SymShape(std::vector<Dim>{s[0], Dim(heads), s[1], floor_div(s[2], heads)});
}

void infer_attention(InferContext& c) {
  const Node& n = c.node();
  bool flat = c.has_rank(0) && c.shape(0).rank() == 3;
  int64_t qh = flat ? heads_attr(n, "q_num_heads") : 1, kh = flat ? heads_attr(n, "kv_num_heads") : 1;
  SymShape q = headed(c.shape(0), qh), k = headed(c.shape(1), kh), v = headed(c.shape(2), kh);
  if (!q.has_rank() || !k.has_rank() || !v.has_rank()) {
    c.set(0, c.dtype(0));
    return;
  }
  Dim total = k[2];
  if (c.has(4)) {
    c.expect_rank(4, 4);
    total = c.has_rank(4) ? total + c.shape(4)[2] : Dim();
  }
  if (flat)
    c.set(0, c.dtype(0), SymShape(std::vector<Dim>{q[0], q[2], Dim(qh) * v[3]}));
  else
    c.set(0, c.dtype(0), SymShape(std::vector<Dim>{q[0], q[1], q[2], v[3]}));
  SymShape pk = k, pv = v;
  pk[2] = pv[2] = total;
  if (c.wants(1)) c.set(1, c.dtype(1), pk);
  if (c.wants(2)) c.set(2, c.dtype(2), pv);
  if (c.wants(3)) c.set(3, c.dtype(0), SymShape(std::vector<Dim>{q[0], q[1], q[2], total}));
}

// All that limits what a query sees: mask, causality, window, and how many keys are valid.
class AttentionBias : public Bias {
 public:
  std::optional<MaskBias> mask;
  bool causal = false;
  int64_t left = -1, right = -1;
  int64_t past = 0, queries = 0;
  std::vector<int64_t> valid;  // keys of each batch, empty: all

  void fill(int64_t b, int64_t h, int64_t query, double* row, int64_t kv) override {
    if (mask) mask->fill(b, h, query, row, kv);
    int64_t at = query + (valid.empty() ? past : valid[static_cast<size_t>(b)] - queries);
    for (int64_t j = 0; j < kv; ++j) {
      bool hidden = (causal && j > at) || (left >= 0 && at - j > left) || (right >= 0 && j - at > right) ||
                    (!valid.empty() && j >= valid[static_cast<size_t>(b)]);
      if (hidden) row[j] = -INFINITY;
    }
  }
};

void attention_reference(KernelContext& c) {
  const Node& n = c.node();
  const Tensor& q_in = c.in(0);
  bool flat = q_in.rank() == 3;
  int64_t qh = flat ? heads_attr(n, "q_num_heads") : 0, kh = flat ? heads_attr(n, "kv_num_heads") : 0;
  Tensor q = split_heads(q_in, qh, "Q"), k = split_heads(c.in(1), kh, "K"), v = split_heads(c.in(2), kh, "V");
  check(c.has(4) == c.has(5), Code::kInvalidModel, "past_key and past_value must be given together");
  AttentionBias bias;
  if (c.has(4)) {
    bias.past = c.in(4).rank() == 4 ? c.in(4).dim(2) : 0;
    k = append(c.in(4), k, "past_key");
    v = append(c.in(5), v, "past_value");
  }
  if (c.has(3)) bias.mask.emplace(c.in(3), q.dim(0), q.dim(1), q.dim(2), k.dim(2));
  bias.causal = n.attr_i("is_causal", 0) != 0;
  bias.left = n.attr_i("left_window_size", -1);
  bias.right = n.attr_i("right_window_size", -1);
  check(bias.left >= -1 && bias.right >= -1, Code::kInvalidModel, "a window size is below -1");
  bias.queries = q.dim(2);
  if (c.has(6)) {
    ref::expect_dims(c.in(6), {q.dim(0)}, "nonpad_kv_seqlen");
    bias.valid = to_ints(c.in(6));
  }
  double scale = n.has_attr("scale") ? n.attr_f("scale", 1) : 1 / std::sqrt(static_cast<double>(q.dim(3)));
  int64_t mode = n.attr_i("qk_matmul_output_mode", 0);
  check(mode >= 0 && mode <= 3, Code::kInvalidModel, "qk_matmul_output_mode is ", mode);
  Trace trace;
  std::vector<double> scores;
  Dims sd{q.dim(0), q.dim(1), q.dim(2), k.dim(2)};
  if (c.wants(3)) {
    scores.resize(static_cast<size_t>(element_count(sd)));
    double** steps[] = {&trace.raw, &trace.capped, &trace.biased, &trace.probabilities};
    *steps[mode] = scores.data();
  }
  Tensor y = attend(q, k, v, scale, n.attr_f("softcap", 0), &bias, trace, c);
  if (c.wants(3)) ref::store_all(c.out(3, q.dtype(), sd), scores.data());
  c.set_out(0, flat ? join_heads(y) : std::move(y));
  if (c.wants(1)) c.set_out(1, std::move(k));
  if (c.wants(2)) c.set_out(2, std::move(v));
}

Cost cost_attention(const CostContext& c) {
  double q = c.in_elements(0), kv = static_cast<double>(c.in_dim(1, -2));
  return {4 * q * kv, (c.in_elements(0) + c.in_elements(1) + c.in_elements(2) + c.out_elements(0)) * 4};
}

// ---------------------------------------------------------------- RotaryEmbedding

void rotary_reference(KernelContext& c) {
  const Node& n = c.node();
  const Tensor& x = c.in(0);
  bool flat = x.rank() == 3;
  Tensor y = split_heads(x, flat ? heads_attr(n, "num_heads") : 0, "X");
  if (!flat) y = y.clone();
  int64_t width = n.attr_i("rotary_embedding_dim", 0);
  if (width == 0) width = y.dim(3);
  check(width > 0 && width <= y.dim(3) && width % 2 == 0, Code::kInvalidModel, "rotary_embedding_dim ", width,
        " does not fit heads of size ", y.dim(3));
  std::vector<double> cos = ref::to_doubles(c.in(1)), sin = ref::to_doubles(c.in(2));
  int64_t batch = y.dim(0), seq = y.dim(2), rows = c.in(1).size() / (width / 2);
  check(cos.size() == sin.size() && c.in(1).rank() >= 1 && c.in(1).dim(c.in(1).rank() - 1) == width / 2,
        Code::kInvalidModel, "cos_cache ", to_string(c.in(1).dims()), " and sin_cache ",
        to_string(c.in(2).dims()), " must have ", width / 2, " columns");
  std::vector<int64_t> ids;
  if (c.has(3)) {
    ref::expect_dims(c.in(3), {batch, seq}, "position_ids");
    ids = to_ints(c.in(3));
    for (int64_t i : ids)
      check(i >= 0 && i < rows, Code::kInvalidModel, "position ", i, " lies outside ", rows);
  } else {
    check(rows == batch * seq, Code::kInvalidModel,
          "without position_ids the caches must have a row for each of ", batch, " x ", seq, " positions");
  }
  rotate(y, cos, sin, width, n.attr_i("interleaved", 0) != 0, [&](int64_t b, int64_t s) {
    return ids.empty() ? b * seq + s : ids[static_cast<size_t>(b * seq + s)];
  });
  c.set_out(0, flat ? join_heads(y) : std::move(y));
}

}  // namespace
}  // namespace attn

using namespace attn;  // NOLINT: the entries below name the functions above

SKIFF_OP_DEF(ai_onnx, Attention) {
  return {.name = "Attention",
          .versions = {23, 24, 25},
          .inputs = {{"Q", kFloatTypes, '1'},
                     {"K", kFloatTypes, '1'},
                     {"V", kFloatTypes, '2'},
                     {"attn_mask", kNumericTypes | mask_of(DType::kBool), 'U', Arity::kOptional},
                     {"past_key", kFloatTypes, '1', Arity::kOptional},
                     {"past_value", kFloatTypes, '2', Arity::kOptional},
                     {"nonpad_kv_seqlen", mask_of(DType::kInt64), 0, Arity::kOptional}},
          .outputs = {{"Y", kFloatTypes, '1'},
                      {"present_key", kFloatTypes, '1', Arity::kOptional},
                      {"present_value", kFloatTypes, '2', Arity::kOptional},
                      {"qk_matmul_output", kFloatTypes, '1', Arity::kOptional}},
          .attributes = {{"is_causal", AttrType::kInt},
                         {"kv_num_heads", AttrType::kInt},
                         {"left_window_size", AttrType::kInt},
                         {"q_num_heads", AttrType::kInt},
                         {"qk_matmul_output_mode", AttrType::kInt},
                         {"right_window_size", AttrType::kInt},
                         {"scale", AttrType::kFloat},
                         {"softcap", AttrType::kFloat},
                         {"softmax_precision", AttrType::kInt}},
          .infer = infer_attention,
          .reference = attention_reference,
          .cost = cost_attention};
}

SKIFF_OP_DEF(ai_onnx, RotaryEmbedding) {
  return {
      .name = "RotaryEmbedding",
      .versions = {23},
      .inputs = {{"X", mask_of(DType::kFloat) | mask_of(DType::kFloat16) | mask_of(DType::kBFloat16), 'T'},
                 {"cos_cache", mask_of(DType::kFloat) | mask_of(DType::kFloat16) | mask_of(DType::kBFloat16),
                  'T'},
                 {"sin_cache", mask_of(DType::kFloat) | mask_of(DType::kFloat16) | mask_of(DType::kBFloat16),
                  'T'},
                 {"position_ids", mask_of(DType::kInt64), 'M', Arity::kOptional}},
      .outputs = {{"Y", mask_of(DType::kFloat) | mask_of(DType::kFloat16) | mask_of(DType::kBFloat16), 'T'}},
      .attributes = {{"interleaved", AttrType::kInt},
                     {"num_heads", AttrType::kInt},
                     {"rotary_embedding_dim", AttrType::kInt}},
      .infer = infer_same,
      .reference = rotary_reference};
}

}  // namespace skiff
