#include "onnx/value_proto.h"

#include "base/error.h"
#include "onnx/tensor_proto.h"
#include "onnx/wire_read.h"
#include "onnx/wire_write.h"

namespace skiff::onnx {
namespace {

template <class T>
std::vector<Datum> each_datum(const std::vector<T>& list) {
  std::vector<Datum> out;
  out.reserve(list.size());
  for (const T& x : list) {
    if constexpr (std::is_same_v<T, TensorProto>)
      out.emplace_back(to_tensor(x));
    else if constexpr (std::is_same_v<T, SparseTensorProto>)
      out.push_back(Datum::sparse(to_sparse(x)));
    else
      out.push_back(to_datum(x));
  }
  return out;
}

int32_t code(DataKind k) { return static_cast<int32_t>(k); }

DataKind kind_of(const Datum& d) {
  switch (d.kind()) {
    case Datum::Kind::kTensor: return DataKind::kTensor;
    case Datum::Kind::kSequence: return DataKind::kSequence;
    case Datum::Kind::kMap: return DataKind::kMap;
    case Datum::Kind::kSparse: return DataKind::kSparseTensor;
    default: return DataKind::kOptional;
  }
}

SequenceProto sequence_proto(const std::vector<Datum>& items, const std::string& name);
MapProto map_proto(const Datum::Map& m, const std::string& name);

OptionalProto optional_proto(const Datum& d, const std::string& name) {
  OptionalProto o;
  if (!name.empty()) o.name = name;
  o.elem_type = d.kind() == Datum::Kind::kNone ? code(DataKind::kUndefined) : code(kind_of(d));
  switch (d.kind()) {
    case Datum::Kind::kTensor: o.tensor_value = to_proto(d.tensor()); break;
    case Datum::Kind::kSequence: o.sequence_value = sequence_proto(d.items(), {}); break;
    case Datum::Kind::kMap: o.map_value = map_proto(d.map(), {}); break;
    case Datum::Kind::kSparse: o.sparse_tensor_value = to_proto(d.sparse()); break;
    case Datum::Kind::kNone: break;
  }
  return o;
}

SequenceProto sequence_proto(const std::vector<Datum>& items, const std::string& name) {
  SequenceProto s;
  if (!name.empty()) s.name = name;
  DataKind kind = items.empty() ? DataKind::kTensor : kind_of(items[0]);
  s.elem_type = code(kind);
  for (const Datum& d : items) {
    check(kind_of(d) == kind, Code::kInvalidArgument, "a sequence mixes kinds of values");
    switch (kind) {
      case DataKind::kTensor: s.tensor_values.push_back(to_proto(d.tensor())); break;
      case DataKind::kSparseTensor: s.sparse_tensor_values.push_back(to_proto(d.sparse())); break;
      case DataKind::kSequence: s.sequence_values.push_back(sequence_proto(d.items(), {})); break;
      case DataKind::kMap: s.map_values.push_back(map_proto(d.map(), {})); break;
      default: s.optional_values.push_back(optional_proto(d, {})); break;
    }
  }
  return s;
}

MapProto map_proto(const Datum::Map& m, const std::string& name) {
  MapProto p;
  if (!name.empty()) p.name = name;
  p.key_type = static_cast<int32_t>(m.keys.dtype());
  if (m.keys.dtype() == DType::kString) {
    const auto* s = m.keys.data<std::string>();
    p.string_keys.assign(s, s + m.keys.size());
  } else {
    p.keys = to_ints(m.keys);
  }
  p.values = sequence_proto(m.values, {});
  return p;
}

template <class T>
NamedDatum read_as(const std::string& path) {
  T p = parse_file<T>(path);
  try {
    if constexpr (std::is_same_v<T, TensorProto>)
      return {*p.name, to_tensor(p)};
    else
      return {*p.name, to_datum(p)};
  } catch (Error& e) {
    e.add_where(cat("file '", path, "'"));
    throw;
  }
}

}  // namespace

Datum to_datum(const SequenceProto& s) {
  switch (static_cast<DataKind>(*s.elem_type)) {
    case DataKind::kUndefined:
    case DataKind::kTensor: return Datum::sequence(each_datum(s.tensor_values));
    case DataKind::kSparseTensor: return Datum::sequence(each_datum(s.sparse_tensor_values));
    case DataKind::kSequence: return Datum::sequence(each_datum(s.sequence_values));
    case DataKind::kMap: return Datum::sequence(each_datum(s.map_values));
    case DataKind::kOptional: return Datum::sequence(each_datum(s.optional_values));
  }
  fail(Code::kInvalidModel, "unknown element kind ", *s.elem_type, " of a sequence");
}

Datum to_datum(const MapProto& m) {
  check(m.values.has(), Code::kInvalidModel, "a map without values");
  std::vector<Datum> values = to_datum(*m.values).items();
  auto key_type = static_cast<DType>(*m.key_type);
  bool strings = key_type == DType::kString;
  check(strings || (*m.key_type<kDTypeCount&& * m.key_type> 0 && dtype_is_integer(key_type)),
        Code::kInvalidModel, "a map's keys must be integers or strings, not type ", *m.key_type);
  size_t n = strings ? m.string_keys.size() : m.keys.size();
  check(n == values.size(), Code::kInvalidModel, "a map has ", n, " keys, but ", values.size(), " values");
  Tensor keys(strings ? DType::kString : DType::kInt64, {static_cast<int64_t>(n)});
  for (size_t i = 0; i < n; ++i) {
    if (strings)
      keys.data<std::string>()[i] = m.string_keys[i];
    else
      keys.data<int64_t>()[i] = m.keys[i];
  }
  return Datum::map({std::move(keys), std::move(values)});
}

Datum to_datum(const OptionalProto& o) {
  if (o.tensor_value) return to_tensor(*o.tensor_value);
  if (o.sparse_tensor_value) return Datum::sparse(to_sparse(*o.sparse_tensor_value));
  if (o.sequence_value) return to_datum(*o.sequence_value);
  if (o.map_value) return to_datum(*o.map_value);
  if (o.optional_value) return to_datum(*o.optional_value);
  return {};
}

NamedDatum read_value(const std::string& path, const Type& type) {
  switch (type.kind) {
    case Type::Kind::kSequence: {
      NamedDatum d = read_as<SequenceProto>(path);
      if (d.value.items().empty() && type.elem) d.value = Datum::sequence({}, type.elem->dtype);
      return d;
    }
    case Type::Kind::kMap: return read_as<MapProto>(path);
    case Type::Kind::kOptional: return read_as<OptionalProto>(path);
    case Type::Kind::kUnknown:
    case Type::Kind::kTensor: return read_as<TensorProto>(path);
    default: fail(Code::kUnsupported, "file '", path, "': no values of type ", type.to_string(), " in files");
  }
}

void write_value(const Datum& d, const std::string& name, const std::string& path, const Type& type) {
  if (type.kind == Type::Kind::kOptional || d.kind() == Datum::Kind::kNone)
    return serialize_file(optional_proto(d, name), path);
  switch (d.kind()) {
    case Datum::Kind::kTensor: return serialize_file(to_proto(d.tensor(), name), path);
    case Datum::Kind::kSequence: return serialize_file(sequence_proto(d.items(), name), path);
    case Datum::Kind::kMap: return serialize_file(map_proto(d.map(), name), path);
    default: fail(Code::kUnsupported, "sparse tensors are not written to files by themselves");
  }
}

}  // namespace skiff::onnx
