#include "passes/fuse_batch_norms.h"

#include <cmath>

#include "ops/op.h"
#include "passes/edit.h"

namespace skiff::passes {
namespace {

// y[c] = scale[c] * x[c] + shift[c], c along axis 1 (the last axis for MatMul and Gemm of rank 2 alike).
struct Affine {
  std::vector<double> scale, shift;
};

bool is_float(DType t) {
  return t == DType::kFloat || t == DType::kDouble || t == DType::kFloat16 || t == DType::kBFloat16;
}

bool is_inference_norm(const Graph& g, const Node& n) {
  if (!n.is("BatchNormalization") || n.opset < 7 || n.inputs.size() != 5) return false;
  if (n.attr_i("spatial", 1) != 1 || n.attr_i("training_mode", 0) != 0) return false;
  for (size_t i = 1; i < n.outputs.size(); ++i)
    if (n.outputs[i] != kNoValue && (!g.value(n.outputs[i]).uses.empty() || g.value(n.outputs[i]).is_output))
      return false;
  for (size_t i = 1; i < 5; ++i) {
    const Tensor* t = constant_of(g, n.inputs[i]);
    if (!t || t->rank() != 1 || t->size() != constant_of(g, n.inputs[1])->size() || !is_float(t->dtype()))
      return false;
  }
  return true;
}

Affine affine_of_norm(const Graph& g, const Node& n) {
  const Tensor* t[4];
  for (size_t i = 0; i < 4; ++i) t[i] = constant_of(g, n.inputs[i + 1]);
  auto epsilon = static_cast<double>(n.attr_f("epsilon", 1e-5F));
  Affine a;
  for (int64_t c = 0; c < t[0]->size(); ++c) {
    double s = get_double(*t[0], c) / std::sqrt(get_double(*t[3], c) + epsilon);
    a.scale.push_back(s);
    a.shift.push_back(get_double(*t[1], c) - s * get_double(*t[2], c));
  }
  return a;
}

// A constant that varies along `axis` of a rank-r result at most: its `channels` values.
std::optional<std::vector<double>> channel_values(const Graph& g, ValueId v, int64_t rank, int64_t axis,
                                                  int64_t channels) {
  const Tensor* t = constant_of(g, v);
  if (!t || !is_float(t->dtype()) || t->rank() > rank) return std::nullopt;
  for (int64_t i = 0; i < t->rank(); ++i)
    if (t->dim(i) != 1 && (rank - t->rank() + i != axis || t->dim(i) != channels)) return std::nullopt;
  std::vector<double> r;
  for (int64_t c = 0; c < channels; ++c) r.push_back(get_double(*t, t->size() == 1 ? 0 : c));
  return r;
}

std::optional<Affine> affine_of(const Graph& g, const Node& n, ValueId x, int64_t axis, int64_t channels) {
  auto count = static_cast<size_t>(channels);
  if (n.is("BatchNormalization")) {
    if (axis != 1 || n.inputs[0] != x || !is_inference_norm(g, n)) return std::nullopt;
    Affine a = affine_of_norm(g, n);
    if (a.scale.size() != count) return std::nullopt;
    return a;
  }
  // Before opset 7 broadcasting had an axis.
  if ((!n.is("Mul") && !n.is("Div") && !n.is("Add") && !n.is("Sub")) || n.inputs.size() != 2 || n.opset < 7)
    return std::nullopt;
  bool x_first = n.inputs[0] == x;
  if (!x_first && n.op == "Div") return std::nullopt;
  auto c = channel_values(g, n.inputs[x_first ? 1 : 0], rank_of(g, x), axis, channels);
  if (!c) return std::nullopt;
  Affine a{std::vector<double>(count, 1), std::vector<double>(count, 0)};
  for (size_t i = 0; i < count; ++i) {
    double v = (*c)[i];
    if (n.op == "Mul") a.scale[i] = v;
    if (n.op == "Div") a.scale[i] = 1 / v;
    if (n.op == "Add") a.shift[i] = v;
    if (n.op == "Sub") a.shift[i] = x_first ? -v : v;
    if (n.op == "Sub" && !x_first) a.scale[i] = -1;
    if (!std::isfinite(a.scale[i]) || !std::isfinite(a.shift[i])) return std::nullopt;
  }
  return a;
}

// Where the output channels lie in the weight tensor: element i belongs to channel (i / inner) % period, plus
// `period` for every group before it where channels are counted per group (ConvTranspose).
struct Weights {
  ValueId value = kNoValue, bias = kNoValue;
  int64_t channels = 0, inner = 1, period = 0;
  int64_t group_span = 0;  // elements of one group when channels repeat per group; 0 otherwise
  int64_t axis = 1;        // of the result
  bool takes_bias = true;
};

std::optional<Weights> weights_of(const Graph& g, const Node& n) {
  if (!n.domain.empty() || n.inputs.size() < 2) return std::nullopt;
  const Tensor* w = constant_of(g, n.inputs[1]);
  if (!w || !is_float(w->dtype()) || w->size() == 0) return std::nullopt;
  Weights r;
  r.value = n.inputs[1];
  r.bias = n.input(2);
  if (n.op == "Conv" && w->rank() >= 3) {
    r.channels = w->dim(0);
    r.inner = w->size() / r.channels;
  } else if (n.op == "ConvTranspose" && w->rank() >= 3) {
    int64_t groups = n.attr_i("group", 1);
    if (groups < 1 || w->dim(0) % groups != 0) return std::nullopt;
    r.channels = w->dim(1) * groups;
    r.inner = element_count(w->dims(), 2, w->dims().size());
    r.group_span = w->size() / groups;
  } else if (n.op == "Gemm" && w->rank() == 2) {
    if (n.attr_f("beta", 1) != 1) return std::nullopt;
    bool t = n.attr_i("transB", 0) != 0;
    r.channels = w->dim(t ? 0 : 1);
    r.inner = t ? w->dim(1) : 1;
    if (r.bias != kNoValue && rank_of(g, r.bias) > 1) return std::nullopt;
  } else if (n.op == "MatMul" && w->rank() == 2 && rank_of(g, n.outputs[0]) >= 2) {
    r.channels = w->dim(1);
    r.axis = rank_of(g, n.outputs[0]) - 1;
    r.takes_bias = false;
  } else {
    return std::nullopt;
  }
  if (r.bias != kNoValue) {
    const Tensor* b = constant_of(g, r.bias);
    if (!b || b->size() != r.channels) return std::nullopt;
  }
  r.period = n.op == "ConvTranspose" ? w->dim(1) : r.channels;
  return r;
}

Tensor scaled_weights(const Tensor& w, const Weights& where, const std::vector<double>& scale) {
  Tensor r(w.dtype(), w.dims());
  for (int64_t i = 0; i < w.size(); ++i) {
    int64_t c = (i / where.inner) % where.period;
    if (where.group_span) c += i / where.group_span * where.period;
    if (w.dtype() == DType::kFloat) {
      r.data<float>()[i] =
          static_cast<float>(static_cast<double>(w.data<float>()[i]) * scale[static_cast<size_t>(c)]);
    } else {
      set_double(r, i, get_double(w, i) * scale[static_cast<size_t>(c)]);
    }
  }
  return r;
}

bool all_are(const std::vector<double>& v, double x) {
  for (double e : v)
    if (e != x) return false;
  return true;
}

bool fold_after(Graph& g, PassContext& ctx, NodeId id) {
  const Node& n = g.node(id);
  auto w = weights_of(g, n);
  if (!w) return false;
  NodeId next = sole_user(g, n.outputs[0]);
  if (next == kNoNode || touches_quantizer(g, n)) return false;
  const Node& m = g.node(next);
  if (touches_quantizer(g, m) || !same_shape(g, n.outputs[0], m.outputs[0])) return false;
  auto a = affine_of(g, m, n.outputs[0], w->axis, w->channels);
  if (!a) return false;
  // MatMul has no bias to put a shift into; fuse_matmul_bias gives it one.
  if (!w->takes_bias && !all_are(a->shift, 0)) return false;
  const Tensor& old = *constant_of(g, w->value);
  Patch p(g);
  Node made = n;
  made.inputs.resize(w->takes_bias ? 3 : 2, kNoValue);
  const std::string& name = g.value(w->value).name;
  // Gemm: alpha * A@(B s) + (C s + t) is right whatever alpha is.
  if (!all_are(a->scale, 1)) made.inputs[1] = p.constant(name, scaled_weights(old, *w, a->scale));
  if (w->takes_bias && (w->bias != kNoValue || !all_are(a->shift, 0))) {
    Dims d;
    d.push_back(w->channels);
    Tensor bias(old.dtype(), d);
    const Tensor* had = constant_of(g, w->bias);
    for (int64_t c = 0; c < w->channels; ++c) {
      auto k = static_cast<size_t>(c);
      set_double(bias, c, (had ? get_double(*had, c) * a->scale[k] : 0) + a->shift[k]);
    }
    made.inputs[2] = p.constant(cat(name, "_bias"), std::move(bias));
  }
  while (!made.inputs.empty() && made.inputs.back() == kNoValue) made.inputs.pop_back();
  p.replace(m.outputs[0], p.add(std::move(made), 1, g.value(m.outputs[0]).name)[0]);
  p.remove(next);
  p.remove(id);
  commit(g, ctx, p);
  return true;
}

// BatchNormalization by itself: x * scale + shift.
bool lower_norm(Graph& g, PassContext& ctx, NodeId id) {
  const Node& n = g.node(id);
  int64_t rank = rank_of(g, n.input(0));
  if (!is_inference_norm(g, n) || rank < 2 || touches_quantizer(g, n)) return false;
  DType t = dtype_of(g, n.inputs[0]);
  if (t != DType::kFloat && t != DType::kDouble) return false;
  Affine a = affine_of_norm(g, n);
  Dims d;
  d.push_back(static_cast<int64_t>(a.scale.size()));
  for (int64_t i = 2; i < rank; ++i) d.push_back(1);
  Tensor scale(t, d), shift(t, d);
  for (size_t i = 0; i < a.scale.size(); ++i) {
    set_double(scale, static_cast<int64_t>(i), a.scale[i]);
    set_double(shift, static_cast<int64_t>(i), a.shift[i]);
  }
  const std::string& name = g.value(n.outputs[0]).name;
  Patch p(g);
  ValueId x =
      p.op("", "Mul", kMadeOpset, {n.inputs[0], p.constant(cat(name, "_scale"), std::move(scale))}, {}, name);
  x = p.op("", "Add", kMadeOpset, {x, p.constant(cat(name, "_shift"), std::move(shift))}, {}, name);
  p.replace(n.outputs[0], x);
  p.remove(id);
  commit(g, ctx, p);
  return true;
}

}  // namespace

bool fuse_batch_norms(Graph& g, PassContext& ctx) {
  bool changed = false;
  for (NodeId id : std::vector<NodeId>(g.order())) {
    if (g.node(id).dead) continue;
    // The folded node is new; what follows it is tried in the same sweep.
    for (NodeId at = id; fold_after(g, ctx, at); at = static_cast<NodeId>(g.node_slots()) - 1) changed = true;
  }
  for (NodeId id : std::vector<NodeId>(g.order()))
    if (g.node(id).is("BatchNormalization")) changed = lower_norm(g, ctx, id) || changed;
  return changed;
}

}  // namespace skiff::passes
