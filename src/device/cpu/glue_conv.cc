// fp32 convolutions behind Conv, ConvTranspose, their skiff.* forms and com.microsoft's FusedConv.
//
// The kernels compute channels-last images. A planar (NCHW) operand that the method cannot read or write
// itself is transposed through the workspace.
#include <atomic>
#include <bit>
#include <cmath>
#include <thread>

#include "base/knobs.h"
#include "device/cpu/glue_epilogue.h"
#include "device/cpu/kernels/conv/conv.h"
#include "device/cpu/move_plan.h"
#include "ops/conv.h"

namespace skiff::cpu {
namespace {

enum Method { kIgemm, kDepthwise, kFewChannels, kPlanar, kTranspose, kWinograd4, kWinograd6 };

const ConvMethod& method_of(const ConvKernels& k, Method m) {
  switch (m) {
    case kIgemm: return *k.igemm;
    case kDepthwise: return *k.depthwise;
    case kFewChannels: return *k.few_channels;
    case kPlanar: return *k.planar;
    case kWinograd4: return *k.winograd4;
    case kWinograd6: return *k.winograd6;
    case kTranspose: break;
  }
  return *k.transpose;
}

// Channels-last operands.
struct Layout {
  bool x_last = false, y_last = false;
};
Layout layout_of(const Node& n) {
  if (n.domain != "skiff") return {};
  std::string y = n.attr_s("layout", "NCHW");
  return {n.attr_s("x_layout", y) == "NHWC", y == "NHWC"};
}

// Writes an attribute of 1 to 3 spatial axes into the last of 3.
void set_axes(const std::vector<int64_t>& v, int64_t (&axes)[3]) {
  std::copy(v.begin(), v.end(), axes + 3 - v.size());
}

// Whether a node's padding follows from its attributes, whatever the input's size.
bool pad_is_fixed(const Node& n) {
  const AutoPad p = auto_pad_of(n);
  return (p == AutoPad::kNotSet || p == AutoPad::kValid) && !n.has_attr("output_shape");
}

// The shape as far as the weight and the attributes tell it, and the output's extents for estimates; input
// extents are 1 (3-D: 2 deep, so that methods for flat images decline). accepts() looks at no others.
std::optional<ConvShape> known_shape(const NodeQuery& q, bool transposed) {
  const SymShape& w = q.in[1]->shape;
  for (const Dim& d : w.dims())
    if (!d.is_const() || d.value() < 1) return std::nullopt;
  // X has W's rank, whatever is known of it.
  const int64_t x_rank = in_rank(q, 0);
  if (w.rank() < 3 || w.rank() > 5 || (x_rank >= 0 && x_rank != static_cast<int64_t>(w.rank())))
    return std::nullopt;
  const size_t spatial = w.rank() - 2;
  std::vector<int64_t> kernel;
  for (size_t i = 0; i < spatial; ++i) kernel.push_back(w[i + 2].value());
  Window win = window_of(q.node, spatial, kernel);
  ConvShape s;
  s.groups = q.node.attr_i("group", 1);
  if (s.groups < 1) return std::nullopt;
  s.in_channels = transposed ? w[0].value() : w[1].value() * s.groups;
  s.out_channels = transposed ? w[1].value() * s.groups : w[0].value();
  set_axes(win.kernel, s.kernel);
  set_axes(win.stride, s.stride);
  set_axes(win.dilation, s.dilation);
  s.pad_is_fixed = pad_is_fixed(q.node);
  if (transposed && s.pad_is_fixed) set_axes(win.begin, s.pad_begin);
  if (spatial == 3) s.in[0] = s.out[0] = 2;
  const Layout layout = layout_of(q.node);
  if (spatial == 2 && !q.out.empty() && q.out[0] && q.out[0]->shape.has_rank()) {
    constexpr int64_t kUnknown = 56;  // an extent as good as any
    for (size_t i = 0; i < 2; ++i) {
      const Dim& d = q.out[0]->shape[i + (layout.y_last ? 1 : 2)];
      s.out[i + 1] = d.is_const() && d.value() > 0 ? d.value() : kUnknown;
    }
  }
  return s;
}

int64_t taps_of(const ConvShape& s) { return s.kernel[0] * s.kernel[1] * s.kernel[2]; }

// Nominal work over the peak rate, by Winograd with tiles of t x t outputs. Products run near the peak unless
// the weights come from memory; both transforms cost some 8 cycles per vector and point. Measured on Zen 4.
double winograd_efficiency(const ConvShape& s, int64_t t, int64_t out_h, int64_t out_w,
                           const GemmKernels& k) {
  const auto tiles_of = [t](int64_t n) { return static_cast<double>((n + t - 1) / t); };
  const auto ic = static_cast<double>(s.in_channels), oc = static_cast<double>(s.out_channels);
  const auto lanes = static_cast<double>(k.lanes), points = static_cast<double>((t + 2) * (t + 2));
  const double tiles = tiles_of(out_h) * tiles_of(out_w);
  const double weight_bytes = 4 * points * ic * oc, bytes_per_cycle = weight_bytes > 16e6 ? 6 : 16;
  const double products = tiles * points * (ic * oc / lanes / lane_use(s.out_channels, k.unit) + 8);
  const double cycles = std::max(products, weight_bytes / bytes_per_cycle) +
                        tiles * points * 8 * (std::ceil(ic / lanes) + std::ceil(oc / lanes));
  return static_cast<double>(out_h * out_w) * 9 * ic * oc / lanes / cycles;
}

// Part of the peak a method reaches: short runs of a tap cost the reading of a pointer each, and few columns
// leave lanes idle. Output extents are what is known of them (Winograd alone wants them). Measured on Zen 4.
double efficiency(Method m, const ConvShape& s, const GemmKernels& k) {
  const auto run = [](int64_t n, double overhead) {
    return static_cast<double>(n) / (static_cast<double>(n) + overhead);
  };
  const int64_t ic = s.in_channels / s.groups, oc = s.out_channels / s.groups;
  double e = 0;
  switch (m) {
    case kIgemm:
      e = 0.97 * lane_use(oc, k.unit) * run(ic, taps_of(s) == 1 ? 1 : 2) * (s.groups > 1 ? 0.8 : 1);
      break;
    case kDepthwise: {
      const bool unrolled = s.kernel[1] == s.kernel[2] && (s.kernel[2] == 3 || s.kernel[2] == 5) &&
                            s.stride[1] == s.stride[2] && s.stride[2] <= 2 && s.dilation[1] == 1 &&
                            s.dilation[2] == 1;
      e = (!unrolled ? 0.15 : s.stride[2] == 1 ? 0.75 : 0.45) * lane_use(s.in_channels, k.lanes);
      break;
    }
    case kFewChannels: e = 0.92 * lane_use(oc, k.unit) * run(s.kernel[2] * ic, 2); break;
    case kPlanar: e = lane_use(oc, k.unit) * run(s.kernel[2], 1.3) * (oc > k.lanes ? 1 : 0.8); break;
    case kTranspose: e = 0.6 * lane_use(oc, k.unit) * run(ic, 8); break;
    case kWinograd4: e = winograd_efficiency(s, 4, s.out[1], s.out[2], k); break;
    case kWinograd6: e = winograd_efficiency(s, 6, s.out[1], s.out[2], k); break;
  }
  return std::max(e, 0.05);  // above the reference implementation's on every instruction set
}

// A transpose between [N, C, pixels] and [N, pixels, C].
struct Reorder {
  bool needed = false;
  TransposeParams params{};
  int64_t grain = 1;

