// What a device tells the graph passes about itself: which layouts and fusions pay on it. Filled by the device,
// read by passes/, so that neither has to know the other.
#pragma once
#include <string>
#include <string_view>
#include <vector>

#include "graph/graph.h"

namespace skiff {

struct TargetTraits {
  // Convolutions and pools run best on channels-last activations (NHWC); passes then rewrite them to the skiff.*
  // forms with layout = "NHWC" and push the transposes out.
  bool channels_last = false;
  // Up to this many input channels a channels-last convolution takes a planar (NCHW) input itself (x_layout).
  int planar_stem_channels = 0;
  // Activations a convolution or matrix product applies to its result before it leaves the core (names as in
  // skiff.Conv's `activation`).
  std::vector<std::string> fused_activations;
  bool fuse_residual = false;           // skiff.Conv / skiff.MatMul add a residual
  bool fuse_elementwise_chains = false; // skiff.Elementwise
  bool integer_arithmetic = false;  // quantized regions run as skiff.QLinear* and QLinear* on integers
};

}  // namespace skiff
