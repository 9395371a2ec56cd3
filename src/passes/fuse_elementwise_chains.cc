#include "passes/fuse_elementwise_chains.h"

#include <algorithm>
#include <cfloat>
#include <unordered_map>
#include <unordered_set>

#include "passes/activation.h"

namespace skiff::passes {
namespace {

constexpr size_t kMaxSteps = 16;
constexpr size_t kMaxInputs = 6;
// Intermediate results alive at once: what a kernel keeps in its block registers.
constexpr size_t kMaxAlive = 3;

struct StepDef {
  std::string_view op;
  size_t operands;
  const char* attr[2] = {nullptr, nullptr};  // become the step's params
  float def[2] = {0, 0};
};
constexpr StepDef kSteps[] = {
    {"Abs", 1},
    {"Add", 2},
    {"Ceil", 1},
    {"Cos", 1},
    {"Div", 2},
    {"Erf", 1},
    {"Exp", 1},
    {"Floor", 1},
    {"HardSwish", 1},
    {"Log", 1},
    {"Max", 2},
    {"Min", 2},
    {"Mish", 1},
    {"Mul", 2},
    {"Neg", 1},
    {"PRelu", 2},
    {"Pow", 2},
    {"Reciprocal", 1},
    {"Relu", 1},
    {"Round", 1},
    {"Sigmoid", 1},
    {"Sign", 1},
    {"Sin", 1},
    {"Softplus", 1},
    {"Softsign", 1},
    {"Sqrt", 1},
    {"Sub", 2},
    {"Tanh", 1},
    {"Gelu", 1},
    {"Clip", 1},
    {"Celu", 1, {"alpha"}, {1}},
    {"Elu", 1, {"alpha"}, {1}},
    {"HardSigmoid", 1, {"alpha", "beta"}, {0.2F, 0.5F}},
    {"LeakyRelu", 1, {"alpha"}, {0.01F}},
    {"Selu", 1, {"alpha", "gamma"}, {1.67326319217681884765625F, 1.05070102214813232421875F}},
    {"Swish", 1, {"alpha"}, {1}},
    {"ThresholdedRelu", 1, {"alpha"}, {1}},
};

struct Step {
  const StepDef* def = nullptr;
  float params[2] = {0, 0};
};

std::optional<Step> step_of(const Graph& g, const Node& n) {
  if (!n.domain.empty() || n.outputs.size() != 1 || n.opset < 7) return std::nullopt;
  const StepDef* def =
      std::find_if(std::begin(kSteps), std::end(kSteps), [&](const StepDef& d) { return d.op == n.op; });
  if (def == std::end(kSteps)) return std::nullopt;
  Step s{def, {def->def[0], def->def[1]}};
  if (n.op == "Clip") {
    auto a = activation_of(g, n);
    if (!a) return std::nullopt;
    s.params[0] = a->name == "relu" ? 0 : a->alpha;
    s.params[1] = a->name == "relu" ? FLT_MAX : a->beta;
  } else if (n.inputs.size() != def->operands) {
    return std::nullopt;
  }
  if (n.op == "Gelu") s.params[0] = n.attr_s("approximate", "none") == "tanh" ? 1 : 0;
  for (size_t i = 0; i < 2; ++i)
    if (def->attr[i]) s.params[i] = n.attr_f(def->attr[i], s.params[i]);
  for (size_t i = 0; i < def->operands; ++i)
    if (dtype_of(g, n.inputs[i]) != DType::kFloat) return std::nullopt;
  if (dtype_of(g, n.outputs[0]) != DType::kFloat || !shape_of(g, n.outputs[0]) || touches_quantizer(g, n))
    return std::nullopt;
  return s;
}

class Chain {
 public:
  Chain(Graph& g, const std::vector<int>& place, NodeId root) : g_(g), place_(place), root_(root) {
    add(root);
  }

  // Takes in producers as long as the limits hold.
  void grow() {
    for (bool again = true; again;) {
      again = false;
      for (ValueId v : inputs()) {
        NodeId p = g_.value(v).producer;
        if (p == kNoNode || refused_.count(p) || !joins(p)) continue;
        add(p);
        if (steps_.size() > kMaxSteps || inputs().size() > kMaxInputs || !fits_registers()) {
          std::erase(steps_, p);
          refused_.insert(p);
        } else {
          again = true;
        }
      }
    }
  }

  size_t size() const { return steps_.size(); }
  const std::vector<NodeId>& nodes() const { return steps_; }

