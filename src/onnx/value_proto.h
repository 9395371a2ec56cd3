// Run-time values in the .pb files of test_data_set folders (onnx-data.proto) <-> Datum.
#pragma once
#include <string>

#include "onnx/proto.h"
#include "tensor/sym_dim.h"
#include "tensor/tensor.h"

namespace skiff::onnx {

Datum to_datum(const SequenceProto& s);
Datum to_datum(const MapProto& m);
Datum to_datum(const OptionalProto& o);

struct NamedDatum {
  std::string name;  // as the file says; may be empty
  Datum value;
};
// Reads one value. The files do not say which message they hold, so `type` must: that of the model's input or
// output; an unknown type reads a tensor. Tensors view the mapped file. Errors name the file.
NamedDatum read_value(const std::string& path, const Type& type);
// Writes one value, atomically. An empty optional and a value of an optional type are written as
// OptionalProto.
void write_value(const Datum& value, const std::string& name, const std::string& path, const Type& type = {});

}  // namespace skiff::onnx
