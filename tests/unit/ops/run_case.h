// Runs single nodes in tests.
#pragma once
#include "cases/make.h"
#include "ops/infer.h"
#include "ops/interpret.h"

namespace skiff::cases {

inline std::vector<Datum> run(const OpCase& c) {
  Model m = model_of(c);
  infer_types(m.graph);
  return interpret(m.graph, inputs_of(c));
}
inline Tensor run1(const OpCase& c) { return run(c).at(0).tensor(); }

// The inferred type of output i, with the inputs' types given instead of values.
inline Type infer_one(std::string op, int opset, const std::vector<Type>& in,
                      std::vector<Attribute> attributes = {}, std::string domain = "", size_t outputs = 1,
                      size_t i = 0) {
  Node n;
  n.op = std::move(op);
  n.domain = std::move(domain);
  n.opset = opset;
  n.attributes = std::move(attributes);
  Graph g;
  for (size_t k = 0; k < in.size(); ++k)
    n.inputs.push_back(in[k].kind == Type::Kind::kUnknown ? kNoValue : g.add_input(cat("x", k), in[k]));
  for (size_t k = 0; k < outputs; ++k) n.outputs.push_back(g.add_value(cat("y", k)));
  ValueId want = n.outputs[i];
  for (ValueId v : n.outputs) g.mark_output(v);
  g.add_node(std::move(n));
  resolve_ops(g);
  infer_types(g);
  return g.value(want).type;
}

inline Type floats(std::vector<Dim> d) { return Type::tensor(DType::kFloat, SymShape(std::move(d))); }

}  // namespace skiff::cases
