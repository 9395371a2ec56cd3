#include <algorithm>
#include <numeric>

#include "device/cpu/kernels/move/move.h"
#include "device/cpu/move_plan.h"
#include "unit/device/kernel_test.h"

using namespace skiff::cpu;

namespace {

std::vector<uint8_t> bytes(Rng& rng, int64_t n) {
  std::vector<uint8_t> v(static_cast<size_t>(n));
  for (auto& b : v) b = static_cast<uint8_t>(rng.next());
  return v;
}

std::vector<uint8_t> transpose_reference(const std::vector<uint8_t>& src, const std::vector<int64_t>& dims,
                                         const std::vector<int64_t>& perm, int size) {
  const int rank = static_cast<int>(dims.size());
  std::vector<uint8_t> dst(src.size());
  std::vector<int64_t> at(dims.size(), 0), strides(dims.size());
  int64_t step = 1;
  for (int d = rank - 1; d >= 0; --d) strides[d] = step, step *= dims[d];
  for (int64_t o = 0; o < step; ++o) {
    int64_t from = 0;
    for (int d = 0; d < rank; ++d) from += at[d] * strides[perm[d]];
    std::copy_n(src.data() + from * size, size, dst.data() + o * size);
    for (int d = rank - 1; d >= 0; --d) {
      if (++at[d] < dims[perm[d]]) break;
      at[d] = 0;
    }
  }
  return dst;
}

}  // namespace

TEST_CASE("transpose: every permutation of many shapes, every element size, any split") {
  const std::vector<std::vector<int64_t>> shapes = {
      {},         {5},          {1, 1},        {7, 9},          {64, 33},  {33, 64}, {2, 300}, {3, 17, 70},
      {40, 3, 4}, {2, 3, 4, 5}, {2, 8, 1, 24}, {2, 3, 2, 3, 5}, {0, 3, 4}, {100, 2}, {130, 4}, {3, 0}};
  Rng rng(1);
  for (const auto& dims : shapes) {
    std::vector<int64_t> perm(dims.size());
    std::iota(perm.begin(), perm.end(), 0);
    do {
      for (int size : {1, 2, 4, 8, 16}) {
        const int64_t n = product(dims);
        const auto src = bytes(rng, n * size);
        const auto want = transpose_reference(src, dims, perm, size);
        TransposeParams p;
        REQUIRE(plan_transpose(static_cast<int>(dims.size()), dims.data(), perm.data(), size, &p));
        for_each_isa([&](const KernelTables& k) {
          std::vector<uint8_t> dst(src.size(), 0xee);
          p.src = src.data();
          p.dst = dst.data();
          in_pieces(p.items, 3, [&](int64_t b, int64_t e) { k.move->transpose(p, b, e); });
          CHECK(dst == want);
        });
      }
    } while (std::next_permutation(perm.begin(), perm.end()));
  }
}

TEST_CASE("transpose: more dimensions than fit are refused") {
  const std::vector<int64_t> dims(10, 2), perm = {9, 8, 7, 6, 5, 4, 3, 2, 1, 0};
  TransposeParams p;
  CHECK_FALSE(plan_transpose(10, dims.data(), perm.data(), 4, &p));
}

TEST_CASE("strided copy: slices with steps of any sign, fills, any split") {
  Rng rng(2);
  for (int round = 0; round < 200; ++round) {
    const int rank = static_cast<int>(rng.below(5));
    int64_t dims[5], ss[5], ds[5], first = 0, src_size = 1, size = 1;
    const bool fill = rng.below(5) == 0;
    for (int d = rank - 1; d >= 0; --d) {
      dims[d] = rng.below(round < 20 ? 3 : 9) + (round < 20 ? 0 : 1);
      const int64_t step = rng.below(3) + 1, extent = std::max<int64_t>(1, dims[d]) * step;
      ss[d] = fill ? 0 : src_size * step;
      if (!fill && rng.below(2)) {
        first += (dims[d] - 1) * ss[d];
        ss[d] = -ss[d];
      }
      src_size *= extent;
      ds[d] = size;
      size *= dims[d] + (d > 0 ? rng.below(2) : 0);  // holes stay untouched
    }
    if (std::count(dims, dims + rank, 0)) first = 0;
    const int esize = 1 << rng.below(5);
    const auto src = bytes(rng, src_size * esize);
    const int64_t* strides[2] = {ss, ds};
    CopyParams p{src.data() + first * esize, nullptr, esize, {}};
    REQUIRE(collapse_strided(rank, dims, 2, strides, &p.loop));
    std::vector<uint8_t> want(static_cast<size_t>(size * esize), 0xee);
    std::vector<int64_t> at(5, 0);
    for (int64_t o = 0; o < p.loop.size; ++o) {
      int64_t s = first, t = 0;
      for (int d = 0; d < rank; ++d) s += at[d] * ss[d], t += at[d] * ds[d];
      std::copy_n(src.data() + s * esize, esize, want.data() + t * esize);
      for (int d = rank - 1; d >= 0; --d) {
        if (++at[d] < dims[d]) break;
        at[d] = 0;
      }
    }
    for_each_isa([&](const KernelTables& k) {
      std::vector<uint8_t> dst(want.size(), 0xee);
      p.dst = dst.data();
      in_pieces(p.loop.size, 1 + rng.below(50), [&](int64_t b, int64_t e) { k.move->copy(p, b, e); });
      CHECK(dst == want);
    });
  }
}

TEST_CASE("gather: rows of any size, negative indices, bad ones reported and never read") {
  Rng rng(3);
  for (int64_t row : {1, 4, 8, 12, 100}) {
    const int64_t outer = 3, axis = 7, count = 11;
    const auto src = bytes(rng, outer * axis * row);
    std::vector<int64_t> index(count);
    for (auto& i : index) i = rng.below(2 * axis) - axis;
    std::vector<int32_t> index32(index.begin(), index.end());
    std::vector<uint8_t> want;
    for (int64_t o = 0; o < outer; ++o)
      for (int64_t i : index) {
        const auto at = src.begin() + (o * axis + (i < 0 ? i + axis : i)) * row;
        want.insert(want.end(), at, at + row);
      }
    for_each_isa([&](const KernelTables& k) {
      for (bool narrow : {false, true}) {
        std::vector<uint8_t> dst(want.size(), 0xee);
        GatherParams p{
            src.data(), dst.data(), narrow ? static_cast<const void*>(index32.data()) : index.data(),
            narrow,     outer,      axis,
            count,      row};
        in_pieces(outer * count, 5, [&](int64_t b, int64_t e) { CHECK(k.move->gather(p, b, e) == -1); });
        CHECK(dst == want);
      }
      auto broken = index;
      broken[4] = axis;
      broken[6] = -axis - 1;
      std::vector<uint8_t> dst(want.size(), 0xee);
      GatherParams p{src.data(), dst.data(), broken.data(), false, outer, axis, count, row};
      CHECK(k.move->gather(p, 0, outer * count) == 4);
      CHECK(std::all_of(dst.begin() + 4 * row, dst.begin() + 5 * row, [](uint8_t b) { return b == 0; }));
      GatherParams none{nullptr, nullptr, nullptr, false, outer, 0, 0, row};
      CHECK(k.move->gather(none, 0, 0) == -1);
    });
  }
}
