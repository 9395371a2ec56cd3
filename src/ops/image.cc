// Image operators that are not Resize: NonMaxSuppression, ImageDecoder and the removed Crop, ImageScaler,
// Affine.
#include <algorithm>
#include <cmath>

#include "codecs/image.h"
#include "ops/real_view.h"

namespace skiff {
namespace {

// ---------------------------------------------------------------- NonMaxSuppression

void infer_nms(InferContext& c) {
  c.expect_rank(0, 3);
  c.expect_rank(1, 3);
  c.set(0, DType::kInt64, SymShape(std::vector<Dim>{Dim(), Dim(3)}));
}

struct Box {
  float x1, y1, x2, y2;
};

Box box_of(const float* p, bool center) {
  if (center) return {p[0] - p[2] / 2, p[1] - p[3] / 2, p[0] + p[2] / 2, p[1] + p[3] / 2};
  return {std::min(p[1], p[3]), std::min(p[0], p[2]), std::max(p[1], p[3]), std::max(p[0], p[2])};
}

// Intersection over union above the threshold; boxes without area overlap nothing.
bool overlaps(const Box& a, const Box& b, float threshold) {
  float w = std::min(a.x2, b.x2) - std::max(a.x1, b.x1), h = std::min(a.y2, b.y2) - std::max(a.y1, b.y1);
  if (!(w > 0) || !(h > 0)) return false;
  float inter = w * h, area_a = (a.x2 - a.x1) * (a.y2 - a.y1), area_b = (b.x2 - b.x1) * (b.y2 - b.y1);
  float both = area_a + area_b - inter;
  if (area_a <= 0 || area_b <= 0 || both <= 0) return false;
  return inter / both > threshold;
}

void nms_reference(KernelContext& c) {
  const Tensor &boxes = c.in(0), &scores = c.in(1);
  ref::expect_rank(boxes, 3, "boxes");
  ref::expect_rank(scores, 3, "scores");
  int64_t batch = boxes.dim(0), n = boxes.dim(1), classes = scores.dim(1);
  check(boxes.dim(2) == 4 && scores.dim(0) == batch && scores.dim(2) == n, Code::kInvalidModel, "boxes ",
        to_string(boxes.dims()), " must be [batch, n, 4] and scores ", to_string(scores.dims()),
        " [batch, classes, n]");
  int64_t most = c.has(2) ? static_cast<int64_t>(ref::scalar_of(c.in(2), "max_output_boxes_per_class")) : 0;
  float iou = c.has(3) ? static_cast<float>(ref::scalar_of(c.in(3), "iou_threshold")) : 0;
  bool has_min = c.has(4);
  float min_score = has_min ? static_cast<float>(ref::scalar_of(c.in(4), "score_threshold")) : 0;
  check(iou >= 0 && iou <= 1, Code::kInvalidModel, "iou_threshold is ", iou, ", it must lie in [0, 1]");
  bool center = c.node().attr_i("center_point_box", 0) != 0;
  std::vector<int64_t> result, order, chosen;
  for (int64_t b = 0; b < batch && most > 0; ++b) {
    const float* bp = boxes.data<float>() + b * n * 4;
    for (int64_t k = 0; k < classes; ++k) {
      c.poll();
      const float* sp = scores.data<float>() + (b * classes + k) * n;
      order.clear();
      chosen.clear();
      for (int64_t i = 0; i < n; ++i)
        if (sp[i] == sp[i] && (!has_min || sp[i] > min_score)) order.push_back(i);
      std::sort(order.begin(), order.end(),
                [sp](int64_t l, int64_t r) { return sp[l] != sp[r] ? sp[l] > sp[r] : l < r; });
      for (int64_t i : order) {
        if (static_cast<int64_t>(chosen.size()) >= most) break;
        Box box = box_of(bp + i * 4, center);
        bool keep = true;
        for (int64_t j : chosen) keep = keep && !overlaps(box, box_of(bp + j * 4, center), iou);
        if (!keep) continue;
        chosen.push_back(i);
        result.insert(result.end(), {b, k, i});
      }
    }
  }
  Tensor& y = c.out(0, DType::kInt64, {static_cast<int64_t>(result.size()) / 3, 3});
  std::copy(result.begin(), result.end(), y.data<int64_t>());
}

Cost cost_nms(const CostContext& c) {
  double n = c.in_elements(1);
  return {n * 16, n * 4 + c.in_elements(0) * 4};
}

}  // namespace

SKIFF_OP_DEF(ai_onnx, NonMaxSuppression) {
  return {.name = "NonMaxSuppression",
          .versions = {10, 11},
          .inputs = {{"boxes", mask_of(DType::kFloat)},
                     {"scores", mask_of(DType::kFloat)},
                     {"max_output_boxes_per_class", mask_of(DType::kInt64), 0, Arity::kOptional},
                     {"iou_threshold", mask_of(DType::kFloat), 0, Arity::kOptional},
                     {"score_threshold", mask_of(DType::kFloat), 0, Arity::kOptional}},
          .outputs = {{"selected_indices", mask_of(DType::kInt64)}},
          .attributes = {{"center_point_box", AttrType::kInt}},
          .infer = infer_nms,
          .reference = nms_reference,
          .cost = cost_nms,
          .flags = kDataDependent};
}

// ---------------------------------------------------------------- Crop, ImageScaler, Affine (experimental,
// removed)

namespace {

// border: left, top, right, bottom of [N, C, H, W]; scale (optional): the height and width kept instead.
SymShape cropped(const Node& n, const SymShape& x) {
  if (!x.has_rank()) return {};
  if (x.rank() != 4) fail(Code::kInvalidModel, "Crop takes [N, C, H, W], it was given ", x.to_string());
  std::vector<int64_t> border = n.attr_ints("border"), scale = n.attr_ints("scale");
  check(border.size() == 4, Code::kInvalidModel, "border has ", border.size(), " entries, 4 are needed");
  check(scale.empty() || scale.size() == 2, Code::kInvalidModel, "scale has ", scale.size(),
        " entries, 2 are needed");
  SymShape y = x;
  for (size_t i = 0; i < 2; ++i) {
    int64_t lo = border[i == 0 ? 1 : 0], hi = border[i == 0 ? 3 : 2];
    check(lo >= 0 && hi >= 0, Code::kInvalidModel, "border holds a negative extent");
    Dim room = x[i + 2] - Dim(lo), d = scale.empty() ? room - Dim(hi) : Dim(scale[i]);
    check(!d.is_const() || (d.value() >= 0 && (!room.is_const() || d.value() <= room.value())),
          Code::kInvalidModel, "the border leaves nothing of the image");
    y[i + 2] = d;
  }
  return y;
}

void infer_crop(InferContext& c) { c.set(0, c.dtype(0), cropped(c.node(), c.shape(0))); }

void crop_reference(KernelContext& c) {
  const Tensor& x = c.in(0);
  Dims d = cropped(c.node(), SymShape(x.dims())).to_dims(), strides = strides_of(x.dims());
  std::vector<int64_t> border = c.node().attr_ints("border");
  Tensor& y = c.out(0, x.dtype(), d);
  if (y.size()) ref::copy_box(y, 0, strides_of(d), x, border[1] * strides[2] + border[0], strides, d);
}

void image_scaler_reference(KernelContext& c) {
  const Tensor& x = c.in(0);
  ref::expect_rank(x, 4, "the input of ImageScaler");
  std::vector<float> bias = c.node().attr_floats("bias");
  double scale = c.node().attr_f("scale", 1);
  check(static_cast<int64_t>(bias.size()) == x.dim(1), Code::kInvalidModel, "bias has ", bias.size(),
        " entries for ", x.dim(1), " channels");
  std::vector<double> v = ref::to_doubles(x);
  int64_t inner = x.dim(2) * x.dim(3);
  for (int64_t i = 0; i < x.size(); ++i)
    v[static_cast<size_t>(i)] = v[static_cast<size_t>(i)] * scale +
                                static_cast<double>(bias[static_cast<size_t>(i / inner % x.dim(1))]);
  ref::store_all(c.out(0, x.dtype(), x.dims()), v.data());
}

// ---------------------------------------------------------------- ImageDecoder

std::string pixel_format(const Node& n) {
  std::string f = n.attr_s("pixel_format", "RGB");
  check(f == "RGB" || f == "BGR" || f == "Grayscale", Code::kInvalidModel, "attribute 'pixel_format' = '", f,
        "'; it must be 'RGB', 'BGR' or 'Grayscale'");
  return f;
}

void infer_decoder(InferContext& c) {
  c.expect_rank(0, 1);
  SymShape y = SymShape::of_rank(3);
  y[2] = int64_t{pixel_format(c.node()) == "Grayscale" ? 1 : 3};
  c.set(0, DType::kUint8, std::move(y));
}

// What cannot be decoded gives an image without pixels, as the standard wants it.
void decoder_reference(KernelContext& c) {
  const Tensor& x = c.in(0);
  std::string format = pixel_format(c.node());
  codecs::Image image;
  try {
    image = codecs::decode_image({x.data<char>(), x.bytes()});
  } catch (const Error& e) {
    if (e.code() != Code::kInvalidArgument) throw;
  }
  int64_t channels = format == "Grayscale" ? 1 : 3;
  auto* y = c.out(0, DType::kUint8, {image.height, image.width, channels}).data<uint8_t>();
  for (size_t i = 0; i < image.pixels.size(); i += 3) {
    const uint8_t* p = image.pixels.data() + i;
    if (channels == 1) {
      *y++ = codecs::luma(p);
      continue;
    }
    for (size_t k = 0; k < 3; ++k) *y++ = p[format == "BGR" ? 2 - k : k];
  }
}

// ---------------------------------------------------------------- Affine

void affine_block(const double* const* in, double* out, int64_t n, const double* p) {
  for (int64_t i = 0; i < n; ++i) out[i] = p[0] * in[0][i] + p[1];
}

void affine_reference(KernelContext& c) {
  double p[2] = {c.node().attr_f("alpha", 1), c.node().attr_f("beta", 0)};
  ref::ElementwiseFns f;
  f.real = affine_block;
  ref::elementwise(c, c.in(0).dtype(), f, p, 1);
}

}  // namespace

SKIFF_OP_DEF(ai_onnx, Crop) {
  return {.name = "Crop",
          .versions = {1},
          .removed = 10,
          .inputs = {{"input", kFloatTypes, 'T'}},
          .outputs = {{"output", kFloatTypes, 'T'}},
          .attributes = {{"border", AttrType::kInts, true}, {"scale", AttrType::kInts}},
          .infer = infer_crop,
          .reference = crop_reference};
}

SKIFF_OP_DEF(ai_onnx, ImageDecoder) {
  return {.name = "ImageDecoder",
          .versions = {20},
          .inputs = {{"encoded_stream", mask_of(DType::kUint8)}},
          .outputs = {{"image", mask_of(DType::kUint8)}},
          .attributes = {{"pixel_format", AttrType::kString}},
          .infer = infer_decoder,
          .reference = decoder_reference,
          .flags = kDataDependent};
}

SKIFF_OP_DEF(ai_onnx, ImageScaler) {
  return {.name = "ImageScaler",
          .versions = {1},
          .removed = 10,
          .inputs = {{"input", kFloatTypes, 'T'}},
          .outputs = {{"output", kFloatTypes, 'T'}},
          .attributes = {{"bias", AttrType::kFloats, true}, {"scale", AttrType::kFloat}},
          .infer = infer_same,
          .reference = image_scaler_reference};
}

SKIFF_OP_DEF(ai_onnx, Affine) {
  return {.name = "Affine",
          .versions = {1},
          .removed = 10,
          .inputs = {{"X", kFloatTypes, 'T'}},
          .outputs = {{"Y", kFloatTypes, 'T'}},
          .attributes = {{"alpha", AttrType::kFloat}, {"beta", AttrType::kFloat}},
          .infer = infer_same,
          .reference = affine_reference,
          .flags = kElementwise};
}

}  // namespace skiff
