// Sequences and optionals. An optional with a value is that value; without, an empty Datum.
#include <algorithm>

#include "ops/ref_util.h"
#include "ops/rule_util.h"

namespace skiff {
namespace {

int64_t position_of(const Tensor& t, int64_t size) {
  check(t.size() == 1, Code::kInvalidModel, "a position must be one number, it is ", describe(t));
  int64_t i = get_int(t, 0);
  check(i >= -size && i < size, Code::kInvalidArgument, "position ", i, " is outside [", -size, ", ",
        size - 1, "]");
  return i < 0 ? i + size : i;
}

const Type& element_type(const Type& t) {
  static const Type kUnknown;
  return t.kind == Type::Kind::kSequence && t.elem ? *t.elem : kUnknown;
}

// One type for elements that differ in shape only.
Type loosen(const Type& a, const Type& b) {
  if (a.kind != Type::Kind::kTensor || b.kind != Type::Kind::kTensor) return a.kind == b.kind ? a : Type();
  Type t = a;
  if (a.dtype != b.dtype) t.dtype = a.dtype == DType::kUndefined ? b.dtype : a.dtype;
  if (!a.shape.has_rank() || !b.shape.has_rank() || a.shape.rank() != b.shape.rank()) {
    t.shape = SymShape();
    return t;
  }
  for (size_t i = 0; i < t.shape.rank(); ++i)
    if (!(a.shape[i] == b.shape[i])) t.shape[i] = Dim();
  return t;
}

Type with_elem(Type sequence, Type elem) {
  sequence.elem = std::make_shared<const Type>(std::move(elem));
  return sequence;
}

// ---------------------------------------------------------------- references

void sequence_insert(KernelContext& c) {
  std::vector<Datum> items = c.in_datum(0).items();
  auto n = static_cast<int64_t>(items.size());
  int64_t at = n;
  if (c.has(2)) {
    check(c.in(2).size() == 1, Code::kInvalidModel, "a position must be one number, it is ",
          describe(c.in(2)));
    at = get_int(c.in(2), 0);
    check(at >= -n && at <= n, Code::kInvalidArgument, "position ", at, " is outside [", -n, ", ", n, "]");
    if (at < 0) at += n;
  }
  DType elem = c.in_datum(0).elem_type();
  check(elem == DType::kUndefined || elem == c.in(1).dtype(), Code::kInvalidModel, "a sequence of ",
        dtype_name(elem), " takes no ", describe(c.in(1)));
  items.insert(items.begin() + at, c.in_datum(1));
  c.set_out(0, Datum::sequence(std::move(items), c.in(1).dtype()));
}

void sequence_erase(KernelContext& c) {
  std::vector<Datum> items = c.in_datum(0).items();
  auto n = static_cast<int64_t>(items.size());
  check(n > 0, Code::kInvalidArgument, "the sequence is empty");
  items.erase(items.begin() + (c.has(1) ? position_of(c.in(1), n) : n - 1));
  c.set_out(0, Datum::sequence(std::move(items), c.in_datum(0).elem_type()));
}

void concat_from_sequence(KernelContext& c) {
  const std::vector<Datum>& items = c.in_datum(0).items();
  check(!items.empty(), Code::kInvalidArgument, "the sequence is empty: there is nothing to join");
  bool new_axis = c.node().attr_i("new_axis", 0) != 0;
  const Tensor& first = items[0].tensor();
  auto axis = static_cast<size_t>(normalize_axis(c.node().attr_i("axis", 0), first.rank() + new_axis));
  std::vector<Tensor> parts;
  for (const Datum& i : items) {
    Tensor t = i.tensor();
    Dims d = t.dims();
    if (new_axis) {
      d.insert(axis, 1);
      t = t.reshaped(d);
    }
    parts.push_back(std::move(t));
  }
  Dims d = parts[0].dims();
  d[axis] = 0;
  for (const Tensor& t : parts) {
    bool ok = t.dtype() == first.dtype() && t.dims().size() == d.size();
    for (size_t k = 0; ok && k < d.size(); ++k) ok = k == axis || t.dims()[k] == d[k];
    check(ok, Code::kInvalidArgument, "cannot join ", describe(t), " with ", describe(parts[0]),
          " along axis ", axis);
    d[axis] += t.dims()[axis];
  }
  Tensor& y = c.out(0, first.dtype(), d);
  Dims strides = strides_of(d);
  int64_t at = 0;
  for (const Tensor& t : parts) {
    ref::copy_box(y, at * strides[axis], strides, t, 0, strides_of(t.dims()), t.dims());
    at += t.dims()[axis];
  }
}

void split_to_sequence(KernelContext& c) {
  const Tensor& x = c.in(0);
  auto axis = static_cast<size_t>(normalize_axis(c.node().attr_i("axis", 0), x.rank()));
  int64_t n = x.dims()[axis];
  bool keep = c.has(1) || c.node().attr_i("keepdims", 1) != 0;
  std::vector<int64_t> sizes;
  if (c.has(1) && c.in(1).rank() == 1) {
    sizes = to_ints(c.in(1));
  } else {
    int64_t each = 1;
    if (c.has(1)) {
      check(c.in(1).size() == 1, Code::kInvalidModel, "input 'split' must be a scalar or a vector");
      each = get_int(c.in(1), 0);
    }
    check(each > 0, Code::kInvalidModel, "the piece size ", each, " is not positive");
    for (int64_t at = 0; at < n; at += std::min(each, n - at)) sizes.push_back(std::min(each, n - at));
  }
  std::vector<Datum> items;
  Dims strides = strides_of(x.dims());
  int64_t at = 0;
  for (int64_t s : sizes) {
    check(s >= 0 && s <= n - at, Code::kInvalidModel, "the pieces exceed the extent ", n);
    Dims d = x.dims();
    d[axis] = s;
    Tensor t(x.dtype(), d);
    ref::copy_box(t, 0, strides_of(d), x, at * strides[axis], strides, d);
    at += s;
    if (!keep) {
      d.erase(axis);
      t = t.reshaped(d);
    }
    items.emplace_back(std::move(t));
  }
  check(at == n, Code::kInvalidModel, "the pieces sum to ", at, ", the extent is ", n);
  c.set_out(0, Datum::sequence(std::move(items), x.dtype()));
}

void sequence_map(KernelContext& c) {
  size_t length = c.in_datum(0).items().size();
  for (size_t i = 1; i < c.inputs(); ++i)
    check(c.in_datum(i).is_tensor() || c.in_datum(i).items().size() == length, Code::kInvalidArgument,
          "the sequences differ in length");
  std::vector<std::vector<Datum>> out(c.outputs());
  for (size_t k = 0; k < length; ++k) {
    c.poll();
    std::vector<Datum> in;
    for (size_t i = 0; i < c.inputs(); ++i)
      in.push_back(c.in_datum(i).is_tensor() ? c.in_datum(i) : c.in_datum(i).items()[k]);
    std::vector<Datum> r = c.run_subgraph("body", in);
    check(r.size() == out.size(), Code::kInvalidModel, "the body gives ", r.size(), " outputs, the node has ",
          out.size());
    for (size_t i = 0; i < r.size(); ++i) out[i].push_back(std::move(r[i]));
  }
  const Graph& body = *c.node().attr_graph("body");
  for (size_t i = 0; i < out.size(); ++i)
    c.set_out(i, Datum::sequence(std::move(out[i]), body.value(body.outputs()[i]).type.dtype));
}

// ---------------------------------------------------------------- rules

void infer_sequence_map(InferContext& c) {
  std::vector<Type> in;
  for (size_t i = 0; i < c.inputs(); ++i)
    in.push_back(c.type(i).kind == Type::Kind::kSequence ? element_type(c.type(i)) : c.type(i));
  std::vector<Type> out = c.infer_subgraph("body", in);
  for (size_t i = 0; i < out.size() && i < c.outputs(); ++i) {
    // Symbols of one iteration name nothing outside.
    if (out[i].shape.has_rank())
      for (Dim& d : out[i].shape.dims())
        if (!d.is_const()) d = Dim();
    c.set(i, Type::sequence(out[i]));
  }
}

void infer_split_to_sequence(InferContext& c) {
  Type t = c.type(0);
  if (t.shape.has_rank()) {
    size_t a = rule::axis(c.node().attr_i("axis", 0), t.shape.rank());
    if (!c.has(1) && c.node().attr_i("keepdims", 1) == 0)
      t.shape.dims().erase(t.shape.dims().begin() + static_cast<ptrdiff_t>(a));
    else
      t.shape[a] = c.has(1) ? Dim() : Dim(int64_t{1});
  }
  c.set(0, Type::sequence(std::move(t)));
}

void infer_concat_from_sequence(InferContext& c) {
  const Type& e = element_type(c.type(0));
  SymShape s = e.shape;
  if (s.has_rank()) {
    bool new_axis = c.node().attr_i("new_axis", 0) != 0;
    size_t a = rule::axis(c.node().attr_i("axis", 0), s.rank() + new_axis);
    if (new_axis)
      s.dims().insert(s.dims().begin() + static_cast<ptrdiff_t>(a), Dim());
    else
      s[a] = Dim();
  }
  c.set(0, e.dtype, std::move(s));
}

DType sequence_empty_type(const Node& n) { return rule::dtype_attr(n, "dtype", DType::kFloat); }

Type optional_content(const Type& t) {
  if (t.kind == Type::Kind::kOptional) return t.elem ? *t.elem : Type();
  return t;
}

constexpr TypeMask kPosition = kIndexTypes;
constexpr TypeMask kCount = mask_of(DType::kInt64);

OpDef sequence_op(const char* name, std::vector<int> versions, std::vector<Formal> inputs,
                  std::vector<Formal> outputs, void (*infer)(InferContext&),
                  void (*reference)(KernelContext&)) {
  OpDef d;
  d.name = name;
  d.versions = std::move(versions);
  d.inputs = std::move(inputs);
  d.outputs = std::move(outputs);
  d.infer = infer;
  d.reference = reference;
  d.flags = kNonTensor;
  return d;
}

}  // namespace

SKIFF_OP_DEF(ai_onnx, ConcatFromSequence) {
  OpDef d = sequence_op("ConcatFromSequence", {11}, {{"input_sequence", 0}}, {{"concat_result", kAllTypes}},
                        infer_concat_from_sequence, concat_from_sequence);
  d.attributes = {{"axis", AttrType::kInt, true}, {"new_axis", AttrType::kInt}};
  d.flags |= kDataDependent;
  return d;
}

SKIFF_OP_DEF(ai_onnx, Optional) {
  OpDef d = sequence_op(
      "Optional", {15, 28}, {{"input", 0, 0, Arity::kOptional}}, {{"output", 0}},
      [](InferContext& c) {
        if (c.has(0)) return c.set(0, Type::optional(c.type(0)));
        const Attribute* a = c.node().attr("type");
        if (const Type* t = a ? std::get_if<Type>(&a->value) : nullptr) c.set(0, Type::optional(*t));
      },
      [](KernelContext& c) {
        if (c.has(0)) c.set_out(0, c.in_datum(0));
      });
  d.attributes = {{"type", AttrType::kType}};
  return d;
}

SKIFF_OP_DEF(ai_onnx, OptionalGetElement) {
  return sequence_op(
      "OptionalGetElement", {15, 18, 28}, {{"input", 0}}, {{"output", 0}},
      [](InferContext& c) { c.set(0, optional_content(c.type(0))); },
      [](KernelContext& c) {
        check(c.in_datum(0).kind() != Datum::Kind::kNone, Code::kInvalidArgument, "the optional is empty");
        c.set_out(0, c.in_datum(0));
      });
}

SKIFF_OP_DEF(ai_onnx, OptionalHasElement) {
  return sequence_op(
      "OptionalHasElement", {15, 18, 28}, {{"input", 0, 0, Arity::kOptional}}, {{"output", kBoolType}},
      [](InferContext& c) { c.set(0, DType::kBool, SymShape::of_rank(0)); },
      [](KernelContext& c) {
        *c.out(0, DType::kBool, {}).data<uint8_t>() = c.has(0) && c.in_datum(0).kind() != Datum::Kind::kNone;
      });
}

SKIFF_OP_DEF(ai_onnx, SequenceAt) {
  return sequence_op(
      "SequenceAt", {11}, {{"input_sequence", 0}, {"position", kPosition}}, {{"tensor", kAllTypes}},
      [](InferContext& c) { c.set(0, element_type(c.type(0))); },
      [](KernelContext& c) {
        const auto& items = c.in_datum(0).items();
        c.set_out(0, items[static_cast<size_t>(position_of(c.in(1), static_cast<int64_t>(items.size())))]);
      });
}

SKIFF_OP_DEF(ai_onnx, SequenceConstruct) {
  return sequence_op(
      "SequenceConstruct", {11}, {{"inputs", kAllTypes, 'T', Arity::kVariadic}}, {{"output_sequence", 0}},
      [](InferContext& c) {
        Type t = c.type(0);
        for (size_t i = 1; i < c.inputs(); ++i) t = loosen(t, c.type(i));
        c.set(0, Type::sequence(std::move(t)));
      },
      [](KernelContext& c) {
        std::vector<Datum> items;
        for (size_t i = 0; i < c.inputs(); ++i) {
          check(c.in(i).dtype() == c.in(0).dtype(), Code::kInvalidModel, "the tensors differ in type");
          items.push_back(c.in_datum(i));
        }
        c.set_out(0, Datum::sequence(std::move(items)));
      });
}

SKIFF_OP_DEF(ai_onnx, SequenceEmpty) {
  OpDef d = sequence_op(
      "SequenceEmpty", {11}, {}, {{"output", 0}},
      [](InferContext& c) { c.set(0, Type::sequence(Type::tensor(sequence_empty_type(c.node())))); },
      [](KernelContext& c) { c.set_out(0, Datum::sequence({}, sequence_empty_type(c.node()))); });
  d.attributes = {{"dtype", AttrType::kInt}};
  return d;
}

SKIFF_OP_DEF(ai_onnx, SequenceErase) {
  return sequence_op("SequenceErase", {11},
                     {{"input_sequence", 0}, {"position", kPosition, 0, Arity::kOptional}},
                     {{"output_sequence", 0}}, infer_same, sequence_erase);
}

SKIFF_OP_DEF(ai_onnx, SequenceInsert) {
  return sequence_op(
      "SequenceInsert", {11},
      {{"input_sequence", 0}, {"tensor", kAllTypes}, {"position", kPosition, 0, Arity::kOptional}},
      {{"output_sequence", 0}},
      [](InferContext& c) {
        if (c.type(0).kind == Type::Kind::kSequence)
          c.set(0, with_elem(c.type(0), loosen(element_type(c.type(0)), c.type(1))));
      },
      sequence_insert);
}

SKIFF_OP_DEF(ai_onnx, SequenceLength) {
  return sequence_op(
      "SequenceLength", {11}, {{"input_sequence", 0}}, {{"length", kCount}},
      [](InferContext& c) { c.set(0, DType::kInt64, SymShape::of_rank(0)); },
      [](KernelContext& c) {
        *c.out(0, DType::kInt64, {}).data<int64_t>() = static_cast<int64_t>(c.in_datum(0).items().size());
      });
}

SKIFF_OP_DEF(ai_onnx, SequenceMap) {
  OpDef d = sequence_op("SequenceMap", {17},
                        {{"input_sequence", 0}, {"additional_inputs", kAllTypes, 0, Arity::kVariadic}},
                        {{"out_sequence", 0, 0, Arity::kVariadic}}, infer_sequence_map, sequence_map);
  d.attributes = {{"body", AttrType::kGraph, true}};
  d.flags |= kControlFlow;
  return d;
}

SKIFF_OP_DEF(ai_onnx, SplitToSequence) {
  OpDef d = sequence_op("SplitToSequence", {11, 24},
                        {{"input", kAllTypes}, {"split", kIndexTypes, 0, Arity::kOptional}},
                        {{"output_sequence", 0}}, infer_split_to_sequence, split_to_sequence);
  d.attributes = {{"axis", AttrType::kInt}, {"keepdims", AttrType::kInt}};
  return d;
}

}  // namespace skiff
