// Custom operators from shared libraries, and the entry points that register them.
#include <dlfcn.h>
#include <unistd.h>

#include <cstdlib>
#include <map>
#include <mutex>

#include "capi/custom.h"

namespace skiff::capi {
namespace {

std::string system_message() {
  const char* e = dlerror();
  return e ? e : "unknown error";
}

// One loaded library. Entries hold it; the table below only remembers those that are still held.
struct Library {
  void* handle = nullptr;
  Library() = default;
  Library(const Library&) = delete;
  Library& operator=(const Library&) = delete;
  ~Library() {
    if (handle) dlclose(handle);
  }
};

struct Loaded {
  std::recursive_mutex mutex;  // a library's entry may load others
  // Per handle: the entries made of it, as long as anyone holds one of them.
  std::map<void*, std::vector<std::weak_ptr<const OpDef>>> entries;
};

// Never destroyed: libraries may be loaded and dropped until the process ends.
Loaded& loaded() {
  static auto* l = new Loaded();
  return *l;
}

}  // namespace

OpRegistry load_custom_library(const std::string& path) {
  check(access(path.c_str(), F_OK) == 0, Code::kNotFound, "there is no custom-operator library '", path, "'");
  char* absolute = realpath(path.c_str(), nullptr);  // dlopen looks elsewhere for names without a slash
  check(absolute != nullptr, Code::kIo, "custom-operator library '", path, "' cannot be reached");
  auto library = std::make_shared<Library>();
  library->handle = dlopen(absolute, RTLD_NOW | RTLD_LOCAL);
  std::free(absolute);
  check(library->handle != nullptr, Code::kInvalidArgument, "'", path,
        "' cannot be loaded as a shared library: ", system_message());
  void* entry = dlsym(library->handle, SKIFF_REGISTER_OPS_SYMBOL);
  check(entry != nullptr, Code::kInvalidArgument, "'", path, "' exports no ", SKIFF_REGISTER_OPS_SYMBOL,
        "; it is no library of custom operators");

  std::lock_guard lock(loaded().mutex);
  OpRegistry again;
  for (const auto& w : loaded().entries[library->handle])
    if (std::shared_ptr<const OpDef> op = w.lock()) again.add(std::move(op));
  if (!again.ops().empty()) return again;

  skiff_registry registry;
  registry.library = library;
  skiff_status s = SKIFF_OK;
  try {
    s = reinterpret_cast<skiff_register_ops_fn>(entry)(&custom_api(), &registry);
  } catch (const std::exception& e) {
    fail(Code::kInvalidArgument, "'", path, "': ", SKIFF_REGISTER_OPS_SYMBOL, " threw: ", e.what());
  } catch (...) {
    fail(Code::kInvalidArgument, "'", path, "': ", SKIFF_REGISTER_OPS_SYMBOL, " threw");
  }
  check(s == SKIFF_OK, Code::kInvalidArgument, "'", path, "': ", SKIFF_REGISTER_OPS_SYMBOL, " failed with ",
        skiff_status_name(s), ": ", skiff_last_error());
  check(!registry.ops.ops().empty(), Code::kInvalidArgument, "'", path, "' registered no operator");
  auto& known = loaded().entries[library->handle];
  known.clear();
  for (const auto& [name, op] : registry.ops.ops()) known.push_back(op);
  return registry.ops;
}

}  // namespace skiff::capi

using namespace skiff;        // NOLINT
using namespace skiff::capi;  // NOLINT

extern "C" {

const skiff_custom_api* skiff_custom_api_table(void) { return &custom_api(); }

skiff_status skiff_register_op(const skiff_custom_op* op) {
  return guarded([&] {
    add_custom_op(*need(op, "op"), nullptr, [](std::shared_ptr<const OpDef> d) {
      OpRegistry one;
      one.add(std::move(d));
      register_process_ops(one);
    });
  });
}

skiff_status skiff_options_register_op(skiff_options* options, const skiff_custom_op* op) {
  return guarded([&] {
    OpRegistry& own = need(options, "options")->options.custom_ops;
    add_custom_op(*need(op, "op"), nullptr, [&](std::shared_ptr<const OpDef> d) { own.add(std::move(d)); });
  });
}

skiff_status skiff_load_custom_ops(const char* path) {
  return guarded([&] { register_process_ops(load_custom_library(need(path, "path"))); });
}

}  // extern "C"
