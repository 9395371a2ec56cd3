#include "device/cpu/kernels/elementwise/elementwise.h"

#include <algorithm>

#include "unit/device/kernel_test.h"

using namespace skiff::cpu;

namespace {

struct UnaryCase {
  UnaryOp op;
  const char* name;
  float alpha, beta;
  double (*f)(double x, double alpha, double beta);
  double bound;  // of |error| / max(floor, |result|)
  double floor;
  float lo, hi;
};

double sig(double x) { return 1 / (1 + std::exp(-x)); }
double lim(double x, double y) { return x == -kInf ? 0.0 : y; }  // the limit at -inf

#define F [](double x, [[maybe_unused]] double a, [[maybe_unused]] double b) -> double
constexpr double kExact = 0, kUlp = 1.2e-7, kTiny = 1e-37;
const UnaryCase kUnary[] = {{UnaryOp::kIdentity, "identity", 0, 0, F{return x;
}  // namespace
, kExact, kTiny, -9, 9
}
, {UnaryOp::kAbs, "abs", 0, 0, F{return std::abs(x);
}
, kExact, kTiny, -9, 9
}
, {UnaryOp::kNeg, "neg", 0, 0, F{return -x;
}
, kExact, kTiny, -9, 9
}
, {UnaryOp::kRelu, "relu", 0, 0, F{return x < 0 ? 0 : x;
}
, kExact, kTiny, -9, 9
}
, {UnaryOp::kLeakyRelu, "leaky_relu", 0.1f, 0, F{return x < 0 ? a * x : x;
}
, kUlp, kTiny, -9, 9
}
, {UnaryOp::kThresholdedRelu, "thresholded", 1, 0, F{return x <= a ? 0 : x;
}
, kExact, kTiny, -9, 9
}
, {UnaryOp::kClip, "clip", -1, 6, F{return x < a ? a : x > b ? b : x;
}
, kExact, kTiny, -9, 9
}
, {UnaryOp::kSigmoid, "sigmoid", 0, 0, F{return sig(x);
}
, 4 * kUlp, 1e-30, -40, 40
}
, {UnaryOp::kTanh, "tanh", 0, 0, F{return std::tanh(x);
}
, 4 * kUlp, 1e-30, -12, 12
}
, {UnaryOp::kExp, "exp", 0, 0, F{return std::exp(x);
}
, 2 * kUlp, 1e-36, -80, 80
}
, {UnaryOp::kLog, "log", 0, 0, F{return std::log(x);
}
, 2 * kUlp, 1e-30, 0, 1e6f
}
, {UnaryOp::kSqrt, "sqrt", 0, 0, F{return std::sqrt(x);
}
, kUlp / 2, 1e-30, 0, 1e6f
}
, {UnaryOp::kReciprocal, "reciprocal", 0, 0, F{return 1 / x;
}
, kUlp / 2, 1e-30, -9, 9
}
, {UnaryOp::kFloor, "floor", 0, 0, F{return std::floor(x);
}
, kExact, kTiny, -99, 99
}
, {UnaryOp::kCeil, "ceil", 0, 0, F{return std::ceil(x);
}
, kExact, kTiny, -99, 99
}
, {UnaryOp::kRound, "round", 0, 0, F{return std::nearbyint(x);
}
, kExact, kTiny, -99, 99
}
, {UnaryOp::kErf, "erf", 0, 0, F{return std::erf(x);
}
, 3 * kUlp, 1e-30, -5, 5
}
, {UnaryOp::kGelu, "gelu", 0, 0, F{return lim(x, x * 0.5 * std::erfc(-x * 0.70710678118654752));
}
, 3 * kUlp, 1, -12, 12
}
, {UnaryOp::kGeluTanh, "gelu_tanh", 0, 0,
   F{return lim(x, x* sig(1.5957691216057308 * (x + 0.044715 * x * x * x)));
}
, 10 * kUlp, 1, -12, 12
}
, {UnaryOp::kQuickGelu, "quick_gelu", 1.702f, 0, F{return lim(x, x* sig(a* x));
}
, 6 * kUlp, 1, -40, 40
}
, {UnaryOp::kSilu, "silu", 0, 0, F{return lim(x, x* sig(x));
}
, 5 * kUlp, 1e-30, -40, 40
}
, {UnaryOp::kHardSwish, "hard_swish", 0, 0, F{return x * std::clamp(x / 6 + 0.5, 0.0, 1.0);
}
, 2 * kUlp, 1, -9, 9
}
, {UnaryOp::kHardSigmoid, "hard_sigmoid", 0.2f, 0.5f, F{return std::clamp(a * x + b, 0.0, 1.0);
}
, 2 * kUlp, 1, -9, 9
}
, {UnaryOp::kSoftplus, "softplus", 0, 0,
   F{return std::max(0.0, x) + std::log1p(std::exp(-std::abs(x))) + (x != x ? x : 0);
}
, 4 * kUlp, 1e-30, -60, 60
}
, {UnaryOp::kElu, "elu", 0.7f, 0, F{return x < 0 ? a * std::expm1(x) : x;
}
, 6 * kUlp, 1e-30, -20, 20
}
, {UnaryOp::kSelu, "selu", 1.6732632f, 1.050701f, F{return b * (x < 0 ? a * std::expm1(x) : x);
}
, 6 * kUlp, 1e-30, -20, 20
}
, {UnaryOp::kCelu, "celu", 2.0f, 0,
   F{return x != x ? x : std::max(0.0, x) + std::min(0.0, a* std::expm1(x / a));
}
, 6 * kUlp, 1e-30, -20, 20
}
, {UnaryOp::kSoftsign, "softsign", 0, 0, F{return std::isinf(x) ? (x > 0 ? 1 : -1) : x / (1 + std::abs(x));
}
, 2 * kUlp, 1e-30, -20, 20
}
, {UnaryOp::kMish, "mish", 0, 0, F{return lim(x, x* std::tanh(std::log1p(std::exp(x))));
}
, 8 * kUlp, 1e-30, -40, 40
}
, {UnaryOp::kSin, "sin", 0, 0, F{return std::sin(x);
}
, 1.5 * kUlp, 1, -9000, 9000
}
, {UnaryOp::kCos, "cos", 0, 0, F{return std::cos(x);
}
, 1.5 * kUlp, 1, -9000, 9000
}
, {UnaryOp::kSign, "sign", 0, 0, F{return x > 0 ? 1 : x < 0 ? -1 : x;
}
, kExact, kTiny, -9, 9
}
, {UnaryOp::kSquare, "square", 0, 0, F{return x * x;
}
, kUlp / 2, 1e-30, -9, 9
}
, {UnaryOp::kCube, "cube", 0, 0, F{return x * x * x;
}
, kUlp, 1e-30, -9, 9
}
, {UnaryOp::kPowHalf, "pow_half", 0, 0, F{return std::pow(x, 0.5);
}
, kUlp / 2, 1e-30, 0, 9
}
, {UnaryOp::kScaleShift, "scale_shift", 1.5f, -2, F{return a * x + b;
}
, kUlp, 1, -9, 9
}
,
}
;
#undef F
static_assert(std::size(kUnary) == static_cast<size_t>(UnaryOp::kCount));

struct BinaryCase {
  BinaryOp op;
  double (*f)(double a, double b);
  double bound;
};
double nan_or(double a, double b, double y) { return std::isnan(a) ? a : std::isnan(b) ? b : y; }
const BinaryCase kBinary[] = {
    {BinaryOp::kAdd, [](double a, double b) { return a + b; }, kUlp},
    {BinaryOp::kSub, [](double a, double b) { return a - b; }, kUlp},
    {BinaryOp::kMul, [](double a, double b) { return a * b; }, kUlp},
    {BinaryOp::kDiv, [](double a, double b) { return a / b; }, kUlp},
    {BinaryOp::kPow, [](double a, double b) { return std::pow(a, b); }, 2 * kUlp},
    {BinaryOp::kMin, [](double a, double b) { return nan_or(a, b, std::min(a, b)); }, 0},
    {BinaryOp::kMax, [](double a, double b) { return nan_or(a, b, std::max(a, b)); }, 0},
    {BinaryOp::kPrelu, [](double a, double b) { return a < 0 ? a * b : a; }, kUlp},
    {BinaryOp::kSquaredDifference, [](double a, double b) { return (a - b) * (a - b); }, 3 * kUlp},
};
static_assert(std::size(kBinary) == static_cast<size_t>(BinaryOp::kCount));

struct Shapes {
  std::vector<int64_t> out, a, b;
};
// Every way two operands meet: dense, scalar, row vector, per-row scalar, both broadcast, short rows, inner
// blocks.
const Shapes kShapes[] = {{{}, {}, {}},
                          {{1}, {1}, {1}},
                          {{0, 3}, {0, 3}, {3}},
                          {{5}, {5}, {1}},
                          {{4099}, {4099}, {4099}},
                          {{7, 300}, {7, 300}, {300}},
                          {{7, 300}, {7, 1}, {7, 300}},
                          {{40, 3}, {40, 3}, {3}},
                          {{3, 700, 4}, {3, 700, 4}, {4}},
                          {{2, 19, 49}, {2, 19, 49}, {19, 1}},
                          {{2, 3, 5000}, {2, 3, 5000}, {3, 1}},
                          {{60, 70}, {60, 1}, {70}},
                          {{2, 3, 4, 5, 6}, {2, 1, 4, 1, 6}, {3, 1, 5, 1}},
                          {{9, 1030}, {9, 1030}, {1030}},
                          {{50, 2, 30}, {2, 30}, {50, 1, 30}},
                          {{30, 40, 10}, {30, 40, 10}, {40, 10}},
                          {{3, 2000}, {}, {3, 2000}}};

std::vector<int64_t> gather_index(const std::vector<int64_t>& out, const std::vector<int64_t>& in) {
  std::vector<int64_t> index(static_cast<size_t>(product(out)), 0), at(out.size(), 0);
  for (auto& where : index) {
    int64_t offset = 0;
    for (size_t d = 0; d < in.size(); ++d)
      offset = offset * in[d] + (in[d] == 1 ? 0 : at[d + out.size() - in.size()]);
    where = offset;
    for (int d = static_cast<int>(out.size()) - 1; d >= 0; --d) {
      if (++at[d] < out[d]) break;
      at[d] = 0;
    }
  }
  return index;
}

LoopShape loop_of(const std::vector<int64_t>& out, const std::vector<std::vector<int64_t>>& in) {
  int ranks[kMaxLoopOperands];
  const int64_t* dims[kMaxLoopOperands];
  for (size_t i = 0; i < in.size(); ++i) ranks[i] = static_cast<int>(in[i].size()), dims[i] = in[i].data();
  LoopShape loop;
  REQUIRE(collapse_broadcast(static_cast<int>(out.size()), out.data(), static_cast<int>(in.size()), ranks,
                             dims, &loop));
  return loop;
}

}  // namespace

