#include <algorithm>
#include <climits>
#include <unordered_map>

#include "base/error_where.h"
#include "ops/infer.h"
#include "ops/interpret.h"
#include "plan/compiled_graph.h"
#include "plan/memory.h"

namespace skiff::plan {
namespace {

// Values this small are worked out while planning (shape arithmetic) and may be part of a program's key.
constexpr int64_t kMaxKnown = 4096;
constexpr size_t kMaxPrograms = 64;

bool small_known(const Datum& d) {
  // A null address is a shape without values: what `info` plans with.
  return d.is_tensor() && d.tensor().defined() && d.tensor().size() <= kMaxKnown &&
         (d.tensor().raw() != nullptr || d.tensor().size() == 0);
}

}  // namespace

// Plans one segment under one set of shapes.
class Planner {
 public:
  Planner(CompiledGraph& g, int begin, std::span<const Datum> values)
      : g_(g), values_(values), program_(std::make_shared<Program>()), index_(g.slots().size(), -1) {
    program_->begin = begin;
    program_->slots.reserve(g.slots().size());  // pointers into it are handed to rules
  }

  std::shared_ptr<Program> run() {
    for (SlotId s : g_.live_in(program_->begin)) program_->live_in.push_back(desc_of_live(s));
    int end = static_cast<int>(g_.items().size());
    int i = program_->begin;
    for (; i < end; ++i) {
      const Item& it = g_.items()[static_cast<size_t>(i)];
      if (it.node < 0) {
        copy(i, it);
        continue;
      }
      Outcome o = named_node(i, g_.node_of(it));
      if (o == Outcome::kCut) break;
      if (o == Outcome::kLast) {
        ++i;
        break;
      }
    }
    program_->end = i;
    assign_storage();
    return std::move(program_);
  }

 private:
  enum class Outcome { kNext, kCut, kLast };

  TensorDesc desc_of_live(SlotId s) const {
    const Datum& d = values_[static_cast<size_t>(s)];
    if (!d.is_tensor()) return {};
    return {d.tensor().dtype(), d.tensor().dims()};
  }

  bool defined_here(SlotId s) const { return index_[static_cast<size_t>(s)] >= 0; }
  SlotPlan& plan_of(SlotId s) { return program_->slots[static_cast<size_t>(index_[static_cast<size_t>(s)])]; }

  // The value a slot holds before the segment runs: constants and live-in values. Null for those defined in
  // it.
  const Datum* datum_before(SlotId s) const {
    if (defined_here(s)) return nullptr;
    const Slot& slot = g_.slots()[static_cast<size_t>(s)];
    return slot.is_constant ? &slot.constant : &values_[static_cast<size_t>(s)];
  }

  TensorDesc desc(SlotId s) {
    if (s == kNoSlot) return {};
    if (defined_here(s)) return plan_of(s).desc;
    const Datum* d = datum_before(s);
    if (!d->is_tensor()) return {};
    return {d->tensor().dtype(), d->tensor().dims()};
  }

  // The slot's value, if the plan can know it; `demand` makes a live-in value part of the program's key.
  const Tensor* known(SlotId s, bool demand) {
    if (s == kNoSlot) return nullptr;
    if (defined_here(s) && plan_of(s).storage == Storage::kConstant) return &plan_of(s).constant;
    const Slot& slot = g_.slots()[static_cast<size_t>(s)];
    if (slot.location != 0) {
      // A replica in another memory: the host's original tells, as long as it is still there.
      auto home = static_cast<SlotId>(slot.value);
      const Slot& h = g_.slots()[static_cast<size_t>(home)];
      bool there = home != s && h.location == 0 &&
                   (h.is_constant || h.defined < 0 || h.last_use >= program_->begin || defined_here(home));
      return there ? known(home, demand) : nullptr;
    }
    if (defined_here(s)) return nullptr;
    const Datum* d = datum_before(s);
    if (!small_known(*d)) return nullptr;
    if (slot.is_constant) return &d->tensor();
    if (!demand) return nullptr;
    for (const auto& [id, t] : program_->value_deps)
      if (id == s) return &t;
    // Reserved so that the pointers handed out stay good while the plan is made.
    if (program_->value_deps.capacity() == 0) program_->value_deps.reserve(g_.slots().size());
    program_->value_deps.emplace_back(s, d->tensor().clone());
    return &program_->value_deps.back().second;
  }

  void define(SlotId s, SlotPlan p) {
    p.slot = s;
    index_[static_cast<size_t>(s)] = static_cast<int>(program_->slots.size());
    program_->slots.push_back(std::move(p));
  }

