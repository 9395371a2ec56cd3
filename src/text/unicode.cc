#include "text/unicode.h"

#include <algorithm>
#include <cstdint>
#include <iterator>
#include <span>

namespace skiff::text {
namespace {

// Code points first, first + stride ... last map to themselves plus `distance`.
struct CaseRun {
  uint32_t first, last;
  uint8_t stride;
  int32_t distance;
};
// One code point that maps to several.
struct CaseText {
  uint32_t from;
  const char* to;
};
#include "text/unicode_case.inc"

std::string convert(std::string_view s, std::span<const CaseRun> runs, std::span<const CaseText> texts) {
  std::string out;
  out.reserve(s.size());
  for (size_t i = 0; i < s.size();) {
    size_t start = i;
    char32_t c = decode(s, i);
    auto run = std::upper_bound(runs.begin(), runs.end(), c,
                                [](char32_t v, const CaseRun& r) { return v < r.first; });
    if (run != runs.begin() && c <= (--run)->last && (c - run->first) % run->stride == 0) {
      append(out, static_cast<char32_t>(static_cast<int64_t>(c) + run->distance));
      continue;
    }
    auto text = std::lower_bound(texts.begin(), texts.end(), c,
                                 [](const CaseText& t, char32_t v) { return t.from < v; });
    if (text != texts.end() && text->from == c)
      out += text->to;
    else
      out.append(s, start, i - start);
  }
  return out;
}

}  // namespace

char32_t decode(std::string_view s, size_t& i) {
  auto byte = [&](size_t k) -> uint32_t { return k < s.size() ? static_cast<uint8_t>(s[k]) : 0; };
  uint32_t b = byte(i);
  size_t n = b < 0x80 ? 1 : (b >> 5) == 6 ? 2 : (b >> 4) == 14 ? 3 : (b >> 3) == 30 ? 4 : 0;
  if (n == 1) return s[i++];
  char32_t c = n ? b & (0x7fu >> n) : 0;
  bool ok = n != 0;
  for (size_t k = 1; k < n && ok; ++k) {
    ok = (byte(i + k) & 0xc0) == 0x80;
    c = c << 6 | (byte(i + k) & 0x3f);
  }
  constexpr char32_t kLeast[] = {0, 0, 0x80, 0x800, 0x10000};
  if (!ok || c < kLeast[n] || c > 0x10ffff || (c >= 0xd800 && c < 0xe000)) {
    ++i;
    return kNoCharacter;
  }
  i += n;
  return c;
}

void append(std::string& s, char32_t c) {
  auto put = [&](char32_t v) { s += static_cast<char>(v); };
  if (c < 0x80) {
    put(c);
  } else if (c < 0x800) {
    put(0xc0 | c >> 6);
    put(0x80 | (c & 0x3f));
  } else if (c < 0x10000) {
    put(0xe0 | c >> 12);
    put(0x80 | (c >> 6 & 0x3f));
    put(0x80 | (c & 0x3f));
  } else {
    put(0xf0 | c >> 18);
    put(0x80 | (c >> 12 & 0x3f));
    put(0x80 | (c >> 6 & 0x3f));
    put(0x80 | (c & 0x3f));
  }
}

std::string to_upper(std::string_view s) { return convert(s, kUpperRuns, kUpperTexts); }
std::string to_lower(std::string_view s) { return convert(s, kLowerRuns, kLowerTexts); }

bool is_space(char32_t c) {
  return (c >= 9 && c <= 13) || (c >= 0x1c && c <= 0x20) || c == 0x85 || c == 0xa0 || c == 0x1680 ||
         (c >= 0x2000 && c <= 0x200a) || c == 0x2028 || c == 0x2029 || c == 0x202f || c == 0x205f ||
         c == 0x3000;
}

}  // namespace skiff::text
