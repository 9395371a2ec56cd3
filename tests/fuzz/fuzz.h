// What the fuzz targets share: choices made from the fuzzer's bytes, limits small enough that a hostile input
// ends soon, and the rule every target holds the library to: an Error of an expected kind, or a result.
#pragma once
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <string>
#include <string_view>
#include <vector>

#include "base/error.h"
#include "base/memory_budget.h"
#include "runtime/executor.h"
#include "runtime/options.h"
#include "tensor/tensor.h"

// A finding: says what was broken and ends the process the way libFuzzer records.
#define FUZZ_CHECK(condition, ...)                                                              \
  do {                                                                                          \
    if (!(condition)) {                                                                         \
      std::fprintf(stderr, "finding: %s: %s\n", #condition, ::skiff::cat(__VA_ARGS__).c_str()); \
      std::abort();                                                                             \
    }                                                                                           \
  } while (false)

// An allocation that is too large must be answered with an error, not with the sanitizer's report.
extern "C" inline const char* __asan_default_options() { return "allocator_may_return_null=1"; }  // NOLINT

namespace skiff::fuzz {

// Decisions taken from the input's bytes, front to back; zeros when they are used up.
class Choices {
 public:
  Choices(const uint8_t* data, size_t size) : p_(data), end_(data + size) {}
  bool done() const { return p_ == end_; }
  uint8_t byte() { return p_ == end_ ? 0 : *p_++; }
  uint64_t word() {
    uint64_t v = 0;
    for (int i = 0; i < 8; ++i) v |= uint64_t{byte()} << (8 * i);
    return v;
  }
  // In [0, n); n of at least 1.
  size_t pick(size_t n) { return (n <= 256 ? byte() : byte() | size_t{byte()} << 8) % n; }
  bool one_in(unsigned n) { return pick(n) == n - 1; }  // rare when bytes are zero
  std::string text(size_t most) {
    std::string s;
    for (size_t n = pick(most + 1); n > 0 && !done(); --n) s += static_cast<char>(byte());
    return s;
  }
  std::string_view rest() const {
    return {reinterpret_cast<const char*>(p_), static_cast<size_t>(end_ - p_)};
  }
  template <class List>
  const auto& of(const List& list) {
    return list[pick(std::size(list))];
  }
  // Numbers that break things, and ordinary small ones.
  int64_t hostile_int() {
    static constexpr int64_t kNumbers[] = {0,
                                           1,
                                           2,
                                           -1,
                                           3,
                                           4,
                                           -2,
                                           5,
                                           7,
                                           8,
                                           16,
                                           64,
                                           -3,
                                           255,
                                           256,
                                           65536,
                                           INT32_MAX,
                                           INT32_MIN,
                                           1 << 30,
                                           int64_t{1} << 32,
                                           -5,
                                           -100,
                                           int64_t{1} << 40,
                                           int64_t{1} << 62,
                                           INT64_MAX,
                                           INT64_MIN,
                                           INT64_MAX - 1,
                                           INT64_MIN + 1};
    size_t k = pick(std::size(kNumbers) + 1);
    return k < std::size(kNumbers) ? kNumbers[k] : static_cast<int64_t>(word());
  }
  double hostile_double() {
    static const double kNumbers[] = {0,    1,     -1,     0.5,   2,    -0.0, 1e-30, 1e30, 1e300,
                                      3e38, -3e38, 1e-310, 255.5, -7.5, 1e18, -1e19, 4e9};
    size_t k = pick(std::size(kNumbers) + 3);
    if (k < std::size(kNumbers)) return kNumbers[k];
    if (k == std::size(kNumbers)) return __builtin_nan("");
    return k == std::size(kNumbers) + 1 ? __builtin_inf() : -__builtin_inf();
  }

 private:
  const uint8_t *p_, *end_;
};

// Limits under which nothing an input asks for lasts or grows.
inline runtime::SessionOptions tight_options() {
  runtime::SessionOptions o;
  o.threads = 1;
  o.memory_limit = 64 << 20;
  o.max_nodes = 3000;
  o.max_nesting = 16;
  o.max_loop_trips = 200;
  o.time_limit = 2;
  o.fold_limit = 1 << 20;
  return o;
}

// The same limits around calls that go below a session.
class Limits {
 public:
  explicit Limits(double seconds = 2)
      : budget_(std::make_shared<MemoryBudget>(64 << 20)),
        stop_(nullptr, seconds, "the run"),
        interrupt_(&stop_) {}

 private:
  BudgetScope budget_;
  runtime::Stop stop_;
  InterruptScope interrupt_;
};

// Errors are answers; an internal one is a bug, and so is one that says nothing.
inline void expect_clean(const Error& e) {
  FUZZ_CHECK(e.code() != Code::kInternal, e.what());
  FUZZ_CHECK(!e.message().empty(), "an error without a message");
}

template <class F>
bool succeeds(F&& f) {
  try {
    f();
    return true;
  } catch (const Error& e) {
    expect_clean(e);
    return false;
  }
}

}  // namespace skiff::fuzz
