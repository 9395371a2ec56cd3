// Gradients of reductions, softmax and scans.
#include <algorithm>
#include <cmath>
#include <numbers>

#include "ops/grad.h"

namespace skiff {
namespace {

using grad::Context;

// A reduced value with its reduced axes back as extents of 1. `since`: the opset from which axes are an
// input.
struct Reduction {
  Context& c;
  int since;
  bool keep, all;  // all axes: no list was given
  bool identity;   // an empty list that means "none"
  ValueId axes;

  explicit Reduction(Context& context, int input_since) : c(context), since(input_since) {
    keep = c.node().attr_i("keepdims", 1) != 0;
    axes = c.axes(since);
    const Tensor* list = c.constant(axes);
    bool empty = axes == kNoValue || (list && list->size() == 0);
    identity = empty && c.node().attr_i("noop_with_empty_axes", 0) != 0;
    all = empty && !identity;
  }
  ValueId spread(ValueId v) {
    if (keep || identity) return v;
    if (!all) return c.op("Unsqueeze", {v, axes});
    auto r = static_cast<size_t>(c.rank(c.in(0)));
    return c.op("Reshape", {v, c.ints(std::vector<int64_t>(r, 1))});
  }
  // Elements summed into one, in x's type.
  ValueId count() {
    auto size = [&](ValueId v) { return c.cast_like(c.op("Size", {v}), c.in(0)); };
    return c.div(size(c.in(0)), size(c.out(0)));
  }
  // g * slope, where slope may be of x's shape or smaller; the result has x's shape.
  void set(ValueId g) { c.set(0, c.op("Expand", {g, c.shape_of(c.in(0))})); }
};

constexpr int kSumInput = 13, kOtherInput = 18;

// The extreme's gradient goes in equal parts to all elements that reach it.
void extreme(Context& c) {
  Reduction r(c, kOtherInput);
  ValueId hit = c.cast_like(c.op("Equal", {c.in(0), r.spread(c.out(0))}), c.in(0));
  std::vector<Attribute> keep{{"keepdims", int64_t{1}}};
  std::vector<ValueId> in{hit};
  if (!r.all && !r.identity) in.push_back(r.axes);
  ValueId n = r.identity ? hit : c.op("ReduceSum", in, keep);
  r.set(c.div(c.mul(hit, r.spread(c.grad())), n));
}

}  // namespace

SKIFF_GRAD_DEF(ReduceSum) {
  Reduction r(c, kSumInput);
  r.set(r.spread(c.grad()));
}
SKIFF_GRAD_DEF(ReduceMean) {
  Reduction r(c, kOtherInput);
  r.set(c.div(r.spread(c.grad()), r.count()));
}
SKIFF_GRAD_DEF(ReduceMax) { extreme(c); }
SKIFF_GRAD_DEF(ReduceMin) { extreme(c); }
SKIFF_GRAD_DEF(ReduceL1) {
  Reduction r(c, kOtherInput);
  r.set(c.mul(r.spread(c.grad()), c.op("Sign", {c.in(0)})));
}
SKIFF_GRAD_DEF(ReduceL2) {
  Reduction r(c, kOtherInput);
  r.set(c.mul(r.spread(c.div(c.grad(), c.out(0))), c.in(0)));
}
SKIFF_GRAD_DEF(ReduceSumSquare) {
  Reduction r(c, kOtherInput);
  r.set(c.mul(r.spread(c.grad()), c.mul(c.in(0), c.number(2, c.in(0)))));
}
SKIFF_GRAD_DEF(ReduceLogSum) {
  Reduction r(c, kOtherInput);
  r.set(r.spread(c.mul(c.grad(), c.op("Exp", {c.neg(c.out(0))}))));
}
SKIFF_GRAD_DEF(ReduceLogSumExp) {
  Reduction r(c, kOtherInput);
  r.set(c.mul(r.spread(c.grad()), c.op("Exp", {c.sub(c.in(0), r.spread(c.out(0)))})));
}
SKIFF_GRAD_DEF(ReduceProd) {
  // y / x: the rule holds where no element is 0, which is all that other frameworks' fast paths promise too.
  Reduction r(c, kOtherInput);
  r.set(c.div(r.spread(c.mul(c.grad(), c.out(0))), c.in(0)));
}
SKIFF_GRAD_DEF(ArgMax) { (void)c; }
SKIFF_GRAD_DEF(ArgMin) { (void)c; }

SKIFF_GRAD_DEF(CumSum) {
  int64_t reverse = c.node().attr_i("reverse", 0);
  c.set(0, c.op("CumSum", {c.grad(), c.in(1)},
                {{"exclusive", c.node().attr_i("exclusive", 0)}, {"reverse", int64_t{!reverse}}}));
}

SKIFF_GRAD_DEF(TopK) {
  if (!c.wants(0) || c.grad(0) == kNoValue) return;
  c.set(0, c.op("ScatterElements", {c.zeros_like(c.in(0)), c.out(1), c.grad(0)},
                {{"axis", c.node().attr_i("axis", -1)}}));
}

namespace {

// Before opset 13 softmax worked on all axes from `axis` on as one.
bool coerced(Context& c) { return c.opset() < 13; }
ValueId soft_sum(Context& c, ValueId v) {
  int64_t r = c.rank(c.in(0)), axis = c.node().attr_i("axis", coerced(c) ? 1 : -1);
  if (axis < 0) axis += r;
  std::vector<int64_t> axes{axis};
  for (int64_t i = axis + 1; coerced(c) && i < r; ++i) axes.push_back(i);
  return c.sum(v, axes);
}

}  // namespace

SKIFF_GRAD_DEF(Softmax) {
  ValueId gy = c.mul(c.grad(), c.out(0));
  c.set(0, c.sub(gy, c.mul(c.out(0), soft_sum(c, gy))));
}
SKIFF_GRAD_DEF(LogSoftmax) {
  c.set(0, c.sub(c.grad(), c.mul(c.op("Exp", {c.out(0)}), soft_sum(c, c.grad()))));
}
SKIFF_GRAD_DEF(Hardmax) { (void)c; }

}  // namespace skiff
