#include "passes/use_integers.h"

#include <algorithm>
#include <cmath>

#include "ops/interpret.h"
#include "ops/quantize.h"
#include "passes/activation.h"
#include "passes/quantizers.h"

namespace skiff::passes {
namespace {

// A tensor of all 256 values of an 8-bit type, in the order of their bits.
Tensor all_bytes(DType t) {
  Tensor v(t, {256});
  for (int i = 0; i < 256; ++i) v.data<uint8_t>()[i] = static_cast<uint8_t>(i);
  return v;
}

class Integers {
 public:
  Integers(Graph& g, PassContext& ctx) : g_(g), ctx_(ctx) {}

  bool run() {
    bool any = false;
    for (int sweep = 0; sweep < 64; ++sweep) {
      bool changed = false;
      for (NodeId id : std::vector<NodeId>(g_.order()))
        if (!g_.node(id).dead) changed = rewrite(id) || changed;
      if (!changed) break;
      any = true;
    }
    if (any) remove_unused(g_);
    return any;
  }

 private:
  bool rewrite(NodeId id) {
    const Node& n = g_.node(id);
    if (!n.def) return false;
    if (n.domain == "com.microsoft") return microsoft(id);
    if (!n.domain.empty()) return false;
    if (n.op == "QuantizeLinear") return quantizer(id);
    if (n.op == "MatMulInteger") return scaled_product(id);
    return moves(id);
  }

  // ---------------------------------------------------------------- moves: move(DQ(x)) -> DQ(move(x))

  bool moves(NodeId id) {
    const Node& n = g_.node(id);
    if (n.inputs.empty()) return false;
    bool arg = n.op == "ArgMax" || n.op == "ArgMin";
    if (n.op == "Concat") return concat(id);
    if (!arg && !is_move(n)) return false;
    auto q = dequantized(g_, n.inputs[0]);
    if (!q || !q->single() || constant_of(g_, q->x)) return false;
    Patch p(g_);
    Node made = n;
    made.outputs.clear();
    made.inputs[0] = q->x;
    made.opset = std::max(made.opset, oldest_for_bytes(n.op));
    if (n.op == "Pad" && !pad_value(p, made, *q)) return false;
    std::vector<ValueId> out = p.add(std::move(made), n.outputs.size(), g_.value(n.outputs[0]).name);
    for (size_t i = 0; i < out.size(); ++i) {
      if (n.outputs[i] == kNoValue) continue;
      ValueId y = arg ? out[i] : dequantize(p, out[i], *q, g_.value(n.outputs[i]).name);
      p.replace(n.outputs[i], y);
    }
    p.remove(id);
    commit(g_, ctx_, p);
    return true;
  }

  bool is_move(const Node& n) const {
    static constexpr std::string_view kMoves[] = {
        "Transpose",    "Reshape", "Squeeze", "Unsqueeze",      "Flatten", "Identity",
        "Slice",        "Split",   "Gather",  "GatherND",       "Expand",  "DepthToSpace",
        "SpaceToDepth", "Tile",    "Pad",     "GatherElements", "MaxPool", "Resize"};
    if (std::find(std::begin(kMoves), std::end(kMoves), n.op) == std::end(kMoves)) return false;
    if (n.op == "MaxPool" && (n.outputs.size() > 1 || n.opset < 8)) return false;
    if (n.op == "Resize" &&
        (n.opset < 11 || n.attr_s("mode", "nearest") != "nearest" ||
         n.attr_s("coordinate_transformation_mode", "half_pixel") == "tf_crop_and_resize"))
      return false;
    if (n.op == "Pad" && n.opset < 11) return false;
    return true;
  }
  static int oldest_for_bytes(std::string_view op) { return op == "MaxPool" ? 12 : 0; }

  // The value padded with, as a step.
  bool pad_value(Patch& p, Node& n, const Quantized& q) const {
    if (n.attr_s("mode", "constant") != "constant") return true;
    double v = 0;
    if (n.input(2) != kNoValue) {
      auto s = scalar_of(g_, n.input(2));
      if (!s) return false;
      v = *s;
    }
    double step = std::nearbyint(v / static_cast<double>(q.s())) + q.z();
    if (!(step >= lowest(q.type) && step <= lowest(q.type) + 255)) return false;
    if (static_cast<double>(static_cast<float>(step - q.z()) * q.s()) != v)
      return false;  // it is no whole step
    if (n.inputs.size() < 3) n.inputs.resize(3, kNoValue);
    n.inputs[2] = zero_constant(p, q.type, static_cast<int32_t>(step));
    return true;
  }

