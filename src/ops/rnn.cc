// Recurrent layers: RNN, GRU, LSTM, and com.microsoft's DynamicQuantizeLSTM.
#include <algorithm>
#include <cctype>
#include <cmath>

#include "ops/delegate.h"
#include "ops/real_view.h"

namespace skiff {
namespace {

// ---------------------------------------------------------------- shapes

int64_t directions_of(const Node& n) {
  std::string d = n.attr_s("direction", "forward");
  if (d == "bidirectional") return 2;
  check(d == "forward" || d == "reverse", Code::kInvalidModel, "direction '", d, "' is not known");
  return 1;
}

int64_t gates_of(const Node& n) { return n.op == "LSTM" ? 4 : n.op == "GRU" ? 3 : 1; }
bool batch_first(const Node& n) { return n.attr_i("layout", 0) == 1; }

void infer_rnn(InferContext& c) {
  const Node& n = c.node();
  for (size_t i = 0; i < 3; ++i) c.expect_rank(i, 3);
  int64_t dirs = directions_of(n), gates = gates_of(n);
  Dim hidden, seq, batch;
  if (n.has_attr("hidden_size"))
    hidden = n.attr_i("hidden_size", 0);
  else if (c.has_rank(2))
    hidden = c.shape(2)[2];
  if (c.has_rank(0)) {
    seq = c.shape(0)[batch_first(n) ? 1 : 0];
    batch = c.shape(0)[batch_first(n) ? 0 : 1];
  }
  if (c.has_rank(2) && hidden.is_const()) {
    const SymShape& r = c.shape(2);
    if ((r[0].is_const() && !r[0].is(dirs)) || (r[2].is_const() && !(r[2] == hidden)) ||
        (r[1].is_const() && !(r[1] == hidden * Dim(gates))))
      fail(Code::kInvalidModel, "R must be [", dirs, ", ", gates,
           " * hidden, hidden] with hidden = ", hidden.value(), ", it has shape ", r.to_string());
  }
  if (c.has_rank(0) && c.has_rank(1) && c.shape(0)[2].is_const() && c.shape(1)[2].is_const() &&
      c.shape(0)[2].value() != c.shape(1)[2].value())
    fail(Code::kInvalidModel, "X has ", c.shape(0)[2].value(), " features, W is for ", c.shape(1)[2].value());
  SymShape y =
      batch_first(n) ? SymShape({batch, seq, Dim(dirs), hidden}) : SymShape({seq, Dim(dirs), batch, hidden});
  SymShape state =
      batch_first(n) ? SymShape({batch, Dim(dirs), hidden}) : SymShape({Dim(dirs), batch, hidden});
  if (c.wants(0)) c.set(0, c.dtype(0), y);
  for (size_t i = 1; i < 3; ++i)
    if (c.wants(i)) c.set(i, c.dtype(0), state);
}

Cost cost_rnn(const CostContext& c) {
  double steps = static_cast<double>(c.in_dim(0, 0)) * static_cast<double>(c.in_dim(0, 1));
  double weights = c.in_elements(1) + c.in_elements(2);
  Cost r;
  r.flops = 2 * steps * weights;
  for (const Type* t : c.in)
    if (t) r.bytes += c.elements(t) * dtype_bits(t->dtype) / 8;
  for (const Type* t : c.out)
    if (t) r.bytes += c.elements(t) * dtype_bits(t->dtype) / 8;
  return r;
}

// ---------------------------------------------------------------- activations

struct Act {
  enum Kind {
    kRelu,
    kTanh,
    kSigmoid,
    kSoftsign,
    kSoftplus,
    kLeakyRelu,
    kThresholdedRelu,
    kElu,
    kAffine,
    kScaledTanh,
    kHardSigmoid
  } kind = kTanh;
  double alpha = 0, beta = 0;

