// How operators behave when their operands are transposed: op(T(a), ...) = T'(op'(a, ...)). Shared by the
// passes that move transposes.
#pragma once
#include "passes/edit.h"

namespace skiff::passes {

struct SinkOptions {
  // Internal channels-last forms may be made, and operands that are not transposed may be given a Transpose
  // of their own when they hold no more elements than those that lose one.
  bool channels_last = false;
};

// Rewrites node `id`, one of whose operands is a Transpose, to work on what comes before it; the Transpose
// reappears behind the node (unless nothing is left to permute). Returns false, nothing changed, when the
// node minds. The old Transpose stays for its other users; when there are none, remove_unused() takes it.
bool sink_transpose(Graph& g, PassContext& ctx, NodeId id, const SinkOptions& options);

// The transposition channels last -> channels second (ONNX's planar order) and its inverse.
Perm planar_perm(size_t rank);
Perm channels_last_perm(size_t rank);
// The transposition moves only extents of 1, so the elements stay in place.
bool moves_only_units(const SymShape& from, const Perm& perm);

}  // namespace skiff::passes
