// LSTM, GRU and RNN in floats: one product over all steps for the inputs, then the cells step by step.
#include <cstring>

#include "device/cpu/glue_util.h"
#include "device/cpu/kernels/gemm/gemm.h"
#include "device/cpu/kernels/rnn/rnn.h"

namespace skiff::cpu {
namespace {

enum class Cell { kRnn, kGru, kLstm };

Cell cell_of(const Node& n) { return n.op == "LSTM" ? Cell::kLstm : n.op == "GRU" ? Cell::kGru : Cell::kRnn; }
int64_t gates_of(Cell c) { return c == Cell::kLstm ? 4 : c == Cell::kGru ? 3 : 1; }
size_t functions_of(Cell c) { return c == Cell::kLstm ? 3 : c == Cell::kGru ? 2 : 1; }

bool same_name(std::string_view a, std::string_view lower) {
  if (a.size() != lower.size()) return false;
  for (size_t i = 0; i < a.size(); ++i)
    if ((a[i] >= 'A' && a[i] <= 'Z' ? static_cast<char>(a[i] - 'A' + 'a') : a[i]) != lower[i]) return false;
  return true;
}

// The activations of every direction, alpha and beta taken from their lists by those that have them; nullopt
// for what the reference will refuse.
std::optional<std::vector<RnnFunction>> functions(const Node& n, Cell cell, int64_t dirs) {
  struct Entry {
    const char* name;
    RnnActivation kind;
    int params;
    float alpha, beta;
  };
  using A = RnnActivation;
  static constexpr Entry kEntries[] = {
      {"relu", A::kRelu, 0, 0, 0},
      {"tanh", A::kTanh, 0, 0, 0},
      {"sigmoid", A::kSigmoid, 0, 0, 0},
      {"softsign", A::kSoftsign, 0, 0, 0},
      {"softplus", A::kSoftplus, 0, 0, 0},
      {"leakyrelu", A::kLeakyRelu, 1, 0.01F, 0},
      {"thresholdedrelu", A::kThresholdedRelu, 1, 1, 0},
      {"elu", A::kElu, 1, 1, 0},
      {"affine", A::kAffine, 2, 1, 0},
      {"scaledtanh", A::kScaledTanh, 2, 1, 1},
      {"hardsigmoid", A::kHardSigmoid, 2, 0.2F, 0.5F},
  };
  const size_t per = functions_of(cell), want = per * static_cast<size_t>(dirs);
  std::vector<std::string> names = n.attr_strings("activations");
  if (names.empty())
    for (size_t i = 0; i < want; ++i)
      names.emplace_back(cell != Cell::kRnn && i % per == 0 ? "sigmoid" : "tanh");
  if (names.size() < want) return std::nullopt;
  std::vector<float> alphas = n.attr_floats("activation_alpha"), betas = n.attr_floats("activation_beta");
  size_t a = 0, b = 0;
  std::vector<RnnFunction> r;
  for (size_t i = 0; i < want; ++i) {
    const Entry* e = nullptr;
    for (const Entry& k : kEntries)
      if (same_name(names[i], k.name)) e = &k;
    if (!e) return std::nullopt;
    RnnFunction f{e->kind, e->alpha, e->beta};
    if (e->params >= 1 && a < alphas.size()) f.alpha = alphas[a++];
    if (e->params >= 2 && b < betas.size()) f.beta = betas[b++];
    r.push_back(f);
  }
  return r;
}

int64_t directions_of(const Node& n) { return n.attr_s("direction", "forward") == "bidirectional" ? 2 : 1; }

// Weights of all directions, packed for the kernels.
struct Weights {
  int64_t dirs = 0, gates = 0, hidden = 0, input = 0;
  size_t w_floats = 0, r_floats = 0;  // of one direction

