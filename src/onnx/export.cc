#include "onnx/export.h"

#include <algorithm>
#include <compare>
#include <memory>
#include <set>
#include <unordered_set>

#include "base/error.h"
#include "onnx/tensor_proto.h"
#include "onnx/type_proto.h"
#include "onnx/wire_read.h"
#include "ops/op.h"

namespace skiff::onnx {
namespace {

// The message an `extra` member holds.
template <class T>
T unrest(const std::string& extra) {
  T p;
  if (extra.empty()) return p;
  ReadLimits limits;
  limits.max_depth = 1000;
  limits.max_memory = UINT64_MAX;
  auto keep = std::make_shared<const std::string>(extra);
  parse(p, *keep, keep, limits);
  return p;
}

// The IR version that brought an element type.
int64_t ir_version_of(DType t) {
  switch (t) {
    case DType::kFloat8E4M3FN:
    case DType::kFloat8E4M3FNUZ:
    case DType::kFloat8E5M2:
    case DType::kFloat8E5M2FNUZ: return 9;
    case DType::kInt4:
    case DType::kUint4: return 10;
    case DType::kFloat4E2M1: return 11;
    case DType::kFloat8E8M0: return 12;
    case DType::kInt2:
    case DType::kUint2: return 13;
    default: return 0;
  }
}

// An entry with unknown fields was kept whole in `extra`: it is there already.
void set_opset(std::vector<OperatorSetIdProto>& list, const OpsetId& o) {
  auto it = std::find_if(list.begin(), list.end(), [&](const auto& e) { return *e.domain == o.domain; });
  if (it == list.end()) {
    it = list.emplace(list.end());
    it->domain = o.domain;
  }
  it->version = o.version;
}

// The names of one graph's values as they are written, by ValueId; none of an enclosing graph is used again.
struct Names {
  const Names* parent = nullptr;
  std::vector<std::string> of;
  std::unordered_set<std::string> taken;

  bool hidden(const std::string& n) const {
    for (const Names* p = parent; p; p = p->parent)
      if (p->taken.count(n)) return true;
    return false;
  }
};

class Exporter {
 public:
  explicit Exporter(const ExportOptions& o) : options_(o) {}
  GraphProto graph(const Graph& g, const Node* owner, const Names* outer);
  FunctionProto function(const Function& f);

  int64_t ir_version = 0;          // the oldest that can hold what was written
  bool list_initializers = false;  // IR 3: among the inputs
  struct Used {
    std::string domain, op;
    int opset;
    friend auto operator<=>(const Used&, const Used&) = default;
  };
  std::set<Used> used;  // by the nodes written so far, those of functions apart

 private:
  Names name_values(const Graph& g, const Node* owner, const Names* outer);
  ValueInfoProto value_info(const Value& v, const std::string& name);
  TensorProto tensor(const Tensor& t, TensorProto p);
  SparseTensorProto sparse(const Datum::Sparse& t, SparseTensorProto p);
  NodeProto node(const Node& n, const Names& names);
  AttributeProto attribute(const Attribute& a, const Node* n, const Names* names);
  void attribute_value(const Attribute& a, const Node* n, const Names* names, AttributeProto& p);
  void note(const Type& t);

