#include "onnx/upgrade_opset.h"

#include <algorithm>
#include <array>
#include <limits>

#include "graph/patch.h"
#include "ops/op.h"

namespace skiff::onnx {
namespace {

class Upgrade {
 public:
  Upgrade(Graph& g, int target) : g_(g), target_(target) {}

  void run() {
    for (NodeId id : std::vector<NodeId>(g_.order())) {
      for (Attribute& a : g_.mutable_node(id).attributes) {
        if (auto* s = std::get_if<std::shared_ptr<Graph>>(&a.value)) Upgrade(**s, target_).run();
        if (auto* l = std::get_if<std::vector<std::shared_ptr<Graph>>>(&a.value))
          for (auto& s : *l) Upgrade(*s, target_).run();
      }
      const Node& n = g_.node(id);
      if (!n.domain.empty() || !n.def) continue;
      if (n.opset < target_ && n.def->version(n.opset) != n.def->version(target_)) node(id);
      if (!g_.node(id).dead) g_.mutable_node(id).opset = target_;
    }
  }

 private:
  [[noreturn]] static void refuse(const Node& n, const char* why) {
    Error e(Code::kUnsupported, cat("cannot be brought from opset ", n.opset, " to a newer one: ", why,
                                    "; export the model again with opset 13 or newer"));
    e.add_where(n.label());
    throw e;
  }

  static std::vector<int64_t> ints(const Node& n, const char* name) { return n.attr_ints(name); }

  static void drop(Node& n, std::initializer_list<std::string_view> names) {
    std::erase_if(n.attributes, [&](const Attribute& a) {
      return std::find(names.begin(), names.end(), a.name) != names.end();
    });
  }

  // Puts `made` in the place of node `id`.
  void replace(NodeId id, Patch& p, Node made) {
    const Node& n = g_.node(id);
    made.opset = target_;
    made.def = find_op("", made.op);
    std::vector<ValueId> outs = p.add(std::move(made), n.outputs.size(),
                                      n.outputs[0] == kNoValue ? n.name : g_.value(n.outputs[0]).name);
    for (size_t k = 0; k < outs.size(); ++k)
      if (n.outputs[k] != kNoValue) p.replace(n.outputs[k], outs[k]);
    p.remove(id);
    p.apply();
  }

  ValueId ints_constant(Patch& p, const Node& n, const char* what, const std::vector<int64_t>& v) {
    return p.constant(n.name + "_" + what, Tensor::from(std::span<const int64_t>(v)));
  }

  // An attribute of integers becomes input `at`.
  void ints_to_input(NodeId id, const char* attribute, size_t at) {
    Node made = g_.node(id);
    if (!made.has_attr(attribute)) {
      g_.mutable_node(id).opset = target_;
      return;
    }
    Patch p(g_);
    std::vector<int64_t> v = ints(made, attribute);
    drop(made, {attribute});
    made.inputs.resize(std::max(made.inputs.size(), at), kNoValue);
    made.inputs.push_back(ints_constant(p, made, attribute, v));
    replace(id, p, std::move(made));
  }

  void clip(NodeId id) {
    Node made = g_.node(id);
    Patch p(g_);
    made.inputs.resize(1);
    float lo = made.attr_f("min", std::numeric_limits<float>::lowest()),
          hi = made.attr_f("max", std::numeric_limits<float>::max());
    bool has_min = made.has_attr("min"), has_max = made.has_attr("max");
    drop(made, {"min", "max", "consumed_inputs"});
    if (has_min || has_max)
      made.inputs.push_back(has_min ? p.constant(made.name + "_min", Tensor::scalar(lo)) : kNoValue);
    if (has_max) made.inputs.push_back(p.constant(made.name + "_max", Tensor::scalar(hi)));
    replace(id, p, std::move(made));
  }

  void pad(NodeId id) {
    Node made = g_.node(id);
    Patch p(g_);
    std::vector<int64_t> pads = made.has_attr("pads") ? ints(made, "pads") : ints(made, "paddings");
    float value = made.attr_f("value", 0);
    drop(made, {"pads", "paddings", "value"});
    made.inputs.push_back(ints_constant(p, made, "pads", pads));
    if (value != 0) made.inputs.push_back(p.constant(made.name + "_value", Tensor::scalar(value)));
    replace(id, p, std::move(made));
  }

  void slice(NodeId id) {
    Node made = g_.node(id);
    Patch p(g_);
    for (const char* a : {"starts", "ends", "axes"})
      if (made.has_attr(a)) made.inputs.push_back(ints_constant(p, made, a, ints(made, a)));
    drop(made, {"starts", "ends", "axes"});
    replace(id, p, std::move(made));
  }

  void split(NodeId id) {
    Node made = g_.node(id);
    if (made.opset < 2 && made.inputs.size() > 1) refuse(made, "Split of opset 1 with a split input");
    Patch p(g_);
    if (made.has_attr("split")) {
      std::vector<int64_t> parts = ints(made, "split");
      drop(made, {"split"});
      made.inputs.push_back(ints_constant(p, made, "split", parts));
    } else if (target_ >= 18 && made.input(1) == kNoValue) {
      made.attributes.emplace_back("num_outputs", static_cast<int64_t>(made.outputs.size()));
    }
    replace(id, p, std::move(made));
  }

