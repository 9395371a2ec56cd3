#include "adapt/quantize/weight_only.h"

#include <algorithm>

#include "adapt/fidelity.h"
#include "adapt/observe.h"
#include "adapt/quantize/calibrate.h"
#include "adapt/quantize/make_weight.h"
#include "adapt/quantize/plan.h"
#include "passes/edit.h"

namespace skiff::adapt {
namespace {

constexpr int64_t kSmall = 512;  // elements; below, the scales cost what the integers save

class WeightOnly {
 public:
  WeightOnly(Model& m, const QuantizeOptions& o, const Callbacks& call, Report& report)
      : m_(m),
        g_(m.graph),
        o_(o),
        call_(call),
        report_(report),
        p_(g_),
        opset_(static_cast<int>(m.opset(""))) {}

  void run() {
    std::vector<NodeId> products;
    for (NodeId id : g_.order())
      if (quant_role(g_.node(id)) == QuantRole::kProduct && passes::constant_of(g_, g_.node(id).input(1)))
        products.push_back(id);
    if (needs_hessian(o_.weight_method)) {
      size_t n = static_cast<size_t>(std::min<int64_t>(o_.max_samples, 64));
      hessians_ = collect_hessians(m_, products, o_, n, call_);
      double seen = 0;
      for (const auto& [id, h] : hessians_) seen += h.positions;
      check(hessians_.empty() || seen > 0, Code::kInvalidArgument, "weight method ", o_.weight_method,
            " needs samples (--data); rtn, mse and hqq do not");
    }
    for (NodeId id : std::vector<NodeId>(g_.order())) node(id);
    if (!p_.empty()) p_.apply();
    refresh(m_);
    passes::remove_unused(g_);
  }

 private:
  bool excluded(const Node& n) const {
    return std::any_of(o_.exclude.begin(), o_.exclude.end(), [&](const std::string& e) {
      return e == n.name || (e.rfind("op:", 0) == 0 && e.substr(3) == n.op);
    });
  }

  void node(NodeId id) {
    const Node& n = g_.node(id);
    bool gather = n.is("Gather") && n.attr_i("axis", 0) == 0;
    size_t operand = gather ? 0 : 1;
    const Tensor* w = passes::constant_of(g_, n.input(operand));
    if ((!gather && quant_role(n) != QuantRole::kProduct) || !w || w->dtype() != DType::kFloat) return;
    if (gather && w->rank() != 2) return;
    LayerReport r;
    r.name = n.name;
    r.op = n.op;
    r.precision = "float";
    if (excluded(n)) {
      r.reason = "excluded by the caller";
    } else if (w->size() < kSmall) {
      r.reason = "too small to gain";
    } else {
      quantize(id, operand, *w, r);
    }
    report_.layers.push_back(std::move(r));
  }

  void quantize(NodeId id, size_t operand, const Tensor& weight, LayerReport& r) {
    const Node& n = g_.node(id);
    WeightSpec spec;
    spec.bits = o_.weight_bits;
    spec.symmetric = o_.symmetric;
    WeightRows rows = weight_rows(g_, n);
    if (n.op == "Gather") {
      spec.block_axis = 1;
      spec.block = o_.block;
    } else if (rows.outputs > 0 && n.op != "Conv") {
      spec.block_axis = rows.depth_step == 1 ? 1 : 0;
      spec.block = o_.block;
    } else {
      spec.channel_axis = channel_axis(g_, n);
      spec.symmetric = true;  // plain integer kernels want weights around zero
    }
    Tensor w = weight;
    auto it = hessians_.find(id);
    const Hessian* h = it == hessians_.end() ? nullptr : &it->second;
    std::string method = o_.weight_method == "awq" ? "mse" : o_.weight_method;
    spec.search = method != "rtn";
    if (o_.weight_method == "awq" && h) {
      std::vector<float> s = awq_factors(g_, n, spec, *h);
      if (!s.empty() && n.op != "Conv") w = scale_inputs(id, w, rows, s, r);
    }
    QuantizedWeight q = make_weight(g_, n, w, spec, method, h);
    Sqnr sqnr;
    std::vector<float> back = dequantize(q);
    sqnr.add(w, Tensor::from(std::span<const float>(back), w.dims()));
    r.weight_sqnr = sqnr.db();
    r.precision = cat("weights int", spec.bits);
    bool matrix = rows.outputs > 0 && n.op != "Conv" && n.op != "Gather";
    if (o_.format == "qoperator" && matrix && spec.block > 0 && n.attr_i("transA", 0) == 0)
      matmul_nbits(id, rows, q, spec);
    else
      p_.set_input(id, operand, dequantized(g_.value(n.inputs[operand]).name, q));
  }

