// Operators that join, cut evenly and repeat: Concat, Split, Expand, Tile.
#include <algorithm>

#include "ops/ref_util.h"
#include "ops/rule_util.h"

namespace skiff {
namespace {

// ---------------------------------------------------------------- Concat

int64_t concat_axis(const Node& n) {
  check(n.opset < 4 || n.has_attr("axis"), Code::kInvalidModel, "the required attribute 'axis' is missing");
  return n.attr_i("axis", 1);
}

void infer_concat(InferContext& c) {
  size_t rank = SIZE_MAX;
  for (size_t i = 0; i < c.inputs(); ++i)
    if (c.has_rank(i)) rank = c.shape(i).rank();
  if (rank == SIZE_MAX) return c.set(0, c.dtype(0));
  size_t axis = rule::axis(concat_axis(c.node()), rank);
  SymShape s = SymShape::of_rank(rank);
  Dim sum = int64_t{0};
  for (size_t i = 0; i < c.inputs(); ++i) {
    c.expect_rank(i, rank);
    if (!c.has_rank(i)) {
      sum = Dim();
      continue;
    }
    for (size_t k = 0; k < rank; ++k) {
      const Dim& d = c.shape(i)[k];
      if (k == axis) continue;
      check(!d.is_const() || !s[k].is_const() || d == s[k], Code::kInvalidModel, "input ", i, " of shape ",
            c.shape(i).to_string(), " differs from the others along axis ", k);
      if (!s[k].is_known() || d.is_const()) s[k] = d;
    }
    sum = sum + c.shape(i)[axis];
  }
  s[axis] = sum;
  c.set(0, c.dtype(0), std::move(s));
  if (rank != 1) return;
  std::vector<Dim> data;
  bool any = false;
  for (size_t i = 0; i < c.inputs(); ++i) {
    if (auto d = rule::numbers(c, i)) {
      data.insert(data.end(), d->begin(), d->end());
      any = true;
    } else if (auto n = rule::length(c, i)) {
      data.resize(data.size() + *n);
    } else {
      return;
    }
  }
  if (any) c.set_data(0, std::move(data));
}

void concat_reference(KernelContext& c) {
  const Tensor& first = c.in(0);
  auto axis = static_cast<size_t>(normalize_axis(concat_axis(c.node()), first.rank()));
  Dims d = first.dims();
  d[axis] = 0;
  for (size_t i = 0; i < c.inputs(); ++i) {
    const Tensor& x = c.in(i);
    bool ok = x.dtype() == first.dtype() && x.rank() == first.rank();
    for (size_t k = 0; ok && k < d.size(); ++k) ok = k == axis || x.dims()[k] == d[k];
    check(ok, Code::kInvalidModel, "cannot join ", describe(x), " with ", describe(first), " along axis ",
          axis);
    check(!__builtin_add_overflow(d[axis], x.dims()[axis], &d[axis]), Code::kLimit,
          "the joined extent overflows");
  }
  Tensor& y = c.out(0, first.dtype(), d);
  int64_t outer = element_count(d, 0, axis), inner = element_count(d, axis + 1, d.size());
  int64_t at = 0;
  for (size_t i = 0; i < c.inputs(); ++i) {
    const Tensor& x = c.in(i);
    int64_t n = x.dims()[axis] * inner;
    for (int64_t o = 0; o < outer; ++o) ref::copy(y, o * d[axis] * inner + at, 1, x, o * n, 1, n);
    at += n;
  }
}

// ---------------------------------------------------------------- Split

// The extents of the pieces. Before opset 13 from the attribute (or, in opset 1, an input), later from the
// input, or even pieces; from 18 on `num_outputs` rounds up and the last piece is smaller.
std::vector<int64_t> split_sizes(const Node& n, int64_t extent, size_t outputs,
                                 const std::optional<std::vector<int64_t>>& given) {
  std::vector<int64_t> s;
  auto count = static_cast<int64_t>(outputs);
  if (given) {
    s = *given;
  } else {
    int64_t wanted = n.attr_i("num_outputs", count);
    check(wanted == count && count > 0, Code::kInvalidModel, "attribute 'num_outputs' = ", wanted,
          ", the node has ", count, " outputs");
    check(n.opset >= 18 || extent % count == 0, Code::kInvalidModel, "cannot split the extent ", extent,
          " into ", count, " equal pieces");
    int64_t each = extent / count + (extent % count != 0);
    for (int64_t i = 0; i < count; ++i) s.push_back(std::clamp<int64_t>(extent - i * each, 0, each));
  }
  int64_t sum = 0;
  for (int64_t v : s)
    check(v >= 0 && !__builtin_add_overflow(sum, v, &sum), Code::kInvalidModel, "a piece has the extent ", v);
  check(s.size() == outputs && sum == extent, Code::kInvalidModel, "the ", s.size(), " pieces sum to ", sum,
        "; the extent is ", extent, " and the node has ", outputs, " outputs");
  return s;
}

void infer_split(InferContext& c) {
  std::optional<std::vector<int64_t>> given;
  bool has_input = c.has(1);
  if (has_input) given = c.ints(1);
  if (!has_input && c.node().has_attr("split")) given = c.node().attr_ints("split");
  for (size_t i = 0; i < c.outputs(); ++i) c.set(i, c.dtype(0));
  if (!c.has_rank(0)) return;
  const SymShape& s = c.shape(0);
  size_t axis = rule::axis(c.node().attr_i("axis", 0), s.rank());
  std::vector<int64_t> sizes;
  bool known = true;
  if (s[axis].is_const() && (given || !has_input))
    sizes = split_sizes(c.node(), s[axis].value(), c.outputs(), given);
  else if (given && given->size() == c.outputs())
    sizes = *given;
  else
    known = false;
  auto data = rule::numbers(c, 0);
  size_t at = 0;
  for (size_t i = 0; i < c.outputs(); ++i) {
    SymShape o = s;
    // Even pieces of a symbolic extent; a remainder (opset 18) is not followed.
    o[axis] = known
                  ? Dim(sizes[i])
                  : (!has_input && c.opset() < 18 ? floor_div(s[axis], Dim(static_cast<int64_t>(c.outputs())))
                                                  : Dim());
    c.set(i, c.dtype(0), std::move(o));
    if (known && data && s.rank() == 1 && sizes[i] >= 0) {
      auto n = static_cast<size_t>(sizes[i]);
      if (at + n <= data->size())
        c.set_data(
            i, {data->begin() + static_cast<ptrdiff_t>(at), data->begin() + static_cast<ptrdiff_t>(at + n)});
      at += n;
    }
  }
}

void split_reference(KernelContext& c) {
  const Tensor& x = c.in(0);
  auto axis = static_cast<size_t>(normalize_axis(c.node().attr_i("axis", 0), x.rank()));
  std::optional<std::vector<int64_t>> given;
  if (c.has(1))
    given = to_ints(c.in(1));
  else if (c.node().has_attr("split"))
    given = c.node().attr_ints("split");
  std::vector<int64_t> sizes = split_sizes(c.node(), x.dims()[axis], c.outputs(), given);
  int64_t outer = element_count(x.dims(), 0, axis),
          inner = element_count(x.dims(), axis + 1, x.dims().size());
  int64_t at = 0;
  for (size_t i = 0; i < sizes.size(); ++i) {
    int64_t n = sizes[i] * inner;
    if (c.wants(i)) {
      Dims d = x.dims();
      d[axis] = sizes[i];
      Tensor& y = c.out(i, x.dtype(), d);
      for (int64_t o = 0; o < outer; ++o) ref::copy(y, o * n, 1, x, o * x.dims()[axis] * inner + at, 1, n);
    }
    at += n;
  }
}

// ---------------------------------------------------------------- Expand, Tile

void infer_expand(InferContext& c) {
  c.expect_rank(1, 1);
  auto target = c.data(1);
  if (!target) {
    auto n = rule::length(c, 1);
    if (!n || !c.has_rank(0)) return c.set(0, c.dtype(0));
    return c.set(0, c.dtype(0), broadcast(c.shape(0), SymShape::of_rank(*n)));
  }
  for (const Dim& d : *target)
    check(!d.is_const() || d.value() >= 0, Code::kInvalidModel, "the target shape has the extent ",
          d.to_string());
  SymShape s = broadcast(c.shape(0), SymShape(*target));
  bool vector = s.has_rank() && s.rank() == 1 && s[0].is_const() && s[0].value() <= 64;
  auto n = vector ? static_cast<size_t>(s[0].value()) : 0;
  c.set(0, c.dtype(0), std::move(s));
  if (!vector) return;
  if (auto d = rule::numbers(c, 0)) {
    if (d->size() == 1) d->assign(n, Dim((*d)[0]));
    if (d->size() == n) c.set_data(0, std::move(*d));
  }
}

void expand_reference(KernelContext& c) {
  const Tensor& x = c.in(0);
  std::vector<int64_t> s = to_ints(c.in(1));
  Dims target(s.begin(), s.end());
  (void)element_count(target);
  Dims d = broadcast(x.dims(), target);
  Tensor& y = c.out(0, x.dtype(), d);
  ref::copy_box(y, 0, strides_of(d), x, 0, ref::broadcast_strides(x.dims(), d), d);
}

void infer_tile(InferContext& c) {
  if (!c.has_rank(0)) return c.set(0, c.dtype(0));
  SymShape s = SymShape::of_rank(c.shape(0).rank());
  if (c.opset() < 6) return c.set(0, c.dtype(0), std::move(s));
  if (auto reps = c.data(1)) {
    check(reps->size() == s.rank(), Code::kInvalidModel, "input 'repeats' has ", reps->size(),
          " entries for a tensor of rank ", s.rank());
    for (size_t i = 0; i < s.rank(); ++i) {
      check(!(*reps)[i].is_const() || (*reps)[i].value() >= 0, Code::kInvalidModel, "a repeat is negative");
      s[i] = c.shape(0)[i] * (*reps)[i];
    }
    auto d = rule::numbers(c, 0);
    if (d && s.rank() == 1 && (*reps)[0].is_const() && s[0].is_const() && s[0].value() <= 64) {
      std::vector<Dim> r;
      for (int64_t k = 0; k < (*reps)[0].value(); ++k) r.insert(r.end(), d->begin(), d->end());
      c.set_data(0, std::move(r));
    }
  }
  c.set(0, c.dtype(0), std::move(s));
}

void tile_reference(KernelContext& c) {
  const Tensor& x = c.in(0);
  size_t rank = x.dims().size();
  std::vector<int64_t> reps(rank, 1);
  if (c.opset() < 6) {  // a count and an axis, both scalars of the data's type
    check(c.in(1).size() == 1 && c.in(2).size() == 1, Code::kInvalidModel, "tiles and axis must be scalars");
    reps[static_cast<size_t>(normalize_axis(get_int(c.in(2), 0), x.rank()))] = get_int(c.in(1), 0);
  } else {
    reps = to_ints(c.in(1));
  }
  check(reps.size() == rank, Code::kInvalidModel, "input 'repeats' has ", reps.size(),
        " entries for a tensor of rank ", rank);
  // As a box of twice the rank: (repeat, extent) per axis.
  Dims d, extents, from, to, own = strides_of(x.dims());
  for (size_t i = 0; i < rank; ++i) {
    int64_t n = 0;
    check(reps[i] >= 0 && !__builtin_mul_overflow(x.dims()[i], reps[i], &n), Code::kInvalidModel,
          "the repeat ", reps[i], " of the extent ", x.dims()[i], " cannot be made");
    d.push_back(n);
  }
  Tensor& y = c.out(0, x.dtype(), d);
  if (y.size() == 0) return;
  Dims out = strides_of(d);
  for (size_t i = 0; i < rank; ++i) {
    extents.push_back(reps[i]);
    extents.push_back(x.dims()[i]);
    to.push_back(out[i] * x.dims()[i]);
    to.push_back(out[i]);
    from.push_back(0);
    from.push_back(own[i]);
  }
  ref::copy_box(y, 0, to, x, 0, from, extents);
}

}  // namespace

SKIFF_OP_DEF(ai_onnx, Concat) {
  return {.name = "Concat",
          .versions = {1, 4, 11, 13},
          .inputs = {{"inputs", kAllTypes, 'T', Arity::kVariadic}},
          .outputs = {{"concat_result", kAllTypes, 'T'}},
          .attributes = {{"axis", AttrType::kInt}},
          .infer = infer_concat,
          .reference = concat_reference};
}

SKIFF_OP_DEF(ai_onnx, Expand) {
  return {.name = "Expand",
          .versions = {8, 13},
          .inputs = {{"input", kAllTypes, 'T'}, {"shape", mask_of(DType::kInt64)}},
          .outputs = {{"output", kAllTypes, 'T'}},
          .infer = infer_expand,
          .reference = expand_reference,
          .value_inputs = 2};
}

SKIFF_OP_DEF(ai_onnx, Split) {
  return {
      .name = "Split",
      .versions = {1, 2, 11, 13, 18},
      .inputs = {{"input", kAllTypes, 'T'},
                 {"split", (kFloatTypes & ~mask_of(DType::kBFloat16)) | mask_of(DType::kInt64), 0,
                  Arity::kOptional}},
      .outputs = {{"outputs", kAllTypes, 'T', Arity::kVariadic}},
      .attributes = {{"axis", AttrType::kInt}, {"split", AttrType::kInts}, {"num_outputs", AttrType::kInt}},
      .infer = infer_split,
      .reference = split_reference,
      .value_inputs = 2};
}

SKIFF_OP_DEF(ai_onnx, Tile) {
  return {.name = "Tile",
          .versions = {1, 6, 13},
          // Version 1 takes one repeat and one axis, of the type of the input.
          .inputs = {{"input", kAllTypes, 'T'},
                     {"repeats", (kFloatTypes & ~mask_of(DType::kBFloat16)) | mask_of(DType::kInt64)},
                     {"axis", kFloatTypes & ~mask_of(DType::kBFloat16), 0, Arity::kOptional}},
          .outputs = {{"output", kAllTypes, 'T'}},
          .infer = infer_tile,
          .reference = tile_reference,
          .value_inputs = 6};
}

}  // namespace skiff
