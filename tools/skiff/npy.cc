#include "npy.h"

#include <algorithm>
#include <bit>
#include <cstdint>

#include "fail.h"
#include "files.h"
#include "zip.h"

namespace skiff::tool {

namespace {

static_assert(std::endian::native == std::endian::little, "npy.cc writes this machine's order as '<'");

struct Type {
  skiff_dtype dtype;
  const char* descr;  // kind and bytes
  size_t size;
  size_t word;  // bytes that a change of byte order turns round
};
constexpr Type kTypes[] = {
    {SKIFF_FLOAT, "f4", 4, 4},     {SKIFF_DOUBLE, "f8", 8, 8},       {SKIFF_FLOAT16, "f2", 2, 2},
    {SKIFF_INT8, "i1", 1, 1},      {SKIFF_INT16, "i2", 2, 2},        {SKIFF_INT32, "i4", 4, 4},
    {SKIFF_INT64, "i8", 8, 8},     {SKIFF_UINT8, "u1", 1, 1},        {SKIFF_UINT16, "u2", 2, 2},
    {SKIFF_UINT32, "u4", 4, 4},    {SKIFF_UINT64, "u8", 8, 8},       {SKIFF_BOOL, "b1", 1, 1},
    {SKIFF_COMPLEX64, "c8", 8, 4}, {SKIFF_COMPLEX128, "c16", 16, 8},
};

// The Python literal of the header: {'descr': '<f4', 'fortran_order': False, 'shape': (3, 4), }.
class Header {
 public:
  Header(std::string_view text, const std::string& name) : text_(text), name_(name) {
    expect('{');
    while (!accept('}')) {
      std::string key = quoted();
      expect(':');
      if (key == "descr") {
        descr = quoted();
      } else if (key == "fortran_order") {
        fortran = word() == "True";
      } else if (key == "shape") {
        expect('(');
        while (!accept(')')) {
          dims.push_back(number());
          if (!accept(',') && peek() != ')') bad();
        }
      } else {
        bad();
      }
      if (!accept(',') && peek() != '}') bad();
    }
    if (descr.empty()) bad();
  }
  std::string descr;
  bool fortran = false;
  std::vector<int64_t> dims;