  Weights() = default;
  Weights(const CpuContext& c, const Dims& w, int64_t g)
      : dirs(w[0]), gates(g), hidden(w[1] / g), input(w[2]) {
    w_floats = align_up(c.k->gemm->packed_b_bytes(input, g * hidden)) / sizeof(float);
    r_floats = align_up(rnn_packed_bytes(g, hidden)) / sizeof(float);
  }
  size_t floats() const { return (w_floats + r_floats) * static_cast<size_t>(dirs); }
  const float* w(const float* packed, int64_t d) const {
    return packed + static_cast<size_t>(d) * (w_floats + r_floats);
  }
  const float* r(const float* packed, int64_t d) const { return w(packed, d) + w_floats; }
  void pack(const CpuContext& c, const float* w, const float* r, float* packed) const {
    const int64_t n = gates * hidden;
    for (int64_t d = 0; d < dirs; ++d) {
      float* to = packed + static_cast<size_t>(d) * (w_floats + r_floats);
      c.k->gemm->pack_b(input, n, w + d * n * input, input, true, to);
      c.k->rnn->pack(r + d * n * hidden, gates, hidden, to + w_floats, 0, rnn_panels(hidden));
    }
  }
};

struct BoundRnn : BoundKernel {
  const CpuContext* c = nullptr;
  Cell cell{};
  Weights weights;
  Tensor packed;  // undefined: packed by every run
  std::vector<RnnFunction> acts;
  int64_t seq = 0, batch = 0;
  bool batch_first = false, reverse = false, linear = false, coupled = false;
  float clip = 0;
  TaskGrid grid;
  Work panels;
  // Places in the workspace.
  size_t packed_at = 0, bias_at = 0, xw_at = 0, h_at[2] = {}, cell_at = 0, scratch_at = 0, bytes = 0;

  size_t workspace() const override { return bytes; }

  void run(const RunArgs& a) override {
    auto* ws = static_cast<char*>(a.workspace);
    const auto place = [ws](size_t at) { return reinterpret_cast<float*>(ws + at); };
    const float* pack = packed.defined() ? packed.data<float>() : place(packed_at);
    if (!packed.defined()) weights.pack(*c, in_floats(a, 1), in_floats(a, 2), place(packed_at));
    for (int64_t d = 0; d < weights.dirs; ++d) direction(a, place, pack, d);
  }

 private:
  static float* maybe_out(const RunArgs& a, size_t i) {
    return i < a.out.size() && a.out[i] ? out_floats(a, i) : nullptr;
  }
  // Row b of direction d in a state tensor.
  int64_t state_row(int64_t d, int64_t b) const {
    return (batch_first ? b * weights.dirs + d : d * batch + b) * weights.hidden;
  }

  // What is added to the product of one direction: both biases, but for the recurrent one inside the reset
  // gate.
  const float* bias_of(const RunArgs& a, float* to, int64_t d) const {
    const float* b = maybe_floats(a, 3);
    if (!b) return nullptr;
    const int64_t n = weights.gates * weights.hidden;
    b += d * 2 * n;
    const int64_t both = cell == Cell::kGru && linear ? 2 * weights.hidden : n;
    for (int64_t i = 0; i < n; ++i) to[i] = b[i] + (i < both ? b[n + i] : 0);
    return to;
  }

  template <class Place>
  void direction(const RunArgs& a, const Place& place, const float* pack, int64_t d) {
    const int64_t h = weights.hidden, n = weights.gates * h;
    const bool backward = d == 1 || reverse;
    float* xw = place(xw_at);
    GemmArgs g;
    g.m = seq * batch;
    g.n = n;
    g.k = weights.input;
    g.a = in_floats(a, 0);
    g.a_row_stride = g.k;
    g.b = weights.w(pack, d);
    g.c = xw;
    g.ldc = n;
    g.epilogue.bias = bias_of(a, place(bias_at), d);
    each(*c, {grid.tasks(), 1}, [&](int64_t begin, int64_t end) {
      for (int64_t t = begin; t < end; ++t) {
        const int64_t m0 = t / grid.n_tasks * grid.m_step, n0 = t % grid.n_tasks * grid.n_step;
        c->k->gemm->run(g, m0, std::min(m0 + grid.m_step, g.m), n0, std::min(n0 + grid.n_step, g.n));
      }
    });
    // States: h in two buffers taken in turn, or in Y; c in place.
    float *h_now = place(h_at[0]), *h_next = place(h_at[1]), *state = place(cell_at);
    load_state(maybe_floats(a, 5), h_now, d);
    if (cell == Cell::kLstm) load_state(maybe_floats(a, 6), state, d);
    float* y = maybe_out(a, 0);
    const float* h_in = h_now;
    int64_t h_stride = h;
    for (int64_t k = 0; k < seq; ++k) {
      const int64_t t = backward ? seq - 1 - k : k;
      RnnStep s{};
      s.batch = batch;
      s.hidden = h;
      s.xw = xw + (batch_first ? t : t * batch) * n;
      s.xw_stride = batch_first ? seq * n : n;
      s.packed_r = weights.r(pack, d);
      s.h_in = h_in;
      s.h_in_stride = h_stride;
      s.clip = clip;
      if (y) {
        s.h_out = y + (batch_first ? t * weights.dirs + d : (t * weights.dirs + d) * batch) * h;
        s.h_out_stride = batch_first ? seq * weights.dirs * h : h;
      } else {
        s.h_out = h_in == h_now ? h_next : h_now;
        s.h_out_stride = h;
      }
      step(a, s, state, place, d);
      h_in = s.h_out;
      h_stride = s.h_out_stride;
    }
    if (float* yh = maybe_out(a, 1)) store_state(h_in, h_stride, yh, d);
    if (float* yc = cell == Cell::kLstm ? maybe_out(a, 2) : nullptr) store_state(state, h, yc, d);
  }

