#include "passes/use_channels_last.h"

#include <algorithm>
#include <unordered_set>

#include "ops/op.h"
#include "passes/sink_transpose.h"

namespace skiff::passes {
namespace {

class Layout {
 public:
  Layout(Graph& g, PassContext& ctx) : g_(g), ctx_(ctx) {}

  // One sweep in topological order carries every transpose as far down as it goes: what is behind a node is
  // visited after it.
  bool run() {
    for (NodeId id : std::vector<NodeId>(g_.order())) {
      if (is_planar_conv(g_.node(id))) {
        convert(id);
      } else if (g_.node(id).is("Transpose")) {
        join(id);
      } else if (behind_layout_transpose(g_.node(id))) {
        size_t before = g_.node_slots();
        if (sink_transpose(g_, ctx_, id, {.channels_last = true})) note_transposes(before);
      }
    }
    if (ctx_.changes > 0) remove_unused(g_);
    return ctx_.changes > 0;
  }

 private:
  // QLinearConv in planar order, of whichever domain.
  bool is_integer_conv(const Node& n) const {
    return n.op == "QLinearConv" && ctx_.target->integer_arithmetic && n.attr_s("layout", "NCHW") == "NCHW" &&
           n.attr_i("channels_last", 0) == 0;
  }
  bool is_planar_conv(const Node& n) const {
    if (n.op != "Conv" && n.op != "ConvTranspose" && n.op != "QLinearConv") return false;
    if (!n.domain.empty() && n.domain != "skiff" && !is_integer_conv(n)) return false;
    int64_t rank = rank_of(g_, n.input(0));
    if (is_integer_conv(n)) return rank == 3 || rank == 4;
    if (n.input(3) != kNoValue && rank_of(g_, n.input(3)) != rank) return false;  // a residual is turned as X is
    return (rank == 3 || rank == 4) && dtype_of(g_, n.outputs[0]) == DType::kFloat &&
           n.attr_s("layout", "NCHW") == "NCHW" && have_op("skiff", n.op) &&
           (ctx_.target->integer_arithmetic || !touches_quantizer(g_, n));
  }

  bool is_planar_transpose(const Node& n) const {
    Perm p = perm_of(g_, n);
    return (p.size() == 3 || p.size() == 4) && p == planar_perm(p.size());
  }

  // The value in channels-last order: what comes before its Transpose, or a Transpose of it.
  ValueId channels_last(Patch& p, ValueId v) const {
    const Node* t = made_by(g_, v, "Transpose");
    if (t && is_planar_transpose(*t)) return t->inputs[0];
    if (ValueId source = equal_source(p, v); source != kNoValue) return source;
    return add_transpose(p, v, channels_last_perm(static_cast<size_t>(rank_of(g_, v))), g_.value(v).name);
  }

  // v is a Transpose of something that has the elements in channels-last order but for extents of 1: that,
  // reshaped.
  ValueId equal_source(Patch& p, ValueId v) const {
    const Node* t = made_by(g_, v, "Transpose");
    if (!t || rank_of(g_, v) < 3) return kNoValue;
    Perm perm = perm_of(g_, *t), last = channels_last_perm(static_cast<size_t>(rank_of(g_, v)));
    const SymShape *from = shape_of(g_, t->inputs[0]), *planar = shape_of(g_, v);
    if (perm.empty() || !from || !moves_only_units(*from, compose(perm, last))) return kNoValue;
    SymShape to = *planar;
    for (size_t i = 0; i < last.size(); ++i) to[i] = (*planar)[static_cast<size_t>(last[i])];
    auto target = reshape_target(*from, to);
    return target ? add_reshape(p, t->inputs[0], *target, g_.value(v).name) : kNoValue;
  }

  // Writes a new Transpose in the usual form where extents of 1 leave the choice, so that equals are seen.
  void normalize(NodeId id) {
    const Node& n = g_.node(id);
    int64_t rank = rank_of(g_, n.outputs[0]);
    if ((rank != 3 && rank != 4) || is_planar_transpose(n)) return;
    size_t before = g_.node_slots();
    Patch p(g_);
    ValueId source = equal_source(p, n.outputs[0]);
    if (source == kNoValue) return;
    p.replace(n.outputs[0],
              add_transpose(p, source, planar_perm(static_cast<size_t>(rank)), g_.value(n.outputs[0]).name));
    p.remove(id);
    commit(g_, ctx_, p);
    note_transposes(before, false);
  }

