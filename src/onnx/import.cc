#include "onnx/import.h"

#include <algorithm>
#include <unordered_map>

#include "base/error.h"
#include "base/mapped_file.h"
#include "onnx/external_data.h"
#include "onnx/function_check.h"
#include "onnx/tensor_proto.h"
#include "onnx/type_proto.h"
#include "onnx/wire_write.h"

namespace skiff::onnx {
namespace {

// What is left of a message once everything modelled has been taken out of it.
template <class T>
std::string rest(const T& p) {
  return wire_size(p) == 0 ? std::string() : serialize(p, UINT64_MAX);
}

std::string label(const NodeProto& n) {
  return n.name->empty() ? cat("node ", *n.op_type) : cat("node '", *n.name, "' (", *n.op_type, ")");
}

// A graph under construction, and the node of the enclosing graph that carries it.
struct Scope {
  Graph& g;
  Scope* parent;
  Node* owner;  // its captures grow as inner names turn out to be outer values
  const std::vector<OpsetId>& opsets;
};

// The value a name stands for inside a scope; outer values become captures on the way in.
ValueId resolve(Scope& s, const std::string& name) {
  ValueId here = s.g.find_value(name);
  if (here != kNoValue || !s.parent) return here;
  ValueId outer = resolve(*s.parent, name);
  if (outer == kNoValue) return kNoValue;
  auto& captures = s.owner->captures;
  auto at = std::find(captures.begin(), captures.end(), outer);
  int index = static_cast<int>(at - captures.begin());
  if (at == captures.end()) captures.push_back(outer);
  return s.g.add_capture(name, index);
}

std::vector<OpsetId> take_opsets(std::vector<OperatorSetIdProto>& list, const std::string& whose) {
  check(!list.empty(), Code::kInvalidModel, whose,
        " has no opset_import; it must say which operator sets it uses");
  std::vector<OpsetId> out;
  for (const auto& o : list) {
    check(*o.version >= 1 && *o.version <= 1'000'000, Code::kInvalidModel, whose, " imports version ",
          *o.version, " of the operator set '", *o.domain, "', which cannot exist");
    out.push_back({*o.domain, *o.version});
  }
  std::erase_if(list, [](const OperatorSetIdProto& o) { return o.unknown.empty(); });
  return out;
}

std::string plain_domain(const std::string& d) { return d == "ai.onnx" ? std::string() : d; }

class Importer {
 public:
  Importer(ExternalFiles* files, int64_t ir_version, const MappedFile* mapping)
      : files_(files), ir_version_(ir_version), mapping_(mapping) {}
  void graph(Scope& s, GraphProto& p);
  Function function(FunctionProto& p);

 private:
  void initializers(Graph& g, GraphProto& p);
  void inputs(Graph& g, std::vector<ValueInfoProto>& list);
  void declare_outputs(Graph& g, const std::vector<NodeProto>& nodes);
  void value_infos(Graph& g, std::vector<ValueInfoProto>& list);
  void nodes(Scope& s, std::vector<NodeProto>& list);
  void node(Scope& s, NodeProto& p);
  Attribute attribute(AttributeProto& p, Scope* s, Node* owner);
  Attribute::Value attribute_value(AttributeProto& p, Scope* s, Node* owner);
  std::shared_ptr<Graph> subgraph(GraphProto& p, Scope* s, Node* owner);

  // Counts what was copied out of the mapping, and drops its pages now and then.
  void note_copy(const Tensor& t, const TensorProto& from);

