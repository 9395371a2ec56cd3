// Which device runs which node.
#pragma once
#include <memory>
#include <string>
#include <vector>

#include "device/device.h"

namespace skiff::plan {

// A device of a session. Index 0 is always one whose memory is the host's.
struct DeviceSlot {
  std::string name;
  std::shared_ptr<Device> device;
};

struct PlacementRule {
  enum class Kind : uint8_t { kNode, kOp, kShare };
  Kind kind = Kind::kNode;
  std::string what;  // node or operator name
  double share = 0;  // kShare: the first part of the nodes in order, 0..1
  std::string device;
};

// "conv1=reference; op:Relu=reference; share:0.5=reference". Throws kInvalidArgument naming the bad rule.
std::vector<PlacementRule> parse_placement(const std::string& text);

// Operators that own subgraphs, make shapes from data, or touch strings, sequences, maps: they run on the
// host.
bool host_only(const Graph& g, const Node& n);

// Sets Node::device of every node (subgraphs included) to a device's name: `default_device`, then the rules
// in their order; host-only nodes stay on devices[0] unless a rule names one of them, which is an error.
// Needs inferred types. Throws kInvalidArgument for a device there is none of, or a rule that matches no
// node.
void place(Graph& g, const std::vector<DeviceSlot>& devices, const std::string& default_device,
           const std::vector<PlacementRule>& rules);

}  // namespace skiff::plan
