// Pictures: decoding, encoding as PNG, resizing the way Pillow does.
#pragma once
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace skiff::tool {

constexpr int64_t kMaxPixels = 100'000'000;
constexpr int kMaxSide = 65'500;

// 8-bit pixels, rows from the top, channels interleaved: 3 (red, green, blue) or 1 (grey).
struct Image {
  int width = 0, height = 0, channels = 3;
  std::vector<uint8_t> pixels;
  Image() = default;
  // Filled with `value`. Errors: ToolError when it exceeds kMaxPixels or kMaxSide.
  Image(int w, int h, int c, uint8_t value = 0);
  uint8_t* at(int x, int y) { return pixels.data() + offset(x, y); }
  const uint8_t* at(int x, int y) const { return pixels.data() + offset(x, y); }

 private:
  size_t offset(int x, int y) const {
    return (static_cast<size_t>(y) * static_cast<size_t>(width) + static_cast<size_t>(x)) *
           static_cast<size_t>(channels);
  }
};

// An RGB image from the contents of a file of any format skiff_image_decode knows. Errors: ToolError naming `name`.
Image decode_image(std::string_view contents, const std::string& name);
Image load_image(const std::string& path);
bool is_image_name(const std::string& path);

// Errors: ToolError.
std::string encode_png(const Image& image, const std::string& name);

// Bilinear, with the triangle filter widened when shrinking (no aliasing), computed in 8-bit fixed point
// horizontally and then vertically: the same numbers as Pillow's Image.resize(..., BILINEAR).
Image resize_bilinear(const Image& image, int width, int height);
// Whole-number enlargement by repeating pixels.
Image enlarge(const Image& image, int factor);
// A part of the image, from the centre (offsets rounded down). Errors: ToolError when it is larger than the
// image.
Image crop_centre(const Image& image, int width, int height);
// ITU-R BT.601 luma as Pillow computes it: (19595 R + 38470 G + 7471 B + 32768) >> 16.
Image to_grey(const Image& image);

}  // namespace skiff::tool
