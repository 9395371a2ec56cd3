// Calls of the C interface in any order, with any handle that a caller could hold: every call answers with a
// status, and a failure leaves its outputs as they were.
#include <algorithm>
#include <cstring>

#include "fuzz/fuzz.h"
#include "onnx/export.h"
#include "ops/op.h"
#include "skiff/skiff.h"

using namespace skiff;
using namespace skiff::fuzz;

namespace {

// Small models to load: elementwise, a product with a symbolic batch, a loop, strings.
std::vector<std::string> make_models() {
  std::vector<std::string> r;
  auto finish = [&](Graph g) {
    Model m;
    m.ir_version = 8;
    m.opsets = {{"", 17}};
    m.metadata = {{"key", "value"}};
    m.graph = std::move(g);
    r.push_back(onnx::write_model_bytes(m));
  };
  auto node = [](Graph& g, const char* op, std::vector<ValueId> in, std::vector<Attribute> attributes = {}) {
    Node n;
    n.op = op;
    n.name = cat("n", g.node_slots());
    n.opset = 17;
    n.inputs = std::move(in);
    n.attributes = std::move(attributes);
    ValueId out = g.add_value(cat("v", g.value_slots()));
    n.outputs = {out};
    g.add_node(std::move(n));
    return out;
  };
  Dim batch = Dim::symbol("N");
  {
    Graph g;
    ValueId x = g.add_input("x", Type::tensor(DType::kFloat, SymShape(std::vector<Dim>{batch, Dim(3)})));
    ValueId w = g.add_constant("w", Tensor::from(std::vector<float>{1, 2, 3, 4, 5, 6}, {3, 2}));
    g.mark_output(node(g, "Relu", {node(g, "MatMul", {x, w})}));
    finish(std::move(g));
  }
  {
    Graph g;
    ValueId x = g.add_input("x", Type::tensor(DType::kInt64, SymShape(std::vector<Dim>{batch})));
    ValueId y = g.add_input("y", Type::tensor(DType::kInt64, SymShape(Dims{})));
    g.mark_output(node(g, "Add", {x, y}));
    g.mark_output(node(g, "NonZero", {x}));
    finish(std::move(g));
  }
  {
    Graph g;
    ValueId s = g.add_input("s", Type::tensor(DType::kString, SymShape(std::vector<Dim>{batch})));
    g.mark_output(node(g, "Identity", {s}));
    g.mark_output(node(g, "SequenceConstruct", {s, s}));
    finish(std::move(g));
  }
  return r;
}

class Caller {
 public:
  explicit Caller(Choices& c) : c_(c) {
    static const std::vector<std::string> kModels = make_models();
    models_ = &kModels;
  }
  ~Caller() {
    for (skiff_value* v : values_) skiff_value_free(v);
    for (skiff_session* s : sessions_) skiff_session_free(s);
    for (skiff_options* o : options_) skiff_options_free(o);
    for (skiff_cancel* x : cancels_) skiff_cancel_free(x);
  }

  void step() {
    switch (c_.pick(24)) {
      case 0: return create_options();
      case 1: return set_option();
      case 2: return load();
      case 3: return load();
      case 4: return describe();
      case 5:
      case 6:
      case 7:
      case 8:
      case 9: return run();
      case 10: return make_tensor();
      case 11: return make_tensor();
      case 12: return view_tensor();
      case 13: return inspect();
      case 14: return strings();
      case 15: return cast();
      case 16: return items();
      case 17: return compose();
      case 18: return compare();
      case 19: return cancel();
      case 20: return drop();
      case 21: return texts();
      case 22: return nothing();
      default: return rewrite();
    }
  }

 private:
  static void check_status(skiff_status s) {
    FUZZ_CHECK(s >= SKIFF_OK && s <= SKIFF_CANCELLED, skiff_last_error());
    if (s != SKIFF_OK) FUZZ_CHECK(*skiff_last_error() != 0, "a failure without a message");
  }
  template <class T>
  void keep(skiff_status s, T* made, std::vector<T*>& list) {
    check_status(s);
    FUZZ_CHECK((s == SKIFF_OK) == (made != nullptr), "a handle without success, or the reverse");
    if (made) list.push_back(made);
  }
  template <class T>
  T* any(std::vector<T*>& list) {
    return list.empty() || c_.one_in(12) ? nullptr : c_.of(list);
  }

