#include "runtime/devices.h"

#if __has_include("device/cpu/cpu_device.h")
#include "device/cpu/cpu_device.h"
#define SKIFF_DEVICE_CPU 1
#endif
#if __has_include("device/reference/reference_device.h")
#include "device/reference/reference_device.h"
#define SKIFF_DEVICE_REFERENCE 1
#endif

namespace skiff::runtime {
namespace {

struct Entry {
  const char* name;
  std::unique_ptr<Device> (*make)(const DeviceOptions&);
};

constexpr Entry kDevices[] = {
#ifdef SKIFF_DEVICE_CPU
    {"cpu", make_cpu_device},
#endif
#ifdef SKIFF_DEVICE_REFERENCE
    {"reference", make_reference_device},
#endif
};

}  // namespace

std::vector<std::string> device_names() {
  std::vector<std::string> r;
  for (const Entry& e : kDevices) r.emplace_back(e.name);
  return r;
}

std::unique_ptr<Device> make_device(const std::string& name, const DeviceOptions& options) {
  std::string all;
  for (const Entry& e : kDevices) {
    if (name == e.name) return e.make(options);
    all += (all.empty() ? "" : ", ") + std::string(e.name);
  }
  fail(Code::kInvalidArgument, "there is no device '", name, "'; there are: ", all);
}

}  // namespace skiff::runtime
