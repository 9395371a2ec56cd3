#include "runtime/executor.h"
#include "base/error_where.h"

#include <algorithm>
#include <cstring>

namespace skiff::runtime {

using plan::CompiledGraph;
using plan::CompiledNode;
using plan::Item;
using plan::kNoSlot;
using plan::Program;
using plan::SlotId;
using plan::SlotPlan;
using plan::Step;
using plan::Storage;

Stop::Stop(const std::atomic<bool>* cancel, double seconds, const char* what)
    : cancel_(cancel), seconds_(seconds), what_(what) {
  if (seconds > 0)
    deadline_ =
        std::chrono::steady_clock::now() + std::chrono::duration_cast<std::chrono::steady_clock::duration>(
                                               std::chrono::duration<double>(seconds));
}

void Stop::poll() const {
  if (cancel_ && cancel_->load(std::memory_order_relaxed)) fail(Code::kCancelled, what_, " was cancelled");
  if (seconds_ > 0 && std::chrono::steady_clock::now() > deadline_)
    fail(Code::kLimit, what_, " took longer than time_limit = ", seconds_,
         " s; raise time_limit if the model can be trusted");
}

// Lends kernels what they may ask for while one node runs.
class Host : public KernelHost {
 public:
  Host(Instance& i, RunContext& c, const CompiledNode& cn) : instance_(i), context_(c), node_(cn) {}
  std::vector<Datum> run_subgraph(const Node&, const Graph& g, std::span<const Datum> inputs) override {
    auto it = node_.subgraphs.find(&g);
    check(it != node_.subgraphs.end(), Code::kInternal, "the subgraph was not compiled");
    check(++context_.depth <= context_.max_nesting, Code::kLimit,
          "subgraphs nest deeper than max_nesting = ", context_.max_nesting,
          "; raise max_nesting if the model can be trusted");
    CompiledGraph& sub = *it->second;
    if (captures_.empty())
      for (SlotId s : node_.captures) captures_.push_back(instance_.values_[static_cast<size_t>(s)]);
    std::unique_ptr<Instance> inner = take(sub);
    std::vector<const Datum*> in;
    for (const Datum& d : inputs) in.push_back(&d);
    std::vector<Datum> out(sub.output_slots().size());
    inner->run(context_, in, captures_, out, {});
    instance_.nested_.push_back(std::move(inner));
    --context_.depth;
    return out;
  }
  void poll() override { context_.poll(); }
  int64_t max_loop_trips() const override { return context_.max_loop_trips; }

