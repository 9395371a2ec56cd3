// Convolutions and matrix products of 8-bit integers whose result is 8-bit again: QLinearConv, QLinearMatMul,
// QGemm and their skiff.* forms. Weights, scales and zero points are constants; images are channels-last.
#include <cmath>

#include "device/cpu/glue_epilogue.h"
#include "device/cpu/glue_int8.h"
#include "ops/conv.h"

namespace skiff::cpu {

bool is_8bit(DType t) { return t == DType::kUint8 || t == DType::kInt8; }

std::optional<TensorScale> scalar_params(const NodeQuery& q, size_t scale, size_t zero) {
  const Tensor *s = q.constant(scale), *z = q.constant(zero);
  if (!s || s->size() != 1 || s->dtype() != DType::kFloat) return std::nullopt;
  if (zero < q.in.size() && q.in[zero] && (!z || z->size() != 1)) return std::nullopt;
  TensorScale p{static_cast<float>(get_double(*s, 0)), z ? static_cast<int32_t>(get_int(*z, 0)) : 0};
  if (!std::isfinite(p.scale) || p.scale <= 0) return std::nullopt;
  return p;
}

void Requantization::into(QStore& s) const {
  s.out = QOut::kBytes;
  s.is_signed = is_signed;
  s.zero = zero;
  s.low = low;
  s.high = high;
}

TaskSplit split_product(const CpuContext& c, int64_t m, int64_t n, int64_t k, int64_t groups) {
  TaskSplit s;
  const double seconds = 2.0 * static_cast<double>(m) * static_cast<double>(n) * static_cast<double>(k) *
                         static_cast<double>(groups) / (c.flops * 0.5 * c.k->int8->products);
  const int32_t threads = useful_threads(c, seconds);
  s.m_step = std::max<int64_t>(m, 1);
  s.n_step = std::max<int64_t>(n, 1);
  if (threads > 1) {
    const int64_t want = 4 * threads, panel = c.k->int8->panel();
    int64_t by_m = std::min(want, (m + 23) / 24);
    s.m_step = ((m + by_m - 1) / by_m + 11) / 12 * 12;
    if (by_m * groups < threads) {
      const int64_t panels = (n + panel - 1) / panel, by_n = std::min(want / by_m, panels);
      s.n_step = (panels + by_n - 1) / by_n * panel;
    }
  }
  s.m_tasks = (m + s.m_step - 1) / s.m_step;
  s.n_tasks = (n + s.n_step - 1) / s.n_step;
  s.groups = groups;
  return s;
}

void PackedProduct::pack(const CpuContext& c, const uint8_t* data, bool is_signed, bool x_signed,
                         const ProductConstants& q, bool bytes) {
  const Int8Kernels& f = *c.k->int8;
  weight_bytes = align_up(f.packed_bytes(k, n));
  columns = f.padded_columns(n);
  weights = Tensor(DType::kUint8, {static_cast<int64_t>(weight_bytes) * groups});
  start = Tensor(DType::kInt32, {columns * groups});
  scale = Tensor(DType::kFloat, {columns * groups});
  column_zeros = !f.centred && q.w_zero.size() > 1;
  if (column_zeros) zero = Tensor(DType::kInt32, {columns * groups});
  if (!f.centred && !column_zeros) zero_all = q.w_zero[0] + f.weight_shift(is_signed);
  std::vector<int32_t> starts(static_cast<size_t>(n)), zeros(static_cast<size_t>(n));
  for (int64_t g = 0; g < groups; ++g) {
    const int64_t first = g * n;
    QWeights w;
    w.k = k;
    w.n = n;
    w.data = data + first * k;
    w.k_stride = 1;
    w.n_stride = k;
    w.is_signed = is_signed;
    w.zeros = q.w_zero.size() > 1 ? n : 1;
    w.zero = q.w_zero.data() + (q.w_zero.size() > 1 ? first : 0);
    f.pack(w, bytes, weights.data<uint8_t>() + static_cast<size_t>(g) * weight_bytes);
    f.prepare_bias(w, q.x_zero, x_signed, q.bias.empty() ? nullptr : q.bias.data() + first, starts.data());
    f.pack_columns(n, bytes, starts.data(), start.data<int32_t>() + g * columns);
    f.pack_columns(n, bytes, q.scale.data() + first, scale.data<float>() + g * columns);
    if (column_zeros) {
      for (int64_t j = 0; j < n; ++j) zeros[static_cast<size_t>(j)] = w.zero[j] + f.weight_shift(is_signed);
      f.pack_columns(n, bytes, zeros.data(), zero.data<int32_t>() + g * columns);
    }
  }
}
void PackedProduct::into(QGemm& g, int64_t group) const {
  g.b = weights.data<uint8_t>() + static_cast<size_t>(group) * weight_bytes;
  g.store.bias = start.data<int32_t>() + group * columns;
  g.store.scale = scale.data<float>() + group * columns;
  g.zero = column_zeros ? zero.data<int32_t>() + group * columns : nullptr;
  g.zero_all = zero_all;
}

std::vector<uint8_t> columns_first(const Tensor& b, bool trans) {
  const auto* data = b.data<uint8_t>();
  const int64_t n = b.dim(trans ? 0 : 1), k = b.dim(trans ? 1 : 0);
  std::vector<uint8_t> turned(static_cast<size_t>(b.size()));
  for (int64_t j = 0; j < n; ++j)
    for (int64_t p = 0; p < k; ++p)
      turned[static_cast<size_t>(j * k + p)] = data[trans ? j * k + p : p * n + j];
  return turned;
}

namespace {

// Which inputs of a node are what.
struct Roles {
  size_t x, x_scale, x_zero, w, w_scale, w_zero, y_scale, y_zero, bias;
};
constexpr Roles kStandard = {0, 1, 2, 3, 4, 5, 6, 7, 8};
constexpr Roles kQGemm = {0, 1, 2, 3, 4, 5, 7, 8, 6};

struct Constants : ProductConstants {
  Requantization y;
};

std::optional<Constants> constants_of(const NodeQuery& q, const Roles& r, int64_t columns, int64_t depth,
                                      float alpha) {
  auto has = [&](size_t i) { return i < q.in.size() && q.in[i] != nullptr; };
  if (!has(r.y_scale) || !has(r.w) || !q.in[r.x] || !is_8bit(q.in[r.x]->dtype) ||
      !is_8bit(q.in[r.w]->dtype) || q.out.empty() || !q.out[0] || !is_8bit(q.out[0]->dtype) ||
      !q.constant(r.w))
    return std::nullopt;
  auto x = scalar_params(q, r.x_scale, r.x_zero), y = scalar_params(q, r.y_scale, r.y_zero);
  const Tensor *ws = q.constant(r.w_scale), *wz = q.constant(r.w_zero), *b = q.constant(r.bias);
  if (!x || !y || !ws || ws->dtype() != DType::kFloat || (has(r.w_zero) && !wz) || (has(r.bias) && !b))
    return std::nullopt;
  if ((ws->size() != 1 && ws->size() != columns) || (wz && wz->size() != 1 && wz->size() != columns))
    return std::nullopt;
  if (b && (b->dtype() != DType::kInt32 || b->size() != columns)) return std::nullopt;
  Constants k;
  k.x_zero = x->zero;
  k.y.is_signed = q.out[0]->dtype == DType::kInt8;
  k.y.zero = y->zero;
  const int32_t lo = k.y.is_signed ? -128 : 0;
  const bool own = q.node.domain == "skiff";
  k.y.low = static_cast<int32_t>(std::clamp<int64_t>(own ? q.node.attr_i("low", lo) : lo, lo, lo + 255));
  k.y.high = static_cast<int32_t>(
      std::clamp<int64_t>(own ? q.node.attr_i("high", lo + 255) : lo + 255, lo, lo + 255));
  if (b) k.bias.assign(b->data<int32_t>(), b->data<int32_t>() + columns);
  for (int64_t i = 0; wz && i < wz->size(); ++i) k.w_zero.push_back(static_cast<int32_t>(get_int(*wz, i)));
  if (k.w_zero.empty()) k.w_zero.push_back(0);
  for (int64_t j = 0; j < columns; ++j) {
    const float s = alpha * x->scale * ws->data<float>()[ws->size() == 1 ? 0 : j] / y->scale;
    // Results are rounded to int32 before they are clamped: none may come near its ends.
    const double sum =
        std::min(0x1p31, static_cast<double>(depth) * 255 * 255 +
                             (b ? std::abs(static_cast<double>(k.bias[static_cast<size_t>(j)])) : 0));
    if (!(sum * static_cast<double>(std::abs(s)) < 0x1p30)) return std::nullopt;
    k.scale.push_back(s);
  }
  return k;
}

bool channels_last(const Node& n) {
  return n.domain == "skiff" ? n.attr_s("layout", "NCHW") == "NHWC"
                             : n.domain == "com.microsoft" && n.attr_i("channels_last", 0) != 0;
}

struct BoundProduct : BoundKernel {
  const CpuContext* c = nullptr;
  const PackedProduct* packed = nullptr;
  QGemm gemm;  // without pointers
  TaskSplit split;
  size_t x = 0, scratch = 0;
  size_t workspace() const override { return scratch * static_cast<size_t>(split.tasks()); }
  void run(const RunArgs& a) override {
    if (gemm.m == 0 || gemm.n == 0) return;
    const auto* in = static_cast<const uint8_t*>(a.in[x]->tensor().raw());
    auto* out = static_cast<uint8_t*>(a.out[0]->tensor().raw());
    char* ws = static_cast<char*>(a.workspace);
    run_tasks(c->pool, split.tasks(), 1, [&](int64_t t) {
      const int64_t per = split.m_tasks * split.n_tasks, group = t / per, at = t % per;
      QGemm g = gemm;
      packed->into(g, group);
      g.rows.x = in + group * g.rows.channels;
      g.c = out + group * g.n;
      const int64_t m = at / split.n_tasks * split.m_step, n = at % split.n_tasks * split.n_step;
      c->k->int8->run(g, m, std::min(g.m, m + split.m_step), n, std::min(g.n, n + split.n_step),
                      ws + scratch * static_cast<size_t>(t));
    });
  }
};

struct BoundDepthwise : BoundKernel {
  const CpuContext* c = nullptr;
  QDepthwise d;  // without x and c
  Tensor weights, outside;
  int64_t rows = 0, grain = 1;
  size_t x = 0;
  void run(const RunArgs& a) override {
    if (rows == 0 || d.rows.out[1] == 0) return;
    QDepthwise e = d;
    e.rows.x = static_cast<const uint8_t*>(a.in[x]->tensor().raw());
    e.c = static_cast<uint8_t*>(a.out[0]->tensor().raw());
    if (grain >= rows)
      c->k->int8->depthwise(e, 0, rows);
    else
      c->pool->parallel_for(rows, grain, [&](int64_t b, int64_t end) { c->k->int8->depthwise(e, b, end); });
  }
};

// ---------------------------------------------------------------- convolutions

struct ConvDims {
  int64_t filters = 0, per_group = 0, groups = 1, kernel[2] = {1, 1};
  bool depthwise() const { return per_group == 1 && filters == groups && groups > 1; }
  int64_t taps() const { return kernel[0] * kernel[1]; }
};

std::optional<ConvDims> conv_dims(const NodeQuery& q) {
  const Tensor* w = q.constant(kStandard.w);
  if (!w || (w->rank() != 3 && w->rank() != 4) || in_rank(q, 0) != w->rank() || w->size() == 0)
    return std::nullopt;
  ConvDims d;
  d.filters = w->dim(0);
  d.per_group = w->dim(1);
  d.groups = q.node.attr_i("group", 1);
  if (d.groups < 1 || d.filters % d.groups) return std::nullopt;
  d.kernel[1] = w->dim(w->rank() - 1);
  if (w->rank() == 4) d.kernel[0] = w->dim(2);
  return d;
}

class ConvKernel : public Kernel {
 public:
  ConvKernel(const NodeQuery& q, const CpuContext& c, const char* name) : node_(q.node), c_(c), name_(name) {
    d_ = conv_dims(q).value();
    const Tensor& w = *q.constant(kStandard.w);
    Constants k = constants_of(q, kStandard, d_.filters, d_.per_group * d_.taps(), 1).value();
    w_dims_ = w.dims();
    x_signed_ = q.in[0]->dtype == DType::kInt8;
    zero_ = k.x_zero;
    y_ = k.y;
    const bool w_signed = w.dtype() == DType::kInt8;
    const auto* data = static_cast<const uint8_t*>(w.raw());
    if (d_.depthwise()) {
      QWeights qw;
      qw.k = d_.taps();
      qw.n = d_.filters;
      qw.data = data;
      qw.k_stride = 1;
      qw.n_stride = qw.k;
      qw.is_signed = w_signed;
      qw.zero = k.w_zero.data();
      qw.zeros = static_cast<int64_t>(k.w_zero.size());
      depthwise_ =
          Tensor(DType::kUint8,
                 {static_cast<int64_t>(c.k->int8->depthwise_bytes(d_.filters, d_.kernel[0], d_.kernel[1]))});
      sets_ = c.k->int8->pack_depthwise(qw, d_.kernel[0], d_.kernel[1], k.x_zero, x_signed_,
                                        k.bias.empty() ? nullptr : k.bias.data(), k.scale.data(),
                                        depthwise_.raw());
      outside_ = Tensor(DType::kUint8, {d_.filters});
      std::memset(outside_.raw(), zero_ & 255, outside_.bytes());
      return;
    }
    // [filters][taps][channels], as pixels lie.
    std::vector<uint8_t> turned(static_cast<size_t>(w.size()));
    for (int64_t m = 0; m < d_.filters; ++m)
      for (int64_t i = 0; i < d_.per_group; ++i)
        for (int64_t t = 0; t < d_.taps(); ++t)
          turned[static_cast<size_t>((m * d_.taps() + t) * d_.per_group + i)] =
              data[(m * d_.per_group + i) * d_.taps() + t];
    packed_.k = d_.per_group * d_.taps();
    packed_.n = d_.filters / d_.groups;
    packed_.groups = d_.groups;
    packed_.pack(c, turned.data(), w_signed, x_signed_, k, true);
  }
  std::string_view name() const override { return name_; }
  bool consumes(size_t i) const override { return i == kStandard.w || i == kStandard.bias; }
  size_t packed_bytes() const override {
    return packed_.weights.defined() ? packed_.bytes() : depthwise_.bytes();
  }

