#include "onnx/upgrade_rules.h"

#include <algorithm>
#include <iterator>

namespace skiff::onnx {

int64_t NodeUpgrade::rank(ValueId v) const {
  const Type& t = type(v);
  check(t.kind == Type::Kind::kTensor && t.shape.has_rank(), Code::kUnsupported, "the rank of '",
        g_.value(v).name, "' is not known, and the newer version needs it; give the model's inputs shapes");
  return static_cast<int64_t>(t.shape.rank());
}

const Tensor* NodeUpgrade::constant(ValueId v) const {
  return v != kNoValue && g_.value(v).is_constant() ? &g_.value(v).constant : nullptr;
}

void NodeUpgrade::drop(std::string_view attribute) {
  if (node().has_attr(attribute)) patch_.remove_attribute(id_, attribute);
}

void NodeUpgrade::keep_outputs(size_t n) {
  Node& m = g_.mutable_node(id_);
  while (m.outputs.size() > n) {
    ValueId v = m.outputs.back();
    check(v == kNoValue || (g_.value(v).uses.empty() && !g_.value(v).is_output), Code::kUnsupported,
          "its output ", m.outputs.size() - 1, " is used, and newer versions do not have it");
    if (v != kNoValue) g_.mutable_value(v).producer = kNoNode, g_.mutable_value(v).dead = true;
    m.outputs.pop_back();
  }
}

std::string NodeUpgrade::hint(const char* what) const {
  return cat(node().name.empty() ? node().op : node().name, "/", what);
}

ValueId NodeUpgrade::op(const char* name, std::vector<ValueId> in, std::vector<Attribute> attributes) {
  return patch_.op("", name, opset_, std::move(in), std::move(attributes), hint(name));
}

ValueId NodeUpgrade::number(double v, DType t) {
  Tensor x(t, {});
  set_double(x, 0, v);
  return tensor(std::move(x));
}

void NodeUpgrade::replace(size_t i, ValueId v) {
  ValueId out = node().output(i);
  if (out == kNoValue) return;
  patch_.replace(out, v);
  moved_.emplace_back(v, type(out));
}

void NodeUpgrade::apply() {
  patch_.apply();
  for (auto& [v, t] : moved_) g_.mutable_value(v).type = std::move(t);
}

void NodeUpgrade::after(size_t i, const char* name, std::vector<Attribute> attributes) {
  ValueId out = node().output(i);
  if (out == kNoValue) return;
  replace(i, op(name, {out}, std::move(attributes)));
  g_.mutable_value(out).type = Type();  // no longer what it was
}

namespace {

using U = NodeUpgrade;
using Ints = std::vector<int64_t>;

DType element(U& u) { return u.type(u.node().input(0)).dtype; }

// ---------------------------------------------------------------- attributes that became inputs

void attribute_to_input(U& u, const char* name, size_t at) {
  if (!u.node().has_attr(name)) return;
  u.input(at, u.ints(u.node().attr_ints(name)));
  u.drop(name);
}
void axes_input(U& u) { attribute_to_input(u, "axes", 1); }

void reshape_5(U& u) { attribute_to_input(u, "shape", 1); }
void split_13(U& u) { attribute_to_input(u, "split", 1); }
void split_18(U& u) {
  if (u.node().input(1) == kNoValue) u.set({"num_outputs", static_cast<int64_t>(u.node().outputs.size())});
}
void slice_10(U& u) {
  attribute_to_input(u, "starts", 1);
  attribute_to_input(u, "ends", 2);
  attribute_to_input(u, "axes", 3);
}
void pad_2(U& u) {
  if (u.node().has_attr("paddings")) u.set({"pads", u.node().attr_ints("paddings")});
  u.drop("paddings");
}
void pad_11(U& u) {
  attribute_to_input(u, "pads", 1);
  if (double v = u.node().attr_f("value", 0); v != 0) u.input(2, u.number(v, element(u)));
  u.drop("value");
}
void clip_11(U& u) {
  if (u.node().has_attr("min")) u.input(1, u.number(u.node().attr_f("min", 0), element(u)));
  if (u.node().has_attr("max")) u.input(2, u.number(u.node().attr_f("max", 0), element(u)));
  u.drop("min");
  u.drop("max");
}
void top_k_10(U& u) {
  u.input(1, u.ints({u.node().attr_i("k", 0)}));
  u.drop("k");
}
void upsample_7(U& u) {
  if (u.node().has_attr("scales")) return;
  u.set({"scales",
         std::vector<float>{1, 1, u.node().attr_f("height_scale", 1), u.node().attr_f("width_scale", 1)}});
  u.drop("height_scale");
  u.drop("width_scale");
}
void upsample_9(U& u) {
  std::vector<float> s = u.node().attr_floats("scales");
  u.input(1, u.tensor(Tensor::from(std::span<const float>(s), {static_cast<int64_t>(s.size())})));
  u.drop("scales");
}
void dropout_12(U& u) {
  // Before, the standard's operator dropped nothing unless it was told by is_test, which no run time heeds.
  if (u.node().has_attr("ratio")) u.input(1, u.number(u.node().attr_f("ratio", 0.5f), DType::kFloat));
  u.drop("ratio");
  u.drop("is_test");
}
void dropout_10(U& u) {
  ValueId mask = u.node().output(1);
  if (mask != kNoValue) u.after(1, "Cast", {{"to", static_cast<int64_t>(element(u))}});
}
void dft_20(U& u) {
  int64_t axis = u.node().attr_i("axis", 1);
  u.input(2, u.tensor(Tensor::scalar(axis)));
  u.drop("axis");
}
void tile_6(U& u) {
  // Version 1 repeats one axis.
  const Tensor *n = u.constant(u.node().input(1)), *axis = u.constant(u.node().input(2));
  check(n && axis && n->size() == 1 && axis->size() == 1, Code::kUnsupported,
        "version 1 with a number of tiles or an axis that is computed");
  Ints repeats(static_cast<size_t>(u.rank(u.node().input(0))), 1);
  int64_t a =
      normalize_axis(static_cast<int64_t>(get_double(*axis, 0)), static_cast<int64_t>(repeats.size()));
  repeats[static_cast<size_t>(a)] = static_cast<int64_t>(get_double(*n, 0));
  u.replace(0, u.op("Tile", {u.node().input(0), u.ints(repeats)}));
  u.remove();
}

// ---------------------------------------------------------------- attributes that went or changed

void consumed_inputs(U& u) { u.drop("consumed_inputs"); }
void selu_6(U& u) {
  u.drop("consumed_inputs");
  if (!u.node().has_attr("alpha")) u.set({"alpha", 1.6732f});
  if (!u.node().has_attr("gamma")) u.set({"gamma", 1.0507f});
}
void cast_6(U& u) {
  const Attribute* to = u.node().attr("to");
  if (!to || to->type() != AttrType::kString) return;
  std::string name = u.node().attr_s("to", "");
  std::transform(name.begin(), name.end(), name.begin(),
                 [](unsigned char ch) { return static_cast<char>(std::tolower(ch)); });
  DType t = dtype_from_name(name);
  check(t != DType::kUndefined, Code::kInvalidModel, "'", name, "' is no element type");
  u.set({"to", static_cast<int64_t>(t)});
}
void concat_4(U& u) {
  if (!u.node().has_attr("axis")) u.set({"axis", int64_t{1}});
}
void lp_pool_2(U& u) {
  if (u.node().attr("p") && u.node().attr("p")->type() == AttrType::kFloat)
    u.set({"p", static_cast<int64_t>(u.node().attr_f("p", 2))});
}
void gemm_7(U& u) { u.drop("broadcast"); }
void recurrent_7(U& u) { u.drop("output_sequence"); }
void roi_align_16(U& u) {
  if (!u.node().has_attr("coordinate_transformation_mode"))
    u.set({"coordinate_transformation_mode", std::string("output_half_pixel")});
}
void grid_sample_20(U& u) {
  std::string mode = u.node().attr_s("mode", "bilinear");
  if (mode == "bilinear") u.set({"mode", std::string("linear")});
  if (mode == "bicubic") u.set({"mode", std::string("cubic")});
}
void resize_13(U& u) {
  // tf_half_pixel_for_nn went: half_pixel, but for nearest, which takes the upper of two equally near.
  if (u.node().attr_s("coordinate_transformation_mode", "") != "tf_half_pixel_for_nn") return;
  check(u.node().attr_s("mode", "nearest") != "nearest", Code::kUnsupported,
        "nearest resizing with tf_half_pixel_for_nn");
  u.set({"coordinate_transformation_mode", std::string("half_pixel")});
}
void reduce_log_28(U& u) {
  check(!dtype_is_integer(element(u)), Code::kUnsupported, "opset 28 takes no integers");
}

// ---------------------------------------------------------------- broadcasting before opset 7

// The second operand gets trailing axes of extent 1, so that its first stands at `axis` of the first operand.
void align(U& u, int64_t axis) {
  ValueId a = u.node().input(0), b = u.node().input(1);
  int64_t ra = u.rank(a), rb = u.rank(b);
  axis = normalize_axis(axis, std::max<int64_t>(ra, 1));
  Ints trailing;
  for (int64_t i = rb; i < ra - axis; ++i) trailing.push_back(i);
  if (trailing.empty() || rb == 0) return;
  u.input(1, u.op("Unsqueeze", {b, u.ints(trailing)}));
}
void broadcast_7(U& u) {
  const Node& n = u.node();
  if (n.attr_i("broadcast", 0) != 0 && n.has_attr("axis")) align(u, n.attr_i("axis", 0));
  u.drop("broadcast");
  u.drop("axis");
  u.drop("consumed_inputs");
}
void prelu_7(U& u) {
  ValueId slope = u.node().input(1);
  const Type& t = u.type(slope);
  bool scalar = t.shape.has_rank() && t.shape.rank() == 1 && t.shape[0].is(1);
  if (u.rank(slope) == 1 && !scalar) align(u, 1);
}

// ---------------------------------------------------------------- normalizations and softmax

void batch_norm_7(U& u) {
  u.drop("consumed_inputs");
  u.drop("is_test");
  if (u.node().attr_i("is_test", 0) != 0) u.keep_outputs(1);
}
// x - mean, over the deviation, scaled and moved: element by element, each with numbers of its own.
void batch_norm_9(U& u) {
  const Node& n = u.node();
  u.drop("spatial");
  if (n.attr_i("spatial", 1) != 0) return;
  u.keep_outputs(1);
  ValueId eps = u.number(n.attr_f("epsilon", 1e-5f), element(u));
  ValueId deviation = u.op("Sqrt", {u.op("Add", {n.input(4), eps})});
  ValueId hat = u.op("Div", {u.op("Sub", {n.input(0), n.input(3)}), deviation});
  u.replace(0, u.op("Add", {u.op("Mul", {hat, n.input(1)}), n.input(2)}));
  u.remove();
}
void batch_norm_14(U& u) {
  const Node& n = u.node();
  bool training = false;
  for (size_t i = 1; i < n.outputs.size(); ++i) training = training || n.outputs[i] != kNoValue;
  if (training) u.set({"training_mode", int64_t{1}});
  u.keep_outputs(training ? 3 : 1);
}
// Scale and bias per group become ones per channel.
void group_norm_21(U& u) {
  const Node& n = u.node();
  int64_t groups = n.attr_i("num_groups", 1);
  ValueId channels = u.op("Gather", {u.op("Shape", {n.input(0)}), u.ints({1})});
  ValueId per = u.op("Div", {channels, u.ints({groups})});
  ValueId wide = u.op("Concat", {u.ints({1}), per}, {{"axis", int64_t{0}}});
  for (size_t i = 1; i < 3; ++i) {
    ValueId column = u.op("Reshape", {n.input(i), u.ints({-1, 1})});
    u.input(i, u.op("Reshape", {u.op("Expand", {column, wide}), u.ints({-1})}));
  }
}
// Before opset 13 all axes from `axis` on were one.
void softmax_13(U& u) {
  const Node& n = u.node();
  int64_t axis = n.attr_i("axis", 1);
  const Type& t = u.type(n.input(0));
  if (t.shape.has_rank()) {
    auto r = static_cast<int64_t>(t.shape.rank());
    if (axis == -1 || axis == r - 1) return u.set({"axis", int64_t{-1}});
  }
  ValueId flat = u.op("Flatten", {n.input(0)}, {{"axis", axis}});
  ValueId y = u.op(n.op.c_str(), {flat}, {{"axis", int64_t{-1}}});
  u.replace(0, u.op("Reshape", {y, u.op("Shape", {n.input(0)})}, {{"allowzero", int64_t{1}}}));
  u.remove();
}

// ---------------------------------------------------------------- operators that went

void resize_attributes(U& u) {
  // Positions as before version 11; nearest went down, or up where an axis shrinks.
  u.set({"coordinate_transformation_mode", std::string("asymmetric")});
  std::string mode = u.node().attr_s("mode", "nearest");
  if (mode == "bilinear" || mode == "trilinear") u.set({"mode", std::string("linear")});
  if (mode != "nearest") return;
  const Tensor* scales = u.constant(u.node().input(1));
  bool shrinks = false, grows = false;
  for (int64_t i = 0; scales && i < scales->size(); ++i) {
    shrinks = shrinks || get_double(*scales, i) < 1;
    grows = grows || get_double(*scales, i) > 1;
  }
  check(!(shrinks && grows), Code::kUnsupported,
        "nearest resizing that shrinks one axis and stretches another");
  u.set({"nearest_mode", std::string(shrinks ? "ceil" : "floor")});
}
void upsample_10(U& u) { u.rename("Resize"); }
void resize_11(U& u) {
  resize_attributes(u);
  ValueId scales = u.node().input(1);
  u.input(2, scales);
  u.input(1, u.tensor(Tensor(DType::kFloat, {0})));
}
void scatter_11(U& u) { u.rename("ScatterElements"); }
void affine_10(U& u) {
  const Node& n = u.node();
  ValueId scaled = u.op("Mul", {n.input(0), u.number(n.attr_f("alpha", 1), element(u))});
  u.replace(0, u.op("Add", {scaled, u.number(n.attr_f("beta", 0), element(u))}));
  u.remove();
}
void image_scaler_10(U& u) {
  const Node& n = u.node();
  std::vector<float> bias = n.attr_floats("bias");
  Tensor b(element(u), {static_cast<int64_t>(bias.size()), 1, 1});
  for (size_t i = 0; i < bias.size(); ++i) set_double(b, static_cast<int64_t>(i), bias[i]);
  ValueId scaled = u.op("Mul", {n.input(0), u.number(n.attr_f("scale", 1), element(u))});
  u.replace(0, u.op("Add", {scaled, u.tensor(std::move(b))}));
  u.remove();
}
void crop_10(U& u) {
  const Node& n = u.node();
  Ints border = n.attr_ints("border"), scale = n.attr_ints("scale");
  check(border.size() == 4 && (scale.empty() || scale.size() == 2), Code::kInvalidModel,
        "border must have 4 entries, scale 2");
  Ints ends{scale.empty() ? -border[3] : border[1] + scale[0],
            scale.empty() ? -border[2] : border[0] + scale[1]};
  for (int64_t& e : ends)
    if (e == 0) e = INT64_MAX;
  u.replace(0, u.op("Slice", {n.input(0), u.ints({border[1], border[0]}), u.ints(ends), u.ints({2, 3})}));
  u.remove();
}

// Version 8 scans a batch of sequences: a scan over the batch whose body scans one sequence.
void scan_9(U& u) {
  const Node& n = u.node();
  check(n.input(0) == kNoValue, Code::kUnsupported, "sequences of their own lengths");
  auto body = std::make_shared<Graph>();
  body->name = "one_sequence";
  Node inner = n, outer = n;
  inner.opset = outer.opset = u.opset();
  inner.inputs.clear();
  inner.outputs.clear();
  inner.captures.clear();
  for (size_t i = 1; i < n.inputs.size(); ++i)
    inner.inputs.push_back(body->add_input(cat("scan_in_", i), Type::tensor(u.type(n.inputs[i]).dtype)));
  for (size_t i = 0; i < n.captures.size(); ++i)
    inner.captures.push_back(body->add_capture(cat("scan_outer_", i), static_cast<int>(i)));
  for (size_t i = 0; i < n.outputs.size(); ++i) inner.outputs.push_back(body->add_value(cat("scan_out_", i)));
  std::vector<ValueId> results = inner.outputs;
  for (Attribute& a : inner.attributes)
    if (a.name == "directions") a.name = "scan_input_directions";
  body->add_node(std::move(inner));
  for (ValueId v : results) body->mark_output(v);
  outer.inputs.erase(outer.inputs.begin());
  auto count = static_cast<int64_t>(outer.inputs.size());
  outer.attributes = {{"body", std::move(body)}, {"num_scan_inputs", count}};
  std::vector<ValueId> made = u.add(std::move(outer), n.outputs.size());
  for (size_t i = 0; i < made.size(); ++i) u.replace(i, made[i]);
  u.remove();
}

constexpr UpgradeRule kRules[] = {
    {"LpPool", 2, lp_pool_2},
    {"GlobalLpPool", 2, lp_pool_2},
    {"Pad", 2, pad_2},
    {"Concat", 4, concat_4},
    {"Reshape", 5, reshape_5},
    {"Abs", 6, consumed_inputs},
    {"Cast", 6, cast_6},
    {"Ceil", 6, consumed_inputs},
    {"Clip", 6, consumed_inputs},
    {"Dropout", 6, consumed_inputs},
    {"Elu", 6, consumed_inputs},
    {"Exp", 6, consumed_inputs},
    {"Floor", 6, consumed_inputs},
    {"HardSigmoid", 6, consumed_inputs},
    {"InstanceNormalization", 6, consumed_inputs},
    {"LeakyRelu", 6, consumed_inputs},
    {"Log", 6, consumed_inputs},
    {"Max", 6, consumed_inputs},
    {"Mean", 6, consumed_inputs},
    {"Min", 6, consumed_inputs},
    {"Neg", 6, consumed_inputs},
    {"PRelu", 6, consumed_inputs},
    {"Reciprocal", 6, consumed_inputs},
    {"Relu", 6, consumed_inputs},
    {"Selu", 6, selu_6},
    {"Sigmoid", 6, consumed_inputs},
    {"Sqrt", 6, consumed_inputs},
    {"Sum", 6, consumed_inputs},
    {"Tanh", 6, consumed_inputs},
    {"Tile", 6, tile_6},
    {"Add", 7, broadcast_7},
    {"And", 7, broadcast_7},
    {"BatchNormalization", 7, batch_norm_7},
    {"Div", 7, broadcast_7},
    {"Equal", 7, broadcast_7},
    {"GRU", 7, recurrent_7},
    {"Gemm", 7, gemm_7},
    {"Greater", 7, broadcast_7},
    {"LSTM", 7, recurrent_7},
    {"Less", 7, broadcast_7},
    {"Mul", 7, broadcast_7},
    {"Or", 7, broadcast_7},
    {"PRelu", 7, prelu_7},
    {"Pow", 7, broadcast_7},
    {"RNN", 7, recurrent_7},
    {"Sub", 7, broadcast_7},
    {"Upsample", 7, upsample_7},
    {"Xor", 7, broadcast_7},
    {"BatchNormalization", 9, batch_norm_9},
    {"Scan", 9, scan_9},
    {"Upsample", 9, upsample_9},
    {"Affine", 10, affine_10},
    {"Crop", 10, crop_10},
    {"Dropout", 10, dropout_10},
    {"ImageScaler", 10, image_scaler_10},
    {"Slice", 10, slice_10},
    {"TopK", 10, top_k_10},
    {"Upsample", 10, upsample_10},
    {"Clip", 11, clip_11},
    {"Pad", 11, pad_11},
    {"Resize", 11, resize_11},
    {"Scatter", 11, scatter_11},
    {"Dropout", 12, dropout_12},
    {"Hardmax", 13, softmax_13},
    {"LogSoftmax", 13, softmax_13},
    {"ReduceSum", 13, axes_input},
    {"Resize", 13, resize_13},
    {"Softmax", 13, softmax_13},
    {"Split", 13, split_13},
    {"Squeeze", 13, axes_input},
    {"Unsqueeze", 13, axes_input},
    {"BatchNormalization", 14, batch_norm_14},
    {"RoiAlign", 16, roi_align_16},
    {"ReduceL1", 18, axes_input},
    {"ReduceL2", 18, axes_input},
    {"ReduceLogSum", 18, axes_input},
    {"ReduceLogSumExp", 18, axes_input},
    {"ReduceMax", 18, axes_input},
    {"ReduceMean", 18, axes_input},
    {"ReduceMin", 18, axes_input},
    {"ReduceProd", 18, axes_input},
    {"ReduceSumSquare", 18, axes_input},
    {"Split", 18, split_18},
    {"DFT", 20, dft_20},
    {"GridSample", 20, grid_sample_20},
    {"GroupNormalization", 21, group_norm_21},
    {"ReduceLogSum", 28, reduce_log_28},
    {"ReduceLogSumExp", 28, reduce_log_28},
};

}  // namespace

std::span<const UpgradeRule> upgrade_rules() { return kRules; }

}  // namespace skiff::onnx
