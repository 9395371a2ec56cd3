#include "adapt/quantize/emit_qdq.h"

#include <algorithm>
#include <cmath>

#include "adapt/adapt.h"
#include "adapt/observe.h"
#include "passes/edit.h"

namespace skiff::adapt {

using passes::constant_of;

WeightSpec weight_spec(const Graph& g, const Node& n, const QuantizeOptions& o, Precision p) {
  WeightSpec s;
  s.bits = p == Precision::kInt4 ? 4 : 8;
  s.channel_axis = o.per_channel ? channel_axis(g, n) : -1;
  s.power_of_two = o.power_of_two;
  s.search = o.weight_method == "mse" || (s.bits == 4 && o.weight_method != "rtn");
  return s;
}

namespace {

class Emitter {
 public:
  Emitter(Model& m, const Plan& plan, const std::vector<Params>& params, const QuantizeOptions& o,
          const WeightMaker& make, const BiasShift& shift)
      : m_(m),
        g_(m.graph),
        plan_(plan),
        params_(params),
        o_(o),
        make_(make),
        shift_(shift),
        p_(g_),
        opset_(static_cast<int>(m.opset(""))) {}

  Emitted run() {
    for (const Layer& l : plan_.layers)
      if (l.quantized()) node(l);
    for (size_t i = 0; i < plan_.quantized.size(); ++i)
      if (plan_.quantized[i]) tensor(static_cast<ValueId>(i));
    for (NodeId id : removed_) p_.remove(id);
    p_.apply();
    refresh(m_);
    passes::remove_unused(g_);
    return std::move(out_);
  }

 private:
  ValueId scalar(const std::string& hint, float v) { return p_.constant(hint, Tensor::scalar(v)); }
  ValueId zero_of(const std::string& hint, const Params& q) {
    Tensor z(q.dtype, {});
    set_int(z, 0, q.zero);
    return p_.constant(hint, z);
  }

  // Whether the bounds of the integers imply what the clamp does.
  bool implied(const Node& clamp, const Params& q) const {
    double lo = clamp.op == "Relu" ? 0 : -HUGE_VAL, hi = HUGE_VAL;
    if (clamp.op == "Clip") {
      for (size_t k = 1; k <= 2; ++k) {
        if (clamp.input(k) == kNoValue) continue;
        std::optional<double> bound = passes::scalar_of(g_, clamp.inputs[k]);
        if (!bound) return false;
        (k == 1 ? lo : hi) = *bound;
      }
    }
    double slack = 1e-3 * q.scale;
    return q.lowest() >= lo - slack && q.highest() <= hi + slack;
  }

  void tensor(ValueId v) {
    const Params& q = params_[static_cast<size_t>(v)];
    const Value& val = g_.value(v);
    ValueId from = v;
    // An absorbed clamp at the end of its chain goes when rounding does its work.
    while (val.producer != kNoNode) {
      NodeId id = g_.value(from).producer;
      if (id == kNoNode) break;
      const Layer& l = plan_.of(id);
      const Node& n = g_.node(id);
      if (!l.absorbed || l.role != QuantRole::kClamps || !implied(n, q)) break;
      removed_.push_back(id);
      ++out_.removed_clamps;
      from = n.inputs[0];
    }
    ValueId s = scalar(val.name + "_scale", q.scale), z = zero_of(val.name + "_zero_point", q);
    ValueId integers = p_.op("", "QuantizeLinear", opset_, {from, s, z}, {}, val.name + "_q");
    ValueId real = p_.op("", "DequantizeLinear", opset_, {integers, s, z}, {}, val.name + "_dq");
    p_.replace(v, real);
    out_.real[v] = real;
  }

  void node(const Layer& l) {
    const Node& n = g_.node(l.node);
    if (l.role == QuantRole::kProduct) {
      if (constant_of(g_, n.input(1))) product(l, n);
      return;
    }
    if (l.absorbed) return;
    for (size_t i : data_inputs(n, l.role))
      if (n.input(i) != kNoValue && constant_of(g_, n.inputs[i])) constant_operand(l.node, i, l.precision);
  }

  // A constant beside activations: one scale, its own exact range.
  void constant_operand(NodeId id, size_t input, Precision precision) {
    ValueId v = g_.node(id).inputs[input];
    std::vector<float> w = floats_of(g_, v);
    auto [lo, hi] = std::minmax_element(w.begin(), w.end());
    Params q = params_of(w.empty() ? 0 : *lo, w.empty() ? 0 : *hi, precision == Precision::kInt16 ? 16 : 8,
                         o_.symmetric, o_.power_of_two);
    const Tensor& t = g_.value(v).constant;
    Tensor ints(q.dtype, t.dims());
    for (size_t i = 0; i < w.size(); ++i) {
      double x = std::clamp(std::nearbyint(static_cast<double>(w[i] / q.scale)) + q.zero,
                            q.lowest() / q.scale + q.zero, q.highest() / q.scale + q.zero);
      set_int(ints, static_cast<int64_t>(i), static_cast<int64_t>(x));
    }
    const std::string& name = g_.value(v).name;
    p_.set_input(id, input,
                 p_.op("", "DequantizeLinear", opset_,
                       {p_.constant(name + "_quantized", ints), scalar(name + "_scale", q.scale),
                        zero_of(name + "_zero_point", q)},
                       {}, name + "_dq"));
  }

