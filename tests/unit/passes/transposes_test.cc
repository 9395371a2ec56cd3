// simplify_transposes.
#include "unit/passes/support.h"

namespace skiff::passes::test {
namespace {

Attribute perm(std::vector<int64_t> p) { return ints_attr("perm", std::move(p)); }

TEST_CASE("transposes in a row join or cancel") {
  Build b;
  ValueId x = b.in("x", {2, 3, 4});
  ValueId t = b.op("Transpose", {b.op("Transpose", {x}, {perm({1, 2, 0})})}, {perm({2, 0, 1})});
  b.out(b.op("Relu", {t}));
  ValueId u = b.op("Transpose", {b.op("Transpose", {x}, {perm({1, 0, 2})})}, {perm({2, 0, 1})});
  b.out(b.op("Exp", {u}));
  CHECK(run_pass(b.g, "simplify_transposes"));
  CHECK(count(b.g, "Transpose") == 1);
}

TEST_CASE("a pair around elementwise nodes, Pad, Concat and Softmax cancels") {
  Build b;
  ValueId x = b.in("x", {2, 3, 4, 5});
  ValueId v = b.op("Transpose", {x}, {perm({0, 2, 3, 1})});
  v = b.op("Relu", {v});
  v = b.op("Add", {v, b.floats({3})});
  v = b.op("Mul", {v, b.floats({4, 1, 3})});
  v = b.op("Pad", {v, b.ints({0, 1, 2, 0, 0, 0, 1, 0})});
  v = b.op("Concat", {v, b.floats({2, 5, 8, 2})}, {int_attr("axis", 3)});
  v = b.op("Softmax", {v}, {int_attr("axis", -1)});
  b.out(b.op("Transpose", {v}, {perm({0, 3, 1, 2})}));
  CHECK(run_pass(b.g, "simplify_transposes"));
  CHECK(count(b.g, "Transpose") == 0);
  CHECK(find(b.g, "Softmax").attr_i("axis", 99) == 1);
}

TEST_CASE("equal transposes before one node become one behind it") {
  Build b;
  ValueId x = b.op("Transpose", {b.in("x", {2, 3, 4})}, {perm({2, 0, 1})});
  ValueId y = b.op("Transpose", {b.in("y", {2, 3, 4})}, {perm({2, 0, 1})});
  b.out(b.op("Add", {x, y}));
  CHECK(run_pass(b.g, "simplify_transposes"));
  CHECK(count(b.g, "Transpose") == 1);
}

TEST_CASE("transposes move behind what makes tensors smaller") {
  SUBCASE("ReduceMean, extents kept") {
    Build b;
    ValueId t = b.op("Transpose", {b.in("x", {2, 3, 4, 5})}, {perm({0, 2, 3, 1})});
    b.out(b.op("ReduceMean", {t, b.ints({1, 2})}));
    CHECK(run_pass(b.g, "simplify_transposes"));
    // [2, 3, 1, 1] -> [2, 1, 1, 3] moves only units
    CHECK(count(b.g, "Transpose") == 0);
  }
  SUBCASE("ReduceSum, extents dropped") {
    Build b;
    ValueId t = b.op("Transpose", {b.in("x", {2, 3, 4, 5})}, {perm({3, 0, 2, 1})});
    b.out(b.op("ReduceSum", {t, b.ints({-1})}, {int_attr("keepdims", 0)}));
    CHECK(run_pass(b.g, "simplify_transposes"));
    CHECK(count(b.g, "Transpose") == 1);
  }
  SUBCASE("ArgMax") {
    Build b;
    ValueId t = b.op("Transpose", {b.in("x", {2, 3, 4, 5})}, {perm({0, 2, 3, 1})});
    b.out(b.op("ArgMax", {t}, {int_attr("axis", 3), int_attr("keepdims", 0)}));
    CHECK(run_pass(b.g, "simplify_transposes"));
    CHECK(count(b.g, "Transpose") == 0);
  }
  SUBCASE("Slice") {
    Build b;
    ValueId t = b.op("Transpose", {b.in("x", {2, 3, 4, 5})}, {perm({3, 1, 0, 2})});
    b.out(b.op("Slice", {t, b.ints({1, 0}), b.ints({4, 2}), b.ints({0, 3})}));
    CHECK(run_pass(b.g, "simplify_transposes"));
    CHECK(find(b.g, "Transpose").outputs[0] == b.g.outputs()[0]);
  }
  SUBCASE("Gather of one row") {
    Build b;
    ValueId t = b.op("Transpose", {b.in("x", {2, 3, 4})}, {perm({1, 2, 0})});
    b.out(b.op("Gather", {t, b.constant(Tensor::scalar(int64_t{2}))}, {int_attr("axis", 1)}));
    CHECK(run_pass(b.g, "simplify_transposes"));
    CHECK(find(b.g, "Gather").attr_i("axis", 99) == 2);
  }
}

TEST_CASE("a transpose of unit extents is a reshape") {
  Build b;
  ValueId x = b.in("x", {Dim::symbol("N"), 8, 1, 1});
  b.out(b.op("Transpose", {x}, {perm({0, 2, 3, 1})}));
  CHECK(run_pass(b.g, "simplify_transposes"));
  CHECK(count(b.g, "Reshape") == 1);
}

TEST_CASE("a transpose somebody else needs, or that meets no inverse, stays where it is") {
  Build b;
  ValueId t = b.op("Transpose", {b.in("x", {2, 3, 4})}, {perm({0, 2, 1})});
  b.out(b.op("Relu", {t}));
  b.out(b.op("Exp", {t}));
  CHECK_FALSE(run_pass(b.g, "simplify_transposes"));
  Build c;
  ValueId u = c.op("Transpose", {c.in("x", {2, 3, 4})}, {perm({0, 2, 1})});
  c.out(c.op("Transpose", {c.op("CumSum", {u, c.constant(Tensor::scalar(int64_t{1}))})}, {perm({0, 2, 1})}));
  if (find_op("", "CumSum")) CHECK_FALSE(run_pass(c.g, "simplify_transposes"));
}

TEST_CASE("nothing moves across a quantizer") {
  Build b;
  ValueId t = b.op("Transpose", {b.in("x", {2, 3, 4})}, {perm({0, 2, 1})});
  ValueId zero = b.constant([] {
    Tensor z(DType::kInt8, {});
    set_int(z, 0, 0);
    return z;
  }());
  ValueId q = b.op("QuantizeLinear", {t, b.scalar(0.1F), zero});
  ValueId d = b.op("DequantizeLinear", {q, b.scalar(0.1F), zero});
  b.out(b.op("Transpose", {d}, {perm({0, 2, 1})}));
  CHECK_FALSE(run_pass(b.g, "simplify_transposes"));
}

}  // namespace
}  // namespace skiff::passes::test