TEST_CASE("unary: error bounds, special values, tails, in place") {
  const float special[] = {0.0f,   -0.0f, kInf,   -kInf, kNan,   1e-40f,  -1e-40f,    1.0f,
                           -1.0f,  0.5f,  -0.5f,  2.5f,  -2.5f,  3e38f,   -3e38f,     1e-7f,
                           -1e-7f, 88.0f, -88.0f, 20.5f, 100.0f, -100.0f, 8388609.0f, 1e20f};
  for (const UnaryCase& c : kUnary) {
    CAPTURE(c.name);
    const bool trig = c.op == UnaryOp::kSin || c.op == UnaryOp::kCos;
    Rng rng(7);
    auto x = rng.floats(3001, c.lo, c.hi);
    for (float s : special) x.push_back(s);
    for (float& v : rng.floats(500, -1e-3f, 1e-3f)) x.push_back(v);
    std::vector<double> want;
    for (float v : x) want.push_back(c.f(v, c.alpha, c.beta));
    const int64_t n = static_cast<int64_t>(x.size());
    for_each_isa([&](const KernelTables& k) {
      std::vector<float> y(x.size());
      k.elementwise->unary(c.op, x.data(), y.data(), c.alpha, c.beta, 0, n);
      for (size_t i = 0; i < x.size(); ++i) {
        // Results at the edges of the range of float32 are compared apart: they depend on the rounding there.
        if (std::abs(want[i]) > 3e38 && !std::isinf(y[i])) want[i] = y[i];
        const std::vector<float> one(1, y[i]);
        const double e = worst(one, {want[i]}, std::max(c.floor, 1e-36));
        if (e > c.bound) {
          CAPTURE(x[i]);
          CAPTURE(y[i]);
          CAPTURE(want[i]);
          CHECK(e <= c.bound);
        }
      }
      CHECK(worst(y, want, std::max(c.floor, 1e-36)) <= c.bound);
      std::vector<float> z = x;  // in place, in pieces
      in_pieces(n, 37, [&](int64_t b, int64_t e) {
        k.elementwise->unary(c.op, z.data(), z.data(), c.alpha, c.beta, b, e);
      });
      CHECK(same_bits(y, z));
      if (trig || c.bound == kExact) CHECK(same_float(y[3001 + 4], kNan));
    });
  }
}

