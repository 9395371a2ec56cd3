#include <algorithm>
#include <cmath>

#include "adapt/quantize/rounding.h"

namespace skiff::adapt {

std::vector<int8_t> round_adaptively(std::span<const float> w, const Grid& grid, const Scales& s,
                                     const WeightRows& rows, const Hessian& h) {
  std::vector<int8_t> q = round_to_nearest(w, grid, s);
  int64_t n = rows.depth, per_group = rows.outputs / rows.groups;
  std::vector<double> error(static_cast<size_t>(n)), pull(static_cast<size_t>(n));
  constexpr int kRounds = 20;
  for (int64_t o = 0; o < rows.outputs; ++o) {
    const float* m = h.of(o / per_group);
    auto index = [&](int64_t k) { return static_cast<size_t>(o * rows.output_step + k * rows.depth_step); };
    auto real = [&](size_t e, int level) {
      size_t g = grid.group(static_cast<int64_t>(e));
      return static_cast<double>(level - s.zero[g]) * s.scale[g];
    };
    for (int64_t k = 0; k < n; ++k) error[static_cast<size_t>(k)] = real(index(k), q[index(k)]) - w[index(k)];
    for (int64_t k = 0; k < n; ++k) {
      double sum = 0;
      for (int64_t r = 0; r < n; ++r) sum += m[k * n + r] * error[static_cast<size_t>(r)];
      pull[static_cast<size_t>(k)] = sum;
    }
    // Moving weight k by d changes the squared error by d (2 pull_k + d H_kk); only the other of its two
    // neighbours is allowed, so that no weight strays by more than one step.
    for (int round = 0; round < kRounds; ++round) {
      bool moved = false;
      for (int64_t k = 0; k < n; ++k) {
        auto i = static_cast<size_t>(k);
        size_t e = index(k);
        int to = q[e] + (error[i] > 0 ? -1 : 1);
        if (to < grid.lo() || to > grid.hi()) continue;
        double d = real(e, to) - real(e, q[e]);
        if (d * (2 * pull[i] + d * m[k * n + k]) >= -1e-12 || std::fabs(error[i] + d) > std::fabs(d))
          continue;
        q[e] = static_cast<int8_t>(to);
        error[i] += d;
        for (int64_t r = 0; r < n; ++r) pull[static_cast<size_t>(r)] += d * m[k * n + r];
        moved = true;
      }
      if (!moved) break;
    }
  }
  return q;
}

}  // namespace skiff::adapt
