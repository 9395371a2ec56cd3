// How close one model's outputs are to another's.
#pragma once
#include <span>
#include <vector>

#include "adapt/adapt.h"
#include "adapt/observe.h"

namespace skiff::adapt {

// Added up over samples; the worst output counts for sqnr and cosine.
class Fidelity {
 public:
  void add(std::span<const Datum> want, std::span<const Datum> got);
  double sqnr() const;  // dB
  double cosine() const;
  // Share of equal decisions: the largest along the last axis (the channels of pictures), or equal integers.
  // 1 when the outputs hold no decisions.
  double agreement() const {
    return judged_ ? static_cast<double>(agree_) / static_cast<double>(judged_) : 1;
  }
  bool has_decisions() const { return judged_ > 0; }

 private:
  struct One {
    Sqnr sqnr;
    double dot = 0, want2 = 0, got2 = 0;
  };
  void decisions(const Tensor& want, const Tensor& got);
  std::vector<One> outputs_;
  size_t agree_ = 0, judged_ = 0;
};

}  // namespace skiff::adapt
