// How the CPU device's fast kernels are offered to the planner: each family's glue file lists factories;
// cpu_device.cc asks them in turn and falls back on the reference implementation.
#pragma once
#include "device/cpu/isa.h"
#include "device/device.h"

namespace skiff::cpu {

// What a kernel may rely on; outlives every kernel of the device.
struct CpuContext {
  Isa isa;
  const KernelTables* k;
  ThreadPool* pool;
  // Rough single-thread figures of the instruction set, for estimates.
  double flops = 1e9, bytes = 1e10;
  // Seconds for work of this size at the given fractions of the peaks, threads considered.
  double estimate(const Cost& c, double flop_efficiency, double byte_efficiency = 0.7) const;
};

// Work shorter than this is not worth handing to another thread, even one that is awake.
inline constexpr double kSerialSeconds = 5e-6;
// What a task of divided work should last.
inline constexpr double kChunkSeconds = 2.5e-6;

struct KernelFactory {
  const char* domain;  // "" for ai.onnx
  const char* op;
  const char* kernel;  // name shown by the profiler and taken by SKIFF_FORCE: "conv_igemm_f32"
  // Estimated seconds when the kernel can run the node as queried (types, attributes, constants; ranks and
  // dtypes are known when it is asked); nullopt when it cannot.
  std::optional<double> (*match)(const NodeQuery& q, const CpuContext& c);
  std::unique_ptr<Kernel> (*make)(const NodeQuery& q, const CpuContext& c);
};

// Helpers for match functions.
bool all_inputs(const NodeQuery& q, DType t);  // every present input has element type t and a known rank
bool output_is(const NodeQuery& q, DType t);   // output 0
Cost node_cost(const NodeQuery& q);
// Rank of input i; -1 when unknown or absent.
int64_t in_rank(const NodeQuery& q, size_t i);

// Each family's list; the families stand in factories.inc.
#define SKIFF_CPU_FAMILY(name) std::span<const KernelFactory> name##_factories();
#include "device/cpu/factories.inc"
#undef SKIFF_CPU_FAMILY

}  // namespace skiff::cpu
