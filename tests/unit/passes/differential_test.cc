// Random small graphs: whatever the passes find in them, the results stay.
#include <algorithm>
#include <random>

#include "ops/infer.h"
#include "unit/passes/support.h"

namespace skiff::passes::test {
namespace {

class Generator {
 public:
  explicit Generator(uint32_t seed) : b_(17), rng_(seed) {
    values_.push_back(b_.in("x", {2, 3, 8, 8}));
    values_.push_back(b_.in("y", {2, 4, 8, 8}));
  }

  Graph build(int nodes) {
    for (int i = 0; i < nodes; ++i) step();
    b_.out(values_.back());
    for (int i = 0; i < 2; ++i) {
      ValueId v = any();
      if (!b_.g.value(v).is_output && !b_.g.value(v).is_input) b_.out(v);
    }
    return std::move(b_.g);
  }

 private:
  int pick(int n) { return static_cast<int>(rng_() % static_cast<uint32_t>(n)); }
  // Mostly recent values, so that chains form.
  ValueId any() {
    size_t n = values_.size();
    size_t back = static_cast<size_t>(pick(10) < 7 ? pick(3) : pick(static_cast<int>(n)));
    return values_[n - 1 - std::min(back, n - 1)];
  }
  Dims dims(ValueId v) const { return b_.g.value(v).type.shape.to_dims(); }

  void keep(ValueId v) {
    resolve_ops(b_.g);
    infer_types(b_.g);
    if (element_count(dims(v)) > 20000 || element_count(dims(v)) == 0) return;
    values_.push_back(v);
  }

  ValueId broadcastable(const Dims& d) {
    uint32_t seed = rng_() % 1000;
    switch (pick(5)) {
      case 0: return b_.scalar(0.5F + static_cast<float>(pick(4)));
      case 1: return d.size() > 1 ? b_.floats({d[1], 1, 1}, seed) : b_.floats(d, seed);
      case 2: return b_.floats({d[d.size() - 1]}, seed);
      case 3: return b_.scalar(static_cast<float>(pick(2)));
      default: return b_.floats(d, seed);
    }
  }

  ValueId same_dims(ValueId v) {
    for (int i = 0; i < 8; ++i) {
      ValueId w = any();
      if (to_string(dims(w)) == to_string(dims(v))) return w;
    }
    return v;
  }

  void step() {
    ValueId v = any();
    Dims d = dims(v);
    if (d.size() != 4) {
      v = b_.op("Reshape", {v, b_.ints({2, -1, 4, 4})});
      if (element_count(d) % 32 == 0) keep(v);
      return;
    }
    switch (pick(18)) {
      case 0:
      case 1: return keep(unary(v));
      case 2: return keep(b_.op(pick(2) ? "Add" : "Mul", {v, same_dims(v)}));
      case 3:
      case 4: {
        static const char* const kOps[] = {"Add", "Mul", "Sub"};
        ValueId c = broadcastable(d);
        const char* op = kOps[pick(3)];
        return keep(pick(2) ? b_.op(op, {v, c}) : b_.op(op, {c, v}));
      }
      case 5:
      case 6:
      case 7: return keep(conv(v, d));
      case 8: return keep(norm(v, d));
      case 9: return keep(pool(v));
      case 10: {
        std::vector<int64_t> p{0, 1, 2, 3};
        std::shuffle(p.begin(), p.end(), rng_);
        if (pick(2)) p = pick(2) ? std::vector<int64_t>{0, 2, 3, 1} : std::vector<int64_t>{0, 3, 1, 2};
        return keep(b_.op("Transpose", {v}, {ints_attr("perm", p)}));
      }
      case 11: return keep(b_.op("Concat", {v, same_dims(v)}, {int_attr("axis", pick(4))}));
      case 12: {
        int64_t axis = pick(4);
        return keep(b_.op("Slice", {v, b_.ints({pick(2)}), b_.ints({d[static_cast<size_t>(axis)] - pick(2)}),
                                    b_.ints({axis}), b_.ints({1 + pick(2)})}));
      }
      case 13: return keep(b_.op("Pad", {v, b_.ints({0, pick(2), pick(2), 1, 0, 0, pick(2), 0})}));
      case 14: {
        int64_t axis = pick(4);
        return keep(b_.op(pick(2) ? "ReduceMean" : "ReduceMax", {v}, {ints_attr("axes", {axis})}));
      }
      case 15: {
        int64_t n = d[3];
        return keep(b_.op("MatMul", {v, b_.floats({n, 4}, rng_() % 1000)}));
      }
      case 16: return keep(b_.op("Softmax", {v}, {int_attr("axis", pick(4))}));
      default:
        return keep(b_.op("Resize", {v, kNoValue, b_.values({1, 1, 2, 2}, {4})},
                          {string_attr("mode", pick(2) ? "nearest" : "linear")}));
    }
  }

  ValueId unary(ValueId v) {
    static const char* const kOps[] = {"Relu", "Sigmoid",   "Tanh",     "Neg",
                                       "Abs",  "HardSwish", "Identity", "LeakyRelu"};
    int k = pick(11);
    if (k == 8) return b_.op("Clip", {v, b_.scalar(-1), b_.scalar(1)});
    if (k == 9) return b_.op("Mul", {v, b_.op("Sigmoid", {v})});
    if (k == 10) {
      ValueId e = b_.op("Add", {b_.op("Erf", {b_.op("Div", {v, b_.scalar(1.41421356F)})}), b_.scalar(1)});
      return b_.op("Mul", {b_.op("Mul", {v, e}), b_.scalar(0.5F)});
    }
    return b_.op(kOps[k], {v});
  }

  ValueId conv(ValueId v, const Dims& d) {
    int64_t k = pick(2) ? 3 : 1, groups = d[1] % 2 == 0 && pick(3) == 0 ? 2 : 1, out = 4;
    std::vector<ValueId> in{v, b_.floats({out, d[1] / groups, k, k}, rng_() % 1000, -0.4, 0.4)};
    if (pick(2)) in.push_back(b_.floats({out}, rng_() % 1000));
    ValueId y =
        b_.op("Conv", in, {int_attr("group", groups), ints_attr("pads", {k / 2, k / 2, k / 2, k / 2})});
    return pick(2) ? y : unary(y);
  }

  ValueId norm(ValueId v, const Dims& d) {
    return b_.op("BatchNormalization", {v, b_.floats({d[1]}, 1, 0.5, 2), b_.floats({d[1]}, 2),
                                        b_.floats({d[1]}, 3), b_.floats({d[1]}, 4, 0.5, 2)});
  }

  ValueId pool(ValueId v) {
    if (pick(4) == 0) return b_.op("GlobalAveragePool", {v});
    std::vector<Attribute> a{ints_attr("kernel_shape", {3, 3}), ints_attr("pads", {1, 1, 1, 1})};
    if (pick(2)) a.push_back(ints_attr("strides", {2, 2}));
    return b_.op(pick(2) ? "MaxPool" : "AveragePool", {v}, a);
  }

  Build b_;
  std::mt19937 rng_;
  std::vector<ValueId> values_;
};

TEST_CASE("random graphs compute the same after all passes") {
  TargetTraits t = everything();
  for (uint32_t seed = 1; seed <= 150; ++seed) {
    CAPTURE(seed);
    Graph g = Generator(seed).build(4 + static_cast<int>(seed % 14));
    INFO(print(g));
    run_all(g, seed % 3 == 0 ? nullptr : &t, {}, {.rtol = 2e-3, .atol = 5e-4});
  }
}

}  // namespace
}  // namespace skiff::passes::test
