// Opset conversion: every operator case written for an older opset computes the same once it is brought to
// the newest.
#include <doctest/doctest.h>
#include <map>

#include "cases/make.h"
#include "onnx/upgrade_opset.h"
#include "ops/interpret.h"
#include "tensor/compare.h"

using namespace skiff;
using namespace skiff::cases;

namespace {

// What newer opsets cannot say, and the message that tells so.
const std::map<std::string, std::string> kRefused = {
    {"ReduceLogSum", "opset 28 takes no integers"},
    {"ReduceLogSumExp", "opset 28 takes no integers"},
    {"Resize", "tf_half_pixel_for_nn"},
};

std::vector<OpCase> old_cases() {
  std::vector<OpCase> r;
  auto text = [](const char* s) { return std::string(s); };
  Tensor x = f32({2, 3, 4, 5}, 1), c = f32({3}, 2, 0.5, 2), image = f32({1, 2, 3, 4}, 3);
  for (int axis : {1, -3})
    r.push_back(
        make(cat("mul_axis", axis), "Mul", 6, {x, c}, {{"broadcast", int64_t{1}}, {"axis", int64_t{axis}}}));
  r.push_back(make("pow_scalar", "Pow", 1, {x, one(DType::kFloat, 2)}, {{"broadcast", int64_t{1}}}));
  r.push_back(make("prelu", "PRelu", 6, {x, c}, {{"consumed_inputs", Ints{0, 0}}}));
  r.push_back(make("batch_norm_test", "BatchNormalization", 6, {x, c, c, c, c}, {{"is_test", int64_t{1}}}));
  Tensor each = f32({3, 4, 5}, 4, 0.5, 2);
  r.push_back(make("batch_norm_elements", "BatchNormalization", 7, {x, each, each, each, each},
                   {{"spatial", int64_t{0}}}));
  r.push_back(make("group_norm", "GroupNormalization", 18, {f32({2, 6, 3}, 5), f32({2}, 6), f32({2}, 7)},
                   {{"num_groups", int64_t{2}}}));
  for (const char* op : {"Softmax", "LogSoftmax", "Hardmax"})
    for (int axis : {0, 1, 2, -1}) r.push_back(make(cat(op, axis), op, 11, {x}, {{"axis", int64_t{axis}}}));
  r.push_back(make("softmax_default", "Softmax", 1, {x}));
  r.push_back(make("upsample_1", "Upsample", 1, {image},
                   {{"width_scale", 2.0f}, {"height_scale", 3.0f}, {"mode", text("bilinear")}}));
  r.push_back(make("upsample_7", "Upsample", 7, {image},
                   {{"scales", Floats{1, 1, 2, 1.5f}}, {"mode", text("nearest")}}));
  r.push_back(make("resize_10_down", "Resize", 10,
                   {f32({1, 1, 6, 8}, 8), values<double>(DType::kFloat, {4}, {1, 1, 0.5, 0.4})},
                   {{"mode", text("nearest")}}, 1));
  r.push_back(make("resize_10_linear", "Resize", 10,
                   {image, values<double>(DType::kFloat, {4}, {1, 1, 2, 0.7})}, {{"mode", text("linear")}},
                   1));
  r.push_back(make("slice_1", "Slice", 1, {x},
                   {{"starts", Ints{1, -3}}, {"ends", Ints{3, 1000}}, {"axes", Ints{1, 3}}}));
  r.push_back(make("pad_1", "Pad", 1, {x}, {{"paddings", Ints{0, 0, 1, 2, 0, 0, 0, 1}}, {"value", 1.5f}}));
  r.push_back(make("clip_6", "Clip", 6, {x}, {{"min", -0.5f}}));
  r.push_back(with_outputs(2, make("top_k_1", "TopK", 1, {x}, {{"k", int64_t{2}}, {"axis", int64_t{2}}})));
  r.push_back(make("reshape_1", "Reshape", 1, {x}, {{"shape", Ints{0, -1}}}));
  r.push_back(make("tile_1", "Tile", 1, {x, one(DType::kFloat, 3), one(DType::kFloat, 1)}, {}, 1));
  r.push_back(make("cast_1", "Cast", 1, {x}, {{"to", text("INT32")}}));
  r.push_back(make("concat_1", "Concat", 1, {x, x}));
  r.push_back(
      with_outputs(2, make("split_2", "Split", 2, {x}, {{"split", Ints{1, 3}}, {"axis", int64_t{2}}})));
  r.push_back(with_outputs(2, make("dropout_7", "Dropout", 7, {x}, {{"ratio", 0.3f}})));
  r.push_back(make("scatter_9", "Scatter", 9,
                   {x, values<int>(DType::kInt64, {1, 1, 1, 2}, {1, 0}), f32({1, 1, 1, 2}, 9)}));
  r.push_back(make("selu_1", "Selu", 1, {x}));
  r.push_back(make("lp_pool_1", "LpPool", 1, {x}, {{"p", 3.0f}, {"kernel_shape", Ints{2, 2}}}));
  r.push_back(make("affine", "Affine", 1, {x}, {{"alpha", 2.0f}, {"beta", 0.25f}}));
  r.push_back(make("image_scaler", "ImageScaler", 1, {x}, {{"bias", Floats{1, 2, 3}}, {"scale", 0.5f}}));
  r.push_back(make("crop", "Crop", 1, {x}, {{"border", Ints{1, 1, 2, 0}}}));
  r.push_back(make("crop_scale", "Crop", 1, {x}, {{"border", Ints{1, 1, 0, 0}}, {"scale", Ints{2, 3}}}));
  r.push_back(make("dft_17", "DFT", 17, {f32({1, 4, 5, 1}, 10)}, {{"axis", int64_t{2}}}));
  r.push_back(make("dft_17_default", "DFT", 17, {f32({1, 4, 5, 1}, 11)}));
  r.push_back(make("reduce_sum_11", "ReduceSum", 11, {x}, {{"axes", Ints{-1, 1}}, {"keepdims", int64_t{0}}}));
  r.push_back(make("reduce_max_13", "ReduceMax", 13, {x}, {{"axes", Ints{2}}}));
  return r;
}

std::vector<Datum> run(const Model& m, const std::vector<Datum>& in) { return interpret(m.graph, in); }

}  // namespace

