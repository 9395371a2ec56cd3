// Runs a compiled graph: binds buffers, walks the programs' steps, moves values between devices.
#pragma once
#include <atomic>
#include <chrono>
#include <memory>
#include <mutex>
#include <vector>

#include "base/interrupt.h"
#include "base/memory_budget.h"
#include "plan/compiled_graph.h"

namespace skiff::runtime {

// Times of one run, by CompiledNode::profile_index.
struct Recorder {
  struct Event {
    int node;
    int64_t start_ns, ns;
  };
  struct Totals {
    int64_t ns = 0, count = 0;
    double flops = 0, bytes = 0;
  };
  std::chrono::steady_clock::time_point start;
  std::vector<Totals> nodes;
  std::vector<Event> events;
  void resize(size_t n) { nodes.resize(n); }
};

// When work is to end: on request, or at a time.
class Stop : public Interrupt {
 public:
  // seconds: from now, 0: no limit; what: "the run", for messages.
  Stop(const std::atomic<bool>* cancel, double seconds, const char* what);
  void poll() const override;

 private:
  const std::atomic<bool>* cancel_;
  std::chrono::steady_clock::time_point deadline_{};
  double seconds_;
  const char* what_;
};

// What holds for one whole run, nested graphs included.
struct RunContext {
  const Stop* stop = nullptr;
  int64_t max_loop_trips = INT64_MAX;
  int max_nesting = 64;
  int depth = 0;
  Recorder* recorder = nullptr;
  void poll() const {
    if (stop) stop->poll();
  }
};

// Everything one run of one graph needs to itself: values, arenas. Kept and reused between runs.
class Instance {
 public:
  Instance(plan::CompiledGraph& g, MemoryBudget* budget);
  ~Instance();
  Instance(const Instance&) = delete;
  Instance& operator=(const Instance&) = delete;

  // inputs[i] belongs to graph input i (kNone: its default). outputs[k]: a tensor on entry is filled in place
  // when dtype and shape agree, else replaced; when fixed[k] it must agree (kInvalidArgument). captures by
  // capture index.
  void run(RunContext& c, std::span<const Datum* const> inputs, std::span<const Datum> captures,
           std::span<Datum> outputs, std::span<const uint8_t> fixed);

  size_t arena_bytes() const;

 private:
  friend class Host;
  struct Active {
    int begin;
    std::shared_ptr<const plan::Program> program;
    std::vector<int> patches;  // slot plans whose address changes from run to run
  };
  struct Memory {
    std::shared_ptr<void> data;
    size_t bytes = 0;
  };
  Active& activate(std::shared_ptr<const plan::Program> p);
  void bind_slot(const plan::SlotPlan& p);
  void bind_outputs(const plan::Program& p, std::span<Datum> outputs, std::span<const uint8_t> fixed);
  void execute(RunContext& c, const plan::Program& p);
  void run_step(RunContext& c, const plan::Step& s);
  void copy(const plan::Item& it);
  void finish_outputs(std::span<Datum> outputs, std::span<const uint8_t> fixed);
  void reserve(Memory& m, Device& d, size_t bytes, const char* what);
  void wait_pending();

  plan::CompiledGraph& g_;
  MemoryBudget* budget_;
  std::vector<Datum> values_;                  // by slot
  std::vector<std::vector<const Datum*>> in_;  // operands by compiled node
  std::vector<std::vector<Datum*>> out_;
  std::vector<Memory> arenas_;  // by location
  std::vector<Memory> heap_;    // by slot, for values that cross segments
  std::vector<Active> active_;
  std::vector<uint8_t> output_done_;  // by output
  std::vector<void*> output_data_;
  std::vector<uint64_t> pending_;                  // by device: event to wait for; 0: none
  std::vector<std::unique_ptr<Instance>> nested_;  // idle instances of subgraphs
};

// Idle instances of one compiled graph.
class InstancePool {
 public:
  InstancePool(plan::CompiledGraph& g, MemoryBudget* budget) : g_(g), budget_(budget) {}
  std::unique_ptr<Instance> take();
  void give(std::unique_ptr<Instance> i);

 private:
  plan::CompiledGraph& g_;
  MemoryBudget* budget_;
  std::mutex mutex_;
  std::vector<std::unique_ptr<Instance>> idle_;
};

}  // namespace skiff::runtime
