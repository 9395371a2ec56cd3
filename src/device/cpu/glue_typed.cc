// Elementwise operators on other types than float: integers, comparisons, logic, selection, conversion and
// linear quantization.
#include "device/cpu/glue_util.h"
#include "device/cpu/kernels/convert/convert.h"
#include "device/cpu/kernels/typed/typed.h"

namespace skiff::cpu {
namespace {

template <class T>
struct Named {
  std::string_view op;
  T f;
};
template <class T, size_t N>
T lookup(const Named<T> (&table)[N], std::string_view op) {
  for (const Named<T>& e : table)
    if (e.op == op) return e.f;
  fail(Code::kInternal, op, " is not in the table of kernels");
}

constexpr Named<BinaryOp> kIntOps[] = {
    {"Add", BinaryOp::kAdd}, {"Div", BinaryOp::kDiv}, {"Max", BinaryOp::kMax},     {"Min", BinaryOp::kMin},
    {"Mul", BinaryOp::kMul}, {"Pow", BinaryOp::kPow}, {"PRelu", BinaryOp::kPrelu}, {"Sub", BinaryOp::kSub}};
constexpr Named<CompareOp> kCompareOps[] = {{"Equal", CompareOp::kEqual},
                                            {"Less", CompareOp::kLess},
                                            {"Greater", CompareOp::kGreater},
                                            {"LessOrEqual", CompareOp::kLessOrEqual},
                                            {"GreaterOrEqual", CompareOp::kGreaterOrEqual}};
constexpr Named<LogicalOp> kLogicalOps[] = {
    {"And", LogicalOp::kAnd}, {"Or", LogicalOp::kOr}, {"Xor", LogicalOp::kXor}};

std::optional<NumType> num_type(DType t) {
  switch (t) {
    case DType::kFloat: return NumType::kF32;
    case DType::kInt32: return NumType::kI32;
    case DType::kInt64: return NumType::kI64;
    case DType::kUint8:
    case DType::kBool: return NumType::kU8;
    default: return std::nullopt;
  }
}

constexpr int64_t kBlock = 1024;

const void* in_raw(const RunArgs& a, size_t i) { return a.in[i]->tensor().raw(); }
void* out_raw(const RunArgs& a) { return a.out[0]->tensor().raw(); }

// A broadcast loop over inputs 0 and 1 by call(params, begin, end).
template <class F>
std::unique_ptr<BoundKernel> bind_binary(const PlanArgs& p, double ns, F call) {
  BinaryParams params{};
  const size_t operands[] = {0, 1};
  if (!broadcast_loop(p, operands, &params.loop)) return nullptr;
  Work w = divide(p.c, params.loop.size, static_cast<double>(params.loop.size) * ns * 1e-9, kBlock);
  const CpuContext& c = p.c;
  return bound([&c, params, w, call](const RunArgs& a) {
    BinaryParams r = params;
    r.a = in_raw(a, 0);
    r.b = in_raw(a, 1);
    r.y = out_raw(a);
    each(c, w, [&](int64_t b, int64_t e) { call(r, b, e); });
  });
}

std::unique_ptr<BoundKernel> plan_int(const PlanArgs& p) {
  const BinaryOp op = lookup(kIntOps, p.node.op);
  const NumType t = num_type(p.in[0].dtype).value();
  const CpuContext& c = p.c;
  return bind_binary(
      p, op == BinaryOp::kDiv || op == BinaryOp::kPow ? 5 : 1,
      [&c, t, op](const BinaryParams& r, int64_t b, int64_t e) { (void)c.k->typed->binary(t, op, r, b, e); });
}
std::unique_ptr<BoundKernel> plan_compare(const PlanArgs& p) {
  const CompareOp op = lookup(kCompareOps, p.node.op);
  const NumType t = num_type(p.in[0].dtype).value();
  const CpuContext& c = p.c;
  return bind_binary(p, 0.7, [&c, t, op](const BinaryParams& r, int64_t b, int64_t e) {
    c.k->typed->compare(t, op, r, b, e);
  });
}
std::unique_ptr<BoundKernel> plan_logical(const PlanArgs& p) {
  const LogicalOp op = lookup(kLogicalOps, p.node.op);
  const CpuContext& c = p.c;
  return bind_binary(
      p, 0.3, [&c, op](const BinaryParams& r, int64_t b, int64_t e) { c.k->typed->logical(op, r, b, e); });
}
std::unique_ptr<BoundKernel> plan_not(const PlanArgs& p) {
  const int64_t n = element_count(p.y());
  Work w = divide(p.c, n, 0.2e-9 * static_cast<double>(n), kBlock);
  const CpuContext& c = p.c;
  return bound([&c, w](const RunArgs& a) {
    const auto* x = static_cast<const uint8_t*>(in_raw(a, 0));
    auto* y = static_cast<uint8_t*>(out_raw(a));
    each(c, w, [&](int64_t b, int64_t e) { c.k->typed->logical_not(x, y, b, e); });
  });
}

std::unique_ptr<BoundKernel> plan_where(const PlanArgs& p) {
  WhereParams params{};
  params.elem_size = elem_bytes(p.out[0].dtype);
  const size_t operands[] = {0, 1, 2};
  if (!broadcast_loop(p, operands, &params.loop)) return nullptr;
  auto bytes = static_cast<double>(params.loop.size) * (3 * params.elem_size + 1);
  Work w = divide(p.c, params.loop.size, move_seconds(bytes), kBlock);
  const CpuContext& c = p.c;
  return bound([&c, params, w](const RunArgs& a) {
    WhereParams r = params;
    r.cond = static_cast<const uint8_t*>(in_raw(a, 0));
    r.a = in_raw(a, 1);
    r.b = in_raw(a, 2);
    r.y = out_raw(a);
    each(c, w, [&](int64_t b, int64_t e) { c.k->typed->where(r, b, e); });
  });
}

// ---------------------------------------------------------------- Cast

std::optional<CastType> cast_type(DType t) {
  switch (t) {
    case DType::kFloat: return CastType::kF32;
    case DType::kFloat16: return CastType::kF16;
    case DType::kBFloat16: return CastType::kBF16;
    case DType::kInt32: return CastType::kI32;
    case DType::kInt64: return CastType::kI64;
    case DType::kUint8: return CastType::kU8;
    case DType::kInt8: return CastType::kI8;
    case DType::kBool: return CastType::kBool;
    default: return std::nullopt;
  }
}

std::unique_ptr<BoundKernel> plan_cast(const PlanArgs& p) {
  const CastType from = cast_type(p.in[0].dtype).value(), to = cast_type(p.out[0].dtype).value();
  const int64_t n = element_count(p.y());
  Work w = divide(p.c, n, 1e-9 * static_cast<double>(n), kBlock);
  const CpuContext& c = p.c;
  return bound([&c, from, to, w](const RunArgs& a) {
    const void* x = in_raw(a, 0);
    void* y = out_raw(a);
    each(c, w, [&](int64_t b, int64_t e) { c.k->convert->cast(from, to, x, y, b, e); });
  });
}

// ---------------------------------------------------------------- QuantizeLinear, DequantizeLinear

struct Channels {
  int64_t outer = 1, channels = 1, inner = 1;
};
// Per tensor or per index of an axis; nullopt for what the kernels do not take.
std::optional<Channels> channels_of(const PlanArgs& p) {
  const int64_t scales = element_count(p.x(1));
  if (p.has(2) && element_count(p.x(2)) != scales) return std::nullopt;
  if (scales == 1) return Channels{1, 1, element_count(p.x())};
  const Dims& x = p.x();
  auto axis = static_cast<size_t>(normalize_axis(p.node.attr_i("axis", 1), static_cast<int64_t>(x.size())));
  if (p.x(1).size() != 1 || x[axis] != scales) return std::nullopt;
  return Channels{span_of(x, 0, axis), x[axis], span_of(x, axis + 1, x.size())};
}

std::unique_ptr<BoundKernel> plan_quantizer(const PlanArgs& p) {
  auto ch = channels_of(p);
  if (!ch) return nullptr;
  const bool dequantize = p.node.op == "DequantizeLinear";
  QuantParams params{};
  params.outer = ch->outer;
  params.channels = ch->channels;
  params.inner = ch->inner;
  params.is_signed = (dequantize ? p.in[0] : p.out[0]).dtype == DType::kInt8;
  const int64_t n = element_count(p.y());
  Work w = divide(p.c, n, move_seconds(8 * static_cast<double>(n)), kBlock);
  const CpuContext& c = p.c;
  const auto kernel = dequantize ? c.k->convert->dequantize : c.k->convert->quantize;
  return bound([&c, params, w, kernel](const RunArgs& a) {
    QuantParams r = params;
    r.x = in_raw(a, 0);
    r.y = out_raw(a);
    r.scale = in_floats(a, 1);
    r.zero_point = a.in.size() > 2 && a.in[2] ? in_raw(a, 2) : nullptr;
    each(c, w, [&](int64_t b, int64_t e) { kernel(r, b, e); });
  });
}

// Biases: int32 times their scale.
std::unique_ptr<BoundKernel> plan_dequantize_i32(const PlanArgs& p) {
  auto ch = channels_of(p);
  if (!ch) return nullptr;
  const Channels s = *ch;
  const int64_t n = element_count(p.y());
  Work w = divide(p.c, n, 1e-9 * static_cast<double>(n), kBlock);
  const CpuContext& c = p.c;
  return bound([&c, s, w](const RunArgs& a) {
    const auto* x = static_cast<const int32_t*>(in_raw(a, 0));
    const float* scale = in_floats(a, 1);
    const auto* zero = a.in.size() > 2 && a.in[2] ? static_cast<const int32_t*>(in_raw(a, 2)) : nullptr;
    float* y = out_floats(a);
    each(c, w, [&](int64_t b, int64_t e) {
      for (int64_t i = b; i < e; ++i) {
        const int64_t k = i / s.inner % s.channels;
        const int64_t v = int64_t{x[i]} - (zero ? zero[k] : 0);
        y[i] = static_cast<float>(v) * scale[k];
      }
    });
  });
}

// ---------------------------------------------------------------- what matches

bool all_ranked(const NodeQuery& q, size_t inputs) {
  if (q.in.size() < inputs || q.out.empty() || !q.out[0] || !q.out[0]->is_tensor()) return false;
  for (size_t i = 0; i < inputs; ++i)
    if (in_rank(q, i) < 0) return false;
  return true;
}
bool old_broadcasting(const NodeQuery& q) { return q.node.domain.empty() && q.node.opset < 7; }

std::optional<double> match_int(const NodeQuery& q, const CpuContext& c) {
  if (q.in.size() != 2 || !all_ranked(q, 2) || old_broadcasting(q)) return std::nullopt;
  const DType t = q.in[0]->dtype;
  if ((t != DType::kInt32 && t != DType::kInt64) || q.in[1]->dtype != t || q.out[0]->dtype != t)
    return std::nullopt;
  return c.estimate(node_cost(q), 0.3);
}
std::optional<double> match_compare(const NodeQuery& q, const CpuContext& c) {
  if (!all_ranked(q, 2) || old_broadcasting(q) || q.in[1]->dtype != q.in[0]->dtype ||
      !num_type(q.in[0]->dtype))
    return std::nullopt;
  return c.estimate(node_cost(q), 0.3);
}
std::optional<double> match_logical(const NodeQuery& q, const CpuContext& c) {
  if (!all_ranked(q, q.in.size()) || old_broadcasting(q)) return std::nullopt;
  return c.estimate(node_cost(q), 0.3);
}
std::optional<double> match_not(const NodeQuery& q, const CpuContext& c) {
  if (!all_ranked(q, 1)) return std::nullopt;
  return c.estimate(node_cost(q), 0.3);
}
std::optional<double> match_where(const NodeQuery& q, const CpuContext& c) {
  if (!all_ranked(q, 3)) return std::nullopt;
  const int size = elem_bytes(q.in[1]->dtype);
  if (size < 1 || size > 8 || q.in[2]->dtype != q.in[1]->dtype) return std::nullopt;
  return c.estimate(node_cost(q), 0.3);
}
std::optional<double> match_cast(const NodeQuery& q, const CpuContext& c) {
  if (!all_ranked(q, 1) || !cast_type(q.in[0]->dtype) || !cast_type(q.out[0]->dtype)) return std::nullopt;
  return c.estimate(node_cost(q), 0.3);
}

bool byte_type(DType t) { return t == DType::kUint8 || t == DType::kInt8; }

// Scale and zero point: q.in[1] float, q.in[2] absent or of the quantized type.
bool linear(const NodeQuery& q, DType quantized) {
  if (!all_ranked(q, 2) || q.in[1]->dtype != DType::kFloat || q.node.attr_i("block_size", 0) != 0)
    return false;
  return q.in.size() < 3 || !q.in[2] || (q.in[2]->dtype == quantized && in_rank(q, 2) >= 0);
}
std::optional<double> match_quantize(const NodeQuery& q, const CpuContext& c) {
  if (!q.in_dtype(0, DType::kFloat) || q.out.empty() || !q.out[0] || !byte_type(q.out[0]->dtype) ||
      !linear(q, q.out[0]->dtype) || q.node.attr_i("precision", 0) > 1)
    return std::nullopt;
  return c.estimate(node_cost(q), 0.3);
}
std::optional<double> match_dequantize(const NodeQuery& q, const CpuContext& c) {
  if (!output_is(q, DType::kFloat) || in_rank(q, 0) < 0 || !byte_type(q.in[0]->dtype) ||
      !linear(q, q.in[0]->dtype))
    return std::nullopt;
  return c.estimate(node_cost(q), 0.3);
}
std::optional<double> match_dequantize_i32(const NodeQuery& q, const CpuContext& c) {
  if (!output_is(q, DType::kFloat) || !q.in_dtype(0, DType::kInt32) || !linear(q, DType::kInt32))
    return std::nullopt;
  return c.estimate(node_cost(q), 0.3);
}

}  // namespace

std::span<const KernelFactory> typed_factories() {
  static const std::vector<KernelFactory> list = [] {
    std::vector<KernelFactory> r;
    for (const auto& e : kIntOps) r.push_back(glue<"binary_int", plan_int, 3>("", e.op.data(), match_int));
    for (const auto& e : kCompareOps)
      r.push_back(glue<"compare", plan_compare>("", e.op.data(), match_compare));
    for (const auto& e : kLogicalOps)
      r.push_back(glue<"logical", plan_logical, 3>("", e.op.data(), match_logical));
    r.push_back(glue<"not", plan_not, 1>("", "Not", match_not));
    r.push_back(glue<"where", plan_where, 6>("", "Where", match_where));
    r.push_back(glue<"cast", plan_cast>("", "Cast", match_cast));
    r.push_back(glue<"cast", plan_cast>("", "CastLike", match_cast));
    for (const char* domain : {"", "com.microsoft"}) {
      r.push_back(glue<"quantize_linear", plan_quantizer>(domain, "QuantizeLinear", match_quantize));
      r.push_back(glue<"dequantize_linear", plan_quantizer>(domain, "DequantizeLinear", match_dequantize));
      r.push_back(glue<"dequantize_linear_i32", plan_dequantize_i32>(domain, "DequantizeLinear",
                                                                     match_dequantize_i32));
    }
    return r;
  }();
  return list;
}

}  // namespace skiff::cpu
