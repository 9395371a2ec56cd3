#include "passes/sink_transpose.h"

#include <algorithm>

#include "ops/op.h"
#include "passes/axis_groups.h"

namespace skiff::passes {
namespace {

// What is left of a permutation when the given (sorted, unique) axes of its result disappear.
Perm without_axes(const Perm& perm, const std::vector<int64_t>& gone) {
  std::vector<int64_t> kept, sorted;
  for (size_t k = 0; k < perm.size(); ++k)
    if (std::find(gone.begin(), gone.end(), static_cast<int64_t>(k)) == gone.end()) kept.push_back(perm[k]);
  sorted = kept;
  std::sort(sorted.begin(), sorted.end());
  Perm r;
  for (int64_t a : kept) r.push_back(std::find(sorted.begin(), sorted.end(), a) - sorted.begin());
  return r;
}

// Product of the extents that are numbers: good enough to compare tensors of one graph.
double weight(const SymShape& s) {
  double n = 1;
  for (const Dim& d : s.dims())
    if (d.is_const()) n *= static_cast<double>(d.value());
  return n;
}

bool all_units(const SymShape& s) {
  return std::all_of(s.dims().begin(), s.dims().end(), [](const Dim& d) { return d.is(1); });
}

Tensor int_vector(const std::vector<int64_t>& v) { return Tensor::from(std::span<const int64_t>(v)); }

class Sink {
 public:
  Sink(Graph& g, PassContext& ctx, NodeId id, const SinkOptions& o)
      : g_(g), ctx_(ctx), id_(id), n_(g.node(id)), like_(n_), options_(o), patch_(g) {
    for (ValueId v : n_.inputs) {
      const Node* t = made_by(g, v, "Transpose");
      if (!t) continue;
      perm_ = perm_of(g, *t);
      if (!perm_.empty()) break;
    }
    rank_ = static_cast<int64_t>(perm_.size());
    like_.outputs.clear();
    out_perm_ = perm_;
  }

  bool run() {
    if (perm_.empty() || !n_.def || n_.outputs.empty()) return false;
    if (is_quantizer(n_) && !is_settled_quantizer()) return false;
    if (!rewrite()) return false;
    if (foreign_ > 0 && (!options_.channels_last || foreign_ > own_)) return false;
    finish();
    return true;
  }

 private:
  bool rewrite() {
    if (n_.def->is(kElementwise) || is_quantizer(n_)) return elementwise();
    if (n_.op == "QLinearAveragePool" || n_.op == "QLinearGlobalAveragePool") return integer_pool();
    if (!n_.domain.empty()) return false;
    const std::string& op = n_.op;
    if (op == "Concat") return concat();
    if (!take_first()) return false;  // all others: operand 0 carries the data
    if (op == "Split") return axis_attribute(0);
    if (op == "Softmax" || op == "LogSoftmax" || op == "Hardmax") return softmax();
    if (op == "ArgMax" || op == "ArgMin") return arg();
    if (op == "Slice") return slice();
    if (op == "Pad") return pad();
    if (op.starts_with("Reduce")) return reduce();
    if (op == "Squeeze") return squeeze();
    if (op == "Gather") return gather();
    if (op == "Resize" || op == "Upsample") return resize();
    if (op == "Reshape" || op == "Flatten" || op == "Unsqueeze") return reshape();
    if (op == "Crop") return crop();
    return channels_last_form();
  }

  // Once quantized regions work on integers, what conversions are left are elementwise nodes like others.
  bool is_settled_quantizer() const {
    if (!ctx_.target || !ctx_.target->integer_arithmetic || n_.op == "DynamicQuantizeLinear") return false;
    const SymShape* scale = shape_of(g_, n_.input(1));
    return scale && all_units(*scale) && n_.attr_i("block_size", 0) == 0;
  }

  bool integer_pool() {
    if (!options_.channels_last || perm_ != planar_perm(perm_.size()) || n_.attr_i("channels_last", 0) != 0 ||
        !take_first())
      return false;
    set(Attribute("channels_last", int64_t{1}));
    return true;
  }

