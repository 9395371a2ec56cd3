#include <png.h>

#include "fail.h"
#include "image.h"

namespace skiff::tool {

std::string encode_png(const Image& image, const std::string& name) {
  png_image p{};
  p.version = PNG_IMAGE_VERSION;
  p.width = static_cast<png_uint_32>(image.width);
  p.height = static_cast<png_uint_32>(image.height);
  p.format = image.channels == 3 ? PNG_FORMAT_RGB : PNG_FORMAT_GRAY;
  png_alloc_size_t size = 0;
  std::string out;
  if (png_image_write_to_memory(&p, nullptr, &size, 0, image.pixels.data(), 0, nullptr)) {
    out.resize(size);
    if (png_image_write_to_memory(&p, out.data(), &size, 0, image.pixels.data(), 0, nullptr)) {
      out.resize(size);
      return out;
    }
  }
  std::string message = p.message;
  png_image_free(&p);
  fail(name, ": cannot make a PNG: ", message);
}

}  // namespace skiff::tool
