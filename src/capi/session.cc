#include <array>

#include "capi/handles.h"
#include "onnx/value_proto.h"

using namespace skiff;        // NOLINT
using namespace skiff::capi;  // NOLINT

namespace {

skiff_kind kind_of(const Type& t) {
  switch (t.kind) {
    case Type::Kind::kSequence: return SKIFF_KIND_SEQUENCE;
    case Type::Kind::kMap: return SKIFF_KIND_MAP;
    case Type::Kind::kSparse: return SKIFF_KIND_SPARSE;
    case Type::Kind::kOptional: return t.elem ? kind_of(*t.elem) : SKIFF_KIND_NONE;
    default: return SKIFF_KIND_TENSOR;
  }
}

std::vector<skiff_session::PortText> texts(const std::vector<runtime::Port>& ports) {
  std::vector<skiff_session::PortText> r;
  for (const runtime::Port& p : ports) {
    skiff_session::PortText t;
    t.type_text = p.type.to_string();
    for (const std::string& n : p.dim_names) t.dim_names.push_back(n.c_str());
    r.push_back(std::move(t));
  }
  return r;
}

void open(std::unique_ptr<runtime::Session> s, skiff_session** out) {
  *out = make_handle(std::move(s)).release();
}

void fill_port(const std::vector<runtime::Port>& ports, const std::vector<skiff_session::PortText>& text,
               size_t i, skiff_port* out) {
  need(out, "port");
  check(i < ports.size(), Code::kInvalidArgument, "there is no port ", i, "; there are ", ports.size());
  const runtime::Port& p = ports[i];
  out->name = p.name.c_str();
  out->kind = kind_of(p.type);
  out->dtype = static_cast<skiff_dtype>(p.type.dtype);
  out->rank =
      p.type.kind == Type::Kind::kTensor && p.type.shape.has_rank() ? static_cast<int>(p.dims.size()) : -1;
  out->dims = p.dims.data();
  out->dim_names = text[i].dim_names.data();
  out->type_text = text[i].type_text.c_str();
  out->optional = p.optional ? 1 : 0;
}

// A result that looks at no memory of the caller's: sequences and maps share their items with the inputs they came from,
// and an input's tensors may be views that end with the call.
Datum owned(Datum d) {
  switch (d.kind()) {
    case Datum::Kind::kTensor: {
      const Tensor& t = d.tensor();
      return t.owner() || t.size() == 0 ? std::move(d) : Datum(t.clone());
    }
    case Datum::Kind::kSequence: {
      std::vector<Datum> items;
      for (const Datum& item : d.items()) items.push_back(owned(item));
      return Datum::sequence(std::move(items), d.elem_type());
    }
    case Datum::Kind::kMap: {
      Datum::Map m;
      m.keys = owned(d.map().keys).tensor();
      for (const Datum& item : d.map().values) m.values.push_back(owned(item));
      return Datum::map(std::move(m));
    }
    default: return d;
  }
}

// Output lists on the stack for the usual few; a run must not allocate.
constexpr size_t kFew = 16;

void run(skiff_session* session, const skiff_value* const* inputs, size_t n_in, skiff_value** outputs,
         size_t n_out, std::span<const Datum*> in, std::span<Datum> out, std::span<uint8_t> fixed,
         const std::atomic<bool>* cancel) {
  for (size_t i = 0; i < n_in; ++i) in[i] = inputs[i] ? &inputs[i]->datum : nullptr;
  for (size_t i = 0; i < n_out; ++i) {
    if (!outputs[i]) continue;
    out[i] = outputs[i]->datum;
    fixed[i] = outputs[i]->wrapped;
  }
  session->session->run(in.first(n_in), out.first(n_out), fixed.first(n_out), cancel);
  std::vector<std::unique_ptr<skiff_value>>
      fresh;  // stays empty, and unallocated, when all outputs were given
  for (size_t i = 0; i < n_out; ++i)
    if (!outputs[i]) {
      fresh.resize(n_out);
      fresh[i] = std::make_unique<skiff_value>();
    }
  for (size_t i = 0; i < n_out; ++i) {
    if (!outputs[i]) outputs[i] = fresh[i].release();
    outputs[i]->datum = out[i].is_tensor() ? std::move(out[i]) : owned(std::move(out[i]));
  }
}

}  // namespace

std::unique_ptr<skiff_session> skiff::capi::make_handle(std::unique_ptr<runtime::Session> s) {
  auto handle = std::make_unique<skiff_session>();
  handle->session = std::move(s);
  handle->inputs = texts(handle->session->inputs());
  handle->outputs = texts(handle->session->outputs());
  return handle;
}

