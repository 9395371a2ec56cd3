#include "onnx/wire_read.h"

#include <algorithm>
#include <bit>
#include <cstring>
#include <protozero/varint.hpp>
#include <type_traits>

#include "base/error.h"
#include "base/mapped_file.h"
#include "onnx/wire_fields.h"

namespace skiff::onnx {
namespace {

enum WireType : uint32_t { kVarint = 0, kFixed64 = 1, kLength = 2, kFixed32 = 5 };

struct State {
  const std::shared_ptr<const void>& owner;
  ReadLimits limits;
  uint64_t memory = 0;

  void charge(uint64_t bytes) {
    memory += bytes;
    check(memory <= limits.max_memory, Code::kLimit, "the parsed model needs more than the ",
          limits.max_memory, " bytes of memory_limit; raise memory_limit if the file can be trusted");
  }
};

// What remains of one message.
struct Cursor {
  const char* p;
  const char* end;
  size_t left() const { return static_cast<size_t>(end - p); }
};

[[noreturn]] void fail_truncated(const char* field, uint64_t need, uint64_t left) {
  fail(Code::kInvalidModel, "truncated: field ", field, " needs ", need, " bytes, but ", left,
       " are left; the file is damaged or cut short, fetch it again");
}

uint64_t read_varint(Cursor& c, const char* field) {
  try {
    return protozero::decode_varint(&c.p, c.end);
  } catch (const protozero::end_of_buffer_exception&) {
    fail_truncated(field, c.left() + 1, c.left());
  } catch (const protozero::varint_too_long_exception&) {
    fail(Code::kInvalidModel, "field ", field, " holds a number longer than 64 bits; the file is damaged");
  }
}

uint64_t read_fixed(Cursor& c, const char* field, size_t size) {
  if (c.left() < size) fail_truncated(field, size, c.left());
  uint64_t v = 0;
  for (size_t i = 0; i < size; ++i) v |= uint64_t{static_cast<unsigned char>(c.p[i])} << (8 * i);
  c.p += size;
  return v;
}

// A length-delimited field's bytes.
Cursor read_span(Cursor& c, const char* field) {
  uint64_t size = read_varint(c, field);
  if (size > c.left()) fail_truncated(field, size, c.left());
  Cursor inner{c.p, c.p + size};
  c.p += size;
  return inner;
}

void skip_field(Cursor& c, uint32_t wire) {
  constexpr const char* kField = "(unknown)";
  switch (wire) {
    case kVarint: read_varint(c, kField); return;
    case kFixed64: read_fixed(c, kField, 8); return;
    case kLength: read_span(c, kField); return;
    case kFixed32: read_fixed(c, kField, 4); return;
    default:
      fail(Code::kInvalidModel, "unknown wire type ", wire,
           " (groups are not part of ONNX); this is not an ONNX file, or a damaged one");
  }
}

template <class T>
constexpr uint32_t scalar_wire_type() {
  if constexpr (std::is_same_v<T, float>) return kFixed32;
  if constexpr (std::is_same_v<T, double>) return kFixed64;
  return kVarint;
}

template <class T>
T read_scalar(Cursor& c, const char* field) {
  if constexpr (std::is_same_v<T, float>) {
    auto bits = static_cast<uint32_t>(read_fixed(c, field, 4));
    float v;
    std::memcpy(&v, &bits, sizeof v);
    return v;
  } else if constexpr (std::is_same_v<T, double>) {
    uint64_t bits = read_fixed(c, field, 8);
    double v;
    std::memcpy(&v, &bits, sizeof v);
    return v;
  } else {
    return static_cast<T>(read_varint(c, field));
  }
}

template <class T>
std::string describe(const char* field, size_t index, const T& m) {
  std::string s = field;
  if (index != static_cast<size_t>(-1)) s += cat(" ", index);
  if constexpr (requires { m.name->c_str(); })
    if (!m.name->empty()) s += cat(" '", *m.name, "'");
  if constexpr (std::is_same_v<T, NodeProto>) s += cat(" (", *m.op_type, ")");
  return s;
}

template <class T>
void read_message(State& s, T& m, Cursor c, int depth);

template <class T>
void read_child(State& s, Cursor& c, const char* field, size_t index, T& m, int depth) {
  check(depth < s.limits.max_depth, Code::kLimit, "messages are nested deeper than ", s.limits.max_depth,
        " levels, three for each subgraph; raise max_nesting if the file can be trusted");
  uint64_t size = read_varint(c, field);
  uint64_t left = c.left();
  Cursor inner{c.p, c.p + std::min(size, left)};
  try {
    // When the message is cut, read what there is: the error then names the innermost thing that is cut.
    read_message(s, m, inner, depth + 1);
    if (size > left) fail_truncated("that follows", size - left, 0);
  } catch (Error& e) {
    e.add_where(describe(field, index, m));
    throw;
  }
  c.p = inner.end;
}

// Reads one wire field into the member it belongs to. A known number with a foreign wire type counts as
// unknown.
struct FieldReader {
  State& s;
  Cursor& c;
  uint32_t number, wire;
  int depth;
  bool done = false;

  template <class F>
  void operator()(uint32_t n, const char* name, F& field) {
    if (n == number && !done) done = read(name, field);
  }
  template <class F>
  void packed(uint32_t n, const char* name, F& field) {
    (*this)(n, name, field);
  }

