#include "base/error.h"

#include <charconv>

namespace skiff {

Error::Error(Code code, std::string message, std::string where)
    : code_(code), message_(std::move(message)), where_(std::move(where)) {
  compose();
}

void Error::add_where(std::string_view outer) {
  where_ = where_.empty() ? std::string(outer) : cat(outer, ", ", where_);
  compose();
}

void Error::compose() { text_ = where_.empty() ? message_ : cat(where_, ": ", message_); }

void fail_text(Code code, std::string message) { throw Error(code, std::move(message)); }

namespace detail {
namespace {
template <class T>
void append_number(std::string& s, T v) {
  char buf[40];
  auto r = std::to_chars(buf, buf + sizeof buf, v);
  s.append(buf, r.ptr);
}
}  // namespace
void append(std::string& s, std::string_view v) { s.append(v); }
void append(std::string& s, const char* v) { s.append(v); }
void append(std::string& s, const std::string& v) { s.append(v); }
void append(std::string& s, char v) { s.push_back(v); }
void append(std::string& s, bool v) { s.append(v ? "true" : "false"); }
void append(std::string& s, long long v) { append_number(s, v); }
void append(std::string& s, unsigned long long v) { append_number(s, v); }
void append(std::string& s, double v) {
  char buf[40];
  auto r = std::to_chars(buf, buf + sizeof buf, v, std::chars_format::general, 9);
  s.append(buf, r.ptr);
}
}  // namespace detail

}  // namespace skiff
