// Changes to a prepared float model that keep what it computes and make it easier to quantize: one method,
// one file.
#pragma once
#include "adapt/adapt.h"
#include "adapt/quantize/options.h"
#include "adapt/report/report.h"

namespace skiff::adapt {

// Cross-layer equalization (M. Nagel et al., Data-Free Quantization, ICCV 2019): where one layer feeds
// another directly or through Relu, the ranges of each channel in both weights are made equal.
void equalize_layers(Model& m, Report& report);

// SmoothQuant (G. Xiao et al., ICML 2023): input channels of matrix products are divided by s and their
// weights multiplied, s = max|x|^alpha / max|W|^(1 - alpha).
void smooth_activations(Model& m, const QuantizeOptions& o, const Callbacks& call, Report& report);

// The share o.outliers of a matrix product's input channels with the largest activations is computed beside
// it in float (T. Dettmers et al., LLM.int8(), NeurIPS 2022). Returns the names of the float products.
std::vector<std::string> split_outliers(Model& m, const QuantizeOptions& o, const Callbacks& call,
                                        Report& report);

}  // namespace skiff::adapt