  // Parts of one scale are joined as they are; a following quantizer rescales the others.
  bool concat(NodeId id) {
    const Node& n = g_.node(id);
    std::vector<Quantized> parts;
    for (ValueId v : n.inputs) {
      auto q = dequantized(g_, v);
      if (!q || !q->single()) return false;
      parts.push_back(std::move(*q));
    }
    Quantized to = parts[0];
    NodeId user = sole_user(g_, n.outputs[0]);
    std::optional<Quantized> after = user == kNoNode ? std::nullopt : quantizes(g_, g_.node(user));
    bool all_same = std::all_of(parts.begin(), parts.end(), [&](const Quantized& q) { return q.same(to); });
    if (!all_same) {
      if (!after || !after->single()) return false;
      to = *after;
    }
    Patch p(g_);
    Node made = n;
    made.outputs.clear();
    for (size_t i = 0; i < parts.size(); ++i) made.inputs[i] = rescale(p, parts[i], to);
    ValueId y = p.add(std::move(made), 1, g_.value(n.outputs[0]).name)[0];
    if (all_same) {
      p.replace(n.outputs[0], dequantize(p, y, to, g_.value(n.outputs[0]).name));
    } else {
      p.replace(after->x, y);
      p.remove(user);
    }
    p.remove(id);
    commit(g_, ctx_, p);
    return true;
  }

  ValueId dequantize(Patch& p, ValueId x, const Quantized& q, std::string_view hint) const {
    return p.op("", "DequantizeLinear", kMadeOpset,
                {x, scale_constant(p, q.s()), zero_constant(p, q.type, q.z())}, {}, hint);
  }

  // ---------------------------------------------------------------- tables

  ValueId lookup(Patch& p, ValueId x, Tensor table, std::string_view hint) const {
    return p.op("skiff", "Lookup", 1, {x}, {Attribute("table", std::move(table))}, hint);
  }

  Tensor quantize_table(const Tensor& values, const Quantized& to) const {
    Tensor t(to.type, {256});
    quant::Range r = quant::range_of(to.type);
    for (int64_t i = 0; i < 256; ++i)
      set_int(t, i, quant::to_step(values.data<float>()[i] / to.s(), to.z(), r));
    return t;
  }
  Tensor dequantize_table(const Quantized& from) const {
    Tensor bytes = all_bytes(from.type), v(DType::kFloat, {256});
    for (int64_t i = 0; i < 256; ++i)
      v.data<float>()[i] = static_cast<float>(get_int(bytes, i) - from.z()) * from.s();
    return v;
  }

  // The integers of `from` in the steps of `to`.
  ValueId rescale(Patch& p, const Quantized& from, const Quantized& to) const {
    if (from.same(to)) return from.x;
    return lookup(p, from.x, quantize_table(dequantize_table(from), to), g_.value(from.x).name);
  }
  // The same numbers as integers of the other type.
  Quantized as_type(Patch& p, Quantized q, DType t) const {
    if (q.type == t) return q;
    Tensor table(t, {256});
    for (int i = 0; i < 256; ++i) table.data<uint8_t>()[i] = static_cast<uint8_t>(i ^ 128);
    q.x = lookup(p, q.x, std::move(table), g_.value(q.x).name);
    q.zeros[0] += t == DType::kInt8 ? -128 : 128;
    q.type = t;
    return q;
  }

