// Every limit stops the model it is there for, with an error that names the option to raise; a cancelled run
// ends within a loop.
#include <doctest/doctest.h>

#include <atomic>
#include <chrono>
#include <functional>
#include <thread>

#include "cases/case.h"
#include "onnx/wire_write.h"
#include "runtime/session.h"
#include "support/proto_maker.h"
#include "support/temp_dir.h"

using namespace skiff;
using namespace skiff::runtime;
using namespace skiff::test;

namespace {

using Clock = std::chrono::steady_clock;
double since(Clock::time_point t) { return std::chrono::duration<double>(Clock::now() - t).count(); }

// A Loop whose body adds x to what it carries, `trips` times; scan: and stacks the sums of all trips.
ModelProto loop(int64_t trips, int64_t extent = 4, bool scan = false) {
  GraphProto body =
      graph({}, {"go_out", "sum"}, {node("Identity", {"go"}, {"go_out"}), node("Add", {"v", "x"}, {"sum"})});
  body.input = {value("i", 7, {}), value("go", 9, {}), value("v", 1, {extent})};
  body.output = {value("go_out", 9, {}), value("sum", 1, {extent})};
  NodeProto n = with(node("Loop", {"trips", "", "x"}, {"y"}, "again"), {});
  if (scan) {
    body.node.push_back(node("Identity", {"sum"}, {"slice"}));
    body.output.push_back(value("slice", 1, {extent}));
    n.output.push_back("all");
  }
  n.attribute = {graph_attribute("body", body)};
  GraphProto g = graph({}, {"y"}, {n});
  g.input = {value("x", 1, {extent})};
  if (scan) g.output = {value("all")};
  TensorProto t = ints("trips", {trips});
  t.dims.clear();
  g.initializer = {t};
  return model(g);
}

struct Outcome {
  Code code = Code::kOk;
  std::string text;
  double seconds = 0;
};

// Loads and, given inputs, runs.
Outcome outcome(const ModelProto& m, const std::vector<std::pair<std::string, std::string>>& options,
                const std::vector<Datum>& in = {}, const std::atomic<bool>* cancel = nullptr) {
  auto start = Clock::now();
  Outcome r;
  try {
    SessionOptions o;
    for (auto& [k, v] : options) o.set(k, v);
    std::string bytes = onnx::serialize(m);
    auto s = Session::load_memory(bytes, o);
    std::vector<const Datum*> given;
    for (const Datum& d : in) given.push_back(&d);
    std::vector<Datum> out(s->outputs().size());
    s->run(given, out, {}, cancel);
  } catch (const Error& e) {
    r.code = e.code();
    r.text = e.what();
  }
  r.seconds = since(start);
  return r;
}

void expect_limit(const Outcome& r, const char* option) {
  CHECK_MESSAGE(r.code == Code::kLimit, r.text);
  CHECK_MESSAGE(r.text.find(option) != std::string::npos, r.text, " does not name ", option);
  CHECK_MESSAGE(r.text.find("raise") != std::string::npos, r.text);
}

Tensor x4() { return cases::random_tensor(DType::kFloat, {4}, 1); }

// n subgraphs within each other.
ModelProto nested(int n) {
  GraphProto g = graph({}, {"t"}, {node("Abs", {"x"}, {"t"})});
  for (int i = 0; i < n; ++i) {
    NodeProto if_node = with(node("If", {"c"}, {"t"}),
                             {graph_attribute("then_branch", g),
                              graph_attribute("else_branch", graph({}, {"e"}, {node("Neg", {"x"}, {"e"})}))});
    g = graph({}, {"t"}, {if_node});
  }
  g.input = {value("c", 9, {}), value("x", 1, {4})};
  return model(g);
}

Tensor truth() {
  Tensor t(DType::kBool, {});
  *t.data<uint8_t>() = 1;
  return t;
}

// A hundred bytes that ask for 2^40 elements, or for more than can be counted.
ModelProto bomb(const char* op, std::vector<TensorProto> initializers,
                std::vector<AttributeProto> attributes = {}) {
  Names in;
  for (const TensorProto& t : initializers) in.push_back(*t.name);
  GraphProto g =
      graph({}, {"y"},
            {with(node(op, in, {"big"}, "bomb"), std::move(attributes)), node("ReduceMax", {"big"}, {"y"})});
  g.initializer = std::move(initializers);
  return model(g);
}

TensorProto scalar(TensorProto t) {
  t.dims.clear();
  return t;
}

}  // namespace

TEST_CASE("max_loop_trips ends a loop that never ends") {
  expect_limit(outcome(loop(INT64_MAX), {{"max_loop_trips", "1000"}}, {x4()}), "max_loop_trips = 1000");
  CHECK(outcome(loop(1000), {{"max_loop_trips", "1000"}}, {x4()}).code == Code::kOk);
}

