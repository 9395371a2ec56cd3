// npy, npz, wav, csv and text: what is written comes back, and broken files are refused with a message.
#include <doctest/doctest.h>

#include <zlib.h>

#include <cmath>
#include <functional>

#include "csv.h"
#include "fail.h"
#include "files.h"
#include "npy.h"
#include "support/temp_dir.h"
#include "wav.h"
#include "zip.h"

using namespace skiff::tool;

namespace {

std::string error_of(const std::function<void()>& f) {
  try {
    f();
  } catch (const ToolError& e) {
    return e.what();
  }
  return {};
}
bool contains(const std::string& text, const std::string& part) {
  return text.find(part) != std::string::npos;
}

std::string npy_v1(const std::string& dict, const std::string& data) {
  std::string s("\x93NUMPY\x01\x00", 8);
  s += static_cast<char>(dict.size() & 255);
  s += static_cast<char>(dict.size() >> 8);
  return s + dict + data;
}

}  // namespace

TEST_CASE("npy: every type comes back") {
  for (skiff_dtype t : {SKIFF_FLOAT, SKIFF_DOUBLE, SKIFF_FLOAT16, SKIFF_INT8, SKIFF_INT16, SKIFF_INT32,
                        SKIFF_INT64, SKIFF_UINT8, SKIFF_UINT16, SKIFF_UINT32, SKIFF_UINT64, SKIFF_BOOL,
                        SKIFF_COMPLEX64, SKIFF_COMPLEX128}) {
    size_t size = t == SKIFF_COMPLEX128                                                                ? 16
                  : t == SKIFF_DOUBLE || t == SKIFF_INT64 || t == SKIFF_UINT64 || t == SKIFF_COMPLEX64 ? 8
                  : t == SKIFF_FLOAT || t == SKIFF_INT32 || t == SKIFF_UINT32                          ? 4
                  : t == SKIFF_FLOAT16 || t == SKIFF_INT16 || t == SKIFF_UINT16                        ? 2
                                                                                                       : 1;
    Array a{t, {2, 3}, std::vector<unsigned char>(6 * size), {}};
    for (size_t i = 0; i < a.bytes.size(); ++i) a.bytes[i] = static_cast<unsigned char>(i * 7);
    Array b = decode_npy(encode_npy(a, "x"), "x");
    CHECK(b.dtype == t);
    CHECK(b.dims == a.dims);
    CHECK(b.bytes == a.bytes);
  }
}

TEST_CASE("npy: scalars, empty tensors, strings, header alignment") {
  Array scalar = Array::of<float>(SKIFF_FLOAT, {}, {2.5f});
  std::string file = encode_npy(scalar, "x");
  CHECK(decode_npy(file, "x").as<float>() == std::vector<float>{2.5f});
  CHECK((file.size() - 4) % 64 == 0);
  CHECK(decode_npy(encode_npy(Array::of<float>(SKIFF_FLOAT, {0, 4}, {}), "x"), "x").dims ==
        std::vector<int64_t>{0, 4});
  Array text{SKIFF_STRING, {2, 2}, {}, {"a", "\xC3\xA4\xE2\x82\xAC", "", "\xF0\x9F\x9A\xA3!"}};
  CHECK(decode_npy(encode_npy(text, "x"), "x").strings == text.strings);
}

TEST_CASE("npy: Fortran order and big endian are turned round") {
  // [[1, 2, 3], [4, 5, 6]] column by column, most significant byte first.
  std::string data;
  for (char v : {1, 4, 2, 5, 3, 6}) data += std::string("\0", 1) + v;
  Array a = decode_npy(npy_v1("{'descr': '>i2', 'fortran_order': True, 'shape': (2, 3), }\n", data), "x");
  CHECK(a.dtype == SKIFF_INT16);
  CHECK(a.as<int16_t>() == std::vector<int16_t>{1, 2, 3, 4, 5, 6});
}

TEST_CASE("npy: every truncation and hostile headers are refused") {
  std::string whole = encode_npy(Array::of<float>(SKIFF_FLOAT, {3}, {1, 2, 3}), "x");
  for (size_t n = 0; n < whole.size(); ++n) CHECK_THROWS_AS(decode_npy(whole.substr(0, n), "x"), ToolError);
  auto header = [](const std::string& shape) {
    return npy_v1("{'descr': '<f4', 'fortran_order': False, 'shape': " + shape + ", }\n", "1234");
  };
  CHECK(contains(error_of([&] { decode_npy(header("(99999999999, 99999999999)"), "big.npy"); }), "big.npy"));
  CHECK_THROWS_AS(decode_npy(header("(-1,)"), "x"), ToolError);
  CHECK_THROWS_AS(decode_npy(header("(9999999999999999999999,)"), "x"), ToolError);
  CHECK(contains(error_of([&] {
                   decode_npy(npy_v1("{'descr': '|O', 'fortran_order': False, 'shape': (1,), }\n", ""), "x");
                 }),
                 "|O"));
  CHECK(contains(error_of([] { encode_npy(Array{SKIFF_BFLOAT16, {1}, {0, 0}, {}}, "x"); }), ".pb"));
}

TEST_CASE("npz: stored and deflated entries, checksums, truncation") {
  Array a = Array::of<float>(SKIFF_FLOAT, {2}, {1, 2}), b = Array::of<int64_t>(SKIFF_INT64, {1}, {-7});
  std::string zip = encode_npz({{"a", a}, {"b", b}}, "x");
  auto back = decode_npz(zip, "x");
  REQUIRE(back.size() == 2);
  CHECK(back[0].first == "a");
  CHECK(back[0].second.as<float>() == std::vector<float>{1, 2});
  CHECK(back[1].second.as<int64_t>() == std::vector<int64_t>{-7});
  for (size_t n = 0; n < zip.size(); ++n) CHECK_THROWS_AS(decode_npz(zip.substr(0, n), "x"), ToolError);
  std::string broken = zip;
  broken[140] ^= 1;
  CHECK(contains(error_of([&] { decode_npz(broken, "x"); }), "checksum"));
}

