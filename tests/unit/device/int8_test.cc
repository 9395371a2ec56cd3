// The byte kernels of every instruction set against plain loops: results are equal to the last bit.
#include "device/cpu/kernels/int8/int8.h"

#include <algorithm>

#include "unit/device/kernel_test.h"

using namespace skiff;
using namespace skiff::cpu;

namespace {

int32_t value_of(uint8_t bits, bool is_signed) { return is_signed ? static_cast<int8_t>(bits) : bits; }

std::vector<uint8_t> random_bytes(Rng& r, int64_t n) {
  std::vector<uint8_t> v(static_cast<size_t>(n));
  for (uint8_t& b : v) b = static_cast<uint8_t>(r.next());
  return v;
}
int64_t between(Rng& r, int64_t lo, int64_t hi) { return lo + r.below(hi - lo + 1); }
int32_t random_zero(Rng& r, bool is_signed) {
  return static_cast<int32_t>(between(r, is_signed ? -128 : 0, is_signed ? 127 : 255));
}

// Weights with no, one or many zero points.
struct Weights {
  std::vector<uint8_t> data;
  std::vector<int32_t> zeros;
  QWeights w;
  Weights(Rng& r, int64_t k, int64_t n, bool rows_of_k) : data(random_bytes(r, k * n)) {
    w.k = k;
    w.n = n;
    w.data = data.data();
    w.k_stride = rows_of_k ? n : 1;
    w.n_stride = rows_of_k ? 1 : k;
    w.is_signed = r.below(2) != 0;
    const int64_t kind = r.below(3);
    zeros.resize(kind == 2 ? static_cast<size_t>(n) : 1);
    for (int32_t& z : zeros) z = kind == 0 ? 0 : random_zero(r, w.is_signed);
    w.zero = zeros.data();
    w.zeros = static_cast<int64_t>(zeros.size());
  }
  int32_t at(int64_t p, int64_t j) const {
    return value_of(data[static_cast<size_t>(p * w.k_stride + j * w.n_stride)], w.is_signed) -
           zeros[zeros.size() == 1 ? 0 : static_cast<size_t>(j)];
  }
};

QStore random_store(Rng& r) {
  QStore s;
  s.is_signed = r.below(2) != 0;
  s.zero = random_zero(r, s.is_signed);
  s.low = s.is_signed ? -128 : 0;
  s.high = s.low + 255;
  if (r.below(2)) {
    s.low = s.zero;
    s.high = std::min(s.high, s.zero + static_cast<int32_t>(r.below(60)));
  }
  return s;
}
uint8_t to_byte(int32_t sum, float scale, const QStore& s) {
  const double v = static_cast<double>(std::nearbyint(static_cast<float>(sum) * scale)) + s.zero;
  return static_cast<uint8_t>(static_cast<int32_t>(std::clamp<double>(v, s.low, s.high)));
}

// Element (row, p) of A, less its zero point; images of `images` pictures.
struct Rows {
  std::vector<uint8_t> data;
  QRows q;
  int64_t images = 1;
  void random_image(Rng& r, bool depthwise) {
    for (int i = 0; i < 2; ++i) {
      q.in[i] = between(r, 1, 11);
      q.kernel[i] = between(r, 1, depthwise ? 5 : 3);
      q.stride[i] = between(r, 1, 2);
      q.dilation[i] = r.below(4) == 0 ? 2 : 1;
      const int64_t span = q.dilation[i] * (q.kernel[i] - 1) + 1;
      q.pad[i] = q.in[i] < span ? span : r.below(3);
      q.out[i] = (q.in[i] + 2 * q.pad[i] - span) / q.stride[i] + 1;
    }
    if (depthwise && r.below(3) > 0)
      q.kernel[0] = q.kernel[1], q.stride[0] = q.stride[1], q.dilation[0] = q.dilation[1] = 1;
    for (int i = 0; i < 2; ++i) {
      const int64_t span = q.dilation[i] * (q.kernel[i] - 1) + 1;
      q.pad[i] = std::max(q.pad[i], (span - q.in[i] + 1) / 2);
      q.out[i] = (q.in[i] + 2 * q.pad[i] - span) / q.stride[i] + 1;
    }
    images = between(r, 1, 2);
  }
  void fill(Rng& r, int64_t pixels) {
    q.is_signed = r.below(2) != 0;
    q.zero = random_zero(r, q.is_signed);
    data = random_bytes(r, pixels * q.pixel);
    q.x = data.data();
  }
  int64_t pixels() const { return images * q.in[0] * q.in[1]; }
  int64_t outputs() const { return images * q.out[0] * q.out[1]; }
  int32_t tap(int64_t row, int64_t ky, int64_t kx, int64_t c) const {
    const int64_t ox = row % q.out[1], oy = row / q.out[1] % q.out[0], image = row / q.out[1] / q.out[0];
    const int64_t y = oy * q.stride[0] - q.pad[0] + ky * q.dilation[0],
                  x = ox * q.stride[1] - q.pad[1] + kx * q.dilation[1];
    if (y < 0 || x < 0 || y >= q.in[0] || x >= q.in[1]) return 0;
    return value_of(data[static_cast<size_t>(((image * q.in[0] + y) * q.in[1] + x) * q.pixel + c)],
                    q.is_signed) -
           q.zero;
  }
  int32_t at(int64_t row, int64_t p) const {
    if (q.direct) return value_of(data[static_cast<size_t>(row * q.pixel + p)], q.is_signed) - q.zero;
    const int64_t c = p % q.channels, t = p / q.channels;
    return tap(row, t / q.kernel[1], t % q.kernel[1], c);
  }
};

template <class T>
std::vector<T> columns(const Int8Kernels& k, const std::vector<T>& v, bool bytes) {
  std::vector<T> packed(static_cast<size_t>(k.padded_columns(static_cast<int64_t>(v.size()))));
  k.pack_columns(static_cast<int64_t>(v.size()), bytes, v.data(), packed.data());
  return packed;
}

void check_product(uint64_t seed) {
  Rng r(seed);
  Rows a;
  QGemm g;
  if (r.below(2)) {
    a.q.channels = between(r, 1, 20);
    a.q.pixel = a.q.channels + (r.below(3) == 0 ? r.below(4) : 0);
    a.random_image(r, false);
    g.m = a.outputs();
    g.k = a.q.kernel[0] * a.q.kernel[1] * a.q.channels;
    a.fill(r, a.pixels());
  } else {
    a.q.direct = true;
    g.k = a.q.channels = r.below(2) ? 4 * between(r, 1, 20) : between(r, 1, 80);
    a.q.pixel = g.k + r.below(6);
    g.m = between(r, 1, 60);
    a.fill(r, g.m);
  }
  g.n = between(r, 1, 150);
  g.rows = a.q;
  Weights w(r, g.k, g.n, r.below(2) != 0);
  const auto n = static_cast<size_t>(g.n);
  std::vector<int32_t> bias(n), sums;
  std::vector<float> scale(n);
  for (size_t j = 0; j < n; ++j) {
    bias[j] = static_cast<int32_t>(between(r, -20000, 20000));
    scale[j] = static_cast<float>(between(r, 1, 1000)) * 1e-5F;
  }
  g.store = random_store(r);
  g.store.out = static_cast<QOut>(r.below(3));
  const bool bytes = g.store.out == QOut::kBytes;
  std::vector<uint8_t> want(static_cast<size_t>(g.m * g.n) * (bytes ? 1 : 4));
  for (int64_t i = 0; i < g.m; ++i)
    for (int64_t j = 0; j < g.n; ++j) {
      int64_t sum = bias[static_cast<size_t>(j)];
      for (int64_t p = 0; p < g.k; ++p) sum += static_cast<int64_t>(a.at(i, p)) * w.at(p, j);
      const auto s = static_cast<int32_t>(sum);
      const float f = scale[static_cast<size_t>(j)];
      const auto at = static_cast<size_t>(i * g.n + j);
      const volatile float product = static_cast<float>(s) * f;  // rounded before the addition
      const float with_bias = product + f;
      if (bytes) {
        want[at] = to_byte(s, f, g.store);
      } else if (g.store.out == QOut::kFloat) {
        std::memcpy(&want[at * 4], &with_bias, 4);
      } else {
        std::memcpy(&want[at * 4], &s, 4);
      }
    }
  for_each_isa([&](const KernelTables& t) {
    const Int8Kernels& k = *t.int8;
    std::vector<uint8_t> packed(k.packed_bytes(g.k, g.n)), got(want.size(), 77);
    k.pack(w.w, bytes, packed.data());
    std::vector<int32_t> start(n);
    k.prepare_bias(w.w, a.q.zero, a.q.is_signed, bias.data(), start.data());
    const std::vector<int32_t> starts = columns(k, start, bytes);
    const std::vector<float> scales = columns(k, scale, bytes);
    std::vector<int32_t> zeros;
    QGemm h = g;
    h.b = packed.data();
    h.store.bias = starts.data();
    h.store.scale = scales.data();
    h.store.float_bias = scale.data();
    h.c = got.data();
    h.ldc = g.n;
    if (!k.centred) {
      const int32_t shift = k.weight_shift(w.w.is_signed);
      if (w.zeros.size() == 1) {
        h.zero_all = w.zeros[0] + shift;
      } else {
        std::vector<int32_t> z = w.zeros;
        for (int32_t& x : z) x += shift;
        zeros = columns(k, z, bytes);
        h.zero = zeros.data();
      }
    }
    std::vector<uint8_t> scratch(k.scratch_bytes(h));
    const int64_t m = g.m / 2, cut = std::min(g.n, k.panel());
    k.run(h, 0, m, 0, g.n, scratch.data());
    k.run(h, m, g.m, 0, cut, scratch.data());
    if (cut < g.n) k.run(h, m, g.m, cut, g.n, scratch.data());
    CHECK(got == want);
  });
}

void check_depthwise(uint64_t seed) {
  Rng r(seed);
  Rows a;
  a.q.channels = a.q.pixel = r.below(3) == 0 ? 64 : between(r, 1, 150);
  a.random_image(r, true);
  a.fill(r, a.pixels());
  const int64_t taps = a.q.kernel[0] * a.q.kernel[1], n = a.q.channels;
  Weights w(r, taps, n, false);
  std::vector<int32_t> bias(static_cast<size_t>(n));
  std::vector<float> scale(static_cast<size_t>(n));
  for (size_t j = 0; j < bias.size(); ++j) {
    bias[j] = static_cast<int32_t>(between(r, -20000, 20000));
    scale[j] = static_cast<float>(between(r, 1, 1000)) * 1e-5F;
  }
  QDepthwise d;
  d.rows = a.q;
  d.store = random_store(r);
  std::vector<uint8_t> want(static_cast<size_t>(a.outputs() * n));
  for (int64_t i = 0; i < a.outputs(); ++i)
    for (int64_t c = 0; c < n; ++c) {
      int32_t sum = bias[static_cast<size_t>(c)];
      for (int64_t t = 0; t < taps; ++t)
        sum += a.tap(i, t / a.q.kernel[1], t % a.q.kernel[1], c) * w.at(t, c);
      want[static_cast<size_t>(i * n + c)] = to_byte(sum, scale[static_cast<size_t>(c)], d.store);
    }
  const std::vector<uint8_t> outside(static_cast<size_t>(n), static_cast<uint8_t>(a.q.zero));
  d.outside = outside.data();
  for_each_isa([&](const KernelTables& t) {
    const Int8Kernels& k = *t.int8;
    std::vector<uint8_t> packed(k.depthwise_bytes(n, a.q.kernel[0], a.q.kernel[1])), got(want.size(), 77);
    QDepthwise e = d;
    e.sets = k.pack_depthwise(w.w, a.q.kernel[0], a.q.kernel[1], a.q.zero, a.q.is_signed, bias.data(),
                              scale.data(), packed.data());
    e.weights = packed.data();
    e.c = got.data();
    const int64_t rows = a.images * a.q.out[0];
    k.depthwise(e, 0, rows / 2);
    k.depthwise(e, rows / 2, rows);
    CHECK(got == want);
  });
}

}  // namespace

