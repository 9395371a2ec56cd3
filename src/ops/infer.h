// Type and shape inference over a graph, and over one node.
#pragma once
#include "ops/op.h"

namespace skiff {

// Runs one node's rule on what is known of its inputs. Errors carry the node's label. Integer constants and
// propagated data flow through InputInfo / OutputInfo.
void infer_node(const Node& n, std::span<const InputInfo> in, std::span<OutputInfo> out,
                SubgraphInfer* sub = nullptr);

// What a node made must be what was promised of its output i, where anything was: kind, element type, rank,
// extents that are numbers. Throws kInvalidArgument otherwise; later nodes were planned with the promise.
void check_promise(const Node& n, size_t i, const Type& promised, const Datum& made);

// Fills Value::type of every value, subgraphs included. Declared types are kept where the rule knows less;
// extents that stay unknown become symbols of their own ("value.axis"), so that equal extents are seen to be
// equal downstream. Throws kInvalidModel when a declared type contradicts the rule.
void infer_types(Graph& g);

}  // namespace skiff