  double operator()(double x) const {
    switch (kind) {
      case kRelu: return x > 0 ? x : 0;
      case kTanh: return std::tanh(x);
      case kSigmoid: return 1 / (1 + std::exp(-x));
      case kSoftsign: return x / (1 + std::abs(x));
      case kSoftplus: return x > 0 ? x + std::log1p(std::exp(-x)) : std::log1p(std::exp(x));
      case kLeakyRelu: return x >= 0 ? x : alpha * x;
      case kThresholdedRelu: return x > alpha ? x : 0;
      case kElu: return x >= 0 ? x : alpha * (std::exp(x) - 1);
      case kAffine: return alpha * x + beta;
      case kScaledTanh: return alpha * std::tanh(beta * x);
      case kHardSigmoid: return std::clamp(alpha * x + beta, 0.0, 1.0);
    }
    return x;
  }
};

// Per direction: `per` functions. alpha and beta lists are consumed by the functions that have them, in
// order.
std::vector<Act> activations_of(const Node& n, int64_t dirs, std::vector<std::string> defaults) {
  struct Entry {
    const char* name;
    Act::Kind kind;
    int params;
    double alpha, beta;
  };
  static constexpr Entry kEntries[] = {
      {"relu", Act::kRelu, 0, 0, 0},
      {"tanh", Act::kTanh, 0, 0, 0},
      {"sigmoid", Act::kSigmoid, 0, 0, 0},
      {"softsign", Act::kSoftsign, 0, 0, 0},
      {"softplus", Act::kSoftplus, 0, 0, 0},
      {"leakyrelu", Act::kLeakyRelu, 1, 0.01, 0},
      {"thresholdedrelu", Act::kThresholdedRelu, 1, 1, 0},
      {"elu", Act::kElu, 1, 1, 0},
      {"affine", Act::kAffine, 2, 1, 0},
      {"scaledtanh", Act::kScaledTanh, 2, 1, 1},
      {"hardsigmoid", Act::kHardSigmoid, 2, 0.2f, 0.5},
  };
  size_t per = defaults.size();
  std::vector<std::string> names = n.attr_strings("activations");
  if (names.empty())
    for (int64_t d = 0; d < dirs; ++d) names.insert(names.end(), defaults.begin(), defaults.end());
  // RNN's default list names one function for each direction; a forward layer uses the first.
  size_t want = per * static_cast<size_t>(dirs);
  check(names.size() >= want, Code::kInvalidModel, "activations has ", names.size(), " entries, ", want,
        " are needed");
  std::vector<float> alphas = n.attr_floats("activation_alpha"), betas = n.attr_floats("activation_beta");
  size_t a = 0, b = 0;
  std::vector<Act> r;
  for (size_t i = 0; i < want; ++i) {
    std::string s = names[i];
    for (char& ch : s) ch = static_cast<char>(std::tolower(static_cast<unsigned char>(ch)));
    const Entry* e = nullptr;
    for (const Entry& k : kEntries)
      if (s == k.name) e = &k;
    check(e != nullptr, Code::kInvalidModel, "activation '", names[i], "' is not known");
    Act act{e->kind, e->alpha, e->beta};
    if (e->params >= 1 && a < alphas.size()) act.alpha = alphas[a++];
    if (e->params >= 2 && b < betas.size()) act.beta = betas[b++];
    r.push_back(act);
  }
  return r;
}

// ---------------------------------------------------------------- reference

// The values as DynamicQuantizeLinear's 8 bits hold them, float32 arithmetic included.
std::vector<double> quantized_values(const std::vector<double>& v) {
  float lo = 0, hi = 0;
  for (double x : v) {
    lo = std::min(lo, static_cast<float>(x));
    hi = std::max(hi, static_cast<float>(x));
  }
  float scale = hi > lo ? (hi - lo) / 255.0f : 1.0f;
  float zero = std::nearbyint(std::clamp(-lo / scale, 0.0f, 255.0f));
  std::vector<double> r;
  for (double x : v) {
    float q = std::clamp(std::nearbyint(static_cast<float>(x) / scale) + zero, 0.0f, 255.0f);
    r.push_back(static_cast<double>(q - zero) * static_cast<double>(scale));
  }
  return r;
}

// The whole layer with concrete extents. T: float or double arrays, sums in double.
template <class T>
class Layer {
 public:
  // quantized: the state takes part in products as if in 8 bits, over the whole batch at each step.
  Layer(KernelContext& c, int64_t gates, std::vector<std::string> defaults, bool quantized = false)
      : c_(c),
        n_(c.node()),
        x_(c.in(0)),
        w_(c.in(1)),
        r_(c.in(2)),
        bias_(c.maybe(3)),
        h0_(c.maybe(5)),
        c0_(n_.op == "LSTM" ? c.maybe(6) : nullptr),
        peep_(n_.op == "LSTM" ? c.maybe(7) : nullptr),
        gates_(gates),
        quantized_(quantized) {
    const Tensor &x = c.in(0), &w = c.in(1), &r = c.in(2);
    ref::expect_rank(x, 3, "X");
    ref::expect_rank(r, 3, "R");
    dirs_ = directions_of(n_);
    first_ = batch_first(n_);
    seq_ = x.dim(first_ ? 1 : 0);
    batch_ = x.dim(first_ ? 0 : 1);
    in_ = x.dim(2);
    hidden_ = n_.attr_i("hidden_size", r.dim(2));
    check(hidden_ > 0 && hidden_ <= r.size(), Code::kInvalidModel, "hidden_size is ", hidden_);
    ref::expect_dims(w, {dirs_, gates * hidden_, in_}, "W");
    ref::expect_dims(r, {dirs_, gates * hidden_, hidden_}, "R");
    if (c.has(3)) ref::expect_dims(c.in(3), {dirs_, 2 * gates * hidden_}, "B");
    Dims state = first_ ? Dims{batch_, dirs_, hidden_} : Dims{dirs_, batch_, hidden_};
    if (c.has(5)) ref::expect_dims(c.in(5), state, "initial_h");
    if (c0_) ref::expect_dims(c.in(6), state, "initial_c");
    if (peep_) ref::expect_dims(c.in(7), {dirs_, 3 * hidden_}, "P");
    lens_.assign(static_cast<size_t>(batch_), seq_);
    if (c.has(4)) {
      ref::expect_dims(c.in(4), {batch_}, "sequence_lens");
      lens_ = to_ints(c.in(4));
      for (int64_t l : lens_)
        check(l >= 0 && l <= seq_, Code::kInvalidArgument, "a sequence length is ", l, ", the input has ",
              seq_, " steps");
    }
    acts_ = activations_of(n_, dirs_, std::move(defaults));
    per_ = acts_.size() / static_cast<size_t>(dirs_);
    clip_ = n_.has_attr("clip") ? n_.attr_f("clip", 0) : 0;
    if (!(clip_ > 0)) clip_ = INFINITY;
  }

