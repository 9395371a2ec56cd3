#include "text/regex.h"

#include "base/error.h"

#if SKIFF_WITH_RE2
#include <re2/re2.h>
#endif

namespace skiff::text {

#if SKIFF_WITH_RE2

struct Regex::Impl {
  re2::RE2 re;
};

Regex::Regex(const std::string& pattern) {
  re2::RE2::Options o;
  o.set_log_errors(false);
  impl_.reset(new Impl{{pattern, o}});
  check(impl_->re.ok(), Code::kInvalidModel, "the pattern '", pattern,
        "' is not RE2 syntax: ", impl_->re.error());
}

bool Regex::full_match(std::string_view s) const {
  return re2::RE2::FullMatch(re2::StringPiece(s.data(), s.size()), impl_->re);
}

#else

struct Regex::Impl {};

Regex::Regex(const std::string&) {
  fail(Code::kUnsupported,
       "this build has no regular expressions; configure with -DSKIFF_WITH_RE2=ON (Debian package "
       "libre2-dev)");
}

bool Regex::full_match(std::string_view) const { return false; }

#endif

Regex::~Regex() = default;

}  // namespace skiff::text
