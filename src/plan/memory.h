// Offsets in an arena for blocks with lifetimes.
#pragma once
#include <cstddef>
#include <cstdint>
#include <vector>

namespace skiff::plan {

struct Block {
  size_t bytes = 0;
  int first = 0, last = 0;  // steps at which it is alive, both included
  size_t offset = 0;        // result
};

// Gives every block an offset (multiple of `alignment`) so that blocks alive together do not overlap. Greedy
// by size, best gap first: within a few percent of the lower bound on convolutional and transformer graphs.
// Returns the arena's size.
size_t assign_offsets(std::vector<Block>& blocks, size_t alignment);

}  // namespace skiff::plan
