// Pooling: MaxPool, AveragePool, LpPool, their global forms, MaxUnpool.
#include <cmath>
#include <limits>

#include "ops/real_view.h"
#include "ops/window.h"

namespace skiff {
namespace {

using ref::RealIn;
using ref::RealOut;
using ref::with_real;

SymShape pooled_shape(const Node& n, const SymShape& x) {
  if (!x.has_rank()) return {};
  if (x.rank() < 3) fail(Code::kInvalidModel, "X must be [N, C, spatial...], it has shape ", x.to_string());
  Window w = window_of(n, x.rank() - 2, {});
  for (int64_t k : w.kernel) check(k >= 1, Code::kInvalidModel, "the attribute 'kernel_shape' is missing");
  SymShape y = x;
  for (size_t i = 0; i < w.rank(); ++i) y[i + 2] = w.out(i, x[i + 2]);
  return y;
}

void infer_pool(InferContext& c) {
  SymShape y = pooled_shape(c.node(), c.shape(0));
  if (c.wants(1)) c.set(1, DType::kInt64, y);
  c.set(0, c.dtype(0), std::move(y));
}

Cost cost_pool(const CostContext& c) {
  double taps = 1;
  for (int64_t k : c.node.attr_ints("kernel_shape")) taps *= static_cast<double>(k);
  Cost r;
  r.flops = taps * c.out_elements(0);
  for (const Type* t : {c.in[0], c.out[0]})
    if (t) r.bytes += c.elements(t) * dtype_bits(t->dtype) / 8;
  return r;
}

// A pooling with concrete extents. The window slides over [planes, in...] to [planes, out...].
struct Pool {
  Window window;
  std::vector<int64_t> in, out;
  int64_t planes, in_size, out_size;
  Dims y;

  Pool(const Node& n, const Dims& x) : y(pooled_shape(n, SymShape(x)).to_dims()) {
    in = spatial_of(x);
    out = spatial_of(y);
    window = window_of(n, in.size(), {});
    window.resolve(in);
    planes = x[0] * x[1];
    in_size = ref::count_of(x, 2, static_cast<int64_t>(x.size()));
    out_size = ref::count_of(y, 2, static_cast<int64_t>(y.size()));
  }

  // Position along axis a that tap k of output o reads; outside [0, in) it is padding.
  int64_t at(size_t a, int64_t o, int64_t k) const {
    return o * window.stride[a] - window.begin[a] + k * window.dilation[a];
  }

