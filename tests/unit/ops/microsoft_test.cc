// com.microsoft operators against the standard operators they are made of.
#include <doctest/doctest.h>
#include <cmath>

#include "unit/ops/run_case.h"

using namespace skiff;
using namespace skiff::cases;

namespace {

OpCase ms(OpCase c) { return in_domain("com.microsoft", std::move(c)); }

void expect_near(const Tensor& a, const Tensor& b, double tolerance = 1e-5) {
  REQUIRE(a.dims() == b.dims());
  for (int64_t i = 0; i < a.size(); ++i) CHECK(std::abs(get_double(a, i) - get_double(b, i)) <= tolerance);
}

Tensor transposed(const Tensor& t, Ints perm) {
  return run1(make("", "Transpose", 13, {t}, {{"perm", std::move(perm)}}));
}
Tensor added(const Tensor& a, const Tensor& b) { return run1(make("", "Add", 14, {a, b})); }
Tensor multiplied(const Tensor& a, const Tensor& b) { return run1(make("", "MatMul", 13, {a, b})); }

}  // namespace

TEST_CASE("SkipLayerNormalization is LayerNormalization of the sum") {
  Tensor x = f32({2, 3, 8}, 1), skip = f32({2, 3, 8}, 2), g = f32({8}, 3), b = f32({8}, 4),
         bias = f32({8}, 5);
  auto got = run(with_outputs(
      4, ms(make("", "SkipLayerNormalization", 1, {x, skip, g, b, bias}, {{"epsilon", 1e-5f}}))));
  Tensor sum = added(added(x, skip), bias);
  expect_near(got[3].tensor(), sum, 1e-6);
  expect_near(got[0].tensor(), run1(make("", "LayerNormalization", 17, {sum, g, b})));
  Tensor simple =
      run1(ms(make("", "SkipSimplifiedLayerNormalization", 1, {x, skip, g}, {{"epsilon", 1e-5f}})));
  expect_near(simple, run1(make("", "RMSNormalization", 23, {added(x, skip), g})));
  expect_near(run1(make("", "SimplifiedLayerNormalization", 14, {x, g})),
              run1(make("", "RMSNormalization", 23, {x, g})));
}

TEST_CASE("GELU forms") {
  Tensor x = f32({3, 7}, 6, -4, 4), b = f32({7}, 7);
  Tensor exact = run1(make("", "Gelu", 20, {added(x, b)}));
  expect_near(run1(ms(make("", "BiasGelu", 1, {x, b}))), exact, 1e-6);
  expect_near(run1(ms(make("", "FastGelu", 1, {x, b}))),
              run1(make("", "Gelu", 20, {added(x, b)}, {{"approximate", std::string("tanh")}})), 1e-6);
  Tensor quick = run1(ms(make("", "QuickGelu", 1, {values<int>(DType::kFloat, {2}, {0, 1})})));
  CHECK(std::abs(get_double(quick, 1) - 1 / (1 + std::exp(-1.702))) < 1e-6);
}

TEST_CASE("fused matrix products") {
  Tensor a = f32({2, 5, 3}, 8), b = f32({2, 4, 5}, 9);
  Tensor want = multiplied(transposed(a, {0, 2, 1}), transposed(b, {0, 2, 1}));
  Tensor got = run1(ms(
      make("", "FusedMatMul", 1, {a, b}, {{"transA", int64_t{1}}, {"transB", int64_t{1}}, {"alpha", 2.0f}})));
  expect_near(got, added(want, want));
  Tensor m = f32({3, 4}, 10), n = f32({4, 5}, 11), bias = f32({5}, 12);
  Tensor gemm = run1(make("", "Gemm", 13, {m, n, bias}, {{"alpha", 0.5f}, {"beta", 2.0f}}));
  expect_near(run1(ms(make("", "FusedGemm", 1, {m, n, bias},
                           {{"alpha", 0.5f}, {"beta", 2.0f}, {"activation", std::string("Relu")}}))),
              run1(make("", "Relu", 14, {gemm})));
}

