// Operators on strings: RegexFullMatch, StringConcat, StringNormalizer, StringSplit.
#include <algorithm>
#include <unordered_set>

#include "ops/ref_util.h"
#include "ops/rule_util.h"
#include "text/regex.h"
#include "text/unicode.h"

namespace skiff {
namespace {

// ---------------------------------------------------------------- StringConcat

void concat_reference(KernelContext& c) {
  const Tensor &a = c.in(0), &b = c.in(1);
  Tensor& y = c.out(0, DType::kString, broadcast(a.dims(), b.dims()));
  ref::StridedRuns r = ref::broadcast_runs(y.dims(), {a.dims(), b.dims()});
  while (r.next())
    for (int64_t i = 0; i < r.n(); ++i)
      y.data<std::string>()[r.at(0) + i] =
          a.data<std::string>()[r.at(1) + i * r.step(1)] + b.data<std::string>()[r.at(2) + i * r.step(2)];
}

// ---------------------------------------------------------------- StringSplit

// At most `limit` splits, then the rest.
std::vector<std::string_view> split_at(std::string_view s, std::string_view delimiter, int64_t limit) {
  std::vector<std::string_view> parts;
  for (;;) {
    size_t at = limit-- > 0 ? s.find(delimiter) : std::string_view::npos;
    parts.push_back(s.substr(0, at));
    if (at == std::string_view::npos) return parts;
    s.remove_prefix(at + delimiter.size());
  }
}

// The same between stretches of white space. White space before the parts goes, behind the last one too
// unless it is the rest.
std::vector<std::string_view> split_at_space(std::string_view s, int64_t limit) {
  std::vector<std::string_view> parts;
  // The first place from `i` on that is (not) white space.
  auto find = [&](size_t i, bool space) {
    while (i < s.size()) {
      size_t next = i;
      if (text::is_space(text::decode(s, next)) == space) break;
      i = next;
    }
    return i;
  };
  for (size_t i = find(0, false); i < s.size(); i = find(i, false)) {
    size_t end = limit-- > 0 ? find(i, true) : s.size();
    parts.push_back(s.substr(i, end - i));
    i = end;
  }
  return parts;
}

void infer_split(InferContext& c) {
  SymShape y = c.shape(0);
  if (y.has_rank()) y.dims().emplace_back();
  c.set(0, DType::kString, std::move(y));
  if (c.wants(1)) c.set(1, DType::kInt64, c.shape(0));
}

void split_reference(KernelContext& c) {
  const Tensor& x = c.in(0);
  std::string delimiter = c.node().attr_s("delimiter", "");
  int64_t limit = c.node().attr_i("maxsplit", INT64_MAX);
  check(limit >= 0, Code::kInvalidModel, "maxsplit is ", limit, "; it must not be negative");
  std::vector<std::vector<std::string_view>> parts;
  size_t most = 0;
  for (const std::string& s : x.span<std::string>()) {
    parts.push_back(delimiter.empty() ? split_at_space(s, limit) : split_at(s, delimiter, limit));
    most = std::max(most, parts.back().size());
  }
  Dims d = x.dims();
  d.push_back(static_cast<int64_t>(most));
  Tensor& y = c.out(0, DType::kString, d);
  auto* to = y.data<std::string>();
  for (const auto& p : parts) {
    std::copy(p.begin(), p.end(), to);
    std::fill(to + p.size(), to + most, std::string());
    to += most;
  }
  if (!c.wants(1)) return;
  Tensor& z = c.out(1, DType::kInt64, x.dims());
  for (size_t i = 0; i < parts.size(); ++i) z.data<int64_t>()[i] = static_cast<int64_t>(parts[i].size());
}

// ---------------------------------------------------------------- StringNormalizer

enum class CaseChange { kNone, kLower, kUpper };

CaseChange case_change(const Node& n) {
  std::string s = n.attr_s("case_change_action", "NONE");
  if (s == "LOWER") return CaseChange::kLower;
  if (s == "UPPER") return CaseChange::kUpper;
  check(s == "NONE", Code::kInvalidModel, "attribute 'case_change_action' = '", s,
        "'; it must be 'LOWER', 'UPPER' or 'NONE'");
  return CaseChange::kNone;
}

void infer_normalizer(InferContext& c) {
  (void)case_change(c.node());
  SymShape y = c.shape(0);
  if (y.has_rank()) {
    check(y.rank() == 1 || y.rank() == 2, Code::kInvalidModel,
          "the input must be [C] or [1, C], it has shape ", y.to_string());
    y[y.rank() - 1] = Dim();
  }
  c.set(0, DType::kString, std::move(y));
}

// The locale attribute is not used: upper and lower case are Unicode's own, the same on every machine.
void normalizer_reference(KernelContext& c) {
  const Tensor& x = c.in(0);
  check(x.rank() == 1 || (x.rank() == 2 && x.dim(0) == 1), Code::kInvalidModel,
        "the input must be [C] or [1, C], it is ", describe(x));
  CaseChange change = case_change(c.node());
  bool sensitive = c.node().attr_i("is_case_sensitive", 0) != 0;
  std::unordered_set<std::string> stop;
  for (const std::string& s : c.node().attr_strings("stopwords"))
    stop.insert(sensitive ? s : text::to_lower(s));
  std::vector<std::string> kept;
  for (const std::string& s : x.span<std::string>()) {
    if (!stop.empty() && stop.count(sensitive ? s : text::to_lower(s))) continue;
    kept.push_back(change == CaseChange::kLower   ? text::to_lower(s)
                   : change == CaseChange::kUpper ? text::to_upper(s)
                                                  : s);
  }
  if (kept.empty()) kept.emplace_back();
  Dims d = x.dims();
  d[d.size() - 1] = static_cast<int64_t>(kept.size());
  Tensor& y = c.out(0, DType::kString, d);
  std::copy(kept.begin(), kept.end(), y.data<std::string>());
}

// ---------------------------------------------------------------- RegexFullMatch

void regex_reference(KernelContext& c) {
  const Tensor& x = c.in(0);
  text::Regex re(c.node().attr_s("pattern", ""));
  Tensor& y = c.out(0, DType::kBool, x.dims());
  for (int64_t i = 0; i < x.size(); ++i) y.data<uint8_t>()[i] = re.full_match(x.data<std::string>()[i]);
}

}  // namespace

SKIFF_OP_DEF(ai_onnx, RegexFullMatch) {
  return {.name = "RegexFullMatch",
          .versions = {20},
          .inputs = {{"X", rule::kStringType}},
          .outputs = {{"Y", kBoolType}},
          .attributes = {{"pattern", AttrType::kString}},
          .infer = [](InferContext& c) { c.set(0, DType::kBool, c.shape(0)); },
          .reference = regex_reference};
}

SKIFF_OP_DEF(ai_onnx, StringConcat) {
  return {.name = "StringConcat",
          .versions = {20},
          .inputs = {{"X", rule::kStringType, 'T'}, {"Y", rule::kStringType, 'T'}},
          .outputs = {{"Z", rule::kStringType, 'T'}},
          .infer = infer_broadcast,
          .reference = concat_reference};
}

SKIFF_OP_DEF(ai_onnx, StringNormalizer) {
  return {.name = "StringNormalizer",
          .versions = {10},
          .inputs = {{"X", rule::kStringType}},
          .outputs = {{"Y", rule::kStringType}},
          .attributes = {{"case_change_action", AttrType::kString},
                         {"is_case_sensitive", AttrType::kInt},
                         {"locale", AttrType::kString},
                         {"stopwords", AttrType::kStrings}},
          .infer = infer_normalizer,
          .reference = normalizer_reference,
          .flags = kDataDependent};
}

SKIFF_OP_DEF(ai_onnx, StringSplit) {
  return {.name = "StringSplit",
          .versions = {20},
          .inputs = {{"X", rule::kStringType}},
          .outputs = {{"Y", rule::kStringType}, {"Z", mask_of(DType::kInt64)}},
          .attributes = {{"delimiter", AttrType::kString}, {"maxsplit", AttrType::kInt}},
          .infer = infer_split,
          .reference = split_reference,
          .flags = kDataDependent};
}

}  // namespace skiff
