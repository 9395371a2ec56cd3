// Hostile models, nodes and inputs through whole sessions, on both devices: a result or one clear error.
#include <doctest/doctest.h>

#include <array>
#include <cmath>
#include <limits>
#include <random>

#include "cases/hostile.h"
#include "onnx/wire_write.h"
#include "ops/interpret.h"
#include "runtime/session.h"
#include "support/proto_maker.h"

using namespace skiff;
using namespace skiff::runtime;
using namespace skiff::test;

namespace {

SessionOptions limited(const char* device = "cpu") {
  SessionOptions o;
  o.device = device;
  o.threads = 1;
  o.memory_limit = 256 << 20;
  o.time_limit = 20;
  o.max_loop_trips = 10000;
  return o;
}

// kOk, or the code of the error, which must say something and must not be Skiff's own fault.
Code load_and_run(std::string_view bytes, const std::vector<Datum>& in, const SessionOptions& o,
                  std::string* text = nullptr) {
  try {
    auto s = Session::load_memory(bytes, o);
    try {
      (void)s->info_json("");
    } catch (const Error& e) {  // shapes that values make cannot always be told beforehand
      CHECK_MESSAGE(e.code() != Code::kInternal, e.what());
    }
    (void)s->run(in);
  } catch (const Error& e) {
    CHECK_MESSAGE(e.code() != Code::kInternal, e.what());
    CHECK_FALSE(e.message().empty());
    if (text) *text = e.what();
    return e.code();
  }
  return Code::kOk;
}

ModelProto small_model() {
  GraphProto g =
      graph({}, {"y"}, {node("MatMul", {"x", "w"}, {"h"}, "product"), node("Relu", {"h"}, {"y"}, "clip")});
  g.input = {value("x", 1, {-1, 3})};
  g.initializer = {onnx::to_proto(cases::random_tensor(DType::kFloat, {3, 2}, 1), "w")};
  return model(g);
}

bool refused(Code c) {
  return c == Code::kInvalidModel || c == Code::kInvalidArgument || c == Code::kLimit ||
         c == Code::kUnsupported;
}

// A model of one node with constant integer operands, so that passes fold it and the run does not, and the
// other way round.
Code shape_arithmetic(const char* op, int32_t type, int64_t a, int64_t b, bool constant, const char* device,
                      std::string* text) {
  GraphProto g = graph({}, {"y"}, {node(op, {"a", "b"}, {"y"}, "arith")});
  auto operand = [&](const char* name, int64_t v) {
    TensorProto t = ints(name, {v});
    t.data_type = type;
    if (type == 6) t.int32_data = {static_cast<int32_t>(v)}, t.int64_data.clear();
    return t;
  };
  std::vector<Datum> in;
  if (constant) {
    g.initializer = {operand("a", a), operand("b", b)};
  } else {
    g.input = {value("a", type, {1}), value("b", type, {1})};
    for (int64_t v : {a, b}) {
      Tensor t(static_cast<DType>(type), {1});
      set_int(t, 0, v);
      in.emplace_back(t);
    }
  }
  return load_and_run(onnx::serialize(model(g)), in, limited(device), text);
}

}  // namespace

TEST_CASE("a model cut at any byte, or with any bit of a byte flipped, loads or is refused") {
  std::string whole = onnx::serialize(small_model());
  std::vector<Datum> in = {cases::random_tensor(DType::kFloat, {2, 3}, 1)};
  REQUIRE(load_and_run(whole, in, limited()) == Code::kOk);
  for (size_t n = 0; n < whole.size(); ++n) {
    CAPTURE(n);
    load_and_run(std::string_view(whole).substr(0, n), in, limited());
  }
  for (size_t n = 0; n < whole.size(); ++n)
    for (int bit = 0; bit < 8; ++bit) {
      CAPTURE(n);
      std::string bad = whole;
      bad[n] = static_cast<char>(bad[n] ^ (1 << bit));
      load_and_run(bad, in, limited());
    }
}

