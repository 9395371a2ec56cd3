// What a decoder says that this build leaves out.
#pragma once
#include "codecs/image.h"

namespace skiff::codecs {

[[noreturn]] inline void missing(const char* format, const char* option, const char* package) {
  fail(Code::kUnsupported, "this build cannot decode ", format, "; configure with -D", option,
       "=ON (Debian package ", package, ")");
}

}  // namespace skiff::codecs
