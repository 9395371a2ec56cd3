#include "base/mapped_file.h"

#include <cerrno>
#include <cstdint>
#include <cstdio>
#include <limits>
#include <system_error>
#include <utility>

#include "base/error.h"

#if defined(_WIN32)
#define SKIFF_STDIO_FILES 1
#else
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>
#if !defined(__EMSCRIPTEN__)
#include <sys/mman.h>
#define SKIFF_MMAP 1
#endif
#endif

namespace skiff {

std::string errno_text(int error) {
  return cat(std::generic_category().message(error), " (errno ", error, ")");
}

namespace {
[[noreturn]] void fail_open(const std::string& path, int error) {
  fail(error == ENOENT || error == ENOTDIR ? Code::kNotFound : Code::kIo, "cannot open '", path,
       "': ", errno_text(error));
}

#if !defined(SKIFF_STDIO_FILES)
struct Descriptor {
  int fd;
  ~Descriptor() {
    if (fd >= 0) ::close(fd);
  }
};

// The size of a regular file; anything else is refused.
size_t regular_size(int fd, const std::string& path) {
  struct stat st;
  if (::fstat(fd, &st) != 0) fail(Code::kIo, "cannot stat '", path, "': ", errno_text(errno));
  check(!S_ISDIR(st.st_mode), Code::kIo, "'", path, "' is a folder, not a file");
  check(S_ISREG(st.st_mode), Code::kIo, "'", path, "' is not a regular file; copy its contents into one");
  check(static_cast<uint64_t>(st.st_size) <= std::numeric_limits<size_t>::max() / 2, Code::kLimit, "'", path,
        "' is too large (", static_cast<long long>(st.st_size), " bytes) to address on this machine");
  return static_cast<size_t>(st.st_size);
}

#if !defined(SKIFF_MMAP)
void read_all(int fd, char* to, size_t size, const std::string& path) {
  for (size_t done = 0; done < size;) {
    auto n = ::read(fd, to + done, size - done);
    if (n < 0 && errno == EINTR) continue;
    if (n < 0) fail(Code::kIo, "cannot read '", path, "': ", errno_text(errno));
    check(n != 0, Code::kIo, "'", path, "' shrank while it was read");
    done += static_cast<size_t>(n);
  }
}
#endif
#endif
}  // namespace

MappedFile& MappedFile::operator=(MappedFile&& other) noexcept {
  if (this == &other) return *this;
  close();
  data_ = std::exchange(other.data_, "");
  size_ = std::exchange(other.size_, 0);
  mapped_ = std::exchange(other.mapped_, false);
  buffer_ = std::move(other.buffer_);
  path_ = std::move(other.path_);
  return *this;
}

std::shared_ptr<const MappedFile> MappedFile::share(const std::string& path) {
  return std::make_shared<const MappedFile>(open(path));
}

#if defined(SKIFF_STDIO_FILES)
MappedFile MappedFile::open(const std::string& path) {
  std::unique_ptr<FILE, int (*)(FILE*)> file(std::fopen(path.c_str(), "rb"), &std::fclose);
  if (!file) fail_open(path, errno);
  check(_fseeki64(file.get(), 0, SEEK_END) == 0, Code::kIo, "cannot read '", path, "': ", errno_text(errno));
  auto size = static_cast<int64_t>(_ftelli64(file.get()));
  check(size >= 0 && static_cast<uint64_t>(size) <= std::numeric_limits<size_t>::max() / 2, Code::kLimit, "'",
        path, "' is too large or not a regular file");
  _fseeki64(file.get(), 0, SEEK_SET);
  MappedFile m;
  m.path_ = path;
  m.size_ = static_cast<size_t>(size);
  m.buffer_.reset(new char[m.size_ + 1]);
  m.data_ = m.buffer_.get();
  check(std::fread(m.buffer_.get(), 1, m.size_, file.get()) == m.size_, Code::kIo, "cannot read '", path,
        "'");
  return m;
}
MappedFile MappedFile::from_descriptor(int, const std::string& path) {
  fail(Code::kUnsupported, "cannot map '", path, "' by descriptor on this system");
}
#else
MappedFile MappedFile::open(const std::string& path) {
  Descriptor d{
      ::open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK)};  // O_NONBLOCK: a FIFO must not hang us
  if (d.fd < 0) fail_open(path, errno);
  return from_descriptor(d.fd, path);
}
MappedFile MappedFile::from_descriptor(int fd, const std::string& path) {
  MappedFile m;
  size_t size = regular_size(fd, path);
  m.path_ = path;
  if (size == 0) return m;
#if defined(SKIFF_MMAP)
  void* p = ::mmap(nullptr, size, PROT_READ, MAP_PRIVATE, fd, 0);
  if (p == MAP_FAILED) fail(Code::kIo, "cannot map '", path, "' (", size, " bytes): ", errno_text(errno));
  m.data_ = static_cast<const char*>(p);
  m.mapped_ = true;
#else
  m.buffer_.reset(new char[size]);
  read_all(fd, m.buffer_.get(), size, path);
  m.data_ = m.buffer_.get();
#endif
  m.size_ = size;
  return m;
}
#endif

void MappedFile::drop_pages() const noexcept {
#if defined(SKIFF_MMAP)
  if (mapped_) ::madvise(const_cast<char*>(data_), size_, MADV_DONTNEED);
#endif
}

void MappedFile::close() noexcept {
#if defined(SKIFF_MMAP)
  if (mapped_) ::munmap(const_cast<char*>(data_), size_);
#endif
  mapped_ = false;
  buffer_.reset();
  data_ = "";
  size_ = 0;
}

}  // namespace skiff
