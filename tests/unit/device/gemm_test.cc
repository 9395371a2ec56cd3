#include "device/cpu/kernels/gemm/gemm.h"

#include <doctest/doctest.h>

#include <limits>
#include <string>

#include "device/cpu/isa.h"
#include "unit/device/kernel_test_util.h"

using namespace skiff::cpu;

namespace {

struct Case {
  int64_t m, n, k;
  bool trans_a = false, trans_b = false;
  float alpha = 1;
  bool bias = false, row_bias = false, residual = false;
  Act act = Act::kNone;
  float p0 = 0, p1 = 0;
};

// Sums of k products of values below 1 in any order: the error grows at most like k / 2 units in the last
// place of k.
double tolerance(const Case& c) { return 1e-6 * (static_cast<double>(c.k) * 0.2 + 4); }

struct Problem {
  explicit Problem(const Case& c_)
      : c(c_),
        a(test_values(c.m * c.k, 1)),
        b(test_values(c.k * c.n, 2)),
        bias(test_values(c.n, 3)),
        row_bias(test_values(c.m, 4)),
        residual(test_values(c.m * c.n, 5)),
        want(static_cast<size_t>(c.m * c.n)) {
    for (int64_t i = 0; i < c.m; i++) {
      for (int64_t j = 0; j < c.n; j++) {
        double s = 0;
        for (int64_t p = 0; p < c.k; p++)
          s += static_cast<double>(a[static_cast<size_t>(c.trans_a ? p * c.m + i : i * c.k + p)]) *
               static_cast<double>(b[static_cast<size_t>(c.trans_b ? j * c.k + p : p * c.n + j)]);
        s *= static_cast<double>(c.alpha);
        if (c.bias) s += static_cast<double>(bias[static_cast<size_t>(j)]);
        if (c.row_bias) s += static_cast<double>(row_bias[static_cast<size_t>(i)]);
        if (c.residual) s += static_cast<double>(residual[static_cast<size_t>(i * c.n + j)]);
        want[static_cast<size_t>(i * c.n + j)] =
            reference_act(c.act, static_cast<double>(c.p0), static_cast<double>(c.p1), s);
      }
    }
  }

  GemmArgs args(const float* packed, std::vector<float>* out) const {
    GemmArgs g;
    g.m = c.m, g.n = c.n, g.k = c.k;
    g.a = a.data(), g.a_row_stride = c.trans_a ? 1 : c.k, g.a_k_stride = c.trans_a ? c.m : 1;
    g.b = packed;
    g.c = out->data(), g.ldc = c.n;
    g.alpha = c.alpha;
    if (c.bias) g.epilogue.bias = bias.data();
    if (c.row_bias) g.epilogue.row_bias = row_bias.data();
    if (c.residual) g.epilogue.residual = residual.data(), g.epilogue.ld_residual = c.n;
    g.epilogue.act = c.act, g.epilogue.p0 = c.p0, g.epilogue.p1 = c.p1;
    return g;
  }

  Case c;
  std::vector<float> a, b, bias, row_bias, residual;
  std::vector<double> want;
};

std::vector<float> pack(const GemmKernels& gemm, const Problem& p) {
  std::vector<float> packed(gemm.packed_b_bytes(p.c.k, p.c.n) / sizeof(float),
                            std::numeric_limits<float>::quiet_NaN());
  gemm.pack_b(p.c.k, p.c.n, p.b.data(), p.c.trans_b ? p.c.k : p.c.n, p.c.trans_b, packed.data());
  return packed;
}

void run_grid(const GemmKernels& gemm, const GemmArgs& g, const TaskGrid& grid) {
  for (int64_t t = grid.tasks() - 1; t >= 0; t--) {
    const int64_t i = t / grid.n_tasks * grid.m_step, j = t % grid.n_tasks * grid.n_step;
    gemm.run(g, i, std::min(g.m, i + grid.m_step), j, std::min(g.n, j + grid.n_step));
  }
}

void check(const Case& c) {
  const Problem p(c);
  for (Isa isa : available_isas()) {
    const GemmKernels& gemm = *kernels(isa).gemm;
    const std::vector<float> packed = pack(gemm, p);
    std::vector<float> out(static_cast<size_t>(c.m * c.n), 77.0f);
    gemm.run(p.args(packed.data(), &out), 0, c.m, 0, c.n);
    INFO(std::string(isa_name(isa)), " ", c.m, "x", c.n, "x", c.k, " trans ", c.trans_a, c.trans_b, " act ",
         static_cast<int>(c.act));
    CHECK(largest_difference(out, p.want) <= tolerance(c));
    for (int32_t threads : {2, 7}) {
      const TaskGrid grid = gemm.plan(c.m, c.n, c.k, threads);
      std::vector<float> divided(out.size(), 77.0f);
      run_grid(gemm, p.args(packed.data(), &divided), grid);
      CHECK(divided == out);
    }
    if (c.m == 1) {
      std::vector<float> row(out.size(), 77.0f);
      GemmArgs g = p.args(p.b.data(), &row);
      const int64_t half = c.n / 2;
      gemm.gemv(g, c.trans_b ? c.k : c.n, c.trans_b, 0, half);
      gemm.gemv(g, c.trans_b ? c.k : c.n, c.trans_b, half, c.n);
      CHECK(largest_difference(row, p.want) <= tolerance(c));
    }
  }
}

}  // namespace

