#include "text_table.h"

#include <algorithm>
#include <cmath>
#include <cstdio>

namespace skiff::tool {

namespace {
// Characters on screen, not bytes: continuation bytes of UTF-8 do not count.
size_t width_of(const std::string& s) {
  return static_cast<size_t>(std::count_if(s.begin(), s.end(), [](char c) { return (c & 0xC0) != 0x80; }));
}
std::string significant(double v) {
  double a = std::fabs(v);
  return fixed(v, a >= 99.95 ? 0 : a >= 9.995 ? 1 : 2);
}
}  // namespace

TextTable::TextTable(std::vector<std::string> headings) : headings_(std::move(headings)) {
  for (std::string& h : headings_) {
    right_.push_back(!h.empty() && h[0] == '>');
    if (right_.back()) h.erase(0, 1);
  }
}

void TextTable::add(std::vector<std::string> row) {
  row.resize(headings_.size());
  rows_.push_back(std::move(row));
}

std::string TextTable::str(size_t indent) const {
  std::vector<size_t> width;
  for (size_t k = 0; k < headings_.size(); ++k) {
    width.push_back(width_of(headings_[k]));
    for (const auto& row : rows_) width[k] = std::max(width[k], width_of(row[k]));
  }
  std::string out;
  auto line = [&](const std::vector<std::string>& row) {
    std::string s(indent, ' ');
    for (size_t k = 0; k < row.size(); ++k) {
      std::string pad(width[k] - width_of(row[k]), ' ');
      if (k) s += "  ";
      s += right_[k] ? pad + row[k] : row[k] + pad;
    }
    s.erase(s.find_last_not_of(' ') + 1);
    out += s + "\n";
  };
  line(headings_);
  for (const auto& row : rows_) line(row);
  return out;
}

std::string fixed(double v, int digits) {
  char buffer[400];
  std::snprintf(buffer, sizeof buffer, "%.*f", digits, v);
  return buffer;
}

std::string human(double v) {
  constexpr const char* kPrefix[] = {"", " k", " M", " G", " T", " P"};
  size_t p = 0;
  while (std::fabs(v) >= 999.5 && p < 5) v /= 1000, ++p;
  return p == 0 && v == std::floor(v) ? fixed(v, 0) : significant(v) + kPrefix[p];
}

std::string human_bytes(double v) {
  constexpr const char* kUnit[] = {" B", " KiB", " MiB", " GiB", " TiB"};
  size_t p = 0;
  while (std::fabs(v) >= 1023.5 && p < 4) v /= 1024, ++p;
  return (p == 0 ? fixed(v, 0) : significant(v)) + kUnit[p];
}

std::string human_time(double ns) {
  if (ns < 999.5) return fixed(ns, 0) + " ns";
  if (ns < 999.5e3) return significant(ns / 1e3) + " us";
  if (ns < 999.5e6) return significant(ns / 1e6) + " ms";
  return significant(ns / 1e9) + " s";
}

std::string percent(double part, double whole) {
  return whole > 0 ? fixed(100 * part / whole, 1) + " %" : "-";
}

}  // namespace skiff::tool
