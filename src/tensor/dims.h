// Concrete shapes.
#pragma once
#include <cstdint>
#include <string>

#include "base/error.h"
#include "base/small_vector.h"

namespace skiff {

// Extents of a tensor, outermost first. Any rank; up to 6 without allocation.
using Dims = SmallVector<int64_t, 6>;

// Product of the extents. Throws kLimit when it overflows 63 bits, kInvalidArgument on a negative extent.
int64_t element_count(const Dims& d);
// Product of d[begin, end), same errors.
int64_t element_count(const Dims& d, size_t begin, size_t end);
// "[1, 3, 224, 224]"
std::string to_string(const Dims& d);
// Row-major strides in elements.
Dims strides_of(const Dims& d);
// NumPy/ONNX multidirectional broadcasting. Throws kInvalidArgument naming both shapes when they do not fit.
Dims broadcast(const Dims& a, const Dims& b);
// axis in [-rank, rank) -> [0, rank). Throws kInvalidArgument naming the axis and the rank.
int64_t normalize_axis(int64_t axis, int64_t rank);

}  // namespace skiff
