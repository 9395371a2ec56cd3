// Convolution of an image of few channels, as the first layer of a network has it. The elements of one kernel
// row are contiguous in the input - kernel width of one plane, or kernel width x channels of a channels-last
// row - so a tap of the tile is a whole kernel row, and neighbouring output pixels are a fixed distance
// apart. What lies under a strip that reaches over the left or right edge is copied, with zeros, to a buffer.
#include "device/cpu/kernels/conv/methods.h"

namespace skiff::cpu::SKIFF_ISA {
namespace {

constexpr int64_t kWindowMax = 512;  // floats of a window: keeps the sum in one chunk
constexpr int64_t kSpansMax = 4096;  // floats under a strip of windows: bounds the buffer
constexpr int kRowsMax = 64;         // kernel rows of a window, over all planes

// How the input is seen: as `planes` images of `channels` interleaved channels.
struct View {
  int64_t planes, channels;
};
SKIFF_INLINE View view_of(const ConvShape& s, bool planar) {
  return planar ? View{s.in_channels, 1} : View{1, s.in_channels};
}

bool accepts(const ConvShape& s, bool planar) {
  const View view = view_of(s, planar);
  const int64_t span = ((kMaxRows - 1) * s.stride[2] + s.kernel[2]) * view.channels;
  return s.groups == 1 && s.in[0] == 1 && s.out[0] == 1 && s.kernel[0] == 1 && s.dilation[2] == 1 &&
         s.pad_begin[0] == 0 && taps_of(s) * s.in_channels <= kWindowMax &&
         view.planes * s.kernel[1] <= kRowsMax && view.planes * s.kernel[1] * span <= kSpansMax;
}

size_t packed_bytes(const ConvShape& s) {
  return (size_t)packed_floats(taps_of(s) * s.in_channels, s.out_channels) * sizeof(float);
}

void pack(const ConvShape& s, const float* w, float* packed, bool planar) {
  const int64_t taps = taps_of(s), ic = s.in_channels;
  pack_matrix(taps * ic, s.out_channels, packed, [=](int64_t p, int64_t j) {
    return planar ? w[j * ic * taps + p] : w[(j * ic + p % ic) * taps + p / ic];
  });
}

// Rows are output rows of the batch; columns are output channels.
TaskGrid plan(const ConvShape& s, int32_t threads) {
  const int64_t rows = s.batch * s.out[1];
  TaskGrid g;
  if (rows <= 0 || s.out_channels <= 0 || s.out[2] <= 0) return g;
  const int64_t per_row = s.out[2] * s.out_channels * taps_of(s) * s.in_channels;
  g.m_step = ceil_div(rows, wanted_tasks((double)rows * (double)per_row, threads));
  g.m_tasks = ceil_div(rows, g.m_step);
  g.n_step = s.out_channels;
  g.n_tasks = 1;
  return g;
}

// Copies `count` floats that begin `at` floats after the start of a line of `length`; zeros outside it.
SKIFF_INLINE void copy_clipped(const float* line, int64_t length, int64_t at, int64_t count, float* out) {
  const int64_t before = min64(count, max64(0, -at)), end = max64(before, min64(count, length - at));
  for (int64_t q = 0; q < count; q += kLanes) store_n(out + q, vf{}, (int)min64(kLanes, count - q));
  for (int64_t q = before; q < end; q += kLanes) {
    const int n = (int)min64(kLanes, end - q);
    store_n(out + q, load_n(line + at + q, n), n);
  }
}

void run(const ConvArgs& a, const TaskGrid& grid, int64_t task, bool planar) {
  const ConvShape& s = a.shape;
  const View view = view_of(s, planar);
  const int64_t r0 = task / grid.n_tasks * grid.m_step, r1 = min64(r0 + grid.m_step, s.batch * s.out[1]);
  const int64_t n0 = task % grid.n_tasks * grid.n_step, n1 = min64(n0 + grid.n_step, s.out_channels);
  const int64_t out_w = s.out[2], line = s.in[2] * view.channels, row_floats = s.kernel[2] * view.channels;
  const int64_t step = s.stride[2] * view.channels;
  const int taps = (int)(view.planes * s.kernel[1]);
  const int64_t width = (int64_t)panel_vectors(s.out_channels) * kLanes;
  const int64_t strips = ceil_div(out_w, kTileRows[panel_vectors(s.out_channels)]);
  Product p = {s.out_channels, taps, row_floats, 1, a.weights, nullptr, a.out_pixel, 1.0f, {}};
  const Chunk chunk = {0, taps, 0, row_floats, true, true};

  // What the rows of a strip read of an input line is one run of floats.
  float window[kSpansMax];
  const float* pointers[kRowsMax * kMaxRows];
  const v8 steps = v8{0, 1, 2, 3, 4, 5, 6, 7} * (4 * step);
  for (int64_t r = r0; r < r1; r++) {
    const int64_t image = r / s.out[1], y0 = r % s.out[1] * s.stride[1] - s.pad_begin[1];
    const float* lines[kRowsMax];  // null: padding
    for (int t = 0; t < taps; t++) {
      const int64_t plane = t / s.kernel[1], y = y0 + t % s.kernel[1] * s.dilation[1];
      const bool inside = (uint64_t)y < (uint64_t)s.in[1];
      lines[t] = inside ? a.in + ((image * view.planes + plane) * s.in[1] + y) * line : nullptr;
    }
    const Strips row = {r * out_w, out_w, strips};
    for (int64_t i = 0; i < strips; i++) {
      const Strips strip = {row.begin(i), row.rows(i), 1};
      const int64_t x0 = ((strip.m - row.m) * s.stride[2] - s.pad_begin[2]) * view.channels;
      const int64_t span = (strip.count - 1) * step + row_floats;
      const bool inside = x0 >= 0 && x0 + span <= line;
      for (int t = 0; t < taps; t++) {
        const float* first = inside ? lines[t] + x0 : window + t * span;
        if (!inside && lines[t]) copy_clipped(lines[t], line, x0, span, window + t * span);
        const v8 rows = lines[t] ? splat8((int64_t)first) + steps : v8{};
        memcpy(pointers + t * kMaxRows, &rows, sizeof rows);
      }
      p.c = a.out;
      p.epilogue = a.epilogue;
      p.epilogue.row_bias = nullptr;
      for (int64_t n = n0; n < n1; n += width) run_panel(p, chunk, strip, pointers, n, min64(width, n1 - n));
    }
  }
}

bool accepts_rows(const ConvShape& s) { return accepts(s, false); }
bool accepts_planar(const ConvShape& s) { return accepts(s, true); }
void pack_rows(const ConvShape& s, const float* w, float* packed) { pack(s, w, packed, false); }
void pack_planar(const ConvShape& s, const float* w, float* packed) { pack(s, w, packed, true); }
void run_rows(const ConvArgs& a, const TaskGrid& grid, int64_t task) { run(a, grid, task, false); }
void run_planar(const ConvArgs& a, const TaskGrid& grid, int64_t task) { run(a, grid, task, true); }

}  // namespace

const ConvMethod conv_few_channels = {"few_channels", accepts_rows, packed_bytes, pack_rows,
                                      plan,           run_rows,     nullptr};
const ConvMethod conv_planar = {"planar", accepts_planar, packed_bytes, pack_planar,
                                plan,     run_planar,     nullptr};

}  // namespace skiff::cpu::SKIFF_ISA
