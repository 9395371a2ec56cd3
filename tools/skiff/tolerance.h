// How close an output must be: the table INDEX.tsv that can stand above a folder of models.
//
// A tab separated table with the columns model (folder below the table's), set, check, atol, rtol. check,
// atol and rtol hold one entry, or one for each output separated by ';'. A check is
//   close                     |got - want| <= atol + rtol |want|
//   close<=NstepsX            the same; the tolerance is already in atol (steps of a quantized output)
//   ...+top1                  and the best class of every row agrees
//   exact                     every element equal
//   mismatch_frac<=X          at most the share X of the elements differs
//   coords(y,x) atol T ...    only the first two entries of the last axis count, within T
// The set SKIPPED says that the model has no data: it must load and run.
#pragma once
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "skiff/skiff.hpp"

namespace skiff::tool {

struct Check {
  enum class Kind { kClose, kMismatchShare, kCoordinates } kind = Kind::kClose;
  bool top1 = false;
  double atol = 1e-5, rtol = 1e-3, share = 0;
};

class ToleranceIndex {
 public:
  // Errors: ToolError naming the file, the row and what it does not understand.
  ToleranceIndex(std::string_view text, const std::string& path);
  // Checks of a set of a model (its folder below the table's); one for all outputs, or one each. nullptr: not
  // listed.
  const std::vector<Check>* find(const std::string& model, const std::string& set) const;
  bool skipped(const std::string& model) const { return find(model, "SKIPPED") != nullptr; }

 private:
  std::map<std::pair<std::string, std::string>, std::vector<Check>> rows_;
};

// Empty when `got` passes, else what differs, how far and where.
std::string compare(const api::Value& got, const api::Value& want, const Check& check);

}  // namespace skiff::tool
