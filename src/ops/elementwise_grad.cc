// Gradients of elementwise operators.
#include <cmath>
#include <numbers>

#include "ops/elementwise_fns.h"
#include "ops/grad.h"

namespace skiff {
namespace {

using grad::Context;

ValueId x(Context& c) { return c.in(0); }
ValueId y(Context& c) { return c.out(0); }
ValueId one(Context& c) { return c.number(1, c.in(0)); }
ValueId k(Context& c, double v) { return c.number(v, c.in(0)); }
ValueId square(Context& c, ValueId v) { return c.mul(v, v); }

// The operator's parameter i as its reference has it.
double param(Context& c, int i) { return ref::params_of(c.node(), *ref::find_elementwise(c.node().op)).v[i]; }

// dx = g * slope
void chain(Context& c, ValueId slope) { c.set(0, c.mul(c.grad(), slope)); }
// dx = g where the condition holds, else g * other (kNoValue: 0)
void where(Context& c, ValueId condition, ValueId slope, ValueId other) {
  chain(c, c.op("Where", {condition, slope, other}));
}
ValueId positive(Context& c) { return c.op("Greater", {x(c), k(c, 0)}); }
ValueId inside(Context& c, double low, double high) {
  return c.op("And", {c.op("Greater", {x(c), k(c, low)}), c.op("Less", {x(c), k(c, high)})});
}
ValueId sigmoid_of(Context& c, ValueId v) { return c.op("Sigmoid", {v}); }

// dx of x * sigmoid(a x): s + a y (1 - s)
ValueId swish_slope(Context& c, ValueId v, double a) {
  ValueId s = sigmoid_of(c, a == 1 ? v : c.mul(v, k(c, a)));
  return c.add(s, c.mul(c.mul(c.mul(v, k(c, a)), s), c.sub(one(c), s)));
}

// Both operands of a binary operator: gradients of the broadcast shape, reduced to the operands' own.
void binary(Context& c, ValueId da, ValueId db) {
  check(c.opset() >= 7 || !c.node().has_attr("axis"), Code::kUnsupported,
        "gradients of opset 6's one-sided broadcasting are not built; convert the model to a newer opset");
  if (c.wants(0)) c.set(0, c.sum_to(da, c.in(0), c.out(0)));
  if (c.wants(1)) c.set(1, c.sum_to(db, c.in(1), c.out(0)));
}

// Ties give the gradient to the first of the equal inputs.
void extreme(Context& c) {
  ValueId left = kNoValue;  // true where no input before had the result
  for (size_t i = 0; i < c.node().inputs.size(); ++i) {
    ValueId hit = c.op("Equal", {c.in(i), c.out(0)});
    ValueId mine = left == kNoValue ? hit : c.op("And", {hit, left});
    ValueId miss = c.op("Not", {hit});
    left = left == kNoValue ? miss : c.op("And", {left, miss});
    if (c.wants(i)) c.set(i, c.sum_to(c.mul(c.grad(), c.cast_like(mine, c.out(0))), c.in(i), c.out(0)));
  }
}

void nothing(Context&) {}

}  // namespace

// ---------------------------------------------------------------- one input

SKIFF_GRAD_DEF(Abs) { chain(c, c.op("Sign", {x(c)})); }
SKIFF_GRAD_DEF(Acos) {
  chain(c, c.neg(c.op("Reciprocal", {c.op("Sqrt", {c.sub(one(c), square(c, x(c)))})})));
}
SKIFF_GRAD_DEF(Acosh) { chain(c, c.op("Reciprocal", {c.op("Sqrt", {c.sub(square(c, x(c)), one(c))})})); }
SKIFF_GRAD_DEF(Asin) { chain(c, c.op("Reciprocal", {c.op("Sqrt", {c.sub(one(c), square(c, x(c)))})})); }
SKIFF_GRAD_DEF(Asinh) { chain(c, c.op("Reciprocal", {c.op("Sqrt", {c.add(square(c, x(c)), one(c))})})); }
SKIFF_GRAD_DEF(Atan) { chain(c, c.op("Reciprocal", {c.add(square(c, x(c)), one(c))})); }
SKIFF_GRAD_DEF(Atanh) { chain(c, c.op("Reciprocal", {c.sub(one(c), square(c, x(c)))})); }
SKIFF_GRAD_DEF(Cos) { chain(c, c.neg(c.op("Sin", {x(c)}))); }
SKIFF_GRAD_DEF(Cosh) { chain(c, c.op("Sinh", {x(c)})); }
SKIFF_GRAD_DEF(Sin) { chain(c, c.op("Cos", {x(c)})); }
SKIFF_GRAD_DEF(Sinh) { chain(c, c.op("Cosh", {x(c)})); }
SKIFF_GRAD_DEF(Tan) { chain(c, c.add(square(c, y(c)), one(c))); }
SKIFF_GRAD_DEF(Tanh) { chain(c, c.sub(one(c), square(c, y(c)))); }
SKIFF_GRAD_DEF(Exp) { chain(c, y(c)); }
SKIFF_GRAD_DEF(Log) { c.set(0, c.div(c.grad(), x(c))); }
SKIFF_GRAD_DEF(Sqrt) { c.set(0, c.div(c.mul(c.grad(), k(c, 0.5)), y(c))); }
SKIFF_GRAD_DEF(Reciprocal) { chain(c, c.neg(square(c, y(c)))); }
SKIFF_GRAD_DEF(Neg) { c.set(0, c.neg(c.grad())); }
SKIFF_GRAD_DEF(Sigmoid) { chain(c, c.mul(y(c), c.sub(one(c), y(c)))); }
SKIFF_GRAD_DEF(Softplus) { chain(c, sigmoid_of(c, x(c))); }
SKIFF_GRAD_DEF(Softsign) { chain(c, c.op("Reciprocal", {square(c, c.add(one(c), c.op("Abs", {x(c)})))})); }
SKIFF_GRAD_DEF(Erf) {
  chain(c, c.mul(c.op("Exp", {c.neg(square(c, x(c)))}), k(c, 2 * std::numbers::inv_sqrtpi)));
}
SKIFF_GRAD_DEF(Relu) { chain(c, c.cast_like(positive(c), x(c))); }
SKIFF_GRAD_DEF(LeakyRelu) { where(c, c.op("Less", {x(c), k(c, 0)}), k(c, param(c, 0)), one(c)); }
SKIFF_GRAD_DEF(ThresholdedRelu) { chain(c, c.cast_like(c.op("Greater", {x(c), k(c, param(c, 0))}), x(c))); }
SKIFF_GRAD_DEF(Elu) { where(c, positive(c), one(c), c.add(y(c), k(c, param(c, 0)))); }
SKIFF_GRAD_DEF(Celu) { where(c, positive(c), one(c), c.op("Exp", {c.div(x(c), k(c, param(c, 0)))})); }
SKIFF_GRAD_DEF(Selu) {
  double alpha = param(c, 0), gamma = param(c, 1);
  where(c, positive(c), k(c, gamma), c.add(y(c), k(c, alpha * gamma)));
}
SKIFF_GRAD_DEF(HardSigmoid) {
  ValueId between = c.op("And", {c.op("Greater", {y(c), k(c, 0)}), c.op("Less", {y(c), one(c)})});
  chain(c, c.mul(c.cast_like(between, x(c)), k(c, param(c, 0))));
}
SKIFF_GRAD_DEF(HardSwish) {
  ValueId slope = c.add(c.mul(x(c), k(c, 1.0 / 3)), k(c, 0.5));
  ValueId high = c.cast_like(c.op("GreaterOrEqual", {x(c), k(c, 3)}), x(c));
  where(c, inside(c, -3, 3), slope, high);
}
SKIFF_GRAD_DEF(Shrink) {
  ValueId out = c.op("Greater", {c.op("Abs", {x(c)}), k(c, param(c, 1))});
  chain(c, c.cast_like(out, x(c)));
}
SKIFF_GRAD_DEF(Swish) { chain(c, swish_slope(c, x(c), param(c, 0))); }
SKIFF_GRAD_DEF(Mish) {
  // t = tanh(softplus x): t + x (1 - t^2) sigmoid(x)
  ValueId t = c.op("Tanh", {c.op("Softplus", {x(c)})});
  chain(c, c.add(t, c.mul(c.mul(x(c), c.sub(one(c), square(c, t))), sigmoid_of(c, x(c)))));
}
SKIFF_GRAD_DEF(Gelu) {
  if (param(c, 0) != 0) {
    // u = s (x + b x^3), t = tanh u: (1 + t)/2 + x/2 (1 - t^2) s (1 + 3 b x^2)
    constexpr double kB = 0.044715;
    double s = std::sqrt(2 / std::numbers::pi);
    ValueId xx = square(c, x(c));
    ValueId t = c.op("Tanh", {c.mul(c.mul(x(c), c.add(one(c), c.mul(xx, k(c, kB)))), k(c, s))});
    ValueId inner = c.mul(c.add(one(c), c.mul(xx, k(c, 3 * kB))), k(c, s));
    ValueId right = c.mul(c.mul(x(c), c.sub(one(c), square(c, t))), inner);
    return chain(c, c.mul(c.add(c.add(one(c), t), right), k(c, 0.5)));
  }
  ValueId cdf = c.mul(c.add(one(c), c.op("Erf", {c.mul(x(c), k(c, std::sqrt(0.5)))})), k(c, 0.5));
  ValueId pdf =
      c.mul(c.op("Exp", {c.mul(square(c, x(c)), k(c, -0.5))}), k(c, std::sqrt(0.5 / std::numbers::pi)));
  chain(c, c.add(cdf, c.mul(x(c), pdf)));
}
SKIFF_GRAD_DEF(Cast) {
  if (c.wants(0)) c.set(0, c.cast_like(c.grad(), c.in(0)));
}
SKIFF_GRAD_DEF(CastLike) { skiff_grad_Cast(c); }
SKIFF_GRAD_DEF(Identity) { c.set(0, c.grad()); }
SKIFF_GRAD_DEF(Ceil) { nothing(c); }
SKIFF_GRAD_DEF(Floor) { nothing(c); }
SKIFF_GRAD_DEF(Round) { nothing(c); }
SKIFF_GRAD_DEF(Sign) { nothing(c); }
SKIFF_GRAD_DEF(IsInf) { nothing(c); }
SKIFF_GRAD_DEF(IsNaN) { nothing(c); }

// ---------------------------------------------------------------- two inputs and more

SKIFF_GRAD_DEF(Add) { binary(c, c.grad(), c.grad()); }
SKIFF_GRAD_DEF(Sub) { binary(c, c.grad(), c.wants(1) ? c.neg(c.grad()) : kNoValue); }
SKIFF_GRAD_DEF(Mul) {
  binary(c, c.wants(0) ? c.mul(c.grad(), c.in(1)) : kNoValue,
         c.wants(1) ? c.mul(c.grad(), c.in(0)) : kNoValue);
}
SKIFF_GRAD_DEF(Div) {
  ValueId da = c.div(c.grad(), c.in(1));
  binary(c, da, c.wants(1) ? c.neg(c.mul(da, c.out(0))) : kNoValue);
}
SKIFF_GRAD_DEF(Pow) {
  ValueId base = c.in(0), e = c.in(1), g = c.grad();
  ValueId exponent = c.dtype(e) == c.dtype(base) ? e : c.cast_like(e, base);
  ValueId da = kNoValue, db = kNoValue;
  if (c.wants(0)) da = c.mul(g, c.mul(exponent, c.op("Pow", {base, c.sub(exponent, c.number(1, base))})));
  if (c.wants(1)) {
    // y log(base), and nothing where the base is not positive
    ValueId safe = c.op("Where", {c.op("Greater", {base, c.number(0, base)}), base, c.number(1, base)});
    db = c.mul(g, c.mul(c.out(0), c.op("Log", {safe})));
    if (c.dtype(e) != c.dtype(base)) db = c.cast_like(db, e);
  }
  binary(c, da, db);
}
SKIFF_GRAD_DEF(PRelu) {
  check(c.opset() >= 7, Code::kUnsupported, "convert the model to a newer opset first");
  ValueId below = c.op("Less", {c.in(0), c.number(0, c.in(0))});
  ValueId zero = c.number(0, c.in(0));
  binary(c, c.mul(c.grad(), c.op("Where", {below, c.in(1), c.number(1, c.in(0))})),
         c.mul(c.grad(), c.op("Where", {below, c.in(0), zero})));
}
SKIFF_GRAD_DEF(SwiGLU) {
  double a = param(c, 0);
  ValueId v = c.in(0), s = sigmoid_of(c, c.mul(v, c.number(a, v)));
  binary(c, c.mul(c.mul(c.grad(), c.in(1)), swish_slope(c, v, a)), c.mul(c.grad(), c.mul(v, s)));
}
SKIFF_GRAD_DEF(Mod) {
  // a - b trunc(a/b), or floor: the quotient does not move.
  ValueId q = c.wants(1) ? c.div(c.sub(c.in(0), c.out(0)), c.in(1)) : kNoValue;
  binary(c, c.grad(), q == kNoValue ? q : c.neg(c.mul(c.grad(), c.op("Round", {q}))));
}
SKIFF_GRAD_DEF(Max) { extreme(c); }
SKIFF_GRAD_DEF(Min) { extreme(c); }
SKIFF_GRAD_DEF(Sum) {
  for (size_t i = 0; i < c.node().inputs.size(); ++i)
    if (c.wants(i)) c.set(i, c.sum_to(c.grad(), c.in(i), c.out(0)));
}
SKIFF_GRAD_DEF(Mean) {
  ValueId g = c.mul(c.grad(), c.number(1.0 / static_cast<double>(c.node().inputs.size()), c.out(0)));
  for (size_t i = 0; i < c.node().inputs.size(); ++i)
    if (c.wants(i)) c.set(i, c.sum_to(g, c.in(i), c.out(0)));
}
SKIFF_GRAD_DEF(Where) {
  ValueId zero = c.number(0, c.out(0));
  if (c.wants(1)) c.set(1, c.sum_to(c.op("Where", {c.in(0), c.grad(), zero}), c.in(1), c.out(0)));
  if (c.wants(2)) c.set(2, c.sum_to(c.op("Where", {c.in(0), zero, c.grad()}), c.in(2), c.out(0)));
}
SKIFF_GRAD_DEF(Clip) {
  // Where x passed unchanged; at a bound too, as other frameworks have it. The rest is the bounds'.
  ValueId passed = c.op("Equal", {x(c), y(c)});
  if (c.wants(0)) chain(c, c.cast_like(passed, x(c)));
  if (!c.wants(1) && !c.wants(2)) return;
  ValueId low =
      c.has(1) ? c.op("And", {c.op("Less", {x(c), c.in(1)}), c.op("Equal", {y(c), c.in(1)})}) : kNoValue;
  auto bound = [&](size_t i, ValueId where) {
    c.set(i, c.op("ReduceSum", {c.mul(c.grad(), c.cast_like(where, x(c)))}, {{"keepdims", int64_t{0}}}));
  };
  if (c.wants(1)) bound(1, low);
  if (c.wants(2)) bound(2, c.op("Not", {low == kNoValue ? passed : c.op("Or", {passed, low})}));
}
SKIFF_GRAD_DEF(Equal) { nothing(c); }
SKIFF_GRAD_DEF(Greater) { nothing(c); }
SKIFF_GRAD_DEF(GreaterOrEqual) { nothing(c); }
SKIFF_GRAD_DEF(Less) { nothing(c); }
SKIFF_GRAD_DEF(LessOrEqual) { nothing(c); }

}  // namespace skiff
