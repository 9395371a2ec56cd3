#include "onnx/tensor_proto.h"

#include <algorithm>
#include <bit>
#include <cstring>

#include "base/error.h"
#include "onnx/external_data.h"

namespace skiff::onnx {
namespace {

Dims dims_of(const TensorProto& t) { return Dims(t.dims.begin(), t.dims.end()); }

// Bytes of the units a byte-swap works on: a complex number is two of them, packed elements stand in single
// bytes.
size_t unit_bytes(DType t) {
  if (t == DType::kComplex64) return 4;
  if (t == DType::kComplex128) return 8;
  return std::max<size_t>(1, static_cast<size_t>(dtype_bits(t)) / 8);
}

// The wire is little-endian.
void to_native(void* data, size_t bytes, size_t unit) {
  if constexpr (std::endian::native == std::endian::little) return;
  auto* p = static_cast<char*>(data);
  for (size_t i = 0; i + unit <= bytes; i += unit) std::reverse(p + i, p + i + unit);
}

Tensor from_raw(DType type, Dims dims, const Bytes& raw) {
  size_t unit = unit_bytes(type);
  bool aligned = reinterpret_cast<uintptr_t>(raw.view.data()) % unit == 0;
  // A bool is 0 or 1; anything else in the file counts as true and must not reach a kernel.
  bool clean = type != DType::kBool ||
               std::all_of(raw.view.begin(), raw.view.end(), [](char c) { return c == 0 || c == 1; });
  if (aligned && clean && raw.owner && std::endian::native == std::endian::little)
    return Tensor::view(type, std::move(dims), raw.view.data(), raw.owner);
  Tensor t(type, std::move(dims));
  if (!raw.view.empty()) std::memcpy(t.raw(), raw.view.data(), raw.view.size());
  to_native(t.raw(), raw.view.size(), unit);
  if (!clean)
    for (int64_t i = 0; i < t.size(); ++i) t.data<uint8_t>()[i] = t.data<uint8_t>()[i] != 0;
  return t;
}

template <class From>
void need_count(const std::vector<From>& field, const char* name, uint64_t want) {
  check(field.size() == want, Code::kInvalidModel, "field ", name, " has ", field.size(),
        " values, but the dims need ", want);
}

template <class T, class From>
void copy_exact(Tensor& t, const std::vector<From>& field) {
  for (size_t i = 0; i < field.size(); ++i) t.data<T>()[i] = static_cast<T>(field[i]);
}

// int32_data holds one small integer or bit pattern an entry; of packed types one byte an entry. Both the
// signed and the unsigned reading of a pattern are met in files; what fits neither is an error.
template <class T>
void copy_small(Tensor& t, const std::vector<int32_t>& field) {
  constexpr int bits = 8 * sizeof(T);
  for (size_t i = 0; i < field.size(); ++i) {
    check(field[i] >= -(1 << (bits - 1)) && field[i] < (1 << bits), Code::kInvalidModel, "int32_data[", i,
          "] = ", field[i], " does not fit in ", bits, " bits");
    t.data<T>()[i] = static_cast<T>(field[i]);
  }
}

// From the typed field that the element type prescribes.
Tensor from_typed(const TensorProto& p, DType type, Dims dims, int64_t count) {
  auto n = static_cast<uint64_t>(count);
  auto make = [&](const auto& field, const char* name, uint64_t want) {
    need_count(field, name, want);
    return Tensor(type, dims);
  };
  switch (type) {
    case DType::kFloat:
    case DType::kComplex64: {
      check(n <= UINT64_MAX / 2, Code::kInvalidModel, "the dims overflow");
      Tensor t = make(p.float_data, "float_data", type == DType::kFloat ? n : 2 * n);
      copy_exact<float>(t, p.float_data);
      return t;
    }
    case DType::kDouble:
    case DType::kComplex128: {
      check(n <= UINT64_MAX / 2, Code::kInvalidModel, "the dims overflow");
      Tensor t = make(p.double_data, "double_data", type == DType::kDouble ? n : 2 * n);
      copy_exact<double>(t, p.double_data);
      return t;
    }
    case DType::kInt64: {
      Tensor t = make(p.int64_data, "int64_data", n);
      copy_exact<int64_t>(t, p.int64_data);
      return t;
    }
    case DType::kUint64: {
      Tensor t = make(p.uint64_data, "uint64_data", n);
      copy_exact<uint64_t>(t, p.uint64_data);
      return t;
    }
    case DType::kUint32: {
      Tensor t = make(p.uint64_data, "uint64_data", n);
      for (uint64_t v : p.uint64_data)
        check(v <= UINT32_MAX, Code::kInvalidModel, "uint64_data holds ", v,
              ", which does not fit in 32 bits");
      copy_exact<uint32_t>(t, p.uint64_data);
      return t;
    }
    case DType::kString: {
      Tensor t = make(p.string_data, "string_data", n);
      for (size_t i = 0; i < p.string_data.size(); ++i) t.data<std::string>()[i] = p.string_data[i];
      return t;
    }
    case DType::kInt32: {
      Tensor t = make(p.int32_data, "int32_data", n);
      copy_exact<int32_t>(t, p.int32_data);
      return t;
    }
    default: {
      int bits = dtype_bits(type);
      Tensor t = make(p.int32_data, "int32_data", bits >= 8 ? n : dtype_bytes(type, count));
      if (type == DType::kBool)
        for (size_t i = 0; i < p.int32_data.size(); ++i) t.data<uint8_t>()[i] = p.int32_data[i] != 0;
      else if (bits == 16)
        copy_small<uint16_t>(t, p.int32_data);
      else
        copy_small<uint8_t>(t, p.int32_data);
      return t;
    }
  }
}

bool has_typed(const TensorProto& t) {
  return !t.float_data.empty() || !t.int32_data.empty() || !t.string_data.empty() || !t.int64_data.empty() ||
         !t.double_data.empty() || !t.uint64_data.empty();
}

}  // namespace

std::string describe(const TensorProto& t) { return cat("tensor '", *t.name, "'"); }

DType dtype_of(const TensorProto& t) {
  int32_t n = *t.data_type;
  check(n != 27 && n != 28, Code::kUnsupported, "element type ", n, " (6-bit float) is not supported");
  check(n > 0 && n < kDTypeCount, Code::kInvalidModel, "unknown element type ", n);
  return static_cast<DType>(n);
}

int64_t element_count(const TensorProto& t) {
  int64_t n = 1;
  bool empty = false;
  for (int64_t d : t.dims) {
    check(d >= 0, Code::kInvalidModel, "negative extent ", d, " in a tensor's dims");
    empty = empty || d == 0;
  }
  if (empty) return 0;
  for (int64_t d : t.dims)
    check(!__builtin_mul_overflow(n, d, &n), Code::kInvalidModel, "the product of a tensor's dims overflows");
  return n;
}

uint64_t raw_bytes(const TensorProto& t) {
  DType type = dtype_of(t);
  check(type != DType::kString, Code::kInvalidModel, "strings cannot be stored as raw or external data");
  return dtype_bytes(type, element_count(t));
}

Tensor to_tensor(const TensorProto& t, ExternalFiles* files) {
  bool external = *t.data_location == TensorProto::DataLocation::kExternal;
  check(!external || files, Code::kInvalidModel, describe(t),
        ": its data is in another file; give the folder of the model's external data");
  if (external) return from_raw(dtype_of(t), dims_of(t), files->payload(t));  // names the tensor itself
  try {
    DType type = dtype_of(t);
    int64_t count = element_count(t);
    check(!t.segment, Code::kUnsupported, "tensors stored in segments are not supported");
    check(t.external_data.empty() || has_typed(t) || t.raw_data.has() || count == 0, Code::kInvalidModel,
          "it has external data, but its data_location is not EXTERNAL");
    if (!t.raw_data.has() || (t.raw_data->view.empty() && has_typed(t)))
      return from_typed(t, type, dims_of(t), count);
    check(!has_typed(t), Code::kInvalidModel, "it has both raw_data and typed data; one of them must go");
    uint64_t need = raw_bytes(t);
    check(t.raw_data->view.size() == need, Code::kInvalidModel, "raw_data has ", t.raw_data->view.size(),
          " bytes, but ", dtype_name(type), to_string(dims_of(t)), " needs ", need);
    return from_raw(type, dims_of(t), *t.raw_data);
  } catch (Error& e) {
    e.add_where(describe(t));
    throw;
  }
}

TensorProto to_proto(const Tensor& t, std::string name) {
  TensorProto p;
  p.dims.assign(t.dims().begin(), t.dims().end());
  p.data_type = static_cast<int32_t>(t.dtype());
  if (!name.empty()) p.name = std::move(name);
  if (t.dtype() == DType::kString) {
    const auto* s = t.data<std::string>();
    p.string_data.assign(s, s + t.size());
    return p;
  }
  if constexpr (std::endian::native == std::endian::little) {
    p.raw_data = Bytes{{t.size() ? static_cast<const char*>(t.raw()) : "", t.bytes()}, t.owner()};
  } else {
    Tensor copy = t.clone();
    to_native(copy.raw(), copy.bytes(), unit_bytes(t.dtype()));
    p.raw_data = Bytes{{static_cast<const char*>(copy.raw()), copy.bytes()}, copy.owner()};
  }
  return p;
}

Datum::Sparse to_sparse(const SparseTensorProto& s, ExternalFiles* files) {
  check(s.values && s.indices, Code::kInvalidModel, "a sparse tensor lacks its values or its indices");
  Datum::Sparse r;
  try {
    r.dims = Dims(s.dims.begin(), s.dims.end());
    for (int64_t d : r.dims) check(d > 0, Code::kInvalidModel, "a sparse tensor has the extent ", d);
    r.values = to_tensor(*s.values, files);
    r.indices = to_tensor(*s.indices, files);
    check(r.values.rank() == 1, Code::kInvalidModel, "the values of a sparse tensor must have rank 1");
    int64_t n = r.values.size(), rank = static_cast<int64_t>(r.dims.size());
    bool linear = r.indices.rank() == 1 && r.indices.dim(0) == n;
    bool tuples = r.indices.rank() == 2 && r.indices.dim(0) == n && r.indices.dim(1) == rank;
    check(r.indices.dtype() == DType::kInt64 && (linear || tuples), Code::kInvalidModel,
          "the indices of a sparse tensor must be int64 of shape [", n, "] or [", n, ", ", rank, "], not ",
          skiff::describe(r.indices));
    TensorProto dense;
    dense.dims = s.dims;
    int64_t total = element_count(dense), last = -1;
    for (int64_t i = 0; i < n; ++i) {
      int64_t at = 0;
      if (linear) {
        at = r.indices.data<int64_t>()[i];
        check(at >= 0 && at < total, Code::kInvalidModel, "sparse index ", at, " is out of range");
      } else {
        for (int64_t k = 0; k < rank; ++k) {
          int64_t x = r.indices.data<int64_t>()[i * rank + k], extent = r.dims[static_cast<size_t>(k)];
          check(x >= 0 && x < extent, Code::kInvalidModel, "sparse index ", x, " is out of range");
          at = at * extent + x;
        }
      }
      check(at > last, Code::kInvalidModel, "the indices of a sparse tensor are not ascending");
      last = at;
    }
  } catch (Error& e) {
    e.add_where(cat("sparse ", describe(*s.values)));
    throw;
  }
  return r;
}

SparseTensorProto to_proto(const Datum::Sparse& s, std::string name) {
  SparseTensorProto p;
  p.dims.assign(s.dims.begin(), s.dims.end());
  p.values = to_proto(s.values, std::move(name));
  p.indices = to_proto(s.indices);
  return p;
}

Tensor densify(const Datum::Sparse& s, uint64_t max_bytes) {
  uint64_t bytes = dtype_bytes(s.values.dtype(), skiff::element_count(s.dims));
  check(bytes <= max_bytes, Code::kLimit, "the dense form of a sparse tensor needs ", bytes,
        " bytes; the limit is ", max_bytes, "; raise it if the file can be trusted");
  Tensor t(s.values.dtype(), s.dims);
  bool strings = t.dtype() == DType::kString, packed = dtype_bits(t.dtype()) < 8;
  if (!strings && bytes) std::memset(t.raw(), 0, static_cast<size_t>(bytes));
  Dims strides = strides_of(s.dims);
  size_t size = dtype_bytes(t.dtype(), 1);
  for (int64_t i = 0; i < s.values.size(); ++i) {
    int64_t at = 0;
    if (s.indices.rank() == 1)
      at = s.indices.data<int64_t>()[i];
    else
      for (size_t k = 0; k < strides.size(); ++k)
        at += strides[k] *
              s.indices.data<int64_t>()[i * static_cast<int64_t>(strides.size()) + static_cast<int64_t>(k)];
    if (strings)
      t.data<std::string>()[at] = s.values.data<std::string>()[i];
    else if (packed && t.dtype() == DType::kFloat4E2M1)
      set_double(t, at, get_double(s.values, i));
    else if (packed)
      set_int(t, at, get_int(s.values, i));
    else
      std::memcpy(t.data<char>() + static_cast<size_t>(at) * size,
                  s.values.data<char>() + static_cast<size_t>(i) * size, size);
  }
  return t;
}

void strip_payload(TensorProto& t) {
  t.dims.clear();
  t.data_type.reset();
  t.float_data.clear();
  t.int32_data.clear();
  t.string_data.clear();
  t.int64_data.clear();
  t.double_data.clear();
  t.uint64_data.clear();
  t.raw_data.reset();
  t.external_data.clear();
  t.data_location.reset();
}

void strip_payload(SparseTensorProto& s) {
  if (s.values) strip_payload(*s.values);
  if (s.indices) strip_payload(*s.indices);
  s.dims.clear();
}

}  // namespace skiff::onnx
