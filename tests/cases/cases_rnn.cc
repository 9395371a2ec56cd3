// Recurrent layers.
#include "cases/make.h"

namespace skiff::cases {
namespace {

std::vector<OpCase> layers() {
  std::vector<OpCase> r;
  uint32_t seed = 2000;
  struct L {
    const char* name;
    int64_t seq, batch, in, hidden;
    const char* direction;
    bool bias, lens, state;
    std::vector<Attribute> extra;
  };
  const std::vector<L> layers = {
      {"forward", 5, 1, 16, 24, "forward", true, false, false, {}},
      {"one_step", 1, 1, 33, 19, "forward", true, false, true, {}},
      {"batch", 4, 3, 7, 13, "forward", true, false, true, {}},
      {"reverse", 6, 2, 5, 8, "reverse", true, false, true, {}},
      {"bidirectional", 5, 2, 9, 11, "bidirectional", true, false, true, {}},
      {"no_bias", 4, 1, 8, 8, "forward", false, false, false, {}},
      {"lengths", 6, 3, 4, 5, "bidirectional", true, true, true, {}},
      {"clip", 4, 2, 6, 6, "forward", true, false, false, {{"clip", 0.4f}}},
      {"batch_first", 5, 2, 6, 7, "bidirectional", true, false, true, {{"layout", int64_t{1}}}},
  };
  for (const char* op : {"RNN", "GRU", "LSTM"}) {
    std::string o = op;
    int64_t g = o == "LSTM" ? 4 : o == "GRU" ? 3 : 1;
    size_t outputs = g == 4 ? 3 : 2;
    for (const L& l : layers) {
      int64_t d = std::string(l.direction) == "bidirectional" ? 2 : 1;
      bool first = !l.extra.empty() && l.extra[0].name == "layout";
      std::vector<Datum> in{f32(first ? Dims{l.batch, l.seq, l.in} : Dims{l.seq, l.batch, l.in}, ++seed),
                            f32({d, g * l.hidden, l.in}, ++seed, -0.4, 0.4),
                            f32({d, g * l.hidden, l.hidden}, ++seed, -0.4, 0.4)};
      in.push_back(l.bias ? Datum(f32({d, 2 * g * l.hidden}, ++seed)) : Datum());
      in.push_back(l.lens ? Datum(values<int>(DType::kInt32, {3}, {6, 2, 4})) : Datum());
      Dims s = first ? Dims{l.batch, d, l.hidden} : Dims{d, l.batch, l.hidden};
      in.push_back(l.state ? Datum(f32(s, ++seed)) : Datum());
      if (g == 4) {
        in.push_back(l.state ? Datum(f32(s, ++seed)) : Datum());
        in.push_back(l.state ? Datum(f32({d, 3 * l.hidden}, ++seed, -0.5, 0.5)) : Datum());
      }
      while (in.back().kind() == Datum::Kind::kNone) in.pop_back();
      std::vector<Attribute> a = l.extra;
      a.emplace_back("hidden_size", l.hidden);
      a.emplace_back("direction", std::string(l.direction));
      OpCase c = with_outputs(outputs, make(cat(o, "_", l.name), o, 14, std::move(in), a));
      for (size_t i : {1, 2, 3, 7})
        if (i < c.constant.size()) c.constant[i] = true;
      r.push_back(c);
      if (g == 3) {
        c.name += "_linear";
        c.attributes.emplace_back("linear_before_reset", int64_t{1});
        r.push_back(c);
      }
    }
  }
  OpCase coupled =
      make("LSTM_coupled", "LSTM", 14, {f32({3, 1, 4}, 1), f32({1, 20, 4}, 2), f32({1, 20, 5}, 3)},
           {{"hidden_size", int64_t{5}}, {"input_forget", int64_t{1}}}, 1);
  r.push_back(with_outputs(3, coupled));
  r.push_back(with_outputs(
      3, make("LSTM_activations", "LSTM", 14, {f32({3, 2, 4}, 4), f32({1, 20, 4}, 5), f32({1, 20, 5}, 6)},
              {{"hidden_size", int64_t{5}},
               {"activations", Strings{"HardSigmoid", "Affine", "Softsign"}},
               {"activation_alpha", Floats{0.3f, 0.7f}},
               {"activation_beta", Floats{0.4f, 0.1f}}},
              1)));
  r.push_back(with_outputs(
      2, make("GRU_activations", "GRU", 14, {f32({3, 2, 4}, 7), f32({1, 15, 4}, 8), f32({1, 15, 5}, 9)},
              {{"hidden_size", int64_t{5}},
               {"activations", Strings{"sigmoid", "LeakyRelu"}},
               {"activation_alpha", Floats{0.2f}}},
              1)));
  return r;
}

const Register kLayers(layers);

}  // namespace
}  // namespace skiff::cases
