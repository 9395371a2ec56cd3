#include "passes/remove_identities.h"

#include <algorithm>

#include "ops/op.h"
#include "passes/edit.h"

namespace skiff::passes {
namespace {

bool other_outputs_unused(const Graph& g, const Node& n) {
  for (size_t i = 1; i < n.outputs.size(); ++i) {
    if (n.outputs[i] == kNoValue) continue;
    const Value& v = g.value(n.outputs[i]);
    if (!v.uses.empty() || v.is_output) return false;
  }
  return true;
}

// Every element of a constant equals x.
bool all_equal(const Graph& g, ValueId v, double x) {
  const Tensor* t = constant_of(g, v);
  if (!t || t->size() == 0 || t->size() > 65536 || t->dtype() == DType::kString) return false;
  if (t->dtype() == DType::kComplex64 || t->dtype() == DType::kComplex128) return false;
  for (int64_t i = 0; i < t->size(); ++i)
    if (get_double(*t, i) != x) return false;
  return true;
}

// Combining x with the constant c by broadcasting leaves x's shape: c has no extent but 1, or the shapes say
// so.
bool keeps_shape(const Graph& g, const Node& n, ValueId x, ValueId c) {
  const Tensor* t = constant_of(g, c);
  if (t->size() == 1 && rank_of(g, x) >= t->rank()) return true;
  return same_shape(g, x, n.outputs[0]);
}

// The operand the node returns unchanged, kNoValue when it is none.
ValueId neutral_arithmetic(const Graph& g, const Node& n) {
  double neutral = n.op == "Mul" || n.op == "Div" || n.op == "Pow" ? 1 : 0;
  bool both = n.op == "Add" || n.op == "Mul";
  if (!both && n.op != "Sub" && n.op != "Div" && n.op != "Pow") return kNoValue;
  if (n.inputs.size() != 2 || n.opset < 7) return kNoValue;  // before 7 broadcasting had an axis
  for (size_t c = both ? 0 : 1; c < 2; ++c) {
    ValueId x = n.inputs[1 - c];
    if (all_equal(g, n.inputs[c], neutral) && dtype_of(g, x) == dtype_of(g, n.outputs[0]) &&
        keeps_shape(g, n, x, n.inputs[c]))
      return x;
  }
  return kNoValue;
}

bool no_pads(const Graph& g, const Node& n) {
  std::optional<std::vector<int64_t>> pads;
  if (n.opset < 11) {
    pads = n.attr_ints(n.opset < 2 ? "paddings" : "pads");
  } else {
    pads = ints_of(g, n.input(1));
  }
  return pads && !pads->empty() && std::all_of(pads->begin(), pads->end(), [](int64_t p) { return p == 0; });
}

// Slices that keep every element in order: same extents, steps of one.
bool whole_slice(const Graph& g, const Node& n) {
  if (!same_shape(g, n.inputs[0], n.outputs[0])) return false;
  if (n.opset < 10 || n.input(4) == kNoValue) return true;
  auto steps = ints_of(g, n.input(4));
  return steps && std::all_of(steps->begin(), steps->end(), [](int64_t s) { return s == 1; });
}

bool unit_pool(const Node& n) {
  auto ones = [&](const char* name) {
    auto l = n.attr_ints(name);
    return std::all_of(l.begin(), l.end(), [](int64_t x) { return x == 1; });
  };
  auto pads = n.attr_ints("pads");
  return n.has_attr("kernel_shape") && ones("kernel_shape") && ones("strides") &&
         std::all_of(pads.begin(), pads.end(), [](int64_t x) { return x == 0; }) &&
         n.attr_s("auto_pad", "NOTSET") == "NOTSET";
}

bool inference_dropout(const Graph& g, const Node& n) {
  if (n.opset < 7) return n.attr_i("is_test", 0) != 0;
  if (n.opset < 12 || n.input(2) == kNoValue) return true;
  auto training = scalar_of(g, n.input(2));
  return training && *training == 0;
}

bool unit_resize(const Graph& g, const Node& n) {
  if (!same_shape(g, n.inputs[0], n.outputs[0])) return false;
  if (n.attr_s("coordinate_transformation_mode", "half_pixel") == "tf_crop_and_resize") return false;
  size_t at = n.op == "Upsample" || n.opset < 11 ? 1 : 2;
  if (n.op == "Upsample" && n.opset < 9) {
    auto s = n.attr_floats("scales");
    return !s.empty() && std::all_of(s.begin(), s.end(), [](float x) { return x == 1; });
  }
  if (n.input(at) != kNoValue && constant_of(g, n.input(at)) && constant_of(g, n.input(at))->size() > 0)
    return all_equal(g, n.input(at), 1);
  return ints_of(g, n.input(3)).has_value();  // sizes equal to the extents
}

bool reduces_nothing(const Graph& g, const Node& n) {
  if (n.attr_i("noop_with_empty_axes", 0) == 0) return false;
  if (n.op != "ReduceSum" && n.op != "ReduceMean" && n.op != "ReduceMax" && n.op != "ReduceMin" &&
      n.op != "ReduceProd")
    return false;
  auto axes = axes_of(g, n, 1, std::max<int64_t>(rank_of(g, n.inputs[0]), 0));
  return axes && axes->list.empty();
}

// The operand that equals output 0, kNoValue when there is none.
ValueId same_as(const Graph& g, const Node& n) {
  if (!n.domain.empty() || n.inputs.empty() || n.inputs[0] == kNoValue || n.output(0) == kNoValue)
    return kNoValue;
  ValueId x = n.inputs[0];
  auto given = [x](bool yes) { return yes ? x : kNoValue; };
  std::string_view op = n.op;
  if (op == "Identity") return x;
  if (op == "Dropout") return given(other_outputs_unused(g, n) && inference_dropout(g, n));
  if (op == "Cast" || op == "CastLike")
    return given(dtype_of(g, x) != DType::kUndefined && dtype_of(g, x) == dtype_of(g, n.outputs[0]));
  if (op == "Reshape" || op == "Flatten" || op == "Squeeze" || op == "Unsqueeze" || op == "Expand")
    return given(same_shape(g, x, n.outputs[0]));
  if (op == "Transpose") {
    Perm p = perm_of(g, n);
    return given(!p.empty() && is_identity(p));
  }
  if (op == "Concat" || op == "Sum" || op == "Max" || op == "Min" || op == "Mean")
    return given(n.inputs.size() == 1);
  if (op == "Pad") return given(no_pads(g, n));
  if (op == "Slice") return given(whole_slice(g, n));
  if (op == "Tile") return given(n.opset >= 6 && all_equal(g, n.input(1), 1));
  if (op == "Clip") return given(n.opset >= 11 && n.input(1) == kNoValue && n.input(2) == kNoValue);
  if (op == "Resize" || op == "Upsample") return given(unit_resize(g, n));
  if (op == "MaxPool") return given(n.outputs.size() == 1 && unit_pool(n));
  if (reduces_nothing(g, n)) return x;
  return neutral_arithmetic(g, n);
}

}  // namespace

bool remove_identities(Graph& g, PassContext& ctx) {
  bool changed = false;
  for (NodeId id : std::vector<NodeId>(g.order())) {
    const Node& n = g.node(id);
    ValueId x = same_as(g, n);
    if (x == kNoValue || !can_replace(g, n.outputs[0], x)) continue;
    Patch p(g);
    p.replace(n.outputs[0], x);
    p.remove(id);
    commit(g, ctx, p);
    changed = true;
  }
  return changed;
}

}  // namespace skiff::passes
