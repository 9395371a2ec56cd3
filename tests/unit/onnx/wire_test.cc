#include <doctest/doctest.h>

#include <string>

#include "base/error.h"
#include "onnx/wire_read.h"
#include "onnx/wire_write.h"
#include "unit/onnx/sample.h"

using namespace skiff;
using namespace skiff::onnx;

namespace {

template <class T>
T parsed(const std::string& bytes, const ReadLimits& limits = {}) {
  T m;
  parse(m, bytes, nullptr, limits);
  return m;
}

// The error of parsing `bytes`, or "" when it parses.
template <class T>
std::string error_of(const std::string& bytes, const ReadLimits& limits = {}) {
  try {
    parsed<T>(bytes, limits);
  } catch (const Error& e) {
    return e.what();
  }
  return {};
}

std::string varint(uint64_t v) {
  std::string s;
  for (; v >= 0x80; v >>= 7) s += static_cast<char>(v | 0x80);
  return s + static_cast<char>(v);
}
std::string tag(uint32_t field, uint32_t wire) { return varint(uint64_t{field} << 3 | wire); }
std::string sub(uint32_t field, const std::string& body) {
  return tag(field, 2) + varint(body.size()) + body;
}

}  // namespace

TEST_CASE("every field of every message survives a round trip") {
  std::string bytes = serialize(full_model());
  CHECK(bytes.size() == wire_size(full_model()));
  ModelProto m = parsed<ModelProto>(bytes);
  CHECK(serialize(m) == bytes);
  CHECK(m.graph->initializer[0].raw_data->view == "12345678");
  CHECK(m.graph->node[0].attribute[4].g->node[0].op_type.get() == "Inner");
  CHECK(m.functions[0].overload.get() == "o1");
  CHECK(m.training_info[0].algorithm->name.get() == "algorithm");
  CHECK(m.graph->node[0]
            .device_configurations[0]
            .sharding_spec[0]
            .sharded_dim[0]
            .simple_sharding[0]
            .dim_param.get() == "N");
}

TEST_CASE("payloads view the input instead of copying it") {
  std::string bytes = serialize(full_model());
  auto owner = std::make_shared<const int>(1);
  ModelProto m;
  parse(m, bytes, owner);
  const Bytes& raw = m.graph->initializer[0].raw_data.get();
  CHECK(raw.view.data() >= bytes.data());
  CHECK(raw.view.data() < bytes.data() + bytes.size());
  CHECK(raw.owner == owner);
}

TEST_CASE("a model cut at any byte gives a model or one clear error") {
  std::string bytes = serialize(full_model());
  int errors = 0;
  for (size_t n = 0; n < bytes.size(); ++n) {
    std::string cut = bytes.substr(0, n);
    std::string error = error_of<ModelProto>(cut);
    if (error.empty()) continue;
    ++errors;
    CHECK_MESSAGE(error.find("truncated") != std::string::npos, error);
  }
  CHECK(errors > static_cast<int>(bytes.size() * 8 / 10));
}

TEST_CASE("flipped bits give a model or an Error") {
  std::string bytes = serialize(full_model());
  ReadLimits limits;
  limits.max_memory = 64 << 20;
  for (size_t i = 0; i < bytes.size(); i += 3) {
    for (int bit : {0, 3, 7}) {
      std::string bad = bytes;
      bad[i] = static_cast<char>(bad[i] ^ (1 << bit));
      try {
        ModelProto m = parsed<ModelProto>(bad, limits);
        std::string again = serialize(m);
        CHECK(serialize(parsed<ModelProto>(again)) == again);  // what was read can be written and read
      } catch (const Error&) {
      }
    }
  }
}

TEST_CASE("the error of a cut file names the innermost thing that is cut") {
  ModelProto m;
  m.graph.emplace().initializer.resize(1);
  m.graph->initializer[0].name = "conv1.weight";
  m.graph->initializer[0].raw_data = Bytes{"0123456789", {}};
  std::string bytes = serialize(m);
  std::string error = error_of<ModelProto>(bytes.substr(0, bytes.size() - 4));
  CHECK(error ==
        "graph, initializer 0 'conv1.weight': truncated: field raw_data needs 10 bytes, but 6 are left; "
        "the file is damaged or cut short, fetch it again");
}

TEST_CASE("unknown fields come back verbatim at every level") {
  const std::string a = tag(999, 0) + varint(7), b = sub(1000, "hello"), c = tag(998, 1) + "12345678",
                    d = tag(997, 5) + "1234";
  const std::string unknown = a + b + c + d + a;
  SUBCASE("model") { CHECK(serialize(parsed<ModelProto>(unknown)) == unknown); }
  SUBCASE("graph") { CHECK(serialize(parsed<ModelProto>(sub(7, unknown))) == sub(7, unknown)); }
  SUBCASE("deep: attribute of a node of a subgraph") {
    std::string bytes = sub(7, sub(1, sub(5, sub(6, sub(1, sub(5, unknown))))));
    CHECK(serialize(parsed<ModelProto>(bytes)) == bytes);
  }
  SUBCASE("type, shape and dimension") {
    std::string bytes = sub(2, sub(1, sub(2, sub(1, unknown) + unknown) + unknown) + unknown) + unknown;
    CHECK(serialize(parsed<ValueInfoProto>(bytes)) == bytes);
  }
  SUBCASE("tensor, segment, map and optional values") {
    CHECK(serialize(parsed<TensorProto>(sub(3, unknown) + unknown)) == sub(3, unknown) + unknown);
    CHECK(serialize(parsed<MapProto>(sub(5, sub(6, unknown)))) == sub(5, sub(6, unknown)));
    CHECK(serialize(parsed<OptionalProto>(sub(7, sub(7, unknown)))) == sub(7, sub(7, unknown)));
  }
  SUBCASE("a known number with a foreign wire type is unknown") {
    std::string bytes = sub(1, "x") + tag(7, 0) + varint(3);
    ModelProto m = parsed<ModelProto>(bytes);
    CHECK(!m.ir_version.has());
    CHECK(!m.graph);
    CHECK(serialize(m) == bytes);
  }
}

