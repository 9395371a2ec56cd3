// ConvTranspose. The output pixels of one row that are equal modulo the stride use the same columns of the
// kernel, so each such phase is a matrix product like an ordinary convolution's, with every stride-th output
// pixel as its rows. Where the kernel is as wide as the stride, the phases do not overlap: they are then
// columns of one product, which writes whole runs of the output row.
#include "device/cpu/kernels/conv/methods.h"

namespace skiff::cpu::SKIFF_ISA {
namespace {

// Input position along an axis that reaches output position `out` through kernel position `tap`; false if
// none does.
SKIFF_INLINE bool source_of(const ConvShape& s, int axis, int64_t out, int64_t tap, int64_t* in) {
  const int64_t q = out + s.pad_begin[axis] - tap * s.dilation[axis];
  *in = q / s.stride[axis];
  return q % s.stride[axis] == 0;
}

// Row i of the product is output pixel (y, x0 + i * stride).
struct PhaseRows {
  const ConvShape* s;
  const float* image;
  int64_t pixel, y, x0;

  void rows(int64_t m, int count, int64_t tap0, int taps, int64_t k0, const float** out) const {
    for (int t = 0; t < taps; t++, out += kMaxRows) {
      const int64_t ky = (tap0 + t) / s->kernel[2], kx = (tap0 + t) % s->kernel[2];
      int64_t iy, ix;
      out[0] = nullptr;
      if (!source_of(*s, 1, y, ky, &iy) || (uint64_t)iy >= (uint64_t)s->in[1]) continue;
      if (!source_of(*s, 2, x0, kx, &ix)) continue;
      ix += m;
      for (int i = 0; i < count; i++, ix++)
        out[i] = (uint64_t)ix < (uint64_t)s->in[2] ? image + (iy * s->in[2] + ix) * pixel + k0 : kZeros;
    }
  }
};

// Row i of the product is the run of output pixels under input pixel i; taps are kernel rows.
struct RunRows {
  const ConvShape* s;
  const float* image;
  int64_t pixel, y;