  const ExportOptions& options_;
};

void Exporter::note(const Type& t) {
  ir_version = std::max(ir_version, ir_version_of(t.dtype));
  if (t.elem) note(*t.elem);
}

Names Exporter::name_values(const Graph& g, const Node* owner, const Names* outer) {
  Names names;
  names.parent = outer;
  names.of.resize(g.value_slots());
  for (const Graph::Capture& c : g.captures())
    names.of[static_cast<size_t>(c.inner)] =
        outer->of[static_cast<size_t>(owner->captures[static_cast<size_t>(c.index)])];
  for (size_t i = 0; i < g.value_slots(); ++i) {
    const Value& v = g.value(static_cast<ValueId>(i));
    if (v.dead || v.is_capture || names.hidden(v.name)) continue;
    names.of[i] = v.name;
    names.taken.insert(v.name);
  }
  for (size_t i = 0; i < g.value_slots(); ++i) {
    const Value& v = g.value(static_cast<ValueId>(i));
    if (v.dead || v.is_capture || !names.of[i].empty()) continue;
    int k = 0;
    do names.of[i] = cat(v.name, "__", ++k);
    while (names.taken.count(names.of[i]) || names.hidden(names.of[i]));
    names.taken.insert(names.of[i]);
  }
  return names;
}

ValueInfoProto Exporter::value_info(const Value& v, const std::string& name) {
  auto p = unrest<ValueInfoProto>(v.extra);
  p.name = name;
  if (v.type.kind == Type::Kind::kUnknown) return p;
  note(v.type);
  p.type = graft_type(v.type, p.type);
  return p;
}

TensorProto Exporter::tensor(const Tensor& t, TensorProto p) {
  ir_version = std::max(ir_version, ir_version_of(t.dtype()));
  TensorProto data = to_proto(t);
  p.dims = std::move(data.dims);
  p.data_type = data.data_type;
  p.raw_data = std::move(data.raw_data);
  p.string_data = std::move(data.string_data);
  return p;
}

SparseTensorProto Exporter::sparse(const Datum::Sparse& t, SparseTensorProto p) {
  p.dims.assign(t.dims.begin(), t.dims.end());
  p.values = tensor(t.values, p.values ? std::move(*p.values) : TensorProto());
  p.indices = tensor(t.indices, p.indices ? std::move(*p.indices) : TensorProto());
  return p;
}

void Exporter::attribute_value(const Attribute& a, const Node* n, const Names* names, AttributeProto& p) {
  auto list = [](auto& to, const auto& from, const auto& convert) {
    using Message = typename std::remove_reference_t<decltype(to)>::value_type;
    to.resize(from.size());  // what was kept beside each element, if the list still has its length
    for (size_t i = 0; i < from.size(); ++i) to[i] = convert(from[i], Message(std::move(to[i])));
  };
  auto subgraph = [&](const std::shared_ptr<Graph>& g) {
    check(g != nullptr && n && names, Code::kInternal, "attribute '", a.name, "' holds no graph");
    return graph(*g, n, names);
  };
  switch (a.type()) {
    case AttrType::kFloat: p.f = std::get<float>(a.value); break;
    case AttrType::kInt: p.i = std::get<int64_t>(a.value); break;
    case AttrType::kString: p.s = std::get<std::string>(a.value); break;
    case AttrType::kTensor:
      p.t = tensor(std::get<Tensor>(a.value), p.t ? std::move(*p.t) : TensorProto());
      break;
    case AttrType::kGraph: p.g = subgraph(std::get<std::shared_ptr<Graph>>(a.value)); break;
    case AttrType::kFloats: p.floats = std::get<Attribute::Floats>(a.value); break;
    case AttrType::kInts: p.ints = std::get<Attribute::Ints>(a.value); break;
    case AttrType::kStrings: p.strings = std::get<Attribute::Strings>(a.value); break;
    case AttrType::kTensors:
      list(p.tensors, std::get<std::vector<Tensor>>(a.value),
           [&](const Tensor& t, TensorProto q) { return tensor(t, std::move(q)); });
      break;
    case AttrType::kGraphs:
      for (const auto& g : std::get<std::vector<std::shared_ptr<Graph>>>(a.value))
        p.graphs.push_back(subgraph(g));
      break;
    case AttrType::kSparse:
      p.sparse_tensor = sparse(std::get<Datum::Sparse>(a.value),
                               p.sparse_tensor ? std::move(*p.sparse_tensor) : SparseTensorProto());
      break;
    case AttrType::kSparses:
      list(p.sparse_tensors, std::get<std::vector<Datum::Sparse>>(a.value),
           [&](const Datum::Sparse& t, SparseTensorProto q) { return sparse(t, std::move(q)); });
      break;
    case AttrType::kType: p.tp = graft_type(std::get<Type>(a.value), p.tp); break;
    case AttrType::kTypes:
      list(p.type_protos, std::get<std::vector<Type>>(a.value),
           [](const Type& t, TypeProto q) { return graft_type(t, Box<TypeProto>(std::move(q))); });
      break;
    case AttrType::kUndefined: fail(Code::kInternal, "attribute '", a.name, "' has no value");
  }
}

AttributeProto Exporter::attribute(const Attribute& a, const Node* n, const Names* names) {
  auto p = unrest<AttributeProto>(a.extra);
  p.name = a.name;
  p.type = static_cast<AttributeProto::Type>(a.type());
  if (!a.ref_name.empty())
    p.ref_attr_name = a.ref_name;
  else
    attribute_value(a, n, names, p);
  return p;
}

NodeProto Exporter::node(const Node& n, const Names& names) {
  auto p = unrest<NodeProto>(n.extra);
  for (ValueId v : n.inputs)
    p.input.push_back(v == kNoValue ? std::string() : names.of[static_cast<size_t>(v)]);
  for (ValueId v : n.outputs)
    p.output.push_back(v == kNoValue ? std::string() : names.of[static_cast<size_t>(v)]);
  p.op_type = n.op;
  if (!n.name.empty()) p.name = n.name;
  if (!n.domain.empty()) p.domain = n.domain;
  if (!n.overload.empty()) {
    p.overload = n.overload;
    ir_version = std::max<int64_t>(ir_version, 10);
  }
  for (const Attribute& a : n.attributes) p.attribute.push_back(attribute(a, &n, &names));
  used.insert({n.domain, n.op, n.opset});
  return p;
}

// Whether a value_info that was kept aside (about an initializer, an input or output, or no value at all) may
// still be written: its name may stand for something else by now.
bool still_true(const Graph& g, const Names& names, const ValueInfoProto& info) {
  if (!names.taken.count(*info.name)) return true;
  ValueId id = g.find_value(*info.name);
  if (id == kNoValue || g.value(id).is_capture) return false;
  const Value& v = g.value(id);
  if (v.is_input || v.is_output) return true;
  return (v.constant.defined() || v.sparse) && info.type &&
         to_type(*info.type).to_string() == v.type.to_string();
}

GraphProto Exporter::graph(const Graph& g, const Node* owner, const Names* outer) {
  auto p = unrest<GraphProto>(g.extra);
  Names names = name_values(g, owner, outer);
  if (!g.name.empty() || !outer) p.name = g.name.empty() ? std::string("graph") : g.name;
  auto name = [&names](ValueId v) -> const std::string& { return names.of[static_cast<size_t>(v)]; };
  std::erase_if(p.value_info, [&](const ValueInfoProto& i) { return !still_true(g, names, i); });
  for (ValueId v : g.inputs()) p.input.push_back(value_info(g.value(v), name(v)));
  for (ValueId v : g.outputs()) p.output.push_back(value_info(g.value(v), name(v)));
  for (size_t i = 0; i < g.value_slots(); ++i) {
    const Value& v = g.value(static_cast<ValueId>(i));
    if (v.dead || v.is_capture) continue;
    if (v.constant.defined()) {
      p.initializer.push_back(tensor(v.constant, unrest<TensorProto>(v.tensor_extra)));
      p.initializer.back().name = names.of[i];
      if (list_initializers && !v.is_input) p.input.push_back(value_info(v, names.of[i]));
    } else if (v.sparse) {
      p.sparse_initializer.push_back(sparse(*v.sparse, unrest<SparseTensorProto>(v.tensor_extra)));
      p.sparse_initializer.back().values->name = names.of[i];
    } else if (v.producer != kNoNode && !v.is_output && options_.value_info) {
      bool typed = v.type.kind != Type::Kind::kUnknown &&
                   (v.type.dtype != DType::kUndefined || v.type.kind != Type::Kind::kTensor);
      if (typed || !v.extra.empty()) p.value_info.push_back(value_info(v, names.of[i]));
    }
  }
  for (NodeId n : g.order()) p.node.push_back(node(g.node(n), names));
  return p;
}

FunctionProto Exporter::function(const Function& f) {
  auto p = unrest<FunctionProto>(f.extra);
  p.name = f.name;
  p.domain = f.domain;
  if (!f.overload.empty()) {
    p.overload = f.overload;
    ir_version = std::max<int64_t>(ir_version, 10);
  }
  ir_version = std::max<int64_t>(ir_version, 8);
  p.attribute = f.attributes;
  for (const Attribute& a : f.attribute_defaults) p.attribute_proto.push_back(attribute(a, nullptr, nullptr));
  const Graph& g = *f.body;
  Names names = name_values(g, nullptr, nullptr);
  for (ValueId v : g.inputs()) p.input.push_back(names.of[static_cast<size_t>(v)]);
  for (ValueId v : g.outputs()) p.output.push_back(names.of[static_cast<size_t>(v)]);
  auto outer = std::exchange(used, {});
  for (size_t i = 0; i < g.value_slots(); ++i) {
    const Value& v = g.value(static_cast<ValueId>(i));
    if (v.dead) continue;
    if (v.constant.defined()) {  // a function body has no initializers
      NodeProto c;
      c.op_type = "Constant";
      c.output = {names.of[i]};
      AttributeProto& a = c.attribute.emplace_back();
      a.name = "value";
      a.type = AttributeProto::Type::kTensor;
      a.t = tensor(v.constant, {});
      p.node.push_back(std::move(c));
    } else if (options_.value_info && (v.type.kind != Type::Kind::kUnknown || !v.extra.empty())) {
      p.value_info.push_back(value_info(v, names.of[i]));
    }
  }
  for (NodeId n : g.order()) p.node.push_back(node(g.node(n), names));
  for (const OpsetId& o : f.opsets) set_opset(p.opset_import, o);
  used = std::move(outer);
  return p;
}

// Whether a node means the same under another version of its operator set. Of an unknown operator we cannot
// tell.
bool same_meaning(const Exporter::Used& u, int64_t version) {
  if (u.opset == version) return true;
  const OpDef* def = find_op(u.domain, u.op);
  return !def || u.opset == 0 || def->version(u.opset) == def->version(static_cast<int>(version));
}

// One version of each operator set for the whole model: the imported one if every node means the same under
// it, else the newest that a node was written for.
void write_opsets(ModelProto& p, const Model& m, const std::set<Exporter::Used>& used) {
  std::vector<OpsetId> sets = m.opsets;
  for (const Exporter::Used& u : used) {
    if (m.opset(u.domain) != 0) continue;
    auto it = std::find_if(sets.begin(), sets.end(), [&](const OpsetId& o) { return o.domain == u.domain; });
    if (it == sets.end())
      sets.push_back({u.domain, std::max(u.opset, 1)});
    else
      it->version = std::max<int64_t>(it->version, u.opset);
  }
  for (OpsetId& o : sets) {
    const std::string domain = o.domain == "ai.onnx" ? std::string() : o.domain;
    auto stranger = [&](int64_t version) -> const Exporter::Used* {
      for (const Exporter::Used& u : used)
        if (u.domain == domain && !same_meaning(u, version)) return &u;
      return nullptr;
    };
    if (stranger(o.version))
      for (const Exporter::Used& u : used)
        if (u.domain == domain) o.version = std::max<int64_t>(o.version, u.opset);
    if (const Exporter::Used* u = stranger(o.version))
      fail(Code::kUnsupported, "operator ", u->op, " is used as of opset ", u->opset,
           ", but the model needs opset ", o.version, " of '", domain, "' for other nodes, where ", u->op,
           " differs; bring the nodes to one opset");
    set_opset(p.opset_import, o);
  }
}

}  // namespace

ModelProto export_model(const Model& m, const ExportOptions& options) {
  auto p = unrest<ModelProto>(m.extra);
  Exporter e(options);
  e.list_initializers = m.ir_version == 3;
  for (const Function& f : m.functions) p.functions.push_back(e.function(f));
  p.graph = e.graph(m.graph, nullptr, nullptr);
  p.ir_version = std::max({m.ir_version, e.ir_version, m.ir_version == 0 ? int64_t{8} : int64_t{0}});
  write_opsets(p, m, e.used);
  auto text = [](Opt<std::string>& to, const std::string& from) {
    if (!from.empty()) to = from;
  };
  text(p.producer_name, m.producer_name);
  text(p.producer_version, m.producer_version);
  text(p.domain, m.domain);
  text(p.doc_string, m.doc_string);
  if (m.model_version != 0) p.model_version = m.model_version;
  for (const auto& [key, value] : m.metadata) {
    auto& entry = p.metadata_props.emplace_back();
    entry.key = key;
    entry.value = value;
  }
  return p;
}

void write_model(const Model& m, const std::string& path, const ExportOptions& options) {
  write_model_file(export_model(m, options), path, options.write);
}

std::string write_model_bytes(const Model& m, const ExportOptions& options) {
  return serialize(export_model(m, options), options.write.max_proto_bytes);
}

}  // namespace skiff::onnx
