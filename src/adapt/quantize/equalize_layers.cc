#include <algorithm>
#include <cmath>

#include "adapt/quantize/transforms.h"
#include "passes/edit.h"

namespace skiff::adapt {
namespace {

// Channels of a weight as one layer's outputs or the next one's inputs: element e belongs to channel (e /
// inner) % channels of a weight read as [.., channels, inner].
struct Channels {
  int64_t count = 0, inner = 1;
  size_t of(size_t e) const { return static_cast<size_t>(static_cast<int64_t>(e) / inner % count); }
};

bool is_layer(const Graph& g, const Node& n) {
  const Tensor* w = passes::constant_of(g, n.input(1));
  if (!w || w->dtype() != DType::kFloat || (n.input(2) != kNoValue && !passes::constant_of(g, n.input(2))))
    return false;
  if (n.op == "Conv") return n.attr_i("group", 1) == 1 || w->dim(1) == 1;  // plain, or depthwise
  return n.op == "Gemm" && n.attr_i("transA", 0) == 0 && w->rank() == 2;
}

Channels outputs(const Node& n, const Tensor& w) {
  int64_t axis = n.op == "Conv" || n.attr_i("transB", 0) ? 0 : 1;
  return {w.dim(axis), axis == 0 ? w.size() / std::max<int64_t>(w.dim(0), 1) : 1};
}
Channels inputs(const Node& n, const Tensor& w) {
  if (n.op == "Conv" && w.dim(1) == 1 && n.attr_i("group", 1) > 1) return outputs(n, w);  // depthwise
  int64_t axis = n.op == "Conv" || n.attr_i("transB", 0) ? 1 : 0;
  int64_t inner = 1;
  for (int64_t d = axis + 1; d < w.rank(); ++d) inner *= w.dim(d);
  return {w.dim(axis), inner};
}

std::vector<float> ranges(const std::vector<float>& w, const Channels& c) {
  std::vector<float> r(static_cast<size_t>(c.count), 0);
  for (size_t e = 0; e < w.size(); ++e) r[c.of(e)] = std::max(r[c.of(e)], std::fabs(w[e]));
  return r;
}

// The layer that alone reads what this one makes, directly or through Relu; kNoNode when there is none.
NodeId next_layer(const Graph& g, NodeId id) {
  ValueId v = g.node(id).outputs[0];
  for (;;) {
    NodeId user = passes::sole_user(g, v);
    if (user == kNoNode) return kNoNode;
    const Node& n = g.node(user);
    if (n.is("Relu")) {
      v = n.outputs[0];
      continue;
    }
    return is_layer(g, n) && n.inputs[0] == v ? user : kNoNode;
  }
}

}  // namespace

void equalize_layers(Model& m, Report& report) {
  Graph& g = m.graph;
  std::vector<std::pair<NodeId, NodeId>> pairs;
  for (NodeId id : g.order())
    if (is_layer(g, g.node(id)))
      if (NodeId next = next_layer(g, id); next != kNoNode) {
        const Tensor &a = g.value(g.node(id).inputs[1]).constant,
                     &b = g.value(g.node(next).inputs[1]).constant;
        if (outputs(g.node(id), a).count == inputs(g.node(next), b).count) pairs.emplace_back(id, next);
      }
  std::unordered_map<ValueId, std::vector<float>> edited;  // weights and biases
  auto values = [&](ValueId v) -> std::vector<float>& {
    auto [it, fresh] = edited.try_emplace(v);
    if (fresh) it->second = floats_of(g, v);
    return it->second;
  };
  constexpr int kRounds = 10;
  for (int round = 0; round < kRounds; ++round)
    for (auto [first, second] : pairs) {
      const Node &a = g.node(first), &b = g.node(second);
      if (g.value(a.inputs[1]).uses.size() != 1 || g.value(b.inputs[1]).uses.size() != 1)
        continue;  // shared weights
      Channels out = outputs(a, g.value(a.inputs[1]).constant), in = inputs(b, g.value(b.inputs[1]).constant);
      std::vector<float>&wa = values(a.inputs[1]), &wb = values(b.inputs[1]);
      std::vector<float> ra = ranges(wa, out), rb = ranges(wb, in), s(ra.size(), 1);
      for (size_t c = 0; c < s.size(); ++c)
        if (ra[c] > 0 && rb[c] > 0) s[c] = std::clamp(std::sqrt(ra[c] / rb[c]), 1e-3f, 1e3f);
      for (size_t e = 0; e < wa.size(); ++e) wa[e] /= s[out.of(e)];
      for (size_t e = 0; e < wb.size(); ++e) wb[e] *= s[in.of(e)];
      if (a.input(2) != kNoValue && g.value(a.inputs[2]).uses.size() == 1) {
        std::vector<float>& bias = values(a.inputs[2]);
        for (size_t c = 0; c < bias.size(); ++c) bias[c] /= s[bias.size() == 1 ? 0 : c];
      } else if (a.input(2) != kNoValue) {
        // A bias that others read as well: undo, the pair cannot be scaled.
        for (size_t e = 0; e < wa.size(); ++e) wa[e] *= s[out.of(e)];
        for (size_t e = 0; e < wb.size(); ++e) wb[e] /= s[in.of(e)];
      }
    }
  for (auto& [v, w] : edited)
    g.mutable_value(v).constant = Tensor::from(std::span<const float>(w), g.value(v).constant.dims());
  report.notes.push_back(
      pairs.empty() ? std::string("no two layers follow each other directly or through Relu: nothing to "
                                  "equalize")
                    : cat(pairs.size(), " pairs of layers equalized"));
}

}  // namespace skiff::adapt
