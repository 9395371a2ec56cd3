// What a session tells about itself: info and profile as JSON.
#include <algorithm>
#include <charconv>
#include <map>

#include "base/json_writer.h"
#include "ops/infer.h"
#include "runtime/session.h"

namespace skiff::runtime {
namespace {

std::string operator_name(const Node& n) { return n.domain.empty() ? n.op : n.domain + "." + n.op; }

void write_port(JsonWriter& w, const Port& p) {
  w.begin_object()
      .field("name", p.name)
      .field("type", p.type.to_string())
      .field("dtype", std::string(dtype_name(p.type.dtype)));
  w.key("shape").begin_array();
  for (size_t i = 0; i < p.dims.size(); ++i) {
    if (p.dims[i] >= 0) {
      w.value(static_cast<long long>(p.dims[i]));
    } else {
      w.value(p.dim_names[i].empty() ? std::string("?") : p.dim_names[i]);
    }
  }
  w.end_array().field("optional", p.optional).end_object();
}

int64_t parse_extent(const std::string& text, const std::string& all) {
  int64_t v = 0;
  auto r = std::from_chars(text.data(), text.data() + text.size(), v);
  check(r.ec == std::errc() && r.ptr == text.data() + text.size() && v >= 0, Code::kInvalidArgument,
        "shapes '", all, "': '", text,
        "' is not an extent; expected NAME=1x3x224x224 or SYMBOL=4, separated by ';'");
  return v;
}

// A kernel's row in lists of nodes: graphs in execution order, nested ones behind their owner.
template <class F>
void each_compiled(const plan::CompiledGraph& g, F&& f) {
  for (const plan::CompiledNode& n : g.nodes()) {
    f(g, n);
    for (const auto& [key, sub] : n.subgraphs) each_compiled(*sub, f);
  }
}

void write_names(JsonWriter& w, const char* key, const Graph& g, const std::vector<ValueId>& ids) {
  w.key(key).begin_array();
  for (ValueId v : ids) w.value(v == kNoValue ? std::string() : g.value(v).name);
  w.end_array();
}

void write_types(JsonWriter& w, const char* key, const Graph& g, const std::vector<ValueId>& ids) {
  w.key(key).begin_array();
  for (ValueId v : ids) w.value(v == kNoValue ? std::string() : g.value(v).type.to_string());
  w.end_array();
}

Cost node_cost(const Graph& g, const Node& n) {
  std::vector<const Type*> in, out;
  for (ValueId v : n.inputs) in.push_back(v == kNoValue ? nullptr : &g.value(v).type);
  for (ValueId v : n.outputs) out.push_back(v == kNoValue ? nullptr : &g.value(v).type);
  return cost_of(*n.def, CostContext{n, in, out});
}

void write_alternatives(JsonWriter& w, const plan::CompiledNode& n) {
  w.key("alternatives").begin_array();
  for (const KernelChoice& c : n.alternatives)
    w.begin_object().field("kernel", c.name).field("estimated_us", c.seconds * 1e6).end_object();
  w.end_array();
}

bool plain_tensor(const Type& t) {
  return t.kind == Type::Kind::kTensor && t.dtype != DType::kUndefined && t.dtype != DType::kString &&
         t.shape.has_rank();
}

// A copy of the graph with these input shapes, for costs. Open extents taken as 1 may not fit the model (a
// decoder that halves its input five times); the symbolic types then stay. Shapes the caller gave must fit
// (`strict`).
Graph concrete(const Graph& graph, const std::vector<Dims>& dims, bool strict) {
  Graph g = graph.clone();
  for (size_t i = 0; i < dims.size(); ++i) {
    Type& t = g.mutable_value(g.inputs()[i]).type;
    if (t.kind == Type::Kind::kTensor && t.shape.has_rank()) t.shape = SymShape(dims[i]);
  }
  for (NodeId id : g.order())
    for (ValueId v : g.node(id).outputs)
      if (v != kNoValue) g.mutable_value(v).type.shape = SymShape();
  try {
    infer_types(g);
  } catch (const Error&) {
    if (strict) throw;
    return graph.clone();
  }
  return g;
}

}  // namespace

std::vector<Dims> Session::shapes_for(const std::string& text) const {
  std::map<std::string, Dims> by_input;
  std::map<std::string, int64_t> by_symbol;
  for (const std::string& one : split_list(text, ';')) {
    size_t eq = one.rfind('=');
    check(eq != std::string::npos, Code::kInvalidArgument, "shapes '", text,
          "': expected NAME=1x3x224x224 or SYMBOL=4");
    std::string name = one.substr(0, eq), value = one.substr(eq + 1);
    bool is_input =
        std::any_of(inputs_.begin(), inputs_.end(), [&](const Port& p) { return p.name == name; });
    if (!is_input) {
      by_symbol[name] = parse_extent(value, text);
      continue;
    }
    Dims d;
    for (const std::string& x : split_list(value, 'x')) d.push_back(parse_extent(x, text));
    by_input[name] = d;
  }
  std::vector<Dims> r;
  for (const Port& p : inputs_) {
    if (auto it = by_input.find(p.name); it != by_input.end()) {
      check(!p.type.shape.has_rank() || it->second.size() == p.dims.size(), Code::kInvalidArgument, "input '",
            p.name, "' has rank ", p.dims.size(), "; shape ", to_string(it->second), " was given");
      r.push_back(it->second);
      continue;
    }
    Dims d;
    for (size_t i = 0; i < p.dims.size(); ++i) {
      auto s = by_symbol.find(p.dim_names[i]);
      d.push_back(p.dims[i] >= 0 ? p.dims[i] : s != by_symbol.end() ? s->second : 1);
    }
    r.push_back(d);
  }
  return r;
}

std::string Session::info_json(const std::string& shapes) {
  std::vector<Dims> dims = shapes_for(shapes);
  std::vector<Datum> probe(compiled_->slots().size());
  bool plannable = true;
  for (size_t i = 0; i < dims.size(); ++i) {
    ValueId id = model_.graph.inputs()[i];
    const Type& t = model_.graph.value(id).type;
    plannable &= plain_tensor(t);
    if (plain_tensor(t)) probe[static_cast<size_t>(id)] = Tensor::view(t.dtype, dims[i], nullptr);
  }
  Graph g = concrete(model_.graph, dims, !shapes.empty());

  JsonWriter w;
  w.begin_object();
  w.field("path", model_.path).field("ir_version", static_cast<long long>(model_.ir_version));
  w.field("producer", model_.producer_name).field("producer_version", model_.producer_version);
  w.field("domain", model_.domain).field("model_version", static_cast<long long>(model_.model_version));
  w.field("doc", model_.doc_string).field("graph", model_.graph.name);
  w.key("opsets").begin_object();
  for (const OpsetId& o : model_.opsets)
    w.field(o.domain.empty() ? "ai.onnx" : o.domain, static_cast<long long>(o.version));
  w.end_object().key("metadata").begin_object();
  for (const auto& [k, v] : model_.metadata) w.field(k, v);
  w.end_object().key("inputs").begin_array();
  for (const Port& p : inputs_) write_port(w, p);
  w.end_array().key("outputs").begin_array();
  for (const Port& p : outputs_) write_port(w, p);
  w.end_array().key("operators").begin_object();
  for (const auto& [name, count] : operator_counts_) w.field(name, count);
  w.end_object();
  w.field("parameters", static_cast<long long>(parameters_)).field("weight_bytes", weight_bytes_);
  w.field("functions", model_.functions.size());

  double flops = 0, bytes = 0;
  w.key("nodes").begin_array();
  each_compiled(*compiled_, [&](const plan::CompiledGraph& cg, const plan::CompiledNode& n) {
    const Graph& graph = &cg == compiled_.get() ? g : cg.graph();
    const Node& node = graph.node(n.id);
    Cost c = node_cost(graph, node);
    flops += c.flops;
    bytes += c.bytes;
    w.begin_object().field("name", node.name).field("op", operator_name(node));
    w.field("device", devices_[static_cast<size_t>(n.device)].name);
    w.field("kernel", n.kernel ? std::string(n.kernel->name()) : std::string("view"));
    write_names(w, "inputs", graph, node.inputs);
    write_names(w, "outputs", graph, node.outputs);
    write_types(w, "output_types", graph, node.outputs);
    w.field("flops", c.flops).field("bytes", c.bytes);
    write_alternatives(w, n);
    w.end_object();
  });
  w.end_array().key("totals").begin_object();
  w.field("nodes", profile_count_).field("flops", flops).field("bytes", bytes).end_object();

  w.key("memory").begin_object();
  w.field("packed_weight_bytes", compiled_->packed_bytes())
      .field("constant_bytes", compiled_->constant_bytes());
  w.field("held_bytes", budget_->used()).field("peak_held_bytes", budget_->peak());
  if (plannable) {
    std::shared_ptr<const plan::Program> p;
    try {
      p = compiled_->program(0, probe);
    } catch (const Error&) {
      // The shapes depend on values that are not there before a run: no plan to show.
    }
    if (p) {
      size_t sum = 0;
      w.key("arena_bytes").begin_object();
      for (size_t i = 0; i < p->arena_bytes.size(); ++i) {
        w.field(devices_[i].name, p->arena_bytes[i]);
        sum += p->arena_bytes[i];
      }
      w.end_object().field("arena_total_bytes", sum);
      w.field("steps", p->steps.size())
          .field("whole_graph", p->end == static_cast<int>(compiled_->items().size()));
    }
  }
  w.end_object();
  w.key("passes").begin_array();
  for (const passes::PassRecord& r : pass_context_.log)
    w.begin_object()
        .field("name", r.pass)
        .field("changes", r.changes)
        .field("seconds", r.seconds)
        .end_object();
  w.end_array().key("devices").begin_array();
  for (const plan::DeviceSlot& d : devices_) {
    DeviceInfo i = d.device->info();
    w.begin_object()
        .field("name", d.name)
        .field("description", i.description)
        .field("isa", i.isa)
        .end_object();
  }
  w.end_array().end_object();
  return w.take();
}

std::string Session::profile_json() {
  check(options_.profile, Code::kInvalidArgument, "the session does not profile; set the option profile=1");
  if (last_run_overrode_) return overridden().profile_json();
  std::lock_guard lock(profile_mutex_);
  profile_.resize(static_cast<size_t>(profile_count_));
  std::vector<const plan::CompiledNode*> nodes(static_cast<size_t>(profile_count_));
  each_compiled(*compiled_, [&](const plan::CompiledGraph&, const plan::CompiledNode& n) {
    nodes[static_cast<size_t>(n.profile_index)] = &n;
  });
  JsonWriter w;
  w.begin_object().field("runs", static_cast<long long>(profile_runs_));
  w.field("wall_ns", static_cast<long long>(profile_wall_ns_));
  w.key("nodes").begin_array();
  for (size_t i = 0; i < nodes.size(); ++i) {
    const plan::CompiledNode* n = nodes[i];
    const Recorder::Totals& t = profile_.nodes[i];
    if (!n || !t.count) continue;
    w.begin_object().field("name", n->node->name).field("op", operator_name(*n->node));
    w.field("kernel", n->kernel ? std::string(n->kernel->name()) : std::string("view"));
    w.field("device", devices_[static_cast<size_t>(n->device)].name);
    w.field("count", static_cast<long long>(t.count)).field("ns", static_cast<long long>(t.ns));
    w.field("flops", t.flops).field("bytes", t.bytes);
    write_alternatives(w, *n);
    w.end_object();
  }
  w.end_array().key("events").begin_array();
  for (const Recorder::Event& e : profile_.events) {
    const plan::CompiledNode* n = nodes[static_cast<size_t>(e.node)];
    if (!n) continue;
    w.begin_object().field("name", n->node->name).field("op", operator_name(*n->node));
    w.field("kernel", n->kernel ? std::string(n->kernel->name()) : std::string("view"));
    w.field("start_ns", static_cast<long long>(e.start_ns)).field("ns", static_cast<long long>(e.ns));
    w.field("thread", 0).end_object();
  }
  w.end_array().end_object();
  profile_ = Recorder();
  profile_runs_ = profile_wall_ns_ = 0;
  return w.take();
}

}  // namespace skiff::runtime
