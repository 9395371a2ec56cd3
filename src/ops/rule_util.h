// What type and shape rules share.
#pragma once
#include <optional>
#include <vector>

#include "ops/op.h"

namespace skiff::rule {

inline constexpr TypeMask kFloat8Types = mask_of(DType::kFloat8E4M3FN) | mask_of(DType::kFloat8E4M3FNUZ) |
                                         mask_of(DType::kFloat8E5M2) | mask_of(DType::kFloat8E5M2FNUZ);
inline constexpr TypeMask kStringType = mask_of(DType::kString);
inline constexpr TypeMask kAllInts = kSignedInts | kUnsignedInts;

// axis in [-rank, rank) -> [0, rank), else kInvalidModel.
size_t axis(int64_t a, size_t rank);
// The same for a list; a duplicate is an error too. The order is kept.
std::vector<size_t> axes(const std::vector<int64_t>& list, size_t rank);

// Known elements of a numeric input of rank 0 or 1: as InferContext::data, and also float constants when they
// are whole numbers (exporters pass extents through floats).
std::optional<std::vector<Dim>> numbers(const InferContext& c, size_t i);
// A type whose element count is one and rank 0 or 1: where shape arithmetic keeps scalars.
bool scalar_like(const Type& t);

// Element-by-element arithmetic on known data of two inputs (scalars broadcast); sets output 0's data.
using DimFn = Dim (*)(const Dim&, const Dim&);
void propagate(InferContext& c, DimFn f);
// The same over all inputs, folded from the left (variadic Sum, Max, Min).
void propagate_all(InferContext& c, DimFn f);
// Output 0's data = input i's.
void pass_data(InferContext& c, size_t i = 0);

// Product of extents [begin, end) of a ranked shape.
Dim count(const SymShape& s, size_t begin, size_t end);

// Sets output i to `dtype` with a shape made of data (extents); rank unknown when nullopt.
void set_shape_from(InferContext& c, size_t i, DType dtype, const std::optional<std::vector<Dim>>& extents);

// The rank a 1-D input would describe: its static length.
std::optional<size_t> length(const InferContext& c, size_t i);

// The element type an integer attribute names (TensorProto.DataType); kInvalidModel when there is none.
DType dtype_attr(const Node& n, const char* name, DType def_value);

}  // namespace skiff::rule
