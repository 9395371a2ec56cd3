#include "tolerance.h"

#include <algorithm>
#include <cmath>

#include "csv.h"
#include "fail.h"
#include "files.h"
#include "text_table.h"
#include "values.h"

namespace skiff::tool {

namespace {

std::vector<std::string> entries(const std::string& cell) {
  std::vector<std::string> parts;
  for (const std::string& p : split(cell, ';')) parts.emplace_back(trim(p));
  return parts;
}

Check parse_check(const std::string& text, const std::string& where) {
  constexpr std::string_view kShare = "mismatch_frac<=", kCoordinates = "coords(y,x) atol ";
  Check c;
  if (text.starts_with(kShare)) {
    c.kind = Check::Kind::kMismatchShare;
    c.share = parse_number(text.substr(kShare.size()), where);
  } else if (text.starts_with(kCoordinates)) {
    c.kind = Check::Kind::kCoordinates;
    c.share = 0;
    std::string number = text.substr(kCoordinates.size());
    c.atol = parse_number(number.substr(0, number.find_first_of(" ;")), where);
    c.rtol = 0;
  } else if (text == "exact" || text.starts_with("close")) {
    c.top1 = text.ends_with("+top1");
  } else {
    fail(where, ": the check \"", text,
         "\" is not known; known are close, exact, mismatch_frac<=, coords(y,x) atol");
  }
  return c;
}

std::vector<Check> parse_checks(const std::string& check, const std::string& atol, const std::string& rtol,
                                const std::string& where) {
  // The text of a coords check holds a ';' of its own and goes with a single output.
  bool whole = check.starts_with("coords(");
  std::vector<std::string> checks = whole ? std::vector<std::string>{check} : entries(check);
  std::vector<std::string> a = entries(atol), r = entries(rtol);
  size_t n = std::max({checks.size(), a.size(), r.size()});
  for (std::vector<std::string>* list : {&checks, &a, &r}) {
    if (list->size() == 1) list->assign(n, list->front());
    if (list->size() != n) fail(where, ": check, atol and rtol name different numbers of outputs");
  }
  std::vector<Check> out;
  for (size_t i = 0; i < n; ++i) {
    Check c = parse_check(checks[i], where);
    if (c.kind != Check::Kind::kCoordinates) {
      c.atol = parse_number(a[i], where);
      c.rtol = parse_number(r[i], where);
      if (checks[i] == "exact") c.atol = c.rtol = 0;
    }
    out.push_back(c);
  }
  return out;
}

// The best class of each row (of the first axis, when there is more than one). Several equal bests of `got`
// count as any of them.
std::string compare_best(const std::vector<double>& got, const std::vector<double>& want,
                         const std::vector<int64_t>& dims) {
  size_t rows = dims.size() > 1 && dims[0] > 0 ? static_cast<size_t>(dims[0]) : 1, n = want.size() / rows;
  for (size_t r = 0; r < rows && n > 0; ++r) {
    auto first = static_cast<std::ptrdiff_t>(r * n), last = static_cast<std::ptrdiff_t>((r + 1) * n);
    auto g = std::max_element(got.begin() + first, got.begin() + last),
         w = std::max_element(want.begin() + first, want.begin() + last);
    if (got[static_cast<size_t>(w - want.begin())] != *g)
      return cat("top-1 of row ", r, " is ", g - got.begin() - first, ", expected ",
                 w - want.begin() - first);
  }
  return {};
}

std::string compare_coordinates(const std::vector<double>& got, const std::vector<double>& want,
                                const std::vector<int64_t>& dims, double atol) {
  size_t n = dims.empty() ? 0 : static_cast<size_t>(dims.back());
  if (n < 2) return "coordinates need a last axis of at least 2";
  double worst = 0;
  size_t at = 0;
  for (size_t i = 0; i < want.size(); ++i) {
    if (i % n >= 2 || (std::isnan(got[i]) && std::isnan(want[i]))) continue;
    double d = std::isnan(got[i] - want[i]) ? HUGE_VAL : std::fabs(got[i] - want[i]);
    if (d > worst) worst = d, at = i;
  }
  if (worst <= atol) return {};
  return cat("coordinate ", at, " is ", got[at], ", expected ", want[at], " (", worst, " apart, ", atol,
             " allowed)");
}

}  // namespace

ToleranceIndex::ToleranceIndex(std::string_view text, const std::string& path) {
  Table t = decode_csv(text, '\t', path);
  int column[5], k = 0;
  for (const char* name : {"model", "set", "check", "atol", "rtol"})
    if ((column[k++] = column_of(t, name)) < 0) fail(path, ": the column \"", name, "\" is missing");
  for (size_t r = 1; r < t.size(); ++r) {
    auto cell = [&](int c) {
      auto i = static_cast<size_t>(column[c]);
      return i < t[r].size() ? t[r][i] : std::string();
    };
    std::string where = cat(path, ", row ", r + 1, " (", cell(0), "/", cell(1), ")");
    rows_[{cell(0), cell(1)}] =
        cell(1) == "SKIPPED" ? std::vector<Check>{} : parse_checks(cell(2), cell(3), cell(4), where);
  }
}

const std::vector<Check>* ToleranceIndex::find(const std::string& model, const std::string& set) const {
  auto it = rows_.find({model, set});
  return it == rows_.end() ? nullptr : &it->second;
}

std::string compare(const api::Value& got, const api::Value& want, const Check& check) {
  bool only_close = check.kind == Check::Kind::kClose && !check.top1;
  if (!only_close) {
    if (got.kind() != want.kind() || got.kind() != SKIFF_KIND_TENSOR)
      return cat("got a ", type_text(got), ", expected a ", type_text(want));
    if (got.dtype() != want.dtype() || got.dims() != want.dims())
      return cat("got ", type_text(got), ", expected ", type_text(want));
  }
  if (check.kind == Check::Kind::kCoordinates)
    return compare_coordinates(doubles_of(got), doubles_of(want), want.dims(), check.atol);
  skiff_difference d{};
  bool share = check.kind == Check::Kind::kMismatchShare;
  api::check(skiff_value_compare(got.get(), want.get(), share ? 0 : check.rtol, share ? 0 : check.atol, &d));
  if (share) {
    double part = d.elements ? static_cast<double>(d.mismatches) / static_cast<double>(d.elements) : 0;
    return part <= check.share
               ? ""
               : cat(d.mismatches, " of ", d.elements, " elements differ (", fixed(100 * part, 3), " %, ",
                     fixed(100 * check.share, 3), " % allowed)");
  }
  if (!d.equal) return d.text[0] ? d.text : "differs";
  return check.top1 ? compare_best(doubles_of(got), doubles_of(want), want.dims()) : "";
}

}  // namespace skiff::tool
