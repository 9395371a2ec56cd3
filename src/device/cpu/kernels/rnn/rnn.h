// One time step of LSTM, GRU and RNN cells in fp32 (ONNX LSTM, GRU, RNN). The input products X*W^T + Wb + Rb
// come precomputed, from one GEMM over the whole sequence; the kernels add H*R^T, apply the activations and
// update the state. Directions and sequence lengths are the caller's.
#pragma once
#include <stddef.h>
#include <stdint.h>

namespace skiff::cpu {

enum class RnnActivation : uint8_t {
  kSigmoid,
  kTanh,
  kRelu,
  kAffine,           // alpha x + beta
  kLeakyRelu,        // alpha
  kThresholdedRelu,  // alpha
  kScaledTanh,       // alpha tanh(beta x)
  kHardSigmoid,      // alpha, beta
  kElu,              // alpha
  kSoftsign,
  kSoftplus,
};
struct RnnFunction {
  RnnActivation kind;
  float alpha, beta;
};

// Hidden units are worked on in panels of kRnnPanel. Recurrent weights [gates * hidden, hidden] (row g*hidden
// + j: gate g of unit j) are packed as [panel][k][gate][kRnnPanel], missing units 0.
inline constexpr int64_t kRnnPanel = 16;
static inline int64_t rnn_panels(int64_t hidden) { return (hidden + kRnnPanel - 1) / kRnnPanel; }
static inline size_t rnn_packed_bytes(int64_t gates, int64_t hidden) {
  return static_cast<size_t>(rnn_panels(hidden) * hidden * gates * kRnnPanel) * sizeof(float);
}

// Shared by the cells. Units: rnn_panels(hidden). h_out must not be h_in. Every row of a batch is one item;
// row b of xw starts at xw + b * xw_stride, and so on.
struct RnnStep {
  int64_t batch, hidden;
  const float* xw;  // [batch][gates * hidden], biases included
  int64_t xw_stride;
  const float* packed_r;
  const float* h_in;  // [batch][hidden]
  int64_t h_in_stride;
  float* h_out;  // [batch][hidden]
  int64_t h_out_stride;
  float clip;  // > 0: activation inputs are clipped to [-clip, clip]
};

// Gates i, o, f, c. c_out = f * c_in + i * g(c~), h_out = o * h(c_out).
struct LstmParams {
  RnnStep step;
  const float* c_in;      // [batch][hidden], dense
  float* c_out;           // may be c_in
  const float* peephole;  // null, or [3 * hidden] for i, o, f
  RnnFunction f, g, h;    // Sigmoid, Tanh, Tanh unless the model says otherwise
  bool input_forget;      // f = 1 - i
};

// Gates z, r, h. h_out = (1 - z) * h~ + z * h_in. One step is two calls with a barrier between them:
//  gru_gates: computes z and, in scratch, r * h_in (or with linear_before_reset h~ itself, and h_out:
//  gru_state then does nothing). gru_state: h~ from scratch, then h_out.
struct GruParams {
  RnnStep step;
  // With linear_before_reset: null or [hidden], the recurrent bias of gate h. It is then inside the product
  // with r and must be left out of xw.
  const float* recurrent_bias_h;
  float* scratch;    // gru_scratch_bytes, shared by all threads
  RnnFunction f, g;  // Sigmoid, Tanh
  bool linear_before_reset;
};
static inline size_t gru_scratch_bytes(int64_t batch, int64_t hidden) {
  return static_cast<size_t>(2 * batch * hidden) * sizeof(float);
}

struct RnnParams {
  RnnStep step;
  RnnFunction f;  // Tanh
};

struct RnnKernels {
  // Panels [begin, end) of rnn_panels(hidden). gates: 4 LSTM, 3 GRU, 1 RNN.
  void (*pack)(const float* r, int64_t gates, int64_t hidden, float* packed, int64_t begin, int64_t end);
  void (*lstm)(const LstmParams& p, int64_t begin, int64_t end);
  void (*gru_gates)(const GruParams& p, int64_t begin, int64_t end);
  void (*gru_state)(const GruParams& p, int64_t begin, int64_t end);
  void (*rnn)(const RnnParams& p, int64_t begin, int64_t end);
};

}  // namespace skiff::cpu