  std::unique_ptr<BoundKernel> bind(std::span<const TensorDesc> in,
                                    std::span<const TensorDesc> out) override {
    Dims x = in[0].dims;
    check(x.size() == w_dims_.size(), Code::kInvalidModel, "x needs rank ", w_dims_.size(), ", it is ",
          to_string(x));
    std::rotate(x.begin() + 1, x.end() - 1, x.end());
    skiff::ConvShape s = conv_shape(node_, x, w_dims_);
    Dims y = s.y_dims();
    std::rotate(y.begin() + 1, y.begin() + 2, y.end());
    check(out[0].dims == y, Code::kInvalidModel, "the result is ", to_string(y), ", not the planned ",
          to_string(out[0].dims));
    QRows r;
    r.is_signed = x_signed_;
    r.zero = zero_;
    r.pixel = s.channels;
    r.channels = d_.per_group;
    const size_t n = s.in.size();
    auto put = [n](const std::vector<int64_t>& v, int64_t(&axes)[2]) {
      std::copy(v.begin(), v.end(), axes + 2 - n);
    };
    put(s.in, r.in);
    put(s.out, r.out);
    put(s.window.kernel, r.kernel);
    put(s.window.stride, r.stride);
    put(s.window.dilation, r.dilation);
    put(s.window.begin, r.pad);
    if (depthwise_.defined()) {
      auto b = std::make_unique<BoundDepthwise>();
      r.channels = s.channels;
      b->c = &c_;
      b->weights = depthwise_;
      b->outside = outside_;
      b->d.rows = r;
      b->d.weights = b->weights.raw();
      b->d.sets = sets_;
      b->d.outside = b->outside.data<uint8_t>();
      y_.into(b->d.store);
      b->rows = s.batch * r.out[0];
      const double seconds =
          static_cast<double>(b->rows * r.out[1] * s.channels * d_.taps()) * 2 / (c_.flops * 0.5);
      b->grain =
          useful_threads(c_, seconds) == 1
              ? b->rows
              : std::max<int64_t>(1, (b->rows + 4 * c_.pool->threads() - 1) / (4 * c_.pool->threads()));
      return b;
    }
    auto b = std::make_unique<BoundProduct>();
    r.direct = d_.taps() == 1 && r.stride[0] == 1 && r.stride[1] == 1 && r.pad[0] == 0 && r.pad[1] == 0 &&
               r.in[0] == r.out[0] && r.in[1] == r.out[1];
    b->c = &c_;
    b->packed = &packed_;
    b->gemm.rows = r;
    b->gemm.m = s.batch * r.out[0] * r.out[1];
    b->gemm.n = packed_.n;
    b->gemm.k = packed_.k;
    b->gemm.ldc = s.filters;
    y_.into(b->gemm.store);
    b->split = split_product(c_, b->gemm.m, b->gemm.n, b->gemm.k, d_.groups);
    b->scratch = align_up(c_.k->int8->scratch_bytes(b->gemm));
    return b;
  }

