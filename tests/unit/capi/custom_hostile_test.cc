// Custom operators: what authors and libraries must not get away with.
#include <cstdlib>
#include <stdexcept>

#include "custom_author.h"
#include "support/temp_dir.h"

using namespace skiff;        // NOLINT
using namespace skiff::test;  // NOLINT

TEST_CASE("errors of an author's code carry the node's name, thrown or returned") {
  Author a;
  SUBCASE("a message") {
    a.compute = [](skiff_call* c, void*) { return table()->fail(c, SKIFF_LIMIT, "too many ducks"); };
    fails(a, {"limit reached", "too many ducks"});
  }
  SUBCASE("a status alone") {
    a.compute = [](skiff_call*, void*) { return SKIFF_UNSUPPORTED; };
    fails(a, {"unsupported", "the custom operator's kernel failed"});
  }
  SUBCASE("a status that is none") {
    a.compute = [](skiff_call*, void*) { return static_cast<skiff_status>(11); };
    fails(a, {"returned 11, which is no status"});
  }
  SUBCASE("an exception") {
    a.compute = [](skiff_call*, void*) -> skiff_status { throw std::runtime_error("geese"); };
    fails(a, {"the custom operator's kernel threw: geese"});
  }
  SUBCASE("anything thrown") {
    a.compute = [](skiff_call*, void*) -> skiff_status { throw 5; };
    fails(a, {"the custom operator's kernel threw something"});
  }
  SUBCASE("in create") {
    a.create = [](skiff_call*) -> skiff_status { throw std::runtime_error("no swans"); };
    a.compute = twice;
    fails(a, {"the custom operator's create threw: no swans"});
    CHECK((a.created == 1 && a.destroyed == 0));  // what was never made is not destroyed
  }
  SUBCASE("in the shape rule") {
    a.infer = [](skiff_call* c) { return table()->fail(c, SKIFF_INVALID_MODEL, "odd shape"); };
    a.compute = twice;
    fails(a, {"invalid model", "odd shape"});
  }
  SUBCASE("a table function's own message") {
    a.compute = [](skiff_call* c, void*) {
      const skiff_value* v = nullptr;
      return table()->input(c, 9, &v);
    };
    fails(a, {"invalid argument", "there is no input 9; the node has 1"});
  }
}

TEST_CASE("a rule and a kernel that contradict each other are an error") {
  Author a;
  a.compute = twice;
  auto promise = [&](skiff_dtype t, std::vector<skiff_dim> dims) {
    a.infer = [t, dims](skiff_call* c) {
      skiff_type type{SKIFF_KIND_TENSOR, t, static_cast<int>(dims.size()), dims.data()};
      return table()->set_output_type(c, 0, &type);
    };
  };
  SUBCASE("another extent") {
    promise(SKIFF_FLOAT, {{2, nullptr}, {4, nullptr}});
    fails(a, {"promised float[2, 4] for output 0", "asks for float[2, 3]"});
  }
  SUBCASE("another extent where the rest is open") {
    promise(SKIFF_FLOAT, {{-1, nullptr}, {1, nullptr}});
    fails(a, {"promised as float[t0.0, 1]", "made float[2, 3]"});
  }
  SUBCASE("another rank") {
    promise(SKIFF_FLOAT, {{-1, nullptr}});
    fails(a, {"promised as float[t0.0]", "made float[2, 3]"});
  }
  SUBCASE("another element type") {
    a.infer = same_type;
    a.compute = [](skiff_call* c, void*) {
      const int64_t dims[] = {2, 3};
      skiff_value* v = nullptr;
      return table()->output(c, 0, SKIFF_UINT8, dims, 2, &v);
    };
    fails(a, {"promised float[2, 3]", "asks for uint8[2, 3]"});
  }
  SUBCASE("another element type without a rule") {
    a.compute = [](skiff_call* c, void*) {
      const int64_t dims[] = {1};
      skiff_value* v = nullptr;
      return table()->output(c, 0, SKIFF_UINT8, dims, 1, &v);
    };
    fails(a, {"promised as float", "made uint8[1]"});
  }
  SUBCASE("a huge extent") {
    promise(SKIFF_FLOAT, {{int64_t{1} << 62, nullptr}, {int64_t{1} << 62, nullptr}});
    fails(a, {});
  }
  SUBCASE("a negative extent") {
    promise(SKIFF_FLOAT, {{-5, nullptr}});
    fails(a, {"an extent of -5"});
  }
  SUBCASE("an output that is not there") {
    a.infer = [](skiff_call* c) {
      skiff_type t{SKIFF_KIND_TENSOR, SKIFF_FLOAT, -1, nullptr};
      return table()->set_output_type(c, 3, &t);
    };
    fails(a, {"there is no output 3"});
  }
  SUBCASE("a rank without extents") {
    a.infer = [](skiff_call* c) {
      skiff_type t{SKIFF_KIND_TENSOR, SKIFF_FLOAT, 2, nullptr};
      return table()->set_output_type(c, 0, &t);
    };
    fails(a, {"rank 2 without extents"});
  }
  SUBCASE("no output made") {
    a.infer = same_type;
    a.compute = [](skiff_call*, void*) { return SKIFF_OK; };
    fails(a, {"the custom operator's kernel did not make output 0"});
  }
  SUBCASE("no output made, and no rule") {
    a.compute = [](skiff_call*, void*) { return SKIFF_OK; };
    fails(a, {"the custom operator's kernel did not make output 0"});
  }
  SUBCASE("an output made twice") {
    a.compute = [](skiff_call* c, void*) {
      const int64_t dims[] = {2, 3};
      skiff_value* v = nullptr;
      skiff_status s = table()->output(c, 0, SKIFF_FLOAT, dims, 2, &v);
      return s == SKIFF_OK ? table()->output(c, 0, SKIFF_FLOAT, dims, 2, &v) : s;
    };
    fails(a, {"output 0 was made before"});
  }
  SUBCASE("a negative shape in the kernel") {
    a.compute = [](skiff_call* c, void*) {
      const int64_t dims[] = {-2, 3};
      skiff_value* v = nullptr;
      return table()->output(c, 0, SKIFF_FLOAT, dims, 2, &v);
    };
    fails(a, {"cannot have the shape"});
  }
}

