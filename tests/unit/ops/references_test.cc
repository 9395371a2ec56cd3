// References: what the case list does not say - errors, hostile arguments, strings, control flow.
#include <cmath>

#include "op_test.h"

using namespace skiff;
using namespace skiff::test;

namespace {

Tensor ints(std::initializer_list<int64_t> v) {
  return Tensor::from(std::span<const int64_t>(v.begin(), v.size()));
}

Tensor strings(std::initializer_list<const char*> v) {
  Tensor t(DType::kString, {static_cast<int64_t>(v.size())});
  int64_t i = 0;
  for (const char* s : v) t.data<std::string>()[i++] = s;
  return t;
}

}  // namespace

TEST_CASE("integer division never traps") {
  Tensor a = ints({INT64_MIN, 7, INT64_MIN}), b = ints({-1, 0, 0});
  Tensor q = run_op("Div", 14, {a, b})[0].tensor();
  CHECK(identical(q, ints({INT64_MIN, 0, 0})));
  for (int64_t fmod : {0, 1})
    CHECK(identical(run_op("Mod", 13, {a, b}, {{"fmod", fmod}})[0].tensor(), ints({0, 0, 0})));
}

TEST_CASE("hostile indices and sizes are refused") {
  Tensor x(DType::kFloat, {2, 3});
  CHECK(contains(error_of("Gather", 13, {x, ints({2})}), "index 2 is outside [-2, 1]"));
  CHECK(contains(error_of("Gather", 13, {x, ints({INT64_MIN})}), "outside"));
  CHECK(contains(error_of("GatherND", 13, {x, tensor<int>(DType::kInt64, {1, 2}, {0, 3})}), "outside"));
  CHECK(contains(
      error_of("ScatterND", 18, {x, tensor<int>(DType::kInt64, {1, 1}, {5}), Tensor(DType::kFloat, {1, 3})}),
      "outside"));
  CHECK(contains(error_of("Tile", 13, {x, ints({INT64_MAX, 2})}), "cannot be made"));
  CHECK(contains(error_of("Tile", 13, {x, ints({-1, 2})}), "cannot be made"));
  CHECK(contains(error_of("Pad", 13, {x, ints({-3, 0, 0, 0})}), "no valid extent"));
  CHECK(contains(error_of("Pad", 13, {x, ints({INT64_MAX, 0, INT64_MAX, 0})}), "no valid extent"));
  CHECK(contains(error_of("ConstantOfShape", 9, {ints({INT64_MAX, 4})}),
                 "more elements than can be addressed"));
  CHECK(contains(error_of("ConstantOfShape", 9, {ints({-2})}), "negative"));
  CHECK(contains(error_of("Reshape", 14, {x, ints({-1, -1})}), "more than one -1"));
  CHECK(contains(error_of("Reshape", 14, {x, ints({4, 2})}), "cannot view"));
  CHECK(contains(error_of("Slice", 13, {x, ints({0}), ints({2}), ints({0}), ints({0})}), "step 0"));
  CHECK(
      contains(error_of("Range", 11,
                        {Tensor::scalar(int64_t{0}), Tensor::scalar(int64_t{5}), Tensor::scalar(int64_t{0})}),
               "step 0"));
  CHECK(contains(error_of("Split", 13, {x, ints({3, 1})}, {{"axis", int64_t{1}}}), "pieces sum"));
  CHECK(contains(error_of("TopK", 11, {x, ints({4})}), "exceeds the extent 3"));
  CHECK(contains(error_of("Squeeze", 13, {x, ints({0})}), "extent is not 1"));
  CHECK(contains(error_of("OneHot", 11, {ints({0}), Tensor::scalar(int64_t{-4}), ints({0, 1})}), "negative"));
  CHECK(contains(error_of("Clip", 13, {x, x}), "must be a scalar"));
  CHECK(contains(error_of("Einsum", 12, {x}, {{"equation", std::string("ijk->i")}}), "does not fit"));
}

TEST_CASE("Slice clamps extreme bounds") {
  Tensor x = ints({0, 1, 2, 3, 4});
  auto slice = [&](int64_t s, int64_t e, int64_t step) {
    return run_op("Slice", 13, {x, ints({s}), ints({e}), ints({0}), ints({step})})[0].tensor();
  };
  CHECK(identical(slice(INT64_MIN, INT64_MAX, INT64_MAX), ints({0})));
  CHECK(identical(slice(INT64_MAX, INT64_MIN, INT64_MIN), ints({4})));
  CHECK(identical(slice(-2, INT64_MAX, 1), ints({3, 4})));
  CHECK(identical(slice(3, 0, -2), ints({3, 1})));
  CHECK(slice(4, 2, 1).size() == 0);
}

