// One node made from the fuzzer's bytes: a case of the operator list, or an operator of the catalogue with
// operands of its formals' types, bent in attributes, element types, shapes, values and opset.
#pragma once
#include "cases/make.h"
#include "fuzz/fuzz.h"
#include "ops/op.h"

namespace skiff::fuzz {

inline DType any_dtype(Choices& c, TypeMask mask) {
  std::vector<DType> ok;
  for (int t = 1; t < kDTypeCount; ++t)
    if (mask == 0 || (mask & mask_of(static_cast<DType>(t)))) ok.push_back(static_cast<DType>(t));
  return ok.empty() ? DType::kFloat : c.of(ok);
}

inline Tensor any_tensor(Choices& c, DType t, Dims d, bool hostile) {
  int64_t n = 1;
  for (int64_t x : d) n *= x;
  if (n > 4096) d = {2, 3};
  Tensor x(t, d);
  for (int64_t i = 0; i < x.size(); ++i) {
    if (t == DType::kString)
      x.data<std::string>()[i] = c.text(6);
    else if (t == DType::kComplex64 || t == DType::kComplex128)
      std::fill_n(x.data<char>() + i * dtype_bits(t) / 8, dtype_bits(t) / 8, char(0));
    else if (hostile && dtype_is_integer(t))
      set_int(x, i, c.hostile_int());
    else
      set_double(x, i,
                 hostile ? c.hostile_double() : static_cast<double>(static_cast<int8_t>(c.byte())) / 16);
  }
  return x;
}

inline Dims any_dims(Choices& c) {
  static constexpr int64_t kExtents[] = {2, 1, 3, 4, 0, 5, 8, 16};
  Dims d;
  size_t rank = c.one_in(16) ? c.pick(20) : c.pick(6);
  for (size_t i = 0; i < rank; ++i) d.push_back(rank > 6 ? 1 : c.of(kExtents));
  return d;
}

inline std::string any_word(Choices& c) {
  static const char* const kWords[] = {"",
                                       "NOTSET",
                                       "VALID",
                                       "SAME_UPPER",
                                       "SAME_LOWER",
                                       "linear",
                                       "nearest",
                                       "cubic",
                                       "constant",
                                       "edge",
                                       "reflect",
                                       "wrap",
                                       "forward",
                                       "reverse",
                                       "bidirectional",
                                       "Relu",
                                       "Tanh",
                                       "Sigmoid",
                                       "sum",
                                       "mean",
                                       "none",
                                       "add",
                                       "mul",
                                       "max",
                                       "min",
                                       "avg",
                                       "tanh",
                                       "DCR",
                                       "CRD",
                                       "ij,jk->ik",
                                       "...i->i",
                                       "ii->",
                                       "i,j->ij",
                                       "->",
                                       "NaN",
                                       "LOGISTIC",
                                       "SOFTMAX",
                                       "BRANCH_LEQ",
                                       "LEAF",
                                       "RBF",
                                       "RGB",
                                       "HWC",
                                       "half_pixel",
                                       "asymmetric",
                                       "align_corners",
                                       "tf_crop_and_resize",
                                       "floor",
                                       "ceil",
                                       "bilinear",
                                       "zeros"};
  return c.one_in(8) ? c.text(12) : std::string(c.of(kWords));
}

inline Attribute::Value any_attribute(Choices& c, AttrType t) {
  switch (t) {
    case AttrType::kFloat: return static_cast<float>(c.hostile_double());
    case AttrType::kInt: return c.hostile_int();
    case AttrType::kString: return any_word(c);
    case AttrType::kTensor: return any_tensor(c, any_dtype(c, 0), any_dims(c), true);
    case AttrType::kFloats: {
      Attribute::Floats v(c.pick(6));
      for (float& x : v) x = static_cast<float>(c.hostile_double());
      return v;
    }
    case AttrType::kInts: {
      Attribute::Ints v(c.pick(7));
      for (int64_t& x : v) x = c.hostile_int();
      return v;
    }
    case AttrType::kStrings: {
      Attribute::Strings v(c.pick(5));
      for (std::string& x : v) x = any_word(c);
      return v;
    }
    default: return c.hostile_int();  // graphs and types: the graph target's business
  }
}

// The node of a case list entry or of the bare catalogue.
inline cases::OpCase base_case(Choices& c) {
  const auto& list = cases::all_cases();
  if (!c.one_in(3)) return list[(c.byte() | size_t{c.byte()} << 8) % list.size()];
  const OpDef& d = *all_ops()[(c.byte() | size_t{c.byte()} << 8) % all_ops().size()];
  cases::OpCase r;
  r.name = "n";
  r.op = d.name;
  r.domain = d.domain;
  r.opset = c.one_in(3) ? c.of(d.versions) : d.domain == std::string() ? kNewestOpset : d.versions.back();
  DType bound[128] = {};
  size_t n = d.inputs.size();
  if (n && d.inputs.back().arity == Arity::kVariadic) n += c.pick(3);
  for (size_t i = 0; i < n; ++i) {
    const Formal& f = d.inputs[std::min(i, d.inputs.size() - 1)];
    if (f.arity == Arity::kOptional && c.one_in(2)) {
      r.inputs.emplace_back();
      continue;
    }
    DType& b = bound[static_cast<unsigned char>(f.tvar) & 127];
    DType t = f.tvar && b != DType::kUndefined ? b : any_dtype(c, f.types);
    b = t;
    r.inputs.emplace_back(any_tensor(c, t, any_dims(c), c.one_in(3)));
    r.constant.push_back(c.one_in(3));
  }
  for (const AttrDef& a : d.attributes)
    if (a.required || c.one_in(3)) r.attributes.emplace_back(a.name, any_attribute(c, a.type));
  r.outputs = std::max<size_t>(1, d.outputs.size());
  return r;
}

inline void bend(Choices& c, cases::OpCase& r) {
  const OpDef* d = find_op(r.domain, r.op);
  r.constant.resize(r.inputs.size());
  size_t i = r.inputs.empty() ? 0 : c.pick(r.inputs.size());
  bool tensor = !r.inputs.empty() && r.inputs[i].is_tensor();
  switch (c.pick(9)) {
    case 0:
    case 1:
    case 2: {
      if (!d || d->attributes.empty()) return;
      const AttrDef& a = c.of(d->attributes);
      std::erase_if(r.attributes, [&](const Attribute& x) { return x.name == a.name; });
      if (!c.one_in(6)) r.attributes.emplace_back(a.name, any_attribute(c, a.type));
      return;
    }
    case 3:
      if (tensor) r.inputs[i] = any_tensor(c, r.inputs[i].tensor().dtype(), any_dims(c), c.one_in(2));
      return;
    case 4:
      if (tensor)
        r.inputs[i] = any_tensor(c, r.inputs[i].tensor().dtype(), r.inputs[i].tensor().dims(), true);
      return;
    case 5: {
      if (!tensor) return;
      Tensor t = r.inputs[i].tensor().clone();
      if (t.size() == 0 || t.dtype() == DType::kString ||
          !(dtype_is_integer(t.dtype()) || t.dtype() == DType::kFloat))
        return;
      int64_t at = static_cast<int64_t>(c.pick(static_cast<size_t>(std::min<int64_t>(t.size(), 250))));
      if (dtype_is_integer(t.dtype()))
        set_int(t, at, c.hostile_int());
      else
        set_double(t, at, c.hostile_double());
      r.inputs[i] = t;
      return;
    }
    case 6:
      if (tensor) r.inputs[i] = any_tensor(c, any_dtype(c, 0), r.inputs[i].tensor().dims(), c.one_in(2));
      return;
    case 7:
      if (d) r.opset = c.one_in(2) ? c.of(d->versions) : r.opset;
      if (c.one_in(3)) r.outputs = 1 + c.pick(4);
      return;
    default:
      if (!r.inputs.empty()) r.constant[i] = !r.constant[i];
      if (c.one_in(4)) r.inputs.resize(i);
      if (c.one_in(5) && tensor && i < r.inputs.size()) r.inputs[i] = Datum();
  }
}

}  // namespace skiff::fuzz
