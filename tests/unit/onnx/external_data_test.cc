#include "onnx/external_data.h"

#include <doctest/doctest.h>

#include <cstdint>
#include <filesystem>

#include "base/error.h"
#include "onnx/wire_read.h"
#include "support/temp_dir.h"

using namespace skiff;
using namespace skiff::onnx;
using skiff::test::read_file;
using skiff::test::TempDir;
using skiff::test::write_file;
namespace fs = std::filesystem;

namespace {

StringStringEntryProto entry(std::string key, std::string value) {
  StringStringEntryProto e;
  e.key = std::move(key);
  e.value = std::move(value);
  return e;
}

// Two floats at `location`.
TensorProto external(const std::string& location, const std::string& offset = "",
                     const std::string& length = "") {
  TensorProto t;
  t.name = "w";
  t.dims = {2};
  t.data_type = 1;
  t.data_location = TensorProto::DataLocation::kExternal;
  t.external_data = {entry("location", location), entry("checksum", "ignored")};
  if (!offset.empty()) t.external_data.push_back(entry("offset", offset));
  if (!length.empty()) t.external_data.push_back(entry("length", length));
  return t;
}

std::string error_of(ExternalFiles& files, const TensorProto& t) {
  try {
    files.payload(t);
  } catch (const Error& e) {
    CHECK(e.where() == "tensor 'w'");
    return e.message();
  }
  return "";
}
bool has(const std::string& s, const char* part) { return s.find(part) != std::string::npos; }

ModelProto model_with(std::vector<std::string>& payloads) {
  ModelProto m;
  m.ir_version = 8;
  for (size_t i = 0; i < payloads.size(); ++i) {
    auto& t = m.graph.emplace().initializer.emplace_back();
    t.name = "w" + std::to_string(i);
    t.data_type = 2;
    t.dims = {static_cast<int64_t>(payloads[i].size())};
    t.raw_data = Bytes{payloads[i], {}};
  }
  return m;
}

}  // namespace

TEST_CASE("external data is mapped once and viewed") {
  TempDir dir;
  fs::create_directory(dir.file("sub"));
  write_file(dir.file("w.bin"), "0123456789abcdef");
  write_file(dir.file("sub/w.bin"), "ABCDEFGH");
  fs::create_symlink("w.bin", dir.file("inside"));  // a link that stays inside is fine
  ExternalFiles files(dir.str());
  Bytes a = files.payload(external("w.bin", "4", "8")), b = files.payload(external("w.bin"));
  CHECK(a.view == "456789ab");
  CHECK(b.view == "01234567");
  CHECK(a.view.data() == b.view.data() + 4);
  CHECK(a.owner == b.owner);
  CHECK(files.payload(external("sub/w.bin")).view == "ABCDEFGH");
  CHECK(files.payload(external("./sub/w.bin")).view == "ABCDEFGH");
  CHECK(files.payload(external("inside")).view == "01234567");
}

TEST_CASE("locations that lead out of the folder are refused") {
  TempDir outer;
  fs::create_directories(outer.file("model/sub"));
  write_file(outer.file("secret"), "secrets!");
  fs::create_directory(outer.file("elsewhere"));
  write_file(outer.file("elsewhere/w"), "secrets!");
  fs::create_symlink("../secret", outer.file("model/link"));
  fs::create_directory_symlink("../elsewhere", outer.file("model/parent"));
  fs::create_hard_link(outer.file("secret"), outer.file("model/hard"));
  fs::create_symlink("loop", outer.file("model/loop"));
  ExternalFiles files(outer.file("model"));
  CHECK(has(error_of(files, external("../secret")), "leads out"));
  CHECK(has(error_of(files, external("sub/../../secret")), "leads out"));
  CHECK(has(error_of(files, external("sub\\..\\..\\secret")), "leads out"));
  CHECK(has(error_of(files, external("..")), "leads out"));
  CHECK(has(error_of(files, external(outer.file("secret"))), "absolute"));
  CHECK(has(error_of(files, external("\\\\host\\share")), "absolute"));
  CHECK(has(error_of(files, external("C:secret")), "absolute"));
  CHECK(has(error_of(files, external("link")), "through a link"));
  CHECK(has(error_of(files, external("parent/w")), "through a link"));
  CHECK(has(error_of(files, external("hard")), "hard links"));
  CHECK(has(error_of(files, external("loop")), "cannot open"));
  CHECK(has(error_of(files, external("sub")), "folder"));
  CHECK(has(error_of(files, external(".")), "folder"));
  CHECK(has(error_of(files, external("missing")), "No such file"));
  CHECK(has(error_of(files, external(std::string("a\0b", 3))), "zero byte"));
  CHECK(has(error_of(files, external("")), "no location"));

  ExternalFiles trusted(outer.file("model"), true);
  CHECK(trusted.payload(external("link")).view == "secrets!");
  CHECK(trusted.payload(external("hard")).view == "secrets!");
  CHECK(has(error_of(trusted, external("../secret")), "leads out"));
}

