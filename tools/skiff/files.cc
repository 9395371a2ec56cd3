#include "files.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <cerrno>
#include <charconv>
#include <cmath>
#include <cstdio>
#include <cstring>
#include <filesystem>

#include "fail.h"

namespace fs = std::filesystem;

namespace skiff::tool {

namespace {

struct Descriptor {
  int fd = -1;
  ~Descriptor() {
    if (fd >= 0) close(fd);
  }
};

void write_all(int fd, std::string_view contents, const std::string& path) {
  while (!contents.empty()) {
    ssize_t n = write(fd, contents.data(), contents.size());
    if (n < 0 && errno == EINTR) continue;
    if (n <= 0) fail(path, ": cannot write: ", std::strerror(errno));
    contents.remove_prefix(static_cast<size_t>(n));
  }
}

}  // namespace

std::string read_file(const std::string& path, uint64_t limit) {
  Descriptor d{open(path.c_str(), O_RDONLY | O_CLOEXEC)};
  if (d.fd < 0) fail(path, ": cannot open: ", std::strerror(errno));
  struct stat st {};
  if (fstat(d.fd, &st) != 0) fail(path, ": cannot read: ", std::strerror(errno));
  if (S_ISDIR(st.st_mode)) fail(path, ": is a folder, a file is needed");
  std::string contents;
  if (st.st_size > 0) {
    if (static_cast<uint64_t>(st.st_size) > limit)
      fail(path, ": ", st.st_size, " bytes exceed the limit of ", limit, " bytes for such a file");
    contents.reserve(static_cast<size_t>(st.st_size));
  }
  char buffer[1 << 16];
  for (;;) {
    ssize_t n = read(d.fd, buffer, sizeof buffer);
    if (n < 0 && errno == EINTR) continue;
    if (n < 0) fail(path, ": cannot read: ", std::strerror(errno));
    if (n == 0) break;
    if (contents.size() + static_cast<size_t>(n) > limit)
      fail(path, ": exceeds the limit of ", limit, " bytes for such a file");
    contents.append(buffer, static_cast<size_t>(n));
  }
  return contents;
}

void write_file(const std::string& path, std::string_view contents) {
  struct stat st {};
  std::string target = path;
  if (stat(path.c_str(), &st) == 0) {
    if (S_ISDIR(st.st_mode)) fail(path, ": is a folder; name a file in it");
    if (!S_ISREG(st.st_mode)) {
      Descriptor d{open(path.c_str(), O_WRONLY | O_CLOEXEC)};
      if (d.fd < 0) fail(path, ": cannot write: ", std::strerror(errno));
      write_all(d.fd, contents, path);
      return;
    }
    std::error_code ec;
    fs::path real = fs::canonical(path, ec);
    if (!ec) target = real.string();
  }
  static std::atomic<unsigned> counter{0};
  std::string temp = cat(target, ".tmp.", getpid(), ".", counter++);
  Descriptor d{open(temp.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0666)};
  if (d.fd < 0) fail(path, ": cannot write: ", std::strerror(errno));
  try {
    write_all(d.fd, contents, path);
    int fd = d.fd;
    d.fd = -1;
    if (close(fd) != 0 || rename(temp.c_str(), target.c_str()) != 0)
      fail(path, ": cannot write: ", std::strerror(errno));
  } catch (...) {
    unlink(temp.c_str());
    throw;
  }
}

bool is_folder(const std::string& path) {
  std::error_code ec;
  return fs::is_directory(path, ec);
}
bool is_file(const std::string& path) {
  std::error_code ec;
  return fs::exists(path, ec) && !fs::is_directory(path, ec);
}

std::string extension(const std::string& path) {
  std::string e = fs::path(path).extension().string();
  if (!e.empty()) e.erase(0, 1);
  for (char& c : e)
    if (c >= 'A' && c <= 'Z') c = static_cast<char>(c - 'A' + 'a');
  return e;
}
std::string stem(const std::string& path) { return fs::path(path).stem().string(); }
std::string file_name(const std::string& path) { return fs::path(path).filename().string(); }
std::string join(const std::string& folder, const std::string& name) {
  return folder.empty() ? name : (fs::path(folder) / name).string();
}
std::string parent(const std::string& path) { return fs::path(path).parent_path().string(); }

std::vector<std::string> list_folder(const std::string& path) {
  std::vector<std::string> names;
  std::error_code ec;
  for (fs::directory_iterator it(path, ec), end; !ec && it != end; it.increment(ec))
    names.push_back(it->path().filename().string());
  if (ec) fail(path, ": cannot list the folder: ", ec.message());
  std::sort(names.begin(), names.end());
  return names;
}

std::vector<std::string> split_lines(std::string_view text) {
  std::vector<std::string> lines = split(text, '\n');
  for (std::string& l : lines)
    if (!l.empty() && l.back() == '\r') l.pop_back();
  if (!lines.empty() && lines.back().empty()) lines.pop_back();
  return lines;
}

std::vector<std::string> split(std::string_view text, char separator) {
  std::vector<std::string> parts;
  for (size_t at = 0;;) {
    size_t end = text.find(separator, at);
    if (end == std::string_view::npos) {
      parts.emplace_back(text.substr(at));
      return parts;
    }
    parts.emplace_back(text.substr(at, end - at));
    at = end + 1;
  }
}

std::string_view trim(std::string_view s) {
  constexpr std::string_view kSpace = " \t\r\n";
  size_t a = s.find_first_not_of(kSpace);
  if (a == std::string_view::npos) return {};
  return s.substr(a, s.find_last_not_of(kSpace) - a + 1);
}

double parse_number(std::string_view field, std::string_view what) {
  std::string_view s = trim(field);
  if (s.size() > 1 && s.front() == '+') s.remove_prefix(1);
  double v = 0;
  auto [end, ec] = std::from_chars(s.data(), s.data() + s.size(), v);
  if (s.empty() || end != s.data() + s.size() || ec == std::errc::invalid_argument)
    fail(what, ": \"", field, "\" is not a number");
  if (ec == std::errc::result_out_of_range) return std::strtod(std::string(s).c_str(), nullptr);
  return v;
}

int64_t parse_integer(std::string_view field, std::string_view what) {
  std::string_view s = trim(field);
  int64_t v = 0;
  auto [end, ec] = std::from_chars(s.data(), s.data() + s.size(), v);
  if (s.empty() || end != s.data() + s.size() || ec != std::errc())
    fail(what, ": \"", field, "\" is not a whole number");
  return v;
}

std::vector<double> parse_numbers(std::string_view list, std::string_view what) {
  std::vector<double> v;
  for (const std::string& part : split(list, ',')) v.push_back(parse_number(part, what));
  return v;
}

}  // namespace skiff::tool
