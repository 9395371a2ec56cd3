#include <cstring>

#include "capi/handles.h"
#include "codecs/image.h"
#include "onnx/value_proto.h"
#include "ops/interpret.h"
#include "tensor/compare.h"

using namespace skiff;        // NOLINT
using namespace skiff::capi;  // NOLINT

namespace {

Dims dims_from(const int64_t* dims, int rank) {
  check(rank >= 0 && (dims != nullptr || rank == 0), Code::kInvalidArgument, "rank ", rank,
        " without extents");
  return Dims(dims, dims + rank);
}

DType dtype_from(skiff_dtype t) {
  auto i = static_cast<int>(t);
  check(i > 0 && i < kDTypeCount, Code::kInvalidArgument, "there is no element type ", i);
  return static_cast<DType>(i);
}

const Tensor& tensor_of(const skiff_value* v) { return need(v, "value")->datum.tensor(); }

void give(Datum d, skiff_value** out) {
  need(out, "value");
  auto v = std::make_unique<skiff_value>();
  v->datum = std::move(d);
  *out = v.release();
}

Type type_of_kind(skiff_kind k) {
  Type t;
  switch (k) {
    case SKIFF_KIND_SEQUENCE: t.kind = Type::Kind::kSequence; break;
    case SKIFF_KIND_MAP: t.kind = Type::Kind::kMap; break;
    case SKIFF_KIND_SPARSE: t.kind = Type::Kind::kSparse; break;
    default: break;
  }
  return t;
}

const std::string& string_at(const skiff_value* v, size_t i) {
  const Tensor& t = tensor_of(v);
  check(t.dtype() == DType::kString, Code::kInvalidArgument, "the tensor holds ", dtype_name(t.dtype()),
        ", not strings");
  check(i < static_cast<size_t>(t.size()), Code::kInvalidArgument, "element ", i, " of ", t.size());
  return t.data<std::string>()[i];
}

}  // namespace

