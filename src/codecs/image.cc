#include "codecs/image.h"

namespace skiff::codecs {

Image::Image(int64_t w, int64_t h) : width(w), height(h) {
  check(w > 0 && h > 0, Code::kInvalidArgument, "the image has ", w, "x", h, " pixels");
  check(w <= kMaxSide && h <= kMaxSide && w * h <= kMaxPixels, Code::kLimit, "the image has ", w, "x", h,
        " pixels; ", kMaxSide, " a side and ", kMaxPixels / 1'000'000, " million in all are the limit");
  pixels.resize(static_cast<size_t>(w * h * 3));
}

Image decode_image(std::string_view s) {
  auto starts = [&](const char* magic, size_t n) { return s.starts_with(std::string_view(magic, n)); };
  if (starts("\xFF\xD8\xFF", 3)) return decode_jpeg(s);
  if (starts("\x89PNG\r\n\x1a\n", 8)) return decode_png(s);
  if (starts("BM", 2)) return decode_bmp(s);
  if (s.size() > 2 && s[0] == 'P' && s[1] >= '1' && s[1] <= '6') return decode_pnm(s);
  if (starts("II*\0", 4) || starts("MM\0*", 4) || starts("II+\0", 4) || starts("MM\0+", 4))
    return decode_tiff(s);
  if (starts("RIFF", 4) && s.substr(0, 12).ends_with("WEBP")) return decode_webp(s);
  if (starts("\0\0\0\x0CjP  \r\n\x87\n", 12) || starts("\xFF\x4F\xFF\x51", 4)) return decode_jpeg2000(s);
  check(!s.empty(), Code::kInvalidArgument, "the image is empty");
  fail(Code::kInvalidArgument,
       "not an image in a known format (BMP, JPEG, JPEG 2000, PNG, PNM, TIFF or WebP)");
}

}  // namespace skiff::codecs
