// How single operators changed from version to version: what upgrade_opset applies.
#pragma once
#include <span>
#include <string>
#include <vector>

#include "graph/patch.h"
#include "ops/op.h"

namespace skiff::onnx {

// One node on its way into a version that says something differently.
class NodeUpgrade {
 public:
  NodeUpgrade(Graph& g, NodeId id, int opset) : g_(g), id_(id), opset_(opset), patch_(g) {}

  const Node& node() const { return g_.node(id_); }
  const Type& type(ValueId v) const { return g_.value(v).type; }
  // Throws kUnsupported, naming the tensor, when it is unknown.
  int64_t rank(ValueId v) const;
  const Tensor* constant(ValueId v) const;

  // --- The node itself.
  void rename(const char* op) { g_.mutable_node(id_).op = op; }
  void set(Attribute a) { patch_.set_attribute(id_, std::move(a)); }
  void drop(std::string_view attribute);
  void input(size_t i, ValueId v) { patch_.set_input(id_, i, v); }
  void keep_outputs(size_t n);  // the others must not be used

  // --- New nodes and constants, of the opset the node is brought to.
  ValueId op(const char* name, std::vector<ValueId> in, std::vector<Attribute> attributes = {});
  std::vector<ValueId> add(Node n, size_t outputs) { return patch_.add(std::move(n), outputs, hint("scan")); }
  int opset() const { return opset_; }
  ValueId ints(const std::vector<int64_t>& v) { return tensor(Tensor::from(std::span<const int64_t>(v))); }
  ValueId tensor(Tensor t) { return patch_.constant(hint("constant"), std::move(t)); }
  ValueId number(double v, DType t);

  // Output i comes from another value (of its type) from now on.
  void replace(size_t i, ValueId v);
  // The node gives way; its outputs must be replaced or unused.
  void remove() { patch_.remove(id_); }
  // What the node itself now gives as output i is led through a new node; the others see that one's result.
  void after(size_t i, const char* name, std::vector<Attribute> attributes);

  void apply();

 private:
  std::string hint(const char* what) const;
  Graph& g_;
  NodeId id_;
  int opset_;
  Patch patch_;
  std::vector<std::pair<ValueId, Type>> moved_;  // what stands for replaced outputs, and their types
};

// Crossing into `version` from below.
struct UpgradeRule {
  const char* op;
  int version;
  void (*apply)(NodeUpgrade&);
};
std::span<const UpgradeRule> upgrade_rules();  // ascending by version

}  // namespace skiff::onnx
