// Operators that move elements of any type: permutations, joins, cuts, repetitions.
#include <array>

#include "device/cpu/glue_util.h"
#include "device/cpu/kernels/move/move.h"
#include "device/cpu/move_plan.h"

namespace skiff::cpu {
namespace {

// ---------------------------------------------------------------- Transpose and what is one

std::unique_ptr<BoundKernel> bind_transpose(const PlanArgs& p, std::span<const int64_t> dims,
                                            std::span<const int64_t> perm) {
  TransposeParams params{};
  if (!plan_transpose(static_cast<int>(dims.size()), dims.data(), perm.data(), elem_bytes(p.in[0].dtype),
                      &params))
    return nullptr;
  Work w = divide(p.c, params.items, move_seconds(3 * bytes_of(p.in[0])));
  const CpuContext& c = p.c;
  return bound([&c, params, w](const RunArgs& a) {
    TransposeParams r = params;
    r.src = in_bytes(a, 0);
    r.dst = out_bytes(a);
    each(c, w, [&](int64_t b, int64_t e) { c.k->move->transpose(r, b, e); });
  });
}

std::unique_ptr<BoundKernel> plan_permute(const PlanArgs& p) {
  const Dims& x = p.x();
  std::vector<int64_t> perm = p.node.attr_ints("perm");
  if (perm.empty())
    for (size_t i = x.size(); i-- > 0;) perm.push_back(static_cast<int64_t>(i));
  if (perm.size() != x.size()) return nullptr;
  for (size_t i = 0; i < perm.size(); ++i)
    if (perm[i] < 0 || perm[i] >= rank_of(x) || x[static_cast<size_t>(perm[i])] != p.y()[i]) return nullptr;
  return bind_transpose(p, {x.data(), x.size()}, perm);
}

// DepthToSpace and SpaceToDepth as permutations of six axes.
std::unique_ptr<BoundKernel> plan_blocks(const PlanArgs& p) {
  const bool last = p.node.domain == "skiff" && p.node.attr_s("layout", "NHWC") == "NHWC";
  const bool to_space = p.node.op == "DepthToSpace";
  const int64_t b = p.node.attr_i("blocksize", 0);
  const Dims& x = p.x();
  if (x.size() != 4 || b < 1 || b > 1 << 20) return nullptr;
  const int64_t n = x[0], ch = last ? x[3] : x[1], h = last ? x[1] : x[2], w = last ? x[2] : x[3];
  using Six = std::array<int64_t, 6>;
  Six dims{}, perm{};
  const bool crd = p.node.attr_s("mode", "DCR") == "CRD";
  if (to_space) {
    if (ch % (b * b) != 0) return nullptr;
    const int64_t d = ch / (b * b);
    if (last) {
      dims = crd ? Six{n, h, w, d, b, b} : Six{n, h, w, b, b, d};
      perm = crd ? Six{0, 1, 4, 2, 5, 3} : Six{0, 1, 3, 2, 4, 5};
    } else {
      dims = crd ? Six{n, d, b, b, h, w} : Six{n, b, b, d, h, w};
      perm = crd ? Six{0, 1, 4, 2, 5, 3} : Six{0, 3, 4, 1, 5, 2};
    }
  } else {
    if (h % b != 0 || w % b != 0) return nullptr;
    dims = last ? Six{n, h / b, b, w / b, b, ch} : Six{n, ch, h / b, b, w / b, b};
    perm = crd ? Six{0, 1, 3, 5, 2, 4} : last ? Six{0, 1, 3, 2, 4, 5} : Six{0, 3, 5, 1, 2, 4};
  }
  return bind_transpose(p, dims, perm);
}

// ---------------------------------------------------------------- Concat, Split

// One operand of a join: `row` bytes of it lie at `at` in every row of the whole.
struct Piece {
  int64_t row = 0, at = 0;
};

struct Join {
  std::vector<Piece> pieces;
  int64_t outer = 0, row = 0;  // rows of the whole and their bytes
};

// fn(piece, first row, last row), every piece's rows cut into tasks.
template <class F>
void each_piece(const CpuContext& c, const Join& j, const Work& w, const F& fn) {
  each(c, w, [&](int64_t begin, int64_t end) {
    const int64_t n = j.outer;
    for (int64_t u = begin; u < end;) {
      const int64_t k = u / n, first = u - k * n, last = std::min(n, end - k * n);
      fn(static_cast<size_t>(k), first, last);
      u = k * n + last;
    }
  });
}

std::optional<Join> join_of(std::span<const TensorDesc> parts, const TensorDesc& whole, int64_t axis) {
  Join j;
  auto a = static_cast<size_t>(normalize_axis(axis, rank_of(whole.dims)));
  const int64_t inner = span_of(whole.dims, a + 1, whole.dims.size()) * elem_bytes(whole.dtype);
  j.outer = span_of(whole.dims, 0, a);
  for (const TensorDesc& d : parts) {
    int64_t row = 0;
    if (d.dtype != DType::kUndefined) {
      if (d.dims.size() != whole.dims.size()) return std::nullopt;
      row = d.dims[a] * inner;
    }
    j.pieces.push_back({row, j.row});
    j.row += row;
  }
  if (j.row != whole.dims[a] * inner) return std::nullopt;
  return j;
}

std::unique_ptr<BoundKernel> plan_concat(const PlanArgs& p) {
  auto j = join_of(p.in, p.out[0], p.node.attr_i("axis", 1));
  if (!j) return nullptr;
  Work w =
      divide(p.c, j->outer * static_cast<int64_t>(j->pieces.size()), move_seconds(2 * bytes_of(p.out[0])));
  const CpuContext& c = p.c;
  return bound([&c, w, j = std::move(*j)](const RunArgs& a) {
    char* y = out_bytes(a);
    each_piece(c, j, w, [&](size_t k, int64_t first, int64_t last) {
      const Piece s = j.pieces[k];
      if (s.row == 0) return;
      const char* x = in_bytes(a, k);
      if (s.row == j.row) return copy_bytes(y + first * s.row, x + first * s.row, (last - first) * s.row);
      for (int64_t o = first; o < last; ++o) copy_bytes(y + o * j.row + s.at, x + o * s.row, s.row);
    });
  });
}

std::unique_ptr<BoundKernel> plan_split(const PlanArgs& p) {
  for (const TensorDesc& d : p.out)
    if (d.dtype == DType::kUndefined) return nullptr;  // its extent would have to come from elsewhere
  auto j = join_of(p.out, p.in[0], p.node.attr_i("axis", 0));
  if (!j) return nullptr;
  Work w =
      divide(p.c, j->outer * static_cast<int64_t>(j->pieces.size()), move_seconds(2 * bytes_of(p.in[0])));
  const CpuContext& c = p.c;
  return bound([&c, w, j = std::move(*j)](const RunArgs& a) {
    const char* x = in_bytes(a, 0);
    each_piece(c, j, w, [&](size_t k, int64_t first, int64_t last) {
      const Piece s = j.pieces[k];
      char* y = out_bytes(a, k);
      for (int64_t o = first; o < last; ++o) copy_bytes(y + o * s.row, x + o * j.row + s.at, s.row);
    });
  });
}

// ---------------------------------------------------------------- strided copies: Slice, Expand, Tile

// A walk of the output with the source's strides (elements); the output is dense.
struct Walk {
  int rank = 0;
  int64_t dims[2 * kMaxLoopDims] = {}, src[2 * kMaxLoopDims] = {};
  void add(int64_t extent, int64_t stride) {
    dims[rank] = extent;
    src[rank++] = stride;
  }
  bool collapse(LoopShape* loop) const {
    int64_t dst[2 * kMaxLoopDims];
    int64_t step = 1;
    for (int d = rank; d-- > 0; step *= dims[d]) dst[d] = step;
    const int64_t* strides[] = {src, dst};
    return collapse_strided(rank, dims, 2, strides, loop);
  }
};

void run_copy(const CpuContext& c, const Work& w, const CopyParams& r) {
  each(c, w, [&](int64_t b, int64_t e) { c.k->move->copy(r, b, e); });
}

std::unique_ptr<BoundKernel> bind_walk(const PlanArgs& p, const Walk& walk) {
  CopyParams params{};
  params.elem_size = elem_bytes(p.in[0].dtype);
  if (!walk.collapse(&params.loop)) return nullptr;
  Work w = divide(p.c, params.loop.size, move_seconds(2 * bytes_of(p.out[0])), 1024);
  const CpuContext& c = p.c;
  return bound([&c, params, w](const RunArgs& a) {
    CopyParams r = params;
    r.src = in_bytes(a, 0);
    r.dst = out_bytes(a);
    run_copy(c, w, r);
  });
}

std::unique_ptr<BoundKernel> plan_expand(const PlanArgs& p) {
  const Dims &x = p.x(), &y = p.y();
  if (y.size() > kMaxLoopDims || x.size() > y.size()) return nullptr;
  const Dims own = strides_of(x);
  Walk walk;
  for (size_t i = 0; i < y.size(); ++i) {
    const size_t lead = y.size() - x.size();
    const bool kept = i >= lead && x[i - lead] == y[i];
    if (i >= lead && !kept && x[i - lead] != 1) return nullptr;
    walk.add(y[i], kept ? own[i - lead] : 0);
  }
  return bind_walk(p, walk);
}

std::unique_ptr<BoundKernel> plan_tile(const PlanArgs& p) {
  const Dims &x = p.x(), &y = p.y();
  if (x.size() != y.size() || x.size() > kMaxLoopDims || element_count(y) == 0) return nullptr;
  const Dims own = strides_of(x);
  Walk walk;
  for (size_t i = 0; i < y.size(); ++i) {
    walk.add(y[i] / x[i], 0);
    walk.add(x[i], own[i]);
  }
  return bind_walk(p, walk);
}

// Slice's start and step along one axis, by its clamping rules; count is the result's extent.
struct Cut {
  int64_t start = 0, step = 1;
};
Cut cut_of(int64_t extent, int64_t count, int64_t start, int64_t end, int64_t step) {
  check(step != 0, Code::kInvalidModel, "Slice has the step 0");
  const auto wrap = [extent](int64_t v) { return v < 0 ? std::max(v, -extent - 1) + extent : v; };
  const int64_t low = step > 0 ? 0 : -1, high = step > 0 ? extent : extent - 1;
  start = std::clamp(wrap(start), low, std::max(high, low));
  end = std::clamp(wrap(end), low, std::max(high, low));
  const int64_t span = std::max<int64_t>(step > 0 ? end - start : start - end, 0);
  const uint64_t by = step > 0 ? static_cast<uint64_t>(step) : uint64_t{0} - static_cast<uint64_t>(step);
  const auto n = span == 0 ? 0 : static_cast<int64_t>((static_cast<uint64_t>(span) - 1) / by + 1);
  check(n == count, Code::kInvalidArgument, "Slice takes ", n, " elements of an axis, planned were ", count);
  return {n == 0 ? 0 : start, n <= 1 ? 1 : step};
}

// Builds the loop from the values of starts, ends, axes, steps (the latter two may be null). Allocates
// nothing.
bool slice_walk(const Dims& x, const Dims& y, const Tensor& starts, const Tensor& ends, const Tensor* axes,
                const Tensor* steps, LoopShape* loop, int64_t* first) {
  const int64_t n = starts.size(), rank = rank_of(x);
  check(ends.size() == n && (axes ? axes->size() == n : n <= rank) && (!steps || steps->size() == n),
        Code::kInvalidModel, "the lists of starts, ends, axes and steps differ in length");
  Walk walk;
  int64_t stride = 1;
  int64_t own[kMaxLoopDims];
  for (int64_t d = rank; d-- > 0; stride *= x[static_cast<size_t>(d)]) own[d] = stride;
  for (int64_t d = 0; d < rank; ++d) walk.add(y[static_cast<size_t>(d)], own[d]);
  *first = 0;
  bool seen[kMaxLoopDims] = {};
  for (int64_t i = 0; i < n; ++i) {
    const int64_t k = axes ? normalize_axis(get_int(*axes, i), rank) : i;
    check(!seen[k], Code::kInvalidModel, "axis ", k, " is sliced twice");
    seen[k] = true;
    const auto a = static_cast<size_t>(k);
    const Cut cut =
        cut_of(x[a], y[a], get_int(starts, i), get_int(ends, i), steps ? get_int(*steps, i) : int64_t{1});
    *first += cut.start * own[k];
    walk.src[k] = cut.step * own[k];
  }
  return walk.collapse(loop);
}

std::unique_ptr<BoundKernel> plan_slice(const PlanArgs& p) {
  if (p.x().size() > kMaxLoopDims || p.x().size() != p.y().size()) return nullptr;
  const CpuContext& c = p.c;
  if (element_count(p.y()) == 0) return bound([](const RunArgs&) {});
  const int size = elem_bytes(p.in[0].dtype);
  Work w = divide(c, element_count(p.y()), move_seconds(2 * bytes_of(p.out[0])), 1024);
  // Lists that are all known give the walk now; others by every run.
  bool known = true;
  Tensor lists[4];
  if (p.node.opset < 10) {
    size_t i = 0;
    for (const char* name : {"starts", "ends", "axes"}) {
      std::vector<int64_t> v = p.node.attr_ints(name);
      if (i < 2 || !v.empty()) lists[i] = Tensor::from(v);
      ++i;
    }
  } else {
    for (size_t i = 0; i < 4; ++i) {
      if (!p.has(i + 1)) continue;
      const Tensor* t = p.constant(i + 1);
      if (t)
        lists[i] = *t;
      else
        known = false;
    }
  }
  const auto maybe = [](const Tensor& t) { return t.defined() ? &t : nullptr; };
  CopyParams params{};
  params.elem_size = size;
  if (known) {
    int64_t first = 0;
    if (!lists[0].defined() || !lists[1].defined() ||
        !slice_walk(p.x(), p.y(), lists[0], lists[1], maybe(lists[2]), maybe(lists[3]), &params.loop, &first))
      return nullptr;
    return bound([&c, params, w, first](const RunArgs& a) {
      CopyParams r = params;
      r.src = in_bytes(a, 0) + first * r.elem_size;
      r.dst = out_bytes(a);
      run_copy(c, w, r);
    });
  }
  return bound([&c, params, w, x = p.x(), y = p.y()](const RunArgs& a) {
    const auto list = [&a](size_t i) { return i < a.in.size() && a.in[i] ? &a.in[i]->tensor() : nullptr; };
    CopyParams r = params;
    int64_t first = 0;
    check(list(1) && list(2) && slice_walk(x, y, *list(1), *list(2), list(3), list(4), &r.loop, &first),
          Code::kInvalidModel, "Slice lacks starts or ends");
    r.src = in_bytes(a, 0) + first * r.elem_size;
    r.dst = out_bytes(a);
    run_copy(c, w, r);
  });
}

// ---------------------------------------------------------------- what matches

std::optional<double> match_join(const NodeQuery& q, const CpuContext& c) {
  for (size_t i = 0; i < q.in.size(); ++i)
    if (in_rank(q, i) < 1 || q.in[i]->dtype != q.in[0]->dtype) return std::nullopt;
  if (q.node.opset >= 4 && !q.node.has_attr("axis")) return std::nullopt;
  return match_moves(q, c);
}
std::optional<double> match_split(const NodeQuery& q, const CpuContext& c) {
  for (const Type* t : q.out)
    if (!t) return std::nullopt;
  return in_rank(q, 0) < 1 ? std::nullopt : match_moves(q, c);
}
std::optional<double> match_tile(const NodeQuery& q, const CpuContext& c) {
  return q.node.opset < 6 ? std::nullopt : match_ranked(q, c);
}
}  // namespace

std::span<const KernelFactory> move_factories() {
  static const KernelFactory list[] = {
      glue<"transpose", plan_permute>("", "Transpose", match_moves),
      glue<"depth_to_space", plan_blocks>("", "DepthToSpace", match_moves),
      glue<"depth_to_space_nhwc", plan_blocks>("skiff", "DepthToSpace", match_moves),
      glue<"space_to_depth", plan_blocks>("", "SpaceToDepth", match_moves),
      glue<"space_to_depth_nhwc", plan_blocks>("skiff", "SpaceToDepth", match_moves),
      glue<"concat", plan_concat>("", "Concat", match_join),
      glue<"split", plan_split>("", "Split", match_split),
      glue<"slice", plan_slice>("", "Slice", match_ranked),
      glue<"expand", plan_expand>("", "Expand", match_moves),
      glue<"tile", plan_tile>("", "Tile", match_tile),
  };
  return list;
}

}  // namespace skiff::cpu
