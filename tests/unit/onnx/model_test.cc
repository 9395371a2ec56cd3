#include <doctest/doctest.h>

#include <algorithm>
#include <string>

#include "base/error.h"
#include "onnx/export.h"
#include "onnx/import.h"
#include "onnx/tensor_proto.h"
#include "support/proto_maker.h"
#include "support/temp_dir.h"
#include "unit/onnx/sample.h"

using namespace skiff;
using namespace skiff::onnx;
using namespace skiff::test;

namespace {

std::string error_of(const ModelProto& m, Code code = Code::kInvalidModel) {
  try {
    import_model(m, nullptr);
  } catch (const Error& e) {
    CHECK(e.code() == code);
    return e.what();
  }
  return "";
}
bool has(const std::string& s, const char* part) { return s.find(part) != std::string::npos; }

// y = x + captured, two graphs deep: If inside If.
ModelProto nested_model() {
  NodeProto inner = node("If", {"cond"}, {"inner_out"}, "inner");
  inner.attribute = {graph_attribute("then_branch", graph({}, {"t"}, {node("Add", {"x", "mid"}, {"t"})})),
                     graph_attribute("else_branch", graph({}, {"x"}, {}))};
  GraphProto then = graph({}, {"inner_out"}, {node("Neg", {"x"}, {"mid"}), inner});
  NodeProto outer = node("If", {"cond"}, {"y"}, "outer");
  outer.attribute = {graph_attribute("then_branch", then),
                     graph_attribute("else_branch", graph({}, {"e"}, {node("Abs", {"x"}, {"e"})}))};
  return model(graph({"cond", "x"}, {"y"}, {outer}));
}

}  // namespace

TEST_CASE("values, constants, types and attributes arrive") {
  GraphProto g =
      graph({"x"}, {"y"}, {node("Mul", {"x", "w", ""}, {"h", ""}, "mul"), node("Relu", {"h"}, {"y"})});
  g.initializer = {weight("w")};
  g.value_info = {value("h")};
  g.node[0].attribute.resize(1);
  g.node[0].attribute[0].name = "alpha";
  g.node[0].attribute[0].f = 0.5f;  // no type: guessed
  Model m = import_model(model(g), nullptr);
  verify(m.graph);
  CHECK(m.graph.node_count() == 2);
  CHECK(m.graph.inputs().size() == 1);
  const Node& mul = m.graph.node(0);
  CHECK(mul.opset == 17);
  CHECK(mul.attr_f("alpha", 0) == 0.5f);
  CHECK(mul.inputs[2] == kNoValue);
  CHECK(mul.outputs[1] == kNoValue);
  CHECK(m.graph.value(mul.inputs[1]).is_constant());
  CHECK(m.graph.value(mul.outputs[0]).type.to_string() == "float[...]");
  CHECK(m.graph.value(m.graph.outputs()[0]).producer == 1);
}

TEST_CASE("a full round trip of the graph changes nothing") {
  ModelProto p = nested_model();
  p.graph->doc_string = "graph doc";
  p.graph->initializer = {weight("w"), weight("unused")};
  p.graph->initializer[0].doc_string = "weight doc";
  p.graph->initializer[0].metadata_props.resize(1);
  p.graph->initializer[0].unknown = "\x98\x3f\x01";
  p.graph->input[1].doc_string = "input doc";
  p.graph->input[1].type->tensor_type->shape.emplace().dim.resize(2);
  p.graph->input[1].type->tensor_type->shape->dim[0].dim_param = "N";
  p.graph->input[1].type->tensor_type->shape->dim[1].denotation = "DATA_CHANNEL";
  p.graph->node[0].doc_string = "node doc";
  p.graph->node[0].attribute[0].doc_string = "attribute doc";
  p.graph->node[0].unknown = "\x98\x3f\x01";
  p.graph->quantization_annotation.resize(1);
  p.graph->quantization_annotation[0].tensor_name = "w";
  p.graph->value_info = {value("nobody"), value("w")};
  p.metadata_props.resize(1);
  p.metadata_props[0].key = "k";
  p.metadata_props[0].value = "v";
  p.training_info = full_model().training_info;
  p.configuration = full_model().configuration;
  p.unknown = "\x98\x3f\x01";
  Model m = import_model(p, nullptr);
  verify(m.graph);
  ModelProto back = export_model(m);
  // "w" is a scalar, so its value_info without a shape no longer says the same: that entry is dropped.
  p.graph->value_info.pop_back();
  CHECK(serialize(back) == serialize(p));
  CHECK(serialize(export_model(import_model(back, nullptr))) == serialize(p));
}