TEST_CASE("operators compute the same after the opset conversion") {
  std::vector<OpCase> list = all_cases();
  for (OpCase& c : old_cases()) list.push_back(std::move(c));
  int converted = 0, refused = 0;
  for (const OpCase& c : list) {
    if (!c.domain.empty() || c.opset >= kNewestOpset || find_op("", c.op)->is(kNondeterministic)) continue;
    INFO(c.name);
    Model before = model_of(c), after = model_of(c);
    before.opsets = after.opsets = {{"", c.opset}};
    resolve_ops(before.graph);
    std::vector<Datum> want = run(before, inputs_of(c));
    try {
      onnx::upgrade_opset(after, kNewestOpset);
    } catch (const Error& e) {
      auto it = kRefused.find(c.op);
      CHECK_MESSAGE(it != kRefused.end(), c.name, ": ", std::string(e.what()));
      if (it != kRefused.end()) CHECK(std::string(e.what()).find(it->second) != std::string::npos);
      ++refused;
      continue;
    }
    CHECK(after.opset("") == kNewestOpset);
    for (NodeId id : after.graph.order()) CHECK(after.graph.node(id).opset == kNewestOpset);
    std::vector<Datum> got = run(after, inputs_of(c));
    REQUIRE(got.size() == want.size());
    for (size_t i = 0; i < got.size(); ++i) {
      Difference d = compare(got[i], want[i], 1e-5, 1e-6);
      CHECK_MESSAGE(d.equal, c.name, ": ", d.text);
    }
    ++converted;
  }
  CHECK(converted > 500);
  CHECK(refused < 30);
}

TEST_CASE("a conversion stops where it should") {
  auto one_node = [](const char* op, int opset, std::vector<Attribute> a = {}) {
    Model m = model_of(make("one", op, opset, {f32({2, 3}, 1)}, std::move(a)));
    m.opsets = {{"", opset}};
    return m;
  };
  Model m = one_node("ReduceMax", 11, {{"axes", Ints{1}}});
  onnx::upgrade_opset(m, 13);  // axes are an attribute until 18
  CHECK(m.opset("") == 13);
  CHECK(m.graph.node(m.graph.order()[0]).has_attr("axes"));
  onnx::upgrade_opset(m, 18);
  CHECK(!m.graph.node(m.graph.order()[0]).has_attr("axes"));
  CHECK_THROWS_WITH_AS(onnx::upgrade_opset(m, 13), doctest::Contains("the model is of opset 18"), Error);
  CHECK_THROWS_WITH_AS(onnx::upgrade_opset(m, 99), doctest::Contains("not in [1, 28]"), Error);
}
