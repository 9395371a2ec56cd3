// TIFF through libtiff: the first picture of a file.
#include "codecs/image.h"

#if SKIFF_WITH_TIFF

#include <algorithm>
#include <cstdarg>
#include <cstdio>
#include <cstring>
#include <memory>

#include <tiffio.h>

namespace skiff::codecs {
namespace {

struct Source {
  std::string_view data;
  uint64_t at = 0;
  char text[200] = "it cannot be read";
};

Source* source(thandle_t h) { return static_cast<Source*>(h); }

tmsize_t read(thandle_t h, void* to, tmsize_t n) {
  Source* s = source(h);
  if (s->at >= s->data.size() || n <= 0) return 0;
  auto have = std::min<uint64_t>(static_cast<uint64_t>(n), s->data.size() - s->at);
  std::memcpy(to, s->data.data() + s->at, have);
  s->at += have;
  return static_cast<tmsize_t>(have);
}

toff_t seek(thandle_t h, toff_t offset, int whence) {
  Source* s = source(h);
  s->at = offset + (whence == SEEK_CUR ? s->at : whence == SEEK_END ? s->data.size() : 0);
  return s->at;
}

// The first complaint stays: the others follow from it.
int on_error(TIFF*, void* user, const char*, const char* format, va_list args) {
  auto* s = static_cast<Source*>(user);
  if (std::strcmp(s->text, "it cannot be read") == 0) std::vsnprintf(s->text, sizeof s->text, format, args);
  return 1;  // the library's own handler, which prints, is not called
}
int on_warning(TIFF*, void*, const char*, const char*, va_list) { return 1; }

struct Options {
  TIFFOpenOptions* o = TIFFOpenOptionsAlloc();
  ~Options() { TIFFOpenOptionsFree(o); }
};

}  // namespace

Image decode_tiff(std::string_view s) {
  Source src{s};
  Options options;
  TIFFOpenOptionsSetErrorHandlerExtR(options.o, on_error, &src);
  TIFFOpenOptionsSetWarningHandlerExtR(options.o, on_warning, nullptr);
  TIFFOpenOptionsSetMaxSingleMemAlloc(options.o, 1 << 30);
  std::unique_ptr<TIFF, void (*)(TIFF*)> t(
      TIFFClientOpenExt(
          "memory", "rm", &src, read, [](thandle_t, void*, tmsize_t) -> tmsize_t { return 0; }, seek,
          [](thandle_t) { return 0; }, [](thandle_t h) -> toff_t { return source(h)->data.size(); }, nullptr,
          nullptr, options.o),
      TIFFClose);
  if (!t) broken("TIFF", src.text);
  uint32_t w = 0, h = 0;
  TIFFGetField(t.get(), TIFFTAG_IMAGEWIDTH, &w);
  TIFFGetField(t.get(), TIFFTAG_IMAGELENGTH, &h);
  Image image(w, h);
  std::vector<uint32_t> pixels(size_t{w} * h);
  if (!TIFFReadRGBAImageOriented(t.get(), w, h, pixels.data(), ORIENTATION_TOPLEFT, 1))
    broken("TIFF", src.text);
  for (size_t i = 0; i < pixels.size(); ++i) {
    image.pixels[3 * i] = static_cast<uint8_t>(TIFFGetR(pixels[i]));
    image.pixels[3 * i + 1] = static_cast<uint8_t>(TIFFGetG(pixels[i]));
    image.pixels[3 * i + 2] = static_cast<uint8_t>(TIFFGetB(pixels[i]));
  }
  return image;
}

}  // namespace skiff::codecs

#else
#include "codecs/missing.h"
skiff::codecs::Image skiff::codecs::decode_tiff(std::string_view) {
  missing("TIFF", "SKIFF_WITH_TIFF", "libtiff-dev");
}
#endif
