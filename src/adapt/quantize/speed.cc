#include "adapt/quantize/speed.h"

#include <algorithm>
#include <chrono>
#include <numeric>
#include <set>

#include "adapt/observe.h"
#include "onnx/export.h"
#include "onnx/import.h"
#include "onnx/proto.h"
#include "onnx/type_proto.h"
#include "ops/op.h"
#include "passes/edit.h"

namespace skiff::adapt {

double integer_advantage(const std::string& isa) {
  struct Entry {
    const char* isa;
    double factor;
  };
  // From the widths of the instructions: float32 by fused multiply-add (multiply and add before AVX2), 8-bit
  // products by widening to 16 bits and pmaddwd, or by vpdpbusd (VNNI, AMX) and sdot on ARM.
  constexpr Entry kTable[] = {{"generic", 1.0},     {"sse4", 2.0},        {"avx2", 1.5}, {"avx512", 1.5},
                              {"avx512_vnni", 4.0}, {"avx512_bf16", 4.0}, {"amx", 16.0}, {"neon", 1.5},
                              {"dotprod", 4.0},     {"i8mm", 8.0},        {"sve", 4.0},  {"rvv", 1.5},
                              {"wasm128", 1.5}};
  std::string all;
  for (const Entry& e : kTable) {
    if (isa == e.isa) return e.factor;
    all += cat(all.empty() ? "" : ", ", e.isa);
  }
  fail(Code::kInvalidArgument, "there is no cost table for '", isa, "'; there are: ", all);
}

namespace {

struct Region {
  std::vector<NodeId> nodes;
  std::vector<ValueId> inputs, outputs;
};

std::vector<Region> regions_of(const Graph& g, const Plan& plan) {
  std::vector<int> parent(g.node_slots());
  std::iota(parent.begin(), parent.end(), 0);
  auto find = [&](int n) {
    while (parent[static_cast<size_t>(n)] != n) n = parent[static_cast<size_t>(n)];
    return n;
  };
  auto integer = [&](NodeId n) { return n != kNoNode && plan.of(n).quantized(); };
  for (NodeId id : g.order()) {
    if (!integer(id)) continue;
    for (ValueId v : g.node(id).inputs)
      if (v != kNoValue && integer(g.value(v).producer))
        parent[static_cast<size_t>(find(id))] = find(g.value(v).producer);
  }
  std::map<int, Region> by_root;
  for (NodeId id : g.order())
    if (integer(id)) by_root[find(id)].nodes.push_back(id);
  std::vector<Region> list;
  for (auto& [root, r] : by_root) {
    std::set<NodeId> inside(r.nodes.begin(), r.nodes.end());
    std::set<ValueId> seen;
    for (NodeId id : r.nodes) {
      const Node& n = g.node(id);
      for (ValueId v : n.inputs)
        if (v != kNoValue && !g.value(v).constant.defined() && !inside.count(g.value(v).producer) &&
            seen.insert(v).second)
          r.inputs.push_back(v);
      for (ValueId v : n.outputs) {
        if (v == kNoValue) continue;
        const Value& val = g.value(v);
        bool out = val.is_output || std::any_of(val.uses.begin(), val.uses.end(),
                                                [&](const Use& u) { return !inside.count(u.node); });
        if (out) r.outputs.push_back(v);
      }
    }
    list.push_back(std::move(r));
  }
  return list;
}

// The region as a model of its own.
Model cut_out(const Model& m, const Region& r) {
  onnx::ModelProto p = onnx::export_model(m);
  const Graph& g = m.graph;
  std::set<std::string> names, needed;
  for (NodeId id : r.nodes) {
    names.insert(g.node(id).name);
    for (ValueId v : g.node(id).inputs)
      if (v != kNoValue) needed.insert(g.value(v).name);
  }
  std::erase_if(p.graph->node, [&](const onnx::NodeProto& n) { return !names.count(*n.name); });
  std::erase_if(p.graph->initializer, [&](const onnx::TensorProto& t) { return !needed.count(*t.name); });
  p.graph->value_info.clear();
  auto info = [&](ValueId v) {
    onnx::ValueInfoProto i;
    i.name = g.value(v).name;
    i.type =
        onnx::to_proto(Type::tensor(g.value(v).type.dtype, SymShape::of_rank(g.value(v).type.shape.rank())));
    return i;
  };
  p.graph->input.clear();
  p.graph->output.clear();
  for (ValueId v : r.inputs) p.graph->input.push_back(info(v));
  for (ValueId v : r.outputs) p.graph->output.push_back(info(v));
  Model c = onnx::import_model(std::move(p), nullptr);
  refresh(c);
  return c;
}

double time_of(runtime::Session& s, std::span<const Datum> in) {
  auto start = std::chrono::steady_clock::now();
  s.run(in);
  return std::chrono::duration<double, std::nano>(std::chrono::steady_clock::now() - start).count();
}

double median(std::vector<double> v) {
  std::nth_element(v.begin(), v.begin() + static_cast<std::ptrdiff_t>(v.size() / 2), v.end());
  return v[v.size() / 2];
}

class SpeedCheck {
 public:
  SpeedCheck(const StaticQuantizer& q, const Callbacks& call, const Overrides& precisions)
      : q_(q),
        o_(q.options()),
        g_(q.base().graph),
        precisions_(precisions),
        plan_(make_plan(g_, o_, precisions)) {
    check(take_sample(q.base(), call, 0, sample_), Code::kInvalidArgument, "the speed check needs a sample");
  }

