// Internal operators on 8-bit integers: what the passes turn quantized regions into. Each is defined by exact
// integer arithmetic: sums in int32, one float32 multiplication, rounding half to even, the zero point,
// clamping.
#include <algorithm>

#include "ops/channels_last.h"
#include "ops/conv.h"
#include "ops/qmatmul.h"

namespace skiff {
namespace {

using quant::MatShape;

constexpr TypeMask kFloat32 = mask_of(DType::kFloat);
constexpr TypeMask kInt32 = mask_of(DType::kInt32);

// Ranks below 3 have no layout to turn.
SymShape turned(const SymShape& s, bool to_planar) {
  return s.has_rank() && s.rank() < 3 ? s : permuted(s, to_planar);
}

// Steps of an 8-bit result are kept within attributes low and high: a fused activation.
quant::Range limits_of(const Node& n, DType t) {
  quant::Range r = quant::range_of(t);
  auto within = [&](std::string_view name, int32_t def) {
    return static_cast<int32_t>(std::clamp<int64_t>(n.attr_i(name, def), r.lo, r.hi));
  };
  return {within("low", r.lo), within("high", r.hi)};
}
void clamp_bytes(Tensor& y, quant::Range r) {
  for (int64_t i = 0; i < y.size(); ++i) set_int(y, i, std::clamp<int64_t>(get_int(y, i), r.lo, r.hi));
}

// ---------------------------------------------------------------- skiff.QLinearConv

void infer_conv(InferContext& c) {
  bool last = is_nhwc(c.node());
  SymShape y = conv_output(c.node(), last ? turned(c.shape(0), true) : c.shape(0), c.shape(3));
  c.set(0, c.dtype(7), last ? turned(y, false) : y);
}

void conv_reference(KernelContext& c) {
  const OpDef* standard = find_op("", "QLinearConv");
  bool last = is_nhwc(c.node());
  ref::expect_rank(c.in(0), 3, "x", true);
  std::vector<const Datum*> in;
  for (size_t i = 0; i < c.inputs(); ++i) in.push_back(c.has(i) ? &c.in_datum(i) : nullptr);
  Datum x;
  if (last) {
    x = ref::permuted(c.in(0), to_first(c.in(0).dims().size()));
    in[0] = &x;
  }
  std::vector<Datum> out(1);
  KernelContext inner(c.node(), in, out, nullptr);
  standard->reference(inner);
  Tensor y = out[0].tensor();
  clamp_bytes(y, limits_of(c.node(), y.dtype()));
  c.set_out(0, last ? ref::permuted(y, to_last(y.dims().size())) : y);
}

Cost cost_conv(const CostContext& c) { return conv_cost(c, 3, false); }

// ---------------------------------------------------------------- skiff.QLinearMatMul

// b is [k, n], or [n, k] with trans_b; the other axes of a are rows.
void infer_matmul(InferContext& c) {
  SymShape y = c.shape(0);
  c.expect_rank(3, 2);
  if (y.has_rank()) {
    check(y.rank() >= 2, Code::kInvalidModel, "a needs rank 2 or more");
    y[y.rank() - 1] = c.has_rank(3) ? c.shape(3)[c.node().attr_i("trans_b", 0) ? 0 : 1] : Dim();
  }
  c.set(0, c.dtype(7), std::move(y));
}

void matmul_reference(KernelContext& c) {
  const Tensor& a = c.in(0);
  ref::expect_rank(a, 2, "a", true);
  ref::expect_rank(c.in(3), 2, "b");
  bool trans = c.node().attr_i("trans_b", 0) != 0;
  Tensor b = trans ? ref::permuted(c.in(3), {1, 0}) : c.in(3);
  int64_t k = a.dims().back(), m = k ? a.size() / k : 0, n = b.dim(1);
  check(b.dim(0) == k, Code::kInvalidModel, "shapes ", to_string(a.dims()), " and ", to_string(b.dims()),
        " cannot be multiplied");
  std::vector<int32_t> av = quant::centred(a, c.maybe(2), -1), bv = quant::centred(b, c.maybe(5), 1);
  std::vector<int32_t> sum(static_cast<size_t>(m * n));
  quant::int_gemm(av.data(), bv.data(), sum.data(), m, k, n);
  const Tensor* bias = c.maybe(8);
  if (bias) ref::expect_dims(*bias, {n}, "B");
  quant::PerLine scales(&c.in(4), n, "b_scale");
  float a_scale = quant::scale_of(c.in(1)), y_scale = quant::scale_of(c.in(6));
  DType t = c.in(7).dtype();
  quant::Range limits = limits_of(c.node(), t), range = quant::range_of(t);
  int32_t zero = quant::zero_of(&c.in(7));
  Dims d = a.dims();
  d.back() = n;
  Tensor& y = c.out(0, t, d);
  for (int64_t i = 0; i < y.size(); ++i) {
    auto start = static_cast<uint32_t>(bias ? bias->data<int32_t>()[i % n] : 0);
    auto v = static_cast<int32_t>(static_cast<uint32_t>(sum[static_cast<size_t>(i)]) + start);
    float scale = a_scale * scales.at(0, i % n) / y_scale;
    set_int(y, i, std::clamp(quant::requantize(v, scale, zero, range), limits.lo, limits.hi));
  }
}

Cost cost_matmul(const CostContext& c) {
  Cost r;
  r.flops = 2 * static_cast<double>(c.in_dim(0, -1)) * c.out_elements(0);
  r.bytes = c.in_elements(0) + c.in_elements(3) + c.out_elements(0);
  return r;
}

// ---------------------------------------------------------------- skiff.Lookup

const Tensor& table_of(const Node& n) {
  const Tensor* t = n.attr_tensor("table");
  check(t && t->size() == 256 && (mask_of(t->dtype()) & kInt8Types), Code::kInvalidModel,
        "table must hold 256 8-bit integers");
  return *t;
}

void infer_lookup(InferContext& c) { c.set(0, table_of(c.node()).dtype(), c.shape(0)); }

// y = table[bits of x]
void lookup_reference(KernelContext& c) {
  const Tensor &x = c.in(0), &table = table_of(c.node());
  Tensor& y = c.out(0, table.dtype(), x.dims());
  for (int64_t i = 0; i < x.size(); ++i) y.data<uint8_t>()[i] = table.data<uint8_t>()[x.data<uint8_t>()[i]];
}

std::vector<Formal> product_inputs(const char* a, const char* b) {
  return {{a, kInt8Types, '1'},
          {"a_scale", kFloat32},
          {"a_zero_point", kInt8Types, '1'},
          {b, kInt8Types, '2'},
          {"b_scale", kFloat32},
          {"b_zero_point", kInt8Types, '2'},
          {"y_scale", kFloat32},
          {"y_zero_point", kInt8Types, '3'},
          {"B", kInt32, 0, Arity::kOptional}};
}

}  // namespace

SKIFF_OP_DEF(skiff, QLinearConv) {
  return {.domain = "skiff",
          .name = "QLinearConv",
          .versions = {1},
          .inputs = product_inputs("x", "w"),
          .outputs = {{"y", kInt8Types, '3'}},
          .attributes = {{"auto_pad", AttrType::kString},
                         {"dilations", AttrType::kInts},
                         {"group", AttrType::kInt},
                         {"high", AttrType::kInt},
                         {"kernel_shape", AttrType::kInts},
                         {"layout", AttrType::kString},
                         {"low", AttrType::kInt},
                         {"pads", AttrType::kInts},
                         {"strides", AttrType::kInts}},
          .infer = infer_conv,
          .reference = conv_reference,
          .cost = cost_conv,
          .flags = kInternal};
}

SKIFF_OP_DEF(skiff, QLinearMatMul) {
  return {.domain = "skiff",
          .name = "QLinearMatMul",
          .versions = {1},
          .inputs = product_inputs("a", "b"),
          .outputs = {{"y", kInt8Types, '3'}},
          .attributes = {{"high", AttrType::kInt}, {"low", AttrType::kInt}, {"trans_b", AttrType::kInt}},
          .infer = infer_matmul,
          .reference = matmul_reference,
          .cost = cost_matmul,
          .flags = kInternal};
}

SKIFF_OP_DEF(skiff, Lookup) {
  return {.domain = "skiff",
          .name = "Lookup",
          .versions = {1},
          .inputs = {{"x", kInt8Types}},
          .outputs = {{"y", kInt8Types}},
          .attributes = {{"table", AttrType::kTensor, true}},
          .infer = infer_lookup,
          .reference = lookup_reference,
          .flags = kElementwise | kInternal};
}

}  // namespace skiff
