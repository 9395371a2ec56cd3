// Patch: the only way a pass edits a graph. Edits are recorded, then applied as one step; a patch that is
// dropped without apply() leaves no trace.
#pragma once
#include <string>
#include <utility>
#include <vector>

#include "graph/graph.h"

namespace skiff {

class Patch {
 public:
  explicit Patch(Graph& g);

  const Graph& graph() const { return g_; }
  // New constant. The hint is made unique.
  ValueId constant(std::string_view hint, Tensor t);
  // New node of one output; returns that output. `type` may be left unknown for inference.
  ValueId op(std::string_view domain, std::string_view op, int opset, std::vector<ValueId> inputs,
             std::vector<Attribute> attributes, std::string_view hint, Type type = {});
  // New node (its outputs field is ignored) of `outputs` outputs; returns them.
  std::vector<ValueId> add(Node n, size_t outputs, std::string_view hint);
  // Every use of `from` (and its place among the graph's outputs) becomes `to`, except by nodes new in this
  // patch (they may wrap the old value). When `from` is a graph output, the name goes with it: the outside
  // sees no change. `to` must not be redirected onwards in a circle.
  void replace(ValueId from, ValueId to);
  // One operand only.
  void set_input(NodeId n, size_t index, ValueId v);
  void set_attribute(NodeId n, Attribute a);
  void remove_attribute(NodeId n, std::string_view name);
  // The node and its outputs go; outputs must have no uses left at apply().
  void remove(NodeId n);
  bool empty() const { return edits_ == 0; }
  // Checks and performs the edits, once. Throws kInternal (nothing changed) when they do not fit together, or
  // when the graph changed since the patch was made.
  void apply();

 private:
  struct NewValue {
    std::string hint;
    Type type;
    Tensor constant;
  };
  struct Redirect {
    ValueId from, to;
  };
  struct Operand {
    NodeId node;
    size_t index;
    ValueId value;
  };
  ValueId new_value(std::string_view hint, Type t, Tensor c);
  void check_edits() const;
  void redirect(const Redirect& r, ValueId to);
  Graph& g_;
  uint64_t version_;
  size_t edits_ = 0;
  size_t first_new_node_ = 0;
  std::vector<NewValue> values_;
  std::vector<Node> nodes_;
  std::vector<Redirect> redirects_;
  std::vector<Operand> operands_;
  std::vector<std::pair<NodeId, Attribute>> attributes_;
  std::vector<std::pair<NodeId, std::string>> attribute_removals_;
  std::vector<NodeId> removals_;
};

}  // namespace skiff
