#include "device/cpu/kernels/typed/typed.h"

#include <algorithm>

#include "unit/device/kernel_test.h"

using namespace skiff::cpu;

namespace {

__extension__ typedef __int128 Wide;  // holds every product exactly
constexpr int64_t kRows = 37, kCols = 29;  // a is [kRows, kCols], b is [kCols]

LoopShape loop(int operands) {
  const int64_t out[] = {kRows, kCols};
  const int ranks[] = {2, 1, 2};
  const int64_t* dims[] = {out, out + 1, out};
  LoopShape s;
  REQUIRE(collapse_broadcast(2, out, operands, ranks, dims, &s));
  return s;
}

template <class T>
std::vector<T> values(Rng& rng, int64_t n) {
  const int64_t edge[] = {
      0, 1, -1, 2, -2, 7, std::numeric_limits<T>::min(), std::numeric_limits<T>::max(), 1000003};
  std::vector<T> v(static_cast<size_t>(n));
  for (T& x : v) x = static_cast<T>(edge[rng.below(9)]);
  return v;
}

template <class T>
Wide reference(BinaryOp op, Wide a, Wide b) {
  switch (op) {
    case BinaryOp::kAdd: return a + b;
    case BinaryOp::kSub: return a - b;
    case BinaryOp::kMul: return a * b;
    case BinaryOp::kDiv: return b == 0 ? 0 : a / b;
    case BinaryOp::kMin: return a < b ? a : b;
    case BinaryOp::kMax: return a > b ? a : b;
    case BinaryOp::kPrelu: return a < 0 ? a * b : a;
    case BinaryOp::kSquaredDifference: {
      const T d = static_cast<T>(a - b);
      return static_cast<Wide>(d) * d;
    }
    default: {  // by repeated multiplication; |a| <= 1 or b <= 40 in the data that comes here
      if (b < 0) return a == 1 ? 1 : a == -1 ? (b & 1 ? -1 : 1) : 0;
      T r = 1;
      for (int i = 0; i < b; ++i) r = static_cast<T>(static_cast<Wide>(r) * a);
      return r;
    }
  }
}

template <class T>
void check_binary(NumType type) {
  Rng rng(5);
  const auto a = values<T>(rng, kRows * kCols), b = values<T>(rng, kCols);
  auto e = b;
  for (T& x : e) x = static_cast<T>(rng.below(44) - 3);
  for (int o = 0; o < static_cast<int>(BinaryOp::kCount); ++o) {
    const BinaryOp op = static_cast<BinaryOp>(o);
    const auto& right = op == BinaryOp::kPow ? e : b;
    std::vector<T> want(a.size());
    for (size_t i = 0; i < a.size(); ++i) want[i] = static_cast<T>(reference<T>(op, a[i], right[i % kCols]));
    for_each_isa([&](const KernelTables& k) {
      CAPTURE(o);
      std::vector<T> y(a.size());
      in_pieces(kRows * kCols, 111, [&](int64_t from, int64_t to) {
        CHECK(k.typed->binary(type, op, {a.data(), right.data(), y.data(), loop(2)}, from, to));
      });
      CHECK(y == want);
    });
  }
}

template <class T>
void check_compare(NumType type, const std::vector<T>& a, const std::vector<T>& b) {
  for (int o = 0; o < static_cast<int>(CompareOp::kCount); ++o) {
    for_each_isa([&](const KernelTables& k) {
      std::vector<uint8_t> y(a.size(), 7), z(a.size(), 7), want;
      for (size_t i = 0; i < a.size(); ++i) {
        const T u = a[i], v = b[i % kCols];
        want.push_back(o == 0 ? u == v : o == 1 ? u < v : o == 2 ? u > v : o == 3 ? u <= v : u >= v);
      }
      k.typed->compare(type, static_cast<CompareOp>(o), {a.data(), b.data(), y.data(), loop(2)}, 0,
                       kRows * kCols);
      CHECK(y == want);
      // Against one scalar on the left.
      const int64_t n = kRows * kCols, one = 1, *dims[] = {&one, &n};
      const int ranks[] = {1, 1};
      LoopShape s;
      REQUIRE(collapse_broadcast(1, &n, 2, ranks, dims, &s));
      k.typed->compare(type, static_cast<CompareOp>(o), {b.data(), a.data(), z.data(), s}, 0, n);
      for (size_t i = 0; i < a.size(); ++i) {
        const T u = b[0], v = a[i];
        want[i] = o == 0 ? u == v : o == 1 ? u < v : o == 2 ? u > v : o == 3 ? u <= v : u >= v;
      }
      CHECK(z == want);
    });
  }
}

}  // namespace

