// GridSample and AffineGrid.
#include <algorithm>
#include <cmath>

#include "ops/real_view.h"
#include "ops/window.h"

namespace skiff {
namespace {

// ---------------------------------------------------------------- GridSample

void infer_grid_sample(InferContext& c) {
  const SymShape &x = c.shape(0), &g = c.shape(1);
  if (x.has_rank() && x.rank() < 3)
    fail(Code::kInvalidModel, "X must be [N, C, spatial...], it has shape ", x.to_string());
  if (x.has_rank()) c.expect_rank(1, x.rank());
  if (g.has_rank()) c.expect_rank(0, g.rank());
  if (!g.has_rank()) return c.set(0, c.dtype(0), x.has_rank() ? SymShape::of_rank(x.rank()) : SymShape());
  if (x.has_rank() && g[g.rank() - 1].is_const() && !g[g.rank() - 1].is(static_cast<int64_t>(x.rank()) - 2))
    fail(Code::kInvalidModel, "the grid ", g.to_string(), " must hold ", x.rank() - 2,
         " coordinates a point");
  SymShape y = SymShape::of_rank(g.rank());
  if (x.has_rank()) {
    y[0] = x[0];
    y[1] = x[1];
  }
  for (size_t i = 2; i < y.rank(); ++i) y[i] = g[i - 1];
  c.set(0, c.dtype(0), std::move(y));
}

enum class Outside { kZeros, kBorder, kReflect };

struct Sampler {
  enum Mode { kNearest, kLinear, kCubic } mode = kLinear;
  Outside outside = Outside::kZeros;
  bool align = false;

  explicit Sampler(const Node& n) {
    std::string m = n.attr_s("mode", "linear"), p = n.attr_s("padding_mode", "zeros");
    if (m == "nearest")
      mode = kNearest;
    else if (m == "cubic" || m == "bicubic")
      mode = kCubic;
    else
      check(m == "linear" || m == "bilinear", Code::kInvalidModel, "mode '", m, "' is not known");
    if (p == "border")
      outside = Outside::kBorder;
    else if (p == "reflection")
      outside = Outside::kReflect;
    else
      check(p == "zeros", Code::kInvalidModel, "padding_mode '", p, "' is not known");
    align = n.attr_i("align_corners", 0) != 0;
  }

  // Mirrors x into the picture's borders.
  double reflect(double x, double n) const {
    double lo = align ? 0 : -0.5, hi = align ? n - 1 : n - 0.5, span = hi - lo;
    if (span <= 0) return 0;
    if (x < lo) {
      double d = lo - x, turns = std::floor(d / span), r = d - turns * span;
      return std::fmod(turns, 2) == 0 ? lo + r : hi - r;
    }
    if (x > hi) {
      double d = x - hi, turns = std::floor(d / span), r = d - turns * span;
      return std::fmod(turns, 2) == 0 ? hi - r : lo + r;
    }
    return x;
  }

  // Source coordinate for a grid value in [-1, 1] over n elements, brought inside as the padding asks.
  double source(double g, int64_t n) const {
    auto d = static_cast<double>(n);
    double x = align ? (g + 1) / 2 * (d - 1) : ((g + 1) * d - 1) / 2;
    x = static_cast<double>(static_cast<float>(x));  // coordinates are float32: ties depend on it
    if (mode == kNearest) x = std::nearbyint(x);
    double lo = align ? 0 : -0.5, hi = align ? d - 1 : d - 0.5;
    if (x != x) return -1e9;
    if (x < lo || x > hi) {
      if (outside == Outside::kBorder) x = std::clamp(x, 0.0, d - 1);
      if (outside == Outside::kReflect) x = reflect(x, d);
    }
    return std::clamp(x, -1e9, 1e9);
  }

  // Element index for a tap, -1 for one that reads zero.
  int64_t tap(int64_t i, int64_t n) const {
    if (i >= 0 && i < n) return i;
    if (outside == Outside::kZeros) return -1;
    if (outside == Outside::kReflect)
      i = static_cast<int64_t>(reflect(static_cast<double>(i), static_cast<double>(n)));
    return std::clamp<int64_t>(i, 0, n - 1);
  }

