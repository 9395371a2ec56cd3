// The reference implementation of an operator as a kernel of any device whose memory the host can reach.
#pragma once
#include "device/device.h"

namespace skiff {

// Name of the choice on every device that offers it.
inline constexpr const char* kReferenceKernel = "reference";
// Every catalogued operator has one; nullopt for a node without a catalogue entry. The estimate is
// deliberately bad: any real kernel is cheaper.
std::optional<KernelChoice> reference_choice(const NodeQuery& q);
std::unique_ptr<Kernel> make_reference_kernel(const NodeQuery& q);

}  // namespace skiff