  void run() {
    DType t = c_.in(0).dtype();
    Dims yd = first_ ? Dims{batch_, seq_, dirs_, hidden_} : Dims{seq_, dirs_, batch_, hidden_};
    Dims sd = first_ ? Dims{batch_, dirs_, hidden_} : Dims{dirs_, batch_, hidden_};
    y_.assign(static_cast<size_t>(seq_ * dirs_ * batch_ * hidden_), 0);
    std::vector<double> yh(static_cast<size_t>(dirs_ * batch_ * hidden_)), yc(yh.size());
    auto z = static_cast<size_t>(hidden_);
    h_.resize(z);
    cell_.resize(z);
    next_.resize(z);
    std::vector<double> states(static_cast<size_t>(batch_ * hidden_)), cells(states.size());
    gate_.resize(static_cast<size_t>(gates_ * hidden_));
    for (int64_t d = 0; d < dirs_; ++d) {
      bool reverse = d == 1 || n_.attr_s("direction", "forward") == "reverse";
      auto place = [&](int64_t b) { return (first_ ? b * dirs_ + d : d * batch_ + b) * hidden_; };
      for (int64_t b = 0; b < batch_; ++b)
        for (int64_t i = 0; i < hidden_; ++i) {
          auto k = static_cast<size_t>(b * hidden_ + i);
          states[k] = h0_ ? static_cast<double>(h0_[place(b) + i]) : 0;
          cells[k] = c0_ ? static_cast<double>(c0_[place(b) + i]) : 0;
        }
      for (int64_t k = 0; k < seq_; ++k) {
        c_.poll();
        if (quantized_) seen_ = quantized_values(states);
        for (int64_t b = 0; b < batch_; ++b) {
          int64_t len = lens_[static_cast<size_t>(b)];
          if (k >= len) continue;
          auto h = states.begin() + b * hidden_, cell = cells.begin() + b * hidden_;
          std::copy(h, h + hidden_, h_.begin());
          std::copy(cell, cell + hidden_, cell_.begin());
          row_ = static_cast<size_t>(b * hidden_);
          int64_t t_at = reverse ? len - 1 - k : k;
          step(d, x_.data() + (first_ ? b * seq_ + t_at : t_at * batch_ + b) * in_);
          int64_t o = (first_ ? (b * seq_ + t_at) * dirs_ + d : (t_at * dirs_ + d) * batch_ + b) * hidden_;
          std::copy(h_.begin(), h_.end(), y_.begin() + o);
          std::copy(h_.begin(), h_.end(), h);
          std::copy(cell_.begin(), cell_.end(), cell);
        }
      }
      for (int64_t b = 0; b < batch_; ++b) {
        auto h = states.begin() + b * hidden_, cell = cells.begin() + b * hidden_;
        std::copy(h, h + hidden_, yh.begin() + place(b));
        std::copy(cell, cell + hidden_, yc.begin() + place(b));
      }
    }
    if (c_.wants(0)) ref::store_all(c_.out(0, t, yd), y_.data());
    if (c_.wants(1)) ref::store_all(c_.out(1, t, sd), yh.data());
    if (c_.wants(2)) ref::store_all(c_.out(2, t, sd), yc.data());
  }

