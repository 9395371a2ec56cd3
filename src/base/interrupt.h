// How work that lasts is ended from outside: whoever starts it sets an Interrupt for the thread, whoever
// works long polls it.
#pragma once

namespace skiff {

class Interrupt {
 public:
  virtual ~Interrupt() = default;
  // Throws kCancelled or kLimit when the work is to end. Called by several threads at once; some 30 ns.
  virtual void poll() const = 0;
};

// While it lives, poll_interrupt() of this thread asks `interrupt`. Scopes nest; null: nothing interrupts.
class InterruptScope {
 public:
  explicit InterruptScope(const Interrupt* interrupt);
  ~InterruptScope();
  InterruptScope(const InterruptScope&) = delete;
  InterruptScope& operator=(const InterruptScope&) = delete;
  static const Interrupt* current();

 private:
  const Interrupt* outer_;
};

inline void poll_interrupt() {
  if (const Interrupt* i = InterruptScope::current()) i->poll();
}

}  // namespace skiff
