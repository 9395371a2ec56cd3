// Questions about QuantizeLinear and DequantizeLinear nodes of 8-bit values.
#pragma once
#include <optional>
#include <vector>

#include "passes/edit.h"

namespace skiff::passes {

struct Quantized {
  ValueId x = kNoValue;  // the integers (of a quantizer: its result)
  ValueId scale = kNoValue, zero = kNoValue;
  DType type = DType::kUndefined;  // u8 or s8
  std::vector<float> scales;
  std::vector<int32_t> zeros;  // one, or as many as scales
  int64_t axis = 0;            // of several scales
  bool single() const { return scales.size() == 1 && zeros.size() == 1; }
  float s() const { return scales[0]; }
  int32_t z() const { return zeros[0]; }
  bool same(const Quantized& o) const { return type == o.type && scales == o.scales && zeros == o.zeros; }
};

// v is dequantized from 8-bit integers, with constant scales (positive) and zero points, not in blocks.
std::optional<Quantized> dequantized(const Graph& g, ValueId v);
// The node quantizes floats to 8 bits, by constants.
std::optional<Quantized> quantizes(const Graph& g, const Node& n);

// A scalar constant of an 8-bit type; a float one.
ValueId zero_constant(Patch& p, DType t, int32_t z);
ValueId scale_constant(Patch& p, float s);
// Smallest value of the type: its range is 255 long.
inline int32_t lowest(DType t) { return t == DType::kInt8 ? -128 : 0; }

}  // namespace skiff::passes
