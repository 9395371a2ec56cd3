// Matrix products of 8-bit weights with activations whose scale is known at run time: MatMulInteger,
// MatMulIntegerToFloat, DynamicQuantizeMatMul; and DynamicQuantizeLinear.
#include <cmath>

#include "device/cpu/glue_epilogue.h"
#include "device/cpu/glue_int8.h"
#include "device/cpu/kernels/convert/convert.h"
#include "ops/quantize.h"

namespace skiff::cpu {
namespace {

// Scale and zero point that put the range of x and 0 on 0..255; `flat`: the scale of a range of nothing.
TensorScale range_scale(const CpuContext& c, const float* x, int64_t n, float flat) {
  float low = 0, high = 0;
  c.k->int8->range(x, n, &low, &high);
  TensorScale s;
  s.scale = high > low ? (high - low) / 255.0F : flat;
  if (s.scale != 0) s.zero = quant::to_step(std::clamp(0.0F - low / s.scale, 0.0F, 255.0F), 0, {0, 255});
  return s;
}

void quantize(const CpuContext& c, const float* x, int64_t n, const TensorScale& s, uint8_t* y) {
  if (s.scale == 0) {
    std::memset(y, s.zero, static_cast<size_t>(n));
    return;
  }
  const auto zero = static_cast<uint8_t>(s.zero);
  QuantParams p{};
  p.x = x;
  p.y = y;
  p.scale = &s.scale;
  p.zero_point = &zero;
  p.outer = 1;
  p.channels = 1;
  p.inner = n;
  each(c, divide(c, n, static_cast<double>(n) * 0.15e-9, 4096),
       [&](int64_t b, int64_t e) { c.k->convert->quantize(p, b, e); });
}

std::unique_ptr<BoundKernel> plan_dynamic_quantize(const PlanArgs& p) {
  const CpuContext& c = p.c;
  const int64_t n = element_count(p.x());
  return bound([&c, n](const RunArgs& a) {
    const float* x = in_floats(a, 0);
    const TensorScale s = range_scale(c, x, n, 0);
    quantize(c, x, n, s, static_cast<uint8_t*>(a.out[0]->tensor().raw()));
    if (a.out.size() > 1 && a.out[1]) *a.out[1]->tensor().data<float>() = s.scale;
    if (a.out.size() > 2 && a.out[2]) *a.out[2]->tensor().data<uint8_t>() = static_cast<uint8_t>(s.zero);
  });
}
std::optional<double> match_dynamic_quantize(const NodeQuery& q, const CpuContext& c) {
  return q.in_dtype(0, DType::kFloat) ? std::optional(moves_seconds(q, c)) : std::nullopt;
}

// ---------------------------------------------------------------- products

constexpr size_t kNone = 99;
struct Roles {
  size_t a_scale, a_zero, b_scale, b_zero, bias;
};
Roles roles_of(const Node& n) {
  if (n.op == "MatMulIntegerToFloat") return {2, 4, 3, 5, 6};
  if (n.op == "DynamicQuantizeMatMul") return {kNone, kNone, 2, 3, 4};
  return {kNone, 2, kNone, 3, kNone};
}

struct BoundDynamic : BoundKernel {
  const CpuContext* c = nullptr;
  const PackedProduct* packed = nullptr;
  const int32_t* start_step = nullptr;  // how the start of each sum grows with the zero point
  const float* b_scale = nullptr;       // per column
  QGemm gemm;
  TaskSplit split;
  Roles roles{};
  size_t scratch = 0, a_bytes = 0, column_bytes = 0;

