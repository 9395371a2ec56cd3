// Mean and largest magnitude of each input channel of products.
#pragma once
#include <unordered_map>
#include <vector>

#include "adapt/adapt.h"
#include "adapt/quantize/options.h"

namespace skiff::adapt {

struct ChannelStats {
  std::vector<double>
      mean;  // of each channel: axis 1 of a convolution's input, the last axis of a matrix product's
  std::vector<float> largest;  // magnitude
  double samples = 0;
};

std::unordered_map<NodeId, ChannelStats> collect_channel_stats(const Model& m,
                                                               const std::vector<NodeId>& products,
                                                               const QuantizeOptions& o, size_t samples,
                                                               const Callbacks& call);

}  // namespace skiff::adapt
