// Whole messages of the errors people meet, through the C interface, against errors.golden beside this file:
// a message names the file, the node, its operator, the tensor, and what would mend it. After a wanted
// change: SKIFF_GOLDEN_WRITE=1 test_capi writes the file anew; read what changed.
#include <doctest/doctest.h>

#include <cstdlib>
#include <functional>
#include <map>

#include "cases/case.h"
#include "onnx/wire_write.h"
#include "skiff/skiff.h"
#include "support/proto_maker.h"
#include "support/temp_dir.h"

using namespace skiff;
using namespace skiff::test;

namespace {

// Messages in the order they were met, by situation.
class Gallery {
 public:
  using Option = std::pair<const char*, const char*>;

  // Loads `contents` as model.onnx and expects a failure.
  void load(const std::string& situation, const std::string& contents,
            const std::vector<Option>& options = {}) {
    write_file(dir_.file("model.onnx"), contents);
    skiff_session* s = open(options);
    if (s) {
      skiff_session_free(s);
      FAIL_CHECK(situation, ": no error");
      return;
    }
    keep(situation);
  }
  void load(const std::string& situation, const ModelProto& m, const std::vector<Option>& options = {}) {
    load(situation, onnx::serialize(m), options);
  }
  // Runs it, and expects that to fail. Empty inputs are NULL.
  void run(const std::string& situation, const ModelProto& m, const std::vector<Tensor>& inputs,
           const std::vector<Option>& options = {}, bool cancelled = false, const Tensor* into = nullptr) {
    write_file(dir_.file("model.onnx"), onnx::serialize(m));
    skiff_session* s = open(options);
    if (!s) {
      FAIL_CHECK(situation, ": does not load: ", skiff_last_error());
      return;
    }
    std::vector<skiff_value*> in;
    for (const Tensor& t : inputs) in.push_back(t.defined() ? wrap(t) : nullptr);
    std::vector<skiff_value*> out(skiff_session_output_count(s));
    if (into) out[0] = wrap(*into);
    skiff_cancel* cancel = nullptr;
    skiff_cancel_create(&cancel);
    if (cancelled) skiff_cancel_request(cancel);
    skiff_status st = skiff_run(s, in.data(), in.size(), out.data(), out.size(), cancel);
    CHECK_MESSAGE(st != SKIFF_OK, situation, ": no error");
    if (st != SKIFF_OK) keep(situation);
    for (skiff_value* v : in) skiff_value_free(v);
    for (skiff_value* v : out) skiff_value_free(v);
    skiff_cancel_free(cancel);
    skiff_session_free(s);
  }
  // A call of the interface that fails.
  void call(const std::string& situation, skiff_status st) {
    CHECK_MESSAGE(st != SKIFF_OK, situation, ": no error");
    keep(situation);
  }
  std::string path(const char* name) const { return dir_.file(name); }
  const std::string& text() const { return text_; }
  int count() const { return count_; }

