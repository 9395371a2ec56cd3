// JPEG and PNG through libjpeg-turbo and libpng. Both report errors by longjmp, so the functions that call
// setjmp hold no objects with destructors; what they fill belongs to their callers.
#include <csetjmp>
#include <cstdio>
#include <cstring>

#include <jerror.h>
#include <jpeglib.h>
#include <png.h>

#include <memory>

#include "fail.h"
#include "image.h"

namespace skiff::tool {

namespace {

// ---------------------------------------------------------------- JPEG

struct JpegErrors {
  jpeg_error_mgr base;  // first, so that libjpeg's pointer is ours
  std::jmp_buf jump;
  char text[JMSG_LENGTH_MAX];
};

[[noreturn]] void jpeg_stop(j_common_ptr c) {
  auto* e = reinterpret_cast<JpegErrors*>(c->err);
  if (!e->text[0]) e->base.format_message(c, e->text);
  std::longjmp(e->jump, 1);
}

void jpeg_message(j_common_ptr c, int level) {
  // A file that ends early would come out half grey; everything else libjpeg warns of is only noise in the
  // picture.
  if (level < 0 && c->err->msg_code == JWRN_JPEG_EOF) {
    std::snprintf(reinterpret_cast<JpegErrors*>(c->err)->text, JMSG_LENGTH_MAX, "the image is cut short");
    jpeg_stop(c);
  }
}

void jpeg_progress(j_common_ptr c) {
  // Thousands of tiny progressive scans over a large canvas take minutes to decode and occur only in hostile
  // files.
  if (reinterpret_cast<j_decompress_ptr>(c)->input_scan_number <= 500) return;
  std::snprintf(reinterpret_cast<JpegErrors*>(c->err)->text, JMSG_LENGTH_MAX, "more than 500 scans");
  jpeg_stop(c);
}

struct JpegReader {
  jpeg_decompress_struct d{};
  JpegErrors errors{};
  jpeg_progress_mgr progress{};
  JpegReader() {
    d.err = jpeg_std_error(&errors.base);
    errors.base.error_exit = jpeg_stop;
    errors.base.emit_message = jpeg_message;
    errors.base.output_message = [](j_common_ptr) {};
    progress.progress_monitor = jpeg_progress;
  }
  ~JpegReader() { jpeg_destroy_decompress(&d); }
  JpegReader(const JpegReader&) = delete;
  JpegReader& operator=(const JpegReader&) = delete;
};

bool read_jpeg_header(JpegReader& r, std::string_view s) {
  if (setjmp(r.errors.jump)) return false;
  jpeg_create_decompress(&r.d);
  r.d.progress = &r.progress;
  r.d.mem->max_memory_to_use = 1L << 30;
  jpeg_mem_src(&r.d, reinterpret_cast<const unsigned char*>(s.data()), static_cast<unsigned long>(s.size()));
  jpeg_read_header(&r.d, TRUE);
  bool cmyk = r.d.jpeg_color_space == JCS_CMYK || r.d.jpeg_color_space == JCS_YCCK;
  r.d.out_color_space = cmyk ? JCS_CMYK : JCS_RGB;
  return true;
}

// `row` holds width * 4 bytes, `pixels` width * height * 3.
bool read_jpeg_rows(JpegReader& r, uint8_t* row, uint8_t* pixels) {
  if (setjmp(r.errors.jump)) return false;
  jpeg_start_decompress(&r.d);
  size_t width = r.d.output_width;
  while (r.d.output_scanline < r.d.output_height) {
    uint8_t* to = pixels + static_cast<size_t>(r.d.output_scanline) * width * 3;
    if (r.d.out_color_space == JCS_RGB) {
      jpeg_read_scanlines(&r.d, &to, 1);
      continue;
    }
    jpeg_read_scanlines(&r.d, &row, 1);
    for (size_t x = 0; x < width; ++x)  // Adobe stores CMYK inverted: 255 is no ink
      for (size_t c = 0; c < 3; ++c) {
        int ink = row[4 * x + c], black = row[4 * x + 3];
        if (!r.d.saw_Adobe_marker) ink = 255 - ink, black = 255 - black;
        to[3 * x + c] = static_cast<uint8_t>((ink * black + 127) / 255);
      }
  }
  jpeg_finish_decompress(&r.d);
  return true;
}

// ---------------------------------------------------------------- PNG

struct PngReader {
  png_structp png = nullptr;
  png_infop info = nullptr;
  std::jmp_buf jump;
  char text[200] = "";
  std::string_view data;
  ~PngReader() { png_destroy_read_struct(&png, &info, nullptr); }
};

[[noreturn]] void png_stop(png_structp png, png_const_charp message) {
  auto* r = static_cast<PngReader*>(png_get_error_ptr(png));
  std::snprintf(r->text, sizeof r->text, "%s", message);
  std::longjmp(r->jump, 1);
}

void png_pull(png_structp png, png_bytep to, size_t n) {
  auto* r = static_cast<PngReader*>(png_get_io_ptr(png));
  if (n > r->data.size()) png_error(png, "the image is cut short");
  std::memcpy(to, r->data.data(), n);
  r->data.remove_prefix(n);
}

bool read_png_header(PngReader& r) {
  if (setjmp(r.jump)) return false;
  r.png = png_create_read_struct(PNG_LIBPNG_VER_STRING, &r, png_stop, [](png_structp, png_const_charp) {});
  if (r.png) r.info = png_create_info_struct(r.png);
  if (!r.info) return false;
  png_set_user_limits(r.png, kMaxSide, kMaxSide);
  png_set_read_fn(r.png, &r, png_pull);
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

bool read_png_rows(PngReader& r, png_bytepp rows) {
  if (setjmp(r.jump)) return false;
  png_read_image(r.png, rows);
  png_read_end(r.png, nullptr);
  return true;
}

void check_size(uint64_t w, uint64_t h, const std::string& name) {
  if (w < 1 || h < 1 || w > kMaxSide || h > kMaxSide || w * h > static_cast<uint64_t>(kMaxPixels))
    fail(name, ": ", w, "x", h, " pixels are outside the limits (", kMaxSide, " a side, ",
         kMaxPixels / 1'000'000, " million in all)");
}

}  // namespace

Image decode_jpeg(std::string_view s, const std::string& name) {
  JpegReader r;
  if (!read_jpeg_header(r, s)) fail(name, ": broken JPEG: ", r.errors.text);
  check_size(r.d.image_width, r.d.image_height, name);
  Image image(static_cast<int>(r.d.image_width), static_cast<int>(r.d.image_height), 3);
  std::vector<uint8_t> row(static_cast<size_t>(r.d.image_width) * 4);
  if (!read_jpeg_rows(r, row.data(), image.pixels.data())) fail(name, ": broken JPEG: ", r.errors.text);
  return image;
}

Image decode_png(std::string_view s, const std::string& name) {
  auto r = std::make_unique<PngReader>();
  r->data = s;
  if (!read_png_header(*r)) fail(name, ": broken PNG: ", r->text);
  uint32_t w = png_get_image_width(r->png, r->info), h = png_get_image_height(r->png, r->info);
  check_size(w, h, name);
  Image image(static_cast<int>(w), static_cast<int>(h), 3);
  std::vector<png_bytep> rows(h);
  for (uint32_t y = 0; y < h; ++y) rows[y] = image.at(0, static_cast<int>(y));
  if (!read_png_rows(*r, rows.data())) fail(name, ": broken PNG: ", r->text);
  return image;
}

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
