// Operators that keep the elements and change the shape or the order: Reshape, Flatten, Squeeze, Unsqueeze,
// Transpose, DepthToSpace, SpaceToDepth.
#include <algorithm>
#include <numeric>

#include "ops/ref_util.h"
#include "ops/rule_util.h"

namespace skiff {
namespace {

// ---------------------------------------------------------------- Reshape

std::optional<std::vector<Dim>> reshape_target(const InferContext& c) {
  if (c.opset() >= 5) return c.data(1);
  std::vector<Dim> d;
  for (int64_t v : c.node().attr_ints("shape")) d.emplace_back(v);
  return d;
}

void infer_reshape(InferContext& c) {
  auto target = reshape_target(c);
  if (!target) {
    auto n = rule::length(c, 1);
    return n ? c.set(0, c.dtype(0), SymShape::of_rank(*n)) : c.set(0, c.dtype(0));
  }
  bool copy_zero = c.node().attr_i("allowzero", 0) == 0, ranked = c.has_rank(0);
  std::vector<Dim> out = *target;
  // Extents still to be matched on the input's side: those the output repeats cancel before division.
  std::vector<Dim> left = ranked ? c.shape(0).dims() : std::vector<Dim>{};
  std::vector<bool> gone(left.size());
  size_t hole = SIZE_MAX;
  std::vector<size_t> rest;
  for (size_t i = 0; i < out.size(); ++i) {
    if (out[i].is(0) && copy_zero) {
      check(!ranked || i < left.size(), Code::kInvalidModel, "the 0 at position ", i,
            " of the target shape copies an extent that the input ", c.shape(0).to_string(),
            " does not have");
      out[i] = ranked ? left[i] : Dim();
      if (ranked) gone[i] = true;
    } else if (out[i].is(-1)) {
      check(hole == SIZE_MAX, Code::kInvalidModel, "the target shape has more than one -1");
      hole = i;
    } else {
      check(!out[i].is_const() || out[i].value() >= 0, Code::kInvalidModel,
            "the target shape has the extent ", out[i].to_string());
      rest.push_back(i);
    }
  }
  if (ranked) {
    Dim product = int64_t{1}, total = int64_t{1};
    for (size_t i : rest) {
      size_t k = 0;
      while (k < left.size() && (gone[k] || !(left[k] == out[i]))) ++k;
      if (k < left.size() && !out[i].is(0))
        gone[k] = true;
      else
        product = product * out[i];
    }
    for (size_t k = 0; k < left.size(); ++k)
      if (!gone[k]) total = total * left[k];
    bool numbers = total.is_const() && product.is_const();
    if (hole != SIZE_MAX) {
      check(!numbers || (product.value() != 0 && total.value() % product.value() == 0), Code::kInvalidModel,
            "cannot reshape ", c.shape(0).to_string(), ": the -1 does not come out even");
      out[hole] = floor_div(total, product);
    } else {
      check(!numbers || total == product, Code::kInvalidModel, "cannot reshape ", c.shape(0).to_string(),
            " to ", SymShape(out).to_string(), ": the element counts differ");
    }
  } else if (hole != SIZE_MAX) {
    out[hole] = Dim();
  }
  size_t rank = out.size();
  c.set(0, c.dtype(0), SymShape(std::move(out)));
  if (rank <= 1) rule::pass_data(c);
}

void reshape_reference(KernelContext& c) {
  const Tensor& x = c.in(0);
  std::vector<int64_t> s = c.opset() >= 5 ? to_ints(c.in(1)) : c.node().attr_ints("shape");
  bool copy_zero = c.node().attr_i("allowzero", 0) == 0;
  Dims d(s.begin(), s.end());
  size_t hole = SIZE_MAX;
  for (size_t i = 0; i < d.size(); ++i) {
    if (d[i] == 0 && copy_zero) {
      check(i < x.dims().size(), Code::kInvalidModel, "the 0 at position ", i,
            " of the target shape copies an extent that ", to_string(x.dims()), " does not have");
      d[i] = x.dims()[i];
    } else if (d[i] == -1) {
      check(hole == SIZE_MAX, Code::kInvalidModel, "the target shape has more than one -1");
      hole = i;
    }
  }
  if (hole != SIZE_MAX) {
    d[hole] = 1;
    int64_t others = element_count(d);
    check(others > 0 && x.size() % others == 0, Code::kInvalidModel, "cannot reshape ", to_string(x.dims()),
          " to ", to_string(Dims(s.begin(), s.end())));
    d[hole] = x.size() / others;
  }
  c.set_out(0, x.reshaped(d));
}

// ---------------------------------------------------------------- Flatten, Squeeze, Unsqueeze

size_t flatten_axis(const Node& n, size_t rank) {
  int64_t a = n.attr_i("axis", 1), r = static_cast<int64_t>(rank);
  check(a >= -r && a <= r, Code::kInvalidModel, "axis ", a, " is outside [", -r, ", ", r, "]");
  return static_cast<size_t>(a < 0 ? a + r : a);
}

void infer_flatten(InferContext& c) {
  if (!c.has_rank(0)) return c.set(0, c.dtype(0), SymShape::of_rank(2));
  const SymShape& s = c.shape(0);
  size_t a = flatten_axis(c.node(), s.rank());
  c.set(0, c.dtype(0), SymShape(std::vector<Dim>{rule::count(s, 0, a), rule::count(s, a, s.rank())}));
}

// Axes from the attribute (before opset 13) or the input; nullopt when not known or not given.
struct Axes {
  bool given = false;
  std::optional<std::vector<int64_t>> list;
};
Axes axes_of(const InferContext& c) {
  if (c.opset() < 13) {
    if (!c.node().has_attr("axes")) return {};
    return {true, c.node().attr_ints("axes")};
  }
  if (!c.has(1)) return {};
  return {true, c.ints(1)};
}
Axes axes_of(const KernelContext& c) {
  if (c.opset() < 13) {
    if (!c.node().has_attr("axes")) return {};
    return {true, c.node().attr_ints("axes")};
  }
  if (!c.has(1)) return {};
  return {true, to_ints(c.in(1))};
}

void infer_squeeze(InferContext& c) {
  Axes a = axes_of(c);
  c.set(0, c.dtype(0));
  if (!c.has_rank(0)) return;
  const SymShape& s = c.shape(0);
  std::vector<bool> drop(s.rank());
  if (a.given) {
    if (!a.list) {
      if (auto n = rule::length(c, 1); n && *n <= s.rank())
        c.set(0, c.dtype(0), SymShape::of_rank(s.rank() - *n));
      return;
    }
    for (size_t i : rule::axes(*a.list, s.rank())) {
      check(!s[i].is_const() || s[i].is(1), Code::kInvalidModel, "cannot squeeze axis ", i, " of ",
            s.to_string(), ": its extent is not 1");
      drop[i] = true;
    }
  } else {
    for (size_t i = 0; i < s.rank(); ++i) {
      if (!s[i].is_const()) return;
      drop[i] = s[i].is(1);
    }
  }
  std::vector<Dim> d;
  for (size_t i = 0; i < s.rank(); ++i)
    if (!drop[i]) d.push_back(s[i]);
  c.set(0, c.dtype(0), SymShape(std::move(d)));
  rule::pass_data(c);
}

void squeeze_reference(KernelContext& c) {
  const Tensor& x = c.in(0);
  Axes a = axes_of(c);
  std::vector<bool> drop(x.dims().size());
  if (a.given) {
    for (size_t i : rule::axes(*a.list, drop.size())) {
      check(x.dims()[i] == 1, Code::kInvalidModel, "cannot squeeze axis ", i, " of ", to_string(x.dims()),
            ": its extent is not 1");
      drop[i] = true;
    }
  } else {
    for (size_t i = 0; i < drop.size(); ++i) drop[i] = x.dims()[i] == 1;
  }
  Dims d;
  for (size_t i = 0; i < drop.size(); ++i)
    if (!drop[i]) d.push_back(x.dims()[i]);
  c.set_out(0, x.reshaped(d));
}

template <class D, class V>
D insert_ones(const V& in, size_t rank, const std::vector<int64_t>& axes) {
  D d;
  std::vector<bool> one(rank + axes.size());
  for (size_t i : rule::axes(axes, one.size())) one[i] = true;
  size_t k = 0;
  for (bool b : one) {
    if (b)
      d.push_back(int64_t{1});
    else
      d.push_back(in[k++]);
  }
  return d;
}

void infer_unsqueeze(InferContext& c) {
  Axes a = axes_of(c);
  c.set(0, c.dtype(0));
  if (!c.has_rank(0)) return;
  const SymShape& s = c.shape(0);
  if (!a.list) {
    if (auto n = rule::length(c, 1)) c.set(0, c.dtype(0), SymShape::of_rank(s.rank() + *n));
    return;
  }
  c.set(0, c.dtype(0), SymShape(insert_ones<std::vector<Dim>>(s.dims(), s.rank(), *a.list)));
  if (s.rank() + a.list->size() <= 1) rule::pass_data(c);
}

void unsqueeze_reference(KernelContext& c) {
  const Tensor& x = c.in(0);
  Axes a = axes_of(c);
  check(a.given, Code::kInvalidModel, "Unsqueeze has no axes");
  c.set_out(0, x.reshaped(insert_ones<Dims>(x.dims(), x.dims().size(), *a.list)));
}

// ---------------------------------------------------------------- Transpose

std::vector<size_t> perm_of(const Node& n, size_t rank) {
  if (!n.has_attr("perm")) {
    std::vector<size_t> p(rank);
    std::iota(p.rbegin(), p.rend(), size_t{0});
    return p;
  }
  std::vector<int64_t> v = n.attr_ints("perm");
  check(v.size() == rank, Code::kInvalidModel, "attribute 'perm' has ", v.size(),
        " entries for a tensor of rank ", rank);
  return rule::axes(v, rank);
}

void infer_transpose(InferContext& c) {
  if (!c.has_rank(0)) {
    if (!c.node().has_attr("perm")) return c.set(0, c.dtype(0));
    return c.set(0, c.dtype(0), SymShape::of_rank(c.node().attr_ints("perm").size()));
  }
  const SymShape& s = c.shape(0);
  std::vector<Dim> d;
  for (size_t p : perm_of(c.node(), s.rank())) d.push_back(s[p]);
  c.set(0, c.dtype(0), SymShape(std::move(d)));
  rule::pass_data(c);
}

void transpose_reference(KernelContext& c) {
  const Tensor& x = c.in(0);
  Dims d, s, own = strides_of(x.dims());
  for (size_t p : perm_of(c.node(), x.dims().size())) {
    d.push_back(x.dims()[p]);
    s.push_back(own[p]);
  }
  Tensor& y = c.out(0, x.dtype(), d);
  ref::copy_box(y, 0, strides_of(d), x, 0, s, d);
}

// ---------------------------------------------------------------- DepthToSpace, SpaceToDepth

int64_t block_of(const Node& n) {
  int64_t b = n.attr_i("blocksize", 0);
  check(b > 0 && b <= 1 << 20, Code::kInvalidModel, "attribute 'blocksize' = ", b, "; it must be positive");
  return b;
}

void infer_blocks(InferContext& c, bool to_space) {
  c.expect_rank(0, 4);
  if (!c.has_rank(0)) return c.set(0, c.dtype(0), SymShape::of_rank(4));
  Dim b = block_of(c.node());
  SymShape s = c.shape(0);
  auto divide = [](const Dim& x, const Dim& y) {
    check(!x.is_const() || !y.is_const() || x.value() % y.value() == 0, Code::kInvalidModel, "the extent ",
          x.to_string(), " is not a multiple of ", y.to_string());
    return floor_div(x, y);
  };
  if (to_space) {
    s[1] = divide(s[1], b * b);
    s[2] = s[2] * b;
    s[3] = s[3] * b;
  } else {
    s[1] = s[1] * b * b;
    s[2] = divide(s[2], b);
    s[3] = divide(s[3], b);
  }
  c.set(0, c.dtype(0), std::move(s));
}

// Both directions move boxes between the deep tensor [C-part, H, W] with block offsets among the channels and
// the wide one with block offsets among rows and columns.
void blocks_reference(KernelContext& c, bool to_space) {
  const Tensor& x = c.in(0);
  check(x.rank() == 4, Code::kInvalidModel, "the input must have rank 4, it is ", describe(x));
  const int64_t b = block_of(c.node());
  std::string mode = c.node().attr_s("mode", "DCR");
  check(mode == "DCR" || mode == "CRD", Code::kInvalidModel, "attribute 'mode' = '", mode,
        "'; it must be 'DCR' or 'CRD'");
  Dims deep = x.dims(), wide = x.dims();
  if (to_space) {
    check(deep[1] % (b * b) == 0, Code::kInvalidModel, "the ", deep[1], " channels are not a multiple of ",
          b * b);
    wide[1] = deep[1] / (b * b);
    wide[2] = deep[2] * b;
    wide[3] = deep[3] * b;
  } else {
    check(wide[2] % b == 0 && wide[3] % b == 0, Code::kInvalidModel, "the extents ", to_string(wide),
          " are not multiples of ", b);
    deep[1] = wide[1] * b * b;
    deep[2] = wide[2] / b;
    deep[3] = wide[3] / b;
  }
  Tensor& y = c.out(0, x.dtype(), to_space ? wide : deep);
  Dims ds = strides_of(deep), ws = strides_of(wide);
  int64_t channels = wide[1];
  Dims extents{deep[0], channels, deep[2], deep[3]};
  for (int64_t i = 0; i < b; ++i) {
    for (int64_t j = 0; j < b; ++j) {
      bool dcr = mode == "DCR";
      int64_t deep_first = ds[1] * (dcr ? (i * b + j) * channels : i * b + j);
      int64_t wide_first = ws[2] * i + ws[3] * j;
      Dims deep_strides{ds[0], ds[1] * (dcr ? 1 : b * b), ds[2], ds[3]};
      Dims wide_strides{ws[0], ws[1], ws[2] * b, ws[3] * b};
      if (to_space)
        ref::copy_box(y, wide_first, wide_strides, x, deep_first, deep_strides, extents);
      else
        ref::copy_box(y, deep_first, deep_strides, x, wide_first, wide_strides, extents);
    }
  }
}

const std::vector<AttrDef>& axes_attribute() {
  static const std::vector<AttrDef> a{{"axes", AttrType::kInts}};
  return a;
}

}  // namespace

SKIFF_OP_DEF(ai_onnx, DepthToSpace) {
  return {.name = "DepthToSpace",
          .versions = {1, 11, 13, 28},
          .inputs = {{"input", kAllTypes, 'T'}},
          .outputs = {{"output", kAllTypes, 'T'}},
          .attributes = {{"blocksize", AttrType::kInt, true}, {"mode", AttrType::kString}},
          .infer = [](InferContext& c) { infer_blocks(c, true); },
          .reference = [](KernelContext& c) { blocks_reference(c, true); }};
}

SKIFF_OP_DEF(ai_onnx, SpaceToDepth) {
  return {.name = "SpaceToDepth",
          .versions = {1, 13, 28},
          .inputs = {{"input", kAllTypes, 'T'}},
          .outputs = {{"output", kAllTypes, 'T'}},
          .attributes = {{"blocksize", AttrType::kInt, true}, {"mode", AttrType::kString}},
          .infer = [](InferContext& c) { infer_blocks(c, false); },
          .reference = [](KernelContext& c) { blocks_reference(c, false); }};
}

SKIFF_OP_DEF(ai_onnx, Flatten) {
  return {.name = "Flatten",
          .versions = {1, 9, 11, 13, 21, 23, 24, 25},
          .inputs = {{"input", kAllTypes, 'T'}},
          .outputs = {{"output", kAllTypes, 'T'}},
          .attributes = {{"axis", AttrType::kInt}},
          .infer = infer_flatten,
          .reference =
              [](KernelContext& c) {
                const Tensor& x = c.in(0);
                size_t a = flatten_axis(c.node(), x.dims().size());
                c.set_out(0, x.reshaped({element_count(x.dims(), 0, a),
                                         element_count(x.dims(), a, x.dims().size())}));
              },
          .flags = kView};
}

SKIFF_OP_DEF(ai_onnx, Reshape) {
  return {.name = "Reshape",
          .versions = {1, 5, 13, 14, 19, 21, 23, 24, 25},
          .inputs = {{"data", kAllTypes, 'T'}, {"shape", mask_of(DType::kInt64), 0, Arity::kOptional}},
          .outputs = {{"reshaped", kAllTypes, 'T'}},
          .attributes = {{"allowzero", AttrType::kInt}, {"shape", AttrType::kInts}},
          .infer = infer_reshape,
          .reference = reshape_reference,
          .flags = kView,
          .value_inputs = 2};
}

SKIFF_OP_DEF(ai_onnx, Squeeze) {
  return {.name = "Squeeze",
          .versions = {1, 11, 13, 21, 23, 24, 25},
          .inputs = {{"data", kAllTypes, 'T'}, {"axes", mask_of(DType::kInt64), 0, Arity::kOptional}},
          .outputs = {{"squeezed", kAllTypes, 'T'}},
          .attributes = axes_attribute(),
          .infer = infer_squeeze,
          .reference = squeeze_reference,
          .flags = kView,
          .value_inputs = 2};
}

SKIFF_OP_DEF(ai_onnx, Transpose) {
  return {.name = "Transpose",
          .versions = {1, 13, 21, 23, 24, 25},
          .inputs = {{"data", kAllTypes, 'T'}},
          .outputs = {{"transposed", kAllTypes, 'T'}},
          .attributes = {{"perm", AttrType::kInts}},
          .infer = infer_transpose,
          .reference = transpose_reference};
}

SKIFF_OP_DEF(ai_onnx, Unsqueeze) {
  return {.name = "Unsqueeze",
          .versions = {1, 11, 13, 21, 23, 24, 25},
          .inputs = {{"data", kAllTypes, 'T'}, {"axes", mask_of(DType::kInt64), 0, Arity::kOptional}},
          .outputs = {{"expanded", kAllTypes, 'T'}},
          .attributes = axes_attribute(),
          .infer = infer_unsqueeze,
          .reference = unsqueeze_reference,
          .flags = kView,
          .value_inputs = 2};
}

}  // namespace skiff