TEST_CASE("every attribute kind survives, with what is kept beside its value") {
  ModelProto full = full_model();
  NodeProto n = node("Everything", {}, {"y"});
  n.domain = "some.domain";
  n.attribute = full.graph->node[0].attribute;
  std::erase_if(n.attribute, [](const AttributeProto& a) {  // those with graphs and nonsense tensors
    return a.g.has() || !a.graphs.empty() || a.t.has() || a.sparse_tensor.has() || !a.sparse_tensors.empty();
  });
  n.attribute[0].ref_attr_name.reset();
  AttributeProto t;
  t.name = "tensor";
  t.type = AttributeProto::Type::kTensor;
  t.t = weight("name within");
  t.t->doc_string = "doc within";
  n.attribute.push_back(t);
  ModelProto p = model(graph({}, {"y"}, {n}));
  p.opset_import.push_back(opset("some.domain", 1));
  CHECK(n.attribute.size() == 10);
  CHECK(serialize(export_model(import_model(p, nullptr))) == serialize(p));
}

TEST_CASE("sparse tensors, tensor lists and graph lists survive") {
  const float v[] = {5, 6};
  const int64_t at[] = {1, 4};
  SparseTensorProto sparse;
  sparse.dims = {2, 3};
  sparse.values = to_proto(Tensor::from(std::span<const float>(v), {2}), "sw");
  sparse.values->doc_string = "doc";
  sparse.indices = to_proto(Tensor::from(std::span<const int64_t>(at)), "named indices");
  NodeProto n = node("Everything", {"x", "sw"}, {"y"});
  auto attribute = [&n](AttributeProto::Type type) -> AttributeProto& {
    auto& a = n.attribute.emplace_back();
    a.name = "a" + std::to_string(n.attribute.size());
    a.type = type;
    return a;
  };
  attribute(AttributeProto::Type::kSparseTensor).sparse_tensor = sparse;
  attribute(AttributeProto::Type::kSparseTensors).sparse_tensors = {sparse, sparse};
  attribute(AttributeProto::Type::kTensors).tensors = {weight("one"), to_proto(Tensor::scalar(int64_t{3}))};
  attribute(AttributeProto::Type::kGraphs).graphs = {graph({}, {"a"}, {node("Abs", {"x"}, {"a"})}),
                                                     graph({"i"}, {"i"}, {})};
  ModelProto p = model(graph({"x"}, {"y"}, {n}));
  p.graph->sparse_initializer = {sparse};
  Model m = import_model(p, nullptr);
  verify(m.graph);
  const Value& s = m.graph.value(m.graph.find_value("sw"));
  CHECK(s.sparse != nullptr);
  CHECK(s.type.to_string() == "float[2, 3]");
  CHECK(m.graph.node(0).captures.size() == 1);
  CHECK(serialize(export_model(m)) == serialize(p));
  p.graph->sparse_initializer[0].indices->raw_data =
      Bytes{std::string_view("\7\0\0\0\0\0\0\0\1\0\0\0\0\0\0\0", 16), {}};
  CHECK(has(error_of(p), "sparse tensor 'sw': sparse index 7 is out of range"));
}

