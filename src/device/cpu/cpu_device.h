// The host's processor as a device.
#pragma once
#include "device/device.h"

namespace skiff {

// Throws kInvalidArgument for an instruction set this machine or build does not have.
std::unique_ptr<Device> make_cpu_device(const DeviceOptions& options);
// Cores the process may run on (affinity considered); at least 1.
int cpu_cores();

}  // namespace skiff