  // y = quantize(f(dequantize(x))) with f a chain of elementwise nodes of one variable operand.
  bool table(NodeId id, const Quantized& to) {
    std::vector<NodeId> chain;
    ValueId v = g_.node(id).inputs[0];
    std::optional<Quantized> from;
    while (chain.size() < 16 && !(from = dequantized(g_, v))) {
      const Node* n = producer(g_, v);
      if (!n || !n->def || !n->def->is(kElementwise) || n->outputs.size() != 1 ||
          n->def->is(kNondeterministic))
        return false;
      ValueId next = kNoValue;
      for (ValueId x : n->inputs) {
        if (x == kNoValue) continue;
        if (const Tensor* c = constant_of(g_, x); c && c->size() == 1) continue;
        if (next != kNoValue && next != x) return false;
        next = x;
      }
      if (next == kNoValue || !same_shape(g_, next, v)) return false;
      chain.push_back(g_.value(v).producer);
      v = next;
    }
    if (!from || !from->single() || constant_of(g_, from->x)) return false;
    if (chain.empty() && from->same(to)) {
      if (!can_replace(g_, to.x, from->x)) return false;
      Patch p(g_);
      p.replace(to.x, from->x);
      p.remove(id);
      commit(g_, ctx_, p);
      return true;
    }
    Tensor values = dequantize_table(*from);
    for (size_t i = chain.size(); i-- > 0;) {
      const Node& n = g_.node(chain[i]);
      std::vector<Datum> operands(n.inputs.size());
      std::vector<const Datum*> in;
      for (size_t k = 0; k < n.inputs.size(); ++k) {
        const Tensor* c = constant_of(g_, n.inputs[k]);
        operands[k] = c && c->size() == 1 ? Datum(c->reshaped(Dims{})) : Datum(values);
        in.push_back(n.inputs[k] == kNoValue ? nullptr : &operands[k]);
      }
      try {
        values = run_reference(n, in)[0].tensor();
      } catch (const Error&) {
        return false;  // the error belongs to the run
      }
      if (values.size() != 256 || values.dtype() != DType::kFloat) return false;
    }
    Patch p(g_);
    p.replace(to.x, lookup(p, from->x, quantize_table(values, to), g_.value(to.x).name));
    p.remove(id);
    commit(g_, ctx_, p);
    return true;
  }

  // ---------------------------------------------------------------- nodes before a quantizer

  struct Target {
    Quantized y;
    int32_t low, high;  // steps let through by a fused activation
    std::vector<NodeId> absorbed;
    bool narrow() const { return low > lowest(y.type) || high < lowest(y.type) + 255; }
  };

  static int32_t step_of(double v, const Quantized& y) {
    return quant::to_step(static_cast<float>(v / static_cast<double>(y.s())), y.z(), quant::range_of(y.type));
  }

  bool quantizer(NodeId id) {
    auto y = quantizes(g_, g_.node(id));
    if (!y || !y->single()) return false;
    Target t{*y, lowest(y->type), lowest(y->type) + 255, {id}};
    ValueId v = g_.node(id).inputs[0];
    const Node* n = producer(g_, v);
    if (!n) return false;
    if (auto a = activation_of(g_, *n); a && (a->name == "relu" || a->name == "clip") && only_use(g_, v)) {
      double lo = a->name == "relu" ? 0 : static_cast<double>(a->alpha),
             hi = a->name == "relu" ? INFINITY : static_cast<double>(a->beta);
      if (lo <= hi && product(n->inputs[0], t, step_of(lo, *y), step_of(hi, *y), g_.value(v).producer))
        return true;
    }
    if (product(v, t, t.low, t.high, kNoNode)) return true;
    return table(id, *y);
  }

  bool product(ValueId v, Target t, int32_t low, int32_t high, NodeId activation) {
    const Node* n = producer(g_, v);
    if (!n || !n->def || !n->domain.empty() || !only_use(g_, v)) return false;
    t.low = low;
    t.high = high;
    if (activation != kNoNode) t.absorbed.push_back(activation);
    t.absorbed.push_back(g_.value(v).producer);
    if (n->op == "Conv") return conv(*n, t);
    if (n->op == "Gemm") return gemm(*n, t);
    if (n->op == "MatMul") return matmul(*n, kNoValue, t);
    if (n->op == "Add" && biased_matmul(*n, t)) return true;
    if (n->op == "Add" || n->op == "Mul") return binary(*n, t);
    if (n->op == "AveragePool" || n->op == "GlobalAveragePool") return pool(*n, t);
    return false;
  }

