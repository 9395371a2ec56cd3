// Names of classes, true classes of files, and the best few of a row of scores.
#pragma once
#include <map>
#include <string>
#include <string_view>
#include <vector>

#include "csv.h"

namespace skiff::tool {

// Class names: one a line, or a tab separated table with the columns index and name. Errors: ToolError.
std::vector<std::string> parse_labels(std::string_view text, const std::string& name);
// Columns file and index of a tab separated table: file name -> class. Errors: ToolError.
std::map<std::string, int> parse_truth(std::string_view text, const std::string& name);

struct Ranked {
  int index = 0;  // class, the label offset already subtracted
  double score = 0;
  std::string label;  // "" when there are no labels or none of this index
};
// The `k` highest scores, best first; among equals the lower index first; NaN ranks last.
std::vector<Ranked> top_k(const std::vector<double>& scores, size_t k, const std::vector<std::string>& labels,
                          int offset);
// True when the scores are shares: all in [0, 1] with the sum 1 (to 1 %).
bool are_shares(const std::vector<double>& scores);
std::vector<double> softmax(std::vector<double> scores);

}  // namespace skiff::tool
