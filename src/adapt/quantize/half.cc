#include "adapt/quantize/half.h"

#include <algorithm>
#include <cmath>
#include <unordered_map>

#include "adapt/observe.h"
#include "adapt/quantize/calibrate.h"
#include "base/half.h"
#include "ops/op.h"
#include "passes/edit.h"

namespace skiff::adapt {
namespace {

constexpr double kHalfMax = 65504;

class Half {
 public:
  Half(Model& m, const QuantizeOptions& o, const Callbacks& call, Report& report)
      : m_(m),
        g_(m.graph),
        o_(o),
        call_(call),
        report_(report),
        p_(g_),
        opset_(static_cast<int>(m.opset(""))),
        to_(o.mode == "bfloat16" ? DType::kBFloat16 : DType::kFloat16) {}

  void run() {
    part_outputs();
    observe();
    std::vector<NodeId> order = g_.order();
    for (NodeId id : order) why_[id] = obstacle(g_.node(id));
    for (NodeId id : order) convert(id);
    // What the outside sees keeps its type.
    for (ValueId v : g_.outputs())
      if (narrow_value(v)) p_.replace(v, cast(v, DType::kFloat));
    if (!p_.empty()) p_.apply();
    clear_types();
    refresh(m_);
    passes::remove_unused(g_);
  }

 private:
  // An output that nodes inside read as well gets an Identity of its own, so that they may read another type.
  void part_outputs() {
    for (ValueId v : std::vector<ValueId>(g_.outputs())) {
      if (!is_float(v) || g_.value(v).producer == kNoNode || g_.value(v).uses.empty()) continue;
      Patch p(g_);
      std::vector<Use> uses = g_.value(v).uses;
      Node copy = g_.node(g_.value(v).producer);
      if (copy.outputs.size() != 1 || copy.def->is(kControlFlow)) continue;
      ValueId inner = p.add(std::move(copy), 1, g_.value(v).name + "_inner")[0];
      ValueId out = p.op("", "Identity", opset_, {inner}, {}, g_.value(v).name);
      for (const Use& u : uses)
        if (u.index >= 0) p.set_input(u.node, static_cast<size_t>(u.index), inner);
      NodeId old = g_.value(v).producer;
      p.replace(v, out);
      p.remove(old);
      p.apply();
      refresh(m_);
    }
  }

  bool is_float(ValueId v) const { return v != kNoValue && passes::dtype_of(g_, v) == DType::kFloat; }

  void observe() {
    std::vector<ValueId> list;
    for (NodeId id : g_.order())
      for (ValueId v : g_.node(id).outputs)
        if (is_float(v) && !g_.value(v).uses.empty()) list.push_back(v);
    if (!call_.sample || to_ == DType::kBFloat16) return;  // bfloat16 has float32's range
    Observer look(m_, list, o_.session);
    std::vector<Datum> in;
    auto most = static_cast<size_t>(std::min<int64_t>(o_.max_samples, 64));
    for (size_t i = 0; i < most && take_sample(m_, call_, i, in); ++i) {
      look.run(in, [&](size_t k, const Tensor& t) {
        if (t.dtype() != DType::kFloat) return;
        float& top = largest_[list[k]];
        for (float f : t.span<float>()) top = std::max(top, std::fabs(f));
      });
      ++report_.samples;
      call_.report("calibrate", static_cast<double>(i + 1) / static_cast<double>(most));
    }
  }

  const Formal* formal(const std::vector<Formal>& list, size_t i) const {
    if (list.empty()) return nullptr;
    return i < list.size() ? &list[i] : list.back().arity == Arity::kVariadic ? &list.back() : nullptr;
  }
  bool narrows_input(const Node& n, size_t i) const {
    const Formal* f = formal(n.def->inputs, i);
    if (!f || !(f->types & mask_of(to_))) return false;
    // Scales and regions of a Resize are not its data.
    return i == 0 || f->tvar == 0 || f->tvar == formal(n.def->inputs, 0)->tvar ||
           n.op == "BatchNormalization" || n.op == "Where";
  }

