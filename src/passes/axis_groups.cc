#include "passes/axis_groups.h"

namespace skiff::passes {
namespace {

// Which side must grow for the products to meet: numbers tell by size, a symbol is met by more of what is
// still a number.
bool needs_more_to(const Dim& from, const Dim& to) {
  if (to.is(1)) return true;
  if (from.is_const() && to.is_const()) return to.value() < from.value();
  return !from.is_const() && to.is_const();
}

}  // namespace

std::optional<std::vector<AxisGroup>> axis_groups(const SymShape& from, const SymShape& to) {
  if (!from.has_rank() || !to.has_rank()) return std::nullopt;
  std::vector<size_t> axes;
  for (size_t i = 0; i < from.rank(); ++i) {
    if (!from[i].is_known() || from[i].is(0)) return std::nullopt;
    if (!from[i].is(1)) axes.push_back(i);
  }
  std::vector<AxisGroup> groups;
  size_t i = 0, j = 0;
  while (i < axes.size()) {
    AxisGroup g;
    Dim p = from[axes[i]], q = 1;
    g.from.push_back(axes[i++]);
    while (!(p == q)) {
      if (!p.is_known() || !q.is_known()) return std::nullopt;
      if (needs_more_to(p, q)) {
        if (j == to.rank()) return std::nullopt;
        q = q * to[j];
        g.to.push_back(j++);
      } else {
        if (i == axes.size()) return std::nullopt;
        p = p * from[axes[i]];
        g.from.push_back(axes[i++]);
      }
    }
    groups.push_back(std::move(g));
  }
  if (groups.empty()) return std::nullopt;
  for (; j < to.rank(); ++j) {
    if (!to[j].is(1)) return std::nullopt;
    groups.back().to.push_back(j);
  }
  return groups;
}

}  // namespace skiff::passes
