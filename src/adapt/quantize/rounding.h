// Choosing each integer of a weight by what its error does to the layer's output: one method, one file. Both
// start from given scales and work on rows of weights that share a Hessian.
#pragma once
#include <span>
#include <vector>

#include "adapt/quantize/hessian.h"
#include "adapt/quantize/weights.h"

namespace skiff::adapt {

// Weights one after the other to the nearest integer, the error of each made up for by those that follow (E.
// Frantar et al., GPTQ, ICLR 2023).
std::vector<int8_t> round_gptq(std::span<const float> w, const Grid& grid, const Scales& s,
                               const WeightRows& rows, const Hessian& h);

// Up or down for each weight so that the squared error of the output is least: the objective of AdaRound (M.
// Nagel et al., ICML 2020), by coordinate descent on the second moments instead of its gradient relaxation,
// so that it is exact about each step and the same on every run.
std::vector<int8_t> round_adaptively(std::span<const float> w, const Grid& grid, const Scales& s,
                                     const WeightRows& rows, const Hessian& h);

}  // namespace skiff::adapt
