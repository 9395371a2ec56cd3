// skiff bench: how fast a model loads and runs, beside what the machine could do.
#include <CLI/CLI.hpp>
#include <algorithm>
#include <memory>

#include "command.h"
#include "fail.h"
#include "inputs.h"
#include "json_out.h"
#include "measure.h"
#include "session.h"
#include "text_table.h"

namespace skiff::tool {

namespace {

struct BenchOptions {
  CommonOptions common;
  InputOptions input;
  std::string model;
  int runs = 50, warmup = 5;
  double seconds = 0;
};

int run_bench(const BenchOptions& o) {
  int64_t start = now_ns();
  api::Session session = open_session(o.model, o.common);
  double load_ns = static_cast<double>(now_ns() - start), load_rss = memory_bytes("VmRSS");
  InputCase c = Inputs(session, o.input, find_sidecar(o.model)).load(0);
  std::vector<api::Value> outputs;
  start = now_ns();
  session.run(c.values, outputs, &interrupt());
  double first_ns = static_cast<double>(now_ns() - start);
  for (int i = 1; i < o.warmup; ++i) session.run(c.values, outputs, &interrupt());
  std::vector<double> times;
  int64_t begin = now_ns();
  for (int i = 0; i < o.runs || static_cast<double>(now_ns() - begin) < o.seconds * 1e9; ++i) {
    start = now_ns();
    session.run(c.values, outputs, &interrupt());
    times.push_back(static_cast<double>(now_ns() - start));
  }
  double rss = memory_bytes("VmRSS"), peak_rss = memory_bytes("VmHWM");

  Json info = parse_json(session.info_json(shapes_of(session, c.values)));
  Peaks peaks = measure_peaks(o.common);
  double flops = 0, bytes = 0, predicted = 0;
  for (const Json& n : info["nodes"]) {
    double f = number_or(n, "flops", 0), b = number_or(n, "bytes", 0);
    flops += f;
    bytes += b;
    predicted += roofline_ns(peaks, f, b);
  }
  double median = quantile(times, 0.5), gflops = flops / median;
  Json j{{"model", o.model},
         {"runs", times.size()},
         {"threads", peaks.threads},
         {"isa", peaks.isa},
         {"load_ns", load_ns},
         {"first_run_ns", first_ns},
         {"median_ns", median},
         {"p10_ns", quantile(times, 0.1)},
         {"p90_ns", quantile(times, 0.9)},
         {"min_ns", *std::min_element(times.begin(), times.end())},
         {"flops", flops},
         {"bytes", bytes},
         {"gflops", gflops},
         {"peak_gflops", peaks.gflops},
         {"peak_read_gbps", peaks.gbps},
         {"share_of_peak", peaks.gflops > 0 ? gflops / peaks.gflops : 0},
         {"predicted_ns", predicted},
         {"weight_bytes", number_or(info, "weight_bytes", 0)},
         {"resident_after_load_bytes", load_rss},
         {"resident_bytes", rss},
         {"peak_resident_bytes", peak_rss}};
  if (o.common.json) {
    print_json(j);
    return 0;
  }
  auto time = [&](const char* key) { return human_time(j[key].get<double>()); };
  print(cat(o.model, ": ", times.size(), " runs after ", std::max(o.warmup, 1), " to warm up, ",
            peaks.threads, peaks.threads == 1 ? " thread, " : " threads, ", peaks.isa, "\n"));
  print(cat("load       ", time("load_ns"), ", first run ", time("first_run_ns"), "\n"));
  print(cat("run        median ", time("median_ns"), ", p10 ", time("p10_ns"), ", p90 ", time("p90_ns"),
            ", min ", time("min_ns"), "\n"));
  if (peaks.gflops > 0) {
    print(cat("speed      ", fixed(gflops, 1), " GFLOP/s, ", percent(gflops, peaks.gflops),
              " of the measured peak (", fixed(peaks.gflops, 0), " GFLOP/s; memory ", fixed(peaks.gbps, 1),
              " GB/s)\n"));
    print(cat("predicted  ", human_time(predicted), " by the roofline of every node; measured ",
              fixed(median / std::max(predicted, 1.0), 2), " times that\n"));
  } else {
    print(cat("speed      ", fixed(gflops, 1), " GFLOP/s; this device's peaks are not measured\n"));
  }
  print(cat("memory     peak ", human_bytes(peak_rss), " resident, ", human_bytes(load_rss),
            " after load, weights ", human_bytes(number_or(info, "weight_bytes", 0)), "\n"));
  return 0;
}

}  // namespace

void add_bench(CLI::App& root, Action& action) {
  auto o = std::make_shared<BenchOptions>();
  CLI::App* app = root.add_subcommand("bench", "Measure load time, run time and memory of a model");
  app->add_option("MODEL", o->model, "The .onnx file")->required();
  app->add_option("--runs,-n", o->runs, "Measured runs [50]")->check(CLI::Range(1, 1'000'000'000));
  app->add_option("--warmup", o->warmup, "Runs before them, at least one [5]")
      ->check(CLI::Range(1, 1'000'000));
  app->add_option("--seconds", o->seconds, "Go on for at least that long [0]")
      ->check(CLI::Range(0.0, 86400.0));
  add_input_options(*app, o->input, "random");
  add_common_options(*app, o->common);
  app->footer("Example: skiff bench model.onnx --threads 1 --runs 100");
  app->callback([o, &action] { action = [o] { return run_bench(*o); }; });
}

}  // namespace skiff::tool
