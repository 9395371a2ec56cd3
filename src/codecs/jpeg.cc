// JPEG through libjpeg-turbo. It reports errors by longjmp, so the functions that call setjmp hold no objects
// with destructors; what they fill belongs to their callers.
#include "codecs/image.h"

#if SKIFF_WITH_JPEG

#include <csetjmp>
#include <cstdio>

#include <jerror.h>
#include <jpeglib.h>

namespace skiff::codecs {
namespace {

struct Errors {
  jpeg_error_mgr base;  // first, so that libjpeg's pointer is ours
  std::jmp_buf jump;
  char text[JMSG_LENGTH_MAX];
};

[[noreturn]] void stop(j_common_ptr c) {
  auto* e = reinterpret_cast<Errors*>(c->err);
  if (!e->text[0]) e->base.format_message(c, e->text);
  std::longjmp(e->jump, 1);
}

void message(j_common_ptr c, int level) {
  // A file that ends early would come out half grey; everything else libjpeg warns of is only noise in the
  // picture.
  if (level < 0 && c->err->msg_code == JWRN_JPEG_EOF) {
    std::snprintf(reinterpret_cast<Errors*>(c->err)->text, JMSG_LENGTH_MAX, "it is cut short");
    stop(c);
  }
}

void progress(j_common_ptr c) {
  // Thousands of tiny progressive scans over a large canvas take minutes to decode and occur only in hostile
  // files.
  if (reinterpret_cast<j_decompress_ptr>(c)->input_scan_number <= 500) return;
  std::snprintf(reinterpret_cast<Errors*>(c->err)->text, JMSG_LENGTH_MAX, "more than 500 scans");
  stop(c);
}

struct Reader {
  jpeg_decompress_struct d{};
  Errors errors{};
  jpeg_progress_mgr monitor{};
  Reader() {
    d.err = jpeg_std_error(&errors.base);
    errors.base.error_exit = stop;
    errors.base.emit_message = message;
    errors.base.output_message = [](j_common_ptr) {};
    monitor.progress_monitor = progress;
  }
  ~Reader() { jpeg_destroy_decompress(&d); }
  Reader(const Reader&) = delete;
  Reader& operator=(const Reader&) = delete;
};

bool read_header(Reader& r, std::string_view s) {
  if (setjmp(r.errors.jump)) return false;
  jpeg_create_decompress(&r.d);
  r.d.progress = &r.monitor;
  r.d.mem->max_memory_to_use = 1L << 30;
  jpeg_mem_src(&r.d, reinterpret_cast<const unsigned char*>(s.data()), static_cast<unsigned long>(s.size()));
  jpeg_read_header(&r.d, TRUE);
  bool cmyk = r.d.jpeg_color_space == JCS_CMYK || r.d.jpeg_color_space == JCS_YCCK;
  r.d.out_color_space = cmyk ? JCS_CMYK : JCS_RGB;
  return true;
}

// `row` holds width * 4 bytes, `pixels` width * height * 3.
bool read_rows(Reader& r, uint8_t* row, uint8_t* pixels) {
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

}  // namespace

Image decode_jpeg(std::string_view s) {
  Reader r;
  if (!read_header(r, s)) broken("JPEG", r.errors.text);
  Image image(r.d.image_width, r.d.image_height);
  std::vector<uint8_t> row(static_cast<size_t>(r.d.image_width) * 4);
  if (!read_rows(r, row.data(), image.pixels.data())) broken("JPEG", r.errors.text);
  return image;
}

}  // namespace skiff::codecs

#else
#include "codecs/missing.h"
skiff::codecs::Image skiff::codecs::decode_jpeg(std::string_view) {
  missing("JPEG", "SKIFF_WITH_JPEG", "libjpeg62-turbo-dev");
}
#endif
