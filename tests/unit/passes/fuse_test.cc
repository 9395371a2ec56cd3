// fuse_batch_norms, fuse_pads, fuse_conv_epilogues, fuse_matmul_bias.
#include <limits>

#include "unit/passes/support.h"

namespace skiff::passes::test {
namespace {

ValueId batch_norm(Build& b, ValueId x, int64_t channels) {
  return b.op("BatchNormalization", {x, b.floats({channels}, 11, 0.5, 2), b.floats({channels}, 12),
                                     b.floats({channels}, 13), b.floats({channels}, 14, 0.5, 2)});
}

TEST_CASE("batch normalization goes into the weights") {
  SUBCASE("Conv with bias") {
    Build b;
    ValueId c = b.op("Conv", {b.in("x", {2, 4, 6, 6}), b.floats({8, 2, 3, 3}), b.floats({8}, 2)},
                     {int_attr("group", 2), ints_attr("pads", {1, 1, 1, 1})});
    b.out(batch_norm(b, c, 8));
    CHECK(run_pass(b.g, "fuse_batch_norms"));
    CHECK(b.g.node_count() == 1);
  }
  SUBCASE("Conv without bias, then scale and shift") {
    Build b;
    ValueId c = b.op("Conv", {b.in("x", {2, 3, 6, 6}), b.floats({5, 3, 3, 3})});
    c = b.op("Mul", {c, b.floats({5, 1, 1}, 3)});
    c = b.op("Add", {b.floats({1, 5, 1, 1}, 4), c});
    c = b.op("Div", {c, b.scalar(3)});
    c = b.op("Sub", {b.scalar(1), c});
    b.out(c);
    CHECK(run_pass(b.g, "fuse_batch_norms"));
    CHECK(b.g.node_count() == 1);
  }
  SUBCASE("ConvTranspose in groups") {
    Build b;
    ValueId c = b.op("ConvTranspose", {b.in("x", {1, 4, 5, 5}), b.floats({4, 3, 2, 2}), b.floats({6}, 2)},
                     {int_attr("group", 2), ints_attr("strides", {2, 2})});
    b.out(batch_norm(b, c, 6));
    CHECK(run_pass(b.g, "fuse_batch_norms"));
    CHECK(b.g.node_count() == 1);
  }
  SUBCASE("Gemm, B as it is and transposed") {
    for (int64_t t : {0, 1}) {
      Build b;
      ValueId w = t ? b.floats({5, 4}) : b.floats({4, 5});
      ValueId c = b.op("Gemm", {b.in("x", {3, 4}), w, b.floats({5}, 2)},
                       {int_attr("transB", t), float_attr("alpha", 0.5F)});
      b.out(batch_norm(b, c, 5));
      CHECK(run_pass(b.g, "fuse_batch_norms"));
      CHECK(b.g.node_count() == 1);
    }
  }
  SUBCASE("MatMul takes a scale") {
    Build b;
    ValueId c = b.op("MatMul", {b.in("x", {2, 3, 4}), b.floats({4, 5})});
    b.out(b.op("Mul", {c, b.floats({5}, 3)}));
    CHECK(run_pass(b.g, "fuse_batch_norms"));
    CHECK(b.g.node_count() == 1);
  }
  SUBCASE("alone it becomes Mul and Add") {
    Build b;
    b.out(batch_norm(b, b.in("x", {2, 4, 3, 3}), 4));
    CHECK(run_pass(b.g, "fuse_batch_norms"));
    CHECK(count(b.g, "Mul") == 1);
    CHECK(count(b.g, "Add") == 1);
  }
}

TEST_CASE(
    "weights stay when the result is used elsewhere, is an output, or the factor varies within a channel") {
  SUBCASE("second use") {
    Build b;
    ValueId c = b.op("Conv", {b.in("x", {1, 3, 6, 6}), b.floats({5, 3, 3, 3})});
    b.out(b.op("Mul", {c, b.floats({5, 1, 1})}));
    b.out(b.op("Relu", {c}));
    CHECK_FALSE(run_pass(b.g, "fuse_batch_norms"));
  }
  SUBCASE("output") {
    Build b;
    ValueId c = b.op("Conv", {b.in("x", {1, 3, 6, 6}), b.floats({5, 3, 3, 3})});
    b.out(c);
    b.out(b.op("Mul", {c, b.floats({5, 1, 1})}));
    CHECK_FALSE(run_pass(b.g, "fuse_batch_norms"));
  }
  SUBCASE("varies along the width") {
    Build b;
    ValueId c = b.op("Conv", {b.in("x", {1, 3, 6, 6}), b.floats({4, 3, 3, 3})});
    b.out(b.op("Mul", {c, b.floats({4})}));
    CHECK_FALSE(run_pass(b.g, "fuse_batch_norms"));
  }
  SUBCASE("weights from outside") {
    Build b;
    ValueId c = b.op("Conv", {b.in("x", {1, 3, 6, 6}), b.in("w", {4, 3, 3, 3})});
    b.out(b.op("Mul", {c, b.floats({4, 1, 1})}));
    CHECK_FALSE(run_pass(b.g, "fuse_batch_norms"));
  }
  SUBCASE("broadcasting that makes the result larger") {
    Build b;
    ValueId c = b.op("Conv", {b.in("x", {1, 3, 3, 3}), b.floats({1, 3, 3, 3})});
    b.out(b.op("Add", {c, b.floats({6, 1, 1})}));
    CHECK_FALSE(run_pass(b.g, "fuse_batch_norms"));
  }
}

TEST_CASE("padding goes into convolutions and pools where that is the same") {
  auto padded = [](Build& b, ValueId x, float value) {
    return b.op("Pad", {x, b.ints({0, 0, 1, 0, 0, 0, 1, 1}), b.scalar(value)});
  };
  SUBCASE("Conv") {
    Build b;
    b.out(b.op("Conv", {padded(b, b.in("x", {1, 3, 6, 6}), 0), b.floats({5, 3, 3, 3})},
               {ints_attr("pads", {0, 1, 0, 0})}));
    CHECK(run_pass(b.g, "fuse_pads"));
    CHECK(find(b.g, "Conv").attr_ints("pads") == std::vector<int64_t>{1, 1, 1, 1});
  }
  SUBCASE("Conv, padded with ones") {
    Build b;
    b.out(b.op("Conv", {padded(b, b.in("x", {1, 3, 6, 6}), 1), b.floats({5, 3, 3, 3})}));
    CHECK_FALSE(run_pass(b.g, "fuse_pads"));
  }
  SUBCASE("AveragePool") {
    Build b;
    b.out(b.op("AveragePool", {padded(b, b.in("x", {1, 3, 6, 6}), 0)}, {ints_attr("kernel_shape", {3, 3})}));
    CHECK(run_pass(b.g, "fuse_pads"));
    CHECK(count(b.g, "Pad") == 0);
  }
  SUBCASE("AveragePool that does not count its own padding") {
    Build b;
    b.out(b.op("AveragePool", {padded(b, b.in("x", {1, 3, 6, 6}), 0)},
               {ints_attr("kernel_shape", {3, 3}), ints_attr("pads", {1, 1, 1, 1})}));
    CHECK_FALSE(run_pass(b.g, "fuse_pads"));
  }
  SUBCASE("MaxPool") {
    for (int kind = 0; kind < 3; ++kind) {
      Build b;
      ValueId x = b.in("x", {1, 3, 6, 6});
      if (kind == 1) x = b.op("Relu", {x});
      x = padded(b, x, kind == 0 ? -std::numeric_limits<float>::infinity() : 0);
      b.out(b.op("MaxPool", {x}, {ints_attr("kernel_shape", {3, 3})}));
      CHECK(run_pass(b.g, "fuse_pads") == (kind != 2));
    }
  }
  SUBCASE("channels are padded too") {
    Build b;
    ValueId x = b.op("Pad", {b.in("x", {1, 2, 6, 6}), b.ints({0, 1, 1, 1, 0, 0, 1, 1})});
    b.out(b.op("Conv", {x, b.floats({5, 3, 3, 3})}));
    CHECK_FALSE(run_pass(b.g, "fuse_pads"));
  }
}

TEST_CASE("a convolution takes residual and activation") {
  TargetTraits t = everything();
  for (const char* act :
       {"Relu", "Sigmoid", "Tanh", "HardSwish", "LeakyRelu", "HardSigmoid", "Gelu", "Swish"}) {
    CAPTURE(act);
    Build b(24);
    ValueId x = b.in("x", {1, 4, 6, 6});
    ValueId c =
        b.op("Conv", {x, b.floats({4, 4, 3, 3}), b.floats({4}, 2)}, {ints_attr("pads", {1, 1, 1, 1})});
    b.out(b.op(act, {b.op("Add", {x, c})}));
    if (!find_op("", act)) continue;
    CHECK(run_pass(b.g, "fuse_conv_epilogues", &t));
    CHECK(b.g.node_count() == 1);
    CHECK(find(b.g, "skiff.Conv").input(3) == x);
  }
  Build b;
  ValueId c = b.op("ConvTranspose", {b.in("x", {1, 4, 6, 6}), b.floats({4, 4, 3, 3})});
  b.out(b.op("Clip", {c, b.scalar(-0.5F), b.scalar(0.75F)}));
  CHECK(run_pass(b.g, "fuse_conv_epilogues", &t));
  CHECK(find(b.g, "skiff.ConvTranspose").attr_f("beta", 0) == 0.75F);
}

TEST_CASE("what a convolution must not take") {
  TargetTraits t = everything();
  auto conv = [](Build& b) { return b.op("Conv", {b.in("x", {1, 4, 6, 6}), b.floats({4, 4, 3, 3})}); };
  SUBCASE("a result others use") {
    Build b;
    ValueId c = conv(b);
    b.out(b.op("Relu", {c}));
    b.out(b.op("Exp", {c}));
    CHECK_FALSE(run_pass(b.g, "fuse_conv_epilogues", &t));
  }
  SUBCASE("an activation the target lacks") {
    t.fused_activations = {"sigmoid"};
    Build b;
    b.out(b.op("Relu", {conv(b)}));
    CHECK_FALSE(run_pass(b.g, "fuse_conv_epilogues", &t));
  }
  SUBCASE("a residual that is broadcast") {
    Build b;
    ValueId c = conv(b);
    b.out(b.op("Add", {c, b.in("z", {1, 4, 1, 1})}));
    CHECK_FALSE(run_pass(b.g, "fuse_conv_epilogues", &t));
  }
  SUBCASE("bounds that are computed") {
    Build b;
    b.out(b.op("Clip", {conv(b), b.in("lo", {})}));
    CHECK_FALSE(run_pass(b.g, "fuse_conv_epilogues", &t));
  }
  SUBCASE("no target") {
    Build b;
    b.out(b.op("Relu", {conv(b)}));
    CHECK_FALSE(run_pass(b.g, "fuse_conv_epilogues"));
  }
}

TEST_CASE("Gemm and MatMul become skiff.MatMul with all that follows") {
  TargetTraits t = everything();
  SUBCASE("Gemm") {
    for (int64_t a : {0, 1})
      for (int64_t c : {0, 1}) {
        Build b;
        ValueId y = b.op(
            "Gemm",
            {a ? b.in("x", {4, 3}) : b.in("x", {3, 4}), c ? b.floats({5, 4}) : b.floats({4, 5}),
             b.floats({5}, 2)},
            {int_attr("transA", a), int_attr("transB", c), float_attr("alpha", 0.5F), float_attr("beta", 2)});
        b.out(b.op("Relu", {y}));
        CHECK(run_pass(b.g, "fuse_matmul_bias", &t));
        CHECK(b.g.node_count() == 1);
      }
  }
  SUBCASE("MatMul + scale + bias + residual + activation") {
    Build b;
    ValueId y = b.op("MatMul", {b.in("x", {2, 3, 4}), b.floats({4, 5})});
    y = b.op("Div", {y, b.scalar(4)});
    y = b.op("Add", {b.floats({1, 1, 5}, 2), y});
    y = b.op("Add", {y, b.in("z", {2, 3, 5})});
    b.out(b.op("Gelu", {y}));
    CHECK(run_pass(b.g, "fuse_matmul_bias", &t));
    CHECK(b.g.node_count() == 1);
    CHECK(find(b.g, "skiff.MatMul").inputs.size() == 4);
  }
  SUBCASE("transposed operands, batched, of an unknown length") {
    Build b;
    ValueId q = b.in("q", {2, Dim::symbol("T"), 4}), k = b.in("k", {2, Dim::symbol("T"), 4});
    ValueId s = b.op("MatMul", {q, b.op("Transpose", {k}, {ints_attr("perm", {0, 2, 1})})});
    b.out(b.op("Mul", {s, b.scalar(0.5F)}));
    CHECK(run_pass(b.g, "fuse_matmul_bias", &t));
    CHECK(b.g.node_count() == 1);
    CHECK(find(b.g, "skiff.MatMul").attr_i("trans_b", 0) == 1);
  }
  SUBCASE("a full bias of Gemm is a residual, one along the rows is not taken") {
    Build b;
    b.out(b.op("Gemm", {b.in("x", {3, 4}), b.floats({4, 5}), b.floats({3, 5})}));
    CHECK(run_pass(b.g, "fuse_matmul_bias", &t));
    CHECK(find(b.g, "skiff.MatMul").input(3) != kNoValue);
    Build c;
    c.out(c.op("Gemm", {c.in("x", {3, 4}), c.floats({4, 5}), c.floats({3, 1})}));
    CHECK_FALSE(run_pass(c.g, "fuse_matmul_bias", &t));
  }
  SUBCASE("vectors and other types stay") {
    Build b;
    b.out(b.op("MatMul", {b.in("x", {4}), b.floats({4, 5})}));
    b.out(b.op("MatMul", {b.in("d", {3, 4}, DType::kDouble), b.in("e", {4, 5}, DType::kDouble)}));
    CHECK_FALSE(run_pass(b.g, "fuse_matmul_bias", &t));
  }
  SUBCASE("a bias that makes the result larger stays outside") {
    Build b;
    ValueId y = b.op("MatMul", {b.in("x", {1, 4}), b.floats({4, 5})});
    b.out(b.op("Add", {y, b.floats({3, 5})}));
    CHECK(run_pass(b.g, "fuse_matmul_bias", &t));
    CHECK(count(b.g, "Add") == 1);
  }
}

TEST_CASE("quantized patterns are left alone, constant weights behind them are dequantized") {
  TargetTraits t = everything();
  Build b;
  auto zero = [&b] {
    Tensor z(DType::kInt8, {});
    set_int(z, 0, 0);
    return b.constant(z);
  };
  Tensor w(DType::kInt8, {4, 4, 1, 1});
  for (int64_t i = 0; i < w.size(); ++i) set_int(w, i, i * 7 % 23 - 11);
  ValueId q = b.op("QuantizeLinear", {b.in("x", {1, 4, 3, 3}), b.scalar(0.05F), zero()});
  ValueId d = b.op("DequantizeLinear", {q, b.scalar(0.05F), zero()});
  ValueId dw = b.op("DequantizeLinear", {b.constant(w), b.scalar(0.1F), zero()});
  ValueId c = b.op("Relu", {b.op("Conv", {d, dw})});
  ValueId q2 = b.op("QuantizeLinear", {c, b.scalar(0.05F), zero()});
  b.out(b.op("DequantizeLinear", {q2, b.scalar(0.05F), zero()}));
  PassOptions o;
  o.fold_dequantized_weights = false;
  CHECK_FALSE(run_all(b.g, &t, o));
  CHECK(run_all(b.g, &t));
  CHECK(count(b.g, "DequantizeLinear") == 2);
  CHECK(count(b.g, "Conv") == 1);
}

}  // namespace
}  // namespace skiff::passes::test
