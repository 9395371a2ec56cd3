#include "passes/fuse_pads.h"

#include <algorithm>
#include <cfloat>

#include "passes/edit.h"

namespace skiff::passes {
namespace {

struct Padding {
  std::vector<int64_t> begin, end;  // spatial axes only
  double value = 0;
};

// A Pad of rank r with constant, non-negative amounts on the spatial axes only.
std::optional<Padding> padding_of(const Graph& g, const Node& n) {
  int64_t rank = rank_of(g, n.input(0));
  if (rank < 3 || n.opset < 2 || n.attr_s("mode", "constant") != "constant") return std::nullopt;
  Padding r;
  std::optional<std::vector<int64_t>> pads;
  if (n.opset < 11) {
    pads = n.attr_ints("pads");
    r.value = static_cast<double>(n.attr_f("value", 0));
  } else {
    pads = ints_of(g, n.input(1));
    if (n.input(2) != kNoValue) {
      auto v = scalar_of(g, n.input(2));
      if (!v) return std::nullopt;
      r.value = *v;
    }
  }
  if (!pads) return std::nullopt;
  auto ur = static_cast<size_t>(rank);
  std::vector<int64_t> begin(ur, 0), end(ur, 0);
  if (n.opset >= 18 && n.input(3) != kNoValue) {
    auto axes = axes_of(g, n, 3, rank);
    if (!axes || pads->size() != 2 * axes->list.size()) return std::nullopt;
    for (size_t i = 0; i < axes->list.size(); ++i) {
      begin[static_cast<size_t>(axes->list[i])] = (*pads)[i];
      end[static_cast<size_t>(axes->list[i])] = (*pads)[axes->list.size() + i];
    }
  } else {
    if (pads->size() != 2 * ur) return std::nullopt;
    std::copy_n(pads->begin(), ur, begin.begin());
    std::copy_n(pads->begin() + rank, ur, end.begin());
  }
  auto negative = [](int64_t x) { return x < 0; };
  if (std::any_of(begin.begin(), begin.end(), negative) || std::any_of(end.begin(), end.end(), negative))
    return std::nullopt;
  if (begin[0] != 0 || begin[1] != 0 || end[0] != 0 || end[1] != 0) return std::nullopt;
  r.begin.assign(begin.begin() + 2, begin.end());
  r.end.assign(end.begin() + 2, end.end());
  return r;
}

bool never_negative(const Graph& g, ValueId v) {
  const Node* n = producer(g, v);
  if (!n || !n->domain.empty()) return false;
  return n->op == "Relu" || n->op == "Sigmoid" || n->op == "HardSigmoid" || n->op == "Softplus" ||
         n->op == "Exp" || n->op == "Abs" || n->op == "Softmax";
}

bool all_zero(const std::vector<int64_t>& v) {
  return std::all_of(v.begin(), v.end(), [](int64_t x) { return x == 0; });
}

// The node's result with its operand padded equals its result with the padding as attribute.
bool is_legal(const Graph& g, const Node& n, const Node& pad, const Padding& p) {
  std::string auto_pad = n.attr_s("auto_pad", "NOTSET");
  if (auto_pad != "NOTSET" && auto_pad != "VALID") return false;
  if (n.op == "Conv") return p.value == 0;
  auto kernel = n.attr_ints("kernel_shape"), own = n.attr_ints("pads");
  if (n.attr_i("ceil_mode", 0) != 0 || kernel.size() != p.begin.size()) return false;
  // A pool must see at least one element in every window.
  for (size_t i = 0; i < kernel.size(); ++i) {
    int64_t b = own.empty() ? 0 : own[i], e = own.empty() ? 0 : own[kernel.size() + i];
    if (p.begin[i] + b >= kernel[i] || p.end[i] + e >= kernel[i]) return false;
  }
  if (n.op == "AveragePool")
    return p.value == 0 && n.opset >= 7 && (all_zero(own) || n.attr_i("count_include_pad", 0) != 0);
  if (n.op == "MaxPool" && n.outputs.size() == 1)
    return p.value <= -FLT_MAX || (p.value == 0 && never_negative(g, pad.inputs[0]));
  return false;
}

}  // namespace

bool fuse_pads(Graph& g, PassContext& ctx) {
  bool changed = false;
  for (NodeId id : std::vector<NodeId>(g.order())) {
    const Node& n = g.node(id);
    if (!n.is("Conv") && !n.is("AveragePool") && !n.is("MaxPool")) continue;
    const Node* pad = made_by(g, n.input(0), "Pad");
    if (!pad || !only_use(g, n.inputs[0])) continue;
    auto p = padding_of(g, *pad);
    if (!p || !is_legal(g, n, *pad, *p)) continue;
    size_t spatial = p->begin.size();
    auto pads = n.attr_ints("pads");
    if (pads.empty() || n.attr_s("auto_pad", "NOTSET") == "VALID") pads.assign(2 * spatial, 0);
    if (pads.size() != 2 * spatial) continue;
    for (size_t i = 0; i < spatial; ++i) {
      pads[i] += p->begin[i];
      pads[spatial + i] += p->end[i];
    }
    NodeId pad_id = g.value(n.inputs[0]).producer;
    Patch patch(g);
    patch.set_attribute(id, Attribute("pads", pads));
    patch.set_attribute(id, Attribute("auto_pad", std::string("NOTSET")));
    if (n.op == "AveragePool") patch.set_attribute(id, Attribute("count_include_pad", int64_t{1}));
    patch.set_input(id, 0, pad->inputs[0]);
    patch.remove(pad_id);
    commit(g, ctx, patch);
    changed = true;
  }
  return changed;
}

}  // namespace skiff::passes