  void product(const Layer& l, const Node& n) {
    const Tensor& w = *constant_of(g_, n.inputs[1]);
    WeightSpec spec = weight_spec(g_, n, o_, l.precision);
    const Tensor* b = constant_of(g_, n.input(2));
    float sx = params_[static_cast<size_t>(n.inputs[0])].scale;
    std::vector<float> bias = b ? to_floats(*b) : std::vector<float>();
    // The bias must fit int32 with the scale activation times weight.
    std::vector<float> least;
    if (b) {
      constexpr double kMost = 1 << 30;
      if (spec.channel_axis < 0) least.assign(1, 0);
      for (float v : bias) {
        auto need = static_cast<float>(std::fabs(v) / (sx * kMost));
        if (spec.channel_axis < 0)
          least[0] = std::max(least[0], need);
        else
          least.push_back(need);
      }
      spec.least_scale = least;
    }
    QuantizedWeight q = make_(l.node, w, spec);
    out_.weight_sqnr[l.node] = sqnr_of(w, q);
    const std::string& name = g_.value(n.inputs[1]).name;
    p_.set_input(l.node, 1, dequantized(name, q));
    std::vector<float> shift = shift_ && n.op != "MatMul" ? shift_(l.node, q) : std::vector<float>();
    if (bias.empty() && !shift.empty()) bias.assign(shift.size(), 0);
    for (size_t c = 0; c < shift.size() && shift.size() == bias.size(); ++c) bias[c] += shift[c];
    if (!bias.empty()) quantized_bias(l.node, b ? g_.value(n.inputs[2]).name : n.name + "_bias", bias, sx, q);
  }

  void quantized_bias(NodeId id, const std::string& name, const std::vector<float>& bias, float sx,
                      const QuantizedWeight& q) {
    std::vector<float> sw = to_floats(q.scale), sb(sw.size());
    for (size_t c = 0; c < sw.size(); ++c) sb[c] = sx * sw[c];
    QuantizedWeight qb;
    qb.values = Tensor(DType::kInt32, {static_cast<int64_t>(bias.size())});
    for (size_t c = 0; c < bias.size(); ++c) {
      double x = std::nearbyint(static_cast<double>(bias[c]) / sb[sb.size() == 1 ? 0 : c]);
      qb.values.data<int32_t>()[c] = static_cast<int32_t>(std::clamp(x, -2147483647.0, 2147483647.0));
    }
    qb.scale = Tensor::from(std::span<const float>(sb), q.scale.dims());
    qb.axis = q.scale.rank() == 0 ? -1 : 0;
    p_.set_input(id, 2, dequantized(name, qb));
  }

  ValueId dequantized(const std::string& name, const QuantizedWeight& q) {
    Tensor zero = q.zero;
    if (!zero.defined() &&
        q.values.dtype() != DType::kInt32) {  // none is 0; a bias's would be four bytes a channel
      zero = Tensor(q.values.dtype(), q.scale.dims());
      for (int64_t k = 0; k < zero.size(); ++k) set_int(zero, k, 0);
    }
    std::vector<Attribute> attributes;
    if (q.axis >= 0) attributes.emplace_back("axis", static_cast<int64_t>(q.axis));
    if (q.block > 0) attributes.emplace_back("block_size", q.block);
    std::vector<ValueId> operands{p_.constant(name + "_quantized", q.values),
                                  p_.constant(name + "_scale", q.scale)};
    if (zero.defined()) operands.push_back(p_.constant(name + "_zero_point", zero));
    return p_.op("", "DequantizeLinear", opset_, std::move(operands), std::move(attributes), name + "_dq");
  }

  static double sqnr_of(const Tensor& w, const QuantizedWeight& q) {
    std::vector<float> a = to_floats(w), b = dequantize(q);
    Sqnr s;
    s.add(Tensor::from(std::span<const float>(a), w.dims()),
          Tensor::from(std::span<const float>(b), w.dims()));
    return s.db();
  }

  Model& m_;
  Graph& g_;
  const Plan& plan_;
  const std::vector<Params>& params_;
  const QuantizeOptions& o_;
  const WeightMaker& make_;
  const BiasShift& shift_;
  Patch p_;
  int opset_;
  Emitted out_;
  std::vector<NodeId> removed_;
};

}  // namespace

Emitted emit_qdq(Model& m, const Plan& plan, const std::vector<Params>& params, const QuantizeOptions& o,
                 const WeightMaker& make_weight, const BiasShift& shift_bias) {
  return Emitter(m, plan, params, o, make_weight, shift_bias).run();
}

}  // namespace skiff::adapt
