#include "graph/patch.h"

#include <doctest/doctest.h>

using namespace skiff;

namespace {

// x -> A -> t -> B -> y
struct Chain {
  Graph g;
  ValueId x, t, y;
  NodeId a, b;
  Chain() {
    x = g.add_input("x", Type::tensor(DType::kFloat, SymShape(Dims{2})));
    t = g.add_value("t");
    y = g.add_value("y");
    a = add("Abs", x, t);
    b = add("Neg", t, y);
    g.mark_output(y);
  }
  NodeId add(const char* op, ValueId in, ValueId out) {
    Node n;
    n.op = op;
    n.opset = 13;
    n.inputs = {in};
    n.outputs = {out};
    return g.add_node(std::move(n));
  }
};

}  // namespace

TEST_CASE("a patch replaces a node; the output keeps its name") {
  Chain c;
  Patch p(c.g);
  ValueId r = p.op("", "Relu", 13, {c.x}, {}, "relu");
  p.replace(c.y, r);
  p.remove(c.b);
  p.remove(c.a);
  p.apply();
  verify(c.g);
  CHECK(c.g.node_count() == 1);
  CHECK(c.g.value(c.g.outputs()[0]).name == "y");
  CHECK(c.g.node(c.g.order()[0]).op == "Relu");
}

TEST_CASE("a dropped patch leaves no trace") {
  Chain c;
  std::string before = print(c.g);
  {
    Patch p(c.g);
    p.replace(c.t, p.constant("k", Tensor::scalar(1.0f)));
    p.remove(c.a);
  }
  CHECK(print(c.g) == before);
  verify(c.g);
}

TEST_CASE("edits that do not fit together are refused and change nothing") {
  Chain c;
  std::string before = print(c.g);
  Patch p(c.g);
  p.remove(c.a);  // B still uses t
  CHECK_THROWS_AS(p.apply(), Error);
  Patch q(c.g);
  q.remove(c.b);  // makes a graph output
  CHECK_THROWS_AS(q.apply(), Error);
  Patch late(c.g);
  Patch first(c.g);
  first.set_attribute(c.a, {"k", int64_t{1}});
  first.apply();
  late.set_attribute(c.a, {"k", int64_t{2}});
  CHECK_THROWS_AS(late.apply(), Error);
  CHECK(c.g.node(c.a).attr_i("k", 0) == 1);
  verify(c.g);
}

TEST_CASE("a new node may wrap the value it replaces") {
  Chain c;
  Patch p(c.g);
  ValueId w = p.op("", "Exp", 13, {c.t}, {}, "wrapped");
  p.replace(c.t, w);
  p.apply();
  verify(c.g);
  CHECK(c.g.node(c.b).inputs[0] == w);
  CHECK(c.g.node(c.g.value(w).producer).inputs[0] == c.t);
}

TEST_CASE("verification and order find what is wrong") {
  Graph g;
  ValueId a = g.add_value("a"), b = g.add_value("b");
  Node n;
  n.op = "Abs";
  n.inputs = {a};
  n.outputs = {b};
  g.add_node(n);
  CHECK_THROWS_AS(verify(g), Error);  // nothing defines a
  n.inputs = {b};
  n.outputs = {a};
  g.add_node(n);
  CHECK_THROWS_AS(g.order(), Error);      // a cycle
  CHECK_THROWS_AS(g.add_node(n), Error);  // a has a producer already
  CHECK_THROWS_AS(g.add_value("a"), Error);
}

TEST_CASE("a clone is deep and equal") {
  Chain c;
  auto sub = std::make_shared<Graph>();
  sub->add_input("i", {});
  Patch p(c.g);
  p.set_attribute(c.a, {"body", sub});
  p.apply();
  Graph d = c.g.clone();
  CHECK(print(d) == print(c.g));
  CHECK(d.node(c.a).attr_graph("body") != c.g.node(c.a).attr_graph("body"));
  verify(d);
}
