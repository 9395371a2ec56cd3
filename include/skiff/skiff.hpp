// Skiff for C++: a thin, header-only layer over skiff.h. Errors are thrown as skiff::Exception.
#ifndef SKIFF_SKIFF_HPP
#define SKIFF_SKIFF_HPP

#include <cstring>
#include <initializer_list>
#include <memory>
#include <span>
#include <stdexcept>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "skiff/skiff.h"

namespace skiff::api {

class Exception : public std::runtime_error {
 public:
  Exception(skiff_status s, const std::string& message) : std::runtime_error(message), status_(s) {}
  skiff_status status() const { return status_; }

 private:
  skiff_status status_;
};

inline void check(skiff_status s) {
  if (s != SKIFF_OK) throw Exception(s, skiff_last_error());
}

// Takes ownership of a string the library made.
inline std::string take(char* s) {
  std::string r = s ? s : "";
  skiff_string_free(s);
  return r;
}

template <class T>
struct DTypeOf;
#define SKIFF_DTYPE_OF(T, v) \
  template <>                \
  struct DTypeOf<T> {        \
    static constexpr skiff_dtype value = v; \
  }
SKIFF_DTYPE_OF(float, SKIFF_FLOAT);
SKIFF_DTYPE_OF(double, SKIFF_DOUBLE);
SKIFF_DTYPE_OF(uint8_t, SKIFF_UINT8);
SKIFF_DTYPE_OF(int8_t, SKIFF_INT8);
SKIFF_DTYPE_OF(uint16_t, SKIFF_UINT16);
SKIFF_DTYPE_OF(int16_t, SKIFF_INT16);
SKIFF_DTYPE_OF(int32_t, SKIFF_INT32);
SKIFF_DTYPE_OF(uint32_t, SKIFF_UINT32);
SKIFF_DTYPE_OF(int64_t, SKIFF_INT64);
SKIFF_DTYPE_OF(uint64_t, SKIFF_UINT64);
SKIFF_DTYPE_OF(bool, SKIFF_BOOL);
#undef SKIFF_DTYPE_OF

// Any run-time value: tensor, sequence, map, or nothing.
class Value {
 public:
  Value() = default;
  explicit Value(skiff_value* v) : v_(v) {}
  // A tensor with memory of its own.
  Value(skiff_dtype t, std::span<const int64_t> dims) {
    skiff_value* v = nullptr;
    check(skiff_tensor_create(t, dims.data(), static_cast<int>(dims.size()), &v));
    v_.reset(v);
  }
  // A copy of the given elements.
  template <class T>
  static Value from(std::span<const T> elements, std::span<const int64_t> dims) {
    Value v(DTypeOf<T>::value, dims);
    if (v.size() != elements.size()) throw Exception(SKIFF_INVALID_ARGUMENT, "element count and dims disagree");
    std::memcpy(v.template data<T>().data(), elements.data(), elements.size_bytes());
    return v;
  }
  // A tensor over the caller's memory, which must outlive it.
  template <class T>
  static Value wrap(std::span<T> elements, std::span<const int64_t> dims) {
    skiff_value* v = nullptr;
    check(skiff_tensor_wrap(DTypeOf<std::remove_const_t<T>>::value, dims.data(), static_cast<int>(dims.size()),
                            const_cast<std::remove_const_t<T>*>(elements.data()), elements.size_bytes(), &v));
    return Value(v);
  }

  // The pixels of an image file's contents: uint8 [height, width, 3]; see skiff_image_decode.
  static Value from_image(std::string_view contents) {
    skiff_value* v = nullptr;
    check(skiff_image_decode(contents.data(), contents.size(), &v));
    return Value(v);
  }

  skiff_kind kind() const { return v_ ? skiff_value_kind(v_.get()) : SKIFF_KIND_NONE; }
  skiff_dtype dtype() const {
    skiff_dtype t = SKIFF_UNDEFINED;
    check(skiff_tensor_info(v_.get(), &t, nullptr, nullptr));
    return t;
  }
  std::vector<int64_t> dims() const {
    int rank = 0;
    const int64_t* d = nullptr;
    check(skiff_tensor_info(v_.get(), nullptr, &rank, &d));
    return {d, d + rank};
  }
  size_t size() const {
    size_t n = 0;
    check(skiff_tensor_data(v_.get(), nullptr, &n, nullptr));
    return n;
  }
  // The elements; T must be the tensor's type.
  template <class T>
  std::span<T> data() const {
    if (dtype() != DTypeOf<std::remove_const_t<T>>::value)
      throw Exception(SKIFF_INVALID_ARGUMENT, std::string("the tensor holds ") + skiff_dtype_name(dtype()));
    void* p = nullptr;
    size_t n = 0;
    check(skiff_tensor_data(v_.get(), &p, &n, nullptr));
    return {static_cast<T*>(p), n};
  }
  std::string string_at(size_t i) const {
    const char* p = nullptr;
    size_t n = 0;
    check(skiff_tensor_get_string(v_.get(), i, &p, &n));
    return {p, n};
  }
  size_t count() const {
    size_t n = 0;
    check(skiff_value_count(v_.get(), &n));
    return n;
  }
  Value item(size_t i) const {
    skiff_value* v = nullptr;
    check(skiff_value_item(v_.get(), i, &v));
    return Value(v);
  }
  Value keys() const {
    skiff_value* v = nullptr;
    check(skiff_map_keys(v_.get(), &v));
    return Value(v);
  }
  skiff_value* get() const { return v_.get(); }
  skiff_value* release() { return v_.release(); }
  explicit operator bool() const { return v_ != nullptr; }