TEST_CASE("max_loop_trips bounds a scan") {
  GraphProto body = graph({}, {"o"}, {node("Neg", {"e"}, {"o"})});
  body.input = {value("e", 1, {})};
  GraphProto g = graph({}, {"y"},
                       {with(node("Scan", {"x"}, {"y"}, "scan"),
                             {graph_attribute("body", body), attribute("num_scan_inputs", int64_t{1})})});
  g.input = {value("x", 1, {-1})};
  expect_limit(outcome(model(g), {{"max_loop_trips", "10"}}, {cases::random_tensor(DType::kFloat, {11}, 1)}),
               "max_loop_trips = 10");
  CHECK(outcome(model(g), {{"max_loop_trips", "10"}}, {cases::random_tensor(DType::kFloat, {10}, 1)}).code ==
        Code::kOk);
}

TEST_CASE("time_limit ends a loop that never ends") {
  Outcome r = outcome(loop(INT64_MAX), {{"time_limit", "0.2"}}, {x4()});
  expect_limit(r, "time_limit = 0.2");
  CHECK(r.seconds < 10);
}

TEST_CASE("time_limit ends a single long operator, in a fast kernel and in a reference") {
  // Some 10 to 1000 seconds of one node.
  GraphProto g = graph({}, {"y"}, {node("MatMul", {"x", "x"}, {"y"}, "long")});
  g.input = {value("x", 1, {-1, -1})};
  Tensor x(DType::kFloat, {6000, 6000});
  for (int64_t i = 0; i < x.size(); ++i) x.data<float>()[i] = 0.5f;
  for (std::string device : {"cpu", "reference"})
    for (std::string threads : {"1", "2"}) {
      CAPTURE(device);
      CAPTURE(threads);
      Outcome r = outcome(model(g), {{"time_limit", "0.3"}, {"device", device}, {"threads", threads}}, {x});
      expect_limit(r, "time_limit");
      CHECK(r.seconds < 60);
    }
}

TEST_CASE("time_limit holds while a model is loaded") {
  // Thirty folded products, each within max_fold_work.
  GraphProto g = graph({}, {}, {});
  g.output = {value("v30", 11, {400, 400})};
  TensorProto w = onnx::to_proto(cases::random_tensor(DType::kDouble, {400, 400}, 1), "v0");
  g.initializer = {w};
  for (int i = 0; i < 30; ++i)
    g.node.push_back(node("MatMul", {"v" + std::to_string(i), "v0"}, {"v" + std::to_string(i + 1)}));
  expect_limit(outcome(model(g), {{"time_limit", "0.01"}}), "time_limit = 0.01");
}

TEST_CASE("memory_limit bounds arenas, outputs, what loops stack and what references make") {
  expect_limit(outcome(loop(INT64_MAX, 1 << 10, true), {{"memory_limit", "16M"}},
                       {cases::random_tensor(DType::kFloat, {1 << 10}, 1)}),
               "memory_limit");
  // Millions of tiny values are not free either.
  expect_limit(outcome(loop(INT64_MAX, 1, true), {{"memory_limit", "1M"}},
                       {cases::random_tensor(DType::kFloat, {1}, 1)}),
               "memory_limit");
  GraphProto g = graph({}, {"y"}, {node("Expand", {"x", "shape"}, {"y"}, "expand")});
  g.input = {value("x", 1, {1}), value("shape", 7, {2})};
  const std::vector<int64_t> big = {1 << 20, 1 << 20};
  for (std::string device : {"cpu", "reference"})
    expect_limit(outcome(model(g), {{"memory_limit", "1G"}, {"device", device}},
                         {cases::random_tensor(DType::kFloat, {1}, 1), Tensor::from(big)}),
                 "memory_limit");
}

TEST_CASE("the default memory_limit stops what no machine holds") {
  SessionOptions o;
  CHECK(o.memory_limit > 0);
  GraphProto g = graph({}, {"y"}, {node("Expand", {"x", "shape"}, {"y"}, "expand")});
  g.input = {value("x", 1, {1}), value("shape", 7, {2})};
  const std::vector<int64_t> big = {1 << 20, 1 << 20};
  expect_limit(outcome(model(g), {}, {cases::random_tensor(DType::kFloat, {1}, 1), Tensor::from(big)}),
               "memory_limit");
}

TEST_CASE("memory that a run took and gave back counts no longer") {
  SessionOptions o;
  o.set("memory_limit", "2M");
  std::string bytes = onnx::serialize(loop(50, 1 << 10, true));
  auto s = Session::load_memory(bytes, o);
  for (int i = 0; i < 50; ++i)
    (void)s->run(std::vector<Datum>{cases::random_tensor(DType::kFloat, {1 << 10}, 1)});
}