  // Calls f(output index, input offset in the plane) for every tap that is not padding, outputs in order,
  // taps in row-major order; begin(o) and end(o) around each output's taps.
  template <class Begin, class F, class End>
  void visit(Begin&& begin, F&& f, End&& end) const {
    size_t r = in.size();
    std::vector<int64_t> o(r, 0), first(r), last(r), k(r);
    for (int64_t i = 0; i < out_size; ++i, next_index(o, out)) {
      bool any = true;
      for (size_t a = 0; a < r; ++a) {
        int64_t d = window.dilation[a], p = at(a, o[a], 0);
        first[a] = p >= 0 ? 0 : (-p + d - 1) / d;
        last[a] = std::min(window.kernel[a], in[a] > p ? (in[a] - p - 1) / d + 1 : 0);
        any = any && first[a] < last[a];
        k[a] = first[a];
      }
      begin(i);
      while (any) {
        int64_t row = 0;
        for (size_t a = 0; a + 1 < r; ++a) row = row * in[a] + at(a, o[a], k[a]);
        int64_t from = row * in[r - 1] + at(r - 1, o[r - 1], first[r - 1]);
        for (int64_t j = first[r - 1]; j < last[r - 1]; ++j, from += window.dilation[r - 1]) f(i, from);
        size_t a = r - 1;
        for (any = false; a-- > 0;) {
          if (++k[a] < last[a]) {
            any = true;
            break;
          }
          k[a] = first[a];
        }
      }
      end(i);
    }
  }
};

// ---------------------------------------------------------------- MaxPool

void max_pool_reference(KernelContext& c) {
  const Tensor& x = c.in(0);
  Pool p(c.node(), x.dims());
  Tensor& y = c.out(0, x.dtype(), p.y);
  int64_t* indices = c.wants(1) ? c.out(1, DType::kInt64, p.y).data<int64_t>() : nullptr;
  bool column_major = c.node().attr_i("storage_order", 0) == 1;
  auto stored = [&](int64_t i) {  // row-major place in the plane -> column-major
    if (!column_major) return i;
    int64_t r = 0, inner = 1;
    std::vector<int64_t> at(p.in.size());
    for (size_t a = p.in.size(); a-- > 0;) {
      at[a] = i % p.in[a];
      i /= p.in[a];
    }
    for (size_t a = 0; a < p.in.size(); ++a) {
      r += at[a] * inner;
      inner *= p.in[a];
    }
    return r;
  };
  with_real(x.dtype(), [&](auto zero) {
    using T = decltype(zero);
    RealIn<T> xs(x);
    RealOut<T> ys(y);
    for (int64_t plane = 0; plane < p.planes; ++plane) {
      c.poll();
      const T* xp = xs.data() + plane * p.in_size;
      T* yp = ys.data() + plane * p.out_size;
      T best = 0;
      int64_t where = 0;
      p.visit(
          [&](int64_t) {
            best = dtype_is_float(x.dtype()) ? -std::numeric_limits<T>::infinity()
                                             : static_cast<T>(x.dtype() == DType::kInt8 ? -128 : 0);
            where = -1;
          },
          [&](int64_t, int64_t from) {
            if (where < 0 || xp[from] > best || xp[from] != xp[from]) {
              best = xp[from];
              where = from;
            }
          },
          [&](int64_t i) {
            yp[i] = best;
            if (indices)
              indices[plane * p.out_size + i] = plane * p.in_size + stored(std::max<int64_t>(where, 0));
          });
    }
    ys.commit();
  });
}

}  // namespace

SKIFF_OP_DEF(ai_onnx, MaxPool) {
  return {.name = "MaxPool",
          .versions = {1, 8, 10, 11, 12, 22},
          .inputs = {{"X", kFloatTypes | kInt8Types, 'T'}},
          .outputs = {{"Y", kFloatTypes | kInt8Types, 'T'},
                      {"Indices", mask_of(DType::kInt64), 'I', Arity::kOptional}},
          .attributes = {{"auto_pad", AttrType::kString},
                         {"ceil_mode", AttrType::kInt},
                         {"dilations", AttrType::kInts},
                         {"kernel_shape", AttrType::kInts, true},
                         {"pads", AttrType::kInts},
                         {"storage_order", AttrType::kInt},
                         {"strides", AttrType::kInts}},
          .infer = infer_pool,
          .reference = max_pool_reference,
          .cost = cost_pool};
}

// ---------------------------------------------------------------- AveragePool

namespace {

void average_pool_reference(KernelContext& c) {
  const Tensor& x = c.in(0);
  Pool p(c.node(), x.dims());
  bool include_pad = c.node().attr_i("count_include_pad", 0) != 0;
  // Number of taps of each output that count: a product over the axes.
  std::vector<double> count(static_cast<size_t>(p.out_size), 1);
  std::vector<int64_t> o(p.in.size(), 0);
  for (int64_t i = 0; i < p.out_size; ++i, next_index(o, p.out)) {
    for (size_t a = 0; a < o.size(); ++a) {
      int64_t d = p.window.dilation[a], at = p.at(a, o[a], 0);
      int64_t limit = p.in[a] + (include_pad ? p.window.end[a] : 0);
      int64_t first = include_pad || at >= 0 ? 0 : (-at + d - 1) / d;
      int64_t last = std::min(p.window.kernel[a], limit > at ? (limit - at - 1) / d + 1 : 0);
      count[static_cast<size_t>(i)] *= static_cast<double>(std::max<int64_t>(last - first, 0));
    }
  }
  Tensor& y = c.out(0, x.dtype(), p.y);
  with_real(x.dtype(), [&](auto zero) {
    using T = decltype(zero);
    RealIn<T> xs(x);
    RealOut<T> ys(y);
    for (int64_t plane = 0; plane < p.planes; ++plane) {
      c.poll();
      const T* xp = xs.data() + plane * p.in_size;
      T* yp = ys.data() + plane * p.out_size;
      double sum = 0;
      p.visit([&](int64_t) { sum = 0; }, [&](int64_t, int64_t from) { sum += static_cast<double>(xp[from]); },
              [&](int64_t i) {
                double n = count[static_cast<size_t>(i)];
                yp[i] = static_cast<T>(n > 0 ? sum / n : 0);
              });
    }
    ys.commit();
  });
}

}  // namespace

SKIFF_OP_DEF(ai_onnx, AveragePool) {
  return {.name = "AveragePool",
          .versions = {1, 7, 10, 11, 19, 22},
          .inputs = {{"X", kFloatTypes, 'T'}},
          .outputs = {{"Y", kFloatTypes, 'T'}},
          .attributes = {{"auto_pad", AttrType::kString},
                         {"ceil_mode", AttrType::kInt},
                         {"count_include_pad", AttrType::kInt},
                         {"dilations", AttrType::kInts},
                         {"kernel_shape", AttrType::kInts, true},
                         {"pads", AttrType::kInts},
                         {"strides", AttrType::kInts}},
          .infer = infer_pool,
          .reference = average_pool_reference,
          .cost = cost_pool};
}

// ---------------------------------------------------------------- LpPool

namespace {

// An integer since version 2, a float before.
double norm_power(const Node& n) {
  const Attribute* a = n.attr("p");
  double p = a && a->type() == AttrType::kFloat ? n.attr_f("p", 2) : static_cast<double>(n.attr_i("p", 2));
  check(p > 0, Code::kInvalidModel, "p is ", p, ", it must be positive");
  return p;
}
double power(double v, double p) { return p == 2 ? v * v : p == 1 ? std::abs(v) : std::pow(std::abs(v), p); }
double root(double v, double p) { return p == 2 ? std::sqrt(v) : p == 1 ? v : std::pow(v, 1 / p); }

void lp_pool_reference(KernelContext& c) {
  const Tensor& x = c.in(0);
  Pool p(c.node(), x.dims());
  double e = norm_power(c.node());
  Tensor& y = c.out(0, x.dtype(), p.y);
  with_real(x.dtype(), [&](auto zero) {
    using T = decltype(zero);
    RealIn<T> xs(x);
    RealOut<T> ys(y);
    for (int64_t plane = 0; plane < p.planes; ++plane) {
      c.poll();
      const T* xp = xs.data() + plane * p.in_size;
      T* yp = ys.data() + plane * p.out_size;
      double sum = 0;
      p.visit([&](int64_t) { sum = 0; },
              [&](int64_t, int64_t from) { sum += power(static_cast<double>(xp[from]), e); },
              [&](int64_t i) { yp[i] = static_cast<T>(root(sum, e)); });
    }
    ys.commit();
  });
}

}  // namespace

SKIFF_OP_DEF(ai_onnx, LpPool) {
  return {.name = "LpPool",
          .versions = {1, 2, 11, 18, 22},
          .inputs = {{"X", kFloatTypes, 'T'}},
          .outputs = {{"Y", kFloatTypes, 'T'}},
          .attributes = {{"auto_pad", AttrType::kString},
                         {"ceil_mode", AttrType::kInt},
                         {"dilations", AttrType::kInts},
                         {"kernel_shape", AttrType::kInts},
                         {"pads", AttrType::kInts},
                         {"strides", AttrType::kInts}},
          .infer = infer_pool,
          .reference = lp_pool_reference,
          .cost = cost_pool};
}

// ---------------------------------------------------------------- global forms

namespace {

void infer_global(InferContext& c) {
  SymShape y = c.shape(0);
  if (y.has_rank() && y.rank() < 2)
    fail(Code::kInvalidModel, "X must be [N, C, spatial...], it has shape ", y.to_string());
  for (size_t i = 2; i < y.rank(); ++i) y[i] = 1;
  c.set(0, c.dtype(0), std::move(y));
}

Cost cost_global(const CostContext& c) {
  Cost r;
  r.flops = c.in_elements(0);
  for (const Type* t : {c.in[0], c.out[0]})
    if (t) r.bytes += c.elements(t) * dtype_bits(t->dtype) / 8;
  return r;
}

enum class Global { kAverage, kMax, kLp };

void global_pool(KernelContext& c, Global kind) {
  const Tensor& x = c.in(0);
  ref::expect_rank(x, 2, "X", true);
  Dims d = x.dims();
  for (size_t i = 2; i < d.size(); ++i) d[i] = 1;
  int64_t planes = d[0] * d[1], n = ref::count_of(x.dims(), 2, x.rank());
  double p = kind == Global::kLp ? norm_power(c.node()) : 2;
  Tensor& y = c.out(0, x.dtype(), d);
  with_real(x.dtype(), [&](auto zero) {
    using T = decltype(zero);
    RealIn<T> xs(x);
    RealOut<T> ys(y);
    for (int64_t i = 0; i < planes; ++i) {
      const T* xp = xs.data() + i * n;
      double r = kind == Global::kMax ? -std::numeric_limits<double>::infinity() : 0;
      for (int64_t j = 0; j < n; ++j) {
        auto v = static_cast<double>(xp[j]);
        if (kind == Global::kAverage)
          r += v;
        else if (kind == Global::kLp)
          r += power(v, p);
        else if (v > r || v != v)
          r = v;
      }
      if (kind == Global::kAverage) r /= static_cast<double>(n);
      if (kind == Global::kLp) r = root(r, p);
      ys[i] = static_cast<T>(r);
    }
    ys.commit();
  });
}

void global_average_reference(KernelContext& c) { global_pool(c, Global::kAverage); }
void global_max_reference(KernelContext& c) { global_pool(c, Global::kMax); }
void global_lp_reference(KernelContext& c) { global_pool(c, Global::kLp); }

}  // namespace

SKIFF_OP_DEF(ai_onnx, GlobalAveragePool) {
  return {.name = "GlobalAveragePool",
          .versions = {1, 22},
          .inputs = {{"X", kFloatTypes, 'T'}},
          .outputs = {{"Y", kFloatTypes, 'T'}},
          .infer = infer_global,
          .reference = global_average_reference,
          .cost = cost_global};
}

SKIFF_OP_DEF(ai_onnx, GlobalMaxPool) {
  return {.name = "GlobalMaxPool",
          .versions = {1, 22},
          .inputs = {{"X", kFloatTypes, 'T'}},
          .outputs = {{"Y", kFloatTypes, 'T'}},
          .infer = infer_global,
          .reference = global_max_reference,
          .cost = cost_global};
}

SKIFF_OP_DEF(ai_onnx, GlobalLpPool) {
  return {.name = "GlobalLpPool",
          .versions = {1, 2, 22},
          .inputs = {{"X", kFloatTypes, 'T'}},
          .outputs = {{"Y", kFloatTypes, 'T'}},
          .infer = infer_global,
          .reference = global_lp_reference,
          .cost = cost_global};
}

// ---------------------------------------------------------------- MaxUnpool

namespace {

// The extents MaxPool would have read with the node's window.
SymShape unpooled_shape(const Node& n, const SymShape& x) {
  if (!x.has_rank()) return {};
  if (x.rank() < 3) fail(Code::kInvalidModel, "X must be [N, C, spatial...], it has shape ", x.to_string());
  Window w = window_of(n, x.rank() - 2, {});
  SymShape y = x;
  for (size_t i = 0; i < w.rank(); ++i) {
    check(w.kernel[i] >= 1, Code::kInvalidModel, "the attribute 'kernel_shape' is missing");
    Dim d = (x[i + 2] - Dim(1)) * Dim(w.stride[i]) + Dim(w.kernel[i] - w.begin[i] - w.end[i]);
    check(!d.is_const() || d.value() >= 0, Code::kInvalidModel,
          "the padding takes off more than the output has");
    y[i + 2] = d;
  }
  return y;
}

void infer_max_unpool(InferContext& c) {
  SymShape y = unpooled_shape(c.node(), c.shape(0));
  if (c.has(2)) {
    auto given = c.data(2);
    if (given)
      rule::set_shape_from(c, 0, c.dtype(0), given);
    else
      c.set(0, c.dtype(0), y.has_rank() ? SymShape::of_rank(y.rank()) : SymShape());
    return;
  }
  c.set(0, c.dtype(0), std::move(y));
}

void max_unpool_reference(KernelContext& c) {
  const Tensor &x = c.in(0), &places = c.in(1);
  Dims pooled = unpooled_shape(c.node(), SymShape(x.dims())).to_dims(), d = pooled;
  ref::expect_dims(places, x.dims(), "I");
  if (const Tensor* shape = c.maybe(2)) {
    d = Dims();
    for (int64_t e : to_ints(*shape)) d.push_back(e);
    check(d.size() == pooled.size(), Code::kInvalidModel, "output_shape has ", d.size(),
          " entries, X has rank ", pooled.size());
  }
  Tensor& y = c.out(0, x.dtype(), d);
  ref::fill_zero(y);
  int64_t total = element_count(pooled);
  // The indices count in the shape the window implies; output_shape may be larger.
  for (int64_t i = 0; i < x.size(); ++i) {
    int64_t at = get_int(places, i), to = 0, step = 1;
    check(at >= 0 && at < total, Code::kInvalidModel, "index ", at, " lies outside the ", total,
          " elements of the output");
    for (size_t a = d.size(); a-- > 0;) {
      int64_t k = at % pooled[a];
      at /= pooled[a];
      check(k < d[a], Code::kInvalidModel, "an index lies outside output_shape");
      to += k * step;
      step *= d[a];
    }
    ref::copy(y, to, 1, x, i, 1, 1);
  }
}

}  // namespace

SKIFF_OP_DEF(ai_onnx, MaxUnpool) {
  return {.name = "MaxUnpool",
          .versions = {9, 11, 22},
          .inputs = {{"X", kFloatTypes, '1'},
                     {"I", mask_of(DType::kInt64), '2'},
                     {"output_shape", mask_of(DType::kInt64), '2', Arity::kOptional}},
          .outputs = {{"output", kFloatTypes, '1'}},
          .attributes = {{"kernel_shape", AttrType::kInts, true},
                         {"pads", AttrType::kInts},
                         {"strides", AttrType::kInts}},
          .infer = infer_max_unpool,
          .reference = max_unpool_reference,
          .value_inputs = 1u << 2};
}

}  // namespace skiff
