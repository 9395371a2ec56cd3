// Reductions, operators along an axis, and matrix products.
#include "cases/make.h"

namespace skiff::cases {
namespace {

Tensor i64(std::initializer_list<int64_t> v) {
  return Tensor::from(std::span<const int64_t>(v.begin(), v.size()));
}

std::vector<OpCase> reductions() {
  std::vector<OpCase> r;
  for (const char* op : {"ReduceSum", "ReduceMean", "ReduceMax", "ReduceMin", "ReduceProd", "ReduceL1",
                         "ReduceL2", "ReduceLogSum", "ReduceLogSumExp", "ReduceSumSquare"}) {
    bool positive = op == std::string("ReduceLogSum");
    uint32_t seed = 1;
    auto x = [&](Dims d) { return f32(std::move(d), seed++, positive ? 0.1 : -2, 2); };
    r.push_back(make(cat(op, "_last"), op, 18, {x({3, 5, 67}), i64({-1})}, {}, 1));
    r.push_back(make(cat(op, "_first"), op, 18, {x({9, 5, 33}), i64({0})}, {{"keepdims", int64_t{0}}}, 1));
    r.push_back(make(cat(op, "_middle"), op, 18, {x({3, 17, 33}), i64({1})}, {}, 1));
    r.push_back(make(cat(op, "_spatial"), op, 18, {x({2, 8, 5, 7}), i64({2, 3})}, {}, 1));
    r.push_back(
        make(cat(op, "_split_axes"), op, 18, {x({2, 4, 5, 7}), i64({0, 2})}, {{"keepdims", int64_t{0}}}, 1));
    r.push_back(make(cat(op, "_all"), op, 18, {x({2, 3, 4})}, {{"keepdims", int64_t{0}}}));
    r.push_back(make(cat(op, "_noop"), op, 18, {x({2, 3, 4})}, {{"noop_with_empty_axes", int64_t{1}}}));
    r.push_back(make(cat(op, "_opset11"), op, 11, {x({2, 3, 4})}, {{"axes", Ints{-2}}}));
    r.push_back(make(cat(op, "_one"), op, 18, {x({3, 1, 4}), i64({1})}, {}, 1));
    r.push_back(
        make(cat(op, "_int32"), op, 18, {random_tensor(DType::kInt32, {3, 5}, 1, 1, 9), i64({1})}, {}, 1));
  }
  OpCase c = make("reduce_sum_empty", "ReduceSum", 13, {Tensor(DType::kFloat, {2, 0}), i64({1})}, {}, 1);
  c.expected = {values<int>(DType::kFloat, {2, 1}, {0, 0})};
  r.push_back(c);
  c = make("reduce_mean_int", "ReduceMean", 13, {values<int>(DType::kInt32, {4}, {1, 2, 3, 5})},
           {{"keepdims", int64_t{0}}});
  c.expected = {one(DType::kInt32, 2)};
  r.push_back(c);
  for (const char* op : {"ArgMax", "ArgMin"})
    for (int64_t a : {0, 1, -1})
      for (int64_t last : {0, 1})
        r.push_back(make(cat(op, "_", a, "_", last), op, 13,
                         {random_tensor(DType::kInt32, {4, 9, 5}, 3, 0, 4)},
                         {{"axis", a}, {"select_last_index", last}, {"keepdims", last}}));
  r.push_back(make("arg_max_float", "ArgMax", 13, {f32({3, 257}, 1)}, {{"axis", int64_t{-1}}}));
  for (int64_t e : {0, 1})
    for (int64_t v : {0, 1})
      r.push_back(make(cat("cum_sum_", e, v), "CumSum", 14, {f32({3, 7, 4}, 1), Tensor::scalar(int64_t{1})},
                       {{"exclusive", e}, {"reverse", v}}, 1));
  c = make("cum_prod", "CumProd", 26,
           {values<int>(DType::kInt32, {4}, {1, 2, 3, 4}), Tensor::scalar(int64_t{0})}, {}, 1);
  c.expected = {values<int>(DType::kInt32, {4}, {1, 2, 6, 24})};
  r.push_back(c);
  for (int64_t largest : {0, 1})
    r.push_back(with_outputs(2, make(cat("top_k_", largest), "TopK", 11, {f32({3, 17, 4}, 1), i64({5})},
                                     {{"axis", int64_t{1}}, {"largest", largest}}, 1)));
  r.push_back(with_outputs(
      2, make("top_k_ties", "TopK", 11, {random_tensor(DType::kInt64, {2, 20}, 1, 0, 3), i64({7})}, {}, 1)));
  return r;
}

std::vector<OpCase> products() {
  std::vector<OpCase> r;
  const std::pair<Dims, Dims> kShapes[] = {{{1, 1}, {1, 1}},
                                           {{3, 4}, {4, 5}},
                                           {{17, 33}, {33, 65}},
                                           {{64, 64}, {64, 64}},
                                           {{1, 129}, {129, 31}},
                                           {{31, 7}, {7, 1}},
                                           {{4}, {4}},
                                           {{4}, {4, 3}},
                                           {{3, 4}, {4}},
                                           {{2, 3, 4, 5}, {2, 3, 5, 6}},
                                           {{2, 1, 4, 5}, {3, 5, 6}},
                                           {{2, 7, 5}, {5, 6}},
                                           {{5, 6}, {3, 6, 2}},
                                           {{3, 0}, {0, 2}}};
  uint32_t seed = 1;
  for (const auto& [a, b] : kShapes) {
    for (size_t constant : {1, 99}) {
      r.push_back(make(cat("matmul_", to_string(a), to_string(b), constant == 1 ? "_weight" : ""), "MatMul",
                       13, {f32(a, seed), f32(b, seed + 1)}, {}, constant));
      r.push_back(in_domain(
          "skiff", make(cat("fused_matmul_", to_string(a), to_string(b), constant == 1 ? "_weight" : ""),
                        "MatMul", 1, {f32(a, seed), f32(b, seed + 1)}, {{"scale", 0.5f}}, constant)));
    }
    seed += 2;
  }
  for (DType t : {DType::kDouble, DType::kInt32, DType::kInt64, DType::kUint32})
    r.push_back(make(cat("matmul_", dtype_name(t)), "MatMul", 13,
                     {random_tensor(t, {3, 9}, 1, 0, 9), random_tensor(t, {9, 5}, 2, 0, 9)}));
  r.push_back(with_tolerance(
      1e-2, 1e-2,
      make("matmul_float16", "MatMul", 13,
           {random_tensor(DType::kFloat16, {3, 9}, 1), random_tensor(DType::kFloat16, {9, 5}, 2)})));
  for (int64_t ta : {0, 1})
    for (int64_t tb : {0, 1}) {
      Dims a = ta ? Dims{33, 9} : Dims{9, 33}, b = tb ? Dims{21, 33} : Dims{33, 21};
      r.push_back(make(cat("gemm_", ta, tb), "Gemm", 13, {f32(a, 1), f32(b, 2), f32({21}, 3)},
                       {{"transA", ta}, {"transB", tb}, {"alpha", 0.5f}, {"beta", 2.0f}}, 1));
      for (const char* act : {"", "relu", "clip", "leaky_relu", "sigmoid", "tanh", "silu", "hard_swish",
                              "hard_sigmoid", "gelu", "gelu_tanh"})
        r.push_back(in_domain("skiff", make(cat("fused_matmul_", ta, tb, act), "MatMul", 1,
                                            {f32(a, 1), f32(b, 2), f32({21}, 3), f32({9, 21}, 4)},
                                            {{"trans_a", ta},
                                             {"trans_b", tb},
                                             {"activation", std::string(act)},
                                             {"alpha", 0.2f},
                                             {"beta", 0.6f}},
                                            1)));
    }
  r.push_back(make("gemm_bias_column", "Gemm", 13, {f32({4, 3}, 1), f32({3, 5}, 2), f32({4, 1}, 3)}, {}, 1));
  r.push_back(make("gemm_bias_scalar", "Gemm", 13, {f32({4, 3}, 1), f32({3, 5}, 2), f32({}, 3)}, {}, 1));
  r.push_back(make("gemm_no_bias", "Gemm", 13, {f32({4, 3}, 1), f32({3, 5}, 2)}, {}, 1));
  r.push_back(make("gemm_6", "Gemm", 6, {f32({4, 3}, 1), f32({3, 5}, 2), f32({5}, 3)},
                   {{"broadcast", int64_t{1}}}, 1));
  OpCase c = make("matmul_integer", "MatMulInteger", 10,
                  {values<int>(DType::kUint8, {4, 3}, {11, 7, 3, 10, 6, 2, 9, 5, 1, 8, 4, 0}),
                   values<int>(DType::kUint8, {3, 2}, {1, 4, 2, 5, 3, 6}),
                   values<int>(DType::kUint8, {1}, {12}), values<int>(DType::kUint8, {1}, {0})});
  c.expected = {values<int>(DType::kInt32, {4, 2}, {-38, -83, -44, -98, -50, -113, -56, -128})};
  r.push_back(c);
  r.push_back(make("matmul_integer_rows", "MatMulInteger", 10,
                   {u8({5, 33}, 1), s8({33, 7}, 2), u8({5}, 3), s8({7}, 4)}, {}, 1));
  for (const char* eq : {"ij,jk->ik", "bij,bjk->bik", "ij->ji", "ij->i", "ii->i", "...ij,...jk->...ik",
                         "bhid,bhjd->bhij", "ij,jk", "i,i"}) {
    std::string s = eq;
    size_t comma = s.find(','), arrow = s.find("->");
    bool dots = s.find('.') != std::string::npos;
    auto rank = [&](size_t b, size_t e) { return e - b - (dots ? 1 : 0); };
    size_t end = arrow == std::string::npos ? s.size() : arrow;
    std::vector<Datum> in{f32(Dims(rank(0, std::min(comma, end)), 4), 1)};
    if (comma != std::string::npos) in.push_back(f32(Dims(rank(comma + 1, end), 4), 2));
    r.push_back(make(cat("einsum_", eq), "Einsum", 12, std::move(in), {{"equation", s}}));
  }
  return r;
}

const Register kReductions(reductions), kProducts(products);

}  // namespace
}  // namespace skiff::cases
