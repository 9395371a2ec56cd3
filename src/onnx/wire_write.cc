#include "onnx/wire_write.h"

#include <cstring>
#include <protozero/varint.hpp>
#include <type_traits>

#include "base/atomic_file.h"
#include "base/error.h"
#include "onnx/wire_fields.h"

namespace skiff::onnx {
namespace {

uint64_t varint_size(uint64_t v) { return static_cast<uint64_t>(protozero::length_of_varint(v)); }
uint64_t tag_size(uint32_t number) { return varint_size(uint64_t{number} << 3); }

template <class T>
constexpr bool kIsFixed = std::is_same_v<T, float> || std::is_same_v<T, double>;

// Negative numbers are sign-extended to 64 bits, enums are int32.
template <class T>
uint64_t as_varint(T v) {
  if constexpr (std::is_unsigned_v<T>)
    return v;
  else
    return static_cast<uint64_t>(static_cast<int64_t>(v));
}

template <class T>
uint64_t scalar_size(T v) {
  if constexpr (kIsFixed<T>)
    return sizeof v;
  else
    return varint_size(as_varint(v));
}

template <class T>
uint64_t packed_size(const std::vector<T>& f) {
  if constexpr (kIsFixed<T>) return f.size() * sizeof(T);
  uint64_t total = 0;
  for (T v : f) total += scalar_size(v);
  return total;
}

// First pass. Notes each nested message's size in the order the second pass will need it.
struct Sizer {
  std::vector<uint64_t> sizes;
  uint64_t total = 0;

  template <class T>
  void message(const T& m) {
    Fields<T>::each(m, *this);
    total += m.unknown.size();
  }
  void bytes(uint32_t n, uint64_t size) { total += tag_size(n) + varint_size(size) + size; }

  template <class T>
  void operator()(uint32_t n, const char*, const Opt<T>& f) {
    if (f.has()) total += tag_size(n) + scalar_size(f.get());
  }
  void operator()(uint32_t n, const char*, const Opt<std::string>& f) {
    if (f.has()) bytes(n, f->size());
  }
  void operator()(uint32_t n, const char*, const Opt<Bytes>& f) {
    if (f.has()) bytes(n, f->view.size());
  }
  template <class T>
  void operator()(uint32_t n, const char*, const Box<T>& f) {
    if (f) child(n, *f);
  }
  void operator()(uint32_t n, const char*, const std::vector<std::string>& f) {
    for (const std::string& s : f) bytes(n, s.size());
  }
  template <class T>
  void operator()(uint32_t n, const char*, const std::vector<T>& f) {
    if constexpr (std::is_arithmetic_v<T>)
      for (T v : f) total += tag_size(n) + scalar_size(v);
    else
      for (const T& m : f) child(n, m);
  }
  template <class T>
  void packed(uint32_t n, const char*, const std::vector<T>& f) {
    if (!f.empty()) bytes(n, packed_size(f));
  }
  template <class T>
  void child(uint32_t n, const T& m) {
    size_t slot = sizes.size();
    sizes.push_back(0);
    uint64_t outer = std::exchange(total, 0);
    message(m);
    sizes[slot] = total;
    total = outer;
    bytes(n, sizes[slot]);
  }
};

// Second pass. Small pieces are gathered, large ones go straight through.
class Emitter {
 public:
  Emitter(ByteSink& to, const std::vector<uint64_t>& sizes) : to_(to), size_(sizes.data()) {
    buffer_.reserve(kBuffer);
  }
  template <class T>
  void message(const T& m) {
    Fields<T>::each(m, *this);
    raw(m.unknown);
  }
  void flush() {
    if (!buffer_.empty()) to_.write(buffer_.data(), buffer_.size());
    buffer_.clear();
  }

  template <class T>
  void operator()(uint32_t n, const char*, const Opt<T>& f) {
    if (!f.has()) return;
    scalar_tag<T>(n);
    scalar(f.get());
  }
  void operator()(uint32_t n, const char*, const Opt<std::string>& f) {
    if (f.has()) bytes(n, f.get());
  }
  void operator()(uint32_t n, const char*, const Opt<Bytes>& f) {
    if (f.has()) bytes(n, f->view);
  }
  template <class T>
  void operator()(uint32_t n, const char*, const Box<T>& f) {
    if (f) child(n, *f);
  }
  void operator()(uint32_t n, const char*, const std::vector<std::string>& f) {
    for (const std::string& s : f) bytes(n, s);
  }
  template <class T>
  void operator()(uint32_t n, const char*, const std::vector<T>& f) {
    if constexpr (std::is_arithmetic_v<T>) {
      for (T v : f) {
        scalar_tag<T>(n);
        scalar(v);
      }
    } else {
      for (const T& m : f) child(n, m);
    }
  }
  template <class T>
  void packed(uint32_t n, const char*, const std::vector<T>& f) {
    if (f.empty()) return;
    varint(uint64_t{n} << 3 | 2);
    varint(packed_size(f));
    for (T v : f) scalar(v);
  }

