// The internal operators passes make: fused convolutions in either layout with every activation,
// channels-last forms of standard operators.
#include "cases/make.h"

namespace skiff::cases {
namespace {

OpCase fused(std::string name, std::string op, std::vector<Datum> in, std::vector<Attribute> a) {
  OpCase c = in_domain("skiff", make(std::move(name), std::move(op), 1, std::move(in), std::move(a), 1));
  if (c.constant.size() > 3) c.constant[3] = false;  // the residual
  return c;
}

Dims image(bool last, int64_t n, int64_t c, int64_t h, int64_t w) {
  return last ? Dims{n, h, w, c} : Dims{n, c, h, w};
}

struct Shape {
  const char* name;
  int64_t n, c, h, w, m, k, group, stride, pad, dilation;
};
const Shape kShapes[] = {
    {"1x1", 1, 32, 7, 6, 40, 1, 1, 1, 0, 1},         {"1x1_tail", 2, 13, 5, 3, 19, 1, 1, 1, 0, 1},
    {"1x1_s2", 1, 16, 9, 8, 8, 1, 1, 2, 0, 1},       {"3x3", 1, 16, 11, 13, 24, 3, 1, 1, 1, 1},
    {"3x3_s2", 1, 9, 12, 11, 17, 3, 1, 2, 1, 1},     {"3x3_dilated", 1, 8, 12, 12, 8, 3, 1, 1, 2, 2},
    {"3x3_group", 1, 16, 8, 8, 32, 3, 4, 1, 1, 1},   {"dw3x3", 1, 32, 11, 10, 32, 3, 32, 1, 1, 1},
    {"dw3x3_s2", 2, 19, 12, 13, 19, 3, 19, 2, 1, 1}, {"dw5x5", 1, 24, 9, 9, 24, 5, 24, 1, 2, 1},
    {"5x5_s2", 1, 6, 13, 13, 10, 5, 1, 2, 2, 1},     {"7x7_stem", 1, 3, 29, 30, 16, 7, 1, 2, 3, 1},
    {"3x3_stem", 1, 3, 17, 18, 32, 3, 1, 2, 1, 1},   {"deep", 1, 130, 5, 4, 66, 3, 1, 1, 1, 1},
};

struct Act {
  const char* name;
  float alpha, beta;
};
const Act kActs[] = {{"", 0, 0},
                     {"relu", 0, 0},
                     {"clip", 0, 6},
                     {"clip", -0.5f, 0.75f},
                     {"leaky_relu", 0.1f, 0},
                     {"sigmoid", 0, 0},
                     {"tanh", 0, 0},
                     {"silu", 0, 0},
                     {"hard_swish", 0, 0},
                     {"hard_sigmoid", 0.2f, 0.5f},
                     {"gelu", 0, 0},
                     {"gelu_tanh", 0, 0}};

std::vector<Attribute> attributes(const Shape& s, const Act& a, const char* layout) {
  return {{"kernel_shape", Ints{s.k, s.k}},
          {"strides", Ints{s.stride, s.stride}},
          {"pads", Ints{s.pad, s.pad, s.pad, s.pad}},
          {"dilations", Ints{s.dilation, s.dilation}},
          {"group", s.group},
          {"activation", std::string(a.name)},
          {"alpha", a.alpha},
          {"beta", a.beta},
          {"layout", std::string(layout)}};
}

std::vector<OpCase> convolutions() {
  std::vector<OpCase> r;
  uint32_t seed = 500;
  size_t turn = 0;
  for (bool last : {true, false}) {
    const char* layout = last ? "NHWC" : "NCHW";
    for (const Shape& s : kShapes) {
      // Every shape with and without a residual; the activations take turns.
      for (bool residual : {false, true}) {
        const Act& a = kActs[turn++ % std::size(kActs)];
        int64_t span = s.dilation * (s.k - 1) + 1;
        int64_t oh = (s.h + 2 * s.pad - span) / s.stride + 1, ow = (s.w + 2 * s.pad - span) / s.stride + 1;
        std::vector<Datum> in{f32(image(last, s.n, s.c, s.h, s.w), ++seed),
                              f32({s.m, s.c / s.group, s.k, s.k}, ++seed, -0.5, 0.5), f32({s.m}, ++seed)};
        if (residual) in.emplace_back(f32(image(last, s.n, s.m, oh, ow), ++seed));
        r.push_back(fused(cat("skiff_conv_", s.name, "_", layout, residual ? "_add" : "", *a.name ? "_" : "",
                              a.name, residual ? "" : "_plain"),
                          "Conv", std::move(in), attributes(s, a, layout)));
      }
    }
    // Every activation on one pointwise and one 3x3 shape; no bias on the latter.
    for (size_t i = 0; i < std::size(kActs); ++i) {
      const Act& a = kActs[i];
      r.push_back(fused(cat("skiff_conv_act", i, "_", layout), "Conv",
                        {f32(image(last, 1, 8, 5, 6), ++seed), f32({12, 8, 1, 1}, ++seed), f32({12}, ++seed)},
                        attributes({"", 1, 8, 5, 6, 12, 1, 1, 1, 0, 1}, a, layout)));
      r.push_back(fused(cat("skiff_conv3_act", i, "_", layout), "Conv",
                        {f32(image(last, 1, 8, 6, 7), ++seed), f32({16, 8, 3, 3}, ++seed)},
                        attributes({"", 1, 8, 6, 7, 16, 3, 1, 1, 1, 1}, a, layout)));
    }
  }
  // Stems: planar input, channels-last output.
  for (int64_t k : {3, 7}) {
    std::vector<Attribute> a = attributes({"", 1, 3, 21, 22, 16, k, 1, 2, k / 2, 1}, kActs[1], "NHWC");
    a.emplace_back("x_layout", std::string("NCHW"));
    r.push_back(fused(cat("skiff_conv_planar_stem_", k), "Conv",
                      {f32({1, 3, 21, 22}, ++seed), f32({16, 3, k, k}, ++seed), f32({16}, ++seed)},
                      std::move(a)));
  }
  // Padding on one side, SAME padding, one spatial axis.
  std::vector<Attribute> uneven = attributes({"", 1, 8, 9, 8, 8, 3, 8, 2, 0, 1}, kActs[1], "NHWC");
  uneven[2] = {"pads", Ints{0, 0, 1, 1}};
  r.push_back(fused("skiff_conv_dw_tail_pad_NHWC", "Conv",
                    {f32({1, 8, 8, 8}, ++seed), f32({8, 1, 3, 3}, ++seed), f32({8}, ++seed)}, uneven));
  uneven[2] = {"auto_pad", std::string("SAME_UPPER")};
  uneven[4] = {"group", int64_t{1}};
  r.push_back(fused("skiff_conv_same_NHWC", "Conv",
                    {f32({1, 9, 8, 8}, ++seed), f32({12, 8, 3, 3}, ++seed), f32({12}, ++seed)}, uneven));
  r.push_back(fused("skiff_conv_1d_NHWC", "Conv",
                    {f32({2, 19, 6}, ++seed), f32({10, 6, 5}, ++seed), f32({10}, ++seed)},
                    {{"pads", Ints{2, 2}}, {"strides", Ints{2}}, {"layout", std::string("NHWC")}}));
  r.push_back(fused("skiff_conv_3d_NHWC", "Conv",
                    {f32({1, 4, 5, 6, 3}, ++seed), f32({7, 3, 3, 3, 3}, ++seed)},
                    {{"pads", Ints{1, 1, 1, 1, 1, 1}}, {"layout", std::string("NHWC")}}));
  return r;
}

std::vector<OpCase> transposed() {
  std::vector<OpCase> r;
  uint32_t seed = 900;
  for (bool last : {true, false}) {
    std::string layout = last ? "NHWC" : "NCHW";
    r.push_back(fused("skiff_conv_transpose_2x2_s2_" + layout, "ConvTranspose",
                      {f32(image(last, 1, 16, 6, 5), ++seed), f32({16, 12, 2, 2}, ++seed), f32({12}, ++seed)},
                      {{"strides", Ints{2, 2}}, {"layout", layout}, {"activation", std::string("relu")}}));
    r.push_back(fused("skiff_conv_transpose_3x3_add_" + layout, "ConvTranspose",
                      {f32(image(last, 1, 8, 5, 6), ++seed), f32({8, 9, 3, 3}, ++seed), f32({9}, ++seed),
                       f32(image(last, 1, 9, 10, 12), ++seed)},
                      {{"strides", Ints{2, 2}},
                       {"pads", Ints{1, 1, 1, 1}},
                       {"output_padding", Ints{1, 1}},
                       {"layout", layout},
                       {"activation", std::string("leaky_relu")},
                       {"alpha", 0.2f}}));
    r.push_back(fused(
        "skiff_conv_transpose_4x4_group_" + layout, "ConvTranspose",
        {f32(image(last, 2, 8, 4, 5), ++seed), f32({8, 3, 4, 4}, ++seed)},
        {{"strides", Ints{2, 2}}, {"pads", Ints{1, 1, 1, 1}}, {"group", int64_t{2}}, {"layout", layout}}));
  }
  return r;
}

std::vector<OpCase> forms() {
  std::vector<OpCase> r;
  std::string last = "NHWC";
  auto add = [&](const char* name, const char* op, std::vector<Datum> in, std::vector<Attribute> a) {
    a.emplace_back("layout", last);
    r.push_back(
        in_domain("skiff", make(cat("skiff_", name, "_NHWC"), op, 1, std::move(in), std::move(a), 1)));
  };
  add("max_pool_2x2", "MaxPool", {f32({1, 8, 9, 17}, 1)},
      {{"kernel_shape", Ints{2, 2}}, {"strides", Ints{2, 2}}});
  add("max_pool_3x3_pad", "MaxPool", {f32({2, 9, 8, 13}, 2)},
      {{"kernel_shape", Ints{3, 3}}, {"strides", Ints{2, 2}}, {"pads", Ints{1, 1, 1, 1}}});
  add("max_pool_ceil", "MaxPool", {f32({1, 8, 8, 5}, 3)},
      {{"kernel_shape", Ints{3, 3}}, {"strides", Ints{2, 2}}, {"ceil_mode", int64_t{1}}});
  add("max_pool_u8", "MaxPool", {u8({1, 7, 6, 33}, 4)},
      {{"kernel_shape", Ints{2, 2}}, {"strides", Ints{2, 2}}});
  add("average_pool_2x2", "AveragePool", {f32({1, 8, 8, 16}, 5)},
      {{"kernel_shape", Ints{2, 2}}, {"strides", Ints{2, 2}}});
  add("average_pool_3x3_pad", "AveragePool", {f32({1, 7, 9, 11}, 6)},
      {{"kernel_shape", Ints{3, 3}}, {"pads", Ints{1, 1, 1, 1}}});
  add("average_pool_count_pad", "AveragePool", {f32({1, 7, 9, 11}, 7)},
      {{"kernel_shape", Ints{3, 3}}, {"pads", Ints{1, 1, 1, 1}}, {"count_include_pad", int64_t{1}}});
  add("lp_pool", "LpPool", {f32({1, 6, 6, 5}, 8)}, {{"kernel_shape", Ints{2, 2}}, {"p", int64_t{2}}});
  add("global_average_pool", "GlobalAveragePool", {f32({2, 7, 5, 35}, 9)}, {});
  add("global_max_pool", "GlobalMaxPool", {f32({2, 7, 5, 35}, 10)}, {});
  add("global_average_pool_1d", "GlobalAveragePool", {f32({2, 7, 9}, 11)}, {});
  add("batch_norm", "BatchNormalization",
      {f32({2, 5, 6, 19}, 12), f32({19}, 13), f32({19}, 14), f32({19}, 15), f32({19}, 16, 0.1, 2)}, {});
  add("instance_norm", "InstanceNormalization", {f32({2, 6, 7, 18}, 17), f32({18}, 18), f32({18}, 19)}, {});
  add("lrn", "LRN", {f32({1, 4, 5, 12}, 20)}, {{"size", int64_t{5}}, {"alpha", 0.001f}});
  return r;
}

const Register kConvolutions(convolutions);
const Register kTransposed(transposed);
const Register kForms(forms);

}  // namespace
}  // namespace skiff::cases
