// The operator catalogue: what an operator is (OpDef), what its rules see (InferContext, CostContext) and
// what its reference implementation sees (KernelContext).
#pragma once
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "graph/graph.h"

namespace skiff {

// ---------------------------------------------------------------- type and shape rules

// What is known of one input when a rule runs.
struct InputInfo {
  const Type* type = nullptr;              // null: absent optional input
  const Tensor* constant = nullptr;        // the value, when it is known
  const std::vector<Dim>* data = nullptr;  // elements of an integer tensor of rank 0 or 1, when partly known
};

struct OutputInfo {
  Type type;
  std::vector<Dim> data;  // elements, when the rule knows them (integer tensors of rank 0 or 1)
  bool has_data = false;
};

// Infers the types of a subgraph's outputs given its input types.
class SubgraphInfer {
 public:
  virtual ~SubgraphInfer() = default;
  virtual std::vector<Type> infer(const Node& node, const Graph& g, std::span<const Type> inputs) = 0;
};

// One rule serves three callers: symbolic inference on the whole graph, planning with concrete shapes, and
// checking. A rule sets what it can; what it leaves is unknown. It throws kInvalidModel when inputs
// contradict the operator.
class InferContext {
 public:
  InferContext(const Node& node, std::span<const InputInfo> in, std::span<OutputInfo> out,
               SubgraphInfer* sub = nullptr)
      : node_(node), in_(in), out_(out), sub_(sub) {}

  const Node& node() const { return node_; }
  int opset() const { return node_.opset; }
  size_t inputs() const { return in_.size(); }
  size_t outputs() const { return out_.size(); }
  bool has(size_t i) const { return i < in_.size() && in_[i].type != nullptr; }
  bool wants(size_t i) const { return i < out_.size() && node_.output(i) != kNoValue; }
  const Type& type(size_t i) const;  // kUnknown type when absent
  DType dtype(size_t i) const { return type(i).dtype; }
  const SymShape& shape(size_t i) const { return type(i).shape; }
  bool has_rank(size_t i) const { return has(i) && shape(i).has_rank(); }
  const Tensor* constant(size_t i) const { return i < in_.size() ? in_[i].constant : nullptr; }
  // Elements of an integer input of rank 0 or 1: from the constant or from propagation; nullopt when nothing
  // is known.
  std::optional<std::vector<Dim>> data(size_t i) const;
  // The same when every element is a number.
  std::optional<std::vector<int64_t>> ints(size_t i) const;

  void set(size_t i, Type t);
  void set(size_t i, DType t, SymShape s = {}) { set(i, Type::tensor(t, std::move(s))); }
  void set_data(size_t i, std::vector<Dim> d);
  std::vector<Type> infer_subgraph(std::string_view attr, std::span<const Type> inputs);

  // Rank of input i is r (or unknown); throws naming node and input otherwise.
  void expect_rank(size_t i, size_t r) const;

