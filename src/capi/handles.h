// What the opaque handles of skiff.h are, and the one wrapper that turns errors into a status.
#pragma once
#include <atomic>
#include <memory>
#include <string>
#include <vector>

#include "runtime/session.h"
#include "skiff/skiff.h"

struct skiff_options {
  skiff::runtime::SessionOptions options;
};

struct skiff_session {
  std::unique_ptr<skiff::runtime::Session> session;
  // skiff_port points into these.
  struct PortText {
    std::string type_text;
    std::vector<const char*> dim_names;
  };
  std::vector<PortText> inputs, outputs;
};

struct skiff_value {
  skiff::Datum datum;
  bool wrapped = false;  // over the caller's memory
};

struct skiff_cancel {
  std::atomic<bool> requested{false};
};

namespace skiff::capi {

skiff_status store_error(Code code, const char* text) noexcept;
skiff_status store_current_exception() noexcept;
// This thread's last message, which is then empty.
std::string take_error() noexcept;

// Runs f; any exception becomes a status and this thread's last error.
template <class F>
skiff_status guarded(F&& f) noexcept {
  try {
    f();
    return SKIFF_OK;
  } catch (...) {
    return store_current_exception();
  }
}

// Throws kInvalidArgument naming the parameter when p is null.
template <class T>
T* need(T* p, const char* what) {
  check(p != nullptr, Code::kInvalidArgument, what, " must not be NULL");
  return p;
}

// The handle of a session.
std::unique_ptr<skiff_session> make_handle(std::unique_ptr<runtime::Session> session);

// Hands a new handle over; nothing is made, and so nothing is lost, where out is null.
template <class T>
void give_new(T** out, const char* what) {
  need(out, what);
  *out = new T();
}

// A malloc'ed copy for the caller to free with skiff_string_free.
char* give_string(const std::string& s);

}  // namespace skiff::capi
