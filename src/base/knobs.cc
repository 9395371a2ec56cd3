#include "base/knobs.h"

#include <cstdlib>
#include <string_view>

#include "base/error.h"

namespace skiff {
namespace {
constexpr Knob kKnobs[] = {
    {"SKIFF_ISA", "", "forces an instruction set of the CPU device: generic, sse4, avx2, avx512"},
    {"SKIFF_THREADS", "",
     "threads of a run when the session's options do not say; default: the machine's cores"},
    {"SKIFF_FORCE", "",
     "forces kernels: OPERATOR:KERNEL pairs separated by ',' (Conv:reference,MatMul:gemm); '*' is every "
     "operator"},
    {"SKIFF_WINOGRAD", "f4",
     "3x3 convolutions by Winograd's method where it is faster: off, f4, or f6 too (less exact)"},
    {"SKIFF_SKIP_PASSES", "", "graph passes to skip, separated by ','; 'all' skips every one that can be"},
};
}  // namespace

std::span<const Knob> knobs() { return kKnobs; }

std::string knob(const char* name) {
  for (const Knob& k : kKnobs) {
    if (std::string_view(k.name) != name) continue;
    const char* v = std::getenv(name);
    return v && *v ? v : k.default_value;
  }
  fail(Code::kInternal, "the knob ", name, " is not registered");
}

}  // namespace skiff
