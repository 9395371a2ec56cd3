// skiff run: files in, answers out.
#include <CLI/CLI.hpp>
#include <memory>

#include "command.h"
#include "draw.h"
#include "fail.h"
#include "files.h"
#include "inputs.h"
#include "json_out.h"
#include "labels.h"
#include "outputs.h"
#include "progress.h"
#include "session.h"
#include "text_table.h"
#include "values.h"

namespace skiff::tool {

namespace {

struct RunOptions {
  CommonOptions common;
  InputOptions input;
  std::string model, labels, truth, annotate;
  std::vector<std::string> outputs;
  std::optional<int> top, label_offset;
  int repeat = 1;
  bool softmax = false, no_sidecar = false;
};

// How outputs become classes.
struct Classes {
  bool wanted = false;
  std::vector<std::string> labels;
  std::map<std::string, int> truth;
  size_t top = 5;
  int offset = 0;
};

Classes make_classes(const RunOptions& o, const Sidecar& sidecar) {
  Classes c;
  constexpr uint64_t kMaxText = uint64_t{64} << 20;
  if (!o.truth.empty()) {
    std::string text = read_file(o.truth, kMaxText);
    c.truth = parse_truth(text, o.truth);
    if (column_of(decode_csv(text.substr(0, text.find('\n') + 1), '\t', o.truth), "name") >= 0)
      c.labels = parse_labels(text, o.truth);
  }
  std::string file = o.labels.empty() ? sidecar.labels : o.labels;
  if (!file.empty()) c.labels = parse_labels(read_file(file, kMaxText), file);
  int top = o.top ? *o.top : sidecar.top.value_or(5);
  if (top < 1) fail_usage("--top: at least 1 is needed");
  c.top = static_cast<size_t>(top);
  c.offset = o.label_offset ? *o.label_offset : sidecar.label_offset.value_or(0);
  c.wanted = !file.empty() || !o.truth.empty() || o.top || sidecar.top || !o.annotate.empty();
  return c;
}

struct Answer {
  std::vector<Ranked> best;
  bool shares = false;  // the scores add up to 1
};

// The best classes of the first output that holds scores: a tensor of real numbers with at least two
// elements.
Answer classify(const std::vector<api::Value>& outputs, const Classes& classes, bool soft) {
  for (const api::Value& v : outputs) {
    if (v.kind() != SKIFF_KIND_TENSOR || v.dtype() == SKIFF_STRING || v.size() < 2) continue;
    std::vector<double> scores = doubles_of(v);
    std::vector<int64_t> dims = v.dims();
    if (dims.size() > 1 && dims[0] > 1) scores.resize(scores.size() / static_cast<size_t>(dims[0]));
    if (soft) scores = softmax(std::move(scores));
    Answer a;
    a.shares = are_shares(scores);
    a.best = top_k(scores, classes.top, classes.labels, classes.offset);
    return a;
  }
  fail("no output holds scores of classes (a tensor of numbers with at least two elements)");
}

std::string score_text(const Answer& a, const Ranked& r) {
  return a.shares ? fixed(100 * r.score, 1) + " %" : fixed(r.score, 4);
}
std::string label_text(const Ranked& r) {
  return r.label.empty() ? "class " + std::to_string(r.index) : r.label;
}

void write_annotation(const RunOptions& o, const InputCase& c, const Answer& a, double ns) {
  if (!c.image) fail("--annotate needs an image as input");
  std::vector<Caption> captions;
  for (const Ranked& r : a.best)
    captions.push_back({label_text(r) + "  " + score_text(a, r), a.shares ? r.score : -1});
  captions.push_back({human_time(ns) + "  " + c.name, -1});
  std::string path =
      is_folder(o.annotate) ? join(o.annotate, stem(c.name) + ".png") : fill_pattern(o.annotate, c.path);
  write_file(path, encode_png(annotate(*c.image, captions), path));
}

Json answer_json(const Answer& a) {
  Json top = Json::array();
  for (const Ranked& r : a.best) {
    Json e{{"index", r.index}, {"score", r.score}};
    if (!r.label.empty()) e["label"] = r.label;
    top.push_back(std::move(e));
  }
  return top;
}

// What several runs came to.
struct Tally {
  std::vector<double> times;
  size_t judged = 0, first = 0, among = 0;

