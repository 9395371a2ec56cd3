// Machine-readable output: every subcommand prints exactly one JSON document with --json.
#pragma once
#include <nlohmann/json.hpp>
#include <string>

namespace skiff::tool {

using Json = nlohmann::ordered_json;

// Writes to stdout. Text that is not UTF-8 is shown with replacement characters, NaN and infinities as null.
void print_json(const Json& json);
void print(const std::string& text);
// JSON made by the library. Errors: ToolError (a bug of the library).
Json parse_json(const std::string& text);
// Field of an object, or `other` when it is absent or of another kind.
double number_or(const Json& j, const char* key, double other);
std::string text_or(const Json& j, const char* key, const std::string& other);

}  // namespace skiff::tool
