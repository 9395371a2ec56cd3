// The graph: nodes and values by id, edited only through Patch. Subgraphs (If, Loop, Scan) hang on attributes
// and name the outer values they use explicitly, so that every pass sees all edges.
#pragma once
#include <memory>
#include <string>
#include <string_view>
#include <unordered_map>
#include <utility>
#include <variant>
#include <vector>

#include "tensor/sym_dim.h"
#include "tensor/tensor.h"

namespace skiff {

using ValueId = int32_t;
using NodeId = int32_t;
inline constexpr ValueId kNoValue = -1;  // an absent optional input or output
inline constexpr NodeId kNoNode = -1;

struct OpDef;  // ops/op.h
class Graph;

// Numbered as onnx.AttributeProto.AttributeType.
enum class AttrType : uint8_t {
  kUndefined = 0,
  kFloat = 1,
  kInt = 2,
  kString = 3,
  kTensor = 4,
  kGraph = 5,
  kFloats = 6,
  kInts = 7,
  kStrings = 8,
  kTensors = 9,
  kGraphs = 10,
  kSparse = 11,
  kSparses = 12,
  kType = 13,
  kTypes = 14,
};
std::string_view attr_type_name(AttrType t);

struct Attribute {
  using Ints = std::vector<int64_t>;
  using Floats = std::vector<float>;
  using Strings = std::vector<std::string>;
  using Value = std::variant<std::monostate, float, int64_t, std::string, Tensor, std::shared_ptr<Graph>,
                             Floats, Ints, Strings, std::vector<Tensor>, std::vector<std::shared_ptr<Graph>>,
                             Datum::Sparse, std::vector<Datum::Sparse>, Type, std::vector<Type>>;
  std::string name;
  Value value;           // alternative index == AttrType number
  AttrType ref_type{};   // type when ref_name is set
  std::string ref_name;  // inside a function body: takes the value of the caller's attribute of this name
  std::string extra;     // wire bytes of what is not modelled (doc string, unknown fields)

  Attribute() = default;
  Attribute(std::string n, Value v) : name(std::move(n)), value(std::move(v)) {}
  AttrType type() const { return ref_name.empty() ? static_cast<AttrType>(value.index()) : ref_type; }
};

struct Use {
  NodeId node = kNoNode;
  int index = 0;  // >= 0: inputs[index]; < 0: captures[-1 - index]
  friend bool operator==(const Use&, const Use&) = default;
};

struct Value {
  std::string name;
  Type type;                  // declared or inferred; kUnknown when neither
  NodeId producer = kNoNode;  // kNoNode: graph input, constant, capture, or dead
  int producer_index = 0;
  std::vector<Use> uses;
  Tensor constant;                              // defined for initializers and constants made by passes
  std::shared_ptr<const Datum::Sparse> sparse;  // a sparse initializer (its dense form is not kept)
  bool overridable = false;  // an initializer that is also a graph input (IR >= 4): the caller may replace it
  bool is_input = false, is_output = false;  // of this graph
  bool is_capture = false;                   // stands for a value of the enclosing graph
  bool dead = false;
  std::string extra;         // wire bytes of what is not modelled of its ValueInfoProto
  std::string tensor_extra;  // and of its TensorProto
  // A compile-time constant: folding and packing may rely on it.
  bool is_constant() const { return constant.defined() && !overridable; }
};

struct Node {
  std::string domain;  // "" is ai.onnx; "skiff" holds internal fused operators
  std::string op;
  std::string name, overload;
  int opset = 0;                         // version of `domain` this node was written against
  std::vector<ValueId> inputs, outputs;  // kNoValue where absent
  std::vector<Attribute> attributes;
  std::vector<ValueId> captures;  // outer values used by its subgraphs, each once
  const OpDef* def = nullptr;     // catalogue entry; null for a function call or an unknown operator
  std::string device;             // set by placement; empty before
  bool dead = false;
  std::string extra;  // doc string, metadata, device configurations, unknown fields (wire bytes)

  const Attribute* attr(std::string_view n) const;
  bool has_attr(std::string_view n) const { return attr(n) != nullptr; }
  // Value, or the default when absent. Throws kInvalidModel when the attribute has another type.
  int64_t attr_i(std::string_view n, int64_t def_value) const;
  float attr_f(std::string_view n, float def_value) const;
  std::string attr_s(std::string_view n, std::string_view def_value) const;
  std::vector<int64_t> attr_ints(std::string_view n, std::vector<int64_t> def_value = {}) const;
  std::vector<float> attr_floats(std::string_view n, std::vector<float> def_value = {}) const;
  std::vector<std::string> attr_strings(std::string_view n) const;
  const Tensor* attr_tensor(std::string_view n) const;                 // null when absent
  const std::shared_ptr<Graph>& attr_graph(std::string_view n) const;  // throws when absent
  ValueId input(size_t i) const { return i < inputs.size() ? inputs[i] : kNoValue; }
  ValueId output(size_t i) const { return i < outputs.size() ? outputs[i] : kNoValue; }
  // "node 'conv1' (Conv)": for messages.
  std::string label() const;
  bool is(std::string_view d, std::string_view o) const { return op == o && domain == d; }
  bool is(std::string_view o) const { return op == o && domain.empty(); }
};

class Graph {
 public:
  std::string name;
  std::string extra;  // doc string, quantization_annotation, metadata, unknown fields (wire bytes)

