// Losses (NegativeLogLikelihoodLoss, SoftmaxCrossEntropyLoss), optimizer steps (Adagrad, Adam, Momentum) and
// Gradient.
#include <algorithm>
#include <cmath>

#include "ops/ref_util.h"
#include "ops/rule_util.h"

namespace skiff {
namespace {

// ---------------------------------------------------------------- losses

enum class LossReduction { kNone, kSum, kMean };

LossReduction loss_reduction(const Node& n) {
  std::string s = n.attr_s("reduction", "mean");
  if (s == "none") return LossReduction::kNone;
  if (s == "sum") return LossReduction::kSum;
  check(s == "mean", Code::kInvalidModel, "attribute 'reduction' = '", s,
        "'; it must be 'none', 'sum' or 'mean'");
  return LossReduction::kMean;
}

void infer_loss(InferContext& c) {
  bool none = loss_reduction(c.node()) == LossReduction::kNone;
  c.set(0, c.dtype(0), none ? c.shape(1) : SymShape::of_rank(0));
  if (c.wants(1)) c.set(1, c.dtype(0), c.shape(0));
}

// -weight[target] * log_prob[n, target, d...]. Targets equal to ignore_index count nothing.
void log_likelihood(KernelContext& c, const Tensor& log_prob) {
  const Tensor& target = c.in(1);
  const Tensor* weight = c.maybe(2);
  const Dims& d = log_prob.dims();
  bool fits = d.size() >= 2 && target.rank() == log_prob.rank() - 1;
  for (size_t i = 0, k = 0; fits && i < d.size(); ++i)
    if (i != 1) fits = target.dims()[k++] == d[i];
  check(fits, Code::kInvalidModel, "scores ", describe(log_prob), " and targets ", describe(target),
        " do not fit");
  int64_t classes = d[1], inner = element_count(d, 2, d.size());
  check(!weight || weight->size() == classes, Code::kInvalidModel, "the weights must have ", classes,
        " entries");
  bool ignores = c.node().has_attr("ignore_index");
  int64_t ignored = c.node().attr_i("ignore_index", 0);
  LossReduction r = loss_reduction(c.node());
  std::vector<double> loss(static_cast<size_t>(target.size()), 0.0);
  double sum = 0, weights = 0;
  for (int64_t i = 0; i < target.size(); ++i) {
    int64_t t = get_int(target, i);
    if (ignores && t == ignored) continue;
    check(t >= 0 && t < classes, Code::kInvalidArgument, "target ", t, " is outside [0, ", classes - 1, "]");
    double w = weight ? get_double(*weight, t) : 1;
    double v = -w * get_double(log_prob, (i / inner * classes + t) * inner + i % inner);
    loss[static_cast<size_t>(i)] = v;
    sum += v;
    weights += w;
  }
  Tensor& y = c.out(0, log_prob.dtype(), r == LossReduction::kNone ? target.dims() : Dims{});
  if (r == LossReduction::kNone)
    ref::store(y, 0, y.size(), loss.data());
  else
    set_double(y, 0, r == LossReduction::kSum ? sum : sum / weights);
}

void cross_entropy_reference(KernelContext& c) {
  const Tensor& x = c.in(0);
  check(x.rank() >= 2, Code::kInvalidModel, "the scores need a class axis, they are ", describe(x));
  int64_t classes = x.dim(1), inner = element_count(x.dims(), 2, x.dims().size());
  // The loss is taken from doubles, whatever type the second output has.
  Tensor p(DType::kDouble, x.dims());
  for (int64_t o = 0; o < x.dim(0); ++o) {
    for (int64_t i = 0; i < inner; ++i) {
      auto at = [&](int64_t k) { return (o * classes + k) * inner + i; };
      double top = -HUGE_VAL, sum = 0;
      for (int64_t k = 0; k < classes; ++k) top = std::max(top, get_double(x, at(k)));
      for (int64_t k = 0; k < classes; ++k) sum += std::exp(get_double(x, at(k)) - top);
      for (int64_t k = 0; k < classes; ++k) set_double(p, at(k), get_double(x, at(k)) - top - std::log(sum));
    }
  }
  Tensor typed(x.dtype(), x.dims());
  ref::store(typed, 0, typed.size(), p.data<double>());
  log_likelihood(c, typed);
  if (c.wants(1)) c.set_out(1, typed);
}

OpDef loss(const char* name, std::vector<int> versions, void (*reference)(KernelContext&)) {
  return {.name = name,
          .versions = std::move(versions),
          .inputs = {{"input", kFloatTypes, 'T'},
                     {"target", kIndexTypes},
                     {"weight", kFloatTypes, 'T', Arity::kOptional}},
          .outputs = {{"loss", kFloatTypes, 'T'}},
          .attributes = {{"ignore_index", AttrType::kInt}, {"reduction", AttrType::kString}},
          .infer = infer_loss,
          .reference = reference};
}

// ---------------------------------------------------------------- optimizers

// Inputs: R, T, then groups of equal size: X..., G..., and `states` groups of state. Outputs: the new X...,
// then the new states.
struct Step {
  double rate;
  int64_t count;
  size_t n;  // tensors per group
};

Step step_of(KernelContext& c, size_t states) {
  check(c.in(0).size() == 1 && c.in(1).size() == 1, Code::kInvalidModel, "R and T must be scalars");
  size_t groups = 2 + states, rest = c.inputs() - 2;
  check(rest > 0 && rest % groups == 0 && c.outputs() == rest / groups * (1 + states), Code::kInvalidModel,
        "the optimizer has ", rest, " tensors and ", c.outputs(), " outputs; ", groups, " groups are needed");
  for (size_t i = 2; i < c.inputs(); ++i)
    check(c.in(i).dims() == c.in(2 + (i - 2) % (rest / groups)).dims(), Code::kInvalidModel, "input ", i,
          " has another shape than its parameter");
  return {get_double(c.in(0), 0), get_int(c.in(1), 0), rest / groups};
}

void infer_optimizer(InferContext& c) {
  // Output i of group g repeats the type of parameter i.
  size_t states = c.node().op == "Adam" ? 2 : 1, n = c.inputs() > 2 ? (c.inputs() - 2) / (2 + states) : 0;
  for (size_t i = 0; n > 0 && i < c.outputs(); ++i) c.set(i, c.type(2 + i % n));
}

void adagrad(KernelContext& c) {
  Step s = step_of(c, 1);
  const Node& a = c.node();
  double rate = s.rate / (1 + static_cast<double>(s.count) * a.attr_f("decay_factor", 0));
  double eps = a.attr_f("epsilon", 1e-6f), norm = a.attr_f("norm_coefficient", 0);
  for (size_t i = 0; i < s.n; ++i) {
    const Tensor &x = c.in(2 + i), &g = c.in(2 + s.n + i), &h = c.in(2 + 2 * s.n + i);
    Tensor &xo = c.out(i, x.dtype(), x.dims()), &ho = c.out(s.n + i, h.dtype(), h.dims());
    for (int64_t k = 0; k < x.size(); ++k) {
      double v = get_double(x, k), grad = norm * v + get_double(g, k), sq = get_double(h, k) + grad * grad;
      set_double(ho, k, sq);
      set_double(xo, k, v - rate * grad / (std::sqrt(sq) + eps));
    }
  }
}

void adam(KernelContext& c) {
  Step s = step_of(c, 2);
  const Node& a = c.node();
  double alpha = a.attr_f("alpha", 0.9f), beta = a.attr_f("beta", 0.999f), eps = a.attr_f("epsilon", 1e-6f);
  double norm = a.attr_f("norm_coefficient", 0), post = a.attr_f("norm_coefficient_post", 0);
  auto t = static_cast<double>(s.count);
  double rate = s.count > 0 ? s.rate * std::sqrt(1 - std::pow(beta, t)) / (1 - std::pow(alpha, t)) : s.rate;
  for (size_t i = 0; i < s.n; ++i) {
    const Tensor &x = c.in(2 + i), &g = c.in(2 + s.n + i), &v = c.in(2 + 2 * s.n + i),
                 &h = c.in(2 + 3 * s.n + i);
    Tensor &xo = c.out(i, x.dtype(), x.dims()), &vo = c.out(s.n + i, v.dtype(), v.dims()),
           &ho = c.out(2 * s.n + i, h.dtype(), h.dims());
    for (int64_t k = 0; k < x.size(); ++k) {
      double w = get_double(x, k), grad = norm * w + get_double(g, k);
      double first = alpha * get_double(v, k) + (1 - alpha) * grad;
      double second = beta * get_double(h, k) + (1 - beta) * grad * grad;
      set_double(vo, k, first);
      set_double(ho, k, second);
      set_double(xo, k, (1 - post) * (w - rate * first / (std::sqrt(second) + eps)));
    }
  }
}

void momentum(KernelContext& c) {
  Step s = step_of(c, 1);
  const Node& a = c.node();
  std::string mode = a.attr_s("mode", "standard");
  check(mode == "standard" || mode == "nesterov", Code::kInvalidModel, "attribute 'mode' = '", mode,
        "'; it must be 'standard' or 'nesterov'");
  double alpha = a.attr_f("alpha", 0), beta = s.count > 0 ? a.attr_f("beta", 1) : 1.0,
         norm = a.attr_f("norm_coefficient", 0);
  for (size_t i = 0; i < s.n; ++i) {
    const Tensor &x = c.in(2 + i), &g = c.in(2 + s.n + i), &v = c.in(2 + 2 * s.n + i);
    Tensor &xo = c.out(i, x.dtype(), x.dims()), &vo = c.out(s.n + i, v.dtype(), v.dims());
    for (int64_t k = 0; k < x.size(); ++k) {
      double w = get_double(x, k), grad = norm * w + get_double(g, k);
      double speed = alpha * get_double(v, k) + beta * grad;
      set_double(vo, k, speed);
      set_double(xo, k, w - s.rate * (mode == "nesterov" ? grad + alpha * speed : speed));
    }
  }
}

OpDef optimizer(const char* name, void (*reference)(KernelContext&), std::vector<AttrDef> attributes) {
  constexpr TypeMask kReal = mask_of(DType::kFloat) | mask_of(DType::kDouble);
  return {.domain = "ai.onnx.preview.training",
          .name = name,
          .versions = {1},
          .inputs = {{"R", kReal}, {"T", mask_of(DType::kInt64)}, {"inputs", kReal, 0, Arity::kVariadic}},
          .outputs = {{"outputs", kReal, 0, Arity::kVariadic}},
          .attributes = std::move(attributes),
          .infer = infer_optimizer,
          .reference = reference};
}

// ---------------------------------------------------------------- Gradient

// A gradient has its variable's type.
void infer_gradient(InferContext& c) {
  for (size_t i = 0; i < c.outputs() && i < c.inputs(); ++i) c.set(i, c.type(i));
}

// It speaks of the graph around it, so the pass expand_gradients turns it into nodes before anything runs.
void gradient_reference(KernelContext& c) {
  fail(Code::kInternal, c.node().label(), " was not expanded (pass expand_gradients)");
}

}  // namespace

SKIFF_OP_DEF(ai_onnx, NegativeLogLikelihoodLoss) {
  return loss("NegativeLogLikelihoodLoss", {12, 13, 22},
              [](KernelContext& c) { log_likelihood(c, c.in(0)); });
}
SKIFF_OP_DEF(ai_onnx, SoftmaxCrossEntropyLoss) {
  OpDef d = loss("SoftmaxCrossEntropyLoss", {12, 13}, cross_entropy_reference);
  d.outputs.push_back({"log_prob", kFloatTypes, 'T', Arity::kOptional});
  return d;
}
SKIFF_OP_DEF(ai_onnx_preview_training, Adagrad) {
  return optimizer("Adagrad", adagrad,
                   {{"decay_factor", AttrType::kFloat},
                    {"epsilon", AttrType::kFloat},
                    {"norm_coefficient", AttrType::kFloat}});
}
SKIFF_OP_DEF(ai_onnx_preview_training, Adam) {
  return optimizer("Adam", adam,
                   {{"alpha", AttrType::kFloat},
                    {"beta", AttrType::kFloat},
                    {"epsilon", AttrType::kFloat},
                    {"norm_coefficient", AttrType::kFloat},
                    {"norm_coefficient_post", AttrType::kFloat}});
}
SKIFF_OP_DEF(ai_onnx_preview_training, Gradient) {
  return {.domain = "ai.onnx.preview.training",
          .name = "Gradient",
          .versions = {1},
          .inputs = {{"Inputs", 0, 0, Arity::kVariadic}},
          .outputs = {{"Outputs", kFloatTypes, 0, Arity::kVariadic}},
          .attributes = {{"xs", AttrType::kStrings, true},
                         {"y", AttrType::kString, true},
                         {"zs", AttrType::kStrings}},
          .infer = infer_gradient,
          .reference = gradient_reference};
}
SKIFF_OP_DEF(ai_onnx_preview_training, Momentum) {
  return optimizer("Momentum", momentum,
                   {{"alpha", AttrType::kFloat, true},
                    {"beta", AttrType::kFloat, true},
                    {"mode", AttrType::kString, true},
                    {"norm_coefficient", AttrType::kFloat, true}});
}

}  // namespace skiff
