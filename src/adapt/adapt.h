// What every adaptation works with: samples of real inputs, a measure of how good a model is, progress.
#pragma once
#include <functional>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "graph/graph.h"
#include "runtime/session.h"

namespace skiff::adapt {

struct Callbacks {
  // The inputs of sample i, in the model's order (kNone for one with a default); false when there is none.
  // Samples are asked for in order and again from 0 for another pass; the same i must give the same sample.
  std::function<bool(size_t i, std::vector<Datum>& inputs)> sample;
  // How good a session of the model or an adapted form of it is: higher is better. May be empty.
  std::function<double(std::unique_ptr<runtime::Session> session)> score;
  // `share` of a stage is done, in [0, 1]. May be empty; throws to end the work.
  std::function<void(std::string_view stage, double share)> progress;

  void report(std::string_view stage, double share) const {
    if (progress) progress(stage, share);
  }
};

// A copy whose graph may be edited; weights are shared.
Model copy_model(const Model& m);

// Operators looked up and types inferred anew after edits by hand.
void refresh(Model& m);

std::unique_ptr<runtime::Session> open(const Model& m, const runtime::SessionOptions& options);

// A float copy of a constant of real numbers.
std::vector<float> floats_of(const Graph& g, ValueId v);

}  // namespace skiff::adapt
