// The machine's ceilings, measured with the compiled kernels' own instruction set.
#pragma once
#include "device/cpu/factory.h"

namespace skiff::cpu {

// FMA throughput and memory bandwidths with all threads of the context's pool; about 0.2 s.
Peaks measure_peaks(const CpuContext& c);

}  // namespace skiff::cpu
