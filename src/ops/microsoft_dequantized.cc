// com.microsoft operators that are another operator once their inputs are dequantized: QAttention and
// QEmbedLayerNormalization. (DynamicQuantizeLSTM stands with the recurrent layers.)
#include "ops/delegate.h"
#include "ops/ref_util.h"
#include "ops/rule_util.h"

namespace skiff {
namespace {

constexpr const char* kDomain = "com.microsoft";
constexpr TypeMask kBytes = mask_of(DType::kInt8) | mask_of(DType::kUint8);
constexpr TypeMask kInt32 = mask_of(DType::kInt32);
constexpr TypeMask kFloat = mask_of(DType::kFloat);
constexpr TypeMask kFloats = kFloat | mask_of(DType::kFloat16);

Formal optional(const char* name, TypeMask types, char tvar = 0) {
  return {name, types, tvar, Arity::kOptional};
}

// (q - zero) * scale, each a scalar or one value for each column (the last axis).
Tensor dequantized(const Tensor& q, const Tensor& scale, const Tensor* zero, DType to) {
  int64_t columns = q.rank() ? q.dim(q.rank() - 1) : 1;
  for (const Tensor* t : {&scale, zero})
    check(!t || t->size() == 1 || t->size() == columns, Code::kInvalidModel,
          "a scale or zero point of shape ", to_string(t->dims()), " for ", describe(q));
  std::vector<double> s = ref::to_doubles(scale), z = zero ? ref::to_doubles(*zero) : std::vector<double>{0};
  Tensor r(to, q.dims());
  for (int64_t i = 0; i < q.size(); ++i) {
    auto c = static_cast<size_t>(i % columns);
    set_double(r, i, (get_double(q, i) - z[z.size() == 1 ? 0 : c]) * s[s.size() == 1 ? 0 : c]);
  }
  return r;
}

// ---------------------------------------------------------------- QAttention

void infer_qattention(InferContext& c) {
  const SymShape &x = c.shape(0), &w = c.shape(1);
  if (!x.has_rank() || !w.has_rank()) return c.set(0, c.dtype(3));
  c.expect_rank(0, 3);
  c.expect_rank(1, 2);
  int64_t h = c.node().attr_i("num_heads", 0);
  check(h > 0, Code::kInvalidModel, "num_heads is ", h);
  Dim width = floor_div(w[1], Dim(int64_t{3}));
  c.set(0, c.dtype(3), SymShape(std::vector<Dim>{x[0], x[1], width}));
  if (!c.wants(1)) return;
  Dim past = !c.has(8) ? Dim(int64_t{0}) : c.has_rank(8) && c.shape(8).rank() == 5 ? c.shape(8)[3] : Dim();
  c.set(1, c.dtype(3),
        SymShape(std::vector<Dim>{Dim(int64_t{2}), x[0], Dim(h), past + x[1], floor_div(width, Dim(h))}));
}

void qattention_reference(KernelContext& c) {
  DType t = c.in(2).dtype();
  Datum x = dequantized(c.in(0), c.in(3), c.maybe(6), t), w = dequantized(c.in(1), c.in(4), c.maybe(7), t);
  auto given = [&](size_t i) { return c.has(i) ? &c.in_datum(i) : nullptr; };
  const Datum* in[] = {&x, &w, given(2), given(5), given(8)};
  run_as(c, as_operator(c.node(), "Attention", 1, kDomain), in);
}

// ---------------------------------------------------------------- QEmbedLayerNormalization

void infer_qembed(InferContext& c) {
  const SymShape &ids = c.shape(0), &table = c.shape(2);
  if (!ids.has_rank() || !table.has_rank()) return c.set(0, c.dtype(8));
  c.expect_rank(0, 2);
  c.expect_rank(2, 2);
  c.set(0, c.dtype(8), SymShape(std::vector<Dim>{ids[0], ids[1], table[1]}));
  if (c.wants(1)) c.set(1, DType::kInt32, SymShape(std::vector<Dim>{ids[0]}));
}

void qembed_reference(KernelContext& c) {
  // Five tables from input 2 on; their scales from 8 on, their zero points from 13 on.
  Datum table[5];
  for (size_t i = 0; i < 5; ++i)
    if (c.has(2 + i)) table[i] = dequantized(c.in(2 + i), c.in(8 + i), c.maybe(13 + i), c.in(8).dtype());
  auto given = [&](size_t i) { return c.has(i) ? &c.in_datum(i) : nullptr; };
  const Datum* in[] = {given(0),  given(1),  &table[0], &table[1], c.has(4) ? &table[2] : nullptr,
                       &table[3], &table[4], given(7)};
  run_as(c, as_operator(c.node(), "EmbedLayerNormalization", 1, kDomain), in);
}

}  // namespace

SKIFF_OP_DEF(com_microsoft, QAttention) {
  return {.domain = kDomain,
          .name = "QAttention",
          .versions = {1},
          .inputs = {{"input", kBytes},
                     {"weight", kBytes},
                     {"bias", kFloats, 'T'},
                     {"input_scale", kFloats, 'T'},
                     {"weight_scale", kFloats, 'T'},
                     optional("mask_index", kInt32),
                     optional("input_zero_point", kBytes),
                     optional("weight_zero_point", kBytes),
                     optional("past", kFloats, 'T')},
          .outputs = {{"output", kFloats, 'T'}, optional("present", kFloats, 'T')},
          .attributes = {{"do_rotary", AttrType::kInt},
                         {"mask_filter_value", AttrType::kFloat},
                         {"num_heads", AttrType::kInt, true},
                         {"past_present_share_buffer", AttrType::kInt},
                         {"scale", AttrType::kFloat},
                         {"unidirectional", AttrType::kInt}},
          .infer = infer_qattention,
          .reference = qattention_reference};
}

SKIFF_OP_DEF(com_microsoft, QEmbedLayerNormalization) {
  return {.domain = kDomain,
          .name = "QEmbedLayerNormalization",
          .versions = {1},
          .inputs = {{"input_ids", kInt32},
                     optional("segment_ids", kInt32),
                     {"word_embedding_quant", kBytes},
                     {"position_embedding_quant", kBytes},
                     optional("segment_embedding", kBytes),
                     {"gamma_quant", kBytes},
                     {"beta_quant", kBytes},
                     optional("mask", kInt32),
                     {"word_embedding_scale", kFloat},
                     {"position_embedding_scale", kFloat},
                     optional("segment_embedding_scale", kFloat),
                     {"gamma_scale", kFloat},
                     {"beta_scale", kFloat},
                     {"word_embedding_zero_point", kBytes},
                     {"position_embedding_zero_point", kBytes},
                     optional("segment_embedding_zero_point", kBytes),
                     {"gamma_zero_point", kBytes},
                     {"beta_zero_point", kBytes}},
          .outputs = {{"layernorm_out", kFloat}, {"mask_index_out", kInt32}},
          .attributes = {{"epsilon", AttrType::kFloat}},
          .infer = infer_qembed,
          .reference = qembed_reference};
}

}  // namespace skiff
