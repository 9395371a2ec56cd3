// Model-local functions must not call themselves, and must not grow beyond bounds when they are expanded.
#pragma once
#include <cstdint>

#include "onnx/proto.h"

namespace skiff::onnx {

// Throws kInvalidModel on a function defined twice or (indirectly) recursive, kLimit when the model with
// every call replaced by its function's body would have more than max_nodes nodes or calls nested deeper than
// 200.
void check_functions(const ModelProto& m, uint64_t max_nodes);

}  // namespace skiff::onnx
