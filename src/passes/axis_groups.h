// How a reshape cuts its axes: which axes of the operand become which axes of the result.
#pragma once
#include <optional>
#include <vector>

#include "tensor/sym_dim.h"

namespace skiff::passes {

// Neighbouring axes `from` of the operand become neighbouring axes `to` of the result. Operand axes of extent
// 1 are in no group: they may stand anywhere.
struct AxisGroup {
  std::vector<size_t> from, to;
};

// The finest such groups, in order; nullopt when the extents do not tell (unknown or zero extents, or symbols
// that do not add up).
std::optional<std::vector<AxisGroup>> axis_groups(const SymShape& from, const SymShape& to);

}  // namespace skiff::passes
