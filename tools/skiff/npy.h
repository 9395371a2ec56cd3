// NumPy's files: .npy (one array; format versions 1 to 3) and .npz (a zip of them).
// https://numpy.org/doc/stable/reference/generated/numpy.lib.format.html
#pragma once
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "array.h"

namespace skiff::tool {

// Reads little or big endian numbers, bool, complex, and strings (U and S), in C or Fortran order; elements
// come out row-major and in this machine's order. Errors: ToolError; `name` is what messages call the file.
Array decode_npy(std::string_view contents, const std::string& name);
// Version 1 (2 for long headers). Errors: ToolError for types NumPy has no name for (bfloat16, float8, 4 and
// 2 bits).
std::string encode_npy(const Array& array, const std::string& name);

// Entries "x.npy" of a zip, stored or deflated, with their checksums verified; names come without ".npy".
std::vector<std::pair<std::string, Array>> decode_npz(std::string_view contents, const std::string& name);
std::string encode_npz(const std::vector<std::pair<std::string, Array>>& arrays, const std::string& name);

}  // namespace skiff::tool
