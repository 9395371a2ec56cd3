// PNG through libpng. It reports errors by longjmp: see jpeg.cc.
#include "codecs/image.h"

#if SKIFF_WITH_PNG

#include <csetjmp>
#include <cstdio>
#include <cstring>
#include <memory>

#include <png.h>

namespace skiff::codecs {
namespace {

struct Reader {
  png_structp png = nullptr;
  png_infop info = nullptr;
  std::jmp_buf jump;
  char text[200] = "";
  std::string_view data;
  ~Reader() { png_destroy_read_struct(&png, &info, nullptr); }
};

[[noreturn]] void stop(png_structp png, png_const_charp message) {
  auto* r = static_cast<Reader*>(png_get_error_ptr(png));
  std::snprintf(r->text, sizeof r->text, "%s", message);
  std::longjmp(r->jump, 1);
}

void pull(png_structp png, png_bytep to, size_t n) {
  auto* r = static_cast<Reader*>(png_get_io_ptr(png));
  if (n > r->data.size()) png_error(png, "it is cut short");
  std::memcpy(to, r->data.data(), n);
  r->data.remove_prefix(n);
}

bool read_header(Reader& r) {
  if (setjmp(r.jump)) return false;
  r.png = png_create_read_struct(PNG_LIBPNG_VER_STRING, &r, stop, [](png_structp, png_const_charp) {});
  if (r.png) r.info = png_create_info_struct(r.png);
  if (!r.info) return false;
  png_set_user_limits(r.png, kMaxSide, kMaxSide);
  png_set_read_fn(r.png, &r, pull);
  png_read_info(r.png, r.info);
  png_set_expand(r.png);
  png_set_strip_16(r.png);
  png_set_strip_alpha(r.png);
  png_set_gray_to_rgb(r.png);
  png_set_interlace_handling(r.png);
  png_read_update_info(r.png, r.info);
  if (png_get_rowbytes(r.png, r.info) != static_cast<size_t>(png_get_image_width(r.png, r.info)) * 3)
    png_error(r.png, "unexpected pixel format");
  return true;
}

bool read_rows(Reader& r, png_bytepp rows) {
  if (setjmp(r.jump)) return false;
  png_read_image(r.png, rows);
  png_read_end(r.png, nullptr);
  return true;
}

}  // namespace

Image decode_png(std::string_view s) {
  auto r = std::make_unique<Reader>();
  r->data = s;
  if (!read_header(*r)) broken("PNG", r->text);
  Image image(png_get_image_width(r->png, r->info), png_get_image_height(r->png, r->info));
  std::vector<png_bytep> rows;
  for (int64_t y = 0; y < image.height; ++y) rows.push_back(image.row(y));
  if (!read_rows(*r, rows.data())) broken("PNG", r->text);
  return image;
}

}  // namespace skiff::codecs

#else
#include "codecs/missing.h"
skiff::codecs::Image skiff::codecs::decode_png(std::string_view) {
  missing("PNG", "SKIFF_WITH_PNG", "libpng-dev");
}
#endif
