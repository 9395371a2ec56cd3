// Files of the command: whole-file reads with a limit, atomic writes, small path helpers.
#pragma once
#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace skiff::tool {

constexpr uint64_t kMaxFileBytes = uint64_t{4} << 30;

// The contents of a regular file. Errors: ToolError naming path and cause, also when it exceeds `limit`
// bytes.
std::string read_file(const std::string& path, uint64_t limit = kMaxFileBytes);

// Replaces `path` by `contents` through a temporary file beside it, so that a reader sees the old contents or
// the new, never a part. A device or pipe (/dev/stdout) is written straight. Errors: ToolError; nothing is
// left behind.
void write_file(const std::string& path, std::string_view contents);

bool is_folder(const std::string& path);
bool is_file(const std::string& path);

// Lower-case extension without the dot: "png"; "" when there is none.
std::string extension(const std::string& path);
// File name without folders and extension.
std::string stem(const std::string& path);
std::string file_name(const std::string& path);
// `folder` + "/" + `name`, or `name` when it is absolute or the folder is empty.
std::string join(const std::string& folder, const std::string& name);
std::string parent(const std::string& path);

// Names (not paths) of the entries of a folder, sorted. Errors: ToolError when it cannot be read.
std::vector<std::string> list_folder(const std::string& path);

// Lines without their ends; a trailing empty line is dropped.
std::vector<std::string> split_lines(std::string_view text);
std::vector<std::string> split(std::string_view text, char separator);
std::string_view trim(std::string_view s);

// The number a whole field spells. Errors: ToolError naming `what`.
double parse_number(std::string_view field, std::string_view what);
int64_t parse_integer(std::string_view field, std::string_view what);
// Numbers separated by commas.
std::vector<double> parse_numbers(std::string_view list, std::string_view what);

}  // namespace skiff::tool
