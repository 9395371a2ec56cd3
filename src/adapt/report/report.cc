#include "adapt/report/report.h"

#include "base/json_writer.h"

namespace skiff::adapt {

namespace {
void optional(JsonWriter& w, const char* key, const std::optional<double>& v) {
  if (v) w.field(key, *v);
}
}  // namespace

std::string Report::json() const {
  JsonWriter w;
  w.begin_object();
  w.field("mode", mode).field("source", source).field("result", result);
  w.field("samples", static_cast<long long>(samples)).field("seconds", seconds);
  w.key("options").begin_object();
  for (const auto& [k, v] : options) w.field(k, v);
  w.end_object();
  w.field("size_before", static_cast<long long>(size_before))
      .field("size_after", static_cast<long long>(size_after));
  optional(w, "score_before", score_before);
  optional(w, "score_after", score_after);
  optional(w, "sqnr_db", sqnr);
  optional(w, "cosine", cosine);
  optional(w, "agreement", agreement);
  optional(w, "ns_before", ns_before);
  optional(w, "ns_after", ns_after);
  w.key("notes").begin_array();
  for (const std::string& n : notes) w.value(n);
  w.end_array();
  w.key("layers").begin_array();
  for (const LayerReport& l : layers) {
    w.begin_object().field("name", l.name).field("op", l.op).field("precision", l.precision);
    if (!l.reason.empty()) w.field("reason", l.reason);
    optional(w, "weight_sqnr_db", l.weight_sqnr);
    optional(w, "output_sqnr_db", l.output_sqnr);
    optional(w, "saturated", l.saturated);
    optional(w, "sensitivity", l.sensitivity);
    if (!l.histogram.empty()) {
      w.field("lo", l.lo)
          .field("hi", l.hi)
          .field("scale", l.scale)
          .field("zero", static_cast<long long>(l.zero));
      w.key("histogram").begin_array();
      for (uint64_t c : l.histogram) w.value(static_cast<long long>(c));
      w.end_array();
    }
    w.end_object();
  }
  w.end_array();
  w.key("regions").begin_array();
  for (const RegionReport& r : regions)
    w.begin_object()
        .field("first", r.first)
        .field("last", r.last)
        .field("nodes", static_cast<long long>(r.nodes))
        .field("float_ns", r.float_ns)
        .field("quantized_ns", r.quantized_ns)
        .field("reverted", r.reverted)
        .field("how", r.how)
        .end_object();
  w.end_array();
  w.end_object();
  return w.take();
}

}  // namespace skiff::adapt