  void finish() {
    std::string hint = g_.value(n_.outputs[0]).name;
    std::vector<ValueId> made = patch_.add(std::move(like_), n_.outputs.size(), hint);
    for (size_t i = 0; i < made.size(); ++i) {
      if (n_.outputs[i] == kNoValue) continue;
      ValueId v = made[i];
      if (!is_identity(out_perm_)) v = add_transpose(patch_, v, out_perm_, g_.value(n_.outputs[i]).name);
      patch_.replace(n_.outputs[i], v);
    }
    patch_.remove(id_);
    commit(g_, ctx_, patch_);
  }

  int64_t source_axis(int64_t a) const { return perm_[static_cast<size_t>(a)]; }
  void set(Attribute a) {
    for (Attribute& x : like_.attributes)
      if (x.name == a.name) {
        x = std::move(a);
        return;
      }
    like_.attributes.push_back(std::move(a));
  }

  // A value of the transposed rank in the order before transposition; kNoValue when it cannot be had.
  ValueId untransposed(ValueId v) {
    const SymShape* s = shape_of(g_, v);
    if (!s || s->rank() > perm_.size()) return kNoValue;
    const Node* t = made_by(g_, v, "Transpose");
    if (t && perm_of(g_, *t) == perm_) {
      own_ += weight(*s);
      return t->inputs[0];
    }
    const std::string& name = g_.value(v).name;
    if (const Tensor* c = constant_of(g_, v)) {
      if (c->dtype() == DType::kString || dtype_bits(c->dtype()) % 8 != 0) return kNoValue;
      Dims d;
      for (size_t i = s->rank(); i < perm_.size(); ++i) d.push_back(1);
      for (int64_t x : c->dims()) d.push_back(x);
      return patch_.constant(name, permuted(c->reshaped(d), inverse(perm_)));
    }
    SymShape full = s->dims();
    if (s->rank() < perm_.size()) {
      std::vector<int64_t> axes;
      for (size_t i = s->rank(); i < perm_.size(); ++i) {
        axes.push_back(static_cast<int64_t>(axes.size()));
        full.dims().insert(full.dims().begin(), Dim(1));
      }
      v = patch_.op("", "Unsqueeze", kMadeOpset, {v, patch_.constant(cat(name, "_axes"), int_vector(axes))},
                    {}, name);
    }
    if (!moves_only_units(full, inverse(perm_))) foreign_ += weight(full);
    return add_transpose(patch_, v, inverse(perm_), name);
  }

  bool take_first() {
    ValueId v = n_.input(0);
    const Node* t = v == kNoValue ? nullptr : made_by(g_, v, "Transpose");
    if (!t || perm_of(g_, *t) != perm_) return false;
    own_ += 1;
    like_.inputs[0] = t->inputs[0];
    return true;
  }

  bool elementwise() {
    for (size_t i = 1; i < n_.outputs.size(); ++i)
      if (n_.outputs[i] != kNoValue) return false;
    if (rank_of(g_, n_.outputs[0]) != rank_) return false;
    if (n_.domain.empty() && n_.opset < 7 && n_.has_attr("broadcast")) return false;
    for (size_t i = 0; i < n_.inputs.size(); ++i) {
      ValueId v = n_.inputs[i];
      if (v == kNoValue || (n_.op == "CastLike" && i == 1)) continue;
      const SymShape* s = shape_of(g_, v);
      if (!s) return false;
      // Extents of 1 broadcast alike in any order.
      if (all_units(*s) && static_cast<int64_t>(s->rank()) <= rank_) continue;
      like_.inputs[i] = untransposed(v);
      if (like_.inputs[i] == kNoValue) return false;
    }
    return own_ > 0;
  }

  bool concat() {
    for (size_t i = 0; i < n_.inputs.size(); ++i) {
      if (rank_of(g_, n_.inputs[i]) != rank_) return false;
      like_.inputs[i] = untransposed(n_.inputs[i]);
      if (like_.inputs[i] == kNoValue) return false;
    }
    return own_ > 0 && axis_attribute(1);
  }

  bool axis_attribute(int64_t def_value) {
    int64_t a = n_.attr_i("axis", def_value);
    if (a < -rank_ || a >= rank_) return false;
    set(Attribute("axis", source_axis(a < 0 ? a + rank_ : a)));
    return true;
  }

