#include "adapt/quantize/plan.h"

#include <algorithm>
#include <cmath>

#include "passes/edit.h"

namespace skiff::adapt {

using passes::constant_of;
using passes::dtype_of;

const char* precision_name(Precision p) {
  switch (p) {
    case Precision::kInt4: return "int4";
    case Precision::kInt8: return "int8";
    case Precision::kInt16: return "int16";
    case Precision::kFloat: break;
  }
  return "float";
}

Precision parse_precision(const std::string& name) {
  for (Precision p : {Precision::kInt4, Precision::kInt8, Precision::kInt16})
    if (name == precision_name(p)) return p;
  check(name == "float", Code::kInvalidArgument, "there is no precision '", name,
        "'; there are: int4, int8, int16, float");
  return Precision::kFloat;
}

std::vector<size_t> data_inputs(const Node& n, QuantRole role) {
  if (n.op == "Add" || n.op == "Sub" || n.op == "Mul" || n.op == "PRelu" || n.op == "MatMul") return {0, 1};
  if (n.op == "Pad" && n.input(2) != kNoValue) return {0, 2};
  if (role == QuantRole::kJoins) {
    std::vector<size_t> all;
    for (size_t i = 0; i < n.inputs.size(); ++i) all.push_back(i);
    return all;
  }
  return {0};
}

int channel_axis(const Graph& g, const Node& n) {
  int64_t rank = passes::rank_of(g, n.input(1));
  if (n.op == "Conv") return 0;
  if (n.op == "ConvTranspose") return n.attr_i("group", 1) == 1 ? 1 : -1;
  if (n.op == "Gemm") return n.attr_i("transB", 0) ? 0 : 1;
  if (n.op == "MatMul") return rank == 2 ? 1 : -1;
  return -1;
}

namespace {

class Planner {
 public:
  Planner(const Graph& g, const QuantizeOptions& o, const std::map<std::string, Precision>& overrides)
      : g_(g), o_(o), overrides_(overrides) {
    plan_.layer_of.assign(g.node_slots(), -1);
    plan_.quantized.assign(g.value_slots(), 0);
    plan_.bits.assign(g.value_slots(), 8);
  }

  Plan make() {
    for (NodeId id : g_.order()) {
      plan_.layer_of[static_cast<size_t>(id)] = static_cast<int>(plan_.layers.size());
      plan_.layers.push_back(decide(id));
    }
    trim();
    mark_tensors();
    return std::move(plan_);
  }

 private:
  Layer& layer(NodeId n) { return plan_.layers[static_cast<size_t>(plan_.layer_of[static_cast<size_t>(n)])]; }
  Precision standard() const {
    return o_.activation_bits == 16 ? Precision::kInt16
           : o_.weight_bits == 4    ? Precision::kInt4
                                    : Precision::kInt8;
  }
  bool excluded(const Node& n) const {
    return std::any_of(o_.exclude.begin(), o_.exclude.end(), [&](const std::string& e) {
      return e == n.name || (e.rfind("op:", 0) == 0 && e.substr(3) == n.op);
    });
  }
  bool is_float(ValueId v) const { return dtype_of(g_, v) == DType::kFloat; }
  // Made by a node that computes in integers.
  bool from_integers(ValueId v) {
    NodeId p = g_.value(v).producer;
    return p != kNoNode && layer(p).quantized();
  }

  // Why a product cannot compute in integers; "" when it can.
  std::string product_obstacle(const Node& n) const {
    const Tensor* w = constant_of(g_, n.input(1));
    if (!is_float(n.input(0)) || !is_float(n.outputs[0]))
      return cat("its elements are ", dtype_name(dtype_of(g_, n.input(0))));
    if (constant_of(g_, n.input(0))) return "its first operand is constant";
    if (!w && n.op != "MatMul") return "its weights are not constant";
    if (n.op == "Gemm") {
      if (n.attr_i("transA", 0)) return "transA";
      if (n.attr_f("alpha", 1) != 1 || (n.input(2) != kNoValue && n.attr_f("beta", 1) != 1))
        return "alpha or beta is not 1";
    }
    if (n.input(2) != kNoValue) {
      const Tensor* b = constant_of(g_, n.input(2));
      if (!b) return "its bias is not constant";
      int axis = channel_axis(g_, n);
      if (n.op == "Gemm" && b->size() != w->dim(axis)) return "its bias has another shape";
    }
    if (w)
      for (float f : to_floats(*w))
        if (!std::isfinite(f)) return "its weights hold NaN or infinities";
    return {};
  }

  // The producer of v, whose result only this node sees and which is not rounded in between.
  bool can_absorb(ValueId v) { return passes::only_use(g_, v) && from_integers(v); }

