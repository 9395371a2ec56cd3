#include "image.h"

#include <algorithm>
#include <cstring>

#include "fail.h"
#include "files.h"

namespace skiff::tool {

Image::Image(int w, int h, int c, uint8_t value) : width(w), height(h), channels(c) {
  if (w < 1 || h < 1 || w > kMaxSide || h > kMaxSide || static_cast<int64_t>(w) * h > kMaxPixels)
    fail("an image of ", w, "x", h, " pixels exceeds the limit (", kMaxSide, " a side, ",
         kMaxPixels / 1'000'000, " million in all)");
  pixels.assign(static_cast<size_t>(w) * static_cast<size_t>(h) * static_cast<size_t>(c), value);
}

bool is_image_name(const std::string& path) {
  std::string e = extension(path);
  return e == "jpg" || e == "jpeg" || e == "png" || e == "ppm" || e == "pgm" || e == "pnm";
}

Image load_image(const std::string& path) { return decode_image(read_file(path, uint64_t{512} << 20), path); }

Image decode_image(std::string_view s, const std::string& name) {
  if (s.empty()) fail(name, ": the file is empty");
  if (s.starts_with("\xFF\xD8\xFF")) return decode_jpeg(s, name);
  if (s.starts_with(std::string_view("\x89PNG\r\n\x1a\n", 8))) return decode_png(s, name);
  if (s.starts_with("P5") || s.starts_with("P6")) return decode_pnm(s, name);
  fail(name, ": not an image this command reads; give a JPEG, PNG or binary PPM/PGM file");
}

Image decode_pnm(std::string_view s, const std::string& name) {
  size_t at = 2;
  auto number = [&] {
    for (;;) {
      while (at < s.size() && std::strchr(" \t\r\n", s[at])) ++at;
      if (at >= s.size() || s[at] != '#') break;
      while (at < s.size() && s[at] != '\n') ++at;
    }
    int v = 0;
    size_t digits = 0;
    for (; at < s.size() && s[at] >= '0' && s[at] <= '9'; ++at, ++digits) {
      if (digits >= 8) fail(name, ": the PNM header is broken");
      v = v * 10 + (s[at] - '0');
    }
    if (digits == 0) fail(name, ": the PNM header is broken");
    return v;
  };
  int w = number(), h = number(), top = number();
  ++at;  // exactly one white space
  int channels = s[1] == '6' ? 3 : 1;
  if (top != 255) fail(name, ": PNM files with ", top, " levels are not read; save it with 255");
  if (w < 1 || h < 1 || w > kMaxSide || h > kMaxSide || static_cast<int64_t>(w) * h > kMaxPixels)
    fail(name, ": ", w, "x", h, " pixels are outside the limits");
  size_t need = static_cast<size_t>(w) * static_cast<size_t>(h) * static_cast<size_t>(channels);
  if (at > s.size() || s.size() - at < need) fail(name, ": the image is cut short");
  Image image(w, h, 3);
  if (channels == 3) {
    std::memcpy(image.pixels.data(), s.data() + at, need);
  } else {
    for (size_t i = 0; i < need; ++i)
      std::fill_n(image.pixels.begin() + static_cast<std::ptrdiff_t>(3 * i), 3,
                  static_cast<uint8_t>(s[at + i]));
  }
  return image;
}

Image enlarge(const Image& image, int factor) {
  if (factor <= 1) return image;
  Image out(image.width * factor, image.height * factor, image.channels);
  auto c = static_cast<size_t>(image.channels);
  for (int y = 0; y < out.height; ++y)
    for (int x = 0; x < out.width; ++x) std::memcpy(out.at(x, y), image.at(x / factor, y / factor), c);
  return out;
}

Image crop_centre(const Image& image, int width, int height) {
  if (width > image.width || height > image.height)
    fail("cannot crop ", width, "x", height, " out of an image of ", image.width, "x", image.height,
         "; resize it first (--resize)");
  int left = (image.width - width) / 2, top = (image.height - height) / 2;
  Image out(width, height, image.channels);
  for (int y = 0; y < height; ++y)
    std::memcpy(out.at(0, y), image.at(left, top + y),
                static_cast<size_t>(width) * static_cast<size_t>(image.channels));
  return out;
}

Image to_grey(const Image& image) {
  if (image.channels == 1) return image;
  Image out(image.width, image.height, 1);
  for (size_t i = 0; i < out.pixels.size(); ++i) {
    const uint8_t* p = image.pixels.data() + 3 * i;
    out.pixels[i] = static_cast<uint8_t>((19595u * p[0] + 38470u * p[1] + 7471u * p[2] + 32768u) >> 16);
  }
  return out;
}

}  // namespace skiff::tool
