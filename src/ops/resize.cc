// Resize and Upsample: every axis has a table of source positions and weights; axes are resized one by one.
#include <algorithm>
#include <cmath>
#include <cstring>
#include <optional>

#include "ops/real_view.h"
#include "ops/resize.h"

namespace skiff {

ResizeInputs resize_inputs(const Node& n) {
  if (n.op == "Upsample") return {0, n.opset >= 9 ? 1u : 0u, 0};
  if (n.opset < 11) return {0, 1, 0};
  return {1, 2, 3};
}

std::vector<size_t> resized_axes(const Node& n, size_t rank) {
  if (n.op == "Resize" && n.opset >= 18 && n.has_attr("axes")) return rule::axes(n.attr_ints("axes"), rank);
  std::vector<size_t> all(rank);
  for (size_t i = 0; i < rank; ++i) all[i] = i;
  return all;
}

std::vector<float> resize_attribute_scales(const Node& n, size_t rank) {
  if (n.opset >= 7 || n.has_attr("scales")) return n.attr_floats("scales");
  std::vector<float> s(rank, 1.0f);
  check(rank == 4, Code::kInvalidModel, "Upsample with height_scale and width_scale takes [N, C, H, W]");
  s[2] = n.attr_f("height_scale", 1);
  s[3] = n.attr_f("width_scale", 1);
  return s;
}

namespace {

void check_scale(float s) {
  check(s > 0 && s < 1e9f, Code::kInvalidModel, "a scale is ", s, ", it must be positive");
}

int64_t scaled(int64_t in, float s) {
  check_scale(s);
  float n = std::floor(static_cast<float>(in) * s);
  check(n < 9e15f, Code::kInvalidModel, "extent ", in, " scaled by ", s, " is too large");
  return static_cast<int64_t>(n);
}

enum class Policy { kStretch, kNotLarger, kNotSmaller };

Policy policy_of(const Node& n) {
  std::string p = n.attr_s("keep_aspect_ratio_policy", "stretch");
  if (p == "stretch") return Policy::kStretch;
  if (p == "not_larger") return Policy::kNotLarger;
  check(p == "not_smaller", Code::kInvalidModel, "keep_aspect_ratio_policy '", p, "' is not known");
  return Policy::kNotSmaller;
}

}  // namespace

std::vector<ResizeAxis> resize_axes(const Node& n, const Dims& x, const std::vector<float>& scales,
                                    const std::vector<int64_t>& sizes) {
  std::vector<size_t> axes = resized_axes(n, x.size());
  check(scales.empty() != sizes.empty() || axes.empty(), Code::kInvalidModel,
        "exactly one of scales and sizes must be given");
  check((sizes.empty() ? scales.size() : sizes.size()) == axes.size(), Code::kInvalidModel, "there are ",
        sizes.empty() ? scales.size() : sizes.size(), " scales or sizes for ", axes.size(), " axes");
  std::vector<ResizeAxis> r(axes.size());
  double common = 0;
  Policy policy = policy_of(n);
  for (size_t i = 0; i < axes.size(); ++i) {
    ResizeAxis& a = r[i];
    a.axis = axes[i];
    a.in = x[axes[i]];
    if (sizes.empty()) {
      a.out = scaled(a.in, scales[i]);
      a.scale = scales[i];
      a.width = a.scale * static_cast<double>(a.in);
      continue;
    }
    check(sizes[i] >= 0 && sizes[i] < int64_t{1} << 40, Code::kInvalidModel, "a size is ", sizes[i]);
    a.out = sizes[i];
    a.width = static_cast<double>(a.out);
    a.scale = a.in ? a.width / static_cast<double>(a.in) : 1;
    bool better = policy == Policy::kNotLarger ? a.scale < common : a.scale > common;
    if (i == 0 || better) common = a.scale;
  }
  if (!sizes.empty() && policy != Policy::kStretch) {
    for (ResizeAxis& a : r) {
      a.scale = common;
      a.width = common * static_cast<double>(a.in);
      a.out = static_cast<int64_t>(std::floor(a.width + 0.5));
    }
  }
  for (const ResizeAxis& a : r)
    check(a.in > 0 || a.out == 0, Code::kInvalidModel, "axis ", a.axis, " of extent 0 cannot be resized to ",
          a.out);
  return r;
}

namespace {

// ---------------------------------------------------------------- type and shape rule

// in * scale rounded down, for a symbolic extent: whole factors and whole divisors can be followed.
Dim scaled(const Dim& in, float s) {
  check_scale(s);
  if (in.is_const()) return scaled(in.value(), s);
  if (s == std::floor(s) && s < 1e6f) return in * Dim(static_cast<int64_t>(s));
  float inverse = 1 / s;
  if (inverse == std::floor(inverse) && inverse < 1e6f && 1 / inverse == s)
    return floor_div(in, static_cast<int64_t>(inverse));
  return {};
}

std::vector<float> constant_floats(const InferContext& c, size_t i) {
  const Tensor* t = i ? c.constant(i) : nullptr;
  return t && t->dtype() == DType::kFloat ? to_floats(*t) : std::vector<float>{};
}

void infer_resize(InferContext& c) {
  const Node& n = c.node();
  if (!c.has_rank(0)) return c.set(0, c.dtype(0));
  const SymShape& x = c.shape(0);
  ResizeInputs in = resize_inputs(n);
  std::vector<size_t> axes = resized_axes(n, x.rank());
  SymShape y = x;
  for (size_t a : axes) y[a] = Dim();
  std::vector<float> scales =
      in.scales ? constant_floats(c, in.scales) : resize_attribute_scales(n, x.rank());
  auto sizes = in.sizes ? c.data(in.sizes) : std::nullopt;
  if (sizes && sizes->empty()) sizes.reset();
  Policy policy = policy_of(n);
  auto wrong = [&](size_t have) {
    fail(Code::kInvalidModel, "there are ", have, " scales or sizes for ", axes.size(), " axes");
  };
  if (sizes) {
    if (sizes->size() != axes.size()) wrong(sizes->size());
    bool known = policy == Policy::kStretch;
    if (!known && x.is_static() && c.ints(in.sizes)) {
      std::vector<ResizeAxis> plan = resize_axes(n, x.to_dims(), {}, *c.ints(in.sizes));
      for (const ResizeAxis& a : plan) y[a.axis] = a.out;
    }
    for (size_t i = 0; i < axes.size() && known; ++i) y[axes[i]] = (*sizes)[i];
  } else if (!scales.empty()) {
    if (scales.size() != axes.size()) wrong(scales.size());
    for (size_t i = 0; i < axes.size(); ++i) y[axes[i]] = scaled(x[axes[i]], scales[i]);
  }
  for (const Dim& d : y.dims())
    check(!d.is_const() || d.value() >= 0, Code::kInvalidModel, "a size is negative");
  c.set(0, c.dtype(0), std::move(y));
}

Cost cost_resize(const CostContext& c) {
  double taps = 1;
  std::string mode = c.node.attr_s("mode", "nearest");
  if (mode == "linear") taps = 8;
  if (mode == "cubic") taps = 32;
  Cost r;
  r.flops = taps * c.out_elements(0);
  for (const Type* t : {c.in[0], c.out[0]})
    if (t) r.bytes += c.elements(t) * dtype_bits(t->dtype) / 8;
  return r;
}

// ---------------------------------------------------------------- coordinates and weights

enum class Coordinate {
  kHalfPixel,
  kHalfPixelSymmetric,
  kPytorchHalfPixel,
  kAlignCorners,
  kAsymmetric,
  kCrop
};

Coordinate coordinate_of(const Node& n) {
  if (n.op == "Upsample" || n.opset < 11) return Coordinate::kAsymmetric;
  static constexpr const char* kNames[] = {"half_pixel",    "half_pixel_symmetric", "pytorch_half_pixel",
                                           "align_corners", "asymmetric",           "tf_crop_and_resize"};
  std::string s = n.attr_s("coordinate_transformation_mode", "half_pixel");
  // A name only versions 11 and 12 had; it differs from half_pixel by its nearest rounding alone.
  if (s == "tf_half_pixel_for_nn") return Coordinate::kHalfPixel;
  for (size_t i = 0; i < std::size(kNames); ++i)
    if (s == kNames[i]) return static_cast<Coordinate>(i);
  fail(Code::kInvalidModel, "coordinate_transformation_mode '", s, "' is not known");
}

// Source position of output o.
double source(Coordinate mode, const ResizeAxis& a, int64_t o) {
  auto x = static_cast<double>(o), in = static_cast<double>(a.in);
  switch (mode) {
    case Coordinate::kAlignCorners: return a.width == 1 ? 0 : x * (in - 1) / (a.width - 1);
    case Coordinate::kAsymmetric: return x / a.scale;
    case Coordinate::kCrop: {
      double span = (a.end - a.start) * (in - 1);
      return a.start * (in - 1) + (a.width == 1 ? span / 2 : x * span / (a.width - 1));
    }
    case Coordinate::kPytorchHalfPixel: return a.width == 1 ? -0.5 : (x + 0.5) / a.scale - 0.5;
    case Coordinate::kHalfPixelSymmetric: {
      double adjust = static_cast<double>(a.out) / a.width;
      return in / 2 * (1 - adjust) + (x + 0.5) / a.scale - 0.5;
    }
    default: return (x + 0.5) / a.scale - 0.5;
  }
}

using Table = ResizeTable;

Table nearest_table(const Node& n, Coordinate mode, const ResizeAxis& a) {
  std::string how = n.attr_s("nearest_mode", "round_prefer_floor");
  if (n.op == "Upsample" || n.opset < 11) how = a.scale < 1 ? "ceil" : "floor";
  if (n.attr_s("coordinate_transformation_mode", "") == "tf_half_pixel_for_nn") how = "half_floor";
  Table t;
  for (int64_t o = 0; o < a.out; ++o) {
    double x = source(mode, a, o), i = std::floor(x), r = x - i;
    if (how == "round_prefer_floor")
      i = r <= 0.5 ? i : i + 1;
    else if (how == "round_prefer_ceil")
      i = r < 0.5 ? i : i + 1;
    else if (how == "ceil")
      i = std::ceil(x);
    else if (how == "half_floor")
      i = std::floor(x + 0.5);
    else
      check(how == "floor", Code::kInvalidModel, "nearest_mode '", how, "' is not known");
    t.index.push_back(static_cast<int64_t>(std::clamp(i, 0.0, static_cast<double>(a.in - 1))));
    t.outside.push_back(mode == Coordinate::kCrop && (x < 0 || x > static_cast<double>(a.in - 1)));
  }
  return t;
}

double cubic(double d, double a) {
  d = std::abs(d);
  if (d <= 1) return ((a + 2) * d - (a + 3)) * d * d + 1;
  if (d < 2) return ((a * d - 5 * a) * d + 8 * a) * d - 4 * a;
  return 0;
}

Table weight_table(const Node& n, Coordinate mode, const ResizeAxis& a, bool is_cubic) {
  double coef = n.attr_f("cubic_coeff_a", -0.75f), support = is_cubic ? 2 : 1;
  bool exclude = n.attr_i("exclude_outside", 0) != 0;
  // Antialiasing stretches the filter when the axis shrinks.
  double stretch = n.attr_i("antialias", 0) ? std::min(a.scale, 1.0) : 1;
  double first = std::floor(-support / stretch) + 1;
  check(first > -1e6, Code::kLimit, "antialiasing over more than a million elements");
  Table t;
  t.taps = static_cast<size_t>(2 - 2 * first);
  check(static_cast<int64_t>(t.taps) <= (int64_t{1} << 32) / std::max<int64_t>(a.out, 1), Code::kLimit,
        "the table of resizing weights would be too large");
  auto last = static_cast<double>(a.in - 1);
  for (int64_t o = 0; o < a.out; ++o) {
    double x = source(mode, a, o), base = std::floor(x), r = x - base, sum = 0;
    for (size_t k = 0; k < t.taps; ++k) {
      double at = base + first + static_cast<double>(k), d = (first + static_cast<double>(k) - r) * stretch;
      double w = is_cubic ? cubic(d, coef) : std::max(0.0, 1 - std::abs(d));
      if (exclude && (at < 0 || at > last)) w = 0;
      sum += w;
      t.weight.push_back(w);
      t.index.push_back(static_cast<int64_t>(std::clamp(at, 0.0, last)));
    }
    if (sum != 0)
      for (size_t k = 0; k < t.taps; ++k) t.weight[t.weight.size() - t.taps + k] /= sum;
    if (mode == Coordinate::kCrop) {
      t.outside.resize(static_cast<size_t>(a.out));
      t.outside[static_cast<size_t>(o)] = x < 0 || x > last;
    }
  }
  return t;
}

}  // namespace

ResizeTable resize_table(const Node& n, const ResizeAxis& a) {
  std::string how = n.attr_s("mode", "nearest");
  bool is_linear = how == "linear" || how == "bilinear";
  check(is_linear || how == "nearest" || how == "cubic", Code::kInvalidModel, "mode '", how,
        "' is not known");
  Coordinate mode = coordinate_of(n);
  return how == "nearest" ? nearest_table(n, mode, a) : weight_table(n, mode, a, how == "cubic");
}

namespace {

// ---------------------------------------------------------------- reference

// Copies whole elements of any type; `fill` is what elements outside a region of interest become.
void resize_nearest(const Tensor& x, Tensor& y, const std::vector<ResizeAxis>& axes,
                    const std::vector<Table>& tables, double fill) {
  size_t rank = x.dims().size();
  Dims strides = strides_of(x.dims());
  std::vector<const Table*> table(rank, nullptr);
  for (size_t i = 0; i < axes.size(); ++i) table[axes[i].axis] = &tables[i];
  // Trailing axes that stay are copied in one piece.
  size_t outer = rank;
  int64_t piece = 1;
  while (outer > 0 && !table[outer - 1]) piece *= x.dims()[--outer];
  std::vector<int64_t> o(outer, 0);
  auto elem = static_cast<size_t>(dtype_bits(x.dtype()) / 8);
  bool bytes = x.dtype() != DType::kString && elem > 0;
  for (int64_t to = 0; to < y.size(); to += piece) {
    int64_t from = 0;
    bool outside = false;
    for (size_t a = 0; a < outer; ++a) {
      auto k = static_cast<size_t>(o[a]);
      from += strides[a] * (table[a] ? table[a]->index[k] : o[a]);
      outside = outside || (table[a] && !table[a]->outside.empty() && table[a]->outside[k]);
    }
    if (outside) {
      for (int64_t i = 0; i < piece; ++i) set_double(y, to + i, fill);
    } else if (bytes) {
      std::memcpy(y.data<uint8_t>() + static_cast<size_t>(to) * elem,
                  x.data<uint8_t>() + static_cast<size_t>(from) * elem, static_cast<size_t>(piece) * elem);
    } else {
      ref::copy(y, to, 1, x, from, 1, piece);
    }
    for (size_t a = outer; a-- > 0;) {
      if (++o[a] < y.dims()[a]) break;
      o[a] = 0;
    }
  }
}

// One axis: [outer, n, inner] -> [outer, m, inner].
std::vector<double> resize_axis(const std::vector<double>& x, const Table& t, int64_t outer, int64_t n,
                                int64_t m, int64_t inner, double fill) {
  std::vector<double> y(static_cast<size_t>(outer * m * inner));
  for (int64_t b = 0; b < outer; ++b) {
    for (int64_t o = 0; o < m; ++o) {
      double* yp = y.data() + (b * m + o) * inner;
      if (!t.outside.empty() && t.outside[static_cast<size_t>(o)]) {
        std::fill(yp, yp + inner, fill);
        continue;
      }
      for (size_t k = 0; k < t.taps; ++k) {
        size_t e = static_cast<size_t>(o) * t.taps + k;
        double w = t.weight[e];
        if (w == 0) continue;
        const double* xp = x.data() + (b * n + t.index[e]) * inner;
        for (int64_t i = 0; i < inner; ++i) yp[i] += w * xp[i];
      }
    }
  }
  return y;
}

void resize_reference(KernelContext& c) {
  const Node& n = c.node();
  const Tensor& x = c.in(0);
  ResizeInputs in = resize_inputs(n);
  std::vector<float> scales;
  std::vector<int64_t> sizes;
  if (in.sizes && c.has(in.sizes)) sizes = to_ints(c.in(in.sizes));
  if (!in.scales)
    scales = resize_attribute_scales(n, x.dims().size());
  else if (c.has(in.scales) && sizes.empty())
    scales = to_floats(c.in(in.scales));
  std::vector<ResizeAxis> axes = resize_axes(n, x.dims(), scales, sizes);
  Coordinate mode = coordinate_of(n);
  if (mode == Coordinate::kCrop) {
    check(c.has(in.roi) && c.in(in.roi).size() == static_cast<int64_t>(2 * axes.size()), Code::kInvalidModel,
          "tf_crop_and_resize needs a roi of ", 2 * axes.size(), " elements");
    for (size_t i = 0; i < axes.size(); ++i) {
      axes[i].start = get_double(c.in(in.roi), static_cast<int64_t>(i));
      axes[i].end = get_double(c.in(in.roi), static_cast<int64_t>(i + axes.size()));
    }
  }
  Dims d = x.dims();
  for (const ResizeAxis& a : axes) d[a.axis] = a.out;
  Tensor& y = c.out(0, x.dtype(), d);
  if (y.size() == 0) return;
  std::erase_if(axes, [](const ResizeAxis& a) { return a.unchanged(); });
  std::string how = n.attr_s("mode", "nearest");
  double fill = n.attr_f("extrapolation_value", 0);
  std::vector<Table> tables;
  for (const ResizeAxis& a : axes) tables.push_back(resize_table(n, a));
  if (how == "nearest") return resize_nearest(x, y, axes, tables, fill);
  std::vector<double> v = ref::to_doubles(x);
  Dims at = x.dims();
  for (size_t i = 0; i < axes.size(); ++i) {
    c.poll();
    auto a = static_cast<int64_t>(axes[i].axis);
    int64_t outer = ref::count_of(at, 0, a), inner = ref::count_of(at, a + 1, x.rank());
    v = resize_axis(v, tables[i], outer, axes[i].in, axes[i].out, inner, fill);
    at[axes[i].axis] = axes[i].out;
  }
  if (dtype_is_integer(x.dtype()) && dtype_bits(x.dtype()) < 64) {
    int bits = dtype_bits(x.dtype());
    bool sign = dtype_is_signed(x.dtype());
    double hi = std::ldexp(1.0, sign ? bits - 1 : bits) - 1, lo = sign ? -hi - 1 : 0;
    for (double& e : v) e = std::clamp(std::nearbyint(e), lo, hi);
  }
  ref::store_all(y, v.data());
}

}  // namespace

SKIFF_OP_DEF(ai_onnx, Resize) {
  return {.name = "Resize",
          .versions = {10, 11, 13, 18, 19},
          .inputs = {{"X", kTensorTypes, '1'},
                     {"roi", mask_of(DType::kFloat) | mask_of(DType::kDouble) | mask_of(DType::kFloat16), '2',
                      Arity::kOptional},
                     {"scales", mask_of(DType::kFloat), 0, Arity::kOptional},
                     {"sizes", mask_of(DType::kInt64), 0, Arity::kOptional}},
          .outputs = {{"Y", kTensorTypes, '1'}},
          .attributes = {{"antialias", AttrType::kInt},
                         {"axes", AttrType::kInts},
                         {"coordinate_transformation_mode", AttrType::kString},
                         {"cubic_coeff_a", AttrType::kFloat},
                         {"exclude_outside", AttrType::kInt},
                         {"extrapolation_value", AttrType::kFloat},
                         {"keep_aspect_ratio_policy", AttrType::kString},
                         {"mode", AttrType::kString},
                         {"nearest_mode", AttrType::kString}},
          .infer = infer_resize,
          .reference = resize_reference,
          .cost = cost_resize,
          .value_inputs = 1u << 1 | 1u << 2 | 1u << 3};
}

SKIFF_OP_DEF(ai_onnx, Upsample) {
  return {.name = "Upsample",
          .versions = {1, 7, 9},
          .removed = 10,
          .inputs = {{"X",
                      kSignedInts | kUnsignedInts | mask_of(DType::kFloat) | mask_of(DType::kDouble) |
                          mask_of(DType::kFloat16) | mask_of(DType::kBool) | mask_of(DType::kString) |
                          mask_of(DType::kComplex64) | mask_of(DType::kComplex128),
                      'T'},
                     {"scales", mask_of(DType::kFloat), 0, Arity::kOptional}},
          .outputs = {{"Y",
                       kSignedInts | kUnsignedInts | mask_of(DType::kFloat) | mask_of(DType::kDouble) |
                           mask_of(DType::kFloat16) | mask_of(DType::kBool) | mask_of(DType::kString) |
                           mask_of(DType::kComplex64) | mask_of(DType::kComplex128),
                       'T'}},
          .attributes = {{"height_scale", AttrType::kFloat},
                         {"mode", AttrType::kString},
                         {"scales", AttrType::kFloats},
                         {"width_scale", AttrType::kFloat}},
          .infer = infer_resize,
          .reference = resize_reference,
          .cost = cost_resize,
          .value_inputs = 1u << 1};
}

}  // namespace skiff
