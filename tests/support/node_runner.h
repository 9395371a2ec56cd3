// Runs the node of an operator case on a device, kernel by kernel, against the reference implementation.
#pragma once
#include <doctest/doctest.h>

#include <cmath>
#include <cstring>
#include <string>
#include <vector>

#include "cases/case.h"
#include "device/device.h"
#include "device/reference_kernel.h"
#include "ops/infer.h"
#include "ops/interpret.h"

namespace skiff::test {

class NodeRunner {
 public:
  // symbolic: the planner knows of the inputs' extents only that they are there; kernels are chosen and
  // prepared so, and then bound to the case's extents.
  explicit NodeRunner(const cases::OpCase& c, bool symbolic = false) : case_(c), model_(cases::model_of(c)) {
    Graph& g = model_.graph;
    if (symbolic)
      for (ValueId v : g.inputs()) {
        Type& t = g.mutable_value(v).type;
        for (size_t a = 0; a < t.shape.rank(); ++a) t.shape[a] = Dim::symbol(cat("s", v, "_", a));
      }
    infer_types(g);
    node_ = g.order().front();
    const Node& n = g.node(node_);
    for (size_t i = 0; i < n.inputs.size(); ++i) {
      const bool there = n.inputs[i] != kNoValue;
      in_types_.push_back(there ? &g.value(n.inputs[i]).type : nullptr);
      in_.push_back(there ? &c.inputs[i] : nullptr);
      constants_.push_back(there && g.value(n.inputs[i]).is_constant() ? &c.inputs[i].tensor() : nullptr);
    }
    for (ValueId v : n.outputs) out_types_.push_back(v == kNoValue ? nullptr : &g.value(v).type);
    want_ = run_reference(n, in_);
  }

  NodeQuery query() const { return {model_.graph.node(node_), in_types_, out_types_, constants_}; }
  std::vector<KernelChoice> candidates(const Device& d) const { return d.candidates(query(), nullptr); }

  // One kernel: results, memory around the results and the workspace, in-place operation, a second run.
  void check(Device& d, const std::string& kernel) const {
    INFO(case_.name, " with ", kernel);
    std::unique_ptr<Kernel> k = d.prepare(query(), kernel);
    CHECK(k->name() == kernel);
    std::vector<TensorDesc> in(in_.size()), out(want_.size());
    for (size_t i = 0; i < in_.size(); ++i)
      if (in_[i] && in_[i]->is_tensor()) in[i] = {in_[i]->tensor().dtype(), in_[i]->tensor().dims()};
    for (size_t i = 0; i < want_.size(); ++i)
      if (want_[i].is_tensor()) out[i] = {want_[i].tensor().dtype(), want_[i].tensor().dims()};
    std::unique_ptr<BoundKernel> b = k->bind(in, out);
    for (int turn = 0; turn < 2; ++turn) run_once(d, *k, *b, SIZE_MAX);
    for (size_t i = 0; i < in_.size(); ++i)
      if (in_[i] && !constants_[i] && k->in_place(i) && !want_.empty() &&
          in_[i]->tensor().bytes() == want_[0].tensor().bytes())
        run_once(d, *k, *b, i);
  }

  // Every candidate but the reference itself; returns how many there were.
  size_t check_all(Device& d) const {
    size_t n = 0;
    for (const KernelChoice& k : candidates(d)) {
      if (k.name == kReferenceKernel) continue;
      check(d, k.name);
      ++n;
    }
    return n;
  }

 private:
  static constexpr size_t kGuard = 256;
  static constexpr unsigned char kFill = 0xff;  // NaN in every float type

  // in_place: the input the first output is written over.
  void run_once(Device& d, Kernel& k, BoundKernel& b, size_t in_place) const {
    std::vector<const Datum*> in = in_;
    for (size_t i = 0; i < in.size(); ++i)
      if (in[i] && constants_[i] && k.consumes(i)) in[i] = nullptr;
    std::vector<Datum> outs(want_.size());
    std::vector<std::shared_ptr<void>> memory;
    const auto guarded = [&](size_t bytes) {
      memory.push_back(d.allocate(bytes + kGuard));
      std::memset(memory.back().get(), kFill, bytes + kGuard);
      return memory.back().get();
    };
    void* workspace = guarded(b.workspace());
    Datum shared;
    for (size_t i = 0; i < outs.size() && !k.allocates_outputs(); ++i) {
      if (!want_[i].is_tensor()) continue;
      const Tensor& w = want_[i].tensor();
      void* p = guarded(w.bytes());
      outs[i] = Tensor::view(w.dtype(), w.dims(), p);
      if (i > 0 || in_place == SIZE_MAX) continue;
      const Tensor& x = in[in_place]->tensor();
      std::memcpy(p, x.raw(), x.bytes());
      shared = Tensor::view(x.dtype(), x.dims(), p);
      in[in_place] = &shared;
    }
    std::vector<Datum*> out;
    for (size_t i = 0; i < outs.size(); ++i) out.push_back(out_types_[i] ? &outs[i] : nullptr);
    b.run({in, out, workspace, nullptr});
    d.wait(d.record());
    CHECK(untouched(memory[0], b.workspace()));
    size_t m = 1;
    for (size_t i = 0; i < outs.size(); ++i) {
      if (!want_[i].is_tensor()) continue;
      const Tensor& w = want_[i].tensor();
      if (!k.allocates_outputs()) CHECK(untouched(memory[m++], w.bytes()));
      if (out[i]) compare(outs[i].tensor(), w, slack_of(k.name()));
    }
  }
  // Times the case's absolute tolerance: twice what conv.h says of a method's error.
  static double slack_of(std::string_view kernel) {
    if (kernel.find("winograd_f4") != kernel.npos) return 20;
    return kernel.find("winograd_f6") != kernel.npos ? 40 : 1;
  }
  static bool untouched(const std::shared_ptr<void>& p, size_t bytes) {
    const auto* c = static_cast<const unsigned char*>(p.get()) + bytes;
    for (size_t i = 0; i < kGuard; ++i)
      if (c[i] != kFill) return false;
    return true;
  }
  void compare(const Tensor& got, const Tensor& want, double slack) const {
    REQUIRE(got.dtype() == want.dtype());
    REQUIRE(got.dims() == want.dims());
    int64_t wrong = 0, first = -1;
    for (int64_t i = 0; i < want.size(); ++i) {
      double g = get_double(got, i), w = get_double(want, i);
      if (g == w || (g != g && w != w) || std::abs(g - w) <= slack * case_.atol + case_.rtol * std::abs(w))
        continue;
      if (wrong++ == 0) first = i;
    }
    if (wrong)
      FAIL_CHECK(wrong, " of ", want.size(), " elements are wrong, first ", first, ": ",
                 get_double(got, first), " instead of ", get_double(want, first));
  }

  const cases::OpCase& case_;
  Model model_;
  NodeId node_{};
  std::vector<const Type*> in_types_, out_types_;
  std::vector<const Tensor*> constants_;
  std::vector<const Datum*> in_;
  std::vector<Datum> want_;
};

}  // namespace skiff::test
