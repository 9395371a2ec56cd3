#include "csv.h"

#include <charconv>

#include "fail.h"
#include "files.h"

namespace skiff::tool {

namespace {

bool is_number(std::string_view field) {
  std::string_view s = trim(field);
  if (s.size() > 1 && s.front() == '+') s.remove_prefix(1);
  double v = 0;
  auto [end, ec] = std::from_chars(s.data(), s.data() + s.size(), v);
  return !s.empty() && end == s.data() + s.size() && ec != std::errc::invalid_argument;
}

void check_rectangular(const Table& t, const std::string& name) {
  for (size_t r = 1; r < t.size(); ++r)
    if (t[r].size() != t[0].size())
      fail(name, ": row ", r + 1, " has ", t[r].size(), " fields, the first has ", t[0].size());
}

}  // namespace

Table decode_csv(std::string_view text, char separator, const std::string& name) {
  Table table;
  std::vector<std::string> row;
  std::string field;
  bool quoted = false, any = false;
  size_t line = 1, opened = 0;
  auto end_row = [&] {
    if (any || !row.empty() || !field.empty()) {
      row.push_back(std::move(field));
      table.push_back(std::move(row));
    }
    row.clear();
    field.clear();
    any = false;
  };
  for (size_t i = 0; i < text.size(); ++i) {
    char c = text[i];
    if (c == '\n') ++line;
    if (quoted) {
      if (c != '"') {
        field += c;
      } else if (i + 1 < text.size() && text[i + 1] == '"') {
        field += '"';
        ++i;
      } else {
        quoted = false;
      }
    } else if (c == '"' && field.empty()) {
      quoted = any = true;
      opened = line;
    } else if (c == separator) {
      row.push_back(std::move(field));
      field.clear();
      any = true;
    } else if (c == '\n') {
      end_row();
    } else if (c != '\r' || (i + 1 < text.size() && text[i + 1] != '\n')) {
      field += c;
    }
  }
  if (quoted) fail(name, ": the quote opened in line ", opened, " never ends");
  end_row();
  return table;
}

std::string encode_csv(const Table& table, char separator) {
  std::string s;
  for (const auto& row : table) {
    for (size_t k = 0; k < row.size(); ++k) {
      if (k) s += separator;
      const std::string& f = row[k];
      if (f.find_first_of("\"\n\r") == std::string::npos && f.find(separator) == std::string::npos) {
        s += f;
        continue;
      }
      s += '"';
      for (char c : f) s += c == '"' ? std::string("\"\"") : std::string(1, c);
      s += '"';
    }
    s += '\n';
  }
  return s;
}

Array numbers_of_csv(std::string_view text, const std::string& name) {
  Table t = decode_csv(text, ',', name);
  if (!t.empty()) {
    bool header = false;
    for (const std::string& f : t[0]) header = header || !is_number(f);
    if (header) t.erase(t.begin());
  }
  if (t.empty()) fail(name, ": holds no rows of numbers");
  check_rectangular(t, name);
  std::vector<double> v;
  for (size_t r = 0; r < t.size(); ++r)
    for (size_t c = 0; c < t[r].size(); ++c)
      v.push_back(parse_number(t[r][c], cat(name, ", row ", r + 1, ", column ", c + 1)));
  return Array::of(SKIFF_DOUBLE, {static_cast<int64_t>(t.size()), static_cast<int64_t>(t[0].size())}, v);
}

Array strings_of_csv(std::string_view text, const std::string& name) {
  Table t = decode_csv(text, ',', name);
  if (t.empty()) fail(name, ": holds no rows");
  check_rectangular(t, name);
  Array a{SKIFF_STRING, {static_cast<int64_t>(t.size()), static_cast<int64_t>(t[0].size())}, {}, {}};
  for (auto& row : t)
    for (auto& f : row) a.strings.push_back(std::move(f));
  return a;
}

Array numbers_of_text(std::string_view text, const std::string& name) {
  std::vector<double> v;
  size_t line = 0;
  for (const std::string& l : split_lines(text)) {
    ++line;
    std::string_view s = std::string_view(l).substr(0, l.find('#'));
    for (size_t at = 0; (at = s.find_first_not_of(" \t,;", at)) != std::string_view::npos;) {
      size_t end = std::min(s.find_first_of(" \t,;", at), s.size());
      v.push_back(parse_number(s.substr(at, end - at), cat(name, ", line ", line)));
      at = end;
    }
  }
  if (v.empty()) fail(name, ": holds no numbers");
  return Array::of(SKIFF_DOUBLE, {static_cast<int64_t>(v.size())}, v);
}

int column_of(const Table& table, std::string_view column) {
  if (!table.empty())
    for (size_t k = 0; k < table[0].size(); ++k)
      if (trim(table[0][k]) == column) return static_cast<int>(k);
  return -1;
}

}  // namespace skiff::tool
