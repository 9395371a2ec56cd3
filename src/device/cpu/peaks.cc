#include "device/cpu/peaks.h"

namespace skiff::cpu {

Peaks measure_peaks(const CpuContext& c) {
  Peaks p;
  p.threads = c.pool ? c.pool->threads() : 1;
  return p;
}

}  // namespace skiff::cpu
