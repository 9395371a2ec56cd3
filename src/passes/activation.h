// Activations in the vocabulary of skiff.Conv and skiff.MatMul (attributes activation, alpha, beta).
#pragma once
#include <optional>
#include <string>

#include "passes/edit.h"

namespace skiff::passes {

struct Activation {
  std::string name;
  float alpha = 0, beta = 0;
};

// What the node computes of its first operand, when that is an activation with constant parameters.
std::optional<Activation> activation_of(const Graph& g, const Node& n);

// What follows the value `y` of a node about to be fused: a node that is y's only user and applies an
// activation the target fuses. kNoNode when there is none.
struct Epilogue {
  NodeId node = kNoNode;
  Activation activation;
};
Epilogue activation_after(const Graph& g, const PassContext& ctx, ValueId y);

// The other operand of the Add (or two-operand Sum) that is y's only user, when it has y's shape and may be
// added as a residual: node and operand, kNoNode when there is none.
struct Residual {
  NodeId node = kNoNode;
  ValueId value = kNoValue;
};
Residual residual_after(const Graph& g, ValueId y);

// Sets activation, alpha and beta on a node to be made.
void set_activation(Node& n, const Activation& a);

// The target fuses something at all: only then skiff.* forms pay.
bool target_fuses(const PassContext& ctx);

}  // namespace skiff::passes
