// Resize and Upsample of floats. The kernels know two resized axes between outer, and channels-last, ones;
// any layout is brought to that by merging the axes that stay.
#include "device/cpu/glue_util.h"
#include "device/cpu/kernels/resize/resize.h"
#include "ops/resize.h"

namespace skiff::cpu {
namespace {

// A table as the kernel reads it.
struct AxisTable {
  int64_t in = 1, out = 1, taps = 1;
  std::vector<int32_t> index{0};
  std::vector<float> weight;

  AxisTable() = default;
  AxisTable(const skiff::ResizeAxis& a, const ResizeTable& t)
      : in(a.in), out(a.out), taps(static_cast<int64_t>(t.taps)), index(t.index.begin(), t.index.end()) {
    weight.reserve(t.weight.size());
    for (double w : t.weight) weight.push_back(static_cast<float>(w));
  }
  ResizeAxis view() const { return {taps, index.data(), weight.empty() ? nullptr : weight.data()}; }
};

// The sizes the node was given: by their input, or under the default policy simply the result's extents.
std::optional<std::vector<skiff::ResizeAxis>> axes_of(const PlanArgs& p) {
  const Node& n = p.node;
  const ResizeInputs in = resize_inputs(n);
  if (!in.scales) return resize_axes(n, p.x(), resize_attribute_scales(n, p.x().size()), {});
  if (in.sizes && p.has(in.sizes) && element_count(p.x(in.sizes)) > 0) {
    if (const Tensor* t = p.constant(in.sizes)) return resize_axes(n, p.x(), {}, to_ints(*t));
    if (n.attr_s("keep_aspect_ratio_policy", "stretch") != "stretch") return std::nullopt;
    std::vector<int64_t> sizes;
    for (size_t a : resized_axes(n, p.x().size())) sizes.push_back(p.y()[a]);
    return resize_axes(n, p.x(), {}, sizes);
  }
  const Tensor* t = p.has(in.scales) ? p.constant(in.scales) : nullptr;
  if (!t) return std::nullopt;
  return resize_axes(n, p.x(), to_floats(*t), {});
}

std::unique_ptr<BoundKernel> plan_resize(const PlanArgs& p) {
  const CpuContext& c = p.c;
  if (element_count(p.y()) == 0) return bound([](const RunArgs&) {});
  auto axes = axes_of(p);
  if (!axes) return nullptr;
  std::erase_if(*axes, [](const skiff::ResizeAxis& a) { return a.unchanged(); });
  std::sort(axes->begin(), axes->end(), [](const auto& a, const auto& b) { return a.axis < b.axis; });
  if (axes->size() > 2) return nullptr;
  for (const skiff::ResizeAxis& a : *axes)
    if (a.in > INT32_MAX || a.out != p.y()[a.axis]) return nullptr;
  AxisTable rows, columns;
  const Dims& x = p.x();
  size_t first = x.size(), last = x.size();
  if (!axes->empty()) {
    first = axes->front().axis;
    last = axes->back().axis + 1;
    if (axes->size() == 2) {
      if (span_of(x, first + 1, last - 1) != 1) return nullptr;
      rows = AxisTable((*axes)[0], resize_table(p.node, (*axes)[0]));
    }
    columns = AxisTable(axes->back(), resize_table(p.node, axes->back()));
  }
  ResizeParams params{};
  const int64_t outer = span_of(x, 0, first), inner = span_of(x, last, x.size());
  const bool nhwc = inner > 1;
  params.n = outer;
  params.c = nhwc ? inner : 1;
  params.h = rows.in;
  params.oh = rows.out;
  params.w = columns.in;
  params.ow = columns.out;
  const auto outputs = static_cast<double>(element_count(p.y()));
  double ns = 0.3 * static_cast<double>(rows.taps + columns.taps);
  if (!nhwc) ns += 0.5 * static_cast<double>(columns.taps);
  Work w = divide(c, outer * rows.out, outputs * ns * 1e-9);
  const size_t scratch = align_up(resize_scratch_bytes(params, nhwc));
  const auto kernel = nhwc ? c.k->resize->nhwc : c.k->resize->nchw;
  return bound(
      [&c, params, w, scratch, kernel, rows, columns](const RunArgs& a) {
        ResizeParams r = params;
        r.x = in_floats(a, 0);
        r.y = out_floats(a);
        r.rows = rows.view();
        r.columns = columns.view();
        each(c, w, [&](int64_t b, int64_t e) {
          kernel(r, static_cast<char*>(a.workspace) + static_cast<size_t>(b / w.grain) * scratch, b, e);
        });
      },
      scratch * static_cast<size_t>(w.tasks()));
}

std::optional<double> match_resize(const NodeQuery& q, const CpuContext& c) {
  if (!q.in_dtype(0, DType::kFloat) || in_rank(q, 0) < 1 || !output_is(q, DType::kFloat)) return std::nullopt;
  const Node& n = q.node;
  // Extrapolated coordinates are the reference's.
  if (n.attr_s("coordinate_transformation_mode", "") == "tf_crop_and_resize") return std::nullopt;
  const ResizeInputs in = resize_inputs(n);
  const bool sizes = in.sizes && q.node.input(in.sizes) != kNoValue &&
                     n.attr_s("keep_aspect_ratio_policy", "stretch") == "stretch";
  if (in.scales && !sizes && !q.constant(in.scales) && !(in.sizes && q.constant(in.sizes)))
    return std::nullopt;
  return c.estimate(node_cost(q), 0.3);
}

}  // namespace

std::span<const KernelFactory> resize_factories() {
  static const KernelFactory list[] = {
      glue<"resize_f32", plan_resize>("", "Resize", match_resize),
      glue<"resize_f32", plan_resize>("", "Upsample", match_resize),
  };
  return list;
}

}  // namespace skiff::cpu