TEST_CASE("FusedConv is Conv, residual and activation") {
  Tensor x = f32({1, 3, 6, 6}, 13), w = f32({4, 3, 3, 3}, 14), b = f32({4}, 15), z = f32({1, 4, 4, 4}, 16);
  Tensor sum = added(run1(make("", "Conv", 11, {x, w, b})), z);
  expect_near(run1(ms(make("", "FusedConv", 1, {x, w, b, z},
                           {{"activation", std::string("LeakyRelu")}, {"activation_params", Floats{0.1f}}}))),
              run1(make("", "LeakyRelu", 16, {sum}, {{"alpha", 0.1f}})));
}

TEST_CASE("MatMulNBits multiplies by the blocks it unpacks") {
  constexpr int64_t kK = 40, kN = 3, kBlock = 16, kBlocks = 3;
  Tensor a = f32({2, kK}, 17), b = u8({kN, kBlocks, kBlock / 2}, 18), s = f32({kN * kBlocks}, 19, 0.1, 1);
  Tensor zero = u8({kN * 2}, 20);
  Tensor w(DType::kFloat, {kK, kN});
  for (int64_t j = 0; j < kN; ++j)
    for (int64_t k = 0; k < kK; ++k) {
      int64_t block = k / kBlock, in = k % kBlock;
      int byte = b.data<uint8_t>()[(j * kBlocks + block) * (kBlock / 2) + in / 2];
      int z = zero.data<uint8_t>()[j * 2 + block / 2];
      int q = in % 2 ? byte >> 4 : byte & 15, zq = block % 2 ? z >> 4 : z & 15;
      w.data<float>()[k * kN + j] = static_cast<float>(q - zq) * s.data<float>()[j * kBlocks + block];
    }
  OpCase c = ms(make("", "MatMulNBits", 1, {a, b, s, zero},
                     {{"K", kK}, {"N", kN}, {"bits", int64_t{4}}, {"block_size", kBlock}}));
  expect_near(run1(c), multiplied(a, w), 1e-3);
}

TEST_CASE("QLinearConv with channels last") {
  Tensor x = u8({1, 3, 6, 7}, 21), w = u8({4, 3, 3, 3}, 22), z = one(DType::kUint8, 120),
         s = one(DType::kFloat, 0.02);
  std::vector<Datum> in{x, s, z, w, s, z, one(DType::kFloat, 0.3), z};
  Tensor want = run1(make("", "QLinearConv", 10, in, {{"pads", Ints{1, 1, 1, 1}}}));
  in[0] = transposed(x, {0, 2, 3, 1});
  Tensor got =
      run1(ms(make("", "QLinearConv", 1, in, {{"pads", Ints{1, 1, 1, 1}}, {"channels_last", int64_t{1}}})));
  CHECK(identical(got, transposed(want, {0, 2, 3, 1})));
}

TEST_CASE("DynamicQuantizeMatMul comes close to the float product") {
  Tensor a = f32({3, 16}, 23), b = s8({16, 5}, 24), s = f32({5}, 25, 0.01, 0.02);
  Tensor w = run1(make("", "DequantizeLinear", 13, {b, s}, {{"axis", int64_t{1}}}));
  expect_near(run1(ms(make("", "DynamicQuantizeMatMul", 1, {a, b, s}))), multiplied(a, w), 0.2);
}