TEST_CASE("a hundred bytes do not fold into gigabytes") {
  const int64_t n = int64_t{1} << 20;
  TensorProto one = onnx::to_proto(Tensor::from(std::vector<float>{1}, {1}), "one");
  std::vector<std::pair<const char*, ModelProto>> bombs = {
      {"Expand", bomb("Expand", {one, ints("s", {n, n})})},
      {"ConstantOfShape", bomb("ConstantOfShape", {ints("s", {n, n})})},
      {"Tile",
       bomb("Tile", {onnx::to_proto(Tensor::from(std::vector<float>{1}, {1, 1}), "one"), ints("s", {n, n})})},
      {"Range", bomb("Range", {scalar(ints("a", {0})), scalar(ints("b", {n * n})), scalar(ints("c", {1}))})},
      {"Pad", bomb("Pad", {one, ints("s", {n * n, n * n})})},
      {"Expand past 64 bits", bomb("Expand", {one, ints("s", {INT64_MAX, INT64_MAX})})},
      {"ConstantOfShape past 64 bits", bomb("ConstantOfShape", {ints("s", {n, n, n, n})})},
      {"Range past 64 bits", bomb("Range", {scalar(ints("a", {INT64_MIN})), scalar(ints("b", {INT64_MAX})),
                                            scalar(ints("c", {1}))})},
      {"Pad past 64 bits", bomb("Pad", {one, ints("s", {INT64_MAX, INT64_MAX})})},
      {"Resize", bomb("Upsample",
                      {onnx::to_proto(Tensor::from(std::vector<float>{1}, {1, 1}), "one"),
                       onnx::to_proto(Tensor::from(std::vector<float>{1e6f, 1e6f}, {2}), "s")},
                      {attribute("mode", "nearest")})},
      {"OneHot", bomb("OneHot", {ints("i", {0, 1}), scalar(ints("d", {n * n})), ints("v", {0, 1})})},
      {"EyeLike", bomb("EyeLike", {ints("none", {})})},
  };
  bombs[9].second.opset_import = {opset("", 9)};
  for (auto& [name, m] : bombs) {
    CAPTURE(name);
    CHECK(onnx::serialize(m).size() < 400);
    Outcome r = outcome(m, {{"memory_limit", "64M"}});
    CHECK_MESSAGE(
        (r.code == Code::kLimit || r.code == Code::kInvalidModel || r.code == Code::kInvalidArgument),
        r.text);
    CHECK(r.seconds < 20);
  }
}

TEST_CASE("fold_limit keeps large results out of the loaded model") {
  ModelProto m = bomb("ConstantOfShape", {ints("s", {1 << 20})});
  std::string bytes = onnx::serialize(m);
  auto held = [&](const char* limit) {
    SessionOptions o;
    o.set("fold_limit", limit);
    o.set("skip_passes", "remove_dead_nodes");
    return Session::load_memory(bytes, o)->print_graph().find("ConstantOfShape") != std::string::npos;
  };
  CHECK(held("1M"));
  CHECK_FALSE(held("16M"));
}

TEST_CASE("max_nodes: functions that expand exponentially, and plain long graphs") {
  ModelProto m = model(graph({"x"}, {"y"}, {node("F20", {"x"}, {"y"})}), 10);
  m.graph->node[0].domain = "my";
  m.opset_import.push_back(opset("my", 1));
  for (int i = 0; i <= 20; ++i) {
    onnx::FunctionProto f;
    f.name = "F" + std::to_string(i);
    f.domain = "my";
    f.input = {"a"};
    f.output = {"b"};
    f.opset_import = m.opset_import;
    if (i == 0) {
      f.node = {node("Abs", {"a"}, {"b"})};
    } else {
      std::string inner = "F" + std::to_string(i - 1);
      f.node = {node(inner.c_str(), {"a"}, {"h"}), node(inner.c_str(), {"h"}, {"b"})};
      for (NodeProto& n : f.node) n.domain = "my";
    }
    m.functions.push_back(std::move(f));
  }
  expect_limit(outcome(m, {}, {x4()}), "max_nodes = 1000000");
  expect_limit(outcome(m, {{"max_nodes", "100"}}, {x4()}), "max_nodes = 100");
  ModelProto line = model(graph({}, {"v99"}, {node("Abs", {"x"}, {"v0"})}));
  line.graph->input = {value("x", 1, {4})};
  for (int i = 1; i < 100; ++i)
    line.graph->node.push_back(node("Abs", {"v" + std::to_string(i - 1)}, {"v" + std::to_string(i)}));
  expect_limit(outcome(line, {{"max_nodes", "99"}}, {x4()}), "max_nodes = 99");
  CHECK(outcome(line, {{"max_nodes", "100"}}, {x4()}).code == Code::kOk);
}

