// Ctrl-C. Python's own handler only notes a signal until the interpreter runs again, which a long run keeps from happening;
// this one, in front of it, also asks the run to stop (skiff_cancel_request may be called from a handler).
#include <signal.h>

#include <atomic>

#include "core.h"

namespace skiff_core {
namespace {

std::atomic<skiff_cancel*> running{nullptr};
std::atomic<bool> was_hit{false};
struct sigaction previous;
unsigned long main_ident = 0;

void on_interrupt(int sig, siginfo_t* info, void* context) {
  if (skiff_cancel* c = running.load()) {
    was_hit.store(true);
    skiff_cancel_request(c);
  }
  if (previous.sa_flags & SA_SIGINFO)
    previous.sa_sigaction(sig, info, context);
  else if (previous.sa_handler != SIG_DFL && previous.sa_handler != SIG_IGN)
    previous.sa_handler(sig);
}

// In front of whatever handles SIGINT now. A default or ignored SIGINT is left alone: it needs no help, or wants none.
void stand_in_front() {
  struct sigaction now;
  if (sigaction(SIGINT, nullptr, &now) != 0) return;
  if (now.sa_flags & SA_SIGINFO) {
    if (now.sa_sigaction == on_interrupt) return;
  } else if (now.sa_handler == SIG_DFL || now.sa_handler == SIG_IGN) {
    return;
  }
  previous = now;
  struct sigaction ours = now;
  ours.sa_flags |= SA_SIGINFO;
  ours.sa_sigaction = on_interrupt;
  sigaction(SIGINT, &ours, nullptr);
}

}  // namespace

void set_main_thread(unsigned long ident) { main_ident = ident; }
bool on_main_thread() { return PyThread_get_thread_ident() == main_ident; }

InterruptScope::InterruptScope(skiff_cancel* cancel, bool check_handler) {
  if (!on_main_thread()) return;
  active_ = true;
  if (check_handler) stand_in_front();
  was_hit.store(false, std::memory_order_relaxed);
  outer_ = running.exchange(cancel);
}
InterruptScope::~InterruptScope() {
  if (active_) running.store(outer_);
}
bool InterruptScope::hit() const { return active_ && was_hit.load(std::memory_order_relaxed); }

}  // namespace skiff_core
