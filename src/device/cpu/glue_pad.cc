// Pad in all its modes, for elements of any type.
#include "device/cpu/glue_util.h"

namespace skiff::cpu {
namespace {

enum class PadMode { kConstant, kEdge, kReflect, kWrap };

std::optional<PadMode> pad_mode(const Node& n) {
  const std::string s = n.attr_s("mode", "constant");
  if (s == "constant") return PadMode::kConstant;
  if (s == "edge") return PadMode::kEdge;
  if (s == "reflect") return PadMode::kReflect;
  if (s == "wrap") return PadMode::kWrap;
  return std::nullopt;
}

// Where position o of an axis of n elements reads; -1: nowhere.
int64_t pad_source(PadMode mode, int64_t o, int64_t n) {
  if (o >= 0 && o < n) return o;
  const auto mod = [](int64_t a, int64_t b) { return (a % b + b) % b; };
  switch (mode) {
    case PadMode::kConstant: return -1;
    case PadMode::kEdge: return o < 0 ? 0 : n - 1;
    case PadMode::kWrap: return mod(o, n);
    case PadMode::kReflect: {
      if (n == 1) return 0;
      const int64_t r = mod(o, 2 * (n - 1));
      return r < n ? r : 2 * (n - 1) - r;
    }
  }
  return -1;
}

// Fills n bytes (a multiple of size) with copies of one element.
void fill_elements(char* dst, int64_t n, const char* value, int size) {
  if (n <= 0) return;
  std::memcpy(dst, value, static_cast<size_t>(size));
  for (int64_t done = size; done < n; done *= 2)
    std::memcpy(dst + done, dst, static_cast<size_t>(std::min(done, n - done)));
}

struct PadPlan {
  PadMode mode = PadMode::kConstant;
  int size = 1;  // bytes of an element
  Dims x, y;
  std::vector<int64_t> pads;  // known ones; empty: input 1 of every run
  std::vector<size_t> axes;
  float value = 0;  // before opset 11 (floats only)
  bool value_attribute = false;
};

// The output as rows along the last padded axis: a row is border, copied piece, border.
struct PadRows {
  int64_t before[kMaxLoopDims] = {};
  size_t axis = 0;    // the last padded one
  int64_t inner = 1;  // bytes behind it
  int64_t rows = 1;
};

PadRows pad_rows(const PadPlan& p, const Tensor* pads) {
  PadRows r;
  const size_t n = p.axes.size();
  const auto pad = [&](size_t i) { return pads ? get_int(*pads, static_cast<int64_t>(i)) : p.pads[i]; };
  check((pads ? pads->size() : static_cast<int64_t>(p.pads.size())) == static_cast<int64_t>(2 * n),
        Code::kInvalidModel, "Pad needs ", 2 * n, " pads");
  for (size_t i = 0; i < n; ++i) {
    const size_t a = p.axes[i];
    r.before[a] = pad(i);
    int64_t total = p.x[a];
    check(!__builtin_add_overflow(total, pad(i), &total) &&
              !__builtin_add_overflow(total, pad(i + n), &total) && total == p.y[a],
          Code::kInvalidArgument, "Pad makes another extent of axis ", a, " than the planned ", p.y[a]);
    if (pad(i) != 0 || pad(i + n) != 0) r.axis = std::max(r.axis, a);
  }
  r.inner = p.size;
  for (size_t a = r.axis + 1; a < p.y.size(); ++a) r.inner *= p.y[a];
  for (size_t a = 0; a < r.axis; ++a) r.rows *= p.y[a];
  return r;
}

void pad_range(const PadPlan& p, const PadRows& r, const char* value, const char* x, char* y, int64_t begin,
               int64_t end) {
  const int64_t in = p.x[r.axis], out = p.y[r.axis], before = r.before[r.axis];
  const int64_t lo = std::clamp<int64_t>(before, 0, out), hi = std::clamp<int64_t>(in + before, lo, out);
  for (int64_t row = begin; row < end; ++row) {
    // The source's row, or -1 where the whole row is border.
    int64_t from = 0, rest = row, step = 1;
    for (size_t a = r.axis; a-- > 0;) {
      const int64_t o = pad_source(p.mode, rest % p.y[a] - r.before[a], p.x[a]);
      rest /= p.y[a];
      if (o < 0) {
        from = -1;
        break;
      }
      from += o * step;
      step *= p.x[a];
    }
    char* to = y + row * out * r.inner;
    if (from < 0) {
      fill_elements(to, out * r.inner, value, p.size);
      continue;
    }
    const char* src = x + from * in * r.inner;
    copy_bytes(to + lo * r.inner, src + (lo - before) * r.inner, (hi - lo) * r.inner);
    if (p.mode == PadMode::kConstant) {
      fill_elements(to, lo * r.inner, value, p.size);
      fill_elements(to + hi * r.inner, (out - hi) * r.inner, value, p.size);
      continue;
    }
    const auto border = [&](int64_t o) {
      copy_bytes(to + o * r.inner, src + pad_source(p.mode, o - before, in) * r.inner, r.inner);
    };
    for (int64_t o = 0; o < lo; ++o) border(o);
    for (int64_t o = hi; o < out; ++o) border(o);
  }
}

std::unique_ptr<BoundKernel> plan_pad(const PlanArgs& p) {
  const Dims& x = p.x();
  PadPlan plan;
  plan.mode = pad_mode(p.node).value();
  plan.size = elem_bytes(p.in[0].dtype);
  plan.x = x;
  plan.y = p.y();
  const CpuContext& c = p.c;
  if (element_count(p.y()) == 0) return bound([](const RunArgs&) {});
  if (x.size() > kMaxLoopDims || x.size() != p.y().size() || x.empty()) return nullptr;
  if (element_count(x) == 0 && plan.mode != PadMode::kConstant) return nullptr;
  if (p.has(3)) {
    const Tensor* axes = p.constant(3);
    if (!axes) return nullptr;
    for (int64_t a : to_ints(*axes)) plan.axes.push_back(static_cast<size_t>(normalize_axis(a, rank_of(x))));
  } else {
    for (size_t a = 0; a < x.size(); ++a) plan.axes.push_back(a);
  }
  std::optional<PadRows> known;
  if (p.node.opset < 11) {
    plan.pads = p.node.attr_ints(p.node.opset < 2 ? "paddings" : "pads");
    plan.value_attribute = true;
    plan.value = p.node.attr_f("value", 0);
    known = pad_rows(plan, nullptr);
  } else if (const Tensor* t = p.constant(1)) {
    known = pad_rows(plan, t);
  }
  const double seconds = move_seconds(2 * bytes_of(p.out[0]));
  return bound([&c, plan = std::move(plan), known, seconds](const RunArgs& a) {
    const PadRows r = known ? *known : pad_rows(plan, &in_tensor(a, 1));
    static constexpr char kZero[16] = {};
    const char* value = kZero;
    if (plan.value_attribute)
      value = reinterpret_cast<const char*>(&plan.value);
    else if (a.in.size() > 2 && a.in[2])
      value = in_bytes(a, 2);
    const char* x_bytes = in_bytes(a, 0);
    char* y = out_bytes(a);
    each(c, divide(c, r.rows, seconds),
         [&](int64_t b, int64_t e) { pad_range(plan, r, value, x_bytes, y, b, e); });
  });
}

std::optional<double> match_pad(const NodeQuery& q, const CpuContext& c) {
  if (!pad_mode(q.node) || (q.in.size() > 3 && q.in[3] && !q.constant(3))) return std::nullopt;
  if (q.node.opset < 11 && !q.in_dtype(0, DType::kFloat)) return std::nullopt;
  if (q.node.opset >= 11 && (q.in.size() < 2 || !q.in[1])) return std::nullopt;
  return match_ranked(q, c);
}
}  // namespace

std::span<const KernelFactory> pad_factories() {
  static const KernelFactory list[] = {glue<"pad", plan_pad>("", "Pad", match_pad)};
  return list;
}

}  // namespace skiff::cpu