  void fuse(PassContext& ctx) const {
    std::vector<ValueId> in = inputs();
    Attribute::Strings ops;
    Attribute::Ints operands;
    Attribute::Floats params;
    std::unordered_map<ValueId, int64_t> where;
    for (size_t i = 0; i < in.size(); ++i) where[in[i]] = static_cast<int64_t>(i);
    for (size_t k = 0; k < steps_.size(); ++k) {
      const Node& n = g_.node(steps_[k]);
      Step s = *step_of(g_, n);
      ops.emplace_back(s.def->op);
      for (size_t i = 0; i < 2; ++i) {
        operands.push_back(i < s.def->operands ? where.at(n.inputs[i]) : kNoOperand);
        params.push_back(s.params[i]);
      }
      where[n.outputs[0]] = -1 - static_cast<int64_t>(k);
    }
    ValueId y = g_.node(root_).outputs[0];
    Patch p(g_);
    p.replace(y, p.op("skiff", "Elementwise", 1, in,
                      {Attribute("ops", ops), Attribute("operands", operands), Attribute("params", params)},
                      g_.value(y).name));
    for (NodeId id : steps_) p.remove(id);
    commit(g_, ctx, p);
  }

 private:
  static constexpr int64_t kNoOperand = -1000;

  void add(NodeId id) {
    steps_.push_back(id);
    std::sort(steps_.begin(), steps_.end(), [this](NodeId a, NodeId b) { return place(a) < place(b); });
  }
  int place(NodeId id) const { return place_[static_cast<size_t>(id)]; }
  bool has(NodeId id) const { return std::find(steps_.begin(), steps_.end(), id) != steps_.end(); }

  bool joins(NodeId id) const {
    const Node& n = g_.node(id);
    // Nodes made by this pass have no place; they are not steps anyway.
    if (static_cast<size_t>(id) >= place_.size() || !step_of(g_, n)) return false;
    const Value& v = g_.value(n.outputs[0]);
    if (v.is_output || !same_shape(g_, n.outputs[0], g_.node(root_).outputs[0])) return false;
    return std::all_of(v.uses.begin(), v.uses.end(),
                       [&](const Use& u) { return u.index >= 0 && has(u.node); });
  }

  // Operands from outside, in order of first use.
  std::vector<ValueId> inputs() const {
    std::vector<ValueId> r;
    for (NodeId id : steps_) {
      const Node& n = g_.node(id);
      size_t operands = step_of(g_, n)->def->operands;
      for (size_t i = 0; i < operands; ++i) {
        ValueId v = n.inputs[i];
        NodeId p = g_.value(v).producer;
        if ((p == kNoNode || !has(p)) && std::find(r.begin(), r.end(), v) == r.end()) r.push_back(v);
      }
    }
    return r;
  }

  bool fits_registers() const {
    std::unordered_map<ValueId, size_t> last_use;
    for (size_t k = 0; k < steps_.size(); ++k)
      for (ValueId v : g_.node(steps_[k]).inputs)
        if (v != kNoValue) last_use[v] = k;
    std::unordered_set<ValueId> alive;
    for (size_t k = 0; k + 1 < steps_.size(); ++k) {
      if (alive.size() + 1 > kMaxAlive) return false;
      const Node& n = g_.node(steps_[k]);
      for (ValueId v : n.inputs)
        if (v != kNoValue && last_use[v] == k) alive.erase(v);
      alive.insert(n.outputs[0]);
    }
    return true;
  }

  Graph& g_;
  const std::vector<int>& place_;
  NodeId root_;
  std::vector<NodeId> steps_;  // in topological order
  std::unordered_set<NodeId> refused_;
};

}  // namespace

bool fuse_elementwise_chains(Graph& g, PassContext& ctx) {
  if (!ctx.target || !ctx.target->fuse_elementwise_chains || !have_op("skiff", "Elementwise")) return false;
  std::vector<NodeId> order = g.order();
  std::vector<int> place(g.node_slots(), 0);
  for (size_t i = 0; i < order.size(); ++i) place[static_cast<size_t>(order[i])] = static_cast<int>(i);
  bool changed = false;
  for (size_t i = order.size(); i-- > 0;) {
    if (g.node(order[i]).dead || !step_of(g, g.node(order[i]))) continue;
    Chain c(g, place, order[i]);
    c.grow();
    if (c.size() < 2) continue;
    c.fuse(ctx);
    changed = true;
  }
  return changed;
}

}  // namespace skiff::passes