 private:
  [[noreturn]] void bad() { fail(name_, ": the header of the .npy file is not one NumPy writes"); }
  char peek() {
    while (at_ < text_.size() && (text_[at_] == ' ' || text_[at_] == '\n')) ++at_;
    return at_ < text_.size() ? text_[at_] : '\0';
  }
  bool accept(char c) {
    if (peek() != c) return false;
    ++at_;
    return true;
  }
  void expect(char c) {
    if (!accept(c)) bad();
  }
  std::string quoted() {
    char q = peek();
    if (q != '\'' && q != '"') bad();
    size_t end = text_.find(q, ++at_);
    if (end == std::string_view::npos) bad();
    std::string s(text_.substr(at_, end - at_));
    at_ = end + 1;
    return s;
  }
  std::string word() {
    peek();
    size_t a = at_;
    while (at_ < text_.size() && ((text_[at_] | 32) >= 'a' && (text_[at_] | 32) <= 'z')) ++at_;
    return std::string(text_.substr(a, at_ - a));
  }
  int64_t number() {
    peek();
    int64_t v = 0;
    size_t digits = 0;
    for (; at_ < text_.size() && text_[at_] >= '0' && text_[at_] <= '9'; ++at_, ++digits) {
      if (digits >= 18) bad();
      v = v * 10 + (text_[at_] - '0');
    }
    if (digits == 0) bad();
    return v;
  }
  std::string_view text_;
  const std::string& name_;
  size_t at_ = 0;
};

// Position in row-major order of every element of a column-major array, one after another.
template <class F>
void for_each_fortran(const std::vector<int64_t>& dims, size_t count, F f) {
  std::vector<size_t> stride(dims.size()), index(dims.size(), 0);
  size_t s = 1;
  for (size_t k = dims.size(); k-- > 0;) {
    stride[k] = s;
    s *= static_cast<size_t>(dims[k]);
  }
  size_t to = 0;
  for (size_t from = 0; from < count; ++from) {
    f(from, to);
    for (size_t k = 0; k < dims.size(); ++k) {
      to += stride[k];
      if (++index[k] < static_cast<size_t>(dims[k])) break;
      to -= stride[k] * index[k];
      index[k] = 0;
    }
  }
}

void append_utf8(std::string& s, uint32_t c) {
  if (c < 0x80) {
    s += static_cast<char>(c);
  } else if (c < 0x800) {
    s += static_cast<char>(0xC0 | c >> 6);
    s += static_cast<char>(0x80 | (c & 63));
  } else if (c < 0x10000) {
    s += static_cast<char>(0xE0 | c >> 12);
    s += static_cast<char>(0x80 | (c >> 6 & 63));
    s += static_cast<char>(0x80 | (c & 63));
  } else {
    s += static_cast<char>(0xF0 | (c >> 18 & 7));
    s += static_cast<char>(0x80 | (c >> 12 & 63));
    s += static_cast<char>(0x80 | (c >> 6 & 63));
    s += static_cast<char>(0x80 | (c & 63));
  }
}

std::u32string from_utf8(const std::string& s) {
  std::u32string out;
  for (size_t i = 0; i < s.size();) {
    auto c = static_cast<unsigned char>(s[i++]);
    int more = c >= 0xF0 ? 3 : c >= 0xE0 ? 2 : c >= 0xC0 ? 1 : 0;
    uint32_t v = more == 3 ? c & 7u : more == 2 ? c & 15u : more == 1 ? c & 31u : c;
    for (; more > 0 && i < s.size(); --more) v = v << 6 | (static_cast<unsigned char>(s[i++]) & 63u);
    out += static_cast<char32_t>(v);
  }
  return out;
}

void decode_strings(const Header& h, std::string_view data, size_t item, bool swap, Array& a) {
  bool wide =
      h.descr[h.descr.size() > 1 && !std::isalpha(static_cast<unsigned char>(h.descr[0])) ? 1 : 0] == 'U';
  a.strings.resize(a.count());
  auto one = [&](size_t from, size_t to) {
    std::string_view s = data.substr(from * item, item);
    if (!wide) {
      a.strings[to] = std::string(s.substr(0, s.find_last_not_of('\0') + 1));
      return;
    }
    for (size_t k = 0; k + 4 <= s.size(); k += 4) {
      uint32_t c = 0;
      std::memcpy(&c, s.data() + k, 4);
      if (swap) c = __builtin_bswap32(c);
      if (c == 0) break;
      append_utf8(a.strings[to], c);
    }
  };
  if (h.fortran) {
    for_each_fortran(a.dims, a.count(), one);
  } else {
    for (size_t i = 0; i < a.strings.size(); ++i) one(i, i);
  }
}

std::string npy_header(const std::string& descr, const std::vector<int64_t>& dims) {
  std::string shape;
  for (int64_t d : dims) shape += std::to_string(d) + ", ";
  if (dims.size() > 1) shape.erase(shape.size() - 2);
  if (dims.size() == 1) shape.pop_back();
  std::string dict = "{'descr': '" + descr + "', 'fortran_order': False, 'shape': (" + shape + "), }";
  bool v2 = dict.size() + 75 > 65535;
  size_t lead = v2 ? 12 : 10;
  dict.append((64 - (lead + dict.size() + 1) % 64) % 64, ' ');
  dict += '\n';
  std::string s("\x93NUMPY", 6);
  s += static_cast<char>(v2 ? 2 : 1);
  s += '\0';
  for (size_t k = 0; k < (v2 ? 4u : 2u); ++k) s += static_cast<char>(dict.size() >> 8 * k & 255);
  return s + dict;
}

}  // namespace

Array decode_npy(std::string_view contents, const std::string& name) {
  if (contents.size() < 10 || contents.substr(0, 6) != std::string_view("\x93NUMPY", 6))
    fail(name, ": not a .npy file (the first bytes are not \\x93NUMPY)");
  int version = contents[6];
  if (version < 1 || version > 3) fail(name, ": version ", version, " of the .npy format is not known");
  size_t lead = version == 1 ? 10 : 12, length = 0;
  if (contents.size() < lead) fail(name, ": the .npy file is cut short");
  for (size_t k = 8; k < lead; ++k)
    length |= static_cast<size_t>(static_cast<unsigned char>(contents[k])) << 8 * (k - 8);
  if (length > contents.size() - lead) fail(name, ": the .npy file is cut short");
  Header h(contents.substr(lead, length), name);
  std::string_view data = contents.substr(lead + length);

  std::string descr = h.descr;
  bool swap = false;
  if (descr.find_first_of("<>|=") == 0) {
    swap = descr[0] == '>';
    descr.erase(0, 1);
  }
  Array a;
  a.dims = h.dims;
  size_t item = 0;
  const Type* type = nullptr;
  if (descr.size() > 1 && (descr[0] == 'U' || descr[0] == 'S')) {
    a.dtype = SKIFF_STRING;
    int64_t n = parse_integer(descr.substr(1), name);
    if (n < 0 || n > (1 << 24)) fail(name, ": strings of ", n, " characters exceed the limit");
    item = static_cast<size_t>(n) * (descr[0] == 'U' ? 4 : 1);
  } else {
    for (const Type& t : kTypes)
      if (descr == t.descr) type = &t;
    if (!type)
      fail(name, ": NumPy type ", h.descr, " has no ONNX counterpart; save numbers, bool or strings");
    a.dtype = type->dtype;
    item = type->size;
  }
  // The element count against what the file holds, before anything of that size is made.
  uint64_t count = 1;
  bool empty = std::find(a.dims.begin(), a.dims.end(), 0) != a.dims.end();
  for (int64_t d : a.dims) {
    if (empty) break;
    if (count > data.size() / static_cast<uint64_t>(d) && item != 0)
      fail(name, ": the .npy file is cut short (shape ", dims_text(a.dims), " needs more than its ",
           data.size(), " bytes)");
    if (count > (uint64_t{1} << 32) / static_cast<uint64_t>(d))
      fail(name, ": shape ", dims_text(a.dims), " exceeds the limit");
    count *= static_cast<uint64_t>(d);
  }
  if (empty) count = 0;
  if (item != 0 && count > data.size() / item)
    fail(name, ": the .npy file is cut short (shape ", dims_text(a.dims), " needs ", count * item,
         " bytes, it has ", data.size(), ")");
  if (item == 0 && count > (1 << 24)) fail(name, ": shape ", dims_text(a.dims), " exceeds the limit");
  if (!type) {
    decode_strings(h, data, item, swap, a);
    return a;
  }
  a.bytes.resize(static_cast<size_t>(count) * item);
  if (h.fortran && a.dims.size() > 1) {
    for_each_fortran(a.dims, static_cast<size_t>(count), [&](size_t from, size_t to) {
      std::memcpy(a.bytes.data() + to * item, data.data() + from * item, item);
    });
  } else if (!a.bytes.empty()) {
    std::memcpy(a.bytes.data(), data.data(), a.bytes.size());
  }
  if (swap && type->word > 1)
    for (size_t i = 0; i < a.bytes.size(); i += type->word)
      std::reverse(a.bytes.begin() + static_cast<std::ptrdiff_t>(i),
                   a.bytes.begin() + static_cast<std::ptrdiff_t>(i + type->word));
  return a;
}

std::string encode_npy(const Array& a, const std::string& name) {
  if (a.dtype == SKIFF_STRING) {
    std::vector<std::u32string> wide;
    size_t longest = 1;
    for (const std::string& s : a.strings) {
      wide.push_back(from_utf8(s));
      longest = std::max(longest, wide.back().size());
    }
    std::string out = npy_header("<U" + std::to_string(longest), a.dims);
    for (std::u32string& s : wide) {
      s.resize(longest);
      out.append(reinterpret_cast<const char*>(s.data()), longest * 4);
    }
    return out;
  }
  for (const Type& t : kTypes) {
    if (t.dtype != a.dtype) continue;
    std::string out = npy_header((t.size == 1 ? "|" : "<") + std::string(t.descr), a.dims);
    out.append(reinterpret_cast<const char*>(a.bytes.data()), a.bytes.size());
    return out;
  }
  fail(name, ": NumPy has no type for these elements; write a .pb file instead");
}

std::vector<std::pair<std::string, Array>> decode_npz(std::string_view contents, const std::string& name) {
  std::vector<std::pair<std::string, Array>> arrays;
  for (ZipEntry& e : read_zip(contents, name)) {
    if (e.name.size() > 4 && e.name.ends_with(".npy")) e.name.erase(e.name.size() - 4);
    arrays.emplace_back(e.name, decode_npy(e.contents, name + "[" + e.name + "]"));
  }
  return arrays;
}

std::string encode_npz(const std::vector<std::pair<std::string, Array>>& arrays, const std::string& name) {
  std::vector<ZipEntry> entries;
  for (const auto& [key, a] : arrays)
    entries.push_back({key + ".npy", encode_npy(a, name + "[" + key + "]")});
  return write_zip(entries, name);
}

}  // namespace skiff::tool
