#include "adapt/quantize/prepare.h"

#include <algorithm>
#include <set>

#include "adapt/adapt.h"
#include "onnx/export.h"
#include "onnx/import.h"
#include "onnx/proto.h"
#include "onnx/upgrade_opset.h"
#include "passes/edit.h"
#include "passes/pipeline.h"

namespace skiff::adapt {
namespace {

using passes::constant_of;

Tensor scaled(const Tensor& t, float by) {
  std::vector<float> v = to_floats(t);
  for (float& x : v) x *= by;
  return Tensor::from(std::span<const float>(v), t.dims());
}

// Gemm's alpha and beta go into its constant operands.
void fold_gemm_factors(Graph& g) {
  for (NodeId id : std::vector<NodeId>(g.order())) {
    const Node& n = g.node(id);
    if (!n.is("Gemm")) continue;
    float alpha = n.attr_f("alpha", 1), beta = n.attr_f("beta", 1);
    const Tensor *b = constant_of(g, n.input(1)), *c = constant_of(g, n.input(2));
    bool has_c = n.input(2) != kNoValue;
    if ((alpha == 1 && (beta == 1 || !has_c)) || !b || (has_c && !c) || b->dtype() != DType::kFloat) continue;
    Patch p(g);
    if (alpha != 1) p.set_input(id, 1, p.constant(g.value(n.inputs[1]).name, scaled(*b, alpha)));
    if (has_c && beta != 1) p.set_input(id, 2, p.constant(g.value(n.inputs[2]).name, scaled(*c, beta)));
    if (n.has_attr("alpha")) p.remove_attribute(id, "alpha");
    if (n.has_attr("beta")) p.remove_attribute(id, "beta");
    p.apply();
  }
}

// MatMul(X, W) + b with rank-2 X is Gemm(X, W, b): the bias can then be an integer.
void join_matmul_bias(Graph& g, passes::PassContext& ctx, int opset) {
  for (NodeId id : std::vector<NodeId>(g.order())) {
    const Node& n = g.node(id);
    if (n.dead || !n.is("Add")) continue;
    for (int side = 0; side < 2; ++side) {
      ValueId y = n.inputs[static_cast<size_t>(side)], bias = n.inputs[static_cast<size_t>(1 - side)];
      const Node* mm = passes::made_by(g, y, "MatMul");
      const Tensor* b = constant_of(g, bias);
      if (!mm || !b || !passes::only_use(g, y) || passes::rank_of(g, mm->inputs[0]) != 2) continue;
      const Tensor* w = constant_of(g, mm->inputs[1]);
      if (!w || w->rank() != 2 || b->size() != w->dim(1) || b->rank() == 0 ||
          b->dim(b->rank() - 1) != w->dim(1) || w->dtype() != DType::kFloat)
        continue;
      NodeId product = g.value(y).producer;
      Patch p(g);
      ValueId c = p.constant(g.value(bias).name, b->reshaped({b->size()}));
      Node gemm;
      gemm.op = "Gemm";
      gemm.opset = opset;
      gemm.name = mm->name;
      gemm.inputs = {mm->inputs[0], mm->inputs[1], c};
      p.replace(n.outputs[0], p.add(std::move(gemm), 1, g.value(n.outputs[0]).name)[0]);
      p.remove(id);
      p.remove(product);
      passes::commit(g, ctx, p);
      break;
    }
  }
}

}  // namespace

void name_nodes(Graph& g) {
  std::set<std::string> names;
  for (NodeId id : g.order()) {
    Node& n = g.mutable_node(id);
    std::string base = n.name.empty() ? n.op : n.name;
    n.name = base;
    for (int k = 1; !names.insert(n.name).second; ++k) n.name = cat(base, "_", k);
  }
}

std::vector<size_t> fix_default_inputs(Model& m) {
  std::vector<size_t> kept;
  const auto& inputs = m.graph.inputs();
  for (size_t i = 0; i < inputs.size(); ++i)
    if (!m.graph.value(inputs[i]).constant.defined()) kept.push_back(i);
  if (kept.size() == inputs.size()) return kept;
  onnx::ModelProto p = onnx::export_model(m);
  std::set<std::string> constants;
  for (const auto& t : p.graph->initializer) constants.insert(*t.name);
  std::erase_if(p.graph->input, [&](const auto& v) { return constants.count(*v.name) > 0; });
  p.ir_version = std::max<int64_t>(m.ir_version, 4);
  std::string path = m.path;
  m = onnx::import_model(std::move(p), nullptr);
  m.path = path;
  return kept;
}

const Node* quantized_node(const Graph& g) {
  for (NodeId id : g.order()) {
    const Node& n = g.node(id);
    if (passes::is_quantizer(n) || n.op.rfind("QLinear", 0) == 0 || n.op.rfind("DynamicQuantize", 0) == 0 ||
        n.op == "ConvInteger" || n.op == "MatMulInteger" || n.op == "MatMulNBits" || n.op == "QGemm")
      return &n;
  }
  return nullptr;
}

int needed_opset(const Model& m, const QuantizeOptions& o) {
  auto have = static_cast<int>(m.opset(""));
  bool narrow = o.weight_bits < 8 || o.activation_bits > 8 || o.mode == "weights" ||
                std::any_of(o.precisions.begin(), o.precisions.end(), [&](const std::string& p) {
                  return o.max_drop >= 0 && (p == "int4" || p == "int16");
                });
  int need = narrow ? 21 : 13;
  if (o.mode == "bfloat16") need = 22;  // the first that has bfloat16 convolutions
  return std::max(have, need);
}

void prepare(Model& m, const QuantizeOptions& o) {
  resolve_ops(m.graph, m.functions);
  if (const Node* n = quantized_node(m.graph))
    fail(Code::kInvalidArgument, m.path.empty() ? "the model" : m.path, " is quantized already (", n->label(),
         "); give the float model it was made from");
  passes::PassContext ctx;
  ctx.functions = &m.functions;
  ctx.options.max_inlined_nodes = o.session.max_nodes;
  ctx.options.max_folded_bytes = o.session.fold_limit;
  // Operators newer than what the result must run in are not made.
  ctx.options.skip = {"recognize_gelu", "recognize_silu", "recognize_layer_norm"};
  passes::run_passes(m.graph, ctx, passes::general_passes());
  m.functions.clear();
  onnx::upgrade_opset(m, needed_opset(m, o));
  refresh(m);
  join_matmul_bias(m.graph, ctx, static_cast<int>(m.opset("")));
  fold_gemm_factors(m.graph);
  passes::remove_unused(m.graph);
  refresh(m);
  name_nodes(m.graph);
}

}  // namespace skiff::adapt