TEST_CASE("int8: products and convolutions equal plain loops on every instruction set") {
  for (uint64_t seed = 1; seed <= 300; ++seed) {
    CAPTURE(seed);
    check_product(seed);
  }
}

TEST_CASE("int8: depthwise convolutions equal plain loops on every instruction set") {
  for (uint64_t seed = 1; seed <= 300; ++seed) {
    CAPTURE(seed);
    check_depthwise(seed);
  }
}

TEST_CASE("int8: no sum saturates on the way: the largest products of both signs") {
  const int64_t k = 256, n = 17;
  for (bool negative : {false, true}) {
    std::vector<uint8_t> x(static_cast<size_t>(k), 255), w(static_cast<size_t>(k * n), negative ? 128 : 127);
    const int32_t want = 255 * (negative ? -128 : 127) * static_cast<int32_t>(k);
    for_each_isa([&](const KernelTables& t) {
      const Int8Kernels& f = *t.int8;
      QWeights q;
      q.k = k;
      q.n = n;
      q.data = w.data();
      q.k_stride = 1;
      q.n_stride = k;
      q.is_signed = true;
      std::vector<uint8_t> packed(f.packed_bytes(k, n));
      f.pack(q, false, packed.data());
      std::vector<int32_t> start(static_cast<size_t>(n)), got(static_cast<size_t>(n));
      f.prepare_bias(q, 0, false, nullptr, start.data());
      const std::vector<int32_t> starts = columns(f, start, false);
      QGemm g;
      g.rows.x = x.data();
      g.rows.direct = true;
      g.rows.channels = g.rows.pixel = g.k = k;
      g.m = 1;
      g.n = g.ldc = n;
      g.b = packed.data();
      g.store.out = QOut::kInt;
      g.store.bias = starts.data();
      g.c = got.data();
      std::vector<uint8_t> scratch(f.scratch_bytes(g));
      f.run(g, 0, 1, 0, n, scratch.data());
      for (int32_t v : got) CHECK(v == want);
    });
  }
}

