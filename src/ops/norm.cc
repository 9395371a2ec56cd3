// Normalizations over batches, instances, layers, groups and neighbours.
#include "ops/norm.h"

#include <algorithm>
#include <cmath>

namespace skiff {

using ref::RealIn;
using ref::RealOut;
using ref::with_real;

template <class T>
void normalize_rows(const RowNorm& p, const T* x, T* y) {
  auto n = static_cast<double>(p.n);
  for (int64_t r = 0; r < p.rows; ++r, x += p.n, y += p.n) {
    double mean = 0, square = 0;
    if (!p.simplified) {
      for (int64_t i = 0; i < p.n; ++i) mean += static_cast<double>(x[i]);
      mean /= n;
    }
    for (int64_t i = 0; i < p.n; ++i) {
      double d = static_cast<double>(x[i]) - mean;
      square += d * d;
    }
    double inv = 1 / std::sqrt(square / n + p.epsilon);
    const double* s = p.scale ? p.scale + (p.full_scale ? r * p.n : 0) : nullptr;
    const double* b = p.bias ? p.bias + (p.full_bias ? r * p.n : 0) : nullptr;
    for (int64_t i = 0; i < p.n; ++i) {
      double v = (static_cast<double>(x[i]) - mean) * inv;
      if (s) v *= s[i];
      if (b) v += b[i];
      y[i] = static_cast<T>(v);
    }
    if (p.mean) p.mean[r] = mean;
    if (p.inv_std) p.inv_std[r] = inv;
  }
}
template void normalize_rows(const RowNorm&, const float*, float*);
template void normalize_rows(const RowNorm&, const double*, double*);

std::vector<double> broadcast_operand(const Tensor* t, const Dims& x, int64_t axis, const char* what,
                                      bool& full) {
  full = false;
  if (!t) return {};
  Dims target(x.begin() + axis, x.end());
  full = t->dims().size() > target.size();
  if (full) target = x;
  std::vector<double> v(static_cast<size_t>(element_count(target)));
  try {
    ref::StridedRuns r = ref::broadcast_runs(target, {t->dims()});
    while (r.next()) ref::load(*t, r.at(1), r.step(1), r.n(), v.data() + r.at(0));
  } catch (const Error&) {
    fail(Code::kInvalidModel, what, " of shape ", to_string(t->dims()), " does not fit X of shape ",
         to_string(x), " normalized from axis ", axis);
  }
  return v;
}

namespace {

Cost cost_norm(const CostContext& c) {
  Cost r;
  r.flops = 6 * c.in_elements(0);
  for (const Type* t : c.in)
    if (t) r.bytes += c.elements(t) * dtype_bits(t->dtype) / 8;
  if (c.out[0]) r.bytes += c.elements(c.out[0]) * dtype_bits(c.out[0]->dtype) / 8;
  return r;
}

// ---------------------------------------------------------------- BatchNormalization

// Inference or training, and per channel or (before version 9, spatial = 0) per element.
bool is_training(const Node& n) {
  if (n.opset >= 14) return n.attr_i("training_mode", 0) != 0;
  if (n.opset < 7 && n.attr_i("is_test", 0) != 0) return false;
  for (size_t i = 1; i < n.outputs.size(); ++i)
    if (n.outputs[i] != kNoValue) return true;
  return false;
}

void infer_batch_norm(InferContext& c) {
  const SymShape& x = c.shape(0);
  if (x.has_rank() && x.rank() == 0) fail(Code::kInvalidModel, "X must not be a scalar");
  for (size_t i = 1; i < 5 && x.has_rank() && x.rank() > 1; ++i) {
    if (!c.has_rank(i) || c.shape(i).rank() != 1) continue;
    const Dim &have = c.shape(i)[0], &want = x[1];
    if (c.node().attr_i("spatial", 1) && have.is_const() && want.is_const() && have.value() != want.value())
      fail(Code::kInvalidModel, "input ", i, " has ", have.value(), " elements for ", want.value(),
           " channels");
  }
  c.set(0, c.dtype(0), x);
  for (size_t i = 1; i < 5; ++i)
    if (c.wants(i)) c.set(i, c.dtype(3), c.shape(3));
}

void batch_norm_reference(KernelContext& c) {
  const Node& n = c.node();
  const Tensor& x = c.in(0);
  ref::expect_rank(x, 1, "X", true);
  bool spatial = n.opset >= 9 || n.attr_i("spatial", 1) != 0;
  int64_t batch = x.dim(0), per = ref::count_of(x.dims(), 1, x.rank());
  int64_t features = spatial ? (x.rank() > 1 ? x.dim(1) : 1) : per;
  int64_t inner = features ? per / features : 0;
  for (size_t i = 1; i < 5; ++i)
    check(c.in(i).size() == features, Code::kInvalidModel, "input ", i, " has ", c.in(i).size(),
          " elements for ", features, " channels");
  std::vector<double> scale = ref::to_doubles(c.in(1)), bias = ref::to_doubles(c.in(2));
  std::vector<double> mean = ref::to_doubles(c.in(3)), var = ref::to_doubles(c.in(4));
  auto eps = static_cast<double>(n.attr_f("epsilon", 1e-5f));
  auto momentum = static_cast<double>(n.attr_f("momentum", 0.9f));
  bool training = is_training(n);
  Tensor& y = c.out(0, x.dtype(), x.dims());
  with_real(x.dtype(), [&](auto zero) {
    using T = decltype(zero);
    RealIn<T> xs(x);
    RealOut<T> ys(y);
    std::vector<double> run_mean = mean, run_var = var;
    for (int64_t f = 0; f < features; ++f) {
      auto k = static_cast<size_t>(f);
      if (training) {
        double sum = 0, square = 0, count = static_cast<double>(batch * inner);
        for (int64_t b = 0; b < batch; ++b)
          for (int64_t i = 0; i < inner; ++i) sum += static_cast<double>(xs[(b * features + f) * inner + i]);
        mean[k] = sum / count;
        for (int64_t b = 0; b < batch; ++b)
          for (int64_t i = 0; i < inner; ++i) {
            double d = static_cast<double>(xs[(b * features + f) * inner + i]) - mean[k];
            square += d * d;
          }
        var[k] = square / count;
        run_mean[k] = run_mean[k] * momentum + mean[k] * (1 - momentum);
        run_var[k] = run_var[k] * momentum + var[k] * (1 - momentum);
      }
      double a = scale[k] / std::sqrt(var[k] + eps), b0 = bias[k] - mean[k] * a;
      for (int64_t b = 0; b < batch; ++b) {
        int64_t at = (b * features + f) * inner;
        for (int64_t i = 0; i < inner; ++i)
          ys[at + i] = static_cast<T>(static_cast<double>(xs[at + i]) * a + b0);
      }
    }
    ys.commit();
    mean.insert(mean.end(), var.begin(), var.end());
    run_mean.insert(run_mean.end(), run_var.begin(), run_var.end());
    for (size_t i = 1; i < 5; ++i) {
      if (!c.wants(i)) continue;
      const std::vector<double>& from = i < 3 ? run_mean : mean;
      Tensor& o = c.out(i, c.in(3).dtype(), c.in(3).dims());
      ref::store(o, 0, features, from.data() + (i % 2 ? 0 : features));
    }
  });
}

}  // namespace

SKIFF_OP_DEF(ai_onnx, BatchNormalization) {
  return {
      .name = "BatchNormalization",
      .versions = {1, 6, 7, 9, 14, 15},
      .inputs = {{"X", kFloatTypes, 'T'},
                 {"scale", kFloatTypes, '1'},
                 {"B", kFloatTypes, '1'},
                 {"input_mean", kFloatTypes, '2'},
                 {"input_var", kFloatTypes, '2'}},
      .outputs = {{"Y", kFloatTypes, 'T'},
                  {"running_mean", kFloatTypes, '2', Arity::kOptional},
                  {"running_var", kFloatTypes, '2', Arity::kOptional},
                  {"saved_mean", mask_of(DType::kFloat) | mask_of(DType::kDouble) | mask_of(DType::kFloat16),
                   'T', Arity::kOptional},
                  {"saved_var", mask_of(DType::kFloat) | mask_of(DType::kDouble) | mask_of(DType::kFloat16),
                   'T', Arity::kOptional}},
      .attributes = {{"consumed_inputs", AttrType::kInts},
                     {"epsilon", AttrType::kFloat},
                     {"is_test", AttrType::kInt},
                     {"momentum", AttrType::kFloat},
                     {"spatial", AttrType::kInt},
                     {"training_mode", AttrType::kInt}},
      .infer = infer_batch_norm,
      .reference = batch_norm_reference,
      .cost = cost_norm};
}

// ---------------------------------------------------------------- InstanceNormalization

namespace {

void infer_instance_norm(InferContext& c) {
  if (c.has_rank(0) && c.shape(0).rank() < 2)
    fail(Code::kInvalidModel, "the input must be [N, C, ...], it has shape ", c.shape(0).to_string());
  c.set(0, c.type(0));
}

// Groups of channels of each batch are normalized together; scale and bias per channel, or per group.
void group_norm(KernelContext& c, int64_t groups) {
  const Tensor &x = c.in(0), &scale = c.in(1), &bias = c.in(2);
  ref::expect_rank(x, 2, "X", true);
  int64_t batch = x.dim(0), channels = x.dim(1), inner = ref::count_of(x.dims(), 2, x.rank());
  if (groups == 0) groups = channels;
  check(groups > 0 || channels == 0, Code::kInvalidModel, "num_groups is ", groups);
  check(channels == 0 || channels % groups == 0, Code::kInvalidModel, channels,
        " channels do not divide into ", groups, " groups");
  bool per_group = scale.size() != channels;
  for (const Tensor* t : {&scale, &bias})
    check(t->size() == (per_group ? groups : channels), Code::kInvalidModel, "scale and bias have ",
          scale.size(), " and ", bias.size(), " elements for ", channels, " channels in ", groups, " groups");
  std::vector<double> s = ref::to_doubles(scale), b = ref::to_doubles(bias);
  Tensor& y = c.out(0, x.dtype(), x.dims());
  with_real(x.dtype(), [&](auto zero) {
    using T = decltype(zero);
    RealIn<T> xs(x);
    RealOut<T> ys(y);
    RowNorm p;
    p.rows = 1;
    p.epsilon = static_cast<double>(c.node().attr_f("epsilon", 1e-5f));
    int64_t per = channels ? channels / groups : 0;
    p.n = per * inner;
    std::vector<double> es(static_cast<size_t>(p.n)), eb(es.size());
    p.scale = es.data();
    p.bias = eb.data();
    for (int64_t g = 0; g < batch * groups && p.n; ++g) {
      for (int64_t i = 0; i < p.n; ++i) {
        auto k = static_cast<size_t>(per_group ? g % groups : g % groups * per + i / inner);
        es[static_cast<size_t>(i)] = s[k];
        eb[static_cast<size_t>(i)] = b[k];
      }
      normalize_rows(p, xs.data() + g * p.n, ys.data() + g * p.n);
    }
    ys.commit();
  });
}

void instance_norm_reference(KernelContext& c) { group_norm(c, 0); }

}  // namespace

SKIFF_OP_DEF(ai_onnx, InstanceNormalization) {
  return {.name = "InstanceNormalization",
          .versions = {1, 6, 22},
          .inputs = {{"input", kFloatTypes, 'T'}, {"scale", kFloatTypes, 'T'}, {"B", kFloatTypes, 'T'}},
          .outputs = {{"output", kFloatTypes, 'T'}},
          .attributes = {{"consumed_inputs", AttrType::kInts}, {"epsilon", AttrType::kFloat}},
          .infer = infer_instance_norm,
          .reference = instance_norm_reference,
          .cost = cost_norm};
}

// ---------------------------------------------------------------- GroupNormalization

namespace {

void group_norm_reference(KernelContext& c) {
  int64_t groups = c.node().attr_i("num_groups", 0);
  check(groups > 0, Code::kInvalidModel, "num_groups is ", groups, ", it must be positive");
  group_norm(c, groups);
}

}  // namespace

SKIFF_OP_DEF(ai_onnx, GroupNormalization) {
  return {.name = "GroupNormalization",
          .versions = {18, 21},
          .inputs = {{"X", kFloatTypes, 'T'}, {"scale", kFloatTypes, 'T'}, {"bias", kFloatTypes, 'T'}},
          .outputs = {{"Y", kFloatTypes, 'T'}},
          .attributes = {{"epsilon", AttrType::kFloat},
                         {"num_groups", AttrType::kInt, true},
                         {"stash_type", AttrType::kInt}},
          .infer = infer_instance_norm,
          .reference = group_norm_reference,
          .cost = cost_norm};
}

// ---------------------------------------------------------------- LayerNormalization

namespace {

DType stash_type(const Node& n) {
  DType u = rule::dtype_attr(n, "stash_type", DType::kFloat);
  check(dtype_is_float(u), Code::kInvalidModel, "stash_type must be a floating type, it is ", dtype_name(u));
  return u;
}

// Outputs 1 and 2 have extent 1 from the axis on.
void infer_layer_norm(InferContext& c) {
  c.set(0, c.type(0));
  SymShape s = c.shape(0);
  if (s.has_rank()) {
    size_t a = rule::axis(c.node().attr_i("axis", -1), s.rank());
    for (; a < s.rank(); ++a) s[a] = 1;
  }
  DType u = stash_type(c.node());
  for (size_t i = 1; i < 3; ++i)
    if (c.wants(i)) c.set(i, u, s);
}

void layer_norm_reference(KernelContext& c) {
  const Tensor& x = c.in(0);
  ref::expect_rank(x, 1, "X", true);
  auto axis = static_cast<int64_t>(rule::axis(c.node().attr_i("axis", -1), x.dims().size()));
  RowNorm p;
  p.rows = ref::count_of(x.dims(), 0, axis);
  p.n = ref::count_of(x.dims(), axis, x.rank());
  p.epsilon = static_cast<double>(c.node().attr_f("epsilon", 1e-5f));
  std::vector<double> scale = broadcast_operand(&c.in(1), x.dims(), axis, "Scale", p.full_scale);
  std::vector<double> bias = broadcast_operand(c.maybe(2), x.dims(), axis, "B", p.full_bias);
  std::vector<double> mean(static_cast<size_t>(p.rows)), inv(mean.size());
  p.scale = scale.data();
  p.bias = c.has(2) ? bias.data() : nullptr;
  p.mean = mean.data();
  p.inv_std = inv.data();
  Tensor& y = c.out(0, x.dtype(), x.dims());
  with_real(x.dtype(), [&](auto zero) {
    using T = decltype(zero);
    RealIn<T> xs(x);
    RealOut<T> ys(y);
    normalize_rows(p, xs.data(), ys.data());
    ys.commit();
  });
  Dims d = x.dims();
  for (auto a = static_cast<size_t>(axis); a < d.size(); ++a) d[a] = 1;
  DType u = stash_type(c.node());
  if (c.wants(1)) ref::store(c.out(1, u, d), 0, p.rows, mean.data());
  if (c.wants(2)) ref::store(c.out(2, u, d), 0, p.rows, inv.data());
}

}  // namespace

SKIFF_OP_DEF(ai_onnx, LayerNormalization) {
  return {
      .name = "LayerNormalization",
      .versions = {17},
      .inputs = {{"X", kFloatTypes, 'T'},
                 {"Scale", kFloatTypes, 'T'},
                 {"B", kFloatTypes, 'T', Arity::kOptional}},
      .outputs = {{"Y", kFloatTypes, 'T'},
                  {"Mean", mask_of(DType::kFloat) | mask_of(DType::kBFloat16), 'U', Arity::kOptional},
                  {"InvStdDev", mask_of(DType::kFloat) | mask_of(DType::kBFloat16), 'U', Arity::kOptional}},
      .attributes = {{"axis", AttrType::kInt}, {"epsilon", AttrType::kFloat}, {"stash_type", AttrType::kInt}},
      .infer = infer_layer_norm,
      .reference = layer_norm_reference,
      .cost = cost_norm};
}

// ---------------------------------------------------------------- RMSNormalization

namespace {

void infer_rms_norm(InferContext& c) {
  if (c.has_rank(0)) (void)rule::axis(c.node().attr_i("axis", -1), c.shape(0).rank());
  c.set(0, c.dtype(1), c.shape(0));
}

void rms_norm_reference(KernelContext& c) {
  const Tensor& x = c.in(0);
  ref::expect_rank(x, 1, "X", true);
  auto axis = static_cast<int64_t>(rule::axis(c.node().attr_i("axis", -1), x.dims().size()));
  RowNorm p;
  p.rows = ref::count_of(x.dims(), 0, axis);
  p.n = ref::count_of(x.dims(), axis, x.rank());
  p.epsilon = static_cast<double>(c.node().attr_f("epsilon", 1e-5f));
  p.simplified = true;
  std::vector<double> scale = broadcast_operand(&c.in(1), x.dims(), axis, "scale", p.full_scale);
  p.scale = scale.data();
  Tensor& y = c.out(0, c.in(1).dtype(), x.dims());
  with_real(y.dtype(), [&](auto zero) {
    using T = decltype(zero);
    RealIn<T> xs(x);
    RealOut<T> ys(y);
    normalize_rows(p, xs.data(), ys.data());
    ys.commit();
  });
}

}  // namespace

SKIFF_OP_DEF(ai_onnx, RMSNormalization) {
  return {
      .name = "RMSNormalization",
      .versions = {23},
      .inputs = {{"X", kFloatTypes, 'T'}, {"scale", kFloatTypes, 'V'}},
      .outputs = {{"Y", kFloatTypes, 'V'}},
      .attributes = {{"axis", AttrType::kInt}, {"epsilon", AttrType::kFloat}, {"stash_type", AttrType::kInt}},
      .infer = infer_rms_norm,
      .reference = rms_norm_reference,
      .cost = cost_norm};
}

// ---------------------------------------------------------------- LRN

namespace {

void lrn_reference(KernelContext& c) {
  const Tensor& x = c.in(0);
  ref::expect_rank(x, 2, "X", true);
  const Node& n = c.node();
  int64_t size = n.attr_i("size", 1), channels = x.dim(1), inner = ref::count_of(x.dims(), 2, x.rank());
  check(size >= 1, Code::kInvalidModel, "size is ", size, ", it must be at least 1");
  int64_t before = (size - 1) / 2, after = size - 1 - before;
  double alpha = n.attr_f("alpha", 1e-4f), beta = n.attr_f("beta", 0.75f), bias = n.attr_f("bias", 1.0f);
  alpha /= static_cast<double>(size);
  Tensor& y = c.out(0, x.dtype(), x.dims());
  with_real(x.dtype(), [&](auto zero) {
    using T = decltype(zero);
    RealIn<T> xs(x);
    RealOut<T> ys(y);
    for (int64_t b = 0; b < x.dim(0); ++b) {
      for (int64_t ch = 0; ch < channels; ++ch) {
        c.poll();
        int64_t lo = ch > before ? ch - before : 0,
                hi = channels - 1 - ch > after ? ch + after : channels - 1;
        for (int64_t i = 0; i < inner; ++i) {
          double sum = 0;
          for (int64_t k = lo; k <= hi; ++k) {
            auto v = static_cast<double>(xs[(b * channels + k) * inner + i]);
            sum += v * v;
          }
          int64_t at = (b * channels + ch) * inner + i;
          ys[at] = static_cast<T>(static_cast<double>(xs[at]) / std::pow(bias + alpha * sum, beta));
        }
      }
    }
    ys.commit();
  });
}

}  // namespace

SKIFF_OP_DEF(ai_onnx, LRN) {
  return {.name = "LRN",
          .versions = {1, 13},
          .inputs = {{"X", kFloatTypes, 'T'}},
          .outputs = {{"Y", kFloatTypes, 'T'}},
          .attributes = {{"alpha", AttrType::kFloat},
                         {"beta", AttrType::kFloat},
                         {"bias", AttrType::kFloat},
                         {"size", AttrType::kInt, true}},
          .infer = infer_same,
          .reference = lrn_reference,
          .cost = cost_norm};
}

// ---------------------------------------------------------------- LpNormalization

namespace {

void infer_lp_norm(InferContext& c) {
  if (c.has_rank(0)) (void)rule::axis(c.node().attr_i("axis", -1), c.shape(0).rank());
  c.set(0, c.type(0));
}

void lp_norm_reference(KernelContext& c) {
  const Tensor& x = c.in(0);
  auto axis = static_cast<int64_t>(rule::axis(c.node().attr_i("axis", -1), x.dims().size()));
  int64_t p = c.node().attr_i("p", 2);
  check(p == 1 || p == 2, Code::kInvalidModel, "p is ", p, ", only 1 and 2 are defined");
  int64_t outer = ref::count_of(x.dims(), 0, axis), n = x.dim(axis),
          inner = ref::count_of(x.dims(), axis + 1, x.rank());
  Tensor& y = c.out(0, x.dtype(), x.dims());
  with_real(x.dtype(), [&](auto zero) {
    using T = decltype(zero);
    RealIn<T> xs(x);
    RealOut<T> ys(y);
    for (int64_t o = 0; o < outer; ++o) {
      for (int64_t i = 0; i < inner; ++i) {
        double sum = 0;
        for (int64_t k = 0; k < n; ++k) {
          auto v = static_cast<double>(xs[(o * n + k) * inner + i]);
          sum += p == 1 ? std::abs(v) : v * v;
        }
        if (p == 2) sum = std::sqrt(sum);
        for (int64_t k = 0; k < n; ++k) {
          int64_t at = (o * n + k) * inner + i;
          ys[at] = sum == 0 ? T(0) : static_cast<T>(static_cast<double>(xs[at]) / sum);
        }
      }
    }
    ys.commit();
  });
}

}  // namespace

SKIFF_OP_DEF(ai_onnx, LpNormalization) {
  return {.name = "LpNormalization",
          .versions = {1, 22},
          .inputs = {{"input", kFloatTypes, 'T'}},
          .outputs = {{"output", kFloatTypes, 'T'}},
          .attributes = {{"axis", AttrType::kInt}, {"p", AttrType::kInt}},
          .infer = infer_lp_norm,
          .reference = lp_norm_reference,
          .cost = cost_norm};
}

// ---------------------------------------------------------------- MeanVarianceNormalization

namespace {

void infer_mvn(InferContext& c) {
  if (c.has_rank(0)) (void)rule::axes(c.node().attr_ints("axes", {0, 2, 3}), c.shape(0).rank());
  c.set(0, c.type(0));
}

void mvn_reference(KernelContext& c) {
  const Tensor& x = c.in(0);
  std::vector<size_t> axes = rule::axes(c.node().attr_ints("axes", {0, 2, 3}), x.dims().size());
  Dims own = strides_of(x.dims()), kept, kept_strides, red, red_strides;
  for (size_t a = 0; a < x.dims().size(); ++a) {
    bool reduced = std::find(axes.begin(), axes.end(), a) != axes.end();
    (reduced ? red : kept).push_back(x.dims()[a]);
    (reduced ? red_strides : kept_strides).push_back(own[a]);
  }
  auto count = static_cast<double>(element_count(red));
  Tensor& y = c.out(0, x.dtype(), x.dims());
  with_real(x.dtype(), [&](auto zero) {
    using T = decltype(zero);
    RealIn<T> xs(x);
    RealOut<T> ys(y);
    ref::StridedRuns rows(kept, {kept_strides});
    while (rows.next()) {
      for (int64_t i = 0; i < rows.n(); ++i) {
        int64_t start = rows.at(0) + i * rows.step(0);
        auto each = [&](auto f) {
          ref::StridedRuns r(red, {red_strides}, {start});
          while (r.next())
            for (int64_t j = 0; j < r.n(); ++j) f(r.at(0) + j * r.step(0));
        };
        double mean = 0, square = 0;
        each([&](int64_t at) { mean += static_cast<double>(xs[at]); });
        mean /= count;
        each([&](int64_t at) {
          double d = static_cast<double>(xs[at]) - mean;
          square += d * d;
        });
        double dev = std::sqrt(square / count) + 1e-9;
        each([&](int64_t at) { ys[at] = static_cast<T>((static_cast<double>(xs[at]) - mean) / dev); });
      }
    }
    ys.commit();
  });
}

}  // namespace

SKIFF_OP_DEF(ai_onnx, MeanVarianceNormalization) {
  return {.name = "MeanVarianceNormalization",
          .versions = {9, 13},
          .inputs = {{"X", kFloatTypes, 'T'}},
          .outputs = {{"Y", kFloatTypes, 'T'}},
          .attributes = {{"axes", AttrType::kInts}},
          .infer = infer_mvn,
          .reference = mvn_reference,
          .cost = cost_norm};
}

}  // namespace skiff
