// skiff quantize: a smaller, faster model, and what it cost.
#include <CLI/CLI.hpp>
#include <algorithm>
#include <cmath>
#include <cstdio>
#include <memory>

#include "command.h"
#include "evaluate.h"
#include "fail.h"
#include "files.h"
#include "progress.h"
#include "text_table.h"

namespace skiff::tool {

namespace {

struct Options {
  CommonOptions common;
  DataOptions data;
  EvalOptions eval;
  std::string model, out, html, json_file, max_drop, eval_samples;
  std::vector<std::string> settings;
  Json quantizer = Json::object();
  bool no_sidecar = false, quiet = false;
};

// The data and measures of one call, behind the library's callbacks.
struct Caller {
  const Options& o;
  const Sidecar& sidecar;
  const Dataset* data = nullptr;
  const Dataset* judged = nullptr;  // what the score is measured on; null: no score
  std::string failure;              // message of an exception that a callback must not let out
  std::string stage;
  bool bar = false;

  template <class F>
  int guarded(F&& f) {
    try {
      return f();
    } catch (const std::exception& e) {
      failure = e.what();
      return -1;
    }
  }

  static int sample(void* user, size_t i, skiff_value** inputs, size_t count) {
    auto& self = *static_cast<Caller*>(user);
    return self.guarded([&] {
      if (!self.data || i >= self.data->batches()) return 0;
      Batch b = self.data->load(i);
      for (size_t k = 0; k < count && k < b.inputs.size(); ++k) inputs[k] = b.inputs[k].release();
      return 1;
    });
  }
  static int score(void* user, skiff_session* session, double* score) {
    auto& self = *static_cast<Caller*>(user);
    return self.guarded([&] {
      api::Session view = api::Session::borrow(session);
      Evaluation e = evaluate(view, *self.judged, self.o.eval, self.sidecar, nullptr, true);
      if (e.scores.empty()) fail("the data give no score");
      *score = merit(e.scores[0]);
      return 0;
    });
  }
  static int progress(void* user, const char* stage, double share) {
    auto& self = *static_cast<Caller*>(user);
    static_cast<void>(interrupt());
    self.show(stage, share);
    return interrupted() ? 1 : 0;
  }
  void show(const char* now, double share) {
    if (!bar) return;
    constexpr int kWidth = 30;
    int full = std::clamp(static_cast<int>(share * kWidth), 0, kWidth);
    std::fprintf(stderr, "\r\x1b[K[%s%s] %s %.0f %%", std::string(static_cast<size_t>(full), '#').c_str(),
                 std::string(static_cast<size_t>(kWidth - full), '.').c_str(), now, 100 * share);
  }
};

std::string default_out(const std::string& model, const std::string& mode) {
  std::string tag = mode == "float16"    ? "fp16"
                    : mode == "bfloat16" ? "bf16"
                    : mode == "weights"  ? "wo"
                                         : "int8";
  return join(parent(model), stem(model) + "." + tag + ".onnx");
}

// "0.5%" and "0.005" are the same.
double parse_drop(const std::string& text) {
  std::string s = text;
  bool percent = !s.empty() && s.back() == '%';
  if (percent) s.pop_back();
  double v = 0;
  try {
    v = parse_number(s, "--max-drop");
  } catch (const ToolError& e) {
    throw UsageError(e.what());
  }
  if (v < 0) fail_usage("--max-drop is not negative");
  return percent ? v / 100 : v;
}

std::string db(const Json& l, const char* key) {
  return l.contains(key) ? fixed(l[key].get<double>(), 1) : std::string();
}

void print_report(const Json& r) {
  TextTable t({"layer", "operator", "precision", ">weights dB", ">output dB", ">saturated", "why"});
  size_t integers = 0;
  for (const Json& l : r["layers"]) {
    double saturated = number_or(l, "saturated", 0);
    std::string name = l["name"];
    if (name.size() > 48) name = name.substr(0, 20) + ".." + name.substr(name.size() - 26);
    integers += l["precision"] != "float";
    t.add({name, l["op"], l["precision"], db(l, "weight_sqnr_db"), db(l, "output_sqnr_db"),
           saturated > 0 ? fixed(100 * saturated, 3) + " %" : "", text_or(l, "reason", "")});
  }
  if (!t.empty()) print(t.str());
  for (const Json& g : r["regions"])
    print(cat("region     ", g["first"].get<std::string>(), " .. ", g["last"].get<std::string>(), ": float ",
              human_time(g["float_ns"].get<double>()), ", integers ",
              human_time(g["quantized_ns"].get<double>()), g["reverted"].get<bool>() ? ", back to float" : "",
              " (", g["how"].get<std::string>(), ")\n"));
  for (const Json& n : r["notes"]) print(cat("note       ", n.get<std::string>(), "\n"));
  double before = number_or(r, "size_before", 0), after = number_or(r, "size_after", 0);
  print(cat("layers     ", integers, " of ", r["layers"].size(), " in integers or narrower floats\n"));
  print(cat("size       ", human_bytes(before), " -> ", human_bytes(after), " (",
            fixed(before > 0 ? after / before : 0, 3), ")\n"));
  if (r.contains("sqnr_db"))
    print(cat("outputs    SQNR ", fixed(r["sqnr_db"].get<double>(), 1), " dB, cosine ",
              fixed(number_or(r, "cosine", 0), 5),
              r.contains("agreement")
                  ? ", equal decisions " + fixed(100 * r["agreement"].get<double>(), 2) + " %"
                  : "",
              "\n"));
}

void print_scores(const std::vector<Score>& before, const std::vector<Score>& after) {
  for (size_t i = 0; i < before.size() && i < after.size(); ++i)
    print(cat("accuracy   ", before[i].name, " ", score_text(before[i]), " -> ", score_text(after[i]), "\n"));
}

int run_quantize(Options& o) {
  api::Session session = open_session(o.model, o.common);
  Sidecar sidecar = o.no_sidecar ? Sidecar{} : find_sidecar(o.model);
  std::string mode = text_or(o.quantizer, "mode", "static");
  if (o.out.empty()) o.out = default_out(o.model, mode);
  std::unique_ptr<Dataset> data, judged;
  if (!o.data.data.empty()) {
    data = std::make_unique<Dataset>(session, o.data, sidecar);
    DataOptions held = o.data;
    held.samples = o.eval_samples;
    // Labels say how good a model is; perplexity needs none.
    bool scored = data->labelled() || !o.eval.metrics.empty();
    if (scored) judged = std::make_unique<Dataset>(session, held, sidecar);
  }
  Caller caller{o, sidecar, data.get(), judged.get(), {}, {}, false};
  caller.bar = !o.common.json && !o.quiet && stderr_is_terminal();
  skiff_adapt_callbacks call{&caller, data ? Caller::sample : nullptr, judged ? Caller::score : nullptr,
                             Caller::progress};
  if (!o.max_drop.empty()) o.quantizer["max_drop"] = parse_drop(o.max_drop);
  if (o.common.threads > 0) o.quantizer["threads"] = o.common.threads;
  if (!o.common.isa.empty()) o.quantizer["isa"] = o.common.isa;
  if (data && !o.quantizer.contains("max_samples"))
    o.quantizer["max_samples"] = std::min<size_t>(data->batches(), 512);
  char *json = nullptr, *html = nullptr;
  skiff_status status =
      skiff_quantize(o.model.c_str(), o.out.c_str(), o.quantizer.dump().c_str(), &call, &json, &html);
  std::string report = status == SKIFF_OK ? api::take(json) : "",
              page = status == SKIFF_OK ? api::take(html) : "";
  if (caller.bar) std::fputs("\r\x1b[K", stderr);
  if (status != SKIFF_OK && !caller.failure.empty()) fail(caller.failure);
  api::check(status);

  Json r = parse_json(report);
  std::vector<Score> before, after;
  if (judged) {
    api::Session made = open_session(o.out, o.common);
    before = evaluate(session, *judged, o.eval, sidecar, nullptr, o.common.json || o.quiet).scores;
    after = evaluate(made, *judged, o.eval, sidecar, nullptr, o.common.json || o.quiet).scores;
    r["scores_before"] = scores_json(before);
    r["scores_after"] = scores_json(after);
    r["judged_samples"] = judged->samples();
  }
  if (!o.html.empty()) write_file(o.html, page);
  if (!o.json_file.empty())
    write_file(o.json_file, r.dump(2, ' ', false, Json::error_handler_t::replace) + "\n");
  if (o.common.json) {
    print_json(r);
    return 0;
  }
  print_report(r);
  print_scores(before, after);
  print(cat("written    ", o.out, " in ", fixed(number_or(r, "seconds", 0), 1), " s, peak memory ",
            human_bytes(memory_bytes("VmHWM")), "\n"));
  return 0;
}

}  // namespace

void add_quantize(CLI::App& root, Action& action) {
  auto o = std::make_shared<Options>();
  CLI::App* app =
      root.add_subcommand("quantize", "Make a smaller, faster model with integers or narrower floats");
  app->add_option("MODEL", o->model, "The .onnx file; it is not changed")->required();
  app->add_option("--output,-o", o->out, "The file to write [MODEL.int8.onnx, .wo.onnx, .fp16.onnx ...]");
  auto* group = "Quantizer";
  auto text = [&](const char* flag, const char* key, const std::string& what) {
    return app
        ->add_option_function<std::string>(
            flag, [o, key](const std::string& v) { o->quantizer[key] = v; }, what)
        ->group(group);
  };
  auto number = [&](const char* flag, const char* key, const std::string& what) {
    return app
        ->add_option_function<double>(
            flag, [o, key](double v) { o->quantizer[key] = v; }, what)
        ->group(group);
  };
  auto flag = [&](const char* name, const char* key, bool value, const std::string& what) {
    return app
        ->add_flag_callback(
            name, [o, key, value] { o->quantizer[key] = value; }, what)
        ->group(group);
  };
  text("--mode", "mode", "static (needs --data), dynamic, weights, float16, bfloat16 [static]");
  text("--format", "format", "qdq or qoperator [qdq]");
  number("--weight-bits", "weight_bits", "4 or 8 [8]");
  number("--activation-bits", "activation_bits", "8 or 16 [8]");
  flag("--per-tensor", "per_channel", false, "One scale for a weight instead of one a channel");
  flag("--symmetric", "symmetric", true, "Activations around zero (int8)");
  flag("--power-of-two", "power_of_two", true, "Scales are powers of two, for targets that only shift");
  text("--calibration", "calibration", "minmax, average, percentile, entropy, mse [minmax]");
  number("--percentile", "percentile", "What calibration by percentile covers [99.99]");
  number("--block", "block", "Weights that share a scale, with 4 bits and mode weights [32]");
  text("--weight-method", "weight_method",
       "rtn, mse, hqq, gptq, awq, adaround [gptq for 4 static bits, mse for weights, else rtn]");
  flag("--equalize", "equalize", true, "Even out channel ranges across layers first");
  flag("--no-bias-correction", "bias_correction", false,
       "Leave each layer's mean error on the data in its results");
  number("--smooth", "smooth", "Move ranges from activations to weights, strength 0 to 1 (SmoothQuant) [0]");
  number("--outliers", "outliers", "Share of a matrix product's input channels kept in float [0]");
  app->add_option_function<std::vector<std::string>>(
         "--exclude", [o](const std::vector<std::string>& v) { o->quantizer["exclude"] = v; },
         "Node to keep in float, by name or op:TYPE; may be repeated")
      ->allow_extra_args(false)
      ->group(group);
  auto* budget = "Budget";
  app->add_option("--max-drop", o->max_drop,
                  "The most the first metric may drop, 0.5% or 0.005; layers keep more bits until it holds")
      ->group(budget);
  auto bound = [&](const char* name, const char* key, const std::string& what) {
    app->add_option_function<double>(
           name, [o, key](double v) { o->quantizer[key] = v; }, what)
        ->group(budget);
  };
  bound("--min-agreement", "min_agreement", "Without labels: least share of equal decisions, 0 to 1");
  bound("--min-sqnr", "min_sqnr", "Without labels: least SQNR of the outputs in dB");
  bound("--min-cosine", "min_cosine", "Without labels: least cosine similarity of the outputs");
  app->add_option_function<std::vector<std::string>>(
         "--precisions", [o](const std::vector<std::string>& v) { o->quantizer["precisions"] = v; },
         "What a budget chooses among, separated by commas: int4, int8, int16, float [int8,int16,float]")
      ->delimiter(',')
      ->group(budget);
  app->add_option_function<std::string>(
         "--cache", [o](const std::string& v) { o->quantizer["cache"] = v; },
         "File of measured sensitivities: a search that was cut off goes on from it")
      ->group(budget);
  app->add_option(
         "--eval-samples", o->eval_samples,
         "Samples that accuracy is measured on, BEGIN:END:STEP [all]; --samples picks those for calibration")
      ->group(budget);
  auto* speed = "Speed";
  app->add_flag_callback(
         "--speed-check", [o] { o->quantizer["speed_check"] = "on"; },
         "Measure each integer region here; what is not faster goes back to float")
      ->group(speed);
  app->add_flag_callback(
         "--no-speed-check", [o] { o->quantizer["speed_check"] = "off"; }, "Do not")
      ->group(speed);
  app->add_option_function<std::string>(
         "--target", [o](const std::string& v) { o->quantizer["target"] = v; },
         "Decide by the cost table of another instruction set: avx2, avx512, avx512_vnni ...")
      ->group(speed);
  app->add_option("--report", o->html, "Write the report as one HTML page");
  app->add_option("--report-json", o->json_file, "Write the report as JSON");
  app->add_flag("--quiet", o->quiet, "No progress bar");
  add_data_options(*app, o->data);
  add_metric_options(*app, o->eval);
  app->add_flag("--no-sidecar", o->no_sidecar, "Do not read MODEL.json beside the model");
  add_common_options(*app, o->common);
  app->footer(
      "Examples: skiff quantize model.onnx --data photos --samples 0:200 --eval-samples 200: --report "
      "report.html\n"
      "          skiff quantize model.onnx --data photos --max-drop 0.5%\n"
      "          skiff quantize llm.onnx --mode weights --weight-bits 4");
  app->callback([o, &action] { action = [o] { return run_quantize(*o); }; });
}

}  // namespace skiff::tool