  std::string obstacle(const Node& n) const {
    if (!n.def || n.def->is(kControlFlow) || n.def->is(kNonTensor))
      return "owns subgraphs or other values than tensors";
    for (const std::string& e : o_.exclude)
      if (e == n.name || (e.rfind("op:", 0) == 0 && e.substr(3) == n.op)) return "excluded by the caller";
    constexpr const char* kTyped[] = {"Cast",   "CastLike", "ConstantOfShape", "EyeLike", "Range",
                                      "OneHot", "Shape"};
    if (std::any_of(std::begin(kTyped), std::end(kTyped), [&](const char* t) { return n.op == t; }) ||
        n.op.rfind("Random", 0) == 0)
      return "its result's type is written in it";
    if (!n.domain.empty() && n.domain != "com.microsoft") return "no 16-bit form";
    bool any = false;
    for (size_t i = 0; i < n.inputs.size(); ++i)
      if (is_float(n.inputs[i]) && narrows_input(n, i)) any = true;
    for (size_t i = 0; i < n.outputs.size(); ++i) {
      if (!is_float(n.outputs[i])) continue;
      const Formal* f = formal(n.def->outputs, i);
      if (!f || !(f->types & mask_of(to_))) return "no 16-bit form";
    }
    if (!any) return "no 16-bit form";
    if (to_ == DType::kBFloat16) return {};
    for (size_t i = 0; i < n.inputs.size(); ++i) {
      const Tensor* c = passes::constant_of(g_, n.inputs[i]);
      if (!c || c->dtype() != DType::kFloat || !narrows_input(n, i)) continue;
      for (float f : to_floats(*c))
        if (std::isfinite(f) && std::fabs(f) > kHalfMax)
          return cat("constant '", g_.value(n.inputs[i]).name, "' holds ", f, ", beyond float16");
    }
    for (const std::vector<ValueId>* list : {&n.inputs, &n.outputs})
      for (ValueId v : *list)
        if (auto it = largest_.find(v); it != largest_.end() && it->second > kHalfMax / 2)
          return cat("tensor '", g_.value(v).name, "' reaches ", it->second, ", too near float16's end");
    return {};
  }

  bool narrow_value(ValueId v) const {
    if (!is_float(v)) return false;
    NodeId n = g_.value(v).producer;
    return n != kNoNode && why_.at(n).empty();
  }

  ValueId cast(ValueId v, DType to) {
    ValueId& made = casts_[{v, to}];
    if (made == 0)
      made = p_.op("", "Cast", opset_, {v}, {Attribute("to", static_cast<int64_t>(to))},
                   g_.value(v).name + (to == DType::kFloat ? "_float" : "_half")) +
             1;
    return made - 1;
  }

  ValueId narrow_constant(ValueId v) {
    ValueId& made = constants_[v];
    if (made == 0) {
      const Tensor& t = g_.value(v).constant;
      Tensor h(to_, t.dims());
      for (int64_t i = 0; i < t.size(); ++i) {
        float f = t.data<float>()[i];
        h.data<uint16_t>()[i] = to_ == DType::kFloat16 ? float_to_half(f) : float_to_bfloat16(f);
      }
      made = p_.constant(g_.value(v).name, h) + 1;
    }
    return made - 1;
  }

  void convert(NodeId id) {
    const Node& n = g_.node(id);
    bool half = why_[id].empty();
    for (size_t i = 0; i < n.inputs.size(); ++i) {
      ValueId v = n.inputs[i];
      if (!is_float(v)) continue;
      bool want = half && narrows_input(n, i);
      if (passes::constant_of(g_, v)) {
        if (want) p_.set_input(id, i, narrow_constant(v));
      } else if (want != narrow_value(v)) {
        p_.set_input(id, i, cast(v, want ? to_ : DType::kFloat));
      }
    }
    // Bodies see what the graph around them gives: a captured value must be float32 again.
    for (ValueId v : n.captures)
      check(!narrow_value(v), Code::kUnsupported, "node '", n.name, "' (", n.op, ") reads '",
            g_.value(v).name, "' from inside its body; keep the producer in float32: --exclude ",
            g_.node(g_.value(v).producer).name);
    bool floats = std::any_of(n.outputs.begin(), n.outputs.end(), [&](ValueId v) { return is_float(v); });
    if (!floats) return;
    LayerReport r;
    r.name = n.name;
    r.op = n.op;
    r.precision = half ? o_.mode : "float";
    r.reason = why_[id];
    report_.layers.push_back(std::move(r));
  }

  // Types inside were inferred as float32.
  void clear_types() {
    for (size_t i = 0; i < g_.value_slots(); ++i) {
      Value& v = g_.mutable_value(static_cast<ValueId>(i));
      if (!v.dead && v.producer != kNoNode && !v.is_output) v.type = {};
    }
  }

  struct Key {
    ValueId v;
    DType t;
    bool operator==(const Key&) const = default;
  };
  struct Hash {
    size_t operator()(const Key& k) const { return static_cast<size_t>(k.v) * 31 + static_cast<size_t>(k.t); }
  };
  Model& m_;
  Graph& g_;
  const QuantizeOptions& o_;
  const Callbacks& call_;
  Report& report_;
  Patch p_;
  int opset_;
  DType to_;
  std::unordered_map<ValueId, float> largest_;
  std::unordered_map<NodeId, std::string> why_;   // "" computes in 16 bits
  std::unordered_map<Key, ValueId, Hash> casts_;  // plus one; 0: none yet
  std::unordered_map<ValueId, ValueId> constants_;
};

}  // namespace

void convert_to_half(Model& m, const QuantizeOptions& o, const Callbacks& call, Report& report) {
  Half(m, o, call, report).run();
}

}  // namespace skiff::adapt
