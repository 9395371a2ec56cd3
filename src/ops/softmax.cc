// Softmax, LogSoftmax, Hardmax. Before opset 13 the input is seen as a matrix [product before axis, product
// from axis on] (default axis 1); since then one axis is normalized (default -1).
#include <cmath>

#include "ops/real_view.h"

namespace skiff {
namespace {

struct Rows {
  int64_t outer, n, inner;  // elements of a row lie `inner` apart
};

int64_t axis_of(const Node& n) { return n.attr_i("axis", n.opset < 13 ? 1 : -1); }

Rows rows_of(const Node& n, const Dims& x) {
  auto r = static_cast<int64_t>(x.size());
  // The matrix form allows axis == rank (and any input of rank 0 or 1 with the default axis).
  int64_t a = axis_of(n);
  if (n.opset < 13 && a >= r)
    a = r;
  else
    a = r == 0 ? 0 : static_cast<int64_t>(rule::axis(a, x.size()));
  if (n.opset < 13) return {ref::count_of(x, 0, a), ref::count_of(x, a, r), 1};
  if (r == 0) return {1, 1, 1};
  return {ref::count_of(x, 0, a), x[static_cast<size_t>(a)], ref::count_of(x, a + 1, r)};
}

void infer_softmax(InferContext& c) {
  if (c.has_rank(0) && c.shape(0).rank() && c.opset() >= 13)
    (void)rule::axis(axis_of(c.node()), c.shape(0).rank());
  c.set(0, c.type(0));
}

Cost cost_softmax(const CostContext& c) {
  double n = c.in_elements(0);
  double bytes = c.in[0] ? n * dtype_bits(c.in[0]->dtype) / 4 : 0;
  return {12 * n, bytes};
}

enum class Kind { kSoftmax, kLog, kHard };

void run(KernelContext& c, Kind kind) {
  const Tensor& x = c.in(0);
  Rows r = rows_of(c.node(), x.dims());
  Tensor& y = c.out(0, x.dtype(), x.dims());
  ref::with_real(x.dtype(), [&](auto zero) {
    using T = decltype(zero);
    ref::RealIn<T> xs(x);
    ref::RealOut<T> ys(y);
    for (int64_t o = 0; o < r.outer && r.n > 0; ++o) {
      for (int64_t i = 0; i < r.inner; ++i) {
        const T* xp = xs.data() + o * r.n * r.inner + i;
        T* yp = ys.data() + o * r.n * r.inner + i;
        int64_t top = 0;
        for (int64_t k = 1; k < r.n; ++k)
          if (xp[k * r.inner] > xp[top * r.inner]) top = k;
        if (kind == Kind::kHard) {
          for (int64_t k = 0; k < r.n; ++k) yp[k * r.inner] = static_cast<T>(k == top ? 1 : 0);
          continue;
        }
        auto max = static_cast<double>(xp[top * r.inner]);
        double sum = 0;
        for (int64_t k = 0; k < r.n; ++k) sum += std::exp(static_cast<double>(xp[k * r.inner]) - max);
        double log_sum = std::log(sum);
        for (int64_t k = 0; k < r.n; ++k) {
          double d = static_cast<double>(xp[k * r.inner]) - max;
          yp[k * r.inner] = static_cast<T>(kind == Kind::kLog ? d - log_sum : std::exp(d) / sum);
        }
      }
    }
    ys.commit();
  });
}

void softmax_reference(KernelContext& c) { run(c, Kind::kSoftmax); }
void log_softmax_reference(KernelContext& c) { run(c, Kind::kLog); }
void hardmax_reference(KernelContext& c) { run(c, Kind::kHard); }

}  // namespace

SKIFF_OP_DEF(ai_onnx, Softmax) {
  return {.name = "Softmax",
          .versions = {1, 11, 13},
          .inputs = {{"input", kFloatTypes, 'T'}},
          .outputs = {{"output", kFloatTypes, 'T'}},
          .attributes = {{"axis", AttrType::kInt}},
          .infer = infer_softmax,
          .reference = softmax_reference,
          .cost = cost_softmax};
}

SKIFF_OP_DEF(ai_onnx, LogSoftmax) {
  return {.name = "LogSoftmax",
          .versions = {1, 11, 13},
          .inputs = {{"input", kFloatTypes, 'T'}},
          .outputs = {{"output", kFloatTypes, 'T'}},
          .attributes = {{"axis", AttrType::kInt}},
          .infer = infer_softmax,
          .reference = log_softmax_reference,
          .cost = cost_softmax};
}

SKIFF_OP_DEF(ai_onnx, Hardmax) {
  return {.name = "Hardmax",
          .versions = {1, 11, 13},
          .inputs = {{"input", kFloatTypes, 'T'}},
          .outputs = {{"output", kFloatTypes, 'T'}},
          .attributes = {{"axis", AttrType::kInt}},
          .infer = infer_softmax,
          .reference = hardmax_reference,
          .cost = cost_softmax};
}

}  // namespace skiff