  bool finish(Patch& p, ValueId made, const Target& t) {
    p.replace(t.y.x, made);
    for (NodeId id : t.absorbed) p.remove(id);
    commit(g_, ctx_, p);
    return true;
  }
  // The same for operators that have no limits of their own.
  bool finish_limited(Patch& p, ValueId made, const Target& t) {
    if (t.narrow()) {
      Tensor bytes = all_bytes(t.y.type), table(t.y.type, {256});
      for (int64_t i = 0; i < 256; ++i)
        set_int(table, i, std::clamp<int64_t>(get_int(bytes, i), t.low, t.high));
      made = lookup(p, made, std::move(table), g_.value(t.y.x).name);
    }
    return finish(p, made, t);
  }

  void set_limits(Node& n, const Target& t) const {
    if (!t.narrow()) return;
    n.attributes.emplace_back("low", static_cast<int64_t>(t.low));
    n.attributes.emplace_back("high", static_cast<int64_t>(t.high));
  }

  // Values of a bias (constant, or a dequantized constant), nullopt when it is neither.
  std::optional<std::vector<float>> bias_values(ValueId v) const {
    if (const Tensor* c = constant_of(g_, v))
      return c->dtype() == DType::kFloat ? std::optional(to_floats(*c)) : std::nullopt;
    const Node* n = made_by(g_, v, "DequantizeLinear");
    if (!n) return std::nullopt;
    std::vector<Datum> operands(n->inputs.size());
    std::vector<const Datum*> in;
    for (size_t k = 0; k < n->inputs.size(); ++k) {
      const Tensor* c = constant_of(g_, n->inputs[k]);
      if (!c && n->inputs[k] != kNoValue) return std::nullopt;
      if (c) operands[k] = Datum(*c);
      in.push_back(c ? &operands[k] : nullptr);
    }
    try {
      Tensor t = run_reference(*n, in)[0].tensor();
      return t.dtype() == DType::kFloat ? std::optional(to_floats(t)) : std::nullopt;
    } catch (const Error&) {
      return std::nullopt;
    }
  }

  // x, w and y of a product, with the bias in steps of the sums; false when it has no integer form.
  // `columns`: along `axis` of w.
  bool operands(Patch& p, Node& made, ValueId x, ValueId w, ValueId bias, int64_t columns, int64_t axis,
                const Target& t) {
    auto xq = dequantized(g_, x), wq = dequantized(g_, w);
    if (!xq || !wq || !xq->single() || !constant_of(g_, wq->x) || constant_of(g_, xq->x)) return false;
    auto scales = static_cast<int64_t>(wq->scales.size());
    if (scales != 1 && (scales != columns || wq->axis != axis)) return false;
    ValueId b = kNoValue;
    if (bias != kNoValue) {
      auto values = bias_values(bias);
      if (!values || (values->size() != 1 && static_cast<int64_t>(values->size()) != columns)) return false;
      Tensor steps(DType::kInt32, {columns});
      for (int64_t j = 0; j < columns; ++j) {
        double step = static_cast<double>(xq->s()) *
                      static_cast<double>(wq->scales[scales == 1 ? 0 : static_cast<size_t>(j)]);
        double v = std::nearbyint(
            static_cast<double>((*values)[values->size() == 1 ? 0 : static_cast<size_t>(j)]) / step);
        if (!(std::abs(v) < 0x1p31)) return false;
        steps.data<int32_t>()[j] = static_cast<int32_t>(v);
      }
      b = p.constant(cat(g_.value(bias).name, "_steps"), std::move(steps));
    }
    ValueId wz = wq->zero != kNoValue ? wq->zero : zero_constant(p, wq->type, 0);
    made.domain = "skiff";
    made.opset = 1;
    made.def = nullptr;
    made.outputs.clear();
    made.inputs = {xq->x, scale_constant(p, xq->s()), zero_constant(p, xq->type, xq->z()), wq->x, wq->scale,
                   wz,    scale_constant(p, t.y.s()), zero_constant(p, t.y.type, t.y.z())};
    if (b != kNoValue) made.inputs.push_back(b);
    set_limits(made, t);
    return true;
  }

