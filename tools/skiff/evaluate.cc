#include "evaluate.h"

#include <CLI/CLI.hpp>
#include <algorithm>

#include "fail.h"
#include "files.h"
#include "labels.h"
#include "progress.h"
#include "text_table.h"

namespace skiff::tool {

void add_metric_options(CLI::App& app, EvalOptions& o) {
  auto* group = "Metrics";
  app.add_option("--metric", o.metrics, "What to measure: " + metric_names() + " [what the truth suggests]")
      ->allow_extra_args(false)
      ->group(group);
  app.add_option("--judge", o.output, "Name of the output to judge [the first that fits]")->group(group);
  app.add_option("--label-offset", o.label_offset,
                 "Class of the first label, 1 for models with a background class [0]")
      ->group(group);
  app.add_option("--threshold", o.threshold, "Of a single score [0.5]")->group(group);
  app.add_option("--vocabulary", o.vocabulary, "Characters of text scores (CTC), one a line, the blank first")
      ->group(group);
}

namespace {

// Position of each of a session's inputs among the dataset's: models made from one another may have lost
// inputs that had defaults.
std::vector<size_t> input_order(const api::Session& session, const Dataset& data) {
  std::vector<size_t> order;
  for (size_t i = 0; i < session.input_count(); ++i) {
    std::string name = session.input(i).name;
    auto it = std::find(data.inputs().begin(), data.inputs().end(), name);
    if (it == data.inputs().end()) fail("the data hold nothing for input \"", name, '"');
    order.push_back(static_cast<size_t>(it - data.inputs().begin()));
  }
  return order;
}

void run_ordered(api::Session& session, const std::vector<size_t>& order,
                 const std::vector<api::Value>& values, std::vector<api::Value>& outputs) {
  std::vector<const skiff_value*> in;
  for (size_t i : order) in.push_back(values[i].get());
  std::vector<skiff_value*> out;
  outputs.resize(session.output_count());
  for (api::Value& v : outputs) out.push_back(v.release());
  skiff_status s = skiff_run(session.get(), in.data(), in.size(), out.data(), out.size(), interrupt().get());
  for (size_t i = 0; i < out.size(); ++i) outputs[i] = api::Value(out[i]);
  api::check(s);
}

}  // namespace

Evaluation evaluate(api::Session& session, const Dataset& data, const EvalOptions& o, const Sidecar& sidecar,
                    api::Session* against, bool quiet) {
  MetricOptions mo;
  mo.output = o.output;
  mo.offset = o.label_offset ? *o.label_offset : sidecar.label_offset.value_or(0);
  mo.threshold = o.threshold;
  if (!o.vocabulary.empty()) mo.vocabulary = split_lines(read_file(o.vocabulary, uint64_t{64} << 20));
  std::vector<std::unique_ptr<Metric>> metrics;
  for (const std::string& name : o.metrics) metrics.push_back(make_metric(name, mo));
  bool choose = metrics.empty() && data.labelled();
  if (metrics.empty() && !choose && !against)
    fail(
        "the data have no truth; give --labels, --truth or --masks, a --metric that needs none (perplexity), "
        "or "
        "--against MODEL");
  Agreement agreement;
  Evaluation e;
  std::vector<double> times;
  std::vector<size_t> order = input_order(session, data), other_order;
  if (against) other_order = input_order(*against, data);
  std::vector<api::Value> outputs, others;
  Progress progress(data.batches(), "", quiet);
  for (size_t b = 0; b < data.batches(); ++b) {
    Batch batch = data.load(b);
    if (choose) {
      metrics.push_back(make_metric(metric_for(batch.truths[0]), mo));
      choose = false;
    }
    try {
      int64_t start = now_ns();
      run_ordered(session, order, batch.inputs, outputs);
      times.push_back(static_cast<double>(now_ns() - start));
      if (against) run_ordered(*against, other_order, batch.inputs, others);
    } catch (const api::Exception& x) {
      fail("sample ", batch.names[0], ": ", x.what());
    }
    for (size_t r = 0; r < batch.truths.size(); ++r) {
      std::vector<Prediction> got = predictions_of(session, outputs, r, batch.rows);
      for (auto& m : metrics) m->add(got, batch.truths[r], batch.inputs);
      if (against) agreement.add(got, predictions_of(*against, others, r, batch.rows));
      ++e.samples;
    }
    progress.step(batch.names[0]);
  }
  e.median_ns = quantile(times, 0.5);
  for (const auto& m : metrics)
    for (const Score& s : m->result()) e.scores.push_back(s);
  if (against)
    for (const Score& s : agreement.result()) e.scores.push_back(s);
  return e;
}

std::string score_text(const Score& s) {
  if (s.share) return fixed(100 * s.value, 2) + " %";
  return fixed(s.value, s.name == "sqnr_db" ? 2 : s.name == "max_abs" ? 6 : 5);
}

Json scores_json(const std::vector<Score>& scores) {
  Json j = Json::object();
  for (const Score& s : scores) j[s.name] = s.value;
  return j;
}

}  // namespace skiff::tool
