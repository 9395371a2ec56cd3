// Numbers and tables for the terminal.
#pragma once
#include <cstdint>
#include <string>
#include <vector>

namespace skiff::tool {

// Columns padded to their widest field; a heading that starts with '>' makes its column right-aligned.
class TextTable {
 public:
  explicit TextTable(std::vector<std::string> headings);
  void add(std::vector<std::string> row);
  bool empty() const { return rows_.empty(); }
  // Two blanks between columns, a line end after each row, the headings first.
  std::string str(size_t indent = 0) const;

 private:
  std::vector<std::string> headings_;
  std::vector<bool> right_;
  std::vector<std::vector<std::string>> rows_;
};

std::string fixed(double v, int digits);
// Three significant digits with a decimal prefix: human(3.47e6) = "3.47 M"; human_bytes uses 1024: "1.50
// MiB".
std::string human(double v);
std::string human_bytes(double v);
// Nanoseconds with a fitting unit: "3.21 ms".
std::string human_time(double ns);
std::string percent(double part, double whole);

}  // namespace skiff::tool