 private:
  double clipped(double v) const { return std::clamp(v, -clip_, clip_); }
  // Bias of row j: input part (0) or recurrent part (1).
  double bias(int64_t d, int64_t part, int64_t j) const {
    return bias_ ? static_cast<double>(bias_[(d * 2 + part) * gates_ * hidden_ + j]) : 0;
  }
  static double dot(const T* a, const T* b, int64_t n) {
    double s = 0;
    for (int64_t i = 0; i < n; ++i) s += static_cast<double>(a[i]) * static_cast<double>(b[i]);
    return s;
  }
  double input(int64_t d, int64_t j, const T* x) const {
    return dot(w_.data() + (d * gates_ * hidden_ + j) * in_, x, in_) + bias(d, 0, j);
  }
  double recurrent(int64_t d, int64_t j, const double* h) const {
    const T* r = r_.data() + (d * gates_ * hidden_ + j) * hidden_;
    double s = 0;
    for (int64_t i = 0; i < hidden_; ++i) s += static_cast<double>(r[i]) * h[i];
    return s;
  }

  void step(int64_t d, const T* x) {
    const Act* act = acts_.data() + static_cast<size_t>(d) * per_;
    if (gates_ == 1) {
      for (int64_t i = 0; i < hidden_; ++i)
        next_[static_cast<size_t>(i)] =
            act[0](clipped(input(d, i, x) + recurrent(d, i, h_.data()) + bias(d, 1, i)));
      h_.swap(next_);
    } else if (gates_ == 3) {
      gru(d, x, act);
    } else {
      lstm(d, x, act);
    }
  }

