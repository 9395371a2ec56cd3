// Windows and OS/2 bitmaps: 1, 2, 4, 8, 16, 24 and 32 bits, palettes, bit fields, run lengths of 4 and 8
// bits.
#include <array>
#include <bit>
#include <cstring>

#include "codecs/image.h"

namespace skiff::codecs {
namespace {

enum Compression : uint32_t { kRgb = 0, kRle8 = 1, kRle4 = 2, kBitFields = 3, kAlphaBitFields = 6 };

uint32_t little(std::string_view s, size_t at, size_t n) {
  if (at > s.size() || s.size() - at < n) broken("BMP", "it is cut short");
  uint32_t v = 0;
  for (size_t i = 0; i < n; ++i) v |= static_cast<uint32_t>(static_cast<uint8_t>(s[at + i])) << 8 * i;
  return v;
}

struct Header {
  int64_t width = 0, height = 0;
  bool top_down = false;
  uint32_t bits = 0, compression = kRgb;
  size_t pixels = 0;
  uint32_t mask[3] = {0, 0, 0};
  std::vector<std::array<uint8_t, 3>> palette;
};

Header read_header(std::string_view s) {
  Header h;
  h.pixels = little(s, 10, 4);
  uint32_t size = little(s, 14, 4), colors = 0;
  bool old = size == 12;
  if (old) {
    h.width = little(s, 18, 2);
    h.height = little(s, 20, 2);
    h.bits = little(s, 24, 2);
  } else {
    if (size < 40 || size > 1024) broken("BMP", "its header has ", size, " bytes");
    h.width = std::bit_cast<int32_t>(little(s, 18, 4));
    h.height = std::bit_cast<int32_t>(little(s, 22, 4));
    h.bits = little(s, 28, 2);
    h.compression = little(s, 30, 4);
    colors = little(s, 46, 4);
    if (h.height < 0) {
      h.top_down = true;
      h.height = -h.height;
    }
  }
  size_t behind = 14 + size_t{size};
  if (h.compression == kBitFields || h.compression == kAlphaBitFields) {
    for (size_t i = 0; i < 3; ++i) h.mask[i] = little(s, 54 + 4 * i, 4);
    if (size == 40) behind += h.compression == kBitFields ? 12 : 16;
  } else if (h.bits == 16) {
    h.mask[0] = 0x7c00, h.mask[1] = 0x3e0, h.mask[2] = 0x1f;
  } else if (h.bits == 32) {
    h.mask[0] = 0xff0000, h.mask[1] = 0xff00, h.mask[2] = 0xff;
  }
  if (h.bits <= 8) {
    size_t entry = old ? 3 : 4, n = size_t{1} << h.bits;
    if (colors) n = colors < n ? colors : n;
    for (size_t i = 0; i < n; ++i) {
      uint32_t c = little(s, behind + i * entry, 3);
      h.palette.push_back(
          {static_cast<uint8_t>(c >> 16), static_cast<uint8_t>(c >> 8), static_cast<uint8_t>(c)});
    }
  }
  return h;
}

// The bits of a mask spread to 8.
uint8_t field(uint32_t v, uint32_t mask) {
  if (!mask) return 0;
  uint64_t top = mask >> std::countr_zero(mask), x = (v & mask) >> std::countr_zero(mask);
  return static_cast<uint8_t>((x * 255 + top / 2) / top);
}

class Painter {
 public:
  Painter(const Header& h, Image& image) : h_(h), image_(image) {}
  void put(int64_t x, int64_t y, uint32_t index) {
    if (index >= h_.palette.size()) broken("BMP", "a pixel is outside the palette");
    std::memcpy(at(x, y), h_.palette[index].data(), 3);
  }
  uint8_t* at(int64_t x, int64_t y) {  // y counts the rows in the order of the file
    return image_.row(h_.top_down ? y : h_.height - 1 - y) + 3 * x;
  }

 private:
  const Header& h_;
  Image& image_;
};

void read_plain(const Header& h, std::string_view s, Painter p) {
  auto stride = static_cast<size_t>((h.width * h.bits + 31) / 32 * 4);
  for (int64_t y = 0; y < h.height; ++y) {
    size_t row = h.pixels + static_cast<size_t>(y) * stride;
    if (row > s.size() || s.size() - row < static_cast<size_t>((h.width * h.bits + 7) / 8))
      broken("BMP", "it is cut short");
    for (int64_t x = 0; x < h.width; ++x) {
      auto i = static_cast<size_t>(x);
      if (h.bits <= 8) {
        size_t bit = i * h.bits;
        uint32_t byte = little(s, row + bit / 8, 1);
        p.put(x, y, byte >> (8 - h.bits - bit % 8) & ((1u << h.bits) - 1));
        continue;
      }
      uint32_t v = little(s, row + i * h.bits / 8, h.bits / 8);
      uint8_t* to = p.at(x, y);
      for (size_t c = 0; c < 3; ++c)
        to[c] = h.bits == 24 ? static_cast<uint8_t>(v >> (16 - 8 * c)) : field(v, h.mask[c]);
    }
  }
}

// Pixels the runs leave out keep the first colour of the palette.
void read_runs(const Header& h, std::string_view s, Painter p) {
  bool four = h.compression == kRle4;
  for (int64_t y = 0; y < h.height; ++y)
    for (int64_t x = 0; x < h.width; ++x) p.put(x, y, 0);
  size_t at = h.pixels;
  int64_t x = 0, y = 0;
  auto byte = [&] { return little(s, at++, 1); };
  auto put = [&](uint32_t index) {
    if (x < h.width) p.put(x++, y, index);
  };
  while (y < h.height) {
    uint32_t n = byte(), v = byte();
    if (n) {
      for (uint32_t i = 0; i < n; ++i) put(!four ? v : i % 2 ? v & 15 : v >> 4);
    } else if (v == 0) {
      x = 0;
      ++y;
    } else if (v == 1) {
      return;
    } else if (v == 2) {
      x += byte();
      y += byte();
    } else {
      uint32_t packed = 0;
      for (uint32_t i = 0; i < v; ++i) {
        if (!four || i % 2 == 0) packed = byte();
        put(!four ? packed : i % 2 ? packed & 15 : packed >> 4);
      }
      at += (four ? (v + 1) / 2 : v) % 2;  // to an even address
    }
  }
}

}  // namespace

Image decode_bmp(std::string_view s) {
  Header h = read_header(s);
  bool runs = (h.compression == kRle8 && h.bits == 8) || (h.compression == kRle4 && h.bits == 4);
  bool fields =
      (h.compression == kBitFields || h.compression == kAlphaBitFields) && (h.bits == 16 || h.bits == 32);
  bool depth = h.bits == 1 || h.bits == 2 || h.bits == 4 || h.bits == 8 || h.bits == 16 || h.bits == 24 ||
               h.bits == 32;
  if (!depth || !(h.compression == kRgb || runs || fields))
    broken("BMP", h.bits, " bits with compression ", h.compression, " are not read");
  // A header alone does not make memory.
  if (!runs && h.width > 0 && h.width <= kMaxSide && h.height <= kMaxSide &&
      static_cast<int64_t>(s.size()) * 8 < h.width * h.bits * h.height)
    broken("BMP", "it is cut short");
  Image image(h.width, h.height);
  if (runs)
    read_runs(h, s, Painter(h, image));
  else
    read_plain(h, s, Painter(h, image));
  return image;
}

}  // namespace skiff::codecs
