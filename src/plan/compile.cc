#include <algorithm>
#include <climits>

#include "base/error_where.h"
#include "plan/compiled_graph.h"

namespace skiff::plan {
namespace {

// The parts of a NodeQuery, kept alive together.
struct Query {
  const Node& node;
  std::vector<const Type*> in, out;
  std::vector<const Tensor*> constants;

  Query(const Graph& g, const Node& n) : node(n) {
    for (ValueId v : n.inputs) {
      in.push_back(v == kNoValue ? nullptr : &g.value(v).type);
      constants.push_back(v != kNoValue && g.value(v).is_constant() ? &g.value(v).constant : nullptr);
    }
    for (ValueId v : n.outputs) out.push_back(v == kNoValue ? nullptr : &g.value(v).type);
  }
  NodeQuery view() const { return {node, in, out, constants}; }
};

int device_index(const std::vector<DeviceSlot>& devices, const std::string& name) {
  if (name.empty()) return 0;
  for (size_t i = 0; i < devices.size(); ++i)
    if (devices[i].name == name) return static_cast<int>(i);
  fail(Code::kInternal, "a node is placed on '", name, "', which the session does not have");
}

bool owns_subgraph(const Node& n) {
  return std::any_of(n.attributes.begin(), n.attributes.end(), [](const Attribute& a) {
    return std::holds_alternative<std::shared_ptr<Graph>>(a.value) &&
           std::get<std::shared_ptr<Graph>>(a.value);
  });
}

// Output 0 can share the bytes of input 0: plain tensors with memory of their own.
bool is_view(const Graph& g, const Node& n) {
  if (!n.def || !n.def->is(kView) || n.inputs.empty() || n.inputs[0] == kNoValue || n.outputs.empty())
    return false;
  for (size_t i = 1; i < n.outputs.size(); ++i)
    if (n.outputs[i] != kNoValue) return false;
  auto plain = [&](ValueId v) {
    const Type& t = g.value(v).type;
    return t.kind == Type::Kind::kTensor && t.dtype != DType::kString && t.dtype != DType::kUndefined;
  };
  return n.outputs[0] != kNoValue && plain(n.inputs[0]) && plain(n.outputs[0]) &&
         g.value(n.inputs[0]).type.dtype == g.value(n.outputs[0]).type.dtype;
}

}  // namespace

CompiledGraph::CompiledGraph(Graph& g, const std::vector<DeviceSlot>& devices, const CompileOptions& options,
                             int& profile_count, int depth)
    : graph_(g), devices_(devices), options_(options) {
  check(depth <= options.max_depth, Code::kLimit,
        "subgraphs nest deeper than max_nesting = ", options.max_depth,
        "; raise max_nesting if the model can be trusted");
  check(!devices_.empty() && devices_[0].device->host_memory(), Code::kInternal,
        "device 0 must be the host's");
  slots_.resize(g.value_slots());
  for (size_t i = 0; i < slots_.size(); ++i) {
    const Value& v = g.value(static_cast<ValueId>(i));
    slots_[i].value = static_cast<ValueId>(i);
    if (v.dead) continue;
    if (v.is_constant()) {
      slots_[i].is_constant = true;
      slots_[i].constant = v.constant;
    } else if (v.sparse) {
      slots_[i].is_constant = true;
      slots_[i].constant = Datum::sparse(*v.sparse);
    }
  }
  for (ValueId v : g.inputs()) input_slots_.push_back(v);
  for (const Graph::Capture& c : g.captures())
    if (!g.value(c.inner).constant.defined()) capture_slots_.push_back({c.inner, c.index});
  for (NodeId id : g.order()) add_node(id, profile_count, depth);
  for (ValueId v : g.outputs()) output_slots_.push_back(slot_at(v, 0));
  finish_uses();
  if (options_.release_weights) release_consumed();
  options_.packed = nullptr;  // may refer to what ends with the caller
}

Location CompiledGraph::location_of(int device) const {
  return devices_[static_cast<size_t>(device)].device->host_memory() ? 0 : device;
}

// The slot of v that lives at `where`; makes a replica and the copy that fills it when there is none yet.
SlotId CompiledGraph::slot_at(ValueId v, Location where) {
  auto home = static_cast<SlotId>(v);
  if (slots_[static_cast<size_t>(home)].location == where) return home;
  auto [it, fresh] = replicas_.try_emplace({v, where}, kNoSlot);
  if (!fresh) return it->second;
  Slot s;
  s.value = v;
  s.location = where;
  const Slot& from = slots_[static_cast<size_t>(home)];
  if (from.is_constant) {
    s.is_constant = true;
    const Tensor& t = from.constant.tensor();
    Device& d = device(where);
    std::shared_ptr<void> memory = d.allocate(t.bytes());
    d.upload(memory.get(), t.raw(), t.bytes());
    d.wait(d.record());
    s.constant = Tensor::view(t.dtype(), t.dims(), memory.get(), memory);
  }
  it->second = static_cast<SlotId>(slots_.size());
  slots_.push_back(std::move(s));
  if (!slots_.back().is_constant) {
    slots_.back().defined = static_cast<int>(items_.size());
    items_.push_back({-1, home, it->second});
  }
  return it->second;
}

void CompiledGraph::choose_kernel(CompiledNode& cn, const NodeQuery& q) {
  Device& d = device(cn.device);
  std::string why;
  cn.alternatives = d.candidates(q, &why);
  check(!cn.alternatives.empty(), Code::kUnsupported, q.node.label(), ": device '",
        devices_[static_cast<size_t>(cn.device)].name, "' cannot run it: ", why,
        "; place it elsewhere (option `place`)");
  std::string pick = cn.alternatives[0].name;
  auto forced = options_.forced.find(q.node.op);
  if (forced == options_.forced.end()) forced = options_.forced.find("*");
  if (forced != options_.forced.end()) {
    for (const KernelChoice& c : cn.alternatives)
      if (c.name == forced->second) pick = c.name;
  }
  cn.kernel = d.prepare(q, pick);
  if (options_.packed && cn.kernel->packed_bytes() > 0) options_.packed(cn.kernel->packed_bytes());
}

void CompiledGraph::add_node(NodeId id, int& profile_count, int depth) {
  const Node& n = graph_.node(id);
  try {
    check(n.def != nullptr, Code::kUnsupported, "the operator was not resolved");
    CompiledNode cn;
    cn.id = id;
    cn.node = &n;
    cn.profile_index = profile_count++;
    cn.device = device_index(devices_, n.device);
    Location where = location_of(cn.device);
    cn.view = is_view(graph_, n);
    bool host_values = false;
    for (ValueId v : n.outputs) {
      if (v == kNoValue) continue;
      const Type& t = graph_.value(v).type;
      host_values |=
          t.kind != Type::Kind::kTensor || t.dtype == DType::kString || t.dtype == DType::kUndefined;
    }
    cn.dynamic = n.def->is(kDataDependent) || n.def->is(kControlFlow) || n.def->is(kNonTensor) || host_values;
    if (owns_subgraph(n)) {
      // An outer constant is a constant inside as well, so that kernels of the body can pack it.
      for (const Attribute& a : n.attributes) {
        const auto* s = std::get_if<std::shared_ptr<Graph>>(&a.value);
        if (!s || !*s) continue;
        for (const Graph::Capture& c : (*s)->captures()) {
          const Value& outer = graph_.value(n.captures[static_cast<size_t>(c.index)]);
          if (outer.is_constant()) (*s)->mutable_value(c.inner).constant = outer.constant;
        }
        cn.subgraphs[s->get()] =
            std::make_unique<CompiledGraph>(**s, devices_, options_, profile_count, depth + 1);
      }
    }
    if (!cn.view) {
      Query q(graph_, n);
      choose_kernel(cn, q.view());
    }
    for (size_t i = 0; i < n.inputs.size(); ++i) {
      ValueId v = n.inputs[i];
      bool absent = v == kNoValue || (cn.kernel && graph_.value(v).is_constant() && cn.kernel->consumes(i));
      cn.in.push_back(absent ? kNoSlot : slot_at(v, where));
    }
    for (ValueId v : n.captures) cn.captures.push_back(slot_at(v, 0));
    auto item = static_cast<int>(items_.size());
    for (ValueId v : n.outputs) {
      cn.out.push_back(v == kNoValue ? kNoSlot : static_cast<SlotId>(v));
      if (v == kNoValue) continue;
      slots_[static_cast<size_t>(v)].location = where;
      slots_[static_cast<size_t>(v)].defined = item;
    }
    items_.push_back({static_cast<int>(nodes_.size()), kNoSlot, kNoSlot});
    nodes_.push_back(std::move(cn));
  } catch (Error& e) {
    add_where_once(e, n.label());
    throw;
  }
}

void CompiledGraph::finish_uses() {
  auto use = [this](SlotId s, int item) {
    if (s != kNoSlot)
      slots_[static_cast<size_t>(s)].last_use = std::max(slots_[static_cast<size_t>(s)].last_use, item);
  };
  for (size_t i = 0; i < items_.size(); ++i) {
    const Item& it = items_[i];
    if (it.node < 0) {
      use(it.from, static_cast<int>(i));
      continue;
    }
    for (SlotId s : node_of(it).in) use(s, static_cast<int>(i));
    for (SlotId s : node_of(it).captures) use(s, static_cast<int>(i));
  }
  for (SlotId s : output_slots_) use(s, INT_MAX);
}

// Constants no kernel reads any more go: their pages were read once, for packing.
void CompiledGraph::release_consumed() {
  for (size_t i = 0; i < slots_.size(); ++i) {
    Slot& s = slots_[i];
    if (!s.is_constant || s.last_use >= 0) continue;
    s.constant = Datum();
    if (i >= graph_.value_slots()) continue;
    Value& v = graph_.mutable_value(static_cast<ValueId>(i));
    bool captured = std::any_of(v.uses.begin(), v.uses.end(), [](const Use& u) { return u.index < 0; });
    if (!captured && v.constant.defined() && v.constant.size() > 16) v.constant = Tensor();
  }
}

const std::vector<SlotId>& CompiledGraph::live_in(int begin) const {
  auto [it, fresh] = live_in_.try_emplace(begin);
  if (fresh) {
    for (size_t i = 0; i < slots_.size(); ++i) {
      const Slot& s = slots_[i];
      if (!s.is_constant && s.defined < begin && s.last_use >= begin)
        it->second.push_back(static_cast<SlotId>(i));
    }
  }
  return it->second;
}

size_t CompiledGraph::packed_bytes() const {
  size_t n = 0;
  for (const CompiledNode& c : nodes_) {
    if (c.kernel) n += c.kernel->packed_bytes();
    for (const auto& [g, sub] : c.subgraphs) n += sub->packed_bytes();
  }
  return n;
}

size_t CompiledGraph::constant_bytes() const {
  size_t n = 0;
  for (const Slot& s : slots_)
    if (s.constant.is_tensor() && s.constant.tensor().defined() &&
        s.constant.tensor().dtype() != DType::kString)
      n += s.constant.tensor().bytes();
  for (const CompiledNode& c : nodes_)
    for (const auto& [g, sub] : c.subgraphs) n += sub->constant_bytes();
  return n;
}

}  // namespace skiff::plan
