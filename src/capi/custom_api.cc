// The table of functions that custom operators call.
#include "capi/custom.h"
#include "capi/custom_call.h"

using namespace skiff;        // NOLINT
using namespace skiff::capi;  // NOLINT

namespace {

skiff_status fail_call(skiff_call* call, skiff_status status, const char* message) {
  return answered(call, [&] {
    call->message = message ? message : "";
    return status;
  });
}

// ---------------------------------------------------------------- the node

const char* node_name(const skiff_call* c) { return c ? c->node.name.c_str() : ""; }
int opset_version(const skiff_call* c) { return c ? c->node.opset : 0; }
size_t input_count(const skiff_call* c) { return c ? c->node.inputs.size() : 0; }
size_t output_count(const skiff_call* c) { return c ? c->node.outputs.size() : 0; }
int has_input(const skiff_call* c, size_t i) { return c && c->node.input(i) != kNoValue; }
int wants_output(const skiff_call* c, size_t i) { return c && c->node.output(i) != kNoValue; }

template <class T>
const T* attribute(skiff_call* c, const char* name) {
  const Attribute* a = c->node.attr(need(name, "name"));
  if (!a) return nullptr;
  const T* v = std::get_if<T>(&a->value);
  check(v != nullptr, Code::kInvalidModel, "attribute '", name,
        "' has another type: ", attr_type_name(a->type()));
  return v;
}

template <class T, class F>
skiff_status with_attribute(skiff_call* c, const char* name, F&& f) {
  return answered(c, [&] {
    const T* v = attribute<T>(c, name);
    return v ? f(*v) : SKIFF_NOT_FOUND;
  });
}

const skiff_value* lend(skiff_call* c, Datum d) {
  c->values.emplace_back();
  c->values.back().datum = std::move(d);
  return &c->values.back();
}

void lend_text(const std::string& s, const char** text, size_t* length) {
  if (text) *text = s.c_str();
  if (length) *length = s.size();
}

skiff_status attr_int(skiff_call* c, const char* name, int64_t* value) {
  return with_attribute<int64_t>(c, name, [&](int64_t v) { return *need(value, "value") = v, SKIFF_OK; });
}
skiff_status attr_float(skiff_call* c, const char* name, float* value) {
  return with_attribute<float>(c, name, [&](float v) { return *need(value, "value") = v, SKIFF_OK; });
}
skiff_status attr_string(skiff_call* c, const char* name, const char** text, size_t* length) {
  return with_attribute<std::string>(
      c, name, [&](const std::string& s) { return lend_text(s, text, length), SKIFF_OK; });
}
skiff_status attr_tensor(skiff_call* c, const char* name, const skiff_value** value) {
  return with_attribute<Tensor>(
      c, name, [&](const Tensor& t) { return *need(value, "value") = lend(c, t), SKIFF_OK; });
}
skiff_status attr_ints(skiff_call* c, const char* name, const int64_t** values, size_t* count) {
  return with_attribute<Attribute::Ints>(c, name, [&](const Attribute::Ints& v) {
    *need(values, "values") = v.data();
    return *need(count, "count") = v.size(), SKIFF_OK;
  });
}
skiff_status attr_floats(skiff_call* c, const char* name, const float** values, size_t* count) {
  return with_attribute<Attribute::Floats>(c, name, [&](const Attribute::Floats& v) {
    *need(values, "values") = v.data();
    return *need(count, "count") = v.size(), SKIFF_OK;
  });
}
skiff_status attr_strings_item(skiff_call* c, const char* name, size_t i, const char** text, size_t* length) {
  return with_attribute<Attribute::Strings>(c, name, [&](const Attribute::Strings& v) {
    return i < v.size() ? (lend_text(v[i], text, length), SKIFF_OK) : SKIFF_NOT_FOUND;
  });
}
skiff_status attr_tensors_item(skiff_call* c, const char* name, size_t i, const skiff_value** value) {
  return with_attribute<std::vector<Tensor>>(c, name, [&](const std::vector<Tensor>& v) {
    return i < v.size() ? (*need(value, "value") = lend(c, v[i]), SKIFF_OK) : SKIFF_NOT_FOUND;
  });
}

// ---------------------------------------------------------------- the type and shape rule

InferContext& in_rule(skiff_call* c) {
  check(c->infer != nullptr, Code::kInvalidArgument, "this function is for the type and shape rule alone");
  return *c->infer;
}

void check_input(const skiff_call* c, size_t i) {
  check(i < c->node.inputs.size(), Code::kInvalidArgument, "there is no input ", i, "; the node has ",
        c->node.inputs.size());
}
void check_output(const skiff_call* c, size_t i) {
  check(i < c->node.outputs.size(), Code::kInvalidArgument, "there is no output ", i, "; the node has ",
        c->node.outputs.size());
}

skiff_kind kind_of(const Type& t) {
  switch (t.kind) {
    case Type::Kind::kTensor: return SKIFF_KIND_TENSOR;
    case Type::Kind::kSequence: return SKIFF_KIND_SEQUENCE;
    case Type::Kind::kMap: return SKIFF_KIND_MAP;
    case Type::Kind::kSparse: return SKIFF_KIND_SPARSE;
    default: return SKIFF_KIND_NONE;
  }
}

skiff_status input_type(skiff_call* c, size_t i, skiff_type* type) {
  return answered(c, [&] {
    InferContext& rule = in_rule(c);
    check_input(c, i);
    const Type& t = rule.type(i);
    skiff_type r{kind_of(t), static_cast<skiff_dtype>(t.dtype), -1, nullptr};
    if (t.shape.has_rank()) {
      std::vector<skiff_dim>& dims = c->shapes.emplace_back();
      for (const Dim& d : t.shape.dims()) {
        if (d.is_known() && !d.is_const()) c->texts.push_back(d.to_string());
        dims.push_back({d.is_const() ? d.value() : -1,
                        d.is_known() && !d.is_const() ? c->texts.back().c_str() : nullptr});
      }
      r.rank = static_cast<int>(dims.size());
      r.dims = dims.data();
    }
    return *need(type, "type") = r, SKIFF_OK;
  });
}

skiff_status input_ints(skiff_call* c, size_t i, const int64_t** values, size_t* count) {
  return answered(c, [&] {
    InferContext& rule = in_rule(c);
    check_input(c, i);
    std::optional<std::vector<int64_t>> v = rule.ints(i);
    if (!v) return SKIFF_NOT_FOUND;
    std::vector<int64_t>& kept = c->ints.emplace_back(std::move(*v));
    *need(values, "values") = kept.data();
    return *need(count, "count") = kept.size(), SKIFF_OK;
  });
}

// The input extent a symbol was read from, so that expressions keep their meaning; else a symbol of that
// name.
Dim extent(const InferContext& rule, const skiff_dim& d) {
  if (d.value >= 0) return d.value;
  check(d.value == -1, Code::kInvalidArgument, "an extent of ", d.value);
  if (!d.symbol || !*d.symbol) return Dim::unknown();
  for (size_t i = 0; i < rule.inputs(); ++i)
    if (rule.has_rank(i))
      for (const Dim& known : rule.shape(i).dims())
        if (known.is_known() && !known.is_const() && known.to_string() == d.symbol) return known;
  return Dim::symbol(d.symbol);
}

skiff_status set_output_type(skiff_call* c, size_t i, const skiff_type* type) {
  return answered(c, [&] {
    InferContext& rule = in_rule(c);
    check_output(c, i);
    need(type, "type");
    if (type->kind == SKIFF_KIND_NONE) return SKIFF_OK;
    Type t;
    switch (type->kind) {
      case SKIFF_KIND_TENSOR: t.kind = Type::Kind::kTensor; break;
      case SKIFF_KIND_SEQUENCE: t.kind = Type::Kind::kSequence; break;
      case SKIFF_KIND_MAP: t.kind = Type::Kind::kMap; break;
      case SKIFF_KIND_SPARSE: t.kind = Type::Kind::kSparse; break;
      default: fail(Code::kInvalidArgument, "there is no kind of value ", static_cast<int>(type->kind));
    }
    auto dtype = static_cast<int>(type->dtype);
    check(dtype >= 0 && dtype < kDTypeCount, Code::kInvalidArgument, "there is no element type ", dtype);
    t.dtype = static_cast<DType>(dtype);
    if (type->rank >= 0) {
      check(type->rank <= 64 && (type->dims || type->rank == 0), Code::kInvalidArgument, "rank ", type->rank,
            type->dims ? " is above 64" : " without extents");
      std::vector<Dim> dims;
      for (int k = 0; k < type->rank; ++k) dims.push_back(extent(rule, type->dims[k]));
      t.shape = SymShape(std::move(dims));
    }
    rule.set(i, std::move(t));
    return SKIFF_OK;
  });
}

// ---------------------------------------------------------------- the kernel

KernelContext& in_kernel(skiff_call* c) {
  check(c->kernel != nullptr, Code::kInvalidArgument, "this function is for the kernel (compute) alone");
  return *c->kernel;
}

skiff_status input(skiff_call* c, size_t i, const skiff_value** value) {
  return answered(c, [&] {
    KernelContext& k = in_kernel(c);
    check_input(c, i);
    *need(value, "value") = k.has(i) ? lend(c, k.in_datum(i)) : nullptr;
    return SKIFF_OK;
  });
}

void first_time(skiff_call* c, size_t i) {
  check_output(c, i);
  c->made.resize(c->node.outputs.size());
  check(!c->made[i], Code::kInvalidArgument, "output ", i, " was made before; ask for it once");
}

skiff_status output(skiff_call* c, size_t i, skiff_dtype dtype, const int64_t* dims, int rank,
                    skiff_value** value) {
  return answered(c, [&] {
    KernelContext& k = in_kernel(c);
    need(value, "value");
    first_time(c, i);
    check(dtype > 0 && dtype < kDTypeCount, Code::kInvalidArgument, "there is no element type ",
          static_cast<int>(dtype));
    check(rank >= 0 && rank <= 64 && (dims || rank == 0), Code::kInvalidArgument, "output ", i, ": rank ",
          rank, dims ? " is out of range" : " without extents");
    Dims d(dims, dims + rank);
    for (int64_t e : d)
      check(e >= 0, Code::kInvalidArgument, "output ", i, " cannot have the shape ", to_string(d));
    auto type = static_cast<DType>(dtype);
    if (const Tensor* planned = k.planned(i))
      check(planned->dtype() == type && planned->dims() == d, Code::kInvalidArgument,
            "the type and shape rule promised ", describe(*planned), " for output ", i,
            ", but the kernel asks for ", dtype_name(type), to_string(d), "; make them agree");
    c->values.emplace_back();
    c->values.back().datum = k.out(i, type, d);
    c->made[i] = 1;
    *value = &c->values.back();
    return SKIFF_OK;
  });
}

// Memory that is only lent for this run must not leave it.
Datum owned(const Datum& d) {
  switch (d.kind()) {
    case Datum::Kind::kTensor: return d.tensor().owner() ? d : Datum(d.tensor().clone());
    case Datum::Kind::kSequence: {
      std::vector<Datum> items;
      for (const Datum& i : d.items()) items.push_back(owned(i));
      return Datum::sequence(std::move(items), d.elem_type());
    }
    case Datum::Kind::kMap: {
      Datum::Map m{owned(d.map().keys).tensor(), {}};
      for (const Datum& i : d.map().values) m.values.push_back(owned(i));
      return Datum::map(std::move(m));
    }
    default: return d;
  }
}

skiff_status set_output(skiff_call* c, size_t i, const skiff_value* value) {
  return answered(c, [&] {
    KernelContext& k = in_kernel(c);
    first_time(c, i);
    Datum d = owned(need(value, "value")->datum);
    if (const Tensor* planned = k.planned(i))
      check(d.is_tensor() && planned->dtype() == d.tensor().dtype() && planned->dims() == d.tensor().dims(),
            Code::kInvalidArgument, "the type and shape rule promised ", describe(*planned), " for output ",
            i, ", but the kernel gives ", d.is_tensor() ? describe(d.tensor()) : std::string("no tensor"),
            "; make them agree");
    k.set_out(i, std::move(d));
    c->made[i] = 1;
    return SKIFF_OK;
  });
}

skiff_status poll(skiff_call* c) {
  return answered(c, [&] {
    in_kernel(c).poll();
    return SKIFF_OK;
  });
}

skiff_status register_op(skiff_registry* registry, const skiff_custom_op* op) {
  return guarded([&] {
    need(registry, "registry");
    add_custom_op(*need(op, "op"), registry->library,
                  [&](std::shared_ptr<const OpDef> d) { registry->ops.add(std::move(d)); });
  });
}

const skiff_custom_api kApi = {
    SKIFF_CUSTOM_API_VERSION,
    sizeof(skiff_custom_api),
    register_op,
    fail_call,
    node_name,
    opset_version,
    input_count,
    output_count,
    has_input,
    wants_output,
    attr_int,
    attr_float,
    attr_string,
    attr_tensor,
    attr_ints,
    attr_floats,
    attr_strings_item,
    attr_tensors_item,
    input_type,
    input_ints,
    set_output_type,
    input,
    output,
    set_output,
    poll,
    skiff_value_kind,
    skiff_tensor_info,
    skiff_tensor_data,
    skiff_tensor_get_string,
    skiff_tensor_set_string,
    skiff_tensor_create,
    skiff_value_count,
    skiff_value_item,
    skiff_map_keys,
    skiff_sequence_create,
    skiff_map_create,
    skiff_value_free,
};

}  // namespace

namespace skiff::capi {
const skiff_custom_api& custom_api() { return kApi; }
}  // namespace skiff::capi
