// Elementwise operators of one input.
#include "ops/elementwise_fns.h"
#include "ops/rule_util.h"

namespace skiff {
namespace {

using ref::elementwise_reference;

OpDef unary(const char* name, std::vector<int> versions, TypeMask types, std::vector<AttrDef> attributes = {},
            void (*infer)(InferContext&) = infer_same) {
  OpDef d;
  d.name = name;
  d.versions = std::move(versions);
  d.inputs = {{"X", types, 'T'}};
  d.outputs = {{"Y", types, 'T'}};
  d.attributes = std::move(attributes);
  d.infer = infer;
  d.reference = elementwise_reference;
  d.flags = kElementwise;
  return d;
}

OpDef unary_bool(const char* name, std::vector<int> versions, TypeMask types,
                 std::vector<AttrDef> attributes = {}) {
  OpDef d = unary(name, std::move(versions), types, std::move(attributes),
                  [](InferContext& c) { c.set(0, DType::kBool, c.shape(0)); });
  d.outputs = {{"Y", kBoolType}};
  return d;
}

// Known data are whole numbers: rounding leaves them.
void infer_rounding(InferContext& c) {
  infer_same(c);
  rule::pass_data(c);
}

void infer_neg(InferContext& c) {
  infer_same(c);
  if (auto d = rule::numbers(c, 0)) {
    for (Dim& x : *d) x = Dim(int64_t{0}) - x;
    c.set_data(0, std::move(*d));
  }
}

void infer_not(InferContext& c) {
  infer_same(c);
  if (auto d = c.data(0)) {
    for (Dim& x : *d) x = x.is_const() ? Dim(int64_t{x.value() == 0}) : Dim();
    c.set_data(0, std::move(*d));
  }
}

}  // namespace

SKIFF_OP_DEF(ai_onnx, Abs) { return unary("Abs", {1, 6, 13}, kNumericTypes); }
SKIFF_OP_DEF(ai_onnx, Acos) { return unary("Acos", {7, 22}, kFloatTypes); }
SKIFF_OP_DEF(ai_onnx, Acosh) { return unary("Acosh", {9, 22}, kFloatTypes); }
SKIFF_OP_DEF(ai_onnx, Asin) { return unary("Asin", {7, 22}, kFloatTypes); }
SKIFF_OP_DEF(ai_onnx, Asinh) { return unary("Asinh", {9, 22}, kFloatTypes); }
SKIFF_OP_DEF(ai_onnx, Atan) { return unary("Atan", {7, 22}, kFloatTypes); }
SKIFF_OP_DEF(ai_onnx, Atanh) { return unary("Atanh", {9, 22}, kFloatTypes); }
SKIFF_OP_DEF(ai_onnx, BitwiseNot) { return unary("BitwiseNot", {18}, rule::kAllInts); }
SKIFF_OP_DEF(ai_onnx, Ceil) { return unary("Ceil", {1, 6, 13}, kFloatTypes, {}, infer_rounding); }
SKIFF_OP_DEF(ai_onnx, Celu) { return unary("Celu", {12, 28}, kFloatTypes, {{"alpha", AttrType::kFloat}}); }
SKIFF_OP_DEF(ai_onnx, Cos) { return unary("Cos", {7, 22}, kFloatTypes); }
SKIFF_OP_DEF(ai_onnx, Cosh) { return unary("Cosh", {9, 22}, kFloatTypes); }
SKIFF_OP_DEF(ai_onnx, Elu) { return unary("Elu", {1, 6, 22}, kFloatTypes, {{"alpha", AttrType::kFloat}}); }
SKIFF_OP_DEF(ai_onnx, Erf) { return unary("Erf", {9, 13}, kNumericTypes); }
SKIFF_OP_DEF(ai_onnx, Exp) { return unary("Exp", {1, 6, 13}, kFloatTypes); }
SKIFF_OP_DEF(ai_onnx, Floor) { return unary("Floor", {1, 6, 13}, kFloatTypes, {}, infer_rounding); }
SKIFF_OP_DEF(ai_onnx, Gelu) { return unary("Gelu", {20}, kFloatTypes, {{"approximate", AttrType::kString}}); }
SKIFF_OP_DEF(ai_onnx, HardSigmoid) {
  return unary("HardSigmoid", {1, 6, 22}, kFloatTypes,
               {{"alpha", AttrType::kFloat}, {"beta", AttrType::kFloat}});
}
SKIFF_OP_DEF(ai_onnx, HardSwish) { return unary("HardSwish", {14, 22}, kFloatTypes); }
SKIFF_OP_DEF(ai_onnx, IsInf) {
  return unary_bool("IsInf", {10, 20}, kFloatTypes | rule::kFloat8Types,
                    {{"detect_negative", AttrType::kInt}, {"detect_positive", AttrType::kInt}});
}
SKIFF_OP_DEF(ai_onnx, IsNaN) { return unary_bool("IsNaN", {9, 13, 20}, kFloatTypes | rule::kFloat8Types); }
SKIFF_OP_DEF(ai_onnx, LeakyRelu) {
  return unary("LeakyRelu", {1, 6, 16}, kFloatTypes, {{"alpha", AttrType::kFloat}});
}
SKIFF_OP_DEF(ai_onnx, Log) { return unary("Log", {1, 6, 13}, kFloatTypes); }
SKIFF_OP_DEF(ai_onnx, Mish) { return unary("Mish", {18, 22}, kFloatTypes); }
SKIFF_OP_DEF(ai_onnx, Neg) { return unary("Neg", {1, 6, 13}, kFloatTypes | kSignedInts, {}, infer_neg); }
SKIFF_OP_DEF(ai_onnx, Not) { return unary("Not", {1}, kBoolType, {}, infer_not); }
SKIFF_OP_DEF(ai_onnx, Reciprocal) { return unary("Reciprocal", {1, 6, 13}, kFloatTypes); }
SKIFF_OP_DEF(ai_onnx, Relu) { return unary("Relu", {1, 6, 13, 14}, kFloatTypes | kSignedInts); }
SKIFF_OP_DEF(ai_onnx, Round) { return unary("Round", {11, 22}, kFloatTypes, {}, infer_rounding); }
SKIFF_OP_DEF(ai_onnx, Selu) {
  return unary("Selu", {1, 6, 22}, kFloatTypes, {{"alpha", AttrType::kFloat}, {"gamma", AttrType::kFloat}});
}
SKIFF_OP_DEF(ai_onnx, Shrink) {
  return unary("Shrink", {9}, kNumericTypes & ~mask_of(DType::kBFloat16),
               {{"bias", AttrType::kFloat}, {"lambd", AttrType::kFloat}});
}
SKIFF_OP_DEF(ai_onnx, Sigmoid) { return unary("Sigmoid", {1, 6, 13}, kFloatTypes); }
SKIFF_OP_DEF(ai_onnx, Sign) { return unary("Sign", {9, 13}, kNumericTypes); }
SKIFF_OP_DEF(ai_onnx, Sin) { return unary("Sin", {7, 22}, kFloatTypes); }
SKIFF_OP_DEF(ai_onnx, Sinh) { return unary("Sinh", {9, 22}, kFloatTypes); }
SKIFF_OP_DEF(ai_onnx, Softplus) { return unary("Softplus", {1, 22}, kFloatTypes); }
SKIFF_OP_DEF(ai_onnx, Softsign) { return unary("Softsign", {1, 22}, kFloatTypes); }
SKIFF_OP_DEF(ai_onnx, Sqrt) { return unary("Sqrt", {1, 6, 13}, kFloatTypes); }
SKIFF_OP_DEF(ai_onnx, Swish) { return unary("Swish", {24}, kFloatTypes, {{"alpha", AttrType::kFloat}}); }
SKIFF_OP_DEF(ai_onnx, Tan) { return unary("Tan", {7, 22}, kFloatTypes); }
SKIFF_OP_DEF(ai_onnx, Tanh) { return unary("Tanh", {1, 6, 13}, kFloatTypes); }
SKIFF_OP_DEF(ai_onnx, ThresholdedRelu) {
  return unary("ThresholdedRelu", {10, 22}, kFloatTypes, {{"alpha", AttrType::kFloat}});
}

}  // namespace skiff
