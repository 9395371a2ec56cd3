// Speed of the product and convolution kernels on one thread, as a share of the measured multiply-add peak
// (of the byte product's, for int8).
//   kernel_bench [isa] [part of a name]
// Each figure is the best of many short repeats: the machine may be busy.
#include <algorithm>
#include <chrono>
#include <cstdio>
#include <cstring>
#include <string>
#include <vector>

#include "device/cpu/isa.h"
#include "device/cpu/kernels/conv/conv.h"
#include "device/cpu/kernels/gemm/gemm.h"
#include "device/cpu/kernels/int8/int8.h"
#include "device/cpu/kernels/peak/peak.h"

using namespace skiff;
using namespace skiff::cpu;

namespace {

double now() {
  return std::chrono::duration<double>(std::chrono::steady_clock::now().time_since_epoch()).count();
}

// The sum over parts 0 .. parts - 1 of the best time of f(part); all parts run in turn, so that the caches
// are as in one whole run, while a disturbance spoils one part of one run only.
template <class F>
double best_seconds(F f, int64_t parts = 1, double budget = 0.3) {
  std::vector<double> best(static_cast<size_t>(parts), 1e9);
  const double end = now() + budget;
  for (int i = 0; i < 4 || now() < end; i++) {
    for (int64_t part = 0; part < parts; part++) {
      const double t = now();
      f(part);
      const double d = now() - t;
      if (d < best[static_cast<size_t>(part)]) best[static_cast<size_t>(part)] = d;
    }
  }
  double sum = 0;
  for (double d : best) sum += d;
  return sum;
}

double peak = 0;

void report(const char* name, double flops, double seconds) {
  std::printf("%-44s %9.1f us %8.1f GFLOP/s %6.1f %%\n", name, seconds * 1e6, flops / seconds * 1e-9,
              100 * flops / seconds / peak);
}

// As tensors are: at the start of a cache line.
struct Line {
  alignas(64) float x[16];
};
class Floats {
 public:
  explicit Floats(int64_t n) : lines_(static_cast<size_t>(n + 15) / 16), n_(n) {}
  float* data() { return lines_.empty() ? nullptr : lines_[0].x; }
  const float* data() const { return lines_.empty() ? nullptr : lines_[0].x; }
  float* begin() { return data(); }
  float* end() { return data() + n_; }