  Tensor scale_inputs(NodeId id, const Tensor& w, const WeightRows& rows, const std::vector<float>& s,
                      LayerReport& r) {
    Tensor scaled = w.clone();
    for (int64_t o = 0; o < rows.outputs; ++o)
      for (int64_t k = 0; k < rows.depth; ++k)
        scaled.data<float>()[o * rows.output_step + k * rows.depth_step] *= s[static_cast<size_t>(k)];
    std::vector<float> inverse(s.size());
    for (size_t k = 0; k < s.size(); ++k) inverse[k] = 1 / s[k];
    const Node& n = g_.node(id);
    ValueId f =
        p_.constant(n.name + "_input_scale", Tensor::from(std::span<const float>(inverse), {rows.depth}));
    p_.set_input(id, 0, p_.op("", "Mul", opset_, {n.inputs[0], f}, {}, n.name + "_scaled_input"));
    r.reason = "input channels rescaled (AWQ)";
    return scaled;
  }

  ValueId dequantized(const std::string& name, const QuantizedWeight& q) {
    std::vector<Attribute> attributes;
    if (q.axis >= 0) attributes.emplace_back("axis", static_cast<int64_t>(q.axis));
    if (q.block > 0) attributes.emplace_back("block_size", q.block);
    std::vector<ValueId> in{p_.constant(name + "_quantized", q.values),
                            p_.constant(name + "_scale", q.scale)};
    if (q.zero.defined()) in.push_back(p_.constant(name + "_zero_point", q.zero));
    return p_.op("", "DequantizeLinear", opset_, std::move(in), std::move(attributes), name + "_dq");
  }

  // com.microsoft MatMulNBits: B uint8 [N, blocks, block * bits / 8] (low nibble first), scales [N, blocks],
  // zero points packed the same way by row.
  void matmul_nbits(NodeId id, const WeightRows& rows, const QuantizedWeight& q, const WeightSpec& spec) {
    const Node& n = g_.node(id);
    int64_t blocks = (rows.depth + spec.block - 1) / spec.block, per_byte = 8 / spec.bits;
    int64_t offset = spec.symmetric ? (spec.bits == 4 ? 8 : 128) : 0;
    Tensor b(DType::kUint8, {rows.outputs, blocks, spec.block / per_byte});
    Tensor scales(DType::kFloat, {rows.outputs * blocks}),
        zeros(DType::kUint8, {rows.outputs, (blocks + per_byte - 1) / per_byte});
    std::fill_n(b.data<uint8_t>(), b.size(), uint8_t{0});
    std::fill_n(zeros.data<uint8_t>(), zeros.size(), uint8_t{0});
    std::vector<float> s = to_floats(q.scale);
    auto put = [&](uint8_t* row, int64_t i, int64_t level) {
      row[i / per_byte] = static_cast<uint8_t>(row[i / per_byte] | level << (i % per_byte * spec.bits));
    };
    for (int64_t o = 0; o < rows.outputs; ++o) {
      uint8_t* row = b.data<uint8_t>() + o * blocks * spec.block / per_byte;
      for (int64_t k = 0; k < rows.depth; ++k)
        put(row, k, get_int(q.values, o * rows.output_step + k * rows.depth_step) + offset);
      for (int64_t k = 0; k < blocks; ++k) {
        int64_t at = rows.depth_step == 1 ? o * blocks + k : k * rows.outputs + o;
        scales.data<float>()[o * blocks + k] = s[static_cast<size_t>(at)];
        put(zeros.data<uint8_t>() + o * zeros.dim(1), k, q.zero.defined() ? get_int(q.zero, at) : offset);
      }
    }
    Node m;
    m.domain = "com.microsoft";
    m.op = "MatMulNBits";
    m.opset = 1;
    m.name = n.name;
    const std::string& name = g_.value(n.inputs[1]).name;
    m.inputs = {n.inputs[0], p_.constant(name + "_quantized", b), p_.constant(name + "_scale", scales),
                p_.constant(name + "_zero_point", zeros)};
    m.attributes = {{"K", rows.depth},
                    {"N", rows.outputs},
                    {"bits", static_cast<int64_t>(spec.bits)},
                    {"block_size", spec.block}};
    ValueId y = p_.add(std::move(m), 1, g_.value(n.outputs[0]).name + "_product")[0];
    if (n.input(2) != kNoValue)
      y = p_.op("", "Add", opset_, {y, n.inputs[2]}, {}, g_.value(n.outputs[0]).name);
    p_.replace(n.outputs[0], y);
    p_.remove(id);
  }

  Model& m_;
  Graph& g_;
  const QuantizeOptions& o_;
  const Callbacks& call_;
  Report& report_;
  Patch p_;
  int opset_;
  std::unordered_map<NodeId, Hessian> hessians_;
};

}  // namespace

void quantize_weights(Model& m, const QuantizeOptions& o, const Callbacks& call, Report& report) {
  WeightOnly(m, o, call, report).run();
}

}  // namespace skiff::adapt