  bool softmax() {
    if (n_.opset < 13) {
      // Before opset 13 all axes from `axis` on are one; with the last axis that is the same.
      int64_t a = n_.attr_i("axis", 1);
      if (a != rank_ - 1 && a != -1) return false;
      like_.opset = 13;
    }
    return axis_attribute(n_.opset < 13 ? 1 : -1);
  }

  bool arg() {
    int64_t a = n_.attr_i("axis", 0);
    if (!axis_attribute(0)) return false;
    if (n_.attr_i("keepdims", 1) == 0) out_perm_ = without_axes(perm_, {a < 0 ? a + rank_ : a});
    return true;
  }

  std::vector<int64_t> source_axes(const std::vector<int64_t>& axes) const {
    std::vector<int64_t> r;
    for (int64_t a : axes) r.push_back(source_axis(a));
    return r;
  }

  bool slice() {
    size_t at = n_.opset < 10 ? 99 : 3;
    auto axes = axes_of(g_, n_, at, rank_);
    if (!axes) return false;
    if (axes->absent) {
      size_t count = 0;
      if (n_.opset < 10) {
        count = n_.attr_ints("starts").size();
      } else {
        const SymShape* s = shape_of(g_, n_.input(1));
        if (!s || s->rank() != 1 || !(*s)[0].is_const()) return false;
        count = static_cast<size_t>((*s)[0].value());
      }
      for (size_t i = 0; i < count; ++i) axes->list.push_back(static_cast<int64_t>(i));
      if (static_cast<int64_t>(count) > rank_) return false;
    }
    put_axes(source_axes(axes->list), at, n_.opset < 10);
    return true;
  }

  void put_axes(const std::vector<int64_t>& axes, size_t input_index, bool as_attribute) {
    if (as_attribute) {
      set(Attribute("axes", axes));
      return;
    }
    if (like_.inputs.size() <= input_index) like_.inputs.resize(input_index + 1, kNoValue);
    like_.inputs[input_index] = patch_.constant("axes", int_vector(axes));
  }

  std::vector<int64_t> reordered(const std::vector<int64_t>& by_axis, size_t offset) const {
    std::vector<int64_t> r(perm_.size());
    for (size_t k = 0; k < perm_.size(); ++k) r[static_cast<size_t>(perm_[k])] = by_axis[offset + k];
    return r;
  }

  bool pad() {
    if (n_.opset < 2) return false;
    bool as_attribute = n_.opset < 11;
    if (n_.opset >= 18 && n_.input(3) != kNoValue) {
      auto axes = axes_of(g_, n_, 3, rank_);
      if (!axes) return false;
      put_axes(source_axes(axes->list), 3, false);
      return true;
    }
    std::optional<std::vector<int64_t>> pads = as_attribute ? n_.attr_ints("pads") : ints_of(g_, n_.input(1));
    if (!pads || pads->size() != 2 * perm_.size()) return false;
    std::vector<int64_t> all = reordered(*pads, 0), ends = reordered(*pads, perm_.size());
    all.insert(all.end(), ends.begin(), ends.end());
    if (as_attribute) {
      set(Attribute("pads", all));
    } else {
      like_.inputs[1] = patch_.constant("pads", int_vector(all));
    }
    return true;
  }

  bool reduce() {
    bool as_attribute = n_.op == "ReduceSum" ? n_.opset < 13 : n_.opset < 18;
    auto axes = axes_of(g_, n_, as_attribute ? 99 : 1, rank_);
    if (!axes) return false;
    bool keep = n_.attr_i("keepdims", 1) != 0;
    if (axes->list.empty()) {
      if (n_.attr_i("noop_with_empty_axes", 0) != 0) return false;
      out_perm_.clear();  // one element: nothing to permute
      return true;
    }
    std::vector<int64_t> source = source_axes(axes->list);
    std::sort(source.begin(), source.end());
    put_axes(source, 1, as_attribute);
    if (!keep) out_perm_ = without_axes(perm_, axes->list);
    return true;
  }