TEST_CASE("captures go through every graph between use and definition") {
  Model m = import_model(nested_model(), nullptr);
  verify(m.graph);
  const Node& outer = m.graph.node(0);
  CHECK(outer.captures.size() == 2);  // x and cond, once each
  const Graph& then = *outer.attr_graph("then_branch");
  CHECK(then.captures().size() == 2);
  const Node& inner = then.node(1);
  CHECK(inner.captures.size() == 2);
  CHECK(then.value(inner.captures[0]).name == "x");
  CHECK(!then.value(inner.captures[1]).is_capture);  // mid
  const Graph& else_branch = *inner.attr_graph("else_branch");
  CHECK(else_branch.value(else_branch.outputs()[0]).is_capture);
}

TEST_CASE("names that hide an outer one are made unique on writing") {
  NodeProto n = node("If", {"c"}, {"y"});
  n.attribute = {graph_attribute("then_branch", graph({}, {"h"}, {node("Abs", {"x"}, {"h"})})),
                 graph_attribute("else_branch", graph({}, {"h__1"}, {node("Neg", {"h"}, {"h__1"})}))};
  Model m = import_model(model(graph({"c", "x"}, {"y"}, {node("Relu", {"x"}, {"h"}), n})), nullptr);
  verify(m.graph);
  ModelProto p = export_model(m);
  const GraphProto& then = *p.graph->node[1].attribute[0].g;
  CHECK(then.node[0].output[0] == "h__1");
  CHECK(*then.output[0].name == "h__1");
  CHECK(p.graph->node[1].attribute[1].g->node[0].input[0] == "h");
}

TEST_CASE("initializers among the inputs: constants in IR 3, defaults since") {
  GraphProto g = graph({"x", "w"}, {"y"}, {node("Add", {"x", "w"}, {"y"})});
  g.initializer = {weight("w")};
  for (int64_t ir : {3, 4}) {
    CAPTURE(ir);
    Model m = import_model(model(g, ir), nullptr);
    const Value& w = m.graph.value(m.graph.find_value("w"));
    CHECK(w.overridable == (ir == 4));
    CHECK(w.is_constant() == (ir == 3));
    CHECK(m.graph.inputs().size() == (ir == 4 ? 2u : 1u));
    ModelProto p = export_model(m);
    CHECK(*p.ir_version == ir);
    CHECK(p.graph->input.size() == 2);
    CHECK(*p.graph->input[1].name == "w");
    CHECK(p.graph->initializer.size() == 1);
  }
}

TEST_CASE("an extent named ? is unknown, not a name: two of them need not be equal") {
  GraphProto g = graph({"x"}, {"y"}, {node("Abs", {"x"}, {"y"})});
  auto& shape = g.input[0].type->tensor_type->shape.emplace();
  for (const char* n : {"?", "N", "?"}) shape.dim.emplace_back().dim_param = n;
  Model m = import_model(model(std::move(g)), nullptr);
  const SymShape& s = m.graph.value(m.graph.inputs()[0]).type.shape;
  CHECK_FALSE(s[0].is_known());
  CHECK(s[1] == Dim::symbol("N"));
  CHECK_FALSE(s[2].is_known());
}

TEST_CASE("nodes may stand in any order, cycles are refused") {
  Model m = import_model(model(graph({"x"}, {"y"}, {node("Neg", {"h"}, {"y"}), node("Abs", {"x"}, {"h"})})),
                         nullptr);
  ModelProto p = export_model(m);
  CHECK(*p.graph->node[0].op_type == "Abs");
  CHECK(has(error_of(model(graph(
                {"x"}, {"y"},
                {node("Add", {"x", "b"}, {"a"}), node("Neg", {"a"}, {"b"}), node("Neg", {"b"}, {"y"})}))),
            "cycle"));
  CHECK(has(error_of(model(graph({}, {"y"}, {node("Neg", {"y"}, {"y"})}))), "cycle"));
  NodeProto n = node("If", {"c"}, {"y"}, "if");
  n.attribute = {graph_attribute("then_branch", graph({}, {"t"}, {node("Abs", {"y"}, {"t"})}))};
  CHECK(has(error_of(model(graph({"c"}, {"y"}, {n}))), "cycle"));
}