  // 1 right, 0 wrong, -1 not judged.
  int judge(const Classes& classes, const std::string& file, const Answer& a) {
    auto it = classes.truth.find(file);
    if (it == classes.truth.end()) return -1;
    ++judged;
    size_t place = 0;
    while (place < a.best.size() && a.best[place].index != it->second) ++place;
    if (place < 5 && place < a.best.size()) ++among;
    if (place == 0 && !a.best.empty()) ++first;
    return place == 0;
  }
};

std::string summary_text(const Tally& t) {
  std::string s = cat(t.times.size(), t.times.size() == 1 ? " run" : " runs", ", ",
                      human_time(quantile(t.times, 0.5)), t.times.size() == 1 ? "" : " each (median)",
                      ", peak memory ", human_bytes(memory_bytes("VmHWM")), "\n");
  if (t.judged > 0) {
    auto n = static_cast<double>(t.judged);
    s += cat("top-1 ", percent(static_cast<double>(t.first), n), " (", t.first, " of ", t.judged, "), top-5 ",
             percent(static_cast<double>(t.among), n), " (", t.among, ")\n");
  }
  return s;
}

void print_case(const api::Session& session, const std::vector<api::Value>& outputs, const Answer& a,
                bool classes) {
  if (!classes) {
    for (size_t i = 0; i < outputs.size(); ++i)
      print(cat(session.output(i).name, ": ", describe(outputs[i])));
    return;
  }
  TextTable t({">", "class", ">score", ">index"});
  size_t rank = 0;
  for (const Ranked& r : a.best)
    t.add({std::to_string(++rank), label_text(r), score_text(a, r), std::to_string(r.index)});
  print(t.str());
}

int run_run(const RunOptions& o) {
  api::Session session = open_session(o.model, o.common);
  Sidecar sidecar = o.no_sidecar ? Sidecar{} : find_sidecar(o.model);
  Inputs inputs(session, o.input, sidecar);
  size_t cases = inputs.cases();
  Classes classes = make_classes(o, sidecar);
  if (!classes.truth.empty() && !o.top) classes.top = std::max<size_t>(classes.top, 5);
  std::vector<OutputFile> files = parse_outputs(session, o.outputs, cases);
  if (cases > 1 && !o.annotate.empty() && !is_folder(o.annotate) &&
      o.annotate.find("{}") == std::string::npos)
    fail_usage("--annotate ", o.annotate, ": ", cases,
               " runs would write the same file; name a folder, or put {} where the input's name goes");

  Json runs = Json::array();
  TextTable table({"file", "class", ">score", ""});
  Tally tally;
  std::vector<api::Value> outputs;
  {
    Progress progress(cases, "", o.common.json);
    for (size_t i = 0; i < cases; ++i) {
      InputCase c = inputs.load(i);
      progress.step(c.name);
      std::vector<double> times;
      try {
        for (int r = 0; r < o.repeat; ++r) {
          int64_t start = now_ns();
          session.run(c.values, outputs, &interrupt());
          times.push_back(static_cast<double>(now_ns() - start));
        }
      } catch (const api::Exception& e) {
        if (cases == 1) throw;
        fail(c.path, ": ", e.what());
      }
      double ns = quantile(times, 0.5);
      tally.times.push_back(ns);
      Answer a;
      int right = -1;
      if (classes.wanted) {
        a = classify(outputs, classes, o.softmax);
        right = tally.judge(classes, c.name, a);
      }
      save_outputs(session, files, outputs, c.path.empty() ? "output" : c.path);
      if (!o.annotate.empty()) write_annotation(o, c, a, ns);
      if (o.common.json) {
        Json r;
        if (!c.path.empty()) r["file"] = c.path;
        r["ns"] = ns;
        if (classes.wanted) r["top"] = answer_json(a);
        if (right >= 0) r["right"] = right == 1;
        if (cases == 1 || !classes.wanted) {
          Json out = Json::object();
          for (size_t k = 0; k < outputs.size(); ++k) out[session.output(k).name] = to_json(outputs[k]);
          r["outputs"] = std::move(out);
        }
        runs.push_back(std::move(r));
      } else if (cases == 1) {
        print_case(session, outputs, a, classes.wanted);
      } else if (classes.wanted) {
        bool some = !a.best.empty();
        table.add({c.name, some ? label_text(a.best[0]) : "", some ? score_text(a, a.best[0]) : "",
                   right == 0 ? "wrong" : ""});
      } else {
        std::string types;
        for (size_t k = 0; k < outputs.size(); ++k)
          types += cat(k ? ", " : "", session.output(k).name, " ", type_text(outputs[k]));
        table.add({c.name, types, "", ""});
      }
    }
  }
  if (!o.common.json) {
    if (cases > 1) print(table.str());
    print(summary_text(tally));
    return 0;
  }
  Json j{{"model", o.model}};
  Json in = Json::object();
  for (size_t k = 0; k < session.input_count(); ++k)
    in[session.input(k).name] = cases == 1 ? inputs.source(k, 0) : "";
  if (cases == 1) j["inputs"] = in;
  j["runs"] = std::move(runs);
  Json s{{"runs", cases},
         {"median_ns", quantile(tally.times, 0.5)},
         {"peak_memory_bytes", memory_bytes("VmHWM")}};
  if (tally.judged > 0) {
    s["judged"] = tally.judged;
    s["top1"] = static_cast<double>(tally.first) / static_cast<double>(tally.judged);
    s["top5"] = static_cast<double>(tally.among) / static_cast<double>(tally.judged);
  }
  j["summary"] = std::move(s);
  print_json(j);
  return 0;
}

}  // namespace

void add_run(CLI::App& root, Action& action) {
  auto o = std::make_shared<RunOptions>();
  CLI::App* app = root.add_subcommand("run", "Run a model on files and show or save its outputs");
  app->add_option("MODEL", o->model, "The .onnx file")->required();
  add_input_options(*app, o->input, "");
  app->add_option("--output,-o", o->outputs,
                  "NAME=FILE.npy, .npz, .pb, .txt or .csv; {} in FILE stands for the input file's name")
      ->allow_extra_args(false)
      ->group("Outputs");
  app->add_option("--labels", o->labels, "Names of the classes, one a line")->group("Outputs");
  app->add_option("--top", o->top, "Show the best N classes [5]")->group("Outputs");
  app->add_option("--label-offset", o->label_offset,
                  "Class of the first label, 1 for models with a background class [0]")
      ->group("Outputs");
  app->add_option("--labels-tsv", o->truth,
                  "True classes: a tab separated table with the columns file and index")
      ->group("Outputs");
  app->add_flag("--softmax", o->softmax, "Apply softmax to the scores before showing them")->group("Outputs");
  app->add_option("--annotate", o->annotate,
                  "Write the image with the best classes below it to FILE.png, or to a folder")
      ->group("Outputs");
  app->add_option("--repeat", o->repeat, "Run every input N times [1]")->check(CLI::Range(1, 1'000'000'000));
  app->add_flag("--no-sidecar", o->no_sidecar, "Do not read MODEL.json beside the model");
  add_common_options(*app, o->common);
  app->footer(
      "MODEL.json beside MODEL.onnx can hold the image options, labels and top; the command line overrides "
      "it.\n"
      "Example: skiff run mobilenet.onnx --input photo.jpg --resize 256 --resize-mode shorter --crop 224,224 "
      "\\\n"
      "           --mean 128 --std 128 --labels imagenet.txt --top 5");
  app->callback([o, &action] { action = [o] { return run_run(*o); }; });
}

}  // namespace skiff::tool
