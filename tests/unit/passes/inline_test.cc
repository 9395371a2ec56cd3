// inline_functions, inline_branches, and constants captured by subgraphs.
#include <cmath>

#include "ops/infer.h"
#include "ops/interpret.h"
#include "unit/passes/support.h"

namespace skiff::passes::test {
namespace {

// f(x) = LeakyRelu(x, alpha = @slope) + 1, default slope 0.5
Function leaky_plus_one() {
  Function f;
  f.domain = "my";
  f.name = "LeakyPlusOne";
  f.attribute_defaults.emplace_back("slope", 0.5F);
  f.body = std::make_shared<Graph>();
  Graph& g = *f.body;
  ValueId x = g.add_input("x", {});
  Node n;
  n.op = "LeakyRelu";
  n.opset = 20;
  n.inputs = {x};
  n.outputs = {g.add_value("a")};
  Attribute a("alpha", Attribute::Value{});
  a.ref_type = AttrType::kFloat;
  a.ref_name = "slope";
  n.attributes = {a};
  g.add_node(n);
  Node one;
  one.op = "Constant";
  one.opset = 20;
  one.attributes = {Attribute("value", Tensor::scalar(1.0F))};
  one.outputs = {g.add_value("one")};
  g.add_node(one);
  Node add;
  add.op = "Add";
  add.opset = 20;
  add.inputs = {g.find_value("a"), g.find_value("one")};
  add.outputs = {g.add_value("y")};
  g.add_node(add);
  g.mark_output(g.find_value("y"));
  return f;
}

// g(x) = LeakyPlusOne(LeakyPlusOne(x, slope = @outer))
Function twice() {
  Function f;
  f.domain = "my";
  f.name = "Twice";
  f.attributes = {"outer"};
  f.body = std::make_shared<Graph>();
  Graph& g = *f.body;
  ValueId v = g.add_input("x", {});
  for (int i = 0; i < 2; ++i) {
    Node n;
    n.domain = "my";
    n.op = "LeakyPlusOne";
    n.opset = 1;
    n.inputs = {v};
    v = g.add_value("t" + std::to_string(i));
    n.outputs = {v};
    if (i == 0) {
      Attribute a("slope", Attribute::Value{});
      a.ref_type = AttrType::kFloat;
      a.ref_name = "outer";
      n.attributes = {a};
    }
    g.add_node(n);
  }
  g.mark_output(v);
  return f;
}

float run_one(Graph& g, const std::vector<Function>& functions, float x) {
  resolve_ops(g, functions);
  PassContext ctx;
  ctx.functions = &functions;
  run_passes(g, ctx, general_passes());
  std::vector<float> in{x};
  std::vector<Datum> inputs{Datum(Tensor::from(std::span<const float>(in), {1}))};
  return interpret(g, inputs)[0].tensor().data<float>()[0];
}

TEST_CASE("functions expand, nested, with the caller's attributes or the defaults") {
  std::vector<Function> functions{leaky_plus_one(), twice()};
  {
    Build b;
    b.out(b.op("LeakyPlusOne", {b.in("x", {1})}, {float_attr("slope", 0.25F)}, "my"));
    CHECK(run_one(b.g, functions, -4) == 0);
  }
  {
    Build b;
    b.out(b.op("LeakyPlusOne", {b.in("x", {1})}, {}, "my"));
    CHECK(run_one(b.g, functions, -4) == -1);
  }
  {
    Build b;
    b.out(b.op("Twice", {b.in("x", {1})}, {float_attr("outer", 1)}, "my"));
    CHECK(run_one(b.g, functions, -4) == -0.5F);  // (-4 + 1) * 0.5 + 1
    CHECK(count(b.g, "LeakyRelu") == 2);
  }
}

TEST_CASE("a missing required attribute is named") {
  std::vector<Function> functions{leaky_plus_one(), twice()};
  Build b;
  b.out(b.op("Twice", {b.in("x", {1})}, {}, "my"));
  PassContext ctx;
  ctx.functions = &functions;
  CHECK_THROWS_WITH_AS(run_passes(b.g, ctx, general_passes()), doctest::Contains("outer"), Error);
}

TEST_CASE("recursion and explosive expansion are refused") {
  std::vector<Function> functions{twice()};
  functions[0].body->mutable_node(0).op = "Twice";
  Build b;
  b.out(b.op("Twice", {b.in("x", {1})}, {float_attr("outer", 1)}, "my"));
  PassContext ctx;
  ctx.functions = &functions;
  CHECK_THROWS_WITH_AS(run_passes(b.g, ctx, general_passes()), doctest::Contains("calls itself"), Error);

  // 40 functions, each calling the one before twice: 2^40 nodes.
  std::vector<Function> tower{leaky_plus_one()};
  for (int i = 0; i < 40; ++i) {
    Function f = twice();
    f.attributes.clear();
    f.name = "F" + std::to_string(i);
    for (NodeId id : {0, 1}) {
      f.body->mutable_node(id).op = i == 0 ? "LeakyPlusOne" : "F" + std::to_string(i - 1);
      f.body->mutable_node(id).attributes.clear();
    }
    tower.push_back(std::move(f));
  }
  Build t;
  t.out(t.op("F39", {t.in("x", {1})}, {}, "my"));
  PassContext big;
  big.functions = &tower;
  try {
    run_passes(t.g, big, general_passes());
    FAIL("2^40 nodes were accepted");
  } catch (const Error& e) {
    CHECK(e.code() == Code::kLimit);
  }
}

// then: x + w, else: x - w, with x and w captured.
ValueId add_if(Build& b, ValueId condition, ValueId x, ValueId w) {
  auto branch = [&](const char* op) {
    auto g = std::make_shared<Graph>();
    ValueId a = g->add_capture("a", 0), c = g->add_capture("c", 1);
    Node n;
    n.op = op;
    n.opset = 20;
    n.inputs = {a, c};
    n.outputs = {g->add_value("r")};
    g->add_node(n);
    g->mark_output(g->find_value("r"));
    return g;
  };
  Node n;
  n.op = "If";
  n.name = "choice";
  n.opset = 20;
  n.inputs = {condition};
  n.captures = {x, w};
  n.attributes = {Attribute("then_branch", branch("Add")), Attribute("else_branch", branch("Sub"))};
  n.outputs = {b.g.add_value("choice_out")};
  return b.g.node(b.g.add_node(n)).outputs[0];
}

TEST_CASE("an If with a constant condition becomes its branch") {
  if (!find_op("", "If")) {
    MESSAGE("If is not in the catalogue yet: skipped");
    return;
  }
  for (bool taken : {true, false}) {
    Build b;
    Tensor t(DType::kBool, {});
    set_int(t, 0, taken);
    b.out(add_if(b, b.constant(t), b.in("x", {2}), b.floats({2})));
    CHECK(run_pass(b.g, "inline_branches"));
    CHECK(b.g.node_count() == 1);
    CHECK(count(b.g, taken ? "Add" : "Sub") == 1);
  }
}

TEST_CASE("captured constants become constants inside, an open condition stays") {
  if (!find_op("", "If")) {
    MESSAGE("If is not in the catalogue yet: skipped");
    return;
  }
  Build b;
  ValueId c = b.in("c", {}, DType::kBool);
  b.out(add_if(b, c, b.in("x", {2}), b.op("Neg", {b.floats({2})})));
  CHECK(run_all(b.g));
  const auto& body = find(b.g, "If").attr_graph("then_branch");
  CHECK(body->value(body->node(body->order()[0]).inputs[1]).is_constant());
}

}  // namespace
}  // namespace skiff::passes::test