  size_t taps() const { return mode == kNearest ? 1 : mode == kLinear ? 2 : 4; }
  // Indices and weights of the taps along one axis.
  void weigh(double x, int64_t n, int64_t* index, double* w) const {
    if (mode == kNearest) {
      index[0] = tap(static_cast<int64_t>(x), n);
      w[0] = 1;
      return;
    }
    double base = std::floor(x), r = x - base;
    auto i = static_cast<int64_t>(base);
    if (mode == kLinear) {
      w[0] = 1 - r;
      w[1] = r;
    } else {
      constexpr double a = -0.75;
      auto far = [](double d) { return ((a * d - 5 * a) * d + 8 * a) * d - 4 * a; };
      auto near = [](double d) { return ((a + 2) * d - (a + 3)) * d * d + 1; };
      w[0] = far(r + 1);
      w[1] = near(r);
      w[2] = near(1 - r);
      w[3] = far(2 - r);
      --i;
    }
    for (size_t k = 0; k < taps(); ++k) index[k] = tap(i + static_cast<int64_t>(k), n);
  }
};

void grid_sample_reference(KernelContext& c) {
  const Tensor &x = c.in(0), &grid = c.in(1);
  ref::expect_rank(x, 3, "X", true);
  ref::expect_rank(grid, x.rank(), "grid");
  size_t n = x.dims().size() - 2;
  check(grid.dim(0) == x.dim(0) && grid.dim(grid.rank() - 1) == static_cast<int64_t>(n), Code::kInvalidModel,
        "the grid ", to_string(grid.dims()), " does not fit X ", to_string(x.dims()));
  Sampler s(c.node());
  Dims d{x.dim(0), x.dim(1)};
  for (size_t i = 0; i < n; ++i) d.push_back(grid.dims()[i + 1]);
  Tensor& y = c.out(0, x.dtype(), d);
  std::vector<int64_t> in = spatial_of(x.dims());
  int64_t points = ref::count_of(d, 2, y.rank()), plane = ref::count_of(x.dims(), 2, x.rank());
  if (y.size() == 0) return;
  check(plane > 0, Code::kInvalidModel, "X has no elements to sample");
  if (x.dtype() == DType::kString || x.dtype() == DType::kComplex64 || x.dtype() == DType::kComplex128) {
    check(s.mode == Sampler::kNearest, Code::kUnsupported, "GridSample interpolates real numbers only, not ",
          dtype_name(x.dtype()));
  }
  std::vector<double> gv = ref::to_doubles(grid);
  size_t taps = s.taps();
  int64_t index[4];
  double weight[4];
  std::vector<std::vector<std::pair<int64_t, double>>> along(n);
  std::vector<std::pair<int64_t, double>> reads, next;  // offset in the plane, weight
  ref::fill_zero(y);
  bool real = s.mode != Sampler::kNearest;
  std::vector<double> xv = real ? ref::to_doubles(x) : std::vector<double>{};
  for (int64_t b = 0; b < d[0]; ++b) {
    for (int64_t p = 0; p < points; ++p) {
      reads.assign(1, {0, 1.0});
      for (size_t a = 0; a < n; ++a) {
        // The last coordinate belongs to the first spatial axis.
        double g = gv[static_cast<size_t>(b * points + p) * n + (n - 1 - a)];
        s.weigh(s.source(g, in[a]), in[a], index, weight);
        next.clear();
        for (const auto& [at, w] : reads)
          for (size_t k = 0; k < taps; ++k)
            if (index[k] >= 0 && weight[k] != 0) next.emplace_back(at * in[a] + index[k], w * weight[k]);
        reads.swap(next);
      }
      for (int64_t ch = 0; ch < d[1]; ++ch) {
        int64_t from = (b * d[1] + ch) * plane, to = (b * d[1] + ch) * points + p;
        if (!real) {
          if (!reads.empty()) ref::copy(y, to, 1, x, from + reads[0].first, 1, 1);
          continue;
        }
        double sum = 0;
        for (const auto& [at, w] : reads) sum += w * xv[static_cast<size_t>(from + at)];
        set_double(y, to, sum);
      }
    }
  }
}

// ---------------------------------------------------------------- AffineGrid

void infer_affine_grid(InferContext& c) {
  c.expect_rank(0, 3);
  auto size = c.data(1);
  if (!size) return c.set(0, c.dtype(0));
  check(size->size() == 4 || size->size() == 5, Code::kInvalidModel,
        "size must be [N, C, H, W] or [N, C, D, H, W]");
  std::vector<Dim> y{(*size)[0]};
  y.insert(y.end(), size->begin() + 2, size->end());
  y.emplace_back(static_cast<int64_t>(size->size()) - 2);
  c.set(0, c.dtype(0), SymShape(std::move(y)));
}

void affine_grid_reference(KernelContext& c) {
  const Tensor& theta = c.in(0);
  std::vector<int64_t> size = to_ints(c.in(1));
  check(size.size() == 4 || size.size() == 5, Code::kInvalidModel,
        "size must be [N, C, H, W] or [N, C, D, H, W]");
  auto n = static_cast<int64_t>(size.size()) - 2;
  ref::expect_dims(theta, {size[0], n, n + 1}, "theta");
  bool align = c.node().attr_i("align_corners", 0) != 0;
  Dims d{size[0]};
  std::vector<int64_t> out(size.begin() + 2, size.end());
  for (int64_t e : out) d.push_back(e);
  int64_t points = element_count(d, 1, d.size());
  d.push_back(n);
  Tensor& y = c.out(0, theta.dtype(), d);
  std::vector<double> t = ref::to_doubles(theta), v(static_cast<size_t>(y.size()));
  for (int64_t b = 0; b < size[0]; ++b) {
    std::vector<int64_t> o(out.size(), 0);
    for (int64_t p = 0; p < points; ++p, next_index(o, out)) {
      for (int64_t r = 0; r < n; ++r) {
        const double* row = t.data() + (b * n + r) * (n + 1);
        double sum = row[n];
        for (int64_t k = 0; k < n; ++k) {
          // Coordinate k counts from the last spatial axis.
          auto a = static_cast<size_t>(n - 1 - k);
          auto e = static_cast<double>(out[a]), i = static_cast<double>(o[a]);
          sum += row[k] * (align ? (out[a] > 1 ? -1 + 2 * i / (e - 1) : -1) : (2 * i + 1) / e - 1);
        }
        v[static_cast<size_t>((b * points + p) * n + r)] = sum;
      }
    }
  }
  ref::store_all(y, v.data());
}

}  // namespace

SKIFF_OP_DEF(ai_onnx, GridSample) {
  return {.name = "GridSample",
          .versions = {16, 20, 22},
          .inputs = {{"X", kTensorTypes, '1'}, {"grid", kFloatTypes, '2'}},
          .outputs = {{"Y", kTensorTypes, '1'}},
          .attributes = {{"align_corners", AttrType::kInt},
                         {"mode", AttrType::kString},
                         {"padding_mode", AttrType::kString}},
          .infer = infer_grid_sample,
          .reference = grid_sample_reference};
}

SKIFF_OP_DEF(ai_onnx, AffineGrid) {
  return {.name = "AffineGrid",
          .versions = {20},
          .inputs = {{"theta", kFloatTypes, '1'}, {"size", mask_of(DType::kInt64), '2'}},
          .outputs = {{"grid", kFloatTypes, '1'}},
          .attributes = {{"align_corners", AttrType::kInt}},
          .infer = infer_affine_grid,
          .reference = affine_grid_reference,
          .value_inputs = 1u << 1};
}

// The same operator before the standard took it over.
SKIFF_OP_DEF(com_microsoft, GridSample) {
  OpDef d = skiff_op_ai_onnx_GridSample();
  d.domain = "com.microsoft";
  d.versions = {1};
  return d;
}

}  // namespace skiff