 private:
  static constexpr size_t kBuffer = 64 << 10;

  template <class T>
  void child(uint32_t n, const T& m) {
    varint(uint64_t{n} << 3 | 2);
    varint(*size_++);
    message(m);
  }
  template <class T>
  void scalar_tag(uint32_t n) {
    varint(uint64_t{n} << 3 | (std::is_same_v<T, float> ? 5u : std::is_same_v<T, double> ? 1u : 0u));
  }
  template <class T>
  void scalar(T v) {
    if constexpr (std::is_same_v<T, float>) {
      uint32_t bits;
      std::memcpy(&bits, &v, sizeof bits);
      fixed(bits, 4);
    } else if constexpr (std::is_same_v<T, double>) {
      uint64_t bits;
      std::memcpy(&bits, &v, sizeof bits);
      fixed(bits, 8);
    } else {
      varint(as_varint(v));
    }
  }
  void fixed(uint64_t bits, int size) {
    char b[8];
    for (int i = 0; i < size; ++i) b[i] = static_cast<char>(bits >> (8 * i));
    raw({b, static_cast<size_t>(size)});
  }
  void varint(uint64_t v) {
    char b[protozero::max_varint_length];
    raw({b, static_cast<size_t>(protozero::add_varint_to_buffer(b, v))});
  }
  void bytes(uint32_t n, std::string_view s) {
    varint(uint64_t{n} << 3 | 2);
    varint(s.size());
    raw(s);
  }
  void raw(std::string_view s) {
    if (buffer_.size() + s.size() > kBuffer) flush();
    if (s.size() > kBuffer)
      to_.write(s.data(), s.size());
    else
      buffer_.append(s);
  }

  ByteSink& to_;
  const uint64_t* size_;
  std::string buffer_;
};

struct StringSink : ByteSink {
  std::string out;
  void write(const char* data, size_t size) override { out.append(data, size); }
};

struct FileSink : ByteSink {
  AtomicFile file;
  explicit FileSink(const std::string& path) : file(path) {}
  void write(const char* data, size_t size) override { file.write(data, size); }
};

template <class T>
Sizer measure(const T& m, uint64_t limit) {
  Sizer sizer;
  sizer.message(m);
  check(sizer.total <= limit, Code::kLimit, "the ", Fields<T>::kName, " needs ", sizer.total,
        " bytes, but one protobuf file holds at most ", limit,
        "; write the model's tensors to external data instead");
  return sizer;
}
}  // namespace

template <class T>
uint64_t wire_size(const T& m) {
  Sizer sizer;
  sizer.message(m);
  return sizer.total;
}

template <class T>
void serialize(const T& m, ByteSink& to, uint64_t limit) {
  Sizer sizer = measure(m, limit);
  Emitter e(to, sizer.sizes);
  e.message(m);
  e.flush();
}

template <class T>
std::string serialize(const T& m, uint64_t limit) {
  Sizer sizer = measure(m, limit);
  StringSink sink;
  sink.out.reserve(static_cast<size_t>(sizer.total));
  Emitter e(sink, sizer.sizes);
  e.message(m);
  e.flush();
  return std::move(sink.out);
}

template <class T>
void serialize_file(const T& m, const std::string& path, uint64_t limit) {
  Sizer sizer = measure(m, limit);
  FileSink sink(path);
  Emitter e(sink, sizer.sizes);
  e.message(m);
  e.flush();
  sink.file.commit();
}

#define SKIFF_INSTANTIATE(T)                              \
  template uint64_t wire_size(const T&);                  \
  template void serialize(const T&, ByteSink&, uint64_t); \
  template std::string serialize(const T&, uint64_t);     \
  template void serialize_file(const T&, const std::string&, uint64_t);
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

}  // namespace skiff::onnx