 private:
  const Node& node_;
  std::span<const InputInfo> in_;
  std::span<OutputInfo> out_;
  SubgraphInfer* sub_;
};

// Output 0 has the type and shape of input 0 (also input 0's known data when `keep_data`).
void infer_same(InferContext& c);
// Output 0: broadcast of all inputs' shapes, dtype of input 0.
void infer_broadcast(InferContext& c);
// The same with bool elements (comparisons).
void infer_broadcast_bool(InferContext& c);

// ---------------------------------------------------------------- cost

struct Cost {
  double flops = 0;  // a multiply-add counts 2
  double bytes = 0;  // read and written once, weights included
};

struct CostContext {
  const Node& node;
  std::span<const Type* const> in;  // null where absent; shapes may be symbolic
  std::span<const Type* const> out;
  double elements(const Type* t) const;  // 0 when unknown
  double in_elements(size_t i) const { return i < in.size() ? elements(in[i]) : 0; }
  double out_elements(size_t i) const { return i < out.size() ? elements(out[i]) : 0; }
  int64_t in_dim(size_t i, int64_t axis) const;  // 1 when unknown; negative axes count from the end
};

// ---------------------------------------------------------------- execution

// What an executor lends to a kernel.
class KernelHost {
 public:
  virtual ~KernelHost() = default;
  // Runs the subgraph under attribute `attr` of the node (captures are bound by the host). Takes and returns
  // values in the subgraph's order.
  virtual std::vector<Datum> run_subgraph(const Node& node, const Graph& g,
                                          std::span<const Datum> inputs) = 0;
  // Throws kCancelled when the run was cancelled, kLimit when its time is over. Cheap; long loops call it.
  virtual void poll() = 0;
  virtual int64_t max_loop_trips() const { return INT64_MAX; }
};

// What a node keeps from run to run. Runs of one session may use it from several threads at once.
class NodeState {
 public:
  virtual ~NodeState() = default;
};

// One execution of one node. Inputs are host tensors of the reference's device; outputs are asked for with
// their final shape and are either the planned buffer (the shape must then agree) or freshly allocated.
class KernelContext {
 public:
  KernelContext(const Node& node, std::span<const Datum* const> in, std::span<Datum> out, KernelHost* host,
                NodeState* state = nullptr)
      : node_(node), in_(in), out_(out), host_(host), state_(state) {}
  const Node& node() const { return node_; }
  int opset() const { return node_.opset; }
  size_t inputs() const { return in_.size(); }
  size_t outputs() const { return out_.size(); }
  bool has(size_t i) const { return i < in_.size() && in_[i] != nullptr; }
  bool wants(size_t i) const { return i < out_.size() && node_.output(i) != kNoValue; }
  const Tensor& in(size_t i) const;  // throws kInvalidModel naming the input when absent
  const Datum& in_datum(size_t i) const;
  // Null when absent: for optional inputs.
  const Tensor* maybe(size_t i) const { return has(i) ? &in(i) : nullptr; }
  // The output buffer. When a planned buffer is there (out_[i] is a tensor already), dtype and dims must
  // agree.
  Tensor& out(size_t i, DType t, const Dims& d);
  // The buffer planned for output i, if there is one.
  const Tensor* planned(size_t i) const {
    return i < out_.size() && out_[i].is_tensor() ? &out_[i].tensor() : nullptr;
  }
  // Sets output i to any value (sequences, maps, optionals, or a tensor shared with an input). When a planned
  // buffer is there, a tensor's elements are copied into it.
  void set_out(size_t i, Datum v);
  std::vector<Datum> run_subgraph(std::string_view attr, std::span<const Datum> inputs);
  void poll() {
    if (host_) host_->poll();
  }
  int64_t max_loop_trips() const { return host_ ? host_->max_loop_trips() : INT64_MAX; }
  // What OpDef::make_state made for this node; null for operators without state.
  NodeState* state() const { return state_; }

