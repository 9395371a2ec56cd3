// Signals: DFT, STFT, window functions, MelWeightMatrix. Transforms are plain sums in double.
#include <cmath>
#include <numbers>

#include "ops/ref_util.h"
#include "ops/rule_util.h"

namespace skiff {
namespace {

constexpr double kTau = 2 * std::numbers::pi;

int64_t scalar_of(const Tensor& t, const char* name) {
  check(t.size() == 1, Code::kInvalidModel, "input '", name, "' must be one number, it is ", describe(t));
  return get_int(t, 0);
}

// cos and sin of 2 pi k / n for k < n, each exact to rounding.
struct Circle {
  std::vector<double> cos, sin;
  explicit Circle(int64_t n) {
    check(n > 0 && n <= (int64_t{1} << 31), Code::kInvalidArgument, "the transform length ", n,
          " is not in [1, 2^31]");
    cos.resize(static_cast<size_t>(n));
    sin.resize(cos.size());
    for (size_t k = 0; k < cos.size(); ++k) {
      double a = kTau * static_cast<double>(k) / static_cast<double>(n);
      cos[k] = std::cos(a);
      sin[k] = std::sin(a);
    }
  }
  int64_t size() const { return static_cast<int64_t>(cos.size()); }
};

// out[k] = sum_j in[j] * exp(-+ i tau j k / n) for k < bins; in and out interleave real and imaginary parts.
void transform(const double* in, int64_t count, double* out, int64_t bins, const Circle& c, bool inverse) {
  int64_t n = c.size();
  double sign = inverse ? 1 : -1, scale = inverse ? 1.0 / static_cast<double>(n) : 1;
  for (int64_t k = 0; k < bins; ++k) {
    double re = 0, im = 0;
    int64_t phase = 0;
    for (int64_t j = 0; j < count; ++j) {
      auto p = static_cast<size_t>(phase);
      double cr = c.cos[p], ci = sign * c.sin[p], a = in[2 * j], b = in[2 * j + 1];
      re += a * cr - b * ci;
      im += a * ci + b * cr;
      phase += k;
      if (phase >= n) phase %= n;
    }
    out[2 * k] = re * scale;
    out[2 * k + 1] = im * scale;
  }
}

// ---------------------------------------------------------------- DFT

bool flag(const Node& n, const char* name) { return n.attr_i(name, 0) != 0; }

// Axis from the attribute before opset 20, then from an input; nullopt when that is not known.
std::optional<int64_t> dft_axis(const InferContext& c) {
  if (c.opset() < 20) return c.node().attr_i("axis", 1);
  if (!c.has(2)) return -2;
  auto v = c.ints(2);
  if (!v || v->size() != 1) return std::nullopt;
  return (*v)[0];
}

void infer_dft(InferContext& c) {
  SymShape s = c.shape(0);
  auto a = dft_axis(c);
  if (!s.has_rank() || !a)
    return c.set(0, c.dtype(0), s.has_rank() ? SymShape::of_rank(s.rank()) : SymShape());
  check(s.rank() >= 2, Code::kInvalidModel, "the signal needs at least two axes, it has shape ",
        s.to_string());
  size_t axis = rule::axis(*a, s.rank());
  check(axis + 1 < s.rank(), Code::kInvalidModel, "the last axis holds real and imaginary parts");
  bool onesided = flag(c.node(), "onesided"), inverse = flag(c.node(), "inverse");
  Dim n = s[axis];
  if (onesided && inverse) n = (n - Dim(int64_t{1})) * Dim(int64_t{2});
  if (c.has(1)) {
    auto d = c.data(1);
    n = d && d->size() == 1 ? (*d)[0] : Dim();
  }
  s[axis] = onesided && !inverse ? floor_div(n, Dim(int64_t{2})) + Dim(int64_t{1}) : n;
  s[s.rank() - 1] = int64_t{onesided && inverse ? 1 : 2};
  c.set(0, c.dtype(0), std::move(s));
}

void dft_reference(KernelContext& c) {
  const Tensor& x = c.in(0);
  int64_t rank = x.rank();
  check(rank >= 2 && (x.dim(rank - 1) == 1 || x.dim(rank - 1) == 2), Code::kInvalidModel,
        "the signal's last axis must hold real (and imaginary) parts, it is ", describe(x));
  int64_t a = c.opset() < 20 ? c.node().attr_i("axis", 1) : (c.has(2) ? scalar_of(c.in(2), "axis") : -2);
  auto axis = static_cast<size_t>(normalize_axis(a, rank));
  check(static_cast<int64_t>(axis) + 1 < rank, Code::kInvalidModel,
        "the last axis holds real and imaginary parts");
  bool onesided = flag(c.node(), "onesided"), inverse = flag(c.node(), "inverse");
  int64_t parts = x.dim(rank - 1), have = x.dims()[axis];
  bool to_real = onesided && inverse;
  int64_t n = to_real ? 2 * (have - 1) : have;
  if (c.has(1)) n = scalar_of(c.in(1), "dft_length");
  Circle circle(n);
  int64_t bins = onesided && !inverse ? n / 2 + 1 : n;
  Dims d = x.dims();
  d[axis] = bins;
  d[static_cast<size_t>(rank) - 1] = to_real ? 1 : 2;
  Tensor& y = c.out(0, x.dtype(), d);
  // [outer, axis, inner, parts]
  int64_t outer = element_count(d, 0, axis),
          inner = element_count(d, axis + 1, static_cast<size_t>(rank) - 1);
  int64_t used = std::min(have, to_real ? n / 2 + 1 : n), out_parts = to_real ? 1 : 2;
  std::vector<double> line(static_cast<size_t>(2 * n), 0.0), out(static_cast<size_t>(2 * bins));
  for (int64_t o = 0; o < outer; ++o) {
    c.poll();
    for (int64_t i = 0; i < inner; ++i) {
      std::fill(line.begin(), line.end(), 0.0);
      for (int64_t k = 0; k < used; ++k) {
        int64_t at = ((o * have + k) * inner + i) * parts;
        double re = get_double(x, at), im = parts == 2 ? get_double(x, at + 1) : 0;
        line[static_cast<size_t>(2 * k)] = re;
        line[static_cast<size_t>(2 * k + 1)] = im;
        // A one-sided spectrum stands for a Hermitian one.
        if (to_real && k > 0 && n - k > n / 2) {
          line[static_cast<size_t>(2 * (n - k))] = re;
          line[static_cast<size_t>(2 * (n - k) + 1)] = -im;
        }
      }
      transform(line.data(), n, out.data(), bins, circle, inverse);
      for (int64_t k = 0; k < bins; ++k)
        for (int64_t p = 0; p < out_parts; ++p)
          set_double(y, ((o * bins + k) * inner + i) * out_parts + p, out[static_cast<size_t>(2 * k + p)]);
    }
  }
}

// ---------------------------------------------------------------- STFT

void infer_stft(InferContext& c) {
  SymShape s = SymShape::of_rank(4);
  s[3] = int64_t{2};
  Dim length, step;
  if (c.has_rank(0)) s[0] = c.shape(0)[0];
  if (c.has_rank(2) && c.shape(2).rank() == 1) length = c.shape(2)[0];
  if (auto d = c.data(3); d && d->size() == 1) length = (*d)[0];
  if (auto d = c.data(1); d && d->size() == 1) step = (*d)[0];
  if (c.has_rank(0) && c.shape(0).rank() == 3)
    s[1] = floor_div(c.shape(0)[1] - length, step) + Dim(int64_t{1});
  s[2] = c.node().attr_i("onesided", 1) ? floor_div(length, Dim(int64_t{2})) + Dim(int64_t{1}) : length;
  c.set(0, c.dtype(0), std::move(s));
}

void stft_reference(KernelContext& c) {
  const Tensor& x = c.in(0);
  const Tensor* window = c.maybe(2);
  check(x.rank() == 3 && (x.dim(2) == 1 || x.dim(2) == 2), Code::kInvalidModel,
        "the signal must be [batch, length, 1 or 2], it is ", describe(x));
  int64_t step = scalar_of(c.in(1), "frame_step"), samples = x.dim(1), parts = x.dim(2);
  check(window || c.has(3), Code::kInvalidModel, "STFT needs a window or a frame length");
  int64_t n = c.has(3) ? scalar_of(c.in(3), "frame_length") : window->size();
  check(step > 0 && n > 0 && n <= samples, Code::kInvalidArgument, "frames of ", n, " every ", step,
        " samples do not fit a signal of ", samples);
  check(!window || window->size() == n, Code::kInvalidModel, "the window has ", window ? window->size() : 0,
        " elements, the frame ", n);
  int64_t frames = (samples - n) / step + 1, bins = c.node().attr_i("onesided", 1) ? n / 2 + 1 : n;
  Circle circle(n);
  Tensor& y = c.out(0, x.dtype(), {x.dim(0), frames, bins, 2});
  std::vector<double> line(static_cast<size_t>(2 * n)), out(static_cast<size_t>(2 * bins));
  for (int64_t b = 0; b < x.dim(0); ++b) {
    for (int64_t f = 0; f < frames; ++f) {
      c.poll();
      for (int64_t k = 0; k < n; ++k) {
        int64_t at = (b * samples + f * step + k) * parts;
        double w = window ? get_double(*window, k) : 1;
        line[static_cast<size_t>(2 * k)] = w * get_double(x, at);
        line[static_cast<size_t>(2 * k + 1)] = parts == 2 ? w * get_double(x, at + 1) : 0;
      }
      transform(line.data(), n, out.data(), bins, circle, false);
      ref::store(y, (b * frames + f) * bins * 2, 2 * bins, out.data());
    }
  }
}

// ---------------------------------------------------------------- windows

void infer_window(InferContext& c) {
  auto n = c.data(0);
  Dim d = n && n->size() == 1 ? (*n)[0] : Dim();
  c.set(0, rule::dtype_attr(c.node(), "output_datatype", DType::kFloat), SymShape(std::vector<Dim>{d}));
}

// a0 - a1 cos(t) + a2 cos(2 t), t = tau k / N.
void cosine_window(KernelContext& c, double a0, double a1, double a2) {
  int64_t n = scalar_of(c.in(0), "size");
  Tensor& y = c.out(0, rule::dtype_attr(c.node(), "output_datatype", DType::kFloat), {n});
  int64_t period = c.node().attr_i("periodic", 1) ? n : n - 1;
  for (int64_t k = 0; k < n; ++k) {
    double t = period ? kTau * static_cast<double>(k) / static_cast<double>(period) : 0;
    set_double(y, k, a0 - a1 * std::cos(t) + a2 * std::cos(2 * t));
  }
}

OpDef window(const char* name, void (*reference)(KernelContext&)) {
  return {.name = name,
          .versions = {17},
          .inputs = {{"size", kIndexTypes}},
          .outputs = {{"output", kNumericTypes}},
          .attributes = {{"output_datatype", AttrType::kInt}, {"periodic", AttrType::kInt}},
          .infer = infer_window,
          .reference = reference,
          .value_inputs = 1};
}

// ---------------------------------------------------------------- MelWeightMatrix

void infer_mel(InferContext& c) {
  auto mels = c.data(0), length = c.data(1);
  Dim m = mels && mels->size() == 1 ? (*mels)[0] : Dim(), bins;
  if (length && length->size() == 1) bins = floor_div((*length)[0], Dim(int64_t{2})) + Dim(int64_t{1});
  c.set(0, rule::dtype_attr(c.node(), "output_datatype", DType::kFloat), SymShape(std::vector<Dim>{bins, m}));
}

void mel_reference(KernelContext& c) {
  int64_t mels = scalar_of(c.in(0), "num_mel_bins"), length = scalar_of(c.in(1), "dft_length");
  int64_t rate = scalar_of(c.in(2), "sample_rate");
  check(c.in(3).size() == 1 && c.in(4).size() == 1, Code::kInvalidModel,
        "the edge frequencies must be scalars");
  double low = get_double(c.in(3), 0), high = get_double(c.in(4), 0);
  check(mels > 0 && mels < (1 << 20) && length > 0 && rate > 0 && low >= 0 && high > low,
        Code::kInvalidArgument, "MelWeightMatrix needs positive sizes and ascending frequencies");
  int64_t bins = length / 2 + 1;
  Tensor& y = c.out(0, rule::dtype_attr(c.node(), "output_datatype", DType::kFloat), {bins, mels});
  ref::fill_zero(y);
  auto mel = [](double f) { return 2595 * std::log10(1 + f / 700); };
  double step = (mel(high) - mel(low)) / static_cast<double>(mels + 2);
  std::vector<int64_t> edge;
  for (int64_t i = 0; i < mels + 2; ++i) {
    double hertz = 700 * (std::pow(10.0, (static_cast<double>(i) * step + mel(low)) / 2595) - 1);
    double bin = std::floor(static_cast<double>(length + 1) * hertz / static_cast<double>(rate));
    check(bin >= 0 && bin < static_cast<double>(bins) + 1, Code::kInvalidArgument, "the frequency ", hertz,
          " lies beyond the spectrum");
    edge.push_back(static_cast<int64_t>(bin));
  }
  auto put = [&](int64_t bin, int64_t i, double v) {
    if (bin < bins) set_double(y, bin * mels + i, v);
  };
  for (int64_t i = 0; i < mels; ++i) {
    auto k = static_cast<size_t>(i);
    int64_t lo = edge[k], mid = edge[k + 1], hi = edge[k + 2];
    if (mid == lo) put(mid, i, 1);
    for (int64_t j = lo; mid > lo && j <= mid; ++j)
      put(j, i, static_cast<double>(j - lo) / static_cast<double>(mid - lo));
    for (int64_t j = mid; hi > mid && j < hi; ++j)
      put(j, i, static_cast<double>(hi - j) / static_cast<double>(hi - mid));
  }
}

}  // namespace

SKIFF_OP_DEF(ai_onnx, BlackmanWindow) {
  return window("BlackmanWindow", [](KernelContext& c) { cosine_window(c, 0.42, 0.5, 0.08); });
}
SKIFF_OP_DEF(ai_onnx, DFT) {
  return {.name = "DFT",
          .versions = {17, 20},
          .inputs = {{"input", kFloatTypes},
                     {"dft_length", kIndexTypes, 0, Arity::kOptional},
                     {"axis", mask_of(DType::kInt64), 0, Arity::kOptional}},
          .outputs = {{"output", kFloatTypes}},
          .attributes = {{"axis", AttrType::kInt}, {"inverse", AttrType::kInt}, {"onesided", AttrType::kInt}},
          .infer = infer_dft,
          .reference = dft_reference,
          .value_inputs = 2 | 4};
}
SKIFF_OP_DEF(ai_onnx, HammingWindow) {
  return window("HammingWindow", [](KernelContext& c) { cosine_window(c, 25.0 / 46, 21.0 / 46, 0); });
}
SKIFF_OP_DEF(ai_onnx, HannWindow) {
  return window("HannWindow", [](KernelContext& c) { cosine_window(c, 0.5, 0.5, 0); });
}
SKIFF_OP_DEF(ai_onnx, MelWeightMatrix) {
  return {.name = "MelWeightMatrix",
          .versions = {17},
          .inputs = {{"num_mel_bins", kIndexTypes},
                     {"dft_length", kIndexTypes},
                     {"sample_rate", kIndexTypes},
                     {"lower_edge_hertz", kFloatTypes},
                     {"upper_edge_hertz", kFloatTypes}},
          .outputs = {{"output", kNumericTypes}},
          .attributes = {{"output_datatype", AttrType::kInt}},
          .infer = infer_mel,
          .reference = mel_reference,
          .value_inputs = 3};
}
SKIFF_OP_DEF(ai_onnx, STFT) {
  return {.name = "STFT",
          .versions = {17},
          .inputs = {{"signal", kFloatTypes, 'T'},
                     {"frame_step", kIndexTypes},
                     {"window", kFloatTypes, 'T', Arity::kOptional},
                     {"frame_length", kIndexTypes, 0, Arity::kOptional}},
          .outputs = {{"output", kFloatTypes, 'T'}},
          .attributes = {{"onesided", AttrType::kInt}},
          .infer = infer_stft,
          .reference = stft_reference,
          .value_inputs = 2 | 8};
}

}  // namespace skiff
