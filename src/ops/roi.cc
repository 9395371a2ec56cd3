// Pooling over regions of interest: RoiAlign, MaxRoiPool, and com.microsoft's CropAndResize.
#include <algorithm>
#include <cmath>

#include "ops/real_view.h"
#include "ops/window.h"

namespace skiff {
namespace {

constexpr double kFar = 1e7;  // coordinates are brought into +-kFar before they become integers

void infer_roi(InferContext& c, Dim height, Dim width) {
  c.expect_rank(0, 4);
  c.expect_rank(1, 2);
  SymShape y(std::vector<Dim>{Dim(), Dim(), std::move(height), std::move(width)});
  if (c.has_rank(1)) y[0] = c.shape(1)[0];
  if (c.has_rank(0)) y[1] = c.shape(0)[1];
  c.set(0, c.dtype(0), std::move(y));
}

int64_t extent(const Node& n, const char* name) {
  int64_t v = n.attr_i(name, 1);
  check(v >= 1 && v < (1 << 20), Code::kInvalidModel, name, " is ", v);
  return v;
}

// ---------------------------------------------------------------- RoiAlign

void infer_roi_align(InferContext& c) {
  infer_roi(c, extent(c.node(), "output_height"), extent(c.node(), "output_width"));
}

// The four neighbours of a sampling point; all weights 0 outside the picture.
struct Sample {
  int64_t at[4] = {0, 0, 0, 0};
  double w[4] = {0, 0, 0, 0};
};

Sample sample_at(double y, double x, int64_t h, int64_t w) {
  Sample s;
  auto fh = static_cast<double>(h), fw = static_cast<double>(w);
  if (!(y >= -1 && y <= fh && x >= -1 && x <= fw)) return s;
  y = std::max(y, 0.0);
  x = std::max(x, 0.0);
  auto y0 = std::min(static_cast<int64_t>(y), h - 1), x0 = std::min(static_cast<int64_t>(x), w - 1);
  int64_t y1 = std::min(y0 + 1, h - 1), x1 = std::min(x0 + 1, w - 1);
  double ly = y0 == y1 ? 0 : y - static_cast<double>(y0), lx = x0 == x1 ? 0 : x - static_cast<double>(x0);
  s.at[0] = y0 * w + x0;
  s.at[1] = y0 * w + x1;
  s.at[2] = y1 * w + x0;
  s.at[3] = y1 * w + x1;
  s.w[0] = (1 - ly) * (1 - lx);
  s.w[1] = (1 - ly) * lx;
  s.w[2] = ly * (1 - lx);
  s.w[3] = ly * lx;
  return s;
}

void roi_align_reference(KernelContext& c) {
  const Node& n = c.node();
  const Tensor& x = c.in(0);
  ref::expect_rank(x, 4, "X");
  ref::expect_rank(c.in(1), 2, "rois");
  int64_t rois = c.in(1).dim(0), channels = x.dim(1), h = x.dim(2), w = x.dim(3);
  ref::expect_dims(c.in(1), {rois, 4}, "rois");
  ref::expect_dims(c.in(2), {rois}, "batch_indices");
  check(h > 0 && w > 0, Code::kInvalidModel, "X has no elements to sample");
  int64_t oh = extent(n, "output_height"), ow = extent(n, "output_width"),
          ratio = n.attr_i("sampling_ratio", 0);
  check(ratio >= 0 && ratio < 4096, Code::kInvalidModel, "sampling_ratio is ", ratio);
  // Before version 16 there was no attribute and no half pixel.
  bool half = n.opset >= 16 && n.attr_s("coordinate_transformation_mode", "half_pixel") == "half_pixel";
  std::string mode = n.attr_s("mode", "avg");
  check(mode == "avg" || mode == "max", Code::kInvalidModel, "mode '", mode, "' is not known");
  double scale = n.attr_f("spatial_scale", 1), offset = half ? 0.5 : 0;
  std::vector<double> r = ref::to_doubles(c.in(1)), xv = ref::to_doubles(x);
  std::vector<int64_t> batch = to_ints(c.in(2));
  Tensor& y = c.out(0, x.dtype(), {rois, channels, oh, ow});
  std::vector<Sample> grid;
  for (int64_t k = 0; k < rois; ++k) {
    c.poll();
    int64_t b = batch[static_cast<size_t>(k)];
    check(b >= 0 && b < x.dim(0), Code::kInvalidModel, "a region lies in picture ", b, " of ", x.dim(0));
    double box[4];
    for (size_t i = 0; i < 4; ++i) {
      double v = r[static_cast<size_t>(k) * 4 + i];
      box[i] = std::clamp(v == v ? v * scale : 0, -kFar, kFar) - offset;
    }
    double rw = box[2] - box[0], rh = box[3] - box[1];
    if (!half) {
      rw = std::max(rw, 1.0);
      rh = std::max(rh, 1.0);
    }
    double bh = rh / static_cast<double>(oh), bw = rw / static_cast<double>(ow);
    auto gh = ratio > 0 ? ratio : static_cast<int64_t>(std::ceil(bh));
    auto gw = ratio > 0 ? ratio : static_cast<int64_t>(std::ceil(bw));
    gh = std::max<int64_t>(gh, 0);
    gw = std::max<int64_t>(gw, 0);
    check(gh * gw <= (1 << 24), Code::kLimit, "a region is sampled at ", gh, " by ", gw, " points a bin");
    for (int64_t ph = 0; ph < oh; ++ph) {
      for (int64_t pw = 0; pw < ow; ++pw) {
        grid.clear();
        for (int64_t i = 0; i < gh; ++i)
          for (int64_t j = 0; j < gw; ++j)
            grid.push_back(sample_at(
                box[1] +
                    (static_cast<double>(ph) + (static_cast<double>(i) + 0.5) / static_cast<double>(gh)) * bh,
                box[0] +
                    (static_cast<double>(pw) + (static_cast<double>(j) + 0.5) / static_cast<double>(gw)) * bw,
                h, w));
        for (int64_t ch = 0; ch < channels; ++ch) {
          const double* p = xv.data() + (b * channels + ch) * h * w;
          double v = 0;
          for (size_t s = 0; s < grid.size(); ++s) {
            const Sample& g = grid[s];
            double t[4];
            for (size_t q = 0; q < 4; ++q) t[q] = g.w[q] * p[g.at[q]];
            // "max" takes the largest weighted neighbour, not the largest interpolated value.
            double top = std::max(std::max(t[0], t[1]), std::max(t[2], t[3]));
            if (mode == "avg")
              v += t[0] + t[1] + t[2] + t[3];
            else
              v = s == 0 ? top : std::max(v, top);
          }
          if (mode == "avg") v /= static_cast<double>(std::max<size_t>(grid.size(), 1));
          set_double(y, ((k * channels + ch) * oh + ph) * ow + pw, v);
        }
      }
    }
  }
}

// ---------------------------------------------------------------- MaxRoiPool

void infer_max_roi_pool(InferContext& c) {
  std::vector<int64_t> p = checked_ints(c.node(), "pooled_shape", 2, 1, 1);
  infer_roi(c, p[0], p[1]);
}

void max_roi_pool_reference(KernelContext& c) {
  const Tensor& x = c.in(0);
  ref::expect_rank(x, 4, "X");
  ref::expect_rank(c.in(1), 2, "rois");
  int64_t rois = c.in(1).dim(0), channels = x.dim(1), h = x.dim(2), w = x.dim(3);
  ref::expect_dims(c.in(1), {rois, 5}, "rois");
  std::vector<int64_t> pooled = checked_ints(c.node(), "pooled_shape", 2, 1, 1);
  double scale = c.node().attr_f("spatial_scale", 1);
  std::vector<double> r = ref::to_doubles(c.in(1)), xv = ref::to_doubles(x);
  Tensor& y = c.out(0, x.dtype(), {rois, channels, pooled[0], pooled[1]});
  for (int64_t k = 0; k < rois; ++k) {
    c.poll();
    const double* roi = r.data() + k * 5;
    auto b = static_cast<int64_t>(std::clamp(roi[0], -1.0, kFar));
    check(b >= 0 && b < x.dim(0), Code::kInvalidModel, "a region lies in picture ", b, " of ", x.dim(0));
    int64_t box[4];
    for (size_t i = 0; i < 4; ++i)
      box[i] = static_cast<int64_t>(
          std::round(std::clamp(roi[i + 1] == roi[i + 1] ? roi[i + 1] * scale : 0, -kFar, kFar)));
    double bh =
        static_cast<double>(std::max<int64_t>(box[3] - box[1] + 1, 1)) / static_cast<double>(pooled[0]);
    double bw =
        static_cast<double>(std::max<int64_t>(box[2] - box[0] + 1, 1)) / static_cast<double>(pooled[1]);
    auto edge = [](double v, int64_t start, int64_t n) {
      return std::clamp<int64_t>(static_cast<int64_t>(v) + start, 0, n);
    };
    for (int64_t ph = 0; ph < pooled[0]; ++ph) {
      for (int64_t pw = 0; pw < pooled[1]; ++pw) {
        int64_t y0 = edge(std::floor(static_cast<double>(ph) * bh), box[1], h);
        int64_t y1 = edge(std::ceil(static_cast<double>(ph + 1) * bh), box[1], h);
        int64_t x0 = edge(std::floor(static_cast<double>(pw) * bw), box[0], w);
        int64_t x1 = edge(std::ceil(static_cast<double>(pw + 1) * bw), box[0], w);
        for (int64_t ch = 0; ch < channels; ++ch) {
          const double* p = xv.data() + (b * channels + ch) * h * w;
          bool any = y1 > y0 && x1 > x0;
          double v = any ? -INFINITY : 0;
          for (int64_t i = y0; i < y1; ++i)
            for (int64_t j = x0; j < x1; ++j) v = std::max(v, p[i * w + j]);
          set_double(y, ((k * channels + ch) * pooled[0] + ph) * pooled[1] + pw, v);
        }
      }
    }
  }
}

// ---------------------------------------------------------------- CropAndResize

void infer_crop_and_resize(InferContext& c) {
  c.expect_rank(0, 4);
  c.expect_rank(1, 2);
  SymShape y = SymShape::of_rank(4);
  if (c.has_rank(1)) y[0] = c.shape(1)[0];
  if (c.has_rank(0)) y[1] = c.shape(0)[1];
  if (auto size = c.data(3); size && size->size() == 2)
    for (size_t i = 0; i < 2; ++i) y[2 + i] = (*size)[i];
  c.set(0, c.dtype(0), std::move(y));
}

// Regions [y1, x1, y2, x2] in parts of the picture; what lies outside of it has the extrapolation value.
void crop_and_resize_reference(KernelContext& c) {
  const Tensor &x = c.in(0), &rois = c.in(1), &batches = c.in(2), &size = c.in(3);
  ref::expect_rank(x, 4, "X");
  ref::expect_dims(rois, {rois.rank() == 2 ? rois.dim(0) : 0, 4}, "rois");
  ref::expect_dims(batches, {rois.dim(0)}, "batch_indices");
  ref::expect_dims(size, {2}, "crop_size");
  std::string mode = c.node().attr_s("mode", "bilinear");
  check(mode == "bilinear" || mode == "nearest", Code::kInvalidModel, "attribute 'mode' = '", mode,
        "'; it must be 'bilinear' or 'nearest'");
  double outside = c.node().attr_f("extrapolation_value", 0);
  int64_t channels = x.dim(1), h = x.dim(2), w = x.dim(3), ch = get_int(size, 0), cw = get_int(size, 1);
  check(ch > 0 && cw > 0, Code::kInvalidModel, "crop_size is ", ch, "x", cw);
  std::vector<double> xv = ref::to_doubles(x), r = ref::to_doubles(rois);
  Tensor& y = c.out(0, x.dtype(), {rois.dim(0), channels, ch, cw});
  // Where place i of n lies between a and b, on an axis of that extent.
  // In float32, as other implementations: it decides which side of a tie `nearest` takes.
  auto at = [](double first, double last, int64_t i, int64_t n, int64_t extent) {
    auto a = static_cast<float>(first), b = static_cast<float>(last), top = static_cast<float>(extent - 1);
    if (n == 1) return static_cast<double>(0.5f * (a + b) * top);
    float step = (b - a) * top / static_cast<float>(n - 1);
    return static_cast<double>(a * top + static_cast<float>(i) * step);
  };
  int64_t o = 0;
  for (int64_t k = 0; k < rois.dim(0); ++k) {
    c.poll();
    const double* roi = r.data() + 4 * k;
    int64_t b = get_int(batches, k);
    check(b >= 0 && b < x.dim(0), Code::kInvalidArgument, "a region lies in picture ", b, " of ", x.dim(0));
    for (int64_t channel = 0; channel < channels; ++channel) {
      const double* p = xv.data() + (b * channels + channel) * h * w;
      for (int64_t i = 0; i < ch; ++i) {
        for (int64_t j = 0; j < cw; ++j, ++o) {
          double fy = at(roi[0], roi[2], i, ch, h), fx = at(roi[1], roi[3], j, cw, w);
          bool inside =
              fy >= 0 && fy <= static_cast<double>(h - 1) && fx >= 0 && fx <= static_cast<double>(w - 1);
          if (!inside) {
            set_double(y, o, outside);
            continue;
          }
          if (mode == "nearest") {
            set_double(y, o, p[std::lround(fy) * w + std::lround(fx)]);
            continue;
          }
          auto y0 = static_cast<int64_t>(std::floor(fy)), x0 = static_cast<int64_t>(std::floor(fx));
          auto y1 = static_cast<int64_t>(std::ceil(fy)), x1 = static_cast<int64_t>(std::ceil(fx));
          double ly = fy - static_cast<double>(y0), lx = fx - static_cast<double>(x0);
          double upper = p[y0 * w + x0] + (p[y0 * w + x1] - p[y0 * w + x0]) * lx;
          double lower = p[y1 * w + x0] + (p[y1 * w + x1] - p[y1 * w + x0]) * lx;
          set_double(y, o, upper + (lower - upper) * ly);
        }
      }
    }
  }
}

}  // namespace

SKIFF_OP_DEF(com_microsoft, CropAndResize) {
  return {.domain = "com.microsoft",
          .name = "CropAndResize",
          .versions = {1},
          .inputs = {{"X", kFloatTypes, '1'},
                     {"rois", kFloatTypes, '1'},
                     {"batch_indices", mask_of(DType::kInt32)},
                     {"crop_size", mask_of(DType::kInt32)}},
          .outputs = {{"Y", kFloatTypes, '1'}},
          .attributes = {{"extrapolation_value", AttrType::kFloat}, {"mode", AttrType::kString}},
          .infer = infer_crop_and_resize,
          .reference = crop_and_resize_reference,
          .value_inputs = 8};
}

SKIFF_OP_DEF(ai_onnx, RoiAlign) {
  return {.name = "RoiAlign",
          .versions = {10, 16, 22},
          .inputs = {{"X", kFloatTypes, '1'},
                     {"rois", kFloatTypes, '1'},
                     {"batch_indices", mask_of(DType::kInt64), '2'}},
          .outputs = {{"Y", kFloatTypes, '1'}},
          .attributes = {{"coordinate_transformation_mode", AttrType::kString},
                         {"mode", AttrType::kString},
                         {"output_height", AttrType::kInt},
                         {"output_width", AttrType::kInt},
                         {"sampling_ratio", AttrType::kInt},
                         {"spatial_scale", AttrType::kFloat}},
          .infer = infer_roi_align,
          .reference = roi_align_reference};
}

SKIFF_OP_DEF(ai_onnx, MaxRoiPool) {
  return {.name = "MaxRoiPool",
          .versions = {1, 22},
          .inputs = {{"X", kFloatTypes, 'T'}, {"rois", kFloatTypes, 'T'}},
          .outputs = {{"Y", kFloatTypes, 'T'}},
          .attributes = {{"pooled_shape", AttrType::kInts, true}, {"spatial_scale", AttrType::kFloat}},
          .infer = infer_max_roi_pool,
          .reference = max_roi_pool_reference};
}

}  // namespace skiff
