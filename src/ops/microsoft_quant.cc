// com.microsoft operators with packed or quantized weights: MatMulNBits, GatherBlockQuantized,
// DynamicQuantizeMatMul, MatMulIntegerToFloat, QLinearConv, (De)QuantizeLinear.
#include <algorithm>

#include "ops/conv.h"
#include "ops/qmatmul.h"

namespace skiff {

SKIFF_OP_DEF(ai_onnx, QLinearConv);
SKIFF_OP_DEF(ai_onnx, QuantizeLinear);
SKIFF_OP_DEF(ai_onnx, DequantizeLinear);

namespace {

constexpr const char* kDomain = "com.microsoft";
constexpr TypeMask kFloat32 = mask_of(DType::kFloat);

Formal optional(const char* name, TypeMask types, char tvar = 0) {
  return {name, types, tvar, Arity::kOptional};
}

// ---------------------------------------------------------------- MatMulNBits

struct NBits {
  int64_t k, n, bits, block, blocks, blob;
};

NBits nbits_of(const Node& node) {
  NBits p{
      node.attr_i("K", 0), node.attr_i("N", 0), node.attr_i("bits", 4), node.attr_i("block_size", 32), 0, 0};
  check(p.k > 0 && p.k < (int64_t{1} << 31) && p.n > 0 && p.n < (int64_t{1} << 31), Code::kInvalidModel,
        "K is ", p.k, " and N is ", p.n);
  check(p.bits == 2 || p.bits == 4 || p.bits == 8, Code::kUnsupported, "MatMulNBits with ", p.bits, " bits");
  check(p.block >= 8 && p.block <= 65536 && (p.block & (p.block - 1)) == 0, Code::kInvalidModel,
        "block_size is ", p.block, ", it must be a power of two of at least 8");
  p.blocks = (p.k + p.block - 1) / p.block;
  p.blob = p.block * p.bits / 8;
  return p;
}

void infer_matmul_nbits(InferContext& c) {
  NBits p = nbits_of(c.node());
  SymShape y = c.shape(0);
  if (y.has_rank()) {
    if (y.rank() == 0 || (y[y.rank() - 1].is_const() && !y[y.rank() - 1].is(p.k)))
      fail(Code::kInvalidModel, "A of shape ", y.to_string(), " must end in K = ", p.k);
    y[y.rank() - 1] = p.n;
  }
  c.set(0, c.dtype(0), std::move(y));
}

unsigned bits_at(const uint8_t* p, int64_t i, int64_t bits) {
  int64_t per = 8 / bits;
  return (p[i / per] >> (i % per * bits)) & ((1u << bits) - 1);
}

void matmul_nbits_reference(KernelContext& c) {
  NBits p = nbits_of(c.node());
  const Tensor &a = c.in(0), &b = c.in(1), &scales = c.in(2);
  ref::expect_rank(a, 1, "A", true);
  check(a.dim(a.rank() - 1) == p.k, Code::kInvalidModel, "A ", to_string(a.dims()), " must end in K = ", p.k);
  check(b.dtype() == DType::kUint8 && b.size() == p.n * p.blocks * p.blob, Code::kInvalidModel, "B has ",
        b.size(), " bytes, ", p.n * p.blocks * p.blob, " are needed");
  check(scales.size() == p.n * p.blocks, Code::kInvalidModel, "scales has ", scales.size(), " elements, ",
        p.n * p.blocks, " are needed");
  const Tensor* zero = c.maybe(3);
  int64_t zero_row = (p.blocks * p.bits + 7) / 8;
  bool packed = zero && zero->dtype() == DType::kUint8;
  if (zero)
    check(zero->size() == (packed ? p.n * zero_row : p.n * p.blocks), Code::kInvalidModel, "zero_points has ",
          zero->size(), " elements");
  std::vector<int64_t> group(static_cast<size_t>(p.k));
  for (int64_t i = 0; i < p.k; ++i) group[static_cast<size_t>(i)] = i / p.block;
  if (c.has(4)) {
    group = to_ints(c.in(4));
    check(static_cast<int64_t>(group.size()) >= p.k, Code::kInvalidModel, "g_idx has ", group.size(),
          " elements");
    for (int64_t g : group) check(g >= 0 && g < p.blocks, Code::kInvalidModel, "g_idx holds ", g);
  }
  if (c.has(5)) ref::expect_dims(c.in(5), {p.n}, "bias");
  std::vector<double> s = ref::to_doubles(scales), av = ref::to_doubles(a), z, w(static_cast<size_t>(p.k));
  if (zero && !packed) z = ref::to_doubles(*zero);
  Dims d = a.dims();
  d.back() = p.n;
  Tensor& y = c.out(0, a.dtype(), d);
  int64_t rows = a.size() / p.k;
  for (int64_t j = 0; j < p.n; ++j) {
    c.poll();
    for (int64_t i = 0; i < p.k; ++i) {
      int64_t g = group[static_cast<size_t>(i)], at = j * p.blocks + g;
      double middle = static_cast<double>(int64_t{1} << (p.bits - 1));
      if (packed)
        middle = bits_at(zero->data<uint8_t>() + j * zero_row, g, p.bits);
      else if (zero)
        middle = z[static_cast<size_t>(at)];
      unsigned q = bits_at(b.data<uint8_t>() + (j * p.blocks + i / p.block) * p.blob, i % p.block, p.bits);
      w[static_cast<size_t>(i)] = (q - middle) * s[static_cast<size_t>(at)];
    }
    double bias = c.has(5) ? get_double(c.in(5), j) : 0;
    for (int64_t r = 0; r < rows; ++r) {
      double sum = bias;
      for (int64_t i = 0; i < p.k; ++i)
        sum += av[static_cast<size_t>(r * p.k + i)] * w[static_cast<size_t>(i)];
      set_double(y, r * p.n + j, sum);
    }
  }
}

Cost cost_matmul_nbits(const CostContext& c) {
  Cost r;
  r.flops = 2 * c.out_elements(0) * static_cast<double>(c.node.attr_i("K", 1));
  for (const Type* t : c.in)
    if (t) r.bytes += c.elements(t) * dtype_bits(t->dtype) / 8;
  r.bytes += c.out_elements(0) * 4;
  return r;
}

}  // namespace

SKIFF_OP_DEF(com_microsoft, MatMulNBits) {
  return {.domain = kDomain,
          .name = "MatMulNBits",
          .versions = {1},
          .inputs = {{"A", kFloatTypes, 'T'},
                     {"B", mask_of(DType::kUint8) | mask_of(DType::kInt32)},
                     {"scales", kFloatTypes},
                     optional("zero_points", kFloatTypes | mask_of(DType::kUint8) | mask_of(DType::kInt32)),
                     optional("g_idx", mask_of(DType::kInt32)),
                     optional("bias", kFloatTypes, 'T')},
          .outputs = {{"Y", kFloatTypes, 'T'}},
          .attributes = {{"K", AttrType::kInt, true},
                         {"N", AttrType::kInt, true},
                         {"accuracy_level", AttrType::kInt},
                         {"bits", AttrType::kInt},
                         {"block_size", AttrType::kInt}},
          .infer = infer_matmul_nbits,
          .reference = matmul_nbits_reference,
          .cost = cost_matmul_nbits};
}

// ---------------------------------------------------------------- GatherBlockQuantized

namespace {

struct BlockGather {
  size_t gather, quant;
  int64_t block, per;  // elements a stored byte holds beyond what its type says
};

BlockGather block_gather_of(const Node& n, DType t, size_t rank) {
  check(rank >= 1, Code::kInvalidModel, "data must not be a scalar");
  int64_t bits = n.attr_i("bits", 4);
  check(bits == 4 || bits == 8, Code::kInvalidModel, "bits is ", bits);
  BlockGather g{rule::axis(n.attr_i("gather_axis", 0), rank), rule::axis(n.attr_i("quantize_axis", 1), rank),
                n.attr_i("block_size", 128), t == DType::kUint8 ? 8 / bits : 1};
  check(g.block >= 1, Code::kInvalidModel, "block_size is ", g.block);
  check(g.per == 1 || g.quant == rank - 1, Code::kUnsupported,
        "packed bytes quantized along another axis than the last");
  return g;
}

void infer_gather_block(InferContext& c) {
  if (!c.has_rank(0) || !c.has_rank(1)) return c.set(0, c.dtype(2));
  const SymShape &x = c.shape(0), &i = c.shape(1);
  BlockGather g = block_gather_of(c.node(), c.dtype(0), x.rank());
  std::vector<Dim> y(x.dims().begin(), x.dims().begin() + static_cast<int64_t>(g.gather));
  y.insert(y.end(), i.dims().begin(), i.dims().end());
  y.insert(y.end(), x.dims().begin() + static_cast<int64_t>(g.gather) + 1, x.dims().end());
  if (g.gather + 1 < x.rank()) y.back() = y.back() * Dim(g.per);
  c.set(0, c.dtype(2), SymShape(std::move(y)));
}

void gather_block_reference(KernelContext& c) {
  const Tensor &x = c.in(0), &indices = c.in(1), &scales = c.in(2);
  BlockGather g = block_gather_of(c.node(), x.dtype(), x.dims().size());
  check(g.per == 1 || g.gather + 1 < x.dims().size(), Code::kUnsupported,
        "packed bytes gathered along the last axis");
  Dims full = x.dims(), sd = x.dims();
  full.back() *= g.per;
  sd = full;
  sd[g.quant] = (full[g.quant] + g.block - 1) / g.block;
  ref::expect_dims(scales, sd, "scales");
  auto ga = static_cast<int64_t>(g.gather), qa = static_cast<int64_t>(g.quant);
  auto rank = static_cast<int64_t>(full.size());
  int64_t outer = ref::count_of(full, 0, ga), n = full[g.gather], inner = ref::count_of(full, ga + 1, rank);
  int64_t q_inner = ref::count_of(full, qa + 1, rank), qn = full[g.quant];
  Dims yd;
  for (size_t i = 0; i < g.gather; ++i) yd.push_back(full[i]);
  for (int64_t e : indices.dims()) yd.push_back(e);
  for (size_t i = g.gather + 1; i < full.size(); ++i) yd.push_back(full[i]);
  std::vector<int64_t> pick = to_ints(indices);
  std::vector<double> s = ref::to_doubles(scales);
  const Tensor* zero = c.maybe(3);
  bool packed_zero = zero && g.per > 1;
  int64_t zero_cols = (sd.back() + g.per - 1) / g.per;
  if (zero)
    check(zero->size() ==
              (packed_zero ? scales.size() / std::max<int64_t>(sd.back(), 1) * zero_cols : scales.size()),
          Code::kInvalidModel, "zero_points has ", zero->size(), " elements");
  int64_t bits = c.node().attr_i("bits", 4);
  double middle = x.dtype() == DType::kUint8 ? (bits == 8 ? 128 : 8) : 0;
  Tensor& y = c.out(0, scales.dtype(), yd);
  auto k = static_cast<int64_t>(pick.size());
  for (int64_t o = 0; o < outer; ++o) {
    for (int64_t i = 0; i < k; ++i) {
      int64_t p = pick[static_cast<size_t>(i)];
      check(p >= -n && p < n, Code::kInvalidArgument, "index ", p, " lies outside ", n);
      if (p < 0) p += n;
      for (int64_t e = 0; e < inner; ++e) {
        int64_t at = (o * n + p) * inner + e;  // in the unpacked data
        int64_t qo = at / (qn * q_inner), qk = at / q_inner % qn, qi = at % q_inner;
        int64_t sa = (qo * sd[g.quant] + qk / g.block) * q_inner + qi;
        double v = g.per > 1 ? bits_at(x.data<uint8_t>(), at, bits) : get_double(x, at);
        double z = middle;
        if (packed_zero)
          z = bits_at(zero->data<uint8_t>() + sa / sd.back() * zero_cols, sa % sd.back(), bits);
        else if (zero)
          z = get_double(*zero, sa);
        set_double(y, (o * k + i) * inner + e, (v - z) * s[static_cast<size_t>(sa)]);
      }
    }
  }
}

}  // namespace

SKIFF_OP_DEF(com_microsoft, GatherBlockQuantized) {
  TypeMask q = mask_of(DType::kInt4) | mask_of(DType::kUint4) | mask_of(DType::kUint8);
  return {.domain = kDomain,
          .name = "GatherBlockQuantized",
          .versions = {1},
          .inputs = {{"data", q, 'A'},
                     {"indices", kIndexTypes},
                     {"scales", kFloatTypes},
                     optional("zero_points", q, 'A')},
          .outputs = {{"output", kFloatTypes}},
          .attributes = {{"bits", AttrType::kInt},
                         {"block_size", AttrType::kInt},
                         {"gather_axis", AttrType::kInt},
                         {"quantize_axis", AttrType::kInt}},
          .infer = infer_gather_block,
          .reference = gather_block_reference};
}

// ---------------------------------------------------------------- DynamicQuantizeMatMul,
// MatMulIntegerToFloat

namespace {

using quant::MatShape;
using quant::PerLine;

void infer_quantized_product(InferContext& c) {
  c.set(0, DType::kFloat, quant::mat_output(c.shape(0), c.shape(1)));
}

// y = sum((a - az)(b - bz)) * as * bs + bias
void quantized_product(KernelContext& c, const Tensor& a, const Tensor& b, const PerLine& as,
                       const PerLine& az, const PerLine& bs, const PerLine& bz, const Tensor* bias) {
  MatShape s = quant::mat_shape(a.dims(), b.dims());
  if (bias) ref::expect_dims(*bias, {s.n}, "bias");
  float* y = c.out(0, DType::kFloat, s.y).data<float>();
  std::vector<int64_t> av = to_ints(a), bv = to_ints(b), sum(static_cast<size_t>(s.n));
  quant::for_each_matrix(s, [&](int64_t ia, int64_t ib, int64_t iy) {
    for (int64_t i = 0; i < s.m; ++i) {
      std::fill(sum.begin(), sum.end(), 0);
      auto za = static_cast<int64_t>(az.at(ia, i));
      for (int64_t p = 0; p < s.k; ++p)
        for (int64_t j = 0; j < s.n; ++j)
          sum[static_cast<size_t>(j)] +=
              (av[static_cast<size_t>((ia * s.m + i) * s.k + p)] - za) *
              (bv[static_cast<size_t>((ib * s.k + p) * s.n + j)] - static_cast<int64_t>(bz.at(ib, j)));
      for (int64_t j = 0; j < s.n; ++j) {
        float v = static_cast<float>(sum[static_cast<size_t>(j)]) * (as.at(ia, i) * bs.at(ib, j));
        y[(iy * s.m + i) * s.n + j] = v + (bias ? static_cast<float>(get_double(*bias, j)) : 0.0f);
      }
    }
  });
}

int64_t rows_in(const Tensor& a) { return a.rank() > 1 ? a.dim(a.rank() - 2) : 1; }
int64_t cols_in(const Tensor& b) { return b.rank() > 1 ? b.dim(b.rank() - 1) : 1; }

void matmul_integer_to_float_reference(KernelContext& c) {
  const Tensor &a = c.in(0), &b = c.in(1);
  quantized_product(c, a, b, PerLine(&c.in(2), rows_in(a), "a_scale"),
                    PerLine(c.maybe(4), rows_in(a), "a_zero_point"), PerLine(&c.in(3), cols_in(b), "b_scale"),
                    PerLine(c.maybe(5), cols_in(b), "b_zero_point"), c.maybe(6));
}

void dynamic_quantize_matmul_reference(KernelContext& c) {
  const Tensor &x = c.in(0), &b = c.in(1);
  const float* p = x.data<float>();
  float lo = 0, hi = 0;
  for (int64_t i = 0; i < x.size(); ++i) {
    lo = std::min(lo, p[i]);
    hi = std::max(hi, p[i]);
  }
  float scale = hi > lo ? (hi - lo) / 255.0f : 1.0f;
  int32_t zero = quant::to_step(std::clamp(0.0f - lo / scale, 0.0f, 255.0f), 0, {0, 255});
  Tensor a(DType::kUint8, x.dims());
  for (int64_t i = 0; i < x.size(); ++i)
    a.data<uint8_t>()[i] = static_cast<uint8_t>(quant::to_step(p[i] / scale, zero, {0, 255}));
  Tensor ts = Tensor::scalar(scale), tz = Tensor::scalar(static_cast<int64_t>(zero));
  quantized_product(c, a, b, PerLine(&ts, 1, "a_scale"), PerLine(&tz, 1, "a_zero_point"),
                    PerLine(&c.in(2), cols_in(b), "b_scale"), PerLine(c.maybe(3), cols_in(b), "b_zero_point"),
                    c.maybe(4));
}

}  // namespace

SKIFF_OP_DEF(com_microsoft, MatMulIntegerToFloat) {
  return {.domain = kDomain,
          .name = "MatMulIntegerToFloat",
          .versions = {1},
          .inputs = {{"A", kInt8Types, 'A'},
                     {"B", kInt8Types, 'B'},
                     {"a_scale", kFloat32},
                     {"b_scale", kFloat32},
                     optional("a_zero_point", kInt8Types, 'A'),
                     optional("b_zero_point", kInt8Types, 'B'),
                     optional("bias", kFloat32)},
          .outputs = {{"Y", kFloat32}},
          .infer = infer_quantized_product,
          .reference = matmul_integer_to_float_reference};
}

SKIFF_OP_DEF(com_microsoft, DynamicQuantizeMatMul) {
  return {.domain = kDomain,
          .name = "DynamicQuantizeMatMul",
          .versions = {1},
          .inputs = {{"A", kFloat32},
                     {"B", kInt8Types, 'B'},
                     {"b_scale", kFloat32},
                     optional("b_zero_point", kInt8Types, 'B'),
                     optional("bias", kFloat32)},
          .outputs = {{"Y", kFloat32}},
          .infer = infer_quantized_product,
          .reference = dynamic_quantize_matmul_reference};
}

// ---------------------------------------------------------------- forms of standard operators

namespace {

std::vector<size_t> turned(size_t rank, bool first) {
  std::vector<size_t> p{0};
  if (first) p.push_back(rank - 1);
  for (size_t i = first ? 1 : 2; i < rank - (first ? 1 : 0); ++i) p.push_back(i);
  if (!first) p.push_back(1);
  return p;
}

SymShape turned(const SymShape& s, bool first) {
  if (!s.has_rank() || s.rank() < 3) return s;
  std::vector<Dim> d;
  for (size_t a : turned(s.rank(), first)) d.push_back(s[a]);
  return SymShape(std::move(d));
}

bool channels_last(const Node& n) { return n.attr_i("channels_last", 0) != 0; }

void infer_ms_qlinear_conv(InferContext& c) {
  bool last = channels_last(c.node());
  SymShape y = conv_output(c.node(), last ? turned(c.shape(0), true) : c.shape(0), c.shape(3));
  c.set(0, c.dtype(7), last ? turned(y, false) : y);
}

// The standard reference, with x and y turned around it when channels come last.
void ms_qlinear_conv_reference(KernelContext& c) {
  static const OpDef kStandard = skiff_op_ai_onnx_QLinearConv();
  if (!channels_last(c.node())) return kStandard.reference(c);
  ref::expect_rank(c.in(0), 3, "x", true);
  Datum x = ref::permuted(c.in(0), turned(c.in(0).dims().size(), true));
  std::vector<const Datum*> in;
  for (size_t i = 0; i < c.inputs(); ++i) in.push_back(c.has(i) ? &c.in_datum(i) : nullptr);
  in[0] = &x;
  std::vector<Datum> out(1);
  KernelContext inner(c.node(), in, out, nullptr);
  kStandard.reference(inner);
  const Tensor& y = out[0].tensor();
  c.set_out(0, ref::permuted(y, turned(y.dims().size(), false)));
}

OpDef ms_form(OpDef d) {
  d.domain = kDomain;
  d.versions = {1};
  d.removed = 0;
  return d;
}

}  // namespace

SKIFF_OP_DEF(com_microsoft, QLinearConv) {
  OpDef d = ms_form(skiff_op_ai_onnx_QLinearConv());
  d.attributes.push_back({"channels_last", AttrType::kInt});
  d.infer = infer_ms_qlinear_conv;
  d.reference = ms_qlinear_conv_reference;
  return d;
}
SKIFF_OP_DEF(com_microsoft, QuantizeLinear) { return ms_form(skiff_op_ai_onnx_QuantizeLinear()); }
SKIFF_OP_DEF(com_microsoft, DequantizeLinear) { return ms_form(skiff_op_ai_onnx_DequantizeLinear()); }

}  // namespace skiff
