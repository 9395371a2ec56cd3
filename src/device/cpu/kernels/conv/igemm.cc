// Convolution as a matrix product over output pixels x (kernel positions, input channels) x output channels.
// No image is unfolded: the tile reads each input pixel through a pointer.
#include "device/cpu/kernels/conv/methods.h"

namespace skiff::cpu::SKIFF_ISA {
namespace {

class ImageRows {
  const ConvShape* s;
  const float* in;
  int64_t pixel;

 public:
  ImageRows(const ConvShape* shape, const float* data, int64_t stride) : s(shape), in(data), pixel(stride) {}

  // Output pixels m ... of the whole batch; taps in the order depth, height, width.
  void rows(int64_t m, int count, int64_t tap0, int taps, int64_t k0, const float** out) const {
    const float* image[kMaxRows];
    int64_t at[kMaxRows][3];  // input position of the first tap
    if (locate(m, count, image, at)) {
      const float* first[kMaxRows];
      for (int i = 0; i < count; i++)
        first[i] = image[i] + ((at[i][0] * s->in[1] + at[i][1]) * s->in[2] + at[i][2]) * pixel + k0;
      each_tap(
          tap0, taps, [&](int64_t dz, int64_t dy, int64_t dx) __attribute__((always_inline)) {
            const int64_t offset = ((dz * s->in[1] + dy) * s->in[2] + dx) * pixel;
            for (int i = 0; i < count; i++) out[i] = first[i] + offset;
            out += kMaxRows;
          });
      return;
    }
    each_tap(
        tap0, taps, [&](int64_t dz, int64_t dy, int64_t dx) __attribute__((always_inline)) {
          bool any_inside = false;
          for (int i = 0; i < count; i++) {
            const int64_t iz = at[i][0] + dz, iy = at[i][1] + dy, ix = at[i][2] + dx;
            const bool inside = (uint64_t)iz < (uint64_t)s->in[0] && (uint64_t)iy < (uint64_t)s->in[1] &&
                                (uint64_t)ix < (uint64_t)s->in[2];
            out[i] = inside ? image[i] + ((iz * s->in[1] + iy) * s->in[2] + ix) * pixel + k0 : kZeros;
            any_inside |= inside;
          }
          if (!any_inside) out[0] = nullptr;
          out += kMaxRows;
        });
  }

 private:
  // Image and input position of the first tap of each row; whether every tap of every row lies inside.
  __attribute__((always_inline)) bool locate(int64_t m, int count, const float** image, int64_t (*at)[3]) const {
    const int64_t w = s->out[2], h = s->out[1], d = s->out[0],
                  image_size = s->in[0] * s->in[1] * s->in[2] * pixel;
    int64_t x = m % w, q = m / w, y = q % h;
    q /= h;
    int64_t z = d == 1 ? 0 : q % d, n = d == 1 ? q : q / d;
    int64_t reach[3];  // the last input position a first tap may have
    for (int axis = 0; axis < 3; axis++)
      reach[axis] = s->in[axis] - (s->kernel[axis] - 1) * s->dilation[axis];
    bool all_inside = true;
    for (int i = 0; i < count; i++) {
      image[i] = in + n * image_size;
      at[i][0] = z * s->stride[0] - s->pad_begin[0];
      at[i][1] = y * s->stride[1] - s->pad_begin[1];
      at[i][2] = x * s->stride[2] - s->pad_begin[2];
      for (int axis = 0; axis < 3; axis++) all_inside &= at[i][axis] >= 0 && at[i][axis] < reach[axis];
      if (++x == w) {
        x = 0;
        if (++y == h) {
          y = 0;
          if (++z == d) z = 0, n++;
        }
      }
    }
    return all_inside;
  }

  template <class F>
  __attribute__((always_inline)) void each_tap(int64_t tap0, int taps, F&& f) const {
    int64_t x = tap0 % s->kernel[2], y = tap0 / s->kernel[2] % s->kernel[1],
            z = tap0 / s->kernel[2] / s->kernel[1];
    for (int t = 0; t < taps; t++) {
      f(z * s->dilation[0], y * s->dilation[1], x * s->dilation[2]);
      if (++x == s->kernel[2]) {
        x = 0;
        if (++y == s->kernel[1]) y = 0, z++;
      }
    }
  }
};

bool is_pointwise(const ConvShape& s) {
  for (int axis = 0; axis < 3; axis++)
    if (s.kernel[axis] != 1 || s.stride[axis] != 1 || s.pad_begin[axis] != 0 || s.in[axis] != s.out[axis])
      return false;
  return true;
}

bool accepts(const ConvShape&) { return true; }

size_t packed_bytes(const ConvShape& s) {
  const int64_t k = taps_of(s) * (s.in_channels / s.groups);
  return (size_t)(s.groups * packed_floats(k, s.out_channels / s.groups)) * sizeof(float);
}

void pack(const ConvShape& s, const float* weights, float* packed) {
  const int64_t taps = taps_of(s), ic = s.in_channels / s.groups, oc = s.out_channels / s.groups;
  for (int64_t g = 0; g < s.groups; g++) {
    const float* w = weights + g * oc * ic * taps;
    pack_matrix(taps * ic, oc, packed + g * packed_floats(taps * ic, oc),
                [=](int64_t p, int64_t j) { return w[(j * ic + p % ic) * taps + p / ic]; });
  }
}

// Rows are output pixels; columns are output channels, or whole groups if there are several.
TaskGrid plan(const ConvShape& s, int32_t threads) {
  const int64_t k = taps_of(s) * (s.in_channels / s.groups), m = out_pixels(s);
  if (s.groups == 1)
    return plan_grid(m, s.out_channels, k, (int64_t)panel_vectors(s.out_channels) * kLanes, threads);
  return plan_grid(m, s.groups, k * (s.out_channels / s.groups), 1, threads);
}

void run(const ConvArgs& a, const TaskGrid& grid, int64_t task) {
  const ConvShape& s = a.shape;
  const int64_t m0 = task / grid.n_tasks * grid.m_step, m1 = min64(m0 + grid.m_step, out_pixels(s));
  const int64_t columns = s.groups == 1 ? s.out_channels : s.groups;
  const int64_t n0 = task % grid.n_tasks * grid.n_step, n1 = min64(n0 + grid.n_step, columns);
  const int64_t ic = s.in_channels / s.groups, oc = s.out_channels / s.groups, taps = taps_of(s);
  Product p = {oc, taps, ic, 1, a.weights, a.out, a.out_pixel, 1.0f, a.epilogue};
  p.epilogue.row_bias = nullptr;
  if (s.groups == 1) {
    if (is_pointwise(s)) return run_product(MatrixRows{a.in, a.in_pixel, 1}, p, m0, m1, n0, n1);
    return run_product(ImageRows{&s, a.in, a.in_pixel}, p, m0, m1, n0, n1);
  }
  for (int64_t g = n0; g < n1; g++) {
    p.packed = a.weights + g * packed_floats(taps * ic, oc);
    p.c = a.out + g * oc;
    p.epilogue = epilogue_at(a.epilogue, 0, g * oc);
    run_product(ImageRows{&s, a.in + g * ic, a.in_pixel}, p, m0, m1, 0, oc);
  }
}

}  // namespace

const ConvMethod conv_igemm = {"igemm", accepts, packed_bytes, pack, plan, run};

}  // namespace skiff::cpu::SKIFF_ISA