  bool reads_planar(const Node& n) const {
    const Node* t = made_by(g_, n.inputs[0], "Transpose");
    if (n.op != "Conv" || (t && is_planar_transpose(*t)) || n.attr_i("group", 1) != 1) return false;
    const Dim& channels = (*shape_of(g_, n.inputs[0]))[1];
    return channels.is_const() && channels.value() <= ctx_.target->planar_stem_channels;
  }

  void convert(NodeId id) {
    const Node& n = g_.node(id);
    size_t before = g_.node_slots();
    Patch p(g_);
    Node conv = n;
    conv.domain = "skiff";
    conv.opset = 1;
    conv.def = nullptr;
    std::erase_if(conv.attributes, [](const Attribute& a) {
      return a.name == "layout" || a.name == "x_layout" || a.name == "channels_last";
    });
    conv.attributes.emplace_back("layout", std::string("NHWC"));
    if (reads_planar(n)) {
      conv.attributes.emplace_back("x_layout", std::string("NCHW"));
    } else {
      conv.inputs[0] = channels_last(p, n.inputs[0]);
    }
    if (n.op != "QLinearConv" && n.input(3) != kNoValue) conv.inputs[3] = channels_last(p, n.inputs[3]);
    const std::string name = g_.value(n.outputs[0]).name;
    Perm back = planar_perm(static_cast<size_t>(rank_of(g_, n.inputs[0])));
    ValueId y = p.add(std::move(conv), 1, name)[0];
    p.replace(n.outputs[0], add_transpose(p, y, back, name));
    p.remove(id);
    commit(g_, ctx_, p);
    note_transposes(before);
  }

  void note_transposes(size_t from_node, bool and_normalize = true) {
    for (size_t i = from_node, end = g_.node_slots(); i < end; ++i) {
      auto id = static_cast<NodeId>(i);
      if (g_.node(id).dead || !g_.node(id).is("Transpose")) continue;
      made_.insert(id);
      if (and_normalize) normalize(id);
    }
  }

  // A Transpose worth following: one this pass made, or any into planar order over two spatial axes (over one
  // it looks like the one of attention).
  bool is_followed(ValueId v) const {
    const Node* t = made_by(g_, v, "Transpose");
    return t && (made_.count(g_.value(v).producer) > 0 || perm_of(g_, *t) == planar_perm(4));
  }

  bool behind_layout_transpose(const Node& n) const {
    return std::any_of(n.inputs.begin(), n.inputs.end(), [&](ValueId v) { return is_followed(v); });
  }

  void join(NodeId id) {
    const Node& n = g_.node(id);
    if (!is_followed(n.input(0))) return;
    const Node* first = made_by(g_, n.inputs[0], "Transpose");
    Perm a = perm_of(g_, *first), b = perm_of(g_, n);
    if (a.empty() || a.size() != b.size()) return;
    Perm both = compose(a, b);
    ValueId source = first->inputs[0], out = n.outputs[0];
    bool cancels = is_identity(both);
    if (cancels && !can_replace(g_, out, source)) return;
    size_t before = g_.node_slots();
    Patch p(g_);
    p.replace(out, cancels ? source : add_transpose(p, source, both, g_.value(out).name));
    p.remove(id);
    commit(g_, ctx_, p);
    note_transposes(before);
  }

  Graph& g_;
  PassContext& ctx_;
  std::unordered_set<NodeId> made_;
};

}  // namespace

bool use_channels_last(Graph& g, PassContext& ctx) {
  if (!ctx.target || !ctx.target->channels_last) return false;
  int before = ctx.changes;
  ctx.changes = 0;
  bool changed = Layout(g, ctx).run();
  ctx.changes += before;
  return changed;
}

}  // namespace skiff::passes
