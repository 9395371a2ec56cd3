// Symbolic inference: shape arithmetic must survive the idioms exporters write.
#include "op_test.h"

using namespace skiff;
using test::Builder;
using test::contains;

TEST_CASE("Shape, Gather, Concat and Reshape keep symbols") {
  Builder b;
  ValueId x = b.input("x", DType::kFloat, {Dim::symbol("N"), Dim::symbol("S"), 12, 64});
  ValueId shape = b.op("Shape", {x});
  ValueId n = b.op("Unsqueeze", {b.op("Gather", {shape, b.scalar(0)}), b.ints({0})});
  ValueId s = b.op("Slice", {shape, b.ints({1}), b.ints({2}), b.ints({0})});
  ValueId target = b.op("Concat", {n, s, b.ints({-1})}, {{"axis", int64_t{0}}});
  ValueId y = b.op("Reshape", {x, target});
  CHECK(b.type(y) == "float[N, S, 768]");
}

TEST_CASE("Reshape divides symbolic element counts") {
  Builder b;
  ValueId x = b.input("x", DType::kFloat, {Dim::symbol("N"), 6, Dim::symbol("W")});
  ValueId flat = b.op("Reshape", {x, b.ints({-1, 3})});
  ValueId keep = b.op("Reshape", {x, b.ints({0, 2, -1})});
  CHECK(b.type(flat) == "float[2*N*W, 3]");
  CHECK(b.type(keep) == "float[N, 2, 3*W]");
}

TEST_CASE("arithmetic on extents, through floats too") {
  Builder b;
  ValueId x = b.input("x", DType::kFloat, {1, 3, Dim::symbol("H"), 5});
  ValueId h = b.op("Gather", {b.op("Shape", {x}), b.ints({2})});
  ValueId twice = b.op("Mul", {h, b.ints({2})});
  ValueId as_float = b.op("Cast", {twice}, {{"to", int64_t{1}}});
  ValueId floored = b.op("Floor", {as_float});
  ValueId back = b.op("Cast", {floored}, {{"to", int64_t{7}}});
  ValueId more = b.op("Add", {back, b.ints({1})});
  ValueId y = b.op("ConstantOfShape", {more});
  ValueId half = b.op("ConstantOfShape", {b.op("Div", {twice, b.ints({2})})});
  CHECK(b.type(y) == "float[2*H + 1]");
  CHECK(b.type(half) == "float[H]");
}

TEST_CASE("a float quotient that is not whole is not taken for an extent") {
  Builder b;
  ValueId x = b.input("x", DType::kFloat, {Dim::symbol("H")});
  ValueId f = b.op("Cast", {b.op("Shape", {x})}, {{"to", int64_t{1}}});
  ValueId q = b.op("Div", {f, b.constant(Tensor::from(std::vector<float>{2.0f}, {1}))});
  ValueId back = b.op("Cast", {b.op("Ceil", {q})}, {{"to", int64_t{7}}});
  ValueId y = b.op("ConstantOfShape", {back});
  CHECK(contains(b.type(y), "float[v"));
}

TEST_CASE("Expand with the Where(Equal(shape, -1)) idiom") {
  Builder b;
  ValueId x = b.input("x", DType::kFloat, {Dim::symbol("N"), 1, 4});
  ValueId like = b.input("like", DType::kFloat, {Dim::symbol("N"), 7, 4});
  ValueId shape = b.op("Shape", {like});
  ValueId cond = b.op("Equal", {shape, b.ints({-1, -1, -1})});
  ValueId target = b.op("Where", {cond, b.ints({1, 1, 1}), shape});
  ValueId y = b.op("Expand", {x, target});
  CHECK(b.type(y) == "float[N, 7, 4]");
}

TEST_CASE("Range, ReduceProd, Size, Min and Max of extents") {
  Builder b;
  ValueId x = b.input("x", DType::kFloat, {Dim::symbol("N"), Dim::symbol("S")});
  ValueId shape = b.op("Shape", {x});
  ValueId s = b.op("Gather", {shape, b.scalar(1)});
  ValueId range = b.op("Range", {b.scalar(0), s, b.scalar(1)});
  ValueId prod = b.op("ConstantOfShape", {b.op("ReduceProd", {shape})});
  ValueId size = b.op("ConstantOfShape", {b.op("Reshape", {b.op("Size", {x}), b.ints({-1})})});
  ValueId least = b.op("ConstantOfShape", {b.op("Min", {shape, shape})});
  CHECK(b.type(range) == "int64[S]");
  CHECK(b.type(prod) == "float[N*S]");
  CHECK(b.type(size) == "float[N*S]");
  CHECK(b.type(least) == "float[N, S]");
}

