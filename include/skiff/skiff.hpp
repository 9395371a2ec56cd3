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

// ---------------------------------------------------------------- custom operators
// An operator is a class of its author's: one object per node of a session.
//
//   struct Scale {
//     explicit Scale(OpCall& node) : by(node.attribute("by", 1.0f)) {}   // reads attributes
//     static void infer(OpCall& rule);                                   // optional: type and shape rule
//     void run(OpCall& call) const;                                      // reads inputs, makes outputs
//     float by;
//   };
//   Op::of<Scale>("com.example", "Scale").input("X", {SKIFF_FLOAT}).output("Y", {SKIFF_FLOAT})
//       .attribute("by", SKIFF_ATTR_FLOAT)
//
// What its member functions throw becomes an error with the node's name. `run` may be called by several threads at once
// unless the operator is made serial(). Nothing here needs the Skiff library at link time.

// A borrowed tensor, sequence or map of a kernel; valid during the call.
class OpValue {
 public:
  OpValue(const skiff_custom_api* api, const skiff_value* v) : api_(api), v_(v) {}
  explicit operator bool() const { return v_ != nullptr; }  // false: an input that is absent
  const skiff_value* get() const { return v_; }
  skiff_kind kind() const { return api_->value_kind(v_); }
  skiff_dtype dtype() const {
    skiff_dtype t = SKIFF_UNDEFINED;
    need(api_->tensor_info(v_, &t, nullptr, nullptr));
    return t;
  }
  std::span<const int64_t> dims() const {
    int rank = 0;
    const int64_t* d = nullptr;
    need(api_->tensor_info(v_, nullptr, &rank, &d));
    return {d, static_cast<size_t>(rank)};
  }
  size_t size() const {
    size_t n = 0;
    need(api_->tensor_data(v_, nullptr, &n, nullptr));
    return n;
  }
  // The elements; T must be the tensor's type. Those of inputs must not be written.
  template <class T>
  std::span<T> data() const {
    if (dtype() != DTypeOf<std::remove_const_t<T>>::value)
      throw Exception(SKIFF_INVALID_ARGUMENT, "the tensor's elements are of another type");
    void* p = nullptr;
    size_t n = 0;
    need(api_->tensor_data(v_, &p, &n, nullptr));
    return {static_cast<T*>(p), n};
  }
  std::string_view string_at(size_t i) const {
    const char* p = nullptr;
    size_t n = 0;
    need(api_->tensor_get_string(v_, i, &p, &n));
    return {p, n};
  }
  // Of outputs alone.
  void set_string(size_t i, std::string_view s) {
    need(api_->tensor_set_string(const_cast<skiff_value*>(v_), i, s.data(), s.size()));
  }

 private:
  void need(skiff_status s) const {
    if (s != SKIFF_OK) throw Exception(s, "");  // the message is Skiff's own
  }
  const skiff_custom_api* api_;
  const skiff_value* v_;
};

// One call of an author's function.
class OpCall {
 public:
  OpCall(const skiff_custom_api* api, skiff_call* call) : api_(api), call_(call) {}
  const skiff_custom_api* api() const { return api_; }
  skiff_call* get() const { return call_; }

  std::string_view node_name() const { return api_->node_name(call_); }
  int opset_version() const { return api_->opset_version(call_); }
  size_t inputs() const { return api_->input_count(call_); }
  size_t outputs() const { return api_->output_count(call_); }
  bool has_input(size_t i) const { return api_->has_input(call_, i) != 0; }
  bool wants_output(size_t i) const { return api_->wants_output(call_, i) != 0; }

  // An attribute, or the default when the node has none of that name.
  int64_t attribute(const char* name, int64_t otherwise) { return got(api_->attr_int(call_, name, &otherwise)), otherwise; }
  int64_t attribute(const char* name, int otherwise) { return attribute(name, int64_t{otherwise}); }
  float attribute(const char* name, float otherwise) { return got(api_->attr_float(call_, name, &otherwise)), otherwise; }
  std::string attribute(const char* name, const char* otherwise) {
    const char* p = nullptr;
    size_t n = 0;
    return got(api_->attr_string(call_, name, &p, &n)) ? std::string(p, n) : otherwise;
  }
  // Lists are empty when the node has no such attribute.
  std::vector<int64_t> ints(const char* name) {
    const int64_t* p = nullptr;
    size_t n = 0;
    return got(api_->attr_ints(call_, name, &p, &n)) ? std::vector<int64_t>(p, p + n) : std::vector<int64_t>();
  }
  std::vector<float> floats(const char* name) {
    const float* p = nullptr;
    size_t n = 0;
    return got(api_->attr_floats(call_, name, &p, &n)) ? std::vector<float>(p, p + n) : std::vector<float>();
  }
  std::vector<std::string> strings(const char* name) {
    std::vector<std::string> r;
    const char* p = nullptr;
    size_t n = 0;
    while (got(api_->attr_strings_item(call_, name, r.size(), &p, &n))) r.emplace_back(p, n);
    return r;
  }
  OpValue tensor(const char* name) {  // valid during this call; absent: false
    const skiff_value* v = nullptr;
    got(api_->attr_tensor(call_, name, &v));
    return {api_, v};
  }

