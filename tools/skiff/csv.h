// Text tables: comma or tab separated values with quotes (RFC 4180), and plain numbers separated by space.
#pragma once
#include <string>
#include <string_view>
#include <vector>

#include "array.h"

namespace skiff::tool {

using Table = std::vector<std::vector<std::string>>;

// Rows of fields. Fields may be quoted, "" inside quotes is a quote. Empty lines are skipped.
// Errors: ToolError naming `name` and the line (a quote that never ends).
Table decode_csv(std::string_view text, char separator, const std::string& name);
std::string encode_csv(const Table& table, char separator = ',');

// A table of numbers as double[rows, columns]; a first row that is not all numbers is taken as the header and
// left out. Errors: ToolError when rows differ in length or a field is not a number.
Array numbers_of_csv(std::string_view text, const std::string& name);
// The table as strings[rows, columns].
Array strings_of_csv(std::string_view text, const std::string& name);
// Numbers separated by white space or commas as double[n]; '#' starts a comment.
Array numbers_of_text(std::string_view text, const std::string& name);

// Column called `column` of a table with a header row; -1 when there is none.
int column_of(const Table& table, std::string_view column);

}  // namespace skiff::tool
