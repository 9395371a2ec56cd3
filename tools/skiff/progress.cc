#include "progress.h"

#include <unistd.h>

#include <algorithm>
#include <cstdio>

namespace skiff::tool {

Progress::Progress(size_t total, std::string what, bool quiet)
    : total_(std::max<size_t>(total, 1)), shown_(!quiet && total > 1 && isatty(STDERR_FILENO)) {
  draw(what);
}

Progress::~Progress() {
  if (shown_) std::fputs("\r\x1b[K", stderr);
}

void Progress::step(const std::string& what) {
  std::lock_guard lock(mutex_);
  ++done_;
  draw(what);
}

void Progress::draw(const std::string& what) {
  if (!shown_) return;
  constexpr size_t kWidth = 30;
  size_t full = std::min(kWidth, done_ * kWidth / total_);
  std::string bar = std::string(full, '#') + std::string(kWidth - full, '.');
  std::fprintf(stderr, "\r\x1b[K[%s] %zu/%zu %.40s", bar.c_str(), done_, total_, what.c_str());
}

}  // namespace skiff::tool
