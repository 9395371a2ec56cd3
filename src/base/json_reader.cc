#include "base/json_reader.h"

#include <charconv>
#include <cstdint>

#include "base/error.h"

namespace skiff {

class JsonParser {
 public:
  JsonParser(std::string_view s, std::string_view what) : s_(s), what_(what) {}
  Json document() {
    Json j = value(0);
    space();
    if (at_ != s_.size()) bad("text after the end");
    return j;
  }

 private:
  [[noreturn]] void bad(const char* why) const {
    fail(Code::kInvalidArgument, what_, ": not JSON (", why, " at byte ", at_, ")");
  }
  void space() {
    while (at_ < s_.size() && (s_[at_] == ' ' || s_[at_] == '\t' || s_[at_] == '\n' || s_[at_] == '\r'))
      ++at_;
  }
  char peek() {
    space();
    if (at_ >= s_.size()) bad("it ends too early");
    return s_[at_];
  }
  bool take(char c) {
    if (peek() != c) return false;
    ++at_;
    return true;
  }
  bool word(std::string_view w) {
    if (s_.substr(at_, w.size()) != w) return false;
    at_ += w.size();
    return true;
  }

  Json value(int depth) {
    if (depth > 64) bad("nested too deeply");
    Json j;
    char c = peek();
    if (c == '{') {
      ++at_;
      Json::Object o;
      while (!take('}')) {
        if (!o.empty() && !take(',')) bad("',' or '}' expected");
        if (peek() != '"') bad("a name in quotes expected");
        std::string key = text();
        if (!take(':')) bad("':' expected");
        o.emplace_back(std::move(key), value(depth + 1));
      }
      j.v_ = std::move(o);
    } else if (c == '[') {
      ++at_;
      Json::Array a;
      while (!take(']')) {
        if (!a.empty() && !take(',')) bad("',' or ']' expected");
        a.push_back(value(depth + 1));
      }
      j.v_ = std::move(a);
    } else if (c == '"') {
      j.v_ = text();
    } else if (word("true")) {
      j.v_ = true;
    } else if (word("false")) {
      j.v_ = false;
    } else if (!word("null")) {
      double d = 0;
      auto [end, ec] = std::from_chars(s_.data() + at_, s_.data() + s_.size(), d);
      if (ec != std::errc() || (c != '-' && (c < '0' || c > '9'))) bad("a value expected");
      at_ = static_cast<size_t>(end - s_.data());
      j.v_ = d;
    }
    return j;
  }

  uint32_t hex4() {
    uint32_t v = 0;
    if (s_.size() - at_ < 4) bad("a broken \\u");
    auto [end, ec] = std::from_chars(s_.data() + at_, s_.data() + at_ + 4, v, 16);
    if (ec != std::errc() || end != s_.data() + at_ + 4) bad("a broken \\u");
    at_ += 4;
    return v;
  }
  static void utf8(std::string& t, uint32_t c) {
    auto put = [&](uint32_t b) { t += static_cast<char>(b); };
    if (c < 0x80) {
      put(c);
    } else if (c < 0x800) {
      put(0xC0 | c >> 6), put(0x80 | (c & 63));
    } else if (c < 0x10000) {
      put(0xE0 | c >> 12), put(0x80 | (c >> 6 & 63)), put(0x80 | (c & 63));
    } else {
      put(0xF0 | c >> 18), put(0x80 | (c >> 12 & 63)), put(0x80 | (c >> 6 & 63)), put(0x80 | (c & 63));
    }
  }

  std::string text() {
    std::string t;
    for (++at_;; ++at_) {
      if (at_ >= s_.size()) bad("a string that never ends");
      char c = s_[at_];
      if (c == '"') break;
      if (static_cast<unsigned char>(c) < 32) bad("a control character in a string");
      if (c != '\\') {
        t += c;
        continue;
      }
      if (++at_ >= s_.size()) bad("a string that never ends");
      constexpr std::string_view kFrom = "\"\\/bfnrt", kTo = "\"\\/\b\f\n\r\t";
      size_t k = kFrom.find(s_[at_]);
      if (k != std::string_view::npos) {
        t += kTo[k];
      } else if (s_[at_] == 'u') {
        ++at_;
        uint32_t u = hex4();
        if (u >= 0xD800 && u < 0xDC00 && s_.substr(at_, 2) == "\\u") {
          at_ += 2;
          uint32_t low = hex4();
          if (low < 0xDC00 || low > 0xDFFF) bad("half a surrogate pair");
          u = 0x10000 + ((u - 0xD800) << 10) + (low - 0xDC00);
        }
        utf8(t, u);
        --at_;
      } else {
        bad("an unknown escape");
      }
    }
    ++at_;
    return t;
  }

  std::string_view s_, what_;
  size_t at_ = 0;
};

Json Json::parse(std::string_view text, std::string_view what) { return JsonParser(text, what).document(); }

const Json* Json::find(std::string_view key) const {
  if (const Object* o = object())
    for (const auto& [k, v] : *o)
      if (k == key) return &v;
  return nullptr;
}

}  // namespace skiff