  template <class Place>
  void step(const RunArgs& a, const RnnStep& s, float* state, const Place& place, int64_t d) {
    const RnnFunction* f = acts.data() + static_cast<size_t>(d) * functions_of(cell);
    const RnnKernels& k = *c->k->rnn;
    if (cell == Cell::kLstm) {
      LstmParams p{s, state, state, maybe_floats(a, 7), f[0], f[1], f[2], coupled};
      if (p.peephole) p.peephole += d * 3 * s.hidden;
      each(*c, panels, [&](int64_t b, int64_t e) { k.lstm(p, b, e); });
    } else if (cell == Cell::kGru) {
      const float* bias = linear ? maybe_floats(a, 3) : nullptr;
      if (bias) bias += (d * 2 + 1) * 3 * s.hidden + 2 * s.hidden;
      GruParams p{s, bias, place(scratch_at), f[0], f[1], linear};
      each(*c, panels, [&](int64_t b, int64_t e) { k.gru_gates(p, b, e); });
      each(*c, panels, [&](int64_t b, int64_t e) { k.gru_state(p, b, e); });
    } else {
      RnnParams p{s, f[0]};
      each(*c, panels, [&](int64_t b, int64_t e) { k.rnn(p, b, e); });
    }
  }

  void load_state(const float* from, float* to, int64_t d) const {
    const auto row = static_cast<size_t>(weights.hidden) * sizeof(float);
    for (int64_t b = 0; b < batch; ++b) {
      if (from)
        std::memcpy(to + b * weights.hidden, from + state_row(d, b), row);
      else
        std::memset(to + b * weights.hidden, 0, row);
    }
  }
  void store_state(const float* from, int64_t stride, float* to, int64_t d) const {
    const auto row = static_cast<size_t>(weights.hidden) * sizeof(float);
    for (int64_t b = 0; b < batch; ++b) std::memcpy(to + state_row(d, b), from + b * stride, row);
  }
};

class RnnKernel : public Kernel {
 public:
  RnnKernel(const NodeQuery& q, const CpuContext& c) : node_(q.node), c_(c), cell_(cell_of(q.node)) {
    const Tensor *w = q.constant(1), *r = q.constant(2);
    if (!w || !r) return;
    weights_ = Weights(c, w->dims(), gates_of(cell_));
    packed_ = Tensor(DType::kFloat, {static_cast<int64_t>(weights_.floats())});
    weights_.pack(c, w->data<float>(), r->data<float>(), packed_.data<float>());
  }
  std::string_view name() const override { return "rnn_f32"; }
  bool consumes(size_t i) const override { return (i == 1 || i == 2) && packed_.defined(); }
  size_t packed_bytes() const override { return packed_.defined() ? packed_.bytes() : 0; }

  std::unique_ptr<BoundKernel> bind(std::span<const TensorDesc> in, std::span<const TensorDesc>) override {
    auto b = std::make_unique<BoundRnn>();
    b->c = &c_;
    b->cell = cell_;
    b->batch_first = node_.attr_i("layout", 0) == 1;
    b->reverse = node_.attr_s("direction", "forward") == "reverse";
    b->linear = node_.attr_i("linear_before_reset", 0) != 0;
    b->coupled = node_.attr_i("input_forget", 0) != 0;
    b->clip = node_.has_attr("clip") ? node_.attr_f("clip", 0) : 0;
    b->packed = packed_;
    b->weights = packed_.defined() ? weights_ : Weights(c_, in[1].dims, gates_of(cell_));
    const Weights& w = b->weights;
    check(in[0].dims.size() == 3, Code::kInvalidModel, "X needs rank 3, it is ", to_string(in[0].dims));
    b->seq = in[0].dims[b->batch_first ? 1 : 0];
    b->batch = in[0].dims[b->batch_first ? 0 : 1];
    check_operands(*b, in);
    b->acts = functions(node_, cell_, directions_of(node_)).value();
    const auto reserve = [&b](int64_t floats) {
      const size_t at = b->bytes;
      b->bytes += align_up(static_cast<size_t>(floats) * sizeof(float));
      return at;
    };
    const int64_t n = w.gates * w.hidden;
    if (!packed_.defined()) b->packed_at = reserve(static_cast<int64_t>(w.floats()));
    b->bias_at = reserve(n);
    b->xw_at = reserve(b->seq * b->batch * n);
    for (size_t& at : b->h_at) at = reserve(b->batch * w.hidden);
    if (cell_ == Cell::kLstm) b->cell_at = reserve(b->batch * w.hidden);
    if (cell_ == Cell::kGru)
      b->scratch_at = reserve(static_cast<int64_t>(gru_scratch_bytes(b->batch, w.hidden) / sizeof(float)));
    if (b->seq * b->batch > 0) b->grid = c_.k->gemm->plan(b->seq * b->batch, n, w.input, c_.pool->threads());
    const double step = 2.0 * static_cast<double>(b->batch) * static_cast<double>(n) *
                        static_cast<double>(w.hidden) / (c_.flops * 0.3);
    b->panels = divide(c_, rnn_panels(w.hidden), step);
    return b;
  }

