// The one table of ONNX's wire format: number, name and member of every field of every message, in number
// order. Reader and writer are both derived from it. `packed` marks the repeated scalars that onnx.proto
// declares packed (they are written so; both encodings are read).
#pragma once
#include <cstdint>

#include "onnx/proto.h"

namespace skiff::onnx {

// Fields<T>::each(message, visitor) calls visitor(number, name, member), or visitor.packed(...), for each
// field. Fields<T>::in_oneof(number), where it exists, tells the members of the message's only oneof.
template <class T>
struct Fields;

template <>
struct Fields<AttributeProto> {
  static constexpr const char* kName = "AttributeProto";
  template <class M, class V>
  static void each(M& m, V& v) {
    v(1, "name", m.name);
    v(2, "f", m.f);
    v(3, "i", m.i);
    v(4, "s", m.s);
    v(5, "t", m.t);
    v(6, "g", m.g);
    v(7, "floats", m.floats);
    v(8, "ints", m.ints);
    v(9, "strings", m.strings);
    v(10, "tensors", m.tensors);
    v(11, "graphs", m.graphs);
    v(13, "doc_string", m.doc_string);
    v(14, "tp", m.tp);
    v(15, "type_protos", m.type_protos);
    v(20, "type", m.type);
    v(21, "ref_attr_name", m.ref_attr_name);
    v(22, "sparse_tensor", m.sparse_tensor);
    v(23, "sparse_tensors", m.sparse_tensors);
  }
};
template <>
struct Fields<ValueInfoProto> {
  static constexpr const char* kName = "ValueInfoProto";
  template <class M, class V>
  static void each(M& m, V& v) {
    v(1, "name", m.name);
    v(2, "type", m.type);
    v(3, "doc_string", m.doc_string);
    v(4, "metadata_props", m.metadata_props);
  }
};
template <>
struct Fields<NodeProto> {
  static constexpr const char* kName = "NodeProto";
  template <class M, class V>
  static void each(M& m, V& v) {
    v(1, "input", m.input);
    v(2, "output", m.output);
    v(3, "name", m.name);
    v(4, "op_type", m.op_type);
    v(5, "attribute", m.attribute);
    v(6, "doc_string", m.doc_string);
    v(7, "domain", m.domain);
    v(8, "overload", m.overload);
    v(9, "metadata_props", m.metadata_props);
    v(10, "device_configurations", m.device_configurations);
  }
};
template <>
struct Fields<IntIntListEntryProto> {
  static constexpr const char* kName = "IntIntListEntryProto";
  template <class M, class V>
  static void each(M& m, V& v) {
    v(1, "key", m.key);
    v(2, "value", m.value);
  }
};
template <>
struct Fields<NodeDeviceConfigurationProto> {
  static constexpr const char* kName = "NodeDeviceConfigurationProto";
  template <class M, class V>
  static void each(M& m, V& v) {
    v(1, "configuration_id", m.configuration_id);
    v(2, "sharding_spec", m.sharding_spec);
    v(3, "pipeline_stage", m.pipeline_stage);
  }
};
template <>
struct Fields<ShardingSpecProto> {
  static constexpr const char* kName = "ShardingSpecProto";
  template <class M, class V>
  static void each(M& m, V& v) {
    v(1, "tensor_name", m.tensor_name);
    v(2, "device", m.device);
    v(3, "index_to_device_group_map", m.index_to_device_group_map);
    v(4, "sharded_dim", m.sharded_dim);
  }
};
template <>
struct Fields<ShardedDimProto> {
  static constexpr const char* kName = "ShardedDimProto";
  template <class M, class V>
  static void each(M& m, V& v) {
    v(1, "axis", m.axis);
    v(2, "simple_sharding", m.simple_sharding);
  }
};
template <>
struct Fields<SimpleShardedDimProto> {
  static constexpr const char* kName = "SimpleShardedDimProto";
  static constexpr bool in_oneof(uint32_t n) { return n == 1 || n == 2; }
  template <class M, class V>
  static void each(M& m, V& v) {
    v(1, "dim_value", m.dim_value);
    v(2, "dim_param", m.dim_param);
    v(3, "num_shards", m.num_shards);
  }
};
template <>
struct Fields<TrainingInfoProto> {
  static constexpr const char* kName = "TrainingInfoProto";
  template <class M, class V>
  static void each(M& m, V& v) {
    v(1, "initialization", m.initialization);
    v(2, "algorithm", m.algorithm);
    v(3, "initialization_binding", m.initialization_binding);
    v(4, "update_binding", m.update_binding);
  }
};
template <>
struct Fields<ModelProto> {
  static constexpr const char* kName = "ModelProto";
  template <class M, class V>
  static void each(M& m, V& v) {
    v(1, "ir_version", m.ir_version);
    v(2, "producer_name", m.producer_name);
    v(3, "producer_version", m.producer_version);
    v(4, "domain", m.domain);
    v(5, "model_version", m.model_version);
    v(6, "doc_string", m.doc_string);
    v(7, "graph", m.graph);
    v(8, "opset_import", m.opset_import);
    v(14, "metadata_props", m.metadata_props);
    v(20, "training_info", m.training_info);
    v(25, "functions", m.functions);
    v(26, "configuration", m.configuration);
  }
};
template <>
struct Fields<DeviceConfigurationProto> {
  static constexpr const char* kName = "DeviceConfigurationProto";
  template <class M, class V>
  static void each(M& m, V& v) {
    v(1, "name", m.name);
    v(2, "num_devices", m.num_devices);
    v(3, "device", m.device);
  }
};
template <>
struct Fields<StringStringEntryProto> {
  static constexpr const char* kName = "StringStringEntryProto";
  template <class M, class V>
  static void each(M& m, V& v) {
    v(1, "key", m.key);
    v(2, "value", m.value);
  }
};
template <>
struct Fields<TensorAnnotation> {
  static constexpr const char* kName = "TensorAnnotation";
  template <class M, class V>
  static void each(M& m, V& v) {
    v(1, "tensor_name", m.tensor_name);
    v(2, "quant_parameter_tensor_names", m.quant_parameter_tensor_names);
  }
};
template <>
struct Fields<GraphProto> {
  static constexpr const char* kName = "GraphProto";
  template <class M, class V>
  static void each(M& m, V& v) {
    v(1, "node", m.node);
    v(2, "name", m.name);
    v(5, "initializer", m.initializer);
    v(10, "doc_string", m.doc_string);
    v(11, "input", m.input);
    v(12, "output", m.output);
    v(13, "value_info", m.value_info);
    v(14, "quantization_annotation", m.quantization_annotation);
    v(15, "sparse_initializer", m.sparse_initializer);
    v(16, "metadata_props", m.metadata_props);
  }
};
template <>
struct Fields<TensorProto::Segment> {
  static constexpr const char* kName = "TensorProto::Segment";
  template <class M, class V>
  static void each(M& m, V& v) {
    v(1, "begin", m.begin);
    v(2, "end", m.end);
  }
};
template <>
struct Fields<TensorProto> {
  static constexpr const char* kName = "TensorProto";
  template <class M, class V>
  static void each(M& m, V& v) {
    v(1, "dims", m.dims);
    v(2, "data_type", m.data_type);
    v(3, "segment", m.segment);
    v.packed(4, "float_data", m.float_data);
    v.packed(5, "int32_data", m.int32_data);
    v(6, "string_data", m.string_data);
    v.packed(7, "int64_data", m.int64_data);
    v(8, "name", m.name);
    v(9, "raw_data", m.raw_data);
    v.packed(10, "double_data", m.double_data);
    v.packed(11, "uint64_data", m.uint64_data);
    v(12, "doc_string", m.doc_string);
    v(13, "external_data", m.external_data);
    v(14, "data_location", m.data_location);
    v(16, "metadata_props", m.metadata_props);
  }
};
template <>
struct Fields<SparseTensorProto> {
  static constexpr const char* kName = "SparseTensorProto";
  template <class M, class V>
  static void each(M& m, V& v) {
    v(1, "values", m.values);
    v(2, "indices", m.indices);
    v(3, "dims", m.dims);
  }
};
template <>
struct Fields<TensorShapeProto::Dimension> {
  static constexpr const char* kName = "TensorShapeProto::Dimension";
  static constexpr bool in_oneof(uint32_t n) { return n == 1 || n == 2; }
  template <class M, class V>
  static void each(M& m, V& v) {
    v(1, "dim_value", m.dim_value);
    v(2, "dim_param", m.dim_param);
    v(3, "denotation", m.denotation);
  }
};
template <>
struct Fields<TensorShapeProto> {
  static constexpr const char* kName = "TensorShapeProto";
  template <class M, class V>
  static void each(M& m, V& v) {
    v(1, "dim", m.dim);
  }
};
template <>
struct Fields<TypeProto::Tensor> {
  static constexpr const char* kName = "TypeProto::Tensor";
  template <class M, class V>
  static void each(M& m, V& v) {
    v(1, "elem_type", m.elem_type);
    v(2, "shape", m.shape);
  }
};
template <>
struct Fields<TypeProto::Sequence> {
  static constexpr const char* kName = "TypeProto::Sequence";
  template <class M, class V>
  static void each(M& m, V& v) {
    v(1, "elem_type", m.elem_type);
  }
};
template <>
struct Fields<TypeProto::Map> {
  static constexpr const char* kName = "TypeProto::Map";
  template <class M, class V>
  static void each(M& m, V& v) {
    v(1, "key_type", m.key_type);
    v(2, "value_type", m.value_type);
  }
};
template <>
struct Fields<TypeProto::Opaque> {
  static constexpr const char* kName = "TypeProto::Opaque";
  template <class M, class V>
  static void each(M& m, V& v) {
    v(1, "domain", m.domain);
    v(2, "name", m.name);
  }
};
template <>
struct Fields<TypeProto> {
  static constexpr const char* kName = "TypeProto";
  static constexpr bool in_oneof(uint32_t n) {
    return n == 1 || n == 4 || n == 5 || n == 7 || n == 8 || n == 9;
  }
  template <class M, class V>
  static void each(M& m, V& v) {
    v(1, "tensor_type", m.tensor_type);
    v(4, "sequence_type", m.sequence_type);
    v(5, "map_type", m.map_type);
    v(6, "denotation", m.denotation);
    v(7, "opaque_type", m.opaque_type);
    v(8, "sparse_tensor_type", m.sparse_tensor_type);
    v(9, "optional_type", m.optional_type);
  }
};
template <>
struct Fields<OperatorSetIdProto> {
  static constexpr const char* kName = "OperatorSetIdProto";
  template <class M, class V>
  static void each(M& m, V& v) {
    v(1, "domain", m.domain);
    v(2, "version", m.version);
  }
};
template <>
struct Fields<FunctionProto> {
  static constexpr const char* kName = "FunctionProto";
  template <class M, class V>
  static void each(M& m, V& v) {
    v(1, "name", m.name);
    v(4, "input", m.input);
    v(5, "output", m.output);
    v(6, "attribute", m.attribute);
    v(7, "node", m.node);
    v(8, "doc_string", m.doc_string);
    v(9, "opset_import", m.opset_import);
    v(10, "domain", m.domain);
    v(11, "attribute_proto", m.attribute_proto);
    v(12, "value_info", m.value_info);
    v(13, "overload", m.overload);
    v(14, "metadata_props", m.metadata_props);
  }
};
template <>
struct Fields<SequenceProto> {
  static constexpr const char* kName = "SequenceProto";
  template <class M, class V>
  static void each(M& m, V& v) {
    v(1, "name", m.name);
    v(2, "elem_type", m.elem_type);
    v(3, "tensor_values", m.tensor_values);
    v(4, "sparse_tensor_values", m.sparse_tensor_values);
    v(5, "sequence_values", m.sequence_values);
    v(6, "map_values", m.map_values);
    v(7, "optional_values", m.optional_values);
  }
};
template <>
struct Fields<MapProto> {
  static constexpr const char* kName = "MapProto";
  template <class M, class V>
  static void each(M& m, V& v) {
    v(1, "name", m.name);
    v(2, "key_type", m.key_type);
    v(3, "keys", m.keys);
    v(4, "string_keys", m.string_keys);
    v(5, "values", m.values);
  }
};
template <>
struct Fields<OptionalProto> {
  static constexpr const char* kName = "OptionalProto";
  template <class M, class V>
  static void each(M& m, V& v) {
    v(1, "name", m.name);
    v(2, "elem_type", m.elem_type);
    v(3, "tensor_value", m.tensor_value);
    v(4, "sparse_tensor_value", m.sparse_tensor_value);
    v(5, "sequence_value", m.sequence_value);
    v(6, "map_value", m.map_value);
    v(7, "optional_value", m.optional_value);
  }
};

}  // namespace skiff::onnx
