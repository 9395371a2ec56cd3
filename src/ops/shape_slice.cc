// Operators that cut windows and add borders: Slice, Pad, CenterCropPad, Trilu.
#include <algorithm>

#include "ops/delegate.h"
#include "ops/ref_util.h"
#include "ops/rule_util.h"

namespace skiff {
namespace {

// ---------------------------------------------------------------- Slice

// start, number of elements and step along one axis, by Slice's clamping rules.
struct Window {
  int64_t start = 0, count = 0, step = 1;
};

Window window_of(int64_t extent, int64_t start, int64_t end, int64_t step) {
  check(step != 0, Code::kInvalidModel, "Slice has the step 0");
  auto wrap = [extent](int64_t v) { return v < 0 ? (v < -extent ? int64_t{-1} - extent : v) + extent : v; };
  start = wrap(start);
  end = wrap(end);
  if (step > 0) {
    start = std::clamp<int64_t>(start, 0, extent);
    end = std::clamp<int64_t>(end, 0, extent);
  } else {
    start = std::clamp<int64_t>(start, -1, extent - 1);
    end = std::clamp<int64_t>(end, -1, extent - 1);
  }
  int64_t span = step > 0 ? end - start : start - end;
  if (span <= 0) return {start < 0 ? 0 : start, 0, step};
  uint64_t by = step > 0 ? static_cast<uint64_t>(step) : uint64_t{0} - static_cast<uint64_t>(step);
  auto n = static_cast<int64_t>((static_cast<uint64_t>(span) - 1) / by + 1);
  // With one element the step is never taken; a huge one must not overflow later.
  return {start, n, n == 1 ? 1 : step};
}

// The extent after a slice when something is symbolic; unknown when it cannot be told.
Dim symbolic_extent(const Dim& extent, const Dim& start, const Dim& end, const Dim& step) {
  if (!step.is_const() || step.value() <= 0 || !extent.is_known()) return {};
  constexpr int64_t kFar = INT32_MAX;  // exporters write "to the end" as a huge number
  Dim zero = int64_t{0}, b, e;
  if (start.is_const())
    b = start.value() >= 0 ? start : extent + start;
  else if (start.is_known())
    b = start;
  if (end.is_const())
    e = end.value() >= kFar ? extent : (end.value() >= 0 ? dim_min(end, extent) : extent + end);
  else if (end.is_known())
    e = end == extent ? end : dim_min(end, extent);
  return ceil_div(e - b, step);
}

struct SliceArgs {
  std::optional<std::vector<Dim>> starts, ends, axes, steps;  // axes and steps: empty when absent
};

std::vector<Dim> dims_of(const std::vector<int64_t>& v) { return {v.begin(), v.end()}; }

SliceArgs slice_args(const InferContext& c) {
  SliceArgs a;
  if (c.opset() < 10) {
    a.starts = dims_of(c.node().attr_ints("starts"));
    a.ends = dims_of(c.node().attr_ints("ends"));
    a.axes = dims_of(c.node().attr_ints("axes"));
    a.steps = std::vector<Dim>{};
  } else {
    a.starts = c.data(1);
    a.ends = c.data(2);
    a.axes = c.has(3) ? c.data(3) : std::vector<Dim>{};
    a.steps = c.has(4) ? c.data(4) : std::vector<Dim>{};
  }
  return a;
}

void infer_slice(InferContext& c) {
  if (!c.has_rank(0)) return c.set(0, c.dtype(0));
  const SymShape& s = c.shape(0);
  SliceArgs a = slice_args(c);
  SymShape out = s;
  if (!a.axes) return c.set(0, c.dtype(0), SymShape::of_rank(s.rank()));
  size_t n = !a.axes->empty() ? a.axes->size()
                              : (a.starts ? a.starts->size() : (a.ends ? a.ends->size() : s.rank()));
  auto fits = [n](const std::optional<std::vector<Dim>>& v) { return !v || v->empty() || v->size() == n; };
  check(n <= s.rank() && fits(a.starts) && fits(a.ends) && fits(a.steps), Code::kInvalidModel,
        "the lists of starts, ends, axes and steps differ in length or exceed the rank ", s.rank());
  std::optional<Window> only;  // of a rank-1 input
  for (size_t i = 0; i < n; ++i) {
    if (!a.axes->empty() && !(*a.axes)[i].is_const())
      return c.set(0, c.dtype(0), SymShape::of_rank(s.rank()));
    size_t k = a.axes->empty() ? i : rule::axis((*a.axes)[i].value(), s.rank());
    Dim start = a.starts && i < a.starts->size() ? (*a.starts)[i] : Dim();
    Dim end = a.ends && i < a.ends->size() ? (*a.ends)[i] : Dim();
    Dim step = !a.steps ? Dim() : (a.steps->empty() ? Dim(int64_t{1}) : (*a.steps)[i]);
    if (s[k].is_const() && start.is_const() && end.is_const() && step.is_const()) {
      Window w = window_of(s[k].value(), start.value(), end.value(), step.value());
      out[k] = w.count;
      only = w;
    } else {
      out[k] = symbolic_extent(s[k], start, end, step);
    }
  }
  c.set(0, c.dtype(0), out);
  if (s.rank() != 1 || !only) return;
  auto data = rule::numbers(c, 0);
  if (!data || !s[0].is(static_cast<int64_t>(data->size()))) return;
  std::vector<Dim> r;
  for (int64_t i = 0; i < only->count; ++i)
    r.push_back((*data)[static_cast<size_t>(only->start + i * only->step)]);
  c.set_data(0, std::move(r));
}

void slice_reference(KernelContext& c) {
  const Tensor& x = c.in(0);
  std::vector<int64_t> starts, ends, axes, steps;
  if (c.opset() < 10) {
    starts = c.node().attr_ints("starts");
    ends = c.node().attr_ints("ends");
    axes = c.node().attr_ints("axes");
  } else {
    starts = to_ints(c.in(1));
    ends = to_ints(c.in(2));
    if (c.has(3)) axes = to_ints(c.in(3));
    if (c.has(4)) steps = to_ints(c.in(4));
  }
  size_t n = starts.size(), rank = x.dims().size();
  check(n == ends.size() && (axes.empty() ? n <= rank : axes.size() == n) &&
            (steps.empty() || steps.size() == n),
        Code::kInvalidModel, "the lists of starts, ends, axes and steps differ in length or exceed the rank ",
        rank);
  Dims d = x.dims(), s = strides_of(x.dims());
  Dims own = s;
  int64_t first = 0;
  std::vector<bool> seen(rank);
  for (size_t i = 0; i < n; ++i) {
    auto k = axes.empty() ? i : static_cast<size_t>(normalize_axis(axes[i], x.rank()));
    check(!seen[k], Code::kInvalidModel, "axis ", k, " is sliced twice");
    seen[k] = true;
    Window w = window_of(x.dims()[k], starts[i], ends[i], steps.empty() ? 1 : steps[i]);
    d[k] = w.count;
    first += w.start * own[k];
    s[k] = own[k] * w.step;
  }
  Tensor& y = c.out(0, x.dtype(), d);
  if (y.size() == 0) return;
  ref::copy_box(y, 0, strides_of(d), x, first, s, d);
}

// ---------------------------------------------------------------- Pad

enum class PadMode { kConstant, kReflect, kEdge, kWrap };

PadMode pad_mode(const Node& n) {
  std::string m = n.attr_s("mode", "constant");
  if (m == "constant") return PadMode::kConstant;
  if (m == "reflect") return PadMode::kReflect;
  if (m == "edge") return PadMode::kEdge;
  check(m == "wrap" && n.opset >= 19, Code::kInvalidModel, "attribute 'mode' = '", m,
        "'; it must be 'constant', 'reflect', 'edge' or (from opset 19) 'wrap'");
  return PadMode::kWrap;
}

void infer_pad(InferContext& c) {
  (void)pad_mode(c.node());
  if (!c.has_rank(0)) return c.set(0, c.dtype(0));
  size_t rank = c.shape(0).rank();
  std::optional<std::vector<Dim>> pads;
  if (c.opset() < 11)
    pads = dims_of(c.node().attr_ints(c.opset() < 2 ? "paddings" : "pads"));
  else
    pads = c.data(1);
  std::vector<size_t> axes;
  if (c.has(3)) {
    auto list = c.ints(3);
    if (!list) return c.set(0, c.dtype(0), SymShape::of_rank(rank));
    axes = rule::axes(*list, rank);
  } else {
    for (size_t i = 0; i < rank; ++i) axes.push_back(i);
  }
  if (!pads) {
    SymShape s = c.shape(0);
    for (size_t k : axes) s[k] = Dim();
    return c.set(0, c.dtype(0), std::move(s));
  }
  check(pads->size() == 2 * axes.size(), Code::kInvalidModel, "there are ", pads->size(), " pads for ",
        axes.size(), " axes; two an axis are needed");
  SymShape s = c.shape(0);
  for (size_t i = 0; i < axes.size(); ++i) {
    Dim& d = s[axes[i]];
    d = d + (*pads)[i] + (*pads)[i + axes.size()];
    check(!d.is_const() || d.value() >= 0, Code::kInvalidModel,
          "the pads leave a negative extent along axis ", axes[i]);
  }
  c.set(0, c.dtype(0), std::move(s));
}

// Where output position o of an axis reads; -1: the constant.
int64_t pad_source(PadMode mode, int64_t o, int64_t n) {
  if (o >= 0 && o < n) return o;
  auto mod = [](int64_t a, int64_t b) {
    int64_t r = a % b;
    return r < 0 ? r + b : r;
  };
  switch (mode) {
    case PadMode::kConstant: return -1;
    case PadMode::kEdge: return o < 0 ? 0 : n - 1;
    case PadMode::kWrap: return mod(o, n);
    case PadMode::kReflect: {
      if (n == 1) return 0;
      int64_t r = mod(o, 2 * (n - 1));
      return r < n ? r : 2 * (n - 1) - r;
    }
  }
  return -1;
}

// y[i] = x[i - before], per axis; outside by `mode`. Stretches of the innermost axis are copied at once.
void pad_tensor(const Tensor& x, Tensor& y, const std::vector<int64_t>& before, PadMode mode,
                const Tensor& value) {
  size_t rank = x.dims().size();
  if (y.size() == 0) return;
  if (mode == PadMode::kConstant) {
    ref::fill(y, value);
    Dims extents, from = strides_of(x.dims()), to = strides_of(y.dims());
    int64_t src = 0, dst = 0;
    for (size_t k = 0; k < rank; ++k) {
      int64_t lo = std::max<int64_t>(0, before[k]), hi = std::min(y.dims()[k], x.dims()[k] + before[k]);
      if (hi <= lo) return;
      extents.push_back(hi - lo);
      dst += lo * to[k];
      src += (lo - before[k]) * from[k];
    }
    return ref::copy_box(y, dst, to, x, src, from, extents);
  }
  check(x.size() > 0, Code::kInvalidModel, "cannot pad the empty ", describe(x), " from its own elements");
  if (rank == 0) return ref::fill(y, x);
  std::vector<std::vector<int64_t>> source(rank);
  for (size_t k = 0; k < rank; ++k)
    for (int64_t o = 0; o < y.dims()[k]; ++o)
      source[k].push_back(pad_source(mode, o - before[k], x.dims()[k]));
  Dims strides = strides_of(x.dims());
  std::vector<int64_t> index(rank, 0);
  const std::vector<int64_t>& last = source[rank - 1];
  auto width = static_cast<int64_t>(last.size());
  for (int64_t at = 0; at < y.size(); at += width) {
    int64_t base = 0;
    for (size_t k = 0; k + 1 < rank; ++k) base += source[k][static_cast<size_t>(index[k])] * strides[k];
    for (size_t b = 0; b < last.size();) {
      size_t e = b + 1;
      while (e < last.size() && last[e] == last[e - 1] + 1) ++e;
      ref::copy(y, at + static_cast<int64_t>(b), 1, x, base + last[b], 1, static_cast<int64_t>(e - b));
      b = e;
    }
    for (size_t k = rank - 1; k-- > 0;) {
      if (++index[k] < y.dims()[k]) break;
      index[k] = 0;
    }
  }
}

void pad_reference(KernelContext& c) {
  const Tensor& x = c.in(0);
  auto rank = static_cast<size_t>(x.rank());
  std::vector<int64_t> pads = c.opset() < 2    ? c.node().attr_ints("paddings")
                              : c.opset() < 11 ? c.node().attr_ints("pads")
                                               : to_ints(c.in(1));
  std::vector<int64_t> axes;
  if (c.has(3))
    axes = to_ints(c.in(3));
  else
    for (size_t i = 0; i < rank; ++i) axes.push_back(static_cast<int64_t>(i));
  std::vector<size_t> where = rule::axes(axes, rank);
  check(pads.size() == 2 * axes.size(), Code::kInvalidModel, "there are ", pads.size(), " pads for ",
        axes.size(), " axes; two an axis are needed");
  Tensor value(x.dtype(), {});
  ref::fill_zero(value);
  if (c.opset() < 11) {
    if (c.node().has_attr("value")) set_double(value, 0, c.node().attr_f("value", 0));
  } else if (c.has(2)) {
    check(c.in(2).size() == 1 && c.in(2).dtype() == x.dtype(), Code::kInvalidModel,
          "input 'constant_value' must be a scalar of the data's type, it is ", describe(c.in(2)));
    value = c.in(2);
  }
  Dims d = x.dims();
  std::vector<int64_t> before(rank, 0);
  for (size_t i = 0; i < where.size(); ++i) {
    int64_t& n = d[where[i]];
    int64_t lo = pads[i], hi = pads[i + where.size()];
    check(!__builtin_add_overflow(n, lo, &n) && !__builtin_add_overflow(n, hi, &n) && n >= 0,
          Code::kInvalidModel, "the pads ", lo, " and ", hi, " of axis ", where[i], " leave no valid extent");
    before[where[i]] = lo;
  }
  pad_tensor(x, c.out(0, x.dtype(), d), before, pad_mode(c.node()), value);
}

// ---------------------------------------------------------------- CenterCropPad

std::vector<size_t> crop_axes(const Node& n, size_t rank) {
  std::vector<int64_t> list = n.attr_ints("axes");
  if (!n.has_attr("axes"))
    for (size_t i = 0; i < rank; ++i) list.push_back(static_cast<int64_t>(i));
  return rule::axes(list, rank);
}

void infer_center_crop_pad(InferContext& c) {
  if (!c.has_rank(0)) return c.set(0, c.dtype(0));
  SymShape s = c.shape(0);
  std::vector<size_t> axes = crop_axes(c.node(), s.rank());
  auto target = c.data(1);
  check(!target || target->size() == axes.size(), Code::kInvalidModel,
        "input 'shape' does not have one entry for each of the ", axes.size(), " axes");
  for (size_t i = 0; i < axes.size(); ++i) s[axes[i]] = target ? (*target)[i] : Dim();
  c.set(0, c.dtype(0), std::move(s));
}

void center_crop_pad_reference(KernelContext& c) {
  const Tensor& x = c.in(0);
  std::vector<size_t> axes = crop_axes(c.node(), x.dims().size());
  std::vector<int64_t> target = to_ints(c.in(1));
  check(target.size() == axes.size(), Code::kInvalidModel,
        "input 'shape' does not have one entry for each of the ", axes.size(), " axes");
  Dims d = x.dims();
  std::vector<int64_t> before(d.size(), 0);
  for (size_t i = 0; i < axes.size(); ++i) {
    int64_t have = d[axes[i]], want = target[i];
    check(want >= 0, Code::kInvalidModel, "the target extent ", want, " is negative");
    before[axes[i]] = want >= have ? (want - have) / 2 : -((have - want) / 2);
    d[axes[i]] = want;
  }
  Tensor zero(x.dtype(), {});
  ref::fill_zero(zero);
  pad_tensor(x, c.out(0, x.dtype(), d), before, PadMode::kConstant, zero);
}

// ---------------------------------------------------------------- Trilu

void trilu_reference(KernelContext& c) {
  const Tensor& x = c.in(0);
  check(x.rank() >= 2, Code::kInvalidModel, "Trilu needs matrices, it got ", describe(x));
  check(!c.has(1) || c.in(1).size() == 1, Code::kInvalidModel, "input 'k' must be a scalar");
  int64_t k = c.has(1) ? get_int(c.in(1), 0) : 0;
  bool upper = c.node().attr_i("upper", 1) != 0;
  int64_t rows = x.dim(x.rank() - 2), cols = x.dim(x.rank() - 1);
  k = std::clamp(k, -rows, cols);
  Tensor& y = c.out(0, x.dtype(), x.dims());
  ref::fill_zero(y);
  for (int64_t at = 0, r = 0; at < x.size(); at += cols, r = r + 1 == rows ? 0 : r + 1) {
    int64_t cut = std::clamp<int64_t>(upper ? r + k : r + k + 1, 0, cols);
    if (upper)
      ref::copy(y, at + cut, 1, x, at + cut, 1, cols - cut);
    else
      ref::copy(y, at, 1, x, at, 1, cut);
  }
}

}  // namespace

SKIFF_OP_DEF(ai_onnx, CenterCropPad) {
  return {.name = "CenterCropPad",
          .versions = {18},
          .inputs = {{"input_data", kAllTypes, 'T'}, {"shape", kIndexTypes}},
          .outputs = {{"output_data", kAllTypes, 'T'}},
          .attributes = {{"axes", AttrType::kInts}},
          .infer = infer_center_crop_pad,
          .reference = center_crop_pad_reference,
          .value_inputs = 2};
}

SKIFF_OP_DEF(ai_onnx, Pad) {
  return {.name = "Pad",
          .versions = {1, 2, 11, 13, 18, 19, 21, 23, 24, 25},
          .inputs = {{"data", kAllTypes, 'T'},
                     {"pads", mask_of(DType::kInt64), 0, Arity::kOptional},
                     {"constant_value", kAllTypes, 'T', Arity::kOptional},
                     {"axes", kIndexTypes, 0, Arity::kOptional}},
          .outputs = {{"output", kAllTypes, 'T'}},
          .attributes = {{"mode", AttrType::kString},
                         {"pads", AttrType::kInts},
                         {"paddings", AttrType::kInts},
                         {"value", AttrType::kFloat}},
          .infer = infer_pad,
          .reference = pad_reference,
          .value_inputs = 2 | 8};
}

SKIFF_OP_DEF(ai_onnx, Slice) {
  return {.name = "Slice",
          .versions = {1, 10, 11, 13},
          .inputs = {{"data", kAllTypes, 'T'},
                     {"starts", kIndexTypes, 'I', Arity::kOptional},
                     {"ends", kIndexTypes, 'I', Arity::kOptional},
                     {"axes", kIndexTypes, 'I', Arity::kOptional},
                     {"steps", kIndexTypes, 'I', Arity::kOptional}},
          .outputs = {{"output", kAllTypes, 'T'}},
          .attributes = {{"starts", AttrType::kInts}, {"ends", AttrType::kInts}, {"axes", AttrType::kInts}},
          .infer = infer_slice,
          .reference = slice_reference,
          .value_inputs = 2 | 4 | 8 | 16};
}

SKIFF_OP_DEF(ai_onnx, Trilu) {
  return {.name = "Trilu",
          .versions = {14},
          .inputs = {{"input", kAllTypes, 'T'}, {"k", mask_of(DType::kInt64), 0, Arity::kOptional}},
          .outputs = {{"output", kAllTypes, 'T'}},
          .attributes = {{"upper", AttrType::kInt}},
          .infer = infer_same,
          .reference = trilu_reference};
}

// The same operators before the standard took them over; Pad as of opset 13.
SKIFF_OP_DEF(com_microsoft, Pad) {
  OpDef d = skiff_op_ai_onnx_Pad();
  d.domain = "com.microsoft";
  d.versions = {1};
  d.inputs.resize(3);
  d.infer = [](InferContext& c) { infer_as(c, as_operator(c.node(), "Pad", 13)); };
  d.reference = [](KernelContext& c) { run_as(c, as_operator(c.node(), "Pad", 13)); };
  return d;
}
SKIFF_OP_DEF(com_microsoft, Trilu) {
  OpDef d = skiff_op_ai_onnx_Trilu();
  d.domain = "com.microsoft";
  d.versions = {1};
  return d;
}

}  // namespace skiff
