// Convolution of an image of few channels, as the first layer of a network has it. The elements of one kernel
// row are contiguous in the input - kernel width of one plane, or kernel width x channels of a channels-last
// row - so a tap of the tile is a whole kernel row. Windows that reach over the left or right edge are
// copied, with zeros, to a buffer.
#include "device/cpu/kernels/conv/methods.h"

namespace skiff::cpu::SKIFF_ISA {
namespace {

constexpr int64_t kWindowMax = 512;  // floats of a window: bounds the buffer and keeps the sum in one chunk
constexpr int kRowsMax = 64;         // kernel rows of a window, over all planes

// How the input is seen: as `planes` images of `channels` interleaved channels.
struct View {
  int64_t planes, channels;
};
SKIFF_INLINE View view_of(const ConvShape& s, bool planar) {
  return planar ? View{s.in_channels, 1} : View{1, s.in_channels};
}

bool accepts(const ConvShape& s, bool planar) {
  return s.groups == 1 && s.in[0] == 1 && s.out[0] == 1 && s.kernel[0] == 1 && s.dilation[2] == 1 &&
         s.pad_begin[0] == 0 && taps_of(s) * s.in_channels <= kWindowMax &&
         view_of(s, planar).planes * s.kernel[1] <= kRowsMax;
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
  TaskGrid g = plan_grid(rows, s.out_channels, taps_of(s) * s.in_channels * s.out[2],
                         (int64_t)panel_vectors(s.out_channels) * kLanes, 1);
  const TaskGrid by_pixels =
      plan_grid(rows * s.out[2], s.out_channels, taps_of(s) * s.in_channels, 1, threads);
  if (by_pixels.tasks() > 1) {
    g.m_step = max64(1, ceil_div(rows, by_pixels.tasks()));
    g.m_tasks = ceil_div(rows, g.m_step);
  }
  return g;
}

// Copies `count` floats that begin `at` floats after the start of a line of `length`; zeros outside it.
SKIFF_INLINE void copy_clipped(const float* line, int64_t length, int64_t at, int64_t count, float* out) {
  for (int64_t q = 0; q < count; q++) out[q] = (uint64_t)(at + q) < (uint64_t)length ? line[at + q] : 0.0f;
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

  float window[kMaxRows * kWindowMax];
  const float* pointers[kRowsMax * kMaxRows];
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
      if (x0 >= 0 && x0 + (strip.count - 1) * step + row_floats <= line) {
        for (int t = 0; t < taps; t++)
          for (int q = 0; q < kMaxRows; q++)
            pointers[t * kMaxRows + q] =
                lines[t] ? (const float*)((intptr_t)(lines[t] + x0) + q * step * 4) : nullptr;
      } else {
        for (int q = 0; q < strip.count; q++) {
          for (int t = 0; t < taps; t++) {
            float* copy = window + (q * taps + t) * row_floats;
            if (lines[t]) copy_clipped(lines[t], line, x0 + q * step, row_floats, copy);
            pointers[t * kMaxRows + q] = lines[t] ? copy : nullptr;
          }
        }
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
