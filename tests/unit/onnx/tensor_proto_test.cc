#include "onnx/tensor_proto.h"

#include <doctest/doctest.h>

#include <cstdint>
#include <cstring>
#include <memory>
#include <utility>

#include "base/error.h"
#include "onnx/value_proto.h"
#include "onnx/wire_read.h"
#include "onnx/wire_write.h"
#include "support/temp_dir.h"

using namespace skiff;
using namespace skiff::onnx;

namespace {

// An owned, 64-byte aligned payload, `shift` bytes off alignment.
Bytes payload(const std::string& s, size_t shift = 0) {
  auto t = std::make_shared<Tensor>(DType::kUint8, Dims{static_cast<int64_t>(s.size() + shift)});
  char* p = t->data<char>() + shift;
  if (!s.empty()) std::memcpy(p, s.data(), s.size());
  return {{p, s.size()}, t};
}

TensorProto raw(DType type, std::vector<int64_t> dims, const std::string& bytes, size_t shift = 0) {
  TensorProto t;
  t.name = "w";
  t.data_type = static_cast<int32_t>(type);
  t.dims = std::move(dims);
  t.raw_data = payload(bytes, shift);
  return t;
}

std::string error_of(const TensorProto& t) {
  try {
    to_tensor(t);
  } catch (const Error& e) {
    CHECK(e.where() == "tensor 'w'");
    return e.message();
  }
  return "";
}
bool has(const std::string& s, const char* part) { return s.find(part) != std::string::npos; }

// The typed form of raw bytes, by the comments of onnx.proto.
TensorProto typed(TensorProto t) {
  std::string bytes(t.raw_data->view);
  t.raw_data.reset();
  auto type = static_cast<DType>(*t.data_type);
  auto fill = [&](auto& field, auto element) {
    using E = decltype(element);
    for (size_t i = 0; i + sizeof(E) <= bytes.size(); i += sizeof(E)) {
      std::memcpy(&element, bytes.data() + i, sizeof(E));
      field.push_back(static_cast<typename std::remove_reference_t<decltype(field)>::value_type>(element));
    }
  };
  switch (type) {
    case DType::kFloat:
    case DType::kComplex64: fill(t.float_data, float()); break;
    case DType::kDouble:
    case DType::kComplex128: fill(t.double_data, double()); break;
    case DType::kInt64: fill(t.int64_data, int64_t()); break;
    case DType::kUint64: fill(t.uint64_data, uint64_t()); break;
    case DType::kUint32: fill(t.uint64_data, uint32_t()); break;
    case DType::kInt32: fill(t.int32_data, int32_t()); break;
    case DType::kInt16: fill(t.int32_data, int16_t()); break;
    case DType::kInt8: fill(t.int32_data, int8_t()); break;
    case DType::kUint16:
    case DType::kFloat16:
    case DType::kBFloat16: fill(t.int32_data, uint16_t()); break;
    default: fill(t.int32_data, uint8_t()); break;
  }
  return t;
}

}  // namespace

TEST_CASE("every element type reads the same from raw and typed fields, and is written back") {
  for (int n = 1; n < kDTypeCount; ++n) {
    auto type = static_cast<DType>(n);
    CAPTURE(dtype_name(type));
    if (type == DType::kString) continue;
    const std::vector<int64_t> dims = {3, 1, 3};  // 9 elements: packed types end in the middle of a byte
    std::string bytes(dtype_bytes(type, 9), '\0');
    for (size_t i = 0; i < bytes.size(); ++i)
      bytes[i] = static_cast<char>(type == DType::kBool ? i % 2 : 37 * i + 131);
    TensorProto p = raw(type, dims, bytes);
    CHECK(raw_bytes(p) == bytes.size());
    Tensor t = to_tensor(p);
    CHECK(t.dtype() == type);
    CHECK(t.dims() == Dims{3, 1, 3});
    CHECK(t.bytes() == bytes.size());
    CHECK(std::memcmp(t.raw(), bytes.data(), bytes.size()) == 0);
    CHECK(identical(to_tensor(typed(p)), t));
    CHECK(identical(to_tensor(raw(type, dims, bytes, 1)), t));  // misaligned

    std::string wire = serialize(to_proto(t, "w"));
    TensorProto again;
    parse(again, wire, nullptr);
    CHECK(*again.name == "w");
    CHECK(again.raw_data->view == bytes);
    CHECK(identical(to_tensor(again), t));

    TensorProto longer = raw(type, dims, bytes + "x"), shorter = raw(type, dims, bytes.substr(1));
    CHECK(has(error_of(longer), "raw_data has"));
    CHECK(has(error_of(shorter), "raw_data has"));
    TensorProto wrong_count = typed(p);
    wrong_count.dims = {4, 4};
    CHECK(has(error_of(wrong_count), "but the dims need"));
    TensorProto none = p;
    none.raw_data.reset();
    CHECK(has(error_of(none), "has 0 values"));
    none.dims = {0, 5};
    CHECK(to_tensor(none).size() == 0);
  }
}

