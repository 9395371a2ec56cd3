// com.microsoft attention: Attention, MultiHeadAttention, GroupQueryAttention, RotaryEmbedding.
#include <algorithm>
#include <cmath>
#include <optional>
#include <tuple>

#include "ops/attention.h"

namespace skiff {
namespace {

constexpr const char* kDomain = "com.microsoft";
constexpr TypeMask kInt32 = mask_of(DType::kInt32);

Formal optional(const char* name, TypeMask types, char tvar = 0) {
  return {name, types, tvar, Arity::kOptional};
}

int64_t heads_of(const Node& n, const char* name = "num_heads") {
  int64_t h = n.attr_i(name, 0);
  check(h > 0 && h < (1 << 20), Code::kInvalidModel, name, " is ", h);
  return h;
}

double scale_of(const Node& n, int64_t head_size) {
  double s = n.attr_f("scale", 0);
  return s != 0 ? s : 1 / std::sqrt(static_cast<double>(head_size));
}

// Columns [from, from + width) of the last axis of a 3-D tensor.
Tensor columns(const Tensor& t, int64_t from, int64_t width) {
  Tensor r(t.dtype(), {t.dim(0), t.dim(1), width});
  for (int64_t i = 0; i < t.dim(0) * t.dim(1); ++i)
    ref::copy(r, i * width, 1, t, i * t.dim(2) + from, 1, width);
  return r;
}

// What these operators hide from a query.
class MsBias : public attn::Bias {
 public:
  std::optional<attn::MaskBias> add;  // attention_bias
  std::vector<int64_t> mask;          // 1: may be seen
  int64_t mask_rank = 0;              // 1: lengths [B]; 2: [B, kv]; 3: [B, q, kv]
  double hidden = -10000;             // added where the mask says no
  bool causal = false;
  int64_t past = 0, queries = 0, kv = 0;

