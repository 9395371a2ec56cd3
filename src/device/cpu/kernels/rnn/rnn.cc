#include "device/cpu/kernels/rnn/rnn.h"

#include "device/cpu/kernels/elementwise/functions.h"

namespace skiff::cpu::SKIFF_ISA {
namespace {

constexpr int kVectors = static_cast<int>(kRnnPanel) / kLanes;  // of one gate in a panel

SKIFF_NOINLINE vf activate(const RnnFunction& f, vf x) {
  switch (f.kind) {
    case RnnActivation::kSigmoid: return sigmoid(x);
    case RnnActivation::kTanh: return tanh(x);
    case RnnActivation::kRelu: return apply<UnaryOp::kRelu>(x, 0, 0);
    case RnnActivation::kAffine: return apply<UnaryOp::kScaleShift>(x, f.alpha, f.beta);
    case RnnActivation::kLeakyRelu: return apply<UnaryOp::kLeakyRelu>(x, f.alpha, 0);
    case RnnActivation::kThresholdedRelu: return apply<UnaryOp::kThresholdedRelu>(x, f.alpha, 0);
    case RnnActivation::kScaledTanh: return f.alpha * tanh(x * f.beta);
    case RnnActivation::kHardSigmoid: return apply<UnaryOp::kHardSigmoid>(x, f.alpha, f.beta);
    case RnnActivation::kElu: return apply<UnaryOp::kElu>(x, f.alpha, 0);
    case RnnActivation::kSoftsign: return apply<UnaryOp::kSoftsign>(x, 0, 0);
    default: return apply<UnaryOp::kSoftplus>(x, 0, 0);
  }
}

SKIFF_INLINE vf clipped(vf x, float clip) { return clip > 0 ? at_most(at_least(x, -clip), clip) : x; }

void pack(const float* r, int64_t gates, int64_t hidden, float* packed, int64_t begin, int64_t end) {
  for (int64_t panel = begin; panel < end; ++panel) {
    float* to = packed + panel * hidden * gates * kRnnPanel;
    for (int64_t k = 0; k < hidden; ++k)
      for (int64_t g = 0; g < gates; ++g)
        for (int64_t l = 0; l < kRnnPanel; ++l) {
          const int64_t unit = panel * kRnnPanel + l;
          *to++ = unit < hidden ? r[(g * hidden + unit) * hidden + k] : 0.0f;
        }
  }
}

// acc[b][g * kVectors + v] = sum over k of h[b][k] * R for gates [kFirst, kFirst + kGates) of kAll in one
// panel.
template <int kAll, int kFirst, int kGates, int kBatch>
SKIFF_INLINE void multiply(const float* packed, const float* h, int64_t h_stride, int64_t hidden,
                           vf (*acc)[kGates * kVectors]) {
  for (int b = 0; b < kBatch; ++b)
    for (int v = 0; v < kGates * kVectors; ++v) acc[b][v] = vf{};
  for (int64_t k = 0; k < hidden; ++k, packed += kAll * kRnnPanel) {
    SKIFF_UNROLL for (int v = 0; v < kGates * kVectors; ++v) {
      const vf w = load(packed + kFirst * kRnnPanel + v * kLanes);
      SKIFF_UNROLL for (int b = 0; b < kBatch; ++b) acc[b][v] = fma(splat(h[b * h_stride + k]), w, acc[b][v]);
    }
  }
}

// Rows of a batch that share one pass over the weights, as registers allow.
#if defined(__AVX512F__)
constexpr int kRows = 4;
#else
constexpr int kRows = 1;
#endif

// For every panel and row: products of the gates, then f(row, unit, m lanes, acc of gate 0 .. at this
// vector).
template <int kAll, int kFirst, int kGates, class F>
SKIFF_INLINE void each_unit(const RnnStep& s, const float* h, int64_t h_stride, int64_t begin, int64_t end,
                            F f) {
  for (int64_t panel = begin; panel < end; ++panel) {
    const float* packed = s.packed_r + panel * s.hidden * kAll * kRnnPanel;
    const auto finish = [&](int64_t row, const vf* acc) {
      for (int v = 0; v < kVectors; ++v) {
        const int64_t unit = panel * kRnnPanel + v * kLanes;
        if (unit >= s.hidden) break;
        vf gates[kGates];
        for (int g = 0; g < kGates; ++g) gates[g] = acc[g * kVectors + v];
        f(row, unit, s.hidden - unit < kLanes ? static_cast<int>(s.hidden - unit) : kLanes, gates);
      }
    };
    int64_t row = 0;
    if constexpr (kRows > 1) {
      for (; row + kRows <= s.batch; row += kRows) {
        vf acc[kRows][kGates * kVectors];
        multiply<kAll, kFirst, kGates, kRows>(packed, h + row * h_stride, h_stride, s.hidden, acc);
        for (int b = 0; b < kRows; ++b) finish(row + b, acc[b]);
      }
    }
    for (; row < s.batch; ++row) {
      vf acc[1][kGates * kVectors];
      multiply<kAll, kFirst, kGates, 1>(packed, h + row * h_stride, h_stride, s.hidden, acc);
      finish(row, acc[0]);
    }
  }
}

void lstm(const LstmParams& p, int64_t begin, int64_t end) {
  const RnnStep& s = p.step;
  each_unit<4, 0, 4>(
      s, s.h_in, s.h_in_stride, begin, end, [&](int64_t row, int64_t unit, int m, const vf* a) {
        const float* xw = s.xw + row * s.xw_stride + unit;
        const int64_t at = row * s.hidden + unit;
        const vf c = load_n(p.c_in + at, m);
        vf i = a[0] + load_n(xw, m), o = a[1] + load_n(xw + s.hidden, m);
        vf f = a[2] + load_n(xw + 2 * s.hidden, m), g = a[3] + load_n(xw + 3 * s.hidden, m);
        const float* peep = p.peephole ? p.peephole + unit : nullptr;
        if (peep) {
          i = fma(load_n(peep, m), c, i);
          f = fma(load_n(peep + 2 * s.hidden, m), c, f);
        }
        i = activate(p.f, clipped(i, s.clip));
        f = p.input_forget ? 1.0f - i : activate(p.f, clipped(f, s.clip));
        g = activate(p.g, clipped(g, s.clip));
        const vf next = fma(f, c, i * g);
        if (peep) o = fma(load_n(peep + s.hidden, m), next, o);
        o = activate(p.f, clipped(o, s.clip));
        store_n(p.c_out + at, next, m);
        store_n(s.h_out + row * s.h_out_stride + unit, o * activate(p.h, clipped(next, s.clip)), m);
      });
}

SKIFF_INLINE vf blend_state(vf z, vf candidate, vf h) { return fma(z, h - candidate, candidate); }

void gru_gates(const GruParams& p, int64_t begin, int64_t end) {
  const RnnStep& s = p.step;
  if (p.linear_before_reset) {
    each_unit<3, 0, 3>(
        s, s.h_in, s.h_in_stride, begin, end, [&](int64_t row, int64_t unit, int m, const vf* a) {
          const float* xw = s.xw + row * s.xw_stride + unit;
          const vf z = activate(p.f, clipped(a[0] + load_n(xw, m), s.clip));
          const vf r = activate(p.f, clipped(a[1] + load_n(xw + s.hidden, m), s.clip));
          vf hr = a[2];
          if (p.recurrent_bias_h) hr += load_n(p.recurrent_bias_h + unit, m);
          const vf candidate = activate(p.g, clipped(fma(r, hr, load_n(xw + 2 * s.hidden, m)), s.clip));
          const vf h = load_n(s.h_in + row * s.h_in_stride + unit, m);
          store_n(s.h_out + row * s.h_out_stride + unit, blend_state(z, candidate, h), m);
        });
    return;
  }
  float* reset = p.scratch + s.batch * s.hidden;
  each_unit<3, 0, 2>(s, s.h_in, s.h_in_stride, begin, end,
                     [&](int64_t row, int64_t unit, int m, const vf* a) {
                       const float* xw = s.xw + row * s.xw_stride + unit;
                       const int64_t at = row * s.hidden + unit;
                       const vf r = activate(p.f, clipped(a[1] + load_n(xw + s.hidden, m), s.clip));
                       store_n(p.scratch + at, activate(p.f, clipped(a[0] + load_n(xw, m), s.clip)), m);
                       store_n(reset + at, r * load_n(s.h_in + row * s.h_in_stride + unit, m), m);
                     });
}

void gru_state(const GruParams& p, int64_t begin, int64_t end) {
  if (p.linear_before_reset) return;
  const RnnStep& s = p.step;
  const float* reset = p.scratch + s.batch * s.hidden;
  each_unit<3, 2, 1>(s, reset, s.hidden, begin, end, [&](int64_t row, int64_t unit, int m, const vf* a) {
    const vf x = load_n(s.xw + row * s.xw_stride + 2 * s.hidden + unit, m);
    const vf candidate = activate(p.g, clipped(a[0] + x, s.clip));
    const vf z = load_n(p.scratch + row * s.hidden + unit, m),
             h = load_n(s.h_in + row * s.h_in_stride + unit, m);
    store_n(s.h_out + row * s.h_out_stride + unit, blend_state(z, candidate, h), m);
  });
}

void rnn(const RnnParams& p, int64_t begin, int64_t end) {
  const RnnStep& s = p.step;
  each_unit<1, 0, 1>(s, s.h_in, s.h_in_stride, begin, end,
                     [&](int64_t row, int64_t unit, int m, const vf* a) {
                       const vf x = a[0] + load_n(s.xw + row * s.xw_stride + unit, m);
                       store_n(s.h_out + row * s.h_out_stride + unit, activate(p.f, clipped(x, s.clip)), m);
                     });
}

}  // namespace

extern const RnnKernels rnn_kernels;
const RnnKernels rnn_kernels = {pack, lstm, gru_gates, gru_state, rnn};

}  // namespace skiff::cpu::SKIFF_ISA
