#include "zip.h"

#include <zlib.h>

#include <algorithm>
#include <cstdint>

#include "fail.h"

namespace skiff::tool {

namespace {

constexpr uint64_t kMaxTotal = uint64_t{4} << 30;

// Little-endian number of `n` bytes; the caller has checked that they are there.
uint64_t number(std::string_view s, size_t at, size_t n) {
  uint64_t v = 0;
  for (size_t k = 0; k < n; ++k) v |= static_cast<uint64_t>(static_cast<unsigned char>(s[at + k])) << 8 * k;
  return v;
}
void put(std::string& s, uint64_t v, size_t n) {
  for (size_t k = 0; k < n; ++k) s += static_cast<char>(v >> 8 * k & 255);
}

std::string inflate_raw(std::string_view data, uint64_t size, const std::string& what) {
  // Deflate gains at most a factor of 1032, so a larger claim is a lie told to make us allocate.
  if (size / 1040 > data.size() + 16) fail(what, ": the zip entry claims an impossible size");
  std::string out(static_cast<size_t>(size), '\0');
  z_stream z{};
  if (inflateInit2(&z, -MAX_WBITS) != Z_OK) fail(what, ": zlib cannot start");
  size_t in = 0, done = 0;
  int rc = Z_OK;
  while (rc == Z_OK) {
    size_t in_part = std::min<size_t>(data.size() - in, 1u << 30),
           out_part = std::min<size_t>(out.size() - done, 1u << 30);
    z.next_in = reinterpret_cast<Bytef*>(const_cast<char*>(data.data() + in));
    z.avail_in = static_cast<uInt>(in_part);
    z.next_out = reinterpret_cast<Bytef*>(out.data() + done);
    z.avail_out = static_cast<uInt>(out_part);
    rc = inflate(&z, Z_NO_FLUSH);
    in += in_part - z.avail_in;
    done += out_part - z.avail_out;
    if (rc == Z_OK && z.avail_in == in_part && z.avail_out == out_part) rc = Z_BUF_ERROR;
  }
  inflateEnd(&z);
  if (rc != Z_STREAM_END || done != out.size()) fail(what, ": the compressed zip entry is damaged");
  return out;
}

}  // namespace

std::vector<ZipEntry> read_zip(std::string_view zip, const std::string& name) {
  constexpr size_t kEndSize = 22, kDirSize = 46, kLocalSize = 30;
  auto bad = [&](const char* why) { fail(name, ": not a whole zip file (", why, ")"); };
  if (zip.size() < kEndSize) bad("too short");
  // The end record is last, followed by a comment of at most 65535 bytes.
  size_t end = zip.size() - kEndSize,
         lowest = zip.size() > kEndSize + 65535 ? zip.size() - kEndSize - 65535 : 0;
  while (number(zip, end, 4) != 0x06054b50) {
    if (end == lowest) bad("no end record");
    --end;
  }
  uint64_t count = number(zip, end + 10, 2), at = number(zip, end + 16, 4);
  if (count == 0xffff || at == 0xffffffff) {
    if (end < 20 || number(zip, end - 20, 4) != 0x07064b50) bad("no zip64 locator");
    uint64_t end64 = number(zip, end - 20 + 8, 8);
    if (zip.size() < 56 || end64 > zip.size() - 56 || number(zip, end64, 4) != 0x06064b50)
      bad("no zip64 end record");
    count = number(zip, end64 + 32, 8);
    at = number(zip, end64 + 48, 8);
  }
  std::vector<ZipEntry> entries;
  uint64_t total = 0;
  for (uint64_t i = 0; i < count; ++i) {
    if (zip.size() < kDirSize || at > zip.size() - kDirSize || number(zip, at, 4) != 0x02014b50)
      bad("broken directory");
    uint64_t method = number(zip, at + 10, 2), crc = number(zip, at + 16, 4);
    uint64_t packed = number(zip, at + 20, 4), size = number(zip, at + 24, 4),
             local = number(zip, at + 42, 4);
    size_t name_size = number(zip, at + 28, 2), extra = number(zip, at + 30, 2),
           comment = number(zip, at + 32, 2);
    if (name_size + extra + comment > zip.size() - at - kDirSize) bad("broken directory");
    std::string entry_name(zip.substr(at + kDirSize, name_size));
    for (size_t e = at + kDirSize + name_size, stop = e + extra; e + 4 <= stop;) {
      size_t id = number(zip, e, 2), length = number(zip, e + 2, 2), p = e + 4;
      if (length > stop - p) bad("broken extra field");
      for (uint64_t* v : {&size, &packed, &local})
        if (id == 1 && *v == 0xffffffff) {
          if (p + 8 > e + 4 + length) bad("broken zip64 field");
          *v = number(zip, p, 8);
          p += 8;
        }
      e += 4 + length;
    }
    at += kDirSize + name_size + extra + comment;
    if (zip.size() < kLocalSize || local > zip.size() - kLocalSize || number(zip, local, 4) != 0x04034b50)
      bad("broken entry");
    uint64_t data = local + kLocalSize + number(zip, local + 26, 2) + number(zip, local + 28, 2);
    if (data > zip.size() || packed > zip.size() - data) bad("an entry is cut short");
    std::string what = name + "[" + entry_name + "]";
    if (size > kMaxTotal || (total += size) > kMaxTotal) fail(what, ": the unpacked file exceeds 4 GiB");
    if (method != 0 && method != 8)
      fail(what, ": zip method ", method, " is not known; save it stored or deflated");
    if (method == 0 && size != packed) bad("sizes disagree");
    std::string_view raw = zip.substr(data, packed);
    std::string contents = method == 0 ? std::string(raw) : inflate_raw(raw, size, what);
    if (crc32_z(0, reinterpret_cast<const Bytef*>(contents.data()), contents.size()) != crc)
      fail(what, ": checksum mismatch, the file is damaged");
    entries.push_back({std::move(entry_name), std::move(contents)});
  }
  return entries;
}

std::string write_zip(const std::vector<ZipEntry>& entries, const std::string& name) {
  std::string out, directory;
  for (const ZipEntry& e : entries) {
    if (out.size() + e.contents.size() > 0xfffffff0u || e.name.size() > 0xffff || entries.size() > 0xfff0)
      fail(name, ": too large for one .npz file; write .npy files");
    uint64_t crc = crc32_z(0, reinterpret_cast<const Bytef*>(e.contents.data()), e.contents.size());
    size_t local = out.size();
    std::string common;
    put(common, 20, 2);          // version needed
    put(common, 0x800, 2);       // names are UTF-8
    put(common, 0, 2);           // stored
    put(common, 0x00210000, 4);  // 1980-01-01 00:00
    put(common, crc, 4);
    put(common, e.contents.size(), 4);
    put(common, e.contents.size(), 4);
    put(common, e.name.size(), 2);
    put(common, 0, 2);
    put(out, 0x04034b50, 4);
    out += common + e.name + e.contents;
    put(directory, 0x02014b50, 4);
    put(directory, 20, 2);
    directory += common;
    directory.append(10, '\0');  // comment length, disk, attributes
    put(directory, local, 4);
    directory += e.name;
  }
  size_t at = out.size();
  out += directory;
  put(out, 0x06054b50, 4);
  put(out, 0, 4);
  put(out, entries.size(), 2);
  put(out, entries.size(), 2);
  put(out, directory.size(), 4);
  put(out, at, 4);
  put(out, 0, 2);
  return out;
}

}  // namespace skiff::tool