 private:
  void check_operands(const BoundRnn& b, std::span<const TensorDesc> in) const {
    const Weights& w = b.weights;
    const int64_t n = w.gates * w.hidden;
    const Dims state = b.batch_first ? Dims{b.batch, w.dirs, w.hidden} : Dims{w.dirs, b.batch, w.hidden};
    const auto expect = [&](size_t i, const Dims& d) {
      check(i >= in.size() || in[i].dtype == DType::kUndefined || in[i].dims == d, Code::kInvalidModel,
            node_.label(), ": input ", i, " must have shape ", to_string(d));
    };
    check(in[0].dims.size() == 3 && in[0].dims[2] == w.input, Code::kInvalidModel, node_.label(),
          ": X has shape ", to_string(in[0].dims), ", W is for ", w.input, " features");
    if (!packed_.defined()) {
      expect(1, {w.dirs, n, w.input});
      expect(2, {w.dirs, n, w.hidden});
    }
    expect(3, {w.dirs, 2 * n});
    expect(5, state);
    if (cell_ == Cell::kLstm) {
      expect(6, state);
      expect(7, {w.dirs, 3 * w.hidden});
    }
  }

  const Node node_;  // a copy: kernels outlive graph edits
  const CpuContext& c_;
  Cell cell_;
  Weights weights_;
  Tensor packed_;
};

std::optional<double> match_rnn(const NodeQuery& q, const CpuContext& c) {
  if (q.in.size() < 3 || !q.in[0] || !q.in[1] || !q.in[2]) return std::nullopt;
  // Sequences of different lengths are the reference's.
  if (q.in.size() > 4 && q.in[4]) return std::nullopt;
  for (const Type* t : q.in)
    if (t && (!t->is_tensor() || t->dtype != DType::kFloat)) return std::nullopt;
  // X has rank 3 whatever is known of it; the weights must be known.
  if (in_rank(q, 0) >= 0 && in_rank(q, 0) != 3) return std::nullopt;
  if (in_rank(q, 1) != 3 || in_rank(q, 2) != 3) return std::nullopt;
  const Cell cell = cell_of(q.node);
  const int64_t dirs = directions_of(q.node);
  // [dirs, gates * hidden, ...]: the weights must be whole, and their shapes known.
  const SymShape &w = q.in[1]->shape, &r = q.in[2]->shape;
  for (size_t i = 0; i < 3; ++i)
    if (!w[i].is_const() || !r[i].is_const() || w[i].value() < 1 || r[i].value() < 1) return std::nullopt;
  const int64_t hidden = r[2].value();
  if (w[0].value() != dirs || r[0].value() != dirs || w[1].value() != gates_of(cell) * hidden ||
      r[1].value() != w[1].value() || q.node.attr_i("hidden_size", hidden) != hidden)
    return std::nullopt;
  if (!functions(q.node, cell, dirs)) return std::nullopt;
  return c.estimate(node_cost(q), 0.3);
}

constexpr KernelFactory rnn(const char* op) {
  return {"", op, "rnn_f32", match_rnn,
          [](const NodeQuery& q, const CpuContext& c) -> std::unique_ptr<Kernel> {
            return std::make_unique<RnnKernel>(q, c);
          }};
}

}  // namespace

std::span<const KernelFactory> rnn_factories() {
  static const KernelFactory list[] = {rnn("GRU"), rnn("LSTM"), rnn("RNN")};
  return list;
}

}  // namespace skiff::cpu