TEST_CASE("strings: Cast, Equal, Concat, Where, Gather") {
  Tensor s = strings({"1.5", "-INF", "7", "nan"});
  Tensor f = run_op("Cast", 13, {s}, {{"to", int64_t{1}}})[0].tensor();
  CHECK(f.data<float>()[0] == 1.5f);
  CHECK(f.data<float>()[1] < -1e38f);
  CHECK(f.data<float>()[3] != f.data<float>()[3]);
  Tensor back = run_op("Cast", 13, {tensor<double>(DType::kFloat, {5}, {0.1, 1e20, 3, -2.5e-7, 1000000})},
                       {{"to", int64_t{8}}})[0]
                    .tensor();
  CHECK(identical(back, strings({"0.1", "1e+20", "3.0", "-2.5e-07", "1000000.0"})));
  CHECK(contains(error_of("Cast", 13, {strings({"x1"})}, {{"to", int64_t{1}}}), "is not a number"));
  CHECK(identical(run_op("Equal", 19, {strings({"a", "b"}), strings({"b"})})[0].tensor(),
                  tensor<int>(DType::kBool, {2}, {0, 1})));
  CHECK(identical(run_op("Concat", 13, {strings({"a"}), strings({"b"})}, {{"axis", int64_t{0}}})[0].tensor(),
                  strings({"a", "b"})));
  CHECK(
      identical(run_op("Gather", 13, {strings({"a", "b"}), ints({1, 0})})[0].tensor(), strings({"b", "a"})));
}

TEST_CASE("sequences") {
  Datum seq = run_op("SequenceConstruct", 11, {ints({1}), ints({2, 3})})[0];
  seq = run_op("SequenceInsert", 11, {seq, ints({4}), Tensor::scalar(int64_t{-1})})[0];
  CHECK(seq.items().size() == 3);
  CHECK(identical(seq.items()[1].tensor(), ints({4})));
  seq = run_op("SequenceErase", 11, {seq, Tensor::scalar(int64_t{0})})[0];
  Tensor joined = run_op("ConcatFromSequence", 11, {seq}, {{"axis", int64_t{0}}})[0].tensor();
  CHECK(identical(joined, ints({4, 2, 3})));
  CHECK(contains(error_of("SequenceAt", 11, {seq, Tensor::scalar(int64_t{2})}), "outside"));
  Datum pieces = run_op("SplitToSequence", 11, {ints({1, 2, 3}), Tensor::scalar(int64_t{2})})[0];
  CHECK(pieces.items().size() == 2);
  CHECK(identical(pieces.items()[1].tensor(), ints({3})));
}

// sum = 0; for i < M: sum += i, and sum is collected.
TEST_CASE("Loop carries state, stacks outputs and obeys its limit") {
  auto body = std::make_shared<Graph>();
  ValueId i = body->add_input("i", Type::tensor(DType::kInt64, SymShape::of_rank(0)));
  ValueId cond = body->add_input("cond", Type::tensor(DType::kBool, SymShape::of_rank(0)));
  ValueId sum = body->add_input("sum", Type::tensor(DType::kInt64));
  ValueId next = body->add_value("next");
  Node n;
  n.op = "Add";
  n.opset = 18;
  n.inputs = {sum, i};
  n.outputs = {next};
  body->add_node(n);
  body->mark_output(cond);
  body->mark_output(next);
  body->mark_output(next);
  Builder b;
  ValueId trips = b.input("m", DType::kInt64, {});
  auto out = b.ops("Loop", {trips, kNoValue, b.scalar(0)}, 2, {{"body", body}});
  for (ValueId v : out) b.g.mark_output(v);
  CHECK(b.type(out[0]) == "int64[]");
  CHECK(contains(b.type(out[1]), "int64[v"));
  std::vector<Datum> in{Tensor::scalar(int64_t{5})};
  std::vector<Datum> r = interpret(b.g, in);
  CHECK(identical(r[0].tensor(), Tensor::scalar(int64_t{10})));
  CHECK(identical(r[1].tensor(), ints({0, 1, 3, 6, 10})));
  InterpretLimits tight;
  tight.max_loop_trips = 3;
  CHECK_THROWS_AS(interpret(b.g, in, {}, tight), Error);
}

TEST_CASE("SpaceToDepth and DepthToSpace undo each other in both modes") {
  for (const char* mode : {"DCR", "CRD"}) {
    std::vector<Attribute> a{{"blocksize", int64_t{2}}, {"mode", std::string(mode)}};
    Tensor x(DType::kFloat, {2, 3, 4, 6});
    for (int64_t i = 0; i < x.size(); ++i) set_double(x, i, static_cast<double>(i));
    Tensor deep = run_op("SpaceToDepth", 28, {x}, a)[0].tensor();
    CHECK(identical(run_op("DepthToSpace", 13, {deep}, a)[0].tensor(), x));
  }
}

TEST_CASE("Mod of floats follows the divisor's sign, of zero too") {
  Tensor a = tensor<double>(DType::kFloat, {4}, {-5, 5, -6, 6}),
         b = tensor<double>(DType::kFloat, {4}, {3, -3, 3, -3});
  Tensor y = run_op("Mod", 28, {a, b})[0].tensor();
  CHECK(to_floats(y) == std::vector<float>{1, -1, 0, 0});
  CHECK(!std::signbit(y.data<float>()[2]));
  CHECK(std::signbit(y.data<float>()[3]));
}

TEST_CASE("Range rounds 16-bit floats in its stash type") {
  auto half = [](double v) { return tensor<double>(DType::kFloat16, {}, {v}); };
  std::vector<Datum> in{half(0), half(1), half(0.1)};
  Tensor wide = run_op("Range", 27, in)[0].tensor(),
         narrow = run_op("Range", 27, in, {{"stash_type", int64_t{10}}})[0].tensor();
  CHECK(wide.size() == 11);  // 0.1 is a little less in half precision
  CHECK(get_double(wide, 3) == get_double(half(3 * get_double(in[2].tensor(), 0)), 0));
  CHECK(narrow.size() == wide.size());
}