  size_t workspace() const override {
    return a_bytes + 2 * column_bytes + scratch * static_cast<size_t>(split.tasks());
  }
  static const Tensor* given(const RunArgs& a, size_t i) {
    return i < a.in.size() && a.in[i] ? &a.in[i]->tensor() : nullptr;
  }
  void run(const RunArgs& a) override {
    if (gemm.m == 0 || gemm.n == 0) return;
    char* ws = static_cast<char*>(a.workspace);
    QGemm g = gemm;
    TensorScale s;
    if (a_bytes) {
      const float* x = in_floats(a, 0);
      auto* q = reinterpret_cast<uint8_t*>(ws);
      s = range_scale(*c, x, g.m * g.k, 1);
      quantize(*c, x, g.m * g.k, s, q);
      g.rows.x = q;
    } else {
      g.rows.x = static_cast<const uint8_t*>(a.in[0]->tensor().raw());
      if (const Tensor* t = given(a, roles.a_scale)) s.scale = *t->data<float>();
      if (const Tensor* t = given(a, roles.a_zero)) s.zero = static_cast<int32_t>(get_int(*t, 0));
    }
    g.rows.zero = s.zero;
    packed->into(g, 0);
    auto* start = reinterpret_cast<int32_t*>(ws + a_bytes);
    auto* scale = reinterpret_cast<float*>(ws + a_bytes + column_bytes);
    for (int64_t j = 0; j < packed->columns; ++j) {
      start[j] = static_cast<int32_t>(static_cast<uint32_t>(g.store.bias[j]) +
                                      static_cast<uint32_t>(s.zero) * static_cast<uint32_t>(start_step[j]));
      scale[j] = s.scale * b_scale[j];
    }
    g.store.bias = start;
    g.store.scale = scale;
    if (const Tensor* t = given(a, roles.bias)) g.store.float_bias = t->data<float>();
    g.c = a.out[0]->tensor().raw();
    run_tasks(c->pool, split.tasks(), 1, [&](int64_t t) {
      const int64_t m = t / split.n_tasks * split.m_step, n = t % split.n_tasks * split.n_step;
      c->k->int8->run(g, m, std::min(g.m, m + split.m_step), n, std::min(g.n, n + split.n_step),
                      ws + a_bytes + 2 * column_bytes + scratch * static_cast<size_t>(t));
    });
  }
};

class DynamicKernel : public Kernel {
 public:
  DynamicKernel(const NodeQuery& q, const CpuContext& c) : c_(c), roles_(roles_of(q.node)) {
    const Tensor& b = *q.constant(1);
    packed_.k = b.dim(0);
    packed_.n = b.dim(1);
    from_floats_ = q.in_dtype(0, DType::kFloat);
    integers_ = q.node.op == "MatMulInteger";
    x_signed_ = q.in_dtype(0, DType::kInt8);
    ProductConstants k;
    const Tensor *s = q.constant(roles_.b_scale), *z = q.constant(roles_.b_zero);
    const auto n = static_cast<size_t>(packed_.n);
    for (size_t j = 0; j < n; ++j) k.scale.push_back(s ? s->data<float>()[s->size() == 1 ? 0 : j] : 1);
    for (int64_t j = 0; z && j < z->size(); ++j) k.w_zero.push_back(static_cast<int32_t>(get_int(*z, j)));
    if (k.w_zero.empty()) k.w_zero.push_back(0);
    const std::vector<uint8_t> turned = columns_first(b, false);
    const bool b_signed = b.dtype() == DType::kInt8;
    packed_.pack(c, turned.data(), b_signed, x_signed_, k, false);
    // prepare_bias is linear in the zero point.
    QWeights w;
    w.k = packed_.k;
    w.n = packed_.n;
    w.data = turned.data();
    w.k_stride = 1;
    w.n_stride = w.k;
    w.is_signed = b_signed;
    w.zero = k.w_zero.data();
    w.zeros = static_cast<int64_t>(k.w_zero.size());
    std::vector<int32_t> one(n);
    c.k->int8->prepare_bias(w, 1, x_signed_, nullptr, one.data());
    step_.assign(static_cast<size_t>(packed_.columns), 0);
    for (size_t j = 0; j < n; ++j) {
      const auto at_zero = static_cast<uint32_t>(packed_.start.data<int32_t>()[j]);
      step_[j] = static_cast<int32_t>(static_cast<uint32_t>(one[j]) - at_zero);
    }
  }
  std::string_view name() const override {
    return from_floats_ ? "matmul_dynamic_int8" : "matmul_int8_float";
  }
  bool consumes(size_t i) const override { return i == 1; }
  size_t packed_bytes() const override { return packed_.bytes(); }
  std::unique_ptr<BoundKernel> bind(std::span<const TensorDesc> in,
                                    std::span<const TensorDesc> out) override {
    Dims y = in[0].dims;
    check(!y.empty() && y.back() == packed_.k, Code::kInvalidModel, "A of shape ", to_string(y),
          " must end in ", packed_.k);
    y.back() = packed_.n;
    check(out[0].dims == y, Code::kInvalidModel, "the result is ", to_string(y), ", not the planned ",
          to_string(out[0].dims));
    for (size_t i : {roles_.a_scale, roles_.a_zero})
      check(i >= in.size() || in[i].dtype == DType::kUndefined || element_count(in[i].dims) == 1,
            Code::kUnsupported, "a scale or zero point for each row of A");
    check(roles_.bias >= in.size() || in[roles_.bias].dtype == DType::kUndefined ||
              element_count(in[roles_.bias].dims) == packed_.n,
          Code::kInvalidModel, "bias must have ", packed_.n, " elements");
    auto b = std::make_unique<BoundDynamic>();
    b->c = &c_;
    b->packed = &packed_;
    b->start_step = step_.data();
    b->b_scale = packed_.scale.data<float>();
    b->roles = roles_;
    QGemm& g = b->gemm;
    g.rows.is_signed = x_signed_;
    g.rows.direct = true;
    g.rows.pixel = g.rows.channels = g.k = packed_.k;
    g.m = element_count(in[0].dims) / packed_.k;
    g.n = g.ldc = packed_.n;
    g.store.out = integers_ ? QOut::kInt : QOut::kFloat;
    b->split = split_product(c_, g.m, g.n, g.k, 1);
    b->scratch = align_up(c_.k->int8->scratch_bytes(g));
    b->a_bytes = from_floats_ ? align_up(static_cast<size_t>(g.m * g.k)) : 0;
    b->column_bytes = align_up(static_cast<size_t>(packed_.columns) * 4);
    return b;
  }

