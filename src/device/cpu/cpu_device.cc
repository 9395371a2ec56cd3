#include "device/cpu/cpu_device.h"

#include <algorithm>
#include <cstring>
#include <new>
#include <thread>
#include <unordered_map>
#if defined(__linux__)
#include <sched.h>
#include <unistd.h>
#endif

#include "base/knobs.h"
#include "device/cpu/factory.h"
#include "device/cpu/peaks.h"
#include "device/reference_kernel.h"

namespace skiff {

int cpu_cores() {
#if defined(__linux__)
  cpu_set_t set;
  CPU_ZERO(&set);
  if (sched_getaffinity(0, sizeof set, &set) == 0) return std::max(1, CPU_COUNT(&set));
#endif
  return std::max(1, static_cast<int>(std::thread::hardware_concurrency()));
}

namespace cpu {

double CpuContext::estimate(const Cost& c, double flop_eff, double byte_eff) const {
  int t = pool ? pool->threads() : 1;
  return std::max(c.flops / (flops * flop_eff), c.bytes / (bytes * byte_eff)) / t + 2e-7;
}

bool all_inputs(const NodeQuery& q, DType t) {
  for (const Type* in : q.in)
    if (in && (!in->is_tensor() || in->dtype != t || !in->shape.has_rank())) return false;
  return true;
}

bool output_is(const NodeQuery& q, DType t) {
  return !q.out.empty() && q.out[0] && q.out[0]->is_tensor() && q.out[0]->dtype == t;
}

Cost node_cost(const NodeQuery& q) { return cost_of(*q.node.def, CostContext{q.node, q.in, q.out}); }

int64_t in_rank(const NodeQuery& q, size_t i) {
  if (i >= q.in.size() || !q.in[i] || !q.in[i]->is_tensor() || !q.in[i]->shape.has_rank()) return -1;
  return static_cast<int64_t>(q.in[i]->shape.rank());
}

namespace {

class CpuDevice : public Device {
 public:
  explicit CpuDevice(const DeviceOptions& o) {
    Isa isa = o.isa.empty() ? best_isa() : isa_from_name(o.isa);
    pool_ = ThreadPool::shared(std::max(1, o.threads > 0 ? o.threads : cpu_cores()));
    context_.isa = isa;
    context_.k = &kernels(isa);
    context_.pool = pool_.get();
    // Nominal flops per cycle at 3 GHz; estimates only rank kernels against each other.
    static constexpr double kFlopsPerCycle[] = {2, 8, 32, 40, 40};
    context_.flops = 3e9 * kFlopsPerCycle[static_cast<int>(isa)];
    context_.bytes = 2e10;
    add_families();
    traits_.channels_last = true;
    traits_.planar_stem_channels = 4;
    traits_.fused_activations = {"relu", "clip",       "leaky_relu",   "sigmoid", "tanh",
                                 "silu", "hard_swish", "hard_sigmoid", "gelu",    "gelu_tanh"};
    traits_.fuse_residual = true;
    traits_.fuse_elementwise_chains = true;
    traits_.integer_arithmetic = true;
  }

  DeviceInfo info() const override {
    DeviceInfo i;
    i.name = "cpu";
    i.description = cat("host processor, ", pool_->threads(), pool_->threads() == 1 ? " thread" : " threads");
    i.cores = cpu_cores();
    i.isa = isa_name(context_.isa);
    for (Isa s : available_isas()) i.isas.emplace_back(isa_name(s));
#if defined(__linux__)
    i.memory_bytes =
        static_cast<uint64_t>(sysconf(_SC_PHYS_PAGES)) * static_cast<uint64_t>(sysconf(_SC_PAGESIZE));
#endif
    return i;
  }
  const TargetTraits& traits() const override { return traits_; }
  bool host_memory() const override { return true; }

  std::vector<KernelChoice> candidates(const NodeQuery& q, std::string* why) const override {
    std::vector<KernelChoice> r;
    if (auto it = by_op_.find(key(q.node)); it != by_op_.end())
      for (const KernelFactory* f : it->second)
        if (auto s = f->match(q, context_)) r.push_back({f->kernel, *s});
    if (auto c = reference_choice(q)) r.push_back(*c);
    std::sort(r.begin(), r.end(), [](const auto& a, const auto& b) {
      return a.seconds != b.seconds ? a.seconds < b.seconds : a.name < b.name;
    });
    if (r.empty() && why) *why = "the operator is not known to this build";
    return r;
  }

  std::unique_ptr<Kernel> prepare(const NodeQuery& q, const std::string& choice) override {
    if (choice == kReferenceKernel) return make_reference_kernel(q);
    if (auto it = by_op_.find(key(q.node)); it != by_op_.end())
      for (const KernelFactory* f : it->second)
        if (choice == f->kernel) return f->make(q, context_);
    fail(Code::kUnsupported, q.node.label(), ": the cpu device has no kernel '", choice, "' for it");
  }

  std::shared_ptr<void> allocate(size_t bytes) override {
    void* p = ::operator new (bytes + (bytes == 0), std::align_val_t{Tensor::kAlignment}, std::nothrow);
    check(p != nullptr, Code::kLimit, "out of memory for ", bytes, " bytes");
    return {p, [](void* d) { ::operator delete (d, std::align_val_t{Tensor::kAlignment}); }};
  }
  void upload(void* dst, const void* src, size_t bytes) override {
    if (bytes) std::memcpy(dst, src, bytes);
  }
  void download(void* dst, const void* src, size_t bytes) override { upload(dst, src, bytes); }
  uint64_t record() override { return 0; }
  void wait(uint64_t) override {}
  Peaks measure_peaks() override { return cpu::measure_peaks(context_); }

 private:
  static std::string key(const Node& n) { return cat(n.domain, ":", n.op); }
  void add(std::span<const KernelFactory> list) {
    for (const KernelFactory& f : list) by_op_[cat(f.domain, ":", f.op)].push_back(&f);
  }
  void add_families() {
#define SKIFF_CPU_FAMILY(name) add(name##_factories());
#include "device/cpu/factories.inc"
#undef SKIFF_CPU_FAMILY
  }

  std::shared_ptr<ThreadPool> pool_;
  CpuContext context_{};
  TargetTraits traits_;
  std::unordered_map<std::string, std::vector<const KernelFactory*>> by_op_;
};

}  // namespace
}  // namespace cpu

std::unique_ptr<Device> make_cpu_device(const DeviceOptions& options) {
  return std::make_unique<cpu::CpuDevice>(options);
}

}  // namespace skiff
