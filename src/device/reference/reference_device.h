// The second device: every operator by its reference implementation, in memory of its own. It is the oracle
// for the others, and it keeps the planner honest: its addresses are not the host's (dereferencing one
// faults).
#pragma once
#include "device/device.h"

namespace skiff {

std::unique_ptr<Device> make_reference_device(const DeviceOptions& options);

}  // namespace skiff