  bool conv(const Node& n, const Target& t) {
    const SymShape* w = shape_of(g_, n.input(1));
    int64_t rank = rank_of(g_, n.input(0));
    if (!w || (rank != 3 && rank != 4) || !(*w)[0].is_const()) return false;
    Patch p(g_);
    Node made = n;
    if (!operands(p, made, n.inputs[0], n.inputs[1], n.input(2), (*w)[0].value(), 0, t)) return false;
    made.op = "QLinearConv";
    return finish(p, p.add(std::move(made), 1, g_.value(t.y.x).name)[0], t);
  }

  bool gemm(const Node& n, const Target& t) {
    if (n.attr_f("alpha", 1) != 1 || n.attr_f("beta", 1) != 1 || n.attr_i("transA", 0) != 0) return false;
    ValueId c = n.input(2);
    if (c != kNoValue) {
      const SymShape *s = shape_of(g_, c), *y = shape_of(g_, n.outputs[0]);
      if (!s || !y || s->rank() > 2 || (s->rank() == 2 && !(*s)[0].is(1))) return false;
      if (s->rank() > 0 && !((*s)[s->rank() - 1] == (*y)[1]) && !(*s)[s->rank() - 1].is(1)) return false;
    }
    return matrix(n, n.attr_i("transB", 0) != 0, c, t);
  }
  bool matmul(const Node& n, ValueId bias, const Target& t) {
    return rank_of(g_, n.inputs[0]) >= 2 && matrix(n, false, bias, t);
  }
  bool matrix(const Node& n, bool trans, ValueId bias, const Target& t) {
    const SymShape* b = shape_of(g_, n.input(1));
    size_t axis = trans ? 0 : 1;
    if (!b || b->rank() != 2 || !(*b)[axis].is_const()) return false;
    Patch p(g_);
    Node made = n;
    made.attributes.clear();
    if (!operands(p, made, n.inputs[0], n.inputs[1], bias, (*b)[axis].value(), static_cast<int64_t>(axis), t))
      return false;
    made.op = "QLinearMatMul";
    if (trans) made.attributes.emplace_back("trans_b", int64_t{1});
    return finish(p, p.add(std::move(made), 1, g_.value(t.y.x).name)[0], t);
  }
  // Add(MatMul(x, w), bias)
  bool biased_matmul(const Node& n, const Target& t) {
    for (size_t i : {size_t{0}, size_t{1}}) {
      const Node* m = made_by(g_, n.inputs[i], "MatMul");
      ValueId bias = n.inputs[1 - i];
      if (!m || !only_use(g_, n.inputs[i]) || rank_of(g_, bias) != 1) continue;
      Target with = t;
      with.absorbed.push_back(g_.value(n.inputs[i]).producer);
      if (matmul(*m, bias, with)) return true;
    }
    return false;
  }

  bool binary(const Node& n, const Target& t) {
    if (n.opset < 7) return false;
    auto a = dequantized(g_, n.inputs[0]), b = dequantized(g_, n.inputs[1]);
    if (!a || !b || !a->single() || !b->single()) return false;
    Patch p(g_);
    *a = as_type(p, *a, t.y.type);
    *b = as_type(p, *b, t.y.type);
    ValueId y = p.op(
        "com.microsoft", n.op == "Add" ? "QLinearAdd" : "QLinearMul", 1,
        {a->x, scale_constant(p, a->s()), zero_constant(p, a->type, a->z()), b->x, scale_constant(p, b->s()),
         zero_constant(p, b->type, b->z()), scale_constant(p, t.y.s()), zero_constant(p, t.y.type, t.y.z())},
        {}, g_.value(t.y.x).name);
    return finish_limited(p, y, t);
  }

  bool pool(const Node& n, const Target& t) {
    auto x = dequantized(g_, n.inputs[0]);
    if (!x || !x->single() || rank_of(g_, n.inputs[0]) < 3 || n.has_attr("dilations")) return false;
    Patch p(g_);
    *x = as_type(p, *x, t.y.type);
    Node made = n;
    made.domain = "com.microsoft";
    made.op = cat("QLinear", n.op);
    made.opset = 1;
    made.def = nullptr;
    made.outputs.clear();
    made.inputs = {x->x, scale_constant(p, x->s()), zero_constant(p, x->type, x->z()),
                   scale_constant(p, t.y.s()), zero_constant(p, t.y.type, t.y.z())};
    return finish_limited(p, p.add(std::move(made), 1, g_.value(t.y.x).name)[0], t);
  }

