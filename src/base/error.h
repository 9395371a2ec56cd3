// The one way errors travel inside the library: throw skiff::Error. The C ABI turns it into a status.
#pragma once
#include <cstdint>
#include <exception>
#include <string>
#include <string_view>

namespace skiff {

// Same numbers as skiff_status in include/skiff/skiff.h.
enum class Code : int {
  kOk = 0,
  kInvalidArgument = 1,  // the caller's fault: wrong name, dtype, rank, shape, option
  kNotFound = 2,         // no such file, input, device
  kInvalidModel = 3,     // the model breaks the ONNX standard
  kUnsupported = 4,      // legal, but this build or device cannot do it
  kIo = 5,
  kLimit = 6,  // a resource limit (memory, nodes, depth, time) was reached
  kCancelled = 7,
  kInternal = 8,  // a bug in Skiff
};

// message says what is wrong and what would mend it; where lists the file, node, operator, tensor it is
// about.
class Error : public std::exception {
 public:
  Error(Code code, std::string message, std::string where = {});
  Code code() const { return code_; }
  const std::string& message() const { return message_; }
  const std::string& where() const { return where_; }
  // Puts an outer context in front: e.add_where("node 'conv1' (Conv)").
  void add_where(std::string_view outer);
  const char* what() const noexcept override { return text_.c_str(); }

 private:
  void compose();
  Code code_;
  std::string message_, where_, text_;
};

// Joins anything printable: cat("axis ", axis, " is out of range").
namespace detail {
void append(std::string& s, std::string_view v);
void append(std::string& s, const char* v);
void append(std::string& s, const std::string& v);
void append(std::string& s, char v);
void append(std::string& s, bool v);
void append(std::string& s, long long v);
void append(std::string& s, unsigned long long v);
void append(std::string& s, double v);
inline void append(std::string& s, int v) { append(s, static_cast<long long>(v)); }
inline void append(std::string& s, long v) { append(s, static_cast<long long>(v)); }
inline void append(std::string& s, unsigned v) { append(s, static_cast<unsigned long long>(v)); }
inline void append(std::string& s, unsigned long v) { append(s, static_cast<unsigned long long>(v)); }
inline void append(std::string& s, float v) { append(s, static_cast<double>(v)); }
}  // namespace detail

template <class... Args>
std::string cat(const Args&... args) {
  std::string s;
  (detail::append(s, args), ...);
  return s;
}

[[noreturn]] void fail_text(Code code, std::string message);
template <class... Args>
[[noreturn]] void fail(Code code, const Args&... args) {
  fail_text(code, cat(args...));
}
// check(cond, Code::kInvalidModel, "axis ", axis, " ..."): the message is composed only on failure.
template <class... Args>
inline void check(bool ok, Code code, const Args&... args) {
  if (!ok) [[unlikely]]
    fail_text(code, cat(args...));
}

}  // namespace skiff
