#include "base/json_writer.h"

#include <charconv>
#include <cmath>

namespace skiff {

void JsonWriter::separate() {
  if (comma_) s_ += ',';
  comma_ = true;
}

JsonWriter& JsonWriter::open(char c) {
  separate();
  s_ += c;
  comma_ = false;
  return *this;
}

JsonWriter& JsonWriter::close(char c) {
  s_ += c;
  comma_ = true;
  return *this;
}

JsonWriter& JsonWriter::key(std::string_view k) {
  value(k);
  s_ += ':';
  comma_ = false;
  return *this;
}

namespace {
// Length of the valid UTF-8 sequence at s[i], 0 when it is none: names in model files may hold any bytes.
size_t utf8_length(std::string_view s, size_t i) {
  auto byte = [&](size_t k) { return static_cast<unsigned char>(s[k]); };
  unsigned char c = byte(i);
  size_t n = c < 0x80                  ? 1
             : (c >= 0xc2 && c < 0xe0) ? 2
             : (c >= 0xe0 && c < 0xf0) ? 3
             : (c >= 0xf0 && c < 0xf5) ? 4
                                       : 0;
  if (n == 0 || i + n > s.size()) return 0;
  for (size_t k = 1; k < n; ++k)
    if ((byte(i + k) & 0xc0) != 0x80) return 0;
  return n;
}
}  // namespace

JsonWriter& JsonWriter::value(std::string_view s) {
  separate();
  s_ += '"';
  for (size_t i = 0; i < s.size();) {
    char c = s[i];
    if (c == '"' || c == '\\') {
      s_ += '\\';
      s_ += c;
      ++i;
    } else if (static_cast<unsigned char>(c) < 0x20) {
      static constexpr char kHex[] = "0123456789abcdef";
      s_ += "\\u00";
      s_ += kHex[static_cast<unsigned char>(c) >> 4];
      s_ += kHex[static_cast<unsigned char>(c) & 15];
      ++i;
    } else if (size_t n = utf8_length(s, i)) {
      s_.append(s.substr(i, n));
      i += n;
    } else {
      s_ += "\\ufffd";
      ++i;
    }
  }
  s_ += '"';
  return *this;
}

JsonWriter& JsonWriter::value(bool b) {
  separate();
  s_ += b ? "true" : "false";
  return *this;
}

JsonWriter& JsonWriter::null() {
  separate();
  s_ += "null";
  return *this;
}

JsonWriter& JsonWriter::value(double d) {
  if (!std::isfinite(d)) return null();
  separate();
  char buf[40];
  auto r = std::to_chars(buf, buf + sizeof buf, d);
  s_.append(buf, r.ptr);
  return *this;
}

JsonWriter& JsonWriter::value(long long v) {
  separate();
  s_ += std::to_string(v);
  return *this;
}

}  // namespace skiff
