// Gradients of losses.
#include "ops/grad.h"

namespace skiff {
namespace {

using grad::Context;

// The targets' rows of a unit matrix, along axis 1 [N, C, d...], and what the loss's gradient counts for
// each: [N, 1, d...], with the target's weight, without the ignored, divided by all weights for a mean.
struct Targets {
  ValueId hot, weight;

  explicit Targets(Context& c) {
    const Node& n = c.node();
    ValueId t = c.in(1), counted = kNoValue;
    if (n.has_attr("ignore_index")) {
      Tensor ignored(c.dtype(t), {}), zero(c.dtype(t), {});
      set_int(ignored, 0, n.attr_i("ignore_index", 0));
      set_int(zero, 0, 0);
      ValueId valid = c.op("Not", {c.op("Equal", {t, c.tensor(ignored)})});
      t = c.op("Where", {valid, t, c.tensor(zero)});
      counted = c.cast_like(valid, c.in(0));
    }
    Tensor values(c.dtype(c.in(0)), {2});
    set_double(values, 0, 0);
    set_double(values, 1, 1);
    ValueId classes = c.op("Gather", {c.shape_of(c.in(0)), c.ints({1})});
    hot = c.op("OneHot", {t, classes, c.tensor(values)}, {{"axis", int64_t{1}}});
    ValueId w = c.has(2) ? c.op("Gather", {c.in(2), t}) : kNoValue;
    if (w == kNoValue)
      w = counted;
    else if (counted != kNoValue)
      w = c.mul(w, counted);
    ValueId g = c.grad(0);
    if (n.attr_s("reduction", "mean") == "mean") {
      ValueId sum = w == kNoValue ? c.cast_like(c.op("Size", {c.in(1)}), c.in(0))
                                  : c.op("ReduceSum", {w}, {{"keepdims", int64_t{0}}});
      g = c.div(g, sum);
    }
    if (w != kNoValue) g = c.mul(w, g);
    // A loss of one number counts the same everywhere.
    bool scalar = w == kNoValue && n.attr_s("reduction", "mean") != "none";
    weight = scalar ? g : c.op("Unsqueeze", {g, c.ints({1})});
  }
};

void no_weight_gradient(Context& c) {
  check(!c.wants(2), Code::kUnsupported, "the gradient of a loss's class weights is not built");
}

}  // namespace

SKIFF_GRAD_DEF(NegativeLogLikelihoodLoss) {
  no_weight_gradient(c);
  Targets t(c);
  c.set(0, c.neg(c.mul(t.hot, t.weight)));
}

SKIFF_GRAD_DEF(SoftmaxCrossEntropyLoss) {
  no_weight_gradient(c);
  ValueId soft = c.op("Softmax", {c.in(0)}, {{"axis", int64_t{1}}});
  if (c.grad(0) != kNoValue) {
    Targets t(c);
    c.set(0, c.mul(c.sub(soft, t.hot), t.weight));
  }
  // And through the logarithms of the probabilities.
  if (c.grad(1) != kNoValue) c.set(0, c.sub(c.grad(1), c.mul(soft, c.sum(c.grad(1), {1}))));
}

}  // namespace skiff
