// What passes share: applying a patch so that the graph is whole again, and short questions about values.
#pragma once
#include <optional>
#include <span>
#include <string_view>
#include <vector>

#include "passes/pass.h"

namespace skiff::passes {

// Applies the patch, looks up the operators of its new nodes and infers the types of their outputs, so that
// the pass can go on with a typed graph. Counts one change.
void commit(Graph& g, PassContext& ctx, Patch& p);
// Removes nodes nothing depends on. Returns how many.
int remove_unused(Graph& g);

// --- Questions about values. kNoValue is answered with "no".
const Node* producer(const Graph& g, ValueId v);  // null when no node makes it
// The producer when it is ai.onnx `op` (any version), else null.
const Node* made_by(const Graph& g, ValueId v, std::string_view op);
// Used once, by a node's operand, and not a graph output: the value disappears when its user is rewritten.
bool only_use(const Graph& g, ValueId v);
// The node of that single use, kNoNode unless only_use(v).
NodeId sole_user(const Graph& g, ValueId v);
const Tensor* constant_of(const Graph& g, ValueId v);        // null unless a compile-time constant
std::optional<double> scalar_of(const Graph& g, ValueId v);  // a numeric constant of one element
std::optional<std::vector<int64_t>> ints_of(const Graph& g, ValueId v);  // an integer constant's elements
const SymShape* shape_of(const Graph& g, ValueId v);                     // null unless a tensor of known rank
int64_t rank_of(const Graph& g, ValueId v);                              // -1 when unknown
DType dtype_of(const Graph& g, ValueId v);
// Both ranks and all extents are known (numbers or equal expressions) and equal.
bool same_shape(const Graph& g, ValueId a, ValueId b);
// `to` may stand in for `from`: false when that would lose the name of a graph output.
bool can_replace(const Graph& g, ValueId from, ValueId to);
// Type and extents of an operator's `axes`, given as attribute (older versions) or as constant input
// `input_index`, in [0, rank). `absent`: nothing was given. nullopt when it cannot be known.
struct Axes {
  bool absent = false;
  std::vector<int64_t> list;
};
std::optional<Axes> axes_of(const Graph& g, const Node& n, size_t input_index, int64_t rank);
// Is one of the operators that bound a quantized region.
bool is_quantizer(const Node& n);
// An operand comes from, or the result goes to, a quantizer: the node belongs to a quantized pattern.
bool touches_quantizer(const Graph& g, const Node& n);
// The operator exists in this build.
bool have_op(std::string_view domain, std::string_view op);

// --- Permutations: y = Transpose(x, perm) has y.shape[i] == x.shape[perm[i]].
using Perm = std::vector<int64_t>;
Perm inverse(const Perm& p);
Perm compose(const Perm& first, const Perm& then);  // Transpose(Transpose(x, first), then)
bool is_identity(const Perm& p);
// The perm attribute of a Transpose, or its default (reversal); empty when the rank is unknown or it is not
// one.
Perm perm_of(const Graph& g, const Node& n);
// Transposed copy of a constant (whole-byte element types only).
Tensor permuted(const Tensor& t, const Perm& perm);

// --- Shapes as reshape targets
// A constant Reshape target (allowzero 0) that turns a tensor of shape `from` into shape `to`: numbers, 0 for
// an extent kept in its place, -1 for at most one other. nullopt when no such constant exists.
std::optional<std::vector<int64_t>> reshape_target(const SymShape& from, const SymShape& to);
// Reshape(x, constant target).
ValueId add_reshape(Patch& p, ValueId x, const std::vector<int64_t>& target, std::string_view hint);
ValueId add_transpose(Patch& p, ValueId x, const Perm& perm, std::string_view hint);

// Version given to plain ai.onnx nodes that passes make where the written-for version does not matter.
inline constexpr int kMadeOpset = 13;

}  // namespace skiff::passes