 private:
  std::vector<Line> lines_;
  int64_t n_;
};

Floats values(int64_t n) {
  Floats v(n);
  unsigned s = 1;
  for (float& x : v) {
    s = s * 1664525u + 1013904223u;
    x = static_cast<float>(s >> 8) / 8388608.0f - 1.0f;
  }
  return v;
}

void bench_gemm(const KernelTables& t, const char* what, int64_t m, int64_t n, int64_t k,
                bool trans_a = false, int64_t pad = 0) {
  const Floats a = values(m * (k + pad)), b = values(k * n), bias = values(n);
  Floats packed(static_cast<int64_t>(t.gemm->packed_b_bytes(k, n) / sizeof(float))), c(m * (n + pad));
  t.gemm->pack_b(k, n, b.data(), n, false, packed.data());
  GemmArgs g;
  g.m = m, g.n = n, g.k = k;
  g.a = a.data(), g.a_row_stride = trans_a ? 1 : k + pad, g.a_k_stride = trans_a ? m : 1;
  g.b = packed.data(), g.c = c.data(), g.ldc = n + pad;
  g.epilogue.bias = bias.data(), g.epilogue.act = Act::kClip, g.epilogue.p1 = 6;
  // Parts of about half a millisecond, as a pool of threads would be given.
  const TaskGrid grid =
      t.gemm->plan(m, n, k, m * n * k > 60000000 ? static_cast<int32_t>(m * n * k / 160000000 + 1) : 1);
  const double seconds = best_seconds(
      [&](int64_t part) {
        const int64_t i = part / grid.n_tasks * grid.m_step, j = part % grid.n_tasks * grid.n_step;
        t.gemm->run(g, i, std::min(m, i + grid.m_step), j, std::min(n, j + grid.n_step));
      },
      grid.tasks());
  char name[100];
  std::snprintf(name, sizeof name, "%s %lldx%lldx%lld", what, (long long)m, (long long)n, (long long)k);
  report(name, 2.0 * (double)m * (double)n * (double)k, seconds);
}

void bench_conv(const ConvMethod& method, int64_t ic, int64_t size, int64_t oc, int64_t kernel,
                int64_t stride, int64_t groups) {
  ConvShape s;
  s.in_channels = ic, s.out_channels = oc, s.groups = groups;
  for (int axis = 1; axis < 3; axis++) {
    s.in[axis] = size, s.kernel[axis] = kernel, s.stride[axis] = stride, s.pad_begin[axis] = kernel / 2;
    s.out[axis] = (size - 1) / stride + 1;
  }
  const int64_t out_pixels = s.out[1] * s.out[2], weight_count = oc * ic / groups * kernel * kernel;
  const Floats in = values(size * size * ic), weights = values(weight_count), bias = values(oc);
  Floats packed(static_cast<int64_t>(method.packed_bytes(s) / sizeof(float))), out(out_pixels * oc);
  method.pack(s, weights.data(), packed.data());
  ConvArgs a;
  a.shape = s;
  a.in = in.data(), a.in_pixel = ic, a.weights = packed.data(), a.out = out.data(), a.out_pixel = oc;
  a.epilogue.bias = bias.data(), a.epilogue.act = Act::kClip, a.epilogue.p1 = 6;
  Floats scratch(method.scratch_bytes ? static_cast<int64_t>(method.scratch_bytes(s) / sizeof(float)) : 0);
  a.scratch = scratch.data();
  const double work = static_cast<double>(out_pixels * weight_count);
  const TaskGrid grid = method.plan(s, work > 6e7 ? static_cast<int32_t>(work / 1.6e8) + 1 : 1);
  const double seconds = best_seconds([&](int64_t task) { method.run(a, grid, task); }, grid.tasks());
  char name[100];
  std::snprintf(name, sizeof name, "%s %lldx%lldx%lld -> %lld, k%lld s%lld", method.name, (long long)ic,
                (long long)size, (long long)size, (long long)oc, (long long)kernel, (long long)stride);
  report(name, 2 * work, seconds);
}

// [m, k] x [k, n] of bytes with everything a layer does: row sums (for weights with a zero point),
// requantization.
void bench_int8(const Int8Kernels& f, int64_t m, int64_t n, int64_t k, bool weight_zero) {
  std::vector<uint8_t> x(static_cast<size_t>(m * k), 3), w(static_cast<size_t>(n * k), 5),
      y(static_cast<size_t>(m * n)), packed(f.packed_bytes(k, n));
  QWeights q;
  q.k = k;
  q.n = n;
  q.data = w.data();
  q.k_stride = 1;
  q.n_stride = k;
  q.is_signed = !weight_zero;
  f.pack(q, true, packed.data());
  std::vector<int32_t> start(static_cast<size_t>(f.padded_columns(n)));
  std::vector<float> scale(start.size(), 0.01F);
  QGemm g;
  g.rows.x = x.data();
  g.rows.direct = true;
  g.rows.channels = g.rows.pixel = g.k = k;
  g.m = m;
  g.n = g.ldc = n;
  g.b = packed.data();
  g.zero_all = weight_zero && !f.centred ? 7 : 0;
  g.store.bias = start.data();
  g.store.scale = scale.data();
  g.store.high = 255;
  g.c = y.data();
  std::vector<uint8_t> scratch(f.scratch_bytes(g));
  char name[96];
  std::snprintf(name, sizeof name, "int8 %lldx%lldx%lld%s", (long long)m, (long long)n, (long long)k,
                weight_zero ? ", u8 weights" : "");
  report(name, 2.0 * static_cast<double>(m * n * k),
         best_seconds([&](int64_t) { f.run(g, 0, m, 0, n, scratch.data()); }));
}

void bench_int8_depthwise(const Int8Kernels& f, int64_t channels, int64_t size, int64_t stride) {
  QDepthwise d;
  QRows& r = d.rows;
  r.channels = r.pixel = channels;
  for (int i = 0; i < 2; ++i) {
    r.in[i] = size;
    r.kernel[i] = 3;
    r.stride[i] = stride;
    r.pad[i] = 1;
    r.out[i] = (size - 1) / stride + 1;
  }
  std::vector<uint8_t> x(static_cast<size_t>(size * size * channels), 3),
      w(static_cast<size_t>(channels * 9), 5), outside(static_cast<size_t>(channels)),
      y(static_cast<size_t>(r.out[0] * r.out[1] * channels)), packed(f.depthwise_bytes(channels, 3, 3));
  std::vector<float> scale(static_cast<size_t>(channels), 0.01F);
  QWeights q;
  q.k = 9;
  q.n = channels;
  q.data = w.data();
  q.k_stride = 1;
  q.n_stride = 9;
  q.is_signed = true;
  d.sets = f.pack_depthwise(q, 3, 3, 0, false, nullptr, scale.data(), packed.data());
  r.x = x.data();
  d.weights = packed.data();
  d.outside = outside.data();
  d.store.high = 255;
  d.c = y.data();
  char name[96];
  std::snprintf(name, sizeof name, "int8 depthwise 3x3 %lld %lldx%lld stride %lld", (long long)channels,
                (long long)size, (long long)size, (long long)stride);
  report(name, 18.0 * static_cast<double>(r.out[0] * r.out[1] * channels),
         best_seconds([&](int64_t) { f.depthwise(d, 0, r.out[0]); }));
}

void bench_all_int8(const Int8Kernels& f) {
  double operations = 0;
  const double seconds = best_seconds([&](int64_t) { operations = f.dot_rounds(100000); });
  peak = operations / seconds;
  std::printf("int8 peak %.1f GOP/s\n", peak * 1e-9);
  const int64_t pw[][3] = {{12544, 16, 32}, {12544, 96, 16}, {3136, 24, 96},  {3136, 144, 24},
                           {784, 192, 32},  {196, 384, 64},  {196, 576, 96},  {49, 160, 576},
                           {49, 960, 160},  {49, 1280, 320}, {1, 1001, 1280}, {384, 384, 384},
                           {784, 512, 256}, {49, 2048, 512}};
  for (const auto& s : pw) bench_int8(f, s[0], s[1], s[2], false);
  bench_int8(f, 784, 192, 32, true);
  bench_int8(f, 49, 960, 160, true);
  const int64_t dw[][3] = {{32, 112, 1}, {96, 112, 2}, {144, 56, 1}, {192, 28, 1},
                           {384, 14, 1}, {576, 14, 2}, {960, 7, 1}};
  for (const auto& d : dw) bench_int8_depthwise(f, d[0], d[1], d[2]);
}

}  // namespace

