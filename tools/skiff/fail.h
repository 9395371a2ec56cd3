// Errors of the command: one line for the user, exit code 1.
#pragma once
#include <sstream>
#include <stdexcept>
#include <string>

namespace skiff::tool {

// What went wrong and what would mend it, on one line; main() prints it as "skiff: error: ...".
class ToolError : public std::runtime_error {
 public:
  using std::runtime_error::runtime_error;
};

// The command line itself is wrong (exit code 2).
class UsageError : public ToolError {
 public:
  using ToolError::ToolError;
};

template <class... Parts>
std::string cat(const Parts&... parts) {
  std::ostringstream s;
  (s << ... << parts);
  return s.str();
}

template <class... Parts>
[[noreturn]] void fail(const Parts&... parts) {
  throw ToolError(cat(parts...));
}
template <class... Parts>
[[noreturn]] void fail_usage(const Parts&... parts) {
  throw UsageError(cat(parts...));
}

}  // namespace skiff::tool
