// Resizing in every mode, NonMaxSuppression, cropping and the removed image operators.
#include "cases/make.h"

namespace skiff::cases {
namespace {

OpCase resized(std::string name, Tensor x, std::vector<double> scales, std::vector<int64_t> sizes,
               std::vector<Attribute> a, int opset = 19) {
  std::vector<Datum> in{std::move(x), Datum(), Datum()};
  if (!scales.empty()) in[2] = values<double>(DType::kFloat, {static_cast<int64_t>(scales.size())}, scales);
  if (!sizes.empty()) in.emplace_back(Tensor::from(std::span<const int64_t>(sizes)));
  return make(cat("resize_", name), "Resize", opset, std::move(in), std::move(a), 1);
}

std::vector<OpCase> resizes() {
  std::vector<OpCase> r;
  auto s = [](const char* v) { return std::string(v); };
  for (const char* mode : {"nearest", "linear", "cubic"}) {
    for (const char* coord :
         {"half_pixel", "asymmetric", "align_corners", "pytorch_half_pixel", "half_pixel_symmetric"}) {
      std::vector<Attribute> a{{"mode", s(mode)}, {"coordinate_transformation_mode", s(coord)}};
      std::string tag = cat(mode, "_", coord);
      r.push_back(resized(tag + "_x2", f32({1, 3, 5, 6}, 1), {1, 1, 2, 2}, {}, a));
      r.push_back(resized(tag + "_down", f32({1, 2, 9, 8}, 2), {1, 1, 0.6, 0.5}, {}, a));
      r.push_back(resized(tag + "_sizes", f32({2, 3, 7, 5}, 3), {}, {2, 3, 11, 13}, a));
      r.push_back(resized(tag + "_to_one", f32({1, 2, 4, 4}, 4), {}, {1, 2, 1, 1}, a));
    }
  }
  for (const char* how : {"round_prefer_floor", "round_prefer_ceil", "floor", "ceil"})
    for (const char* coord : {"half_pixel", "asymmetric"})
      r.push_back(resized(
          cat("nearest_", how, "_", coord), f32({1, 2, 6, 5}, 5), {}, {1, 2, 9, 3},
          {{"mode", s("nearest")}, {"nearest_mode", s(how)}, {"coordinate_transformation_mode", s(coord)}}));
  for (const char* mode : {"linear", "cubic"}) {
    r.push_back(resized(cat(mode, "_antialias"), f32({1, 2, 12, 11}, 6), {1, 1, 0.4, 0.3}, {},
                        {{"mode", s(mode)}, {"antialias", int64_t{1}}}));
    r.push_back(resized(cat(mode, "_exclude_outside"), f32({1, 2, 5, 6}, 7), {1, 1, 2.5, 0.7}, {},
                        {{"mode", s(mode)}, {"exclude_outside", int64_t{1}}}));
  }
  for (const char* policy : {"not_larger", "not_smaller"})
    r.push_back(
        resized(cat("keep_", policy), f32({1, 2, 4, 6}, 8), {}, {8, 9},
                {{"mode", s("linear")}, {"axes", Ints{2, 3}}, {"keep_aspect_ratio_policy", s(policy)}}));
  r.push_back(resized("axes_swapped", f32({1, 2, 4, 6}, 9), {}, {9, 3},
                      {{"mode", s("linear")}, {"axes", Ints{3, 2}}}));
  r.push_back(resized("channels_last", f32({1, 6, 7, 19}, 10), {1, 2, 2, 1}, {}, {{"mode", s("linear")}}));
  r.push_back(resized("channels_last_nearest", f32({1, 6, 7, 19}, 11), {1, 2, 2, 1}, {},
                      {{"mode", s("nearest")},
                       {"coordinate_transformation_mode", s("asymmetric")},
                       {"nearest_mode", s("floor")}}));
  r.push_back(resized("3d_linear", f32({1, 2, 3, 4, 5}, 12), {1, 1, 2, 1.5, 2}, {}, {{"mode", s("linear")}}));
  r.push_back(resized("u8_linear", u8({1, 3, 6, 6}, 13), {1, 1, 2, 2}, {}, {{"mode", s("linear")}}));
  r.push_back(resized("u8_nearest", u8({1, 3, 6, 6}, 14), {1, 1, 2, 3}, {}, {}));
  r.push_back(resized("opset11_upsample", f32({1, 24, 13, 10}, 15), {1, 1, 2, 2}, {},
                      {{"mode", s("nearest")},
                       {"coordinate_transformation_mode", s("asymmetric")},
                       {"nearest_mode", s("floor")}},
                      11));
  OpCase crop =
      make("resize_crop", "Resize", 13,
           {f32({1, 1, 8, 7}, 16), values<double>(DType::kFloat, {8}, {0, 0, 0.4, -0.2, 1, 1, 0.9, 1.2}),
            Datum(), values<int>(DType::kInt64, {4}, {1, 1, 5, 6})},
           {{"mode", s("linear")},
            {"coordinate_transformation_mode", s("tf_crop_and_resize")},
            {"extrapolation_value", 10.0f}},
           1);
  r.push_back(crop);
  r.push_back(make("resize_10", "Resize", 10,
                   {f32({1, 2, 5, 6}, 17), values<double>(DType::kFloat, {4}, {1, 1, 1.5, 0.5})},
                   {{"mode", s("linear")}}, 1));
  r.push_back(make("upsample_9", "Upsample", 9,
                   {f32({1, 2, 3, 4}, 18), values<double>(DType::kFloat, {4}, {1, 1, 2, 3})}, {}, 1));
  r.push_back(make("upsample_7", "Upsample", 7, {f32({1, 2, 3, 4}, 19)},
                   {{"mode", s("linear")}, {"scales", Floats{1, 1, 2, 2}}}));
  return r;
}

std::vector<OpCase> others() {
  std::vector<OpCase> r;
  Tensor boxes = values<double>(DType::kFloat, {1, 6, 4}, {0, 0,  1, 1,  0, 0.1,  1, 1.1,  0, -0.1, 1, 0.9,
                                                           0, 10, 1, 11, 0, 10.1, 1, 11.1, 0, 100,  1, 101});
  Tensor scores = values<double>(DType::kFloat, {1, 1, 6}, {0.9, 0.75, 0.6, 0.95, 0.5, 0.3});
  OpCase nms =
      make("nms", "NonMaxSuppression", 11,
           {boxes, scores, Tensor::scalar(int64_t{3}), Tensor::scalar(0.5f), Tensor::scalar(0.0f)}, {}, 2);
  nms.expected = {values<int>(DType::kInt64, {3, 3}, {0, 0, 3, 0, 0, 0, 0, 0, 5})};
  r.push_back(nms);
  r.push_back(make("nms_classes", "NonMaxSuppression", 11,
                   {f32({2, 40, 4}, 20, 0, 1), f32({2, 3, 40}, 21, 0, 1), Tensor::scalar(int64_t{7}),
                    Tensor::scalar(0.3f), Tensor::scalar(0.4f)},
                   {{"center_point_box", int64_t{1}}}, 2));
  r.push_back(make("nms_none", "NonMaxSuppression", 11,
                   {f32({1, 5, 4}, 22), f32({1, 1, 5}, 23, 0, 1), Tensor::scalar(int64_t{5}),
                    Tensor::scalar(0.3f), Tensor::scalar(2.0f)},
                   {}, 2));
  r.push_back(make("center_crop_pad", "CenterCropPad", 18,
                   {f32({8, 7, 3}, 24), values<int>(DType::kInt64, {2}, {5, 10})}, {{"axes", Ints{0, -2}}},
                   1));
  r.push_back(make("center_crop_pad_all", "CenterCropPad", 18,
                   {u8({4, 5}, 25), values<int>(DType::kInt64, {2}, {7, 2})}, {}, 1));
  OpCase crop = make("crop", "Crop", 7,
                     {values<int>(DType::kFloat, {1, 1, 3, 4}, {0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11})},
                     {{"border", Ints{1, 0, 2, 1}}});
  crop.expected = {values<int>(DType::kFloat, {1, 1, 2, 1}, {1, 5})};
  r.push_back(crop);
  r.push_back(make("image_scaler", "ImageScaler", 7, {f32({1, 3, 4, 5}, 26)},
                   {{"bias", Floats{-1, 2, 0.5f}}, {"scale", 2.0f}}));
  r.push_back(make("affine", "Affine", 7, {f32({2, 3}, 27)}, {{"alpha", 150.0f}, {"beta", -3.0f}}));
  return r;
}

const Register kResizes(resizes);
const Register kOthers(others);

}  // namespace
}  // namespace skiff::cases
