// Reductions, arguments of extremes and cumulative sums of floats.
#include "device/cpu/glue_util.h"
#include "device/cpu/kernels/reduce/reduce.h"

namespace skiff::cpu {
namespace {

// A reduction over several groups of axes is done group by group: `first`, then `middle`, then `last`.
struct Reduction {
  const char* op;
  int axes_input_since;  // the opset from which axes are input 1
  ReduceOp only, first, middle, last;
};
using R = ReduceOp;
constexpr Reduction kReductions[] = {
    {"ReduceL1", 18, R::kL1, R::kL1, R::kSum, R::kSum},
    {"ReduceL2", 18, R::kL2, R::kL2, R::kL2, R::kL2},
    {"ReduceLogSum", 18, R::kLogSum, R::kSum, R::kSum, R::kLogSum},
    {"ReduceLogSumExp", 18, R::kLogSumExp, R::kLogSumExp, R::kLogSumExp, R::kLogSumExp},
    {"ReduceMax", 18, R::kMax, R::kMax, R::kMax, R::kMax},
    {"ReduceMean", 18, R::kMean, R::kMean, R::kMean, R::kMean},
    {"ReduceMin", 18, R::kMin, R::kMin, R::kMin, R::kMin},
    {"ReduceProd", 18, R::kProd, R::kProd, R::kProd, R::kProd},
    {"ReduceSum", 13, R::kSum, R::kSum, R::kSum, R::kSum},
    {"ReduceSumSquare", 18, R::kSumSquare, R::kSumSquare, R::kSum, R::kSum},
};
const Reduction& reduction_of(const Node& n) {
  for (const Reduction& r : kReductions)
    if (n.op == r.op) return r;
  fail(Code::kInternal, n.op, " is not a reduction");
}

struct Pass {
  ReduceOp op;
  ReduceParams params;
  Work work;
  size_t from, to;  // places in the workspace; kOutside: the input, the output
};
constexpr size_t kOutside = SIZE_MAX;

std::unique_ptr<BoundKernel> plan_reduce(const PlanArgs& p) {
  const Reduction& red = reduction_of(p.node);
  const Dims& x = p.x();
  std::vector<int64_t> axes;
  if (p.node.opset < red.axes_input_since) {
    axes = p.node.attr_ints("axes");
  } else if (p.has(1) && element_count(p.x(1)) > 0) {
    const Tensor* t = p.constant(1);
    if (!t) return nullptr;
    axes = to_ints(*t);
  }
  if (axes.empty() && p.node.opset >= red.axes_input_since && p.node.attr_i("noop_with_empty_axes", 0) != 0)
    return nullptr;
  std::vector<bool> reduced(x.size(), axes.empty());
  for (int64_t a : axes)
    reduced[static_cast<size_t>(normalize_axis(a, static_cast<int64_t>(x.size())))] = true;
  // Neighbours of one kind become one group.
  struct Group {
    int64_t n;
    bool reduced;
  };
  std::vector<Group> groups;
  for (size_t i = 0; i < x.size(); ++i) {
    if (x[i] == 1) continue;
    if (!groups.empty() && groups.back().reduced == reduced[i])
      groups.back().n *= x[i];
    else
      groups.push_back({x[i], reduced[i]});
  }
  const CpuContext& c = p.c;
  std::vector<Pass> passes;
  size_t bytes = 0, from = kOutside;
  for (bool more = true; more;) {
    size_t at = groups.size(), count = 0;
    for (size_t i = 0; i < groups.size(); ++i) {
      if (!groups[i].reduced) continue;
      at = i;
      ++count;
    }
    more = count > 1;
    Pass s{};
    s.op = passes.empty() ? (more ? red.first : red.only) : (more ? red.middle : red.last);
    s.params.outer = s.params.inner = s.params.reduced = 1;
    for (size_t i = 0; i < groups.size(); ++i) {
      int64_t& part = i < at ? s.params.outer : i == at ? s.params.reduced : s.params.inner;
      part *= groups[i].n;
    }
    const int64_t results = s.params.outer * s.params.inner;
    const double read = static_cast<double>(results) * static_cast<double>(s.params.reduced);
    s.work = divide(c, results, (s.op == R::kLogSumExp ? 2e-9 : 0.4e-9) * read, 16);
    s.from = from;
    s.to = from = more ? bytes : kOutside;
    if (more) {
      bytes += align_up(static_cast<size_t>(results) * sizeof(float));
      groups.erase(groups.begin() + static_cast<ptrdiff_t>(at));
      if (at > 0 && at < groups.size()) {
        groups[at - 1].n *= groups[at].n;
        groups.erase(groups.begin() + static_cast<ptrdiff_t>(at));
      }
    }
    passes.push_back(s);
  }
  return bound(
      [&c, passes = std::move(passes)](const RunArgs& a) {
        auto* ws = static_cast<char*>(a.workspace);
        for (const Pass& s : passes) {
          ReduceParams r = s.params;
          r.x = s.from == kOutside ? in_floats(a, 0) : reinterpret_cast<const float*>(ws + s.from);
          r.y = s.to == kOutside ? out_floats(a) : reinterpret_cast<float*>(ws + s.to);
          each(c, s.work, [&](int64_t b, int64_t e) { c.k->reduce->reduce(s.op, r, b, e); });
        }
      },
      bytes);
}

std::unique_ptr<BoundKernel> plan_arg(const PlanArgs& p) {
  const Dims& x = p.x();
  auto axis = static_cast<size_t>(normalize_axis(p.node.attr_i("axis", 0), static_cast<int64_t>(x.size())));
  ArgParams params{};
  params.outer = span_of(x, 0, axis);
  params.reduced = x[axis];
  params.inner = span_of(x, axis + 1, x.size());
  params.max = p.node.op == "ArgMax";
  params.select_last = p.node.attr_i("select_last_index", 0) != 0;
  if (params.reduced == 0) return nullptr;
  const CpuContext& c = p.c;
  Work w = divide(c, params.outer * params.inner, 1e-9 * static_cast<double>(element_count(x)), 16);
  return bound([&c, params, w](const RunArgs& a) {
    ArgParams r = params;
    r.x = in_floats(a, 0);
    r.y = a.out[0]->tensor().data<int64_t>();
    each(c, w, [&](int64_t b, int64_t e) { c.k->reduce->arg(r, b, e); });
  });
}

std::unique_ptr<BoundKernel> plan_cumsum(const PlanArgs& p) {
  const CpuContext& c = p.c;
  if (element_count(p.x(1)) != 1) return nullptr;
  const bool exclusive = p.node.attr_i("exclusive", 0) != 0, reverse = p.node.attr_i("reverse", 0) != 0;
  const double seconds = 2e-9 * static_cast<double>(element_count(p.x()));
  return bound([&c, x = p.x(), exclusive, reverse, seconds](const RunArgs& a) {
    auto axis =
        static_cast<size_t>(normalize_axis(get_int(in_tensor(a, 1), 0), static_cast<int64_t>(x.size())));
    CumsumParams r{
        in_floats(a, 0), out_floats(a), span_of(x, 0, axis), x[axis], span_of(x, axis + 1, x.size()),
        exclusive,       reverse};
    each(c, divide(c, r.outer * r.inner, seconds, 16),
         [&](int64_t b, int64_t e) { c.k->reduce->cumsum(r, b, e); });
  });
}

std::optional<double> match_reduce(const NodeQuery& q, const CpuContext& c) {
  if (!q.in_dtype(0, DType::kFloat) || in_rank(q, 0) < 0 || !output_is(q, DType::kFloat)) return std::nullopt;
  if (q.node.opset >= reduction_of(q.node).axes_input_since && q.in.size() > 1 && q.in[1] && !q.constant(1))
    return std::nullopt;
  return c.estimate(node_cost(q), 0.3);
}
std::optional<double> match_arg(const NodeQuery& q, const CpuContext& c) {
  if (!q.in_dtype(0, DType::kFloat) || in_rank(q, 0) < 1) return std::nullopt;
  return c.estimate(node_cost(q), 0.3);
}
std::optional<double> match_cumsum(const NodeQuery& q, const CpuContext& c) {
  if (q.in.size() < 2 || in_rank(q, 1) < 0) return std::nullopt;
  return match_arg(q, c);
}

}  // namespace

std::span<const KernelFactory> reduce_factories() {
  static const std::vector<KernelFactory> list = [] {
    std::vector<KernelFactory> r;
    for (const Reduction& e : kReductions)
      r.push_back(glue<"reduce_f32", plan_reduce>("", e.op, match_reduce));
    r.push_back(glue<"arg_f32", plan_arg>("", "ArgMax", match_arg));
    r.push_back(glue<"arg_f32", plan_arg>("", "ArgMin", match_arg));
    r.push_back(glue<"cumsum_f32", plan_cumsum, 1>("", "CumSum", match_cumsum));
    return r;
  }();
  return list;
}

}  // namespace skiff::cpu
