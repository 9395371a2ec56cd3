#include "device/cpu/isa.h"

#include <cstdlib>

#include "base/error.h"

namespace skiff::cpu {

// Every set's tables, declared; the kernel objects define them.
#define SKIFF_FAMILY(name, Table) extern const Table name##_kernels;
namespace generic {
#include "device/cpu/kernels/families.inc"
}
#if SKIFF_HAVE_SSE4
namespace sse4 {
#include "device/cpu/kernels/families.inc"
}
#endif
#if SKIFF_HAVE_AVX2
namespace avx2 {
#include "device/cpu/kernels/families.inc"
}
#endif
#if SKIFF_HAVE_AVX512
namespace avx512 {
#include "device/cpu/kernels/families.inc"
}
#endif
#if SKIFF_HAVE_AVX512
namespace avx512_vnni {
#define SKIFF_INT8_FAMILY(name, Table) extern const Table name##_kernels;
#undef SKIFF_FAMILY
#define SKIFF_FAMILY(name, Table)
#include "device/cpu/kernels/families.inc"
#undef SKIFF_INT8_FAMILY
}  // namespace avx512_vnni
#endif
#undef SKIFF_FAMILY

namespace {

bool supported(Isa isa) {
  switch (isa) {
    case Isa::kGeneric: return true;
#if SKIFF_HAVE_SSE4
    case Isa::kSse4: return __builtin_cpu_supports("sse4.2");
#endif
#if SKIFF_HAVE_AVX2
    // __builtin_cpu_supports also asks the operating system (XGETBV) whether it saves the wide registers.
    case Isa::kAvx2:
      return __builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma") &&
             __builtin_cpu_supports("sse4.2");
#endif
#if SKIFF_HAVE_AVX512
    case Isa::kAvx512:
      return supported(Isa::kAvx2) && __builtin_cpu_supports("avx512f") &&
             __builtin_cpu_supports("avx512bw") && __builtin_cpu_supports("avx512vl") &&
             __builtin_cpu_supports("avx512dq");
    case Isa::kAvx512Vnni: return supported(Isa::kAvx512) && __builtin_cpu_supports("avx512vnni");
#endif
    default: return false;
  }
}

constexpr Isa kAll[] = {Isa::kGeneric, Isa::kSse4, Isa::kAvx2, Isa::kAvx512, Isa::kAvx512Vnni};

}  // namespace

std::string_view isa_name(Isa isa) {
  switch (isa) {
    case Isa::kGeneric: return "generic";
    case Isa::kSse4: return "sse4";
    case Isa::kAvx2: return "avx2";
    case Isa::kAvx512: return "avx512";
    case Isa::kAvx512Vnni: return "avx512_vnni";
  }
  return "unknown";
}

const std::vector<Isa>& available_isas() {
  static const std::vector<Isa> sets = [] {
    std::vector<Isa> v;
    for (Isa isa : kAll)
      if (supported(isa)) v.push_back(isa);
    return v;
  }();
  return sets;
}

Isa isa_from_name(std::string_view name) {
  std::string names;
  for (Isa isa : available_isas()) {
    if (isa_name(isa) == name) return isa;
    names += cat(names.empty() ? "" : ", ", isa_name(isa));
  }
  fail(Code::kInvalidArgument, "instruction set '", name,
       "' is unknown or not available on this machine; available: ", names);
}

Isa best_isa() {
  static const Isa best = [] {
    const char* forced = std::getenv("SKIFF_ISA");
    if (!forced || !*forced) return available_isas().back();
    try {
      return isa_from_name(forced);
    } catch (Error& e) {
      e.add_where("environment variable SKIFF_ISA");
      throw;
    }
  }();
  return best;
}

#define SKIFF_FAMILY(name, Table) , &SKIFF_SET::name##_kernels
const KernelTables& kernels(Isa isa) {
  switch (isa) {
#if SKIFF_HAVE_SSE4
#define SKIFF_SET sse4
    case Isa::kSse4: {
      static const KernelTables tables = {Isa::kSse4
#include "device/cpu/kernels/families.inc"
      };
      return tables;
    }
#undef SKIFF_SET
#endif
#if SKIFF_HAVE_AVX2
#define SKIFF_SET avx2
    case Isa::kAvx2: {
      static const KernelTables tables = {Isa::kAvx2
#include "device/cpu/kernels/families.inc"
      };
      return tables;
    }
#undef SKIFF_SET
#endif
#if SKIFF_HAVE_AVX512
#define SKIFF_SET avx512
    case Isa::kAvx512: {
      static const KernelTables tables = {Isa::kAvx512
#include "device/cpu/kernels/families.inc"
      };
      return tables;
    }
    case Isa::kAvx512Vnni: {
#define SKIFF_INT8_FAMILY(name, Table) , &avx512_vnni::name##_kernels
      static const KernelTables tables = {Isa::kAvx512Vnni
#include "device/cpu/kernels/families.inc"
      };
#undef SKIFF_INT8_FAMILY
      return tables;
    }
#undef SKIFF_SET
#endif
    default: break;
  }
#define SKIFF_SET generic
  static const KernelTables tables = {Isa::kGeneric
#include "device/cpu/kernels/families.inc"
  };
#undef SKIFF_SET
  return tables;
}
#undef SKIFF_FAMILY

}  // namespace skiff::cpu
