// Sliding windows: the attributes convolutions and poolings share, checked, and the arithmetic of their
// extents (numbers and symbols alike).
#pragma once
#include <vector>

#include "ops/op.h"

namespace skiff {

enum class AutoPad : uint8_t { kNotSet, kSameUpper, kSameLower, kValid };

struct Window {
  std::vector<int64_t> kernel;  // -1 where not known yet
  std::vector<int64_t> stride, dilation;
  std::vector<int64_t> begin, end;  // padding before and after each spatial axis
  AutoPad auto_pad = AutoPad::kNotSet;
  bool ceil = false;

  size_t rank() const { return kernel.size(); }
  // Extent a dilated kernel covers.
  int64_t span(size_t i) const { return dilation[i] * (kernel[i] - 1) + 1; }
  // Output extent over an input extent. Throws kInvalidModel when no window fits.
  Dim out(size_t i, const Dim& in) const;
  // Turns auto_pad into explicit begin and end for these input extents (concrete).
  void resolve(const std::vector<int64_t>& in);
};

// Reads kernel_shape, strides, dilations, pads, auto_pad and ceil_mode for n spatial axes. `kernel`: the
// extents when another input tells them (a weight), which kernel_shape must then repeat; may be empty. Throws
// kInvalidModel on wrong lengths, values < 1 (padding < 0) or above 2^31, or an unknown auto_pad.
Window window_of(const Node& n, size_t spatial, std::vector<int64_t> kernel);

// One integer list attribute of `count` entries in [lo, 2^31); `def` for each when absent.
std::vector<int64_t> checked_ints(const Node& n, std::string_view name, size_t count, int64_t def,
                                  int64_t lo);
AutoPad auto_pad_of(const Node& n);
// Largest extent, stride, dilation or padding accepted: products of two stay inside 63 bits.
inline constexpr int64_t kMaxWindow = int64_t{1} << 31;

// [N, C, spatial...]: dims 2 and up.
inline std::vector<int64_t> spatial_of(const Dims& d) { return {d.begin() + 2, d.end()}; }

// Counts through a multi-index in row-major order; false after the last.
inline bool next_index(std::vector<int64_t>& index, const std::vector<int64_t>& extent) {
  for (size_t a = extent.size(); a-- > 0;) {
    if (++index[a] < extent[a]) return true;
    index[a] = 0;
  }
  return false;
}

}  // namespace skiff
