#pragma once
#include <string>

#include "base/error.h"

namespace skiff::adapt {

// What the call complains of; "" when it does not.
template <class F>
std::string error_text(F&& f) {
  try {
    f();
  } catch (const Error& e) {
    return e.what();
  }
  return {};
}

}  // namespace skiff::adapt