 private:
  skiff_session* open(const std::vector<Option>& options) {
    skiff_options* o = nullptr;
    skiff_options_create(&o);
    skiff_options_set(o, "threads", "1");
    for (auto& [k, v] : options) REQUIRE(skiff_options_set(o, k, v) == SKIFF_OK);
    skiff_session* s = nullptr;
    skiff_session_load(dir_.file("model.onnx").c_str(), o, &s);
    skiff_options_free(o);
    return s;
  }
  static skiff_value* wrap(const Tensor& t) {
    skiff_value* v = nullptr;
    std::vector<int64_t> d(t.dims().begin(), t.dims().end());
    REQUIRE(skiff_tensor_wrap(static_cast<skiff_dtype>(t.dtype()), d.data(), static_cast<int>(d.size()),
                              const_cast<void*>(t.raw()), t.bytes(), &v) == SKIFF_OK);
    return v;
  }
  void keep(const std::string& situation) {
    std::string message = skiff_last_error();
    for (size_t at; (at = message.find(dir_.str())) != std::string::npos;)
      message.replace(at, dir_.str().size(), "DIR");
    text_ += situation + "\n    " + message + "\n";
    ++count_;
  }
  TempDir dir_;
  std::string text_;
  int count_ = 0;
};

Tensor floats(Dims d) { return cases::random_tensor(DType::kFloat, std::move(d), 1); }

// y = clip(x[N, 3] * w[3, 2])
ModelProto product() {
  GraphProto g =
      graph({}, {"y"}, {node("MatMul", {"x", "w"}, {"h"}, "product"), node("Relu", {"h"}, {"y"}, "clip")});
  g.input = {value("x", 1, {-1, 3})};
  g.initializer = {onnx::to_proto(floats({3, 2}), "w")};
  return model(g);
}

ModelProto one(NodeProto n, std::vector<int64_t> dims = {1, 2, 6, 6},
               std::vector<TensorProto> constants = {}) {
  GraphProto g = graph({}, {"y"}, {std::move(n)});
  g.input = {value("x", 1, dims)};
  g.initializer = std::move(constants);
  return model(g);
}

ModelProto endless() {
  GraphProto body =
      graph({}, {"go_out", "sum"}, {node("Identity", {"go"}, {"go_out"}), node("Neg", {"v"}, {"sum"})});
  body.input = {value("i", 7, {}), value("go", 9, {}), value("v", 1, {4})};
  body.output = {value("go_out", 9, {}), value("sum", 1, {4})};
  return one(with(node("Loop", {"", "", "x"}, {"y"}, "again"), {graph_attribute("body", body)}), {4});
}

void files(Gallery& g) {
  skiff_session* s = nullptr;
  g.call("no such file", skiff_session_load(g.path("none.onnx").c_str(), nullptr, &s));
  g.call("a folder", skiff_session_load(g.path("").c_str(), nullptr, &s));
  g.load("an empty file", std::string());
  std::string whole = onnx::serialize(product());
  g.load("a file cut short", whole.substr(0, 60));
  g.load("a text", std::string("once upon a time there was a model of a ship"));
  g.load("a Git LFS pointer",
         std::string("version https://git-lfs.github.com/spec/v1\noid sha256:00\nsize 1\n"));
  g.load("a zip archive", std::string("PK\3\4 and so on"));
  ModelProto m = product();
  m.ir_version = 99;
  g.load("an IR version of the future", m);
  m = product();
  m.graph.reset();
  g.load("no graph", m);
  m = product();
  m.opset_import.clear();
  g.load("no opset", m);
  m = product();
  m.opset_import[0].version = 999;
  g.load("an opset of the future", m);
  g.load("a file too large", whole, {{"max_model_size", "64"}});
  m = product();
  auto& w = m.graph->initializer[0];
  w.raw_data.reset();
  w.data_location = TensorProto::DataLocation::kExternal;
  w.external_data.resize(1);
  w.external_data[0].key = "location";
  w.external_data[0].value = "../secret";
  g.load("external data outside the folder", m);
  w.external_data[0].value = "weights.bin";
  g.load("external data that is not there", m);
}

void graphs(Gallery& g) {
  g.load("an unknown operator", one(node("Frobnicate", {"x"}, {"y"}, "frob")));
  NodeProto custom = node("Frob", {"x"}, {"y"}, "frob");
  custom.domain = "my.domain";
  g.load("an operator set that is not imported", one(custom));
  g.load("an operator younger than the opset", one(node("Gelu", {"x"}, {"y"}, "gelu")));
  g.load("an input nothing defines", one(node("Add", {"x", "ghost"}, {"y"}, "add")));
  g.load("a required input left out", one(node("Add", {"x"}, {"y"}, "add")));
  g.load("too many inputs", one(node("Abs", {"x", "x"}, {"y"}, "abs")));
  ModelProto m = one(node("Abs", {"x"}, {"y"}, "first"));
  m.graph->node.push_back(node("Neg", {"x"}, {"y"}, "second"));
  g.load("a name defined twice", m);
  g.load("a circle",
         model(graph({}, {"y"}, {node("Neg", {"h"}, {"y"}, "a"), node("Abs", {"y"}, {"h"}, "b")})));
  g.load("an attribute missing", one(node("Cast", {"x"}, {"y"}, "cast")));
  g.load("an attribute of the wrong type",
         one(with(node("Softmax", {"x"}, {"y"}, "soft"), {attribute("axis", "one")})));
  g.load("an axis out of range",
         one(with(node("Softmax", {"x"}, {"y"}, "soft"), {attribute("axis", int64_t{7})})));
  g.load("a cast to an unknown type",
         one(with(node("Cast", {"x"}, {"y"}, "cast"), {attribute("to", int64_t{99})})));
  g.load("an element type the operator does not take", one(node("And", {"x", "x"}, {"y"}, "and")));
  m = product();
  m.graph->initializer[0] = onnx::to_proto(floats({4, 2}), "w");
  g.load("a product of extents that disagree", m);
  g.load("a convolution of the wrong channels", one(node("Conv", {"x", "w"}, {"y"}, "conv1"), {1, 2, 6, 6},
                                                    {onnx::to_proto(floats({4, 3, 3, 3}), "w")}));
  g.load("a broadcast that cannot be",
         one(node("Add", {"x", "w"}, {"y"}, "add"), {1, 2, 6, 6}, {onnx::to_proto(floats({5}), "w")}));
  g.load("a reshape that disagrees",
         one(node("Reshape", {"x", "s"}, {"y"}, "flat"), {2, 3}, {ints("s", {4, 2})}));
  g.load("a concatenation that disagrees",
         one(with(node("Concat", {"x", "w"}, {"y"}, "join"), {attribute("axis", int64_t{0})}), {2, 3},
             {onnx::to_proto(floats({2, 4}), "w")}));
  m = product();
  m.graph->initializer[0].raw_data = onnx::Bytes{"12345678", {}};
  g.load("a weight too short", m);
  m.graph->initializer[0].dims = {INT64_MAX, 4};
  g.load("a weight too large to count", m);
  m.graph->initializer[0].dims = {-1};
  g.load("a negative extent", m);
  m.graph->initializer[0].data_type = 99;
  g.load("an unknown element type", m);
  onnx::FunctionProto f;
  f.name = "F";
  f.domain = "my";
  f.input = {"a"};
  f.output = {"b"};
  m = one(node("F", {"x"}, {"y"}, "call"));
  m.graph->node[0].domain = "my";
  m.opset_import.push_back(opset("my", 1));
  f.opset_import = m.opset_import;
  f.node = {node("F", {"a"}, {"b"})};
  f.node[0].domain = "my";
  m.functions = {f};
  g.load("a function that calls itself", m);
  g.load("too many nodes", product(), {{"max_nodes", "1"}});
}

void options(Gallery& g) {
  skiff_options* o = nullptr;
  skiff_options_create(&o);
  g.call("an unknown option", skiff_options_set(o, "thread", "2"));
  g.call("an option's value", skiff_options_set(o, "threads", "many"));
  skiff_options_free(o);
  g.load("an unknown pass", onnx::serialize(product()), {{"skip_passes", "fold"}});
  g.load("an unknown device", onnx::serialize(product()), {{"device", "gpu9"}});
  g.load("a node to place that is not there", onnx::serialize(product()), {{"place", "nowhere=reference"}});
  g.load("weights beyond the memory limit", onnx::serialize(product()), {{"memory_limit", "16"}});
}

void runs(Gallery& g) {
  g.run("an input not given", product(), {Tensor()});
  g.run("too few inputs", product(), {});
  g.run("an input of the wrong element type", product(), {cases::random_tensor(DType::kDouble, {2, 3}, 1)});
  g.run("an input of the wrong rank", product(), {floats({3})});
  g.run("an input of the wrong extent", product(), {floats({2, 4})});
  ModelProto m = product();
  m.graph->input.push_back(value("z", 1, {-1}));
  g.run("two inputs of one symbol that disagree", m, {floats({2, 3}), floats({5})});
  Tensor wrong = floats({3, 2});
  g.run("an output's buffer of the wrong shape", product(), {floats({2, 3})}, {}, false, &wrong);
  g.run("a loop without end", endless(), {floats({4})}, {{"max_loop_trips", "10"}});
  g.run("a run that takes too long", endless(), {floats({4})}, {{"time_limit", "0.05"}});
  g.run("a cancelled run", product(), {floats({2, 3})}, {}, true);
  ModelProto gather = one(node("Gather", {"x", "i"}, {"y"}, "pick"), {3, 2});
  gather.graph->input.push_back(value("i", 7, {-1}));
  g.run("an index outside its tensor", gather, {floats({3, 2}), Tensor::from(std::vector<int64_t>{1, 3})});
  ModelProto expand = one(node("Expand", {"x", "s"}, {"y"}, "grow"), {1});
  expand.graph->input.push_back(value("s", 7, {2}));
  g.run("a value beyond the memory limit", expand,
        {floats({1}), Tensor::from(std::vector<int64_t>{1 << 20, 1 << 20})}, {{"memory_limit", "64M"}});
  ModelProto reshape = one(node("Reshape", {"x", "s"}, {"y"}, "flat"), {2, 3});
  reshape.graph->input.push_back(value("s", 7, {2}));
  g.run("a computed reshape that disagrees", reshape,
        {floats({2, 3}), Tensor::from(std::vector<int64_t>{4, 2})});
  ModelProto scatter = one(node("ScatterND", {"x", "i", "u"}, {"y"}, "put"), {3});
  scatter.graph->input.push_back(value("i", 7, {1, 1}));
  scatter.graph->input.push_back(value("u", 1, {1}));
  g.run("a scatter outside its tensor", scatter,
        {floats({3}), Tensor::from(std::vector<int64_t>{-7}).reshaped({1, 1}), floats({1})});
  skiff_value* v = nullptr;
  const int64_t dims[] = {2, 2};
  float few[3];
  g.call("a buffer too small", skiff_tensor_wrap(SKIFF_FLOAT, dims, 2, few, sizeof few, &v));
  const int64_t negative[] = {-2};
  g.call("a tensor of negative extent", skiff_tensor_create(SKIFF_FLOAT, negative, 1, &v));
}

}  // namespace

