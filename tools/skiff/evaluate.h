// Accuracy of a session on a dataset: what `skiff eval` shows and what the quantizer's budget is about.
#pragma once
#include <memory>
#include <string>
#include <vector>

#include "dataset.h"
#include "json_out.h"
#include "metrics.h"

namespace CLI {
class App;
}

namespace skiff::tool {

struct EvalOptions {
  std::vector<std::string> metrics;
  std::string output, vocabulary;
  std::optional<int> label_offset;
  double threshold = 0.5;
};

void add_metric_options(CLI::App& app, EvalOptions& o);

struct Evaluation {
  std::vector<Score> scores;
  size_t samples = 0;
  double median_ns = 0;  // of a run
};

// Runs every batch. With `against` also the agreement with that session's outputs, on the same inputs.
// `quiet` hides the progress bar. Errors: ToolError, api::Exception.
Evaluation evaluate(api::Session& session, const Dataset& data, const EvalOptions& o, const Sidecar& sidecar,
                    api::Session* against, bool quiet);

std::string score_text(const Score& s);
Json scores_json(const std::vector<Score>& scores);

}  // namespace skiff::tool
