#include "graph/graph.h"

#include <algorithm>

namespace skiff {

std::string_view attr_type_name(AttrType t) {
  static constexpr std::string_view kNames[] = {
      "undefined", "float",   "int",    "string",        "tensor",         "graph", "floats", "ints",
      "strings",   "tensors", "graphs", "sparse_tensor", "sparse_tensors", "type",  "types"};
  auto i = static_cast<size_t>(t);
  return i < std::size(kNames) ? kNames[i] : kNames[0];
}

const Attribute* Node::attr(std::string_view n) const {
  for (const Attribute& a : attributes)
    if (a.name == n) return &a;
  return nullptr;
}

namespace {
template <class T>
const T* get(const Node& n, std::string_view name, const char* want) {
  const Attribute* a = n.attr(name);
  if (!a) return nullptr;
  if (const T* v = std::get_if<T>(&a->value)) return v;
  fail(Code::kInvalidModel, n.label(), ": attribute '", name, "' must be ", want, ", it is ",
       attr_type_name(a->type()));
}
}  // namespace

int64_t Node::attr_i(std::string_view n, int64_t d) const {
  const auto* v = get<int64_t>(*this, n, "an int");
  return v ? *v : d;
}
float Node::attr_f(std::string_view n, float d) const {
  const auto* v = get<float>(*this, n, "a float");
  return v ? *v : d;
}
std::string Node::attr_s(std::string_view n, std::string_view d) const {
  const auto* v = get<std::string>(*this, n, "a string");
  return v ? *v : std::string(d);
}
std::vector<int64_t> Node::attr_ints(std::string_view n, std::vector<int64_t> d) const {
  const auto* v = get<Attribute::Ints>(*this, n, "a list of ints");
  return v ? *v : std::move(d);
}
std::vector<float> Node::attr_floats(std::string_view n, std::vector<float> d) const {
  const auto* v = get<Attribute::Floats>(*this, n, "a list of floats");
  return v ? *v : std::move(d);
}
std::vector<std::string> Node::attr_strings(std::string_view n) const {
  const auto* v = get<Attribute::Strings>(*this, n, "a list of strings");
  return v ? *v : std::vector<std::string>{};
}
const Tensor* Node::attr_tensor(std::string_view n) const { return get<Tensor>(*this, n, "a tensor"); }
const std::shared_ptr<Graph>& Node::attr_graph(std::string_view n) const {
  const auto* v = get<std::shared_ptr<Graph>>(*this, n, "a graph");
  check(v != nullptr && *v != nullptr, Code::kInvalidModel, label(), ": attribute '", n,
        "' (a graph) is missing");
  return *v;
}

std::string Node::label() const {
  std::string kind = domain.empty() ? op : cat(domain, ".", op);
  if (!name.empty()) return cat("node '", name, "' (", kind, ")");
  return cat("node ", kind);
}

Graph Graph::clone() const {
  Graph c;
  c.name = name;
  c.extra = extra;
  for (const auto& n : nodes_) {
    c.nodes_.push_back(std::make_unique<Node>(*n));
    for (Attribute& a : c.nodes_.back()->attributes) {
      if (auto* g = std::get_if<std::shared_ptr<Graph>>(&a.value)) {
        if (*g) *g = std::make_shared<Graph>((*g)->clone());
      } else if (auto* gs = std::get_if<std::vector<std::shared_ptr<Graph>>>(&a.value)) {
        for (auto& x : *gs)
          if (x) x = std::make_shared<Graph>(x->clone());
      }
    }
  }
  for (const auto& v : values_) c.values_.push_back(std::make_unique<Value>(*v));
  c.inputs_ = inputs_;
  c.outputs_ = outputs_;
  c.captures_ = captures_;
  c.names_ = names_;
  c.live_nodes_ = live_nodes_;
  c.version_ = version_;
  c.unique_ = unique_;
  return c;
}

const std::vector<NodeId>& Graph::order() const {
  if (order_version_ == version_) return order_;
  std::vector<NodeId> out;
  out.reserve(live_nodes_);
  std::vector<uint8_t> state(nodes_.size(), 0);  // 0 new, 1 on the stack, 2 done
  struct Frame {
    NodeId id;
    size_t next;
  };
  std::vector<Frame> stack;  // explicit: hostile models are deep
  for (size_t i = 0; i < nodes_.size(); ++i) {
    if (nodes_[i]->dead || state[i]) continue;
    stack.push_back({static_cast<NodeId>(i), 0});
    state[i] = 1;
    while (!stack.empty()) {
      Frame& f = stack.back();
      const Node& n = node(f.id);
      size_t total = n.inputs.size() + n.captures.size();
      if (f.next == total) {
        state[static_cast<size_t>(f.id)] = 2;
        out.push_back(f.id);
        stack.pop_back();
        continue;
      }
      size_t k = f.next++;
      ValueId v = k < n.inputs.size() ? n.inputs[k] : n.captures[k - n.inputs.size()];
      NodeId p = v == kNoValue ? kNoNode : value(v).producer;
      if (p == kNoNode || state[static_cast<size_t>(p)] == 2) continue;
      check(state[static_cast<size_t>(p)] == 0, Code::kInvalidModel, "the graph has a cycle through ",
            node(p).label(), "; ONNX graphs must be acyclic");
      state[static_cast<size_t>(p)] = 1;
      stack.push_back({p, 0});
    }
  }
  order_ = std::move(out);
  order_version_ = version_;
  return order_;
}

ValueId Graph::find_value(std::string_view n) const {
  auto it = names_.find(std::string(n));
  return it == names_.end() ? kNoValue : it->second;
}

ValueId Graph::add_value(std::string n, Type type) {
  auto id = static_cast<ValueId>(values_.size());
  check(!n.empty(), Code::kInternal, "a value needs a name");
  check(names_.emplace(n, id).second, Code::kInvalidModel, "the name '", n,
        "' is given to two values; names must be unique (ONNX: SSA)");
  auto v = std::make_unique<Value>();
  v->name = std::move(n);
  v->type = std::move(type);
  values_.push_back(std::move(v));
  ++version_;
  return id;
}

ValueId Graph::add_input(std::string n, Type type) {
  ValueId id = add_value(std::move(n), std::move(type));
  mark_input(id);
  return id;
}

ValueId Graph::add_constant(std::string n, Tensor t) {
  ValueId id = add_value(std::move(n), Type::tensor(t.dtype(), SymShape(t.dims())));
  mutable_value(id).constant = std::move(t);
  return id;
}

ValueId Graph::add_capture(std::string n, int index) {
  ValueId id = add_value(std::move(n));
  mutable_value(id).is_capture = true;
  captures_.push_back({id, index});
  return id;
}

void Graph::mark_input(ValueId v) {
  mutable_value(v).is_input = true;
  inputs_.push_back(v);
  ++version_;
}

void Graph::mark_output(ValueId v) {
  mutable_value(v).is_output = true;
  outputs_.push_back(v);
  ++version_;
}

NodeId Graph::add_node(Node n) {
  auto id = static_cast<NodeId>(nodes_.size());
  for (ValueId o : n.outputs) {
    if (o == kNoValue) continue;
    const Value& v = value(o);
    check(v.producer == kNoNode && !v.is_input && !v.is_capture && !v.constant.defined() && !v.sparse,
          Code::kInvalidModel, n.label(), " defines '", v.name, "', which is already defined",
          v.producer != kNoNode ? cat(" by ", node(v.producer).label())
                                : std::string(" as an input or initializer"));
  }
  n.dead = false;
  nodes_.push_back(std::make_unique<Node>(std::move(n)));
  ++live_nodes_;
  link(id);
  return id;
}

void Graph::link(NodeId id) {
  Node& n = *nodes_[static_cast<size_t>(id)];
  for (size_t i = 0; i < n.inputs.size(); ++i)
    if (n.inputs[i] != kNoValue) mutable_value(n.inputs[i]).uses.push_back({id, static_cast<int>(i)});
  for (size_t i = 0; i < n.captures.size(); ++i)
    mutable_value(n.captures[i]).uses.push_back({id, -1 - static_cast<int>(i)});
  for (size_t i = 0; i < n.outputs.size(); ++i) {
    if (n.outputs[i] == kNoValue) continue;
    Value& v = mutable_value(n.outputs[i]);
    v.producer = id;
    v.producer_index = static_cast<int>(i);
  }
  ++version_;
}

void Graph::drop_use(ValueId v, Use u) {
  auto& uses = mutable_value(v).uses;
  auto it = std::find(uses.begin(), uses.end(), u);
  if (it != uses.end()) uses.erase(it);
}

void Graph::unlink(NodeId id) {
  Node& n = *nodes_[static_cast<size_t>(id)];
  for (size_t i = 0; i < n.inputs.size(); ++i)
    if (n.inputs[i] != kNoValue) drop_use(n.inputs[i], {id, static_cast<int>(i)});
  for (size_t i = 0; i < n.captures.size(); ++i) drop_use(n.captures[i], {id, -1 - static_cast<int>(i)});
  for (ValueId o : n.outputs)
    if (o != kNoValue) mutable_value(o).producer = kNoNode;
  ++version_;
}

std::string Graph::unique_name(std::string_view hint) const {
  std::string base(hint.empty() ? "value" : hint);
  if (!names_.count(base)) return base;
  for (;;) {
    std::string s = cat(base, "__", ++unique_);
    if (!names_.count(s)) return s;
  }
}

int64_t Model::opset(std::string_view d) const {
  if (d == "ai.onnx") d = "";
  for (const OpsetId& o : opsets)
    if (o.domain == d || (d.empty() && o.domain == "ai.onnx")) return o.version;
  return 0;
}

}  // namespace skiff
