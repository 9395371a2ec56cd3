// Fork-join over chunks. Workers spin briefly after work, then sleep; chunks are claimed from an atomic
// counter and the caller takes part, so that a worker the system has taken away costs one chunk at most. In the child of a
// fork, where a pool's workers do not exist, callers do all the work of the parent's pools; new pools have workers again.
#pragma once
#include <atomic>
#include <cstdint>
#include <exception>
#include <memory>
#include <mutex>
#include <thread>
#include <vector>

#include "base/function_ref.h"

namespace skiff {

class ThreadPool {
 public:
  // `threads` counts the caller: threads - 1 workers are started. At least 1.
  explicit ThreadPool(int threads);
  ~ThreadPool();
  ThreadPool(const ThreadPool&) = delete;
  ThreadPool& operator=(const ThreadPool&) = delete;

  int threads() const { return static_cast<int>(workers_.size()) + 1; }
  // Calls fn(begin, end) so that every index of [0, n) is covered once, in chunks of `grain`; returns when
  // all are done. The first exception of any chunk is rethrown. Allocates nothing. When another thread is
  // using the pool, or from inside a chunk, the caller does all the work itself.
  void parallel_for(int64_t n, int64_t grain, FunctionRef<void(int64_t, int64_t)> fn);

  // The pool shared by all sessions of the process that ask for this many threads; made on first use, ended
  // with its last user.
  static std::shared_ptr<ThreadPool> shared(int threads);

 private:
  struct Job {
    FunctionRef<void(int64_t, int64_t)>* fn = nullptr;
    int64_t n = 0, grain = 1;
    std::atomic<int64_t> next{0};
    std::exception_ptr error;
    std::mutex error_mutex;
  };
  void work();
  void drain();
  bool forked() const;  // the workers stayed in the parent process
  std::vector<std::thread> workers_;
  uint32_t born_;  // forks before this pool
  std::mutex in_use_;
  Job job_;
  alignas(64) std::atomic<uint32_t> epoch_{0};  // grows with every job; workers wait for it to change
  alignas(64) std::atomic<uint32_t> open_{0};   // the epoch that may be entered; 0: none
  alignas(64) std::atomic<int> inside_{0};      // workers in the current job
  std::atomic<int> sleeping_{0};
  std::atomic<bool> stop_{false};
};

}  // namespace skiff
