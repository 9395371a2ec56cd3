#include <cstdlib>
#include <cstring>
#include <new>

#include "base/json_writer.h"
#include "base/knobs.h"
#include "capi/custom.h"
#include "onnx/export.h"
#include "onnx/import.h"
#include "onnx/upgrade_opset.h"
#include "ops/op.h"
#include "passes/pipeline.h"
#include "runtime/devices.h"

namespace skiff::capi {
namespace {
std::string& last_error() {
  thread_local std::string text;
  return text;
}

// Of any number a caller may pass.
DType known_dtype(skiff_dtype t) {
  auto i = static_cast<int>(t);
  return i > 0 && i < kDTypeCount ? static_cast<DType>(i) : DType::kUndefined;
}
}  // namespace

skiff_status store_error(Code code, const char* text) noexcept {
  try {
    last_error() = text;
  } catch (...) {
    last_error().clear();
  }
  return static_cast<skiff_status>(code);
}

std::string take_error() noexcept {
  std::string r;
  r.swap(last_error());
  return r;
}

skiff_status store_current_exception() noexcept {
  try {
    throw;
  } catch (const Error& e) {
    return store_error(e.code(), e.what());
  } catch (const std::bad_alloc&) {
    return store_error(Code::kLimit, "out of memory");
  } catch (const std::exception& e) {
    return store_error(Code::kInternal, e.what());
  } catch (...) {
    return store_error(Code::kInternal, "unknown exception");
  }
}

char* give_string(const std::string& s) {
  auto* p = static_cast<char*>(std::malloc(s.size() + 1));
  if (!p) throw std::bad_alloc();
  std::memcpy(p, s.c_str(), s.size() + 1);
  return p;
}

namespace {

template <class Change>
void rewrite(const char* path, const char* out_path, size_t external_threshold, Change&& change) {
  Model m = onnx::read_model(need(path, "path"));
  need(out_path, "out_path");
  try {
    change(m);
  } catch (Error& e) {
    e.add_where(path);
    throw;
  }
  onnx::ExportOptions o;
  o.write.external = external_threshold ? onnx::External::kAlways : onnx::External::kAuto;
  if (external_threshold) o.write.external_threshold = external_threshold;
  onnx::write_model(m, out_path, o);
}

}  // namespace
}  // namespace skiff::capi

using namespace skiff;        // NOLINT
using namespace skiff::capi;  // NOLINT

