// Portable any map: bit, grey and colour maps, in text (P1 to P3) and in bytes (P4 to P6).
#include <algorithm>
#include <cstring>

#include "codecs/image.h"

namespace skiff::codecs {
namespace {

class Reader {
 public:
  explicit Reader(std::string_view s) : s_(s), at_(2) {}

  int64_t number() {
    skip_space();
    int64_t v = 0;
    size_t digits = 0;
    for (; at_ < s_.size() && s_[at_] >= '0' && s_[at_] <= '9'; ++at_, ++digits) {
      if (digits >= 8) broken("PNM", "a number is too long");
      v = v * 10 + (s_[at_] - '0');
    }
    if (digits == 0) broken("PNM", at_ < s_.size() ? "a number is missing" : "it is cut short");
    return v;
  }
  // One digit of a P1 bitmap: they need no space between them.
  int64_t bit() {
    skip_space();
    if (at_ >= s_.size()) broken("PNM", "it is cut short");
    char c = s_[at_++];
    if (c != '0' && c != '1') broken("PNM", "a bit is neither 0 nor 1");
    return c - '0';
  }
  void one_space() { ++at_; }
  const uint8_t* bytes(size_t n) {
    if (at_ > s_.size() || s_.size() - at_ < n) broken("PNM", "it is cut short");
    const auto* p = reinterpret_cast<const uint8_t*>(s_.data() + at_);
    at_ += n;
    return p;
  }
  size_t left() const { return s_.size() - std::min(at_, s_.size()); }

 private:
  void skip_space() {
    for (;;) {
      while (at_ < s_.size() && s_[at_] && std::strchr(" \t\r\n\v\f", s_[at_])) ++at_;
      if (at_ >= s_.size() || s_[at_] != '#') return;
      while (at_ < s_.size() && s_[at_] != '\n') ++at_;
    }
  }
  std::string_view s_;
  size_t at_;
};

}  // namespace

Image decode_pnm(std::string_view s) {
  Reader r(s);
  int kind = s[1] - '0';
  bool text = kind <= 3, bits = kind == 1 || kind == 4;
  int64_t w = r.number(), h = r.number(), top = bits ? 1 : r.number();
  if (top < 1 || top > 65535) broken("PNM", "the largest value is ", top);
  if (!text) r.one_space();
  int64_t channels = kind == 3 || kind == 6 ? 3 : 1, per_row = w * channels, wide = top > 255 ? 2 : 1;
  // Each value takes at least a character, or a bit: a header alone does not make memory.
  if (w > 0 && h > 0 && per_row <= kMaxSide * 3 && h <= kMaxSide) {
    int64_t need = text ? per_row * h : h * (bits ? (w + 7) / 8 : per_row * wide);
    if (static_cast<int64_t>(r.left()) < need) broken("PNM", "it is cut short");
  }
  Image image(w, h);
  auto scaled = [&](int64_t v) {
    if (v > top) broken("PNM", "a value is above ", top);
    return static_cast<uint8_t>(top == 255 ? v : (v * 255 + top / 2) / top);
  };
  for (int64_t y = 0; y < h; ++y) {
    const uint8_t* in = text ? nullptr : r.bytes(static_cast<size_t>(bits ? (w + 7) / 8 : per_row * wide));
    uint8_t* out = image.row(y);
    for (int64_t i = 0; i < per_row; ++i) {
      uint8_t v;
      if (bits) {
        int64_t b = text ? r.bit() : in[i / 8] >> (7 - i % 8) & 1;
        v = b ? 0 : 255;  // a set bit is black
      } else if (text) {
        v = scaled(r.number());
      } else {
        v = scaled(wide == 2 ? in[2 * i] << 8 | in[2 * i + 1] : in[i]);
      }
      if (channels == 3)
        out[i] = v;
      else
        std::fill_n(out + 3 * i, 3, v);
    }
  }
  return image;
}

}  // namespace skiff::codecs
