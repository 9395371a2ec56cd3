// skiff eval: how right a model is on labelled data, or how far it agrees with another.
#include <CLI/CLI.hpp>
#include <memory>

#include "command.h"
#include "evaluate.h"
#include "fail.h"
#include "text_table.h"

namespace skiff::tool {

namespace {

struct Options {
  CommonOptions common;
  DataOptions data;
  EvalOptions eval;
  std::string model, against;
  bool no_sidecar = false;
};

int run_eval(const Options& o) {
  api::Session session = open_session(o.model, o.common);
  std::unique_ptr<api::Session> against;
  if (!o.against.empty()) against = std::make_unique<api::Session>(open_session(o.against, o.common));
  Sidecar sidecar = o.no_sidecar ? Sidecar{} : find_sidecar(o.model);
  // An adapted model lies beside no sidecar of its own: what it is compared with may have one.
  if (sidecar.path.empty() && against && !o.no_sidecar) sidecar = find_sidecar(o.against);
  Dataset data(session, o.data, sidecar);
  Evaluation e = evaluate(session, data, o.eval, sidecar, against.get(), o.common.json);
  if (o.common.json) {
    Json j{{"model", o.model}, {"samples", e.samples}, {"median_ns", e.median_ns}};
    if (against) j["against"] = o.against;
    j["scores"] = scores_json(e.scores);
    print_json(j);
    return 0;
  }
  TextTable t({"metric", ">value"});
  for (const Score& s : e.scores) t.add({s.name, score_text(s)});
  print(t.str());
  print(cat(e.samples, " samples, ", human_time(e.median_ns), " a run (median), peak memory ",
            human_bytes(memory_bytes("VmHWM")), "\n"));
  return 0;
}

}  // namespace

void add_eval(CLI::App& root, Action& action) {
  auto o = std::make_shared<Options>();
  CLI::App* app = root.add_subcommand("eval", "Measure the accuracy of a model on labelled data");
  app->add_option("MODEL", o->model, "The .onnx file")->required();
  app->add_option("--against", o->against, "Also compare the outputs with this model's, on the same inputs");
  add_data_options(*app, o->data);
  add_metric_options(*app, o->eval);
  app->add_flag("--no-sidecar", o->no_sidecar, "Do not read MODEL.json beside the model");
  add_common_options(*app, o->common);
  app->footer(
      "MODEL.json beside MODEL.onnx can hold the image options, class names and label offset.\n"
      "Examples: skiff eval mobilenet.onnx --data photos --mean 128 --std 128 --label-offset 1\n"
      "          skiff eval small.onnx --data table.csv --truth price --metric regression\n"
      "          skiff eval int8.onnx --against float.onnx --data photos");
  app->callback([o, &action] { action = [o] { return run_eval(*o); }; });
}

}  // namespace skiff::tool
