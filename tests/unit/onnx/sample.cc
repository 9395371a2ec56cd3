#include "unit/onnx/sample.h"

namespace skiff::onnx {
namespace {

std::vector<StringStringEntryProto> props(const char* key) {
  return {{std::string(key), std::string("value"), {}}};
}

TypeProto tensor_type(int32_t elem) {
  TypeProto t;
  t.tensor_type.emplace().elem_type = elem;
  auto& shape = t.tensor_type->shape.emplace();
  shape.dim.resize(3);
  shape.dim[0].dim_value = 2;
  shape.dim[1].dim_param = "N";
  shape.dim[1].denotation = "DATA_BATCH";
  t.denotation = "TENSOR";
  return t;
}

ValueInfoProto value(const char* name, TypeProto type) {
  ValueInfoProto v;
  v.name = name;
  v.type = std::move(type);
  v.doc_string = "about it";
  v.metadata_props = props("value");
  return v;
}

std::vector<TypeProto> all_types() {
  std::vector<TypeProto> all(6);
  all[0] = tensor_type(1);
  all[1].sequence_type.emplace().elem_type = tensor_type(2);
  all[2].map_type.emplace().key_type = 7;
  all[2].map_type->value_type = tensor_type(3);
  all[3].optional_type.emplace().elem_type = all[1];
  all[4].sparse_tensor_type.emplace().elem_type = 1;
  all[4].sparse_tensor_type->shape.emplace().dim.resize(1);
  all[5].opaque_type.emplace().domain = "some.domain";
  all[5].opaque_type->name = "thing";
  return all;
}

TensorProto tensor(const char* name) {
  TensorProto t;
  t.dims = {2, 1};
  t.data_type = 1;
  t.name = name;
  t.doc_string = "weights";
  t.raw_data = Bytes{"12345678", {}};
  t.metadata_props = props("tensor");
  return t;
}

TensorProto odd_tensor() {
  TensorProto t;
  t.dims = {-1, 1 << 30};
  t.data_type = 99;
  t.segment.emplace().begin = 3;
  t.segment->end = 9;
  t.float_data = {1.5f, -0.0f};
  t.int32_data = {-1, 0, 1 << 30};
  t.string_data = {"", std::string("a\0b", 3)};
  t.int64_data = {INT64_MIN, INT64_MAX};
  t.double_data = {2.5};
  t.uint64_data = {UINT64_MAX};
  t.external_data = {{std::string("location"), std::string("f.bin"), {}}};
  t.data_location = TensorProto::DataLocation::kExternal;
  return t;
}

SparseTensorProto sparse() {
  SparseTensorProto s;
  s.values = tensor("sparse");
  s.indices = tensor("indices");
  s.dims = {10, 10};
  return s;
}

GraphProto inner_graph() {
  GraphProto g;
  g.name = "body";
  g.node.resize(1);
  g.node[0].op_type = "Inner";
  g.node[0].input = {"captured", ""};
  return g;
}

std::vector<AttributeProto> all_attributes() {
  using T = AttributeProto::Type;
  std::vector<AttributeProto> a(14);
  a[0].f = 0.0f;
  a[1].i = -5;
  a[2].s = std::string("bytes\0", 6);
  a[3].t = odd_tensor();
  a[4].g = inner_graph();
  a[5].floats = {1, 2};
  a[6].ints = {-1, 1};
  a[7].strings = {"x", ""};
  a[8].tensors = {tensor("a"), tensor("b")};
  a[9].graphs = {inner_graph()};
  a[10].sparse_tensor = sparse();
  a[11].sparse_tensors = {sparse()};
  a[12].tp = tensor_type(1);
  a[13].type_protos = all_types();
  for (size_t i = 0; i < a.size(); ++i) {
    a[i].name = std::string(1, static_cast<char>('a' + i));
    a[i].doc_string = "";
    a[i].type = static_cast<T>(i + 1);
  }
  a[0].ref_attr_name = "outer";
  return a;
}

NodeDeviceConfigurationProto sharded() {
  NodeDeviceConfigurationProto c;
  c.configuration_id = "pair";
  c.pipeline_stage = 1;
  auto& spec = c.sharding_spec.emplace_back();
  spec.tensor_name = "x";
  spec.device = {0, -1};
  auto& group = spec.index_to_device_group_map.emplace_back();
  group.key = -1;
  group.value = {0, 1};
  auto& dim = spec.sharded_dim.emplace_back();
  dim.axis = 1;
  dim.simple_sharding.resize(2);
  dim.simple_sharding[0].dim_param = "N";
  dim.simple_sharding[0].num_shards = 2;
  dim.simple_sharding[1].dim_value = 8;
  return c;
}

NodeProto full_node() {
  NodeProto n;
  n.input = {"x", "", "w"};
  n.output = {"y"};
  n.name = "node";
  n.op_type = "Everything";
  n.domain = "some.domain";
  n.overload = "o1";
  n.attribute = all_attributes();
  n.doc_string = "does all";
  n.metadata_props = props("node");
  n.device_configurations = {sharded()};
  return n;
}

GraphProto full_graph() {
  GraphProto g;
  g.node = {full_node()};
  g.name = "main";
  g.initializer = {tensor("w"), odd_tensor()};
  g.sparse_initializer = {sparse()};
  g.doc_string = "graph";
  for (TypeProto& t : all_types()) g.input.push_back(value("in", std::move(t)));
  g.output = {value("y", tensor_type(1))};
  g.value_info = {value("v", {})};
  g.quantization_annotation.resize(1);
  g.quantization_annotation[0].tensor_name = "w";
  g.quantization_annotation[0].quant_parameter_tensor_names = props("SCALE_TENSOR");
  g.metadata_props = props("graph");
  return g;
}

}  // namespace

ModelProto full_model() {
  ModelProto m;
  m.ir_version = 13;
  m.opset_import.resize(2);
  m.opset_import[0].domain = "";
  m.opset_import[0].version = 20;
  m.opset_import[1].domain = "some.domain";
  m.opset_import[1].version = 1;
  m.producer_name = "tests";
  m.producer_version = "1";
  m.domain = "org.example";
  m.model_version = -1;
  m.doc_string = "a model";
  m.graph = full_graph();
  m.metadata_props = props("model");
  auto& training = m.training_info.emplace_back();
  training.initialization = inner_graph();
  training.algorithm = inner_graph();
  training.algorithm->name = "algorithm";
  training.initialization_binding = props("w");
  training.update_binding = props("w");
  auto& f = m.functions.emplace_back();
  f.name = "Everything";
  f.input = {"a", "b"};
  f.output = {"c"};
  f.attribute = {"alpha"};
  f.attribute_proto = all_attributes();
  f.node = {full_node()};
  f.doc_string = "function";
  f.opset_import = m.opset_import;
  f.domain = "some.domain";
  f.overload = "o1";
  f.value_info = {value("a", tensor_type(1))};
  f.metadata_props = props("function");
  m.configuration.resize(1);
  m.configuration[0].name = "pair";
  m.configuration[0].num_devices = 2;
  m.configuration[0].device = {"cpu", "gpu"};
  return m;
}

}  // namespace skiff::onnx
