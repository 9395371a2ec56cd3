// Where and Clip.
#include <algorithm>

#include "ops/elementwise_fns.h"
#include "ops/rule_util.h"

namespace skiff {
namespace {

// ---------------------------------------------------------------- Where

void infer_where(InferContext& c) {
  c.set(0, c.dtype(1), broadcast(c.shape(0), broadcast(c.shape(1), c.shape(2))));
  auto cond = c.data(0), x = rule::numbers(c, 1), y = rule::numbers(c, 2);
  if (!cond || !x || !y || cond->empty() || x->empty() || y->empty()) return;
  size_t n = std::max({cond->size(), x->size(), y->size()});
  auto fits = [n](const std::vector<Dim>& v) { return v.size() == 1 || v.size() == n; };
  if (!fits(*cond) || !fits(*x) || !fits(*y)) return;
  auto at = [](const std::vector<Dim>& v, size_t i) -> const Dim& { return v[v.size() == 1 ? 0 : i]; };
  std::vector<Dim> r;
  for (size_t i = 0; i < n; ++i) {
    const Dim& k = at(*cond, i);
    if (k.is_const())
      r.push_back(k.is(0) ? at(*y, i) : at(*x, i));
    else
      r.push_back(at(*x, i) == at(*y, i) ? at(*x, i) : Dim());
  }
  c.set_data(0, std::move(r));
}

void where_reference(KernelContext& c) {
  const Tensor &cond = c.in(0), &x = c.in(1), &y = c.in(2);
  check(cond.dtype() == DType::kBool && x.dtype() == y.dtype(), Code::kInvalidModel,
        "Where needs a bool condition and two inputs of one type");
  Tensor& out = c.out(0, x.dtype(), broadcast(cond.dims(), broadcast(x.dims(), y.dims())));
  ref::StridedRuns r = ref::broadcast_runs(out.dims(), {cond.dims(), x.dims(), y.dims()});
  const auto* k = cond.data<uint8_t>();
  while (r.next()) {
    // Copies stretches over which the condition does not change.
    int64_t begin = 0;
    while (begin < r.n()) {
      bool pick = k[r.at(1) + begin * r.step(1)] != 0;
      int64_t end = r.step(1) == 0 ? r.n() : begin + 1;
      while (end < r.n() && (k[r.at(1) + end * r.step(1)] != 0) == pick) ++end;
      size_t s = pick ? 2 : 3;
      ref::copy(out, r.at(0) + begin, 1, pick ? x : y, r.at(s) + begin * r.step(s), r.step(s), end - begin);
      begin = end;
    }
  }
}

// ---------------------------------------------------------------- Clip

// p[0], p[1]: whether a lower and an upper bound are among the operands. The upper bound wins.
template <class T, class L>
void clip_block(const T* const* in, T* out, int64_t n, const double* p, L less) {
  const T* lo = p[0] != 0 ? in[1] : nullptr;
  const T* hi = p[1] != 0 ? in[lo ? 2 : 1] : nullptr;
  for (int64_t i = 0; i < n; ++i) {
    T v = in[0][i];
    if (lo && less(v, lo[i])) v = lo[i];
    if (hi && less(hi[i], v)) v = hi[i];
    out[i] = v;
  }
}
void clip_real(const double* const* in, double* out, int64_t n, const double* p) {
  clip_block(in, out, n, p, [](double a, double b) { return a < b; });
}
void clip_int(const int64_t* const* in, int64_t* out, int64_t n, const double* p) {
  clip_block(in, out, n, p, [](int64_t a, int64_t b) { return a < b; });
}
void clip_uint64(const int64_t* const* in, int64_t* out, int64_t n, const double* p) {
  clip_block(in, out, n, p,
             [](int64_t a, int64_t b) { return static_cast<uint64_t>(a) < static_cast<uint64_t>(b); });
}

void clip_reference(KernelContext& c) {
  std::vector<Tensor> in{c.in(0)};
  double p[2] = {0, 0};
  for (size_t i = 0; i < 2; ++i) {
    const char* name = i == 0 ? "min" : "max";
    if (c.opset() >= 11) {
      const Tensor* b = c.maybe(i + 1);
      if (!b) continue;
      check(b->size() == 1 && b->dtype() == in[0].dtype(), Code::kInvalidModel, "input '", name,
            "' must be a scalar of the type of the first input, it is ", describe(*b));
      in.push_back(b->reshaped({}));
    } else {
      if (!c.node().has_attr(name)) continue;
      Tensor b(in[0].dtype(), {});
      set_double(b, 0, c.node().attr_f(name, 0));
      in.push_back(b);
    }
    p[i] = 1;
  }
  ref::elementwise(c.out(0, in[0].dtype(), in[0].dims()), in, {clip_real, clip_int, clip_uint64}, p);
}

}  // namespace

SKIFF_OP_DEF(ai_onnx, Where) {
  return {.name = "Where",
          .versions = {9, 16},
          .inputs = {{"condition", kBoolType}, {"X", kAllTypes, 'T'}, {"Y", kAllTypes, 'T'}},
          .outputs = {{"output", kAllTypes, 'T'}},
          .infer = infer_where,
          .reference = where_reference,
          .flags = kElementwise};
}

SKIFF_OP_DEF(ai_onnx, Clip) {
  return {.name = "Clip",
          .versions = {1, 6, 11, 12, 13},
          .inputs = {{"input", kNumericTypes, 'T'},
                     {"min", kNumericTypes, 'T', Arity::kOptional},
                     {"max", kNumericTypes, 'T', Arity::kOptional}},
          .outputs = {{"output", kNumericTypes, 'T'}},
          .attributes = {{"min", AttrType::kFloat}, {"max", AttrType::kFloat}},
          .infer = infer_same,
          .reference = clip_reference,
          .flags = kElementwise};
}

}  // namespace skiff