 private:
  std::unique_ptr<Instance> take(CompiledGraph& sub) {
    auto& idle = instance_.nested_;
    for (size_t i = idle.size(); i-- > 0;) {
      if (&idle[i]->g_ != &sub) continue;
      std::unique_ptr<Instance> r = std::move(idle[i]);
      idle.erase(idle.begin() + static_cast<std::ptrdiff_t>(i));
      return r;
    }
    return std::make_unique<Instance>(sub, instance_.budget_);
  }
  Instance& instance_;
  RunContext& context_;
  const CompiledNode& node_;
  std::vector<Datum> captures_;
};

Instance::Instance(CompiledGraph& g, MemoryBudget* budget)
    : g_(g),
      budget_(budget),
      values_(g.slots().size()),
      arenas_(g.devices().size()),
      heap_(g.slots().size()),
      output_done_(g.output_slots().size()),
      output_data_(g.output_slots().size()),
      pending_(g.devices().size()) {
  for (size_t i = 0; i < values_.size(); ++i)
    if (g.slots()[i].is_constant) values_[i] = g.slots()[i].constant;
  for (const CompiledNode& cn : g.nodes()) {
    in_.emplace_back();
    out_.emplace_back();
    for (SlotId s : cn.in) in_.back().push_back(s == kNoSlot ? nullptr : &values_[static_cast<size_t>(s)]);
    for (SlotId s : cn.out) out_.back().push_back(s == kNoSlot ? nullptr : &values_[static_cast<size_t>(s)]);
  }
}

Instance::~Instance() {
  if (!budget_) return;
  for (const auto& list : {&arenas_, &heap_})
    for (const Memory& m : *list) budget_->release(m.bytes);
}

size_t Instance::arena_bytes() const {
  size_t n = 0;
  for (const auto& list : {&arenas_, &heap_})
    for (const Memory& m : *list) n += m.bytes;
  return n;
}

void Instance::reserve(Memory& m, Device& d, size_t bytes, const char* what) {
  if (m.data && m.bytes >= bytes) return;
  if (budget_) {
    budget_->release(m.bytes);
    m = {};
    budget_->charge(bytes, what);
  }
  try {
    m.data = d.allocate(bytes);
  } catch (...) {
    if (budget_) budget_->release(bytes);
    throw;
  }
  m.bytes = bytes;
}

void Instance::bind_slot(const SlotPlan& p) {
  auto s = static_cast<size_t>(p.slot);
  auto loc = static_cast<size_t>(g_.slots()[s].location);
  switch (p.storage) {
    case Storage::kConstant: values_[s] = p.constant; return;
    case Storage::kExternal: values_[s] = Datum(); return;
    case Storage::kArena:
      values_[s] =
          Tensor::view(p.desc.dtype, p.desc.dims, static_cast<char*>(arenas_[loc].data.get()) + p.offset);
      return;
    case Storage::kHeap: {
      Memory& m = heap_[s];
      try {
        reserve(m, g_.device(static_cast<int>(loc)), dtype_bytes(p.desc.dtype, element_count(p.desc.dims)),
                "a value");
      } catch (Error& e) {
        e.add_where(cat("value '", g_.graph().value(g_.slots()[s].value).name, "'"));
        throw;
      }
      values_[s] = Tensor::view(p.desc.dtype, p.desc.dims, m.data.get());
      return;
    }
    case Storage::kView: {
      const Datum& root = values_[static_cast<size_t>(p.root)];
      values_[s] = Tensor::view(p.desc.dtype, p.desc.dims, root.is_tensor() ? root.tensor().raw() : nullptr);
      return;
    }
    case Storage::kOutput: values_[s] = Tensor::view(p.desc.dtype, p.desc.dims, nullptr); return;
  }
}

Instance::Active& Instance::activate(std::shared_ptr<const Program> p) {
  auto it =
      std::find_if(active_.begin(), active_.end(), [&](const Active& a) { return a.begin == p->begin; });
  if (it != active_.end() && it->program == p) return *it;
  bool moved = false;
  for (size_t loc = 0; loc < p->arena_bytes.size(); ++loc) {
    Memory& m = arenas_[loc];
    if (!p->arena_bytes[loc] || (m.data && m.bytes >= p->arena_bytes[loc])) continue;
    reserve(m, g_.device(static_cast<int>(loc)), p->arena_bytes[loc], "the arena");
    moved = true;
  }
  if (moved) {
    active_.clear();  // what points into the old arena is bound again when its segment comes
    it = active_.end();
  }
  if (it == active_.end()) it = active_.insert(active_.end(), Active{p->begin, nullptr, {}});
  it->program = nullptr;  // stays so if binding throws
  it->patches.clear();
  std::vector<int8_t> here(g_.slots().size(), 0);  // 1: a stable address, 2: patched each run
  for (size_t i = 0; i < p->slots.size(); ++i) {
    const SlotPlan& sp = p->slots[i];
    bind_slot(sp);
    bool patch = sp.storage == Storage::kOutput || sp.storage == Storage::kExternal ||
                 (sp.storage == Storage::kView && here[static_cast<size_t>(sp.root)] != 1);
    here[static_cast<size_t>(sp.slot)] = patch ? 2 : 1;
    if (patch) it->patches.push_back(static_cast<int>(i));
  }
  it->program = std::move(p);
  return *it;
}

void Instance::bind_outputs(const Program& p, std::span<Datum> outputs, std::span<const uint8_t> fixed) {
  for (const SlotPlan& sp : p.slots) {
    if (sp.storage != Storage::kOutput) continue;
    auto k = static_cast<size_t>(sp.output);
    // The output's own shape may differ from its root's (a Reshape at the end): same bytes.
    SlotId os = g_.output_slots()[k];
    const Tensor& want = values_[static_cast<size_t>(os)].tensor();
    Datum& o = outputs[k];
    bool fits = o.is_tensor() && o.tensor().dtype() == want.dtype() && o.tensor().dims() == want.dims() &&
                o.tensor().raw() != nullptr;
    if (!fits) {
      check(fixed.empty() || !fixed[k], Code::kInvalidArgument, "output '",
            g_.graph().value(g_.graph().outputs()[k]).name, "' is ", describe(want), "; the given buffer is ",
            o.is_tensor() ? describe(o.tensor()) : std::string("not a tensor"));
      try {
        o = Datum(Tensor(want.dtype(), want.dims()));
      } catch (Error& e) {
        e.add_where(cat("output '", g_.graph().value(g_.graph().outputs()[k]).name, "'"));
        throw;
      }
    }
    output_data_[k] = o.tensor().raw();
    output_done_[k] = 1;
  }
}

void Instance::wait_pending() {
  for (size_t d = 0; d < pending_.size(); ++d) {
    if (!pending_[d]) continue;
    g_.device(static_cast<int>(d)).wait(pending_[d] - 1);
    pending_[d] = 0;
  }
}

void Instance::copy(const Item& it) {
  const Datum& from = values_[static_cast<size_t>(it.from)];
  if (!from.is_tensor() || from.tensor().dtype() == DType::kString) {
    values_[static_cast<size_t>(it.to)] = from;
    return;
  }
  const Tensor& src = from.tensor();
  Tensor& dst = values_[static_cast<size_t>(it.to)].tensor();
  auto a = g_.slots()[static_cast<size_t>(it.from)].location,
       b = g_.slots()[static_cast<size_t>(it.to)].location;
  size_t n = src.bytes();
  auto after = [this](int d) { pending_[static_cast<size_t>(d)] = g_.device(d).record() + 1; };
  if (a == 0) {
    g_.device(b).upload(dst.raw(), src.raw(), n);
    after(b);
  } else if (b == 0) {
    g_.device(a).download(dst.raw(), src.raw(), n);
    after(a);
  } else {
    Tensor staging(src.dtype(), src.dims());
    g_.device(a).download(staging.raw(), src.raw(), n);
    g_.device(a).wait(g_.device(a).record());
    g_.device(b).upload(dst.raw(), staging.raw(), n);
    g_.device(b).wait(g_.device(b).record());
  }
}

void Instance::run_step(RunContext& c, const Step& s) {
  const Item& it = g_.items()[static_cast<size_t>(s.item)];
  if (it.node < 0) {
    copy(it);
    return;
  }
  auto n = static_cast<size_t>(it.node);
  const CompiledNode& cn = g_.nodes()[n];
  Device& d = g_.device(cn.device);
  if (d.host_memory()) wait_pending();
  Host host(*this, c, cn);
  auto loc = static_cast<size_t>(d.host_memory() ? 0 : cn.device);
  void* workspace =
      s.workspace_bytes ? static_cast<char*>(arenas_[loc].data.get()) + s.workspace_offset : nullptr;
  s.kernel->run({in_[n], out_[n], workspace, &host});
}

void Instance::execute(RunContext& c, const Program& p) {
  for (const Step& s : p.steps) {
    c.poll();
    const Item& it = g_.items()[static_cast<size_t>(s.item)];
    try {
      if (c.recorder && it.node >= 0) {
        const CompiledNode& cn = g_.node_of(it);
        auto t0 = std::chrono::steady_clock::now();
        run_step(c, s);
        auto t1 = std::chrono::steady_clock::now();
        auto i = static_cast<size_t>(cn.profile_index);
        int64_t ns = std::chrono::duration_cast<std::chrono::nanoseconds>(t1 - t0).count();
        Recorder::Totals& totals = c.recorder->nodes[i];
        totals.ns += ns;
        totals.count += 1;
        totals.flops += s.cost.flops;
        totals.bytes += s.cost.bytes;
        if (c.recorder->events.size() < 1000000)
          c.recorder->events.push_back(
              {cn.profile_index,
               std::chrono::duration_cast<std::chrono::nanoseconds>(t0 - c.recorder->start).count(), ns});
      } else {
        run_step(c, s);
      }
    } catch (Error& e) {
      if (it.node >= 0) add_where_once(e, g_.node_of(it).node->label());
      throw;
    }
  }
}

void Instance::run(RunContext& c, std::span<const Datum* const> inputs, std::span<const Datum> captures,
                   std::span<Datum> outputs, std::span<const uint8_t> fixed) {
  const Graph& graph = g_.graph();
  check(inputs.size() <= g_.input_slots().size(), Code::kInvalidArgument, "the graph takes ",
        g_.input_slots().size(), " inputs, ", inputs.size(), " were given");
  for (size_t i = 0; i < g_.input_slots().size(); ++i) {
    SlotId s = g_.input_slots()[i];
    const Datum* given = i < inputs.size() ? inputs[i] : nullptr;
    Datum& v = values_[static_cast<size_t>(s)];
    if (!given || given->kind() == Datum::Kind::kNone) {
      if (g_.slots()[static_cast<size_t>(s)].is_constant) continue;  // a default nobody overrides
      const Value& val = graph.value(static_cast<ValueId>(s));
      if (val.constant.defined()) {
        v = val.constant;
        continue;
      }
      if (!given) fail(Code::kInvalidArgument, "input '", val.name, "' was not given");
    }
    if (given->is_tensor() && v.is_tensor() && v.tensor().dtype() == given->tensor().dtype() &&
        v.tensor().dtype() != DType::kString && v.tensor().dims() == given->tensor().dims()) {
      v.tensor().rebind(const_cast<void*>(given->tensor().raw()));
    } else if (given->is_tensor() && given->tensor().dtype() != DType::kString) {
      const Tensor& t = given->tensor();
      v = Tensor::view(t.dtype(), t.dims(), t.raw());  // not an owner: the caller's memory is the caller's
    } else {
      v = *given;
    }
  }
  for (const auto& cs : g_.capture_slots()) {
    check(static_cast<size_t>(cs.index) < captures.size(), Code::kInternal, "a captured value is not bound");
    values_[static_cast<size_t>(cs.slot)] = captures[static_cast<size_t>(cs.index)];
  }
  std::fill(output_done_.begin(), output_done_.end(), uint8_t{0});
  auto end = static_cast<int>(g_.items().size());
  int at = 0;
  do {
    Active& a = activate(g_.program(at, values_));
    const Program& p = *a.program;
    bind_outputs(p, outputs, fixed);
    for (int i : a.patches) {
      const SlotPlan& sp = p.slots[static_cast<size_t>(i)];
      Datum& v = values_[static_cast<size_t>(sp.slot)];
      if (sp.storage == Storage::kExternal) {
        v = Datum();
      } else if (sp.storage == Storage::kOutput) {
        v.tensor().rebind(output_data_[static_cast<size_t>(sp.output)]);
      } else {
        v.tensor().rebind(values_[static_cast<size_t>(sp.root)].tensor().raw());
      }
    }
    execute(c, p);
    at = p.end;
  } while (at < end);
  wait_pending();
  finish_outputs(outputs, fixed);
}

void Instance::finish_outputs(std::span<Datum> outputs, std::span<const uint8_t> fixed) {
  for (size_t k = 0; k < outputs.size() && k < g_.output_slots().size(); ++k) {
    if (output_done_[k]) continue;
    const Datum& v = values_[static_cast<size_t>(g_.output_slots()[k])];
    Datum& o = outputs[k];
    bool strict = !fixed.empty() && fixed[k];
    if (!v.is_tensor() || v.tensor().dtype() == DType::kString) {
      check(!strict, Code::kInvalidArgument, "output '", g_.graph().value(g_.graph().outputs()[k]).name,
            "' does not fit the given buffer: it is not a tensor of numbers");
      o = v.is_tensor() ? Datum(v.tensor().clone()) : v;
      continue;
    }
    const Tensor& t = v.tensor();
    bool fits = o.is_tensor() && o.tensor().dtype() == t.dtype() && o.tensor().dims() == t.dims();
    check(fits || !strict, Code::kInvalidArgument, "output '", g_.graph().value(g_.graph().outputs()[k]).name,
          "' is ", describe(t), "; the given buffer is ",
          o.is_tensor() ? describe(o.tensor()) : std::string("not a tensor"));
    if (fits) {
      if (t.bytes()) std::memmove(o.tensor().raw(), t.raw(), t.bytes());
    } else {
      o = t.clone();
    }
  }
}

std::unique_ptr<Instance> InstancePool::take() {
  {
    std::lock_guard lock(mutex_);
    if (!idle_.empty()) {
      std::unique_ptr<Instance> r = std::move(idle_.back());
      idle_.pop_back();
      return r;
    }
  }
  return std::make_unique<Instance>(g_, budget_);
}

void InstancePool::give(std::unique_ptr<Instance> i) {
  std::lock_guard lock(mutex_);
  idle_.push_back(std::move(i));
}

}  // namespace skiff::runtime
