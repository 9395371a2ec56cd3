// use_channels_last and fuse_elementwise_chains.
#include "unit/passes/support.h"

namespace skiff::passes::test {
namespace {

ValueId conv(Build& b, ValueId x, int64_t in, int64_t out, int64_t k = 3, int64_t stride = 1) {
  return b.op(
      "Conv",
      {x, b.floats({out, in, k, k}, static_cast<uint32_t>(in * 7 + out), -0.5, 0.5), b.floats({out}, 9)},
      {ints_attr("pads", {k / 2, k / 2, k / 2, k / 2}), ints_attr("strides", {stride, stride})});
}

int transposes(const Graph& g) { return count(g, "Transpose"); }

TEST_CASE("a residual network has a planar stem and no transposes") {
  TargetTraits t = everything();
  Build b;
  ValueId x = b.in("x", {Dim::symbol("N"), 3, 16, 16});
  ValueId v = b.op("Relu", {conv(b, x, 3, 8, 3, 2)});
  v = b.op(
      "MaxPool", {v},
      {ints_attr("kernel_shape", {3, 3}), ints_attr("strides", {2, 2}), ints_attr("pads", {1, 1, 1, 1})});
  for (int i = 0; i < 2; ++i) {
    ValueId r = conv(b, b.op("Relu", {conv(b, v, 8, 8)}), 8, 8);
    v = b.op("Relu", {b.op("Add", {r, v})});
  }
  v = b.op("Flatten", {b.op("GlobalAveragePool", {v})});
  b.out(b.op("Gemm", {v, b.floats({8, 5}), b.floats({5}, 2)}));
  CHECK(run_all(b.g, &t));
  CHECK(transposes(b.g) == 0);
  CHECK(count(b.g, "skiff.Conv") == 5);
  CHECK(count(b.g, "Relu") == 0);
  CHECK(count(b.g, "Add") == 0);
  CHECK(find(b.g, "skiff.Conv").attr_s("x_layout", "") == "NCHW");
  CHECK(b.g.node_count() == 5 + 4);  // MaxPool, GlobalAveragePool, Reshape, MatMul
}

TEST_CASE("gates, concatenations, slices, resizing and reductions ride along") {
  TargetTraits t = everything();
  Build b;
  ValueId x = b.in("x", {1, 3, 16, 16});
  ValueId v = conv(b, x, 3, 8);
  ValueId gate = b.op("Sigmoid", {conv(b, b.op("GlobalAveragePool", {v}), 8, 8, 1)});
  v = b.op("Mul", {v, gate});
  v = b.op("Add", {v, b.floats({8, 1, 1}, 5)});
  ValueId down = conv(
      b, b.op("AveragePool", {v}, {ints_attr("kernel_shape", {2, 2}), ints_attr("strides", {2, 2})}), 8, 8);
  ValueId up =
      b.op("Resize", {down, kNoValue, b.values({1, 1, 2, 2}, {4})}, {string_attr("mode", "nearest")});
  v = b.op("Concat", {v, up}, {int_attr("axis", 1)});
  v = b.op("Pad", {v, b.ints({0, 0, 1, 1, 0, 0, 1, 1})});
  v = b.op("Slice", {v, b.ints({2, 0}), b.ints({12, 17}), b.ints({1, 3})});
  auto parts = b.multi("Split", {v, b.ints({6, 4})}, {int_attr("axis", 1)}, 2);
  v = conv(b, parts[0], 6, 8);
  ValueId s = b.op("Softmax", {conv(b, parts[1], 4, 8)}, {int_attr("axis", 1)});
  v = b.op("InstanceNormalization", {b.op("Mul", {v, s}), b.floats({8}, 6), b.floats({8}, 7)});
  b.out(b.op("ReduceMean", {v, b.ints({2, 3})}, {int_attr("keepdims", 0)}));
  b.out(b.op("ArgMax", {v}, {int_attr("axis", 1), int_attr("keepdims", 0)}));
  CHECK(run_all(b.g, &t));
  CHECK(transposes(b.g) == 0);
}

TEST_CASE("a segmentation head ends in one transpose, a channels-last model in none") {
  TargetTraits t = everything();
  {
    Build b;
    b.out(conv(b, b.op("Relu", {conv(b, b.in("x", {1, 8, 6, 6}), 8, 8)}), 8, 4));
    CHECK(run_all(b.g, &t));
    CHECK(transposes(b.g) == 2);  // 8 input channels are too many for a planar stem
  }
  {
    Build b;
    ValueId x = b.op("Transpose", {b.in("x", {1, 6, 6, 8})}, {ints_attr("perm", {0, 3, 1, 2})});
    ValueId y = conv(b, b.op("Relu", {conv(b, x, 8, 8)}), 8, 4);
    b.out(b.op("Transpose", {y}, {ints_attr("perm", {0, 2, 3, 1})}));
    CHECK(run_all(b.g, &t));
    CHECK(transposes(b.g) == 0);
  }
}

TEST_CASE("one spatial axis, depthwise, transposed, to depth and back") {
  TargetTraits t = everything();
  Build b;
  ValueId x = b.in("x", {2, 8, Dim::symbol("T")});
  ValueId v = b.op("Conv", {x, b.floats({8, 1, 3}), b.floats({8}, 2)},
                   {int_attr("group", 8), ints_attr("pads", {1, 1})});
  v = b.op("Relu", {b.op("Add", {v, x})});
  b.out(b.op("Conv", {v, b.floats({4, 8, 1})}));
  ValueId y = b.in("y", {1, 8, 4, 4});
  ValueId w = b.op("ConvTranspose", {y, b.floats({8, 8, 2, 2})}, {ints_attr("strides", {2, 2})});
  w = b.op("DepthToSpace", {w}, {int_attr("blocksize", 2)});
  w = b.op("SpaceToDepth", {w}, {int_attr("blocksize", 2)});
  b.out(conv(b, b.op("LRN", {w}, {int_attr("size", 3)}), 8, 4));
  CHECK(run_all(b.g, &t));
  CHECK(transposes(b.g) == 4);
}

TEST_CASE("channel shuffles stay in channels-last order at the cost of one transpose each") {
  TargetTraits t = everything();
  for (bool gathered : {false, true}) {
    CAPTURE(gathered);
    Build b;
    ValueId v = conv(b, b.in("x", {1, 3, 8, 8}), 3, 8);
    std::vector<ValueId> halves;
    if (gathered) {  // [C/2, 2, HW] -> [2, 1, C/2, H, W]
      v = b.op("Transpose", {b.op("Reshape", {v, b.ints({4, 2, 64})})}, {ints_attr("perm", {1, 0, 2})});
      v = b.op("Reshape", {v, b.ints({2, -1, 4, 8, 8})});
      for (int64_t i : {0, 1})
        halves.push_back(b.op("Gather", {v, b.constant(Tensor::scalar(i))}, {int_attr("axis", 0)}));
    } else {
      v = b.op("Transpose", {b.op("Reshape", {v, b.ints({1, 2, 4, 8, 8})})},
               {ints_attr("perm", {0, 2, 1, 3, 4})});
      v = b.op("Reshape", {v, b.ints({1, 8, 8, 8})});
      halves = b.multi("Split", {v, b.ints({4, 4})}, {int_attr("axis", 1)}, 2);
    }
    v = b.op("Concat", {halves[0], conv(b, halves[1], 4, 4)}, {int_attr("axis", 1)});
    b.out(b.op("GlobalMaxPool", {conv(b, v, 8, 4)}));
    CHECK(run_all(b.g, &t));
    CHECK(transposes(b.g) == (gathered ? 0 : 1));
  }
}

TEST_CASE("detection heads: reshapes keep channels and places apart") {
  TargetTraits t = everything();
  Build b;
  ValueId x = b.in("x", {1, 3, 8, 8});
  ValueId p = b.op("Reshape", {conv(b, x, 3, 6), b.ints({1, 6, 64})});
  ValueId q = b.op("Reshape", {conv(b, conv(b, x, 3, 4, 3, 2), 4, 6), b.ints({1, 6, -1})});
  ValueId all = b.op("Concat", {p, q}, {int_attr("axis", 2)});
  b.out(b.op("Transpose", {all}, {ints_attr("perm", {0, 2, 1})}));
  // anchors x classes at every place
  ValueId r = b.op("Reshape", {conv(b, x, 3, 6), b.ints({1, 2, 3, 8, 8})});
  r = b.op("Transpose", {r}, {ints_attr("perm", {0, 3, 4, 1, 2})});
  b.out(b.op("Sigmoid", {b.op("Reshape", {r, b.ints({1, -1, 3})})}));
  // a flattened feature map mixes both: the transpose stays
  b.out(b.op("Flatten", {conv(b, x, 3, 2)}));
  CHECK(run_all(b.g, &t));
  CHECK(transposes(b.g) == 1);
}

TEST_CASE("without the wish nothing changes layout; convolutions over volumes stay") {
  TargetTraits t = everything();
  t.channels_last = false;
  Build b;
  b.out(conv(b, b.in("x", {1, 8, 6, 6}), 8, 8));
  CHECK_FALSE(run_pass(b.g, "use_channels_last", &t));
  t.channels_last = true;
  Build c;
  c.out(c.op("Conv", {c.in("x", {1, 2, 4, 4, 4}), c.floats({3, 2, 3, 3, 3})}));
  CHECK_FALSE(run_pass(c.g, "use_channels_last", &t));
}

TEST_CASE("elementwise runs become one node") {
  TargetTraits t = everything();
  Build b;
  ValueId x = b.in("x", {2, 3, 8}), z = b.in("z", {3, 1});
  ValueId v = b.op("Mul", {x, b.floats({8})});
  v = b.op("Add", {v, z});
  v = b.op("Sub", {v, b.op("Tanh", {v})});
  v = b.op("Clip", {v, b.scalar(-1), b.scalar(1)});
  v = b.op("HardSigmoid", {v}, {float_attr("alpha", 0.3F)});
  v = b.op("Pow", {v, b.scalar(2)});
  b.out(b.op("Elu", {v}));
  CHECK(run_pass(b.g, "fuse_elementwise_chains", &t));
  CHECK(b.g.node_count() == 1);
}

TEST_CASE("runs end where values are needed outside, shapes or types change") {
  TargetTraits t = everything();
  SUBCASE("other use") {
    Build b;
    ValueId v = b.op("Exp", {b.in("x", {2, 3})});
    b.out(b.op("Neg", {v}));
    b.out(v);
    CHECK_FALSE(run_pass(b.g, "fuse_elementwise_chains", &t));
  }
  SUBCASE("broadcast in between") {
    Build b;
    ValueId v = b.op("Exp", {b.in("x", {3})});
    b.out(b.op("Add", {v, b.in("y", {2, 3})}));
    CHECK_FALSE(run_pass(b.g, "fuse_elementwise_chains", &t));
  }
  SUBCASE("integers") {
    Build b;
    ValueId v = b.op("Add", {b.in("x", {3}, DType::kInt32), b.in("y", {3}, DType::kInt32)});
    b.out(b.op("Neg", {v}));
    CHECK_FALSE(run_pass(b.g, "fuse_elementwise_chains", &t));
  }
  SUBCASE("unwanted") {
    t.fuse_elementwise_chains = false;
    Build b;
    b.out(b.op("Neg", {b.op("Exp", {b.in("x", {2, 3})})}));
    CHECK_FALSE(run_pass(b.g, "fuse_elementwise_chains", &t));
  }
}

TEST_CASE("long runs are cut at 16 steps and 6 operands") {
  TargetTraits t = everything();
  Build b;
  ValueId v = b.in("x", {4});
  for (int i = 0; i < 40; ++i) v = b.op(i % 2 ? "Tanh" : "Neg", {v});
  b.out(v);
  CHECK(run_pass(b.g, "fuse_elementwise_chains", &t));
  CHECK(count(b.g, "skiff.Elementwise") == 3);
  Build c;
  ValueId w = c.in("x", {4});
  for (int i = 0; i < 10; ++i) w = c.op("Mul", {w, c.floats({4}, static_cast<uint32_t>(i + 1), 0.5, 1)});
  c.out(w);
  CHECK(run_pass(c.g, "fuse_elementwise_chains", &t));
  for (NodeId id : c.g.order()) CHECK(c.g.node(id).inputs.size() <= 6);
}

}  // namespace
}  // namespace skiff::passes::test