  void plan(int64_t n, int64_t from, int64_t to) {
    if (from == 1 || to == 1) return;  // the same bytes
    const int64_t dims[3] = {n, from, to}, perm[3] = {0, 2, 1};
    needed = plan_transpose(3, dims, perm, 4, &params);
    grain = chunk_of(params.items, static_cast<double>(n) * static_cast<double>(from * to) * 8 / 5e9);
  }
  void run(const CpuContext& c, const float* src, float* dst) const {
    TransposeParams p = params;
    p.src = src;
    p.dst = dst;
    c.pool->parallel_for(p.items, grain, [&](int64_t b, int64_t e) { c.k->move->transpose(p, b, e); });
  }
};

// Places in a workspace, one for each thread that is in the kernel.
class Slots {
 public:
  static constexpr int kMax = 64;
  explicit Slots(int count) : free_(count >= kMax ? ~uint64_t{0} : (uint64_t{1} << count) - 1) {}
  int claim() {
    for (;;) {
      uint64_t all = free_.load(std::memory_order_relaxed);
      while (all != 0)
        if (free_.compare_exchange_weak(all, all & (all - 1), std::memory_order_acquire))
          return std::countr_zero(all);
      std::this_thread::yield();
    }
  }
  void give_back(int slot) { free_.fetch_or(uint64_t{1} << slot, std::memory_order_release); }