extern "C" {

const char* skiff_version(void) { return SKIFF_VERSION; }
const char* skiff_last_error(void) { return last_error().c_str(); }

const char* skiff_status_name(skiff_status s) {
  static constexpr const char* kNames[] = {"ok",
                                           "invalid argument",
                                           "not found",
                                           "invalid model",
                                           "unsupported",
                                           "input/output error",
                                           "limit reached",
                                           "cancelled",
                                           "internal error"};
  auto i = static_cast<size_t>(s);
  return i < std::size(kNames) ? kNames[i] : "unknown status";
}

const char* skiff_dtype_name(skiff_dtype t) { return dtype_name(known_dtype(t)).data(); }
skiff_dtype skiff_dtype_from_name(const char* name) {
  return name ? static_cast<skiff_dtype>(dtype_from_name(name)) : SKIFF_UNDEFINED;
}
int skiff_dtype_bits(skiff_dtype t) { return t == SKIFF_STRING ? 0 : dtype_bits(known_dtype(t)); }
void skiff_string_free(char* s) { std::free(s); }

skiff_status skiff_options_create(skiff_options** options) {
  return guarded([&] { give_new(options, "options"); });
}
void skiff_options_free(skiff_options* options) { delete options; }
skiff_status skiff_options_set(skiff_options* options, const char* key, const char* value) {
  return guarded([&] {
    runtime::SessionOptions& o = need(options, "options")->options;
    if (std::string_view(need(key, "key")) != "custom_ops") return o.set(key, need(value, "value"));
    OpRegistry more = o.custom_ops;
    for (const std::string& path : runtime::split_list(need(value, "value"), ';'))
      more.merge(load_custom_library(path));
    o.custom_ops = std::move(more);
  });
}
skiff_status skiff_options_describe_json(char** json) {
  return guarded([&] {
    need(json, "json");
    JsonWriter w;
    w.begin_array();
    for (const runtime::OptionInfo& o : runtime::option_list())
      w.begin_object()
          .field("name", o.name)
          .field("default", o.default_value)
          .field("description", o.description)
          .end_object();
    *json = give_string(w.end_array().take());
  });
}

skiff_status skiff_devices_json(char** json) {
  return guarded([&] {
    need(json, "json");
    JsonWriter w;
    w.begin_array();
    for (const std::string& name : runtime::device_names()) {
      w.begin_object().field("name", name);
      try {
        DeviceInfo i = runtime::make_device(name, {})->info();
        w.field("description", i.description).field("available", i.available);
        if (!i.available) w.field("reason", i.unavailable_reason);
        w.field("memory_bytes", static_cast<long long>(i.memory_bytes))
            .field("cores", i.cores)
            .field("isa", i.isa);
        w.key("isas").begin_array();
        for (const std::string& s : i.isas) w.value(s);
        w.end_array();
      } catch (const Error& e) {
        w.field("available", false).field("reason", std::string(e.what()));
      }
      w.end_object();
    }
    *json = give_string(w.end_array().take());
  });
}

skiff_status skiff_knobs_json(char** json) {
  return guarded([&] {
    need(json, "json");
    JsonWriter w;
    w.begin_array();
    for (const Knob& k : knobs())
      w.begin_object()
          .field("name", k.name)
          .field("value", knob(k.name))
          .field("default", k.default_value)
          .field("description", k.description)
          .end_object();
    *json = give_string(w.end_array().take());
  });
}

skiff_status skiff_measure_peaks_json(const char* device, const skiff_options* options, char** json) {
  return guarded([&] {
    need(json, "json");
    DeviceOptions d;
    if (options) {
      d.threads = options->options.threads;
      d.isa = options->options.isa;
    }
    std::unique_ptr<Device> dev = runtime::make_device(device ? device : runtime::device_names().front(), d);
    Peaks p = dev->measure_peaks();
    JsonWriter w;
    w.begin_object().field("threads", p.threads).field("isa", dev->info().isa);
    w.field("fp32_gflops", p.fp32_flops / 1e9).field("read_gbps", p.read_bytes / 1e9);
    w.field("copy_gbps", p.copy_bytes / 1e9).end_object();
    *json = give_string(w.take());
  });
}

skiff_status skiff_operators_json(char** json) {
  return guarded([&] {
    need(json, "json");
    JsonWriter w;
    w.begin_array();
    for (const OpDef* d : all_ops()) {
      if (d->is(kInternal)) continue;
      w.begin_object().field("domain", *d->domain ? d->domain : "ai.onnx").field("name", d->name);
      w.key("versions").begin_array();
      for (int v : d->versions) w.value(v);
      w.end_array().field("random", d->is(kNondeterministic)).end_object();
    }
    *json = give_string(w.end_array().take());
  });
}

skiff_status skiff_passes_json(char** json) {
  return guarded([&] {
    need(json, "json");
    JsonWriter w;
    w.begin_array();
    for (auto list : {passes::general_passes(), passes::target_passes()})
      for (const passes::Pass& p : list)
        w.begin_object().field("name", p.name).field("description", p.what).end_object();
    *json = give_string(w.end_array().take());
  });
}

skiff_status skiff_model_rewrite(const char* path, const char* out_path, size_t external_threshold) {
  return guarded([&] { rewrite(path, out_path, external_threshold, [](Model&) {}); });
}

skiff_status skiff_model_upgrade(const char* path, const char* out_path, int opset,
                                 size_t external_threshold) {
  return guarded([&] {
    rewrite(path, out_path, external_threshold,
            [&](Model& m) { onnx::upgrade_opset(m, opset ? opset : kNewestOpset); });
  });
}

}  // extern "C"