TEST_CASE("models of eight bytes") {
  std::mt19937 rng(7);
  for (int i = 0; i < 20000; ++i) {
    std::string bytes(8, '\0');
    for (char& c : bytes) c = static_cast<char>(rng());
    if (i % 2) bytes[0] = "\x08\x3a\x42\x12"[i / 2 % 4];
    Code c = load_and_run(bytes, {}, limited());
    CHECK(c != Code::kOk);
  }
}

TEST_CASE("groups and messages nested thousands deep") {
  CHECK(load_and_run(std::string(100000, '\x0b'), {}, limited()) == Code::kInvalidModel);  // group start tags
  std::string type;  // TypeProto.sequence_type.elem_type, as deep as it goes
  onnx::TypeProto t;
  for (int i = 0; i < 3000; ++i) {
    onnx::TypeProto outer;
    outer.sequence_type.emplace().elem_type = std::move(t);
    t = std::move(outer);
  }
  ModelProto m = small_model();
  m.graph->input[0].type = std::move(t);
  std::string text;
  CHECK(load_and_run(onnx::serialize(m), {}, limited(), &text) == Code::kLimit);
  CHECK(text.find("max_nesting") != std::string::npos);
}

TEST_CASE("payloads that disagree with their dims") {
  auto with_weight = [](TensorProto t) {
    ModelProto m = small_model();
    t.name = "w";
    m.graph->initializer = {std::move(t)};
    std::string text;
    CHECK(load_and_run(onnx::serialize(m), {cases::random_tensor(DType::kFloat, {2, 3}, 1)}, limited(),
                       &text) == Code::kInvalidModel);
    CHECK_MESSAGE(text.find("'w'") != std::string::npos, text);
  };
  std::string bytes(64, '\1');
  auto raw = [&](int32_t type, std::vector<int64_t> dims, size_t n) {
    TensorProto t;
    t.data_type = type;
    t.dims = std::move(dims);
    t.raw_data = onnx::Bytes{std::string_view(bytes).substr(0, n), {}};
    return t;
  };
  with_weight(raw(1, {3, 2}, 23));  // short
  with_weight(raw(1, {3, 2}, 25));  // long
  with_weight(raw(22, {3}, 1));     // int4: three elements are two bytes
  with_weight(raw(22, {3}, 3));
  with_weight(raw(26, {5}, 1));  // int2: five are two bytes
  with_weight(raw(25, {4}, 2));
  with_weight(raw(1, {INT64_MAX, 2}, 24));
  with_weight(raw(1, {int64_t{1} << 32, int64_t{1} << 32}, 24));
  with_weight(raw(1, {-3, -2}, 24));
  with_weight(raw(99, {3, 2}, 24));  // unknown element types
  with_weight(raw(-1, {3, 2}, 24));
  with_weight(raw(0, {3, 2}, 24));
}

TEST_CASE("dims of zero are a legal, empty tensor") {
  ModelProto m = small_model();
  m.graph->initializer = {onnx::to_proto(Tensor(DType::kFloat, {3, 0}), "w")};
  CHECK(load_and_run(onnx::serialize(m), {cases::random_tensor(DType::kFloat, {2, 3}, 1)}, limited()) ==
        Code::kOk);
  CHECK(load_and_run(onnx::serialize(m), {Tensor(DType::kFloat, {0, 3})}, limited()) == Code::kOk);
}

