#include "device/cpu/kernels/rnn/rnn.h"

#include <algorithm>

#include "unit/device/kernel_test.h"

using namespace skiff::cpu;

namespace {

double call(const RnnFunction& f, double x) {
  const double a = f.alpha, b = f.beta;
  switch (f.kind) {
    case RnnActivation::kSigmoid: return 1 / (1 + std::exp(-x));
    case RnnActivation::kTanh: return std::tanh(x);
    case RnnActivation::kRelu: return std::max(0.0, x);
    case RnnActivation::kAffine: return a * x + b;
    case RnnActivation::kLeakyRelu: return x < 0 ? a * x : x;
    case RnnActivation::kThresholdedRelu: return x > a ? x : 0;
    case RnnActivation::kScaledTanh: return a * std::tanh(b * x);
    case RnnActivation::kHardSigmoid: return std::clamp(a * x + b, 0.0, 1.0);
    case RnnActivation::kElu: return x < 0 ? a * std::expm1(x) : x;
    case RnnActivation::kSoftsign: return x / (1 + std::abs(x));
    default: return std::log1p(std::exp(x));
  }
}

const RnnFunction kSig{RnnActivation::kSigmoid, 0, 0}, kTan{RnnActivation::kTanh, 0, 0};

struct Data {
  int64_t batch, hidden, gates;
  std::vector<float> xw, r, h, c, peep, bias;
  Data(int64_t b, int64_t n, int64_t g, uint64_t seed) : batch(b), hidden(n), gates(g) {
    Rng rng(seed);
    xw = rng.floats(b * (g * n + 3), -2, 2);  // rows 3 apart from dense
    r = rng.floats(g * n * n, -0.3f, 0.3f);
    h = rng.floats(b * (n + 1));
    c = rng.floats(b * n);
    peep = rng.floats(3 * n);
    bias = rng.floats(n);
  }
  double clip = 0;
  double input(int64_t b, int64_t g, int64_t j) const {
    return xw[b * (gates * hidden + 3) + g * hidden + j];
  }
  double state(int64_t b, int64_t j) const { return h[b * (hidden + 1) + j]; }
  double recurrent(int64_t g, int64_t j, int64_t k) const { return r[(g * hidden + j) * hidden + k]; }
  double dot(int64_t b, int64_t g, int64_t j) const {
    double s = 0;
    for (int64_t k = 0; k < hidden; ++k) s += state(b, k) * recurrent(g, j, k);
    return s;
  }
  double clipped(double x) const { return clip > 0 ? std::clamp(x, -clip, clip) : x; }
  RnnStep step(const KernelTables& k, std::vector<float>& packed, float* out) const {
    packed.assign(rnn_packed_bytes(gates, hidden) / sizeof(float), kNan);
    k.rnn->pack(r.data(), gates, hidden, packed.data(), 0, rnn_panels(hidden));
    return {batch,    hidden,     xw.data(), gates * hidden + 3, packed.data(),
            h.data(), hidden + 1, out,       hidden + 2,         static_cast<float>(clip)};
  }
  // Output rows stand hidden + 2 apart; what lies between must stay.
  std::vector<float> dense(const std::vector<float>& out) const {
    std::vector<float> v;
    for (int64_t b = 0; b < batch; ++b) {
      v.insert(v.end(), out.begin() + b * (hidden + 2), out.begin() + b * (hidden + 2) + hidden);
      CHECK(out[static_cast<size_t>(b * (hidden + 2) + hidden)] == 66);
    }
    return v;
  }
  std::vector<float> output() const {
    return std::vector<float>(static_cast<size_t>(batch * (hidden + 2)), 66);
  }
};

}  // namespace