TEST_CASE("unary: the sign of zero") {
  for_each_isa([&](const KernelTables& k) {
    const float x = -0.0f;
    float y = 5;
    for (UnaryOp op : {UnaryOp::kRelu, UnaryOp::kSqrt, UnaryOp::kFloor, UnaryOp::kCeil, UnaryOp::kRound,
                       UnaryOp::kSin, UnaryOp::kTanh, UnaryOp::kSign, UnaryOp::kLeakyRelu}) {
      k.elementwise->unary(op, &x, &y, 0.1f, 0, 0, 1);
      CHECK(same_float(y, -0.0f));
    }
    k.elementwise->unary(UnaryOp::kPowHalf, &x, &y, 0, 0, 0, 1);
    CHECK(same_float(y, 0.0f));
  });
}

TEST_CASE("binary: every op over every way of broadcasting, any split, in place") {
  Rng rng(11);
  for (const Shapes& s : kShapes) {
    const LoopShape loop = loop_of(s.out, {s.a, s.b});
    auto a = rng.floats(product(s.a), -2, 2), b = rng.floats(product(s.b), -2, 2);
    if (a.size() > 9) a[3] = kNan, a[5] = kInf;
    if (b.size() > 9) b[2] = kNan, b[5] = -kInf, b[7] = 0;
    const auto ia = gather_index(s.out, s.a), ib = gather_index(s.out, s.b);
    for (const BinaryCase& c : kBinary) {
      std::vector<double> want;
      for (size_t i = 0; i < ia.size(); ++i) want.push_back(c.f(a[ia[i]], b[ib[i]]));
      for_each_isa([&](const KernelTables& k) {
        std::vector<float> y(want.size(), 99), z(want.size());
        k.elementwise->binary(c.op, {a.data(), b.data(), y.data(), loop}, 0, loop.size);
        CAPTURE(static_cast<int>(c.op));
        CHECK(worst(y, want, 1e-3) <= c.bound * (c.op == BinaryOp::kSquaredDifference ? 1e3 : 1));
        in_pieces(loop.size, 113, [&](int64_t from, int64_t to) {
          k.elementwise->binary(c.op, {a.data(), b.data(), z.data(), loop}, from, to);
        });
        CHECK(same_bits(y, z));
        if (a.size() == y.size()) {
          z = a;
          k.elementwise->binary(c.op, {z.data(), b.data(), z.data(), loop}, 0, loop.size);
          CHECK(same_bits(y, z));
        }
      });
    }
  }
}