  // In the type and shape rule.
  skiff_type input_type(size_t i) {
    skiff_type t{};
    must(api_->input_type(call_, i, &t));
    return t;
  }
  std::vector<skiff_dim> input_shape(size_t i) {  // throws when the rank is not known
    skiff_type t = input_type(i);
    if (t.rank < 0) throw Exception(SKIFF_INVALID_MODEL, "input " + std::to_string(i) + " has no known rank");
    return {t.dims, t.dims + t.rank};
  }
  bool input_ints(size_t i, std::vector<int64_t>& values) {  // false while they are not known
    const int64_t* p = nullptr;
    size_t n = 0;
    if (!got(api_->input_ints(call_, i, &p, &n))) return false;
    values.assign(p, p + n);
    return true;
  }
  void set_output_type(size_t i, skiff_dtype t, std::span<const skiff_dim> dims) {
    skiff_type type{SKIFF_KIND_TENSOR, t, static_cast<int>(dims.size()), dims.data()};
    must(api_->set_output_type(call_, i, &type));
  }
  void set_output_type(size_t i, const skiff_type& t) { must(api_->set_output_type(call_, i, &t)); }

  // In the kernel.
  OpValue input(size_t i) {
    const skiff_value* v = nullptr;
    must(api_->input(call_, i, &v));
    return {api_, v};
  }
  OpValue output(size_t i, skiff_dtype t, std::span<const int64_t> dims) {
    skiff_value* v = nullptr;
    must(api_->output(call_, i, t, dims.data(), static_cast<int>(dims.size()), &v));
    return {api_, v};
  }
  template <class T>
  std::span<T> output(size_t i, std::span<const int64_t> dims) {
    return output(i, DTypeOf<T>::value, dims).template data<T>();
  }
  void set_output(size_t i, const OpValue& v) { must(api_->set_output(call_, i, v.get())); }
  void poll() { must(api_->poll(call_)); }

 private:
  bool got(skiff_status s) {
    if (s == SKIFF_NOT_FOUND) return false;
    must(s);
    return true;
  }
  // The message of a table function stays with the call.
  static void must(skiff_status s) {
    if (s != SKIFF_OK) throw Exception(s, "");
  }
  const skiff_custom_api* api_;
  skiff_call* call_;
};

// Description of an operator; what skiff_custom_op says, in C++.
class Op {
 public:
  template <class Kernel>
  static Op of(std::string domain, std::string name) {
    Op op;
    op.domain_ = std::move(domain);
    op.name_ = std::move(name);
    op.c_.create = [](skiff_call* call, void* user, void** state) {
      return safely(call, user, [&](OpCall& c) { *state = new Kernel(c); });
    };
    op.c_.compute = [](skiff_call* call, void* user, void* state) {
      return safely(call, user, [&](OpCall& c) { static_cast<Kernel*>(state)->run(c); });
    };
    op.c_.destroy = [](void*, void* state) { delete static_cast<Kernel*>(state); };
    if constexpr (requires(OpCall& c) { Kernel::infer(c); })
      op.c_.infer = [](skiff_call* call, void* user) {
        return safely(call, user, [&](OpCall& c) { Kernel::infer(c); });
      };
    return op;
  }
  Op& versions(std::vector<int> v) { return versions_ = std::move(v), *this; }
  // An empty list of types takes any value. One letter: one element type.
  Op& input(std::string name, std::vector<skiff_dtype> types, char type_var = 0, skiff_arity arity = SKIFF_REQUIRED) {
    return add(inputs_, std::move(name), types, type_var, arity, 0);
  }
  // An input whose value the shape rule reads.
  Op& shape_input(std::string name, std::vector<skiff_dtype> types, skiff_arity arity = SKIFF_REQUIRED) {
    return add(inputs_, std::move(name), types, 0, arity, SKIFF_FORMAL_SHAPES);
  }
  Op& output(std::string name, std::vector<skiff_dtype> types, char type_var = 0, skiff_arity arity = SKIFF_REQUIRED) {
    return add(outputs_, std::move(name), types, type_var, arity, 0);
  }
  Op& attribute(std::string name, skiff_attr_type type, bool required = false) {
    attributes_.push_back({std::move(name), type, required});
    return *this;
  }
  Op& serial() { return c_.flags |= SKIFF_OP_SERIAL, *this; }
  Op& value_shapes() { return c_.flags |= SKIFF_OP_VALUE_SHAPES, *this; }

