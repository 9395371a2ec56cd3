// Regular expressions through RE2, an optional part of the build (SKIFF_WITH_RE2).
#pragma once
#include <memory>
#include <string>
#include <string_view>

namespace skiff::text {

class Regex {
 public:
  // Throws kInvalidModel when the pattern is not RE2 syntax, kUnsupported when this build has no RE2.
  explicit Regex(const std::string& pattern);
  ~Regex();
  bool full_match(std::string_view s) const;

 private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace skiff::text