  Layer decide(NodeId id) {
    const Node& n = g_.node(id);
    Layer l;
    l.node = id;
    l.role = quant_role(n);
    if (l.role == QuantRole::kFloat) return l;
    if (excluded(n)) {
      l.reason = "excluded by the caller";
      return l;
    }
    if (l.role == QuantRole::kProduct) {
      l.reason = product_obstacle(n);
      if (!l.reason.empty()) return l;
      auto it = overrides_.find(n.name);
      l.precision = it != overrides_.end() ? it->second : standard();
      if (l.precision == Precision::kFloat) l.reason = "kept in float";
      return l;
    }
    std::vector<size_t> data = data_inputs(n, l.role);
    bool integers = true, some = false;
    for (size_t i : data) {
      ValueId v = n.input(i);
      if (v == kNoValue || !is_float(v)) {
        integers = false;
        continue;
      }
      if (constant_of(g_, v)) {
        // A constant operand has a scale of its own, so only operators of their own scales take one.
        integers = integers && l.role == QuantRole::kMaps;
        continue;
      }
      some = true;
      integers = integers && from_integers(v);
    }
    for (ValueId v : n.outputs) integers = integers && (v == kNoValue || is_float(v));
    if (n.op == "Gather") integers = integers && some;
    if (!integers || !some) {
      l.reason = "its operands are not in integers";
      return l;
    }
    if (n.op == "MaxPool" && n.output(1) != kNoValue) {
      l.reason = "its indices are used";
      return l;
    }
    l.precision = standard() == Precision::kInt16 ? Precision::kInt16 : Precision::kInt8;
    if (l.role == QuantRole::kClamps) {
      const Node* before = passes::producer(g_, n.inputs[0]);
      const Layer& p = layer(g_.value(n.inputs[0]).producer);
      l.absorbed =
          before && can_absorb(n.inputs[0]) && p.role != QuantRole::kMoves && p.role != QuantRole::kJoins;
      if (!l.absorbed) l.role = QuantRole::kMaps;
    } else if (n.op == "Add") {
      // The bias of a matrix product: added in float to the product's exact sums.
      for (size_t side = 0; side < 2; ++side) {
        ValueId y = n.inputs[side], b = n.inputs[1 - side];
        const Node* mm = passes::made_by(g_, y, "MatMul");
        const Tensor* c = constant_of(g_, b);
        if (mm && c && can_absorb(y) && c->rank() <= 1) l.absorbed = true;
      }
    }
    return l;
  }

  // Whether any integer node reads v, through absorbed nodes as well.
  bool feeds_integers(ValueId v) {
    for (const Use& u : g_.value(v).uses) {
      if (u.index < 0) continue;
      const Layer& l = layer(u.node);
      if (!l.quantized()) continue;
      if (!l.absorbed || feeds_integers(g_.node(u.node).outputs[0])) return true;
    }
    return false;
  }

  // What only moves data at the end of an integer region is left in float: it gains nothing there and costs
  // accuracy.
  void trim() {
    for (size_t i = plan_.layers.size(); i-- > 0;) {
      Layer& l = plan_.layers[i];
      if (!l.quantized() || l.role == QuantRole::kProduct || l.absorbed) continue;
      const Node& n = g_.node(l.node);
      bool used = std::any_of(n.outputs.begin(), n.outputs.end(),
                              [&](ValueId v) { return v != kNoValue && feeds_integers(v); });
      if (used) continue;
      l.precision = Precision::kFloat;
      l.reason = "at the end of the integers";
      // Clamps that were inside it are float again.
      for (ValueId v : n.outputs)
        if (v != kNoValue)
          for (const Use& u : g_.value(v).uses)
            if (layer(u.node).absorbed)
              layer(u.node).precision = Precision::kFloat, layer(u.node).absorbed = false;
    }
  }

  void mark(ValueId v, int bits) {
    plan_.quantized[static_cast<size_t>(v)] = 1;
    plan_.bits[static_cast<size_t>(v)] =
        static_cast<uint8_t>(std::max<int>(plan_.bits[static_cast<size_t>(v)], bits));
  }

  void mark_tensors() {
    for (const Layer& l : plan_.layers) {
      if (!l.quantized()) continue;
      const Node& n = g_.node(l.node);
      int bits = l.precision == Precision::kInt16 ? 16 : 8;
      if (!l.absorbed)
        for (size_t i : data_inputs(n, l.role))
          if (n.input(i) != kNoValue && !constant_of(g_, n.inputs[i])) mark(n.inputs[i], bits);
      for (ValueId v : n.outputs) {
        if (v == kNoValue) continue;
        const Value& val = g_.value(v);
        bool goes_on = std::any_of(val.uses.begin(), val.uses.end(),
                                   [&](const Use& u) { return u.index >= 0 && layer(u.node).absorbed; });
        if (goes_on) continue;
        // A matrix product at the end gives its sums as floats: nothing would read integers.
        if (ends_in_float(l.node) && !feeds_integers(v)) continue;
        mark(v, 8);
      }
    }
    // Moved data keeps the width of what it was.
    for (const Layer& l : plan_.layers)
      if (l.quantized() && l.role == QuantRole::kMoves)
        for (ValueId v : g_.node(l.node).outputs)
          if (v != kNoValue)
            plan_.bits[static_cast<size_t>(v)] = plan_.bits[static_cast<size_t>(g_.node(l.node).inputs[0])];
  }

  // The product at the start of this node's chain of absorbed nodes is a Gemm or MatMul.
  bool ends_in_float(NodeId id) {
    while (layer(id).absorbed) {
      const Node& n = g_.node(id);
      ValueId from = n.inputs[0];
      if (n.inputs.size() > 1 && !constant_of(g_, n.inputs[1]) && n.op == "Add") from = n.inputs[1];
      id = g_.value(from).producer;
      if (id == kNoNode) return false;
    }
    const std::string& op = g_.node(id).op;
    return op == "Gemm" || op == "MatMul";
  }

  const Graph& g_;
  const QuantizeOptions& o_;
  const std::map<std::string, Precision>& overrides_;
  Plan plan_;
};

}  // namespace

Plan make_plan(const Graph& g, const QuantizeOptions& o, const std::map<std::string, Precision>& overrides) {
  return Planner(g, o, overrides).make();
}

}  // namespace skiff::adapt