TEST_CASE("LSTM step: batches, tails, peepholes, clip, coupled gates, all activations") {
  for (int64_t batch : {1, 2, 5, 9})
    for (int64_t hidden : {1, 7, 16, 33, 130})
      for (int mode = 0; mode < 11; ++mode) {
        Data d(batch, hidden, 4, static_cast<uint64_t>(mode + hidden));
        d.clip = mode == 3 ? 0.5 : 0;
        const bool peep = mode == 1, coupled = mode == 2;
        const RnnFunction f = mode == 4 ? RnnFunction{RnnActivation::kHardSigmoid, 0.2f, 0.5f} : kSig;
        const RnnFunction g = mode < 4 ? kTan : RnnFunction{static_cast<RnnActivation>(mode), 0.7f, 0.4f};
        const RnnFunction h =
            mode < 4 ? kTan : RnnFunction{static_cast<RnnActivation>(14 - mode), 0.5f, 0.3f};
        std::vector<double> want_c, want_h;
        for (int64_t b = 0; b < batch; ++b)
          for (int64_t j = 0; j < hidden; ++j) {
            double a[4];
            for (int q = 0; q < 4; ++q) a[q] = d.input(b, q, j) + d.dot(b, q, j);
            const double c = d.c[b * hidden + j];
            if (peep) a[0] += d.peep[j] * c, a[2] += d.peep[2 * hidden + j] * c;
            const double i = call(f, d.clipped(a[0])), fg = coupled ? 1 - i : call(f, d.clipped(a[2]));
            const double next = fg * c + i * call(g, d.clipped(a[3]));
            if (peep) a[1] += d.peep[hidden + j] * next;
            want_c.push_back(next);
            want_h.push_back(call(f, d.clipped(a[1])) * call(h, d.clipped(next)));
          }
        for_each_isa([&](const KernelTables& k) {
          std::vector<float> packed, out = d.output(), c = d.c;  // c in place
          LstmParams p{d.step(k, packed, out.data()),
                       c.data(),
                       c.data(),
                       peep ? d.peep.data() : nullptr,
                       f,
                       g,
                       h,
                       coupled};
          in_pieces(rnn_panels(hidden), 2, [&](int64_t from, int64_t to) { k.rnn->lstm(p, from, to); });
          CAPTURE(mode);
          CHECK(worst(c, want_c, 1.0) < 5e-6);
          CHECK(worst(d.dense(out), want_h, 1.0) < 5e-6);
        });
      }
}

TEST_CASE("GRU step: reset before and after the product, recurrent bias, clip") {
  for (int64_t batch : {1, 3, 8})
    for (int64_t hidden : {1, 15, 16, 50, 129})
      for (int mode = 0; mode < 5; ++mode) {
        Data d(batch, hidden, 3, static_cast<uint64_t>(mode + hidden));
        const bool after = mode & 1, bias = mode == 3;
        d.clip = mode == 4 ? 0.4 : 0;
        std::vector<double> want;
        const auto gate = [&](int64_t b, int64_t g, int64_t j) {
          return call(kSig, d.clipped(d.input(b, g, j) + d.dot(b, g, j)));
        };
        for (int64_t b = 0; b < batch; ++b) {
          std::vector<double> reset;
          for (int64_t j = 0; j < hidden; ++j) reset.push_back(gate(b, 1, j));
          for (int64_t j = 0; j < hidden; ++j) {
            double s = 0;
            if (after) {
              s = reset[j] * (d.dot(b, 2, j) + (bias ? d.bias[j] : 0.0f));
            } else {
              for (int64_t k = 0; k < hidden; ++k) s += reset[k] * d.state(b, k) * d.recurrent(2, j, k);
            }
            const double candidate = call(kTan, d.clipped(d.input(b, 2, j) + s)), z = gate(b, 0, j);
            want.push_back((1 - z) * candidate + z * d.state(b, j));
          }
        }
        for_each_isa([&](const KernelTables& k) {
          std::vector<float> packed, out = d.output();
          std::vector<float> scratch(gru_scratch_bytes(batch, hidden) / sizeof(float));
          GruParams p{d.step(k, packed, out.data()),
                      bias ? d.bias.data() : nullptr,
                      scratch.data(),
                      kSig,
                      kTan,
                      after};
          in_pieces(rnn_panels(hidden), 2, [&](int64_t from, int64_t to) { k.rnn->gru_gates(p, from, to); });
          in_pieces(rnn_panels(hidden), 3, [&](int64_t from, int64_t to) { k.rnn->gru_state(p, from, to); });
          CHECK(worst(d.dense(out), want, 1.0) < 5e-6);
        });
      }
}

TEST_CASE("RNN step") {
  for (int64_t batch : {1, 6})
    for (int64_t hidden : {3, 16, 70}) {
      const Data d(batch, hidden, 1, 9);
      std::vector<double> want;
      for (int64_t b = 0; b < batch; ++b)
        for (int64_t j = 0; j < hidden; ++j) want.push_back(std::tanh(d.input(b, 0, j) + d.dot(b, 0, j)));
      for_each_isa([&](const KernelTables& k) {
        std::vector<float> packed, out = d.output();
        const RnnParams p{d.step(k, packed, out.data()), kTan};
        k.rnn->rnn(p, 0, rnn_panels(hidden));
        CHECK(worst(d.dense(out), want, 1.0) < 5e-6);
      });
    }
}
