// From a picture to a model's input: resize, crop, channel order, scale, mean and standard deviation, layout.
#pragma once
#include <optional>
#include <string>
#include <vector>

#include "array.h"
#include "image.h"

namespace skiff::tool {

enum class ResizeMode {
  kExact,     // to the given size, whatever the aspect ratio
  kShorter,   // keeps the aspect ratio and covers the given size; usually followed by a crop
  kLetterbox  // keeps the aspect ratio inside the given size; the rest is grey (114)
};
enum class Channels { kRgb, kBgr, kGrey };
enum class Layout { kNchw, kNhwc };

struct Size {
  int width = 0, height = 0;
};

// Every part may be left open: then the next source says it (command line, sidecar, the model's own shape).
struct ImageSpec {
  std::optional<Size> resize, crop;
  std::optional<ResizeMode> mode;
  std::optional<Channels> channels;
  std::optional<Layout> layout;
  std::optional<double> scale;                   // x = pixel * scale
  std::optional<std::vector<double>> mean, std;  // then (x - mean) / std, a channel each or one for all
  bool empty() const;
};

// What `over` says replaces what `base` says.
ImageSpec merge(const ImageSpec& base, const ImageSpec& over);
// Fills what is open from the input's extents (-1: unknown): layout from where 1 or 3 channels stand, their
// number, and an exact resize when neither resize nor crop is asked for and the extents are fixed.
ImageSpec complete(ImageSpec spec, const std::vector<int64_t>& dims);

// "224,224" or "224x224" or "224" (square). Errors: ToolError naming `what`.
Size parse_size(const std::string& text, const std::string& what);
ResizeMode parse_resize_mode(const std::string& text, const std::string& what);
Channels parse_channels(const std::string& text, const std::string& what);
Layout parse_layout(const std::string& text, const std::string& what);

// The picture after resize and crop, still RGB.
Image fit_image(const Image& image, const ImageSpec& spec);
// float[1, C, H, W] or float[1, H, W, C]; with rank 3 without the leading 1. Errors: ToolError when mean or
// std have neither 1 nor C entries, or a std is 0.
Array image_tensor(const Image& image, const ImageSpec& spec, size_t rank);

}  // namespace skiff::tool
