// ConvTranspose. The output pixels of one row that are equal modulo the stride use the same columns of the
// kernel, so each such phase is a matrix product like an ordinary convolution's, with every stride-th output
// pixel as its rows.
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

bool accepts(const ConvShape& s) {
  return s.in[0] == 1 && s.out[0] == 1 && s.kernel[0] == 1 && s.pad_begin[0] == 0;
}

size_t packed_bytes(const ConvShape& s) {
  const int64_t k = taps_of(s) * (s.in_channels / s.groups);
  return (size_t)(s.groups * packed_floats(k, s.out_channels / s.groups)) * sizeof(float);
}

void pack(const ConvShape& s, const float* weights, float* packed) {
  const int64_t taps = taps_of(s), ic = s.in_channels / s.groups, oc = s.out_channels / s.groups;
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
  const int64_t wanted = plan_grid(64, 64, max64(1, k * rows / 4096), 1, threads).tasks();
  g.m_step = ceil_div(rows, wanted);
  g.m_tasks = ceil_div(rows, g.m_step);
  g.n_step = max64(1, ceil_div(s.groups, max64(1, wanted / g.m_tasks)));
  g.n_tasks = ceil_div(s.groups, g.n_step);
  return g;
}

void run(const ConvArgs& a, const TaskGrid& grid, int64_t task) {
  const ConvShape& s = a.shape;
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

const ConvMethod conv_transpose = {"transpose", accepts, packed_bytes, pack, plan, run};

}  // namespace skiff::cpu::SKIFF_ISA
