#include "array.h"

#include "fail.h"
#include "files.h"

namespace skiff::tool {

std::string dims_text(const std::vector<int64_t>& dims) {
  if (dims.empty()) return "scalar";
  std::string s;
  for (int64_t d : dims) s += (s.empty() ? "" : "x") + std::to_string(d);
  return s;
}

std::vector<int64_t> parse_dims(const std::string& text, const std::string& what) {
  std::vector<int64_t> dims;
  if (text.empty() || text == "scalar") return dims;
  for (const std::string& part : split(text, text.find(',') != std::string::npos ? ',' : 'x')) {
    dims.push_back(parse_integer(part, what));
    if (dims.back() < 0) fail(what, ": an extent cannot be negative");
  }
  return dims;
}

}  // namespace skiff::tool
