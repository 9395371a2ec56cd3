// ai.onnx.ml.
#include <cmath>

#include "cases/make.h"

namespace skiff::cases {
namespace {

OpCase ml(OpCase c) { return in_domain("ai.onnx.ml", std::move(c)); }

// Two trees over two features: x0 <= 0.5 ? (x1 < 1 ? 1 : 2) : 3, and a single leaf of weight 10.
std::vector<Attribute> trees() {
  return {{"nodes_treeids", Ints{0, 0, 0, 0, 0, 1}},
          {"nodes_nodeids", Ints{0, 1, 2, 3, 4, 0}},
          {"nodes_featureids", Ints{0, 1, 0, 0, 0, 0}},
          {"nodes_modes", Strings{"BRANCH_LEQ", "BRANCH_LT", "LEAF", "LEAF", "LEAF", "LEAF"}},
          {"nodes_values", Floats{0.5f, 1, 0, 0, 0, 0}},
          {"nodes_truenodeids", Ints{1, 3, 0, 0, 0, 0}},
          {"nodes_falsenodeids", Ints{2, 4, 0, 0, 0, 0}},
          {"nodes_missing_value_tracks_true", Ints{1, 0, 0, 0, 0, 0}}};
}

std::vector<OpCase> all() {
  std::vector<OpCase> r;
  double nan = std::nan("");
  Tensor x = values<double>(DType::kFloat, {4, 2}, {0.5, 0, 0, 5, 0.6, 0, nan, nan});
  OpCase reg = ml(make("tree_regressor", "TreeEnsembleRegressor", 3, {x}, trees()));
  for (Attribute a : std::vector<Attribute>{{"target_treeids", Ints{0, 0, 0, 1}},
                                            {"target_nodeids", Ints{3, 4, 2, 0}},
                                            {"target_ids", Ints{0, 0, 0, 0}},
                                            {"target_weights", Floats{1, 2, 3, 10}},
                                            {"n_targets", int64_t{1}},
                                            {"base_values", Floats{0.25f}}})
    reg.attributes.push_back(a);
  reg.expected = {values<double>(DType::kFloat, {4, 1}, {11.25, 12.25, 13.25, 12.25})};
  r.push_back(reg);
  for (const char* how : {"AVERAGE", "MIN", "MAX"}) {
    OpCase c = reg;
    c.name = cat("tree_regressor_", how);
    c.attributes.emplace_back("aggregate_function", std::string(how));
    double lo = std::string(how) == "MIN" ? 0 : 10;
    c.expected = {values<double>(DType::kFloat, {4, 1}, {1 + 0.25, 2 + 0.25, 3 + 0.25, 2 + 0.25})};
    if (lo == 10) c.expected = {values<double>(DType::kFloat, {4, 1}, {10.25, 10.25, 10.25, 10.25})};
    if (std::string(how) == "AVERAGE")
      c.expected = {values<double>(DType::kFloat, {4, 1}, {5.75, 6.25, 6.75, 6.25})};
    r.push_back(c);
  }
  for (const char* post : {"NONE", "SOFTMAX", "LOGISTIC", "SOFTMAX_ZERO"}) {
    OpCase c =
        with_outputs(2, ml(make(cat("tree_classifier_", post), "TreeEnsembleClassifier", 3, {x}, trees())));
    for (Attribute a : std::vector<Attribute>{{"class_treeids", Ints{0, 0, 0, 1}},
                                              {"class_nodeids", Ints{3, 4, 2, 0}},
                                              {"class_ids", Ints{0, 1, 2, 1}},
                                              {"class_weights", Floats{2, 2, 3, 1}},
                                              {"classlabels_int64s", Ints{7, 8, 9}},
                                              {"post_transform", std::string(post)}})
      c.attributes.push_back(a);
    if (std::string(post) == "NONE")
      c.expected = {values<int>(DType::kInt64, {4}, {7, 8, 9, 8}),
                    values<int>(DType::kFloat, {4, 3}, {2, 1, 0, 0, 3, 0, 0, 1, 3, 0, 3, 0})};
    r.push_back(c);
  }
  // One score for two classes.
  OpCase binary =
      with_outputs(2, ml(make("tree_classifier_binary", "TreeEnsembleClassifier", 3, {x}, trees())));
  for (Attribute a : std::vector<Attribute>{{"class_treeids", Ints{0, 0, 0, 1}},
                                            {"class_nodeids", Ints{3, 4, 2, 0}},
                                            {"class_ids", Ints{0, 0, 0, 0}},
                                            {"class_weights", Floats{0.25f, 0.5f, 0.75f, 0.125f}},
                                            {"classlabels_int64s", Ints{0, 1}}})
    binary.attributes.push_back(a);
  binary.expected = {
      values<int>(DType::kInt64, {4}, {0, 1, 1, 1}),
      values<double>(DType::kFloat, {4, 2}, {0.625, 0.375, 0.375, 0.625, 0.125, 0.875, 0.375, 0.625})};
  r.push_back(binary);
  OpCase scaler = ml(make("scaler", "Scaler", 1, {values<int>(DType::kInt64, {2, 2}, {1, 2, 3, 4})},
                          {{"offset", Floats{1, 1}}, {"scale", Floats{2, 0.5f}}}));
  scaler.expected = {values<double>(DType::kFloat, {2, 2}, {0, 0.5, 4, 1.5})};
  r.push_back(scaler);
  for (const char* norm : {"MAX", "L1", "L2"})
    r.push_back(
        ml(make(cat("normalizer_", norm), "Normalizer", 1, {f32({4, 5}, 1)}, {{"norm", std::string(norm)}})));
  r.push_back(ml(make("imputer", "Imputer", 1, {x},
                      {{"imputed_value_floats", Floats{7}}, {"replaced_value_float", NAN}})));
  r.push_back(ml(make("binarizer", "Binarizer", 1, {f32({3, 4}, 2)}, {{"threshold", 0.25f}})));
  r.push_back(
      ml(make("zip_map", "ZipMap", 1, {f32({3, 2}, 3)}, {{"classlabels_strings", Strings{"a", "b"}}})));
  r.push_back(ml(make("feature_vectorizer", "FeatureVectorizer", 1, {f32({3, 2}, 4), f32({3, 4}, 5)},
                      {{"inputdimensions", Ints{3, 2}}})));
  r.push_back(ml(make("array_feature_extractor", "ArrayFeatureExtractor", 1,
                      {f32({3, 4}, 6), values<int>(DType::kInt64, {1, 3}, {3, 0, 3})})));
  return r;
}

const Register kAll(all);

}  // namespace
}  // namespace skiff::cases
