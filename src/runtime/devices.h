// The devices there are: the one place that names them.
#pragma once
#include <memory>
#include <string>
#include <vector>

#include "device/device.h"

namespace skiff::runtime {

// Names in the order they are listed to people; the first is the host's.
std::vector<std::string> device_names();
// Throws kInvalidArgument for an unknown name, naming those there are; kUnsupported for one this machine
// lacks.
std::unique_ptr<Device> make_device(const std::string& name, const DeviceOptions& options);

}  // namespace skiff::runtime
