// Elementwise operators: every activation, broadcasting in all positions, tails, integer and small floats.
#include <cmath>
#include <limits>

#include "cases/make.h"

namespace skiff::cases {
namespace {

constexpr float kInf = std::numeric_limits<float>::infinity(), kNan = std::numeric_limits<float>::quiet_NaN();

std::vector<OpCase> unary() {
  std::vector<OpCase> r;
  struct Range {
    const char* op;
    int opset;
    double lo, hi;
  };
  const Range kOps[] = {{"Abs", 13, -2, 2},         {"Acos", 7, -1, 1},
                        {"Acosh", 9, 1, 9},         {"Asin", 7, -1, 1},
                        {"Asinh", 9, -9, 9},        {"Atan", 7, -9, 9},
                        {"Atanh", 9, -0.99, 0.99},  {"Ceil", 13, -4, 4},
                        {"Cos", 7, -20, 20},        {"Cosh", 9, -5, 5},
                        {"Elu", 6, -4, 4},          {"Celu", 12, -4, 4},
                        {"Erf", 13, -4, 4},         {"Exp", 13, -20, 20},
                        {"Floor", 13, -4, 4},       {"Gelu", 20, -6, 6},
                        {"HardSigmoid", 6, -5, 5},  {"HardSwish", 14, -5, 5},
                        {"LeakyRelu", 16, -4, 4},   {"Log", 13, 0.001, 90},
                        {"Mish", 18, -8, 8},        {"Neg", 13, -4, 4},
                        {"Reciprocal", 13, 0.1, 9}, {"Relu", 14, -4, 4},
                        {"Round", 11, -9, 9},       {"Selu", 6, -4, 4},
                        {"Shrink", 9, -2, 2},       {"Sigmoid", 13, -20, 20},
                        {"Sign", 13, -2, 2},        {"Sin", 7, -20, 20},
                        {"Sinh", 9, -5, 5},         {"Softplus", 1, -30, 30},
                        {"Softsign", 1, -9, 9},     {"Sqrt", 13, 0, 90},
                        {"Swish", 24, -9, 9},       {"Tan", 7, -1.5, 1.5},
                        {"Tanh", 13, -9, 9},        {"ThresholdedRelu", 10, -4, 4}};
  uint32_t seed = 1;
  for (const Range& o : kOps) {
    for (Dims d : {Dims{2, 3, 5}, Dims{1031}, Dims{}, Dims{0, 4}})
      r.push_back(make(cat(o.op, "_", to_string(d)), o.op, o.opset, {f32(d, seed++, o.lo, o.hi)}));
    for (DType t : {DType::kFloat16, DType::kBFloat16, DType::kDouble}) {
      if (std::string_view(o.op) == "Shrink" && t == DType::kBFloat16) continue;  // it never got that type
      r.push_back(with_tolerance(2e-2, 1e-2,
                                 make(cat(o.op, "_", dtype_name(t)), o.op, std::max(o.opset, 22),
                                      {random_tensor(t, {3, 37}, seed++, o.lo, o.hi)})));
    }
  }
  r.push_back(make("leaky_relu_alpha", "LeakyRelu", 16, {f32({4, 33}, 1)}, {{"alpha", 0.3f}}));
  r.push_back(make("elu_alpha", "Elu", 6, {f32({4, 33}, 2)}, {{"alpha", 0.3f}}));
  r.push_back(make("celu_alpha", "Celu", 12, {f32({4, 33}, 3)}, {{"alpha", 0.3f}}));
  r.push_back(
      make("hard_sigmoid_ab", "HardSigmoid", 6, {f32({4, 33}, 4, -5, 5)}, {{"alpha", 0.3f}, {"beta", 0.4f}}));
  r.push_back(
      make("gelu_tanh", "Gelu", 20, {f32({4, 33}, 5, -6, 6)}, {{"approximate", std::string("tanh")}}));
  r.push_back(make("swish_alpha", "Swish", 24, {f32({4, 33}, 6, -6, 6)}, {{"alpha", 1.702f}}));
  OpCase c = make("relu_special", "Relu", 14, {values<float>(DType::kFloat, {5}, {-1, 0, 2, kInf, -kInf})});
  c.expected = {values<float>(DType::kFloat, {5}, {0, 0, 2, kInf, 0})};
  r.push_back(c);
  c = make("sigmoid_special", "Sigmoid", 13, {values<float>(DType::kFloat, {4}, {0, kInf, -kInf, kNan})});
  c.expected = {values<float>(DType::kFloat, {4}, {0.5f, 1, 0, kNan})};
  r.push_back(c);
  c = make("round_half_even", "Round", 11,
           {values<float>(DType::kFloat, {6}, {0.5f, 1.5f, 2.5f, -0.5f, -1.5f, -2.5f})});
  c.expected = {values<float>(DType::kFloat, {6}, {0, 2, 2, 0, -2, -2})};
  r.push_back(c);
  c = make("is_nan", "IsNaN", 13, {values<float>(DType::kFloat, {3}, {1, kNan, kInf})});
  c.expected = {values<int>(DType::kBool, {3}, {0, 1, 0})};
  r.push_back(c);
  c = make("is_inf_positive", "IsInf", 10, {values<float>(DType::kFloat, {4}, {1, kNan, kInf, -kInf})},
           {{"detect_negative", int64_t{0}}});
  c.expected = {values<int>(DType::kBool, {4}, {0, 0, 1, 0})};
  r.push_back(c);
  c = make("not", "Not", 1, {values<int>(DType::kBool, {2, 2}, {1, 0, 0, 1})});
  c.expected = {values<int>(DType::kBool, {2, 2}, {0, 1, 1, 0})};
  r.push_back(c);
  return r;
}

std::vector<OpCase> binary() {
  std::vector<OpCase> r;
  const std::pair<Dims, Dims> kShapes[] = {{{2, 3, 4, 5}, {2, 3, 4, 5}},
                                           {{2, 3, 4, 5}, {5}},
                                           {{2, 3, 4, 5}, {4, 1}},
                                           {{4, 5}, {2, 3, 4, 5}},
                                           {{1, 4, 1}, {3, 1, 5}},
                                           {{1, 16, 9, 7}, {1, 16, 1, 1}},
                                           {{257}, {}},
                                           {{}, {}},
                                           {{3, 0, 2}, {1}},
                                           {{2, 1, 67}, {2, 5, 1}}};
  uint32_t seed = 1;
  for (const char* op : {"Add", "Sub", "Mul", "Div", "Pow", "Max", "Min", "PRelu", "Equal", "Less", "Greater",
                         "LessOrEqual", "GreaterOrEqual", "Mean", "Sum"}) {
    int opset = 16;
    for (const auto& [a, b] : kShapes) {
      bool positive = op == std::string("Pow") || op == std::string("Div");
      if (op == std::string("PRelu") && !(broadcast(a, b) == a)) continue;
      r.push_back(make(cat(op, "_", to_string(a), "_", to_string(b)), op, opset,
                       {f32(a, seed, positive ? 0.2 : -2, 2), f32(b, seed + 1, positive ? 0.2 : -2, 2)}));
      seed += 2;
    }
    r.push_back(
        make(cat(op, "_weight"), op, opset, {f32({2, 8, 33}, 1, 0.5, 2), f32({8, 1}, 2, 0.5, 2)}, {}, 1));
  }
  for (const char* op : {"Add", "Sub", "Mul", "Div", "Max", "Min", "Equal", "Less", "Greater", "Mod"})
    for (DType t :
         {DType::kInt32, DType::kInt64, DType::kUint8, DType::kInt8, DType::kUint16, DType::kUint64})
      r.push_back(make(cat(op, "_", dtype_name(t)), op, 14,
                       {random_tensor(t, {3, 71}, seed++, 1, 100), random_tensor(t, {71}, seed++, 1, 9)}));
  for (const char* op : {"Add", "Mul", "Max", "Div"})
    for (DType t : {DType::kFloat16, DType::kBFloat16, DType::kDouble})
      r.push_back(with_tolerance(
          1e-2, 1e-2,
          make(cat(op, "_", dtype_name(t)), op, 14,
               {random_tensor(t, {3, 71}, seed++, 1, 4), random_tensor(t, {71}, seed++, 1, 4)})));
  for (const char* op : {"And", "Or", "Xor"})
    r.push_back(
        make(op, op, 7,
             {random_tensor(DType::kBool, {3, 5}, 1, 0, 2), random_tensor(DType::kBool, {5}, 2, 0, 2)}));
  for (const char* op : {"BitwiseAnd", "BitwiseOr", "BitwiseXor"})
    r.push_back(make(op, op, 18, {u8({3, 5}, 1), u8({5}, 2)}));
  r.push_back(make("bitwise_not", "BitwiseNot", 18, {s8({3, 5}, 1)}));

  OpCase c =
      make("div_int_truncates", "Div", 14,
           {values<int>(DType::kInt32, {4}, {7, -7, 7, 5}), values<int>(DType::kInt32, {4}, {2, 2, -2, 0})});
  c.expected = {values<int>(DType::kInt32, {4}, {3, -3, -3, 0})};
  r.push_back(c);
  c = make("add_int8_wraps", "Add", 14,
           {values<int>(DType::kInt8, {2}, {127, -128}), values<int>(DType::kInt8, {2}, {1, -1})});
  c.expected = {values<int>(DType::kInt8, {2}, {-128, 127})};
  r.push_back(c);
  c = make(
      "mod_floor", "Mod", 13,
      {values<int>(DType::kInt32, {4}, {-4, 7, 5, -4}), values<int>(DType::kInt32, {4}, {3, -3, 8, -3})});
  c.expected = {values<int>(DType::kInt32, {4}, {2, -2, 5, -1})};
  r.push_back(c);
  c = make("mod_fmod", "Mod", 13,
           {values<int>(DType::kInt32, {4}, {-4, 7, 5, -4}), values<int>(DType::kInt32, {4}, {3, -3, 8, -3})},
           {{"fmod", int64_t{1}}});
  c.expected = {values<int>(DType::kInt32, {4}, {-1, 1, 5, -1})};
  r.push_back(c);
  c = make("pow_int", "Pow", 15,
           {values<int>(DType::kInt64, {3}, {2, -3, 5}), values<int>(DType::kInt64, {3}, {10, 3, 0})});
  c.expected = {values<int>(DType::kInt64, {3}, {1024, -27, 1})};
  r.push_back(c);
  // Signed, since opset 28: sign extension; what is shifted too far or by a negative distance leaves the
  // sign.
  c = make("bit_shift_signed", "BitShift", 28,
           {values<int>(DType::kInt8, {6}, {-128, -1, 100, 100, -100, 100}),
            values<int>(DType::kInt8, {6}, {1, 7, 2, 9, -3, -1})},
           {{"direction", std::string("RIGHT")}});
  c.expected = {values<int>(DType::kInt8, {6}, {-64, -1, 25, 0, -1, 0})};
  r.push_back(c);
  c = make("bit_shift_signed_left", "BitShift", 28,
           {values<int>(DType::kInt8, {4}, {-1, 100, 1, 1}), values<int>(DType::kInt8, {4}, {3, 1, 8, -1})},
           {{"direction", std::string("LEFT")}});
  c.expected = {values<int>(DType::kInt8, {4}, {-8, -56, 0, 0})};
  r.push_back(c);
  c = make("bit_shift_left", "BitShift", 11,
           {values<int>(DType::kUint8, {3}, {16, 4, 255}), values<int>(DType::kUint8, {3}, {1, 2, 9})},
           {{"direction", std::string("LEFT")}});
  c.expected = {values<int>(DType::kUint8, {3}, {32, 16, 0})};
  r.push_back(c);
  c = make("add_axis_opset6", "Add", 6,
           {values<int>(DType::kFloat, {1, 2, 2}, {1, 2, 3, 4}), values<int>(DType::kFloat, {2}, {10, 20})},
           {{"broadcast", int64_t{1}}, {"axis", int64_t{1}}});
  c.expected = {values<int>(DType::kFloat, {1, 2, 2}, {11, 12, 23, 24})};
  r.push_back(c);
  c = make("max_nan", "Max", 13,
           {values<float>(DType::kFloat, {2}, {kNan, 1}), values<float>(DType::kFloat, {2}, {1, kNan})});
  c.expected = {values<float>(DType::kFloat, {2}, {kNan, kNan})};
  r.push_back(c);
  r.push_back(make("sum_3", "Sum", 13, {f32({2, 3}, 1), f32({3}, 2), f32({2, 1}, 3)}));
  r.push_back(make("max_1", "Max", 13, {f32({2, 3}, 1)}));
  return r;
}

std::vector<OpCase> select() {
  std::vector<OpCase> r;
  Tensor lo = one(DType::kFloat, -0.5), hi = one(DType::kFloat, 0.6);
  r.push_back(make("clip_both", "Clip", 13, {f32({3, 67}, 1), lo, hi}, {}, 1));
  r.push_back(make("clip_low", "Clip", 13, {f32({3, 67}, 2), lo}, {}, 1));
  r.push_back(make("clip_high", "Clip", 13, {f32({3, 67}, 3), Datum(), hi}, {}, 1));
  r.push_back(make("clip_none", "Clip", 13, {f32({3, 67}, 4)}));
  r.push_back(make("clip_opset6", "Clip", 6, {f32({3, 67}, 5)}, {{"min", -0.5f}, {"max", 0.25f}}));
  r.push_back(make("clip_int8", "Clip", 13, {s8({3, 67}, 6), one(DType::kInt8, -20), one(DType::kInt8, 30)}));
  OpCase c =
      make("clip_crossed", "Clip", 13,
           {values<int>(DType::kFloat, {3}, {-1, 1, 5}), one(DType::kFloat, 3), one(DType::kFloat, 2)});
  c.expected = {values<int>(DType::kFloat, {3}, {2, 2, 2})};
  r.push_back(c);
  for (DType t : {DType::kFloat, DType::kInt64, DType::kUint8, DType::kFloat16, DType::kBool})
    r.push_back(make(cat("where_", dtype_name(t)), "Where", 16,
                     {random_tensor(DType::kBool, {2, 1, 33}, 1, 0, 2), random_tensor(t, {5, 33}, 2, 0, 2),
                      random_tensor(t, {1}, 3, 0, 2)}));
  r.push_back(
      make("where_scalar_condition", "Where", 16, {one(DType::kBool, 1), f32({4, 5}, 1), f32({5}, 2)}));
  DType kTypes[] = {DType::kFloat, DType::kDouble, DType::kFloat16,     DType::kBFloat16, DType::kInt8,
                    DType::kUint8, DType::kInt32,  DType::kInt64,       DType::kBool,     DType::kInt4,
                    DType::kUint4, DType::kUint16, DType::kFloat8E4M3FN};
  for (DType a : kTypes)
    for (DType b : kTypes)
      r.push_back(make(cat("cast_", dtype_name(a), "_", dtype_name(b)), "Cast", 21,
                       {random_tensor(a, {3, 17}, 1, 0, 7)}, {{"to", static_cast<int64_t>(b)}}));
  c = make("cast_truncates", "Cast", 13, {values<double>(DType::kFloat, {4}, {1.9, -1.9, 0.5, 300})},
           {{"to", int64_t{6}}});
  c.expected = {values<int>(DType::kInt32, {4}, {1, -1, 0, 300})};
  r.push_back(c);
  r.push_back(make("cast_like", "CastLike", 19, {f32({3, 5}, 1, 0, 9), u8({1}, 2)}));
  r.push_back(make("bit_cast", "BitCast", 26, {f32({3, 5}, 1)}, {{"to", int64_t{12}}}));
  return r;
}

// A fused chain: two of its steps use earlier results.
std::vector<OpCase> fused() {
  std::vector<OpCase> r;
  for (Dims d : {Dims{2, 8, 33}, Dims{1, 16, 7, 9}, Dims{259}}) {
    OpCase c = make(cat("chain_", to_string(d)), "Elementwise", 1,
                    {f32(d, 1), f32({d[d.size() - 1]}, 2), f32({1}, 3, 1, 2)},
                    {{"ops", Strings{"Add", "Sigmoid", "Mul", "Div", "Clip"}},
                     {"operands", Ints{0, 1, -1, -1000, -1, -2, -3, 2, -4, -1000}},
                     {"params", Floats{0, 0, 0, 0, 0, 0, 0, 0, -0.5f, 0.5f}}});
    r.push_back(in_domain("skiff", c));
  }
  for (const char* op : {"Relu", "Tanh", "Exp", "HardSwish", "Gelu", "Erf", "Sqrt", "Abs", "Neg"})
    r.push_back(in_domain(
        "skiff", make(cat("chain_", op), "Elementwise", 1, {f32({3, 45}, 1, 0.1, 2), f32({3, 45}, 2)},
                      {{"ops", Strings{op, "Sub"}},
                       {"operands", Ints{0, -1000, -1, 1}},
                       {"params", Floats{0, 0, 0, 0}}})));
  return r;
}

const Register kUnary(unary), kBinary(binary), kSelect(select), kFused(fused);

}  // namespace
}  // namespace skiff::cases