extern "C" {

skiff_status skiff_image_decode(const void* contents, size_t size, skiff_value** image) {
  return guarded([&] {
    check(contents != nullptr || size == 0, Code::kInvalidArgument, "contents is NULL");
    codecs::Image i = codecs::decode_image({static_cast<const char*>(contents), size});
    Tensor t(DType::kUint8, {i.height, i.width, 3});
    std::memcpy(t.raw(), i.pixels.data(), i.pixels.size());
    give(std::move(t), image);
  });
}

skiff_status skiff_tensor_create(skiff_dtype dtype, const int64_t* dims, int rank, skiff_value** value) {
  return guarded([&] { give(Tensor(dtype_from(dtype), dims_from(dims, rank)), value); });
}

skiff_status skiff_tensor_wrap(skiff_dtype dtype, const int64_t* dims, int rank, void* data, size_t bytes,
                               skiff_value** value) {
  return guarded([&] {
    DType t = dtype_from(dtype);
    check(t != DType::kString, Code::kInvalidArgument, "strings cannot be wrapped; use skiff_tensor_create");
    Tensor view = Tensor::view(t, dims_from(dims, rank), data);
    check(bytes >= view.bytes() && (data || view.bytes() == 0), Code::kInvalidArgument, "a buffer of ", bytes,
          " bytes is too small for ", describe(view), ", which takes ", view.bytes());
    give(std::move(view), value);
    (*value)->wrapped = true;
  });
}

skiff_status skiff_none_create(skiff_value** value) {
  return guarded([&] { give(Datum(), value); });
}

void skiff_value_free(skiff_value* value) { delete value; }
skiff_kind skiff_value_kind(const skiff_value* value) {
  return value ? static_cast<skiff_kind>(value->datum.kind()) : SKIFF_KIND_NONE;
}

skiff_status skiff_tensor_info(const skiff_value* value, skiff_dtype* dtype, int* rank,
                               const int64_t** dims) {
  return guarded([&] {
    const Tensor& t = tensor_of(value);
    if (dtype) *dtype = static_cast<skiff_dtype>(t.dtype());
    if (rank) *rank = static_cast<int>(t.rank());
    if (dims) *dims = t.dims().data();
  });
}

skiff_status skiff_tensor_data(const skiff_value* value, void** data, size_t* elements, size_t* bytes) {
  return guarded([&] {
    const Tensor& t = tensor_of(value);
    bool strings = t.dtype() == DType::kString;
    if (data) *data = strings ? nullptr : const_cast<void*>(t.raw());
    if (elements) *elements = static_cast<size_t>(t.size());
    if (bytes) *bytes = strings ? 0 : t.bytes();
  });
}

skiff_status skiff_tensor_get_string(const skiff_value* value, size_t i, const char** text, size_t* length) {
  return guarded([&] {
    const std::string& s = string_at(value, i);
    if (text) *text = s.c_str();
    if (length) *length = s.size();
  });
}

skiff_status skiff_tensor_set_string(skiff_value* value, size_t i, const char* text, size_t length) {
  return guarded([&] { const_cast<std::string&>(string_at(value, i)).assign(need(text, "text"), length); });
}

skiff_status skiff_tensor_get_double(const skiff_value* value, size_t i, double* element) {
  return guarded([&] {
    const Tensor& t = tensor_of(value);
    check(i < static_cast<size_t>(t.size()), Code::kInvalidArgument, "element ", i, " of ", t.size());
    *need(element, "element") = get_double(t, static_cast<int64_t>(i));
  });
}

skiff_status skiff_tensor_cast(const skiff_value* value, skiff_dtype dtype, skiff_value** result) {
  return guarded([&] {
    need(result, "result");
    tensor_of(value);
    Node n;
    n.op = "Cast";
    n.opset = 21;
    n.def = find_op("", "Cast");
    n.inputs = n.outputs = {0};
    n.attributes.emplace_back("to", static_cast<int64_t>(dtype_from(dtype)));
    const Datum* in[] = {&value->datum};
    give(run_reference(n, in)[0], result);
  });
}

skiff_status skiff_value_count(const skiff_value* value, size_t* count) {
  return guarded([&] {
    const Datum& d = need(value, "value")->datum;
    *need(count, "count") = d.kind() == Datum::Kind::kMap ? d.map().values.size() : d.items().size();
  });
}

skiff_status skiff_value_item(const skiff_value* value, size_t i, skiff_value** item) {
  return guarded([&] {
    const Datum& d = need(value, "value")->datum;
    const std::vector<Datum>& list = d.kind() == Datum::Kind::kMap ? d.map().values : d.items();
    check(i < list.size(), Code::kInvalidArgument, "item ", i, " of ", list.size());
    give(list[i], item);
  });
}

skiff_status skiff_map_keys(const skiff_value* value, skiff_value** keys) {
  return guarded([&] { give(need(value, "value")->datum.map().keys, keys); });
}

skiff_status skiff_sequence_create(const skiff_value* const* items, size_t count, skiff_value** value) {
  return guarded([&] {
    std::vector<Datum> list;
    for (size_t i = 0; i < count; ++i) list.push_back(need(need(items, "items")[i], "item")->datum);
    give(Datum::sequence(std::move(list)), value);
  });
}

skiff_status skiff_map_create(const skiff_value* keys, const skiff_value* const* values, size_t count,
                              skiff_value** value) {
  return guarded([&] {
    Datum::Map m;
    m.keys = tensor_of(keys);
    check(m.keys.dtype() == DType::kString || dtype_is_integer(m.keys.dtype()), Code::kInvalidArgument,
          "map keys are strings or integers, not ", dtype_name(m.keys.dtype()));
    for (size_t i = 0; i < count; ++i) m.values.push_back(need(need(values, "values")[i], "value")->datum);
    give(Datum::map(std::move(m)), value);
  });
}

skiff_status skiff_value_read_pb(const char* path, skiff_kind kind, skiff_value** value, char** name) {
  return guarded([&] {
    need(value, "value");
    onnx::NamedDatum d = onnx::read_value(need(path, "path"), type_of_kind(kind));
    char* text = name ? give_string(d.name) : nullptr;
    give(std::move(d.value), value);
    if (name) *name = text;
  });
}

skiff_status skiff_value_write_pb(const skiff_value* value, const char* name, const char* path) {
  return guarded(
      [&] { onnx::write_value(need(value, "value")->datum, name ? name : "", need(path, "path")); });
}

skiff_status skiff_value_compare(const skiff_value* got, const skiff_value* want, double rtol, double atol,
                                 skiff_difference* difference) {
  return guarded([&] {
    need(difference, "difference");
    Difference d = compare(need(got, "got")->datum, need(want, "want")->datum, rtol, atol);
    skiff_difference r{};
    r.equal = d.equal ? 1 : 0;
    r.max_abs = d.max_abs;
    r.max_rel = d.max_rel;
    r.mismatches = static_cast<size_t>(d.mismatches);
    r.elements = static_cast<size_t>(d.elements);
    r.worst_index = static_cast<size_t>(d.worst_index);
    r.got = d.got;
    r.want = d.want;
    std::strncpy(r.text, d.text.c_str(), sizeof r.text - 1);
    *difference = r;
  });
}

}  // extern "C"