TEST_CASE("descriptions that make no sense are refused, and leave user data to their author") {
  Author a;
  a.compute = twice;
  const skiff_custom_op good = describe(a);
  const skiff_custom_formal nameless = {nullptr, 1, 0, 0, 0, 0};
  const skiff_custom_formal two[] = {{"V", 0, 0, SKIFF_VARIADIC, 0, 0}, kX};
  const skiff_custom_attr graph = {"body", 5, 0};
  const int backwards[] = {3, 2};
  struct Case {
    const char* text;
    std::function<void(skiff_custom_op&)> spoil;
  };
  const Case cases[] = {
      {"struct_size", [](skiff_custom_op& o) { o.struct_size = 8; }},
      {"compute must not be NULL", [](skiff_custom_op& o) { o.compute = nullptr; }},
      {"create and destroy", [](skiff_custom_op& o) { o.destroy = [](void*, void*) {}; }},
      {"domain and name", [](skiff_custom_op& o) { o.domain = nullptr; }},
      {"domain and name", [](skiff_custom_op& o) { o.name = ""; }},
      {"reserved", [](skiff_custom_op& o) { o.domain = ""; }},
      {"reserved", [](skiff_custom_op& o) { o.domain = "ai.onnx"; }},
      {"reserved", [](skiff_custom_op& o) { o.domain = "ai.onnx.ml"; }},
      {"reserved", [](skiff_custom_op& o) { o.domain = "skiff"; }},
      {"has an operator of this name", [](skiff_custom_op& o) { o.domain = "com.microsoft", o.name = "Gelu"; }},
      {"inputs must not be NULL", [](skiff_custom_op& o) { o.inputs = nullptr; }},
      {"at most 64", [](skiff_custom_op& o) { o.input_count = SIZE_MAX; }},
      {"no output", [](skiff_custom_op& o) { o.output_count = 0; }},
      {"input 0 has no name", [&](skiff_custom_op& o) { o.inputs = &nameless; }},
      {"variadic but not the last", [&](skiff_custom_op& o) { o.inputs = two, o.input_count = 2; }},
      {"attribute 'body' has the type 5", [&](skiff_custom_op& o) { o.attributes = &graph, o.attribute_count = 1; }},
      {"versions", [](skiff_custom_op& o) { o.version_count = 3; }},
      {"ascending", [&](skiff_custom_op& o) { o.versions = backwards, o.version_count = 2; }},
      {"flags", [](skiff_custom_op& o) { o.flags = 1u << 30; }},
  };
  for (const Case& c : cases) {
    skiff_custom_op op = good;
    c.spoil(op);
    api::Options o;
    std::string got = error_of([&] { add(o, op); });
    CHECK_MESSAGE(got.find(c.text) != std::string::npos, got, " lacks ", c.text);
  }
  CHECK(a.freed == 0);
  api::Options o;
  add(o, good);
  CHECK(error_of([&] { add(o, good); }).find("registered already") != std::string::npos);
  CHECK(a.freed == 0);
  CHECK(skiff_register_op(nullptr) == SKIFF_INVALID_ARGUMENT);
  CHECK(skiff_options_register_op(nullptr, &good) == SKIFF_INVALID_ARGUMENT);
}

TEST_CASE("libraries are loaded by an option, stay while a session uses them, and go with the last") {
  const char* path = SKIFF_TEST_FIXTURE_LIBRARY;
  std::string bytes = model("Twice", "test.fixture");
  {
    auto o = std::make_unique<api::Options>();
    o->set("custom_ops", path);
    o->set("custom_ops", cat(path, ";", path));  // again: no clash
    api::Options other{{"custom_ops", path}};
    CHECK(loaded(path));
    api::Session s = open(bytes, *o);
    o.reset();
    CHECK(loaded(path));
    CHECK(run(s)[5] == -12);
  }
  CHECK_FALSE(loaded(path));
  api::Options o{{"custom_ops", path}};  // and it can come back
  api::Session s = open(bytes, o);
  CHECK(run(s)[5] == -12);
}

TEST_CASE("libraries that misbehave are errors") {
  const char* path = SKIFF_TEST_FIXTURE_LIBRARY;
  auto load = [](const std::string& p) { return error_of([&] { api::Options o{{"custom_ops", p}}; }); };
  auto with = [&](const char* how) {
    setenv("SKIFF_TEST_FIXTURE", how, 1);
    std::string e = load(path);
    unsetenv("SKIFF_TEST_FIXTURE");
    CHECK_FALSE(loaded(path));
    return e;
  };
  CHECK(with("throw").find("threw: no mood") != std::string::npos);
  CHECK(with("fail").find("failed with unsupported") != std::string::npos);
  CHECK(with("nothing").find("registered no operator") != std::string::npos);
  CHECK(with("again").find("registered already") != std::string::npos);
  CHECK(load("/no/such/lib.so").find("not found: there is no custom-operator library") != std::string::npos);
  test::TempDir dir;
  test::write_file(dir.file("text.so"), "no library");
  CHECK(load(dir.file("text.so")).find("cannot be loaded as a shared library") != std::string::npos);
  CHECK(load(SKIFF_TEST_PLAIN_LIBRARY).find("exports no skiff_register_ops") != std::string::npos);
}