TEST_CASE("broken models are refused by name") {
  auto one = [](NodeProto n) { return model(graph({"x"}, {"y"}, {std::move(n)})); };
  CHECK(has(error_of(one(node("Add", {"x", "ghost"}, {"y"}, "add"))),
            "node 'add' (Add): input 'ghost' is defined by nothing"));
  CHECK(has(error_of(one(node("Abs", {"x"}, {"z"}))), "output 'y' is defined by nothing"));
  CHECK(has(
      error_of(model(graph({"x"}, {"y"}, {node("Abs", {"x"}, {"y"}, "a"), node("Neg", {"x"}, {"y"}, "b")}))),
      "node 'b' (Neg) defines 'y', which is already defined by node 'a' (Abs)"));
  CHECK(has(error_of(one(node("Abs", {"x"}, {"x"}))), "already a graph input"));
  CHECK(has(error_of(model(graph({"x", "x"}, {}, {}))), "two graph inputs are named 'x'"));
  CHECK(has(error_of(one(node("", {"x"}, {"y"}))), "no op_type"));
  NodeProto ml = node("Scaler", {"x"}, {"y"}, "s");
  ml.domain = "ai.onnx.ml";
  CHECK(has(error_of(one(ml)), "operator set 'ai.onnx.ml' is not among the opset_imports"));
  NodeProto twice = node("Abs", {"x"}, {"y"});
  twice.attribute.resize(2);
  for (auto& a : twice.attribute) a.name = "a", a.i = 1;
  CHECK(has(error_of(one(twice)), "attribute 'a' is given twice"));
  twice.attribute.resize(1);
  twice.attribute[0].i.reset();
  CHECK(has(error_of(one(twice)), "neither type nor value"));
  twice.attribute[0].type = AttributeProto::Type::kTensor;
  CHECK(has(error_of(one(twice)), "attribute 'a': it has no value"));
  twice.attribute[0].type = static_cast<AttributeProto::Type>(77);
  CHECK(has(error_of(one(twice)), "unknown attribute type 77"));
  GraphProto g = graph({"x"}, {"x"}, {});
  g.initializer = {weight("w"), weight("w")};
  CHECK(has(error_of(model(g)), "'w'"));
  g.initializer.resize(1);
  g.initializer[0].raw_data = Bytes{"123", {}};
  CHECK(has(error_of(model(g)), "tensor 'w': raw_data has 3 bytes"));

  ModelProto m = model(graph({"x"}, {"x"}, {}));
  m.opset_import.clear();
  CHECK(has(error_of(m), "opset_import"));
  m = model(graph({"x"}, {"x"}, {}), 15);
  CHECK(has(error_of(m, Code::kUnsupported), "newest supported is 14"));
  m.ir_version = 2;
  CHECK(has(error_of(m, Code::kUnsupported), "oldest supported is 3"));
  m.ir_version = 8;
  m.opset_import[0].version = -1;
  CHECK(has(error_of(m), "version -1"));
  m.graph.reset();
  CHECK(has(error_of(m), "no graph"));
}

