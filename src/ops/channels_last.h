// Axes between NCHW and NHWC, for the internal operators that take either layout.
#pragma once
#include <string_view>
#include <vector>

#include "ops/op.h"

namespace skiff {

// Throws kInvalidModel unless the attribute says NCHW or NHWC.
bool is_nhwc(const Node& n, std::string_view attr = "layout", std::string_view def_value = "NCHW");
// Permutations that bring the channels to axis 1 or to the last axis: output axis i is input axis perm[i].
std::vector<size_t> to_first(size_t rank);
std::vector<size_t> to_last(size_t rank);
// A shape under one of them. Throws kInvalidModel for ranks below 3; unknown ranks stay unknown.
SymShape permuted(const SymShape& s, bool first);

}  // namespace skiff
