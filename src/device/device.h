// What a device is to the planner and the executor. A new device implements Device and Kernel, and is named
// once in src/runtime/devices.cc; nothing else changes.
//
// Addresses. Every device has a flat address space: a Tensor bound to a device carries a device address in
// raw(), good for arithmetic on any device but dereferenced by the host only where host_memory() says so.
// Values the host alone can hold (strings, sequences, maps, sparse tensors, empty optionals) always live on
// the host.
#pragma once
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "base/thread_pool.h"
#include "ops/op.h"
#include "ops/target.h"

namespace skiff {

struct DeviceOptions {
  int threads = 0;  // 0: the machine's cores
  std::string isa;  // empty: the best there is
};

struct DeviceInfo {
  std::string name, description;
  bool available = true;
  std::string unavailable_reason;
  int cores = 0;
  uint64_t memory_bytes = 0;
  std::string isa;                // in use
  std::vector<std::string> isas;  // all that this machine can run
};

struct Peaks {
  int threads = 1;
  double fp32_flops = 0;                  // per second
  double read_bytes = 0, copy_bytes = 0;  // per second, from memory beyond the caches
};

// A node as the planner shows it to a device. Types may be symbolic; constants are null where the input is
// not one.
struct NodeQuery {
  const Node& node;
  std::span<const Type* const> in;           // null: absent
  std::span<const Type* const> out;          // null: absent
  std::span<const Tensor* const> constants;  // host memory
  // Known and equal to v? (helpers for matching)
  bool in_dtype(size_t i, DType t) const {
    return i < in.size() && in[i] && in[i]->is_tensor() && in[i]->dtype == t;
  }
  const Tensor* constant(size_t i) const { return i < constants.size() ? constants[i] : nullptr; }
};

struct KernelChoice {
  std::string name;
  double seconds = 0;  // estimated for the query's shapes (unknown extents count 1), on this device
};

// dtype and concrete shape of an operand when a kernel is bound; dtype kUndefined: absent.
struct TensorDesc {
  DType dtype = DType::kUndefined;
  Dims dims;
};

// One run of a bound kernel. Operands are in the node's order, null where absent.
struct RunArgs {
  std::span<const Datum* const> in;
  std::span<Datum* const> out;
  void* workspace = nullptr;  // device address, BoundKernel::workspace() bytes
  KernelHost* host = nullptr;
};

// A kernel bound to concrete shapes. run() may be called by several threads at once with different arguments.
class BoundKernel {
 public:
  virtual ~BoundKernel() = default;
  virtual size_t workspace() const { return 0; }  // bytes; planned into the arena
  // Enqueues or performs the work. On a device with a queue, order among its own kernels and copies is the
  // queue's.
  virtual void run(const RunArgs& a) = 0;
};

// A node's kernel with what does not depend on shapes: resolved attributes, packed weights. Must outlive its
// bindings.
class Kernel {
 public:
  virtual ~Kernel() = default;
  virtual std::string_view name() const = 0;
  // Shapes of inputs and outputs are concrete. Called once per distinct shape signature.
  virtual std::unique_ptr<BoundKernel> bind(std::span<const TensorDesc> in,
                                            std::span<const TensorDesc> out) = 0;
  // Input i is constant and the kernel keeps its own (packed) copy: the original is not passed to run() and
  // may go.
  virtual bool consumes(size_t i) const {
    (void)i;
    return false;
  }
  // Output 0 may be written over input i when their byte sizes agree.
  virtual bool in_place(size_t i) const {
    (void)i;
    return false;
  }
  // Outputs are made by run() itself, with shapes found out there (data-dependent operators): out[i] arrives
  // empty.
  virtual bool allocates_outputs() const { return false; }
  // Bytes held for packed weights.
  virtual size_t packed_bytes() const { return 0; }
};

class Device {
 public:
  virtual ~Device() = default;
  virtual DeviceInfo info() const = 0;
  virtual const TargetTraits& traits() const = 0;
  // The host may dereference this device's addresses, and the device the host's: no copies between the two.
  virtual bool host_memory() const = 0;

  // Kernels that can run the node, cheapest first. Empty: it cannot; `why` (may be null) then says why.
  virtual std::vector<KernelChoice> candidates(const NodeQuery& q, std::string* why) const = 0;
  // Prepares one of them (packs weights). Throws kUnsupported for a name that is not among the candidates.
  virtual std::unique_ptr<Kernel> prepare(const NodeQuery& q, const std::string& choice) = 0;

  // Device memory of `bytes`, aligned to Tensor::kAlignment. Throws kLimit when there is none left.
  virtual std::shared_ptr<void> allocate(size_t bytes) = 0;
  // Copies in queue order; source and destination must stay alive until an event recorded after the copy is
  // waited for.
  virtual void upload(void* device_dst, const void* host_src, size_t bytes) = 0;
  virtual void download(void* host_dst, const void* device_src, size_t bytes) = 0;
  // A mark behind everything enqueued so far; wait returns when the device has passed it.
  virtual uint64_t record() = 0;
  virtual void wait(uint64_t event) = 0;

  virtual Peaks measure_peaks() = 0;
};

}  // namespace skiff
