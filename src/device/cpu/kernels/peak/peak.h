// Loops that measure a machine's ceilings: multiply-add rate and memory bandwidth.
#pragma once
#include <stddef.h>
#include <stdint.h>

namespace skiff::cpu {

struct PeakKernels {
  // Independent chains of multiply-adds in registers. Returns the floating-point operations done (two per
  // multiply-add); *sink receives a value that depends on all of them.
  double (*fma)(int64_t rounds, float* sink);
  // Reads n floats once; returns a value that depends on all of them.
  float (*read)(const float* x, int64_t n);
  void (*copy)(const float* x, float* y, int64_t n);
  void (*fill)(float* y, int64_t n, float value);
};

}  // namespace skiff::cpu