TEST_CASE("functions: overloads, defaults, references, recursion and explosion") {
  ModelProto m = model(graph({"x"}, {"y"}, {node("F", {"x"}, {"y"})}), 10);
  m.graph->node[0].domain = "my";
  m.graph->node[0].overload = "v1";
  m.opset_import.push_back(opset("my", 1));
  auto function = [](const char* name, std::vector<NodeProto> nodes) {
    FunctionProto f;
    f.name = name;
    f.domain = "my";
    f.overload = "v1";
    f.input = {"a"};
    f.output = {"b"};
    f.opset_import = {opset("", 18), opset("my", 1)};
    f.node = std::move(nodes);
    return f;
  };
  NodeProto body = node("LeakyRelu", {"a"}, {"b"});
  body.attribute.resize(1);
  body.attribute[0].name = "alpha";
  body.attribute[0].ref_attr_name = "slope";
  body.attribute[0].type = AttributeProto::Type::kFloat;
  m.functions = {function("F", {body})};
  m.functions[0].attribute_proto.resize(1);
  m.functions[0].attribute_proto[0].name = "slope";
  m.functions[0].attribute_proto[0].f = 0.25f;
  m.functions[0].attribute_proto[0].type = AttributeProto::Type::kFloat;
  m.functions[0].doc_string = "doc";
  m.functions[0].value_info = {value("a")};
  Model r = import_model(m, nullptr);
  CHECK(r.functions[0].body->node(0).opset == 18);
  CHECK(r.functions[0].body->node(0).attributes[0].ref_name == "slope");
  CHECK(std::get<float>(r.functions[0].attribute_defaults[0].value) == 0.25f);
  CHECK(serialize(export_model(r)) == serialize(m));

  auto call = [](const char* name, const char* in, const char* out) {
    NodeProto n = node(name, {in}, {out});
    n.domain = "my";
    n.overload = "v1";
    return n;
  };
  ModelProto bad = m;
  bad.functions.push_back(m.functions[0]);
  CHECK(has(error_of(bad), "defined twice"));
  bad.functions = {function("F", {call("G", "a", "b")}), function("G", {call("F", "a", "b")})};
  CHECK(has(error_of(bad), "calls itself"));
  bad.functions = {function("F0", {node("Abs", {"a"}, {"b"})})};
  for (int i = 1; i < 60; ++i) {  // each calls the one before twice: 2^60 nodes
    std::string before = "F" + std::to_string(i - 1), name = "F" + std::to_string(i);
    bad.functions.push_back(
        function(name.c_str(), {call(before.c_str(), "a", "h"), call(before.c_str(), "h", "b")}));
  }
  CHECK(has(error_of(bad, Code::kLimit), "functions are expanded"));
  bad.functions = {function("F0", {node("Abs", {"a"}, {"b"})})};
  for (int i = 1; i < 20000; ++i)
    bad.functions.push_back(
        function(("F" + std::to_string(i)).c_str(), {call(("F" + std::to_string(i - 1)).c_str(), "a", "b")}));
  CHECK(has(error_of(bad, Code::kLimit), "nested deeper"));
  std::reverse(bad.functions.begin(), bad.functions.end());
  CHECK(has(error_of(bad, Code::kLimit), "nested deeper"));
  bad = m;
  bad.functions[0].output = {"ghost"};
  CHECK(has(error_of(bad), "function 'F' of 'my': its output 'ghost'"));
}

TEST_CASE("a new element type or operator set raises what the file declares") {
  Model m = import_model(model(graph({"x"}, {"x"}, {})), nullptr);
  Tensor t(DType::kInt4, {2});
  t.data<uint8_t>()[0] = 0x21;
  m.graph.add_constant("w", t);
  Node n;
  n.domain = "com.microsoft";
  n.op = "Gelu";
  n.opset = 1;
  n.inputs = {m.graph.inputs()[0]};
  n.outputs = {m.graph.add_value("g")};
  m.graph.add_node(std::move(n));
  ModelProto p = export_model(m);
  CHECK(*p.ir_version == 10);
  CHECK(p.opset_import.size() == 2);
  CHECK(*p.opset_import[1].domain == "com.microsoft");
}

TEST_CASE("nodes of several opsets are written under one that fits them all, or refused") {
  auto mixed = [](const char* op, int opset) {
    Model m = import_model(model(graph({"x"}, {"y"}, {node(op, {"x"}, {"y"})})), nullptr);
    Node n;
    n.op = op;
    n.opset = opset;
    n.inputs = {m.graph.inputs()[0]};
    n.outputs = {m.graph.add_value("other")};
    m.graph.add_node(std::move(n));
    return m;
  };
  CHECK(*export_model(mixed("Relu", 14)).opset_import[0].version == 17);  // Relu is the same from 14 on
  CHECK(*export_model(mixed("LeakyRelu", 18)).opset_import[0].version == 17);
  CHECK_THROWS_WITH_AS(export_model(mixed("Squeeze", 11)),
                       doctest::Contains("Squeeze is used as of opset 11"), Error);
}

