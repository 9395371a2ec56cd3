#include "conformance/random_check.h"

#include <cmath>

#include "ops/op.h"

namespace skiff::conformance {
namespace {

// Six deviations: one false alarm in 10^9.
bool plausible(double sum, double mean, double variance) {
  return std::abs(sum - mean) <= 6 * std::sqrt(variance) + 1e-6;
}

std::string check_bernoulli(const Tensor& p, const Tensor& y) {
  double sum = 0, mean = 0, variance = 0;
  for (int64_t i = 0; i < y.size(); ++i) {
    double v = get_double(y, i), q = get_double(p, i);
    if (v != 0 && v != 1) return cat("element ", i, " is ", v, ", neither 0 nor 1");
    if ((q <= 0 && v != 0) || (q >= 1 && v != 1)) return cat("element ", i, " is ", v, " at probability ", q);
    sum += v;
    mean += q;
    variance += q * (1 - q);
  }
  return plausible(sum, mean, variance) ? "" : cat(sum, " draws are 1 where ", mean, " are expected");
}

std::string check_dropout(const Node& n, std::span<const Datum* const> in, std::span<const Datum> out) {
  const Tensor &x = in[0]->tensor(), &y = out[0].tensor();
  double ratio = in.size() > 1 && in[1] ? get_double(in[1]->tensor(), 0) : 0.5;
  bool training = n.opset >= 12 && in.size() > 2 && in[2] && get_int(in[2]->tensor(), 0) != 0;
  if (!training) ratio = 0;
  double dropped = 0, count = static_cast<double>(x.size());
  for (int64_t i = 0; i < x.size(); ++i) {
    double v = get_double(y, i), kept = get_double(x, i) / (1 - ratio);
    bool gone = v == 0 && kept != 0;
    dropped += gone;
    if (!gone && std::abs(v - kept) > 1e-3 * std::abs(kept))
      return cat("element ", i, " is ", v, ", expected 0 or ", kept);
    if (out.size() > 1 && (get_int(out[1].tensor(), i) != 0) == gone && kept != 0)
      return cat("the mask's element ", i, " contradicts the output");
  }
  return plausible(dropped, ratio * count, ratio * (1 - ratio) * count)
             ? ""
             : cat(dropped, " elements are dropped of ", count, " at ratio ", ratio);
}

}  // namespace

bool is_random(const Graph& g) {
  for (NodeId id : g.order())
    if (g.node(id).def && g.node(id).def->is(kNondeterministic)) return true;
  return false;
}

std::string check_random(const Graph& g, std::span<const Datum> inputs, std::span<const Datum> outputs) {
  for (NodeId id : g.order()) {
    const Node& n = g.node(id);
    if (!n.def || !n.def->is(kNondeterministic)) continue;
    std::vector<const Datum*> in;
    for (ValueId v : n.inputs) {
      const Datum* d = nullptr;
      for (size_t i = 0; i < g.inputs().size(); ++i)
        if (g.inputs()[i] == v && i < inputs.size()) d = &inputs[i];
      in.push_back(d);
    }
    if (n.op == "Dropout") return check_dropout(n, in, outputs);
    // RandomUniformLike of the probabilities, compared with them: what Bernoulli expands to.
    if (n.op == "Bernoulli" || n.op == "RandomUniformLike")
      return check_bernoulli(inputs[0].tensor(), outputs[0].tensor());
  }
  return "the case is random, but nobody has said how to judge it";
}

}  // namespace skiff::conformance
