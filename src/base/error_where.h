// Naming what an error is about where its own text may have done so already.
#pragma once
#include "base/error.h"

namespace skiff {

// Puts `outer` in front unless `name` is mentioned: for a node whose own check has named it, a file's path.
inline void add_where_once(Error& e, std::string_view outer, std::string_view name) {
  if (std::string_view(e.what()).find(name) == std::string_view::npos) e.add_where(outer);
}
inline void add_where_once(Error& e, std::string_view outer) { add_where_once(e, outer, outer); }

}  // namespace skiff