TEST_CASE("Gemm of empty matrices: nothing, or the bias alone") {
  for (const char* device : {"cpu", "reference"})
    for (auto [m, k, n] : std::vector<std::array<int64_t, 3>>{{0, 3, 2}, {2, 0, 3}, {2, 3, 0}, {0, 0, 0}}) {
      cases::OpCase c = cases::make(
          "gemm", "Gemm", 13,
          {Tensor(DType::kFloat, {m, k}), Tensor(DType::kFloat, {k, n}), cases::one(DType::kFloat, 7)});
      for (size_t i : {0, 1})
        for (int64_t j = 0; j < c.inputs[i].tensor().size(); ++j) c.inputs[i].tensor().data<float>()[j] = 1;
      Datum y = Session::from_model(cases::model_of(c), limited(device))->run(cases::inputs_of(c))[0];
      CHECK(y.tensor().dims() == Dims{m, n});
      for (float v : y.tensor().span<float>()) CHECK(v == static_cast<float>(k) + 7);
    }
}

TEST_CASE("ranks beyond every fixed array give a result or an error") {
  for (const char* device : {"cpu", "reference"})
    for (int64_t rank : {7, 8, 9, 12, 16, 17, 33, 65, 300}) {
      CAPTURE(device);
      CAPTURE(rank);
      std::vector<int64_t> dims(static_cast<size_t>(rank), 1), perm, all;
      dims[0] = 2;
      dims[static_cast<size_t>(rank) / 2] = 3;
      for (int64_t i = 0; i < rank; ++i) perm.push_back(rank - 1 - i), all.push_back(i);
      std::vector<int64_t> pads(static_cast<size_t>(2 * rank), 0);
      pads[0] = 1;
      const std::vector<NodeProto> nodes = {
          with(node("Transpose", {"x"}, {"y"}), {attribute("perm", perm)}),
          node("Add", {"x", "row"}, {"y"}),
          node("Mul", {"x", "x"}, {"y"}),
          node("Greater", {"x", "row"}, {"y"}),
          node("Where", {"mask", "x", "row"}, {"y"}),
          with(node("ReduceMax", {"x"}, {"y"}), {attribute("axes", std::vector<int64_t>{0, -1})}),
          with(node("Softmax", {"x"}, {"y"}), {attribute("axis", int64_t{-1})}),
          with(node("Gather", {"x", "zero"}, {"y"}), {attribute("axis", rank / 2)}),
          with(node("Concat", {"x", "x"}, {"y"}), {attribute("axis", rank - 1)}),
          with(node("Flatten", {"x"}, {"y"}), {attribute("axis", rank / 2)}),
          node("Slice", {"x", "zero", "one", "zero"}, {"y"}),
          node("Pad", {"x", "pads"}, {"y"}),
          node("Tile", {"x", "ones"}, {"y"}),
          node("Expand", {"x", "ones"}, {"y"}),
          node("Reshape", {"x", "ones_and_six"}, {"y"}),
          node("MatMul", {"x", "x"}, {"y"}),
          node("NonZero", {"x"}, {"y"}),
          node("GatherND", {"x", "zero"}, {"y"}),
          with(node("CumSum", {"x", "zero"}, {"y"}), {}),
          with(node("LayerNormalization", {"x", "row"}, {"y"}), {}),
          with(node("ArgMax", {"x"}, {"y"}), {attribute("axis", rank / 2)}),
          node("Conv", {"x", "x"}, {"y"}),
          node("GlobalAveragePool", {"x"}, {"y"}),
          node("MaxPool", {"x"}, {"y"}),
          node("InstanceNormalization", {"x", "row", "row"}, {"y"}),
          node("Resize", {"x", "", "scales"}, {"y"}),
          node("Einsum", {"x"}, {"y"}),
      };
      for (const NodeProto& n : nodes) {
        CAPTURE(*n.op_type);
        GraphProto g = graph({}, {"y"}, {n});
        g.input = {value("x", 1, dims)};
        g.node.insert(g.node.begin(), node("Greater", {"x", "row"}, {"mask"}));
        std::vector<int64_t> ones(dims.size(), 1), last = ones;
        last.back() = 6;
        std::vector<float> scales(dims.size(), 1.0F);
        g.initializer = {onnx::to_proto(Tensor::from(std::vector<float>{1}, {1}), "row"),
                         ints("zero", {0}),
                         ints("one", {1}),
                         ints("pads", pads),
                         ints("ones", ones),
                         ints("ones_and_six", last),
                         onnx::to_proto(Tensor::from(scales, {rank}), "scales")};
        Tensor x(DType::kFloat, Dims(dims.begin(), dims.end()));
        for (int64_t i = 0; i < x.size(); ++i) x.data<float>()[i] = static_cast<float>(i);
        for (const char* skip : {"", "all"}) {
          SessionOptions o = limited(device);
          if (*skip) o.skip_passes = {skip};
          Code c = load_and_run(onnx::serialize(model(g)), {x}, o);
          CHECK((c == Code::kOk || refused(c)));
        }
      }
    }
}