TEST_CASE("binary: pow with constant exponents") {
  const std::vector<float> a = {0.0f, -0.0f, 2, -2, kInf, -kInf, kNan, 1e-20f, 0.3f};
  const LoopShape loop = loop_of({9}, {{9}, {1}});
  for (float e : {0.0f, 0.5f, 1.0f, 2.0f, 3.0f, -1.0f, -0.5f, 4.0f}) {
    std::vector<double> want;
    for (float v : a) want.push_back(static_cast<float>(std::pow(static_cast<double>(v), e)));
    for_each_isa([&](const KernelTables& k) {
      std::vector<float> y(9);
      k.elementwise->binary(BinaryOp::kPow, {a.data(), &e, y.data(), loop}, 0, 9);
      CAPTURE(e);
      CHECK(worst(y, want, 1e-30) <= 2 * kUlp);
    });
  }
}

TEST_CASE("chain: equals the same ops one by one, over every way of broadcasting") {
  Rng rng(13);
  for (const Shapes& s : kShapes) {
    // y = (sigmoid(a * b + c) - (2 - a)) * tanh(b)
    const std::vector<ChainStep> steps = {
        {true, static_cast<uint8_t>(BinaryOp::kMul), 0, kChainInput + 0, kChainInput + 1, 0, 0},
        {true, static_cast<uint8_t>(BinaryOp::kAdd), 0, kChainReg + 0, kChainInput + 2, 0, 0},
        {false, static_cast<uint8_t>(UnaryOp::kSigmoid), 0, kChainReg + 0, 0, 0, 0},
        {true, static_cast<uint8_t>(BinaryOp::kSub), 1, kChainConst, kChainInput + 0, 2.0f, 0},
        {true, static_cast<uint8_t>(BinaryOp::kSub), 0, kChainReg + 0, kChainReg + 1, 0, 0},
        {false, static_cast<uint8_t>(UnaryOp::kTanh), 2, kChainInput + 1, 0, 0, 0},
        {true, static_cast<uint8_t>(BinaryOp::kMul), 0, kChainReg + 0, kChainReg + 2, 0, 0},
    };
    const std::vector<int64_t> one = {};
    const LoopShape loop = loop_of(s.out, {s.a, s.b, one});
    auto a = rng.floats(product(s.a), -2, 2);
    const auto b = rng.floats(product(s.b), -2, 2), c = rng.floats(1);
    const auto ia = gather_index(s.out, s.a), ib = gather_index(s.out, s.b);
    std::vector<double> want;
    for (size_t i = 0; i < ia.size(); ++i) {
      const double u = a[ia[i]], v = b[ib[i]];
      want.push_back((sig(u * v + c[0]) - (2 - u)) * std::tanh(v));
    }
    for_each_isa([&](const KernelTables& k) {
      std::vector<uint8_t> scratch(kChainScratchBytes, 0xff);
      std::vector<float> y(want.size(), 99), z(want.size());
      ChainParams p{
          static_cast<int>(steps.size()), steps.data(), {a.data(), b.data(), c.data()}, y.data(), loop};
      k.elementwise->chain(p, scratch.data(), 0, loop.size);
      CHECK(worst(y, want, 1.0) < 1e-6);
      p.y = z.data();
      in_pieces(loop.size, 391,
                [&](int64_t from, int64_t to) { k.elementwise->chain(p, scratch.data(), from, to); });
      CHECK(same_bits(y, z));
      if (a.size() == y.size()) {
        z = a;
        p.inputs[0] = z.data();
        k.elementwise->chain(p, scratch.data(), 0, loop.size);
        CHECK(same_bits(y, z));
      }
    });
  }
}