  bool squeeze() {
    auto axes = axes_of(g_, n_, n_.opset < 13 ? 99 : 1, rank_);
    if (!axes || axes->absent) return false;
    std::vector<int64_t> source = source_axes(axes->list);
    std::sort(source.begin(), source.end());
    put_axes(source, 1, n_.opset < 13);
    out_perm_ = without_axes(perm_, axes->list);
    return true;
  }

  bool gather() {
    int64_t index_rank = rank_of(g_, n_.input(1));
    int64_t a = n_.attr_i("axis", 0);
    if ((index_rank != 0 && index_rank != 1) || !axis_attribute(0)) return false;
    if (index_rank == 0) out_perm_ = without_axes(perm_, {a < 0 ? a + rank_ : a});
    return true;
  }

  // A vector with one entry per axis, in the order before transposition.
  bool reorder_vector(size_t index) {
    ValueId v = n_.input(index);
    if (v == kNoValue) return true;
    if (const Tensor* c = constant_of(g_, v)) {
      if (c->size() == 0) return true;
      if (c->rank() != 1 || c->size() % rank_ != 0) return false;
      Tensor r = c->clone();
      for (int64_t block = 0; block < c->size(); block += rank_)
        for (int64_t k = 0; k < rank_; ++k) set_double(r, block + source_axis(k), get_double(*c, block + k));
      like_.inputs[index] = patch_.constant(g_.value(v).name, std::move(r));
      return true;
    }
    const SymShape* s = shape_of(g_, v);
    if (!s || s->rank() != 1) return false;
    if ((*s)[0].is(0)) return true;
    if (!(*s)[0].is(rank_)) return false;
    ValueId order = patch_.constant("order", int_vector(inverse(perm_)));
    like_.inputs[index] =
        patch_.op("", "Gather", kMadeOpset, {v, order}, {Attribute("axis", int64_t{0})}, g_.value(v).name);
    return true;
  }

  bool resize() {
    if (n_.has_attr("axes")) {
      auto axes = axes_of(g_, n_, 99, rank_);
      if (!axes) return false;
      set(Attribute("axes", source_axes(axes->list)));
      return true;
    }
    if (n_.has_attr("scales")) {
      std::vector<float> s = n_.attr_floats("scales"), r(s.size());
      if (s.size() != perm_.size()) return false;
      for (size_t k = 0; k < s.size(); ++k) r[static_cast<size_t>(perm_[k])] = s[k];
      set(Attribute("scales", r));
      return true;
    }
    for (size_t i = 1; i < n_.inputs.size(); ++i)
      if (!reorder_vector(i)) return false;
    return true;
  }

  // Groups of axes that the reshape keeps together go where they lie in the source. When a group mixes axes
  // that are apart there, the source is transposed first: that pays only for the end of a channel shuffle,
  // whose result is in planar order again.
  bool reshape() {
    const SymShape *y = shape_of(g_, n_.inputs[0]), *z = shape_of(g_, n_.outputs[0]),
                   *x = shape_of(g_, like_.inputs[0]);
    if (!y || !z || !x || y->rank() != perm_.size()) return false;
    auto groups = axis_groups(*y, *z);
    if (!groups) return false;
    auto first_axis = [&](const AxisGroup& g) {
      int64_t a = rank_;
      for (size_t k : g.from) a = std::min(a, perm_[k]);
      return a;
    };
    std::sort(groups->begin(), groups->end(),
              [&](const AxisGroup& a, const AxisGroup& b) { return first_axis(a) < first_axis(b); });
    Perm order;  // of the source's axes, units first
    for (int64_t a = 0; a < rank_; ++a)
      if ((*x)[static_cast<size_t>(a)].is(1)) order.push_back(a);
    size_t units = order.size();
    out_perm_.assign(z->rank(), 0);
    std::vector<Dim> made;
    bool unit_batch = z->rank() > 1 && (*z)[0].is(1);  // axis 0 stays in front
    if (unit_batch) made.emplace_back(1);
    for (const AxisGroup& g : *groups) {
      for (size_t k : g.from) order.push_back(perm_[k]);
      for (size_t k : g.to) {
        if (unit_batch && k == 0) continue;
        out_perm_[k] = static_cast<int64_t>(made.size());
        made.push_back((*z)[k]);
      }
    }
    SymShape source = *x;
    ValueId v = like_.inputs[0];
    if (!std::is_sorted(order.begin() + static_cast<std::ptrdiff_t>(units), order.end())) {
      if (!options_.channels_last || z->rank() != 4 || out_perm_ != planar_perm(4)) return false;
      v = add_transpose(patch_, v, order, g_.value(n_.inputs[0]).name);
      for (size_t i = 0; i < order.size(); ++i) source[i] = (*x)[static_cast<size_t>(order[i])];
    }
    auto target = reshape_target(source, SymShape(made));
    if (!target) return false;
    become("Reshape", {v, patch_.constant("shape", int_vector(*target))});
    return true;
  }