  // Before 13 the softmax family worked on the input flattened to 2-D at `axis`.
  void softmax(NodeId id) {
    const Node& n = g_.node(id);
    const SymShape& shape = g_.value(n.inputs[0]).type.shape;
    int64_t axis = n.attr_i("axis", 1);
    if (shape.has_rank()) {
      auto rank = static_cast<int64_t>(shape.rank());
      if (axis < 0) axis += rank;
      bool tail_is_one = true;
      for (int64_t k = axis + 1; k < rank; ++k)
        tail_is_one = tail_is_one && shape[static_cast<size_t>(k)].is(1);
      if (tail_is_one) {
        Attribute a("axis", axis == rank - 1 ? int64_t{-1} : axis);
        Patch p(g_);
        p.set_attribute(id, a);
        p.apply();
        g_.mutable_node(id).opset = target_;
        return;
      }
    }
    if (axis < 0) refuse(n, "a negative axis of an input of unknown rank");
    Patch p(g_);
    ValueId x = n.inputs[0];
    ValueId dims = p.op("", "Shape", target_, {x}, {}, n.name + "_shape");
    ValueId flat = p.op("", "Flatten", target_, {x}, {Attribute("axis", axis)}, n.name + "_flat");
    ValueId y = p.op("", n.op, target_, {flat}, {Attribute("axis", int64_t{-1})}, n.name + "_flat_y");
    p.replace(n.outputs[0], p.op("", "Reshape", target_, {y, dims}, {}, g_.value(n.outputs[0]).name));
    p.remove(id);
    p.apply();
    for (size_t i = 0; i < g_.node_slots(); ++i) {
      Node& m = g_.mutable_node(static_cast<NodeId>(i));
      if (!m.dead && !m.def) m.def = find_op(m.domain, m.op);
    }
  }

  // Upsample, and Resize of opset 10: nearest by floor, coordinates without shift.
  void resize(NodeId id) {
    Node made = g_.node(id);
    if (made.op == "Resize" && made.opset >= 11) {
      if (made.attr_s("coordinate_transformation_mode", "") == "tf_half_pixel_for_nn")
        refuse(made, "the coordinate mode tf_half_pixel_for_nn is gone");
      // Until 13 an empty constant stood for scales that are not given.
      if (made.input(3) != kNoValue && made.input(2) != kNoValue &&
          g_.value(made.inputs[2]).constant.defined() && g_.value(made.inputs[2]).constant.size() == 0) {
        Patch p(g_);
        p.set_input(id, 2, kNoValue);
        p.apply();
      }
      return;
    }
    Patch p(g_);
    ValueId scales = made.input(1);
    if (scales == kNoValue) {
      std::vector<float> s = made.attr_floats("scales");
      if (s.empty()) refuse(made, "it has no scales");
      scales = p.constant(made.name + "_scales",
                          Tensor::from(std::span<const float>(s), {static_cast<int64_t>(s.size())}));
    }
    drop(made, {"scales"});
    made.op = "Resize";
    made.inputs = {made.inputs[0], kNoValue, scales};
    made.attributes.emplace_back("coordinate_transformation_mode", std::string("asymmetric"));
    if (made.attr_s("mode", "nearest") == "nearest")
      made.attributes.emplace_back("nearest_mode", std::string("floor"));
    replace(id, p, std::move(made));
  }

  void batch_norm(NodeId id) {
    Node& n = g_.mutable_node(id);
    if (n.attr_i("spatial", 1) == 0) refuse(n, "spatial = 0 is gone");
    if (n.outputs.size() > 1) refuse(n, "training outputs changed");
    Patch p(g_);
    for (const char* a : {"spatial", "is_test", "consumed_inputs"})
      if (n.has_attr(a)) p.remove_attribute(id, a);
    if (!p.empty()) p.apply();
  }

  void old_broadcast(NodeId id) {
    const Node& n = g_.node(id);
    const SymShape &a = g_.value(n.inputs[0]).type.shape, &b = g_.value(n.inputs[1]).type.shape;
    bool trailing = n.attr_i("broadcast", 0) == 0 || !n.has_attr("axis") ||
                    (a.has_rank() && b.has_rank() &&
                     n.attr_i("axis", 0) + static_cast<int64_t>(b.rank()) == static_cast<int64_t>(a.rank()));
    if (!trailing) {
      if (!a.has_rank() || !b.has_rank()) refuse(n, "its broadcast axis needs known ranks");
      Node made = n;
      Patch p(g_);
      std::vector<int64_t> axes;
      auto axis = n.attr_i("axis", 0);
      if (axis < 0) axis += static_cast<int64_t>(a.rank());
      for (auto k = axis + static_cast<int64_t>(b.rank()); k < static_cast<int64_t>(a.rank()); ++k)
        axes.push_back(k - axis);
      ValueId list = ints_constant(p, n, "axes", axes);
      made.inputs[1] = p.op("", "Unsqueeze", target_, {n.inputs[1], list}, {}, n.name + "_b");
      drop(made, {"broadcast", "axis", "consumed_inputs"});
      replace(id, p, std::move(made));
      return;
    }
    strip(id, {"broadcast", "axis", "consumed_inputs"});
  }

