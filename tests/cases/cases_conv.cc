// Convolutions in every shape kernels treat apart: pointwise, depthwise, grouped, strided, dilated, stems,
// tails.
#include <cmath>

#include "cases/make.h"

namespace skiff::cases {
namespace {

struct Shape {
  const char* name;
  int64_t n, c, h, w, m, k, group;
  Ints strides, pads, dilations;
  const char* auto_pad;
  bool bias;
};

// Channel counts that are no multiple of a vector, images with ragged rows, single pixels.
const Shape kShapes[] = {
    {"1x1", 1, 32, 7, 9, 48, 1, 1, {}, {}, {}, "", true},
    {"1x1_tail", 2, 19, 5, 5, 13, 1, 1, {}, {}, {}, "", true},
    {"1x1_s2", 1, 16, 8, 9, 24, 1, 1, {2, 2}, {}, {}, "", false},
    {"1x1_pixel", 1, 64, 1, 1, 37, 1, 1, {}, {}, {}, "", true},
    {"3x3", 1, 16, 12, 13, 32, 3, 1, {}, {1, 1, 1, 1}, {}, "", true},
    {"3x3_batch", 3, 5, 9, 7, 11, 3, 1, {}, {1, 1, 1, 1}, {}, "", false},
    {"3x3_nopad", 1, 8, 9, 10, 16, 3, 1, {}, {}, {}, "", true},
    {"3x3_s2", 1, 16, 15, 16, 24, 3, 1, {2, 2}, {1, 1, 1, 1}, {}, "", true},
    {"3x3_s2_uneven", 1, 8, 14, 11, 9, 3, 1, {2, 1}, {1, 0, 2, 1}, {}, "", true},
    {"3x3_dilated", 1, 8, 15, 14, 16, 3, 1, {}, {2, 2, 2, 2}, {2, 2}, "", true},
    {"3x3_group4", 1, 16, 10, 10, 24, 3, 4, {}, {1, 1, 1, 1}, {}, "", true},
    {"3x3_group3_tail", 2, 15, 7, 8, 21, 3, 3, {}, {1, 1, 1, 1}, {}, "", false},
    {"3x3_same_upper", 1, 8, 11, 12, 8, 3, 1, {2, 2}, {}, {}, "SAME_UPPER", true},
    {"3x3_same_lower", 1, 8, 12, 12, 8, 3, 1, {2, 2}, {}, {}, "SAME_LOWER", true},
    {"3x3_valid", 1, 8, 9, 9, 8, 3, 1, {}, {}, {}, "VALID", true},
    {"dw3x3", 1, 32, 13, 12, 32, 3, 32, {}, {1, 1, 1, 1}, {}, "", true},
    {"dw3x3_s2", 2, 21, 15, 14, 21, 3, 21, {2, 2}, {1, 1, 1, 1}, {}, "", true},
    {"dw3x3_s2_tail_pad", 1, 24, 14, 14, 24, 3, 24, {2, 2}, {0, 0, 1, 1}, {}, "", false},
    {"dw5x5", 1, 24, 11, 10, 24, 5, 24, {}, {2, 2, 2, 2}, {}, "", true},
    {"dw5x5_s2", 1, 17, 12, 13, 17, 5, 17, {2, 2}, {2, 2, 2, 2}, {}, "", true},
    {"dw3x3_dilated", 1, 16, 13, 13, 16, 3, 16, {}, {2, 2, 2, 2}, {2, 2}, "", true},
    {"dw_multiplier", 1, 8, 9, 9, 24, 3, 8, {}, {1, 1, 1, 1}, {}, "", true},
    {"5x5", 1, 7, 11, 12, 13, 5, 1, {}, {2, 2, 2, 2}, {}, "", true},
    {"5x5_s2", 1, 12, 13, 13, 16, 5, 1, {2, 2}, {2, 2, 2, 2}, {}, "", false},
    {"7x7_stem", 1, 3, 31, 29, 16, 7, 1, {2, 2}, {3, 3, 3, 3}, {}, "", true},
    {"3x3_stem", 1, 3, 23, 22, 24, 3, 1, {2, 2}, {1, 1, 1, 1}, {}, "", true},
    {"3x3_grey_stem", 1, 1, 28, 28, 8, 3, 1, {}, {1, 1, 1, 1}, {}, "", true},
    {"2x2_s2_patch", 1, 12, 8, 8, 20, 2, 1, {2, 2}, {}, {}, "", true},
    {"all_padding", 1, 4, 2, 2, 6, 3, 1, {}, {2, 2, 2, 2}, {}, "", true},
    {"deep", 1, 160, 4, 4, 72, 3, 1, {}, {1, 1, 1, 1}, {}, "", true},
};

std::vector<Attribute> attributes_of(const Shape& s) {
  std::vector<Attribute> a{{"kernel_shape", Ints{s.k, s.k}}, {"group", s.group}};
  if (!s.strides.empty()) a.emplace_back("strides", s.strides);
  if (!s.pads.empty()) a.emplace_back("pads", s.pads);
  if (!s.dilations.empty()) a.emplace_back("dilations", s.dilations);
  if (*s.auto_pad) a.emplace_back("auto_pad", std::string(s.auto_pad));
  return a;
}

std::vector<OpCase> convolutions() {
  std::vector<OpCase> r;
  uint32_t seed = 100;
  for (const Shape& s : kShapes) {
    std::vector<Datum> in{f32({s.n, s.c, s.h, s.w}, ++seed),
                          f32({s.m, s.c / s.group, s.k, s.k}, ++seed, -0.5, 0.5)};
    if (s.bias) in.emplace_back(f32({s.m}, ++seed));
    r.push_back(make(cat("conv_", s.name), "Conv", 11, std::move(in), attributes_of(s), 1));
  }
  r.push_back(make("conv_1d", "Conv", 11, {f32({2, 6, 33}, 1), f32({10, 6, 5}, 2), f32({10}, 3)},
                   {{"pads", Ints{2, 2}}, {"strides", Ints{2}}}, 1));
  r.push_back(make("conv_1d_pointwise", "Conv", 11, {f32({1, 24, 17}, 4), f32({9, 24, 1}, 5)}, {}, 1));
  r.push_back(make("conv_1d_dilated_causal", "Conv", 11, {f32({1, 8, 20}, 6), f32({8, 8, 3}, 7), f32({8}, 8)},
                   {{"pads", Ints{8, 0}}, {"dilations", Ints{4}}}, 1));
  r.push_back(make("conv_3d", "Conv", 11, {f32({1, 4, 5, 6, 7}, 9), f32({6, 4, 3, 3, 3}, 10), f32({6}, 11)},
                   {{"pads", Ints{1, 1, 1, 1, 1, 1}}, {"strides", Ints{1, 2, 1}}}, 1));
  r.push_back(make("conv_1x7", "Conv", 11, {f32({1, 16, 9, 12}, 12), f32({8, 16, 1, 7}, 13)},
                   {{"pads", Ints{0, 3, 0, 3}}}, 1));
  r.push_back(make("conv_weight_input", "Conv", 11, {f32({1, 4, 6, 6}, 14), f32({5, 4, 3, 3}, 15)},
                   {{"pads", Ints{1, 1, 1, 1}}}));
  r.push_back(make("conv_empty_batch", "Conv", 11, {f32({0, 4, 6, 6}, 16), f32({5, 4, 3, 3}, 17)}, {}, 1));
  r.push_back(
      make("conv_double", "Conv", 11,
           {random_tensor(DType::kDouble, {1, 3, 6, 5}, 18), random_tensor(DType::kDouble, {4, 3, 3, 3}, 19)},
           {{"pads", Ints{1, 1, 1, 1}}}, 1));
  r.push_back(with_tolerance(5e-3, 5e-3,
                             make("conv_half", "Conv", 11,
                                  {random_tensor(DType::kFloat16, {1, 8, 6, 5}, 20),
                                   random_tensor(DType::kFloat16, {7, 8, 3, 3}, 21)},
                                  {{"pads", Ints{1, 1, 1, 1}}}, 1)));
  return r;
}

std::vector<OpCase> transposed() {
  std::vector<OpCase> r;
  auto add = [&](const char* name, Dims x, Dims w, bool bias, std::vector<Attribute> a) {
    uint32_t seed = 200 + static_cast<uint32_t>(r.size()) * 3;
    int64_t group = 1;
    for (const Attribute& t : a)
      if (t.name == "group") group = std::get<int64_t>(t.value);
    std::vector<Datum> in{f32(x, seed), f32(w, seed + 1, -0.5, 0.5)};
    if (bias) in.emplace_back(f32({w[1] * group}, seed + 2));
    r.push_back(make(cat("conv_transpose_", name), "ConvTranspose", 11, std::move(in), std::move(a), 1));
  };
  add("2x2_s2", {1, 16, 7, 6}, {16, 12, 2, 2}, true, {{"strides", Ints{2, 2}}});
  add("3x3_s2", {1, 8, 6, 7}, {8, 10, 3, 3}, true,
      {{"strides", Ints{2, 2}}, {"pads", Ints{1, 1, 1, 1}}, {"output_padding", Ints{1, 1}}});
  add("4x4_s2", {2, 9, 5, 5}, {9, 7, 4, 4}, false, {{"strides", Ints{2, 2}}, {"pads", Ints{1, 1, 1, 1}}});
  add("3x3_s1", {1, 5, 6, 6}, {5, 6, 3, 3}, true, {});
  add("group", {1, 8, 5, 6}, {8, 3, 3, 3}, true, {{"group", int64_t{4}}, {"strides", Ints{2, 2}}});
  add("dilated", {1, 4, 5, 5}, {4, 6, 3, 3}, true, {{"dilations", Ints{2, 2}}});
  add("same_upper", {1, 4, 5, 6}, {4, 5, 3, 3}, true,
      {{"strides", Ints{2, 2}}, {"auto_pad", std::string("SAME_UPPER")}});
  add("same_lower", {1, 4, 5, 6}, {4, 5, 3, 3}, true,
      {{"strides", Ints{2, 2}}, {"auto_pad", std::string("SAME_LOWER")}});
  add("output_shape", {1, 4, 5, 5}, {4, 5, 3, 3}, false,
      {{"strides", Ints{2, 2}}, {"output_shape", Ints{10, 10}}});
  add("3x3_s3", {1, 6, 7, 5}, {6, 5, 3, 3}, true, {{"strides", Ints{3, 3}}});
  add("3x3_s3_padded", {1, 6, 7, 5}, {6, 5, 3, 3}, true,
      {{"strides", Ints{3, 3}}, {"pads", Ints{1, 1, 1, 1}}, {"output_padding", Ints{2, 2}}});
  add("3x3_s3_same", {1, 6, 7, 5}, {6, 5, 3, 3}, true,
      {{"strides", Ints{3, 3}}, {"auto_pad", std::string("SAME_UPPER")}});
  add("3x3_s3_output_shape", {1, 6, 7, 5}, {6, 5, 3, 3}, false,
      {{"strides", Ints{3, 3}}, {"output_shape", Ints{19, 13}}});
  add("1d", {1, 6, 9}, {6, 4, 5}, true, {{"strides", Ints{3}}});
  add("3d", {1, 3, 3, 4, 3}, {3, 4, 2, 2, 2}, true, {{"strides", Ints{2, 2, 2}}});
  return r;
}

std::vector<OpCase> quantized() {
  std::vector<OpCase> r;
  uint32_t seed = 300;
  for (const Shape& s : kShapes) {
    Dims xd{s.n, s.c, s.h, s.w}, wd{s.m, s.c / s.group, s.k, s.k};
    bool unsigned_x = seed % 2 == 0;
    DType t = unsigned_x ? DType::kUint8 : DType::kInt8;
    // Scales that spread the sums over the whole output range, so that rounding and clamping both happen.
    double spread = 0.35 / std::sqrt(static_cast<double>(s.c / s.group * s.k * s.k));
    std::vector<Datum> in{unsigned_x ? u8(xd, seed) : s8(xd, seed),
                          one(DType::kFloat, 0.02),
                          one(t, unsigned_x ? 121 : -7),
                          s8(wd, seed + 1),
                          f32({s.m}, seed + 2, 0.5 * spread, spread),
                          values<int>(DType::kInt8, {s.m}, std::vector<int>(static_cast<size_t>(s.m), 0)),
                          one(DType::kFloat, 0.02),
                          one(t, unsigned_x ? 130 : 3)};
    if (s.bias) in.emplace_back(random_tensor(DType::kInt32, {s.m}, seed + 3, -3000, 3000));
    r.push_back(with_tolerance(0, 0,
                               make(cat("qlinear_conv_", s.name, unsigned_x ? "_u8" : "_s8"), "QLinearConv",
                                    10, std::move(in), attributes_of(s), 1)));
    seed += 5;
  }
  // Weights with a zero point, one scale for the tensor.
  r.push_back(with_tolerance(0, 0,
                             make("qlinear_conv_u8_weights", "QLinearConv", 10,
                                  {u8({1, 8, 7, 7}, 1), one(DType::kFloat, 0.013), one(DType::kUint8, 128),
                                   u8({12, 8, 3, 3}, 2), one(DType::kFloat, 0.007), one(DType::kUint8, 119),
                                   one(DType::kFloat, 0.05), one(DType::kUint8, 140)},
                                  {{"pads", Ints{1, 1, 1, 1}}}, 1)));
  r.push_back(with_tolerance(0, 0,
                             make("conv_integer", "ConvInteger", 10,
                                  {u8({1, 5, 6, 7}, 3), s8({4, 5, 3, 3}, 4), one(DType::kUint8, 100)},
                                  {{"pads", Ints{1, 1, 1, 1}}}, 1)));
  r.push_back(with_tolerance(0, 0,
                             make("conv_integer_zero_points", "ConvInteger", 10,
                                  {u8({2, 4, 5, 5}, 5), u8({6, 2, 3, 3}, 6), one(DType::kUint8, 7),
                                   values<int>(DType::kUint8, {6}, {1, 2, 3, 200, 255, 0})},
                                  {{"group", int64_t{2}}}, 1)));
  return r;
}

const Register kConvolutions(convolutions);
const Register kTransposed(transposed);
const Register kQuantized(quantized);

}  // namespace
}  // namespace skiff::cases