 private:
  const Node& node_;
  std::span<const Datum* const> in_;
  std::span<Datum> out_;
  KernelHost* host_;
  NodeState* state_;
};

// ---------------------------------------------------------------- the catalogue entry

enum OpFlags : uint32_t {
  kElementwise = 1,  // output element i depends on the (broadcast) input elements i alone
  kCommutative = 2,  // of its two inputs
  kDataDependent =
      4,  // output shape depends on values of its data inputs (NonZero, NonMaxSuppression, Loop, If)
  kNondeterministic = 8,  // never folded nor merged
  kView = 16,      // output 0 has the bytes of input 0 under another shape (Reshape, Squeeze, Identity ...)
  kInternal = 32,  // domain "skiff": made by passes, never read from or written to files
  kControlFlow = 64,  // owns subgraphs
  kNonTensor = 128,   // takes or gives sequences, maps, optionals or sparse tensors
  kHostOnly = 256,    // its reference implementation is the only one there will ever be (custom operators)
  kUntrusted = 512,   // what it makes is checked against what its rule promised
};

enum class Arity : uint8_t { kRequired, kOptional, kVariadic };

struct Formal {
  const char* name;
  TypeMask types;  // union over all versions; 0: not a tensor
  char tvar = 0;   // formals of one letter have one element type; 0: free
  Arity arity = Arity::kRequired;
};

struct AttrDef {
  const char* name;
  AttrType type;
  bool required = false;
};

struct OpDef {
  const char* domain = "";
  const char* name = "";
  std::vector<int> versions;  // since-versions, ascending
  int removed = 0;            // first opset without it; 0: never
  std::vector<Formal> inputs{}, outputs{};
  std::vector<AttrDef> attributes{};
  void (*infer)(InferContext&) = nullptr;       // required
  void (*reference)(KernelContext&) = nullptr;  // required; every type the standard allows
  Cost (*cost)(const CostContext&) = nullptr;  // null: one flop per output element, every tensor touched once
  uint32_t flags = 0;
  uint32_t value_inputs =
      0;  // bit i: the shape rule reads the value of input i (Reshape's shape, Slice's starts)
  std::unique_ptr<NodeState> (*make_state)(const Node&) = nullptr;  // null: no state
  const void* custom = nullptr;  // of an operator from outside: its record, for its own functions alone

  bool is(OpFlags f) const { return (flags & f) != 0; }
  // The version in force under `opset`: the largest since-version not above it; 0 when the operator is
  // younger.
  int version(int opset) const;
};

// In a family's file:   SKIFF_OP_DEF(ai_onnx, Add) { return {.name = "Add", .versions = {1, 6, 7, 13, 14},
// ...}; } In ops.inc:           SKIFF_OP(ai_onnx, Add) Domains: ai_onnx "", ai_onnx_ml "ai.onnx.ml",
// com_microsoft "com.microsoft", skiff "skiff".
#define SKIFF_OP_DEF(domain_id, op_name) ::skiff::OpDef skiff_op_##domain_id##_##op_name()

const std::vector<const OpDef*>& all_ops();
const OpDef* find_op(std::string_view domain, std::string_view name);  // null when unknown
Cost cost_of(const OpDef& op, const CostContext& c);
// Newest opset of the default domain whose semantics this build knows.
inline constexpr int kNewestOpset = 28;

class OpRegistry;  // ops/registry.h

// Sets Node::def throughout the graph and its subgraphs and checks each node against its entry: domain known,
// operator known in that opset, number of inputs and outputs, attribute names' types, required attributes.
// Calls of the given model-local functions keep def == null. `custom` (may be null) holds operators from
// outside the catalogue. Throws kUnsupported or kInvalidModel naming node, operator, opset and remedy.
void resolve_ops(Graph& g, const std::vector<Function>& functions = {}, const OpRegistry* custom = nullptr);

// Common masks.
inline constexpr TypeMask kFloatTypes =
    mask_of(DType::kFloat) | mask_of(DType::kDouble) | mask_of(DType::kFloat16) | mask_of(DType::kBFloat16);
inline constexpr TypeMask kSignedInts =
    mask_of(DType::kInt8) | mask_of(DType::kInt16) | mask_of(DType::kInt32) | mask_of(DType::kInt64);
inline constexpr TypeMask kUnsignedInts =
    mask_of(DType::kUint8) | mask_of(DType::kUint16) | mask_of(DType::kUint32) | mask_of(DType::kUint64);
inline constexpr TypeMask kNumericTypes = kFloatTypes | kSignedInts | kUnsignedInts;
inline constexpr TypeMask kBoolType = mask_of(DType::kBool);
inline constexpr TypeMask kIndexTypes = mask_of(DType::kInt32) | mask_of(DType::kInt64);
inline constexpr TypeMask kAllTypes = ((TypeMask{1} << kDTypeCount) - 1) & ~TypeMask{1};

}  // namespace skiff
