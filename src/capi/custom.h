// Custom operators behind the C ABI: the table authors call, the records of their operators, and libraries.
#pragma once
#include <memory>
#include <string>

#include "base/function_ref.h"
#include "capi/handles.h"
#include "ops/registry.h"

struct skiff_registry {
  skiff::OpRegistry ops;
  std::shared_ptr<const void> library;  // what the operators' code lives in; null for the program's own
};

namespace skiff::capi {

const skiff_custom_api& custom_api();
// Checks an author's description, copies it into a catalogue entry and hands that to `add`; `op.user` is Skiff's
// to free once that went well. `library` stays loaded as long as the entry lives. Throws kInvalidArgument
// naming the operator and the field.
void add_custom_op(const skiff_custom_op& op, std::shared_ptr<const void> library,
                   FunctionRef<void(std::shared_ptr<const OpDef>)> add);
// The operators of a shared library. One that is loaded already gives the very same entries.
OpRegistry load_custom_library(const std::string& path);

}  // namespace skiff::capi