TEST_CASE("int8: sums, products, tables and maxima of bytes") {
  for (uint64_t seed = 1; seed <= 100; ++seed) {
    CAPTURE(seed);
    Rng r(seed);
    const int64_t n = between(r, 1, 300);
    const std::vector<uint8_t> a = random_bytes(r, n), b = random_bytes(r, n), table = random_bytes(r, 256);
    const QStore s = random_store(r);
    QBinary p;
    p.a = a.data();
    p.b = b.data();
    p.multiply = r.below(2) != 0;
    p.is_signed = s.is_signed;
    p.b_single = r.below(4) == 0;
    p.a_zero = random_zero(r, s.is_signed);
    p.b_zero = random_zero(r, s.is_signed);
    p.y_zero = s.zero;
    p.low = s.low;
    p.high = s.high;
    p.a_scale = r.uniform(0.001F, 1);
    p.b_scale = r.uniform(0.001F, 1);
    std::vector<uint8_t> sum(a.size()), max(a.size()), mapped(a.size());
    for (size_t i = 0; i < a.size(); ++i) {
      const int32_t x = value_of(a[i], s.is_signed) - p.a_zero,
                    y = value_of(b[p.b_single ? 0 : i], s.is_signed) - p.b_zero;
      const volatile float l = static_cast<float>(x) * p.a_scale, m = static_cast<float>(y) * p.b_scale;
      const float v = p.multiply ? static_cast<float>(x * y) * p.a_scale : l + m;
      sum[i] = static_cast<uint8_t>(static_cast<int32_t>(
          std::clamp<double>(static_cast<double>(std::nearbyint(v)) + s.zero, s.low, s.high)));
      max[i] = value_of(a[i], s.is_signed) > value_of(b[i], s.is_signed) ? a[i] : b[i];
      mapped[i] = table[a[i]];
    }
    for_each_isa([&](const KernelTables& t) {
      std::vector<uint8_t> got(a.size(), 77);
      QBinary q = p;
      q.y = got.data();
      t.int8->binary(q, 0, n / 3);
      t.int8->binary(q, n / 3, n);
      CHECK(got == sum);
      t.int8->lookup(table.data(), a.data(), got.data(), n);
      CHECK(got == mapped);
      got = b;
      t.int8->max(a.data(), s.is_signed, n, got.data());
      CHECK(got == max);
      std::vector<int32_t> sums(static_cast<size_t>(n), 5), want(static_cast<size_t>(n), 5);
      std::vector<uint8_t> both = a;
      both.insert(both.end(), b.begin(), b.end());
      for (size_t i = 0; i < a.size(); ++i)
        want[i] += value_of(a[i], s.is_signed) + value_of(b[i], s.is_signed);
      t.int8->add_pixels(both.data(), s.is_signed, 2, n, sums.data());
      CHECK(sums == want);
    });
  }
}
