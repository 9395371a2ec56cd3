#include "labels.h"

#include <algorithm>
#include <cmath>
#include <numeric>

#include "fail.h"
#include "files.h"

namespace skiff::tool {

namespace {
constexpr int64_t kMaxClasses = 10'000'000;

int class_of(const std::string& field, const std::string& where) {
  int64_t v = parse_integer(field, where);
  if (v < 0 || v > kMaxClasses) fail(where, ": class ", v, " is out of range");
  return static_cast<int>(v);
}
}  // namespace

std::vector<std::string> parse_labels(std::string_view text, const std::string& name) {
  std::string_view first = text.substr(0, text.find('\n'));
  if (first.find('\t') == std::string_view::npos) {
    std::vector<std::string> labels = split_lines(text);
    if (labels.empty()) fail(name, ": holds no labels");
    return labels;
  }
  Table t = decode_csv(text, '\t', name);
  int index = column_of(t, "index"), label = column_of(t, "name");
  if (index < 0 || label < 0) fail(name, ": a table of labels needs the columns index and name");
  std::vector<std::string> labels;
  for (size_t r = 1; r < t.size(); ++r) {
    if (t[r].size() != t[0].size()) fail(name, ": row ", r + 1, " has ", t[r].size(), " fields");
    auto i = static_cast<size_t>(class_of(t[r][static_cast<size_t>(index)], cat(name, ", row ", r + 1)));
    if (i >= labels.size()) labels.resize(i + 1);
    labels[i] = t[r][static_cast<size_t>(label)];
  }
  return labels;
}

std::map<std::string, int> parse_truth(std::string_view text, const std::string& name) {
  Table t = decode_csv(text, '\t', name);
  int file = column_of(t, "file"), index = column_of(t, "index");
  if (file < 0 || index < 0) fail(name, ": the table needs the tab separated columns file and index");
  std::map<std::string, int> truth;
  for (size_t r = 1; r < t.size(); ++r) {
    if (t[r].size() != t[0].size()) fail(name, ": row ", r + 1, " has ", t[r].size(), " fields");
    truth[t[r][static_cast<size_t>(file)]] =
        class_of(t[r][static_cast<size_t>(index)], cat(name, ", row ", r + 1));
  }
  return truth;
}

std::vector<Ranked> top_k(const std::vector<double>& scores, size_t k, const std::vector<std::string>& labels,
                          int offset) {
  std::vector<size_t> order(scores.size());
  std::iota(order.begin(), order.end(), size_t{0});
  k = std::min(k, order.size());
  auto key = [&](size_t i) { return std::isnan(scores[i]) ? -HUGE_VAL : scores[i]; };
  std::partial_sort(order.begin(), order.begin() + static_cast<std::ptrdiff_t>(k), order.end(),
                    [&](size_t a, size_t b) {
                      double x = key(a), y = key(b);
                      return x != y ? x > y : a < b;
                    });
  std::vector<Ranked> best;
  for (size_t i = 0; i < k; ++i) {
    int index = static_cast<int>(order[i]) - offset;
    bool named = index >= 0 && static_cast<size_t>(index) < labels.size();
    best.push_back({index, scores[order[i]], named ? labels[static_cast<size_t>(index)] : std::string()});
  }
  return best;
}

bool are_shares(const std::vector<double>& scores) {
  double sum = 0;
  for (double s : scores) {
    if (!(s >= 0 && s <= 1.001)) return false;
    sum += s;
  }
  return std::fabs(sum - 1) < 0.01;
}

std::vector<double> softmax(std::vector<double> s) {
  double top = s.empty() ? 0 : *std::max_element(s.begin(), s.end()), sum = 0;
  for (double& v : s) sum += v = std::exp(v - top);
  for (double& v : s) v /= sum;
  return s;
}

}  // namespace skiff::tool
