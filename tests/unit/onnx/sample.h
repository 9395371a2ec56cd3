// Models made by hand for the tests of src/onnx.
#pragma once
#include "onnx/proto.h"

namespace skiff::onnx {

// Not a meaningful model: one that has every field of every message set.
ModelProto full_model();

}  // namespace skiff::onnx
