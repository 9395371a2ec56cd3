// Bytes somebody holds against a limit, and the budget that tensors made by the current thread are charged
// to.
#pragma once
#include <atomic>
#include <cstddef>
#include <cstdint>
#include <memory>

namespace skiff {

class MemoryBudget {
 public:
  explicit MemoryBudget(size_t limit) : limit_(limit) {}  // 0: no limit
  // Throws kLimit, saying what the bytes are for and which option to raise, when they do not fit.
  void charge(size_t bytes, const char* what);
  void release(size_t bytes) { used_.fetch_sub(bytes, std::memory_order_relaxed); }
  size_t limit() const { return limit_; }
  size_t used() const { return used_.load(std::memory_order_relaxed); }
  size_t peak() const { return peak_.load(std::memory_order_relaxed); }

 private:
  size_t limit_;
  std::atomic<size_t> used_{0}, peak_{0};
};

// While it lives, tensors this thread makes are charged to the budget until their memory is freed, whoever
// frees it. Scopes nest; null: nobody is charged.
class BudgetScope {
 public:
  explicit BudgetScope(std::shared_ptr<MemoryBudget> budget);
  ~BudgetScope();
  BudgetScope(const BudgetScope&) = delete;
  BudgetScope& operator=(const BudgetScope&) = delete;
  // The innermost scope's budget; null outside of any.
  static const std::shared_ptr<MemoryBudget>& current();

 private:
  std::shared_ptr<MemoryBudget> outer_;
};

// Bytes this process may expect to get: the machine's memory, or its control group's limit where that is
// lower. 0 when neither can be found out.
uint64_t machine_memory();

}  // namespace skiff
