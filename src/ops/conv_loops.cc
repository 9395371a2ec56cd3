#include <algorithm>

#include "ops/conv.h"

namespace skiff {

Dims ConvShape::y_dims() const {
  Dims d{batch, filters};
  for (int64_t e : out) d.push_back(e);
  return d;
}

namespace {

int64_t group_of(const Node& n) {
  int64_t g = n.attr_i("group", 1);
  check(g >= 1 && g < kMaxWindow, Code::kInvalidModel, "group is ", g, ", it must be at least 1");
  return g;
}

// Ranks and channel counts as far as they are known.
void check_channels(const SymShape& x, const SymShape& w, int64_t group, bool transposed) {
  if (x.has_rank() && x.rank() < 3)
    fail(Code::kInvalidModel, "X must be [N, C, spatial...], it has shape ", x.to_string());
  if (w.has_rank() && w.rank() < 3)
    fail(Code::kInvalidModel, "W must have 2 channel and at least one kernel axis, it has shape ",
         w.to_string());
  if (x.has_rank() && w.has_rank()) {
    if (x.rank() != w.rank())
      fail(Code::kInvalidModel, "X of shape ", x.to_string(), " and W of shape ", w.to_string(),
           " differ in rank");
    const Dim &c = x[1], &m = w[0], &per = w[1];
    if (transposed) {
      if (c.is_const() && m.is_const() && c.value() != m.value())
        fail(Code::kInvalidModel, "X has ", c.value(), " channels, W is for ", m.value());
    } else if (c.is_const() && per.is_const() && Dim(group) * per != c) {
      fail(Code::kInvalidModel, "X has ", c.value(), " channels, W is for ", per.value(), " in each of ",
           group, " groups");
    }
  }
  if (w.has_rank() && w[0].is_const() && w[0].value() % group != 0)
    fail(Code::kInvalidModel, transposed ? "input" : "output", " channels ", w[0].value(),
         " do not divide into ", group, " groups");
}

std::vector<int64_t> kernel_of(const SymShape& w, size_t spatial) {
  std::vector<int64_t> k(spatial, -1);
  if (w.has_rank())
    for (size_t i = 0; i < spatial; ++i)
      if (w[i + 2].is_const()) k[i] = w[i + 2].value();
  return k;
}

}  // namespace

SymShape conv_output(const Node& n, const SymShape& x, const SymShape& w) {
  int64_t group = group_of(n);
  check_channels(x, w, group, false);
  const SymShape& known = x.has_rank() ? x : w;
  if (!known.has_rank()) return {};
  size_t spatial = known.rank() - 2;
  Window win = window_of(n, spatial, kernel_of(w, spatial));
  SymShape y = SymShape::of_rank(spatial + 2);
  if (w.has_rank()) y[1] = w[0];
  if (!x.has_rank()) return y;
  y[0] = x[0];
  for (size_t i = 0; i < spatial; ++i) y[i + 2] = win.out(i, x[i + 2]);
  return y;
}

namespace {

struct TransposeAttrs {
  int64_t group;
  Window window;
  std::vector<int64_t> padding, shape;  // output_padding; output_shape, empty when not given
};

TransposeAttrs transpose_attrs(const Node& n, const SymShape& w, size_t spatial) {
  TransposeAttrs t{group_of(n), window_of(n, spatial, kernel_of(w, spatial)), {}, {}};
  t.padding = checked_ints(n, "output_padding", spatial, 0, 0);
  if (n.has_attr("output_shape") && !n.attr_ints("output_shape").empty()) {
    // Some exporters write batch and channels in front.
    std::vector<int64_t> s = n.attr_ints("output_shape");
    check(s.size() == spatial || s.size() == spatial + 2, Code::kInvalidModel, "output_shape has ", s.size(),
          " entries, ", spatial, " are needed");
    t.shape.assign(s.end() - static_cast<int64_t>(spatial), s.end());
    for (int64_t e : t.shape)
      check(e >= 1 && e < kMaxWindow, Code::kInvalidModel, "output_shape holds the extent ", e);
  }
  return t;
}

// Extent before padding is taken off.
Dim full_extent(const TransposeAttrs& t, size_t i, const Dim& in) {
  return (in - Dim(1)) * Dim(t.window.stride[i]) + Dim(t.padding[i] + t.window.span(i));
}

Dim transpose_extent(const TransposeAttrs& t, size_t i, const Dim& in) {
  if (!t.shape.empty()) return t.shape[i];
  const Window& w = t.window;
  if (w.auto_pad == AutoPad::kSameUpper || w.auto_pad == AutoPad::kSameLower) return in * Dim(w.stride[i]);
  if (w.kernel[i] < 0 || !in.is_known()) return {};
  Dim out = full_extent(t, i, in) - Dim(w.begin[i] + w.end[i]);
  if (out.is_const() && out.value() < 0)
    fail(Code::kInvalidModel, "the padding takes off more than the output has along spatial axis ", i);
  return out;
}

}  // namespace

SymShape conv_transpose_output(const Node& n, const SymShape& x, const SymShape& w) {
  check_channels(x, w, group_of(n), true);
  const SymShape& known = x.has_rank() ? x : w;
  if (!known.has_rank()) return {};
  size_t spatial = known.rank() - 2;
  TransposeAttrs t = transpose_attrs(n, w, spatial);
  SymShape y = SymShape::of_rank(spatial + 2);
  if (w.has_rank()) y[1] = w[1] * Dim(t.group);
  if (!x.has_rank()) return y;
  y[0] = x[0];
  for (size_t i = 0; i < spatial; ++i) y[i + 2] = transpose_extent(t, i, x[i + 2]);
  return y;
}

ConvShape conv_shape(const Node& n, const Dims& x, const Dims& w) {
  SymShape sw(w);
  Dims y = conv_output(n, SymShape(x), sw).to_dims();
  ConvShape s;
  s.batch = x[0];
  s.channels = x[1];
  s.filters = w[0];
  s.group = group_of(n);
  s.in = spatial_of(x);
  s.out = spatial_of(y);
  s.window = window_of(n, s.in.size(), kernel_of(sw, s.in.size()));
  s.window.resolve(s.in);
  return s;
}

ConvShape conv_transpose_shape(const Node& n, const Dims& x, const Dims& w) {
  SymShape sw(w);
  Dims y = conv_transpose_output(n, SymShape(x), sw).to_dims();
  ConvShape s;
  s.batch = x[0];
  s.channels = x[1];
  s.group = group_of(n);
  s.filters = y[1];
  s.in = spatial_of(x);
  s.out = spatial_of(y);
  TransposeAttrs t = transpose_attrs(n, sw, s.in.size());
  s.window = t.window;
  bool same = t.window.auto_pad == AutoPad::kSameUpper || t.window.auto_pad == AutoPad::kSameLower;
  for (size_t i = 0; i < s.in.size() && (same || !t.shape.empty()); ++i) {
    int64_t total = std::max<int64_t>(full_extent(t, i, s.in[i]).value() - s.out[i], 0);
    s.window.begin[i] = t.window.auto_pad == AutoPad::kSameUpper ? total / 2 : total - total / 2;
    s.window.end[i] = total - s.window.begin[i];
  }
  return s;
}

namespace {

int64_t product(const std::vector<int64_t>& v, size_t begin, size_t end) {
  int64_t p = 1;
  for (size_t i = begin; i < end; ++i) p *= v[i];
  return p;
}

// Outputs o in [lo, hi) whose input i = o * stride + offset lies in [0, n).
void valid_range(int64_t n, int64_t stride, int64_t offset, int64_t outs, int64_t& lo, int64_t& hi) {
  lo = offset >= 0 ? 0 : (-offset + stride - 1) / stride;
  hi = n > offset ? std::min(outs, (n - offset - 1) / stride + 1) : 0;
}

// For one row of the outer spatial axes: which kernel rows meet the other tensor, and where its row starts.
struct RowTap {
  int64_t kernel_row;  // index over the outer kernel axes
  int64_t row;         // index over the other tensor's outer spatial axes
};

}  // namespace

template <class T, class Acc>
void conv_rows(const ConvShape& s, const T* x, const T* w, RowSink<Acc>& sink, KernelContext& poll) {
  const Window& win = s.window;
  size_t last = s.in.size() - 1;
  int64_t in_rows = product(s.in, 0, last), out_rows = product(s.out, 0, last);
  int64_t taps = product(win.kernel, 0, last), kw = win.kernel[last];
  int64_t iw = s.in[last], ow = s.out[last], stride = win.stride[last];
  int64_t cg = s.channels / s.group, mg = s.filters / s.group;
  std::vector<int64_t> out_outer(s.out.begin(), s.out.end() - 1),
      k_outer(win.kernel.begin(), win.kernel.end() - 1);
  std::vector<Acc> sums(static_cast<size_t>(ow));
  std::vector<RowTap> rows;
  if (ow == 0) return;
  for (int64_t b = 0; b < s.batch; ++b) {
    std::vector<int64_t> o(last, 0);
    for (int64_t r = 0; r < out_rows; ++r, next_index(o, out_outer)) {
      rows.clear();
      std::vector<int64_t> k(last, 0);
      for (int64_t t = 0; t < taps; ++t, next_index(k, k_outer)) {
        int64_t row = 0;
        bool inside = true;
        for (size_t a = 0; a < last; ++a) {
          int64_t i = o[a] * win.stride[a] - win.begin[a] + k[a] * win.dilation[a];
          inside = inside && i >= 0 && i < s.in[a];
          row = row * s.in[a] + i;
        }
        if (inside) rows.push_back({t, row});
      }
      for (int64_t m = 0; m < s.filters; ++m) {
        poll.poll();
        std::fill(sums.begin(), sums.end(), Acc(0));
        int64_t first = m / mg * cg;
        for (int64_t c = 0; c < cg; ++c) {
          const T* xc = x + (b * s.channels + first + c) * in_rows * iw;
          const T* wc = w + (m * cg + c) * taps * kw;
          for (const RowTap& t : rows) {
            const T* xr = xc + t.row * iw;
            const T* wr = wc + t.kernel_row * kw;
            for (int64_t j = 0; j < kw; ++j) {
              int64_t off = j * win.dilation[last] - win.begin[last], lo, hi;
              valid_range(iw, stride, off, ow, lo, hi);
              auto v = static_cast<Acc>(wr[j]);
              for (int64_t i = lo; i < hi; ++i)
                sums[static_cast<size_t>(i)] += v * static_cast<Acc>(xr[i * stride + off]);
            }
          }
        }
        sink.row(m, ((b * s.filters + m) * out_rows + r) * ow, sums.data(), ow);
      }
    }
  }
}

template <class T, class Acc>
void conv_transpose_rows(const ConvShape& s, const T* x, const T* w, RowSink<Acc>& sink,
                         KernelContext& poll) {
  const Window& win = s.window;
  size_t last = s.in.size() - 1;
  int64_t in_rows = product(s.in, 0, last), out_rows = product(s.out, 0, last);
  int64_t taps = product(win.kernel, 0, last), kw = win.kernel[last];
  int64_t iw = s.in[last], ow = s.out[last], stride = win.stride[last];
  int64_t cg = s.channels / s.group, mg = s.filters / s.group;
  std::vector<int64_t> out_outer(s.out.begin(), s.out.end() - 1),
      k_outer(win.kernel.begin(), win.kernel.end() - 1);
  std::vector<Acc> sums(static_cast<size_t>(ow));
  std::vector<RowTap> rows;
  if (ow == 0) return;
  for (int64_t b = 0; b < s.batch; ++b) {
    std::vector<int64_t> o(last, 0);
    for (int64_t r = 0; r < out_rows; ++r, next_index(o, out_outer)) {
      rows.clear();
      std::vector<int64_t> k(last, 0);
      for (int64_t t = 0; t < taps; ++t, next_index(k, k_outer)) {
        int64_t row = 0;
        bool inside = true;
        for (size_t a = 0; a < last; ++a) {
          // The input whose window of stride and padding reaches this output with tap k.
          int64_t at = o[a] + win.begin[a] - k[a] * win.dilation[a], i = at / win.stride[a];
          inside = inside && at >= 0 && at % win.stride[a] == 0 && i < s.in[a];
          row = row * s.in[a] + i;
        }
        if (inside) rows.push_back({t, row});
      }
      for (int64_t m = 0; m < s.filters; ++m) {
        poll.poll();
        std::fill(sums.begin(), sums.end(), Acc(0));
        int64_t first = m / mg * cg;
        for (int64_t c = 0; c < cg; ++c) {
          const T* xc = x + (b * s.channels + first + c) * in_rows * iw;
          const T* wc = w + ((first + c) * mg + m % mg) * taps * kw;
          for (const RowTap& t : rows) {
            const T* xr = xc + t.row * iw;
            const T* wr = wc + t.kernel_row * kw;
            for (int64_t j = 0; j < kw; ++j) {
              int64_t off = j * win.dilation[last] - win.begin[last], lo, hi;
              valid_range(ow, stride, off, iw, lo, hi);
              auto v = static_cast<Acc>(wr[j]);
              for (int64_t i = lo; i < hi; ++i)
                sums[static_cast<size_t>(i * stride + off)] += v * static_cast<Acc>(xr[i]);
            }
          }
        }
        sink.row(m, ((b * s.filters + m) * out_rows + r) * ow, sums.data(), ow);
      }
    }
  }
}

template void conv_rows(const ConvShape&, const float*, const float*, RowSink<double>&, KernelContext&);
template void conv_rows(const ConvShape&, const double*, const double*, RowSink<double>&, KernelContext&);
template void conv_rows(const ConvShape&, const int32_t*, const int32_t*, RowSink<int64_t>&, KernelContext&);
template void conv_transpose_rows(const ConvShape&, const float*, const float*, RowSink<double>&,
                                  KernelContext&);
template void conv_transpose_rows(const ConvShape&, const double*, const double*, RowSink<double>&,
                                  KernelContext&);

Cost conv_cost(const CostContext& c, size_t w, bool transposed) {
  Cost r;
  double per = c.in_elements(w) / static_cast<double>(std::max<int64_t>(1, c.in_dim(w, 0)));
  // Each output (of the reverse: each input) element meets one filter of its group.
  r.flops = 2 * per * (transposed ? c.in_elements(0) : c.out_elements(0));
  for (const Type* t : c.in)
    if (t) r.bytes += c.elements(t) * dtype_bits(t->dtype) / 8;
  for (const Type* t : c.out)
    if (t) r.bytes += c.elements(t) * dtype_bits(t->dtype) / 8;
  return r;
}

}  // namespace skiff
