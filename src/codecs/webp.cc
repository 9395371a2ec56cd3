// WebP through libwebp; of an animation, nothing: it is told as broken.
#include "codecs/image.h"

#if SKIFF_WITH_WEBP

#include <webp/decode.h>

namespace skiff::codecs {

Image decode_webp(std::string_view s) {
  const auto* data = reinterpret_cast<const uint8_t*>(s.data());
  WebPBitstreamFeatures f;
  if (WebPGetFeatures(data, s.size(), &f) != VP8_STATUS_OK) broken("WebP", "its header cannot be read");
  if (f.has_animation) broken("WebP", "it is an animation");
  Image image(f.width, f.height);
  if (!WebPDecodeRGBInto(data, s.size(), image.pixels.data(), image.pixels.size(), f.width * 3))
    broken("WebP", "its pixels cannot be read");
  return image;
}

}  // namespace skiff::codecs

#else
#include "codecs/missing.h"
skiff::codecs::Image skiff::codecs::decode_webp(std::string_view) {
  missing("WebP", "SKIFF_WITH_WEBP", "libwebp-dev");
}
#endif
