#include "base/thread_pool.h"

#include <doctest/doctest.h>

#include <atomic>
#include <memory>
#include <stdexcept>
#include <vector>
#if defined(__unix__)
#include <sys/wait.h>
#include <unistd.h>
#endif

using skiff::ThreadPool;

TEST_CASE("every index is covered once, for any grain and thread count") {
  for (int threads : {1, 2, 3, 8}) {
    ThreadPool pool(threads);
    for (int64_t n : {0, 1, 7, 64, 1000})
      for (int64_t grain : {1, 3, 64, 5000}) {
        std::vector<std::atomic<int>> hits(static_cast<size_t>(n));
        pool.parallel_for(n, grain, [&](int64_t b, int64_t e) {
          for (int64_t i = b; i < e; ++i) hits[static_cast<size_t>(i)].fetch_add(1);
        });
        for (auto& h : hits) REQUIRE(h.load() == 1);
      }
  }
}

TEST_CASE("the first exception comes back and the pool stays usable") {
  ThreadPool pool(4);
  CHECK_THROWS_AS(pool.parallel_for(100, 1,
                                    [](int64_t b, int64_t) {
                                      if (b == 50) throw std::runtime_error("x");
                                    }),
                  std::runtime_error);
  std::atomic<int> sum{0};
  pool.parallel_for(100, 1, [&](int64_t b, int64_t) { sum += static_cast<int>(b); });
  CHECK(sum.load() == 4950);
}

TEST_CASE("nested and concurrent use falls back to the caller") {
  ThreadPool pool(3);
  std::atomic<int> sum{0};
  std::vector<std::thread> callers;
  for (int t = 0; t < 4; ++t)
    callers.emplace_back([&] {
      for (int r = 0; r < 50; ++r)
        pool.parallel_for(10, 1, [&](int64_t, int64_t) {
          pool.parallel_for(3, 1, [&](int64_t b, int64_t e) { sum += static_cast<int>(e - b); });
        });
    });
  for (auto& c : callers) c.join();
  // Chunks may be merged when a caller works alone, so the inner loop runs between once and ten times per
  // call.
  CHECK(sum.load() >= 4 * 50 * 3);
  CHECK(sum.load() <= 4 * 50 * 30);
}

#if defined(__unix__) && !defined(__SANITIZE_THREAD__)
TEST_CASE("a fork's child works alone on the parent's pools and gets workers in new ones") {
  std::shared_ptr<ThreadPool> pool = ThreadPool::shared(3);
  pool->parallel_for(100, 1, [](int64_t, int64_t) {});
  pid_t child = fork();
  REQUIRE(child >= 0);
  if (child == 0) {
    alarm(20);  // a child that hangs is a failure, not a wait
    std::atomic<int64_t> sum{0};
    auto add = [&](int64_t b, int64_t e) { sum += e - b; };
    pool->parallel_for(100, 1, add);
    std::shared_ptr<ThreadPool> fresh = ThreadPool::shared(3);
    bool other = fresh != pool;
    fresh->parallel_for(100, 1, add);
    pool.reset();
    fresh.reset();
    _exit(other && sum == 200 ? 0 : 1);
  }
  int status = 0;
  REQUIRE(waitpid(child, &status, 0) == child);
  CHECK(WIFEXITED(status));
  CHECK(WEXITSTATUS(status) == 0);
}
#endif
