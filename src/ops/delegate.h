// Operators that are another operator under a different name, or after a change of their inputs.
#pragma once
#include <span>

#include "ops/op.h"

namespace skiff {

// The node as `op` of the default domain (or another) at that opset; attributes stay.
Node as_operator(const Node& n, const char* op, int opset, const char* domain = "");
// The rule of the node `n` on this node's inputs, for its outputs.
void infer_as(InferContext& c, const Node& n);
// The reference of `n` on this node's inputs, or on others, for its outputs.
void run_as(KernelContext& c, const Node& n);
void run_as(KernelContext& c, const Node& n, std::span<const Datum* const> in);

}  // namespace skiff
