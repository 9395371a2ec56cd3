// Gradients of operators that move elements.
#include <algorithm>
#include <numeric>

#include "ops/grad.h"

namespace skiff {
namespace {

using grad::Context;

void reshaped(Context& c) { c.set(0, c.reshape_like(c.grad(), c.in(0))); }
void nothing(Context&) {}

int64_t axis_of(Context& c, int64_t def) {
  int64_t a = c.node().attr_i("axis", def);
  return a < 0 ? a + c.rank(c.in(0)) : a;
}

// One extent of a value's shape, as a vector of one element.
ValueId extent(Context& c, ValueId v, int64_t axis) {
  return c.op("Gather", {c.shape_of(v), c.ints({axis})});
}

// Zeros like input 0 with the gradient added at the indices.
ValueId scatter(Context& c, const char* op, ValueId indices, std::vector<Attribute> attributes = {}) {
  attributes.emplace_back("reduction", std::string("add"));
  return c.op(op, {c.zeros_like(c.in(0)), indices, c.grad()}, std::move(attributes));
}

}  // namespace

SKIFF_GRAD_DEF(Reshape) { reshaped(c); }
SKIFF_GRAD_DEF(Flatten) { reshaped(c); }
SKIFF_GRAD_DEF(Squeeze) { reshaped(c); }
SKIFF_GRAD_DEF(Unsqueeze) { reshaped(c); }
SKIFF_GRAD_DEF(Shape) { nothing(c); }
SKIFF_GRAD_DEF(Size) { nothing(c); }
SKIFF_GRAD_DEF(ConstantOfShape) { nothing(c); }
SKIFF_GRAD_DEF(EyeLike) { nothing(c); }
SKIFF_GRAD_DEF(NonZero) { nothing(c); }
SKIFF_GRAD_DEF(OneHot) { nothing(c); }

SKIFF_GRAD_DEF(Transpose) {
  std::vector<int64_t> perm = c.node().attr_ints("perm");
  if (perm.empty()) return c.set(0, c.op("Transpose", {c.grad()}));
  std::vector<int64_t> inverse(perm.size());
  for (size_t i = 0; i < perm.size(); ++i) inverse[static_cast<size_t>(perm[i])] = static_cast<int64_t>(i);
  c.set(0, c.op("Transpose", {c.grad()}, {{"perm", inverse}}));
}

SKIFF_GRAD_DEF(Concat) {
  int64_t axis = axis_of(c, c.opset() < 4 ? 1 : 0);
  std::vector<ValueId> sizes;
  size_t n = c.node().inputs.size();
  for (size_t i = 0; i < n; ++i) sizes.push_back(extent(c, c.in(i), axis));
  if (n == 1) return c.set(0, c.grad());
  ValueId split = c.op("Concat", sizes, {{"axis", int64_t{0}}});
  std::vector<ValueId> parts = c.ops("Split", {c.grad(), split}, n, {{"axis", axis}});
  for (size_t i = 0; i < n; ++i) c.set(i, parts[i]);
}

SKIFF_GRAD_DEF(Split) {
  std::vector<ValueId> parts;
  for (size_t i = 0; i < c.node().outputs.size(); ++i) {
    check(c.out(i) != kNoValue, Code::kUnsupported, "Split leaves an output out");
    parts.push_back(c.grad(i) != kNoValue ? c.grad(i) : c.zeros_like(c.out(i)));
  }
  c.set(0, c.op("Concat", parts, {{"axis", axis_of(c, 0)}}));
}

SKIFF_GRAD_DEF(Expand) { c.set(0, c.sum_to(c.grad(), c.in(0), c.out(0))); }

SKIFF_GRAD_DEF(Tile) {
  check(c.opset() >= 6, Code::kUnsupported, "convert the model to a newer opset first");
  // [r0, d0, r1, d1 ...], summed over the repeats.
  int64_t r = c.rank(c.in(0));
  if (r == 0) return c.set(0, c.grad());
  ValueId pairs =
      c.op("Concat",
           {c.op("Unsqueeze", {c.in(1), c.ints({1})}), c.op("Unsqueeze", {c.shape_of(c.in(0)), c.ints({1})})},
           {{"axis", int64_t{1}}});
  std::vector<int64_t> axes;
  for (int64_t i = 0; i < r; ++i) axes.push_back(2 * i);
  ValueId g =
      c.op("Reshape", {c.grad(), c.op("Reshape", {pairs, c.ints({-1})})}, {{"allowzero", int64_t{1}}});
  c.set(0, c.sum(g, axes, false));
}

SKIFF_GRAD_DEF(Slice) {
  // The positions taken are found by slicing the positions themselves.
  const Node& n = c.node();
  ValueId flat = c.op("Range", {c.int_scalar(0), c.op("Size", {c.in(0)}), c.int_scalar(1)});
  std::vector<ValueId> in{c.reshape_like(flat, c.in(0))};
  if (c.opset() < 10) {
    in.push_back(c.ints(n.attr_ints("starts")));
    in.push_back(c.ints(n.attr_ints("ends")));
    if (n.has_attr("axes")) in.push_back(c.ints(n.attr_ints("axes")));
  } else {
    for (size_t i = 1; i < n.inputs.size(); ++i) in.push_back(n.inputs[i]);
  }
  ValueId at = c.op("Reshape", {c.op("Slice", in), c.ints({-1})});
  ValueId zeros = c.op("Reshape", {c.zeros_like(c.in(0)), c.ints({-1})});
  ValueId g = c.op("Reshape", {c.grad(), c.ints({-1})});
  c.set(0, c.reshape_like(c.op("ScatterElements", {zeros, at, g}), c.in(0)));
}

SKIFF_GRAD_DEF(Pad) {
  const Node& n = c.node();
  check(n.attr_s("mode", "constant") == "constant" && c.opset() >= 2 && !c.has(3), Code::kUnsupported,
        "only Pad with constant mode, on all axes, has a gradient");
  int64_t r = c.rank(c.in(0));
  ValueId pads = c.opset() < 11 ? c.ints(n.attr_ints("pads")) : c.in(1);
  if (c.wants(0)) c.set(0, c.op("Pad", {c.grad(), c.neg(pads)}));
  if (c.wants(2)) {
    // What is not of x is the constant's.
    std::vector<int64_t> all(static_cast<size_t>(r));
    std::iota(all.begin(), all.end(), 0);
    ValueId inner = c.op("Pad", {c.grad(), c.neg(pads)});
    c.set(2, c.reshape_like(c.sub(c.sum(c.grad(), all, false), c.sum(inner, all, false)), c.in(2)));
  }
}

SKIFF_GRAD_DEF(Gather) {
  // Along the axis, row by row: indices [n] and gradients [.., n, ..] of a flattened index.
  int64_t axis = axis_of(c, 0), r = c.rank(c.in(0)), q = c.rank(c.in(1));
  ValueId flat = c.op("Reshape", {c.in(1), c.ints({-1})});
  ValueId extents = c.shape_of(c.in(0)), count = c.op("Reshape", {c.op("Size", {c.in(1)}), c.ints({1})});
  std::vector<ValueId> parts;
  auto part = [&](int64_t begin, int64_t end) {
    if (begin < end) parts.push_back(c.op("Slice", {extents, c.ints({begin}), c.ints({end})}));
  };
  part(0, axis);
  parts.push_back(count);
  part(axis + 1, r);
  ValueId like = parts.size() == 1 ? parts[0] : c.op("Concat", parts, {{"axis", int64_t{0}}});
  ValueId g = q == 1 ? c.grad() : c.op("Reshape", {c.grad(), like}, {{"allowzero", int64_t{1}}});
  std::vector<int64_t> ones(static_cast<size_t>(r), 1);
  ones[static_cast<size_t>(axis)] = -1;
  ValueId at = c.op("Expand", {c.op("Reshape", {flat, c.ints(ones)}), like});
  c.set(0, c.op("ScatterElements", {c.zeros_like(c.in(0)), at, g},
                {{"axis", axis}, {"reduction", std::string("add")}}));
}
SKIFF_GRAD_DEF(GatherElements) {
  c.set(0, scatter(c, "ScatterElements", c.in(1), {{"axis", c.node().attr_i("axis", 0)}}));
}
SKIFF_GRAD_DEF(GatherND) {
  check(c.node().attr_i("batch_dims", 0) == 0, Code::kUnsupported,
        "GatherND with batch_dims has no gradient");
  c.set(0, scatter(c, "ScatterND", c.in(1)));
}

namespace {

// Of data and updates; a reduction other than none or add is not built.
void scattered(Context& c, const char* gather, const char* scatter_op) {
  std::string how = c.node().attr_s("reduction", "none");
  check(how == "none" || how == "add", Code::kUnsupported, "the gradient of reduction '", how,
        "' is not built");
  std::vector<Attribute> axis;
  if (c.node().op != "ScatterND") axis.emplace_back("axis", c.node().attr_i("axis", 0));
  if (c.wants(2)) c.set(2, c.op(gather, {c.grad(), c.in(1)}, axis));
  if (!c.wants(0)) return;
  ValueId g = c.grad();
  if (how == "none") {
    ValueId zeros = c.zeros_like(c.in(2));
    g = c.op(scatter_op, {g, c.in(1), zeros}, axis);
  }
  c.set(0, g);
}

}  // namespace

SKIFF_GRAD_DEF(Scatter) { scattered(c, "GatherElements", "ScatterElements"); }
SKIFF_GRAD_DEF(ScatterElements) { scattered(c, "GatherElements", "ScatterElements"); }
SKIFF_GRAD_DEF(ScatterND) { scattered(c, "GatherND", "ScatterND"); }

SKIFF_GRAD_DEF(Trilu) {
  std::vector<ValueId> in{c.grad()};
  if (c.has(1)) in.push_back(c.in(1));
  c.set(0, c.op("Trilu", in, {{"upper", c.node().attr_i("upper", 1)}}));
}

SKIFF_GRAD_DEF(DepthToSpace) {
  // [n, b, b, c, h, w] or [n, c, b, b, h, w] -> back by the inverse permutation.
  int64_t b = c.node().attr_i("blocksize", 0);
  if (c.node().attr_s("mode", "DCR") == "DCR")
    return c.set(0, c.op("SpaceToDepth", {c.grad()}, {{"blocksize", b}}));
  ValueId x = c.in(0);
  ValueId split = c.op(
      "Concat", {extent(c, x, 0), c.ints({-1}), extent(c, x, 2), c.ints({b}), extent(c, x, 3), c.ints({b})},
      {{"axis", int64_t{0}}});
  ValueId g = c.op("Transpose", {c.op("Reshape", {c.grad(), split})},
                   {{"perm", std::vector<int64_t>{0, 1, 3, 5, 2, 4}}});
  c.set(0, c.reshape_like(g, x));
}
SKIFF_GRAD_DEF(SpaceToDepth) {
  c.set(0, c.op("DepthToSpace", {c.grad()},
                {{"blocksize", c.node().attr_i("blocksize", 0)}, {"mode", c.node().attr_s("mode", "DCR")}}));
}

SKIFF_GRAD_DEF(Dropout) {
  // In inference nothing is dropped. In training the mask, the second output, says what was.
  bool training = c.opset() < 7 ? c.node().attr_i("is_test", 0) == 0 : c.has(2);
  const Tensor* mode = c.constant(c.in(2));
  if (mode && mode->size() == 1 && get_int(*mode, 0) == 0) training = false;
  if (!training) return c.set(0, c.grad());
  check(c.opset() >= 12 && c.out(1) != kNoValue, Code::kUnsupported,
        "the gradient of a training Dropout needs its second output, the mask");
  ValueId kept = c.mul(c.grad(), c.cast_like(c.out(1), c.in(0)));
  // A mode that is only known at run time scales by 1 when it is off.
  ValueId ratio = c.has(1) ? (c.dtype(c.in(1)) == c.dtype(c.in(0)) ? c.in(1) : c.cast_like(c.in(1), c.in(0)))
                           : c.number(0.5, c.in(0));
  ValueId one = c.number(1, c.in(0));
  ValueId scale = c.div(kept, c.sub(one, ratio));
  c.set(0, mode ? scale : c.op("Where", {c.in(2), scale, c.grad()}));
}

}  // namespace skiff
