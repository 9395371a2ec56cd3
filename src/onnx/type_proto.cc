#include "onnx/type_proto.h"

#include "base/error.h"
#include "onnx/wire_write.h"

namespace skiff::onnx {
namespace {

DType elem_type(const Opt<int32_t>& n) {
  check(*n != 27 && *n != 28, Code::kUnsupported, "element type ", *n, " (6-bit float) is not supported");
  check(*n >= 0 && *n < kDTypeCount, Code::kInvalidModel, "unknown element type ", *n);
  return static_cast<DType>(*n);
}

SymShape to_shape(const Box<TensorShapeProto>& s) {
  if (!s) return {};
  std::vector<Dim> dims;
  dims.reserve(s->dim.size());
  for (const auto& d : s->dim) {
    if (d.dim_value.has())
      dims.push_back(*d.dim_value >= 0 ? Dim(*d.dim_value) : Dim());
    else
      // "?" is how some exporters write "unknown"; taken as a name it would make all such extents equal.
      dims.push_back(d.dim_param->empty() || *d.dim_param == "?" ? Dim() : Dim::symbol(*d.dim_param));
  }
  return SymShape(std::move(dims));
}

Type to_tensor_type(const TypeProto::Tensor& t, Type::Kind kind) {
  Type r = Type::tensor(elem_type(t.elem_type), to_shape(t.shape));
  r.kind = kind;
  return r;
}

Type to_elem(const Box<TypeProto>& t) { return t ? to_type(*t) : Type(); }

TypeProto::Tensor tensor_proto(const Type& t) {
  TypeProto::Tensor p;
  p.elem_type = static_cast<int32_t>(t.dtype);
  if (!t.shape.has_rank()) return p;
  auto& dims = p.shape.emplace().dim;
  for (const Dim& d : t.shape.dims()) {
    auto& out = dims.emplace_back();
    if (d.is_const())
      out.dim_value = d.value();
    else if (d.is_known())
      out.dim_param = d.to_string();
  }
  return p;
}

Box<TypeProto> elem_proto(const Type& t) {
  if (!t.elem || t.elem->kind == Type::Kind::kUnknown) return {};
  return to_proto(*t.elem);
}

}  // namespace

Type to_type(const TypeProto& t) {
  Type r;
  if (t.tensor_type) {
    r = to_tensor_type(*t.tensor_type, Type::Kind::kTensor);
  } else if (t.sparse_tensor_type) {
    r = to_tensor_type(*t.sparse_tensor_type, Type::Kind::kSparse);
  } else if (t.sequence_type) {
    r = Type::sequence(to_elem(t.sequence_type->elem_type));
  } else if (t.optional_type) {
    r = Type::optional(to_elem(t.optional_type->elem_type));
  } else if (t.map_type) {
    r = Type::map(elem_type(t.map_type->key_type), to_elem(t.map_type->value_type));
  } else if (t.opaque_type) {
    r.kind = Type::Kind::kOpaque;
    r.denotation = cat(*t.opaque_type->domain, ":", *t.opaque_type->name);
    return r;
  }
  r.denotation = *t.denotation;
  return r;
}

TypeProto to_proto(const Type& t) {
  TypeProto p;
  switch (t.kind) {
    case Type::Kind::kUnknown: return p;
    case Type::Kind::kTensor: p.tensor_type = tensor_proto(t); break;
    case Type::Kind::kSparse: p.sparse_tensor_type = tensor_proto(t); break;
    case Type::Kind::kSequence: p.sequence_type.emplace().elem_type = elem_proto(t); break;
    case Type::Kind::kOptional: p.optional_type.emplace().elem_type = elem_proto(t); break;
    case Type::Kind::kMap:
      p.map_type.emplace().key_type = static_cast<int32_t>(t.dtype);
      p.map_type->value_type = elem_proto(t);
      break;
    case Type::Kind::kOpaque: {
      size_t colon = t.denotation.find(':');
      auto& o = p.opaque_type.emplace();
      o.domain = t.denotation.substr(0, colon);
      if (colon != std::string::npos) o.name = t.denotation.substr(colon + 1);
      return p;
    }
  }
  if (!t.denotation.empty()) p.denotation = t.denotation;
  return p;
}

Box<TypeProto> type_remainder(TypeProto t) {
  Type type = to_type(t);
  bool complete = type.kind != Type::Kind::kUnknown && serialize(to_proto(type)) == serialize(t);
  return complete ? Box<TypeProto>() : Box<TypeProto>(std::move(t));
}

TypeProto graft_type(const Type& now, const Box<TypeProto>& remainder) {
  TypeProto p = to_proto(now);
  if (!remainder) return p;
  Type before = to_type(*remainder);
  if (before.kind == now.kind && before.to_string() == now.to_string()) return *remainder;
  if (!p.tensor_type || !remainder->tensor_type) return p;
  if (remainder->denotation.has()) p.denotation = remainder->denotation;
  auto& to = p.tensor_type->shape;
  const auto& from = remainder->tensor_type->shape;
  if (!to || !from || to->dim.size() != from->dim.size()) return p;
  for (size_t i = 0; i < to->dim.size(); ++i) to->dim[i].denotation = from->dim[i].denotation;
  return p;
}

}  // namespace skiff::onnx
