// Custom operators through the C interface: what authors may do.
#include <atomic>
#include <thread>

#include "custom_author.h"

using namespace skiff;        // NOLINT
using namespace skiff::test;  // NOLINT

TEST_CASE("an operator runs with and without a shape rule, for every pass list and on either device") {
  for (bool rule : {false, true})
    for (const char* device : {"cpu", "reference"})
      for (const char* skip : {"", "all"}) {
        CAPTURE(rule);
        CAPTURE(device);
        Author a;
        if (rule) a.infer = same_type;
        a.compute = twice;
        api::Options o{{"device", device}, {"skip_passes", skip}};
        add(o, describe(a));
        std::string bytes = model("Thing", "test.custom", {}, 1, 2);
        api::Session s = open(bytes, o);
        CHECK(run(s) == std::vector<float>{-4, -8, -12, -16, -20, -24});
        CHECK(run(s, {1, 1, 1}) == std::vector<float>{-4, -4, -4});
      }
}

TEST_CASE("symbols of a shape rule flow through, and without a rule they are left open") {
  for (bool rule : {false, true}) {
    Author a;
    if (rule) a.infer = same_type;
    a.compute = twice;
    api::Options o;
    add(o, describe(a));
    std::string bytes = model();
    api::Session s = open(bytes, o);
    char* text = nullptr;
    api::check(skiff_session_print(s.get(), &text));
    std::string graph = api::take(text);
    CAPTURE(graph);
    CHECK((graph.find("t0: float[N, 3]") != std::string::npos) == rule);
  }
}

TEST_CASE("attributes of every type reach create, defaults and wrong types are told apart") {
  Author a;
  std::string seen;
  a.create = [&](skiff_call* c) {
    int64_t i = 0;
    float f = 0;
    const char* s = nullptr;
    size_t n = 0;
    const int64_t* is = nullptr;
    const float* fs = nullptr;
    const skiff_value* t = nullptr;
    CHECK(table()->attr_int(c, "i", &i) == SKIFF_OK);
    CHECK(table()->attr_int(c, "none", &i) == SKIFF_NOT_FOUND);
    CHECK(table()->attr_int(c, "f", &i) == SKIFF_INVALID_MODEL);
    CHECK(table()->attr_int(c, nullptr, &i) == SKIFF_INVALID_ARGUMENT);
    CHECK(table()->attr_int(c, "i", nullptr) == SKIFF_INVALID_ARGUMENT);
    CHECK(table()->attr_float(c, "f", &f) == SKIFF_OK);
    CHECK(table()->attr_string(c, "s", &s, &n) == SKIFF_OK);
    seen = std::string(s, n);
    CHECK(table()->attr_ints(c, "is", &is, &n) == SKIFF_OK);
    CHECK((n == 2 && is[1] == 8));
    CHECK(table()->attr_floats(c, "fs", &fs, &n) == SKIFF_OK);
    CHECK((n == 1 && fs[0] == 0.5f));
    CHECK(table()->attr_strings_item(c, "ss", 1, &s, &n) == SKIFF_OK);
    seen += s;
    CHECK(table()->attr_strings_item(c, "ss", 2, &s, &n) == SKIFF_NOT_FOUND);
    CHECK(table()->attr_tensor(c, "t", &t) == SKIFF_OK);
    double d = 0;
    api::check(skiff_tensor_get_double(t, 1, &d));
    CHECK(d == 4);
    CHECK(table()->attr_tensors_item(c, "ts", 0, &t) == SKIFF_OK);
    CHECK(table()->opset_version(c) == 1);
    CHECK(std::string(table()->node_name(c)) == "node_0");
    // Functions of the other phases are refused, and harmless.
    CHECK(table()->input(c, 0, &t) == SKIFF_INVALID_ARGUMENT);
    skiff_type type{};
    CHECK(table()->input_type(c, 0, &type) == SKIFF_INVALID_ARGUMENT);
    return i == 7 && f == 2.5f ? SKIFF_OK : SKIFF_INTERNAL;
  };
  a.compute = twice;
  api::Options o;
  add(o, describe(a));
  std::string bytes = model("Thing", "test.custom",
                            {{"i", int64_t{7}},
                             {"f", 2.5f},
                             {"s", std::string("te\0xt", 5)},
                             {"is", Attribute::Ints{9, 8}},
                             {"fs", Attribute::Floats{0.5f}},
                             {"ss", Attribute::Strings{"a", "b"}},
                             {"t", Tensor::from(std::vector<int64_t>{3, 4})},
                             {"ts", std::vector<Tensor>{Tensor::scalar(1.0f)}}});
  {
    api::Session s = open(bytes, o);
    CHECK(seen == std::string("te\0xtb", 6));
    CHECK(run(s)[0] == -2);
    CHECK((a.created == 1 && a.destroyed == 0));
  }
  CHECK(a.destroyed == 1);
}

