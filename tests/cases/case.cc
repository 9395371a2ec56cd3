#include "cases/case.h"

#include "ops/op.h"

namespace skiff::cases {
namespace {
std::vector<std::vector<OpCase> (*)()>& makers() {
  static std::vector<std::vector<OpCase> (*)()> m;
  return m;
}
}  // namespace

Register::Register(std::vector<OpCase> (*make)()) { makers().push_back(make); }

const std::vector<OpCase>& all_cases() {
  static const std::vector<OpCase> all = [] {
    std::vector<OpCase> v;
    for (auto* make : makers())
      for (OpCase& c : make()) v.push_back(std::move(c));
    return v;
  }();
  return all;
}

Model model_of(const OpCase& c) {
  Model m;
  m.ir_version = 10;
  m.opsets = {{c.domain, c.opset}};
  if (!c.domain.empty()) m.opsets.push_back({"", 21});
  Node n;
  n.domain = c.domain;
  n.op = c.op;
  n.name = c.name;
  n.opset = c.opset;
  n.attributes = c.attributes;
  for (size_t i = 0; i < c.inputs.size(); ++i) {
    const Datum& d = c.inputs[i];
    if (d.kind() == Datum::Kind::kNone) {
      n.inputs.push_back(kNoValue);
      continue;
    }
    std::string name = cat("x", i);
    bool constant = i < c.constant.size() && c.constant[i];
    if (constant) {
      n.inputs.push_back(m.graph.add_constant(name, d.tensor()));
    } else {
      Type t;
      if (d.is_tensor()) t = Type::tensor(d.tensor().dtype(), SymShape(d.tensor().dims()));
      n.inputs.push_back(m.graph.add_input(name, t));
    }
  }
  for (size_t i = 0; i < c.outputs; ++i) n.outputs.push_back(m.graph.add_value(cat("y", i)));
  std::vector<ValueId> outs = n.outputs;
  m.graph.add_node(std::move(n));
  for (ValueId v : outs) m.graph.mark_output(v);
  resolve_ops(m.graph);
  return m;
}

std::vector<Datum> inputs_of(const OpCase& c) {
  std::vector<Datum> r;
  for (size_t i = 0; i < c.inputs.size(); ++i)
    if (c.inputs[i].kind() != Datum::Kind::kNone && !(i < c.constant.size() && c.constant[i]))
      r.push_back(c.inputs[i]);
  return r;
}

Tensor random_tensor(DType t, Dims d, uint32_t seed, double lo, double hi) {
  Tensor r(t, std::move(d));
  uint64_t s = seed * 0x9e3779b97f4a7c15ull + 0x1234567;
  for (int64_t i = 0; i < r.size(); ++i) {
    s ^= s << 13;
    s ^= s >> 7;
    s ^= s << 17;
    double u = static_cast<double>(s >> 11) * 0x1p-53;
    set_double(r, i, lo + (hi - lo) * u);
  }
  return r;
}

}  // namespace skiff::cases