  // Gates z, r, h.
  void gru(int64_t d, const T* x, const Act* act) {
    bool linear = n_.attr_i("linear_before_reset", 0) != 0;
    int64_t h = hidden_;
    for (int64_t j = 0; j < 2 * h; ++j)
      gate_[static_cast<size_t>(j)] =
          act[0](clipped(input(d, j, x) + recurrent(d, j, h_.data()) + bias(d, 1, j)));
    std::vector<double> reset(static_cast<size_t>(h));
    for (int64_t i = 0; i < h; ++i)
      reset[static_cast<size_t>(i)] = gate_[static_cast<size_t>(h + i)] * h_[static_cast<size_t>(i)];
    for (int64_t i = 0; i < h; ++i) {
      int64_t j = 2 * h + i;
      double r = linear ? gate_[static_cast<size_t>(h + i)] * (recurrent(d, j, h_.data()) + bias(d, 1, j))
                        : recurrent(d, j, reset.data()) + bias(d, 1, j);
      double candidate = act[1](clipped(input(d, j, x) + r)), z = gate_[static_cast<size_t>(i)];
      next_[static_cast<size_t>(i)] = (1 - z) * candidate + z * h_[static_cast<size_t>(i)];
    }
    h_.swap(next_);
  }

  // Gates i, o, f, c; peepholes i, o, f.
  void lstm(int64_t d, const T* x, const Act* act) {
    int64_t h = hidden_;
    bool coupled = n_.attr_i("input_forget", 0) != 0;
    auto peep = [&](int64_t k, int64_t i) {
      return peep_ ? static_cast<double>(peep_[(d * 3 + k) * h + i]) : 0;
    };
    for (int64_t j = 0; j < 4 * h; ++j)
      gate_[static_cast<size_t>(j)] =
          input(d, j, x) + (quantized_ ? recurrent(d, j, seen_.data() + row_) : recurrent(d, j, h_.data())) +
          bias(d, 1, j);
    for (int64_t i = 0; i < h; ++i) {
      auto k = static_cast<size_t>(i);
      double old = cell_[k];
      double in = act[0](clipped(gate_[k] + peep(0, i) * old));
      double forget =
          coupled ? 1 - in : act[0](clipped(gate_[static_cast<size_t>(2 * h + i)] + peep(2, i) * old));
      double now = forget * old + in * act[1](clipped(gate_[static_cast<size_t>(3 * h + i)]));
      double out = act[0](clipped(gate_[static_cast<size_t>(h + i)] + peep(1, i) * now));
      cell_[k] = now;
      next_[k] = out * act[2](clipped(now));
    }
    h_.swap(next_);
  }

