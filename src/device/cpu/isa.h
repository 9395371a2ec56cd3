// Instruction sets of this processor, and the kernels compiled for each.
#pragma once
#include <string>
#include <string_view>
#include <vector>

namespace skiff::cpu {

// In rising order: a machine that has one has those before it (of the same architecture).
enum class Isa : int { kGeneric = 0, kSse4, kAvx2, kAvx512, kAvx512Vnni };

// "generic", "sse4", "avx2", "avx512", "avx512_vnni".
std::string_view isa_name(Isa isa);

// What both this build holds and this processor (and its operating system) can run, lowest first; never
// empty.
const std::vector<Isa>& available_isas();

// The highest available set, or the one the environment variable SKIFF_ISA names (read once).
// Throws kInvalidArgument for a name that is unknown or not available here.
Isa best_isa();

// The available set called `name`. Throws kInvalidArgument, naming those there are.
Isa isa_from_name(std::string_view name);

#define SKIFF_FAMILY(name, Table) struct Table;
#include "device/cpu/kernels/families.inc"
#undef SKIFF_FAMILY

// One pointer per family, never null.
struct KernelTables {
  Isa isa;
#define SKIFF_FAMILY(name, Table) const Table* name;
#include "device/cpu/kernels/families.inc"
#undef SKIFF_FAMILY
};

// The kernels for one available set. A set for which a family has no kernels of its own uses the next lower
// ones.
const KernelTables& kernels(Isa isa);

}  // namespace skiff::cpu
