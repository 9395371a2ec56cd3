#include "passes/fuse_conv_epilogues.h"

#include "ops/op.h"
#include "passes/activation.h"

namespace skiff::passes {
namespace {

bool is_candidate(const Graph& g, const Node& n) {
  if (n.op != "Conv" && n.op != "ConvTranspose") return false;
  if (!n.domain.empty() && n.domain != "skiff") return false;
  return dtype_of(g, n.outputs[0]) == DType::kFloat && n.attr_s("activation", "").empty() &&
         have_op("skiff", n.op) && !touches_quantizer(g, n);
}

bool fuse(Graph& g, PassContext& ctx, NodeId id) {
  const Node& n = g.node(id);
  std::vector<NodeId> absorbed;
  ValueId y = n.outputs[0];
  Node made = n;
  made.domain = "skiff";
  made.opset = 1;
  made.def = nullptr;
  if (ctx.target->fuse_residual && n.op == "Conv" && n.input(3) == kNoValue) {
    Residual r = residual_after(g, y);
    if (r.node != kNoNode) {
      made.inputs.resize(4, kNoValue);
      made.inputs[3] = r.value;
      absorbed.push_back(r.node);
      y = g.node(r.node).outputs[0];
    }
  }
  Epilogue e = activation_after(g, ctx, y);
  if (e.node != kNoNode) {
    set_activation(made, e.activation);
    absorbed.push_back(e.node);
    y = g.node(e.node).outputs[0];
  }
  if (absorbed.empty()) return false;
  Patch p(g);
  p.replace(y, p.add(std::move(made), 1, g.value(y).name)[0]);
  p.remove(id);
  for (NodeId a : absorbed) p.remove(a);
  commit(g, ctx, p);
  return true;
}

}  // namespace

bool fuse_conv_epilogues(Graph& g, PassContext& ctx) {
  if (!target_fuses(ctx)) return false;
  bool changed = false;
  for (NodeId id : std::vector<NodeId>(g.order()))
    if (!g.node(id).dead && is_candidate(g, g.node(id))) changed = fuse(g, ctx, id) || changed;
  return changed;
}

}  // namespace skiff::passes
