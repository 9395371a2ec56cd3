#include "plan/memory.h"

#include <doctest/doctest.h>

#include <random>

using skiff::plan::assign_offsets;
using skiff::plan::Block;

TEST_CASE("blocks alive together never overlap; the arena is at least the largest moment") {
  std::mt19937 rng(5);
  for (int round = 0; round < 200; ++round) {
    std::vector<Block> blocks;
    for (int i = 0, n = static_cast<int>(rng() % 30); i < n; ++i) {
      int first = static_cast<int>(rng() % 20);
      blocks.push_back({rng() % 3 ? rng() % 5000 : 0, first, first + static_cast<int>(rng() % 6), 0});
    }
    size_t total = assign_offsets(blocks, 64);
    size_t peak = 0;
    for (int t = 0; t < 30; ++t) {
      size_t sum = 0;
      for (const Block& b : blocks)
        if (b.first <= t && t <= b.last) sum += (b.bytes + 63) / 64 * 64;
      peak = std::max(peak, sum);
    }
    REQUIRE(total >= peak);
    for (size_t i = 0; i < blocks.size(); ++i) {
      REQUIRE(blocks[i].offset % 64 == 0);
      REQUIRE(blocks[i].offset + blocks[i].bytes <= total);
      for (size_t j = 0; j < i; ++j) {
        const Block &a = blocks[i], &b = blocks[j];
        if (a.last < b.first || b.last < a.first || !a.bytes || !b.bytes) continue;
        bool apart = a.offset + a.bytes <= b.offset || b.offset + b.bytes <= a.offset;
        REQUIRE(apart);
      }
    }
  }
}

TEST_CASE("a chain needs the two largest neighbours, not the sum") {
  std::vector<Block> blocks;
  for (int i = 0; i < 10; ++i) blocks.push_back({1024, i, i + 1, 0});
  CHECK(assign_offsets(blocks, 64) == 2048);
}
