// Writing a file so that a reader sees the old contents or the new, never a part.
#pragma once
#include <cstdio>
#include <initializer_list>
#include <string>

namespace skiff {

// Writes to a new temporary file beside `path`; commit() renames it into place. Destroyed without commit, it
// leaves nothing behind. A `path` that is a symbolic link, a folder or a device is refused: nothing is ever
// written through a link. Errors: kIo, naming path and cause.
class AtomicFile {
 public:
  explicit AtomicFile(std::string path);
  ~AtomicFile();
  AtomicFile(const AtomicFile&) = delete;
  AtomicFile& operator=(const AtomicFile&) = delete;

  void write(const void* data, size_t size);
  // Flushes to the disk and renames. With several files: all of them or, after a failure, none (what stood
  // there before is put back).
  void commit() { commit({this}); }
  static void commit(std::initializer_list<AtomicFile*> files);

 private:
  void finish();
  std::string path_, temp_;
  std::FILE* file_ = nullptr;
};

}  // namespace skiff
