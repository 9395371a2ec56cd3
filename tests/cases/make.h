// Shorthand for writing operator cases.
#pragma once
#include "cases/case.h"

namespace skiff::cases {

using Ints = Attribute::Ints;
using Floats = Attribute::Floats;
using Strings = Attribute::Strings;

// A case of the default domain whose inputs from `first_constant` on are initializers.
inline OpCase make(std::string name, std::string op, int opset, std::vector<Datum> inputs,
                   std::vector<Attribute> attributes = {}, size_t first_constant = 99) {
  OpCase c;
  c.name = std::move(name);
  c.op = std::move(op);
  c.opset = opset;
  for (size_t i = 0; i < inputs.size(); ++i) c.constant.push_back(i >= first_constant);
  c.inputs = std::move(inputs);
  c.attributes = std::move(attributes);
  return c;
}
inline OpCase in_domain(std::string domain, OpCase c) {
  c.domain = std::move(domain);
  return c;
}
inline OpCase with_outputs(size_t n, OpCase c) {
  c.outputs = n;
  return c;
}
inline OpCase with_tolerance(double rtol, double atol, OpCase c) {
  c.rtol = rtol;
  c.atol = atol;
  return c;
}

inline Tensor f32(Dims d, uint32_t seed, double lo = -1, double hi = 1) {
  return random_tensor(DType::kFloat, std::move(d), seed, lo, hi);
}
inline Tensor u8(Dims d, uint32_t seed, double lo = 0, double hi = 256) {
  return random_tensor(DType::kUint8, std::move(d), seed, lo, hi);
}
inline Tensor s8(Dims d, uint32_t seed, double lo = -128, double hi = 128) {
  return random_tensor(DType::kInt8, std::move(d), seed, lo, hi);
}
inline Tensor one(DType t, double v) {
  Tensor x(t, {});
  set_double(x, 0, v);
  return x;
}
template <class T>
Tensor values(DType t, Dims d, const std::vector<T>& v) {
  Tensor x(t, std::move(d));
  for (size_t i = 0; i < v.size(); ++i) set_double(x, static_cast<int64_t>(i), static_cast<double>(v[i]));
  return x;
}

}  // namespace skiff::cases