int main(int argc, char** argv) {
  const Isa isa = argc > 1 ? isa_from_name(argv[1]) : best_isa();
  const std::string part = argc > 2 ? argv[2] : "";
  const KernelTables& t = kernels(isa);
  const int64_t rounds = 100000;
  double flops = 0;
  float sink = 0;
  const double seconds = best_seconds([&](int64_t) { flops = t.peak->fma(rounds, &sink); });
  peak = flops / seconds;
  std::printf("%s: multiply-add peak %.1f GFLOP/s\n", std::string(isa_name(isa)).c_str(), peak * 1e-9);
  if (std::strstr("gemm", part.c_str())) {
    for (int64_t n : {1024, 384, 128, 64}) bench_gemm(t, "gemm", n, n, n);
    bench_gemm(t, "gemm, rows padded by 16", 1024, 1024, 1024, false, 16);
    bench_gemm(t, "gemm, A transposed", 384, 384, 384, true);
    bench_gemm(t, "gemm, one row", 1, 768, 3072);
    // MobileNetV2's pointwise layers (pixels x out x in), and ResNet-50's.
    const int64_t pw[][3] = {
        {12544, 16, 32}, {12544, 96, 16}, {3136, 24, 96},  {3136, 144, 24}, {784, 32, 144},  {784, 192, 32},
        {196, 64, 192},  {196, 384, 64},  {196, 96, 384},  {196, 576, 96},  {49, 160, 576},  {49, 960, 160},
        {49, 320, 960},  {49, 1280, 320}, {3136, 256, 64}, {784, 512, 256}, {49, 2048, 512}, {49, 512, 2048}};
    for (const auto& s : pw) bench_gemm(t, "pointwise", s[0], s[1], s[2]);
  }
  if (std::strstr("conv", part.c_str())) {
    const ConvKernels& c = *t.conv;
    bench_conv(*c.igemm, 64, 56, 64, 3, 1, 1);
    bench_conv(*c.igemm, 128, 28, 128, 3, 1, 1);
    bench_conv(*c.igemm, 256, 14, 256, 3, 1, 1);
    bench_conv(*c.igemm, 512, 7, 512, 3, 1, 1);
    bench_conv(*c.igemm, 16, 32, 16, 3, 1, 1);
    for (const ConvMethod* m : {c.winograd4, c.winograd6}) {
      bench_conv(*m, 64, 56, 64, 3, 1, 1);
      bench_conv(*m, 128, 28, 128, 3, 1, 1);
      bench_conv(*m, 256, 14, 256, 3, 1, 1);
      bench_conv(*m, 512, 7, 512, 3, 1, 1);
      bench_conv(*m, 16, 32, 16, 3, 1, 1);
    }
    bench_conv(*c.few_channels, 3, 224, 32, 3, 2, 1);
    bench_conv(*c.planar, 3, 224, 32, 3, 2, 1);
    bench_conv(*c.planar, 3, 224, 64, 7, 2, 1);
    const int64_t dw[][3] = {{32, 112, 1}, {96, 112, 2}, {144, 56, 1}, {144, 56, 2},
                             {192, 28, 1}, {384, 14, 1}, {576, 14, 2}, {960, 7, 1}};
    for (const auto& d : dw) bench_conv(*c.depthwise, d[0], d[1], d[0], 3, d[2], d[0]);
    bench_conv(*c.depthwise, 96, 28, 96, 5, 1, 96);
  }
  if (std::strstr("int8", part.c_str())) bench_all_int8(*t.int8);
  return 0;
}
