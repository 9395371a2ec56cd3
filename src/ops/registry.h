// Operators from outside the catalogue, as a session sees them: those of the process and those of its own
// options. Entries keep alive whatever their names and callbacks live in (a shared library, say).
#pragma once
#include <map>
#include <memory>
#include <string>

#include "ops/op.h"

namespace skiff {

class OpRegistry {
 public:
  // Throws kInvalidArgument for a domain that belongs to the standard or to Skiff, and for a name that the
  // catalogue or this registry has already.
  void add(std::shared_ptr<const OpDef> op);
  // Takes another registry's entries over: all, or none when one clashes. The very same entry twice is no
  // clash.
  void merge(const OpRegistry& other);
  const OpDef* find(std::string_view domain, std::string_view name) const;  // null when unknown
  const std::map<std::string, std::shared_ptr<const OpDef>>& ops() const { return ops_; }

 private:
  std::map<std::string, std::shared_ptr<const OpDef>> ops_;  // by "domain:name"
};

// A copy of what the process has registered so far, and adding to it. Safe from any thread.
OpRegistry process_ops();
void register_process_ops(const OpRegistry& more);

}  // namespace skiff