  void create_options() {
    skiff_options* o = nullptr;
    keep(skiff_options_create(&o), o, options_);
  }
  void set_option() {
    static const char* const kKeys[] = {"threads",        "isa",
                                        "device",         "place",
                                        "memory_limit",   "skip_passes",
                                        "profile",        "max_nodes",
                                        "max_loop_trips", "time_limit",
                                        "fold_limit",     "max_nesting",
                                        "max_model_size", "external_data_dir",
                                        "nonsense",       ""};
    static const char* const kValues[] = {"1",
                                          "0",
                                          "2",
                                          "avx2",
                                          "generic",
                                          "reference",
                                          "cpu",
                                          "all",
                                          "op:Relu=reference",
                                          "share:0.5=reference",
                                          "-1",
                                          "1M",
                                          "4K",
                                          "1e9",
                                          "",
                                          "fold_constants,",
                                          "NaN",
                                          "99999999999999999999",
                                          "auto"};
    std::string key = c_.of(kKeys), value = c_.one_in(4) ? c_.text(10) : c_.of(kValues);
    if (key == "threads" && value.size() > 1) value = "2";
    check_status(skiff_options_set(any(options_), key.c_str(), value.c_str()));
  }
  void load() {
    const std::string& m = c_.of(*models_);
    std::string bytes = m;
    if (c_.one_in(4)) bytes[c_.pick(bytes.size())] = static_cast<char>(c_.byte());
    kept_.push_back(std::make_unique<std::string>(bytes));
    skiff_session* s = nullptr;
    skiff_options* o = any(options_);
    size_t size = c_.one_in(6) ? c_.pick(bytes.size()) : bytes.size();
    skiff_status st = skiff_session_load_memory(kept_.back()->data(), size, o, &s);
    keep(st, s, sessions_);
  }
  void describe() {
    skiff_session* s = any(sessions_);
    skiff_port p;
    check_status(skiff_session_input(s, c_.pick(4), &p));
    check_status(skiff_session_output(s, c_.pick(4), &p));
    const char* v = nullptr;
    check_status(skiff_session_metadata(s, c_.one_in(3) ? "none" : "key", &v));
    char* json = nullptr;
    check_status(skiff_session_info_json(s, c_.one_in(2) ? nullptr : c_.text(12).c_str(), &json));
    skiff_string_free(json);
    json = nullptr;
    check_status(skiff_session_profile_json(s, &json));
    skiff_string_free(json);
    json = nullptr;
    check_status(skiff_session_print(s, &json));
    skiff_string_free(json);
  }
  void run() {
    skiff_session* s = any(sessions_);
    std::vector<const skiff_value*> in;
    std::vector<skiff_value*> out;
    size_t n = s && !c_.one_in(10) ? skiff_session_input_count(s) : c_.pick(4);
    size_t k = s && !c_.one_in(10) ? skiff_session_output_count(s) : c_.pick(4);
    for (size_t i = 0; i < n; ++i) in.push_back(any(values_));
    for (size_t i = 0; i < k; ++i) {
      skiff_value* o = c_.one_in(3) ? any(values_) : nullptr;
      if (std::find(in.begin(), in.end(), o) != in.end() || std::find(out.begin(), out.end(), o) != out.end())
        o = nullptr;
      out.push_back(o);
    }
    std::vector<skiff_value*> before = out;
    skiff_status st = skiff_run(s, in.data(), n, out.data(), k, c_.one_in(4) ? any(cancels_) : nullptr);
    check_status(st);
    for (size_t i = 0; i < k; ++i) {
      if (st != SKIFF_OK) FUZZ_CHECK(out[i] == before[i], "a failed run changed an output");
      if (out[i] != before[i]) values_.push_back(out[i]);
    }
  }
  std::vector<int64_t> dims() {
    std::vector<int64_t> d(c_.one_in(6) ? c_.pick(5) : 1 + c_.pick(2));
    for (size_t i = 0; i < d.size(); ++i)
      d[i] = c_.one_in(8) ? c_.hostile_int() : i ? 3 : static_cast<int64_t>(c_.pick(4));
    return d;
  }
  skiff_dtype dtype() {
    static constexpr skiff_dtype kCommon[] = {SKIFF_FLOAT, SKIFF_INT64, SKIFF_STRING};
    return c_.one_in(4) ? static_cast<skiff_dtype>(c_.pick(40)) : c_.of(kCommon);
  }
  void make_tensor() {
    std::vector<int64_t> d = dims();
    // The calls below a session have no memory limit: what fits in the machine is granted.
    double bytes = 16;
    for (int64_t x : d) bytes *= x < 0 ? 1 : static_cast<double>(x);
    if (bytes > 1e6 && bytes < 1e13) return;
    skiff_value* v = nullptr;
    int rank = c_.one_in(12) ? -static_cast<int>(d.size()) : static_cast<int>(d.size());
    keep(skiff_tensor_create(dtype(), d.data(), rank, &v), v, values_);
    if (!v) return;
    void* data = nullptr;
    size_t n = 0, b = 0;
    if (skiff_tensor_data(v, &data, &n, &b) == SKIFF_OK && data) std::memset(data, c_.byte() % 4, b);
  }
  void view_tensor() {
    kept_.push_back(std::make_unique<std::string>(c_.pick(100), '\1'));
    std::vector<int64_t> d = dims();
    skiff_value* v = nullptr;
    skiff_status st = skiff_tensor_wrap(dtype(), d.data(), static_cast<int>(d.size()), kept_.back()->data(),
                                        kept_.back()->size(), &v);
    keep(st, v, values_);
  }
  void inspect() {
    skiff_value* v = any(values_);
    (void)skiff_value_kind(v);
    skiff_dtype t;
    int rank = 0;
    const int64_t* d = nullptr;
    check_status(skiff_tensor_info(v, &t, &rank, &d));
    double x;
    check_status(skiff_tensor_get_double(v, c_.pick(20), &x));
    size_t n;
    check_status(skiff_value_count(v, &n));
  }
  void strings() {
    skiff_value* v = any(values_);
    std::string s = c_.text(9);
    check_status(skiff_tensor_set_string(v, c_.pick(6), s.data(), s.size()));
    const char* text = nullptr;
    size_t length = 0;
    check_status(skiff_tensor_get_string(v, c_.pick(6), &text, &length));
  }
  void cast() {
    skiff_value* v = nullptr;
    keep(skiff_tensor_cast(any(values_), dtype(), &v), v, values_);
  }
  void items() {
    skiff_value* v = nullptr;
    keep(skiff_value_item(any(values_), c_.pick(4), &v), v, values_);
    v = nullptr;
    keep(skiff_map_keys(any(values_), &v), v, values_);
  }
  void compose() {
    std::vector<const skiff_value*> list;
    for (size_t n = c_.pick(4); n > 0; --n) list.push_back(any(values_));
    skiff_value* v = nullptr;
    skiff_status st = c_.one_in(2) ? skiff_map_create(any(values_), list.data(), list.size(), &v)
                                   : skiff_sequence_create(list.data(), list.size(), &v);
    keep(st, v, values_);
  }
  void compare() {
    skiff_difference d;
    check_status(skiff_value_compare(any(values_), any(values_), c_.hostile_double(), 1e-5, &d));
  }
  void cancel() {
    skiff_cancel* x = nullptr;
    if (cancels_.size() < 3) keep(skiff_cancel_create(&x), x, cancels_);
    if (skiff_cancel* y = any(cancels_)) c_.one_in(2) ? skiff_cancel_request(y) : skiff_cancel_reset(y);
  }
  void drop() {
    auto one = [&](auto& list, auto free) {
      if (list.empty()) return;
      size_t i = c_.pick(list.size());
      free(list[i]);
      list.erase(list.begin() + static_cast<std::ptrdiff_t>(i));
    };
    switch (c_.pick(4)) {
      case 0: return one(values_, skiff_value_free);
      case 1: return one(sessions_, skiff_session_free);
      case 2: return one(options_, skiff_options_free);
      default: return one(cancels_, skiff_cancel_free);
    }
  }
  void texts() {
    std::string name = c_.text(8);
    (void)skiff_dtype_from_name(name.c_str());
    (void)skiff_dtype_name(dtype());
    (void)skiff_dtype_bits(dtype());
    (void)skiff_status_name(static_cast<skiff_status>(c_.byte()));
    char* json = nullptr;
    check_status(skiff_options_describe_json(&json));
    skiff_string_free(json);
    json = nullptr;
    check_status(skiff_passes_json(&json));
    skiff_string_free(json);
  }
  // NULL wherever a pointer is asked for.
  void nothing() {
    check_status(skiff_options_create(nullptr));
    check_status(skiff_options_set(any(options_), nullptr, "1"));
    check_status(skiff_session_load(nullptr, nullptr, nullptr));
    check_status(skiff_session_load_memory(nullptr, 5, nullptr, nullptr));
    check_status(skiff_run(any(sessions_), nullptr, c_.pick(3), nullptr, c_.pick(3), nullptr));
    check_status(skiff_tensor_create(SKIFF_FLOAT, nullptr, 2, nullptr));
    check_status(skiff_value_item(any(values_), 0, nullptr));
    check_status(skiff_sequence_create(nullptr, 2, nullptr));
    check_status(skiff_value_compare(any(values_), nullptr, 0, 0, nullptr));
    check_status(skiff_cancel_create(nullptr));
    skiff_value_free(nullptr);
    skiff_session_free(nullptr);
    (void)skiff_session_input_count(nullptr);
    (void)skiff_session_output_count(nullptr);
    skiff_cancel_request(nullptr);
    skiff_cancel_reset(nullptr);
  }
  void rewrite() { check_status(skiff_model_rewrite("/no/such/file.onnx", "/no/such/other.onnx", 0)); }

  Choices& c_;
  const std::vector<std::string>* models_;
  std::vector<skiff_options*> options_;
  std::vector<skiff_session*> sessions_;
  std::vector<skiff_value*> values_;
  std::vector<skiff_cancel*> cancels_;
  std::vector<std::unique_ptr<std::string>> kept_;
};

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  if (size > 2000) return -1;
  Choices c(data, size);
  Caller caller(c);
  for (int n = 0; n < 200 && !c.done(); ++n) caller.step();
  return 0;
}
