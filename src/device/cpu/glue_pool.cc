// Pooling of float images, planar and channels-last.
#include "device/cpu/glue_util.h"
#include "device/cpu/kernels/pool/pool.h"
#include "device/cpu/kernels/reduce/reduce.h"
#include "ops/window.h"

namespace skiff::cpu {
namespace {

bool channels_last(const Node& n) { return n.domain == "skiff" && n.attr_s("layout", "NHWC") == "NHWC"; }

std::unique_ptr<BoundKernel> plan_pool(const PlanArgs& p) {
  const bool last = channels_last(p.node), max = p.node.op == "MaxPool";
  const size_t spatial = p.x().size() - 2, first = last ? 1 : 2;
  Window w = window_of(p.node, spatial, {});
  std::vector<int64_t> in;
  for (size_t i = 0; i < spatial; ++i) in.push_back(p.x()[first + i]);
  w.resolve(in);
  PoolParams params{};
  params.n = p.x()[0];
  params.c = p.x()[last ? spatial + 1 : 1];
  params.h = params.oh = params.kh = params.stride_h = params.dilation_h = 1;
  if (spatial == 2) {
    params.h = in[0];
    params.oh = p.y()[first];
    params.kh = w.kernel[0];
    params.stride_h = w.stride[0];
    params.dilation_h = w.dilation[0];
    params.pad_top = w.begin[0];
    params.pad_bottom = w.end[0];
  }
  params.w = in[spatial - 1];
  params.ow = p.y()[first + spatial - 1];
  params.kw = w.kernel[spatial - 1];
  params.stride_w = w.stride[spatial - 1];
  params.dilation_w = w.dilation[spatial - 1];
  params.pad_left = w.begin[spatial - 1];
  params.pad_right = w.end[spatial - 1];
  params.count_include_pad = p.node.attr_i("count_include_pad", 0) != 0;
  params.x_pixel = params.y_pixel = params.c;
  const CpuContext& c = p.c;
  if (element_count(p.y()) == 0) return bound([](const RunArgs&) {});
  const auto taps = static_cast<double>(params.kh * params.kw);
  const auto outputs = static_cast<double>(element_count(p.y()));
  if (last) {
    Work work = divide(c, params.n * params.oh, outputs * taps * 0.15e-9);
    const auto kernel = max ? c.k->pool->max_nhwc : c.k->pool->average_nhwc;
    return bound([&c, params, work, kernel](const RunArgs& a) {
      PoolParams r = params;
      r.x = in_floats(a, 0);
      r.y = out_floats(a);
      each(c, work, [&](int64_t b, int64_t e) { kernel(r, b, e); });
    });
  }
  Work work = divide(c, params.n * params.c, outputs * taps * 0.3e-9);
  const size_t scratch = align_up(pool_nchw_scratch_bytes(params));
  const auto kernel = max ? c.k->pool->max_nchw : c.k->pool->average_nchw;
  return bound(
      [&c, params, work, kernel, scratch](const RunArgs& a) {
        PoolParams r = params;
        r.x = in_floats(a, 0);
        r.y = out_floats(a);
        each(c, work, [&](int64_t b, int64_t e) {
          kernel(r, static_cast<char*>(a.workspace) + static_cast<size_t>(b / work.grain) * scratch, b, e);
        });
      },
      scratch * static_cast<size_t>(work.tasks()));
}

std::unique_ptr<BoundKernel> plan_global(const PlanArgs& p) {
  const bool last = channels_last(p.node);
  const Dims& x = p.x();
  const size_t r = x.size();
  ReduceParams params{};
  params.outer = last ? x[0] : x[0] * x[1];
  params.reduced = last ? span_of(x, 1, r - 1) : span_of(x, 2, r);
  params.inner = last ? x[r - 1] : 1;
  const ReduceOp op = p.node.op == "GlobalMaxPool" ? ReduceOp::kMax : ReduceOp::kMean;
  Work work =
      divide(p.c, params.outer * params.inner, move_seconds(4 * static_cast<double>(element_count(x))), 16);
  const CpuContext& c = p.c;
  return bound([&c, params, work, op](const RunArgs& a) {
    ReduceParams q = params;
    q.x = in_floats(a, 0);
    q.y = out_floats(a);
    each(c, work, [&](int64_t b, int64_t e) { c.k->reduce->reduce(op, q, b, e); });
  });
}

std::optional<double> match_pool(const NodeQuery& q, const CpuContext& c) {
  const int64_t rank = in_rank(q, 0);
  if ((rank != 3 && rank != 4) || (q.out.size() > 1 && q.out[1])) return std::nullopt;
  if (!q.node.has_attr("kernel_shape")) return std::nullopt;
  return match_floats(q, c);
}
std::optional<double> match_global(const NodeQuery& q, const CpuContext& c) {
  if (in_rank(q, 0) < 2) return std::nullopt;
  return match_floats(q, c);
}

}  // namespace

std::span<const KernelFactory> pool_factories() {
  static const KernelFactory list[] = {
      glue<"pool_f32", plan_pool>("", "MaxPool", match_pool),
      glue<"pool_f32", plan_pool>("", "AveragePool", match_pool),
      glue<"pool_nhwc_f32", plan_pool>("skiff", "MaxPool", match_pool),
      glue<"pool_nhwc_f32", plan_pool>("skiff", "AveragePool", match_pool),
      glue<"global_pool_f32", plan_global>("", "GlobalAveragePool", match_global),
      glue<"global_pool_f32", plan_global>("", "GlobalMaxPool", match_global),
      glue<"global_pool_nhwc_f32", plan_global>("skiff", "GlobalAveragePool", match_global),
      glue<"global_pool_nhwc_f32", plan_global>("skiff", "GlobalMaxPool", match_global),
  };
  return list;
}

}  // namespace skiff::cpu
