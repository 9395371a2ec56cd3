// 8-bit integers between products: addition, multiplication, tables, pools.
#include <cmath>

#include "device/cpu/glue_epilogue.h"
#include "device/cpu/glue_int8.h"
#include "ops/window.h"

namespace skiff::cpu {
namespace {

const uint8_t* bytes_in(const RunArgs& a, size_t i) {
  return static_cast<const uint8_t*>(a.in[i]->tensor().raw());
}
uint8_t* bytes_out(const RunArgs& a) { return static_cast<uint8_t*>(a.out[0]->tensor().raw()); }

float float_of(const Tensor* t) { return static_cast<float>(get_double(*t, 0)); }
int32_t int_of(const Tensor* t) { return t ? static_cast<int32_t>(get_int(*t, 0)) : 0; }

Work bytes_work(const CpuContext& c, int64_t n, double ns) {
  return divide(c, n, static_cast<double>(n) * ns * 1e-9, 4096);
}

// ---------------------------------------------------------------- QLinearAdd, QLinearMul

std::unique_ptr<BoundKernel> plan_binary(const PlanArgs& p) {
  const bool multiply = p.node.op == "QLinearMul";
  QBinary q;
  q.multiply = multiply;
  q.is_signed = p.out[0].dtype == DType::kInt8;
  q.low = q.is_signed ? -128 : 0;
  q.high = q.low + 255;
  const float sa = float_of(p.constant(1)), sb = float_of(p.constant(4)), sy = float_of(p.constant(6));
  q.a_scale = multiply ? sa * sb / sy : sa / sy;
  q.b_scale = sb / sy;
  q.a_zero = int_of(p.constant(2));
  q.b_zero = int_of(p.constant(5));
  q.y_zero = int_of(p.constant(7));
  size_t a = 0, b = 3;
  if (p.x(0) != p.y()) {
    std::swap(a, b);
    std::swap(q.a_zero, q.b_zero);
    if (!multiply) std::swap(q.a_scale, q.b_scale);
  }
  q.b_single = element_count(p.x(b)) == 1;
  if (p.x(a) != p.y() || (!q.b_single && p.x(b) != p.y())) return nullptr;
  const CpuContext& c = p.c;
  Work w = bytes_work(c, element_count(p.y()), 0.15);
  return bound([&c, q, w, a, b](const RunArgs& r) {
    QBinary t = q;
    t.a = bytes_in(r, a);
    t.b = bytes_in(r, b);
    t.y = bytes_out(r);
    each(c, w, [&](int64_t from, int64_t to) { c.k->int8->binary(t, from, to); });
  });
}

std::optional<double> match_binary(const NodeQuery& q, const CpuContext& c) {
  if (q.out.empty() || !q.out[0] || !is_8bit(q.out[0]->dtype) || !scalar_params(q, 1, 2) ||
      !scalar_params(q, 4, 5) || !scalar_params(q, 6, 7))
    return std::nullopt;
  return moves_seconds(q, c);
}

// ---------------------------------------------------------------- Lookup

std::unique_ptr<BoundKernel> plan_lookup(const PlanArgs& p) {
  const CpuContext& c = p.c;
  const int64_t n = element_count(p.y());
  Work w = bytes_work(c, n, 0.3);
  Tensor table = *p.node.attr_tensor("table");
  return bound([&c, w, table](const RunArgs& r) {
    const uint8_t *t = table.data<uint8_t>(), *x = bytes_in(r, 0);
    uint8_t* y = bytes_out(r);
    each(c, w, [&](int64_t b, int64_t e) { c.k->int8->lookup(t, x + b, y + b, e - b); });
  });
}

std::optional<double> match_lookup(const NodeQuery& q, const CpuContext& c) { return moves_seconds(q, c); }

// ---------------------------------------------------------------- pools of channels-last images

// The taps of one output pixel that lie inside.
struct PoolShape {
  int64_t batch = 0, channels = 0, in[2] = {1, 1}, out[2] = {1, 1}, kernel[2] = {1, 1}, stride[2] = {1, 1},
          dilation[2] = {1, 1}, pad[2] = {0, 0}, pad_end[2] = {0, 0};
};

std::optional<PoolShape> pool_shape(const PlanArgs& p, bool global) {
  const Dims &x = p.x(), &y = p.y();
  if (x.size() != 3 && x.size() != 4) return std::nullopt;
  PoolShape s;
  s.batch = x[0];
  s.channels = x.back();
  const size_t n = x.size() - 2;
  std::vector<int64_t> in(x.begin() + 1, x.end() - 1);
  for (size_t i = 0; i < n; ++i) {
    s.in[2 - n + i] = x[1 + i];
    s.out[2 - n + i] = y[1 + i];
  }
  if (global) {
    for (int i = 0; i < 2; ++i) s.kernel[i] = s.in[i];
    return s;
  }
  Window w = window_of(p.node, n, {});
  w.resolve(in);
  for (size_t i = 0; i < n; ++i) {
    const size_t a = 2 - n + i;
    s.kernel[a] = w.kernel[i];
    s.stride[a] = w.stride[i];
    s.dilation[a] = w.dilation[i];
    s.pad[a] = w.begin[i];
    s.pad_end[a] = w.end[i];
  }
  return s;
}

// Calls f(first pixel, count) for runs of neighbouring pixels of the window at output (oy, ox), or one by one
// when dilated; returns how many taps lie inside the padded image as well.
template <class F>
void window_runs(const PoolShape& s, int64_t oy, int64_t ox, F&& f) {
  const int64_t x0 = ox * s.stride[1] - s.pad[1];
  for (int64_t ky = 0; ky < s.kernel[0]; ++ky) {
    const int64_t y = oy * s.stride[0] - s.pad[0] + ky * s.dilation[0];
    if (y < 0 || y >= s.in[0]) continue;
    if (s.dilation[1] == 1) {
      const int64_t b = std::max<int64_t>(x0, 0), e = std::min(x0 + s.kernel[1], s.in[1]);
      if (b < e) f(y * s.in[1] + b, e - b);
      continue;
    }
    for (int64_t kx = 0; kx < s.kernel[1]; ++kx) {
      const int64_t x = x0 + kx * s.dilation[1];
      if (x >= 0 && x < s.in[1]) f(y * s.in[1] + x, int64_t{1});
    }
  }
}

template <class F>
void each_output_row(const CpuContext& c, const PoolShape& s, const F& f) {
  const double bytes =
      static_cast<double>(s.batch * s.out[0] * s.out[1] * s.kernel[0] * s.kernel[1] * s.channels);
  each(c, divide(c, s.batch * s.out[0], bytes * 0.1e-9), [&](int64_t b, int64_t e) {
    for (int64_t r = b; r < e; ++r) f(r);
  });
}

std::unique_ptr<BoundKernel> plan_average(const PlanArgs& p) {
  const bool global = p.node.op == "QLinearGlobalAveragePool";
  auto shape = pool_shape(p, global);
  if (!shape) return nullptr;
  const bool include_pad = p.node.attr_i("count_include_pad", 0) != 0;
  const float sx = float_of(p.constant(1)), sy = float_of(p.constant(3));
  const int32_t zx = int_of(p.constant(2)), zy = int_of(p.constant(4));
  const bool is_signed = p.in[0].dtype == DType::kInt8;
  const CpuContext& c = p.c;
  const PoolShape s = *shape;
  const size_t row_bytes = align_up(static_cast<size_t>(s.channels) * 4);
  return bound(
      [=, &c](const RunArgs& a) {
        const uint8_t* x = bytes_in(a, 0);
        uint8_t* y = bytes_out(a);
        const int32_t lo = is_signed ? -128 : 0;
        const auto low = static_cast<float>(lo - zy), high = static_cast<float>(lo + 255 - zy);
        each_output_row(c, s, [&](int64_t r) {
          auto* sums = reinterpret_cast<int32_t*>(static_cast<char*>(a.workspace) +
                                                  static_cast<size_t>(r) * row_bytes);
          const uint8_t* image = x + r / s.out[0] * s.in[0] * s.in[1] * s.channels;
          const int64_t oy = r % s.out[0];
          for (int64_t ox = 0; ox < s.out[1]; ++ox) {
            std::fill(sums, sums + s.channels, 0);
            int64_t inside = 0;
            window_runs(s, oy, ox, [&](int64_t first, int64_t n) {
              inside += n;
              c.k->int8->add_pixels(image + first * s.channels, is_signed, n, s.channels, sums);
            });
            int64_t count = inside;
            if (include_pad) {
              auto padded = [&](int i, int64_t o) {
                int64_t n = 0;
                for (int64_t k = 0; k < s.kernel[i]; ++k)
                  n += o * s.stride[i] - s.pad[i] + k * s.dilation[i] < s.in[i] + s.pad_end[i];
                return n;
              };
              count = padded(0, oy) * padded(1, ox);
            }
            const float scale = sx / (sy * static_cast<float>(std::max<int64_t>(count, 1)));
            uint8_t* to = y + (r * s.out[1] + ox) * s.channels;
            const auto bias = static_cast<int32_t>(inside * zx);
            for (int64_t k = 0; k < s.channels; ++k) {
              const float v = static_cast<float>(sums[k] - bias) * scale;
              to[k] = static_cast<uint8_t>(std::lrint(std::clamp(v, low, high)) + zy);
            }
          }
        });
      },
      row_bytes * static_cast<size_t>(s.batch * s.out[0]));
}

std::optional<double> match_average(const NodeQuery& q, const CpuContext& c) {
  if (!q.in[0] || !is_8bit(q.in[0]->dtype) || q.node.attr_i("channels_last", 0) == 0 ||
      !scalar_params(q, 1, 2) || !scalar_params(q, 3, 4))
    return std::nullopt;
  return moves_seconds(q, c);
}

std::unique_ptr<BoundKernel> plan_max(const PlanArgs& p) {
  auto shape = pool_shape(p, p.node.op == "GlobalMaxPool");
  if (!shape) return nullptr;
  const bool is_signed = p.in[0].dtype == DType::kInt8;
  const CpuContext& c = p.c;
  const PoolShape s = *shape;
  return bound([=, &c](const RunArgs& a) {
    const uint8_t* x = bytes_in(a, 0);
    uint8_t* y = bytes_out(a);
    each_output_row(c, s, [&](int64_t r) {
      const uint8_t* image = x + r / s.out[0] * s.in[0] * s.in[1] * s.channels;
      for (int64_t ox = 0; ox < s.out[1]; ++ox) {
        uint8_t* to = y + (r * s.out[1] + ox) * s.channels;
        std::memset(to, is_signed ? 128 : 0, static_cast<size_t>(s.channels));
        window_runs(s, r % s.out[0], ox, [&](int64_t first, int64_t n) {
          for (int64_t k = 0; k < n; ++k)
            c.k->int8->max(image + (first + k) * s.channels, is_signed, s.channels, to);
        });
      }
    });
  });
}

std::optional<double> match_max(const NodeQuery& q, const CpuContext& c) {
  const bool last = q.node.domain == "com.microsoft" || q.node.attr_s("layout", "NHWC") == "NHWC";
  if (!last || !q.in[0] || !is_8bit(q.in[0]->dtype) || q.node.outputs.size() != 1) return std::nullopt;
  return moves_seconds(q, c);
}

// ---------------------------------------------------------------- ArgMax, ArgMin

std::unique_ptr<BoundKernel> plan_arg(const PlanArgs& p) {
  const Dims& x = p.x();
  const auto rank = static_cast<int64_t>(x.size());
  int64_t axis = p.node.attr_i("axis", 0);
  if (axis < 0) axis += rank;
  if (axis < 0 || axis >= rank || x[static_cast<size_t>(axis)] == 0) return nullptr;
  const auto at = static_cast<size_t>(axis);
  const int64_t n = x[at], inner = span_of(x, at + 1, x.size()), rows = span_of(x, 0, at) * inner;
  const bool last = p.node.attr_i("select_last_index", 0) != 0;
  // Values are ordered as u8 after flipping: s8 its top bit, a minimum all bits.
  const auto flip =
      static_cast<uint8_t>((p.in[0].dtype == DType::kInt8 ? 128 : 0) ^ (p.node.op == "ArgMin" ? 255 : 0));
  const CpuContext& c = p.c;
  Work w = divide(c, rows, static_cast<double>(rows * n) * 0.5e-9, 64);
  return bound([=, &c](const RunArgs& a) {
    const uint8_t* from = bytes_in(a, 0);
    auto* y = a.out[0]->tensor().data<int64_t>();
    each(c, w, [&](int64_t b, int64_t e) {
      for (int64_t r = b; r < e; ++r) {
        const uint8_t* v = from + r / inner * n * inner + r % inner;
        // Value and index as one number: the first of equals is the largest when indices count down.
        uint64_t best = 0;
        for (int64_t i = 0; i < n; ++i) {
          const auto key = static_cast<uint64_t>(static_cast<uint8_t>(v[i * inner] ^ flip)) << 48 |
                           static_cast<uint64_t>(last ? i + 1 : n - i);
          best = std::max(best, key);
        }
        const auto index = static_cast<int64_t>(best & 0xffffffffffff);
        y[r] = last ? index - 1 : n - index;
      }
    });
  });
}

std::optional<double> match_arg(const NodeQuery& q, const CpuContext& c) {
  if (!q.in[0] || !is_8bit(q.in[0]->dtype)) return std::nullopt;
  return moves_seconds(q, c);
}

}  // namespace

std::span<const KernelFactory> bytes_factories() {
  static const KernelFactory list[] = {
      glue<"add_int8", plan_binary>("com.microsoft", "QLinearAdd", match_binary),
      glue<"mul_int8", plan_binary>("com.microsoft", "QLinearMul", match_binary),
      glue<"lookup_int8", plan_lookup, 1>("skiff", "Lookup", match_lookup),
      glue<"average_pool_int8", plan_average>("com.microsoft", "QLinearAveragePool", match_average),
      glue<"global_average_pool_int8", plan_average>("com.microsoft", "QLinearGlobalAveragePool",
                                                     match_average),
      glue<"max_pool_int8", plan_max>("skiff", "MaxPool", match_max),
      glue<"max_pool_int8", plan_max>("com.microsoft", "NhwcMaxPool", match_max),
      glue<"arg_int8", plan_arg>("", "ArgMax", match_arg),
      glue<"arg_int8", plan_arg>("", "ArgMin", match_arg),
  };
  return list;
}

}  // namespace skiff::cpu
