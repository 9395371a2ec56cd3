// skiff profile: where the time of a run goes.
#include <CLI/CLI.hpp>
#include <algorithm>
#include <map>
#include <memory>

#include "command.h"
#include "fail.h"
#include "files.h"
#include "inputs.h"
#include "json_out.h"
#include "measure.h"
#include "session.h"
#include "text_table.h"

namespace skiff::tool {

namespace {

struct ProfileOptions {
  CommonOptions common;
  InputOptions input;
  std::string model, trace;
  int runs = 20, warmup = 3, top = 30;
};

// A node, or all nodes of an operator, over one run.
struct Row {
  std::string op, name, kernel, others;
  double ns = 0, flops = 0, bytes = 0, roofline = 0;
  size_t count = 0;
};

// Chrome's Trace Event Format: complete events ("ph": "X"),
// times in microseconds.
std::string trace_json(const Json& profile, const std::string& model) {
  Json events = Json::array();
  events.push_back(
      {{"name", "process_name"}, {"ph", "M"}, {"pid", 1}, {"args", {{"name", "skiff " + model}}}});
  for (const Json& e : profile["events"])
    events.push_back({{"name", text_or(e, "op", "") + " " + text_or(e, "name", "")},
                      {"cat", text_or(e, "op", "")},
                      {"ph", "X"},
                      {"ts", number_or(e, "start_ns", 0) / 1e3},
                      {"dur", number_or(e, "ns", 0) / 1e3},
                      {"pid", 1},
                      {"tid", static_cast<int64_t>(number_or(e, "thread", 0))},
                      {"args", {{"kernel", text_or(e, "kernel", "")}}}});
  Json j{{"traceEvents", std::move(events)}, {"displayTimeUnit", "ns"}};
  return j.dump(-1, ' ', false, Json::error_handler_t::replace);
}

std::string rate(double amount, double ns) { return ns > 0 && amount > 0 ? fixed(amount / ns, 1) : "-"; }

Json row_json(const Row& r, double total) {
  Json j{{"op", r.op}};
  if (!r.name.empty()) j["name"] = r.name;
  if (!r.kernel.empty()) j["kernel"] = r.kernel;
  if (!r.others.empty()) j["alternatives"] = r.others;
  j["count"] = r.count;
  j["ns"] = r.ns;
  j["share"] = total > 0 ? r.ns / total : 0;
  j["flops"] = r.flops;
  j["bytes"] = r.bytes;
  j["gflops"] = r.ns > 0 ? r.flops / r.ns : 0;
  j["gbps"] = r.ns > 0 ? r.bytes / r.ns : 0;
  j["share_of_roofline"] = r.ns > 0 ? r.roofline / r.ns : 0;
  return j;
}

int run_profile(const ProfileOptions& o) {
  api::Session session = open_session(o.model, o.common, true);
  InputCase c = Inputs(session, o.input, find_sidecar(o.model)).load(0);
  std::vector<api::Value> outputs;
  for (int i = 0; i < o.warmup; ++i) session.run(c.values, outputs, &interrupt());
  session.profile_json();  // what the warm-up left
  for (int i = 0; i < o.runs; ++i) session.run(c.values, outputs, &interrupt());
  Json profile = parse_json(session.profile_json());
  if (!o.trace.empty()) write_file(o.trace, trace_json(profile, o.model));
  Peaks peaks = measure_peaks(o.common);

  double runs = std::max(1.0, number_or(profile, "runs", o.runs)), total = 0;
  double wall = number_or(profile, "wall_ns", 0) / runs;
  std::vector<Row> nodes;
  std::map<std::string, Row> by_op;
  for (const Json& n : profile["nodes"]) {
    Row r;
    r.op = text_or(n, "op", "");
    r.name = text_or(n, "name", "");
    if (r.name.empty()) r.name = "#" + std::to_string(nodes.size());
    r.kernel = text_or(n, "kernel", "");
    if (auto it = n.find("alternatives"); it != n.end() && it->is_array())
      for (const Json& a : *it)
        if (std::string k = text_or(a, "kernel", ""); k != r.kernel)
          r.others += (r.others.empty() ? "" : " ") + k;
    r.ns = number_or(n, "ns", 0) / runs;
    r.flops = number_or(n, "flops", 0) / runs;
    r.bytes = number_or(n, "bytes", 0) / runs;
    r.count = 1;
    r.roofline = roofline_ns(peaks, r.flops, r.bytes);
    total += r.ns;
    Row& sum = by_op[r.op];
    sum.op = r.op;
    sum.ns += r.ns, sum.flops += r.flops, sum.bytes += r.bytes, sum.roofline += r.roofline, ++sum.count;
    nodes.push_back(std::move(r));
  }
  std::vector<Row> ops;
  for (auto& [name, r] : by_op) ops.push_back(r);
  auto slower = [](const Row& a, const Row& b) { return a.ns > b.ns; };
  std::sort(ops.begin(), ops.end(), slower);
  if (o.common.json) {
    Json list = Json::array(), op_list = Json::array();
    for (const Row& r : nodes) list.push_back(row_json(r, total));
    for (const Row& r : ops) op_list.push_back(row_json(r, total));
    print_json({{"model", o.model},
                {"runs", runs},
                {"wall_ns", wall},
                {"nodes_ns", total},
                {"threads", peaks.threads},
                {"isa", peaks.isa},
                {"peak_gflops", peaks.gflops},
                {"peak_read_gbps", peaks.gbps},
                {"operators", op_list},
                {"nodes", list}});
    return 0;
  }
  std::sort(nodes.begin(), nodes.end(), slower);
  TextTable a({"operator", ">nodes", ">time", ">%", ">GFLOP/s", ">GB/s", ">% roofline"});
  for (const Row& r : ops)
    a.add({r.op, std::to_string(r.count), human_time(r.ns), fixed(total > 0 ? 100 * r.ns / total : 0, 1),
           rate(r.flops, r.ns), rate(r.bytes, r.ns), r.ns > 0 ? fixed(100 * r.roofline / r.ns, 0) : "-"});
  TextTable b(
      {"operator", "node", ">time", ">%", ">GFLOP/s", ">GB/s", ">% roofline", "kernel", "also possible"});
  size_t shown = std::min(nodes.size(), static_cast<size_t>(o.top));
  for (size_t i = 0; i < shown; ++i) {
    const Row& r = nodes[i];
    std::string name = r.name.size() > 40 ? "..." + r.name.substr(r.name.size() - 37) : r.name;
    b.add({r.op, name, human_time(r.ns), fixed(total > 0 ? 100 * r.ns / total : 0, 1), rate(r.flops, r.ns),
           rate(r.bytes, r.ns), r.ns > 0 ? fixed(100 * r.roofline / r.ns, 0) : "-", r.kernel, r.others});
  }
  print(cat(o.model, ": ", runs, " runs, ", human_time(wall), " each, ", human_time(total),
            " of it in nodes\n\n"));
  print(a.str() + "\n" + b.str());
  if (shown < nodes.size())
    print(cat("... and ", nodes.size() - shown, " more (--top ", nodes.size(), " shows all)\n"));
  return 0;
}

}  // namespace

void add_profile(CLI::App& root, Action& action) {
  auto o = std::make_shared<ProfileOptions>();
  CLI::App* app = root.add_subcommand("profile", "Show the time of every node and operator of a model");
  app->add_option("MODEL", o->model, "The .onnx file")->required();
  app->add_option("--runs,-n", o->runs, "Measured runs [20]")->check(CLI::Range(1, 1'000'000));
  app->add_option("--warmup", o->warmup, "Runs before them [3]")->check(CLI::Range(0, 1'000'000));
  app->add_option("--top", o->top, "Show the N slowest nodes [30]")->check(CLI::Range(1, 1'000'000));
  app->add_option("--trace", o->trace,
                  "Write the last run as a Chrome trace (chrome://tracing, ui.perfetto.dev)");
  add_input_options(*app, o->input, "random");
  add_common_options(*app, o->common);
  app->footer("Example: skiff profile model.onnx --top 10 --trace trace.json");
  app->callback([o, &action] { action = [o] { return run_profile(*o); }; });
}

}  // namespace skiff::tool
