// Read-only view of a whole file: mapped on POSIX, read into memory elsewhere (Windows, WebAssembly).
#pragma once
#include <cstddef>
#include <memory>
#include <string>
#include <string_view>

namespace skiff {

// Move-only. The view stays valid for the life of the object, wherever it is moved. Replacing the file by
// rename (as AtomicFile does) leaves the view untouched; truncating it in place while mapped is the caller's
// fault.
class MappedFile {
 public:
  MappedFile() = default;
  MappedFile(MappedFile&& other) noexcept { *this = std::move(other); }
  MappedFile& operator=(MappedFile&& other) noexcept;
  MappedFile(const MappedFile&) = delete;
  MappedFile& operator=(const MappedFile&) = delete;
  ~MappedFile() { close(); }

  // Throws Error kNotFound (no such file) or kIo (a folder, a device, no permission ...), naming path and
  // cause.
  static MappedFile open(const std::string& path);
  // The same, shared: tensors that point into the file keep it alive.
  static std::shared_ptr<const MappedFile> share(const std::string& path);
  // Maps an open POSIX descriptor, which stays the caller's; path is for messages. Not available on Windows.
  static MappedFile from_descriptor(int fd, const std::string& path);

  std::string_view view() const { return {data_, size_}; }
  const char* data() const { return data_; }
  size_t size() const { return size_; }
  const std::string& path() const { return path_; }
  // The pages read so far need not stay in memory; they come back from the file when they are touched again.
  void drop_pages() const noexcept;

 private:
  void close() noexcept;
  const char* data_ = "";
  size_t size_ = 0;
  bool mapped_ = false;             // munmap on close
  std::unique_ptr<char[]> buffer_;  // where the file was read instead
  std::string path_;
};

// "No such file or directory (errno 2)" for an errno value.
std::string errno_text(int error);

}  // namespace skiff
