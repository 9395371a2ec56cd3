// Every message of onnx.proto and onnx-data.proto (IR versions 3 to 14) as plain structs: the wire level.
// Names and meaning are onnx.proto's own. wire_fields.h holds the field numbers. Nothing here interprets a
// model.
//
// Each struct keeps in `unknown` the wire bytes of the fields it does not know, verbatim and in order; they
// are written back after the known ones.
#pragma once
#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace skiff::onnx {

inline constexpr int64_t kOldestIrVersion = 3;
inline constexpr int64_t kNewestIrVersion = 14;

// An optional field of a simple type: reads as T{} when absent, and remembers whether it was there (a field
// present with its default value is written back).
template <class T>
class Opt {
 public:
  Opt() = default;
  Opt(T v) : value_(std::move(v)), has_(true) {}  // NOLINT: a plain value is what one assigns
  Opt& operator=(T v) {
    value_ = std::move(v);
    has_ = true;
    return *this;
  }
  bool has() const { return has_; }
  const T& get() const { return value_; }
  const T& operator*() const { return value_; }
  const T* operator->() const { return &value_; }
  void reset() { *this = Opt(); }
  // Makes it present and gives the value to fill in.
  T& emplace() {
    has_ = true;
    return value_;
  }

 private:
  T value_{};
  bool has_ = false;
};

// An optional message. Copies deeply; may be declared before T is complete.
template <class T>
class Box {
 public:
  Box() = default;
  Box(T v) : p_(std::make_unique<T>(std::move(v))) {}  // NOLINT: as Opt
  Box(const Box& o) : p_(o.p_ ? std::make_unique<T>(*o.p_) : nullptr) {}
  Box(Box&&) noexcept = default;
  Box& operator=(const Box& o) {
    if (this != &o) p_ = o.p_ ? std::make_unique<T>(*o.p_) : nullptr;
    return *this;
  }
  Box& operator=(Box&&) noexcept = default;
  ~Box() = default;
  bool has() const { return p_ != nullptr; }
  explicit operator bool() const { return has(); }
  T& operator*() { return *p_; }
  const T& operator*() const { return *p_; }
  T* operator->() { return p_.get(); }
  const T* operator->() const { return p_.get(); }
  void reset() { p_.reset(); }
  T& emplace() {
    if (!p_) p_ = std::make_unique<T>();
    return *p_;
  }

 private:
  std::unique_ptr<T> p_;
};

// A large payload: a view, and what keeps the viewed memory alive (a mapped file, a tensor, a buffer).
struct Bytes {
  std::string_view view;
  std::shared_ptr<const void> owner;
};

struct StringStringEntryProto {
  Opt<std::string> key, value;
  std::string unknown;
};

struct OperatorSetIdProto {
  Opt<std::string> domain;
  Opt<int64_t> version;
  std::string unknown;
};

struct IntIntListEntryProto {
  Opt<int64_t> key;
  std::vector<int64_t> value;
  std::string unknown;
};

struct SimpleShardedDimProto {
  Opt<int64_t> dim_value;      // oneof dim
  Opt<std::string> dim_param;  // oneof dim
  Opt<int64_t> num_shards;
  std::string unknown;
};

struct ShardedDimProto {
  Opt<int64_t> axis;
  std::vector<SimpleShardedDimProto> simple_sharding;
  std::string unknown;
};

struct ShardingSpecProto {
  Opt<std::string> tensor_name;
  std::vector<int64_t> device;
  std::vector<IntIntListEntryProto> index_to_device_group_map;
  std::vector<ShardedDimProto> sharded_dim;
  std::string unknown;
};

struct NodeDeviceConfigurationProto {
  Opt<std::string> configuration_id;
  std::vector<ShardingSpecProto> sharding_spec;
  Opt<int32_t> pipeline_stage;
  std::string unknown;
};

struct DeviceConfigurationProto {
  Opt<std::string> name;
  Opt<int32_t> num_devices;
  std::vector<std::string> device;
  std::string unknown;
};

struct TensorShapeProto {
  struct Dimension {
    Opt<int64_t> dim_value;      // oneof value
    Opt<std::string> dim_param;  // oneof value
    Opt<std::string> denotation;
    std::string unknown;
  };
  std::vector<Dimension> dim;
  std::string unknown;
};

struct TypeProto {
  struct Tensor {  // SparseTensor has the same fields
    Opt<int32_t> elem_type;
    Box<TensorShapeProto> shape;
    std::string unknown;
  };
  struct Sequence {  // Optional has the same fields
    Box<TypeProto> elem_type;
    std::string unknown;
  };
  struct Map {
    Opt<int32_t> key_type;
    Box<TypeProto> value_type;
    std::string unknown;
  };
  struct Opaque {
    Opt<std::string> domain, name;
    std::string unknown;
  };
  // oneof value: at most one is present
  Box<Tensor> tensor_type;
  Box<Sequence> sequence_type;
  Box<Map> map_type;
  Box<Sequence> optional_type;
  Box<Tensor> sparse_tensor_type;
  Box<Opaque> opaque_type;
  Opt<std::string> denotation;
  std::string unknown;
};

struct ValueInfoProto {
  Opt<std::string> name;
  Box<TypeProto> type;
  Opt<std::string> doc_string;
  std::vector<StringStringEntryProto> metadata_props;
  std::string unknown;
};

struct TensorProto {
  struct Segment {
    Opt<int64_t> begin, end;
    std::string unknown;
  };
  enum class DataLocation : int32_t { kDefault = 0, kExternal = 1 };

