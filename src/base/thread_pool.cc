#include "base/thread_pool.h"

#include <algorithm>
#include <chrono>
#include <map>
#if defined(__unix__) || defined(__APPLE__)
#include <pthread.h>
#endif

#include "base/interrupt.h"

namespace skiff {
namespace {

// Half a millisecond after the last work no thread spins any more (design rule).
constexpr auto kSpin = std::chrono::microseconds(250);

inline void pause() {
#if defined(__x86_64__) || defined(__i386__)
  __builtin_ia32_pause();
#elif defined(__aarch64__)
  asm volatile("yield");
#endif
}

// Work done by the caller alone is looked at this often.
constexpr int64_t kPieces = 16;

thread_local bool inside_chunk = false;

// Forks that lie between this process and the first.
std::atomic<uint32_t> forks{0};
void count_forks() {
#if defined(__unix__) || defined(__APPLE__)
  static const int once = pthread_atfork(nullptr, nullptr, [] { forks.fetch_add(1, std::memory_order_relaxed); });
  (void)once;
#endif
}

}  // namespace

ThreadPool::ThreadPool(int threads) {
  count_forks();
  born_ = forks.load(std::memory_order_relaxed);
  for (int i = 1; i < threads; ++i) workers_.emplace_back([this] { work(); });
}

bool ThreadPool::forked() const { return born_ != forks.load(std::memory_order_relaxed); }

ThreadPool::~ThreadPool() {
  if (forked()) {  // there is nobody to join, and no thread object may be destroyed unjoined
    new std::vector<std::thread>(std::move(workers_));
    return;
  }
  stop_ = true;
  epoch_.fetch_add(1);
  epoch_.notify_all();
  for (std::thread& t : workers_) t.join();
}

void ThreadPool::drain() {
  inside_chunk = true;
  for (;;) {
    int64_t b = job_.next.fetch_add(job_.grain, std::memory_order_relaxed);
    if (b >= job_.n) break;
    try {
      (*job_.fn)(b, std::min(job_.n, b + job_.grain));
    } catch (...) {
      std::lock_guard lock(job_.error_mutex);
      if (!job_.error) job_.error = std::current_exception();
      job_.next.store(job_.n, std::memory_order_relaxed);
    }
  }
  inside_chunk = false;
}

void ThreadPool::work() {
  uint32_t seen = 0;
  for (;;) {
    auto deadline = std::chrono::steady_clock::now() + kSpin;
    for (int spins = 0; epoch_.load(std::memory_order_acquire) == seen;) {
      pause();
      if (++spins % 64 == 0 && std::chrono::steady_clock::now() > deadline) {
        sleeping_.fetch_add(1);
        epoch_.wait(seen);
        sleeping_.fetch_sub(1);
        break;
      }
    }
    seen = epoch_.load(std::memory_order_acquire);
    if (stop_) return;
    // Announce first, then look whether the job is still open: the caller closes it before it waits for
    // inside_ == 0.
    inside_.fetch_add(1);
    if (open_.load() == seen) drain();
    inside_.fetch_sub(1);
  }
}

void ThreadPool::parallel_for(int64_t n, int64_t grain, FunctionRef<void(int64_t, int64_t)> fn) {
  if (n <= 0) return;
  grain = std::max<int64_t>(grain, 1);
  std::unique_lock lock(in_use_, std::defer_lock);
  if (n <= grain || workers_.empty() || inside_chunk || forked() || !lock.try_lock()) {
    // In pieces only where somebody may want to stop: large ones, so that what a chunk sets up is paid
    // rarely.
    const Interrupt* interrupt = InterruptScope::current();
    const int64_t piece = interrupt ? std::max(grain, (n / kPieces + grain) / grain * grain) : n;
    for (int64_t b = 0; b < n; b += piece) {
      if (b && interrupt) interrupt->poll();
      fn(b, std::min(n, b + piece));
    }
    return;
  }
  const Interrupt* interrupt = InterruptScope::current();
  auto polled = [&](int64_t b, int64_t end) {  // workers ask the caller's as well
    interrupt->poll();
    fn(b, end);
  };
  FunctionRef<void(int64_t, int64_t)> polled_fn(polled);
  job_.fn = interrupt ? &polled_fn : &fn;
  job_.n = n;
  job_.grain = grain;
  job_.next.store(0, std::memory_order_relaxed);
  job_.error = nullptr;
  uint32_t e = epoch_.load(std::memory_order_relaxed) + 1;
  if (e == 0) e = 1;  // 0 means closed
  open_.store(e);
  epoch_.store(e);
  if (sleeping_.load() > 0) epoch_.notify_all();
  drain();
  open_.store(0);
  for (int spins = 0; inside_.load() != 0;) {
    pause();
    if (++spins > 4096) std::this_thread::yield();
  }
  if (job_.error) std::rethrow_exception(job_.error);
}

std::shared_ptr<ThreadPool> ThreadPool::shared(int threads) {
  static std::mutex mutex;
  static std::map<int, std::weak_ptr<ThreadPool>> pools;
  std::lock_guard lock(mutex);
  std::shared_ptr<ThreadPool> p = pools[threads].lock();
  if (!p || p->forked()) pools[threads] = p = std::make_shared<ThreadPool>(threads);
  return p;
}

}  // namespace skiff