TEST_CASE("names, attributes and operators no model may have") {
  std::vector<std::pair<const char*, ModelProto>> all;
  auto add = [&](const char* what, ModelProto m) { all.emplace_back(what, std::move(m)); };
  auto one = [](NodeProto n) {
    GraphProto g = graph({}, {"y"}, {std::move(n)});
    g.input = {value("x", 1, {1, 2, 6, 6})};
    return model(g);
  };
  add("attribute of the wrong type", one(with(node("Softmax", {"x"}, {"y"}), {attribute("axis", "one")})));
  add("attribute missing", one(node("Cast", {"x"}, {"y"})));
  add("attribute of an unknown type", one(with(node("Softmax", {"x"}, {"y"}), {[] {
                                                 AttributeProto a = attribute("axis", int64_t{1});
                                                 a.type = static_cast<AttributeProto::Type>(99);
                                                 return a;
                                               }()})));
  for (int64_t to : {-1, 0, 27, 99, 1 << 30})
    add("cast to an unknown type", one(with(node("Cast", {"x"}, {"y"}), {attribute("to", to)})));
  add("no such operator", one(node("Frobnicate", {"x"}, {"y"})));
  ModelProto m = one(node("Abs", {"x"}, {"y"}));
  m.opset_import = {opset("", 999)};
  add("opset of the far future", m);
  m.opset_import = {opset("", 0)};
  add("opset 0", m);
  m.opset_import = {opset("my.domain", 1)};
  add("no opset of the standard", m);
  m = one(node("Abs", {"x"}, {"y"}));
  m.graph->input[0] = value("x", 99, {2});
  add("input of an unknown element type", m);
  m = one(node("Gelu", {"x"}, {"y"}));
  add("operator younger than the opset", m);
  m = one(node("Conv", {"x", "x"}, {"y"}));
  m.graph->node[0].domain = "skiff";
  m.opset_import.push_back(opset("skiff", 1));
  add("operator that only passes make", m);
  add("too many inputs", one(node("Abs", {"x", "x", "x"}, {"y"})));
  add("too few inputs", one(node("Add", {"x"}, {"y"})));
  add("input left out", one(node("Add", {"", "x"}, {"y"})));
  m = one(node("Abs", {"x"}, {"y"}));
  m.graph->node.push_back(node("Neg", {"x"}, {"y"}));
  add("name defined twice", m);
  m = model(graph({}, {"y"}, {node("Add", {"y", "y"}, {"y"})}));
  add("a node that feeds itself", m);
  for (auto& [what, bad] : all) {
    CAPTURE(what);
    Code c =
        load_and_run(onnx::serialize(bad), {cases::random_tensor(DType::kFloat, {1, 2, 6, 6}, 1)}, limited());
    CHECK(refused(c));
  }
}

TEST_CASE("shape arithmetic on the edges of its numbers") {
  for (const char* device : {"cpu", "reference"})
    for (bool constant : {true, false})
      for (const char* op : {"Div", "Mod"})
        for (int32_t type : {6, 7})
          for (auto [a, b] : std::vector<std::pair<int64_t, int64_t>>{
                   {INT64_MIN, -1}, {INT32_MIN, -1}, {5, 0}, {INT64_MIN, 0}}) {
            CAPTURE(op);
            CAPTURE(b);
            CAPTURE(constant);
            std::string text;
            Code c = shape_arithmetic(op, type, a, b, constant, device, &text);
            CHECK_MESSAGE((c == Code::kOk || refused(c)), text);
          }
}