  void strip(NodeId id, std::initializer_list<std::string_view> names) {
    Patch p(g_);
    for (std::string_view a : names)
      if (g_.node(id).has_attr(a)) p.remove_attribute(id, a);
    if (!p.empty()) p.apply();
  }

  void node(NodeId id) {
    const Node& n = g_.node(id);
    const std::string op = n.op;
    auto crosses = [&](int version) { return g_.node(id).opset < version && target_ >= version; };
    auto is = [&](std::initializer_list<std::string_view> list) {
      return std::find(list.begin(), list.end(), op) != list.end();
    };
    if (crosses(6)) strip(id, {"consumed_inputs"});
    if (is({"Squeeze", "Unsqueeze", "ReduceSum"}) && crosses(13)) return ints_to_input(id, "axes", 1);
    if (op.rfind("Reduce", 0) == 0 && op != "ReduceSum" && crosses(18)) return ints_to_input(id, "axes", 1);
    if (op == "Split" && (crosses(13) || crosses(18))) return split(id);
    if (op == "Clip" && crosses(11)) return clip(id);
    if (op == "Pad" && crosses(11)) return pad(id);
    if (op == "Slice" && crosses(10)) return slice(id);
    if (op == "Reshape" && crosses(5)) return ints_to_input(id, "shape", 1);
    if (op == "TopK" && crosses(10)) {
      Node made = n;
      Patch p(g_);
      int64_t k = made.attr_i("k", 1);
      drop(made, {"k"});
      made.inputs.push_back(ints_constant(p, made, "k", {k}));
      return replace(id, p, std::move(made));
    }
    if (is({"Softmax", "LogSoftmax", "Hardmax"}) && crosses(13)) return softmax(id);
    if (is({"Upsample", "Resize"})) return resize(id);
    if (op == "Dropout") {
      if (n.input(1) == kNoValue) strip(id, {"ratio", "is_test"});
      return;
    }
    if (op == "BatchNormalization" && crosses(14)) return batch_norm(id);
    if (op == "BatchNormalization" && crosses(9)) return batch_norm(id);
    if (is({"Add", "Sub", "Mul", "Div", "And", "Or", "Xor", "Equal", "Greater", "Less", "Pow"}) && crosses(7))
      return old_broadcast(id);
    if (op == "Gemm" && crosses(7)) return strip(id, {"broadcast"});
    if (op == "Scatter") {
      Node made = n;
      Patch p(g_);
      made.op = "ScatterElements";
      return replace(id, p, std::move(made));
    }
    if (op == "RoiAlign" && crosses(16)) {
      Patch p(g_);
      p.set_attribute(id, Attribute("coordinate_transformation_mode", std::string("output_half_pixel")));
      return p.apply();
    }
    if (op == "GridSample" && crosses(20)) {
      std::string mode = n.attr_s("mode", "bilinear");
      Patch p(g_);
      p.set_attribute(id, Attribute("mode", std::string(mode == "bicubic"   ? "cubic"
                                                        : mode == "nearest" ? "nearest"
                                                                            : "linear")));
      return p.apply();
    }
    if ((is({"Scan"}) && crosses(9)) || (is({"GroupNormalization"}) && crosses(21)) ||
        (is({"DFT"}) && crosses(20)) || (is({"LSTM", "GRU", "RNN", "PRelu"}) && crosses(7)) ||
        (is({"Cast"}) && crosses(6)))
      refuse(n, "its meaning changed in between");
    if (n.def->version(target_) == 0 || (n.def->removed > 0 && n.def->removed <= target_))
      refuse(n, "the operator is gone");
  }

  Graph& g_;
  int target_;
};

}  // namespace

void upgrade_opset(Model& m, int target) {
  check(m.functions.empty(), Code::kInternal, "functions are expanded before an opset upgrade");
  for (OpsetId& o : m.opsets)
    if (o.domain.empty() || o.domain == "ai.onnx")
      check(o.version <= target, Code::kInternal, "opset ", o.version, " is newer than ", target);
  Upgrade(m.graph, target).run();
  bool named = false;
  for (OpsetId& o : m.opsets)
    if (o.domain.empty() || o.domain == "ai.onnx") o.version = target, named = true;
  if (!named) m.opsets.push_back({"", target});
  // The IR versions that came with the opsets (onnx/docs/Versioning.md).
  constexpr std::array<std::pair<int, int>, 5> kIr{{{13, 7}, {15, 8}, {19, 9}, {21, 10}, {23, 11}}};
  for (auto [opset, ir] : kIr)
    if (target >= opset) m.ir_version = std::max<int64_t>(m.ir_version, ir);
}

}  // namespace skiff::onnx
