// Attention of both domains, rotary embedding, and com.microsoft's fused operators.
#include "cases/make.h"

namespace skiff::cases {
namespace {

OpCase ms(OpCase c) { return in_domain("com.microsoft", std::move(c)); }

std::vector<OpCase> attention() {
  std::vector<OpCase> r;
  int64_t two = 2, four = 4, yes = 1;
  r.push_back(make("attention_4d", "Attention", 23,
                   {f32({2, 3, 5, 8}, 1), f32({2, 3, 7, 8}, 2), f32({2, 3, 7, 6}, 3)}));
  r.push_back(make("attention_causal", "Attention", 23,
                   {f32({1, 2, 19, 16}, 4), f32({1, 2, 19, 16}, 5), f32({1, 2, 19, 16}, 6)},
                   {{"is_causal", yes}}));
  r.push_back(make("attention_grouped", "Attention", 23,
                   {f32({1, 4, 6, 8}, 7), f32({1, 2, 6, 8}, 8), f32({1, 2, 6, 8}, 9)},
                   {{"softcap", 2.0f}, {"scale", 0.3f}}));
  r.push_back(make("attention_3d", "Attention", 23,
                   {f32({2, 4, 32}, 10), f32({2, 6, 16}, 11), f32({2, 6, 16}, 12)},
                   {{"q_num_heads", four}, {"kv_num_heads", two}}));
  r.push_back(make("attention_mask", "Attention", 23,
                   {f32({1, 2, 4, 8}, 13), f32({1, 2, 6, 8}, 14), f32({1, 2, 6, 8}, 15), f32({4, 6}, 16)}));
  r.push_back(with_outputs(3, make("attention_cache", "Attention", 23,
                                   {f32({1, 2, 1, 8}, 17), f32({1, 2, 1, 8}, 18), f32({1, 2, 1, 8}, 19),
                                    Datum(), f32({1, 2, 33, 8}, 20), f32({1, 2, 33, 8}, 21)},
                                   {{"is_causal", yes}})));
  r.push_back(with_outputs(4, make("attention_scores", "Attention", 23,
                                   {f32({1, 2, 4, 8}, 22), f32({1, 2, 4, 8}, 23), f32({1, 2, 4, 8}, 24)},
                                   {{"qk_matmul_output_mode", int64_t{3}}})));
  r.push_back(make("rotary_3d", "RotaryEmbedding", 23,
                   {f32({2, 5, 16}, 25), f32({2, 5, 4}, 26), f32({2, 5, 4}, 27)}, {{"num_heads", two}}));
  r.push_back(make("rotary_interleaved", "RotaryEmbedding", 23,
                   {f32({1, 2, 5, 8}, 28), f32({9, 3}, 29), f32({9, 3}, 30),
                    values<int>(DType::kInt64, {1, 5}, {8, 3, 4, 0, 1})},
                   {{"interleaved", yes}, {"rotary_embedding_dim", int64_t{6}}}));
  for (const char* rule : {"linear", "gated", "delta", "gated_delta"}) {
    std::string u = rule;
    std::vector<Datum> in{f32({2, 5, 16}, 31), f32({2, 5, 8}, 32), f32({2, 5, 6}, 33), f32({2, 2, 4, 3}, 34)};
    in.push_back(u[0] == 'g' ? Datum(f32({2, 5, 2}, 35, -1, 0)) : Datum());
    in.push_back(u.find("delta") != std::string::npos ? Datum(f32({2, 5, 2}, 36, 0, 1)) : Datum());
    while (in.back().kind() == Datum::Kind::kNone) in.pop_back();
    r.push_back(with_outputs(2, make("linear_attention_" + u, "LinearAttention", 27, std::move(in),
                                     {{"q_num_heads", four}, {"kv_num_heads", two}, {"update_rule", u}})));
  }
  r.push_back(with_outputs(2, make("causal_conv", "CausalConvWithState", 27,
                                   {f32({2, 5, 7}, 37), f32({5, 1, 4}, 38), f32({5}, 39), f32({2, 5, 3}, 40)},
                                   {{"activation", std::string("silu")}}, 1)));
  r.push_back(ms(with_outputs(
      3, make("gqa_step", "GroupQueryAttention", 1,
              {f32({2, 1, 32}, 41), f32({2, 1, 16}, 42), f32({2, 1, 16}, 43), f32({2, 2, 9, 8}, 44),
               f32({2, 2, 9, 8}, 45), values<int>(DType::kInt32, {2}, {8, 5}),
               values<int>(DType::kInt32, {1}, {9}), f32({20, 4}, 46), f32({20, 4}, 47)},
              {{"num_heads", four}, {"kv_num_heads", two}, {"do_rotary", yes}}))));
  r.push_back(ms(make("mha_padding", "MultiHeadAttention", 1,
                      {f32({2, 4, 16}, 48), f32({2, 6, 16}, 49), f32({2, 6, 16}, 50), f32({48}, 51),
                       values<int>(DType::kInt32, {2}, {6, 3})},
                      {{"num_heads", two}})));
  r.push_back(ms(with_outputs(
      4, make("skip_layer_norm", "SkipLayerNormalization", 1,
              {f32({2, 3, 33}, 52), f32({2, 3, 33}, 53), f32({33}, 54), f32({33}, 55), f32({33}, 56)}))));
  r.push_back(ms(make("skip_simplified_norm", "SkipSimplifiedLayerNormalization", 1,
                      {f32({2, 3, 33}, 57), f32({2, 3, 33}, 58), f32({33}, 59)}, {{"epsilon", 1e-5f}})));
  r.push_back(ms(make("bias_gelu", "BiasGelu", 1, {f32({3, 19}, 60, -4, 4), f32({19}, 61)})));
  r.push_back(ms(make("fast_gelu", "FastGelu", 1, {f32({3, 19}, 62, -4, 4)})));
  r.push_back(ms(make("quick_gelu", "QuickGelu", 1, {f32({3, 19}, 63, -4, 4)})));
  r.push_back(ms(make("fused_matmul", "FusedMatMul", 1, {f32({2, 7, 5}, 64), f32({9, 5}, 65)},
                      {{"transB", yes}, {"alpha", 0.5f}}, 1)));
  r.push_back(ms(make(
      "matmul_4bits", "MatMulNBits", 1, {f32({3, 64}, 66), u8({17, 2, 16}, 67), f32({34}, 68, 0.01, 0.1)},
      {{"K", int64_t{64}}, {"N", int64_t{17}}, {"bits", four}, {"block_size", int64_t{32}}}, 1)));
  r.push_back(ms(
      make("matmul_8bits", "MatMulNBits", 1,
           {f32({1, 40}, 69), u8({5, 3, 16}, 70), f32({15}, 71, 0.01, 0.1), u8({15}, 72)},
           {{"K", int64_t{40}}, {"N", int64_t{5}}, {"bits", int64_t{8}}, {"block_size", int64_t{16}}}, 1)));
  r.push_back(ms(make("gather_block_quantized", "GatherBlockQuantized", 1,
                      {random_tensor(DType::kInt4, {7, 32}, 73, -8, 8),
                       values<int>(DType::kInt64, {2, 2}, {0, 6, -1, 3}), f32({7, 2}, 74, 0.1, 1)},
                      {{"block_size", int64_t{16}}})));
  return r;
}

const Register kAttention(attention);

}  // namespace
}  // namespace skiff::cases
