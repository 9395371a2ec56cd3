// Text and boxes on images, with a small font of our own (ASCII 32 to 126, 5x8 pixels in a 6x9 cell).
#pragma once
#include <string>
#include <string_view>
#include <vector>

#include "image.h"

namespace skiff::tool {

struct Colour {
  uint8_t r = 0, g = 0, b = 0;
};

constexpr int kCellWidth = 6, kCellHeight = 9;

// Row y (0 to 7) of a glyph as 5 bits, leftmost highest. Characters outside ASCII 32 to 126 look like '?'.
unsigned glyph_row(char c, int y);

// All parts outside the image are left out.
void fill_box(Image& image, int x, int y, int width, int height, Colour colour);
// Every pixel of the font becomes scale x scale pixels; (x, y) is the upper left corner.
void draw_text(Image& image, int x, int y, std::string_view text, int scale, Colour colour);
inline int text_width(std::string_view text, int scale) {
  return static_cast<int>(text.size()) * kCellWidth * scale;
}

// One line of an annotation; `share` in [0, 1] draws a bar behind the text, a negative one none.
struct Caption {
  std::string text;
  double share = -1;
};
// The image with the captions on a dark band below it. Small images are enlarged by a whole factor first, so
// that the text is readable; lines that are too long for the width are cut.
Image annotate(const Image& image, const std::vector<Caption>& captions);

}  // namespace skiff::tool
