// Measures of accuracy: what a model says against what is true, or against what another model says.
#pragma once
#include <memory>
#include <string>
#include <vector>

#include "dataset.h"

namespace skiff::tool {

// One output of one sample.
struct Prediction {
  std::string name;
  std::vector<int64_t> dims;
  std::vector<double> values;
  std::vector<std::string> strings;
  bool integer = false;
};

// The part of each output that belongs to row `row` of a batch of `rows`.
std::vector<Prediction> predictions_of(const api::Session& session, const std::vector<api::Value>& outputs,
                                       size_t row, size_t rows);

struct Score {
  std::string name;
  double value = 0;
  bool higher_better = true;
  bool share = false;  // in [0, 1], shown in percent
};

class Metric {
 public:
  virtual ~Metric() = default;
  // `inputs` are those of the sample's whole batch. Errors: ToolError when outputs or truth do not fit.
  virtual void add(const std::vector<Prediction>& outputs, const Truth& truth,
                   const std::vector<api::Value>& inputs) = 0;
  // The first is the one that budgets are about.
  virtual std::vector<Score> result() const = 0;
};

struct MetricOptions {
  std::string output;  // name of the output to judge; "" the first that fits
  int64_t offset = 0;  // class number of the first label in the scores (1: a background class comes first)
  double threshold = 0.5;               // of single scores
  std::vector<std::string> vocabulary;  // of text from scores (CTC); entry 0 is the blank
};

// Names: accuracy, f1, auc, anomaly, regression, iou, miou, text, map, perplexity. Errors: UsageError.
std::unique_ptr<Metric> make_metric(const std::string& name, const MetricOptions& o);
std::string metric_names();
// What fits a truth: its name for make_metric.
std::string metric_for(const Truth& truth);

// Higher is better, and a drop of 0.005 is half a point, or half a percent of a measure where lower is
// better.
double merit(const Score& s);

// --- Parts of the metrics, by themselves.
// Share of pairs (positive, negative) that the scores put in order; ties count half. NaN without both kinds.
double area_under_roc(std::vector<std::pair<double, bool>> scored);
// Edits (insert, delete, replace) between two sequences.
size_t edit_distance(const std::vector<std::string>& a, const std::vector<std::string>& b);
std::vector<std::string> utf8_characters(const std::string& s);
struct Box {
  double x0, y0, x1, y1;
};
double box_iou(const Box& a, const Box& b);

// Agreement of two models' outputs, added up over samples.
class Agreement {
 public:
  void add(const std::vector<Prediction>& got, const std::vector<Prediction>& want);
  // top1 agreement (of outputs with classes), SQNR in dB, cosine similarity, largest difference.
  std::vector<Score> result() const;

 private:
  struct Totals {
    std::string name;
    double signal = 0, noise = 0, dot = 0, got2 = 0, max_abs = 0;
    size_t agree = 0, judged = 0;
  };
  std::vector<Totals> outputs_;
};

// Index of the largest element; NaN is the smallest.
size_t arg_max(const std::vector<double>& v);

}  // namespace skiff::tool
