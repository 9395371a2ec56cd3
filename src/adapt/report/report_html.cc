#include <algorithm>
#include <cmath>
#include <cstdio>

#include "adapt/report/report.h"
#include "base/error.h"

namespace skiff::adapt {
namespace {

std::string number(const char* format, double v) {
  char text[64];
  std::snprintf(text, sizeof text, format, v);
  return text;
}

std::string escaped(const std::string& s) {
  std::string r;
  for (char c : s) {
    if (c == '<')
      r += "&lt;";
    else if (c == '>')
      r += "&gt;";
    else if (c == '&')
      r += "&amp;";
    else if (c == '"')
      r += "&quot;";
    else if (static_cast<unsigned char>(c) >= 32)
      r += c;
  }
  return r;
}

constexpr const char* kStyle =
    "body{font:14px/1.45 system-ui,sans-serif;margin:2em auto;max-width:76em;padding:0 "
    "1em;color:#222;background:#fff}"
    "h1{font-size:1.4em}h2{font-size:1.1em;margin-top:2em}table{border-collapse:collapse;width:100%}"
    "th,td{padding:3px 8px;text-align:left;border-bottom:1px solid #ddd;vertical-align:middle}"
    "th{position:sticky;top:0;background:#fff}td.n,th.n{text-align:right;font-variant-numeric:tabular-nums}"
    ".float{color:#888}.bad{color:#b00020;font-weight:600}svg{display:block}.cards{display:flex;flex-wrap:"
    "wrap;gap:1em}"
    ".card{border:1px solid #ddd;border-radius:6px;padding:.6em 1em;min-width:9em}.card "
    "b{display:block;font-size:1.3em}"
    "@media(prefers-color-scheme:dark){body,th{background:#181818;color:#ddd}th,td,.card{border-color:#444}}";

void card(std::string& h, const std::string& what, const std::string& value) {
  h += "<div class=card>" + what + "<b>" + value + "</b></div>";
}

// Share of elements in each part of the range, on a root scale so that tails are seen.
std::string histogram_svg(const LayerReport& l) {
  if (l.histogram.empty()) return {};
  uint64_t most = *std::max_element(l.histogram.begin(), l.histogram.end());
  std::string s = "<svg width=128 height=26 viewBox='0 0 128 26' role=img><title>" + number("%.4g", l.lo) +
                  " to " + number("%.4g", l.hi) + "</title>";
  double step = 128.0 / static_cast<double>(l.histogram.size());
  for (size_t i = 0; i < l.histogram.size(); ++i) {
    double y = most ? 24 * std::sqrt(static_cast<double>(l.histogram[i]) / static_cast<double>(most)) : 0;
    if (l.histogram[i] > 0) y = std::max(y, 1.0);
    s += "<rect x=" + number("%.1f", static_cast<double>(i) * step) + " y=" + number("%.1f", 25 - y) +
         " width=" + number("%.1f", step - 0.5) + " height=" + number("%.1f", y) + " fill='#4a7fb5'/>";
  }
  return s + "</svg>";
}

// The SQNR of every layer's output in graph order.
std::string sqnr_svg(const std::vector<LayerReport>& layers) {
  std::vector<const LayerReport*> list;
  for (const LayerReport& l : layers)
    if (l.output_sqnr) list.push_back(&l);
  if (list.empty()) return {};
  constexpr double kWidth = 1000, kHeight = 220, kTop = 60;  // dB at the top
  double step = kWidth / static_cast<double>(list.size());
  std::string s = "<svg viewBox='0 0 1040 260' width='100%' role=img><title>SQNR by layer</title>";
  for (int db = 0; db <= 60; db += 10) {
    double y = 10 + kHeight * (1 - db / kTop);
    s += "<line x1=40 x2=1040 y1=" + number("%.0f", y) + " y2=" + number("%.0f", y) +
         " stroke='#8884'/><text x=34 y=" + number("%.0f", y + 4) +
         " font-size=11 text-anchor=end fill=currentColor>" + std::to_string(db) + "</text>";
  }
  for (size_t i = 0; i < list.size(); ++i) {
    double db = std::clamp(*list[i]->output_sqnr, 0.0, kTop), h = kHeight * db / kTop;
    const char* colour = db < 10 ? "#b00020" : db < 20 ? "#d98200" : "#3a8f5c";
    s += "<rect x=" + number("%.1f", 40 + static_cast<double>(i) * step) +
         " y=" + number("%.1f", 10 + kHeight - h) + " width=" + number("%.1f", std::max(step - 1, 0.5)) +
         " height=" + number("%.1f", h) + " fill='" + colour + "'><title>" + escaped(list[i]->name) + ": " +
         number("%.1f dB", *list[i]->output_sqnr) + "</title></rect>";
  }
  return s +
         "<text x=40 y=252 font-size=11 fill=currentColor>layers in graph order; dB, higher is "
         "better</text></svg>";
}

std::string optional(const std::optional<double>& v, const char* format) {
  return v ? number(format, *v) : "";
}

}  // namespace

std::string Report::html() const {
  std::string h =
      "<!doctype html><html lang=en><meta charset=utf-8><meta name=viewport content='width=device-width'>"
      "<title>Skiff: " +
      escaped(source) + "</title><style>" + kStyle + "</style>";
  h += "<h1>Quantization of " + escaped(source) + "</h1><p>" + escaped(mode) + ", written to " +
       escaped(result) + "; " + std::to_string(samples) + " samples, " + number("%.1f s", seconds) +
       "</p><div class=cards>";
  if (size_before > 0)
    card(h, "size",
         number("%.0f", static_cast<double>(size_before) / 1024) + " &rarr; " +
             number("%.0f KiB", static_cast<double>(size_after) / 1024) + " (" +
             number("%.2f", static_cast<double>(size_after) / static_cast<double>(size_before)) + ")");
  if (score_before)
    card(h, "score", number("%.4f", *score_before) + " &rarr; " + optional(score_after, "%.4f"));
  if (agreement) card(h, "equal decisions", number("%.2f %%", 100 * *agreement));
  if (sqnr) card(h, "output SQNR", number("%.1f dB", *sqnr));
  if (cosine) card(h, "cosine", number("%.5f", *cosine));
  if (ns_before && ns_after)
    card(h, "time", number("%.3f", *ns_before / 1e6) + " &rarr; " + number("%.3f ms", *ns_after / 1e6));
  h += "</div>";
  if (!notes.empty()) {
    h += "<h2>Notes</h2><ul>";
    for (const std::string& n : notes) h += "<li>" + escaped(n) + "</li>";
    h += "</ul>";
  }
  std::string plot = sqnr_svg(layers);
  if (!plot.empty()) h += "<h2>Signal to quantization noise of every layer's output</h2>" + plot;
  if (!regions.empty()) {
    h += "<h2>Regions</h2><table><tr><th>from<th>to<th class=n>nodes<th class=n>float<th "
         "class=n>integers<th>how<th>";
    for (const RegionReport& r : regions)
      h += "<tr><td>" + escaped(r.first) + "<td>" + escaped(r.last) + "<td class=n>" +
           std::to_string(r.nodes) + "<td class=n>" + number("%.1f &micro;s", r.float_ns / 1e3) +
           "<td class=n>" + number("%.1f &micro;s", r.quantized_ns / 1e3) + "<td>" + escaped(r.how) + "<td" +
           (r.reverted ? " class=bad>back to float" : ">kept");
    h += "</table>";
  }
  h += "<h2>Layers</h2><table><tr><th>layer<th>operator<th>precision<th class=n>weights dB<th class=n>output "
       "dB"
       "<th class=n>saturated<th>values<th class=n>scale<th class=n>zero<th>";
  for (const LayerReport& l : layers) {
    bool integer = l.precision != "float";
    h += std::string("<tr") + (integer ? "" : " class=float") + "><td>" + escaped(l.name) + "<td>" +
         escaped(l.op) + "<td>" + escaped(l.precision) + "<td class=n>" + optional(l.weight_sqnr, "%.1f") +
         "<td class=n" + (l.output_sqnr && *l.output_sqnr < 10 ? "><span class=bad>" : "><span>") +
         optional(l.output_sqnr, "%.1f") + "</span><td class=n>" +
         (l.saturated && *l.saturated > 0 ? number("%.3f %%", 100 * *l.saturated) : "") + "<td>" +
         histogram_svg(l) + "<td class=n>" + (l.scale > 0 ? number("%.4g", l.scale) : "") + "<td class=n>" +
         (l.scale > 0 ? std::to_string(l.zero) : "") + "<td>" + escaped(l.reason);
  }
  h += "</table>";
  if (!options.empty()) {
    h += "<h2>Options</h2><table>";
    for (const auto& [k, v] : options) h += "<tr><td>" + escaped(k) + "<td>" + escaped(v);
    h += "</table>";
  }
  return h + "</html>\n";
}

}  // namespace skiff::adapt