  std::vector<int64_t> dims;
  Opt<int32_t> data_type;
  Box<Segment> segment;
  std::vector<float> float_data;
  std::vector<int32_t> int32_data;
  std::vector<std::string> string_data;
  std::vector<int64_t> int64_data;
  Opt<std::string> name;
  Opt<Bytes> raw_data;
  std::vector<double> double_data;
  std::vector<uint64_t> uint64_data;
  Opt<std::string> doc_string;
  std::vector<StringStringEntryProto> external_data;
  Opt<DataLocation> data_location;
  std::vector<StringStringEntryProto> metadata_props;
  std::string unknown;
};

struct SparseTensorProto {
  Box<TensorProto> values, indices;
  std::vector<int64_t> dims;
  std::string unknown;
};

struct TensorAnnotation {
  Opt<std::string> tensor_name;
  std::vector<StringStringEntryProto> quant_parameter_tensor_names;
  std::string unknown;
};

struct GraphProto;

struct AttributeProto {
  enum class Type : int32_t {
    kUndefined = 0,
    kFloat = 1,
    kInt = 2,
    kString = 3,
    kTensor = 4,
    kGraph = 5,
    kFloats = 6,
    kInts = 7,
    kStrings = 8,
    kTensors = 9,
    kGraphs = 10,
    kSparseTensor = 11,
    kSparseTensors = 12,
    kTypeProto = 13,
    kTypeProtos = 14,
  };
  Opt<std::string> name, ref_attr_name, doc_string;
  Opt<Type> type;
  Opt<float> f;
  Opt<int64_t> i;
  Opt<std::string> s;
  Box<TensorProto> t;
  Box<GraphProto> g;
  Box<SparseTensorProto> sparse_tensor;
  Box<TypeProto> tp;
  std::vector<float> floats;
  std::vector<int64_t> ints;
  std::vector<std::string> strings;
  std::vector<TensorProto> tensors;
  std::vector<GraphProto> graphs;
  std::vector<SparseTensorProto> sparse_tensors;
  std::vector<TypeProto> type_protos;
  std::string unknown;
};

struct NodeProto {
  std::vector<std::string> input, output;
  Opt<std::string> name, op_type, domain, overload;
  std::vector<AttributeProto> attribute;
  Opt<std::string> doc_string;
  std::vector<StringStringEntryProto> metadata_props;
  std::vector<NodeDeviceConfigurationProto> device_configurations;
  std::string unknown;
};

struct GraphProto {
  std::vector<NodeProto> node;
  Opt<std::string> name;
  std::vector<TensorProto> initializer;
  std::vector<SparseTensorProto> sparse_initializer;
  Opt<std::string> doc_string;
  std::vector<ValueInfoProto> input, output, value_info;
  std::vector<TensorAnnotation> quantization_annotation;
  std::vector<StringStringEntryProto> metadata_props;
  std::string unknown;
};

struct TrainingInfoProto {
  Box<GraphProto> initialization, algorithm;
  std::vector<StringStringEntryProto> initialization_binding, update_binding;
  std::string unknown;
};

struct FunctionProto {
  Opt<std::string> name;
  std::vector<std::string> input, output, attribute;
  std::vector<AttributeProto> attribute_proto;
  std::vector<NodeProto> node;
  Opt<std::string> doc_string;
  std::vector<OperatorSetIdProto> opset_import;
  Opt<std::string> domain, overload;
  std::vector<ValueInfoProto> value_info;
  std::vector<StringStringEntryProto> metadata_props;
  std::string unknown;
};

struct ModelProto {
  Opt<int64_t> ir_version;
  std::vector<OperatorSetIdProto> opset_import;
  Opt<std::string> producer_name, producer_version, domain;
  Opt<int64_t> model_version;
  Opt<std::string> doc_string;
  Box<GraphProto> graph;
  std::vector<StringStringEntryProto> metadata_props;
  std::vector<TrainingInfoProto> training_info;
  std::vector<FunctionProto> functions;
  std::vector<DeviceConfigurationProto> configuration;
  std::string unknown;
};

// onnx-data.proto: values rather than models, as the test_data_set files hold them.
struct MapProto;
struct OptionalProto;

// Values of elem_type in SequenceProto and OptionalProto.
enum class DataKind : int32_t {
  kUndefined = 0,
  kTensor = 1,
  kSparseTensor = 2,
  kSequence = 3,
  kMap = 4,
  kOptional = 5
};

struct SequenceProto {
  Opt<std::string> name;
  Opt<int32_t> elem_type;
  std::vector<TensorProto> tensor_values;
  std::vector<SparseTensorProto> sparse_tensor_values;
  std::vector<SequenceProto> sequence_values;
  std::vector<MapProto> map_values;
  std::vector<OptionalProto> optional_values;
  std::string unknown;
};

struct MapProto {
  Opt<std::string> name;
  Opt<int32_t> key_type;
  std::vector<int64_t> keys;
  std::vector<std::string> string_keys;
  Box<SequenceProto> values;
  std::string unknown;
};

struct OptionalProto {
  Opt<std::string> name;
  Opt<int32_t> elem_type;
  Box<TensorProto> tensor_value;
  Box<SparseTensorProto> sparse_tensor_value;
  Box<SequenceProto> sequence_value;
  Box<MapProto> map_value;
  Box<OptionalProto> optional_value;
  std::string unknown;
};

}  // namespace skiff::onnx
