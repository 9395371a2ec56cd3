// recognize_gelu, recognize_silu, recognize_layer_norm.
#include "unit/passes/support.h"

namespace skiff::passes::test {
namespace {

ValueId erf_part(Build& b, ValueId x, bool divide) {
  ValueId s = divide ? b.op("Div", {x, b.scalar(1.41421356F)}) : b.op("Mul", {x, b.scalar(0.70710678F)});
  return b.op("Add", {b.op("Erf", {s}), b.scalar(1)});
}

TEST_CASE("GELU in any order of factors") {
  for (int order = 0; order < 4; ++order) {
    CAPTURE(order);
    Build b;
    ValueId x = b.in("x", {2, 8});
    ValueId e = erf_part(b, x, order % 2 == 0);
    ValueId y = kNoValue;
    if (order == 0) y = b.op("Mul", {b.op("Mul", {x, e}), b.scalar(0.5F)});
    if (order == 1) y = b.op("Mul", {b.op("Mul", {b.scalar(0.5F), x}), e});
    if (order == 2) y = b.op("Mul", {x, b.op("Mul", {e, b.scalar(0.5F)})});
    if (order == 3) y = b.op("Div", {b.op("Mul", {e, x}), b.scalar(2)});
    b.out(y);
    CHECK(run_pass(b.g, "recognize_gelu"));
    CHECK(b.g.node_count() == 1);
    CHECK(count(b.g, "Gelu") == 1);
  }
}

TEST_CASE("the tanh approximation, with x^3 written either way") {
  for (bool pow : {true, false}) {
    Build b;
    ValueId x = b.in("x", {2, 8});
    ValueId cube = pow ? b.op("Pow", {x, b.scalar(3)}) : b.op("Mul", {b.op("Mul", {x, x}), x});
    ValueId inner = b.op("Add", {x, b.op("Mul", {cube, b.scalar(0.044715F)})});
    ValueId t = b.op("Tanh", {b.op("Mul", {b.scalar(0.7978845608F), inner})});
    ValueId y = b.op("Mul", {b.op("Mul", {x, b.scalar(0.5F)}), b.op("Add", {t, b.scalar(1)})});
    b.out(y);
    CHECK(run_pass(b.g, "recognize_gelu"));
    CHECK(b.g.node_count() == 1);
    CHECK(find(b.g, "Gelu").attr_s("approximate", "none") == "tanh");
  }
}

TEST_CASE("what is nearly a GELU is not") {
  SUBCASE("another constant") {
    Build b;
    ValueId x = b.in("x", {2, 8});
    ValueId e = b.op("Add", {b.op("Erf", {b.op("Mul", {x, b.scalar(0.75F)})}), b.scalar(1)});
    b.out(b.op("Mul", {b.op("Mul", {x, e}), b.scalar(0.5F)}));
    CHECK_FALSE(run_pass(b.g, "recognize_gelu"));
  }
  SUBCASE("another operand") {
    Build b;
    ValueId x = b.in("x", {2, 8}), z = b.in("z", {2, 8});
    b.out(b.op("Mul", {b.op("Mul", {z, erf_part(b, x, true)}), b.scalar(0.5F)}));
    CHECK_FALSE(run_pass(b.g, "recognize_gelu"));
  }
  SUBCASE("the erf is needed elsewhere") {
    Build b;
    ValueId x = b.in("x", {2, 8});
    ValueId e = erf_part(b, x, true);
    b.out(b.op("Mul", {b.op("Mul", {x, e}), b.scalar(0.5F)}));
    b.out(b.op("Neg", {e}));
    CHECK_FALSE(run_pass(b.g, "recognize_gelu"));
  }
}

TEST_CASE("SiLU, its scaled form, hard swish, mish") {
  Build b;
  ValueId x = b.in("x", {2, 8});
  b.out(b.op("Mul", {x, b.op("Sigmoid", {x})}));
  b.out(b.op("Mul", {b.op("Sigmoid", {b.op("Mul", {x, b.scalar(1.702F)})}), x}));
  b.out(b.op("Mul", {x, b.op("HardSigmoid", {x}, {float_attr("alpha", 1.0F / 6)})}));
  ValueId r6 = b.op("Clip", {b.op("Add", {x, b.scalar(3)}), b.scalar(0), b.scalar(6)});
  b.out(b.op("Div", {b.op("Mul", {x, r6}), b.scalar(6)}));
  ValueId s6 = b.op("Clip", {b.op("Add", {x, b.scalar(3)}), b.scalar(0), b.scalar(6)});
  b.out(b.op("Mul", {x, b.op("Div", {s6, b.scalar(6)})}));
  b.out(b.op("Mul", {x, b.op("Tanh", {b.op("Softplus", {x})})}));
  b.out(b.op("Log", {b.op("Add", {b.op("Exp", {x}), b.scalar(1)})}));
  CHECK(run_pass(b.g, "recognize_silu"));
  CHECK(count(b.g, "Swish") == 2);
  CHECK(count(b.g, "HardSwish") == 3);
  CHECK(count(b.g, "Mish") == 1);
  CHECK(count(b.g, "Softplus") == 1);
  CHECK(b.g.node_count() == 7);
}

TEST_CASE("gates of other operands are not SiLU") {
  Build b;
  ValueId x = b.in("x", {2, 8}), z = b.in("z", {2, 8});
  b.out(b.op("Mul", {z, b.op("Sigmoid", {x})}));
  b.out(b.op("Mul", {x, b.op("Sigmoid", {b.op("Add", {x, b.scalar(1)})})}));
  b.out(b.op("Mul", {x, b.op("HardSigmoid", {x})}));  // alpha 0.2
  CHECK_FALSE(run_pass(b.g, "recognize_silu"));
}

struct NormForm {
  bool root_by_reciprocal = false, square_by_mul = false, scale = true, bias = true, centred = true;
  std::vector<int64_t> axes{-1};
};

ValueId norm(Build& b, ValueId x, const NormForm& f, Dims params) {
  ValueId num = f.centred ? b.op("Sub", {x, b.op("ReduceMean", {x, b.ints(f.axes)})}) : x;
  ValueId sq = f.square_by_mul ? b.op("Mul", {num, num}) : b.op("Pow", {num, b.scalar(2)});
  ValueId var = b.op("Add", {b.op("ReduceMean", {sq, b.ints(f.axes)}), b.scalar(1e-5F)});
  ValueId y = f.root_by_reciprocal ? b.op("Mul", {num, b.op("Reciprocal", {b.op("Sqrt", {var})})})
                                   : b.op("Div", {num, b.op("Sqrt", {var})});
  if (f.scale) y = b.op("Mul", {y, b.floats(params, 3)});
  if (f.bias) y = b.op("Add", {y, b.floats(params, 4)});
  return y;
}

TEST_CASE("layer and RMS normalization") {
  for (int bits = 0; bits < 32; ++bits) {
    NormForm f{(bits & 1) != 0, (bits & 2) != 0, (bits & 4) != 0, (bits & 8) != 0, (bits & 16) != 0, {-1}};
    CAPTURE(bits);
    Build b;
    b.out(norm(b, b.in("x", {2, 3, 8}), f, {8}));
    const char* op = f.centred ? "LayerNormalization" : "RMSNormalization";
    if (!find_op("", op)) continue;
    CHECK(run_pass(b.g, "recognize_layer_norm"));
    CHECK(count(b.g, op) == 1);
    CHECK(count(b.g, "ReduceMean") == 0);
  }
  Build b;
  NormForm f;
  f.axes = {1, 2};
  b.out(norm(b, b.in("x", {2, 3, 8}), f, {3, 8}));
  CHECK(run_pass(b.g, "recognize_layer_norm"));
  CHECK(find(b.g, "LayerNormalization").attr_i("axis", 99) == 1);
  CHECK(b.g.node_count() == 1);
}

TEST_CASE("normalization over a middle axis, of an unknown extent, or with a broadcast scale is left alone") {
  NormForm f;
  SUBCASE("middle axis") {
    Build b;
    f.axes = {1};
    b.out(norm(b, b.in("x", {2, 3, 8}), f, {3, 1}));
    CHECK_FALSE(run_pass(b.g, "recognize_layer_norm"));
  }
  SUBCASE("unknown extent") {
    Build b;
    f.scale = f.bias = false;
    b.out(norm(b, b.in("x", {2, Dim::symbol("N")}), f, {}));
    CHECK_FALSE(run_pass(b.g, "recognize_layer_norm"));
  }
  SUBCASE("a scale of another shape stays a Mul") {
    Build b;
    b.out(norm(b, b.in("x", {2, 3, 8}), f, {3, 8}));
    CHECK(run_pass(b.g, "recognize_layer_norm"));
    CHECK(count(b.g, "Mul") == 1);
    CHECK(count(b.g, "Add") == 1);
  }
}

}  // namespace
}  // namespace skiff::passes::test
