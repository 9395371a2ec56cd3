#include "ops/quant_role.h"

#include <algorithm>

namespace skiff {

namespace {
struct Entry {
  std::string_view op;
  QuantRole role;
};
// Sorted by name.
constexpr Entry kRoles[] = {
    {"Add", QuantRole::kMaps},
    {"AveragePool", QuantRole::kMaps},
    {"Clip", QuantRole::kClamps},
    {"Concat", QuantRole::kJoins},
    {"Conv", QuantRole::kProduct},
    {"ConvTranspose", QuantRole::kProduct},
    {"DepthToSpace", QuantRole::kMoves},
    {"Expand", QuantRole::kMoves},
    {"Flatten", QuantRole::kMoves},
    {"Gather", QuantRole::kMoves},
    {"Gemm", QuantRole::kProduct},
    {"GlobalAveragePool", QuantRole::kMaps},
    {"GlobalMaxPool", QuantRole::kMoves},
    {"HardSigmoid", QuantRole::kMaps},
    {"HardSwish", QuantRole::kMaps},
    {"Identity", QuantRole::kMoves},
    {"LeakyRelu", QuantRole::kMaps},
    {"MatMul", QuantRole::kProduct},
    {"MaxPool", QuantRole::kMoves},
    {"Mul", QuantRole::kMaps},
    {"PRelu", QuantRole::kMaps},
    {"Pad", QuantRole::kMoves},
    {"ReduceMean", QuantRole::kMaps},
    {"Relu", QuantRole::kClamps},
    {"Reshape", QuantRole::kMoves},
    {"Resize", QuantRole::kMaps},
    {"Sigmoid", QuantRole::kMaps},
    {"Slice", QuantRole::kMoves},
    {"SpaceToDepth", QuantRole::kMoves},
    {"Split", QuantRole::kMoves},
    {"Squeeze", QuantRole::kMoves},
    {"Sub", QuantRole::kMaps},
    {"Tanh", QuantRole::kMaps},
    {"Tile", QuantRole::kMoves},
    {"Transpose", QuantRole::kMoves},
    {"Unsqueeze", QuantRole::kMoves},
};
}  // namespace

QuantRole quant_role(const Node& n) {
  if (!n.domain.empty()) return QuantRole::kFloat;
  const auto* it = std::lower_bound(std::begin(kRoles), std::end(kRoles), std::string_view(n.op),
                                    [](const Entry& e, std::string_view op) { return e.op < op; });
  if (it == std::end(kRoles) || it->op != n.op) return QuantRole::kFloat;
  // Padding with anything but zero, and modes whose results lie outside the input, have no common scale.
  if (n.op == "Pad" && n.attr_s("mode", "constant") == "constant" &&
      (n.input(2) != kNoValue || n.attr_f("value", 0) != 0))
    return QuantRole::kMaps;
  if (n.op == "Resize" && n.attr_s("mode", "nearest") == "nearest") return QuantRole::kMoves;
  return it->role;
}

}  // namespace skiff