 private:
  std::atomic<uint64_t> free_;
};

struct BoundConv : BoundKernel {
  const CpuContext* c = nullptr;
  const ConvMethod* method = nullptr;
  Tensor packed;  // undefined: the weight is packed into the workspace by every run
  ConvArgs args;
  TaskGrid grid;
  bool empty = false, bias = false, residual = false;
  Reorder x, y, z;
  size_t x_at = 0, y_at = 0, w_at = 0, bytes = 0;
  size_t scratch_at = 0, scratch_each = 0;  // for each of `slots`
  int slots = 0;

  size_t workspace() const override { return bytes; }
  void run(const RunArgs& a) override {
    if (empty) return;
    char* ws = static_cast<char*>(a.workspace);
    ConvArgs g = args;
    g.in = floats(a, 0);
    if (x.needed) {
      auto* t = reinterpret_cast<float*>(ws + x_at);
      x.run(*c, g.in, t);
      g.in = t;
    }
    if (packed.defined()) {
      g.weights = packed.data<float>();
    } else {
      auto* t = reinterpret_cast<float*>(ws + w_at);
      method->pack(g.shape, floats(a, 1), t);
      g.weights = t;
    }
    auto* out = a.out[0]->tensor().data<float>();
    g.out = y.needed ? reinterpret_cast<float*>(ws + y_at) : out;
    if (bias) g.epilogue.bias = floats(a, 2);
    if (residual) {
      if (y.needed) z.run(*c, floats(a, 3), g.out);
      g.epilogue.residual = y.needed ? g.out : floats(a, 3);
    }
    if (slots == 0) {
      run_tasks(c->pool, grid.tasks(), 1, [&](int64_t t) { method->run(g, grid, t); });
    } else {
      Slots free(slots);
      run_tasks(c->pool, grid.tasks(), 1, [&](int64_t t) {
        ConvArgs mine = g;
        const int slot = free.claim();
        mine.scratch = reinterpret_cast<float*>(ws + scratch_at + static_cast<size_t>(slot) * scratch_each);
        method->run(mine, grid, t);
        free.give_back(slot);
      });
    }
    if (y.needed) y.run(*c, g.out, out);
  }
};

class ConvKernel : public Kernel {
 public:
  ConvKernel(const NodeQuery& q, const CpuContext& c, Method m, const char* name, bool transposed)
      : node_(q.node), c_(c), method_(m), name_(name), transposed_(transposed), layout_(layout_of(q.node)) {
    fused_activation(q.node).value().into(epilogue_);
    ConvShape s = known_shape(q, transposed).value();
    efficiency_ = efficiency(m, s, *c.k->gemm);
    if (const Tensor* w = q.constant(1)) {
      const ConvMethod& method = method_of(*c.k->conv, m);
      w_dims_ = w->dims();
      packed_ = Tensor(DType::kFloat, {static_cast<int64_t>(method.packed_bytes(s) / sizeof(float))});
      method.pack(s, w->data<float>(), packed_.data<float>());
    }
  }
  std::string_view name() const override { return name_; }
  bool consumes(size_t i) const override { return i == 1 && packed_.defined(); }
  bool in_place(size_t i) const override { return i == 3 && layout_.y_last; }
  size_t packed_bytes() const override { return packed_.defined() ? packed_.bytes() : 0; }