TEST_CASE("errors name file, node, operator, tensor and remedy") {
  Gallery g;
  files(g);
  graphs(g);
  options(g);
  runs(g);
  CHECK(g.count() >= 50);
  const std::string golden = std::string(SKIFF_SOURCE_DIR) + "/tests/unit/capi/errors.golden";
  if (std::getenv("SKIFF_GOLDEN_WRITE")) write_file(golden, g.text());
  CHECK(g.text() == read_file(golden));
}

TEST_CASE("a null place for a handle is an error that loses nothing") {
  CHECK(skiff_options_create(nullptr) == SKIFF_INVALID_ARGUMENT);
  CHECK(skiff_cancel_create(nullptr) == SKIFF_INVALID_ARGUMENT);
  const int64_t dims[] = {2};
  CHECK(skiff_tensor_create(SKIFF_FLOAT, dims, 1, nullptr) == SKIFF_INVALID_ARGUMENT);  // leaks show under ASan
  CHECK(skiff_value_read_pb("none", SKIFF_KIND_NONE, nullptr, nullptr) == SKIFF_INVALID_ARGUMENT);
}

TEST_CASE("numbers that name no element type or status are answered") {
  for (int i : {-1, 27, 256 + 1, 1 << 30}) {
    CAPTURE(i);
    CHECK(skiff_dtype_bits(static_cast<skiff_dtype>(i)) == 0);
    CHECK(std::string(skiff_dtype_name(static_cast<skiff_dtype>(i))) == skiff_dtype_name(SKIFF_UNDEFINED));
    CHECK(std::string(skiff_status_name(static_cast<skiff_status>(i))) == "unknown status");
    skiff_value* v = nullptr;
    CHECK(skiff_tensor_create(static_cast<skiff_dtype>(i), nullptr, 0, &v) == SKIFF_INVALID_ARGUMENT);
  }
}