  void copy(int item, const Item& it) {
    SlotPlan p;
    p.desc = desc(it.from);
    define(it.to, std::move(p));
    Step s;
    s.item = item;
    program_->steps.push_back(std::move(s));
  }

  // A node that makes its own outputs: the segment ends behind it.
  Outcome dynamic(int item, const CompiledNode& cn) {
    for (SlotId s : cn.out) {
      if (s == kNoSlot) continue;
      SlotPlan p;
      p.storage = Storage::kExternal;
      define(s, std::move(p));
    }
    Step step;
    step.item = item;
    std::vector<TensorDesc> in, out(cn.out.size());
    for (SlotId s : cn.in) in.push_back(desc(s));
    step.kernel = cn.kernel->bind(in, out);
    program_->steps.push_back(std::move(step));
    return Outcome::kLast;
  }

  Outcome named_node(int item, const CompiledNode& cn) {
    try {
      return node(item, cn);
    } catch (Error& e) {
      add_where_once(e, cn.node->label());
      throw;
    }
  }

  Outcome node(int item, const CompiledNode& cn) {
    if (cn.dynamic) return dynamic(item, cn);
    const Node& n = *cn.node;
    std::vector<Type> types(n.inputs.size());
    std::vector<InputInfo> in(n.inputs.size());
    bool all_known = true;
    for (size_t i = 0; i < n.inputs.size(); ++i) {
      if (n.inputs[i] == kNoValue) continue;
      SlotId s = i < cn.in.size() ? cn.in[i] : kNoSlot;
      if (s == kNoSlot) {  // consumed by the kernel: its declared type is its type
        in[i].type = &g_.graph().value(n.inputs[i]).type;
        if (const Value& v = g_.graph().value(n.inputs[i]); v.is_constant()) in[i].constant = &v.constant;
        all_known = false;
        continue;
      }
      TensorDesc d = desc(s);
      types[i] = Type::tensor(d.dtype, SymShape(d.dims));
      in[i].type = &types[i];
      in[i].constant = known(s, (n.def->value_inputs >> i & 1) != 0);
      all_known &= in[i].constant != nullptr;
    }
    std::vector<OutputInfo> out(n.outputs.size());
    infer_node(n, in, out);
    bool resolved = true;
    int64_t elements = 0;
    for (size_t i = 0; i < out.size(); ++i) {
      if (n.outputs[i] == kNoValue) continue;
      Type& t = out[i].type;
      if (t.kind == Type::Kind::kTensor && t.dtype == DType::kUndefined)
        t.dtype = g_.graph().value(n.outputs[i]).type.dtype;
      resolved &= t.kind == Type::Kind::kTensor && t.dtype != DType::kUndefined && t.shape.is_static();
      if (resolved) elements += element_count(t.shape.to_dims());
    }
    if (!resolved) {
      // It wants a value this segment computes: end the segment here and look again when the value is there.
      if (item > program_->begin) return Outcome::kCut;
      check(cn.kernel != nullptr, Code::kUnsupported, n.label(), ": its output shape cannot be worked out");
      check(g_.slots()[static_cast<size_t>(first_out(cn))].location == 0, Code::kUnsupported, n.label(),
            ": its output shape is known only after it ran, so it must run on the host");
      return dynamic(item, cn);
    }
    if (on_host(cn) && elements <= kMaxKnown && !n.def->is(kNondeterministic) &&
        evaluate(cn, in, out, all_known))
      return Outcome::kNext;
    if (cn.view) return view(cn, out[0].type);
    bind(item, cn, in, out);
    return Outcome::kNext;
  }

  SlotId first_out(const CompiledNode& cn) const {
    for (SlotId s : cn.out)
      if (s != kNoSlot) return s;
    return 0;
  }
  bool on_host(const CompiledNode& cn) const { return g_.device(cn.device).host_memory(); }

