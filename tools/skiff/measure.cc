#include "measure.h"

#include <algorithm>

#include "array.h"

namespace skiff::tool {

Peaks measure_peaks(const CommonOptions& o) {
  char* text = nullptr;
  api::Options options = make_options(o);
  api::check(skiff_measure_peaks_json(o.device.empty() ? nullptr : o.device.c_str(), options.get(), &text));
  Json j = parse_json(api::take(text));
  Peaks p;
  p.gflops = number_or(j, "fp32_gflops", 0);
  p.gbps = number_or(j, "read_gbps", 0);
  p.threads = static_cast<int>(number_or(j, "threads", 0));
  p.isa = text_or(j, "isa", "");
  return p;
}

double roofline_ns(const Peaks& p, double flops, double bytes) {
  double compute = p.gflops > 0 ? flops / p.gflops : 0, memory = p.gbps > 0 ? bytes / p.gbps : 0;
  return std::max(compute, memory);
}

std::string shapes_of(const api::Session& session, const std::vector<api::Value>& inputs) {
  std::string s;
  for (size_t i = 0; i < inputs.size(); ++i) {
    if (inputs[i].kind() != SKIFF_KIND_TENSOR || inputs[i].dims().empty()) continue;
    s += (s.empty() ? "" : ";") + std::string(session.input(i).name) + "=" + dims_text(inputs[i].dims());
  }
  return s;
}

}  // namespace skiff::tool
