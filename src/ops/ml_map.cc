// ai.onnx.ml operators that look values up: LabelEncoder, CategoryMapper, OneHotEncoder, CastMap,
// DictVectorizer.
#include <algorithm>
#include <charconv>
#include <cmath>
#include <unordered_map>

#include "ops/ml.h"

namespace skiff {
namespace ml {
namespace {

Tensor of_strings(const std::vector<std::string>& v) {
  Tensor t(DType::kString, {static_cast<int64_t>(v.size())});
  std::copy(v.begin(), v.end(), t.data<std::string>());
  return t;
}

// An element as a text that equals another's exactly when the elements are equal: NaN equals NaN, 0 equals
// -0.
std::string key_of(const Tensor& t, int64_t i) {
  if (t.dtype() == DType::kString) return t.data<std::string>()[i];
  if (dtype_is_integer(t.dtype())) return std::to_string(get_int(t, i));
  double v = get_double(t, i);
  if (v != v) return "nan";
  if (v == 0) v = 0;
  char buffer[40];
  return std::string(buffer, std::to_chars(buffer, buffer + sizeof buffer, v).ptr);
}

// ---------------------------------------------------------------- LabelEncoder

// keys[i] becomes values[i], anything else the default (one element).
struct Mapping {
  Tensor keys, values, other;
};

// A list under prefix + {"tensor", "strings", "int64s", "floats"}.
Tensor list_of(const Node& n, const std::string& prefix) {
  if (const Tensor* t = n.attr_tensor(prefix + "tensor")) return t->reshaped({t->size()});
  if (n.has_attr(prefix + "strings")) return of_strings(n.attr_strings(prefix + "strings"));
  if (n.has_attr(prefix + "int64s"))
    return Tensor::from(std::span<const int64_t>(n.attr_ints(prefix + "int64s")));
  if (n.has_attr(prefix + "floats")) {
    std::vector<float> f = n.attr_floats(prefix + "floats");
    return Tensor::from(std::span<const float>(f), {static_cast<int64_t>(f.size())});
  }
  fail(Code::kInvalidModel, "none of the attributes '", prefix, "*' is given");
}

Mapping mapping_of(const Node& n, DType x) {
  Mapping m;
  if (n.opset < 2 || n.has_attr("classes_strings")) {
    // Version 1: strings to their place in a list, or back.
    Tensor names = of_strings(n.attr_strings("classes_strings"));
    Tensor places(DType::kInt64, names.dims());
    for (int64_t i = 0; i < places.size(); ++i) places.data<int64_t>()[i] = i;
    bool forward = x == DType::kString;
    m.keys = forward ? names : places;
    m.values = forward ? places : names;
  } else {
    m.keys = list_of(n, "keys_");
    m.values = list_of(n, "values_");
  }
  check(m.keys.size() == m.values.size(), Code::kInvalidModel, "there are ", m.keys.size(), " keys and ",
        m.values.size(), " values");
  if (const Tensor* d = n.attr_tensor("default_tensor")) {
    check(d->size() == 1 && d->dtype() == m.values.dtype(), Code::kInvalidModel,
          "default_tensor must hold one element of the values' type");
    m.other = *d;
    return m;
  }
  m.other = Tensor(m.values.dtype(), {1});
  if (m.values.dtype() == DType::kString)
    m.other.data<std::string>()[0] = n.attr_s("default_string", "_Unused");
  else if (dtype_is_integer(m.values.dtype()))
    set_int(m.other, 0, n.attr_i("default_int64", -1));
  else
    set_double(m.other, 0, n.attr_f("default_float", -0.0f));
  return m;
}

void apply(KernelContext& c, const Mapping& m) {
  const Tensor& x = c.in(0);
  check(x.dtype() == m.keys.dtype(), Code::kInvalidModel, "X is ", dtype_name(x.dtype()), ", the keys are ",
        dtype_name(m.keys.dtype()));
  std::unordered_map<std::string, int64_t> at;
  for (int64_t i = 0; i < m.keys.size(); ++i) at[key_of(m.keys, i)] = i;  // the last of equal keys wins
  Tensor& y = c.out(0, m.values.dtype(), x.dims());
  for (int64_t i = 0; i < x.size(); ++i) {
    auto it = at.find(key_of(x, i));
    if (it != at.end())
      ref::copy(y, i, 1, m.values, it->second, 1, 1);
    else
      ref::copy(y, i, 1, m.other, 0, 1, 1);
  }
}

void infer_label_encoder(InferContext& c) {
  c.set(0, mapping_of(c.node(), c.dtype(0)).values.dtype(), c.shape(0));
}
void label_encoder_reference(KernelContext& c) { apply(c, mapping_of(c.node(), c.in(0).dtype())); }

// ---------------------------------------------------------------- CategoryMapper

void infer_category_mapper(InferContext& c) {
  c.set(0, c.dtype(0) == DType::kString ? DType::kInt64 : DType::kString, c.shape(0));
}

void category_mapper_reference(KernelContext& c) {
  const Node& n = c.node();
  Tensor names = of_strings(n.attr_strings("cats_strings"));
  Tensor ids = Tensor::from(std::span<const int64_t>(n.attr_ints("cats_int64s")));
  check(names.size() == ids.size(), Code::kInvalidModel, "there are ", names.size(), " strings and ",
        ids.size(), " integers");
  if (c.in(0).dtype() == DType::kString) {
    apply(c, {names, ids,
              Tensor::from(std::span<const int64_t>(std::vector<int64_t>{n.attr_i("default_int64", -1)}))});
  } else {
    apply(c, {ids, names, of_strings({n.attr_s("default_string", "_Unused")})});
  }
}

// ---------------------------------------------------------------- OneHotEncoder

Labels categories(const Node& n) {
  Labels l = labels_of(n, "cats_int64s", "cats_strings");
  check(l.size() > 0, Code::kInvalidModel, "no categories are given");
  return l;
}

void infer_one_hot(InferContext& c) {
  SymShape y = c.shape(0);
  if (y.has_rank()) y.dims().emplace_back(static_cast<int64_t>(categories(c.node()).size()));
  c.set(0, DType::kFloat, std::move(y));
}

void one_hot_reference(KernelContext& c) {
  const Tensor& x = c.in(0);
  Labels l = categories(c.node());
  auto n = static_cast<int64_t>(l.size());
  check((x.dtype() == DType::kString) == !l.strings.empty(), Code::kInvalidModel,
        "the categories do not have X's type");
  std::unordered_map<std::string, int64_t> at;
  for (size_t i = 0; i < l.size(); ++i)
    at[l.strings.empty() ? std::to_string(l.ints[i]) : l.strings[i]] = static_cast<int64_t>(i);
  Dims d = x.dims();
  d.push_back(n);
  Tensor& y = c.out(0, DType::kFloat, d);
  ref::fill_zero(y);
  for (int64_t i = 0; i < x.size(); ++i) {
    // Numbers are compared as integers.
    auto it = at.find(x.dtype() == DType::kString ? x.data<std::string>()[i] : std::to_string(get_int(x, i)));
    if (it != at.end())
      y.data<float>()[i * n + it->second] = 1;
    else
      check(c.node().attr_i("zeros", 1) != 0, Code::kInvalidArgument, "element ", i, " is of no category");
  }
}

// ---------------------------------------------------------------- CastMap, DictVectorizer

DType cast_target(const Node& n) {
  std::string s = n.attr_s("cast_to", "TO_FLOAT");
  if (s == "TO_FLOAT") return DType::kFloat;
  if (s == "TO_STRING") return DType::kString;
  check(s == "TO_INT64", Code::kInvalidModel, "cast_to '", s, "' is not known");
  return DType::kInt64;
}

// A value of a map as text or number into y[i].
void put_cast(Tensor& y, int64_t i, const Tensor& v) {
  check(v.size() == 1, Code::kInvalidModel, "a map's value must be one element");
  if (y.dtype() == v.dtype()) return ref::copy(y, i, 1, v, 0, 1, 1);
  if (y.dtype() == DType::kString) {
    y.data<std::string>()[i] = key_of(v, 0);
  } else if (v.dtype() == DType::kString) {
    const std::string& s = v.data<std::string>()[0];
    double d = 0;
    auto r = std::from_chars(s.data(), s.data() + s.size(), d);
    check(r.ec == std::errc() && r.ptr == s.data() + s.size(), Code::kInvalidArgument, "'", s,
          "' is no number");
    set_double(y, i, d);
  } else {
    set_double(y, i, get_double(v, 0));
  }
}

int64_t cast_width(const Node& n) {
  int64_t w = n.attr_i("max_map", 1);
  check(w >= 1 && w < (1 << 28), Code::kInvalidModel, "max_map is ", w);
  return w;
}

void infer_cast_map(InferContext& c) {
  Dim n = c.node().attr_s("map_form", "DENSE") == "SPARSE" ? Dim(cast_width(c.node())) : Dim();
  c.set(0, cast_target(c.node()), SymShape(std::vector<Dim>{Dim(1), n}));
}

void cast_map_reference(KernelContext& c) {
  const Datum::Map& m = c.in_datum(0).map();
  check(m.keys.dtype() == DType::kInt64, Code::kInvalidModel, "the map's keys must be int64");
  bool sparse = c.node().attr_s("map_form", "DENSE") == "SPARSE";
  std::vector<std::pair<int64_t, size_t>> order;
  for (int64_t i = 0; i < m.keys.size(); ++i)
    order.emplace_back(m.keys.data<int64_t>()[i], static_cast<size_t>(i));
  std::sort(order.begin(), order.end());
  int64_t n = sparse ? cast_width(c.node()) : m.keys.size();
  Tensor& y = c.out(0, cast_target(c.node()), {1, n});
  ref::fill_zero(y);
  if (sparse && y.dtype() == DType::kString)
    for (int64_t i = 0; i < n; ++i) y.data<std::string>()[i] = "0.f";
  for (size_t i = 0; i < order.size(); ++i) {
    int64_t at = sparse ? order[i].first : static_cast<int64_t>(i);
    check(at >= 0 && at < n, Code::kInvalidArgument, "the map's key ", at, " lies outside ", n, " places");
    put_cast(y, at, m.values[order[i].second].tensor());
  }
}

void infer_dict_vectorizer(InferContext& c) {
  Labels l = labels_of(c.node(), "int64_vocabulary", "string_vocabulary");
  const Type& t = c.type(0);
  DType d = t.kind == Type::Kind::kMap && t.elem ? t.elem->dtype : DType::kUndefined;
  c.set(0, d, SymShape(std::vector<Dim>{Dim(1), Dim(static_cast<int64_t>(l.size()))}));
}

void dict_vectorizer_reference(KernelContext& c) {
  const Datum::Map& m = c.in_datum(0).map();
  Labels l = labels_of(c.node(), "int64_vocabulary", "string_vocabulary");
  Tensor keys = l.keys();
  check(m.keys.size() == 0 || m.keys.dtype() == keys.dtype(), Code::kInvalidModel,
        "the vocabulary does not have the type of the map's keys");
  DType t = m.values.empty() ? DType::kFloat : m.values[0].tensor().dtype();
  std::unordered_map<std::string, size_t> at;
  for (int64_t i = 0; i < m.keys.size(); ++i) at[key_of(m.keys, i)] = static_cast<size_t>(i);
  Tensor& y = c.out(0, t, {1, keys.size()});
  ref::fill_zero(y);
  for (int64_t i = 0; i < keys.size(); ++i) {
    auto it = at.find(key_of(keys, i));
    if (it != at.end()) put_cast(y, i, m.values[it->second].tensor());
  }
}

}  // namespace
}  // namespace ml

using namespace ml;  // NOLINT: the entries below name the functions above

SKIFF_OP_DEF(ai_onnx_ml, LabelEncoder) {
  return {.domain = "ai.onnx.ml",
          .name = "LabelEncoder",
          .versions = {1, 2, 4},
          .inputs = {{"X",
                      kIndexTypes | mask_of(DType::kFloat) | mask_of(DType::kDouble) |
                          mask_of(DType::kInt16) | mask_of(DType::kString),
                      '1'}},
          .outputs = {{"Y",
                       kIndexTypes | mask_of(DType::kFloat) | mask_of(DType::kDouble) |
                           mask_of(DType::kInt16) | mask_of(DType::kString),
                       '2'}},
          .attributes = {{"classes_strings", AttrType::kStrings},
                         {"default_float", AttrType::kFloat},
                         {"default_int64", AttrType::kInt},
                         {"default_string", AttrType::kString},
                         {"default_tensor", AttrType::kTensor},
                         {"keys_floats", AttrType::kFloats},
                         {"keys_int64s", AttrType::kInts},
                         {"keys_strings", AttrType::kStrings},
                         {"keys_tensor", AttrType::kTensor},
                         {"values_floats", AttrType::kFloats},
                         {"values_int64s", AttrType::kInts},
                         {"values_strings", AttrType::kStrings},
                         {"values_tensor", AttrType::kTensor}},
          .infer = infer_label_encoder,
          .reference = label_encoder_reference};
}

SKIFF_OP_DEF(ai_onnx_ml, CategoryMapper) {
  return {.domain = "ai.onnx.ml",
          .name = "CategoryMapper",
          .versions = {1},
          .inputs = {{"X", mask_of(DType::kInt64) | mask_of(DType::kString), '1'}},
          .outputs = {{"Y", mask_of(DType::kInt64) | mask_of(DType::kString), '2'}},
          .attributes = {{"cats_int64s", AttrType::kInts},
                         {"cats_strings", AttrType::kStrings},
                         {"default_int64", AttrType::kInt},
                         {"default_string", AttrType::kString}},
          .infer = infer_category_mapper,
          .reference = category_mapper_reference};
}

SKIFF_OP_DEF(ai_onnx_ml, OneHotEncoder) {
  return {
      .domain = "ai.onnx.ml",
      .name = "OneHotEncoder",
      .versions = {1},
      .inputs = {{"X",
                  kIndexTypes | mask_of(DType::kFloat) | mask_of(DType::kDouble) | mask_of(DType::kString),
                  'T'}},
      .outputs = {{"Y", mask_of(DType::kFloat)}},
      .attributes = {{"cats_int64s", AttrType::kInts},
                     {"cats_strings", AttrType::kStrings},
                     {"zeros", AttrType::kInt}},
      .infer = infer_one_hot,
      .reference = one_hot_reference};
}

SKIFF_OP_DEF(ai_onnx_ml, CastMap) {
  return {.domain = "ai.onnx.ml",
          .name = "CastMap",
          .versions = {1},
          .inputs = {{"X", 0, '1'}},
          .outputs = {{"Y", mask_of(DType::kFloat) | mask_of(DType::kInt64) | mask_of(DType::kString), '2'}},
          .attributes = {{"cast_to", AttrType::kString},
                         {"map_form", AttrType::kString},
                         {"max_map", AttrType::kInt}},
          .infer = infer_cast_map,
          .reference = cast_map_reference,
          .flags = kNonTensor};
}

SKIFF_OP_DEF(ai_onnx_ml, DictVectorizer) {
  return {.domain = "ai.onnx.ml",
          .name = "DictVectorizer",
          .versions = {1},
          .inputs = {{"X", 0, '1'}},
          .outputs = {{"Y",
                       mask_of(DType::kFloat) | mask_of(DType::kDouble) | mask_of(DType::kInt64) |
                           mask_of(DType::kString),
                       '2'}},
          .attributes = {{"int64_vocabulary", AttrType::kInts}, {"string_vocabulary", AttrType::kStrings}},
          .infer = infer_dict_vectorizer,
          .reference = dict_vectorizer_reference,
          .flags = kNonTensor};
}

}  // namespace skiff
