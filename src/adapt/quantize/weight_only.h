// Narrow weights, float arithmetic.
#pragma once
#include "adapt/adapt.h"
#include "adapt/quantize/options.h"
#include "adapt/report/report.h"

namespace skiff::adapt {

// Weights of matrix products and of embeddings (Gather) in blocks of o.block, those of convolutions by output
// channel, behind DequantizeLinear; with format qoperator matrix products become com.microsoft MatMulNBits.
// Samples are needed for the methods gptq, awq and adaround alone.
void quantize_weights(Model& m, const QuantizeOptions& o, const Callbacks& call, Report& report);

// Factors for the input channels of a product so that its quantized weights err least where activations are
// large (J. Lin et al., AWQ, MLSys 2024): x / s goes in, W * s is stored. Empty when nothing is gained.
struct Hessian;
struct WeightSpec;
std::vector<float> awq_factors(const Graph& g, const Node& n, const WeightSpec& spec, const Hessian& h);

}  // namespace skiff::adapt