  std::unique_ptr<BoundKernel> bind(std::span<const TensorDesc> in,
                                    std::span<const TensorDesc> out) override {
    auto b = std::make_unique<BoundConv>();
    Dims x = in[0].dims;
    check(x.size() >= 3, Code::kInvalidModel, "X needs rank 3 or more, it is ", to_string(x));
    if (layout_.x_last) std::rotate(x.begin() + 1, x.end() - 1, x.end());
    const Dims& w = packed_.defined() ? w_dims_ : in[1].dims;
    skiff::ConvShape g = transposed_ ? conv_transpose_shape(node_, x, w) : conv_shape(node_, x, w);
    Dims y = g.y_dims();
    if (layout_.y_last) std::rotate(y.begin() + 1, y.begin() + 2, y.end());
    check(out[0].dims == y, Code::kInvalidModel, "the result is ", to_string(y), ", not the planned ",
          to_string(out[0].dims));
    b->bias = present(in, 2);
    b->residual = present(in, 3);
    check(!b->bias || in[2].dims == Dims{g.filters}, Code::kInvalidModel, "B must have ", g.filters,
          " elements");
    check(!b->residual || in[3].dims == y, Code::kInvalidModel, "Z must have shape ", to_string(y));
    b->c = &c_;
    b->method = &method_of(*c_.k->conv, method_);
    b->packed = packed_;
    ConvShape& s = b->args.shape;
    s.batch = g.batch;
    s.in_channels = g.channels;
    s.out_channels = g.filters;
    s.groups = g.group;
    set_axes(g.in, s.in);
    set_axes(g.out, s.out);
    set_axes(g.window.kernel, s.kernel);
    set_axes(g.window.stride, s.stride);
    set_axes(g.window.dilation, s.dilation);
    set_axes(g.window.begin, s.pad_begin);
    s.pad_is_fixed = pad_is_fixed(node_);
    const int64_t in_pixels = s.in[0] * s.in[1] * s.in[2], out_pixels = s.out[0] * s.out[1] * s.out[2];
    if (s.batch * out_pixels == 0) {
      b->empty = true;
      return b;
    }
    check(b->method->accepts(s), Code::kInvalidModel, name_, " was chosen for another weight than of shape ",
          to_string(w));
    b->args.epilogue = epilogue_;
    b->args.epilogue.ld_residual = s.out_channels;
    b->args.in_pixel = s.in_channels;
    b->args.out_pixel = s.out_channels;
    const double pixels =
        static_cast<double>(s.batch) * static_cast<double>(transposed_ ? in_pixels : out_pixels);
    const double per_pixel = static_cast<double>(taps_of(s)) * static_cast<double>(s.in_channels / s.groups) *
                             static_cast<double>(s.out_channels);
    const double seconds = 2 * pixels * per_pixel / (c_.flops * efficiency_);
    b->grid = b->method->plan(s, parts_of(seconds, useful_threads(c_, seconds)));
    const auto reserve = [&](size_t count) {
      size_t at = b->bytes;
      b->bytes += aligned(count * sizeof(float));
      return at;
    };
    if (!layout_.x_last && method_ != kPlanar) {
      b->x.plan(s.batch, s.in_channels, in_pixels);
      if (b->x.needed) b->x_at = reserve(static_cast<size_t>(s.batch * s.in_channels * in_pixels));
    }
    if (!layout_.y_last) {
      b->y.plan(s.batch, out_pixels, s.out_channels);
      b->z.plan(s.batch, s.out_channels, out_pixels);
      if (b->y.needed) b->y_at = reserve(static_cast<size_t>(s.batch * s.out_channels * out_pixels));
    }
    if (!packed_.defined()) b->w_at = reserve(b->method->packed_bytes(s) / sizeof(float));
    if (b->method->scratch_bytes) {
      b->slots = static_cast<int>(std::min<int64_t>({b->grid.tasks(), c_.pool->threads(), Slots::kMax}));
      b->scratch_each = aligned(b->method->scratch_bytes(s));
      b->scratch_at = reserve(static_cast<size_t>(b->slots) * b->scratch_each / sizeof(float));
    }
    return b;
  }