TEST_CASE("chain: a result that is one scalar is spread over the output") {
  const LoopShape loop = loop_of({2000}, {{1}});
  const ChainStep step{false, static_cast<uint8_t>(UnaryOp::kNeg), 0, kChainInput, 0, 0, 0};
  const float x = 3;
  for_each_isa([&](const KernelTables& k) {
    std::vector<uint8_t> scratch(kChainScratchBytes);
    std::vector<float> y(2000);
    k.elementwise->chain({1, &step, {&x}, y.data(), loop}, scratch.data(), 0, 2000);
    CHECK(std::all_of(y.begin(), y.end(), [](float v) { return v == -3; }));
  });
}

TEST_CASE("broadcast: dimensions collapse, wrong shapes are refused") {
  const LoopShape dense = loop_of({2, 3, 4}, {{2, 3, 4}, {2, 3, 4}});
  CHECK(dense.rank == 1);
  CHECK(dense.dims[0] == 24);
  const LoopShape channel = loop_of({1, 8, 5, 5}, {{1, 8, 5, 5}, {8, 1, 1}});
  CHECK(channel.rank == 2);
  CHECK(channel.strides[1][0] == 1);
  CHECK(channel.strides[1][1] == 0);
  LoopShape loop;
  const int64_t out[] = {2, 3}, bad[] = {2}, large[] = {1, 2, 3};
  const int64_t* dims[] = {bad};
  int rank = 1;
  CHECK_FALSE(collapse_broadcast(2, out, 1, &rank, dims, &loop));
  dims[0] = large;
  rank = 3;
  CHECK_FALSE(collapse_broadcast(2, out, 1, &rank, dims, &loop));
}
