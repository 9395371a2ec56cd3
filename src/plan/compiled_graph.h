// A graph made ready to run: kernels chosen and prepared once (no shape is needed for that), programs made
// per shape.
#pragma once
#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <string>
#include <unordered_map>
#include <vector>

#include "plan/placement.h"

namespace skiff::plan {

// A place where a value lives: values have one on their producer's side (slot id == value id) and, where a
// device with other memory needs them, replicas (ids from value_slots() up).
using SlotId = int32_t;
inline constexpr SlotId kNoSlot = -1;

// Where memory is: 0 is the host's, shared by all devices whose host_memory() is true; else the device's
// index.
using Location = int32_t;

struct Slot {
  ValueId value = kNoValue;
  Location location = 0;
  Datum constant;  // at that location; kNone when the slot is not a constant or every user consumed it
  bool is_constant = false;
  int defined = -1;   // item that fills it; -1: before the first
  int last_use = -1;  // last item that reads it; INT_MAX: a graph output or a capture of later use
};

class CompiledGraph;

struct CompiledNode {
  NodeId id = kNoNode;
  const Node* node = nullptr;
  int device = 0;
  std::unique_ptr<Kernel> kernel;          // null for views and for nodes without consumers of their work
  std::vector<KernelChoice> alternatives;  // all that were possible, cheapest first
  std::vector<SlotId> in, out, captures;   // kNoSlot where absent, or consumed by the kernel
  std::map<const Graph*, std::unique_ptr<CompiledGraph>> subgraphs;
  bool view = false;      // no work: output 0 is input 0 under another shape
  bool dynamic = false;   // makes its own outputs; shapes are known only after it ran
  int profile_index = 0;  // position in the session's list of all nodes
};

// What happens in order: a node runs, or a slot is copied to another location.
struct Item {
  int node = -1;  // index into nodes; -1: a copy
  SlotId from = kNoSlot, to = kNoSlot;
};

// Operand of a step: a slot.
struct Step {
  int item = 0;
  std::unique_ptr<BoundKernel> kernel;  // null: a copy, or a dynamic node run by its kernel directly
  size_t workspace_bytes = 0, workspace_offset = 0;
  Cost cost;  // for these shapes
};

enum class Storage : uint8_t { kArena, kOutput, kHeap, kView, kConstant, kExternal };

struct SlotPlan {
  SlotId slot = kNoSlot;
  TensorDesc desc;
  Storage storage = Storage::kArena;
  SlotId root = kNoSlot;  // kView: whose bytes it shares (a root itself, never another view)
  int output = -1;        // kOutput: which graph output
  size_t offset = 0;      // kArena
  Tensor constant;        // kConstant: known from the shapes alone
};

// A segment of the items under one set of shapes: ends at the end of the graph or where shapes come from
// data.
struct Program {
  int begin = 0, end = 0;  // items
  std::vector<Step> steps;
  std::vector<SlotPlan> slots;                        // those the segment defines
  std::vector<size_t> arena_bytes;                    // per location
  std::vector<TensorDesc> live_in;                    // parallel to CompiledGraph::live_in(begin)
  std::vector<std::pair<SlotId, Tensor>> value_deps;  // live-in values the shapes depend on
  uint64_t stamp = 0;                                 // for eviction
};

struct CompileOptions {
  int max_depth = 64;
  bool release_weights = true;                // drop originals that every kernel consumed
  std::map<std::string, std::string> forced;  // operator -> kernel (SKIFF_FORCE)
  std::function<void(size_t)> packed;         // told after each kernel that packed weights, how many bytes
};

class CompiledGraph {
 public:
  // `g` must stay alive and unedited. profile_count numbers nodes across all nested graphs.
  CompiledGraph(Graph& g, const std::vector<DeviceSlot>& devices, const CompileOptions& options,
                int& profile_count, int depth = 0);
  CompiledGraph(const CompiledGraph&) = delete;
  CompiledGraph& operator=(const CompiledGraph&) = delete;

  const Graph& graph() const { return graph_; }
  const std::vector<Slot>& slots() const { return slots_; }
  const std::vector<CompiledNode>& nodes() const { return nodes_; }
  const std::vector<Item>& items() const { return items_; }
  const std::vector<DeviceSlot>& devices() const { return devices_; }
  const std::vector<SlotId>& input_slots() const { return input_slots_; }
  const std::vector<SlotId>& output_slots() const { return output_slots_; }  // on the host
  struct CaptureSlot {
    SlotId slot;
    int index;
  };
  const std::vector<CaptureSlot>& capture_slots() const { return capture_slots_; }
  // Slots filled before item `begin` that are read at or after it.
  const std::vector<SlotId>& live_in(int begin) const;
  size_t packed_bytes() const;  // weights kernels hold, nested graphs included
  size_t constant_bytes() const;

  // The program for the segment that starts at item `begin`, given the live values (indexed by slot). Cached
  // by shape and by the values shapes depend on. Thread-safe.
  std::shared_ptr<const Program> program(int begin, std::span<const Datum> values);

  const CompiledNode& node_of(const Item& i) const { return nodes_[static_cast<size_t>(i.node)]; }
  Device& device(int i) const { return *devices_[static_cast<size_t>(i)].device; }

 private:
  friend class Planner;
  void add_node(NodeId id, int& profile_count, int depth);
  void choose_kernel(CompiledNode& cn, const NodeQuery& q);
  SlotId slot_at(ValueId v, Location where);
  Location location_of(int device) const;
  void finish_uses();
  void release_consumed();

  Graph& graph_;
  std::vector<DeviceSlot> devices_;
  CompileOptions options_;
  std::vector<Slot> slots_;
  std::vector<CompiledNode> nodes_;
  std::vector<Item> items_;
  std::vector<SlotId> input_slots_, output_slots_;
  std::vector<CaptureSlot> capture_slots_;
  std::map<std::pair<ValueId, Location>, SlotId> replicas_;
  mutable std::mutex mutex_;
  mutable std::map<int, std::vector<SlotId>> live_in_;
  std::map<int, std::vector<std::shared_ptr<const Program>>> programs_;
  uint64_t stamp_ = 0;
};

}  // namespace skiff::plan