TEST_CASE("offsets and lengths are checked without wrapping") {
  TempDir dir;
  write_file(dir.file("w"), "0123456789");
  ExternalFiles files(dir.str());
  CHECK(has(error_of(files, external("w", "-1")), "offset '-1'"));
  CHECK(has(error_of(files, external("w", "1x")), "offset '1x'"));
  CHECK(has(error_of(files, external("w", "0", "-8")), "length '-8'"));
  CHECK(has(error_of(files, external("w", "99999999999999999999")), "offset"));
  CHECK(has(error_of(files, external("w", "3")), "lies outside"));
  CHECK(has(error_of(files, external("w", "9223372036854775807")), "lies outside"));
  CHECK(has(error_of(files, external("w", "0", "9")), "dims need 8"));
  CHECK(has(error_of(files, external("w", "0", "4503599627370496")), "dims need 8"));
  TensorProto t = external("w");
  t.dims = {int64_t{1} << 40, 1 << 10};
  CHECK(has(error_of(files, t), "lies outside"));
  t.dims = {int64_t{1} << 62, 4};
  CHECK(has(error_of(files, t), "overflows"));
  t.dims = {-2};
  CHECK(has(error_of(files, t), "negative extent"));
  t.dims = {2};
  t.data_type = 8;
  CHECK(has(error_of(files, t), "strings"));
  t.data_type = 77;
  CHECK(has(error_of(files, t), "unknown element type 77"));
}

TEST_CASE("a model too large for one file is split, and reads back the same") {
  TempDir dir;
  std::vector<std::string> payloads = {std::string(30000, 'a'), "tiny", std::string(20000, 'b')};
  WriteOptions o;
  o.max_proto_bytes = 2000;
  std::string path = dir.file("m.onnx");
  write_model_file(model_with(payloads), path, o);
  CHECK(dir.entries() == 2);
  CHECK(fs::file_size(path) < 2000);
  CHECK(fs::file_size(dir.file("m.onnx.data")) == 32768 + 20000);
  auto m = parse_file<ModelProto>(path);
  CHECK(has_external_data(m));
  CHECK(*m.graph->initializer[2].external_data[1].value == "32768");
  ExternalFiles files(folder_of(path));
  load_external_data(m, files);
  CHECK(!has_external_data(m));
  for (size_t i = 0; i < payloads.size(); ++i) CHECK(m.graph->initializer[i].raw_data->view == payloads[i]);
  CHECK(serialize(m) == serialize(model_with(payloads)));

  SUBCASE("the split model can be rewritten in place while it is mapped") {
    write_model_file(m, path, o);
    CHECK(m.graph->initializer[2].raw_data->view == payloads[2]);
    CHECK(dir.entries() == 2);
  }
  SUBCASE("unloaded data is not overwritten under its own name") {
    auto unloaded = parse_file<ModelProto>(path);
    o.external = External::kAlways;
    CHECK_THROWS_WITH_AS(write_model_file(unloaded, path, o), doctest::Contains("would be overwritten"),
                         Error);
    CHECK(read_file(dir.file("m.onnx.data")).size() == 52768);
  }
  SUBCASE("a refused model leaves both files as they were") {
    std::string before = read_file(path);
    o.max_proto_bytes = 50;
    CHECK_THROWS_AS(write_model_file(m, path, o), Error);
    o.external = External::kNever;
    CHECK_THROWS_WITH_AS(write_model_file(m, path, o), doctest::Contains("external data"), Error);
    CHECK(read_file(path) == before);
    CHECK(dir.entries() == 2);
  }
  SUBCASE("a symbolic link in place of the data file is not followed") {
    write_file(dir.file("victim"), "precious");
    fs::remove(dir.file("m.onnx.data"));
    fs::create_symlink(dir.file("victim"), dir.file("m.onnx.data"));
    CHECK_THROWS_WITH_AS(write_model_file(m, path, o), doctest::Contains("symbolic link"), Error);
    CHECK(read_file(dir.file("victim")) == "precious");
  }
  SUBCASE("the data file's name is a plain one") {
    for (const char* name : {"../x", "/tmp/x", "a/b", "..", "c:x", "m.onnx"}) {
      o.external_name = name;
      CHECK_THROWS_AS(write_model_file(m, path, o), Error);
    }
  }
}

TEST_CASE("more than 2 GiB of weights: refused whole, accepted split") {
  std::vector<std::string> payloads = {"x"};
  ModelProto m = model_with(payloads);
  // Views may be larger than what is touched: only the size is looked at before the refusal.
  m.graph->initializer[0].raw_data = Bytes{{payloads[0].data(), size_t{3} << 30}, {}};
  CHECK(wire_size(m) > uint64_t{3} << 30);
  TempDir dir;
  WriteOptions o;
  o.external = External::kNever;
  CHECK_THROWS_WITH_AS(write_model_file(m, dir.file("big.onnx"), o), doctest::Contains("2147483647"), Error);
  CHECK(dir.entries() == 0);
}
