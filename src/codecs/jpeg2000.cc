// JPEG 2000 (JP2 files and bare code streams) through OpenJPEG.
#include "codecs/image.h"

#if SKIFF_WITH_OPENJPEG

#include <algorithm>
#include <cmath>
#include <cstdio>
#include <cstring>
#include <memory>

#include <openjpeg.h>

namespace skiff::codecs {
namespace {

struct Source {
  std::string_view data;
  size_t at = 0;
  char text[200] = "it cannot be read";
};

OPJ_SIZE_T read(void* to, OPJ_SIZE_T n, void* user) {
  auto* s = static_cast<Source*>(user);
  if (s->at >= s->data.size()) return static_cast<OPJ_SIZE_T>(-1);
  n = std::min(n, s->data.size() - s->at);
  std::memcpy(to, s->data.data() + s->at, n);
  s->at += n;
  return n;
}
OPJ_OFF_T skip(OPJ_OFF_T n, void* user) {
  auto* s = static_cast<Source*>(user);
  if (n < 0) return -1;
  s->at = std::min(s->at + static_cast<size_t>(n), s->data.size());
  return n;
}
OPJ_BOOL seek(OPJ_OFF_T at, void* user) {
  auto* s = static_cast<Source*>(user);
  if (at < 0 || static_cast<size_t>(at) > s->data.size()) return OPJ_FALSE;
  s->at = static_cast<size_t>(at);
  return OPJ_TRUE;
}
void on_error(const char* message, void* user) {
  auto* s = static_cast<Source*>(user);
  std::snprintf(s->text, sizeof s->text, "%s", message);
  s->text[std::strcspn(s->text, "\r\n")] = 0;
}

// A component's sample at a pixel of the whole picture, in 8 bits.
int sample(const opj_image_comp_t& c, int64_t x, int64_t y) {
  x = std::min<int64_t>(x / c.dx, static_cast<int64_t>(c.w) - 1);
  y = std::min<int64_t>(y / c.dy, static_cast<int64_t>(c.h) - 1);
  int64_t v = c.data[y * static_cast<int64_t>(c.w) + x];
  if (c.sgnd) v += int64_t{1} << (c.prec - 1);
  if (c.prec > 8) v >>= c.prec - 8;
  if (c.prec < 8) v = v * 255 / ((int64_t{1} << c.prec) - 1);
  return static_cast<int>(std::clamp<int64_t>(v, 0, 255));
}

uint8_t rounded(double v) { return static_cast<uint8_t>(std::clamp(std::lround(v), 0L, 255L)); }

}  // namespace

Image decode_jpeg2000(std::string_view s) {
  Source src{s};
  bool bare = s.starts_with("\xFF\x4F");
  std::unique_ptr<opj_codec_t, void (*)(opj_codec_t*)> codec(
      opj_create_decompress(bare ? OPJ_CODEC_J2K : OPJ_CODEC_JP2),
      [](opj_codec_t* c) { opj_destroy_codec(c); });
  std::unique_ptr<opj_stream_t, void (*)(opj_stream_t*)> stream(
      opj_stream_default_create(OPJ_TRUE), [](opj_stream_t* t) { opj_stream_destroy(t); });
  check(codec && stream, Code::kLimit, "out of memory");
  opj_set_error_handler(codec.get(), on_error, &src);
  opj_stream_set_user_data(stream.get(), &src, nullptr);
  opj_stream_set_user_data_length(stream.get(), s.size());
  opj_stream_set_read_function(stream.get(), read);
  opj_stream_set_skip_function(stream.get(), skip);
  opj_stream_set_seek_function(stream.get(), seek);
  opj_dparameters_t parameters;
  opj_set_default_decoder_parameters(&parameters);
  if (!opj_setup_decoder(codec.get(), &parameters)) broken("JPEG 2000", src.text);
  opj_image_t* made = nullptr;
  bool header = opj_read_header(stream.get(), codec.get(), &made);
  std::unique_ptr<opj_image_t, void (*)(opj_image_t*)> j(made, [](opj_image_t* i) { opj_image_destroy(i); });
  if (!header || !j) broken("JPEG 2000", src.text);
  Image image(static_cast<int64_t>(j->x1) - j->x0, static_cast<int64_t>(j->y1) - j->y0);
  check(image.width * image.height * int64_t{j->numcomps} <= 4 * kMaxPixels, Code::kLimit, "the image has ",
        j->numcomps, " components of ", image.width, "x", image.height, " pixels");
  if (!opj_decode(codec.get(), stream.get(), j.get()) || !opj_end_decompress(codec.get(), stream.get()))
    broken("JPEG 2000", src.text);
  uint32_t n = j->numcomps;
  for (uint32_t c = 0; c < std::min(n, 3u); ++c)
    if (const auto& k = j->comps[c]; !k.data || k.w == 0 || k.h == 0 || k.prec < 1 || k.prec > 31)
      broken("JPEG 2000", "a component is empty");
  if (n == 0) broken("JPEG 2000", "it has no components");
  bool grey = n < 3, ycc = !grey && (j->color_space == OPJ_CLRSPC_SYCC || j->color_space == OPJ_CLRSPC_EYCC);
  for (int64_t y = 0; y < image.height; ++y) {
    uint8_t* to = image.row(y);
    for (int64_t x = 0; x < image.width; ++x, to += 3) {
      int v[3];
      for (uint32_t c = 0; c < 3; ++c) v[c] = sample(j->comps[grey ? 0 : c], x, y);
      if (ycc) {
        double l = v[0], cb = v[1] - 128, cr = v[2] - 128;
        to[0] = rounded(l + 1.402 * cr);
        to[1] = rounded(l - 0.344136 * cb - 0.714136 * cr);
        to[2] = rounded(l + 1.772 * cb);
      } else {
        for (int c = 0; c < 3; ++c) to[c] = static_cast<uint8_t>(v[c]);
      }
    }
  }
  return image;
}

}  // namespace skiff::codecs

#else
#include "codecs/missing.h"
skiff::codecs::Image skiff::codecs::decode_jpeg2000(std::string_view) {
  missing("JPEG 2000", "SKIFF_WITH_OPENJPEG", "libopenjp2-7-dev");
}
#endif
