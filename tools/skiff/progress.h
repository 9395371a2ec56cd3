// A progress bar on stderr, shown only when that is a terminal.
#pragma once
#include <cstddef>
#include <mutex>
#include <string>

namespace skiff::tool {

class Progress {
 public:
  // `quiet` hides it in any case.
  Progress(size_t total, std::string what, bool quiet = false);
  ~Progress();
  Progress(const Progress&) = delete;
  Progress& operator=(const Progress&) = delete;
  // One more is done; `what` is shown beside the bar. May be called from several threads.
  void step(const std::string& what);

 private:
  void draw(const std::string& what);
  std::mutex mutex_;
  size_t total_, done_ = 0;
  bool shown_;
};

}  // namespace skiff::tool