  void become(const char* op, std::vector<ValueId> inputs) {
    like_.op = op;
    like_.opset = kMadeOpset;
    like_.def = nullptr;
    like_.attributes.clear();
    like_.inputs = std::move(inputs);
  }

  // Crop (removed from ONNX) without `scale` is a Slice of the last two axes.
  bool crop() {
    auto border = n_.attr_ints("border");
    if (rank_ != 4 || border.size() != 4 || n_.has_attr("scale")) return false;
    auto end = [](int64_t b) { return b > 0 ? -b : INT64_MAX; };
    become("Slice", {like_.inputs[0], patch_.constant("starts", int_vector({border[1], border[0]})),
                     patch_.constant("ends", int_vector({end(border[3]), end(border[2])})),
                     patch_.constant("axes", int_vector(source_axes({2, 3})))});
    return true;
  }

  bool channels_last_form() {
    static constexpr std::string_view kForms[] = {
        "MaxPool", "AveragePool",  "GlobalAveragePool", "GlobalMaxPool", "BatchNormalization",
        "LRN",     "DepthToSpace", "SpaceToDepth",      "LpPool",        "InstanceNormalization"};
    if (!options_.channels_last || perm_ != planar_perm(perm_.size())) return false;
    if (std::find(std::begin(kForms), std::end(kForms), n_.op) == std::end(kForms)) return false;
    if (!have_op("skiff", n_.op) || n_.outputs.size() != 1) return false;
    DType t = dtype_of(g_, n_.outputs[0]);
    bool bytes = (t == DType::kUint8 || t == DType::kInt8) && n_.op == "MaxPool";
    if (t != DType::kFloat && !bytes) return false;
    if (n_.op == "LpPool" && n_.opset < 2) return false;
    if (n_.op == "BatchNormalization" &&
        (n_.opset < 7 || n_.attr_i("spatial", 1) != 1 || n_.attr_i("training_mode", 0) != 0))
      return false;
    like_.domain = "skiff";
    like_.opset = 1;
    like_.def = nullptr;
    set(Attribute("layout", std::string("NHWC")));
    return true;
  }

  Graph& g_;
  PassContext& ctx_;
  NodeId id_;
  const Node& n_;
  Node like_;  // the node to be, outputs aside
  SinkOptions options_;
  Patch patch_;
  Perm perm_, out_perm_;
  int64_t rank_ = 0;
  double own_ = 0, foreign_ = 0;  // elements that lose a Transpose, and that gain one
};

}  // namespace

bool sink_transpose(Graph& g, PassContext& ctx, NodeId id, const SinkOptions& options) {
  return Sink(g, ctx, id, options).run();
}

Perm planar_perm(size_t rank) {
  Perm p{0, static_cast<int64_t>(rank) - 1};
  for (size_t i = 1; i + 1 < rank; ++i) p.push_back(static_cast<int64_t>(i));
  return p;
}

Perm channels_last_perm(size_t rank) { return inverse(planar_perm(rank)); }

bool moves_only_units(const SymShape& from, const Perm& perm) {
  int64_t last = -1;
  for (int64_t p : perm) {
    if (from[static_cast<size_t>(p)].is(1)) continue;
    if (p < last) return false;
    last = p;
  }
  return true;
}

}  // namespace skiff::passes
