#include "draw.h"

#include <algorithm>
#include <cstring>

namespace skiff::tool {

namespace {

// One glyph a string, one row a character: its 5 pixels as a digit of base 32 (0-9, A-V), from the top. Row 6
// is the base line, row 7 holds descenders.
constexpr const char* kGlyphs[95] = {
    "00000000", "44444040", "AAA00000", "0AVAVA00", "4FKE5U40", "OP248J30", "CIIKLID0",
    "44800000",  //  !"#$%&'
    "24888420", "84222480", "0LEVEL00", "044V4400", "00000448", "000V0000", "000000C0",
    "01248G00",  // ()*+,-./
    "EHJLPHE0", "4C4444E0", "EH1248V0", "V2421HE0", "26AIV220", "VGU11HE0", "68GUHHE0",
    "V1248880",  // 01234567
    "EHHEHHE0", "EHHF12C0", "0CC0CC00", "0CC0C480", "248G8420", "00V0V000", "84212480",
    "EH124040",  // 89:;<=>?
    "EH1DLLE0", "EHHVHHH0", "UHHUHHU0", "EHGGGHE0", "SIHHHIS0", "VGGUGGV0", "VGGUGGG0",
    "EHGNHHF0",  // @ABCDEFG
    "HHHVHHH0", "E44444E0", "72222IC0", "HIKOKIH0", "GGGGGGV0", "HRLLHHH0", "HHPLJHH0",
    "EHHHHHE0",  // HIJKLMNO
    "UHHUGGG0", "EHHHLID0", "UHHUKIH0", "FGGE11U0", "V4444440", "HHHHHHE0", "HHHHHA40",
    "HHHLLLA0",  // PQRSTUVW
    "HHA4AHH0", "HHHA4440", "V1248GV0", "E88888E0", "0G842100", "E22222E0", "4AH00000",
    "0000000V",  // XYZ[\]^_
    "84200000", "00E1FHF0", "GGMPHHU0", "00EGGHE0", "11DJHHF0", "00EHVGE0", "698S8880",
    "00FHHF1E",  // `abcdefg
    "GGMPHHH0", "40C444E0", "2062222C", "GGIKOKI0", "C44444E0", "00QLLHH0", "00MPHHH0",
    "00EHHHE0",  // hijklmno
    "00UHHUGG", "00DJJD11", "00MPGGG0", "00FGE1U0", "88S88960", "00HHHJD0", "00HHHA40",
    "00HHLLA0",                                                                          // pqrstuvw
    "00HA4AH0", "00HHHF1E", "00V248V0", "24484420", "44444440", "84424480", "08L20000",  // xyz{|}~
};

}  // namespace

unsigned glyph_row(char c, int y) {
  if (c < 32 || c > 126) c = '?';
  char d = kGlyphs[c - 32][y];
  return static_cast<unsigned>(d <= '9' ? d - '0' : d - 'A' + 10);
}

void fill_box(Image& image, int x, int y, int width, int height, Colour colour) {
  int x1 = std::min(x + width, image.width), y1 = std::min(y + height, image.height);
  for (int j = std::max(y, 0); j < y1; ++j)
    for (int i = std::max(x, 0); i < x1; ++i) {
      uint8_t* p = image.at(i, j);
      p[0] = colour.r;
      if (image.channels == 3) p[1] = colour.g, p[2] = colour.b;
    }
}

void draw_text(Image& image, int x, int y, std::string_view text, int scale, Colour colour) {
  for (char c : text) {
    for (int j = 0; j < 8; ++j) {
      unsigned row = glyph_row(c, j);
      for (int i = 0; i < 5; ++i)
        if (row >> (4 - i) & 1u) fill_box(image, x + i * scale, y + j * scale, scale, scale, colour);
    }
    x += kCellWidth * scale;
  }
}

Image annotate(const Image& source, const std::vector<Caption>& captions) {
  constexpr int kReadableWidth = 256;
  int factor = std::max(1, std::min(16, (kReadableWidth + source.width - 1) / source.width));
  Image image = enlarge(source, factor);
  int scale = std::max(1, image.width / 240), line = (kCellHeight + 3) * scale, margin = 3 * scale;
  int band = static_cast<int>(captions.size()) * line + 2 * margin;
  Image out(image.width, image.height + band, 3);
  std::memcpy(out.pixels.data(), image.pixels.data(), image.pixels.size());
  fill_box(out, 0, image.height, out.width, band, {24, 26, 30});
  int y = image.height + margin;
  for (const Caption& c : captions) {
    if (c.share >= 0) {
      int width = static_cast<int>(std::min(c.share, 1.0) * (out.width - 2 * margin));
      fill_box(out, margin, y, width, line - scale, {32, 98, 68});
    }
    auto fits = static_cast<size_t>(std::max(0, (out.width - 4 * margin) / (kCellWidth * scale)));
    draw_text(out, 2 * margin, y + scale, std::string_view(c.text).substr(0, fits), scale, {240, 240, 240});
    y += line;
  }
  return out;
}

}  // namespace skiff::tool