TEST_CASE("zip: a deflated entry, and one that lies about its size") {
  std::string plain(5000, 'q'), packed(6000, '\0');
  z_stream z{};
  REQUIRE(deflateInit2(&z, 9, Z_DEFLATED, -MAX_WBITS, 8, Z_DEFAULT_STRATEGY) == Z_OK);
  z.next_in = reinterpret_cast<Bytef*>(plain.data());
  z.avail_in = static_cast<uInt>(plain.size());
  z.next_out = reinterpret_cast<Bytef*>(packed.data());
  z.avail_out = static_cast<uInt>(packed.size());
  REQUIRE(deflate(&z, Z_FINISH) == Z_STREAM_END);
  packed.resize(z.total_out);
  deflateEnd(&z);
  // A stored zip of the packed bytes, then turned into a deflated one by its two headers.
  std::string zip = write_zip({{"q", packed}}, "x");
  size_t directory = zip.find("PK\x01\x02");
  auto put = [&](size_t at, uint64_t v, size_t n) {
    for (size_t k = 0; k < n; ++k) zip[at + k] = static_cast<char>(v >> 8 * k & 255);
  };
  uint64_t crc = crc32(0, reinterpret_cast<const Bytef*>(plain.data()), 5000);
  put(directory + 10, 8, 2);
  put(directory + 16, crc, 4);
  put(directory + 24, 5000, 4);
  CHECK(read_zip(zip, "x").at(0).contents == plain);
  put(directory + 24, 4999, 4);
  CHECK_THROWS_AS(read_zip(zip, "x"), ToolError);
  put(directory + 24, 0xfffffffe, 4);
  CHECK(contains(error_of([&] { read_zip(zip, "x"); }), "impossible size"));
}

TEST_CASE("wav: 16 bits come back; 8, 24, 32 bits and float are read") {
  Wav w{16000, 2, {0.5f, -0.25f, 1.0f, -1.0f}};
  Wav r = decode_wav(encode_wav(w), "x");
  CHECK(r.rate == 16000);
  CHECK(r.channels == 2);
  CHECK(r.frames() == 2);
  CHECK(r.samples == std::vector<float>{0.5f, -0.25f, 32767.0f / 32768.0f, -1.0f});
  auto with = [](int format, int bits, const std::string& data) {
    std::string s = encode_wav({8000, 1, {}});
    s[20] = static_cast<char>(format);
    s[34] = static_cast<char>(bits);
    s[40] = static_cast<char>(data.size());
    return decode_wav(s + data, "x").samples;
  };
  CHECK(with(1, 8, std::string("\x00\x80\xC0", 3)) == std::vector<float>{-1.0f, 0.0f, 0.5f});
  CHECK(with(1, 24, std::string("\x00\x00\x80\x00\x00\x40", 6)) == std::vector<float>{-1.0f, 0.5f});
  CHECK(with(1, 32, std::string("\x00\x00\x00\xC0", 4)) == std::vector<float>{-0.5f});
  CHECK(with(3, 32, std::string("\x00\x00\x80\x3E", 4)) == std::vector<float>{0.25f});
  CHECK_THROWS_AS(with(7, 8, "x"), ToolError);
}

TEST_CASE("wav: every truncation is refused") {
  std::string whole = encode_wav({8000, 1, {0.1f, 0.2f}});
  for (size_t n = 0; n < whole.size(); ++n) CHECK_THROWS_AS(decode_wav(whole.substr(0, n), "x"), ToolError);
}

TEST_CASE("csv: quotes, line ends, headers, numbers") {
  Table t = decode_csv("a,\"b,\"\"c\"\"\"\r\n\r\n1,\"two\nlines\"\n", ',', "x");
  REQUIRE(t.size() == 2);
  CHECK(t[0] == std::vector<std::string>{"a", "b,\"c\""});
  CHECK(t[1][1] == "two\nlines");
  CHECK(decode_csv(encode_csv(t), ',', "x") == t);
  Array a = numbers_of_csv("x,y\n1,2.5\n-3e2,+4\n", "x");
  CHECK(a.dims == std::vector<int64_t>{2, 2});
  CHECK(a.as<double>() == std::vector<double>{1, 2.5, -300, 4});
  CHECK(contains(error_of([] { numbers_of_csv("1,2\n3\n", "t.csv"); }), "row 2"));
  CHECK(contains(error_of([] { numbers_of_csv("1,2\n3,x\n", "t.csv"); }), "\"x\""));
  CHECK(contains(error_of([] { decode_csv("a,\"b", ',', "t.csv"); }), "never ends"));
  CHECK(numbers_of_text("1 2, 3 # four\n5\n", "x").as<double>() == std::vector<double>{1, 2, 3, 5});
}

TEST_CASE("files: written whole or not at all") {
  skiff::test::TempDir dir;
  write_file(dir.file("a"), "one");
  write_file(dir.file("a"), "two");
  CHECK(read_file(dir.file("a")) == "two");
  CHECK(dir.entries() == 1);
  CHECK(contains(error_of([&] { write_file(dir.file("no/such/folder"), "x"); }), "cannot write"));
  CHECK(contains(error_of([&] { write_file(dir.str(), "x"); }), "folder"));
  CHECK(contains(error_of([&] { read_file(dir.str()); }), "folder"));
  CHECK(contains(error_of([&] { read_file(dir.file("a"), 2); }), "limit"));
}
