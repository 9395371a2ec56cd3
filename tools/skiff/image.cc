#include "image.h"

#include <algorithm>
#include <cstring>
#include <iterator>
#include <skiff/skiff.hpp>

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
  constexpr const char* kNames[] = {"jpg", "jpeg", "png", "ppm", "pgm", "pbm",  "pnm",
                                    "bmp", "tif",  "tiff", "webp", "jp2", "j2k"};
  return std::find(std::begin(kNames), std::end(kNames), e) != std::end(kNames);
}

Image load_image(const std::string& path) { return decode_image(read_file(path, uint64_t{512} << 20), path); }

Image decode_image(std::string_view s, const std::string& name) {
  api::Value value;
  try {
    value = api::Value::from_image(s);
  } catch (const api::Exception& e) {
    fail(name, ": ", e.what());
  }
  std::vector<int64_t> shape = value.dims();
  Image image(static_cast<int>(shape[1]), static_cast<int>(shape[0]), 3);
  std::span<const uint8_t> pixels = value.data<uint8_t>();
  std::copy(pixels.begin(), pixels.end(), image.pixels.begin());
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