TEST_CASE("Scan and Slice at their edges") {
  GraphProto body = graph({}, {"o"}, {node("Neg", {"e"}, {"o"})});
  body.input = {value("e", 1, {})};
  for (int64_t n : {int64_t{-1}, int64_t{0}, int64_t{2}, INT64_MIN, INT64_MAX}) {
    CAPTURE(n);
    GraphProto g = graph({}, {"y"},
                         {with(node("Scan", {"x"}, {"y"}, "scan"),
                               {graph_attribute("body", body), attribute("num_scan_inputs", n)})});
    g.input = {value("x", 1, {-1})};
    CHECK(load_and_run(onnx::serialize(model(g)), {cases::random_tensor(DType::kFloat, {3}, 1)}, limited()) ==
          Code::kInvalidModel);
  }
  for (const char* device : {"cpu", "reference"})
    for (const Dims& d : {Dims{0}, Dims{0, 3}, Dims{3}})
      for (int64_t start : {int64_t{0}, INT64_MIN, INT64_MAX, int64_t{-1}})
        for (int64_t end : {int64_t{0}, INT64_MIN, INT64_MAX})
          for (int64_t step : {int64_t{1}, int64_t{-1}, INT64_MIN, INT64_MAX, int64_t{0}})
            for (bool constant : {true, false}) {
              GraphProto g = graph({}, {"y"}, {node("Slice", {"x", "s", "e", "a", "t"}, {"y"}, "slice")});
              g.input = {value("x", 1, std::vector<int64_t>(d.begin(), d.end()))};
              std::vector<Datum> in = {Tensor(DType::kFloat, d)};
              for (int64_t i = 0; i < in[0].tensor().size(); ++i) in[0].tensor().data<float>()[i] = 1;
              for (auto [name, v] : std::vector<std::pair<const char*, int64_t>>{
                       {"s", start}, {"e", end}, {"a", 0}, {"t", step}}) {
                if (constant) {
                  g.initializer.push_back(ints(name, {v}));
                } else {
                  g.input.push_back(value(name, 7, {1}));
                  in.emplace_back(Tensor::from(std::vector<int64_t>{v}));
                }
              }
              Code c = load_and_run(onnx::serialize(model(g)), in, limited(device));
              // The reference device is not told every shape that bounds make beforehand: an error, not a crash.
              CHECK((c == Code::kOk || refused(c)));
              if (step && std::string_view(device) == "cpu") CHECK(c == Code::kOk);
              if (!step) CHECK(refused(c));
            }
  GraphProto g = graph({}, {"y"}, {node("Slice", {"x", "s", "s"}, {"y"}, "slice")});  // no axes at all
  g.input = {value("x", 1, {2})};
  g.initializer = {ints("s", {})};
  CHECK(load_and_run(onnx::serialize(model(g)), {cases::random_tensor(DType::kFloat, {2}, 1)}, limited()) ==
        Code::kOk);
}

TEST_CASE("hostile nodes end in an error in a session too, on both devices") {
  for (const char* device : {"cpu", "reference"})
    for (const char* skip : {"", "all"})
      for (const cases::OpCase& c : cases::hostile_cases())
        for (bool constant : {false, true}) {
          INFO(c.name, " ", device, " ", skip, " ", constant);
          cases::OpCase given = c;
          given.constant.assign(c.inputs.size(), constant);
          SessionOptions o = limited(device);
          if (*skip) o.skip_passes = {skip};
          Code code = Code::kOk;
          try {
            (void)Session::from_model(cases::model_of(given), o)->run(cases::inputs_of(given));
          } catch (const Error& e) {
            code = e.code();
            CHECK_MESSAGE(code != Code::kInternal, e.what());
          }
          CHECK(refused(code));
        }
}