 private:
  const CpuContext& c_;
  Roles roles_;
  bool from_floats_ = false, integers_ = false, x_signed_ = false;
  PackedProduct packed_;
  std::vector<int32_t> step_;
};

std::optional<double> match_dynamic(const NodeQuery& q, const CpuContext& c) {
  const Roles r = roles_of(q.node);
  const Tensor* b = q.constant(1);
  if (!b || b->rank() != 2 || b->size() == 0 || !is_8bit(b->dtype()) || in_rank(q, 0) < 1)
    return std::nullopt;
  if (!q.in_dtype(0, q.node.op == "DynamicQuantizeMatMul" ? DType::kFloat : DType::kUint8) &&
      (q.node.op == "DynamicQuantizeMatMul" || !q.in_dtype(0, DType::kInt8)))
    return std::nullopt;
  auto constant_columns = [&](size_t i) {
    if (i >= q.in.size() || !q.in[i]) return true;
    const Tensor* t = q.constant(i);
    return t && (t->size() == 1 || t->size() == b->dim(1));
  };
  auto one = [&](size_t i) {  // a scalar, as far as is known
    if (i >= q.in.size() || !q.in[i]) return true;
    const Type& t = *q.in[i];
    return t.is_tensor() && t.shape.has_rank() &&
           (t.shape.rank() == 0 || (t.shape.rank() == 1 && t.shape[0].is(1)));
  };
  if (!constant_columns(r.b_scale) || !constant_columns(r.b_zero) || !one(r.a_scale) || !one(r.a_zero))
    return std::nullopt;
  Cost cost;
  cost.flops = 2 * static_cast<double>(b->dim(0)) * CostContext{q.node, q.in, q.out}.out_elements(0) /
               c.k->int8->products;
  cost.bytes = static_cast<double>(b->size());
  return c.estimate(cost, 0.5);
}

constexpr KernelFactory dynamic_factory(const char* domain, const char* op, const char* kernel) {
  return {domain, op, kernel, match_dynamic,
          [](const NodeQuery& q, const CpuContext& c) -> std::unique_ptr<Kernel> {
            return std::make_unique<DynamicKernel>(q, c);
          }};
}

}  // namespace

std::span<const KernelFactory> dynamic_factories() {
  static const KernelFactory list[] = {
      glue<"dynamic_quantize", plan_dynamic_quantize>("", "DynamicQuantizeLinear", match_dynamic_quantize),
      dynamic_factory("", "MatMulInteger", "matmul_int8_float"),
      dynamic_factory("com.microsoft", "MatMulIntegerToFloat", "matmul_int8_float"),
      dynamic_factory("com.microsoft", "DynamicQuantizeMatMul", "matmul_dynamic_int8"),
  };
  return list;
}

}  // namespace skiff::cpu