TEST_CASE("attention operators agree with each other") {
  constexpr int64_t kHeads = 2, kSize = 4, kWidth = kHeads * kSize;
  Tensor x = f32({2, 5, 6}, 26), w = f32({6, 3 * kWidth}, 27), b = f32({3 * kWidth}, 28);
  Tensor all = added(multiplied(x, w), b);
  auto part = [&](int64_t i) {
    return run1(make(
        "", "Slice", 13,
        {all, values<int64_t>(DType::kInt64, {1}, {i * kWidth}),
         values<int64_t>(DType::kInt64, {1}, {(i + 1) * kWidth}), values<int64_t>(DType::kInt64, {1}, {2})}));
  };
  Tensor q = part(0), k = part(1), v = part(2);
  Attribute heads{"num_heads", kHeads}, causal{"unidirectional", int64_t{1}};
  Tensor standard =
      run1(make("", "Attention", 23, {q, k, v},
                {{"q_num_heads", kHeads}, {"kv_num_heads", kHeads}, {"is_causal", int64_t{1}}}));
  expect_near(run1(ms(make("", "Attention", 1, {x, w, b}, {heads, causal}))), standard);
  expect_near(run1(ms(make("", "MultiHeadAttention", 1, {q, k, v}, {heads, causal}))), standard);
  Tensor lens = values<int>(DType::kInt32, {2}, {4, 4}), total = values<int>(DType::kInt32, {1}, {5});
  auto gqa =
      run(with_outputs(3, ms(make("", "GroupQueryAttention", 1, {q, k, v, Datum(), Datum(), lens, total},
                                  {heads, {"kv_num_heads", kHeads}}))));
  expect_near(gqa[0].tensor(), standard);

  // One more step with the cache gives what six steps at once give.
  Tensor x2 = f32({2, 1, kWidth}, 29), k2 = f32({2, 1, kWidth}, 30), v2 = f32({2, 1, kWidth}, 31);
  auto joined = [](const Tensor& l, const Tensor& r) {
    return run1(make("", "Concat", 13, {l, r}, {{"axis", int64_t{1}}}));
  };
  Tensor six = run1(make("", "Attention", 23, {joined(q, x2), joined(k, k2), joined(v, v2)},
                         {{"q_num_heads", kHeads}, {"kv_num_heads", kHeads}, {"is_causal", int64_t{1}}}));
  Tensor step = run1(ms(make("", "GroupQueryAttention", 1,
                             {x2, k2, v2, gqa[1], gqa[2], values<int>(DType::kInt32, {2}, {5, 5}),
                              values<int>(DType::kInt32, {1}, {6})},
                             {heads, {"kv_num_heads", kHeads}})));
  for (int64_t n = 0; n < 2; ++n)
    for (int64_t i = 0; i < kWidth; ++i)
      CHECK(std::abs(get_double(step, n * kWidth + i) - get_double(six, (n * 6 + 5) * kWidth + i)) < 1e-5);
}

TEST_CASE("a query that may see nothing gives zeros") {
  Tensor q = f32({1, 1, 2, 4}, 32), mask(DType::kBool, {2, 2});
  for (int64_t i = 0; i < 4; ++i) set_int(mask, i, i >= 2);
  Tensor y = run1(make("", "Attention", 23, {q, q, q, mask}));
  for (int64_t i = 0; i < 4; ++i) CHECK(get_double(y, i) == 0);
  CHECK(get_double(y, 4) != 0);
}

TEST_CASE("RotaryEmbedding of both domains") {
  Tensor x = f32({1, 3, 8}, 33), cos = f32({10, 2}, 34), sin = f32({10, 2}, 35),
         ids = values<int>(DType::kInt64, {1, 3}, {4, 5, 6});
  Tensor a = run1(make("", "RotaryEmbedding", 23, {x, cos, sin, ids}, {{"num_heads", int64_t{2}}}));
  expect_near(run1(ms(make("", "RotaryEmbedding", 1, {x, ids, cos, sin}))), a, 1e-6);
  expect_near(run1(ms(make("", "RotaryEmbedding", 1, {x, values<int>(DType::kInt64, {1}, {4}), cos, sin}))),
              a, 1e-6);
}

TEST_CASE("pooling and sampling under com.microsoft's names") {
  Tensor x = u8({1, 3, 6, 7}, 40);
  std::vector<Attribute> a{{"kernel_shape", Ints{3, 3}}, {"strides", Ints{2, 2}}, {"pads", Ints{1, 1, 1, 1}}};
  Tensor last = run1(ms(make("", "NhwcMaxPool", 1, {transposed(x, {0, 2, 3, 1})}, a)));
  CHECK(identical(last, transposed(run1(make("", "MaxPool", 12, {x}, a)), {0, 2, 3, 1})));
  Tensor image = f32({1, 2, 4, 4}, 41), grid = f32({1, 3, 3, 2}, 42);
  CHECK(identical(run1(ms(make("", "GridSample", 1, {image, grid}, {{"mode", std::string("bilinear")}}))),
                  run1(make("", "GridSample", 20, {image, grid}))));
}