TEST_CASE("indices outside their tensor") {
  using cases::make;
  auto i64 = [](Dims d, std::vector<int64_t> v) {
    return Datum(cases::values<int64_t>(DType::kInt64, std::move(d), v));
  };
  auto f = [](Dims d) { return Datum(cases::f32(std::move(d), 3)); };
  std::vector<cases::OpCase> bad;
  for (int64_t at : {int64_t{3}, int64_t{-4}, INT64_MAX, INT64_MIN}) {
    bad.push_back(make("gather", "Gather", 13, {f({3, 2}), i64({1}, {at})}));
    bad.push_back(make("gather_elements", "GatherElements", 13, {f({3, 2}), i64({1, 2}, {0, at})}));
    bad.push_back(make("gather_nd", "GatherND", 13, {f({3, 2}), i64({1, 1}, {at})}));
    bad.push_back(
        make("scatter_elements", "ScatterElements", 18, {f({3, 2}), i64({1, 2}, {0, at}), f({1, 2})}));
    bad.push_back(make("scatter_nd", "ScatterND", 18, {f({3, 2}), i64({1, 1}, {at}), f({1, 2})}));
    bad.push_back(make("scatter", "Scatter", 9, {f({3, 2}), i64({1, 2}, {0, at}), f({1, 2})}));
    bad.push_back(cases::in_domain(
        "com.microsoft",
        cases::with_outputs(
            2, make("embed", "EmbedLayerNormalization", 1,
                    {Datum(cases::values<int64_t>(
                         DType::kInt32, {1, 2},
                         {0, static_cast<int32_t>(std::clamp<int64_t>(at, INT32_MIN, INT32_MAX))})),
                     Datum(), f({3, 4}), f({2, 4}), Datum(), f({4}), f({4})}))));
    bad.push_back(make("max_unpool", "MaxUnpool", 11,
                       {f({1, 1, 1, 1}), i64({1, 1, 1, 1}, {at > 0 ? at + 9 : at})},
                       {{"kernel_shape", cases::Ints{2, 2}}}));
  }
  bad.push_back(make("one_hot_depth", "OneHot", 11, {i64({2}, {0, 1}), i64({}, {-3}), f({2})}));
  bad.push_back(make("gemm_inner", "Gemm", 13, {f({2, 3}), f({2, 3})}));
  bad.push_back(make("split_sum", "Split", 13, {f({4}), i64({2}, {1, 2})}));
  bad.push_back(make("split_negative", "Split", 13, {f({4}), i64({2}, {5, -1})}));
  bad.push_back(make("reshape", "Reshape", 14, {f({2, 3}), i64({2}, {4, 2})}));
  bad.push_back(make("reshape_twice", "Reshape", 14, {f({2, 3}), i64({2}, {-1, -1})}));
  bad.push_back(make("reshape_wrap", "Reshape", 14, {f({2, 3}), i64({2}, {int64_t{1} << 62, 8})}));
  bad.push_back(make("reshape_min", "Reshape", 14, {f({2, 3}), i64({2}, {INT64_MIN, -1})}));
  bad.push_back(
      make("dilations", "Conv", 11, {f({1, 1, 5, 5}), f({1, 1, 3, 3})}, {{"dilations", cases::Ints{2}}}));
  bad.push_back(make("col2im", "Col2Im", 18, {f({1, 4, 4}), i64({2}, {INT64_MAX, 4}), i64({2}, {2, 2})}));
  bad.push_back(make("roi_batch", "RoiAlign", 16, {f({1, 1, 4, 4}), f({1, 4}), i64({1}, {-1})}));
  for (const char* device : {"cpu", "reference"})
    for (const cases::OpCase& c : bad) {
      INFO(c.name, " ", device);
      cases::OpCase given = cases::with_outputs(c.op == "Split" ? 2 : c.outputs, c);
      try {
        (void)Session::from_model(cases::model_of(given), limited(device))->run(cases::inputs_of(given));
        FAIL_CHECK("no error");
      } catch (const Error& e) {
        CHECK_MESSAGE(refused(e.code()), e.what());
        CHECK_MESSAGE(std::string(e.what()).find(c.op) != std::string::npos, e.what());
      }
    }
}

