#include "base/memory_budget.h"

#include <algorithm>
#include <fstream>
#include <string>
#include <utility>

#include "base/error.h"

#if !defined(_WIN32)
#include <unistd.h>
#endif

namespace skiff {
namespace {

std::shared_ptr<MemoryBudget>& slot() {
  thread_local std::shared_ptr<MemoryBudget> current;
  return current;
}

uint64_t number_in(const char* path) {
  std::ifstream f(path);
  uint64_t v = 0;
  return f >> v ? v : 0;  // "max" is no number: no limit
}

}  // namespace

void MemoryBudget::charge(size_t bytes, const char* what) {
  size_t before = used_.load(std::memory_order_relaxed), now = 0;
  do {
    bool fits = !__builtin_add_overflow(before, bytes, &now) && (!limit_ || now <= limit_);
    if (!fits) [[unlikely]]
      fail(Code::kLimit, "the session's memory_limit of ", limit_, " bytes is too small: ", bytes,
           " more bytes for ", what, " would come on top of the ", before,
           " in use; raise memory_limit or shrink the inputs");
  } while (!used_.compare_exchange_weak(before, now, std::memory_order_relaxed));
  size_t p = peak_.load(std::memory_order_relaxed);
  while (now > p && !peak_.compare_exchange_weak(p, now, std::memory_order_relaxed)) {
  }
}

BudgetScope::BudgetScope(std::shared_ptr<MemoryBudget> budget)
    : outer_(std::exchange(slot(), std::move(budget))) {}
BudgetScope::~BudgetScope() { slot() = std::move(outer_); }
const std::shared_ptr<MemoryBudget>& BudgetScope::current() { return slot(); }

uint64_t machine_memory() {
  uint64_t bytes = 0;
#if defined(_SC_PHYS_PAGES) && defined(_SC_PAGESIZE)
  long pages = sysconf(_SC_PHYS_PAGES), size = sysconf(_SC_PAGESIZE);
  if (pages > 0 && size > 0) bytes = static_cast<uint64_t>(pages) * static_cast<uint64_t>(size);
#endif
  for (const char* path : {"/sys/fs/cgroup/memory.max", "/sys/fs/cgroup/memory/memory.limit_in_bytes"})
    if (uint64_t limit = number_in(path)) bytes = bytes ? std::min(bytes, limit) : limit;
  return bytes;
}

}  // namespace skiff
