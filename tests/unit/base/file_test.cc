#include <doctest/doctest.h>

#include <filesystem>
#include <utility>

#include "base/atomic_file.h"
#include "base/error.h"
#include "base/mapped_file.h"
#include "support/temp_dir.h"

using namespace skiff;
using skiff::test::read_file;
using skiff::test::TempDir;
using skiff::test::write_file;
namespace fs = std::filesystem;

TEST_CASE("a mapped file shows the bytes and outlives moves and replacement") {
  TempDir dir;
  std::string path = dir.file("a");
  write_file(path, std::string_view("he\0lo", 5));
  MappedFile a = MappedFile::open(path);
  CHECK(a.view() == std::string_view("he\0lo", 5));
  a.drop_pages();
  CHECK(a.view() == std::string_view("he\0lo", 5));
  CHECK(a.path() == path);
  MappedFile b = std::move(a);
  CHECK(a.size() == 0);  // NOLINT: a moved-from file is an empty one
  AtomicFile next(path);
  next.write("other", 5);
  next.commit();
  CHECK(b.view() == std::string_view("he\0lo", 5));
  CHECK(MappedFile::share(path)->view() == "other");
}

TEST_CASE("an empty file is an empty view") {
  TempDir dir;
  write_file(dir.file("a"), "");
  CHECK(MappedFile::open(dir.file("a")).size() == 0);
}

TEST_CASE("what cannot be mapped is named with its cause") {
  TempDir dir;
  std::string missing = dir.file("none");
  try {
    MappedFile::open(missing);
    FAIL("opened a missing file");
  } catch (const Error& e) {
    CHECK(e.code() == Code::kNotFound);
    CHECK(e.message().find(missing) != std::string::npos);
    CHECK(e.message().find("No such file") != std::string::npos);
  }
  CHECK_THROWS_WITH_AS(MappedFile::open(dir.str()), doctest::Contains("folder"), Error);
  CHECK_THROWS_AS(MappedFile::open("/dev/null"), Error);
}

TEST_CASE("an atomic file appears whole on commit and not at all without") {
  TempDir dir;
  std::string path = dir.file("out");
  write_file(path, "old");
  {
    AtomicFile f(path);
    f.write("new", 3);
    CHECK(read_file(path) == "old");
  }
  CHECK(read_file(path) == "old");
  CHECK(dir.entries() == 1);
  AtomicFile f(path);
  f.write("new", 3);
  f.commit();
  CHECK(read_file(path) == "new");
  CHECK(dir.entries() == 1);
}

TEST_CASE("links, folders and missing folders are refused as targets") {
  TempDir dir;
  write_file(dir.file("victim"), "precious");
  fs::create_symlink(dir.file("victim"), dir.file("link"));
  fs::create_symlink(dir.file("nowhere"), dir.file("dangling"));
  CHECK_THROWS_WITH_AS(AtomicFile(dir.file("link")), doctest::Contains("symbolic link"), Error);
  CHECK_THROWS_AS(AtomicFile(dir.file("dangling")), Error);
  CHECK_THROWS_AS(AtomicFile(dir.str()), Error);
  CHECK_THROWS_AS(AtomicFile("/dev/null"), Error);
  CHECK_THROWS_WITH_AS(AtomicFile(dir.file("no/such/folder")), doctest::Contains("No such file"), Error);
  CHECK(read_file(dir.file("victim")) == "precious");
  CHECK(dir.entries() == 3);
}

TEST_CASE("several files are committed all or none") {
  TempDir dir;
  write_file(dir.file("a"), "old a");
  AtomicFile a(dir.file("a")), b(dir.file("b")), c(dir.file("c"));
  a.write("new a", 5);
  b.write("new b", 5);
  c.write("new c", 5);
  fs::create_directory(dir.file("c"));  // turns up after the check at construction: the last rename fails
  CHECK_THROWS_AS(AtomicFile::commit({&a, &b, &c}), Error);
  CHECK(read_file(dir.file("a")) == "old a");
  CHECK(!fs::exists(dir.file("b")));
  fs::remove(dir.file("c"));
  AtomicFile d(dir.file("a")), e(dir.file("b"));
  d.write("newer", 5);
  AtomicFile::commit({&d, &e});
  CHECK(read_file(dir.file("a")) == "newer");
  CHECK(fs::exists(dir.file("b")));
}