  std::vector<Region> regions() const { return regions_of(g_, plan_); }

  void measure(const Region& r, RegionReport& report) {
    Model floats = cut_out(q_.base(), r);
    // The same decisions and numbers for the part, by the names of its values.
    Histograms seen;
    for (const auto& [v, h] : q_.calibration().tensors) {
      ValueId here = floats.graph.find_value(g_.value(v).name);
      if (here != kNoValue) seen.emplace(here, h);
    }
    Plan plan = make_plan(floats.graph, o_, precisions_);
    for (ValueId v : quantized_tensors(plan))
      if (!seen.count(v)) seen.emplace(v, Histogram());
    std::vector<Params> params = choose_params(floats.graph, plan, seen, o_);
    Model integers = copy_model(floats);
    emit_qdq(integers, plan, params, o_,
             [](NodeId, const Tensor& w, const WeightSpec& s) { return quantize_weight(w, s); });
    std::vector<Datum> in(r.inputs.size());
    Observer look(q_.base(), r.inputs, o_.session);
    look.run(sample_, [&](size_t k, const Tensor& t) { in[k] = t.clone(); });
    auto a = open(floats, o_.session), b = open(integers, o_.session);
    std::vector<double> ta, tb;
    constexpr double kBudget = 0.4e9;  // ns for both
    double spent = 0;
    for (int i = 0; i < 40 && (i < 7 || spent < kBudget); ++i) {
      double x = time_of(*a, in), y = time_of(*b, in);
      spent += x + y;
      if (i >= 2) ta.push_back(x), tb.push_back(y);  // after two to warm up
    }
    report.float_ns = median(ta);
    report.quantized_ns = median(tb);
    report.how = "measured on this machine";
  }

  // Work by the cost model, in units that cancel: dense products gain the instruction set's factor, depthwise
  // ones and everything that only moves data gain by its bytes, and each border costs a pass over its
  // elements.
  void predict(const Region& r, RegionReport& report) const {
    constexpr double kFlopsPerByte = 16;  // a core's balance of arithmetic and memory, for the cost of passes
    double advantage = integer_advantage(o_.target), floats = 0, integers = 0;
    for (NodeId id : r.nodes) {
      const Node& n = g_.node(id);
      std::vector<const Type*> in, out;
      for (ValueId v : n.inputs) in.push_back(v == kNoValue ? nullptr : &g_.value(v).type);
      for (ValueId v : n.outputs) out.push_back(v == kNoValue ? nullptr : &g_.value(v).type);
      Cost c = n.def ? cost_of(*n.def, CostContext{n, in, out}) : Cost();
      bool dense = plan_.of(id).role == QuantRole::kProduct && n.attr_i("group", 1) == 1;
      bool wide = plan_.of(id).precision == Precision::kInt16;
      floats += std::max(c.flops, c.bytes * kFlopsPerByte);
      double factor = dense ? (wide ? std::max(1.0, advantage / 2) : advantage) : 1;
      integers += std::max(c.flops / factor, c.bytes * kFlopsPerByte / (wide ? 2 : 4));
    }
    for (const std::vector<ValueId>* list : {&r.inputs, &r.outputs})
      for (ValueId v : *list) {
        Dim n = g_.value(v).type.shape.count();
        integers += 5.0 * kFlopsPerByte *
                    static_cast<double>(n.is_const() ? n.value() : 1);  // reads 4 bytes, writes 1
      }
    report.float_ns = floats;
    report.quantized_ns = integers;
    report.how = "cost table " + o_.target;
  }

 private:
  const StaticQuantizer& q_;
  const QuantizeOptions& o_;
  const Graph& g_;
  const Overrides& precisions_;
  Plan plan_;
  std::vector<Datum> sample_;
};

}  // namespace

void revert_slow_regions(const StaticQuantizer& q, const Callbacks& call, Overrides& precisions,
                         Report& report) {
  const Graph& g = q.base().graph;
  SpeedCheck check_speed(q, call, precisions);
  Overrides kept = precisions;
  std::vector<Region> list = check_speed.regions();
  for (size_t i = 0; i < list.size(); ++i) {
    const Region& r = list[i];
    RegionReport one;
    one.first = g.node(r.nodes.front()).name;
    one.last = g.node(r.nodes.back()).name;
    one.nodes = r.nodes.size();
    if (q.options().target.empty())
      check_speed.measure(r, one);
    else
      check_speed.predict(r, one);
    one.reverted = one.quantized_ns >= one.float_ns;
    if (one.reverted)
      for (NodeId id : r.nodes)
        if (quant_role(g.node(id)) == QuantRole::kProduct) kept[g.node(id).name] = Precision::kFloat;
    report.regions.push_back(std::move(one));
    call.report("speed", static_cast<double>(i + 1) / static_cast<double>(list.size()));
  }
  precisions = std::move(kept);
}

}  // namespace skiff::adapt