 private:
  const Node node_;  // a copy: kernels outlive graph edits
  const CpuContext& c_;
  const char* name_;
  ConvDims d_;
  Dims w_dims_;
  bool x_signed_ = false;
  int32_t zero_ = 0, sets_ = 1;
  Requantization y_;
  PackedProduct packed_;
  Tensor depthwise_, outside_;
};

double estimate8(const NodeQuery& q, const CpuContext& c, double efficiency) {
  Cost cost = node_cost(q);
  cost.flops /= c.k->int8->products;
  cost.bytes /= 4;
  return c.estimate(cost, efficiency);
}

template <bool kDepthwise>
std::optional<double> match_conv(const NodeQuery& q, const CpuContext& c) {
  if (!channels_last(q.node)) return std::nullopt;
  auto d = conv_dims(q);
  if (!d || d->depthwise() != kDepthwise ||
      !constants_of(q, kStandard, d->filters, d->per_group * d->taps(), 1))
    return std::nullopt;
  return estimate8(q, c, kDepthwise ? 0.15 : 0.6);
}

template <bool kDepthwise>
constexpr const char* kConvName = kDepthwise ? "conv_depthwise_int8" : "conv_int8";

template <bool kDepthwise>
constexpr KernelFactory conv_factory(const char* domain) {
  return {domain, "QLinearConv", kConvName<kDepthwise>, match_conv<kDepthwise>,
          [](const NodeQuery& q, const CpuContext& c) -> std::unique_ptr<Kernel> {
            return std::make_unique<ConvKernel>(q, c, kConvName<kDepthwise>);
          }};
}

// ---------------------------------------------------------------- matrix products

struct MatrixForm {
  Roles roles = kStandard;
  bool trans_b = false;
  float alpha = 1;
};
MatrixForm form_of(const Node& n) {
  MatrixForm f;
  if (n.op == "QGemm") f = {kQGemm, n.attr_i("transB", 0) != 0, n.attr_f("alpha", 1)};
  if (n.domain == "skiff") f.trans_b = n.attr_i("trans_b", 0) != 0;
  return f;
}

std::optional<Constants> matrix_constants(const NodeQuery& q, const MatrixForm& f) {
  const Tensor* b = f.roles.w < q.in.size() ? q.constant(f.roles.w) : nullptr;
  if (!b || b->rank() != 2 || b->size() == 0 || in_rank(q, 0) < 2 || q.node.attr_i("transA", 0) != 0)
    return std::nullopt;
  return constants_of(q, f.roles, b->dim(f.trans_b ? 0 : 1), b->dim(f.trans_b ? 1 : 0), f.alpha);
}

class MatMulKernel : public Kernel {
 public:
  MatMulKernel(const NodeQuery& q, const CpuContext& c) : c_(c), form_(form_of(q.node)) {
    Constants k = matrix_constants(q, form_).value();
    const Tensor& b = *q.constant(form_.roles.w);
    packed_.k = b.dim(form_.trans_b ? 1 : 0);
    packed_.n = b.dim(form_.trans_b ? 0 : 1);
    x_signed_ = q.in[0]->dtype == DType::kInt8;
    zero_ = k.x_zero;
    y_ = k.y;
    const std::vector<uint8_t> turned = columns_first(b, form_.trans_b);
    packed_.pack(c, turned.data(), b.dtype() == DType::kInt8, x_signed_, k, true);
  }
  std::string_view name() const override { return "matmul_int8"; }
  bool consumes(size_t i) const override { return i == form_.roles.w || i == form_.roles.bias; }
  size_t packed_bytes() const override { return packed_.bytes(); }
  std::unique_ptr<BoundKernel> bind(std::span<const TensorDesc> in,
                                    std::span<const TensorDesc> out) override {
    const Dims& a = in[0].dims;
    check(a.size() >= 2 && a.back() == packed_.k, Code::kInvalidModel, "A of shape ", to_string(a),
          " must end in ", packed_.k);
    Dims y = a;
    y.back() = packed_.n;
    check(out[0].dims == y, Code::kInvalidModel, "the result is ", to_string(y), ", not the planned ",
          to_string(out[0].dims));
    auto b = std::make_unique<BoundProduct>();
    b->c = &c_;
    b->packed = &packed_;
    QGemm& g = b->gemm;
    g.rows.is_signed = x_signed_;
    g.rows.zero = zero_;
    g.rows.direct = true;
    g.rows.pixel = g.rows.channels = g.k = packed_.k;
    g.m = element_count(a) / packed_.k;
    g.n = g.ldc = packed_.n;
    y_.into(g.store);
    b->split = split_product(c_, g.m, g.n, g.k, 1);
    b->scratch = align_up(c_.k->int8->scratch_bytes(g));
    return b;
  }

 private:
  const CpuContext& c_;
  MatrixForm form_;
  bool x_signed_ = false;
  int32_t zero_ = 0;
  Requantization y_;
  PackedProduct packed_;
};

std::optional<double> match_matmul(const NodeQuery& q, const CpuContext& c) {
  if (!matrix_constants(q, form_of(q.node))) return std::nullopt;
  return estimate8(q, c, 0.6);
}

constexpr KernelFactory matmul_factory(const char* domain, const char* op) {
  return {domain, op, "matmul_int8", match_matmul,
          [](const NodeQuery& q, const CpuContext& c) -> std::unique_ptr<Kernel> {
            return std::make_unique<MatMulKernel>(q, c);
          }};
}

}  // namespace

std::span<const KernelFactory> int8_factories() {
  static const KernelFactory list[] = {
      conv_factory<false>("skiff"),
      conv_factory<true>("skiff"),
      conv_factory<false>("com.microsoft"),
      conv_factory<true>("com.microsoft"),
      matmul_factory("skiff", "QLinearMatMul"),
      matmul_factory("", "QLinearMatMul"),
      matmul_factory("com.microsoft", "QGemm"),
  };
  return list;
}

}  // namespace skiff::cpu
