// TypeProto <-> Type.
#pragma once
#include "onnx/proto.h"
#include "tensor/sym_dim.h"

namespace skiff::onnx {

// An absent or negative extent and an empty dim_param become an unknown extent; any other dim_param a symbol.
// Denotations of extents are not kept in Type: see graft_type. Throws kInvalidModel on an unknown element
// type.
Type to_type(const TypeProto& t);
// An unknown type gives an empty message.
TypeProto to_proto(const Type& t);

// What the message holds beyond what Type can express: `t` itself, or an empty box when to_proto(to_type(t))
// is `t`.
Box<TypeProto> type_remainder(TypeProto t);
// The message for `now`, with what still applies of a remainder (denotations, unknown fields).
TypeProto graft_type(const Type& now, const Box<TypeProto>& remainder);

}  // namespace skiff::onnx