  // Works the node out now when its result follows from shapes and known values alone.
  bool evaluate(const CompiledNode& cn, std::span<const InputInfo> in, std::span<const OutputInfo> out,
                bool all_known) {
    const Node& n = *cn.node;
    bool by_rule = true;
    for (size_t i = 0; i < out.size(); ++i) {
      if (n.outputs[i] == kNoValue) continue;
      by_rule &=
          out[i].has_data && out[i].type.shape.rank() <= 1 &&
          static_cast<int64_t>(out[i].data.size()) == element_count(out[i].type.shape.to_dims()) &&
          std::all_of(out[i].data.begin(), out[i].data.end(), [](const Dim& d) { return d.is_const(); });
    }
    if (by_rule) {
      for (size_t i = 0; i < out.size(); ++i) {
        if (n.outputs[i] == kNoValue) continue;
        Tensor t(out[i].type.dtype, out[i].type.shape.to_dims());
        for (size_t k = 0; k < out[i].data.size(); ++k)
          set_int(t, static_cast<int64_t>(k), out[i].data[k].value());
        define_constant(cn.out[i], std::move(t));
      }
      return true;
    }
    if (!all_known || n.inputs.empty()) return false;
    std::vector<Datum> values(in.size());
    std::vector<const Datum*> ptr(in.size());
    for (size_t i = 0; i < in.size(); ++i) {
      if (!in[i].constant) continue;
      values[i] = *in[i].constant;
      ptr[i] = &values[i];
    }
    std::vector<Datum> result = run_reference(n, ptr);
    for (size_t i = 0; i < result.size(); ++i) {
      if (n.outputs[i] == kNoValue) continue;
      if (n.def->is(kUntrusted)) check_promise(n, i, out[i].type, result[i]);
      define_constant(cn.out[i], result[i].tensor());
    }
    return true;
  }

  void define_constant(SlotId s, Tensor t) {
    SlotPlan p;
    p.desc = {t.dtype(), t.dims()};
    p.storage = Storage::kConstant;
    p.constant = std::move(t);
    define(s, std::move(p));
  }

  Outcome view(const CompiledNode& cn, const Type& t) {
    SlotId src = cn.in[0];
    SlotPlan p;
    p.desc = {t.dtype, t.shape.to_dims()};
    check(element_count(p.desc.dims) == element_count(desc(src).dims), Code::kInvalidModel, cn.node->label(),
          ": cannot view ", to_string(desc(src).dims), " as ", to_string(p.desc.dims));
    p.storage = Storage::kView;
    p.root = src;
    if (defined_here(src)) {
      const SlotPlan& s = plan_of(src);
      if (s.storage == Storage::kConstant) {
        define_constant(cn.out[0], s.constant.reshaped(p.desc.dims));
        return Outcome::kNext;
      }
      if (s.storage == Storage::kView) p.root = s.root;
    }
    define(cn.out[0], std::move(p));
    return Outcome::kNext;
  }

  void bind(int item, const CompiledNode& cn, std::span<const InputInfo> in,
            std::span<const OutputInfo> out) {
    std::vector<const Type*> in_types, out_types;
    for (const InputInfo& i : in) in_types.push_back(i.type);
    for (size_t i = 0; i < out.size(); ++i)
      out_types.push_back(cn.node->outputs[i] == kNoValue ? nullptr : &out[i].type);
    std::vector<TensorDesc> ind, outd(cn.out.size());
    ind.reserve(cn.in.size());
    for (size_t i = 0; i < cn.in.size(); ++i) {
      TensorDesc d = desc(cn.in[i]);
      ValueId v = cn.node->inputs[i];
      if (cn.in[i] == kNoSlot && v != kNoValue) {
        const Type& t = g_.graph().value(v).type;
        d = {t.dtype, t.shape.to_dims()};
      }
      ind.push_back(std::move(d));
    }
    for (size_t i = 0; i < cn.out.size(); ++i) {
      if (cn.out[i] == kNoSlot) continue;
      outd[i] = {out[i].type.dtype, out[i].type.shape.to_dims()};
      SlotPlan p;
      p.desc = outd[i];
      define(cn.out[i], std::move(p));
    }
    Step s;
    s.item = item;
    s.kernel = cn.kernel->bind(ind, outd);
    s.workspace_bytes = s.kernel->workspace();
    s.cost = cost_of(*cn.node->def, CostContext{*cn.node, in_types, out_types});
    program_->steps.push_back(std::move(s));
  }

  // ---- storage

  struct Group {                     // a root slot and everything that shares its bytes
    int first = INT_MAX, last = -1;  // steps
    bool crosses = false;            // read after the segment
    int output = -1;
    bool movable = true;  // its memory is the arena's to give
    int merged = -1;      // index of the root whose memory it took over
  };

  SlotId root_of(SlotId s) {
    if (!defined_here(s)) return s;
    const SlotPlan& p = plan_of(s);
    return p.storage == Storage::kView ? p.root : s;
  }

