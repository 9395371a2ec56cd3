// Softmax and normalizations of floats.
#include <cmath>

#include "device/cpu/glue_util.h"
#include "device/cpu/kernels/norm/norm.h"

namespace skiff::cpu {
namespace {

bool channels_last(const Node& n) { return n.domain == "skiff" && n.attr_s("layout", "NHWC") == "NHWC"; }

// An image operand as batch, channels and pixels.
struct Image {
  int64_t n, c, hw;
};
Image image_of(const Node& n, const Dims& x) {
  const size_t r = x.size();
  if (channels_last(n)) return {x[0], x[r - 1], span_of(x, 1, r - 1)};
  return {x[0], x[1], span_of(x, 2, r)};
}

double elements(const Dims& d) { return static_cast<double>(element_count(d)); }

// ---------------------------------------------------------------- Softmax, LogSoftmax

// Rows shorter than a vector register go through the column kernel: kShortRows of them transposed at a time.
constexpr int64_t kShortAxis = 16, kShortRows = 128;

void softmax_short_rows(const NormKernels& k, const SoftmaxParams& p, int64_t begin, int64_t end) {
  alignas(64) float block[kShortAxis * kShortRows];
  for (int64_t row = begin; row < end; row += kShortRows) {
    const int64_t n = std::min(kShortRows, end - row);
    const float* x = p.x + row * p.axis;
    float* y = p.y + row * p.axis;
    for (int64_t r = 0; r < n; ++r)
      for (int64_t i = 0; i < p.axis; ++i) block[i * n + r] = x[r * p.axis + i];
    k.softmax({block, block, 1, p.axis, n, p.log}, 0, n);
    for (int64_t r = 0; r < n; ++r)
      for (int64_t i = 0; i < p.axis; ++i) y[r * p.axis + i] = block[i * n + r];
  }
}

std::unique_ptr<BoundKernel> plan_softmax(const PlanArgs& p) {
  const Dims& x = p.x();
  const bool matrix = p.node.opset < 13;
  const int64_t rank = rank_of(x);
  int64_t axis = p.node.attr_i("axis", matrix ? 1 : -1);
  SoftmaxParams params{};
  params.log = p.node.op == "LogSoftmax";
  params.inner = 1;
  if (matrix && axis >= rank) {
    params.outer = element_count(x);
    params.axis = 1;
  } else if (rank == 0) {
    params.outer = params.axis = 1;
  } else {
    auto a = static_cast<size_t>(normalize_axis(axis, rank));
    params.outer = span_of(x, 0, a);
    params.axis = matrix ? span_of(x, a, x.size()) : x[a];
    if (!matrix) params.inner = span_of(x, a + 1, x.size());
  }
  if (element_count(x) == 0) return bound([](const RunArgs&) {});
  const bool is_short = params.inner == 1 && params.axis < kShortAxis && params.outer > 8;
  Work w = divide(p.c, params.outer * params.inner, 2e-9 * elements(x),
                  is_short ? kShortRows : (params.inner > 1 ? 16 : 1));
  const CpuContext& c = p.c;
  return bound([&c, params, w, is_short](const RunArgs& a) {
    SoftmaxParams r = params;
    r.x = in_floats(a, 0);
    r.y = out_floats(a);
    each(c, w, [&](int64_t b, int64_t e) {
      if (is_short) return softmax_short_rows(*c.k->norm, r, b, e);
      c.k->norm->softmax(r, b, e);
    });
  });
}

float* maybe_out(const RunArgs& a, size_t i) {
  return i < a.out.size() && a.out[i] ? out_floats(a, i) : nullptr;
}

// ---------------------------------------------------------------- LayerNormalization, RMSNormalization

std::unique_ptr<BoundKernel> plan_layer_norm(const PlanArgs& p) {
  const Dims& x = p.x();
  auto axis = static_cast<size_t>(normalize_axis(p.node.attr_i("axis", -1), rank_of(x)));
  LayerNormParams params{};
  params.rows = span_of(x, 0, axis);
  params.n = span_of(x, axis, x.size());
  params.epsilon = p.node.attr_f("epsilon", 1e-5F);
  const bool simplified = p.node.op == "SimplifiedLayerNormalization";
  params.rms = simplified || p.node.op == "RMSNormalization";
  for (size_t i : {1, 2})
    if (p.has(i) && (element_count(p.x(i)) != params.n || p.x(i).size() > x.size() - axis)) return nullptr;
  if (element_count(x) == 0) return nullptr;
  Work w = divide(p.c, params.rows, 1e-9 * elements(x));
  const CpuContext& c = p.c;
  return bound([&c, params, w, simplified](const RunArgs& a) {
    LayerNormParams r = params;
    r.x = in_floats(a, 0);
    r.scale = maybe_floats(a, 1);
    r.bias = maybe_floats(a, 2);
    r.y = out_floats(a);
    (simplified ? r.inv_std : r.mean) = maybe_out(a, 1);
    if (!simplified) r.inv_std = maybe_out(a, 2);
    each(c, w, [&](int64_t b, int64_t e) { c.k->norm->layer_norm(r, b, e); });
  });
}

// com.microsoft: the sum of two tensors and a bias, normalized along the last axis.
std::unique_ptr<BoundKernel> plan_skip_norm(const PlanArgs& p) {
  const Dims& x = p.x();
  if (element_count(x) == 0 || p.x(1) != x) return nullptr;
  const bool simplified = p.node.op == "SkipSimplifiedLayerNormalization";
  LayerNormParams params{};
  params.n = x[x.size() - 1];
  params.rows = element_count(x) / params.n;
  params.epsilon = p.node.attr_f("epsilon", 1e-12F);
  params.rms = simplified;
  for (size_t i = 2; i < 5; ++i)
    if (p.has(i) && p.x(i) != Dims{params.n}) return nullptr;
  Work w = divide(p.c, params.rows, 1.5e-9 * elements(x));
  const CpuContext& c = p.c;
  return bound([&c, params, w, simplified](const RunArgs& a) {
    LayerNormParams r = params;
    r.x = in_floats(a, 0);
    r.residual = in_floats(a, 1);
    r.scale = in_floats(a, 2);
    r.bias = simplified ? nullptr : maybe_floats(a, 3);
    r.residual_bias = maybe_floats(a, simplified ? 3 : 4);
    r.y = out_floats(a);
    r.mean = maybe_out(a, 1);
    r.inv_std = maybe_out(a, 2);
    r.sum = maybe_out(a, 3);
    each(c, w, [&](int64_t b, int64_t e) { c.k->norm->layer_norm(r, b, e); });
  });
}

// ---------------------------------------------------------------- InstanceNormalization, GroupNormalization

std::unique_ptr<BoundKernel> plan_group_norm(const PlanArgs& p) {
  const Image im = image_of(p.node, p.x());
  const bool last = channels_last(p.node);
  GroupNormParams params{};
  params.n = im.n;
  params.c = im.c;
  params.hw = im.hw;
  params.groups = p.node.op == "GroupNormalization" ? p.node.attr_i("num_groups", 0) : im.c;
  params.epsilon = p.node.attr_f("epsilon", 1e-5F);
  if (element_count(p.x()) == 0 || params.groups < 1 || im.c % params.groups != 0) return nullptr;
  for (size_t i : {1, 2})
    if (element_count(p.x(i)) != im.c) return nullptr;
  Work w = divide(p.c, group_norm_units(params, last), 1e-9 * elements(p.x()));
  const CpuContext& c = p.c;
  const auto kernel = last ? c.k->norm->group_norm_nhwc : c.k->norm->group_norm_nchw;
  return bound([&c, params, w, kernel](const RunArgs& a) {
    GroupNormParams r = params;
    r.x = in_floats(a, 0);
    r.scale = in_floats(a, 1);
    r.bias = in_floats(a, 2);
    r.y = out_floats(a);
    each(c, w, [&](int64_t b, int64_t e) { kernel(r, b, e); });
  });
}

// ---------------------------------------------------------------- BatchNormalization

// y = x * scale + shift with the statistics folded in; by each run, for they need not be constant.
std::unique_ptr<BoundKernel> plan_batch_norm(const PlanArgs& p) {
  const Image im = image_of(p.node, p.x());
  const bool last = channels_last(p.node);
  for (size_t i = 1; i < 5; ++i)
    if (element_count(p.x(i)) != im.c) return nullptr;
  if (element_count(p.x()) == 0) return bound([](const RunArgs&) {});
  ChannelAffineParams params{};
  params.n = im.n;
  params.c = im.c;
  params.hw = im.hw;
  const double epsilon = p.node.attr_f("epsilon", 1e-5F);
  Work w = divide(p.c, last ? im.n * im.hw : im.n * im.c, move_seconds(8 * elements(p.x())));
  const CpuContext& c = p.c;
  const auto kernel = last ? c.k->norm->affine_nhwc : c.k->norm->affine_nchw;
  const size_t floats = static_cast<size_t>(im.c) * sizeof(float), shift_at = align_up(floats);
  return bound(
      [&c, params, w, kernel, shift_at, epsilon](const RunArgs& a) {
        auto* scale = static_cast<float*>(a.workspace);
        auto* shift = reinterpret_cast<float*>(static_cast<char*>(a.workspace) + shift_at);
        const float *s = in_floats(a, 1), *b0 = in_floats(a, 2), *mean = in_floats(a, 3),
                    *var = in_floats(a, 4);
        for (int64_t i = 0; i < params.c; ++i) {
          const double f = s[i] / std::sqrt(var[i] + epsilon);
          scale[i] = static_cast<float>(f);
          shift[i] = static_cast<float>(b0[i] - mean[i] * f);
        }
        ChannelAffineParams r = params;
        r.x = in_floats(a, 0);
        r.y = out_floats(a);
        r.scale = scale;
        r.shift = shift;
        each(c, w, [&](int64_t b, int64_t e) { kernel(r, b, e); });
      },
      shift_at + floats);
}

// ImageScaler (removed in opset 10): one scale, a shift per channel.
std::unique_ptr<BoundKernel> plan_image_scaler(const PlanArgs& p) {
  const Image im = image_of(p.node, p.x());
  std::vector<float> shift = p.node.attr_floats("bias");
  if (static_cast<int64_t>(shift.size()) != im.c) return nullptr;
  ChannelAffineParams params{};
  params.n = im.n;
  params.c = im.c;
  params.hw = im.hw;
  Work w = divide(p.c, im.n * im.c, move_seconds(8 * elements(p.x())));
  const CpuContext& c = p.c;
  return bound([&c, params, w, scale = std::vector<float>(shift.size(), p.node.attr_f("scale", 1)),
                shift](const RunArgs& a) {
    ChannelAffineParams r = params;
    r.x = in_floats(a, 0);
    r.y = out_floats(a);
    r.scale = scale.data();
    r.shift = shift.data();
    each(c, w, [&](int64_t b, int64_t e) { c.k->norm->affine_nchw(r, b, e); });
  });
}

// ---------------------------------------------------------------- LRN, LpNormalization

std::unique_ptr<BoundKernel> plan_lrn(const PlanArgs& p) {
  const Image im = image_of(p.node, p.x());
  const bool last = channels_last(p.node);
  LrnParams params{};
  params.n = im.n;
  params.c = im.c;
  params.hw = im.hw;
  params.size = p.node.attr_i("size", 1);
  params.alpha = p.node.attr_f("alpha", 1e-4F);
  params.beta = p.node.attr_f("beta", 0.75F);
  params.bias = p.node.attr_f("bias", 1);
  if (element_count(p.x()) == 0 || params.size < 1 || params.size > 2 * im.c) return nullptr;
  Work w = divide(p.c, im.n * im.hw, 3e-9 * elements(p.x()), last ? 1 : 16);
  const CpuContext& c = p.c;
  const auto kernel = last ? c.k->norm->lrn_nhwc : c.k->norm->lrn_nchw;
  return bound([&c, params, w, kernel](const RunArgs& a) {
    LrnParams r = params;
    r.x = in_floats(a, 0);
    r.y = out_floats(a);
    each(c, w, [&](int64_t b, int64_t e) { kernel(r, b, e); });
  });
}

std::unique_ptr<BoundKernel> plan_lp_norm(const PlanArgs& p) {
  const Dims& x = p.x();
  auto axis = static_cast<size_t>(normalize_axis(p.node.attr_i("axis", -1), rank_of(x)));
  LpNormParams params{};
  params.outer = span_of(x, 0, axis);
  params.axis = x[axis];
  params.inner = span_of(x, axis + 1, x.size());
  params.p = static_cast<int>(p.node.attr_i("p", 2));
  if (element_count(x) == 0 || (params.p != 1 && params.p != 2)) return nullptr;
  Work w = divide(p.c, params.outer * params.inner, 1e-9 * elements(x), params.inner > 1 ? 16 : 1);
  const CpuContext& c = p.c;
  return bound([&c, params, w](const RunArgs& a) {
    LpNormParams r = params;
    r.x = in_floats(a, 0);
    r.y = out_floats(a);
    each(c, w, [&](int64_t b, int64_t e) { c.k->norm->lp_norm(r, b, e); });
  });
}

// ---------------------------------------------------------------- what matches

bool wants(const NodeQuery& q, size_t i) { return i < q.out.size() && q.out[i] != nullptr; }

std::optional<double> match_layer_norm(const NodeQuery& q, const CpuContext& c) {
  if (in_rank(q, 0) < 1 || q.in.size() < 2 || !q.in[1]) return std::nullopt;
  for (size_t i : {1, 2})
    if (wants(q, i) && q.out[i]->dtype != DType::kFloat) return std::nullopt;
  return match_floats(q, c);
}
std::optional<double> match_skip_norm(const NodeQuery& q, const CpuContext& c) {
  if (q.in.size() < 3 || !q.in[1] || !q.in[2]) return std::nullopt;
  return match_layer_norm(q, c);
}
std::optional<double> match_lp_norm(const NodeQuery& q, const CpuContext& c) {
  if (in_rank(q, 0) < 1) return std::nullopt;
  return match_floats(q, c);
}
std::optional<double> match_image(const NodeQuery& q, const CpuContext& c) {
  if (in_rank(q, 0) < (q.node.domain == "skiff" ? 3 : 2)) return std::nullopt;
  return match_floats(q, c);
}
std::optional<double> match_group_norm(const NodeQuery& q, const CpuContext& c) {
  if (q.in.size() < 3 || !q.in[1] || !q.in[2]) return std::nullopt;
  return match_image(q, c);
}
std::optional<double> match_batch_norm(const NodeQuery& q, const CpuContext& c) {
  for (size_t i = 1; i < 5; ++i)
    if (q.in.size() <= i || !q.in[i] || wants(q, i)) return std::nullopt;
  const Node& n = q.node;
  if (n.attr_i("training_mode", 0) != 0 || n.attr_i("spatial", 1) == 0) return std::nullopt;
  return match_image(q, c);
}

}  // namespace

std::span<const KernelFactory> norm_factories() {
  static const KernelFactory list[] = {
      glue<"softmax_f32", plan_softmax, 1>("", "Softmax", match_floats),
      glue<"softmax_f32", plan_softmax, 1>("", "LogSoftmax", match_floats),
      glue<"layer_norm_f32", plan_layer_norm, 1>("", "LayerNormalization", match_layer_norm),
      glue<"layer_norm_f32", plan_layer_norm, 1>("", "RMSNormalization", match_layer_norm),
      glue<"layer_norm_f32", plan_layer_norm, 1>("", "SimplifiedLayerNormalization", match_layer_norm),
      glue<"skip_layer_norm_f32", plan_skip_norm, 3>("com.microsoft", "SkipLayerNormalization",
                                                     match_skip_norm),
      glue<"skip_layer_norm_f32", plan_skip_norm, 3>("com.microsoft", "SkipSimplifiedLayerNormalization",
                                                     match_skip_norm),
      glue<"group_norm_f32", plan_group_norm, 1>("", "InstanceNormalization", match_group_norm),
      glue<"group_norm_f32", plan_group_norm, 1>("", "GroupNormalization", match_group_norm),
      glue<"group_norm_nhwc_f32", plan_group_norm, 1>("skiff", "InstanceNormalization", match_group_norm),
      glue<"channel_affine_f32", plan_batch_norm, 1>("", "BatchNormalization", match_batch_norm),
      glue<"channel_affine_nhwc_f32", plan_batch_norm, 1>("skiff", "BatchNormalization", match_batch_norm),
      glue<"channel_affine_f32", plan_image_scaler, 1>("", "ImageScaler", match_image),
      glue<"lrn_f32", plan_lrn>("", "LRN", match_image),
      glue<"lrn_nhwc_f32", plan_lrn>("skiff", "LRN", match_image),
      glue<"lp_norm_f32", plan_lp_norm, 1>("", "LpNormalization", match_lp_norm),
  };
  return list;
}

}  // namespace skiff::cpu
