#include "adapt/fidelity.h"

#include <algorithm>
#include <cmath>

namespace skiff::adapt {

void Fidelity::add(std::span<const Datum> want, std::span<const Datum> got) {
  outputs_.resize(want.size());
  for (size_t i = 0; i < want.size() && i < got.size(); ++i) {
    if (!want[i].is_tensor() || !got[i].is_tensor()) continue;
    const Tensor &a = want[i].tensor(), &b = got[i].tensor();
    if (a.size() != b.size() || a.dtype() == DType::kString) continue;
    One& o = outputs_[i];
    o.sqnr.add(a, b);
    for (int64_t k = 0; k < a.size(); ++k) {
      double x = get_double(a, k), y = get_double(b, k);
      if (!std::isfinite(x)) continue;
      o.dot += x * y;
      o.want2 += x * x;
      o.got2 += y * y;
    }
    decisions(a, b);
  }
}

void Fidelity::decisions(const Tensor& want, const Tensor& got) {
  if (dtype_is_integer(want.dtype()) || want.dtype() == DType::kBool) {
    for (int64_t k = 0; k < want.size(); ++k, ++judged_)
      agree_ += get_int(want, k) == get_int(got, k) ? 1 : 0;
    return;
  }
  if (want.rank() == 0 || want.size() == 0) return;
  bool picture = want.rank() == 4 && want.dim(1) >= 2;
  int64_t classes = picture ? want.dim(1) : want.dim(want.rank() - 1);
  int64_t step = picture ? want.dim(2) * want.dim(3) : 1;
  if (classes < 2) return;
  for (int64_t row = 0; row < want.size() / classes; ++row, ++judged_) {
    int64_t base = row / step * classes * step + row % step, a = 0, b = 0;
    for (int64_t c = 1; c < classes; ++c) {
      if (get_double(want, base + c * step) > get_double(want, base + a * step)) a = c;
      if (get_double(got, base + c * step) > get_double(got, base + b * step)) b = c;
    }
    agree_ += a == b ? 1 : 0;
  }
}

double Fidelity::sqnr() const {
  double worst = 200;
  for (const One& o : outputs_)
    if (!o.sqnr.empty()) worst = std::min(worst, o.sqnr.db());
  return worst;
}

double Fidelity::cosine() const {
  double worst = 1;
  for (const One& o : outputs_)
    if (o.want2 > 0) worst = std::min(worst, o.got2 > 0 ? o.dot / std::sqrt(o.want2 * o.got2) : 0);
  return worst;
}

}  // namespace skiff::adapt
