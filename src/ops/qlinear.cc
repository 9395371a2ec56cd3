// Operators on quantized integers: QLinearMatMul and com.microsoft's QLinear* family, QGemm, and matrix
// products with packed weights.
#include <limits>

#include "ops/qmatmul.h"
#include "ops/window.h"

namespace skiff {
namespace quant {

MatShape mat_shape(const Dims& a, const Dims& b) {
  check(!a.empty() && !b.empty(), Code::kInvalidModel, "a matrix product takes no scalars");
  Dims l = a, r = b;
  if (a.size() == 1) l.insert(0, 1);
  if (b.size() == 1) r.push_back(1);
  MatShape s;
  s.m = l[l.size() - 2];
  s.k = l.back();
  s.n = r.back();
  if (s.k != r[r.size() - 2])
    fail(Code::kInvalidModel, "shapes ", to_string(a), " and ", to_string(b), " cannot be multiplied");
  s.a_batch = Dims(l.begin(), l.end() - 2);
  s.b_batch = Dims(r.begin(), r.end() - 2);
  s.batch = broadcast(s.a_batch, s.b_batch);
  s.y = s.batch;
  if (a.size() > 1) s.y.push_back(s.m);
  if (b.size() > 1) s.y.push_back(s.n);
  return s;
}

SymShape mat_output(const SymShape& a, const SymShape& b) {
  if (!a.has_rank() || !b.has_rank()) return {};
  check(a.rank() > 0 && b.rank() > 0, Code::kInvalidModel, "a matrix product takes no scalars");
  const Dim &k = a[a.rank() - 1], &l = b[b.rank() == 1 ? 0 : b.rank() - 2];
  if (k.is_const() && l.is_const() && k.value() != l.value())
    fail(Code::kInvalidModel, "shapes ", a.to_string(), " and ", b.to_string(), " cannot be multiplied");
  auto front = [](const SymShape& s) {
    return SymShape(std::vector<Dim>(s.dims().begin(), s.dims().end() - (s.rank() > 1 ? 2 : 1)));
  };
  SymShape y = broadcast(front(a), front(b));
  if (a.rank() > 1) y.dims().push_back(a[a.rank() - 2]);
  if (b.rank() > 1) y.dims().push_back(b[b.rank() - 1]);
  return y;
}

void int_gemm(const int32_t* a, const int32_t* b, int32_t* c, int64_t m, int64_t k, int64_t n) {
  std::vector<uint32_t> row(static_cast<size_t>(n));
  for (int64_t i = 0; i < m; ++i) {
    std::fill(row.begin(), row.end(), 0u);
    for (int64_t p = 0; p < k; ++p) {
      auto v = static_cast<uint32_t>(a[i * k + p]);
      for (int64_t j = 0; j < n; ++j) row[static_cast<size_t>(j)] += v * static_cast<uint32_t>(b[p * n + j]);
    }
    for (int64_t j = 0; j < n; ++j) c[i * n + j] = static_cast<int32_t>(row[static_cast<size_t>(j)]);
  }
}

PerLine::PerLine(const Tensor* t, int64_t lines, const char* what) : lines_(lines) {
  v_ = t && t->size() ? to_floats(*t) : std::vector<float>{0};
  auto n = static_cast<int64_t>(v_.size());
  check(n == 1 || (lines > 0 && n % lines == 0), Code::kInvalidModel, what, " has ", n, " elements for ",
        lines, " rows or columns");
}

namespace {

Cost cost_mat(const CostContext& c, size_t a, size_t b) {
  Cost r;
  double k = static_cast<double>(c.in_dim(a, -1));
  r.flops = 2 * k * c.out_elements(0);
  (void)b;
  for (const Type* t : c.in)
    if (t) r.bytes += c.elements(t) * dtype_bits(t->dtype) / 8;
  r.bytes += c.out_elements(0);
  return r;
}

// ---------------------------------------------------------------- QLinearMatMul

void infer_qlinear_matmul(InferContext& c) { c.set(0, c.dtype(7), mat_output(c.shape(0), c.shape(3))); }

// a - zero point, of any 8-bit type, as double.
void qlinear_matmul_reference(KernelContext& c) {
  const Tensor &a = c.in(0), &b = c.in(3);
  MatShape s = mat_shape(a.dims(), b.dims());
  PerLine as(&c.in(1), s.m, "a_scale"), az(&c.in(2), s.m, "a_zero_point"), bs(&c.in(4), s.n, "b_scale"),
      bz(&c.in(5), s.n, "b_zero_point");
  float y_scale = scale_of(c.in(6));
  DType t = c.in(7).dtype();
  double y_zero = ref::scalar_of(c.in(7), "y_zero_point");
  Tensor& y = c.out(0, t, s.y);
  bool real = dtype_is_float(t);
  Range range = real ? Range{0, 0} : range_of(t);
  std::vector<float> av = to_floats(a), bv = to_floats(b);
  std::vector<double> sums(static_cast<size_t>(s.n));
  for_each_matrix(s, [&](int64_t ia, int64_t ib, int64_t iy) {
    const float *ap = av.data() + ia * s.m * s.k, *bp = bv.data() + ib * s.k * s.n;
    for (int64_t i = 0; i < s.m; ++i) {
      c.poll();
      std::fill(sums.begin(), sums.end(), 0.0);
      for (int64_t p = 0; p < s.k; ++p) {
        float v = ap[i * s.k + p] - az.at(ia, i);
        for (int64_t j = 0; j < s.n; ++j)
          sums[static_cast<size_t>(j)] +=
              static_cast<double>(v) * static_cast<double>(bp[p * s.n + j] - bz.at(ib, j));
      }
      for (int64_t j = 0; j < s.n; ++j) {
        int64_t to = (iy * s.m + i) * s.n + j;
        double sum = sums[static_cast<size_t>(j)];
        float scale = as.at(ia, i) * bs.at(ib, j) / y_scale;
        // Sums of 8-bit products are whole and exact in double; they leave int32 only where int32 wraps.
        if (real)
          set_double(y, to, static_cast<double>(static_cast<float>(sum) * scale) + y_zero);
        else
          set_int(y, to,
                  requantize(static_cast<int32_t>(static_cast<int64_t>(sum)), scale,
                             static_cast<int32_t>(y_zero), range));
      }
    }
  });
}

Cost cost_qlinear_matmul(const CostContext& c) { return cost_mat(c, 0, 3); }

}  // namespace
}  // namespace quant

using namespace quant;  // NOLINT: the entries below name the functions above

SKIFF_OP_DEF(ai_onnx, QLinearMatMul) {
  return {
      .name = "QLinearMatMul",
      .versions = {10, 21},
      .inputs =
          {{"a", rule::kFloat8Types | kInt8Types, '1'},
           {"a_scale", mask_of(DType::kFloat) | mask_of(DType::kFloat16) | mask_of(DType::kBFloat16), 'S'},
           {"a_zero_point", rule::kFloat8Types | kInt8Types, '1'},
           {"b", rule::kFloat8Types | kInt8Types, '2'},
           {"b_scale", mask_of(DType::kFloat) | mask_of(DType::kFloat16) | mask_of(DType::kBFloat16), 'S'},
           {"b_zero_point", rule::kFloat8Types | kInt8Types, '2'},
           {"y_scale", mask_of(DType::kFloat) | mask_of(DType::kFloat16) | mask_of(DType::kBFloat16), 'S'},
           {"y_zero_point", rule::kFloat8Types | kInt8Types, '3'}},
      .outputs = {{"y", rule::kFloat8Types | kInt8Types, '3'}},
      .infer = infer_qlinear_matmul,
      .reference = qlinear_matmul_reference,
      .cost = cost_qlinear_matmul};
}

// ---------------------------------------------------------------- com.microsoft.QGemm

namespace {

constexpr TypeMask kFloat32 = mask_of(DType::kFloat);
constexpr TypeMask kInt32 = mask_of(DType::kInt32);

void infer_qgemm(InferContext& c) {
  bool ta = c.node().attr_i("transA", 0) != 0, tb = c.node().attr_i("transB", 0) != 0;
  c.expect_rank(0, 2);
  c.expect_rank(3, 2);
  SymShape y = SymShape::of_rank(2);
  if (c.has_rank(0)) y[0] = c.shape(0)[ta ? 1 : 0];
  if (c.has_rank(3)) y[1] = c.shape(3)[tb ? 0 : 1];
  c.set(0, c.has(8) ? c.dtype(8) : DType::kFloat, std::move(y));
}

void qgemm_reference(KernelContext& c) {
  const Node& n = c.node();
  ref::expect_rank(c.in(0), 2, "A");
  ref::expect_rank(c.in(3), 2, "B");
  Tensor a = n.attr_i("transA", 0) ? ref::permuted(c.in(0), {1, 0}) : c.in(0);
  bool tb = n.attr_i("transB", 0) != 0;
  Tensor b = tb ? ref::permuted(c.in(3), {1, 0}) : c.in(3);
  MatShape s = mat_shape(a.dims(), b.dims());
  std::vector<int32_t> av = centred(a, c.maybe(2), -1), bv = centred(b, c.maybe(5), 1);
  std::vector<int32_t> sum(static_cast<size_t>(s.m * s.n));
  int_gemm(av.data(), bv.data(), sum.data(), s.m, s.k, s.n);
  if (const Tensor* bias = c.maybe(6)) {
    ref::StridedRuns r = ref::broadcast_runs({s.m, s.n}, {bias->dims()});
    while (r.next())
      for (int64_t i = 0; i < r.n(); ++i) {
        int32_t& v = sum[static_cast<size_t>(r.at(0) + i)];
        v = static_cast<int32_t>(static_cast<uint32_t>(v) +
                                 static_cast<uint32_t>(bias->data<int32_t>()[r.at(1) + i * r.step(1)]));
      }
  }
  PerLine bs(&c.in(4), s.n, "b_scale");
  float base = n.attr_f("alpha", 1) * scale_of(c.in(1));
  bool quantized = c.has(7);
  check(quantized == c.has(8), Code::kInvalidModel, "y_scale and y_zero_point must be given together");
  DType t = quantized ? c.in(8).dtype() : DType::kFloat;
  float y_scale = quantized ? scale_of(c.in(7)) : 1;
  int32_t zero = zero_of(c.maybe(8));
  Range range = quantized ? range_of(t) : Range{0, 0};
  Tensor& y = c.out(0, t, s.y);
  for (int64_t i = 0; i < y.size(); ++i) {
    float scale = base * bs.at(0, i % s.n);
    int32_t v = sum[static_cast<size_t>(i)];
    if (quantized)
      set_int(y, i, requantize(v, scale / y_scale, zero, range));
    else
      y.data<float>()[i] = static_cast<float>(v) * scale;
  }
}

Cost cost_qgemm(const CostContext& c) {
  Cost r = cost_mat(c, 0, 3);
  if (c.node.attr_i("transA", 0)) r.flops = 2 * static_cast<double>(c.in_dim(0, 0)) * c.out_elements(0);
  return r;
}

}  // namespace

SKIFF_OP_DEF(com_microsoft, QGemm) {
  return {.domain = "com.microsoft",
          .name = "QGemm",
          .versions = {1},
          .inputs = {{"A", kInt8Types, 'A'},
                     {"a_scale", kFloat32},
                     {"a_zero_point", kInt8Types, 'A'},
                     {"B", kInt8Types, 'B'},
                     {"b_scale", kFloat32},
                     {"b_zero_point", kInt8Types, 'B'},
                     {"C", kInt32, 0, Arity::kOptional},
                     {"y_scale", kFloat32, 0, Arity::kOptional},
                     {"y_zero_point", kInt8Types, 0, Arity::kOptional}},
          .outputs = {{"Y", kInt8Types | kFloat32}},
          .attributes = {{"alpha", AttrType::kFloat}, {"transA", AttrType::kInt}, {"transB", AttrType::kInt}},
          .infer = infer_qgemm,
          .reference = qgemm_reference,
          .cost = cost_qgemm};
}

// ---------------------------------------------------------------- com.microsoft.QLinearAdd, QLinearMul

namespace {

void infer_qlinear_binary(InferContext& c) { c.set(0, c.dtype(0), broadcast(c.shape(0), c.shape(3))); }

template <bool kMul>
void qlinear_binary_reference(KernelContext& c) {
  const Tensor &a = c.in(0), &b = c.in(3);
  std::vector<int32_t> av = centred(a, c.maybe(2), -1), bv = centred(b, c.maybe(5), -1);
  float sa = scale_of(c.in(1)), sb = scale_of(c.in(4)), sy = scale_of(c.in(6));
  float ra = kMul ? sa * sb / sy : sa / sy, rb = sb / sy;
  int32_t zero = zero_of(c.maybe(7));
  Range range = range_of(a.dtype());
  Tensor& y = c.out(0, a.dtype(), broadcast(a.dims(), b.dims()));
  ref::StridedRuns r = ref::broadcast_runs(y.dims(), {a.dims(), b.dims()});
  while (r.next()) {
    for (int64_t i = 0; i < r.n(); ++i) {
      int32_t p = av[static_cast<size_t>(r.at(1) + i * r.step(1))],
              q = bv[static_cast<size_t>(r.at(2) + i * r.step(2))];
      float v = 0;
      if (kMul) {
        v = static_cast<float>(p * q) * ra;
      } else {
        float l = static_cast<float>(p) * ra, m = static_cast<float>(q) * rb;
        v = l + m;
      }
      set_int(y, r.at(0) + i, to_step(v, zero, range));
    }
  }
}

OpDef qlinear_binary(const char* name, void (*reference)(KernelContext&)) {
  return {.domain = "com.microsoft",
          .name = name,
          .versions = {1},
          .inputs = {{"A", kInt8Types, 'T'},
                     {"A_scale", kFloat32},
                     {"A_zero_point", kInt8Types, 'T', Arity::kOptional},
                     {"B", kInt8Types, 'T'},
                     {"B_scale", kFloat32},
                     {"B_zero_point", kInt8Types, 'T', Arity::kOptional},
                     {"C_scale", kFloat32},
                     {"C_zero_point", kInt8Types, 'T', Arity::kOptional}},
          .outputs = {{"C", kInt8Types, 'T'}},
          .infer = infer_qlinear_binary,
          .reference = reference,
          .flags = kElementwise};
}

}  // namespace

SKIFF_OP_DEF(com_microsoft, QLinearAdd) {
  return qlinear_binary("QLinearAdd", qlinear_binary_reference<false>);
}
SKIFF_OP_DEF(com_microsoft, QLinearMul) {
  return qlinear_binary("QLinearMul", qlinear_binary_reference<true>);
}

// ---------------------------------------------------------------- com.microsoft.QLinear(Global)AveragePool

namespace {

// The float node of the same name, for its shape rule.
Type float_rule(const Node& node, const char* op, Type x, bool channels_last) {
  auto permute = [&](SymShape& s, bool first) {
    if (!channels_last || !s.has_rank() || s.rank() < 3) return;
    std::vector<Dim> d = s.dims();
    if (first)
      std::rotate(d.begin() + 1, d.end() - 1, d.end());
    else
      std::rotate(d.begin() + 1, d.begin() + 2, d.end());
    s = SymShape(std::move(d));
  };
  Node n = node;
  n.domain.clear();
  n.op = op;
  n.opset = kNewestOpset;
  n.def = find_op("", op);
  permute(x.shape, true);
  InputInfo in{&x, nullptr, nullptr};
  OutputInfo out;
  InferContext c(n, {&in, 1}, {&out, 1});
  n.def->infer(c);
  permute(out.type.shape, false);
  return out.type;
}

void infer_qpool(InferContext& c) {
  const char* op = c.node().op == "QLinearAveragePool" ? "AveragePool" : "GlobalAveragePool";
  c.set(0, float_rule(c.node(), op, c.type(0), c.node().attr_i("channels_last", 0) != 0));
}

std::vector<size_t> channels_perm(size_t rank, bool first) {
  std::vector<size_t> p{0};
  if (first) p.push_back(rank - 1);
  for (size_t i = first ? 1 : 2; i < rank - (first ? 1 : 0); ++i) p.push_back(i);
  if (!first) p.push_back(1);
  return p;
}

// The mean of the integers in a window, rescaled: round(sum * (x_scale / (y_scale * count))) + y_zero.
void qpool_reference(KernelContext& c) {
  const Node& n = c.node();
  bool global = n.op == "QLinearGlobalAveragePool", last = n.attr_i("channels_last", 0) != 0;
  ref::expect_rank(c.in(0), 3, "X", true);
  size_t rank = c.in(0).dims().size();
  Tensor x = last ? ref::permuted(c.in(0), channels_perm(rank, true)) : c.in(0);
  Type yt = float_rule(n, global ? "GlobalAveragePool" : "AveragePool",
                       Type::tensor(x.dtype(), SymShape(x.dims())), false);
  Dims yd = yt.shape.to_dims();
  std::vector<int64_t> in = spatial_of(x.dims()), out = spatial_of(yd);
  Window w;
  if (global) {
    w.kernel = in;
    w.stride = w.dilation = std::vector<int64_t>(in.size(), 1);
    w.begin = w.end = std::vector<int64_t>(in.size(), 0);
  } else {
    w = window_of(n, in.size(), {});
    w.resolve(in);
  }
  bool include_pad = n.attr_i("count_include_pad", 0) != 0;
  std::vector<int32_t> v = centred(x, c.maybe(2), -1);
  float ratio_x = scale_of(c.in(1)), ratio_y = scale_of(c.in(3));
  int32_t zero = zero_of(c.maybe(4));
  Range range = range_of(x.dtype());
  Tensor y(x.dtype(), yd);
  int64_t planes = x.dim(0) * x.dim(1), in_size = ref::count_of(x.dims(), 2, x.rank());
  int64_t out_size = ref::count_of(yd, 2, y.rank());
  for (int64_t p = 0; p < planes; ++p) {
    c.poll();
    std::vector<int64_t> o(in.size(), 0);
    for (int64_t i = 0; i < out_size; ++i, next_index(o, out)) {
      int64_t sum = 0, count = 0;
      std::vector<int64_t> k(in.size(), 0);
      do {
        int64_t at = 0;
        bool inside = true, padded = true;
        for (size_t a = 0; a < in.size(); ++a) {
          int64_t pos = o[a] * w.stride[a] - w.begin[a] + k[a] * w.dilation[a];
          inside = inside && pos >= 0 && pos < in[a];
          padded = padded && pos < in[a] + w.end[a];
          at = at * in[a] + pos;
        }
        if (inside) sum += v[static_cast<size_t>(p * in_size + at)];
        count += inside || (include_pad && padded);
      } while (next_index(k, w.kernel));
      float scale = ratio_x / (ratio_y * static_cast<float>(std::max<int64_t>(count, 1)));
      set_int(y, p * out_size + i, requantize(static_cast<int32_t>(sum), scale, zero, range));
    }
  }
  if (last) y = ref::permuted(y, channels_perm(rank, false));
  c.set_out(0, std::move(y));
}

// Inputs of the operators with one quantized input and output.
std::vector<Formal> unary_inputs() {
  return {{"X", kInt8Types, 'T'},
          {"X_scale", kFloat32},
          {"X_zero_point", kInt8Types, 'T', Arity::kOptional},
          {"Y_scale", kFloat32},
          {"Y_zero_point", kInt8Types, 'T', Arity::kOptional}};
}

OpDef qlinear_unary(const char* name, std::vector<AttrDef> attributes, void (*infer)(InferContext&),
                    void (*reference)(KernelContext&)) {
  return {.domain = "com.microsoft",
          .name = name,
          .versions = {1},
          .inputs = unary_inputs(),
          .outputs = {{"Y", kInt8Types, 'T'}},
          .attributes = std::move(attributes),
          .infer = infer,
          .reference = reference};
}

}  // namespace

SKIFF_OP_DEF(com_microsoft, QLinearAveragePool) {
  return qlinear_unary("QLinearAveragePool",
                       {{"auto_pad", AttrType::kString},
                        {"ceil_mode", AttrType::kInt},
                        {"channels_last", AttrType::kInt},
                        {"count_include_pad", AttrType::kInt},
                        {"kernel_shape", AttrType::kInts, true},
                        {"pads", AttrType::kInts},
                        {"strides", AttrType::kInts}},
                       infer_qpool, qpool_reference);
}

SKIFF_OP_DEF(com_microsoft, QLinearGlobalAveragePool) {
  return qlinear_unary("QLinearGlobalAveragePool", {{"channels_last", AttrType::kInt}}, infer_qpool,
                       qpool_reference);
}

// ---------------------------------------------------------------- com.microsoft.QLinearSigmoid,
// QLinearLeakyRelu

namespace {

// f over dequantized values; the 256 results are worked out once.
template <class F>
void by_table(KernelContext& c, F&& f) {
  const Tensor& x = c.in(0);
  float sx = scale_of(c.in(1)), sy = scale_of(c.in(3));
  int32_t zx = zero_of(c.maybe(2)), zy = zero_of(c.maybe(4));
  Range range = range_of(x.dtype());
  uint8_t table[256];
  for (int32_t q = range.lo; q <= range.hi; ++q) {
    float v = f(static_cast<float>(q - zx) * sx) / sy;
    table[static_cast<uint8_t>(q)] = static_cast<uint8_t>(to_step(v, zy, range));
  }
  Tensor& y = c.out(0, x.dtype(), x.dims());
  for (int64_t i = 0; i < x.size(); ++i) y.data<uint8_t>()[i] = table[x.data<uint8_t>()[i]];
}

void qsigmoid_reference(KernelContext& c) {
  by_table(c, [](float v) { return static_cast<float>(1 / (1 + std::exp(-static_cast<double>(v)))); });
}
void qleaky_relu_reference(KernelContext& c) {
  float alpha = c.node().attr_f("alpha", 0.01f);
  by_table(c, [alpha](float v) { return v >= 0 ? v : alpha * v; });
}

}  // namespace

SKIFF_OP_DEF(com_microsoft, QLinearSigmoid) {
  return qlinear_unary("QLinearSigmoid", {}, infer_same, qsigmoid_reference);
}
SKIFF_OP_DEF(com_microsoft, QLinearLeakyRelu) {
  return qlinear_unary("QLinearLeakyRelu", {{"alpha", AttrType::kFloat}}, infer_same, qleaky_relu_reference);
}

// ---------------------------------------------------------------- com.microsoft.QLinearSoftmax

namespace {

void qsoftmax_reference(KernelContext& c) {
  const Node& n = c.node();
  const Tensor& x = c.in(0);
  auto rank = static_cast<int64_t>(x.dims().size());
  auto axis = static_cast<int64_t>(rule::axis(n.attr_i("axis", -1), x.dims().size()));
  int64_t outer = ref::count_of(x.dims(), 0, axis), len = x.dim(axis),
          inner = ref::count_of(x.dims(), axis + 1, rank);
  // Before opset 13 the input is a matrix split at the axis.
  if (n.attr_i("opset", 13) < 13) {
    len *= inner;
    inner = 1;
  }
  float sx = scale_of(c.in(1)), sy = scale_of(c.in(3));
  int32_t zy = zero_of(c.maybe(4));
  Range range = range_of(x.dtype());
  std::vector<int32_t> v = centred(x, nullptr, -1);
  Tensor& y = c.out(0, x.dtype(), x.dims());
  for (int64_t o = 0; o < outer && len > 0; ++o) {
    for (int64_t i = 0; i < inner; ++i) {
      auto at = [&](int64_t k) { return (o * len + k) * inner + i; };
      int32_t max = v[static_cast<size_t>(at(0))];
      for (int64_t k = 1; k < len; ++k) max = std::max(max, v[static_cast<size_t>(at(k))]);
      auto e = [&](int64_t k) {
        return std::exp(static_cast<double>(v[static_cast<size_t>(at(k))] - max) * static_cast<double>(sx));
      };
      double sum = 0;
      for (int64_t k = 0; k < len; ++k) sum += e(k);
      for (int64_t k = 0; k < len; ++k)
        set_int(y, at(k), to_step(static_cast<float>(e(k) / sum / static_cast<double>(sy)), zy, range));
    }
  }
}

}  // namespace

SKIFF_OP_DEF(com_microsoft, QLinearSoftmax) {
  return qlinear_unary("QLinearSoftmax", {{"axis", AttrType::kInt}, {"opset", AttrType::kInt}}, infer_same,
                       qsoftmax_reference);
}

// ---------------------------------------------------------------- com.microsoft.QLinearConcat, QLinearWhere

namespace {

// A value of another scale as a step of the output's.
int32_t rescale(int32_t centred_value, float sx, float sy, int32_t zero, Range r) {
  return to_step(static_cast<float>(centred_value) * sx / sy, zero, r);
}

void infer_qconcat(InferContext& c) {
  check(c.inputs() >= 5 && (c.inputs() - 2) % 3 == 0, Code::kInvalidModel,
        "the inputs are y_scale, y_zero_point and (tensor, scale, zero point) for each part; there are ",
        c.inputs());
  SymShape y = c.shape(2);
  if (!y.has_rank()) return c.set(0, c.dtype(1));
  size_t a = rule::axis(c.node().attr_i("axis", 0), y.rank());
  for (size_t i = 5; i < c.inputs(); i += 3) {
    if (!c.has_rank(i)) return c.set(0, c.dtype(1), SymShape::of_rank(y.rank()));
    c.expect_rank(i, y.rank());
    y[a] = y[a] + c.shape(i)[a];
  }
  c.set(0, c.dtype(1), std::move(y));
}

void qconcat_reference(KernelContext& c) {
  check(c.inputs() >= 5 && (c.inputs() - 2) % 3 == 0, Code::kInvalidModel, "wrong number of inputs");
  float sy = scale_of(c.in(0));
  int32_t zy = zero_of(&c.in(1));
  DType t = c.in(1).dtype();
  Range range = range_of(t);
  Dims d = c.in(2).dims();
  auto axis = static_cast<int64_t>(rule::axis(c.node().attr_i("axis", 0), d.size()));
  auto a = static_cast<size_t>(axis);
  for (size_t i = 5; i < c.inputs(); i += 3) {
    Dims e = c.in(i).dims();
    check(e.size() == d.size(), Code::kInvalidModel, "the parts differ in rank");
    int64_t sum = d[a] + e[a];
    d[a] = e[a];
    check(d == e, Code::kInvalidModel, "the parts differ along other axes than ", axis);
    d[a] = sum;
  }
  Tensor& y = c.out(0, t, d);
  int64_t outer = ref::count_of(d, 0, axis), row = ref::count_of(d, axis, y.rank()), at = 0;
  for (size_t i = 2; i < c.inputs(); i += 3) {
    const Tensor& x = c.in(i);
    float sx = scale_of(c.in(i + 1));
    int32_t zx = zero_of(c.maybe(i + 2));
    int64_t n = ref::count_of(x.dims(), axis, x.rank());
    for (int64_t o = 0; o < outer; ++o)
      for (int64_t k = 0; k < n; ++k)
        set_int(y, o * row + at + k,
                rescale(static_cast<int32_t>(get_int(x, o * n + k)) - zx, sx, sy, zy, range));
    at += n;
  }
}

void infer_qwhere(InferContext& c) {
  c.set(0, c.dtype(1), broadcast(broadcast(c.shape(0), c.shape(1)), c.shape(4)));
}

void qwhere_reference(KernelContext& c) {
  const Tensor &cond = c.in(0), &a = c.in(1), &b = c.in(4);
  float sa = scale_of(c.in(2)), sb = scale_of(c.in(5)), sy = scale_of(c.in(7));
  int32_t za = zero_of(c.maybe(3)), zb = zero_of(c.maybe(6)), zy = zero_of(c.maybe(8));
  Range range = range_of(a.dtype());
  Tensor& y = c.out(0, a.dtype(), broadcast(broadcast(cond.dims(), a.dims()), b.dims()));
  ref::StridedRuns r = ref::broadcast_runs(y.dims(), {cond.dims(), a.dims(), b.dims()});
  while (r.next()) {
    for (int64_t i = 0; i < r.n(); ++i) {
      bool first = get_int(cond, r.at(1) + i * r.step(1)) != 0;
      auto q = static_cast<int32_t>(first ? get_int(a, r.at(2) + i * r.step(2)) - za
                                          : get_int(b, r.at(3) + i * r.step(3)) - zb);
      set_int(y, r.at(0) + i, rescale(q, first ? sa : sb, sy, zy, range));
    }
  }
}

}  // namespace

SKIFF_OP_DEF(com_microsoft, QLinearConcat) {
  return {.domain = "com.microsoft",
          .name = "QLinearConcat",
          .versions = {1},
          .inputs = {{"Y_scale", kFloat32},
                     {"Y_zero_point", kInt8Types},
                     {"inputs", kInt8Types | kFloat32, 0, Arity::kVariadic}},
          .outputs = {{"Y", kInt8Types}},
          .attributes = {{"axis", AttrType::kInt, true}},
          .infer = infer_qconcat,
          .reference = qconcat_reference};
}

SKIFF_OP_DEF(com_microsoft, QLinearWhere) {
  return {.domain = "com.microsoft",
          .name = "QLinearWhere",
          .versions = {1},
          .inputs = {{"condition", kBoolType},
                     {"X", kInt8Types, 'T'},
                     {"x_scale", kFloat32},
                     {"x_zero_point", kInt8Types, 'T'},
                     {"Y", kInt8Types, 'T'},
                     {"y_scale", kFloat32},
                     {"y_zero_point", kInt8Types, 'T'},
                     {"z_scale", kFloat32},
                     {"z_zero_point", kInt8Types, 'T'}},
          .outputs = {{"Z", kInt8Types, 'T'}},
          .infer = infer_qwhere,
          .reference = qwhere_reference};
}

}  // namespace skiff