TEST_CASE("Slice, Pad, Concat, Tile and Split with symbols") {
  Builder b;
  ValueId x = b.input("x", DType::kFloat, {Dim::symbol("N"), 8});
  CHECK(b.type(b.op("Slice", {x, b.ints({1}), b.ints({INT64_MAX}), b.ints({0})})) == "float[N - 1, 8]");
  CHECK(b.type(b.op("Slice", {x, b.ints({0}), b.ints({-2}), b.ints({0})})) == "float[N - 2, 8]");
  CHECK(b.type(b.op("Slice", {x, b.ints({-1}), b.ints({INT64_MAX}), b.ints({0})})) == "float[1, 8]");
  CHECK(b.type(b.op("Slice", {x, b.ints({1}), b.ints({100}), b.ints({1}), b.ints({3})})) == "float[N, 3]");
  CHECK(b.type(b.op("Pad", {x, b.ints({1, 0, 2, 3})})) == "float[N + 3, 11]");
  CHECK(b.type(b.op("Concat", {x, x}, {{"axis", int64_t{0}}})) == "float[2*N, 8]");
  CHECK(b.type(b.op("Tile", {x, b.ints({3, 2})})) == "float[3*N, 16]");
  CHECK(b.type(b.ops("Split", {x}, 2, {{"axis", int64_t{1}}, {"num_outputs", int64_t{2}}})[1]) ==
        "float[N, 4]");
  CHECK(b.type(b.op("Flatten", {b.op("Unsqueeze", {x, b.ints({2})})}, {{"axis", int64_t{2}}})) ==
        "float[8*N, 1]");
}

TEST_CASE("MatMul and Gemm with symbols") {
  Builder b;
  ValueId x = b.input("x", DType::kFloat, {Dim::symbol("N"), 1, Dim::symbol("S"), 64});
  ValueId w = b.input("w", DType::kFloat, {12, 64, Dim::symbol("T")});
  CHECK(b.type(b.op("MatMul", {x, w})) == "float[N, 12, S, T]");
  ValueId v = b.input("v", DType::kFloat, {64});
  CHECK(b.type(b.op("MatMul", {x, v})) == "float[N, 1, S]");
  ValueId a = b.input("a", DType::kFloat, {64, Dim::symbol("M")});
  ValueId w2 = b.input("w2", DType::kFloat, {64, 10});
  CHECK(b.type(b.op("Gemm", {a, w2}, {{"transA", int64_t{1}}})) == "float[M, 10]");
}

TEST_CASE("a rule says what is wrong") {
  Builder add;
  add.op("Add", {add.input("a", DType::kFloat, {2, 3}), add.input("b", DType::kFloat, {4})});
  CHECK(contains(add.error(), "cannot be broadcast"));
  Builder types;
  types.op("Add", {types.input("a", DType::kFloat, {2}), types.input("b", DType::kDouble, {2})});
  CHECK(contains(types.error(), "element type"));
  Builder reshape;
  reshape.op("Reshape", {reshape.input("a", DType::kFloat, {2, 3}), reshape.ints({4, -1})});
  CHECK(contains(reshape.error(), "does not come out even"));
  Builder axis;
  axis.op("Concat", {axis.input("a", DType::kFloat, {2, 3})}, {{"axis", int64_t{2}}});
  CHECK(contains(axis.error(), "outside"));
  Builder perm;
  perm.op("Transpose", {perm.input("a", DType::kFloat, {2, 3})}, {{"perm", Attribute::Ints{0, 0}}});
  CHECK(contains(perm.error(), "twice"));
  Builder matmul;
  matmul.op("MatMul", {matmul.input("a", DType::kFloat, {2, 3}), matmul.input("b", DType::kFloat, {4, 2})});
  CHECK(contains(matmul.error(), "3 columns meet 4 rows"));
}