  // Hands the description to `give`, as C sees it; it is good until `give` returns. `api` must outlive the operator.
  template <class F>
  skiff_status describe(const skiff_custom_api* api, F&& give) const {
    std::vector<skiff_custom_formal> in = formals(inputs_), out = formals(outputs_);
    std::vector<skiff_custom_attr> attributes;
    for (const Attr& a : attributes_) attributes.push_back({a.name.c_str(), a.type, a.required});
    skiff_custom_op c = c_;
    c.struct_size = sizeof c;
    c.domain = domain_.c_str();
    c.name = name_.c_str();
    c.versions = versions_.data();
    c.version_count = versions_.size();
    c.inputs = in.data();
    c.input_count = in.size();
    c.outputs = out.data();
    c.output_count = out.size();
    c.attributes = attributes.data();
    c.attribute_count = attributes.size();
    c.user = const_cast<skiff_custom_api*>(api);
    return give(c);
  }
  // In a library's entry.
  skiff_status add_to(const skiff_custom_api* api, skiff_registry* registry) const {
    return describe(api, [&](const skiff_custom_op& c) { return api->register_op(registry, &c); });
  }

 private:
  struct Formal {
    std::string name;
    uint64_t types;
    char type_var;
    skiff_arity arity;
    uint16_t flags;
  };
  struct Attr {
    std::string name;
    int type, required;
  };
  Op& add(std::vector<Formal>& list, std::string name, const std::vector<skiff_dtype>& types, char type_var,
          skiff_arity arity, uint16_t flags) {
    uint64_t mask = 0;
    for (skiff_dtype t : types) mask |= SKIFF_DTYPE_BIT(t);
    list.push_back({std::move(name), mask, type_var, arity, flags});
    return *this;
  }
  static std::vector<skiff_custom_formal> formals(const std::vector<Formal>& list) {
    std::vector<skiff_custom_formal> r;
    for (const Formal& f : list)
      r.push_back({f.name.c_str(), f.types, f.type_var, static_cast<uint8_t>(f.arity), f.flags, 0});
    return r;
  }
  template <class F>
  static skiff_status safely(skiff_call* call, void* user, F&& f) noexcept {
    auto* api = static_cast<const skiff_custom_api*>(user);
    try {
      OpCall c(api, call);
      f(c);
      return SKIFF_OK;
    } catch (const Exception& e) {
      return *e.what() ? api->fail(call, e.status(), e.what()) : e.status();
    } catch (const std::exception& e) {
      return api->fail(call, SKIFF_INTERNAL, e.what());
    } catch (...) {
      return api->fail(call, SKIFF_INTERNAL, "something was thrown that is no std::exception");
    }
  }
  std::string domain_, name_;
  std::vector<int> versions_{1};
  std::vector<Formal> inputs_, outputs_;
  std::vector<Attr> attributes_;
  skiff_custom_op c_{};
};

// For every session made from now on; for those made with the options. Programs that link the Skiff library.
inline void register_op(const Op& op) {
  check(op.describe(skiff_custom_api_table(), [](const skiff_custom_op& c) { return skiff_register_op(&c); }));
}

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
  Options& register_op(const Op& op) {
    check(op.describe(skiff_custom_api_table(),
                      [this](const skiff_custom_op& c) { return skiff_options_register_op(o_.get(), &c); }));
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
  // A view of a session that belongs to somebody else, who frees it after the view is gone.
  static Session borrow(skiff_session* s) {
    Session view;
    view.s_ = std::unique_ptr<skiff_session, Free>(s, Free(false));
    return view;
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
  Session() = default;
  struct Free {
    bool owned;
    Free() : owned(true) {}
    explicit Free(bool o) : owned(o) {}
    void operator()(skiff_session* s) const {
      if (owned) skiff_session_free(s);
    }
  };
  std::unique_ptr<skiff_session, Free> s_;
};

// The entry of a library of operators: SKIFF_EXPORT_OPS(api, registry) { ... return SKIFF_OK; }. What its body throws, the
// table's loader reports.
#if defined(_WIN32)
#define SKIFF_EXPORT __declspec(dllexport)
#else
#define SKIFF_EXPORT __attribute__((visibility("default")))
#endif
#define SKIFF_EXPORT_OPS(api, registry) \
  extern "C" SKIFF_EXPORT skiff_status skiff_register_ops(const skiff_custom_api* api, skiff_registry* registry)

}  // namespace skiff::api

#endif  // SKIFF_SKIFF_HPP
