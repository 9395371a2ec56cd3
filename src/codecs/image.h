// Image files to 8-bit RGB pixels. BMP and PNM are read by own code; JPEG, PNG, TIFF, WebP and JPEG 2000 by
// libraries that are optional parts of the build.
#pragma once
#include <cstdint>
#include <string_view>
#include <vector>

#include "base/error.h"

namespace skiff::codecs {

inline constexpr int64_t kMaxPixels = 100'000'000;
inline constexpr int64_t kMaxSide = 65'500;

// Rows from the top, red, green and blue interleaved.
struct Image {
  int64_t width = 0, height = 0;
  std::vector<uint8_t> pixels;
  Image() = default;
  // Black. Throws kLimit when it exceeds kMaxPixels or kMaxSide, kInvalidArgument when it is empty.
  Image(int64_t w, int64_t h);
  uint8_t* row(int64_t y) { return pixels.data() + y * width * 3; }
};

// The format is told by the contents. Alpha is dropped, palettes and grey are spread to RGB, more than 8 bits
// keep the upper 8. Throws kInvalidArgument for contents that are no image or a broken one, kLimit for one
// that is too large, kUnsupported (naming the build option and the Debian package) for a format this build
// leaves out.
Image decode_image(std::string_view contents);

// Luma as ITU-R BT.601 has it, in Pillow's 16-bit fixed point.
inline uint8_t luma(const uint8_t* rgb) {
  return static_cast<uint8_t>((19595u * rgb[0] + 38470u * rgb[1] + 7471u * rgb[2] + 32768u) >> 16);
}

// Parts of decode_image.
Image decode_bmp(std::string_view contents);
Image decode_pnm(std::string_view contents);
Image decode_jpeg(std::string_view contents);
Image decode_png(std::string_view contents);
Image decode_tiff(std::string_view contents);
Image decode_webp(std::string_view contents);
Image decode_jpeg2000(std::string_view contents);

template <class... Args>
[[noreturn]] void broken(const char* format, const Args&... args) {
  fail(Code::kInvalidArgument, "broken ", format, " image: ", args...);
}

}  // namespace skiff::codecs
