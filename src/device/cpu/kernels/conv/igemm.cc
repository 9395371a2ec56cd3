// Convolution as a matrix product over output pixels x (kernel positions, input channels) x output channels.
// No image is unfolded: the tile reads each input pixel through a pointer.
#include "device/cpu/kernels/conv/methods.h"

namespace skiff::cpu::SKIFF_ISA {
namespace {

class ImageRows {
  const ConvShape* s;
  const float* in;
  int64_t pixel;

  // Of each row: the address of the first tap's element 0 and its input position. Rows past the last repeat
  // it.
  struct Places {
    v8 first, at[3];
    bool inside;  // every tap of every row lies in the image
  };

 public:
  ImageRows(const ConvShape* shape, const float* data, int64_t stride) : s(shape), in(data), pixel(stride) {}

  // Output pixels m ... of the whole batch; taps in the order depth, height, width.
  void rows(int64_t m, int count, int64_t tap0, int taps, int64_t k0, const float** out) const {
    const Places p = locate(m, count);
    const v8 zeros = splat8((int64_t)kZeros), first = p.first + 4 * k0;
    int64_t x = tap0 % s->kernel[2], y = tap0 / s->kernel[2] % s->kernel[1],
            z = tap0 / s->kernel[2] / s->kernel[1];
    for (int t = 0; t < taps; t++, out += kMaxRows) {
      const int64_t d[3] = {z * s->dilation[0], y * s->dilation[1], x * s->dilation[2]};
      v8 address = first + ((d[0] * s->in[1] + d[1]) * s->in[2] + d[2]) * pixel * 4;
      if (!p.inside) {
        const v8 inside = (v8)((vu8)(p.at[2] + d[2]) < (uint64_t)s->in[2]) &
                          (v8)((vu8)(p.at[1] + d[1]) < (uint64_t)s->in[1]) &
                          (v8)((vu8)(p.at[0] + d[0]) < (uint64_t)s->in[0]);
        address = inside ? address : zeros;
        if (!any8(inside)) address = v8{};
      }
      memcpy(out, &address, sizeof address);
      if (++x == s->kernel[2]) {
        x = 0;
        if (++y == s->kernel[1]) y = 0, z++;
      }
    }
  }

 private:
  __attribute__((always_inline)) Places locate(int64_t m, int count) const {
    const int64_t w = s->out[2], h = s->out[1], d = s->out[0];
    int64_t x = m % w, q = m / w, y = q % h;
    q /= h;
    int64_t z = d == 1 ? 0 : q % d, n = d == 1 ? q : q / d;
    const int64_t image_size = s->in[0] * s->in[1] * s->in[2];
    Places p;
    if (x + count <= w) {
      v8 row = {0, 1, 2, 3, 4, 5, 6, 7};
      row = row < (int64_t)count ? row : splat8(count - 1);
      p.at[0] = splat8(z * s->stride[0] - s->pad_begin[0]);
      p.at[1] = splat8(y * s->stride[1] - s->pad_begin[1]);
      p.at[2] = row * s->stride[2] + (x * s->stride[2] - s->pad_begin[2]);
      const int64_t line = n * image_size + (p.at[0][0] * s->in[1] + p.at[1][0]) * s->in[2];
      p.first = (p.at[2] + line) * (4 * pixel) + (int64_t)in;
    } else {
      for (int i = 0; i < kMaxRows; i++) {
        p.at[0][i] = z * s->stride[0] - s->pad_begin[0];
        p.at[1][i] = y * s->stride[1] - s->pad_begin[1];
        p.at[2][i] = x * s->stride[2] - s->pad_begin[2];
        p.first[i] =
            (int64_t)in +
            (n * image_size + (p.at[0][i] * s->in[1] + p.at[1][i]) * s->in[2] + p.at[2][i]) * 4 * pixel;
        if (i + 1 < count && ++x == w) {
          x = 0;
          if (++y == h) {
            y = 0;
            if (++z == d) z = 0, n++;
          }
        }
      }
    }
    v8 outside = {};
    for (int axis = 0; axis < 3; axis++) {
      // The last input position a first tap may have.
      const int64_t reach = s->in[axis] - (s->kernel[axis] - 1) * s->dilation[axis];
      outside |= (v8)(p.at[axis] < 0) | (v8)(p.at[axis] >= reach);
    }
    p.inside = !any8(outside);
    return p;
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

const ConvMethod conv_igemm = {"igemm", accepts, packed_bytes, pack, plan, run, nullptr};

}  // namespace skiff::cpu::SKIFF_ISA
