// The registry of environment knobs: every SKIFF_... variable the library reads, with its meaning.
#pragma once
#include <span>
#include <string>

namespace skiff {

struct Knob {
  const char* name;
  const char* default_value;
  const char* description;
};

std::span<const Knob> knobs();
// Value of a registered knob; its default when the variable is unset or empty. Throws kInternal for an
// unknown name.
std::string knob(const char* name);

}  // namespace skiff