 private:
  static bool present(std::span<const TensorDesc> in, size_t i) {
    return i < in.size() && in[i].dtype != DType::kUndefined;
  }
  const Node node_;  // a copy: kernels outlive graph edits
  const CpuContext& c_;
  Method method_;
  const char* name_;
  bool transposed_;
  Layout layout_;
  Epilogue epilogue_;
  double efficiency_ = 1;
  Dims w_dims_;
  Tensor packed_;
};

// Planar: Y is planar (and then usually X). Otherwise Y is channels-last.
template <Method M, bool Planar>
std::optional<double> match(const NodeQuery& q, const CpuContext& c) {
  const bool transposed = M == kTranspose;
  const Layout l = layout_of(q.node);
  for (size_t i = 0; i < q.in.size(); ++i)
    if (q.in[i] && !q.in_dtype(i, DType::kFloat)) return std::nullopt;
  if (q.in.size() < 2 || !q.in[0] || !q.in[1] || in_rank(q, 1) < 0 || !output_is(q, DType::kFloat) ||
      !fused_activation(q.node))
    return std::nullopt;
  if (l.y_last == Planar || (M == kPlanar && l.x_last)) return std::nullopt;
  if (M == kWinograd6 && knob("SKIFF_WINOGRAD") != "f6") return std::nullopt;
  if (M == kWinograd4 && knob("SKIFF_WINOGRAD") == "off") return std::nullopt;
  std::optional<ConvShape> s = known_shape(q, transposed);
  if (!s || !method_of(*c.k->conv, M).accepts(*s)) return std::nullopt;
  const Cost cost = node_cost(q);
  const double part = efficiency(M, *s, *c.k->gemm);
  // The arithmetic counts a little even where memory sets the time, so that methods are told apart.
  double seconds = c.estimate(cost, part) + 0.05 * c.estimate({cost.flops, 0}, part);
  const CostContext elements{q.node, q.in, q.out};
  Cost moved;
  if (!l.x_last && M != kPlanar) moved.bytes += 8 * elements.in_elements(0);
  if (!l.y_last) moved.bytes += 8 * (elements.out_elements(0) + elements.in_elements(3));
  if (!q.constant(1)) moved.bytes += 16 * elements.in_elements(1);
  if (moved.bytes > 0) seconds += c.estimate(moved, 1, 0.5);
  return seconds;
}

template <Method M, bool Planar>
constexpr const char* kName = nullptr;
template <>
constexpr const char* kName<kIgemm, false> = "conv_igemm_f32";
template <>
constexpr const char* kName<kIgemm, true> = "conv_igemm_nchw_f32";
template <>
constexpr const char* kName<kDepthwise, false> = "conv_depthwise_f32";
template <>
constexpr const char* kName<kDepthwise, true> = "conv_depthwise_nchw_f32";
template <>
constexpr const char* kName<kFewChannels, false> = "conv_few_channels_f32";
template <>
constexpr const char* kName<kFewChannels, true> = "conv_few_channels_nchw_f32";
template <>
constexpr const char* kName<kPlanar, false> = "conv_planar_f32";
template <>
constexpr const char* kName<kPlanar, true> = "conv_planar_nchw_f32";
template <>
constexpr const char* kName<kTranspose, false> = "conv_transpose_f32";
template <>
constexpr const char* kName<kTranspose, true> = "conv_transpose_nchw_f32";
template <>
constexpr const char* kName<kWinograd4, false> = "conv_winograd_f4_f32";
template <>
constexpr const char* kName<kWinograd4, true> = "conv_winograd_f4_nchw_f32";
template <>
constexpr const char* kName<kWinograd6, false> = "conv_winograd_f6_f32";
template <>
constexpr const char* kName<kWinograd6, true> = "conv_winograd_f6_nchw_f32";

template <Method M, bool Planar>
std::unique_ptr<Kernel> make(const NodeQuery& q, const CpuContext& c) {
  return std::make_unique<ConvKernel>(q, c, M, kName<M, Planar>, M == kTranspose);
}

template <Method M, bool Planar>
constexpr KernelFactory factory(const char* domain, const char* op = nullptr) {
  return {domain,
          op                ? op
          : M == kTranspose ? "ConvTranspose"
                            : "Conv",
          kName<M, Planar>, match<M, Planar>, make<M, Planar>};
}

}  // namespace

std::span<const KernelFactory> conv_factories() {
  static const KernelFactory list[] = {
      factory<kIgemm, false>("skiff"),
      factory<kDepthwise, false>("skiff"),
      factory<kFewChannels, false>("skiff"),
      factory<kPlanar, false>("skiff"),
      factory<kTranspose, false>("skiff"),
      factory<kWinograd4, false>("skiff"),
      factory<kWinograd6, false>("skiff"),
      factory<kIgemm, true>("skiff"),
      factory<kDepthwise, true>("skiff"),
      factory<kFewChannels, true>("skiff"),
      factory<kPlanar, true>("skiff"),
      factory<kTranspose, true>("skiff"),
      factory<kWinograd4, true>("skiff"),
      factory<kWinograd6, true>("skiff"),
      factory<kIgemm, true>(""),
      factory<kDepthwise, true>(""),
      factory<kFewChannels, true>(""),
      factory<kPlanar, true>(""),
      factory<kTranspose, true>(""),
      factory<kWinograd4, true>(""),
      factory<kWinograd6, true>(""),
      factory<kIgemm, true>("com.microsoft", "FusedConv"),
      factory<kDepthwise, true>("com.microsoft", "FusedConv"),
      factory<kFewChannels, true>("com.microsoft", "FusedConv"),
      factory<kPlanar, true>("com.microsoft", "FusedConv"),
      factory<kWinograd4, true>("com.microsoft", "FusedConv"),
      factory<kWinograd6, true>("com.microsoft", "FusedConv"),
  };
  return list;
}

}  // namespace skiff::cpu
