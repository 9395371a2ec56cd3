// Gradients of convolutions and pools. Convolutions work with any batch and image size; pools, and
// convolutions whose padding depends on the image (auto_pad), need extents that are numbers.
#include <algorithm>
#include <numeric>

#include "ops/conv.h"
#include "ops/grad.h"

namespace skiff {
namespace {

using grad::Context;
using Ints = std::vector<int64_t>;

// Extents [2, rank) as numbers.
Ints spatial(Context& c, ValueId v, const char* why) {
  Ints r;
  for (int64_t i = 2; i < c.rank(v); ++i) {
    const Dim& d = c.shape(v)[static_cast<size_t>(i)];
    check(d.is_const(), Code::kUnsupported, "the gradient needs ", why,
          " as numbers; fix the model's input shapes");
    r.push_back(d.value());
  }
  return r;
}

// The window with explicit padding, over images x of input `v`.
Window window(Context& c, ValueId v, Ints kernel) {
  Window w = window_of(c.node(), static_cast<size_t>(c.rank(v) - 2), std::move(kernel));
  if (w.auto_pad != AutoPad::kNotSet || w.ceil) w.resolve(spatial(c, v, "the image's extents"));
  return w;
}

Ints joined(Ints a, const Ints& b) {
  a.insert(a.end(), b.begin(), b.end());
  return a;
}

std::vector<Attribute> attributes(const Window& w, const Ints& strides, const Ints& dilations,
                                  int64_t group) {
  return {{"strides", strides}, {"dilations", dilations}, {"pads", joined(w.begin, w.end)}, {"group", group}};
}

// The spatial extents of a value as an int64 vector.
ValueId image_extents(Context& c, ValueId v) { return c.op("Shape", {v}, {{"start", int64_t{2}}}); }

// The sums of g's elements over the positions each input element took part in: what a convolution does,
// turned round, in the shape of `like`.
ValueId spread_back(Context& c, ValueId g, ValueId weight, const Window& w, int64_t group, ValueId like) {
  size_t n = w.rank();
  Ints none(n, 0);
  Window full = w;
  full.begin = full.end = none;
  ValueId wide = c.op("ConvTranspose", {g, weight}, attributes(full, w.stride, w.dilation, group));
  // From the padded image, of which windows may leave a rest, to the image.
  ValueId rest = c.sub(image_extents(c, like), c.sub(image_extents(c, wide), c.ints(w.begin)));
  Ints begin = joined({0, 0}, {});
  for (int64_t b : w.begin) begin.push_back(-b);
  ValueId pads = c.op("Concat", {c.ints(joined(begin, {0, 0})), rest}, {{"axis", int64_t{0}}});
  return c.op("Pad", {wide, pads});
}

Ints swapped(int64_t rank) {
  Ints perm(static_cast<size_t>(rank));
  std::iota(perm.begin(), perm.end(), 0);
  std::swap(perm[0], perm[1]);
  return perm;
}

// The weight's gradient [M, C/group, kernel...] of a convolution of x [N, C, ...] with gradient g [N, M,
// ...]: again a convolution, over the batch instead of the channels.
ValueId weight_gradient(Context& c, ValueId x, ValueId g, int64_t rank, const Window& w, int64_t group) {
  std::vector<Attribute> swap{{"perm", swapped(rank)}};
  ValueId images = x;
  if (group == 1) {
    images = c.op("Transpose", {x}, swap);
  } else {
    // [N, G, C/G, ...] -> [C/G, G, N, ...] -> [C/G, G * N, ...]
    ValueId extents = image_extents(c, x);
    ValueId channels = c.op("Gather", {c.shape_of(x), c.ints({1})});
    ValueId per = c.div(channels, c.ints({group}));
    ValueId split = c.op("Concat", {c.ints({0, group}), per, extents}, {{"axis", int64_t{0}}});
    Ints perm(static_cast<size_t>(rank + 1));
    std::iota(perm.begin(), perm.end(), 0);
    std::swap(perm[0], perm[2]);
    ValueId turned = c.op("Transpose", {c.op("Reshape", {x, split})}, {{"perm", perm}});
    images = c.op("Reshape", {turned, c.op("Concat", {per, c.ints({-1}), extents}, {{"axis", int64_t{0}}})});
  }
  ValueId filters = c.op("Transpose", {g}, swap);
  ValueId sums = c.op("Conv", {images, filters}, attributes(w, w.dilation, w.stride, group));
  Ints starts(w.rank(), 0), axes(w.rank());
  std::iota(axes.begin(), axes.end(), 2);
  sums = c.op("Slice", {sums, c.ints(starts), c.ints(w.kernel), c.ints(axes)});
  return c.op("Transpose", {sums}, swap);
}

ValueId channel_sum(Context& c, ValueId g, int64_t rank) {
  Ints axes{0};
  for (int64_t i = 2; i < rank; ++i) axes.push_back(i);
  return c.sum(g, axes, false);
}

// N and C as one batch axis, one channel: pools treat every channel alike.
ValueId single_channel(Context& c, ValueId v) {
  return c.op("Reshape", {v, c.op("Concat", {c.ints({-1, 1}), image_extents(c, v)}, {{"axis", int64_t{0}}})});
}

}  // namespace

SKIFF_GRAD_DEF(Conv) {
  int64_t group = c.node().attr_i("group", 1), rank = c.rank(c.in(0));
  Window w = window(c, c.in(0), spatial(c, c.in(1), "the kernel's extents"));
  if (c.wants(0)) c.set(0, spread_back(c, c.grad(), c.in(1), w, group, c.in(0)));
  if (c.wants(1)) c.set(1, weight_gradient(c, c.in(0), c.grad(), rank, w, group));
  if (c.wants(2)) c.set(2, channel_sum(c, c.grad(), rank));
}

SKIFF_GRAD_DEF(ConvTranspose) {
  int64_t group = c.node().attr_i("group", 1), rank = c.rank(c.in(0));
  Ints kernel = spatial(c, c.in(1), "the kernel's extents");
  Window w = window_of(c.node(), static_cast<size_t>(rank - 2), kernel);
  if (w.auto_pad != AutoPad::kNotSet || c.node().has_attr("output_shape")) {
    check(c.shape(c.in(0)).is_static() && c.shape(c.in(1)).is_static(), Code::kUnsupported,
          "the gradient needs the image's extents as numbers; fix the model's input shapes");
    w = conv_transpose_shape(c.node(), c.shape(c.in(0)).to_dims(), c.shape(c.in(1)).to_dims()).window;
  }
  if (c.wants(0)) c.set(0, c.op("Conv", {c.grad(), c.in(1)}, attributes(w, w.stride, w.dilation, group)));
  if (c.wants(1)) c.set(1, weight_gradient(c, c.grad(), c.in(0), rank, w, group));
  if (c.wants(2)) c.set(2, channel_sum(c, c.grad(), rank));
}

SKIFF_GRAD_DEF(AveragePool) {
  bool count_pads = c.node().attr_i("count_include_pad", 0) != 0;
  Window w = window(c, c.in(0), {});
  check(!w.ceil || !count_pads, Code::kUnsupported,
        "AveragePool with ceil_mode and count_include_pad has no gradient");
  if (w.ceil) {  // the same windows without rounding up: padding to the end of the last one
    Ints in = spatial(c, c.in(0), "the image's extents");
    for (size_t i = 0; i < w.rank(); ++i) {
      int64_t out = w.out(i, Dim(in[i])).value();
      w.end[i] = std::max(w.end[i], w.stride[i] * (out - 1) + w.span(i) - in[i] - w.begin[i]);
    }
    w.ceil = false;
  }
  Dims ones{1, 1};
  for (int64_t k : w.kernel) ones.push_back(k);
  Tensor t(c.dtype(c.in(0)), ones);
  for (int64_t i = 0; i < t.size(); ++i) set_double(t, i, 1);
  ValueId kernel = c.tensor(t), g = single_channel(c, c.grad()), x = single_channel(c, c.in(0));
  ValueId count;
  if (count_pads) {
    count = c.number(static_cast<double>(t.size()), c.in(0));
  } else {
    Tensor one(c.dtype(c.in(0)), {1});
    set_double(one, 0, 1);
    ValueId all = c.op("ConstantOfShape", {c.shape_of(x)}, {{"value", one}});
    count = c.op("Conv", {all, kernel}, attributes(w, w.stride, w.dilation, 1));
  }
  c.set(0, c.reshape_like(spread_back(c, c.div(g, count), kernel, w, 1, x), c.in(0)));
}

SKIFF_GRAD_DEF(MaxPool) {
  // The pool's second output says where each maximum was, counted through the whole input.
  ValueId where = c.opset() >= 8 && c.node().attr_i("storage_order", 0) == 0 ? c.out(1) : kNoValue;
  if (where == kNoValue) {
    std::vector<Attribute> a;
    for (const Attribute& x : c.node().attributes)
      if (x.name != "storage_order") a.push_back(x);
    where = c.ops("MaxPool", {c.in(0)}, 2, std::move(a))[1];
  }
  auto flat = [&](ValueId v) { return c.op("Reshape", {v, c.ints({-1})}); };
  ValueId sums = c.op("ScatterElements", {flat(c.zeros_like(c.in(0))), flat(where), flat(c.grad())},
                      {{"reduction", std::string("add")}});
  c.set(0, c.reshape_like(sums, c.in(0)));
}

SKIFF_GRAD_DEF(GlobalAveragePool) {
  auto size = [&](ValueId v) { return c.cast_like(c.op("Size", {v}), c.in(0)); };
  ValueId n = c.div(size(c.in(0)), size(c.out(0)));
  c.set(0, c.op("Expand", {c.div(c.grad(), n), c.shape_of(c.in(0))}));
}

SKIFF_GRAD_DEF(GlobalMaxPool) {
  Ints axes;
  for (int64_t i = 2; i < c.rank(c.in(0)); ++i) axes.push_back(i);
  ValueId hit = c.cast_like(c.op("Equal", {c.in(0), c.out(0)}), c.in(0));
  c.set(0, c.div(c.mul(hit, c.grad()), c.sum(hit, axes)));
}

}  // namespace skiff
