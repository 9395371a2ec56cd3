#include "plan/memory.h"

#include <algorithm>
#include <numeric>

namespace skiff::plan {

size_t assign_offsets(std::vector<Block>& blocks, size_t alignment) {
  auto round_up = [alignment](size_t n) { return (n + alignment - 1) / alignment * alignment; };
  std::vector<size_t> by_size(blocks.size());
  std::iota(by_size.begin(), by_size.end(), size_t{0});
  std::sort(by_size.begin(), by_size.end(), [&](size_t a, size_t b) {
    return blocks[a].bytes != blocks[b].bytes ? blocks[a].bytes > blocks[b].bytes : a < b;
  });
  std::vector<size_t> placed;  // sorted by offset
  size_t total = 0;
  for (size_t i : by_size) {
    Block& b = blocks[i];
    size_t need = round_up(b.bytes), best = SIZE_MAX, best_gap = SIZE_MAX, end = 0;
    for (size_t j : placed) {
      const Block& p = blocks[j];
      if (p.last < b.first || b.last < p.first) continue;
      if (p.offset > end && p.offset - end >= need && p.offset - end < best_gap) {
        best = end;
        best_gap = p.offset - end;
      }
      end = std::max(end, p.offset + round_up(p.bytes));
    }
    b.offset = best != SIZE_MAX ? best : end;
    total = std::max(total, b.offset + need);
    auto at = std::upper_bound(placed.begin(), placed.end(), b.offset,
                               [&](size_t o, size_t j) { return o < blocks[j].offset; });
    placed.insert(at, i);
  }
  return total;
}

}  // namespace skiff::plan