  template <class T>
  bool read(const char* name, Opt<T>& f) {
    if (wire != scalar_wire_type<T>()) return false;
    f = read_scalar<T>(c, name);
    return true;
  }
  bool read(const char* name, Opt<std::string>& f) {
    if (wire != kLength) return false;
    f = read_string(name);
    return true;
  }
  bool read(const char* name, Opt<Bytes>& f) {
    if (wire != kLength) return false;
    Cursor b = read_span(c, name);
    f = Bytes{{b.p, b.left()}, s.owner};
    return true;
  }
  template <class T>
  bool read(const char* name, Box<T>& f) {
    if (wire != kLength) return false;
    if (!f) s.charge(sizeof(T));
    read_child(s, c, name, static_cast<size_t>(-1), f.emplace(), depth);
    return true;
  }
  bool read(const char* name, std::vector<std::string>& f) {
    if (wire != kLength) return false;
    s.charge(sizeof(std::string));
    f.push_back(read_string(name));
    return true;
  }
  template <class T>
  bool read(const char* name, std::vector<T>& f) {
    if constexpr (std::is_arithmetic_v<T>) {
      if (wire == scalar_wire_type<T>()) {
        s.charge(sizeof(T));
        f.push_back(read_scalar<T>(c, name));
        return true;
      }
      if (wire != kLength) return false;
      read_packed(read_span(c, name), name, f);
    } else {
      if (wire != kLength) return false;
      s.charge(sizeof(T));
      f.emplace_back();
      read_child(s, c, name, f.size() - 1, f.back(), depth);
    }
    return true;
  }

  std::string read_string(const char* name) {
    Cursor b = read_span(c, name);
    s.charge(b.left());
    return std::string(b.p, b.left());
  }
  template <class T>
  void read_packed(Cursor b, const char* name, std::vector<T>& f) {
    if constexpr (scalar_wire_type<T>() == kVarint) {
      auto count = static_cast<size_t>(std::count_if(b.p, b.end, [](char ch) { return !(ch & 0x80); }));
      s.charge(count * sizeof(T));
      f.reserve(f.size() + count);
      while (b.p != b.end) f.push_back(read_scalar<T>(b, name));
    } else {
      check(b.left() % sizeof(T) == 0, Code::kInvalidModel, "packed field ", name, " has ", b.left(),
            " bytes, not a multiple of ", sizeof(T));
      s.charge(b.left());
      f.reserve(f.size() + b.left() / sizeof(T));
      while (b.p != b.end) f.push_back(read_scalar<T>(b, name));
    }
  }
};

// Of a oneof the last member on the wire stands.
struct OneofKeeper {
  uint32_t number;
  bool (*in_oneof)(uint32_t);
  template <class F>
  void operator()(uint32_t n, const char*, F& field) {
    if constexpr (requires { field.reset(); })
      if (n != number && in_oneof(n)) field.reset();
  }
};

template <class T>
void read_message(State& s, T& m, Cursor c, int depth) {
  while (c.p != c.end) {
    const char* start = c.p;
    uint64_t key = read_varint(c, "(tag)");
    check(key >> 3 != 0 && key <= 0xffffffffu, Code::kInvalidModel, "field number ", key >> 3,
          " is out of range; this is not an ONNX file, or a damaged one");
    auto number = static_cast<uint32_t>(key >> 3);
    FieldReader reader{s, c, number, static_cast<uint32_t>(key & 7), depth};
    Fields<T>::each(m, reader);
    if (!reader.done) {
      skip_field(c, reader.wire);
      s.charge(static_cast<uint64_t>(c.p - start));
      m.unknown.append(start, c.p);
      continue;
    }
    if constexpr (requires { Fields<T>::in_oneof(number); }) {
      if (Fields<T>::in_oneof(number)) {
        OneofKeeper keeper{number, &Fields<T>::in_oneof};
        Fields<T>::each(m, keeper);
      }
    }
  }
}

}  // namespace

template <class T>
void parse(T& m, std::string_view bytes, const std::shared_ptr<const void>& owner, const ReadLimits& limits) {
  State s{owner, limits};
  s.limits.max_depth = std::clamp(limits.max_depth, 1, 1000);
  read_message(s, m, Cursor{bytes.data(), bytes.data() + bytes.size()}, 0);
}

template <class T>
T parse_file(const std::string& path, const ReadLimits& limits) {
  auto file = MappedFile::share(path);
  T m;
  try {
    check(file->size() != 0, Code::kInvalidModel, "the file is empty");
    parse(m, file->view(), file, limits);
  } catch (Error& e) {
    e.add_where(cat("file '", path, "'"));
    throw;
  }
  return m;
}

#define SKIFF_INSTANTIATE(T) \
  template void parse(T&, std::string_view, const std::shared_ptr<const void>&, const ReadLimits&);
SKIFF_INSTANTIATE(ModelProto)
SKIFF_INSTANTIATE(GraphProto)
SKIFF_INSTANTIATE(NodeProto)
SKIFF_INSTANTIATE(AttributeProto)
SKIFF_INSTANTIATE(TensorProto)
SKIFF_INSTANTIATE(SparseTensorProto)
SKIFF_INSTANTIATE(ValueInfoProto)
SKIFF_INSTANTIATE(TypeProto)
SKIFF_INSTANTIATE(FunctionProto)
SKIFF_INSTANTIATE(SequenceProto)
SKIFF_INSTANTIATE(MapProto)
SKIFF_INSTANTIATE(OptionalProto)
#undef SKIFF_INSTANTIATE
template ModelProto parse_file(const std::string&, const ReadLimits&);
template TensorProto parse_file(const std::string&, const ReadLimits&);
template SequenceProto parse_file(const std::string&, const ReadLimits&);
template MapProto parse_file(const std::string&, const ReadLimits&);
template OptionalProto parse_file(const std::string&, const ReadLimits&);

}  // namespace skiff::onnx
