#include "ops/registry.h"

#include <mutex>

namespace skiff {
namespace {

bool reserved(std::string_view domain) {
  return domain.empty() || domain == "ai.onnx" || domain.starts_with("ai.onnx.") || domain == "skiff";
}

std::string key(std::string_view domain, std::string_view name) { return cat(domain, ":", name); }

struct Process {
  std::mutex mutex;
  OpRegistry ops;
};

// Never destroyed: sessions may outlive static objects.
Process& process() {
  static auto* p = new Process();
  return *p;
}

}  // namespace

void OpRegistry::add(std::shared_ptr<const OpDef> op) {
  check(!reserved(op->domain), Code::kInvalidArgument, "custom operator '", op->name, "': the domain '",
        *op->domain ? op->domain : "ai.onnx", "' is reserved; use one of your own, like 'com.example'");
  check(find_op(op->domain, op->name) == nullptr, Code::kInvalidArgument, "custom operator '", op->domain, ".",
        op->name, "': the catalogue has an operator of this name already; choose another");
  std::string k = key(op->domain, op->name);
  check(ops_.find(k) == ops_.end(), Code::kInvalidArgument, "custom operator '", op->domain, ".", op->name,
        "' is registered already; register all its versions at once");
  ops_.emplace(std::move(k), std::move(op));
}

void OpRegistry::merge(const OpRegistry& other) {
  OpRegistry both = *this;
  for (const auto& [k, op] : other.ops_) {
    auto have = both.ops_.find(k);
    if (have == both.ops_.end() || have->second != op) both.add(op);
  }
  *this = std::move(both);
}

const OpDef* OpRegistry::find(std::string_view domain, std::string_view name) const {
  if (ops_.empty()) return nullptr;
  auto it = ops_.find(key(domain, name));
  return it == ops_.end() ? nullptr : it->second.get();
}

OpRegistry process_ops() {
  std::lock_guard lock(process().mutex);
  return process().ops;
}

void register_process_ops(const OpRegistry& more) {
  std::lock_guard lock(process().mutex);
  process().ops.merge(more);
}

}  // namespace skiff
