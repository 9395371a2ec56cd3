#include "graph/patch.h"

#include <algorithm>
#include <unordered_map>
#include <unordered_set>

namespace skiff {

Patch::Patch(Graph& g) : g_(g), version_(g.version_) {}

ValueId Patch::new_value(std::string_view hint, Type t, Tensor c) {
  ++edits_;
  values_.push_back({std::string(hint), std::move(t), std::move(c)});
  return static_cast<ValueId>(g_.values_.size() + values_.size() - 1);
}

ValueId Patch::constant(std::string_view hint, Tensor t) {
  Type type = Type::tensor(t.dtype(), SymShape(t.dims()));
  return new_value(hint, std::move(type), std::move(t));
}

ValueId Patch::op(std::string_view domain, std::string_view op, int opset, std::vector<ValueId> inputs,
                  std::vector<Attribute> attributes, std::string_view hint, Type type) {
  Node n;
  n.domain = domain;
  n.op = op;
  n.name = hint;
  n.opset = opset;
  n.inputs = std::move(inputs);
  n.attributes = std::move(attributes);
  ValueId out = new_value(hint, std::move(type), {});
  n.outputs = {out};
  nodes_.push_back(std::move(n));
  return out;
}

std::vector<ValueId> Patch::add(Node n, size_t outputs, std::string_view hint) {
  n.outputs.clear();
  for (size_t i = 0; i < outputs; ++i) n.outputs.push_back(new_value(hint, {}, {}));
  std::vector<ValueId> r = n.outputs;
  nodes_.push_back(std::move(n));
  return r;
}

void Patch::replace(ValueId from, ValueId to) { ++edits_, redirects_.push_back({from, to}); }
void Patch::set_input(NodeId n, size_t index, ValueId v) { ++edits_, operands_.push_back({n, index, v}); }
void Patch::set_attribute(NodeId n, Attribute a) { ++edits_, attributes_.emplace_back(n, std::move(a)); }
void Patch::remove_attribute(NodeId n, std::string_view name) {
  ++edits_, attribute_removals_.emplace_back(n, std::string(name));
}
void Patch::remove(NodeId n) { ++edits_, removals_.push_back(n); }

void Patch::check_edits() const {
  check(version_ == g_.version_, Code::kInternal,
        "a patch was made for an older state of the graph, or applied twice");
  auto old_total = static_cast<ValueId>(g_.values_.size());
  auto total = old_total + static_cast<ValueId>(values_.size());
  auto value_ok = [&](ValueId v) { return v >= 0 && v < total && (v >= old_total || !g_.value(v).dead); };
  auto node_ok = [&](NodeId n) {
    return n >= 0 && n < static_cast<NodeId>(g_.nodes_.size()) && !g_.node(n).dead;
  };
  std::unordered_set<NodeId> gone(removals_.begin(), removals_.end());
  check(gone.size() == removals_.size(), Code::kInternal, "patch: a node is removed twice");
  std::unordered_map<ValueId, ValueId> moved;
  for (const Redirect& r : redirects_) {
    check(value_ok(r.from) && r.from < old_total && value_ok(r.to) && r.from != r.to, Code::kInternal,
          "patch: bad redirection");
    check(moved.emplace(r.from, r.to).second, Code::kInternal, "patch: '", g_.value(r.from).name,
          "' is redirected twice");
  }
  for (const Redirect& r : redirects_) {
    size_t hops = 0;
    for (auto it = moved.find(r.to); it != moved.end(); it = moved.find(it->second))
      check(++hops <= moved.size(), Code::kInternal, "patch: redirections form a circle");
  }
  for (const Node& n : nodes_)
    for (ValueId v : n.inputs)
      check(v == kNoValue || value_ok(v), Code::kInternal, "patch: bad operand of a new ", n.op);
  for (const Operand& o : operands_)
    check(node_ok(o.node) && (o.value == kNoValue || value_ok(o.value)), Code::kInternal,
          "patch: bad operand");
  for (const auto& [n, a] : attributes_) check(node_ok(n), Code::kInternal, "patch: attribute of no node");
  for (const auto& [n, a] : attribute_removals_)
    check(node_ok(n), Code::kInternal, "patch: attribute of no node");
  for (NodeId n : removals_) {
    check(node_ok(n), Code::kInternal, "patch: removes a node that is not there");
    for (ValueId v : g_.node(n).outputs) {
      if (v == kNoValue) continue;
      for (const Node& fresh : nodes_)
        check(std::find(fresh.inputs.begin(), fresh.inputs.end(), v) == fresh.inputs.end(), Code::kInternal,
              "patch: a new node uses '", g_.value(v).name, "', whose producer is removed");
      if (moved.count(v)) continue;
      const Value& val = g_.value(v);
      check(!val.is_output, Code::kInternal, "patch: removes ", g_.node(n).label(),
            ", which makes a graph output");
      for (const Use& u : val.uses) {
        bool replaced = std::any_of(operands_.begin(), operands_.end(), [&](const Operand& o) {
          return o.node == u.node && u.index >= 0 && o.index == static_cast<size_t>(u.index) && o.value != v;
        });
        check(replaced || gone.count(u.node), Code::kInternal, "patch: removes ", g_.node(n).label(),
              ", which ", g_.node(u.node).label(), " still uses");
      }
    }
  }
}

void Patch::redirect(const Redirect& r, ValueId to) {
  Value& from = g_.mutable_value(r.from);
  Value& target = g_.mutable_value(to);
  std::vector<Use> keep;
  for (const Use& u : from.uses) {
    if (static_cast<size_t>(u.node) >= first_new_node_) {
      keep.push_back(u);
      continue;
    }
    Node& n = g_.mutable_node(u.node);
    if (u.index >= 0) {
      n.inputs[static_cast<size_t>(u.index)] = to;
    } else {
      n.captures[static_cast<size_t>(-1 - u.index)] = to;
    }
    target.uses.push_back(u);
  }
  from.uses = std::move(keep);
  if (!from.is_output) return;
  for (ValueId& o : g_.outputs_)
    if (o == r.from) o = to;
  from.is_output = false;
  // The outside knows the output by its name. A target whose own name matters outside keeps it: the executor
  // reports outputs under the names recorded when the model was read.
  if (!target.is_output && !target.is_input && !target.is_capture) {
    std::swap(from.name, target.name);
    g_.names_[target.name] = to;
    g_.names_[from.name] = r.from;
    if (target.type.kind == Type::Kind::kUnknown) target.type = from.type;
  }
  target.is_output = true;
}

void Patch::apply() {
  if (empty()) return;
  check_edits();
  std::unordered_map<ValueId, ValueId> moved;
  for (const Redirect& r : redirects_) moved.emplace(r.from, r.to);
  // From here on nothing throws but lack of memory.
  for (NewValue& v : values_) {
    ValueId id = g_.add_value(g_.unique_name(v.hint), std::move(v.type));
    g_.mutable_value(id).constant = std::move(v.constant);
  }
  for (NodeId n : removals_) {
    g_.unlink(n);
    g_.nodes_[static_cast<size_t>(n)]->dead = true;
    --g_.live_nodes_;
  }
  first_new_node_ = g_.nodes_.size();
  for (Node& n : nodes_) g_.add_node(std::move(n));
  for (const Operand& o : operands_) {
    Node& n = g_.mutable_node(o.node);
    if (n.dead) continue;
    Use u{o.node, static_cast<int>(o.index)};
    if (o.index >= n.inputs.size()) n.inputs.resize(o.index + 1, kNoValue);
    if (n.inputs[o.index] != kNoValue) g_.drop_use(n.inputs[o.index], u);
    n.inputs[o.index] = o.value;
    if (o.value != kNoValue) g_.mutable_value(o.value).uses.push_back(u);
  }
  for (const Redirect& r : redirects_) {
    ValueId to = r.to;
    for (auto it = moved.find(to); it != moved.end(); it = moved.find(to)) to = it->second;
    redirect(r, to);
  }
  for (auto& [id, a] : attributes_) {
    auto& attrs = g_.mutable_node(id).attributes;
    auto it = std::find_if(attrs.begin(), attrs.end(),
                           [&fresh = a](const Attribute& x) { return x.name == fresh.name; });
    if (it == attrs.end()) {
      attrs.push_back(std::move(a));
    } else {
      *it = std::move(a);
    }
  }
  for (auto& [id, name] : attribute_removals_)
    std::erase_if(g_.mutable_node(id).attributes,
                  [&wanted = name](const Attribute& x) { return x.name == wanted; });
  for (NodeId n : removals_) {
    for (ValueId v : g_.node(n).outputs) {
      if (v == kNoValue) continue;
      Value& val = g_.mutable_value(v);
      val.dead = true;
      g_.names_.erase(val.name);
    }
  }
  ++g_.version_;
  version_ = ~uint64_t{0};
}

}  // namespace skiff