  void rows(int64_t m, int count, int64_t tap0, int taps, int64_t k0, const float** out) const {
    for (int t = 0; t < taps; t++, out += kMaxRows) {
      int64_t iy;
      out[0] = nullptr;
      if (!source_of(*s, 1, y, tap0 + t, &iy) || (uint64_t)iy >= (uint64_t)s->in[1]) continue;
      const float* first = image + (iy * s->in[2] + m) * pixel + k0;
      for (int i = 0; i < count; i++) out[i] = first + i * pixel;
    }
  }
};

constexpr int64_t kRunMax = 1024;  // columns: bounds the repeated bias
// Looks at nothing but the weight and the attributes, as accepts() does: packing and every run must agree.
bool is_merged(const ConvShape& s) {
  return s.groups == 1 && s.kernel[2] == s.stride[2] && s.dilation[2] == 1 && s.pad_is_fixed &&
         s.pad_begin[2] == 0 && s.kernel[2] * s.out_channels <= kRunMax;
}

bool accepts(const ConvShape& s) {
  return s.in[0] == 1 && s.out[0] == 1 && s.kernel[0] == 1 && s.pad_begin[0] == 0;
}

size_t packed_bytes(const ConvShape& s) {
  const int64_t ic = s.in_channels / s.groups, oc = s.out_channels / s.groups;
  if (is_merged(s)) return (size_t)packed_floats(s.kernel[1] * ic, s.kernel[2] * oc) * sizeof(float);
  return (size_t)(s.groups * packed_floats(taps_of(s) * ic, oc)) * sizeof(float);
}

void pack(const ConvShape& s, const float* weights, float* packed) {
  const int64_t taps = taps_of(s), ic = s.in_channels / s.groups, oc = s.out_channels / s.groups;
  if (is_merged(s)) {
    const int64_t kw = s.kernel[2];
    return pack_matrix(s.kernel[1] * ic, kw * oc, packed, [=](int64_t p, int64_t j) {
      return weights[(p % ic * oc + j % oc) * taps + p / ic * kw + j / oc];
    });
  }
  for (int64_t g = 0; g < s.groups; g++) {
    const float* w = weights + g * ic * oc * taps;
    pack_matrix(taps * ic, oc, packed + g * packed_floats(taps * ic, oc),
                [=](int64_t p, int64_t j) { return w[(p % ic * oc + j) * taps + p / ic]; });
  }
}

// Rows are output rows of the batch; columns are groups.
TaskGrid plan(const ConvShape& s, int32_t threads) {
  const int64_t k = taps_of(s) * (s.in_channels / s.groups) * (s.out_channels / s.groups) * s.in[2];
  TaskGrid g;
  const int64_t rows = s.batch * s.out[1];
  if (rows <= 0 || s.out_channels <= 0 || s.out[2] <= 0) return g;
  const int64_t wanted = wanted_tasks((double)k * (double)rows, threads);
  g.m_step = ceil_div(rows, wanted);
  g.m_tasks = ceil_div(rows, g.m_step);
  g.n_step = max64(1, ceil_div(s.groups, max64(1, wanted / g.m_tasks)));
  g.n_tasks = ceil_div(s.groups, g.n_step);
  return g;
}

// Output rows [r0, r1) of the batch. The output may be narrower than all runs together, or wider: what no
// input pixel reaches is bias alone.
void run_merged(const ConvArgs& a, int64_t r0, int64_t r1) {
  const ConvShape& s = a.shape;
  const int64_t kw = s.kernel[2], oc = s.out_channels, columns = kw * oc;
  const int64_t whole = min64(s.in[2], s.out[2] / kw), rest = min64(s.out[2], s.in[2] * kw) - whole * kw;
  float bias[kRunMax];
  if (a.epilogue.bias)
    for (int64_t j = 0; j < columns; j++) bias[j] = a.epilogue.bias[j % oc];
  Product p = {columns, s.kernel[1], s.in_channels, 1, a.weights, nullptr, columns, 1.0f, {}};
  for (int64_t r = r0; r < r1; r++) {
    const float* image = a.in + r / s.out[1] * s.in[1] * s.in[2] * a.in_pixel;
    const int64_t first = r * s.out[2];
    const RunRows source = {&s, image, a.in_pixel, r % s.out[1]};
    p.c = a.out + first * oc;
    p.epilogue = epilogue_at(a.epilogue, first, 0);
    if (a.epilogue.bias) p.epilogue.bias = bias;
    p.epilogue.ld_residual = columns;
    run_product(source, p, 0, whole, 0, columns);
    if (rest > 0) {  // the last run, cut off by the end of the row
      float run[kRunMax], added[kRunMax];
      const int64_t done = whole * columns;
      if (p.epilogue.residual) {
        for (int64_t j = 0; j < rest * oc; j++) added[j] = p.epilogue.residual[done + j];
        for (int64_t j = rest * oc; j < columns; j++) added[j] = 0;
        p.epilogue.residual = added - done;
      }
      float* c = p.c + done;
      p.c = run - done;
      run_product(source, p, whole, whole + 1, 0, columns);
      for (int64_t j = 0; j < rest * oc; j++) c[j] = run[j];
    }
    for (int64_t x = (whole * kw + rest) * oc; x < s.out[2] * oc; x++) {
      float* c = a.out + first * oc + x;
      const float* residual = a.epilogue.residual;
      *c = (a.epilogue.bias ? a.epilogue.bias[x % oc] : 0.0f) + (residual ? residual[first * oc + x] : 0.0f);
      activate_rows(a.epilogue.act, a.epilogue.p0, a.epilogue.p1, c, 0, 1, 1);
    }
  }
}

void run(const ConvArgs& a, const TaskGrid& grid, int64_t task) {
  const ConvShape& s = a.shape;
  if (is_merged(s)) {
    const int64_t r0 = task * grid.m_step;
    return run_merged(a, r0, min64(r0 + grid.m_step, s.batch * s.out[1]));
  }
  const int64_t r0 = task / grid.n_tasks * grid.m_step, r1 = min64(r0 + grid.m_step, s.batch * s.out[1]);
  const int64_t g0 = task % grid.n_tasks * grid.n_step, g1 = min64(g0 + grid.n_step, s.groups);
  const int64_t ic = s.in_channels / s.groups, oc = s.out_channels / s.groups, taps = taps_of(s);
  for (int64_t g = g0; g < g1; g++) {
    for (int64_t r = r0; r < r1; r++) {
      const float* image = a.in + r / s.out[1] * s.in[1] * s.in[2] * a.in_pixel + g * ic;
      for (int64_t phase = 0; phase < min64(s.stride[2], s.out[2]); phase++) {
        const int64_t first = r * s.out[2] + phase;
        Product p = {oc, taps, ic, 1, a.weights + g * packed_floats(taps * ic, oc), nullptr, 0, 1.0f, {}};
        p.c = a.out + first * a.out_pixel + g * oc;
        p.ldc = s.stride[2] * a.out_pixel;
        p.epilogue = epilogue_at(a.epilogue, first, g * oc);
        p.epilogue.ld_residual *= s.stride[2];
        run_product(PhaseRows{&s, image, a.in_pixel, r % s.out[1], phase}, p, 0,
                    ceil_div(s.out[2] - phase, s.stride[2]), 0, oc);
      }
    }
  }
}

}  // namespace

const ConvMethod conv_transpose = {"transpose", accepts, packed_bytes, pack, plan, run, nullptr};

}  // namespace skiff::cpu::SKIFF_ISA
