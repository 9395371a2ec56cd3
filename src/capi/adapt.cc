#include "adapt/quantize/quantize.h"
#include "capi/handles.h"

using namespace skiff;        // NOLINT
using namespace skiff::capi;  // NOLINT

namespace {

// The caller's callbacks as the adaptation sees them.
adapt::Callbacks wrap(const skiff_adapt_callbacks* c) {
  adapt::Callbacks call;
  if (!c) return call;
  if (c->sample)
    call.sample = [c](size_t i, std::vector<Datum>& inputs) {
      std::vector<skiff_value*> v(inputs.size(), nullptr);
      int got = c->sample(c->user, i, v.data(), v.size());
      for (size_t k = 0; k < v.size(); ++k) {
        if (v[k]) inputs[k] = v[k]->datum;
        delete v[k];
      }
      check(got >= 0, Code::kInvalidArgument, "the caller failed to give sample ", i);
      return got > 0;
    };
  if (c->score)
    call.score = [c](std::unique_ptr<runtime::Session> session) {
      std::unique_ptr<skiff_session> handle = make_handle(std::move(session));
      double score = 0;
      check(c->score(c->user, handle.get(), &score) >= 0, Code::kInvalidArgument,
            "the caller failed to score a model");
      return score;
    };
  if (c->progress)
    call.progress = [c](std::string_view stage, double share) {
      check(c->progress(c->user, std::string(stage).c_str(), share) == 0, Code::kCancelled,
            "cancelled by the caller");
    };
  return call;
}

}  // namespace

extern "C" {

skiff_status skiff_quantize(const char* path, const char* out_path, const char* options_json,
                            const skiff_adapt_callbacks* callbacks, char** report_json, char** report_html) {
  return guarded([&] {
    adapt::QuantizeOptions o = adapt::parse_quantize_options(options_json ? options_json : "");
    adapt::Report r =
        adapt::quantize_file(need(path, "path"), need(out_path, "out_path"), o, wrap(callbacks));
    char* json = report_json ? give_string(r.json()) : nullptr;
    char* html = report_html ? give_string(r.html()) : nullptr;
    if (report_json) *report_json = json;
    if (report_html) *report_html = html;
  });
}

skiff_status skiff_quantize_options_json(char** json) {
  return guarded([&] { *need(json, "json") = give_string(adapt::describe_quantize_options()); });
}

}  // extern "C"
