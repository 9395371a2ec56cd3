#include "adapt/quantize/histogram.h"

#include <algorithm>
#include <cmath>
#include <utility>

namespace skiff::adapt {

// Doubling the limit joins neighbouring bins in pairs, so nothing is lost but resolution, and the order of
// the batches matters by rounding at the bins' edges only.
void Histogram::widen(float to) {
  if (bins_.empty()) {
    bins_.assign(2 * kHalf, 0);
    int e = 0;
    std::frexp(to, &e);  // to < 2^e
    limit_ = std::ldexp(1.0, std::clamp(e, -120, 128));
    return;
  }
  while (limit_ <= to && limit_ < 4e38) {
    std::vector<uint64_t> wide(2 * kHalf, 0);
    for (int i = 0; i < 2 * kHalf; ++i) {
      int from_centre = i - kHalf, half = from_centre >= 0 ? from_centre / 2 : -((-from_centre + 1) / 2);
      wide[static_cast<size_t>(half + kHalf)] += bins_[static_cast<size_t>(i)];
    }
    bins_ = std::move(wide);
    limit_ *= 2;
  }
}

void Histogram::add(std::span<const float> x) {
  if (x.empty()) return;
  float lo = HUGE_VALF, hi = -HUGE_VALF;
  uint64_t bad = 0;
  for (float v : x) {
    if (!std::isfinite(v)) {
      ++bad;
      continue;
    }
    lo = std::min(lo, v);
    hi = std::max(hi, v);
  }
  not_finite_ += bad;
  if (bad == x.size()) return;
  float most = std::max(std::fabs(lo), std::fabs(hi));
  if (most > 0) {
    widen(most);
    bins_[kHalf] += std::exchange(early_zeros_, 0);
  }
  min_ = count_ ? std::min(min_, lo) : lo;
  max_ = count_ ? std::max(max_, hi) : hi;
  constexpr float kWeight = 0.125f;
  average_min_ = batches_ ? average_min_ + kWeight * (lo - average_min_) : lo;
  average_max_ = batches_ ? average_max_ + kWeight * (hi - average_max_) : hi;
  ++batches_;
  count_ += x.size() - bad;
  if (bins_.empty()) {  // nothing but zeros so far: no width to choose yet
    early_zeros_ += x.size() - bad;
    return;
  }
  const auto scale = static_cast<float>(kHalf / limit_);
  uint64_t* bins = bins_.data();
  if (bad == 0) {
    for (float v : x) {
      int i = static_cast<int>(v * scale + static_cast<float>(kHalf));  // positive, so truncation is floor
      ++bins[std::clamp(i, 0, 2 * kHalf - 1)];
    }
  } else {
    for (float v : x)
      if (std::isfinite(v))
        ++bins[std::clamp(static_cast<int>(v * scale + static_cast<float>(kHalf)), 0, 2 * kHalf - 1)];
  }
}

uint64_t Histogram::outside(double lo, double hi) const {
  if (bins_.empty() || (lo <= min_ && hi >= max_)) return 0;
  uint64_t n = 0;
  for (int i = 0; i < 2 * kHalf; ++i)
    if (edge(i + 1) <= lo || edge(i) > hi) n += bins_[static_cast<size_t>(i)];
  return n;
}

std::vector<uint64_t> Histogram::coarse(int n) const {
  std::vector<uint64_t> r(static_cast<size_t>(n), 0);
  double span = static_cast<double>(max_) - min_;
  if (bins_.empty()) return r;
  for (int i = 0; i < 2 * kHalf; ++i) {
    uint64_t c = bins_[static_cast<size_t>(i)];
    if (c == 0) continue;
    double at = span > 0 ? (centre(i) - min_) / span * n : 0;
    r[static_cast<size_t>(std::clamp(static_cast<int>(at), 0, n - 1))] += c;
  }
  return r;
}

}  // namespace skiff::adapt