  void assign_storage() {
    std::vector<Group> groups(program_->slots.size());
    auto group = [&](SlotId s) -> Group* {
      SlotId r = root_of(s);
      return defined_here(r) ? &groups[static_cast<size_t>(index_[static_cast<size_t>(r)])] : nullptr;
    };
    auto touch = [&](SlotId s, int step) {
      if (s == kNoSlot) return;
      if (Group* g = group(s)) {
        g->first = std::min(g->first, step);
        g->last = std::max(g->last, step);
      }
    };
    for (size_t k = 0; k < program_->steps.size(); ++k) {
      const Item& it = g_.items()[static_cast<size_t>(program_->steps[k].item)];
      auto step = static_cast<int>(k);
      if (it.node < 0) {
        touch(it.from, step);
        touch(it.to, step);
        continue;
      }
      const CompiledNode& cn = g_.node_of(it);
      for (SlotId s : cn.in) touch(s, step);
      for (SlotId s : cn.captures) touch(s, step);
      for (SlotId s : cn.out) touch(s, step);
    }
    for (const SlotPlan& p : program_->slots) {
      int last_item = g_.slots()[static_cast<size_t>(p.slot)].last_use;
      if (Group* g = group(p.slot)) {
        g->crosses |= last_item >= program_->end && last_item != INT_MAX;
        if (last_item == INT_MAX) mark_output(*g, p.slot);
      }
    }
    reuse_in_place(groups);
    place(groups);
  }

  // A graph output is written straight into its buffer when the buffer belongs to it alone.
  void mark_output(Group& g, SlotId s) {
    SlotId r = root_of(s);
    const SlotPlan& root = plan_of(r);
    bool whole = root.storage == Storage::kArena && g_.slots()[static_cast<size_t>(r)].location == 0;
    for (size_t k = 0; whole && g.output < 0 && k < g_.output_slots().size(); ++k)
      if (g_.output_slots()[k] == s) g.output = static_cast<int>(k);
    bool twice = std::count(g_.output_slots().begin(), g_.output_slots().end(), s) > 1;
    // Later segments read outputs too: the value then stays in memory of its own and is copied out at the
    // end.
    if (!whole || twice || read_later(r)) g.crosses = true;
  }

  bool read_later(SlotId root) {
    for (int i = program_->end; i < static_cast<int>(g_.items().size()); ++i) {
      const Item& it = g_.items()[static_cast<size_t>(i)];
      auto hits = [&](SlotId s) { return s != kNoSlot && root_of(s) == root; };
      if (it.node < 0) {
        if (hits(it.from)) return true;
        continue;
      }
      const CompiledNode& cn = g_.node_of(it);
      if (std::any_of(cn.in.begin(), cn.in.end(), hits) ||
          std::any_of(cn.captures.begin(), cn.captures.end(), hits))
        return true;
    }
    return false;
  }

  void reuse_in_place(std::vector<Group>& groups) {
    for (size_t k = 0; k < program_->steps.size(); ++k) {
      const Item& it = g_.items()[static_cast<size_t>(program_->steps[k].item)];
      if (it.node < 0) continue;
      const CompiledNode& cn = g_.node_of(it);
      if (cn.out.empty() || cn.out[0] == kNoSlot || !cn.kernel) continue;
      auto out_index = static_cast<size_t>(index_[static_cast<size_t>(cn.out[0])]);
      if (program_->slots[out_index].storage != Storage::kArena) continue;
      Group& og = groups[out_index];
      if (og.crosses || og.output >= 0 || og.merged >= 0) continue;
      for (size_t i = 0; i < cn.in.size(); ++i) {
        if (cn.in[i] == kNoSlot || !cn.kernel->in_place(i)) continue;
        SlotId r = root_of(cn.in[i]);
        if (!defined_here(r)) continue;
        auto in_index = static_cast<size_t>(index_[static_cast<size_t>(r)]);
        while (groups[in_index].merged >= 0) in_index = static_cast<size_t>(groups[in_index].merged);
        Group& ig = groups[in_index];
        const SlotPlan &ip = program_->slots[in_index], &op = program_->slots[out_index];
        bool same = ip.storage == Storage::kArena && bytes(ip) == bytes(op) &&
                    g_.slots()[static_cast<size_t>(ip.slot)].location ==
                        g_.slots()[static_cast<size_t>(op.slot)].location;
        // Another operand that shares the input's memory would be overwritten while it is read.
        int readers = 0;
        for (SlotId s : cn.in)
          if (s != kNoSlot && defined_here(s) && same_memory(groups, s, in_index)) ++readers;
        if (!same || ig.crosses || ig.output >= 0 || ig.last != static_cast<int>(k) || readers != 1 ||
            in_index == out_index)
          continue;
        og.merged = static_cast<int>(in_index);
        ig.last = std::max(ig.last, og.last);
        break;
      }
    }
  }

