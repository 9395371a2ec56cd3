#include "passes/quantizers.h"

#include <cmath>

namespace skiff::passes {
namespace {

bool is_8bit(DType t) { return t == DType::kUint8 || t == DType::kInt8; }

std::optional<Quantized> params(const Graph& g, const Node& n, ValueId integers) {
  if (!n.domain.empty() && n.domain != "com.microsoft") return std::nullopt;
  if (n.attr_i("block_size", 0) != 0 || n.attr_i("precision", 0) > 1) return std::nullopt;
  Quantized q;
  q.x = integers;
  q.scale = n.input(1);
  q.zero = n.input(2);
  q.type = dtype_of(g, integers);
  const Tensor *s = constant_of(g, q.scale), *z = constant_of(g, q.zero);
  if (!is_8bit(q.type) || !s || s->dtype() != DType::kFloat || s->size() < 1 || s->rank() > 1)
    return std::nullopt;
  if (q.zero != kNoValue && (!z || z->dtype() != q.type || (z->size() != 1 && z->size() != s->size())))
    return std::nullopt;
  for (float f : s->span<float>()) {
    if (!std::isfinite(f) || f <= 0) return std::nullopt;
    q.scales.push_back(f);
  }
  for (int64_t i = 0; z && i < z->size(); ++i) q.zeros.push_back(static_cast<int32_t>(get_int(*z, i)));
  if (q.zeros.empty()) q.zeros.push_back(0);
  int64_t rank = rank_of(g, integers);
  if (rank < 0) return std::nullopt;
  q.axis = n.attr_i("axis", 1);
  if (q.axis < 0) q.axis += rank;
  return q;
}

}  // namespace

std::optional<Quantized> dequantized(const Graph& g, ValueId v) {
  const Node* n = producer(g, v);
  if (!n || n->op != "DequantizeLinear" || dtype_of(g, v) != DType::kFloat) return std::nullopt;
  return params(g, *n, n->input(0));
}

std::optional<Quantized> quantizes(const Graph& g, const Node& n) {
  if (n.op != "QuantizeLinear" || dtype_of(g, n.input(0)) != DType::kFloat) return std::nullopt;
  return params(g, n, n.outputs[0]);
}

ValueId zero_constant(Patch& p, DType t, int32_t z) {
  Tensor v(t, {});
  set_int(v, 0, z);
  return p.constant("zero_point", std::move(v));
}
ValueId scale_constant(Patch& p, float s) { return p.constant("scale", Tensor::scalar(s)); }

}  // namespace skiff::passes