TEST_CASE("state belongs to a node and lives as long as its session; user data as long as the operator") {
  Author a;
  std::atomic<int> calls{0};
  a.state = &calls;
  a.create = [](skiff_call*) { return SKIFF_OK; };
  a.infer = same_type;
  a.compute = [](skiff_call* c, void* state) { return ++*static_cast<std::atomic<int>*>(state), twice(c, state); };
  std::string bytes = model("Thing", "test.custom", {}, 1, 3);
  {
    auto o = std::make_unique<api::Options>();
    add(*o, describe(a));
    api::Session one = open(bytes, *o), two = open(bytes, *o);
    o.reset();  // sessions keep what they use
    CHECK(a.created == 6);
    run(one);
    run(one);
    run(two);
    CHECK(calls == 9);
    CHECK(a.freed == 0);
  }
  CHECK(a.destroyed == 6);
  CHECK(a.freed == 1);
}

TEST_CASE("serial operators are called by one thread at a time, others by several") {
  Author a;
  std::atomic<int> inside{0}, most{0};
  a.compute = [&](skiff_call* c, void* state) {
    int now = ++inside;
    for (int m = most; now > m && !most.compare_exchange_weak(m, now);) {
    }
    std::this_thread::sleep_for(std::chrono::milliseconds(2));
    skiff_status s = twice(c, state);
    --inside;
    return s;
  };
  for (bool serial : {true, false}) {
    most = 0;
    skiff_custom_op op = describe(a);
    if (serial) op.flags |= SKIFF_OP_SERIAL;
    api::Options o;
    add(o, op);
    std::string bytes = model();
    api::Session s = open(bytes, o);
    std::vector<std::thread> threads;
    for (int t = 0; t < 4; ++t)
      threads.emplace_back([&] {
        for (int i = 0; i < 10; ++i) CHECK(run(s)[5] == -12);
      });
    for (std::thread& t : threads) t.join();
    CHECK((most == 1) == serial);
  }
}

TEST_CASE("optional and variadic inputs, absent ones in between") {
  Author a;
  const skiff_custom_formal in[] = {kX,
                                    {"opt", SKIFF_DTYPE_BIT(SKIFF_FLOAT), 0, SKIFF_OPTIONAL, 0, 0},
                                    {"rest", SKIFF_DTYPE_BIT(SKIFF_FLOAT), 0, SKIFF_VARIADIC, 0, 0}};
  a.compute = [](skiff_call* c, void*) {
    api::OpCall call(table(), c);
    api::OpValue x = call.input(0);
    std::span<float> y = call.output<float>(0, x.dims());
    for (float& v : y) v = static_cast<float>(call.inputs());
    return SKIFF_OK;
  };
  skiff_custom_op op = describe(a);
  op.inputs = in;
  op.input_count = 3;
  api::Options o;
  add(o, op);
  for (size_t n : {1, 2, 5}) {
    std::string bytes = model("Thing", "test.custom", {}, n);
    api::Session s = open(bytes, o);
    CHECK(run(s)[0] == -static_cast<float>(n));
  }
  std::string none = model("Thing", "test.custom", {}, 0);
  CHECK(error_of([&] { open(none, o); }).find("input 0 ('X') is required") != std::string::npos);
}

