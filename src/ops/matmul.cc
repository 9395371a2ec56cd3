// Matrix products: MatMul, MatMulInteger, Gemm, skiff.MatMul; Det and Inverse.
#include <algorithm>
#include <cmath>

#include "ops/elementwise_fns.h"
#include "ops/ref_matmul.h"
#include "ops/rule_util.h"

namespace skiff {

// ---------------------------------------------------------------- shapes

ref::MatMulPlan ref::plan_matmul(const Dims& a, const Dims& b, bool trans_a, bool trans_b) {
  check(!a.empty() && !b.empty(), Code::kInvalidModel, "a matrix product takes no scalars: ", to_string(a),
        " times ", to_string(b));
  MatMulPlan p;
  Dims as = strides_of(a), bs = strides_of(b);
  size_t ra = a.size(), rb = b.size();
  bool va = ra == 1, vb = rb == 1;
  trans_a = trans_a && !va;
  trans_b = trans_b && !vb;
  size_t a_row = trans_a ? ra - 1 : ra - 2, a_col = trans_a ? ra - 2 : ra - 1;
  size_t b_row = trans_b ? rb - 1 : rb - 2, b_col = trans_b ? rb - 2 : rb - 1;
  p.m = va ? 1 : a[a_row];
  p.k = va ? a[0] : a[a_col];
  p.n = vb ? 1 : b[b_col];
  int64_t kb = vb ? b[0] : b[b_row];
  check(p.k == kb, Code::kInvalidModel, "cannot multiply ", to_string(a), " by ", to_string(b), ": ", p.k,
        " columns meet ", kb, " rows");
  p.a_row = va ? 0 : as[a_row];
  p.a_col = va ? 1 : as[a_col];
  p.b_row = vb ? 1 : bs[b_row];
  p.b_col = vb ? 0 : bs[b_col];
  Dims ab(a.begin(), va ? a.begin() : a.end() - 2), bb(b.begin(), vb ? b.begin() : b.end() - 2);
  p.batch = broadcast(ab, bb);
  auto batch_strides = [&p](const Dims& own, const Dims& strides) {
    Dims s(p.batch.size());
    size_t off = p.batch.size() - own.size();
    for (size_t i = 0; i < own.size(); ++i) s[off + i] = own[i] == 1 ? 0 : strides[i];
    return s;
  };
  p.a_batch = batch_strides(ab, as);
  p.b_batch = batch_strides(bb, bs);
  p.out = p.batch;
  if (!va) p.out.push_back(p.m);
  if (!vb) p.out.push_back(p.n);
  return p;
}

SymShape rule::matmul_shape(SymShape a, SymShape b, bool trans_a, bool trans_b) {
  if (!a.has_rank() || !b.has_rank()) return {};
  check(a.rank() > 0 && b.rank() > 0, Code::kInvalidModel,
        "a matrix product takes no scalars: ", a.to_string(), " times ", b.to_string());
  bool va = a.rank() == 1, vb = b.rank() == 1;
  if (trans_a && !va) std::swap(a[a.rank() - 1], a[a.rank() - 2]);
  if (trans_b && !vb) std::swap(b[b.rank() - 1], b[b.rank() - 2]);
  const Dim& ka = a[a.rank() - 1];
  const Dim& kb = vb ? b[0] : b[b.rank() - 2];
  check(!ka.is_const() || !kb.is_const() || ka == kb, Code::kInvalidModel, "cannot multiply ", a.to_string(),
        " by ", b.to_string(), ": ", ka.to_string(), " columns meet ", kb.to_string(), " rows");
  const auto &ad = a.dims(), &bd = b.dims();
  SymShape batch = broadcast(SymShape(std::vector<Dim>(ad.begin(), va ? ad.begin() : ad.end() - 2)),
                             SymShape(std::vector<Dim>(bd.begin(), vb ? bd.begin() : bd.end() - 2)));
  std::vector<Dim> d = batch.dims();
  if (!va) d.push_back(ad[ad.size() - 2]);
  if (!vb) d.push_back(bd.back());
  return SymShape(std::move(d));
}

namespace {

using ref::MatView;

bool is_int(DType t) { return dtype_is_integer(t); }

Cost product_cost(const CostContext& c, double k) {
  Cost r;
  r.flops = 2 * c.out_elements(0) * k;
  for (const Type* t : c.in)
    if (t) r.bytes += c.elements(t) * dtype_bits(t->dtype) / 8;
  if (!c.out.empty() && c.out[0]) r.bytes += c.out_elements(0) * dtype_bits(c.out[0]->dtype) / 8;
  return r;
}

// ---------------------------------------------------------------- MatMul, MatMulInteger

template <class W>
void matmul_into(const ref::MatMulPlan& p, const Tensor& a, const Tensor& b, Tensor& y,
                 const std::vector<W>& a_zero = {}, const std::vector<W>& b_zero = {}) {
  ref::for_batches(p, [&](int64_t i, int64_t fa, int64_t fb) {
    ref::multiply<W>({&a, fa, p.a_row, p.a_col}, {&b, fb, p.b_row, p.b_col}, p.m, p.k, p.n, a_zero, b_zero,
                     [&](int64_t r, int64_t j, const W* acc, int64_t n) {
                       ref::store(y, (i * p.m + r) * p.n + j, n, acc);
                     });
  });
}

void matmul_reference(KernelContext& c) {
  const Tensor &a = c.in(0), &b = c.in(1);
  ref::MatMulPlan p = ref::plan_matmul(a.dims(), b.dims());
  Tensor& y = c.out(0, a.dtype(), p.out);
  is_int(a.dtype()) ? matmul_into<int64_t>(p, a, b, y) : matmul_into<double>(p, a, b, y);
}

// Zero points: absent, one, or one per row of A (column of B); per-matrix batches take one value each and
// are equal to the 1-D form when the batch is one.
std::vector<int64_t> zero_points(const Tensor* t, int64_t count, const char* name) {
  if (!t) return {};
  check(t->size() == 1 || t->size() == count, Code::kInvalidModel, "input '", name, "' has ", t->size(),
        " elements; it must have 1 or ", count);
  return to_ints(*t);
}

void matmul_integer_reference(KernelContext& c) {
  const Tensor &a = c.in(0), &b = c.in(1);
  ref::MatMulPlan p = ref::plan_matmul(a.dims(), b.dims());
  Tensor& y = c.out(0, DType::kInt32, p.out);
  matmul_into<int64_t>(p, a, b, y, zero_points(c.maybe(2), p.m, "a_zero_point"),
                       zero_points(c.maybe(3), p.n, "b_zero_point"));
}

// ---------------------------------------------------------------- Gemm

void infer_gemm(InferContext& c) {
  c.expect_rank(0, 2);
  c.expect_rank(1, 2);
  SymShape a = c.has_rank(0) ? c.shape(0) : SymShape::of_rank(2);
  SymShape b = c.has_rank(1) ? c.shape(1) : SymShape::of_rank(2);
  c.set(0, c.dtype(0),
        rule::matmul_shape(a, b, c.node().attr_i("transA", 0) != 0, c.node().attr_i("transB", 0) != 0));
}

void gemm_reference(KernelContext& c) {
  const Tensor &a = c.in(0), &b = c.in(1);
  check(a.rank() == 2 && b.rank() == 2, Code::kInvalidModel, "Gemm needs matrices, it got ", describe(a),
        " and ", describe(b));
  ref::MatMulPlan p = ref::plan_matmul(a.dims(), b.dims(), c.node().attr_i("transA", 0) != 0,
                                       c.node().attr_i("transB", 0) != 0);
  const Tensor* bias = c.maybe(2);
  Dims bs = bias ? ref::broadcast_strides(bias->dims(), p.out) : Dims(2);
  double alpha = c.node().attr_f("alpha", 1), beta = c.node().attr_f("beta", 1);
  Tensor& y = c.out(0, a.dtype(), p.out);
  MatView va{&a, 0, p.a_row, p.a_col}, vb{&b, 0, p.b_row, p.b_col};
  double buffer[ref::kBlock];
  if (is_int(a.dtype()) && alpha == 1 && beta == 1) {
    int64_t ints[ref::kBlock];
    ref::multiply<int64_t>(va, vb, p.m, p.k, p.n, {}, {}, [&](int64_t i, int64_t j, int64_t* acc, int64_t n) {
      if (bias) {
        ref::load(*bias, i * bs[0] + j * bs[1], bs[1], n, ints);
        ref::multiply_add(acc, 1, ints, n);
      }
      ref::store(y, i * p.n + j, n, acc);
    });
    return;
  }
  ref::multiply<double>(va, vb, p.m, p.k, p.n, {}, {}, [&](int64_t i, int64_t j, double* acc, int64_t n) {
    if (bias) ref::load(*bias, i * bs[0] + j * bs[1], bs[1], n, buffer);
    for (int64_t q = 0; q < n; ++q) acc[q] = alpha * acc[q] + (bias ? beta * buffer[q] : 0);
    ref::store(y, i * p.n + j, n, acc);
  });
}

// ---------------------------------------------------------------- skiff.MatMul

void infer_fused(InferContext& c) {
  const Node& n = c.node();
  ref::check_activation(n.attr_s("activation", ""));
  c.set(0, c.dtype(0),
        rule::matmul_shape(c.shape(0), c.shape(1), n.attr_i("trans_a", 0) != 0, n.attr_i("trans_b", 0) != 0));
}

// act(scale * A B + bias + Z), rounded once.
void fused_reference(KernelContext& c) {
  const Node& node = c.node();
  const Tensor &a = c.in(0), &b = c.in(1);
  ref::MatMulPlan p =
      ref::plan_matmul(a.dims(), b.dims(), node.attr_i("trans_a", 0) != 0, node.attr_i("trans_b", 0) != 0);
  std::string activation = node.attr_s("activation", "");
  double alpha = node.attr_f("alpha", 0), beta = node.attr_f("beta", 0), scale = node.attr_f("scale", 1);
  Tensor& y = c.out(0, a.dtype(), p.out);
  // The addends are read under the shape [batch..., m, n] whatever vectors made of it.
  Dims full = p.batch;
  full.push_back(p.m);
  full.push_back(p.n);
  struct Addend {
    const Tensor* t;
    std::vector<int64_t> first;  // per batch
    int64_t row, col;
  };
  std::vector<Addend> addends;
  for (size_t i = 2; i < 4; ++i) {
    const Tensor* t = c.maybe(i);
    if (!t) continue;
    Dims s = ref::broadcast_strides(
        t->dims().size() == p.out.size() && t->dims() == p.out ? p.out : t->dims(), p.out);
    Addend add{t, {}, 0, 0};
    bool va = a.rank() == 1, vb = b.rank() == 1;
    size_t k = s.size();
    if (!vb) add.col = s[--k];
    if (!va) add.row = s[--k];
    Dims batch_strides(s.begin(), s.begin() + k);
    ref::StridedRuns r(p.batch, {batch_strides});
    while (r.next())
      for (int64_t q = 0; q < r.n(); ++q) add.first.push_back(r.at(0) + q * r.step(0));
    addends.push_back(std::move(add));
  }
  double buffer[ref::kBlock];
  ref::for_batches(p, [&](int64_t i, int64_t fa, int64_t fb) {
    ref::multiply<double>({&a, fa, p.a_row, p.a_col}, {&b, fb, p.b_row, p.b_col}, p.m, p.k, p.n, {}, {},
                          [&](int64_t r, int64_t j, double* acc, int64_t n) {
                            for (int64_t q = 0; q < n; ++q) acc[q] *= scale;
                            for (const Addend& d : addends) {
                              ref::load(*d.t, d.first[static_cast<size_t>(i)] + r * d.row + j * d.col, d.col,
                                        n, buffer);
                              for (int64_t q = 0; q < n; ++q) acc[q] += buffer[q];
                            }
                            ref::activate(activation, alpha, beta, acc, n);
                            ref::store(y, (i * p.m + r) * p.n + j, n, acc);
                          });
  });
}

// ---------------------------------------------------------------- Det

void infer_det(InferContext& c) {
  if (!c.has_rank(0)) return c.set(0, c.dtype(0));
  const auto& d = c.shape(0).dims();
  check(d.size() >= 2, Code::kInvalidModel, "Det needs square matrices, it got shape ",
        c.shape(0).to_string());
  c.set(0, c.dtype(0), SymShape(std::vector<Dim>(d.begin(), d.end() - 2)));
}

// Gaussian elimination with row pivots, in double.
void det_reference(KernelContext& c) {
  const Tensor& x = c.in(0);
  check(x.rank() >= 2 && x.dim(x.rank() - 1) == x.dim(x.rank() - 2), Code::kInvalidModel,
        "Det needs square matrices, it got ", describe(x));
  int64_t n = x.dim(x.rank() - 1);
  Tensor& y = c.out(0, x.dtype(), Dims(x.dims().begin(), x.dims().end() - 2));
  std::vector<double> m(static_cast<size_t>(n * n));
  auto at = [&](int64_t i, int64_t j) -> double& { return m[static_cast<size_t>(i * n + j)]; };
  for (int64_t b = 0; b < y.size(); ++b) {
    ref::load(x, b * n * n, 1, n * n, m.data());
    double det = 1;
    for (int64_t k = 0; k < n && det != 0; ++k) {
      int64_t pivot = k;
      for (int64_t i = k + 1; i < n; ++i)
        if (std::abs(at(i, k)) > std::abs(at(pivot, k))) pivot = i;
      if (pivot != k) {
        for (int64_t j = 0; j < n; ++j) std::swap(at(k, j), at(pivot, j));
        det = -det;
      }
      det *= at(k, k);
      if (at(k, k) == 0) break;
      for (int64_t i = k + 1; i < n; ++i) {
        double f = at(i, k) / at(k, k);
        for (int64_t j = k; j < n; ++j) at(i, j) -= f * at(k, j);
      }
    }
    set_double(y, b, det);
  }
}

// Gauss and Jordan with row pivots, in double.
void inverse_reference(KernelContext& c) {
  const Tensor& x = c.in(0);
  check(x.rank() >= 2 && x.dim(x.rank() - 1) == x.dim(x.rank() - 2), Code::kInvalidModel,
        "Inverse needs square matrices, it got ", describe(x));
  int64_t n = x.dim(x.rank() - 1), wide = 2 * n;
  Tensor& y = c.out(0, x.dtype(), x.dims());
  // The matrix beside the unit matrix, which becomes the inverse.
  std::vector<double> m(static_cast<size_t>(n * wide));
  auto row = [&](int64_t i) { return m.data() + i * wide; };
  for (int64_t at = 0; at < x.size(); at += n * n) {
    c.poll();
    for (int64_t i = 0; i < n; ++i) {
      ref::load(x, at + i * n, 1, n, row(i));
      std::fill_n(row(i) + n, n, 0.0);
      row(i)[n + i] = 1;
    }
    for (int64_t k = 0; k < n; ++k) {
      int64_t pivot = k;
      for (int64_t i = k + 1; i < n; ++i)
        if (std::abs(row(i)[k]) > std::abs(row(pivot)[k])) pivot = i;
      if (pivot != k) std::swap_ranges(row(k), row(k) + wide, row(pivot));
      double p = row(k)[k];
      for (int64_t j = 0; j < wide; ++j) row(k)[j] /= p;  // of a singular matrix: infinities and NaN
      for (int64_t i = 0; i < n; ++i) {
        double f = row(i)[k];
        if (i == k || f == 0) continue;
        for (int64_t j = 0; j < wide; ++j) row(i)[j] -= f * row(k)[j];
      }
    }
    for (int64_t i = 0; i < n; ++i) ref::store(y, at + i * n, n, row(i) + n);
  }
}

constexpr TypeMask kMatMulTypes = kFloatTypes | mask_of(DType::kInt32) | mask_of(DType::kInt64) |
                                  mask_of(DType::kUint32) | mask_of(DType::kUint64);
constexpr TypeMask kBytes = mask_of(DType::kInt8) | mask_of(DType::kUint8);

}  // namespace

SKIFF_OP_DEF(com_microsoft, Inverse) {
  TypeMask types = kFloatTypes & ~mask_of(DType::kBFloat16);
  return {.domain = "com.microsoft",
          .name = "Inverse",
          .versions = {1},
          .inputs = {{"X", types, 'T'}},
          .outputs = {{"Y", types, 'T'}},
          .infer = infer_same,
          .reference = inverse_reference};
}

SKIFF_OP_DEF(ai_onnx, Det) {
  return {.name = "Det",
          .versions = {11, 22},
          .inputs = {{"X", kFloatTypes, 'T'}},
          .outputs = {{"Y", kFloatTypes, 'T'}},
          .infer = infer_det,
          .reference = det_reference};
}

SKIFF_OP_DEF(ai_onnx, Gemm) {
  return {.name = "Gemm",
          .versions = {1, 6, 7, 9, 11, 13},
          .inputs = {{"A", kMatMulTypes, 'T'},
                     {"B", kMatMulTypes, 'T'},
                     {"C", kMatMulTypes, 'T', Arity::kOptional}},
          .outputs = {{"Y", kMatMulTypes, 'T'}},
          .attributes = {{"alpha", AttrType::kFloat},
                         {"beta", AttrType::kFloat},
                         {"broadcast", AttrType::kInt},
                         {"transA", AttrType::kInt},
                         {"transB", AttrType::kInt}},
          .infer = infer_gemm,
          .reference = gemm_reference,
          .cost = [](const CostContext& c) {
            return product_cost(c, static_cast<double>(c.in_dim(0, c.node.attr_i("transA", 0) ? 0 : 1)));
          }};
}

SKIFF_OP_DEF(ai_onnx, MatMul) {
  return {.name = "MatMul",
          .versions = {1, 9, 13},
          .inputs = {{"A", kMatMulTypes, 'T'}, {"B", kMatMulTypes, 'T'}},
          .outputs = {{"Y", kMatMulTypes, 'T'}},
          .infer = [](InferContext& c) { c.set(0, c.dtype(0), rule::matmul_shape(c.shape(0), c.shape(1))); },
          .reference = matmul_reference,
          .cost = [](const CostContext& c) { return product_cost(c, static_cast<double>(c.in_dim(0, -1))); }};
}

SKIFF_OP_DEF(ai_onnx, MatMulInteger) {
  return {
      .name = "MatMulInteger",
      .versions = {10},
      .inputs = {{"A", kBytes, 'A'},
                 {"B", kBytes, 'B'},
                 {"a_zero_point", kBytes, 'A', Arity::kOptional},
                 {"b_zero_point", kBytes, 'B', Arity::kOptional}},
      .outputs = {{"Y", mask_of(DType::kInt32)}},
      .infer = [](InferContext& c) { c.set(0, DType::kInt32, rule::matmul_shape(c.shape(0), c.shape(1))); },
      .reference = matmul_integer_reference,
      .cost = [](const CostContext& c) { return product_cost(c, static_cast<double>(c.in_dim(0, -1))); }};
}

SKIFF_OP_DEF(skiff, MatMul) {
  return {.domain = "skiff",
          .name = "MatMul",
          .versions = {1},
          .inputs = {{"A", kFloatTypes, 'T'},
                     {"B", kFloatTypes, 'T'},
                     {"bias", kFloatTypes, 'T', Arity::kOptional},
                     {"Z", kFloatTypes, 'T', Arity::kOptional}},
          .outputs = {{"Y", kFloatTypes, 'T'}},
          .attributes = {{"trans_a", AttrType::kInt},
                         {"trans_b", AttrType::kInt},
                         {"scale", AttrType::kFloat},
                         {"activation", AttrType::kString},
                         {"alpha", AttrType::kFloat},
                         {"beta", AttrType::kFloat}},
          .infer = infer_fused,
          .reference = fused_reference,
          .cost =
              [](const CostContext& c) {
                return product_cost(c,
                                    static_cast<double>(c.in_dim(0, c.node.attr_i("trans_a", 0) ? -2 : -1)));
              },
          .flags = kInternal};
}

}  // namespace skiff
