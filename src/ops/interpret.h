// The oracle: runs a graph node by node with the reference implementations, no passes, no plan.
#pragma once
#include "ops/op.h"

namespace skiff {

struct InterpretLimits {
  int64_t max_loop_trips = 1'000'000;
  int max_depth = 64;  // nested subgraphs
};

// One node, with a state of its own where the operator has one. in[i] is null where the input is absent. Returns one value per output slot. Errors carry the
// node's label.
std::vector<Datum> run_reference(const Node& n, std::span<const Datum* const> in, KernelHost* host = nullptr);

// The whole graph: inputs in the order of g.inputs(); an overridable input may be an empty Datum (its default
// is used). `captures`: the outer values of a subgraph, by capture index.
std::vector<Datum> interpret(const Graph& g, std::span<const Datum> inputs,
                             std::span<const Datum> captures = {}, const InterpretLimits& limits = {});

}  // namespace skiff