TEST_CASE("max_nesting: subgraphs within subgraphs") {
  for (int n : {1, 5, 32}) {
    CAPTURE(n);
    Outcome r = outcome(nested(n), {}, {truth(), x4()});
    CHECK_MESSAGE(r.code == Code::kOk, r.text);
  }
  for (int n : {33, 34, 60, 300}) {
    CAPTURE(n);
    expect_limit(outcome(nested(n), {}, {truth(), x4()}), "max_nesting");
  }
  expect_limit(outcome(nested(3), {{"max_nesting", "2"}}, {truth(), x4()}), "max_nesting");
  CHECK(outcome(nested(3), {{"max_nesting", "3"}}, {truth(), x4()}).code == Code::kOk);
  CHECK(outcome(nested(60), {{"max_nesting", "64"}}, {truth(), x4()}).code == Code::kOk);
}

TEST_CASE("max_model_size: files and buffers") {
  ModelProto m = model(graph({"x"}, {"x"}, {}));
  m.doc_string = std::string(5000, 'x');
  expect_limit(outcome(m, {{"max_model_size", "4K"}}), "max_model_size = 4096");
  TempDir dir;
  write_file(dir.file("m.onnx"), onnx::serialize(m));
  SessionOptions o;
  o.set("max_model_size", "4K");
  CHECK_THROWS_WITH_AS(Session::load(dir.file("m.onnx"), o), doctest::Contains("max_model_size"), Error);
  o.set("max_model_size", "0");
  CHECK(Session::load(dir.file("m.onnx"), o) != nullptr);
}

TEST_CASE("options of limits: suffixes, bounds, auto") {
  SessionOptions o;
  o.set("memory_limit", "3G");
  CHECK(o.memory_limit == size_t{3} << 30);
  o.set("memory_limit", "auto");
  CHECK(o.memory_limit == SessionOptions::automatic_memory_limit());
  for (auto [key, bad] : std::vector<std::pair<const char*, const char*>>{{"max_nesting", "65"},
                                                                          {"max_nesting", "0"},
                                                                          {"max_model_size", "-1"},
                                                                          {"time_limit", "nan"},
                                                                          {"time_limit", "-1"},
                                                                          {"memory_limit", "9999999999G"},
                                                                          {"max_nodes", "0"},
                                                                          {"max_loop_trips", "ten"}}) {
    CAPTURE(key);
    CAPTURE(bad);
    CHECK_THROWS_WITH_AS(o.set(key, bad), doctest::Contains(key), Error);
  }
}

TEST_CASE("a run is cancelled from another thread within a loop that takes seconds") {
  for (std::string device : {"cpu", "reference"}) {
    std::atomic<bool> cancel{false};
    std::thread other([&] {
      std::this_thread::sleep_for(std::chrono::milliseconds(200));
      cancel = true;
    });
    Outcome r = outcome(loop(INT64_MAX), {{"device", device}}, {x4()}, &cancel);
    other.join();
    CHECK(r.code == Code::kCancelled);
    CHECK(r.text == "node 'again' (Loop): the run was cancelled");
    CHECK(r.seconds < 20);
  }
}

TEST_CASE("a run is cancelled from another thread within one long kernel") {
  GraphProto g = graph({}, {"y"}, {node("MatMul", {"x", "x"}, {"y"}, "long")});
  g.input = {value("x", 1, {-1, -1})};
  Tensor x(DType::kFloat, {6000, 6000});
  for (int64_t i = 0; i < x.size(); ++i) x.data<float>()[i] = 0.5f;
  for (std::string threads : {"1", "2"}) {
    std::atomic<bool> cancel{false};
    std::thread other([&] {
      std::this_thread::sleep_for(std::chrono::milliseconds(100));
      cancel = true;
    });
    Outcome r = outcome(model(g), {{"threads", threads}}, {x}, &cancel);
    other.join();
    CHECK(r.code == Code::kCancelled);
  }
}

TEST_CASE("a session is good for more after a run that was stopped") {
  std::string bytes = onnx::serialize(loop(100));
  SessionOptions o;
  auto s = Session::load_memory(bytes, o);
  Datum x = x4();
  const Datum* in[] = {&x};
  std::vector<Datum> out(1), again(1);
  s->run(in, out);
  std::atomic<bool> cancel{true};
  CHECK_THROWS_AS(s->run(in, again, {}, &cancel), Error);
  s->run(in, again);
  CHECK(identical(out[0].tensor(), again[0].tensor()));
}