 private:
  struct Free {
    void operator()(skiff_value* v) const { skiff_value_free(v); }
  };
  std::unique_ptr<skiff_value, Free> v_;
};

class Options {
 public:
  Options() {
    skiff_options* o = nullptr;
    check(skiff_options_create(&o));
    o_.reset(o);
  }
  Options(std::initializer_list<std::pair<std::string, std::string>> kv) : Options() {
    for (const auto& [k, v] : kv) set(k, v);
  }
  Options& set(const std::string& key, const std::string& value) {
    check(skiff_options_set(o_.get(), key.c_str(), value.c_str()));
    return *this;
  }
  const skiff_options* get() const { return o_.get(); }

 private:
  struct Free {
    void operator()(skiff_options* o) const { skiff_options_free(o); }
  };
  std::unique_ptr<skiff_options, Free> o_;
};

// May be requested from another thread while a run is under way.
class Cancel {
 public:
  Cancel() {
    skiff_cancel* c = nullptr;
    check(skiff_cancel_create(&c));
    c_.reset(c);
  }
  void request() { skiff_cancel_request(c_.get()); }
  void reset() { skiff_cancel_reset(c_.get()); }
  skiff_cancel* get() const { return c_.get(); }

 private:
  struct Free {
    void operator()(skiff_cancel* c) const { skiff_cancel_free(c); }
  };
  std::unique_ptr<skiff_cancel, Free> c_;
};

// A model made ready to run. Threads may share one.
class Session {
 public:
  explicit Session(const std::string& path, const Options& options = Options()) {
    skiff_session* s = nullptr;
    check(skiff_session_load(path.c_str(), options.get(), &s));
    s_.reset(s);
  }
  // `model` must outlive the session.
  explicit Session(std::span<const std::byte> model, const Options& options = Options()) {
    skiff_session* s = nullptr;
    check(skiff_session_load_memory(model.data(), model.size(), options.get(), &s));
    s_.reset(s);
  }
  size_t input_count() const { return skiff_session_input_count(s_.get()); }
  size_t output_count() const { return skiff_session_output_count(s_.get()); }
  skiff_port input(size_t i) const {
    skiff_port p{};
    check(skiff_session_input(s_.get(), i, &p));
    return p;
  }
  skiff_port output(size_t i) const {
    skiff_port p{};
    check(skiff_session_output(s_.get(), i, &p));
    return p;
  }
  // Empty when the model has no such entry.
  std::string metadata(const std::string& key) const {
    const char* v = nullptr;
    skiff_status s = skiff_session_metadata(s_.get(), key.c_str(), &v);
    if (s == SKIFF_NOT_FOUND) return {};
    check(s);
    return v;
  }
  // Inputs in the session's order; outputs are reused when they are given.
  void run(std::span<const Value> inputs, std::vector<Value>& outputs, Cancel* cancel = nullptr) {
    std::vector<const skiff_value*> in;
    for (const Value& v : inputs) in.push_back(v.get());
    outputs.resize(output_count());
    std::vector<skiff_value*> out;
    for (Value& v : outputs) out.push_back(v.release());
    skiff_status s = skiff_run(s_.get(), in.data(), in.size(), out.data(), out.size(), cancel ? cancel->get() : nullptr);
    for (size_t i = 0; i < out.size(); ++i) outputs[i] = Value(out[i]);
    check(s);
  }
  std::vector<Value> run(std::span<const Value> inputs) {
    std::vector<Value> out;
    run(inputs, out);
    return out;
  }
  std::string info_json(const std::string& shapes = {}) {
    char* s = nullptr;
    check(skiff_session_info_json(s_.get(), shapes.empty() ? nullptr : shapes.c_str(), &s));
    return take(s);
  }
  std::string profile_json() {
    char* s = nullptr;
    check(skiff_session_profile_json(s_.get(), &s));
    return take(s);
  }
  skiff_session* get() const { return s_.get(); }

 private:
  struct Free {
    void operator()(skiff_session* s) const { skiff_session_free(s); }
  };
  std::unique_ptr<skiff_session, Free> s_;
};

}  // namespace skiff::api

#endif  // SKIFF_SKIFF_HPP
