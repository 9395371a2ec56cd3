#include "base/interrupt.h"

namespace skiff {
namespace {
thread_local const Interrupt* current_interrupt = nullptr;
}

InterruptScope::InterruptScope(const Interrupt* interrupt) : outer_(current_interrupt) {
  current_interrupt = interrupt;
}
InterruptScope::~InterruptScope() { current_interrupt = outer_; }
const Interrupt* InterruptScope::current() { return current_interrupt; }

}  // namespace skiff