TEST_CASE("files: weights view the mapping, what is no model is said to be none") {
  test::TempDir dir;
  GraphProto g = graph({"x"}, {"y"}, {node("Add", {"x", "w"}, {"y"})});
  std::vector<float> big(10000, 1.5f);
  g.initializer = {to_proto(Tensor::from(std::span<const float>(big), {10000}), "w")};
  std::string path = dir.file("m.onnx");
  Model m = import_model(model(g), nullptr);
  ExportOptions split;
  split.write.external = External::kAlways;
  write_model(m, path, split);
  Model back = read_model(path);
  CHECK(back.path == path);
  const Tensor& w = back.graph.value(back.graph.find_value("w")).constant;
  CHECK(identical(w, m.graph.value(m.graph.find_value("w")).constant));
  CHECK(reinterpret_cast<uintptr_t>(w.raw()) % 4096 == 0);  // mapped, not copied
  write_model(back, path);                                  // in place, from its own mapping
  CHECK(identical(read_model(path).graph.value(back.graph.find_value("w")).constant, w));

  std::string bytes = write_model_bytes(m);
  Model from_memory = read_model_bytes(bytes);
  bytes.assign(bytes.size(), '\0');  // the model does not need them any more
  CHECK(to_floats(from_memory.graph.value(from_memory.graph.find_value("w")).constant)[9999] == 1.5f);
  write_model(m, path, split);
  CHECK_THROWS_WITH_AS(read_model_bytes(test::read_file(path)), doctest::Contains("folder"), Error);
  ReadOptions with_folder;
  with_folder.external_folder = dir.str();
  CHECK(read_model_bytes(test::read_file(path), {}, with_folder).graph.node_count() == 1);

  auto error = [&](std::string_view contents) -> std::string {
    test::write_file(path, contents);
    try {
      read_model(path);
    } catch (const Error& e) {
      CHECK(e.code() == Code::kInvalidModel);
      CHECK(has(e.where(), path.c_str()));
      return e.message();
    }
    return "";
  };
  CHECK(has(error(""), "empty"));
  CHECK(has(error("\x08\x08\x08\x08\x08\x08\x08\x08"), "no graph"));
  CHECK(has(error("version https://git-lfs.github.com/spec/v1\noid"), "git lfs pull"));
  CHECK(has(error(std::string("\x18\0\0\0TFL3\0\0", 10)), "TensorFlow Lite"));
  CHECK(has(error("\xff\xd8\xff\xe0 JFIF"), "image"));
  CHECK(has(error("{\"graph\": 1}"), "JSON"));
  CHECK_THROWS_WITH_AS(read_model(dir.file("none.onnx")), doctest::Contains("No such file"), Error);
  CHECK_THROWS_AS(read_model(dir.str()), Error);
}

TEST_CASE("a model file cut at any byte gives a model or an Error") {
  std::string bytes = serialize(nested_model());
  for (size_t n = 0; n < bytes.size(); ++n) {
    try {
      Model m = read_model_bytes(std::string_view(bytes).substr(0, n));
      verify(m.graph);
      write_model_bytes(m);
    } catch (const Error& e) {
      CHECK(e.code() != Code::kInternal);
    }
  }
  for (size_t i = 0; i < bytes.size(); ++i) {
    for (int x : {1, 0x10, 0x80, 0xff}) {
      std::string bad = bytes;
      bad[i] = static_cast<char>(bad[i] ^ x);
      try {
        Model m = read_model_bytes(bad);
        verify(m.graph);
        std::string once = write_model_bytes(m);
        CHECK(write_model_bytes(read_model_bytes(once)) == once);
      } catch (const Error& e) {
        CHECK_MESSAGE(e.code() != Code::kInternal, e.what());
      }
    }
  }
}