  void set_mask(const Tensor& t, int64_t batch) {
    mask = to_ints(t);
    mask_rank = t.rank();
    bool fits = (mask_rank == 1 && t.dim(0) == batch) ||
                (mask_rank == 2 && t.dim(0) == batch && t.dim(1) == kv) ||
                (mask_rank == 3 && t.dim(0) == batch && t.dim(1) == queries && t.dim(2) == kv);
    check(fits, Code::kUnsupported, "a mask of shape ", to_string(t.dims()), " for ", batch, " batches, ",
          queries, " queries and ", kv, " keys");
  }
  void fill(int64_t b, int64_t h, int64_t query, double* row, int64_t n) override {
    if (add) add->fill(b, h, query, row, n);
    for (int64_t j = 0; j < n; ++j) {
      bool seen = true;
      if (mask_rank == 1) seen = j < mask[static_cast<size_t>(b)];
      if (mask_rank == 2) seen = mask[static_cast<size_t>(b * kv + j)] != 0;
      if (mask_rank == 3) seen = mask[static_cast<size_t>((b * queries + query) * kv + j)] != 0;
      if (!seen) row[j] += hidden;
      if (causal && j > query + past) row[j] = -INFINITY;
    }
  }
};

// ---------------------------------------------------------------- MultiHeadAttention

void infer_mha(InferContext& c) {
  int64_t h = heads_of(c.node());
  const SymShape &q = c.shape(0), &k = c.shape(1), &v = c.shape(2);
  if (!q.has_rank()) return c.set(0, c.dtype(0));
  Dim total, width = q.rank() == 5 ? q[2] * q[4] : q.rank() == 3 ? q[2] : Dim(), d = floor_div(width, h);
  if (q.rank() == 5) total = q[1];
  if (k.has_rank() && k.rank() >= 3) total = k.rank() == 4 ? k[2] : k[1];
  if (v.has_rank() && v.rank() == 3) width = v[2];
  if (v.has_rank() && v.rank() == 4) width = v[1] * v[3];
  if (c.has(6)) total = c.has_rank(6) && c.shape(6).rank() == 4 ? total + c.shape(6)[2] : Dim();
  c.set(0, c.dtype(0), SymShape(std::vector<Dim>{q[0], q.rank() > 1 ? q[1] : Dim(), width}));
  if (c.wants(1)) c.set(1, c.dtype(0), SymShape(std::vector<Dim>{q[0], Dim(h), total, d}));
  if (c.wants(2)) c.set(2, c.dtype(0), SymShape(std::vector<Dim>{q[0], Dim(h), total, floor_div(width, h)}));
  if (c.wants(3))
    c.set(3, c.dtype(0), SymShape(std::vector<Dim>{q[0], Dim(h), q.rank() > 1 ? q[1] : Dim(), total}));
}

// Adds columns [from, from + width of t) of the bias.
Tensor with_bias(const Tensor& t, const Tensor* bias, int64_t from) {
  if (!bias) return t;
  int64_t n = t.dim(2);
  check(from + n <= bias->size(), Code::kInvalidModel, "the bias has ", bias->size(), " elements");
  std::vector<double> v = ref::to_doubles(t), b = ref::to_doubles(*bias);
  for (size_t i = 0; i < v.size(); ++i) v[i] += b[static_cast<size_t>(from) + i % static_cast<size_t>(n)];
  Tensor r(t.dtype(), t.dims());
  ref::store_all(r, v.data());
  return r;
}

// Part `which` of a packed [B, S, H, parts, D] tensor as [B, S, H * D].
Tensor unpacked(const Tensor& t, int64_t parts, int64_t which) {
  check(t.rank() == 5 && t.dim(3) == parts, Code::kInvalidModel, "a packed input of shape ",
        to_string(t.dims()));
  int64_t d = t.dim(4);
  Tensor r(t.dtype(), {t.dim(0), t.dim(1), t.dim(2) * d});
  for (int64_t i = 0; i < t.dim(0) * t.dim(1) * t.dim(2); ++i)
    ref::copy(r, i * d, 1, t, (i * parts + which) * d, 1, d);
  return r;
}

// The rest of MultiHeadAttention and Attention once q, k, v are [B, H, S, D]. `trace`: scores for output 3.
Tensor finish(KernelContext& c, MsBias& bias, const Tensor& q, const Tensor& k, const Tensor& v,
              const Tensor* mask, const Tensor* add, Tensor* scores) {
  bias.queries = q.dim(2);
  bias.kv = k.dim(2);
  bias.causal = c.node().attr_i("unidirectional", 0) != 0;
  bias.hidden = c.node().attr_f("mask_filter_value", -10000.0f);
  if (mask) bias.set_mask(*mask, q.dim(0));
  if (add) bias.add.emplace(*add, q.dim(0), q.dim(1), q.dim(2), k.dim(2));
  attn::Trace trace;
  std::vector<double> raw;
  if (scores) {
    raw.resize(static_cast<size_t>(q.dim(0) * q.dim(1) * q.dim(2) * k.dim(2)));
    trace.raw = raw.data();
  }
  Tensor y = attn::attend(q, k, v, scale_of(c.node(), q.dim(3)), 0, &bias, trace, c);
  if (scores) {
    *scores = Tensor(q.dtype(), {q.dim(0), q.dim(1), q.dim(2), k.dim(2)});
    ref::store_all(*scores, raw.data());
  }
  return y;
}

void mha_reference(KernelContext& c) {
  int64_t h = heads_of(c.node());
  Tensor q, k, v;
  const Tensor& first = c.in(0);
  if (first.rank() == 5) {
    q = unpacked(first, 3, 0);
    k = unpacked(first, 3, 1);
    v = unpacked(first, 3, 2);
  } else {
    q = first;
    ref::expect_rank(q, 3, "query");
    if (c.in(1).rank() == 5) {
      k = unpacked(c.in(1), 2, 0);
      v = unpacked(c.in(1), 2, 1);
    } else {
      k = c.in(1);
      v = c.in(2);
    }
  }
  const Tensor* b = c.maybe(3);
  int64_t width = q.dim(2);
  q = attn::split_heads(with_bias(q, b, 0), h, "query");
  // Keys and values of rank 4 are a cache that is complete.
  k = attn::split_heads(k.rank() == 3 ? with_bias(k, b, width) : k, h, "key");
  v = attn::split_heads(v.rank() == 3 ? with_bias(v, b, 2 * width) : v, h, "value");
  check(c.has(6) == c.has(7), Code::kInvalidModel, "past_key and past_value must be given together");
  check(!c.has(8) && !c.has(9), Code::kUnsupported, "MultiHeadAttention with a shared cache buffer");
  MsBias bias;
  if (c.has(6)) {
    ref::expect_rank(c.in(6), 4, "past_key");
    bias.past = c.in(6).dim(2);
    k = attn::append(c.in(6), k, "past_key");
    v = attn::append(c.in(7), v, "past_value");
  }
  Tensor scores;
  Tensor y = finish(c, bias, q, k, v, c.maybe(4), c.maybe(5), c.wants(3) ? &scores : nullptr);
  c.set_out(0, attn::join_heads(y));
  if (c.wants(1)) c.set_out(1, std::move(k));
  if (c.wants(2)) c.set_out(2, std::move(v));
  if (c.wants(3)) c.set_out(3, std::move(scores));
}

// ---------------------------------------------------------------- Attention

void infer_ms_attention(InferContext& c) {
  c.expect_rank(0, 3);
  c.expect_rank(1, 2);
  const Node& n = c.node();
  std::vector<int64_t> sizes = n.attr_ints("qkv_hidden_sizes");
  check(sizes.empty() || sizes.size() == 3, Code::kInvalidModel, "qkv_hidden_sizes has ", sizes.size(),
        " entries");
  int64_t h = heads_of(n);
  SymShape y = SymShape::of_rank(3);
  if (c.has_rank(0)) {
    y[0] = c.shape(0)[0];
    y[1] = c.shape(0)[1];
  }
  if (!sizes.empty())
    y[2] = sizes[2];
  else if (c.has_rank(1))
    y[2] = floor_div(c.shape(1)[1], 3);
  c.set(0, c.dtype(0), y);
  Dim total = c.has(4) ? (c.has_rank(4) && c.shape(4).rank() == 5 ? y[1] + c.shape(4)[3] : Dim()) : y[1];
  if (c.wants(1))
    c.set(1, c.dtype(0), SymShape(std::vector<Dim>{Dim(2), y[0], Dim(h), total, floor_div(y[2], h)}));
}

void ms_attention_reference(KernelContext& c) {
  const Node& n = c.node();
  const Tensor &x = c.in(0), &w = c.in(1);
  ref::expect_rank(x, 3, "input");
  ref::expect_rank(w, 2, "weights");
  int64_t h = heads_of(n), batch = x.dim(0), seq = x.dim(1), in = x.dim(2);
  check(w.dim(0) == in, Code::kInvalidModel, "input ", to_string(x.dims()), " and weights ",
        to_string(w.dims()), " do not fit");
  check(n.attr_i("do_rotary", 0) == 0 && !c.has(6), Code::kUnsupported,
        "Attention with do_rotary or a shared buffer");
  std::vector<int64_t> sizes = n.attr_ints("qkv_hidden_sizes");
  if (sizes.empty()) sizes.assign(3, w.dim(1) / 3);
  check(sizes.size() == 3 && sizes[0] > 0 && sizes[2] > 0 && sizes[0] == sizes[1] && sizes[0] < w.dim(1) &&
            sizes[2] < w.dim(1) && sizes[0] + sizes[1] + sizes[2] == w.dim(1),
        Code::kInvalidModel, "the weights' ", w.dim(1),
        " columns do not divide into queries, keys and values");
  if (c.has(2)) ref::expect_dims(c.in(2), {w.dim(1)}, "bias");
  std::vector<double> xv = ref::to_doubles(x), wv = ref::to_doubles(w);
  std::vector<double> b =
      c.has(2) ? ref::to_doubles(c.in(2)) : std::vector<double>(static_cast<size_t>(w.dim(1)));
  Tensor all(x.dtype(), {batch, seq, w.dim(1)});
  std::vector<double> sum(b.size());
  for (int64_t i = 0; i < batch * seq; ++i) {
    c.poll();
    sum = b;
    for (int64_t p = 0; p < in; ++p)
      for (size_t j = 0; j < sum.size(); ++j)
        sum[j] += xv[static_cast<size_t>(i * in + p)] * wv[static_cast<size_t>(p) * sum.size() + j];
    ref::store(all, i * w.dim(1), w.dim(1), sum.data());
  }
  Tensor q = attn::split_heads(columns(all, 0, sizes[0]), h, "the queries");
  Tensor k = attn::split_heads(columns(all, sizes[0], sizes[1]), h, "the keys");
  Tensor v = attn::split_heads(columns(all, sizes[0] + sizes[1], sizes[2]), h, "the values");
  MsBias bias;
  if (const Tensor* past = c.maybe(4)) {
    int64_t d = k.dim(3);
    check(past->rank() == 5 && v.dim(3) == d, Code::kInvalidModel, "past must be [2, B, H, P, D]");
    bias.past = past->dim(3);
    ref::expect_dims(*past, {2, batch, h, bias.past, d}, "past");
    Dims half{batch, h, bias.past, d};
    Tensor pk(past->dtype(), half), pv(past->dtype(), half);
    ref::copy(pk, 0, 1, *past, 0, 1, pk.size());
    ref::copy(pv, 0, 1, *past, pk.size(), 1, pv.size());
    k = attn::append(pk, k, "past");
    v = attn::append(pv, v, "past");
  }
  Tensor y = finish(c, bias, q, k, v, c.maybe(3), c.maybe(5), nullptr);
  c.set_out(0, attn::join_heads(y));
  if (!c.wants(1)) return;
  check(k.dims() == v.dims(), Code::kUnsupported, "present keys and values of different sizes");
  Tensor& present = c.out(1, x.dtype(), {2, batch, h, k.dim(2), k.dim(3)});
  ref::copy(present, 0, 1, k, 0, 1, k.size());
  ref::copy(present, k.size(), 1, v, 0, 1, v.size());
}

// ---------------------------------------------------------------- GroupQueryAttention

void infer_gqa(InferContext& c) {
  int64_t h = heads_of(c.node()), g = heads_of(c.node(), "kv_num_heads");
  c.expect_rank(0, 3);
  if (!c.has_rank(0)) return c.set(0, c.dtype(0));
  const SymShape& q = c.shape(0);
  Dim d = c.has(1) ? floor_div(q[2], h) : floor_div(q[2], h + 2 * g);
  c.set(0, c.dtype(0), SymShape(std::vector<Dim>{q[0], q[1], d * Dim(h)}));
  Dim total = c.has(3) ? Dim() : q[1];
  if (auto t = c.data(6); t && t->size() == 1)
    total = c.has_rank(3) && c.shape(3).rank() == 4 ? dim_max((*t)[0], c.shape(3)[2]) : (*t)[0];
  for (size_t i = 1; i < 3; ++i)
    if (c.wants(i)) c.set(i, c.dtype(0), SymShape(std::vector<Dim>{q[0], Dim(g), total, d}));
}

class CausalWindow : public attn::Bias {
 public:
  std::vector<int64_t> past;  // of each batch
  int64_t window = -1;
  std::optional<attn::MaskBias> add;
  void fill(int64_t b, int64_t h, int64_t query, double* row, int64_t kv) override {
    if (add) add->fill(b, h, query, row, kv);
    int64_t at = past[static_cast<size_t>(b)] + query;
    for (int64_t j = 0; j < kv; ++j)
      if (j > at || (window > 0 && j <= at - window)) row[j] = -INFINITY;
  }
};

void gqa_reference(KernelContext& c) {
  const Node& n = c.node();
  int64_t h = heads_of(n), g = heads_of(n, "kv_num_heads");
  check(h % g == 0, Code::kInvalidModel, "num_heads ", h, " is no multiple of kv_num_heads ", g);
  check(n.attr_i("smooth_softmax", 0) != 1 && !c.has(11), Code::kUnsupported,
        "GroupQueryAttention with a softmax sink");
  Tensor q = c.in(0), k, v;
  ref::expect_rank(q, 3, "query");
  if (c.has(1)) {
    k = c.in(1);
    v = c.in(2);
  } else {
    check(q.dim(2) % (h + 2 * g) == 0, Code::kInvalidModel, "the packed query of width ", q.dim(2),
          " does not divide into ", h + 2 * g, " heads");
    int64_t d = q.dim(2) / (h + 2 * g);
    k = columns(q, h * d, g * d);
    v = columns(q, (h + g) * d, g * d);
    q = columns(q, 0, h * d);
  }
  q = attn::split_heads(q, h, "query");
  k = attn::split_heads(k, g, "key");
  v = attn::split_heads(v, g, "value");
  int64_t batch = q.dim(0), seq = q.dim(2), d = q.dim(3);
  ref::expect_dims(k, {batch, g, seq, d}, "key");
  ref::expect_dims(v, {batch, g, seq, d}, "value");
  check(c.in(5).size() == batch, Code::kInvalidModel, "seqlens_k has ", c.in(5).size(), " elements for ",
        batch, " batches");
  std::vector<int64_t> last = to_ints(c.in(5));
  auto longest = static_cast<int64_t>(ref::scalar_of(c.in(6), "total_sequence_length"));
  int64_t room = 0;
  if (c.has(3)) {
    ref::expect_rank(c.in(3), 4, "past_key");
    room = c.in(3).dim(2);
    for (size_t i : {3, 4}) ref::expect_dims(c.in(i), {batch, g, room, d}, "past_key and past_value");
  }
  int64_t total = std::max(room, longest);
  CausalWindow bias;
  bias.window = n.attr_i("local_window_size", -1);
  for (int64_t l : last) {
    check(l >= 0 && l < total, Code::kInvalidArgument, "a sequence ends at ", l, " of ", total);
    bias.past.push_back(std::max<int64_t>(l + 1 - seq, 0));
    check(bias.past.back() <= room, Code::kInvalidArgument, "a sequence has ", bias.past.back(),
          " past elements, the cache holds ", room);
  }
  check(seq <= total, Code::kInvalidModel, "total_sequence_length is ", longest, " for ", seq,
        " new elements");
  if (n.attr_i("do_rotary", 0)) {
    std::vector<double> cos = ref::to_doubles(c.in(7)), sin = ref::to_doubles(c.in(8));
    ref::expect_rank(c.in(7), 2, "cos_cache");
    int64_t width = 2 * c.in(7).dim(1), rows = c.in(7).dim(0);
    check(cos.size() == sin.size() && width <= d, Code::kInvalidModel,
          "the rotary caches do not fit heads of ", d);
    std::vector<int64_t> ids;
    if (c.has(9)) {
      check(c.in(9).size() == batch * seq, Code::kInvalidModel, "position_ids has ", c.in(9).size(),
            " elements");
      ids = to_ints(c.in(9));
    }
    auto position = [&](int64_t b, int64_t s) {
      int64_t p = ids.empty() ? bias.past[static_cast<size_t>(b)] + s : ids[static_cast<size_t>(b * seq + s)];
      check(p >= 0 && p < rows, Code::kInvalidArgument, "position ", p, " lies outside ", rows);
      return p;
    };
    bool interleaved = n.attr_i("rotary_interleaved", 0) != 0;
    Tensor rq = q.clone(), rk = k.clone();
    attn::rotate(rq, cos, sin, width, interleaved, position);
    attn::rotate(rk, cos, sin, width, interleaved, position);
    q = rq;
    k = rk;
  }
  // The caches with the new elements behind each batch's past.
  Dims cache{batch, g, total, d};
  Tensor pk(k.dtype(), cache), pv(v.dtype(), cache);
  for (auto [dst, now, at] : {std::tuple<Tensor*, Tensor*, size_t>{&pk, &k, 3}, {&pv, &v, 4}}) {
    ref::fill_zero(*dst);
    for (int64_t i = 0; i < batch * g; ++i) {
      int64_t past = bias.past[static_cast<size_t>(i / g)], fresh = std::min(seq, total - past);
      if (c.has(at)) ref::copy(*dst, i * total * d, 1, c.in(at), i * room * d, 1, past * d);
      ref::copy(*dst, (i * total + past) * d, 1, *now, i * seq * d, 1, fresh * d);
    }
  }
  if (c.has(10)) bias.add.emplace(c.in(10), batch, h, seq, total);
  Tensor y = attn::attend(q, pk, pv, scale_of(n, d), n.attr_f("softcap", 0), &bias, {}, c);
  c.set_out(0, attn::join_heads(y));
  if (c.wants(1)) c.set_out(1, std::move(pk));
  if (c.wants(2)) c.set_out(2, std::move(pv));
}

// ---------------------------------------------------------------- RotaryEmbedding

void ms_rotary_reference(KernelContext& c) {
  const Node& n = c.node();
  const Tensor& x = c.in(0);
  ref::expect_rank(c.in(2), 2, "cos_cache");
  int64_t width = 2 * c.in(2).dim(1), rows = c.in(2).dim(0), h = n.attr_i("num_heads", 0);
  bool flat = x.rank() == 3;
  if (flat && h == 0) {
    ref::expect_rank(x, 3, "input");
    check(width > 0 && x.dim(2) % width == 0, Code::kInvalidModel, "the input's width ", x.dim(2),
          " is no multiple of the caches' ", width);
    h = x.dim(2) / width;
  }
  Tensor y = attn::split_heads(x, h, "input");
  if (!flat) y = y.clone();
  check(width <= y.dim(3) && c.in(2).size() == c.in(3).size(), Code::kInvalidModel,
        "the rotary caches do not fit heads of ", y.dim(3));
  int64_t batch = y.dim(0), seq = y.dim(2);
  std::vector<int64_t> ids = to_ints(c.in(1));
  auto count = static_cast<int64_t>(ids.size());
  check(count == 1 || count == batch * seq, Code::kInvalidModel, "position_ids has ", count, " elements");
  attn::rotate(y, ref::to_doubles(c.in(2)), ref::to_doubles(c.in(3)), width, n.attr_i("interleaved", 0) != 0,
               [&](int64_t b, int64_t s) {
                 // A single number is where the sequence starts.
                 int64_t p =
                     count == batch * seq && count != 1 ? ids[static_cast<size_t>(b * seq + s)] : ids[0] + s;
                 check(p >= 0 && p < rows, Code::kInvalidArgument, "position ", p, " lies outside ", rows);
                 return p;
               });
  c.set_out(0, flat ? attn::join_heads(y) : std::move(y));
}

}  // namespace

SKIFF_OP_DEF(com_microsoft, MultiHeadAttention) {
  return {.domain = kDomain,
          .name = "MultiHeadAttention",
          .versions = {1},
          .inputs = {{"query", kFloatTypes, 'T'},
                     optional("key", kFloatTypes, 'T'),
                     optional("value", kFloatTypes, 'T'),
                     optional("bias", kFloatTypes, 'T'),
                     optional("key_padding_mask", kInt32),
                     optional("attention_bias", kFloatTypes, 'T'),
                     optional("past_key", kFloatTypes, 'T'),
                     optional("past_value", kFloatTypes, 'T'),
                     optional("past_sequence_length", kInt32),
                     optional("cache_indirection", kInt32)},
          .outputs = {{"output", kFloatTypes, 'T'},
                      optional("present_key", kFloatTypes, 'T'),
                      optional("present_value", kFloatTypes, 'T'),
                      optional("qk", kFloatTypes)},
          .attributes = {{"mask_filter_value", AttrType::kFloat},
                         {"num_heads", AttrType::kInt, true},
                         {"scale", AttrType::kFloat},
                         {"unidirectional", AttrType::kInt}},
          .infer = infer_mha,
          .reference = mha_reference};
}

SKIFF_OP_DEF(com_microsoft, Attention) {
  return {.domain = kDomain,
          .name = "Attention",
          .versions = {1},
          .inputs = {{"input", kFloatTypes, 'T'},
                     {"weights", kFloatTypes, 'T'},
                     optional("bias", kFloatTypes, 'T'),
                     optional("mask_index", kInt32),
                     optional("past", kFloatTypes, 'T'),
                     optional("attention_bias", kFloatTypes, 'T'),
                     optional("past_sequence_length", kInt32)},
          .outputs = {{"output", kFloatTypes, 'T'}, optional("present", kFloatTypes, 'T')},
          .attributes = {{"do_rotary", AttrType::kInt},
                         {"mask_filter_value", AttrType::kFloat},
                         {"num_heads", AttrType::kInt, true},
                         {"qkv_hidden_sizes", AttrType::kInts},
                         {"scale", AttrType::kFloat},
                         {"unidirectional", AttrType::kInt}},
          .infer = infer_ms_attention,
          .reference = ms_attention_reference};
}

SKIFF_OP_DEF(com_microsoft, GroupQueryAttention) {
  return {.domain = kDomain,
          .name = "GroupQueryAttention",
          .versions = {1},
          .inputs = {{"query", kFloatTypes, 'T'},
                     optional("key", kFloatTypes, 'T'),
                     optional("value", kFloatTypes, 'T'),
                     optional("past_key", kFloatTypes, 'T'),
                     optional("past_value", kFloatTypes, 'T'),
                     {"seqlens_k", kInt32},
                     {"total_sequence_length", kInt32},
                     optional("cos_cache", kFloatTypes, 'T'),
                     optional("sin_cache", kFloatTypes, 'T'),
                     optional("position_ids", mask_of(DType::kInt64)),
                     optional("attention_bias", kFloatTypes, 'T'),
                     optional("head_sink", kFloatTypes, 'T')},
          .outputs = {{"output", kFloatTypes, 'T'},
                      optional("present_key", kFloatTypes, 'T'),
                      optional("present_value", kFloatTypes, 'T')},
          .attributes = {{"do_rotary", AttrType::kInt},
                         {"kv_num_heads", AttrType::kInt, true},
                         {"local_window_size", AttrType::kInt},
                         {"num_heads", AttrType::kInt, true},
                         {"rotary_interleaved", AttrType::kInt},
                         {"scale", AttrType::kFloat},
                         {"smooth_softmax", AttrType::kInt},
                         {"softcap", AttrType::kFloat}},
          .infer = infer_gqa,
          .reference = gqa_reference,
          .value_inputs = 1u << 6};
}

SKIFF_OP_DEF(com_microsoft, RotaryEmbedding) {
  return {.domain = kDomain,
          .name = "RotaryEmbedding",
          .versions = {1},
          .inputs = {{"input", kFloatTypes, 'T'},
                     {"position_ids", mask_of(DType::kInt64)},
                     {"cos_cache", kFloatTypes, 'T'},
                     {"sin_cache", kFloatTypes, 'T'}},
          .outputs = {{"output", kFloatTypes, 'T'}},
          .attributes = {{"interleaved", AttrType::kInt},
                         {"is_packed_batching", AttrType::kInt},
                         {"num_heads", AttrType::kInt},
                         {"rotary_embedding_dim", AttrType::kInt},
                         {"scale", AttrType::kFloat}},
          .infer = infer_same,
          .reference = ms_rotary_reference};
}

}  // namespace skiff
