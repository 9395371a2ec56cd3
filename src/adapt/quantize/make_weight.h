// The integers of one weight by the method asked for.
#pragma once
#include <string>

#include "adapt/quantize/hessian.h"
#include "adapt/quantize/weights.h"

namespace skiff::adapt {

// Whether a method looks at the inputs of the layer.
bool needs_hessian(const std::string& method);

// rtn, mse, hqq, gptq, adaround ("" is rtn at 8 bits and mse at 4). `h` may be null: then gptq and adaround
// round to nearest.
QuantizedWeight make_weight(const Graph& g, const Node& n, const Tensor& w, WeightSpec spec,
                            const std::string& method, const Hessian* h);

}  // namespace skiff::adapt
