#include "cases/hostile.h"

#include <cmath>

namespace skiff::cases {
namespace {

Tensor t(Dims d) { return f32(std::move(d), 7); }
std::string s(const char* v) { return v; }
constexpr int64_t kHuge = INT64_MAX;

std::vector<OpCase> bad_nodes() {
  std::vector<OpCase> r;
  auto add = [&](const char* op, int opset, std::vector<Datum> in, std::vector<Attribute> a,
                 const char* domain = "") {
    r.push_back(in_domain(domain, make(cat(op, " ", r.size()), op, opset, std::move(in), std::move(a))));
  };
  Tensor x = t({1, 4, 6, 6}), w = t({4, 4, 3, 3});
  for (int64_t g : {int64_t{0}, int64_t{-1}, int64_t{3}, kHuge}) {
    add("Conv", 11, {x, w}, {{"group", g}});
    add("ConvTranspose", 11, {x, w}, {{"group", g}});
  }
  for (const char* name : {"strides", "dilations", "kernel_shape"})
    for (Ints v : {Ints{0, 0}, Ints{-1, 1}, Ints{1}, Ints{1, 1, 1}, Ints{kHuge, kHuge}})
      add("Conv", 11, {x, w}, {{name, v}});
  for (Ints v : {Ints{-1, 0, 0, 0}, Ints{1, 1}, Ints{kHuge, kHuge, kHuge, kHuge}}) {
    add("Conv", 11, {x, w}, {{"pads", v}});
    add("MaxPool", 12, {x}, {{"kernel_shape", Ints{2, 2}}, {"pads", v}});
  }
  add("Conv", 11, {x, w}, {{"auto_pad", s("SOMETIMES")}});
  add("Conv", 11, {x, t({4, 3, 3, 3})}, {});
  add("Conv", 11, {t({1, 4, 6}), w}, {});
  add("Conv", 11, {t({4, 6}), t({4, 6})}, {});
  add("Conv", 11, {t({1, 4, 2, 2}), w}, {});             // kernel larger than the input
  add("Conv", 11, {x, w}, {{"dilations", Ints{4, 4}}});  // and through dilation
  add("Conv", 11, {x, w, t({3})}, {});                   // bias of another size
  add("ConvTranspose", 11, {x, w}, {{"output_shape", Ints{1, 2, 3, 4, 5}}});
  add("ConvTranspose", 11, {x, w}, {{"output_shape", Ints{-4, 9}}});
  add("ConvTranspose", 11, {x, w}, {{"output_padding", Ints{-1, 0}}});
  add("ConvTranspose", 11, {t({1, 4, 1, 1}), w}, {{"pads", Ints{9, 9, 9, 9}}});
  add("MaxPool", 12, {x}, {{"kernel_shape", Ints{0, 2}}});
  add("MaxPool", 12, {x}, {{"kernel_shape", Ints{7, 7}}});
  add("MaxPool", 12, {x}, {{"kernel_shape", Ints{2}}});
  add("AveragePool", 19, {t({4})}, {{"kernel_shape", Ints{}}});
  add("LpPool", 18, {x}, {{"kernel_shape", Ints{2, 2}}, {"p", int64_t{0}}});
  add("GlobalAveragePool", 1, {t({})}, {});
  add("MaxUnpool", 11, {t({1, 1, 1, 1}), values<int64_t>(DType::kInt64, {1, 1, 1, 1}, {99})},
      {{"kernel_shape", Ints{2, 2}}});
  add("MaxUnpool", 11, {t({1, 1, 1, 1}), values<int64_t>(DType::kInt64, {1, 1, 1, 1}, {-1})},
      {{"kernel_shape", Ints{2, 2}}});
  add("BatchNormalization", 15, {x, t({3}), t({4}), t({4}), t({4})}, {});
  add("BatchNormalization", 15, {t({}), t({1}), t({1}), t({1}), t({1})}, {});
  add("GroupNormalization", 21, {x, t({4}), t({4})}, {{"num_groups", int64_t{3}}});
  add("GroupNormalization", 21, {x, t({4}), t({4})}, {{"num_groups", int64_t{0}}});
  add("InstanceNormalization", 6, {x, t({4}), t({5})}, {});
  add("LayerNormalization", 17, {x, t({6})}, {{"axis", int64_t{4}}});
  add("LayerNormalization", 17, {x, t({5})}, {});
  add("LayerNormalization", 17, {x, t({6})}, {{"stash_type", int64_t{7}}});
  add("RMSNormalization", 23, {x, t({6})}, {{"axis", kHuge}});
  add("LRN", 13, {x}, {{"size", int64_t{0}}});
  add("LpNormalization", 1, {x}, {{"p", int64_t{3}}});
  add("MeanVarianceNormalization", 13, {x}, {{"axes", Ints{0, 9}}});
  add("MeanVarianceNormalization", 13, {x}, {{"axes", Ints{1, -3}}});
  for (int64_t a : {int64_t{4}, int64_t{-5}, kHuge, INT64_MIN}) add("Softmax", 13, {x}, {{"axis", a}});
  Datum none;
  auto sizes = [](std::vector<int64_t> v) { return Datum(Tensor::from(std::span<const int64_t>(v))); };
  auto scales = [](std::vector<double> v) {
    return Datum(values<double>(DType::kFloat, {static_cast<int64_t>(v.size())}, v));
  };
  add("Resize", 19, {x}, {});
  add("Resize", 19, {x, none, scales({1, 1, 2})}, {});
  add("Resize", 19, {x, none, scales({1, 1, 0, 2})}, {});
  add("Resize", 19, {x, none, scales({1, 1, -1, 2})}, {});
  add("Resize", 19, {x, none, scales({1, 1, 1e30, 2})}, {});
  add("Resize", 19, {x, none, scales({1, 1, NAN, 2})}, {});
  add("Resize", 19, {x, none, none, sizes({1, 4, -6, 6})}, {});
  add("Resize", 19, {x, none, none, sizes({1, 4, kHuge, kHuge})}, {});
  add("Resize", 19, {x, none, none, sizes({6, 6})}, {{"axes", Ints{2, 2}}});
  add("Resize", 19, {x, none, none, sizes({6, 6})}, {{"axes", Ints{2, 9}}});
  add("Resize", 19, {x, none, none, sizes({1, 4, 6, 7})}, {{"mode", s("magic")}});
  add("Resize", 19, {x, none, none, sizes({1, 4, 6, 7})}, {{"coordinate_transformation_mode", s("magic")}});
  add("Resize", 19, {x, none, none, sizes({1, 4, 6, 7})},
      {{"coordinate_transformation_mode", s("tf_crop_and_resize")}});
  add("Resize", 19, {t({0, 4}), none, none, sizes({3, 4})}, {});
  add("GridSample", 20, {x, t({1, 2, 2, 3})}, {});
  add("GridSample", 20, {x, t({2, 2, 2, 2})}, {});
  add("AffineGrid", 20, {t({1, 2, 3}), sizes({1, 1, 2})}, {});
  add("RoiAlign", 16, {x, t({1, 4}), values<int>(DType::kInt64, {1}, {5})}, {});
  add("RoiAlign", 16, {x, t({1, 4}), values<int>(DType::kInt64, {1}, {0})}, {{"output_height", int64_t{-3}}});
  add("MaxRoiPool", 1, {x, values<int>(DType::kFloat, {1, 5}, {9, 0, 0, 1, 1})},
      {{"pooled_shape", Ints{1, 1}}});
  add("Col2Im", 18, {t({1, 5, 4}), sizes({4, 4}), sizes({2, 2})}, {});
  add("Col2Im", 18, {t({1, 4, 4}), sizes({4, 4}), sizes({0, 2})}, {});
  add("NonMaxSuppression", 11, {t({1, 5, 3}), t({1, 1, 5})}, {});
  add("NonMaxSuppression", 11, {t({1, 5, 4}), t({1, 1, 6})}, {});
  add("Crop", 7, {x}, {{"border", Ints{1, 2}}});
  add("Crop", 7, {x}, {{"border", Ints{3, 3, 4, 4}}});
  add("Crop", 7, {x}, {{"border", Ints{-1, 0, 0, 0}}});
  add("LSTM", 14, {t({3, 1, 4}), t({1, 20, 4}), t({1, 20, 5})}, {{"hidden_size", int64_t{6}}});
  add("LSTM", 14, {t({3, 1, 4}), t({1, 20, 3}), t({1, 20, 5})}, {{"hidden_size", int64_t{5}}});
  add("LSTM", 14, {t({3, 1, 4}), t({1, 20, 4}), t({1, 20, 5})}, {{"direction", s("sideways")}});
  add("LSTM", 14, {t({3, 1, 4}), t({1, 20, 4}), t({1, 20, 5})}, {{"activations", Strings{"Tanh"}}});
  add("LSTM", 14, {t({3, 1, 4}), t({1, 20, 4}), t({1, 20, 5}), none, values<int>(DType::kInt32, {1}, {9})},
      {});
  add("GRU", 14, {t({3, 1, 4}), t({1, 15, 4}), t({1, 15, 5})}, {{"hidden_size", kHuge}});
  Tensor one_scale = values<double>(DType::kFloat, {3}, {1, 1, 1});
  add("QuantizeLinear", 13, {t({2, 4}), one_scale}, {});
  add("QuantizeLinear", 13, {t({2, 3}), one_scale}, {{"axis", int64_t{5}}});
  add("QuantizeLinear", 21, {t({2, 4}), t({2, 3})}, {{"block_size", int64_t{2}}});
  add("QuantizeLinear", 21, {t({2, 4}), t({2, 2})}, {{"block_size", int64_t{-2}}});
  add("QuantizeLinear", 21, {t({2}), Tensor::scalar(1.0f)}, {{"output_dtype", int64_t{8}}});
  Tensor q = u8({1, 4, 5, 5}, 1), qw = u8({2, 4, 3, 3}, 2), z = one(DType::kUint8, 0),
         sc = one(DType::kFloat, 1);
  add("QLinearConv", 10, {q, sc, z, qw, t({3}), z, sc, z}, {});
  add("QLinearConv", 10, {q, sc, z, qw, sc, u8({3}, 3), sc, z}, {});
  add("QLinearConv", 10, {q, t({2}), z, qw, sc, z, sc, z}, {});
  add("QGemm", 1, {u8({2, 3}, 4), sc, z, u8({4, 2}, 5), sc, z}, {}, "com.microsoft");
  add("QLinearConcat", 1, {sc, z, q, sc}, {{"axis", int64_t{0}}}, "com.microsoft");
  add("MatMulNBits", 1, {t({2, 16}), u8({3, 1, 4}, 6), t({3})},
      {{"K", int64_t{16}}, {"N", int64_t{3}}, {"block_size", int64_t{16}}}, "com.microsoft");
  add("MatMulNBits", 1, {t({2, 16}), u8({3, 1, 8}, 6), t({3})}, {{"K", kHuge}, {"N", kHuge}},
      "com.microsoft");
  add("GroupQueryAttention", 1,
      {t({1, 1, 8}), t({1, 1, 8}), t({1, 1, 8}), t({1, 1, 4, 8}), t({1, 1, 4, 8}),
       values<int>(DType::kInt32, {1}, {9}), values<int>(DType::kInt32, {1}, {5})},
      {{"num_heads", int64_t{1}}, {"kv_num_heads", int64_t{1}}}, "com.microsoft");
  add("Attention", 23, {t({1, 2, 8}), t({1, 2, 8}), t({1, 2, 8})}, {});
  add("Attention", 23, {t({1, 2, 8}), t({1, 2, 8}), t({1, 2, 8})},
      {{"q_num_heads", int64_t{3}}, {"kv_num_heads", int64_t{3}}});
  add("Attention", 23, {t({1, 2, 3, 4}), t({1, 2, 3, 4}), t({1, 2, 3, 4}), t({5, 5})}, {});
  add("RotaryEmbedding", 23,
      {t({1, 1, 2, 4}), t({3, 2}), t({3, 2}), values<int>(DType::kInt64, {1, 2}, {0, 7})}, {});
  return r;
}

// A tree that runs in a circle, that leads nowhere, that weighs a target there is not, that asks for a
// feature there is not.
std::vector<OpCase> bad_trees() {
  std::vector<OpCase> r;
  auto tree = [&](Ints yes, Ints no, Ints features, Ints targets, Ints leaves) {
    r.push_back(in_domain("ai.onnx.ml", make(cat("tree ", r.size()), "TreeEnsembleRegressor", 3, {t({2, 2})},
                                             {{"nodes_treeids", Ints{0, 0, 0}},
                                              {"nodes_nodeids", Ints{0, 1, 2}},
                                              {"nodes_featureids", features},
                                              {"nodes_modes", Strings{"BRANCH_LEQ", "BRANCH_LEQ", "LEAF"}},
                                              {"nodes_values", Floats{0, 0, 0}},
                                              {"nodes_truenodeids", yes},
                                              {"nodes_falsenodeids", no},
                                              {"target_treeids", Ints(leaves.size(), 0)},
                                              {"target_nodeids", leaves},
                                              {"target_ids", targets},
                                              {"target_weights", Floats(leaves.size(), 1)},
                                              {"n_targets", int64_t{1}}})));
  };
  tree({1, 1, 0}, {1, 1, 0}, {0, 0, 0}, {0}, {2});  // a circle below the root
  tree({1, 0, 0}, {2, 0, 0}, {0, 0, 0}, {0}, {2});  // a circle through the root
  tree({1, 2, 0}, {7, 2, 0}, {0, 0, 0}, {0}, {2});  // leads nowhere
  tree({1, 2, 0}, {2, 2, 0}, {5, 5, 0}, {0}, {2});  // feature out of range
  tree({1, 2, 0}, {2, 2, 0}, {-1, -1, 0}, {0}, {2});
  tree({1, 2, 0}, {2, 2, 0}, {0, 0, 0}, {3}, {2});  // target out of range
  tree({1, 2, 0}, {2, 2, 0}, {0, 0, 0}, {-1}, {2});
  tree({1, 2, 0}, {2, 2, 0}, {0, 0, 0}, {0}, {9});  // weight of a node there is not
  tree({1, 2}, {2, 2, 0}, {0, 0, 0}, {0}, {2});     // lists of different length
  return r;
}

}  // namespace

std::vector<OpCase> hostile_cases() {
  std::vector<OpCase> all = bad_nodes();
  for (OpCase& c : bad_trees()) all.push_back(std::move(c));
  return all;
}

}  // namespace skiff::cases
