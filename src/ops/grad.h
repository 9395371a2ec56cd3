// Gradients: the backward graph of a forward graph, built out of ordinary operators. Each operator's rule
// stands in <family>_grad.cc; grads.inc lists them.
#pragma once
#include <span>
#include <unordered_map>
#include <vector>

#include "graph/patch.h"
#include "ops/op.h"

namespace skiff::grad {

// The nodes a rule makes are written against this opset of the default domain.
inline constexpr int kOpset = 18;

// What one operator's rule sees. A rule reads the gradients of the node's outputs and sets those of its
// inputs; a gradient has its value's type. Rules rely on the rank of what they reduce or reshape, never on
// extents.
class Context {
 public:
  // grads: of the node's outputs, kNoValue where nothing flows back.
  Context(Patch& p, const Node& node, std::vector<ValueId> grads, std::vector<bool> wanted);

  const Node& node() const { return node_; }
  int opset() const { return node_.opset; }
  bool wants(size_t i) const { return i < wanted_.size() && wanted_[i]; }
  bool has(size_t i) const { return in(i) != kNoValue; }
  ValueId in(size_t i) const { return node_.input(i); }
  ValueId out(size_t i) const { return node_.output(i); }
  // Of output 0. Throws kUnsupported when only other outputs have one.
  ValueId grad() const;
  // Of output i; kNoValue when nothing flows back into it.
  ValueId grad(size_t i) const { return i < grads_.size() ? grads_[i] : kNoValue; }
  void set(size_t i, ValueId gradient);
  ValueId result(size_t i) const { return results_[i]; }

  // --- What is known of a value of the forward graph.
  DType dtype(ValueId v) const;
  const SymShape& shape(ValueId v) const;
  int64_t rank(ValueId v) const;  // throws kUnsupported, naming the value, when it is unknown
  const Tensor* constant(ValueId v) const;
  // Axes of a node given as the attribute (before the opset `input_since`) or as input 1: as an int64 vector
  // value; kNoValue when absent or (as an attribute) empty.
  ValueId axes(int input_since);

  // --- Nodes. A constant stands in for a value of the element type of `like`.
  ValueId op(std::string_view name, std::vector<ValueId> in, std::vector<Attribute> attributes = {});
  std::vector<ValueId> ops(std::string_view name, std::vector<ValueId> in, size_t outputs,
                           std::vector<Attribute> attributes = {});
  ValueId number(double v, ValueId like);
  ValueId ints(std::vector<int64_t> v);
  ValueId int_scalar(int64_t v);
  ValueId tensor(Tensor t);
  ValueId add(ValueId a, ValueId b) { return op("Add", {a, b}); }
  ValueId sub(ValueId a, ValueId b) { return op("Sub", {a, b}); }
  ValueId mul(ValueId a, ValueId b) { return op("Mul", {a, b}); }
  ValueId div(ValueId a, ValueId b) { return op("Div", {a, b}); }
  ValueId neg(ValueId a) { return op("Neg", {a}); }
  ValueId shape_of(ValueId v) { return op("Shape", {v}); }
  // Zeros in the shape and element type of a forward value.
  ValueId zeros_like(ValueId v);
  // A bool (or any) value as numbers of the element type of `like`.
  ValueId cast_like(ValueId v, ValueId like);
  ValueId reshape_like(ValueId v, ValueId like);
  // g, of the shape `like` was broadcast to, summed over the repeated extents.
  ValueId sum_to(ValueId g, ValueId like, ValueId broadcast);
  // Sum over axes, which stay as extents of 1 (or go).
  ValueId sum(ValueId v, std::vector<int64_t> axes, bool keep = true);

 private:
  const Value* forward(ValueId v) const;  // null for values the patch makes
  Patch& patch_;
  const Node& node_;
  std::vector<ValueId> grads_;
  std::vector<bool> wanted_;
  std::vector<ValueId> results_;
};

using Rule = void (*)(Context&);

// Null when the operator has no rule. An operator whose output does not move with its inputs (comparisons,
// ArgMax, Shape) has a rule that sets nothing.
Rule find_rule(const Node& n);

// Records in the patch the nodes that compute d(y)/d(x) for each x: the gradient of the sum of y's elements,
// each weighted by `seed` when one is given (of y's type). The xs are the variables: what produces them is
// not looked at. An x that y does not depend on has zeros. Types of the graph must be inferred. Throws
// kUnsupported naming a node on the way that has no rule.
std::vector<ValueId> backward(Patch& p, ValueId y, std::span<const ValueId> xs, ValueId seed = kNoValue);

}  // namespace skiff::grad

// In a family's _grad.cc file: SKIFF_GRAD_DEF(Add) { c.set(0, ...); }   In grads.inc: SKIFF_GRAD(Add)
#define SKIFF_GRAD_DEF(op_name) void skiff_grad_##op_name(::skiff::grad::Context& c)
