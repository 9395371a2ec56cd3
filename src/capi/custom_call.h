// One call of a custom operator's callback: what the author's table functions work on.
#pragma once
#include <deque>
#include <string>
#include <vector>

#include "capi/handles.h"
#include "ops/op.h"

// Exactly one of infer and kernel is set, neither while a state is made.
struct skiff_call {
  const skiff::Node& node;
  skiff::InferContext* infer = nullptr;
  skiff::KernelContext* kernel = nullptr;
  std::string message{};                // left by fail, or by a table function that failed
  std::deque<skiff_value> values{};     // handles that were lent
  std::deque<std::string> texts{};      // names of extents that were lent
  std::deque<std::vector<skiff_dim>> shapes{};
  std::deque<std::vector<int64_t>> ints{};
  std::vector<uint8_t> made{};          // per output of a kernel: asked for
};

namespace skiff::capi {

// Runs f for a table function: an exception becomes a status and the call's message.
template <class F>
skiff_status answered(skiff_call* call, F&& f) noexcept {
  if (!call) return store_error(Code::kInvalidArgument, "call must not be NULL");
  try {
    return f();
  } catch (...) {
    skiff_status s = store_current_exception();
    try {
      call->message = skiff_last_error();
    } catch (...) {
    }
    return s;
  }
}

}  // namespace skiff::capi
