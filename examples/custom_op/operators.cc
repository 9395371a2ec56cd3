// Three custom operators in one shared library, built against the headers alone:
//
//   g++ -std=c++20 -shared -fPIC -fvisibility=hidden -I INCLUDE operators.cc -o libexample_ops.so
//   skiff run custom_op.onnx --custom-ops ./libexample_ops.so ...
#include <cmath>
#include <string>
#include <vector>

#include "skiff/skiff.hpp"

using skiff::api::Op;
using skiff::api::OpCall;
using skiff::api::OpValue;

namespace {

// Y = limit * tanh(X / limit), elementwise. The shape rule hands the input's shape on, symbols included.
struct SoftClip {
  explicit SoftClip(OpCall& node) : limit(node.attribute("limit", 1.0f)) {
    if (!(limit > 0)) throw skiff::api::Exception(SKIFF_INVALID_MODEL, "limit must be above 0");
  }
  static void infer(OpCall& rule) { rule.set_output_type(0, rule.input_type(0)); }
  void run(OpCall& call) const {
    OpValue x = call.input(0);
    std::span<const float> from = x.data<const float>();
    std::span<float> to = call.output<float>(0, x.dims());
    for (size_t i = 0; i < from.size(); ++i) to[i] = limit * std::tanh(from[i] / limit);
  }
  float limit;
};

// Exponential mean over the runs of a session: a node that remembers. serial() in the registration keeps runs apart.
struct RunningMean {
  explicit RunningMean(OpCall& node) : momentum(node.attribute("momentum", 0.9f)) {}
  static void infer(OpCall& rule) { rule.set_output_type(0, rule.input_type(0)); }
  void run(OpCall& call) {
    OpValue x = call.input(0);
    std::span<const float> from = x.data<const float>();
    if (mean.size() != from.size()) mean.assign(from.begin(), from.end());
    for (size_t i = 0; i < from.size(); ++i) mean[i] = momentum * mean[i] + (1 - momentum) * from[i];
    std::span<float> to = call.output<float>(0, x.dims());
    for (size_t i = 0; i < to.size(); ++i) to[i] = mean[i];
  }
  float momentum;
  std::vector<float> mean;
};

// Splits texts at spaces: all words one after another, and how many each text had. How many words there are is known
// only when they were counted, so there is no shape rule.
struct Words {
  explicit Words(OpCall&) {}
  void run(OpCall& call) const {
    OpValue texts = call.input(0);
    std::vector<std::string> words;
    std::vector<int64_t> counts;
    for (size_t i = 0; i < texts.size(); ++i) {
      std::string_view t = texts.string_at(i);
      size_t before = words.size();
      for (size_t at = 0; at < t.size();) {
        size_t end = std::min(t.find(' ', at), t.size());
        if (end > at) words.emplace_back(t.substr(at, end - at));
        at = end + 1;
      }
      counts.push_back(static_cast<int64_t>(words.size() - before));
    }
    const int64_t n[] = {static_cast<int64_t>(words.size())};
    OpValue out = call.output(0, SKIFF_STRING, n);
    for (size_t i = 0; i < words.size(); ++i) out.set_string(i, words[i]);
    if (!call.wants_output(1)) return;
    std::span<int64_t> c = call.output<int64_t>(1, texts.dims());
    for (size_t i = 0; i < c.size(); ++i) c[i] = counts[i];
  }
};

}  // namespace

SKIFF_EXPORT_OPS(api, registry) {
  const Op ops[] = {
      Op::of<SoftClip>("com.example", "SoftClip")
          .input("X", {SKIFF_FLOAT})
          .output("Y", {SKIFF_FLOAT})
          .attribute("limit", SKIFF_ATTR_FLOAT),
      Op::of<RunningMean>("com.example", "RunningMean")
          .input("X", {SKIFF_FLOAT})
          .output("Y", {SKIFF_FLOAT})
          .attribute("momentum", SKIFF_ATTR_FLOAT)
          .serial(),
      Op::of<Words>("com.example", "Words")
          .input("texts", {SKIFF_STRING})
          .output("words", {SKIFF_STRING})
          .output("counts", {SKIFF_INT64}, 0, SKIFF_OPTIONAL),
  };
  for (const Op& op : ops)
    if (skiff_status s = op.add_to(api, registry); s != SKIFF_OK) return s;
  return SKIFF_OK;
}
