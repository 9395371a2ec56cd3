// Normalizations and softmax.
#include <cmath>

#include "cases/make.h"

namespace skiff::cases {
namespace {

std::vector<OpCase> norms() {
  std::vector<OpCase> r;
  for (Dims d : {Dims{2, 19, 7, 6}, Dims{3, 8}, Dims{1, 33, 17}, Dims{2, 4, 3, 2, 5}, Dims{0, 4, 3, 3}}) {
    Dims c{d[1]};
    r.push_back(make(cat("batch_norm_", to_string(d)), "BatchNormalization", 15,
                     {f32(d, 1), f32(c, 2), f32(c, 3), f32(c, 4), f32(c, 5, 0.1, 2)}, {{"epsilon", 1e-3f}},
                     1));
  }
  r.push_back(
      with_outputs(3, make("batch_norm_training", "BatchNormalization", 15,
                           {f32({4, 3, 5}, 1), f32({3}, 2), f32({3}, 3), f32({3}, 4), f32({3}, 5, 0.1, 2)},
                           {{"training_mode", int64_t{1}}, {"momentum", 0.8f}}, 1)));
  r.push_back(
      make("batch_norm_spatial0", "BatchNormalization", 7,
           {f32({2, 3, 4}, 1), f32({3, 4}, 2), f32({3, 4}, 3), f32({3, 4}, 4), f32({3, 4}, 5, 0.1, 2)},
           {{"spatial", int64_t{0}}}, 1));
  for (Dims d : {Dims{2, 5, 7, 9}, Dims{1, 16, 33}, Dims{1, 3, 4, 5, 2}})
    r.push_back(make(cat("instance_norm_", to_string(d)), "InstanceNormalization", 6,
                     {f32(d, 6), f32({d[1]}, 7), f32({d[1]}, 8)}, {}, 1));
  r.push_back(make("group_norm", "GroupNormalization", 21,
                   {f32({2, 12, 5, 3}, 9), f32({12}, 10), f32({12}, 11)}, {{"num_groups", int64_t{4}}}, 1));
  r.push_back(make("group_norm_18", "GroupNormalization", 18,
                   {f32({2, 12, 5}, 9), f32({4}, 10), f32({4}, 11)}, {{"num_groups", int64_t{4}}}, 1));
  for (int64_t n : {1, 7, 16, 64, 100, 384}) {
    r.push_back(make(cat("layer_norm_", n), "LayerNormalization", 17,
                     {f32({2, 5, n}, 12), f32({n}, 13), f32({n}, 14)}, {}, 1));
    r.push_back(make(cat("rms_norm_", n), "RMSNormalization", 23, {f32({2, 5, n}, 15), f32({n}, 16)}, {}, 1));
  }
  r.push_back(with_outputs(
      3, make("layer_norm_axis1", "LayerNormalization", 17, {f32({3, 4, 5}, 17), f32({4, 5}, 18)},
              {{"axis", int64_t{1}}, {"epsilon", 1e-3f}}, 1)));
  r.push_back(make("layer_norm_offset", "LayerNormalization", 17, {f32({4, 65}, 19, 100, 101), f32({65}, 20)},
                   {}, 1));
  r.push_back(make("lrn", "LRN", 13, {f32({2, 11, 4, 5}, 21)},
                   {{"size", int64_t{5}}, {"alpha", 0.01f}, {"bias", 2.0f}}));
  r.push_back(make("lrn_even", "LRN", 13, {f32({1, 6, 3, 3}, 22)}, {{"size", int64_t{4}}}));
  for (int64_t p : {1, 2})
    r.push_back(make(cat("lp_norm_", p), "LpNormalization", 1, {f32({3, 9, 4}, 23)},
                     {{"p", p}, {"axis", int64_t{1}}}));
  r.push_back(make("mean_variance_norm", "MeanVarianceNormalization", 13, {f32({3, 4, 5, 6}, 24)}));
  r.push_back(make("mean_variance_norm_channels", "MeanVarianceNormalization", 13, {f32({3, 4, 5}, 25)},
                   {{"axes", Ints{-1, 1}}}));
  return r;
}

std::vector<OpCase> softmaxes() {
  std::vector<OpCase> r;
  for (const char* op : {"Softmax", "LogSoftmax", "Hardmax"}) {
    for (int64_t n : {1, 2, 10, 16, 33, 1001})
      r.push_back(make(cat(op, "_", n), op, 13, {f32({3, n}, static_cast<uint32_t>(n), -9, 9)}));
    for (int64_t a : {0, 1, 2, -2})
      r.push_back(make(cat(op, "_axis", a), op, 13, {f32({4, 5, 6}, 30, -4, 4)}, {{"axis", a}}));
    r.push_back(make(cat(op, "_matrix"), op, 11, {f32({2, 3, 4}, 31, -4, 4)}));
    r.push_back(make(cat(op, "_matrix_axis2"), op, 11, {f32({2, 3, 4}, 32, -4, 4)}, {{"axis", int64_t{2}}}));
    r.push_back(make(cat(op, "_large"), op, 13, {f32({2, 20}, 33, 900, 1000)}));
  }
  OpCase masked = make("Softmax_masked", "Softmax", 13,
                       {values<double>(DType::kFloat, {1, 4}, {0, -INFINITY, 0, -INFINITY})});
  masked.expected = {values<double>(DType::kFloat, {1, 4}, {0.5, 0, 0.5, 0})};
  r.push_back(masked);
  return r;
}

const Register kNorms(norms);
const Register kSoftmaxes(softmaxes);

}  // namespace
}  // namespace skiff::cases
