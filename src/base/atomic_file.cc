#include "base/atomic_file.h"

#include <atomic>
#include <cerrno>
#include <utility>
#include <vector>

#include "base/error.h"
#include "base/mapped_file.h"

#if defined(_WIN32)
#include <io.h>
#include <process.h>
#include <windows.h>
#else
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>
#endif

namespace skiff {
namespace {

#if defined(_WIN32)
int replace(const std::string& from, const std::string& to) {
  return MoveFileExA(from.c_str(), to.c_str(), MOVEFILE_REPLACE_EXISTING) ? 0 : -1;
}
bool backup(const std::string& from, const std::string& to) {
  return CopyFileA(from.c_str(), to.c_str(), TRUE) != 0;
}
bool exists(const std::string& path) { return GetFileAttributesA(path.c_str()) != INVALID_FILE_ATTRIBUTES; }
void check_target(const std::string& path) {
  DWORD a = GetFileAttributesA(path.c_str());
  if (a == INVALID_FILE_ATTRIBUTES) return;
  check(!(a & (FILE_ATTRIBUTE_DIRECTORY | FILE_ATTRIBUTE_REPARSE_POINT)), Code::kIo, "will not write to '",
        path, "': it is a folder or a link; choose another name");
}
int process_id() { return _getpid(); }
std::FILE* create_new(const std::string& path) { return std::fopen(path.c_str(), "wbx"); }
int sync(std::FILE* f) { return _commit(_fileno(f)); }
#else
int replace(const std::string& from, const std::string& to) { return std::rename(from.c_str(), to.c_str()); }
bool backup(const std::string& from, const std::string& to) { return ::link(from.c_str(), to.c_str()) == 0; }
bool exists(const std::string& path) {
  struct stat st;
  return ::lstat(path.c_str(), &st) == 0;
}
void check_target(const std::string& path) {
  struct stat st;
  if (::lstat(path.c_str(), &st) != 0) return;
  check(!S_ISLNK(st.st_mode), Code::kIo, "will not write to '", path,
        "': it is a symbolic link; remove it or choose another name");
  check(S_ISREG(st.st_mode), Code::kIo, "will not write to '", path,
        "': it is a folder or a device; choose another name");
}
int process_id() { return static_cast<int>(::getpid()); }
std::FILE* create_new(const std::string& path) {
  int fd = ::open(path.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, 0666);
  return fd < 0 ? nullptr : ::fdopen(fd, "wb");
}
int sync(std::FILE* f) {
  int r = ::fsync(::fileno(f));
  return r != 0 && (errno == EINVAL || errno == ENOSYS) ? 0 : r;  // a file system without fsync is no failure
}
#endif

// Unlike any name this process or another is using now.
std::string fresh_name(const std::string& path, const char* what) {
  static std::atomic<unsigned> counter{0};
  return cat(path, ".", what, process_id(), "-", counter.fetch_add(1));
}

}  // namespace

AtomicFile::AtomicFile(std::string path) : path_(std::move(path)) {
  check(!path_.empty(), Code::kInvalidArgument, "the name of the file to write is empty");
  check_target(path_);
  for (int tries = 0; !file_; ++tries) {
    temp_ = fresh_name(path_, "tmp");
    file_ = create_new(temp_);
    if (!file_ && (errno != EEXIST || tries > 100))
      fail(Code::kIo, "cannot write '", path_, "': ", errno_text(errno));
  }
}

AtomicFile::~AtomicFile() {
  if (file_) std::fclose(file_);
  if (!temp_.empty()) std::remove(temp_.c_str());
}

void AtomicFile::write(const void* data, size_t size) {
  if (size != 0 && std::fwrite(data, 1, size, file_) != size)
    fail(Code::kIo, "cannot write '", path_, "': ", errno_text(errno), "; the file is left as it was");
}

void AtomicFile::finish() {
  if (!file_) return;
  bool ok = std::fflush(file_) == 0 && sync(file_) == 0;
  int error = errno;
  ok = std::fclose(std::exchange(file_, nullptr)) == 0 && ok;
  check(ok, Code::kIo, "cannot write '", path_, "': ", errno_text(error), "; the file is left as it was");
  check_target(path_);
}

void AtomicFile::commit(std::initializer_list<AtomicFile*> files) {
  for (AtomicFile* f : files) f->finish();
  struct Done {
    AtomicFile* file;
    std::string backup;  // empty: nothing stood there before
  };
  std::vector<Done> done;
  for (AtomicFile* f : files) {
    Done d{f, {}};
    if (files.size() > 1 && exists(f->path_)) {
      d.backup = fresh_name(f->path_, "old");
      if (!backup(f->path_, d.backup)) d.backup.clear();
    }
    if (replace(f->temp_, f->path_) != 0) {
      int error = errno;
      if (!d.backup.empty()) std::remove(d.backup.c_str());
      for (Done& before : done) {
        if (before.backup.empty())
          std::remove(before.file->path_.c_str());
        else
          replace(before.backup, before.file->path_);
      }
      fail(Code::kIo, "cannot rename '", f->temp_, "' to '", f->path_, "': ", errno_text(error));
    }
    f->temp_.clear();
    done.push_back(std::move(d));
  }
  for (const Done& d : done)
    if (!d.backup.empty()) std::remove(d.backup.c_str());
}

}  // namespace skiff