TEST_CASE("strings go through string_data only") {
  TensorProto p;
  p.name = "w";
  p.data_type = 8;
  p.dims = {2};
  p.string_data = {"a", std::string("b\0c", 3)};
  Tensor t = to_tensor(p);
  CHECK(t.data<std::string>()[1] == std::string("b\0c", 3));
  CHECK(identical(to_tensor(to_proto(t)), t));
  p.dims = {int64_t{1} << 50};
  CHECK(has(error_of(p), "has 2 values"));
  CHECK(has(error_of(raw(DType::kString, {1}, "x")), "strings cannot be stored"));
}

TEST_CASE("aligned payloads are viewed, misaligned ones copied") {
  TensorProto p = raw(DType::kFloat, {2}, "12345678");
  CHECK(to_tensor(p).raw() == p.raw_data->view.data());
  CHECK(to_tensor(p).owner() == p.raw_data->owner);
  TensorProto odd = raw(DType::kFloat, {2}, "12345678", 2);
  CHECK(to_tensor(odd).raw() != odd.raw_data->view.data());
  TensorProto bytes = raw(DType::kInt8, {3}, "123", 1);
  CHECK(to_tensor(bytes).raw() == bytes.raw_data->view.data());
  Tensor t;
  {
    TensorProto gone = raw(DType::kInt8, {3}, "123");
    t = to_tensor(gone);
  }
  CHECK(std::memcmp(t.raw(), "123", 3) == 0);
  auto keep = std::exchange(p.raw_data.emplace().owner, nullptr);  // nobody vouches for the memory
  CHECK(to_tensor(p).raw() != p.raw_data->view.data());
}

TEST_CASE("a bool is 0 or 1 whatever the file says") {
  Tensor t = to_tensor(raw(DType::kBool, {3}, std::string("\0\x02\xff", 3)));
  CHECK((t.data<uint8_t>()[0] == 0 && t.data<uint8_t>()[1] == 1 && t.data<uint8_t>()[2] == 1));
}

TEST_CASE("hostile tensors are refused before anything is allocated") {
  CHECK(has(error_of(raw(DType::kFloat, {-1}, "1234")), "negative extent -1"));
  CHECK(has(error_of(raw(DType::kFloat, {int64_t{1} << 32, int64_t{1} << 32}, "1234")), "overflows"));
  CHECK(has(error_of(raw(DType::kFloat, {0, int64_t{1} << 32, -1}, "")), "negative extent"));
  CHECK(has(error_of(raw(DType::kFloat, {int64_t{1} << 50}, "1234")), "raw_data has 4 bytes"));
  CHECK(has(error_of(raw(DType::kDouble, {INT64_MAX}, "1234")), "too large"));
  TensorProto t = raw(DType::kFloat, {1}, "1234");
  t.data_type = 0;
  CHECK(has(error_of(t), "unknown element type 0"));
  t.data_type = -5;
  CHECK(has(error_of(t), "unknown element type -5"));
  t.data_type = 27;
  CHECK(has(error_of(t), "6-bit"));
  t.data_type = 1;
  t.float_data = {1};
  CHECK(has(error_of(t), "both raw_data and typed"));
  t.float_data.clear();
  t.segment.emplace();
  CHECK(has(error_of(t), "segments"));
  TensorProto small;
  small.name = "w";
  small.data_type = 3;
  small.dims = {2};
  small.int32_data = {-128, 256};
  CHECK(has(error_of(small), "int32_data[1] = 256 does not fit in 8 bits"));
  small.int32_data = {-128, 255};  // both readings of a bit pattern are met
  CHECK(to_tensor(small).data<int8_t>()[1] == -1);
  TensorProto external;
  external.name = "w";
  external.data_type = 1;
  external.data_location = TensorProto::DataLocation::kExternal;
  CHECK_THROWS_WITH_AS(to_tensor(external), doctest::Contains("folder"), Error);
}

