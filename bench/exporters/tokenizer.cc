// com.microsoft.Tokenizer, which skl2onnx writes for every text pipeline, as a library of one custom operator. The bench
// loads it where Skiff's catalogue has no such operator. Pieces are the matches of `tokenexp` (std::regex over ASCII
// patterns; "." stands for one UTF-8 character) of at least `mincharnum` characters; rows are filled up with `pad_value`.
#include <regex>
#include <string>
#include <vector>

#include "skiff/skiff.hpp"

using skiff::api::OpCall;
using skiff::api::OpValue;

namespace {

std::vector<std::string> characters(std::string_view s) {
  std::vector<std::string> r;
  for (char c : s) {
    if ((c & 0xC0) == 0x80 && !r.empty())
      r.back() += c;
    else
      r.emplace_back(1, c);
  }
  return r;
}

struct Tokenizer {
  explicit Tokenizer(OpCall& node)
      : pad(node.attribute("pad_value", "")),
        pattern(node.attribute("tokenexp", "")),
        least(node.attribute("mincharnum", 1)) {
    if (pattern.empty() || node.attribute("mark", 0) != 0)
      throw skiff::api::Exception(SKIFF_UNSUPPORTED, "this Tokenizer knows tokenexp alone, without marks");
    if (pattern != ".") expression = std::regex(pattern);
  }
  std::vector<std::string> split(std::string_view s) const {
    if (pattern == ".") return characters(s);
    std::vector<std::string> r;
    std::string text(s);
    for (std::sregex_iterator i(text.begin(), text.end(), expression), end; i != end; ++i)
      if (static_cast<int64_t>(characters(i->str()).size()) >= least) r.push_back(i->str());
    return r;
  }
  void run(OpCall& call) const {
    OpValue x = call.input(0);
    std::vector<std::vector<std::string>> rows;
    size_t most = 0;
    for (size_t i = 0; i < x.size(); ++i) {
      rows.push_back(split(x.string_at(i)));
      most = std::max(most, rows.back().size());
    }
    std::vector<int64_t> dims(x.dims().begin(), x.dims().end());
    dims.push_back(static_cast<int64_t>(most));
    OpValue y = call.output(0, SKIFF_STRING, dims);
    for (size_t r = 0; r < rows.size(); ++r)
      for (size_t k = 0; k < most; ++k) y.set_string(r * most + k, k < rows[r].size() ? rows[r][k] : pad);
  }
  std::string pad, pattern;
  int64_t least;
  std::regex expression;
};

}  // namespace

SKIFF_EXPORT_OPS(api, registry) {
  return skiff::api::Op::of<Tokenizer>("com.microsoft", "Tokenizer")
      .input("X", {SKIFF_STRING})
      .output("Y", {SKIFF_STRING})
      .attribute("mark", SKIFF_ATTR_INT)
      .attribute("mincharnum", SKIFF_ATTR_INT)
      .attribute("pad_value", SKIFF_ATTR_STRING, true)
      .attribute("tokenexp", SKIFF_ATTR_STRING)
      .add_to(api, registry);
}
