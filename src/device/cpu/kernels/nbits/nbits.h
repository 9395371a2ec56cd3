// Products of f32 rows with weights of 2, 4 or 8 bits in blocks along k: C[m,n] = sum over k of A[m,k] * (q -
// zero) * scale
// + bias, q unsigned, with a scale and zero point for each block of each column. Weights are expanded in
// registers.
#pragma once
#include <stddef.h>
#include <stdint.h>

namespace skiff::cpu {

struct NBitsWeights {
  int64_t k = 0, n = 0, block = 0, bits = 0;  // block a multiple of 32 / bits
  const uint8_t* q = nullptr;                 // [n][blocks][block * bits / 8], low bits first
  const float* scale = nullptr;               // [n][blocks]
  const float* zero = nullptr;                // [n][blocks]
};

struct NBitsArgs {
  int64_t m = 0, n = 0, k = 0, block = 0, bits = 0;
  const float* a = nullptr;      // row-major, rows of k
  const float* sums = nullptr;   // [m][blocks]: of each block of A's rows, by block_sums
  const void* packed = nullptr;  // by pack
  const float* bias = nullptr;   // [n], may be null
  float* c = nullptr;            // rows of n
};

struct NBitsKernels {
  int32_t lanes;  // columns of a panel
  size_t (*packed_bytes)(const NBitsWeights& w);
  void (*pack)(const NBitsWeights& w, void* packed);
  void (*block_sums)(const NBitsArgs& args, float* sums);
  // Columns of panels [p0, p1).
  void (*run)(const NBitsArgs& args, int64_t p0, int64_t p1);
};

}  // namespace skiff::cpu
