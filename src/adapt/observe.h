// Looking at inner tensors of a model while it runs on samples.
#pragma once
#include <memory>
#include <span>
#include <vector>

#include "adapt/adapt.h"
#include "base/function_ref.h"

namespace skiff::adapt {

// Sessions of a model whose graph outputs are extended by the tensors asked for. They are split into groups
// so that the tensors held at one time stay below `group_bytes`, whatever the model's size; each group runs
// the model once more.
class Observer {
 public:
  // Errors: kInternal for a value that is a constant or of another graph.
  Observer(const Model& m, std::span<const ValueId> values, const runtime::SessionOptions& options,
           size_t group_bytes = size_t{192} << 20);
  // Runs one sample; see(k, tensor) is called once for each of `values` by its index, in any order.
  void run(std::span<const Datum> inputs, FunctionRef<void(size_t, const Tensor&)> see);

 private:
  struct Group {
    std::unique_ptr<runtime::Session> session;
    std::vector<size_t> values;   // index into the values asked for
    std::vector<size_t> outputs;  // the session's output of each
  };
  std::vector<Group> groups_;
  std::vector<std::pair<size_t, size_t>> inputs_;  // values that are graph inputs: (value, input)
};

// Signal to quantization-noise ratio in dB, added up: 10 log10(sum want^2 / sum (got - want)^2), 200 when
// equal.
class Sqnr {
 public:
  void add(const Tensor& want, const Tensor& got);
  double db() const;
  bool empty() const { return signal_ == 0 && noise_ == 0; }

 private:
  double signal_ = 0, noise_ = 0;
};

}  // namespace skiff::adapt
