// Quantization and operators on quantized integers. Exact: every device rounds alike.
#include "cases/make.h"

namespace skiff::cases {
namespace {

OpCase exact(OpCase c) { return with_tolerance(0, 0, std::move(c)); }
// Within a step of the output: where devices may sum reals in another order.
OpCase step(OpCase c) { return with_tolerance(0, 1, std::move(c)); }

std::vector<OpCase> conversions() {
  std::vector<OpCase> r;
  for (DType t : {DType::kUint8, DType::kInt8, DType::kUint16, DType::kInt16, DType::kUint4, DType::kInt4,
                  DType::kUint2, DType::kInt2}) {
    double zero = dtype_is_signed(t) ? -1 : 2;
    std::string name(dtype_name(t));
    int opset = dtype_bits(t) == 2 ? 25 : 21;
    r.push_back(exact(make("quantize_" + name, "QuantizeLinear", opset,
                           {f32({3, 37}, 1, -40, 40), one(DType::kFloat, 0.11), one(t, zero)}, {}, 1)));
    r.push_back(exact(make("dequantize_" + name, "DequantizeLinear", opset,
                           {random_tensor(t, {3, 37}, 2, dtype_is_signed(t) ? -2 : 0, 2),
                            one(DType::kFloat, 0.11), one(t, zero)},
                           {}, 1)));
  }
  for (DType t : {DType::kFloat8E4M3FN, DType::kFloat8E5M2, DType::kFloat8E4M3FNUZ, DType::kFloat8E5M2FNUZ})
    r.push_back(exact(make(cat("quantize_", dtype_name(t)), "QuantizeLinear", 21,
                           {f32({50}, 3, -900, 900), one(DType::kFloat, 2), one(t, 0)}, {}, 1)));
  // Halves go to even, the ends are clamped.
  OpCase ties = exact(make("quantize_ties", "QuantizeLinear", 13,
                           {values<double>(DType::kFloat, {8}, {-3, -1, 1, 3, 5, 7, 1000, -1000}),
                            one(DType::kFloat, 2), one(DType::kUint8, 100)},
                           {}, 1));
  ties.expected = {values<int>(DType::kUint8, {8}, {98, 100, 100, 102, 102, 104, 255, 0})};
  r.push_back(ties);
  r.push_back(exact(make("quantize_no_zero", "QuantizeLinear", 13,
                         {f32({2, 5}, 4, -1, 300), one(DType::kFloat, 1)}, {}, 1)));
  for (int64_t axis : {0, 1, 2, -1}) {
    int64_t n = axis == 0 ? 4 : axis == 1 ? 5 : 6;
    r.push_back(exact(make(cat("quantize_axis", axis), "QuantizeLinear", 13,
                           {f32({4, 5, 6}, 5, -9, 9), f32({n}, 6, 0.05, 0.2), s8({n}, 7, -9, 9)},
                           {{"axis", axis}}, 1)));
    r.push_back(
        exact(make(cat("dequantize_axis", axis), "DequantizeLinear", 13,
                   {s8({4, 5, 6}, 8), f32({n}, 9, 0.05, 0.2), s8({n}, 10, -9, 9)}, {{"axis", axis}}, 1)));
  }
  r.push_back(exact(make("dequantize_int32", "DequantizeLinear", 13,
                         {random_tensor(DType::kInt32, {19}, 11, -100000, 100000), one(DType::kFloat, 0.001)},
                         {}, 1)));
  r.push_back(exact(make("dequantize_blocked", "DequantizeLinear", 21,
                         {random_tensor(DType::kInt4, {6, 8}, 12, -8, 8), f32({6, 2}, 13, 0.1, 1)},
                         {{"axis", int64_t{1}}, {"block_size", int64_t{4}}}, 1)));
  r.push_back(exact(make("quantize_blocked_tail", "QuantizeLinear", 21,
                         {f32({7, 3}, 14, -9, 9), f32({3, 3}, 15, 0.1, 1), u8({3, 3}, 16)},
                         {{"axis", int64_t{0}}, {"block_size", int64_t{3}}}, 1)));
  r.push_back(with_outputs(
      3, exact(make("dynamic_quantize", "DynamicQuantizeLinear", 11, {f32({4, 9}, 17, -3, 11)}))));
  r.push_back(with_outputs(
      3, exact(make("dynamic_quantize_positive", "DynamicQuantizeLinear", 11, {f32({9}, 18, 2, 11)}))));
  return r;
}

OpCase ms(OpCase c) { return in_domain("com.microsoft", std::move(c)); }

std::vector<OpCase> arithmetic() {
  std::vector<OpCase> r;
  auto q = [](DType t, double scale, double zero) {
    return std::pair(one(DType::kFloat, scale), one(t, zero));
  };
  for (DType t : {DType::kUint8, DType::kInt8}) {
    bool u = t == DType::kUint8;
    auto data = [&](Dims d, uint32_t s) { return u ? u8(d, s) : s8(d, s); };
    std::string tag = u ? "_u8" : "_s8";
    auto [sa, za] = q(t, 0.02, u ? 120 : -3);
    auto [sb, zb] = q(t, 0.03, u ? 10 : 9);
    auto [sy, zy] = q(t, 0.5, u ? 128 : 1);
    r.push_back(exact(make("qlinear_matmul" + tag, "QLinearMatMul", 10,
                           {data({2, 5, 33}, 1), sa, za, data({33, 17}, 2), sb, zb, sy, zy}, {}, 3)));
    r.push_back(exact(ms(make("qgemm" + tag, "QGemm", 1,
                              {data({3, 40}, 3), sa, za, s8({19, 40}, 4), f32({19}, 5, 0.01, 0.05),
                               values<int>(DType::kInt8, {19}, std::vector<int>(19, 0)),
                               random_tensor(DType::kInt32, {19}, 6, -2000, 2000), sy, zy},
                              {{"transB", int64_t{1}}, {"alpha", 1.0f}}, 1))));
    r.push_back(
        ms(make("qgemm_float" + tag, "QGemm", 1, {data({3, 8}, 7), sa, za, data({8, 5}, 8), sb, zb}, {}, 1)));
    r.push_back(exact(
        ms(make("qlinear_add" + tag, "QLinearAdd", 1,
                {data({2, 9, 5}, 9), sa, za, data({9, 5}, 10), sb, zb, one(DType::kFloat, 0.04), zy}))));
    r.push_back(exact(
        ms(make("qlinear_mul" + tag, "QLinearMul", 1,
                {data({2, 9, 5}, 11), sa, za, data({1, 5}, 12), sb, zb, one(DType::kFloat, 0.05), zy}))));
    r.push_back(
        step(ms(make("qlinear_average_pool" + tag, "QLinearAveragePool", 1,
                     {data({1, 9, 8, 7}, 13), sa, za, one(DType::kFloat, 0.015), zy},
                     {{"kernel_shape", Ints{3, 3}}, {"strides", Ints{2, 2}}, {"pads", Ints{1, 1, 1, 1}}}))));
    r.push_back(step(
        ms(make("qlinear_average_pool_nhwc" + tag, "QLinearAveragePool", 1,
                {data({1, 8, 7, 9}, 14), sa, za, one(DType::kFloat, 0.015), zy},
                {{"kernel_shape", Ints{2, 2}}, {"strides", Ints{2, 2}}, {"channels_last", int64_t{1}}}))));
    r.push_back(step(ms(make("qlinear_global_average_pool" + tag, "QLinearGlobalAveragePool", 1,
                             {data({2, 19, 7, 7}, 15), sa, za, one(DType::kFloat, 0.015), zy}))));
    r.push_back(step(ms(make(
        "qlinear_softmax" + tag, "QLinearSoftmax", 1,
        {data({3, 21}, 16), one(DType::kFloat, 0.1), za, one(DType::kFloat, 1.0 / 256), one(t, u ? 0 : -128)},
        {{"axis", int64_t{-1}}, {"opset", int64_t{13}}}))));
    r.push_back(
        step(ms(make("qlinear_sigmoid" + tag, "QLinearSigmoid", 1,
                     {data({3, 21}, 17), sb, za, one(DType::kFloat, 1.0 / 256), one(t, u ? 0 : -128)}))));
    r.push_back(
        exact(ms(make("qlinear_leaky_relu" + tag, "QLinearLeakyRelu", 1,
                      {data({3, 21}, 18), sb, za, one(DType::kFloat, 0.02), zy}, {{"alpha", 0.1f}}))));
    r.push_back(exact(ms(make("qlinear_concat" + tag, "QLinearConcat", 1,
                              {sy, zy, data({2, 3, 4}, 19), sa, za, data({2, 5, 4}, 20), sb, zb},
                              {{"axis", int64_t{1}}}))));
    r.push_back(exact(ms(make("qlinear_where" + tag, "QLinearWhere", 1,
                              {random_tensor(DType::kBool, {4, 6}, 21, 0, 0.9999), data({4, 6}, 22), sa, za,
                               data({6}, 23), sb, zb, one(DType::kFloat, 0.04), zy}))));
  }
  return r;
}

const Register kConversions(conversions);
const Register kArithmetic(arithmetic);

}  // namespace
}  // namespace skiff::cases