extern "C" {

skiff_status skiff_session_load(const char* path, const skiff_options* options, skiff_session** session) {
  return guarded([&] {
    need(session, "session");
    open(runtime::Session::load(need(path, "path"), options ? options->options : runtime::SessionOptions()),
         session);
  });
}

skiff_status skiff_session_load_memory(const void* data, size_t size, const skiff_options* options,
                                       skiff_session** session) {
  return guarded([&] {
    need(session, "session");
    check(data != nullptr && size > 0, Code::kInvalidArgument, "the model is empty");
    open(runtime::Session::load_memory({static_cast<const char*>(data), size},
                                       options ? options->options : runtime::SessionOptions()),
         session);
  });
}

void skiff_session_free(skiff_session* session) { delete session; }

size_t skiff_session_input_count(const skiff_session* s) { return s ? s->inputs.size() : 0; }
size_t skiff_session_output_count(const skiff_session* s) { return s ? s->outputs.size() : 0; }

skiff_status skiff_session_input(const skiff_session* s, size_t i, skiff_port* port) {
  return guarded([&] { fill_port(need(s, "session")->session->inputs(), s->inputs, i, port); });
}
skiff_status skiff_session_output(const skiff_session* s, size_t i, skiff_port* port) {
  return guarded([&] { fill_port(need(s, "session")->session->outputs(), s->outputs, i, port); });
}

skiff_status skiff_session_read_pb(const skiff_session* s, int is_output, size_t i, const char* path,
                                   skiff_value** value, char** name) {
  return guarded([&] {
    const auto& ports =
        is_output ? need(s, "session")->session->outputs() : need(s, "session")->session->inputs();
    check(i < ports.size(), Code::kInvalidArgument, "there is no ", is_output ? "output " : "input ", i);
    need(value, "value");
    onnx::NamedDatum d = onnx::read_value(need(path, "path"), ports[i].type);
    char* text = name ? give_string(d.name) : nullptr;
    auto made = std::make_unique<skiff_value>();
    made->datum = std::move(d.value);
    *value = made.release();
    if (name) *name = text;
  });
}

skiff_status skiff_session_metadata(const skiff_session* s, const char* key, const char** value) {
  return guarded([&] {
    need(value, "value");
    std::string_view k = need(key, "key");
    for (const auto& [name, text] : need(s, "session")->session->model().metadata)
      if (name == k) {
        *value = text.c_str();
        return;
      }
    fail(Code::kNotFound, "the model has no metadata '", k, "'");
  });
}

skiff_status skiff_session_info_json(skiff_session* s, const char* shapes, char** json) {
  return guarded([&] {
    need(json, "json");
    *json = give_string(need(s, "session")->session->info_json(shapes ? shapes : ""));
  });
}
skiff_status skiff_session_profile_json(skiff_session* s, char** json) {
  return guarded([&] {
    need(json, "json");
    *json = give_string(need(s, "session")->session->profile_json());
  });
}
skiff_status skiff_session_print(skiff_session* s, char** text) {
  return guarded([&] {
    need(text, "text");
    *text = give_string(need(s, "session")->session->print_graph());
  });
}

skiff_status skiff_run(skiff_session* s, const skiff_value* const* inputs, size_t n_in, skiff_value** outputs,
                       size_t n_out, skiff_cancel* cancel) {
  return guarded([&] {
    need(s, "session");
    check(inputs != nullptr || n_in == 0, Code::kInvalidArgument, "inputs must not be NULL");
    check(outputs != nullptr || n_out == 0, Code::kInvalidArgument, "outputs must not be NULL");
    const std::atomic<bool>* flag = cancel ? &cancel->requested : nullptr;
    if (n_in <= kFew && n_out <= kFew) {
      std::array<const Datum*, kFew> in{};
      std::array<Datum, kFew> out;
      std::array<uint8_t, kFew> fixed{};
      run(s, inputs, n_in, outputs, n_out, in, out, fixed, flag);
    } else {
      std::vector<const Datum*> in(n_in);
      std::vector<Datum> out(n_out);
      std::vector<uint8_t> fixed(n_out);
      run(s, inputs, n_in, outputs, n_out, in, out, fixed, flag);
    }
  });
}

skiff_status skiff_cancel_create(skiff_cancel** cancel) {
  return guarded([&] { give_new(cancel, "cancel"); });
}
void skiff_cancel_request(skiff_cancel* cancel) {
  if (cancel) cancel->requested.store(true, std::memory_order_relaxed);
}
void skiff_cancel_reset(skiff_cancel* cancel) {
  if (cancel) cancel->requested.store(false, std::memory_order_relaxed);
}
void skiff_cancel_free(skiff_cancel* cancel) { delete cancel; }

}  // extern "C"
