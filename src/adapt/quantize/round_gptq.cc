#include <algorithm>
#include <cmath>

#include "adapt/quantize/rounding.h"

namespace skiff::adapt {

namespace {

// The upper Cholesky factor U of the inverse of H + damping: H^-1 = U^T U. False when it does not exist.
bool inverse_factor(const float* h, int64_t n, std::vector<double>& u) {
  auto at = [n](std::vector<double>& m, int64_t i, int64_t j) -> double& {
    return m[static_cast<size_t>(i * n + j)];
  };
  double mean = 0;
  for (int64_t i = 0; i < n; ++i) mean += h[i * n + i];
  mean /= static_cast<double>(std::max<int64_t>(n, 1));
  if (!(mean > 0)) return false;
  std::vector<double> l(static_cast<size_t>(n * n), 0), inv(l);
  // H = L L^T
  for (int64_t j = 0; j < n; ++j)
    for (int64_t i = j; i < n; ++i) {
      double sum = h[i * n + j] + (i == j ? 0.01 * mean : 0);
      for (int64_t k = 0; k < j; ++k) sum -= at(l, i, k) * at(l, j, k);
      if (i == j) {
        if (!(sum > 0)) return false;
        at(l, i, i) = std::sqrt(sum);
      } else {
        at(l, i, j) = sum / at(l, j, j);
      }
    }
  // L^-1, then H^-1 = L^-T L^-1
  std::vector<double> li(static_cast<size_t>(n * n), 0);
  for (int64_t j = 0; j < n; ++j) {
    at(li, j, j) = 1 / at(l, j, j);
    for (int64_t i = j + 1; i < n; ++i) {
      double sum = 0;
      for (int64_t k = j; k < i; ++k) sum -= at(l, i, k) * at(li, k, j);
      at(li, i, j) = sum / at(l, i, i);
    }
  }
  for (int64_t i = 0; i < n; ++i)
    for (int64_t j = 0; j <= i; ++j) {
      double sum = 0;
      for (int64_t k = i; k < n; ++k) sum += at(li, k, i) * at(li, k, j);
      at(inv, i, j) = at(inv, j, i) = sum;
    }
  // inv = M M^T with M lower; U = M^T
  u.assign(static_cast<size_t>(n * n), 0);
  for (int64_t j = 0; j < n; ++j)
    for (int64_t i = j; i < n; ++i) {
      double sum = at(inv, i, j);
      for (int64_t k = 0; k < j; ++k) sum -= at(u, k, i) * at(u, k, j);
      if (i == j) {
        if (!(sum > 0)) return false;
        at(u, j, j) = std::sqrt(sum);
      } else {
        at(u, j, i) = sum / at(u, j, j);
      }
    }
  return true;
}

}  // namespace

std::vector<int8_t> round_gptq(std::span<const float> w, const Grid& grid, const Scales& s,
                               const WeightRows& rows, const Hessian& h) {
  std::vector<int8_t> q = round_to_nearest(w, grid, s);
  int64_t n = rows.depth, per_group = rows.outputs / rows.groups;
  std::vector<double> u, row(static_cast<size_t>(n));
  for (int64_t g = 0; g < rows.groups; ++g) {
    if (!inverse_factor(h.of(g), n, u)) continue;
    for (int64_t o = g * per_group; o < (g + 1) * per_group; ++o) {
      auto index = [&](int64_t k) { return static_cast<size_t>(o * rows.output_step + k * rows.depth_step); };
      for (int64_t k = 0; k < n; ++k) row[static_cast<size_t>(k)] = w[index(k)];
      for (int64_t k = 0; k < n; ++k) {
        size_t e = index(k), group = grid.group(static_cast<int64_t>(e));
        double scale = s.scale[group], x = row[static_cast<size_t>(k)];
        double level = std::clamp(std::nearbyint(x / scale) + s.zero[group], static_cast<double>(grid.lo()),
                                  static_cast<double>(grid.hi()));
        q[e] = static_cast<int8_t>(level);
        double error = (x - (level - s.zero[group]) * scale) / u[static_cast<size_t>(k * n + k)];
        for (int64_t r = k + 1; r < n; ++r)
          row[static_cast<size_t>(r)] -= error * u[static_cast<size_t>(k * n + r)];
      }
    }
  }
  return q;
}

}  // namespace skiff::adapt