TEST_CASE("gemm: every height and width of a tile") {
  for (int64_t m : {2, 3, 4, 5, 6, 7, 8, 9, 13, 25})
    for (int64_t n : {1, 3, 4, 7, 8, 15, 16, 17, 24, 31, 33, 48, 63, 64, 65, 96, 100}) check({m, n, 19});
}

TEST_CASE("gemm: one row") {
  for (int64_t n : {1, 3, 5, 8, 17, 24, 40, 63, 64, 65, 130, 200})
    for (int64_t k : {1, 2, 7, 40}) {
      check({1, n, k});
      check({1, n, k, false, true});
      check({1, n, k, true, true, 0.5f, true, true, true});
    }
}

TEST_CASE("gemm: sums longer than a chunk, blocks larger than a cache block") {
  for (int64_t k : {1, 95, 127, 128, 129, 384, 385, 1000}) check({11, 70, k});
  check({600, 40, 20});
  check({13, 900, 150});
  check({300, 450, 140, false, false, 1, true, false, false, Act::kClip, 0, 6});
}

TEST_CASE("gemm: transposed operands") {
  for (bool ta : {false, true})
    for (bool tb : {false, true}) {
      check({23, 37, 53, ta, tb});
      check({2, 65, 400, ta, tb, 1.5f});
    }
}

TEST_CASE("gemm: epilogues") {
  const float inf = std::numeric_limits<float>::infinity();
  const Case acts[] = {
      {0, 0, 0, false, false, 1, false, false, false, Act::kNone, 0, 0},
      {0, 0, 0, false, false, 1, false, false, false, Act::kClip, 0, inf},
      {0, 0, 0, false, false, 1, false, false, false, Act::kClip, -0.5f, 0.75f},
      {0, 0, 0, false, false, 1, false, false, false, Act::kLeakyRelu, 0.1f, 0},
      {0, 0, 0, false, false, 1, false, false, false, Act::kSigmoid, 0, 0},
      {0, 0, 0, false, false, 1, false, false, false, Act::kTanh, 0, 0},
      {0, 0, 0, false, false, 1, false, false, false, Act::kSilu, 0, 0},
      {0, 0, 0, false, false, 1, false, false, false, Act::kHardSwish, 0, 0},
      {0, 0, 0, false, false, 1, false, false, false, Act::kHardSigmoid, 0.2f, 0.5f},
      {0, 0, 0, false, false, 1, false, false, false, Act::kGeluErf, 0, 0},
      {0, 0, 0, false, false, 1, false, false, false, Act::kGeluTanh, 0, 0},
  };
  for (Case c : acts)
    for (int mask = 0; mask < 8; mask++) {
      c.m = 9, c.n = 41, c.k = 200;
      c.alpha = mask & 1 ? 0.25f : 1.0f;
      c.bias = mask & 1, c.row_bias = mask & 2, c.residual = mask & 4;
      check(c);
      c.m = 1;
      check(c);
    }
}

TEST_CASE("gemm: the residual may be the result itself, also when the sum runs in several chunks") {
  const Problem p({10, 70, 900, false, false, 0.5f, true, false, true, Act::kClip, 0, 3});
  for (Isa isa : available_isas()) {
    const GemmKernels& gemm = *kernels(isa).gemm;
    const std::vector<float> packed = pack(gemm, p);
    std::vector<float> out = p.residual;
    GemmArgs g = p.args(packed.data(), &out);
    g.epilogue.residual = out.data();
    gemm.run(g, 0, g.m, 0, g.n);
    CHECK(largest_difference(out, p.want) <= tolerance(p.c));
  }
}

TEST_CASE("gemm: empty sizes") {
  check({0, 5, 3});
  check({5, 0, 3});
  check({5, 7, 0, false, false, 1, true, false, false, Act::kClip, 0, 6});
  check({1, 7, 0, false, false, 1, true, true, true});
}

TEST_CASE("gemm: NaN is not swallowed by Relu; rows of C keep what lies between them") {
  for (Isa isa : available_isas()) {
    const GemmKernels& gemm = *kernels(isa).gemm;
    Problem p({3, 5, 4, false, false, 1, false, false, false, Act::kClip, 0, 6});
    p.a[4] = std::numeric_limits<float>::quiet_NaN();
    const std::vector<float> packed = pack(gemm, p);
    std::vector<float> out(3 * 8, 5.0f);
    GemmArgs g = p.args(packed.data(), &out);
    g.ldc = 8;
    gemm.run(g, 0, 3, 0, 5);
    CHECK(!std::isnan(out[0]));
    CHECK(std::isnan(out[8]));
    CHECK(std::isnan(out[12]));
    CHECK(out[5] == 5.0f);
    CHECK(out[15] == 5.0f);
  }
}
