// Elementwise operators of two and more inputs: arithmetic, comparison, logic, bits, Pow, Mod, PRelu, and
// the variadic Max, Mean, Min, Sum.
#include <algorithm>
#include <cmath>

#include "ops/elementwise_fns.h"
#include "ops/rule_util.h"

namespace skiff {
namespace {

using ref::elementwise_reference;

// Before opset 7 the output has the first input's shape, whatever `axis` says.
bool legacy(const InferContext& c) { return c.opset() < 7; }

SymShape binary_shape(const InferContext& c) {
  return legacy(c) ? c.shape(0) : broadcast(c.shape(0), c.shape(1));
}

bool never_negative(const Dim& d) { return d.is_known() && d.to_string().find('-') == std::string::npos; }

Dim dim_add(const Dim& a, const Dim& b) { return a + b; }
Dim dim_sub(const Dim& a, const Dim& b) { return a - b; }
Dim dim_mul(const Dim& a, const Dim& b) { return a * b; }
// Truncates as integers do; symbols are extents and never negative.
Dim dim_div(const Dim& a, const Dim& b) {
  if (a.is_const() && b.is_const()) {
    if (b.value() == 0) return {};
    if (b.value() == -1) return Dim(int64_t{0}) - a;
    return a.value() / b.value();
  }
  return never_negative(a) && never_negative(b) ? floor_div(a, b) : Dim();
}
Dim dim_div_exact(const Dim& a, const Dim& b) {
  Dim q = floor_div(a, b);
  return q * b == a ? q : Dim();
}
Dim dim_mod(const Dim& a, const Dim& b) {
  if (!never_negative(a) || !never_negative(b) || b.is(0)) return {};
  return a - b * floor_div(a, b);
}
Dim truth(bool b) { return int64_t{b}; }
Dim dim_equal(const Dim& a, const Dim& b) {
  if (a == b) return truth(true);
  if ((a - b).is_const()) return truth(false);
  bool differ = (a.is_const() && a.value() < 0 && never_negative(b)) ||
                (b.is_const() && b.value() < 0 && never_negative(a));
  return differ ? truth(false) : Dim();
}
Dim dim_less(const Dim& a, const Dim& b) {
  Dim d = a - b;
  return d.is_const() ? truth(d.value() < 0) : Dim();
}
Dim dim_greater(const Dim& a, const Dim& b) { return dim_less(b, a); }
Dim negate(const Dim& d) { return d.is_const() ? truth(d.value() == 0) : Dim(); }
Dim dim_less_equal(const Dim& a, const Dim& b) { return negate(dim_less(b, a)); }
Dim dim_greater_equal(const Dim& a, const Dim& b) { return negate(dim_less(a, b)); }
Dim dim_and(const Dim& a, const Dim& b) {
  if (a.is(0) || b.is(0)) return truth(false);
  return a.is_const() && b.is_const() ? truth(true) : Dim();
}
Dim dim_or(const Dim& a, const Dim& b) {
  if ((a.is_const() && !a.is(0)) || (b.is_const() && !b.is(0))) return truth(true);
  return a.is_const() && b.is_const() ? truth(false) : Dim();
}

template <rule::DimFn F>
void infer_binary(InferContext& c) {
  c.set(0, c.dtype(0), binary_shape(c));
  rule::propagate(c, F);
}
template <rule::DimFn F>
void infer_compare(InferContext& c) {
  c.set(0, DType::kBool, binary_shape(c));
  rule::propagate(c, F);
}
void infer_plain(InferContext& c) { c.set(0, c.dtype(0), binary_shape(c)); }
void infer_div(InferContext& c) {
  infer_plain(c);
  rule::propagate(c, dtype_is_float(c.dtype(0)) ? dim_div_exact : dim_div);
}

// ---------------------------------------------------------------- Pow, Mod, BitShift, PRelu

// The exponent may have another type; integer bases wrap. A negative exponent gives 1/base truncated.
void pow_reference(KernelContext& c) {
  const Tensor &x = c.in(0), &e = c.in(1);
  bool ints = dtype_is_integer(x.dtype()) && dtype_is_integer(e.dtype());
  if (!ints) {
    std::vector<Tensor> in{x, e};
    // The class of computation follows the base; a float exponent needs doubles.
    ref::ElementwiseFns f{ref::find_elementwise("Pow")->fns.real};
    if (c.opset() < 7) return elementwise_reference(c);
    return ref::elementwise(c.out(0, x.dtype(), ref::broadcast_dims(in)), in, f);
  }
  constexpr auto kPow = [](int64_t b, int64_t n) -> int64_t {
    if (n < 0) {
      if (b == 1) return 1;
      return b == -1 ? ((n & 1) ? -1 : 1) : 0;
    }
    uint64_t r = 1, base = static_cast<uint64_t>(b);
    for (auto k = static_cast<uint64_t>(n); k; k >>= 1, base *= base)
      if (k & 1) r *= base;
    return static_cast<int64_t>(r);
  };
  std::vector<Tensor> in{x, e};
  ref::elementwise(c.out(0, x.dtype(), ref::broadcast_dims(in)), in, {nullptr, ref::int_fn2<kPow>});
}

void bit_shift_reference(KernelContext& c) {
  std::string dir = c.node().attr_s("direction", "");
  check(dir == "LEFT" || dir == "RIGHT", Code::kInvalidModel, "attribute 'direction' = '", dir,
        "'; it must be 'LEFT' or 'RIGHT'");
  std::vector<Tensor> in{c.in(0), c.in(1)};
  // A negative distance is as large as one can be: nothing stays but the sign's extension.
  constexpr auto kLeft = [](uint64_t a, uint64_t b) { return b > 63 ? 0 : a << b; };
  constexpr auto kRight = [](uint64_t a, uint64_t b) { return b > 63 ? 0 : a >> b; };
  constexpr auto kArithmetic = [](int64_t a, int64_t b) { return a >> (b < 0 || b > 63 ? 63 : b); };
  ref::IntFn right = dtype_is_signed(in[0].dtype()) ? ref::int_fn2<kArithmetic> : ref::uint_fn2<kRight>;
  ref::IntFn f = dir == "LEFT" ? ref::uint_fn2<kLeft> : right;
  ref::elementwise(c.out(0, in[0].dtype(), ref::broadcast_dims(in)), in, {nullptr, f});
}

// The slope broadcasts to X; before opset 7 a vector of slopes belongs to axis 1.
void prelu_reference(KernelContext& c) {
  std::vector<Tensor> in{c.in(0), c.in(1)};
  const Tensor& x = in[0];
  if (c.opset() < 7 && in[1].rank() == 1 && x.rank() > 1 && in[1].size() > 1) {
    Dims d = in[1].dims();
    for (int64_t i = 2; i < x.rank(); ++i) d.push_back(1);
    in[1] = in[1].reshaped(d);
  }
  check(broadcast(x.dims(), in[1].dims()) == x.dims(), Code::kInvalidModel, "the slope's shape ",
        to_string(in[1].dims()), " does not broadcast to ", to_string(x.dims()));
  ref::elementwise(c.out(0, x.dtype(), x.dims()), in, ref::find_elementwise("PRelu")->fns);
}

// ---------------------------------------------------------------- entries

const std::vector<AttrDef>& legacy_attributes() {
  static const std::vector<AttrDef> a{{"axis", AttrType::kInt}, {"broadcast", AttrType::kInt}};
  return a;
}

OpDef binary(const char* name, std::vector<int> versions, TypeMask types, void (*infer)(InferContext&),
             uint32_t flags = 0) {
  OpDef d;
  d.name = name;
  d.versions = std::move(versions);
  d.inputs = {{"A", types, 'T'}, {"B", types, 'T'}};
  d.outputs = {{"C", types, 'T'}};
  if (d.versions[0] < 7) d.attributes = legacy_attributes();
  d.infer = infer;
  d.reference = elementwise_reference;
  d.flags = kElementwise | flags;
  return d;
}

OpDef compare(const char* name, std::vector<int> versions, TypeMask types, void (*infer)(InferContext&),
              uint32_t flags = 0) {
  OpDef d = binary(name, std::move(versions), types, infer, flags);
  d.outputs = {{"C", kBoolType}};
  return d;
}

template <rule::DimFn F>
void infer_variadic(InferContext& c) {
  infer_broadcast(c);
  rule::propagate_all(c, F);
}

OpDef variadic(const char* name, std::vector<int> versions, TypeMask types, void (*infer)(InferContext&)) {
  OpDef d;
  d.name = name;
  d.versions = std::move(versions);
  d.inputs = {{"data_0", types, 'T', Arity::kVariadic}};
  d.outputs = {{"result", types, 'T'}};
  d.infer = infer;
  d.reference = elementwise_reference;
  d.flags = kElementwise;
  d.cost = [](const CostContext& c) {
    Cost r;
    for (size_t i = 0; i < c.in.size(); ++i)
      r.bytes += c.in_elements(i) * (c.in[i] ? dtype_bits(c.in[i]->dtype) / 8 : 0);
    r.bytes += c.out_elements(0) * (c.out[0] ? dtype_bits(c.out[0]->dtype) / 8 : 0);
    r.flops = c.out_elements(0) * static_cast<double>(c.in.size());
    return r;
  };
  return d;
}

}  // namespace

SKIFF_OP_DEF(ai_onnx, Add) {
  return binary("Add", {1, 6, 7, 13, 14}, kNumericTypes, infer_binary<dim_add>, kCommutative);
}
SKIFF_OP_DEF(ai_onnx, And) { return compare("And", {1, 7}, kBoolType, infer_compare<dim_and>, kCommutative); }
SKIFF_OP_DEF(ai_onnx, BitShift) {
  OpDef d = binary("BitShift", {11, 28}, rule::kAllInts, infer_plain);
  d.attributes = {{"direction", AttrType::kString, true}};
  d.reference = bit_shift_reference;
  return d;
}
SKIFF_OP_DEF(ai_onnx, BitwiseAnd) {
  return binary("BitwiseAnd", {18}, rule::kAllInts, infer_plain, kCommutative);
}
SKIFF_OP_DEF(ai_onnx, BitwiseOr) {
  return binary("BitwiseOr", {18}, rule::kAllInts, infer_plain, kCommutative);
}
SKIFF_OP_DEF(ai_onnx, BitwiseXor) {
  return binary("BitwiseXor", {18}, rule::kAllInts, infer_plain, kCommutative);
}
SKIFF_OP_DEF(ai_onnx, Div) { return binary("Div", {1, 6, 7, 13, 14}, kNumericTypes, infer_div); }
SKIFF_OP_DEF(ai_onnx, Equal) {
  OpDef d = compare("Equal", {1, 7, 11, 13, 19}, kNumericTypes | kBoolType | rule::kStringType,
                    infer_compare<dim_equal>, kCommutative);
  d.reference = [](KernelContext& c) {
    const Tensor &a = c.in(0), &b = c.in(1);
    if (a.dtype() != DType::kString) return elementwise_reference(c);
    Tensor& y = c.out(0, DType::kBool, broadcast(a.dims(), b.dims()));
    ref::StridedRuns r = ref::broadcast_runs(y.dims(), {a.dims(), b.dims()});
    while (r.next())
      for (int64_t i = 0; i < r.n(); ++i)
        y.data<uint8_t>()[r.at(0) + i] =
            a.data<std::string>()[r.at(1) + i * r.step(1)] == b.data<std::string>()[r.at(2) + i * r.step(2)];
  };
  return d;
}
SKIFF_OP_DEF(ai_onnx, Greater) {
  return compare("Greater", {1, 7, 9, 13}, kNumericTypes, infer_compare<dim_greater>);
}
SKIFF_OP_DEF(ai_onnx, GreaterOrEqual) {
  return compare("GreaterOrEqual", {12, 16}, kNumericTypes, infer_compare<dim_greater_equal>);
}
SKIFF_OP_DEF(ai_onnx, Less) { return compare("Less", {1, 7, 9, 13}, kNumericTypes, infer_compare<dim_less>); }
SKIFF_OP_DEF(ai_onnx, LessOrEqual) {
  return compare("LessOrEqual", {12, 16}, kNumericTypes, infer_compare<dim_less_equal>);
}
SKIFF_OP_DEF(ai_onnx, Max) {
  return variadic("Max", {1, 6, 8, 12, 13}, kNumericTypes, infer_variadic<dim_max>);
}
SKIFF_OP_DEF(ai_onnx, Mean) { return variadic("Mean", {1, 6, 8, 13}, kFloatTypes, infer_broadcast); }
SKIFF_OP_DEF(ai_onnx, Min) {
  return variadic("Min", {1, 6, 8, 12, 13}, kNumericTypes, infer_variadic<dim_min>);
}
SKIFF_OP_DEF(ai_onnx, Mod) {
  OpDef d = binary("Mod", {10, 13, 28}, kNumericTypes, infer_binary<dim_mod>);
  d.attributes = {{"fmod", AttrType::kInt}};
  return d;
}
SKIFF_OP_DEF(ai_onnx, Mul) {
  return binary("Mul", {1, 6, 7, 13, 14}, kNumericTypes, infer_binary<dim_mul>, kCommutative);
}
SKIFF_OP_DEF(ai_onnx, Or) { return compare("Or", {1, 7}, kBoolType, infer_compare<dim_or>, kCommutative); }
SKIFF_OP_DEF(ai_onnx, PRelu) {
  constexpr TypeMask kTypes = kFloatTypes | kIndexTypes | mask_of(DType::kUint32) | mask_of(DType::kUint64);
  OpDef d = binary("PRelu", {1, 6, 7, 9, 16}, kTypes, infer_same);
  d.inputs = {{"X", kTypes, 'T'}, {"slope", kTypes, 'T'}};
  d.outputs = {{"Y", kTypes, 'T'}};
  d.attributes.clear();
  d.reference = prelu_reference;
  return d;
}
SKIFF_OP_DEF(ai_onnx, Pow) {
  OpDef d = binary("Pow", {1, 7, 12, 13, 15}, kNumericTypes, infer_plain);
  constexpr TypeMask kBase = kFloatTypes | kIndexTypes;
  d.inputs = {{"X", kBase, 'T'}, {"Y", kNumericTypes}};
  d.outputs = {{"Z", kBase, 'T'}};
  d.reference = pow_reference;
  return d;
}
SKIFF_OP_DEF(ai_onnx, Sub) { return binary("Sub", {1, 6, 7, 13, 14}, kNumericTypes, infer_binary<dim_sub>); }
SKIFF_OP_DEF(ai_onnx, Sum) { return variadic("Sum", {1, 6, 8, 13}, kFloatTypes, infer_variadic<dim_add>); }
SKIFF_OP_DEF(ai_onnx, SwiGLU) {
  OpDef d = binary("SwiGLU", {28}, kFloatTypes, infer_broadcast);
  d.attributes = {{"alpha", AttrType::kFloat}};
  return d;
}
SKIFF_OP_DEF(ai_onnx, Xor) {
  return compare(
      "Xor", {1, 7}, kBoolType, [](InferContext& c) { c.set(0, DType::kBool, binary_shape(c)); },
      kCommutative);
}

}  // namespace skiff