  KernelContext& c_;
  const Node& n_;
  ref::RealIn<T> x_, w_, r_, bias_, h0_, c0_, peep_;
  int64_t gates_, dirs_ = 1, seq_ = 0, batch_ = 0, in_ = 0, hidden_ = 0;
  bool first_ = false, quantized_ = false;
  size_t row_ = 0;
  std::vector<int64_t> lens_;
  std::vector<Act> acts_;
  size_t per_ = 1;
  double clip_ = INFINITY;
  std::vector<double> h_, cell_, next_, gate_, y_, seen_;
};

void rnn_reference(KernelContext& c) {
  int64_t gates = gates_of(c.node());
  std::vector<std::string> defaults{"Tanh"};
  if (gates == 3) defaults = {"Sigmoid", "Tanh"};
  if (gates == 4) defaults = {"Sigmoid", "Tanh", "Tanh"};
  ref::with_real(c.in(0).dtype(),
                 [&](auto zero) { Layer<decltype(zero)>(c, gates, std::move(defaults)).run(); });
}

// ---------------------------------------------------------------- DynamicQuantizeLSTM

// Weights [directions, in, 4 * hidden] of 8 bits, turned to LSTM's [directions, 4 * hidden, in]. A scale (and
// a zero point) for each direction, or for each of its columns.
Tensor lstm_weights(const Tensor& q, const Tensor& scale, const Tensor& zero, const char* name) {
  ref::expect_rank(q, 3, name);
  int64_t dirs = q.dim(0), in = q.dim(1), out = q.dim(2);
  for (const Tensor* t : {&scale, &zero})
    check(t->size() == dirs || t->size() == dirs * out, Code::kInvalidModel,
          "a scale or zero point of shape ", to_string(t->dims()), " for ", name, " ", to_string(q.dims()));
  auto at = [&](const Tensor& t, int64_t d, int64_t j) {
    return get_double(t, t.size() == dirs ? d : d * out + j);
  };
  Tensor w(DType::kFloat, {dirs, out, in});
  for (int64_t d = 0; d < dirs; ++d)
    for (int64_t i = 0; i < in; ++i)
      for (int64_t j = 0; j < out; ++j)
        set_double(w, (d * out + j) * in + i,
                   (get_double(q, (d * in + i) * out + j) - at(zero, d, j)) * at(scale, d, j));
  return w;
}

void infer_quantized_lstm(InferContext& c) {
  const Node& n = c.node();
  for (size_t i = 0; i < 3; ++i) c.expect_rank(i, 3);
  int64_t dirs = directions_of(n);
  Dim hidden = n.has_attr("hidden_size") ? Dim(n.attr_i("hidden_size", 0))
               : c.has_rank(2)           ? c.shape(2)[1]
                                         : Dim();
  Dim seq = c.has_rank(0) ? c.shape(0)[0] : Dim(), batch = c.has_rank(0) ? c.shape(0)[1] : Dim();
  if (c.wants(0)) c.set(0, DType::kFloat, SymShape(std::vector<Dim>{seq, Dim(dirs), batch, hidden}));
  for (size_t i = 1; i < 3; ++i)
    if (c.wants(i)) c.set(i, DType::kFloat, SymShape(std::vector<Dim>{Dim(dirs), batch, hidden}));
}

void quantized_lstm_reference(KernelContext& c) {
  Tensor x(DType::kFloat, c.in(0).dims());
  std::vector<double> held = quantized_values(ref::to_doubles(c.in(0)));
  ref::store_all(x, held.data());
  Datum xd = x, w = lstm_weights(c.in(1), c.in(8), c.in(9), "W"),
        r = lstm_weights(c.in(2), c.in(10), c.in(11), "R");
  std::vector<const Datum*> in{&xd, &w, &r};
  for (size_t i = 3; i < 8; ++i) in.push_back(c.has(i) ? &c.in_datum(i) : nullptr);
  Node n = as_operator(c.node(), "LSTM", 14);
  std::vector<Datum> out(c.outputs());
  KernelContext inner(n, in, out, nullptr);
  Layer<float>(inner, 4, {"Sigmoid", "Tanh", "Tanh"}, true).run();
  for (size_t i = 0; i < out.size(); ++i)
    if (c.wants(i)) c.set_out(i, std::move(out[i]));
}

}  // namespace

SKIFF_OP_DEF(com_microsoft, DynamicQuantizeLSTM) {
  TypeMask f = mask_of(DType::kFloat), bytes = mask_of(DType::kInt8) | mask_of(DType::kUint8);
  return {.domain = "com.microsoft",
          .name = "DynamicQuantizeLSTM",
          .versions = {1},
          .inputs = {{"X", f},
                     {"W", bytes, '2'},
                     {"R", bytes, '2'},
                     {"B", f, 0, Arity::kOptional},
                     {"sequence_lens", mask_of(DType::kInt32), 0, Arity::kOptional},
                     {"initial_h", f, 0, Arity::kOptional},
                     {"initial_c", f, 0, Arity::kOptional},
                     {"P", f, 0, Arity::kOptional},
                     {"W_scale", f},
                     {"W_zero_point", bytes, '2'},
                     {"R_scale", f},
                     {"R_zero_point", bytes, '2'}},
          .outputs = {{"Y", f, 0, Arity::kOptional},
                      {"Y_h", f, 0, Arity::kOptional},
                      {"Y_c", f, 0, Arity::kOptional}},
          .attributes = {{"activation_alpha", AttrType::kFloats},
                         {"activation_beta", AttrType::kFloats},
                         {"activations", AttrType::kStrings},
                         {"clip", AttrType::kFloat},
                         {"direction", AttrType::kString},
                         {"hidden_size", AttrType::kInt},
                         {"input_forget", AttrType::kInt}},
          .infer = infer_quantized_lstm,
          .reference = quantized_lstm_reference};
}

SKIFF_OP_DEF(ai_onnx, RNN) {
  return {.name = "RNN",
          .versions = {1, 7, 14, 22},
          .inputs = {{"X", kFloatTypes, 'T'},
                     {"W", kFloatTypes, 'T'},
                     {"R", kFloatTypes, 'T'},
                     {"B", kFloatTypes, 'T', Arity::kOptional},
                     {"sequence_lens", mask_of(DType::kInt32), '1', Arity::kOptional},
                     {"initial_h", kFloatTypes, 'T', Arity::kOptional}},
          .outputs = {{"Y", kFloatTypes, 'T', Arity::kOptional}, {"Y_h", kFloatTypes, 'T', Arity::kOptional}},
          .attributes = {{"activation_alpha", AttrType::kFloats},
                         {"activation_beta", AttrType::kFloats},
                         {"activations", AttrType::kStrings},
                         {"clip", AttrType::kFloat},
                         {"direction", AttrType::kString},
                         {"hidden_size", AttrType::kInt},
                         {"layout", AttrType::kInt},
                         {"output_sequence", AttrType::kInt}},
          .infer = infer_rnn,
          .reference = rnn_reference,
          .cost = cost_rnn};
}

SKIFF_OP_DEF(ai_onnx, GRU) {
  return {.name = "GRU",
          .versions = {1, 3, 7, 14, 22},
          .inputs = {{"X", kFloatTypes, 'T'},
                     {"W", kFloatTypes, 'T'},
                     {"R", kFloatTypes, 'T'},
                     {"B", kFloatTypes, 'T', Arity::kOptional},
                     {"sequence_lens", mask_of(DType::kInt32), '1', Arity::kOptional},
                     {"initial_h", kFloatTypes, 'T', Arity::kOptional}},
          .outputs = {{"Y", kFloatTypes, 'T', Arity::kOptional}, {"Y_h", kFloatTypes, 'T', Arity::kOptional}},
          .attributes = {{"activation_alpha", AttrType::kFloats},
                         {"activation_beta", AttrType::kFloats},
                         {"activations", AttrType::kStrings},
                         {"clip", AttrType::kFloat},
                         {"direction", AttrType::kString},
                         {"hidden_size", AttrType::kInt},
                         {"layout", AttrType::kInt},
                         {"linear_before_reset", AttrType::kInt},
                         {"output_sequence", AttrType::kInt}},
          .infer = infer_rnn,
          .reference = rnn_reference,
          .cost = cost_rnn};
}

SKIFF_OP_DEF(ai_onnx, LSTM) {
  return {.name = "LSTM",
          .versions = {1, 7, 14, 22},
          .inputs = {{"X", kFloatTypes, 'T'},
                     {"W", kFloatTypes, 'T'},
                     {"R", kFloatTypes, 'T'},
                     {"B", kFloatTypes, 'T', Arity::kOptional},
                     {"sequence_lens", mask_of(DType::kInt32), '1', Arity::kOptional},
                     {"initial_h", kFloatTypes, 'T', Arity::kOptional},
                     {"initial_c", kFloatTypes, 'T', Arity::kOptional},
                     {"P", kFloatTypes, 'T', Arity::kOptional}},
          .outputs = {{"Y", kFloatTypes, 'T', Arity::kOptional},
                      {"Y_h", kFloatTypes, 'T', Arity::kOptional},
                      {"Y_c", kFloatTypes, 'T', Arity::kOptional}},
          .attributes = {{"activation_alpha", AttrType::kFloats},
                         {"activation_beta", AttrType::kFloats},
                         {"activations", AttrType::kStrings},
                         {"clip", AttrType::kFloat},
                         {"direction", AttrType::kString},
                         {"hidden_size", AttrType::kInt},
                         {"input_forget", AttrType::kInt},
                         {"layout", AttrType::kInt},
                         {"output_sequence", AttrType::kInt}},
          .infer = infer_rnn,
          .reference = rnn_reference,
          .cost = cost_rnn};
}

}  // namespace skiff
