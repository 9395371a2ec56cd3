// Between the library's values, the arrays of the file formats, text and JSON.
#pragma once
#include <string>
#include <vector>

#include "array.h"
#include "json_out.h"
#include "skiff/skiff.hpp"

namespace skiff::tool {

api::Value to_value(const Array& array);
// A copy of a tensor. Errors: ToolError for anything else.
Array to_array(const api::Value& value);
// The value with the given element type, cast where it has another (numbers only).
api::Value cast_to(api::Value value, skiff_dtype dtype);
// Elements of a tensor of real numbers as double. Errors: api::Exception for strings and complex numbers.
std::vector<double> doubles_of(const api::Value& value);

// "float[1, 1000]", "seq(3 items)", "map(3 entries)".
std::string type_text(const api::Value& value);
// Shape, statistics and the first elements; everything when there are at most `limit` elements.
std::string describe(const api::Value& value, size_t limit = 100);
// {"kind", "dtype", "shape", "data"} or, above `limit` elements, "min", "max", "mean", "first" in place of
// "data".
Json to_json(const api::Value& value, size_t limit = 1000);

// By the file's ending: .npy .npz .pb .txt .csv; `name` is the tensor's name inside .pb and .npz. Atomic.
// Errors: ToolError for other endings and for values the format cannot hold.
void save_value(const api::Value& value, const std::string& name, const std::string& path);

}  // namespace skiff::tool
