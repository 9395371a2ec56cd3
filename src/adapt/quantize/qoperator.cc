#include "adapt/quantize/qoperator.h"

#include "adapt/adapt.h"
#include "passes/edit.h"

namespace skiff::adapt {
namespace {

class QOperators {
 public:
  QOperators(Graph& g, int opset) : g_(g), opset_(opset) {}
  void run() {
    for (NodeId id : std::vector<NodeId>(g_.order()))
      if (!g_.node(id).dead) node(id);
  }

 private:
  // The integers, scale and zero point a value was made real from; false when it was not, or not by scales
  // for a whole tensor or a channel.
  bool integers(ValueId v, std::vector<ValueId>& to) {
    const Node* dq = v == kNoValue ? nullptr : passes::made_by(g_, v, "DequantizeLinear");
    if (!dq || dq->input(2) == kNoValue || dq->attr_i("block_size", 0) != 0) return false;
    DType t = passes::dtype_of(g_, dq->inputs[0]);
    if (t != DType::kUint8 && t != DType::kInt8) return false;
    to.insert(to.end(), {dq->inputs[0], dq->inputs[1], dq->inputs[2]});
    return true;
  }

  void node(NodeId id) {
    const Node& n = g_.node(id);
    bool conv = n.is("Conv"), matmul = n.is("MatMul"), gemm = n.is("Gemm"), sum = n.is("Add") || n.is("Mul");
    if (!conv && !matmul && !gemm && !sum) return;
    std::vector<ValueId> in;
    if (!integers(n.inputs[0], in) || !integers(n.inputs[1], in)) return;
    NodeId user = passes::sole_user(g_, n.outputs[0]);
    const Node* q = user == kNoNode || !g_.node(user).is("QuantizeLinear") ? nullptr : &g_.node(user);
    if (!q && !gemm) return;
    if (q && passes::dtype_of(g_, q->outputs[0]) != DType::kUint8 &&
        passes::dtype_of(g_, q->outputs[0]) != DType::kInt8)
      return;
    ValueId bias = kNoValue;
    if (n.input(2) != kNoValue && (conv || gemm)) {
      const Node* dq = passes::made_by(g_, n.inputs[2], "DequantizeLinear");
      if (!dq || passes::dtype_of(g_, dq->inputs[0]) != DType::kInt32) return;
      bias = dq->inputs[0];
    }
    Node made;
    made.name = n.name;
    made.opset = opset_;
    made.op = conv ? "QLinearConv" : matmul ? "QLinearMatMul" : gemm ? "QGemm" : "QLinear" + n.op;
    if (gemm || sum) made.domain = "com.microsoft", made.opset = 1;
    if (gemm) {
      in.push_back(bias);
    }
    if (q) in.insert(in.end(), {q->inputs[1], q->inputs[2]});
    if (conv && bias != kNoValue) in.push_back(bias);
    made.inputs = std::move(in);
    for (const Attribute& a : n.attributes)
      if (conv || (gemm && a.name != "beta")) made.attributes.push_back(a);
    ValueId to = q ? q->outputs[0] : n.outputs[0];
    Patch p(g_);
    Type type = g_.value(to).type;  // the nodes after this one look at it
    ValueId y = p.add(std::move(made), 1, g_.value(to).name)[0];
    p.replace(to, y);
    if (q) p.remove(user);
    p.remove(id);
    p.apply();
    g_.mutable_value(y).type = std::move(type);
  }

  Graph& g_;
  int opset_;
};

}  // namespace

void use_qoperators(Model& m) {
  QOperators(m.graph, static_cast<int>(m.opset(""))).run();
  refresh(m);
  passes::remove_unused(m.graph);
}

}  // namespace skiff::adapt
