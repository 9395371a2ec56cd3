// Models written field by field, for tests of what a file may hold.
#pragma once
#include <string>
#include <utility>
#include <vector>

#include "onnx/proto.h"
#include "onnx/tensor_proto.h"

namespace skiff::test {

using onnx::AttributeProto;
using onnx::GraphProto;
using onnx::ModelProto;
using onnx::NodeProto;
using onnx::OperatorSetIdProto;
using onnx::TensorProto;
using onnx::ValueInfoProto;

using Names = std::vector<std::string>;

inline NodeProto node(const char* op, Names inputs, Names outputs, const char* name = "") {
  NodeProto n;
  n.op_type = op;
  n.input = std::move(inputs);
  n.output = std::move(outputs);
  if (*name) n.name = name;
  return n;
}

inline ValueInfoProto value(const char* name) {
  ValueInfoProto v;
  v.name = name;
  v.type.emplace().tensor_type.emplace().elem_type = 1;
  return v;
}

inline TensorProto weight(const char* name) {
  TensorProto t = onnx::to_proto(Tensor::scalar(2.0f), name);
  return t;
}

inline AttributeProto graph_attribute(const char* name, GraphProto g) {
  AttributeProto a;
  a.name = name;
  a.type = AttributeProto::Type::kGraph;
  a.g = std::move(g);
  return a;
}

inline GraphProto graph(Names inputs, Names outputs, std::vector<NodeProto> nodes) {
  GraphProto g;
  g.name = "g";
  for (const auto& n : inputs) g.input.push_back(value(n.c_str()));
  for (const auto& n : outputs) g.output.push_back(value(n.c_str()));
  g.node = std::move(nodes);
  return g;
}

inline OperatorSetIdProto opset(const char* domain, int64_t version) {
  OperatorSetIdProto o;
  o.domain = domain;
  o.version = version;
  return o;
}

inline ModelProto model(GraphProto g, int64_t ir = 8) {
  ModelProto m;
  m.ir_version = ir;
  m.opset_import = {opset("", 17)};
  m.graph = std::move(g);
  return m;
}

// Attributes by value.
inline AttributeProto attribute(const char* name, int64_t v) {
  AttributeProto a;
  a.name = name;
  a.type = AttributeProto::Type::kInt;
  a.i = v;
  return a;
}
inline AttributeProto attribute(const char* name, std::vector<int64_t> v) {
  AttributeProto a;
  a.name = name;
  a.type = AttributeProto::Type::kInts;
  a.ints = std::move(v);
  return a;
}
inline AttributeProto attribute(const char* name, const char* v) {
  AttributeProto a;
  a.name = name;
  a.type = AttributeProto::Type::kString;
  a.s = std::string(v);
  return a;
}
inline NodeProto with(NodeProto n, std::vector<AttributeProto> attributes) {
  n.attribute = std::move(attributes);
  return n;
}

// An input or output of this element type and these extents; a negative extent is the symbol N.
inline ValueInfoProto value(const char* name, int32_t type, const std::vector<int64_t>& dims) {
  ValueInfoProto v;
  v.name = name;
  auto& t = v.type.emplace().tensor_type.emplace();
  t.elem_type = type;
  auto& shape = t.shape.emplace();
  for (int64_t d : dims) {
    auto& e = shape.dim.emplace_back();
    if (d < 0)
      e.dim_param = "N";
    else
      e.dim_value = d;
  }
  return v;
}

inline TensorProto ints(const char* name, std::vector<int64_t> v) {
  TensorProto t;
  t.name = name;
  t.data_type = 7;
  t.dims = {static_cast<int64_t>(v.size())};
  t.int64_data = std::move(v);
  return t;
}

}  // namespace skiff::test
