// Gradients of normalizations.
#include <numeric>

#include "ops/grad.h"

namespace skiff {
namespace {

using grad::Context;
using Ints = std::vector<int64_t>;

ValueId mean(Context& c, ValueId v, const Ints& axes) {
  return c.op("ReduceMean", {v, c.ints(axes)}, {{"keepdims", int64_t{1}}});
}

Ints range(int64_t begin, int64_t end) {
  Ints r(static_cast<size_t>(std::max<int64_t>(end - begin, 0)));
  std::iota(r.begin(), r.end(), begin);
  return r;
}

// x normalized over axes: (x - mean) / sqrt(mean of squares + epsilon), or without the mean.
struct Normalized {
  ValueId hat, inverse;  // 1 / deviation
  bool centred;
  Ints axes;

  Normalized(Context& c, ValueId x, Ints over, double epsilon, ValueId like, bool centre = true)
      : centred(centre), axes(std::move(over)) {
    ValueId m = centred ? c.sub(x, mean(c, x, axes)) : x;
    ValueId variance = mean(c, c.mul(m, m), axes);
    inverse = c.op("Reciprocal", {c.op("Sqrt", {c.add(variance, c.number(epsilon, like))})});
    hat = c.mul(m, inverse);
  }
  // dx from the gradient of `hat`.
  ValueId back(Context& c, ValueId g) const {
    ValueId d = c.sub(g, c.mul(hat, mean(c, c.mul(g, hat), axes)));
    if (centred) d = c.sub(d, mean(c, g, axes));
    return c.mul(inverse, d);
  }
};

double epsilon_of(Context& c) { return static_cast<double>(c.node().attr_f("epsilon", 1e-5f)); }

// A value per channel, [C], beside an image [N, C, ...] of that rank.
ValueId per_channel(Context& c, ValueId v, int64_t rank) {
  return rank <= 2 ? v : c.op("Unsqueeze", {v, c.ints(range(1, rank - 1))});
}
ValueId channel_sum(Context& c, ValueId g, int64_t rank) {
  Ints axes = range(2, rank);
  axes.insert(axes.begin(), 0);
  return c.sum(g, axes, false);
}

void layer_norm(Context& c, bool centre) {
  int64_t r = c.rank(c.in(0)), axis = c.node().attr_i("axis", -1);
  Normalized n(c, c.in(0), range(axis < 0 ? axis + r : axis, r), epsilon_of(c), c.in(0), centre);
  if (c.wants(0)) c.set(0, n.back(c, c.mul(c.grad(), c.in(1))));
  if (c.wants(1)) c.set(1, c.sum_to(c.mul(c.grad(), n.hat), c.in(1), c.out(0)));
  if (c.wants(2)) c.set(2, c.sum_to(c.grad(), c.in(2), c.out(0)));
}

// Scale and bias per channel.
void scale_and_bias(Context& c, ValueId hat, int64_t rank) {
  if (c.wants(1)) c.set(1, channel_sum(c, c.mul(c.grad(), hat), rank));
  if (c.wants(2)) c.set(2, channel_sum(c, c.grad(), rank));
}

}  // namespace

SKIFF_GRAD_DEF(LayerNormalization) { layer_norm(c, true); }
SKIFF_GRAD_DEF(RMSNormalization) { layer_norm(c, false); }

SKIFF_GRAD_DEF(InstanceNormalization) {
  int64_t r = c.rank(c.in(0));
  Normalized n(c, c.in(0), range(2, r), epsilon_of(c), c.in(0));
  if (c.wants(0)) c.set(0, n.back(c, c.mul(c.grad(), per_channel(c, c.in(1), r))));
  scale_and_bias(c, n.hat, r);
}

SKIFF_GRAD_DEF(GroupNormalization) {
  check(c.opset() >= 21, Code::kUnsupported,
        "the gradient of a scale per group is not built; convert the model to opset 21");
  int64_t r = c.rank(c.in(0)), groups = c.node().attr_i("num_groups", 1);
  ValueId split = c.ints({0, groups, -1});
  auto grouped = [&](ValueId v) { return c.op("Reshape", {v, split}); };
  Normalized n(c, grouped(c.in(0)), {2}, epsilon_of(c), c.in(0));
  ValueId hat = c.reshape_like(n.hat, c.in(0));
  if (c.wants(0)) {
    ValueId g = grouped(c.mul(c.grad(), per_channel(c, c.in(1), r)));
    c.set(0, c.reshape_like(n.back(c, g), c.in(0)));
  }
  scale_and_bias(c, hat, r);
}

SKIFF_GRAD_DEF(BatchNormalization) {
  int64_t r = c.rank(c.in(0));
  bool training =
      c.opset() < 7 ? c.node().attr_i("is_test", 0) == 0 : c.node().attr_i("training_mode", 0) != 0;
  check(c.opset() >= 9, Code::kUnsupported, "convert the model to a newer opset first");
  ValueId g = c.grad(), scale = per_channel(c, c.in(1), r);
  if (training) {
    Ints axes = range(2, r);
    axes.insert(axes.begin(), 0);
    Normalized n(c, c.in(0), axes, epsilon_of(c), c.in(0));
    if (c.wants(0)) c.set(0, n.back(c, c.mul(g, scale)));
    scale_and_bias(c, n.hat, r);
    return;
  }
  ValueId inverse = c.op("Reciprocal", {c.op("Sqrt", {c.add(c.in(4), c.number(epsilon_of(c), c.in(4)))})});
  ValueId moved = c.sub(c.in(0), per_channel(c, c.in(3), r));
  if (c.wants(0)) c.set(0, c.mul(g, c.mul(scale, per_channel(c, inverse, r))));
  scale_and_bias(c, c.mul(moved, per_channel(c, inverse, r)), r);
  ValueId weight = c.mul(c.in(1), inverse);
  if (c.wants(3)) c.set(3, c.neg(c.mul(channel_sum(c, g, r), weight)));
  if (c.wants(4)) {
    ValueId cube = c.mul(c.mul(weight, c.mul(inverse, inverse)), c.number(-0.5, c.in(4)));
    c.set(4, c.mul(channel_sum(c, c.mul(g, moved), r), cube));
  }
}

SKIFF_GRAD_DEF(LpNormalization) {
  int64_t axis = c.node().attr_i("axis", -1), p = c.node().attr_i("p", 2);
  ValueId norm =
      c.op(p == 1 ? "ReduceL1" : "ReduceL2", {c.in(0), c.ints({axis})}, {{"keepdims", int64_t{1}}});
  ValueId along = c.sum(c.mul(c.grad(), c.out(0)), {axis});
  ValueId direction = p == 1 ? c.op("Sign", {c.in(0)}) : c.out(0);
  c.set(0, c.div(c.sub(c.grad(), c.mul(direction, along)), norm));
}

}  // namespace skiff