  ExternalFiles* files_;
  int64_t ir_version_;
  const MappedFile* mapping_;
  size_t copied_ = 0;
};

void declare(Value& v, ValueInfoProto& p) {
  if (p.type) {
    if (!v.constant.defined() && !v.sparse) v.type = to_type(*p.type);
    p.type = type_remainder(std::move(*p.type));
  }
  p.name.reset();
  v.extra = rest(p);
}

int64_t opset_of(const std::vector<OpsetId>& opsets, const std::string& domain) {
  for (const OpsetId& o : opsets)
    if (plain_domain(o.domain) == domain) return o.version;
  return 0;
}

void Importer::note_copy(const Tensor& t, const TensorProto& from) {
  constexpr size_t kStep = 2 << 20;
  if (!mapping_ || !from.raw_data.has() || t.raw() == from.raw_data->view.data()) return;
  copied_ += t.bytes();
  if (copied_ < kStep) return;
  mapping_->drop_pages();
  copied_ = 0;
}

void Importer::initializers(Graph& g, GraphProto& p) {
  for (TensorProto& t : p.initializer) {
    check(!t.name->empty(), Code::kInvalidModel, "an initializer has no name");
    Tensor tensor = to_tensor(t, files_);
    note_copy(tensor, t);
    ValueId v = g.add_constant(*t.name, std::move(tensor));
    strip_payload(t);
    t.name.reset();
    g.mutable_value(v).tensor_extra = rest(t);
    t = {};
  }
  for (SparseTensorProto& t : p.sparse_initializer) {
    check(t.values && !t.values->name->empty(), Code::kInvalidModel, "a sparse initializer has no name");
    auto sparse = std::make_shared<const Datum::Sparse>(to_sparse(t, files_));
    ValueId v = g.add_value(*t.values->name, Type::tensor(sparse->values.dtype(), SymShape(sparse->dims)));
    strip_payload(t);
    t.values->name.reset();
    g.mutable_value(v).sparse = std::move(sparse);
    g.mutable_value(v).tensor_extra = rest(t);
  }
  p.initializer.clear();
  p.sparse_initializer.clear();
}

void Importer::inputs(Graph& g, std::vector<ValueInfoProto>& list) {
  for (ValueInfoProto& p : list) {
    check(!p.name->empty(), Code::kInvalidModel, "a graph input has no name");
    ValueId v = g.find_value(*p.name);
    if (v == kNoValue) {
      v = g.add_input(*p.name, {});
    } else {
      check(!g.value(v).is_input, Code::kInvalidModel, "two graph inputs are named '", *p.name, "'");
      // Before IR 4 every initializer had to be listed among the inputs; since then the list makes it a
      // default.
      if (ir_version_ >= 4) {
        g.mutable_value(v).overridable = true;
        g.mark_input(v);
      }
    }
    try {
      declare(g.mutable_value(v), p);
    } catch (Error& e) {
      e.add_where(cat("input '", g.value(v).name, "'"));
      throw;
    }
  }
  list.clear();
}

// All names first, so that the order of nodes in the file does not matter (it should be topological, but is
// not in every file people have).
void Importer::declare_outputs(Graph& g, const std::vector<NodeProto>& nodes) {
  std::unordered_map<ValueId, const NodeProto*> maker;
  for (const NodeProto& n : nodes) {
    for (const std::string& name : n.output) {
      if (name.empty()) continue;
      ValueId before = g.find_value(name);
      if (before != kNoValue) {
        auto it = maker.find(before);
        fail(Code::kInvalidModel, label(n), " defines '", name, "', which is already ",
             it != maker.end() ? cat("defined by ", label(*it->second))
                               : std::string(g.value(before).is_input ? "a graph input" : "an initializer"),
             "; each name may be defined once (ONNX: single assignment)");
      }
      maker.emplace(g.add_value(name), &n);
    }
  }
}

// Types of inner values. What names no inner value (an initializer, a stranger) stays in the list.
void Importer::value_infos(Graph& g, std::vector<ValueInfoProto>& list) {
  std::vector<ValueInfoProto> left;
  for (ValueInfoProto& p : list) {
    ValueId v = p.name->empty() ? kNoValue : g.find_value(*p.name);
    bool inner = v != kNoValue && !g.value(v).is_input && !g.value(v).is_output &&
                 !g.value(v).constant.defined() && !g.value(v).sparse &&
                 g.value(v).type.kind == Type::Kind::kUnknown;
    if (inner)
      declare(g.mutable_value(v), p);
    else
      left.push_back(std::move(p));
  }
  list = std::move(left);
}

void Importer::nodes(Scope& s, std::vector<NodeProto>& list) {
  for (NodeProto& p : list) {
    std::string where = label(p);
    try {
      node(s, p);
    } catch (Error& e) {
      e.add_where(where);
      throw;
    }
    p = {};
  }
  list.clear();
}

void Importer::node(Scope& s, NodeProto& p) {
  Node n;
  check(!p.op_type->empty(), Code::kInvalidModel, "a node has no op_type");
  n.domain = plain_domain(*p.domain);
  check(n.domain != "skiff", Code::kInvalidModel,
        "the domain 'skiff' belongs to nodes that Skiff's own passes make; no file may hold them");
  n.op = *p.op_type;
  n.name = *p.name;
  n.overload = *p.overload;
  n.opset = static_cast<int>(opset_of(s.opsets, n.domain));
  check(n.opset != 0, Code::kInvalidModel, "the operator set '", n.domain,
        "' is not among the opset_imports; add it");
  for (const std::string& name : p.input) {
    ValueId v = name.empty() ? kNoValue : resolve(s, name);
    check(name.empty() || v != kNoValue, Code::kInvalidModel, "input '", name, "' is defined by nothing");
    n.inputs.push_back(v);
  }
  for (const std::string& name : p.output)
    n.outputs.push_back(name.empty() ? kNoValue : s.g.find_value(name));
  for (AttributeProto& a : p.attribute) {
    check(!n.has_attr(*a.name), Code::kInvalidModel, "attribute '", *a.name, "' is given twice");
    n.attributes.push_back(attribute(a, &s, &n));
  }
  p.input.clear();
  p.output.clear();
  p.attribute.clear();
  p.name.reset();
  p.op_type.reset();
  p.domain.reset();
  p.overload.reset();
  n.extra = rest(p);
  s.g.add_node(std::move(n));
}

std::shared_ptr<Graph> Importer::subgraph(GraphProto& p, Scope* s, Node* owner) {
  check(s != nullptr, Code::kUnsupported,
        "a graph as the default of a function's attribute is not supported");
  auto g = std::make_shared<Graph>();
  Scope inner{*g, s, owner, s->opsets};
  graph(inner, p);
  return g;
}

Attribute::Value Importer::attribute_value(AttributeProto& p, Scope* s, Node* owner) {
  using T = AttributeProto::Type;
  auto tensor = [&](TensorProto& t) {
    Tensor r = to_tensor(t, files_);
    note_copy(r, t);
    strip_payload(t);
    return r;
  };
  auto sparse = [&](SparseTensorProto& t) {
    Datum::Sparse r = to_sparse(t, files_);
    strip_payload(t);
    return r;
  };
  auto drop_empty = [](auto& list) {
    if (std::all_of(list.begin(), list.end(), [](const auto& t) { return wire_size(t) == 0; })) list.clear();
  };
  auto present = [&](bool ok) { check(ok, Code::kInvalidModel, "it has no value"); };
  switch (*p.type) {
    case T::kFloat: return std::exchange(p.f, {}).get();
    case T::kInt: return std::exchange(p.i, {}).get();
    case T::kString: return std::exchange(p.s, {}).get();
    case T::kTensor: {
      present(p.t.has());
      Tensor t = tensor(*p.t);
      if (wire_size(*p.t) == 0) p.t.reset();
      return t;
    }
    case T::kGraph: {
      present(p.g.has());
      auto g = subgraph(*p.g, s, owner);
      p.g.reset();
      return g;
    }
    case T::kFloats: return std::exchange(p.floats, {});
    case T::kInts: return std::exchange(p.ints, {});
    case T::kStrings: return std::exchange(p.strings, {});
    case T::kTensors: {
      std::vector<Tensor> list;
      for (auto& t : p.tensors) list.push_back(tensor(t));
      drop_empty(p.tensors);
      return list;
    }
    case T::kGraphs: {
      std::vector<std::shared_ptr<Graph>> list;
      for (auto& g : p.graphs) list.push_back(subgraph(g, s, owner));
      p.graphs.clear();
      return list;
    }
    case T::kSparseTensor: {
      present(p.sparse_tensor.has());
      Datum::Sparse t = sparse(*p.sparse_tensor);
      return t;
    }
    case T::kSparseTensors: {
      std::vector<Datum::Sparse> list;
      for (auto& t : p.sparse_tensors) list.push_back(sparse(t));
      return list;
    }
    case T::kTypeProto: {
      present(p.tp.has());
      Type t = to_type(*p.tp);
      p.tp = type_remainder(std::move(*p.tp));
      return t;
    }
    case T::kTypeProtos: {
      std::vector<Type> list;
      bool lossless = true;
      for (auto& t : p.type_protos) {
        list.push_back(to_type(t));
        lossless = lossless && !type_remainder(t).has();
      }
      if (lossless) p.type_protos.clear();
      return list;
    }
    case T::kUndefined: break;
  }
  fail(Code::kInvalidModel, "unknown attribute type ", static_cast<int>(*p.type));
}

// Files older than IR 2 have no type field; the field that is set tells.
AttributeProto::Type guess_type(const AttributeProto& p) {
  using T = AttributeProto::Type;
  if (p.f.has()) return T::kFloat;
  if (p.i.has()) return T::kInt;
  if (p.s.has()) return T::kString;
  if (p.t) return T::kTensor;
  if (p.g) return T::kGraph;
  if (p.sparse_tensor) return T::kSparseTensor;
  if (p.tp) return T::kTypeProto;
  if (!p.floats.empty()) return T::kFloats;
  if (!p.ints.empty()) return T::kInts;
  if (!p.strings.empty()) return T::kStrings;
  if (!p.tensors.empty()) return T::kTensors;
  if (!p.graphs.empty()) return T::kGraphs;
  if (!p.sparse_tensors.empty()) return T::kSparseTensors;
  if (!p.type_protos.empty()) return T::kTypeProtos;
  return T::kUndefined;
}

Attribute Importer::attribute(AttributeProto& p, Scope* s, Node* owner) {
  Attribute a;
  a.name = *p.name;
  try {
    check(!a.name.empty(), Code::kInvalidModel, "an attribute has no name");
    if (!p.ref_attr_name->empty()) {
      check(*p.type >= AttributeProto::Type::kUndefined && *p.type <= AttributeProto::Type::kTypeProtos,
            Code::kInvalidModel, "unknown attribute type ", static_cast<int>(*p.type));
      a.ref_name = *p.ref_attr_name;
      a.ref_type = static_cast<AttrType>(*p.type);
      p.ref_attr_name.reset();
    } else {
      if (*p.type == AttributeProto::Type::kUndefined) p.type = guess_type(p);
      check(*p.type != AttributeProto::Type::kUndefined, Code::kInvalidModel,
            "it has neither type nor value");
      a.value = attribute_value(p, s, owner);
    }
  } catch (Error& e) {
    e.add_where(cat("attribute '", a.name, "'"));
    throw;
  }
  p.name.reset();
  p.type.reset();
  a.extra = rest(p);
  return a;
}

void Importer::graph(Scope& s, GraphProto& p) {
  Graph& g = s.g;
  g.name = *p.name;
  initializers(g, p);
  inputs(g, p.input);
  declare_outputs(g, p.node);
  std::vector<ValueInfoProto> outputs = std::move(p.output);
  for (ValueInfoProto& o : outputs) {
    check(!o.name->empty(), Code::kInvalidModel, "a graph output has no name");
    ValueId v = resolve(s, *o.name);
    check(v != kNoValue, Code::kInvalidModel, "the graph output '", *o.name, "' is defined by nothing");
    bool fresh = !g.value(v).is_output && !g.value(v).is_input;
    g.mark_output(v);
    if (fresh) declare(g.mutable_value(v), o);
  }
  value_infos(g, p.value_info);
  nodes(s, p.node);
  (void)g.order();  // throws on a cycle
  p.name.reset();
  p.output.clear();
  g.extra = rest(p);
}

Function Importer::function(FunctionProto& p) {
  Function f;
  f.domain = plain_domain(*p.domain);
  f.name = *p.name;
  f.overload = *p.overload;
  try {
    f.opsets = take_opsets(p.opset_import, "the function");
    f.attributes = std::move(p.attribute);
    for (AttributeProto& a : p.attribute_proto)
      f.attribute_defaults.push_back(attribute(a, nullptr, nullptr));
    f.body = std::make_shared<Graph>();
    Graph& g = *f.body;
    g.name = f.name;
    for (const std::string& name : p.input) {
      check(g.find_value(name) == kNoValue, Code::kInvalidModel, "two inputs are named '", name, "'");
      g.add_input(name, {});
    }
    declare_outputs(g, p.node);
    std::vector<ValueInfoProto> left;
    for (ValueInfoProto& info : p.value_info) {
      ValueId v = info.name->empty() ? kNoValue : g.find_value(*info.name);
      if (v != kNoValue && g.value(v).type.kind == Type::Kind::kUnknown)
        declare(g.mutable_value(v), info);
      else
        left.push_back(std::move(info));
    }
    p.value_info = std::move(left);
    for (const std::string& name : p.output) {
      ValueId v = g.find_value(name);
      check(v != kNoValue, Code::kInvalidModel, "its output '", name, "' is defined by nothing");
      g.mark_output(v);
    }
    Scope s{g, nullptr, nullptr, f.opsets};
    nodes(s, p.node);
    (void)g.order();
  } catch (Error& e) {
    e.add_where(cat("function '", f.name, "' of '", f.domain, "'"));
    throw;
  }
  p.name.reset();
  p.domain.reset();
  p.overload.reset();
  p.attribute.clear();
  p.attribute_proto.clear();
  p.input.clear();
  p.output.clear();
  f.extra = rest(p);
  return f;
}

// What a file that is no ONNX model may be instead.
std::string hint_of(std::string_view b) {
  auto at = [b](size_t i, std::string_view magic) { return b.size() >= i && b.substr(i).starts_with(magic); };
  if (at(0, "version https://git-lfs"))
    return "it is a Git LFS pointer; fetch the real file with 'git lfs pull'";
  if (at(0, "PK\3\4")) return "it is a zip archive (a PyTorch or Keras file?); export the model to ONNX";
  if (at(0, "\x1f\x8b")) return "it is compressed by gzip; unpack it first";
  if (at(0, "\x89HDF")) return "it is an HDF5 (Keras) file; export the model to ONNX";
  if (at(4, "TFL3")) return "it is a TensorFlow Lite file; convert the model to ONNX";
  if (at(4, "ORTM")) return "it is an ONNX Runtime (.ort) file; use the .onnx file it was made from";
  if (at(0, "\xff\xd8\xff") || at(0, "\x89PNG")) return "it is an image";
  if (at(0, "\x80\2") || at(0, "\x80\4")) return "it is a Python pickle; export the model to ONNX";
  if (at(0, "{")) return "it is a JSON file; only the binary form of ONNX is read";
  if (at(0, "<")) return "it is a text file; only the binary form of ONNX is read";
  return {};
}

Model read(std::string_view bytes, const std::shared_ptr<const void>& owner, ExternalFiles* files,
           const ReadOptions& options, const MappedFile* mapping) {
  check(!bytes.empty(), Code::kInvalidModel, "it is empty, not an ONNX model");
  ModelProto m;
  std::string hint = hint_of(bytes);
  try {
    parse(m, bytes, owner, options.limits);
  } catch (const Error& e) {
    if (hint.empty() || e.code() != Code::kInvalidModel) throw;
    fail(Code::kInvalidModel, "not an ONNX model: ", hint);
  }
  check(m.ir_version.has() && m.graph.has(), Code::kInvalidModel, "not an ONNX model: it has no ",
        m.ir_version.has() ? "graph" : "ir_version", hint.empty() ? "" : "; ", hint);
  return import_model(std::move(m), files, options, mapping);
}

}  // namespace

Model import_model(ModelProto p, ExternalFiles* files, const ReadOptions& options,
                   const MappedFile* mapping) {
  check(p.graph.has(), Code::kInvalidModel, "the model has no graph");
  check(*p.ir_version <= kNewestIrVersion, Code::kUnsupported, "the model has IR version ", *p.ir_version,
        "; the newest supported is ", kNewestIrVersion, ". Export it with an older one");
  check(*p.ir_version >= kOldestIrVersion, Code::kUnsupported, "the model has IR version ", *p.ir_version,
        "; the oldest supported is ", kOldestIrVersion, ". Convert it with a current exporter");
  check_functions(p, options.max_nodes);
  Model m;
  m.ir_version = *p.ir_version;
  m.opsets = take_opsets(p.opset_import, "the model");
  m.producer_name = *p.producer_name;
  m.producer_version = *p.producer_version;
  m.domain = *p.domain;
  m.doc_string = *p.doc_string;
  m.model_version = *p.model_version;
  for (const auto& e : p.metadata_props) m.metadata.emplace_back(*e.key, *e.value);
  p.metadata_props.clear();
  for (Opt<std::string>* s : {&p.producer_name, &p.producer_version, &p.domain, &p.doc_string}) s->reset();
  p.ir_version.reset();
  p.model_version.reset();

  Importer importer(files, m.ir_version, mapping);
  Scope top{m.graph, nullptr, nullptr, m.opsets};
  importer.graph(top, *p.graph);
  p.graph.reset();
  for (FunctionProto& f : p.functions) m.functions.push_back(importer.function(f));
  p.functions.clear();
  if (files && !p.training_info.empty()) load_external_data(p, *files);
  m.extra = rest(p);
  return m;
}

Model read_model(const std::string& path, const ReadOptions& options) {
  return read_model(MappedFile::share(path), options);
}

Model read_model(const std::shared_ptr<const MappedFile>& file, const ReadOptions& options) {
  const std::string& path = file->path();
  ExternalFiles files(options.external_folder.empty() ? folder_of(path) : options.external_folder,
                      options.allow_links);
  try {
    Model m = read(file->view(), file, &files, options, file.get());
    m.path = path;
    return m;
  } catch (Error& e) {
    e.add_where(cat("file '", path, "'"));
    throw;
  }
}

Model read_model_bytes(std::string_view bytes, std::shared_ptr<const void> owner,
                       const ReadOptions& options) {
  if (!owner) {
    auto copy = std::make_shared<const std::string>(bytes);
    bytes = *copy;
    owner = copy;
  }
  ExternalFiles files(options.external_folder, options.allow_links);
  return read(bytes, owner, options.external_folder.empty() ? nullptr : &files, options, nullptr);
}

}  // namespace skiff::onnx