TEST_CASE("sparse tensors: both index forms, dense form, checks") {
  const float v[] = {5, 6};
  SparseTensorProto s;
  s.dims = {2, 3};
  s.values = to_proto(Tensor::from(std::span<const float>(v), {2}), "s");
  auto indices = [&](std::vector<int64_t> x, Dims d) {
    s.indices = to_proto(Tensor::from(std::span<const int64_t>(x)).reshaped(std::move(d)));
  };
  indices({1, 5}, {2});
  CHECK(to_floats(densify(to_sparse(s))) == std::vector<float>{0, 5, 0, 0, 0, 6});
  indices({0, 1, 1, 2}, {2, 2});
  Datum::Sparse t = to_sparse(s);
  CHECK(to_floats(densify(t)) == std::vector<float>{0, 5, 0, 0, 0, 6});
  CHECK(identical(densify(to_sparse(to_proto(t))), densify(t)));
  CHECK_THROWS_WITH_AS(densify(t, 23), doctest::Contains("limit is 23"), Error);
  auto bad = [&](std::vector<int64_t> x, Dims d, const char* what) {
    indices(std::move(x), std::move(d));
    CHECK_THROWS_WITH_AS(to_sparse(s), doctest::Contains(what), Error);
  };
  bad({1, 6}, {2}, "out of range");
  bad({-1, 1}, {2}, "out of range");
  bad({5, 1}, {2}, "not ascending");
  bad({1, 1}, {2}, "not ascending");
  bad({0, 3, 1, 2}, {2, 2}, "out of range");
  bad({0, 1, 2}, {3}, "shape");
  s.dims = {int64_t{1} << 40, int64_t{1} << 40};
  bad({0, 1}, {2}, "overflows");
  s.dims = {2, 0};
  bad({0, 1}, {2}, "extent 0");

  Datum::Sparse packed;
  packed.dims = {4};
  packed.values = Tensor(DType::kInt4, {1});
  packed.values.data<uint8_t>()[0] = 0x0f;
  packed.indices = Tensor::from(std::vector<int64_t>{3});
  CHECK(to_ints(densify(packed)) == std::vector<int64_t>{0, 0, 0, -1});
}

TEST_CASE("sequences, maps and optionals go through files") {
  test::TempDir dir;
  std::string path = dir.file("v.pb");
  Tensor a = Tensor::scalar(int64_t{1}), b = Tensor::scalar(2.5f);
  Tensor keys(DType::kString, {2});
  keys.data<std::string>()[0] = "x";
  Type tensor = Type::tensor(DType::kInt64);
  Datum map = Datum::map({keys, {a, b}});
  Type map_type = Type::map(DType::kString, tensor);

  write_value(a, "a", path);
  CHECK(read_value(path, tensor).name == "a");
  CHECK(identical(read_value(path, {}).value.tensor(), a));
  write_value(Datum::sequence({map, map}), "maps", path);
  NamedDatum maps = read_value(path, Type::sequence(map_type));
  CHECK(maps.name == "maps");
  CHECK(maps.value.items().size() == 2);
  CHECK(identical(maps.value.items()[1].map().keys, keys));
  CHECK(identical(maps.value.items()[1].map().values[1].tensor(), b));
  write_value(Datum::sequence({}, DType::kFloat), "", path);
  Datum empty = read_value(path, Type::sequence(Type::tensor(DType::kFloat))).value;
  CHECK(empty.items().empty());
  CHECK(empty.elem_type() == DType::kFloat);
  write_value(map, "", path);
  CHECK(identical(read_value(path, map_type).value.map().values[0].tensor(), a));
  write_value(Datum(), "", path);
  CHECK(read_value(path, Type::optional(tensor)).value.kind() == Datum::Kind::kNone);
  write_value(a, "", path, Type::optional(tensor));
  CHECK(identical(read_value(path, Type::optional(tensor)).value.tensor(), a));
  write_value(Datum::sequence({Datum::sequence({a}), Datum::sequence({b})}), "", path);
  CHECK(identical(
      read_value(path, Type::sequence(Type::sequence(tensor))).value.items()[1].items()[0].tensor(), b));

  MapProto m;
  m.key_type = 7;
  m.keys = {1, 2};
  m.values.emplace().elem_type = 1;
  CHECK_THROWS_WITH_AS(to_datum(m), doctest::Contains("2 keys, but 0 values"), Error);
  m.key_type = 1;
  CHECK_THROWS_WITH_AS(to_datum(m), doctest::Contains("keys must be"), Error);
  SequenceProto s;
  s.elem_type = 9;
  CHECK_THROWS_WITH_AS(to_datum(s), doctest::Contains("element kind 9"), Error);
  test::write_file(path, "not a tensor");
  CHECK_THROWS_WITH_AS(read_value(path, tensor), doctest::Contains(path.c_str()), Error);
}