TEST_CASE("integer binary ops wrap, divide without trapping, and broadcast") {
  check_binary<int32_t>(NumType::kI32);
  check_binary<int64_t>(NumType::kI64);
  CHECK_FALSE(kernels(Isa::kGeneric).typed->binary(NumType::kF32, BinaryOp::kAdd, {}, 0, 0));
}

TEST_CASE("compare: every type, NaN is never equal") {
  Rng rng(6);
  const auto bytes = [&](int64_t n) {
    std::vector<uint8_t> v(static_cast<size_t>(n));
    for (auto& x : v) x = static_cast<uint8_t>(rng.below(3));
    return v;
  };
  check_compare<int32_t>(NumType::kI32, values<int32_t>(rng, kRows * kCols), values<int32_t>(rng, kCols));
  check_compare<int64_t>(NumType::kI64, values<int64_t>(rng, kRows * kCols), values<int64_t>(rng, kCols));
  check_compare<uint8_t>(NumType::kU8, bytes(kRows * kCols), bytes(kCols));
  auto a = rng.floats(kRows * kCols), b = rng.floats(kCols);
  for (int i = 0; i < kCols; ++i) a[i] = b[i];
  a[3] = b[3] = kNan, a[kCols + 4] = kNan, b[5] = kInf, a[5] = kInf, a[6] = 0.0f, b[6] = -0.0f;
  check_compare<float>(NumType::kF32, a, b);
}

TEST_CASE("logic: any non-zero byte is true") {
  Rng rng(8);
  std::vector<uint8_t> a(kRows * kCols), b(kCols);
  for (auto& x : a) x = static_cast<uint8_t>(rng.below(4));
  for (auto& x : b) x = static_cast<uint8_t>(rng.below(3));
  for_each_isa([&](const KernelTables& k) {
    for (int o = 0; o < static_cast<int>(LogicalOp::kCount); ++o) {
      std::vector<uint8_t> y(a.size(), 9), want;
      for (size_t i = 0; i < a.size(); ++i) {
        const bool u = a[i], v = b[i % kCols];
        want.push_back(o == 0 ? (u && v) : o == 1 ? (u || v) : u != v);
      }
      k.typed->logical(static_cast<LogicalOp>(o), {a.data(), b.data(), y.data(), loop(2)}, 0, kRows * kCols);
      CHECK(y == want);
    }
    std::vector<uint8_t> y(a.size(), 9);
    k.typed->logical_not(a.data(), y.data(), 0, kRows * kCols);
    for (size_t i = 0; i < a.size(); ++i) CHECK(y[i] == (a[i] == 0));
  });
}

TEST_CASE("where: every element size, every operand broadcast in turn") {
  Rng rng(9);
  const int64_t out[] = {6, 50, 5}, row[] = {50, 5}, col[] = {6, 1, 1}, one[] = {1};
  const int64_t* shapes[] = {out, row, col, one};
  const int ranks[] = {3, 2, 3, 1};
  const int64_t sizes[] = {1500, 250, 6, 1};
  const auto at = [](int shape, int64_t i) {
    return shape == 0 ? i : shape == 1 ? i % 250 : shape == 2 ? i / 250 : 0;
  };
  for (int c = 0; c < 4; ++c)
    for (int a = 0; a < 4; ++a)
      for (int b = 0; b < 4; ++b)
        for (int size : {1, 2, 4, 8}) {
          const int r[] = {ranks[c], ranks[a], ranks[b]};
          const int64_t* d[] = {shapes[c], shapes[a], shapes[b]};
          LoopShape s;
          REQUIRE(collapse_broadcast(3, out, 3, r, d, &s));
          std::vector<uint8_t> cond(sizes[c]), x(sizes[a] * size), y(sizes[b] * size), want(1500 * size);
          for (auto& v : cond) v = static_cast<uint8_t>(rng.below(2) * 255);
          for (auto& v : x) v = static_cast<uint8_t>(rng.next());
          for (auto& v : y) v = static_cast<uint8_t>(rng.next());
          for (int64_t i = 0; i < 1500; ++i) {
            const uint8_t* from = cond[at(c, i)] ? x.data() + at(a, i) * size : y.data() + at(b, i) * size;
            std::copy_n(from, size, want.data() + i * size);
          }
          for_each_isa([&](const KernelTables& k) {
            std::vector<uint8_t> got(want.size());
            in_pieces(1500, 333, [&](int64_t from, int64_t to) {
              k.typed->where({cond.data(), x.data(), y.data(), got.data(), size, s}, from, to);
            });
            CHECK(got == want);
          });
        }
}