TEST_CASE("packed and unpacked repeated numbers are both read") {
  CHECK(parsed<TensorProto>(sub(1, varint(300) + varint(2))).dims == std::vector<int64_t>{300, 2});
  CHECK(parsed<TensorProto>(tag(1, 0) + varint(300) + tag(1, 0) + varint(2)).dims ==
        std::vector<int64_t>{300, 2});
  std::string one("\0\0\x80\x3f", 4);
  CHECK(parsed<TensorProto>(sub(4, one + one)).float_data == std::vector<float>{1, 1});
  CHECK(parsed<TensorProto>(tag(4, 5) + one + sub(4, one)).float_data == std::vector<float>{1, 1});
  CHECK(parsed<TensorProto>(sub(5, varint(~uint64_t{0}))).int32_data == std::vector<int32_t>{-1});
  CHECK(error_of<TensorProto>(sub(4, "12345")).find("not a multiple of 4") != std::string::npos);
  CHECK(error_of<TensorProto>(sub(5, "\x80")).find("truncated: field int32_data") != std::string::npos);
}

TEST_CASE("presence: a default value that is there is written back, an absent one is not") {
  std::string bytes = tag(2, 5) + std::string(4, '\0') + tag(3, 0) + varint(0) + sub(4, "");
  AttributeProto a = parsed<AttributeProto>(bytes);
  CHECK((a.f.has() && a.i.has() && a.s.has() && !a.name.has() && !a.t.has()));
  CHECK(serialize(a) == bytes);
  CHECK(serialize(parsed<AttributeProto>(sub(5, ""))) == sub(5, ""));
}

TEST_CASE("a message field given twice is merged, of a oneof the last stands") {
  ModelProto m = parsed<ModelProto>(sub(7, sub(2, "a")) + sub(7, sub(10, "doc")));
  CHECK(m.graph->name.get() == "a");
  CHECK(m.graph->doc_string.get() == "doc");
  auto dim = parsed<ValueInfoProto>(sub(2, sub(1, sub(2, sub(1, sub(2, "N") + tag(1, 0) + varint(4))))));
  const auto& d = dim.type->tensor_type->shape->dim[0];
  CHECK((d.dim_value.get() == 4 && !d.dim_param.has()));
}

TEST_CASE("hostile lengths, numbers and depths are errors") {
  CHECK(error_of<ModelProto>(tag(7, 2) + varint(uint64_t{1} << 62)).find("truncated") != std::string::npos);
  CHECK(error_of<ModelProto>(tag(7, 2) + varint((uint64_t{1} << 32) + 2) + "ab").size() > 0);
  CHECK(error_of<TensorProto>(tag(9, 2) + varint(~uint64_t{0}) + "ab")
            .find("raw_data needs 18446744073709551615") != std::string::npos);
  CHECK(error_of<ModelProto>(std::string(12, '\xff')).find("longer than 64 bits") != std::string::npos);
  CHECK(error_of<ModelProto>(std::string(1, '\0')).find("out of range") != std::string::npos);
  CHECK(error_of<ModelProto>(tag(3, 3)).find("wire type 3") != std::string::npos);

  std::string nest;
  for (int i = 0; i < 500; ++i) nest = sub(1, sub(5, sub(6, nest)));
  CHECK(error_of<GraphProto>(nest).find("nested deeper than 100") != std::string::npos);
  ReadLimits deep;
  deep.max_depth = 1 << 30;  // clamped: the stack is finite
  CHECK(error_of<GraphProto>(nest, deep).find("nested deeper than 1000") != std::string::npos);
  std::string shallow;
  for (int i = 0; i < 33; ++i) shallow = sub(1, sub(5, sub(6, shallow)));
  CHECK(serialize(parsed<GraphProto>(shallow)) == shallow);

  std::string many;
  for (int i = 0; i < 100000; ++i) many += sub(1, "");
  ReadLimits small;
  small.max_memory = 1 << 20;
  CHECK(error_of<GraphProto>(many, small).find("memory") != std::string::npos);
}

TEST_CASE("a message beyond the limit is refused before anything is written") {
  TensorProto t;
  t.raw_data = Bytes{"0123456789", {}};
  CHECK_THROWS_WITH_AS(serialize(t, 8), doctest::Contains("external data"), Error);
}