  bool same_memory(const std::vector<Group>& groups, SlotId s, size_t index) {
    SlotId r = root_of(s);
    if (!defined_here(r)) return false;
    auto i = static_cast<size_t>(index_[static_cast<size_t>(r)]);
    while (groups[i].merged >= 0) i = static_cast<size_t>(groups[i].merged);
    return i == index;
  }

  static size_t bytes(const SlotPlan& p) { return dtype_bytes(p.desc.dtype, element_count(p.desc.dims)); }

  void place(std::vector<Group>& groups) {
    size_t locations = g_.devices().size();
    std::vector<std::vector<Block>> blocks(locations);
    std::vector<std::vector<size_t>> owner(locations);  // slot plan index; SIZE_MAX - step for a workspace
    for (size_t i = 0; i < groups.size(); ++i) {
      SlotPlan& p = program_->slots[i];
      Group& g = groups[i];
      if (p.storage != Storage::kArena || g.merged >= 0) continue;
      if (g.crosses) {
        p.storage = Storage::kHeap;
      } else if (g.output >= 0) {
        p.storage = Storage::kOutput;
        p.output = g.output;
      } else {
        auto loc = static_cast<size_t>(g_.slots()[static_cast<size_t>(p.slot)].location);
        blocks[loc].push_back({bytes(p), g.first, g.last, 0});
        owner[loc].push_back(i);
      }
    }
    for (size_t k = 0; k < program_->steps.size(); ++k) {
      const Step& s = program_->steps[k];
      if (!s.workspace_bytes) continue;
      const CompiledNode& cn = g_.node_of(g_.items()[static_cast<size_t>(s.item)]);
      auto loc = static_cast<size_t>(g_.device(cn.device).host_memory() ? 0 : cn.device);
      blocks[loc].push_back({s.workspace_bytes, static_cast<int>(k), static_cast<int>(k), 0});
      owner[loc].push_back(SIZE_MAX - k);
    }
    for (size_t loc = 0; loc < locations; ++loc) {
      program_->arena_bytes.push_back(assign_offsets(blocks[loc], Tensor::kAlignment));
      for (size_t b = 0; b < blocks[loc].size(); ++b) {
        size_t o = owner[loc][b];
        if (o < program_->slots.size()) {
          program_->slots[o].offset = blocks[loc][b].offset;
        } else {
          program_->steps[SIZE_MAX - o].workspace_offset = blocks[loc][b].offset;
        }
      }
    }
    for (size_t i = 0; i < groups.size(); ++i) {
      if (groups[i].merged < 0) continue;
      auto m = static_cast<size_t>(groups[i].merged);
      while (groups[m].merged >= 0) m = static_cast<size_t>(groups[m].merged);
      program_->slots[i].offset = program_->slots[m].offset;
    }
  }

  CompiledGraph& g_;
  std::span<const Datum> values_;
  std::shared_ptr<Program> program_;
  std::vector<int> index_;  // slot -> position in program_->slots
};

namespace {

bool matches(const Program& p, const std::vector<SlotId>& live, std::span<const Datum> values) {
  for (size_t i = 0; i < live.size(); ++i) {
    const Datum& d = values[static_cast<size_t>(live[i])];
    const TensorDesc& want = p.live_in[i];
    if (!d.is_tensor()) {
      if (want.dtype != DType::kUndefined) return false;
      continue;
    }
    if (want.dtype != d.tensor().dtype() || !(want.dims == d.tensor().dims())) return false;
  }
  for (const auto& [slot, t] : p.value_deps) {
    const Datum& d = values[static_cast<size_t>(slot)];
    // Who only wants to know the shapes has no elements to give (a report).
    if (!d.is_tensor() || (t.bytes() > 0 && !d.tensor().raw()) || !identical(d.tensor(), t)) return false;
  }
  return true;
}

}  // namespace

std::shared_ptr<const Program> CompiledGraph::program(int begin, std::span<const Datum> values) {
  std::lock_guard lock(mutex_);
  const std::vector<SlotId>& live = live_in(begin);
  auto& list = programs_[begin];
  for (auto& p : list)
    if (matches(*p, live, values)) {
      const_cast<Program&>(*p).stamp = ++stamp_;
      return p;
    }
  std::shared_ptr<Program> p = Planner(*this, begin, values).run();
  p->stamp = ++stamp_;
  if (list.size() >= kMaxPrograms) {
    auto oldest = std::min_element(list.begin(), list.end(),
                                   [](const auto& a, const auto& b) { return a->stamp < b->stamp; });
    *oldest = p;
  } else {
    list.push_back(p);
  }
  return p;
}

}  // namespace skiff::plan