  // ---------------------------------------------------------------- dynamic quantization

  // The other operand of the Mul or Add that is v's only user.
  struct Second {
    NodeId node = kNoNode;
    ValueId value = kNoValue;
  };
  Second second_of(ValueId v, std::string_view op) const {
    NodeId user = sole_user(g_, v);
    if (user == kNoNode || !g_.node(user).is(op) || g_.node(user).opset < 7) return {};
    const Node& n = g_.node(user);
    return {user, n.inputs[n.inputs[0] == v ? 1 : 0]};
  }
  bool single(ValueId v) const {
    const SymShape* s = shape_of(g_, v);
    return s && (s->rank() == 0 || (s->rank() == 1 && (*s)[0].is(1)));
  }

  // Cast(MatMulInteger(a, b, za, zb)) * (sa * sb) + bias -> MatMulIntegerToFloat
  bool scaled_product(NodeId id) {
    const Node& n = g_.node(id);
    const Tensor* b = constant_of(g_, n.inputs[1]);
    if (!b || b->rank() != 2 || rank_of(g_, n.inputs[0]) < 2) return false;
    if (n.input(2) != kNoValue && !single(n.inputs[2])) return false;
    NodeId cast = sole_user(g_, n.outputs[0]);
    if (cast == kNoNode || !g_.node(cast).is("Cast") ||
        dtype_of(g_, g_.node(cast).outputs[0]) != DType::kFloat)
      return false;
    ValueId y = g_.node(cast).outputs[0];
    Second scale = second_of(y, "Mul");
    if (scale.node == kNoNode || dtype_of(g_, scale.value) != DType::kFloat) return false;
    auto fits = [&](ValueId v) {
      const Tensor* t = constant_of(g_, v);
      return t && t->rank() <= 1 && (t->size() == 1 || t->size() == b->dim(1));
    };
    Patch p(g_);
    ValueId sa = kNoValue, sb = kNoValue;
    if (const Node* m = made_by(g_, scale.value, "Mul")) {
      for (size_t i : {size_t{0}, size_t{1}})
        if (sa == kNoValue && single(m->inputs[i]) && fits(m->inputs[1 - i])) {
          sa = m->inputs[i];
          sb = m->inputs[1 - i];
        }
    } else if (fits(scale.value)) {
      sa = scale_constant(p, 1);
      sb = scale.value;
    }
    if (sa == kNoValue) return false;
    std::vector<NodeId> absorbed{id, cast, scale.node};
    y = g_.node(scale.node).outputs[0];
    Second bias = second_of(y, "Add");
    const SymShape* bs = bias.node == kNoNode ? nullptr : shape_of(g_, bias.value);
    bool with_bias =
        bs && bs->rank() == 1 && (*bs)[0].is(b->dim(1)) && dtype_of(g_, bias.value) == DType::kFloat;
    if (with_bias) {
      absorbed.push_back(bias.node);
      y = g_.node(bias.node).outputs[0];
    }
    std::vector<ValueId> in{n.inputs[0], n.inputs[1], sa, sb, n.input(2), n.input(3)};
    if (with_bias) in.push_back(bias.value);
    p.replace(y, p.op("com.microsoft", "MatMulIntegerToFloat", 1, in, {}, g_.value(y).name));
    for (NodeId a : absorbed) p.remove(a);
    commit(g_, ctx_, p);
    return true;
  }

  // ---------------------------------------------------------------- com.microsoft's operators on integers

  // Operand `x` with scale and zero point behind it.
  std::optional<Quantized> operand(const Node& n, size_t x, size_t scale, size_t zero) const {
    Quantized q;
    q.x = n.input(x);
    q.type = dtype_of(g_, n.input(x));
    auto s = scalar_of(g_, n.input(scale)), z = scalar_of(g_, n.input(zero));
    if (!s || !(*s > 0) || (n.input(zero) != kNoValue && !z)) return std::nullopt;
    if (q.type != DType::kInt8 && q.type != DType::kUint8) return std::nullopt;
    q.scales = {static_cast<float>(*s)};
    q.zeros = {z ? static_cast<int32_t>(*z) : 0};
    return q;
  }