TEST_CASE("a shape rule may read an input's value, and wait for it") {
  Author a;
  const skiff_custom_formal in[] = {{"n", SKIFF_DTYPE_BIT(SKIFF_INT64), 0, SKIFF_REQUIRED, SKIFF_FORMAL_SHAPES, 0}};
  const skiff_custom_formal out[] = {{"Y", SKIFF_DTYPE_BIT(SKIFF_FLOAT), 0, SKIFF_REQUIRED, 0, 0}};
  a.infer = [](skiff_call* c) {
    const int64_t* v = nullptr;
    size_t n = 0;
    skiff_dim dim{-1, nullptr};
    skiff_status s = table()->input_ints(c, 0, &v, &n);
    if (s == SKIFF_OK) dim.value = v[0];
    if (s != SKIFF_OK && s != SKIFF_NOT_FOUND) return s;
    skiff_type t{SKIFF_KIND_TENSOR, SKIFF_FLOAT, 1, &dim};
    return table()->set_output_type(c, 0, &t);
  };
  a.compute = [](skiff_call* c, void*) {
    api::OpCall call(table(), c);
    const int64_t dims[] = {call.input(0).data<const int64_t>()[0]};
    for (float& v : call.output<float>(0, dims)) v = 3;
    return SKIFF_OK;
  };
  skiff_custom_op op = describe(a);
  op.inputs = in;
  op.outputs = out;
  api::Options o;
  add(o, op);
  Model m;
  m.ir_version = 8;
  m.opsets = {{"", 17}, {"test.custom", 1}};
  ValueId x = m.graph.add_input("n", Type::tensor(DType::kInt64, SymShape(std::vector<Dim>{Dim(1)})));
  Node n;
  n.op = "Thing";
  n.domain = "test.custom";
  n.opset = 1;
  n.inputs = {x};
  ValueId y = m.graph.add_value("y");
  n.outputs = {y};
  m.graph.add_node(std::move(n));
  m.graph.mark_output(y);
  std::string bytes = onnx::write_model_bytes(m);
  api::Session s = open(bytes, o);
  for (int64_t k : {4, 0, 9}) {
    const int64_t one[] = {1};
    std::vector<api::Value> values;
    values.push_back(api::Value::from<int64_t>(std::span<const int64_t>(&k, 1), one));
    std::vector<api::Value> got = s.run(values);
    CHECK(got[0].dims() == std::vector<int64_t>{k});
    for (float v : got[0].data<float>()) CHECK(v == 3);
  }
}

TEST_CASE("sequences come out of a custom operator, and what was lent is copied") {
  Author a;
  a.compute = [](skiff_call* c, void*) {
    const skiff_value* x = nullptr;
    skiff_value* list = nullptr;
    if (skiff_status s = table()->input(c, 0, &x); s != SKIFF_OK) return s;
    const skiff_value* items[] = {x, x};
    if (skiff_status s = table()->sequence_create(items, 2, &list); s != SKIFF_OK) return s;
    skiff_status s = table()->set_output(c, 0, list);
    table()->value_free(list);
    return s;
  };
  skiff_custom_op op = describe(a);
  op.outputs = &kAny;
  api::Options o;
  add(o, op);
  Model m;
  m.ir_version = 8;
  m.opsets = {{"", 17}, {"test.custom", 1}};
  ValueId x = m.graph.add_input("x", Type::tensor(DType::kFloat, SymShape(std::vector<Dim>{Dim(2)})));
  ValueId twice_x = m.graph.add_value("xx"), y = m.graph.add_value("y");
  Node sum, n;
  sum.op = "Add";
  sum.opset = 17;
  sum.inputs = {x, x};
  sum.outputs = {twice_x};
  n.op = "Thing";
  n.domain = "test.custom";
  n.opset = 1;
  n.inputs = {twice_x};
  n.outputs = {y};
  m.graph.add_node(std::move(sum));
  m.graph.add_node(std::move(n));
  m.graph.mark_output(y);
  std::string bytes = onnx::write_model_bytes(m);
  api::Session s = open(bytes, o);
  const int64_t dims[] = {2};
  const float ones[] = {1, 2}, others[] = {7, 8};
  std::vector<api::Value> in, later;
  in.push_back(api::Value::from<float>(ones, dims));
  later.push_back(api::Value::from<float>(others, dims));
  std::vector<api::Value> got = s.run(in);
  s.run(later);
  REQUIRE(got[0].count() == 2);
  CHECK(got[0].item(1).data<float>()[1] == 4);
}

