// Small graphs for the tests of operators.
#pragma once
#include <doctest/doctest.h>
#include <string>

#include "ops/infer.h"
#include "ops/interpret.h"

namespace skiff::test {

// Builds a graph of default-domain nodes; `opset` is that of the nodes added next.
struct Builder {
  Graph g;
  int opset = 18;
  int count = 0;

  ValueId input(const std::string& name, DType t, std::vector<Dim> dims) {
    return g.add_input(name, Type::tensor(t, SymShape(std::move(dims))));
  }
  ValueId constant(Tensor t) { return g.add_constant(cat("c", count++), std::move(t)); }
  ValueId ints(std::vector<int64_t> v) { return constant(Tensor::from(v)); }
  ValueId scalar(int64_t v) { return constant(Tensor::scalar(v)); }
  ValueId op(const std::string& name, std::vector<ValueId> in, std::vector<Attribute> attributes = {}) {
    return ops(name, std::move(in), 1, std::move(attributes))[0];
  }
  std::vector<ValueId> ops(const std::string& name, std::vector<ValueId> in, size_t outputs,
                           std::vector<Attribute> attributes = {}) {
    Node n;
    n.op = name;
    n.opset = opset;
    n.inputs = std::move(in);
    n.attributes = std::move(attributes);
    for (size_t i = 0; i < outputs; ++i) n.outputs.push_back(g.add_value(cat("v", count++)));
    std::vector<ValueId> out = n.outputs;
    g.add_node(std::move(n));
    return out;
  }
  // The inferred type of v, as text.
  std::string type(ValueId v) {
    resolve_ops(g);
    infer_types(g);
    return g.value(v).type.to_string();
  }
  // The error of inference; empty when there is none.
  std::string error() {
    try {
      resolve_ops(g);
      infer_types(g);
    } catch (const Error& e) {
      return e.what();
    }
    return {};
  }
};

// Runs one node by its reference.
inline std::vector<Datum> run_op(const std::string& op, int opset, const std::vector<Datum>& inputs,
                                 std::vector<Attribute> attributes = {}, size_t outputs = 1) {
  Node n;
  n.op = op;
  n.opset = opset;
  n.attributes = std::move(attributes);
  n.def = find_op("", op);
  REQUIRE(n.def != nullptr);
  std::vector<const Datum*> in;
  for (const Datum& d : inputs) {
    in.push_back(d.kind() == Datum::Kind::kNone ? nullptr : &d);
    n.inputs.push_back(in.back() ? static_cast<ValueId>(in.size()) : kNoValue);
  }
  for (size_t i = 0; i < outputs; ++i) n.outputs.push_back(static_cast<ValueId>(100 + i));
  return run_reference(n, in);
}

inline std::string error_of(const std::string& op, int opset, const std::vector<Datum>& inputs,
                            std::vector<Attribute> attributes = {}) {
  try {
    (void)run_op(op, opset, inputs, std::move(attributes));
  } catch (const Error& e) {
    return e.what();
  }
  return {};
}

inline bool contains(const std::string& text, const char* part) {
  return text.find(part) != std::string::npos;
}

template <class T>
Tensor tensor(DType t, Dims d, std::initializer_list<T> v) {
  Tensor x(t, std::move(d));
  int64_t i = 0;
  for (T e : v) set_double(x, i++, static_cast<double>(e));
  return x;
}

}  // namespace skiff::test
