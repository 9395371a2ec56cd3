// What calibration remembers of a tensor: a histogram that widens as needed, exact extremes, moving averages.
// Its size is fixed, however many samples it sees.
#pragma once
#include <array>
#include <cstdint>
#include <span>
#include <vector>

namespace skiff::adapt {

class Histogram {
 public:
  static constexpr int kHalf = 2048;  // bins on either side of zero

  // One batch's elements. NaN and infinities are counted and otherwise left out.
  void add(std::span<const float> x);

  uint64_t count() const { return count_; }  // finite elements seen
  uint64_t not_finite() const { return not_finite_; }
  float min() const { return min_; }  // exact; 0 when nothing was seen
  float max() const { return max_; }
  // Exponential moving averages of the batches' extremes (weight of a new batch: 1/8).
  float average_min() const { return average_min_; }
  float average_max() const { return average_max_; }
  // Bin i covers [edge(i), edge(i + 1)).
  int bins() const { return 2 * kHalf; }
  double width() const { return limit_ / kHalf; }
  double edge(int i) const { return (i - kHalf) * width(); }
  double centre(int i) const { return (i - kHalf + 0.5) * width(); }
  uint64_t operator[](int i) const { return bins_.empty() ? 0 : bins_[static_cast<size_t>(i)]; }
  // Elements outside [lo, hi], to the resolution of the bins.
  uint64_t outside(double lo, double hi) const;
  // Counts in `n` equal parts of [min, max], for people.
  std::vector<uint64_t> coarse(int n) const;

 private:
  void widen(float to);
  std::vector<uint64_t> bins_;
  double limit_ = 0;  // a power of two; the bins cover [-limit, limit)
  uint64_t count_ = 0, not_finite_ = 0, batches_ = 0, early_zeros_ = 0;
  float min_ = 0, max_ = 0, average_min_ = 0, average_max_ = 0;
};

}  // namespace skiff::adapt