TEST_CASE("pure operators on constants are folded, others run every time") {
  for (bool pure : {true, false}) {
    Author a;
    int computed = 0;
    a.infer = same_type;
    a.compute = [&](skiff_call* c, void* state) { return ++computed, twice(c, state); };
    skiff_custom_op op = describe(a);
    if (pure) op.flags |= SKIFF_OP_PURE;
    api::Options o;
    add(o, op);
    Model m;
    m.ir_version = 8;
    m.opsets = {{"", 17}, {"test.custom", 1}};
    ValueId x = m.graph.add_input("x", Type::tensor(DType::kFloat, SymShape(std::vector<Dim>{Dim::symbol("N"), Dim(3)})));
    ValueId w = m.graph.add_constant("w", Tensor::from(std::vector<float>{1, 2, 3}, {3}));
    ValueId t = m.graph.add_value("t"), y = m.graph.add_value("y");
    Node n, sum;
    n.op = "Thing";
    n.domain = "test.custom";
    n.opset = 1;
    n.inputs = {w};
    n.outputs = {t};
    sum.op = "Add";
    sum.opset = 17;
    sum.inputs = {x, t};
    sum.outputs = {y};
    m.graph.add_node(std::move(n));
    m.graph.add_node(std::move(sum));
    m.graph.mark_output(y);
    std::string bytes = onnx::write_model_bytes(m);
    api::Session s = open(bytes, o);
    for (int i = 0; i < 3; ++i) CHECK(run(s, {1, 1, 1}) == std::vector<float>{3, 5, 7});
    CHECK(computed == (pure ? 1 : 3));
  }
}

TEST_CASE("versions: the one in force is chosen, a model that imports none is told so") {
  Author a;
  a.compute = [](skiff_call* c, void*) {
    api::OpCall call(table(), c);
    for (float& v : call.output<float>(0, call.input(0).dims())) v = static_cast<float>(call.opset_version());
    return SKIFF_OK;
  };
  const int versions[] = {2, 5};
  skiff_custom_op op = describe(a);
  op.versions = versions;
  op.version_count = 2;
  api::Options o;
  add(o, op);
  std::string v4 = model("Thing", "test.custom", {}, 1, 1, 4), v1 = model("Thing", "test.custom", {}, 1, 1, 1);
  api::Session s = open(v4, o);
  CHECK(run(s)[0] == -4);
  CHECK(error_of([&] { open(v1, o); }).find("does not exist before opset 2") != std::string::npos);
  std::string none = model("Unknown");
  CHECK(error_of([&] { open(none, o); }).find("--custom-ops") != std::string::npos);
}

TEST_CASE("an older author's smaller description is read as far as it goes") {
  Author a;
  a.compute = twice;
  struct Longer {
    skiff_custom_op op;
    char future[64];
  } longer{};
  longer.op = describe(a);
  std::memset(longer.future, 0x5a, sizeof longer.future);
  longer.op.struct_size = sizeof longer;  // a newer author's: the known part counts
  api::Options o;
  add(o, longer.op);
  std::string bytes = model();
  api::Session s = open(bytes, o);
  CHECK(run(s)[0] == -2);
}

