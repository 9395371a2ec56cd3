// QuantizeLinear, DequantizeLinear, DynamicQuantizeLinear, QLinearMatMul.
#include "ops/quantize.h"

#include <limits>

#include "base/half.h"

namespace skiff {
namespace quant {

Range range_of(DType t) {
  switch (t) {
    case DType::kUint8: return {0, 255};
    case DType::kInt8: return {-128, 127};
    case DType::kUint16: return {0, 65535};
    case DType::kInt16: return {-32768, 32767};
    case DType::kUint4: return {0, 15};
    case DType::kInt4: return {-8, 7};
    case DType::kUint2: return {0, 3};
    case DType::kInt2: return {-2, 1};
    default: fail(Code::kInvalidModel, dtype_name(t), " is not a type values are quantized to");
  }
}

std::vector<int32_t> centred(const Tensor& t, const Tensor* zero, int64_t axis) {
  std::vector<int32_t> v(static_cast<size_t>(t.size()) + 1);
  ref::load_all(t, v.data());
  if (!zero || zero->size() == 0) return v;
  if (zero->size() == 1) {
    int32_t z = zero_of(zero);
    for (int32_t& x : v) x -= z;
    return v;
  }
  check(axis >= 0 && axis < t.rank() && zero->size() == t.dim(axis), Code::kInvalidModel,
        "the zero point has ", zero->size(), " elements for a tensor of shape ", to_string(t.dims()));
  std::vector<int64_t> z = to_ints(*zero);
  int64_t inner = ref::count_of(t.dims(), axis + 1, t.rank()), n = t.dim(axis);
  for (int64_t i = 0; i < t.size(); ++i)
    v[static_cast<size_t>(i)] -= static_cast<int32_t>(z[static_cast<size_t>(i / inner % n)]);
  return v;
}

namespace {

// Where the scale (and zero point) of an element lies: per tensor, per index of an axis, or per block along
// it.
struct Scales {
  int64_t inner = 1, n = 1, block = 1, blocks = 1;
  bool single = true;
  int64_t at(int64_t i) const {
    if (single) return 0;
    int64_t o = i / (inner * n), k = i / inner % n;
    return blocked ? (o * blocks + k / block) * inner + i % inner : k;
  }
  bool blocked = false;
};

Scales scales_of(const Node& n, const Tensor& x, const Tensor& scale, const Tensor* zero) {
  Scales s;
  if (zero && zero->size() != 1 && zero->size() != 0 && !(zero->dims() == scale.dims()))
    fail(Code::kInvalidModel, "scale and zero point have shapes ", to_string(scale.dims()), " and ",
         to_string(zero->dims()));
  int64_t block = n.attr_i("block_size", 0);
  check(block >= 0, Code::kInvalidModel, "block_size is ", block);
  if (block == 0 && scale.size() == 1) return s;
  s.single = false;
  auto axis = static_cast<int64_t>(rule::axis(n.attr_i("axis", 1), x.dims().size()));
  s.n = x.dim(axis);
  s.inner = ref::count_of(x.dims(), axis + 1, x.rank());
  if (block == 0) {
    check(scale.size() == s.n && scale.rank() <= 1, Code::kInvalidModel, "the scale has shape ",
          to_string(scale.dims()), ", axis ", axis, " of the input has extent ", s.n);
    return s;
  }
  s.blocked = true;
  s.block = block;
  check(scale.rank() == x.rank(), Code::kInvalidModel, "blocked scales must have the input's rank ", x.rank(),
        ", they have shape ", to_string(scale.dims()));
  s.blocks = scale.dim(axis);
  for (int64_t a = 0; a < x.rank(); ++a) {
    int64_t want = a == axis ? (s.n + block - 1) / block : x.dim(a);
    check(scale.dim(a) == want, Code::kInvalidModel, "the scale has extent ", scale.dim(a), " along axis ", a,
          ", ", want, " is needed for blocks of ", block);
  }
  return s;
}

void check_scale_axis(InferContext& c) {
  if (!c.has_rank(0) || !c.has_rank(1)) return;
  const SymShape& s = c.shape(1);
  if (s.rank() == 0 || (s.rank() == 1 && s[0].is(1)) || c.opset() < 13) return;
  size_t a = rule::axis(c.node().attr_i("axis", 1), c.shape(0).rank());
  if (c.node().attr_i("block_size", 0) || s.rank() != 1) return;
  const Dim& n = c.shape(0)[a];
  if (n.is_const() && s[0].is_const() && n.value() != s[0].value())
    fail(Code::kInvalidModel, "the scale has ", s[0].value(), " elements, axis ", a, " of the input has ",
         n.value());
}

// ---------------------------------------------------------------- QuantizeLinear

DType quantized_type(const Node& n, DType zero) {
  int64_t t = n.attr_i("output_dtype", 0);
  DType d = t ? rule::dtype_attr(n, "output_dtype", DType::kUint8) : zero;
  check(!t || zero == DType::kUndefined || zero == d, Code::kInvalidModel, "output_dtype is ", dtype_name(d),
        ", the zero point is ", dtype_name(zero));
  return d == DType::kUndefined ? DType::kUint8 : d;
}

void infer_quantize(InferContext& c) {
  check_scale_axis(c);
  c.set(0, quantized_type(c.node(), c.dtype(2)), c.shape(0));
}

bool is_float8(DType t) { return (mask_of(t) & rule::kFloat8Types) != 0; }

void store_float8(Tensor& y, int64_t i, float v, bool saturate) {
  static constexpr Float8 kKinds[] = {Float8::kE4M3FN, Float8::kE4M3FNUZ, Float8::kE5M2, Float8::kE5M2FNUZ};
  int k = static_cast<int>(y.dtype()) - static_cast<int>(DType::kFloat8E4M3FN);
  y.data<uint8_t>()[i] = float_to_float8(v, kKinds[k], saturate);
}

// The division is done in the precision the standard names: that of x and the scale, or `precision`.
float divide(float x, float scale, DType precision) {
  float q = x / scale;
  if (precision == DType::kFloat16) return half_to_float(float_to_half(q));
  if (precision == DType::kBFloat16) return bfloat16_to_float(float_to_bfloat16(q));
  return q;
}

void quantize_reference(KernelContext& c) {
  const Node& n = c.node();
  const Tensor &x = c.in(0), &scale = c.in(1);
  const Tensor* zero = c.maybe(2);
  DType t = quantized_type(n, zero ? zero->dtype() : DType::kUndefined);
  Scales s = scales_of(n, x, scale, zero);
  std::vector<float> xs = to_floats(x), ss = to_floats(scale), zs;
  if (zero && zero->size()) zs = to_floats(*zero);
  Tensor& y = c.out(0, t, x.dims());
  if (dtype_bits(t) < 8) ref::fill_zero(y);
  bool saturate = n.attr_i("saturate", 1) != 0, real = dtype_is_float(t);
  int64_t asked = n.attr_i("precision", 0);
  DType precision = asked                        ? static_cast<DType>(asked)
                    : x.dtype() == scale.dtype() ? x.dtype()
                                                 : DType::kFloat;
  Range r = real ? Range{0, 0} : range_of(t);
  for (int64_t i = 0; i < x.size(); ++i) {
    auto k = static_cast<size_t>(s.at(i));
    float q = divide(xs[static_cast<size_t>(i)], ss[k], precision);
    float z = zs.empty() ? 0 : zs[zs.size() == 1 ? 0 : k];
    if (is_float8(t))
      store_float8(y, i, q + z, saturate);
    else if (real)
      set_double(y, i, static_cast<double>(q + z));
    else
      set_int(y, i, to_step(q, static_cast<int32_t>(z), r));
  }
}

// ---------------------------------------------------------------- DequantizeLinear

DType real_type(const Node& n, DType scale) {
  if (n.attr_i("output_dtype", 0)) return rule::dtype_attr(n, "output_dtype", DType::kFloat);
  return scale == DType::kFloat8E8M0 ? DType::kFloat : scale;
}

void infer_dequantize(InferContext& c) {
  check_scale_axis(c);
  c.set(0, real_type(c.node(), c.dtype(1)), c.shape(0));
}

void dequantize_reference(KernelContext& c) {
  const Node& n = c.node();
  const Tensor &x = c.in(0), &scale = c.in(1);
  const Tensor* zero = c.maybe(2);
  Scales s = scales_of(n, x, scale, zero);
  std::vector<float> ss = to_floats(scale);
  std::vector<double> xs = ref::to_doubles(x), zs;
  if (zero && zero->size()) zs = ref::to_doubles(*zero);
  Tensor& y = c.out(0, real_type(n, scale.dtype()), x.dims());
  ref::RealOut<float> ys(y);
  for (int64_t i = 0; i < x.size(); ++i) {
    auto k = static_cast<size_t>(s.at(i));
    double z = zs.empty() ? 0 : zs[zs.size() == 1 ? 0 : k];
    ys[i] = static_cast<float>(xs[static_cast<size_t>(i)] - z) * ss[k];
  }
  ys.commit();
}

Cost cost_quantize(const CostContext& c) {
  Cost r;
  r.flops = 3 * c.in_elements(0);
  for (const Type* t : {c.in[0], c.out[0]})
    if (t) r.bytes += c.elements(t) * dtype_bits(t->dtype) / 8;
  return r;
}

// ---------------------------------------------------------------- DynamicQuantizeLinear

void infer_dynamic_quantize(InferContext& c) {
  c.set(0, DType::kUint8, c.shape(0));
  c.set(1, DType::kFloat, SymShape(Dims{}));
  c.set(2, DType::kUint8, SymShape(Dims{}));
}

void dynamic_quantize_reference(KernelContext& c) {
  const Tensor& x = c.in(0);
  const float* p = x.data<float>();
  float lo = 0, hi = 0;  // the range must hold 0
  for (int64_t i = 0; i < x.size(); ++i) {
    lo = std::min(lo, p[i]);
    hi = std::max(hi, p[i]);
  }
  float scale = (hi - lo) / 255.0f;
  int32_t zero = scale == 0 ? 0 : to_step(std::clamp(0.0f - lo / scale, 0.0f, 255.0f), 0, {0, 255});
  Tensor& y = c.out(0, DType::kUint8, x.dims());
  for (int64_t i = 0; i < x.size(); ++i)
    y.data<uint8_t>()[i] = static_cast<uint8_t>(scale == 0 ? zero : to_step(p[i] / scale, zero, {0, 255}));
  if (c.wants(1)) *c.out(1, DType::kFloat, {}).data<float>() = scale;
  if (c.wants(2)) *c.out(2, DType::kUint8, {}).data<uint8_t>() = static_cast<uint8_t>(zero);
}

}  // namespace
}  // namespace quant

using namespace quant;  // NOLINT: the entries below name the functions above

SKIFF_OP_DEF(ai_onnx, QuantizeLinear) {
  return {.name = "QuantizeLinear",
          .versions = {10, 13, 19, 21, 23, 24, 25, 28},
          .inputs = {{"x",
                      mask_of(DType::kFloat) | mask_of(DType::kFloat16) | mask_of(DType::kBFloat16) |
                          mask_of(DType::kInt32),
                      '1'},
                     {"y_scale",
                      mask_of(DType::kFloat) | mask_of(DType::kFloat16) | mask_of(DType::kBFloat16) |
                          mask_of(DType::kInt32) | mask_of(DType::kFloat8E8M0),
                      '2'},
                     {"y_zero_point",
                      rule::kFloat8Types | kInt8Types | mask_of(DType::kInt16) | mask_of(DType::kUint16) |
                          mask_of(DType::kUint4) | mask_of(DType::kInt4) | mask_of(DType::kFloat4E2M1) |
                          mask_of(DType::kUint2) | mask_of(DType::kInt2),
                      '3', Arity::kOptional}},
          .outputs = {{"y",
                       rule::kFloat8Types | kInt8Types | mask_of(DType::kInt16) | mask_of(DType::kUint16) |
                           mask_of(DType::kUint4) | mask_of(DType::kInt4) | mask_of(DType::kFloat4E2M1) |
                           mask_of(DType::kUint2) | mask_of(DType::kInt2),
                       '3'}},
          .attributes = {{"axis", AttrType::kInt},
                         {"block_size", AttrType::kInt},
                         {"output_dtype", AttrType::kInt},
                         {"precision", AttrType::kInt},
                         {"saturate", AttrType::kInt}},
          .infer = infer_quantize,
          .reference = quantize_reference,
          .cost = cost_quantize};
}

SKIFF_OP_DEF(ai_onnx, DequantizeLinear) {
  return {
      .name = "DequantizeLinear",
      .versions = {10, 13, 19, 21, 23, 24, 25, 28},
      .inputs = {{"x",
                  rule::kFloat8Types | kInt8Types | mask_of(DType::kInt16) | mask_of(DType::kInt32) |
                      mask_of(DType::kUint16) | mask_of(DType::kUint4) | mask_of(DType::kInt4) |
                      mask_of(DType::kFloat4E2M1) | mask_of(DType::kUint2) | mask_of(DType::kInt2),
                  '1'},
                 {"x_scale",
                  mask_of(DType::kFloat) | mask_of(DType::kFloat16) | mask_of(DType::kBFloat16) |
                      mask_of(DType::kFloat8E8M0),
                  '2'},
                 {"x_zero_point",
                  rule::kFloat8Types | kInt8Types | mask_of(DType::kInt16) | mask_of(DType::kInt32) |
                      mask_of(DType::kUint16) | mask_of(DType::kUint4) | mask_of(DType::kInt4) |
                      mask_of(DType::kFloat4E2M1) | mask_of(DType::kUint2) | mask_of(DType::kInt2),
                  '1', Arity::kOptional}},
      .outputs = {{"y", mask_of(DType::kFloat) | mask_of(DType::kFloat16) | mask_of(DType::kBFloat16), '3'}},
      .attributes = {{"axis", AttrType::kInt},
                     {"block_size", AttrType::kInt},
                     {"output_dtype", AttrType::kInt}},
      .infer = infer_dequantize,
      .reference = dequantize_reference,
      .cost = cost_quantize};
}

SKIFF_OP_DEF(ai_onnx, DynamicQuantizeLinear) {
  return {.name = "DynamicQuantizeLinear",
          .versions = {11},
          .inputs = {{"x", mask_of(DType::kFloat), '1'}},
          .outputs = {{"y", mask_of(DType::kUint8), '2'},
                      {"y_scale", mask_of(DType::kFloat)},
                      {"y_zero_point", mask_of(DType::kUint8), '2'}},
          .infer = infer_dynamic_quantize,
          .reference = dynamic_quantize_reference,
          .cost = cost_quantize};
}

}  // namespace skiff