  bool microsoft(NodeId id) {
    const Node& n = g_.node(id);
    if (n.op == "QLinearSigmoid" || n.op == "QLinearLeakyRelu") return table_of_node(id);
    if (n.op == "QLinearSoftmax") return softmax(id);
    if (n.op == "QLinearConcat") return concat_integers(id);
    if (n.op != "QuantizeLinear" && n.op != "DequantizeLinear") return false;
    if (n.op == "QuantizeLinear" ? !quantizes(g_, n) : !dequantized(g_, n.outputs[0])) return false;
    Patch p(g_);
    Node made = n;
    made.domain.clear();
    made.opset = kMadeOpset;
    made.def = nullptr;
    made.outputs.clear();
    p.replace(n.outputs[0], p.add(std::move(made), 1, g_.value(n.outputs[0]).name)[0]);
    p.remove(id);
    commit(g_, ctx_, p);
    return true;
  }

  bool table_of_node(NodeId id) {
    const Node& n = g_.node(id);
    auto x = operand(n, 0, 1, 2);
    if (!x || !operand(n, 0, 3, 4)) return false;
    Datum bytes = all_bytes(x->type);
    std::vector<Datum> operands(n.inputs.size());
    std::vector<const Datum*> in{&bytes};
    for (size_t k = 1; k < n.inputs.size(); ++k) {
      if (const Tensor* c = constant_of(g_, n.inputs[k])) operands[k] = Datum(*c);
      in.push_back(n.inputs[k] == kNoValue ? nullptr : &operands[k]);
    }
    Patch p(g_);
    p.replace(n.outputs[0], lookup(p, x->x, run_reference(n, in)[0].tensor(), g_.value(n.outputs[0]).name));
    p.remove(id);
    commit(g_, ctx_, p);
    return true;
  }

  // An island of floats: one row is too short for more.
  bool softmax(NodeId id) {
    const Node& n = g_.node(id);
    auto x = operand(n, 0, 1, 2), y = operand(n, 0, 3, 4);
    if (!x || !y) return false;
    Patch p(g_);
    ValueId v = p.op("", "Softmax", n.attr_i("opset", 13) < 13 ? 11 : 13,
                     {dequantize(p, x->x, *x, g_.value(x->x).name)},
                     {Attribute("axis", n.attr_i("axis", -1))}, g_.value(n.outputs[0]).name);
    v = p.op("", "QuantizeLinear", kMadeOpset,
             {v, scale_constant(p, y->s()), zero_constant(p, y->type, y->z())}, {},
             g_.value(n.outputs[0]).name);
    p.replace(n.outputs[0], v);
    p.remove(id);
    commit(g_, ctx_, p);
    return true;
  }

  bool concat_integers(NodeId id) {
    const Node& n = g_.node(id);
    auto s = scalar_of(g_, n.input(0)), z = scalar_of(g_, n.input(1));
    if (!s || !(*s > 0) || !z || (n.inputs.size() - 2) % 3 != 0) return false;
    Quantized to;
    to.type = dtype_of(g_, n.inputs[1]);
    to.scales = {static_cast<float>(*s)};
    to.zeros = {static_cast<int32_t>(*z)};
    Patch p(g_);
    Node made;
    made.op = "Concat";
    made.opset = kMadeOpset;
    made.name = n.name;
    made.attributes.emplace_back("axis", n.attr_i("axis", 0));
    for (size_t i = 2; i < n.inputs.size(); i += 3) {
      auto q = operand(n, i, i + 1, i + 2);
      if (!q) return false;
      made.inputs.push_back(rescale(p, *q, to));
    }
    p.replace(n.outputs[0], p.add(std::move(made), 1, g_.value(n.outputs[0]).name)[0]);
    p.remove(id);
    commit(g_, ctx_, p);
    return true;
  }

  Graph& g_;
  PassContext& ctx_;
};

}  // namespace

bool use_integers(Graph& g, PassContext& ctx) {
  if (!ctx.target || !ctx.target->integer_arithmetic) return false;
  return Integers(g, ctx).run();
}

}  // namespace skiff::passes
