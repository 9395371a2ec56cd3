#include "device/reference/reference_device.h"

#include <cstring>
#include <new>

#include "device/reference_kernel.h"

namespace skiff {
namespace {

// Device addresses are host addresses moved out of the canonical range: any use by the host traps.
constexpr uintptr_t kShift = sizeof(void*) == 8 ? uintptr_t{1} << 62 : 0;

void* to_device(void* p) { return reinterpret_cast<void*>(reinterpret_cast<uintptr_t>(p) + kShift); }
void* to_host(const void* p) { return reinterpret_cast<void*>(reinterpret_cast<uintptr_t>(p) - kShift); }

Datum rebased(const Datum& d) {
  if (!d.is_tensor() || d.tensor().dtype() == DType::kString) return d;
  Tensor t = d.tensor();
  t.rebind(to_host(t.raw()));
  return t;
}

// Runs a reference kernel on device addresses.
class DeviceBound : public BoundKernel {
 public:
  DeviceBound(std::unique_ptr<BoundKernel> inner, size_t in, size_t out)
      : inner_(std::move(inner)), inputs_(in), outputs_(out) {}
  void run(const RunArgs& a) override {
    std::vector<Datum> in(inputs_), out(outputs_);
    std::vector<const Datum*> in_ptr(inputs_);
    std::vector<Datum*> out_ptr(outputs_);
    for (size_t i = 0; i < inputs_; ++i) {
      if (!a.in[i]) continue;
      in[i] = rebased(*a.in[i]);
      in_ptr[i] = &in[i];
    }
    for (size_t i = 0; i < outputs_; ++i) {
      if (!a.out[i]) continue;
      out[i] = rebased(*a.out[i]);
      out_ptr[i] = &out[i];
    }
    inner_->run({in_ptr, out_ptr, nullptr, a.host});
    // Values the kernel made itself are host objects (strings, sequences); planned tensors were filled in
    // place.
    for (size_t i = 0; i < outputs_; ++i)
      if (a.out[i] && !a.out[i]->is_tensor()) *a.out[i] = std::move(out[i]);
  }

 private:
  std::unique_ptr<BoundKernel> inner_;
  size_t inputs_, outputs_;
};

class DeviceKernel : public Kernel {
 public:
  explicit DeviceKernel(std::unique_ptr<Kernel> inner) : inner_(std::move(inner)) {}
  std::string_view name() const override { return kReferenceKernel; }
  std::unique_ptr<BoundKernel> bind(std::span<const TensorDesc> in,
                                    std::span<const TensorDesc> out) override {
    return std::make_unique<DeviceBound>(inner_->bind(in, out), in.size(), out.size());
  }

 private:
  std::unique_ptr<Kernel> inner_;
};

class ReferenceDevice : public Device {
 public:
  DeviceInfo info() const override {
    DeviceInfo i;
    i.name = "reference";
    i.description = "plain reference implementations, one thread, memory of its own";
    i.cores = 1;
    return i;
  }
  const TargetTraits& traits() const override { return traits_; }
  bool host_memory() const override { return false; }

  std::vector<KernelChoice> candidates(const NodeQuery& q, std::string* why) const override {
    if (q.node.def && (q.node.def->flags & (kControlFlow | kNonTensor | kDataDependent | kHostOnly))) {
      if (why)
        *why = "operators that own subgraphs, make non-tensor values or shapes from data, and custom ones run on the host";
      return {};
    }
    for (auto list : {q.in, q.out})
      for (const Type* t : list)
        if (t && (t->kind != Type::Kind::kTensor || t->dtype == DType::kString)) {
          if (why) *why = "strings and non-tensor values live on the host";
          return {};
        }
    auto c = reference_choice(q);
    if (c) return {*c};
    if (why) *why = "the operator has no reference implementation";
    return {};
  }

  std::unique_ptr<Kernel> prepare(const NodeQuery& q, const std::string& choice) override {
    check(choice == kReferenceKernel, Code::kUnsupported, "the reference device has no kernel '", choice,
          "'");
    return std::make_unique<DeviceKernel>(make_reference_kernel(q));
  }

  std::shared_ptr<void> allocate(size_t bytes) override {
    void* p = ::operator new (bytes + (bytes == 0), std::align_val_t{Tensor::kAlignment}, std::nothrow);
    check(p != nullptr, Code::kLimit, "the reference device is out of memory for ", bytes, " bytes");
    return {to_device(p),
            [](void* d) { ::operator delete (to_host(d), std::align_val_t{Tensor::kAlignment}); }};
  }
  void upload(void* dst, const void* src, size_t bytes) override {
    if (bytes) std::memcpy(to_host(dst), src, bytes);
  }
  void download(void* dst, const void* src, size_t bytes) override {
    if (bytes) std::memcpy(dst, to_host(src), bytes);
  }
  uint64_t record() override { return 0; }  // everything is done when it returns
  void wait(uint64_t) override {}
  Peaks measure_peaks() override { return {}; }

 private:
  TargetTraits traits_;
};

}  // namespace

std::unique_ptr<Device> make_reference_device(const DeviceOptions&) {
  return std::make_unique<ReferenceDevice>();
}

}  // namespace skiff