  Graph() = default;
  Graph(const Graph&) = delete;
  Graph& operator=(const Graph&) = delete;
  Graph(Graph&&) = default;
  Graph& operator=(Graph&&) = default;
  // Deep copy: same ids, subgraphs copied, tensors shared.
  Graph clone() const;

  const Node& node(NodeId id) const { return *nodes_[static_cast<size_t>(id)]; }
  const Value& value(ValueId id) const { return *values_[static_cast<size_t>(id)]; }
  size_t node_slots() const { return nodes_.size(); }  // ids in [0, slots); some may be dead
  size_t value_slots() const { return values_.size(); }
  size_t node_count() const { return live_nodes_; }
  // Without plain initializers; overridable ones are among them.
  const std::vector<ValueId>& inputs() const { return inputs_; }
  const std::vector<ValueId>& outputs() const { return outputs_; }
  // A subgraph's captured values: `inner` stands for captures[index] of the node that owns the subgraph.
  struct Capture {
    ValueId inner;
    int index;
  };
  const std::vector<Capture>& captures() const { return captures_; }
  // Live nodes so that producers come first; keeps the original order where it can. Throws kInvalidModel on a
  // cycle.
  const std::vector<NodeId>& order() const;
  ValueId find_value(std::string_view name) const;  // kNoValue when there is none

  // --- Building. Only the reader, Patch and tests call these; passes use Patch.
  ValueId add_value(std::string name, Type type = {});
  ValueId add_input(std::string name, Type type);
  ValueId add_constant(std::string name, Tensor t);
  ValueId add_capture(std::string name, int index);
  void mark_input(ValueId v);
  void mark_output(ValueId v);  // a value may be listed more than once
  NodeId add_node(
      Node n);  // links producers and uses; throws kInvalidModel when an output already has a producer
  Value& mutable_value(ValueId id) {
    return *values_[static_cast<size_t>(id)];
  }                                                                           // types, extras; not its links
  Node& mutable_node(NodeId id) { return *nodes_[static_cast<size_t>(id)]; }  // device, def; not its links
  // A name no value has yet, made from the hint.
  std::string unique_name(std::string_view hint) const;

 private:
  friend class Patch;
  void link(NodeId id);
  void unlink(NodeId id);
  void drop_use(ValueId v, Use u);
  std::vector<std::unique_ptr<Node>> nodes_;
  std::vector<std::unique_ptr<Value>> values_;
  std::vector<ValueId> inputs_, outputs_;
  std::vector<Capture> captures_;
  std::unordered_map<std::string, ValueId> names_;
  size_t live_nodes_ = 0;
  uint64_t version_ = 0;  // grows with every edit
  mutable std::vector<NodeId> order_;
  mutable uint64_t order_version_ = ~uint64_t{0};
  mutable uint64_t unique_ = 0;
};

struct OpsetId {
  std::string domain;
  int64_t version = 0;
};

// A model-local function: its body refers to the caller's attributes through Attribute::ref_name.
struct Function {
  std::string domain, name, overload;
  std::vector<std::string> attributes;  // required attribute names
  std::vector<Attribute> attribute_defaults;
  std::vector<OpsetId> opsets;
  std::shared_ptr<Graph> body;  // inputs and outputs by position
  std::string extra;
};

struct Model {
  int64_t ir_version = 0;
  std::vector<OpsetId> opsets;
  std::string producer_name, producer_version, domain, doc_string;
  int64_t model_version = 0;
  std::vector<std::pair<std::string, std::string>> metadata;
  Graph graph;
  std::vector<Function> functions;
  std::string extra;  // training info, device configurations, unknown fields (wire bytes)
  std::string path;   // where it was read from; empty for memory
  int64_t opset(std::string_view domain) const;  // 0 when not imported; "ai.onnx" is ""
};

// Checks every structural invariant of a graph and its subgraphs (ids, single producers, mirrored uses, no
// cycle, no undefined value, captures). Throws kInternal naming the first breach: the wrapper runs it after
// each pass.
void verify(const Graph& g);

// Text for people: one line a node, with types. Stable between runs.
std::string print(const Graph& g);

}  // namespace skiff
