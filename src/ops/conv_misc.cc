// Relatives of convolution: DeformConv, Col2Im, CausalConvWithState.
#include <algorithm>
#include <cmath>

#include "ops/conv.h"
#include "ops/real_view.h"

namespace skiff {
namespace {

// ---------------------------------------------------------------- DeformConv

void infer_deform_conv(InferContext& c) {
  c.set(0, c.dtype(0), conv_output(c.node(), c.shape(0), c.shape(1)));
}

// Linear interpolation of an N-d plane at a point, 0 outside.
double sample(const double* x, const std::vector<int64_t>& in, const double* at) {
  size_t n = in.size();
  double sum = 0;
  for (size_t corner = 0; corner < size_t{1} << n; ++corner) {
    double w = 1;
    int64_t off = 0;
    for (size_t a = 0; a < n && w != 0; ++a) {
      double base = std::floor(at[a]), r = at[a] - base;
      bool up = (corner >> a) & 1;
      double i = base + (up ? 1 : 0);
      w *= up ? r : 1 - r;
      if (!(i >= 0 && i < static_cast<double>(in[a])))
        w = 0;
      else
        off = off * in[a] + static_cast<int64_t>(i);
    }
    if (w != 0) sum += w * x[off];
  }
  return sum;
}

void deform_conv_reference(KernelContext& c) {
  const Node& n = c.node();
  const Tensor& x = c.in(0);
  ConvShape s = conv_shape(n, x.dims(), c.in(1).dims());
  check(s.in.size() <= 8, Code::kUnsupported, "DeformConv over more than 8 spatial axes");
  int64_t groups = n.attr_i("offset_group", 1), axes = static_cast<int64_t>(s.in.size());
  check(groups >= 1 && s.channels % groups == 0, Code::kInvalidModel, "offset_group ", groups,
        " does not divide ", s.channels, " channels");
  int64_t taps = 1, points = 1, in_size = 1;
  for (size_t a = 0; a < s.in.size(); ++a) {
    taps *= s.window.kernel[a];
    points *= s.out[a];
    in_size *= s.in[a];
  }
  Dims od{s.batch, groups * taps * axes}, md{s.batch, groups * taps};
  for (int64_t e : s.out) {
    od.push_back(e);
    md.push_back(e);
  }
  ref::expect_dims(c.in(2), od, "offset");
  if (c.has(3)) ref::expect_dims(c.in(3), {s.filters}, "B");
  if (c.has(4)) ref::expect_dims(c.in(4), md, "mask");
  std::vector<double> xv = ref::to_doubles(x), wv = ref::to_doubles(c.in(1)), ov = ref::to_doubles(c.in(2));
  std::vector<double> bv = c.has(3) ? ref::to_doubles(c.in(3)) : std::vector<double>{};
  std::vector<double> mv = c.has(4) ? ref::to_doubles(c.in(4)) : std::vector<double>{};
  Tensor& y = c.out(0, x.dtype(), s.y_dims());
  int64_t cg = s.channels / s.group, mg = s.filters / s.group, per = s.channels / groups;
  std::vector<double> column(static_cast<size_t>(s.channels * taps)), at(s.in.size());
  for (int64_t b = 0; b < s.batch; ++b) {
    std::vector<int64_t> o(s.in.size(), 0);
    for (int64_t p = 0; p < points; ++p, next_index(o, s.out)) {
      c.poll();
      // The deformed window of every channel as a column, then a plain product with the filters.
      for (int64_t ch = 0; ch < s.channels; ++ch) {
        int64_t g = ch / per;
        std::vector<int64_t> k(s.in.size(), 0);
        for (int64_t t = 0; t < taps; ++t, next_index(k, s.window.kernel)) {
          for (size_t a = 0; a < s.in.size(); ++a) {
            int64_t base = o[a] * s.window.stride[a] - s.window.begin[a] + k[a] * s.window.dilation[a];
            int64_t off = (((b * groups + g) * taps + t) * axes + static_cast<int64_t>(a)) * points + p;
            at[a] = static_cast<double>(base) + ov[static_cast<size_t>(off)];
          }
          double v = sample(xv.data() + (b * s.channels + ch) * in_size, s.in, at.data());
          if (!mv.empty()) v *= mv[static_cast<size_t>(((b * groups + g) * taps + t) * points + p)];
          column[static_cast<size_t>(ch * taps + t)] = v;
        }
      }
      for (int64_t m = 0; m < s.filters; ++m) {
        double sum = bv.empty() ? 0 : bv[static_cast<size_t>(m)];
        const double* w = wv.data() + m * cg * taps;
        const double* col = column.data() + m / mg * cg * taps;
        for (int64_t i = 0; i < cg * taps; ++i) sum += w[i] * col[i];
        set_double(y, (b * s.filters + m) * points + p, sum);
      }
    }
  }
}

Cost cost_deform(const CostContext& c) {
  Cost r = conv_cost(c, 1, false);
  r.flops *= 5;
  return r;
}

// ---------------------------------------------------------------- Col2Im

struct Col2Im {
  std::vector<int64_t> image;
  Window window;
  std::vector<int64_t> blocks;
  int64_t taps = 1, positions = 1;
};

Col2Im col2im_of(const Node& n, std::vector<int64_t> image, std::vector<int64_t> block) {
  check(image.size() == block.size() && !image.empty(), Code::kInvalidModel, "image_shape has ", image.size(),
        " entries, block_shape ", block.size());
  for (size_t i = 0; i < image.size(); ++i)
    check(image[i] >= 1 && image[i] < kMaxWindow && block[i] >= 1 && block[i] < kMaxWindow,
          Code::kInvalidModel, "image_shape and block_shape must be positive");
  Col2Im c;
  c.image = image;
  c.window = window_of(n, image.size(), std::move(block));
  for (size_t i = 0; i < image.size(); ++i) {
    c.blocks.push_back(c.window.out(i, image[i]).value());
    check(!__builtin_mul_overflow(c.taps, c.window.kernel[i], &c.taps) &&
              !__builtin_mul_overflow(c.positions, c.blocks.back(), &c.positions),
          Code::kInvalidModel, "the blocks are too large");
  }
  return c;
}

void infer_col2im(InferContext& c) {
  c.expect_rank(0, 3);
  auto image = c.data(1);
  if (!image) return c.set(0, c.dtype(0));
  std::vector<Dim> y{Dim(), Dim()};
  if (c.has_rank(0)) {
    y[0] = c.shape(0)[0];
    if (auto block = c.data(2)) {
      Dim taps = int64_t{1};
      for (const Dim& k : *block) taps = taps * k;
      y[1] = floor_div(c.shape(0)[1], taps);
    }
  }
  y.insert(y.end(), image->begin(), image->end());
  c.set(0, c.dtype(0), SymShape(std::move(y)));
}

void col2im_reference(KernelContext& c) {
  const Tensor& x = c.in(0);
  ref::expect_rank(x, 3, "input");
  Col2Im g = col2im_of(c.node(), to_ints(c.in(1)), to_ints(c.in(2)));
  check(x.dim(1) % g.taps == 0 && x.dim(2) == g.positions, Code::kInvalidModel, "the input ",
        to_string(x.dims()), " must be [N, C * ", g.taps, ", ", g.positions, "]");
  int64_t channels = x.dim(1) / g.taps;
  Dims d{x.dim(0), channels};
  for (int64_t e : g.image) d.push_back(e);
  Tensor& y = c.out(0, x.dtype(), d);
  int64_t plane = ref::count_of(d, 2, y.rank());
  std::vector<double> xv = ref::to_doubles(x), sum(static_cast<size_t>(y.size()));
  for (int64_t b = 0; b < x.dim(0) * channels; ++b) {
    std::vector<int64_t> k(g.image.size(), 0);
    for (int64_t t = 0; t < g.taps; ++t, next_index(k, g.window.kernel)) {
      std::vector<int64_t> o(g.image.size(), 0);
      for (int64_t p = 0; p < g.positions; ++p, next_index(o, g.blocks)) {
        int64_t at = 0;
        bool inside = true;
        for (size_t a = 0; a < g.image.size(); ++a) {
          int64_t i = o[a] * g.window.stride[a] - g.window.begin[a] + k[a] * g.window.dilation[a];
          inside = inside && i >= 0 && i < g.image[a];
          at = at * g.image[a] + i;
        }
        if (inside)
          sum[static_cast<size_t>(b * plane + at)] +=
              xv[static_cast<size_t>((b * g.taps + t) * g.positions + p)];
      }
    }
  }
  ref::store_all(y, sum.data());
}

// ---------------------------------------------------------------- CausalConvWithState

void infer_causal_conv(InferContext& c) {
  c.expect_rank(0, 3);
  c.expect_rank(1, 3);
  c.set(0, c.type(0));
  SymShape s = c.shape(0);
  if (s.has_rank()) s[2] = c.has_rank(1) ? c.shape(1)[2] - Dim(1) : Dim();
  if (c.wants(1)) c.set(1, c.dtype(0), std::move(s));
}

// Depthwise over the last axis, padded in front by the state (or zeros).
void causal_conv_reference(KernelContext& c) {
  const Tensor &x = c.in(0), &w = c.in(1);
  ref::expect_rank(x, 3, "input");
  ref::expect_rank(w, 3, "weight");
  int64_t n = x.dim(0), channels = x.dim(1), len = x.dim(2), k = w.dim(2);
  ref::expect_dims(w, {channels, 1, k}, "weight");
  check(k >= 1, Code::kInvalidModel, "the kernel is empty");
  std::string act = c.node().attr_s("activation", "none");
  check(act == "none" || act == "silu" || act == "swish", Code::kInvalidModel, "activation '", act,
        "' is not known");
  if (c.has(2)) ref::expect_dims(c.in(2), {channels}, "bias");
  if (c.has(3)) ref::expect_dims(c.in(3), {n, channels, k - 1}, "past_state");
  Tensor padded(x.dtype(), {n, channels, len + k - 1});
  ref::fill_zero(padded);
  for (int64_t i = 0; i < n * channels; ++i) {
    if (c.has(3)) ref::copy(padded, i * (len + k - 1), 1, c.in(3), i * (k - 1), 1, k - 1);
    ref::copy(padded, i * (len + k - 1) + k - 1, 1, x, i * len, 1, len);
  }
  std::vector<double> p = ref::to_doubles(padded), wv = ref::to_doubles(w);
  std::vector<double> bias = c.has(2) ? ref::to_doubles(c.in(2)) : std::vector<double>{};
  Tensor& y = c.out(0, x.dtype(), x.dims());
  for (int64_t i = 0; i < n * channels; ++i) {
    for (int64_t t = 0; t < len; ++t) {
      double sum = bias.empty() ? 0 : bias[static_cast<size_t>(i % channels)];
      for (int64_t j = 0; j < k; ++j)
        sum +=
            wv[static_cast<size_t>(i % channels * k + j)] * p[static_cast<size_t>(i * (len + k - 1) + t + j)];
      set_double(y, i * len + t, act == "none" ? sum : sum / (1 + std::exp(-sum)));
    }
  }
  if (!c.wants(1)) return;
  Tensor& state = c.out(1, x.dtype(), {n, channels, k - 1});
  for (int64_t i = 0; i < n * channels; ++i)
    ref::copy(state, i * (k - 1), 1, padded, i * (len + k - 1) + len, 1, k - 1);
}

}  // namespace

SKIFF_OP_DEF(ai_onnx, DeformConv) {
  return {.name = "DeformConv",
          .versions = {19, 22},
          .inputs = {{"X", kFloatTypes, 'T'},
                     {"W", kFloatTypes, 'T'},
                     {"offset", kFloatTypes, 'T'},
                     {"B", kFloatTypes, 'T', Arity::kOptional},
                     {"mask", kFloatTypes, 'T', Arity::kOptional}},
          .outputs = {{"Y", kFloatTypes, 'T'}},
          .attributes = {{"dilations", AttrType::kInts},
                         {"group", AttrType::kInt},
                         {"kernel_shape", AttrType::kInts},
                         {"offset_group", AttrType::kInt},
                         {"pads", AttrType::kInts},
                         {"strides", AttrType::kInts}},
          .infer = infer_deform_conv,
          .reference = deform_conv_reference,
          .cost = cost_deform};
}

SKIFF_OP_DEF(ai_onnx, Col2Im) {
  return {
      .name = "Col2Im",
      .versions = {18},
      .inputs = {{"input", kTensorTypes, 'T'},
                 {"image_shape", mask_of(DType::kInt64)},
                 {"block_shape", mask_of(DType::kInt64)}},
      .outputs = {{"output", kTensorTypes, 'T'}},
      .attributes = {{"dilations", AttrType::kInts}, {"pads", AttrType::kInts}, {"strides", AttrType::kInts}},
      .infer = infer_col2im,
      .reference = col2im_reference,
      .value_inputs = 1u << 1 | 1u << 2};
}

SKIFF_OP_DEF(ai_onnx, CausalConvWithState) {
  return {.name = "CausalConvWithState",
          .versions = {27},
          .inputs =
              {{"input", mask_of(DType::kFloat) | mask_of(DType::kFloat16) | mask_of(DType::kBFloat16), 'T'},
               {"weight", mask_of(DType::kFloat) | mask_of(DType::kFloat16) | mask_of(DType::kBFloat16), 'T'},
               {"bias", mask_of(DType::kFloat) | mask_of(DType::kFloat16) | mask_of(DType::kBFloat16), 'T',
                Arity::kOptional},
               {"past_state", mask_of(DType::kFloat) | mask_of(DType::kFloat16) | mask_of(DType::kBFloat16),
                'T', Arity::kOptional}},
          .outputs = {{"output",
                       mask_of(DType::kFloat) | mask_of(DType::kFloat16) | mask_of(DType::kBFloat16), 'T'},
                      {"present_state",
                       mask_of(DType::kFloat) | mask_of(DType::kFloat16) | mask_of(DType::kBFloat16), 'T'}},
          .attributes = {{"activation", AttrType::kString}},
          .infer = infer_causal_conv,
          .reference = causal_conv_reference};
}

}  // namespace skiff