TEST_CASE("custom operators run inside branches and model-local functions, each node with its own state") {
  Author a;
  a.create = [](skiff_call*) { return SKIFF_OK; };
  a.infer = same_type;
  a.compute = twice;
  auto thing = [](Graph& g, ValueId from, const char* name) {
    Node n;
    n.op = "Thing";
    n.domain = "test.custom";
    n.name = name;
    n.opset = 1;
    n.inputs = {from};
    ValueId to = g.add_value(cat(name, "_out"));
    n.outputs = {to};
    g.add_node(std::move(n));
    return to;
  };
  Model m;
  m.ir_version = 8;
  m.opsets = {{"", 17}, {"test.custom", 1}, {"test.functions", 1}};
  Function f;
  f.domain = "test.functions";
  f.name = "Fourfold";
  f.opsets = {{"", 17}, {"test.custom", 1}};
  f.body = std::make_shared<Graph>();
  ValueId fx = f.body->add_input("fx", {});
  f.body->mark_output(thing(*f.body, thing(*f.body, fx, "inner_a"), "inner_b"));
  m.functions.push_back(std::move(f));

  ValueId x = m.graph.add_input("x", Type::tensor(DType::kFloat, SymShape(std::vector<Dim>{Dim::symbol("N"), Dim(3)})));
  ValueId c = m.graph.add_input("c", Type::tensor(DType::kBool, SymShape(std::vector<Dim>{})));
  Node call, branch;
  call.op = "Fourfold";
  call.domain = "test.functions";
  call.name = "call";
  call.opset = 1;
  call.inputs = {x};
  ValueId four = m.graph.add_value("four");
  call.outputs = {four};
  m.graph.add_node(std::move(call));
  branch.op = "If";
  branch.name = "branch";
  branch.opset = 17;
  branch.inputs = {c};
  branch.captures = {four};
  for (const char* which : {"then_branch", "else_branch"}) {
    auto g = std::make_shared<Graph>();
    ValueId outer = g->add_capture("four", 0), v = thing(*g, outer, which);
    g->mark_output(*which == 't' ? v : thing(*g, v, "more"));
    branch.attributes.emplace_back(which, std::move(g));
  }
  ValueId y = m.graph.add_value("y");
  branch.outputs = {y};
  m.graph.add_node(std::move(branch));
  m.graph.mark_output(y);
  std::string bytes = onnx::write_model_bytes(m);
  {
    api::Options o;
    add(o, describe(a));
    api::Session s = open(bytes, o);
    CHECK(a.created == 5);
    for (bool yes : {true, false}) {
      const int64_t dims[] = {1, 3};
      const float ones[] = {1, 2, 3};
      std::vector<api::Value> in;
      in.push_back(api::Value::from<float>(ones, dims));
      in.push_back(api::Value::from<bool>(std::span<const bool>(&yes, 1), {}));
      CHECK(s.run(in)[0].data<float>()[2] == (yes ? 24 : 48));
    }
  }
  CHECK(a.destroyed == 5);
}

TEST_CASE("operators of the process are there for every session, and clash with nothing silently") {
  static Author a;  // the process keeps it
  a.compute = twice;
  skiff_custom_op op = describe(a, "ProcessWide");
  api::check(skiff_register_op(&op));
  CHECK(skiff_register_op(&op) == SKIFF_INVALID_ARGUMENT);
  std::string bytes = model("ProcessWide");
  api::Session s = open(bytes, api::Options());
  CHECK(run(s)[0] == -2);
  api::Options o;
  add(o, op);
  CHECK(error_of([&] { open(bytes, o); }).find("registered already") != std::string::npos);
}

TEST_CASE("the C++ layer: a class is an operator, its exceptions are errors with the node's name") {
  struct Scale {
    explicit Scale(api::OpCall& node) : by(node.attribute("by", 1.0f)) {
      if (by == 0) throw std::invalid_argument("by must not be 0");
    }
    static void infer(api::OpCall& rule) {
      std::vector<skiff_dim> dims = rule.input_shape(0);
      rule.set_output_type(0, SKIFF_FLOAT, dims);
    }
    void run(api::OpCall& call) const {
      api::OpValue x = call.input(0);
      std::span<float> y = call.output<float>(0, x.dims());
      if (x.size() == 3) call.input(4);
      for (size_t i = 0; i < y.size(); ++i) y[i] = by * x.data<const float>()[i];
    }
    float by;
  };
  api::Op scale = api::Op::of<Scale>("test.custom", "Scale")
                      .input("X", {SKIFF_FLOAT})
                      .output("Y", {SKIFF_FLOAT})
                      .attribute("by", SKIFF_ATTR_FLOAT);
  api::Options o;
  o.register_op(scale);
  std::string good = model("Scale", "test.custom", {{"by", 3.0f}}), zero = model("Scale", "test.custom", {{"by", 0.0f}});
  api::Session s = open(good, o);
  CHECK(run(s)[5] == -18);
  std::string text = error_of([&] { run(s, {1, 2, 3}); });
  CHECK_MESSAGE(text.find("node 'node_0' (test.custom.Scale)") != std::string::npos, text);
  CHECK_MESSAGE(text.find("there is no input 4") != std::string::npos, text);
  text = error_of([&] { open(zero, o); });
  CHECK_MESSAGE(text.find("by must not be 0") != std::string::npos, text);
  std::string mistyped = model("Scale", "test.custom", {{"by", int64_t{3}}});
  CHECK(error_of([&] { open(mistyped, o); }).find("attribute 'by' must be of type") != std::string::npos);
}