TEST_CASE("OneHot ignores indices outside its depth; NonMaxSuppression takes any number") {
  // The standard gives OneHot rows without a mark; NaN and infinities select nothing or something, never a
  // crash.
  cases::OpCase c =
      cases::make("one_hot", "OneHot", 11,
                  {cases::values<int64_t>(DType::kInt64, {4}, {0, 9, -9, INT64_MIN}),
                   cases::one(DType::kInt64, 3), cases::values<float>(DType::kFloat, {2}, {0, 1})});
  Datum y = Session::from_model(cases::model_of(c), limited())->run(cases::inputs_of(c))[0];
  double sum = 0;
  for (float v : y.tensor().span<float>()) sum += v;
  CHECK(sum == 1);
  const double inf = std::numeric_limits<double>::infinity();
  for (double v : {static_cast<double>(NAN), inf, -inf, 3e38, -3e38})
    for (int64_t most : {int64_t{-1}, int64_t{0}, INT64_MAX, INT64_MIN}) {
      cases::OpCase n =
          cases::make("nms", "NonMaxSuppression", 11,
                      {cases::values<double>(DType::kFloat, {1, 3, 4}, {v, 0, 1, 1, 0, 0, v, 1, 0, 0, 1, v}),
                       cases::values<double>(DType::kFloat, {1, 1, 3}, {v, 0.5, v}),
                       cases::one(DType::kInt64, static_cast<double>(most)), cases::one(DType::kFloat, v),
                       cases::one(DType::kFloat, v)});
      try {
        (void)Session::from_model(cases::model_of(n), limited())->run(cases::inputs_of(n));
      } catch (const Error& e) {
        CHECK(refused(e.code()));
      }
    }
}

TEST_CASE("every operator case with NaN and infinities, and with empty batches, gives a result or an error") {
  const double inf = std::numeric_limits<double>::infinity();
  auto try_all = [](cases::OpCase c, const char* what) {
    INFO(c.name, ": ", what);
    for (const char* device : {"cpu", "reference"}) try {
        (void)Session::from_model(cases::model_of(c), limited(device))->run(cases::inputs_of(c));
      } catch (const Error& e) {
        CHECK_MESSAGE(e.code() != Code::kInternal, e.what());
      }
  };
  for (const cases::OpCase& c : cases::all_cases()) {
    int64_t work = 0;
    for (const Datum& d : c.inputs)
      if (d.is_tensor()) work += d.tensor().size();
    if (work > 20000) continue;
    for (double v : {static_cast<double>(NAN), inf, -inf}) {
      cases::OpCase bad = c;
      for (Datum& d : bad.inputs) {
        if (!d.is_tensor() || (d.tensor().dtype() != DType::kFloat && d.tensor().dtype() != DType::kDouble))
          continue;
        Tensor t = d.tensor().clone();
        for (int64_t i = 0; i < t.size(); i += v == v ? 3 : 1) set_double(t, i, v);
        d = t;
      }
      try_all(bad, v == v ? "infinities" : "NaN");
    }
    cases::OpCase empty = c;
    for (size_t i = 0; i < empty.inputs.size(); ++i) {
      Datum& d = empty.inputs[i];
      if (!d.is_tensor() || d.tensor().rank() == 0 || (i < c.constant.size() && c.constant[i])) continue;
      Dims dims = d.tensor().dims();
      dims[0] = 0;
      d = Tensor(d.tensor().dtype(), dims);
      if (i > 0 && dims.size() < 2) d = c.inputs[i];
    }
    try_all(empty, "an empty batch");
  }
}
