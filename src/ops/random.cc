// Random numbers: RandomNormal, RandomUniform, their *Like forms, Bernoulli, Multinomial. A seed makes a node
// repeatable on every machine; without one each run differs.
#include <cmath>
#include <numbers>
#include <random>

#include "ops/ref_util.h"
#include "ops/rule_util.h"

namespace skiff {
namespace {

// The Mersenne twister with 53-bit uniforms; the distributions are our own, as the library's differ.
class Source {
 public:
  explicit Source(const Node& n)
      : gen_(n.has_attr("seed") ? static_cast<uint32_t>(static_cast<int64_t>(n.attr_f("seed", 0)))
                                : std::random_device()()) {}
  double uniform() {  // [0, 1)
    double high = gen_() >> 5, low = gen_() >> 6;
    return (high * 67108864.0 + low) / 9007199254740992.0;
  }
  double normal() {  // Box and Muller
    double r = std::sqrt(-2 * std::log(1 - uniform()));
    return r * std::cos(2 * std::numbers::pi * uniform());
  }

 private:
  std::mt19937 gen_;
};

bool is_like(const Node& n) { return n.op.ends_with("Like"); }

Dims shape_attr(const Node& n) {
  std::vector<int64_t> s = n.attr_ints("shape");
  return Dims(s.begin(), s.end());
}

void infer_random(InferContext& c) {
  DType def = is_like(c.node()) && c.dtype(0) != DType::kUndefined ? c.dtype(0) : DType::kFloat;
  SymShape s = is_like(c.node()) ? c.shape(0) : SymShape(shape_attr(c.node()));
  c.set(0, rule::dtype_attr(c.node(), "dtype", def), std::move(s));
}

void random_reference(KernelContext& c) {
  const Node& n = c.node();
  bool like = is_like(n), normal = n.op.starts_with("RandomNormal");
  DType t = rule::dtype_attr(n, "dtype", like ? c.in(0).dtype() : DType::kFloat);
  Tensor& y = c.out(0, t, like ? c.in(0).dims() : shape_attr(n));
  double a = normal ? n.attr_f("mean", 0) : n.attr_f("low", 0);
  double b = normal ? n.attr_f("scale", 1) : n.attr_f("high", 1) - a;
  Source s(n);
  for (int64_t i = 0; i < y.size(); ++i) set_double(y, i, a + b * (normal ? s.normal() : s.uniform()));
}

void bernoulli_reference(KernelContext& c) {
  const Tensor& x = c.in(0);
  Tensor& y = c.out(0, rule::dtype_attr(c.node(), "dtype", x.dtype()), x.dims());
  Source s(c.node());
  for (int64_t i = 0; i < x.size(); ++i) set_int(y, i, s.uniform() < get_double(x, i));
}

int64_t sample_size(const Node& n) {
  int64_t k = n.attr_i("sample_size", 1);
  check(k >= 0, Code::kInvalidModel, "attribute 'sample_size' = ", k, " is negative");
  return k;
}

// Rows of unnormalised log probabilities.
void multinomial_reference(KernelContext& c) {
  const Tensor& x = c.in(0);
  check(x.rank() == 2 && x.dim(1) > 0, Code::kInvalidModel, "Multinomial needs [batch, classes], it got ",
        describe(x));
  int64_t classes = x.dim(1), samples = sample_size(c.node());
  Tensor& y = c.out(0, rule::dtype_attr(c.node(), "dtype", DType::kInt32), {x.dim(0), samples});
  Source s(c.node());
  std::vector<double> sum(static_cast<size_t>(classes));
  for (int64_t b = 0; b < x.dim(0); ++b) {
    double top = -HUGE_VAL, total = 0;
    for (int64_t k = 0; k < classes; ++k) top = std::max(top, get_double(x, b * classes + k));
    for (int64_t k = 0; k < classes; ++k)
      sum[static_cast<size_t>(k)] = total += std::exp(get_double(x, b * classes + k) - top);
    for (int64_t i = 0; i < samples; ++i) {
      double u = s.uniform() * total;
      int64_t k = 0;
      while (k + 1 < classes && u >= sum[static_cast<size_t>(k)]) ++k;
      set_int(y, b * samples + i, k);
    }
  }
}

OpDef random(const char* name, std::vector<AttrDef> attributes) {
  OpDef d;
  d.name = name;
  d.versions = {1, 22};
  d.outputs = {{"output", kFloatTypes}};
  d.attributes = {{"dtype", AttrType::kInt}, {"seed", AttrType::kFloat}};
  d.attributes.insert(d.attributes.end(), attributes.begin(), attributes.end());
  if (std::string_view(name).ends_with("Like"))
    d.inputs = {{"input", kAllTypes}};
  else
    d.attributes.push_back({"shape", AttrType::kInts, true});
  d.infer = infer_random;
  d.reference = random_reference;
  d.flags = kNondeterministic;
  return d;
}

}  // namespace

SKIFF_OP_DEF(ai_onnx, Bernoulli) {
  OpDef d = random("Bernoulli", {});
  d.versions = {15, 22};
  d.inputs = {{"input", kFloatTypes}};
  d.outputs = {{"output", kNumericTypes | kBoolType}};
  d.attributes = {{"dtype", AttrType::kInt}, {"seed", AttrType::kFloat}};
  d.infer = [](InferContext& c) {
    DType def = c.dtype(0) == DType::kUndefined ? DType::kFloat : c.dtype(0);
    c.set(0, rule::dtype_attr(c.node(), "dtype", def), c.shape(0));
  };
  d.reference = bernoulli_reference;
  return d;
}
SKIFF_OP_DEF(ai_onnx, Multinomial) {
  return {
      .name = "Multinomial",
      .versions = {7, 22},
      .inputs = {{"input", kFloatTypes}},
      .outputs = {{"output", kIndexTypes}},
      .attributes = {{"dtype", AttrType::kInt}, {"sample_size", AttrType::kInt}, {"seed", AttrType::kFloat}},
      .infer =
          [](InferContext& c) {
            Dim n = c.has_rank(0) && c.shape(0).rank() == 2 ? c.shape(0)[0] : Dim();
            c.set(0, rule::dtype_attr(c.node(), "dtype", DType::kInt32),
                  SymShape(std::vector<Dim>{n, Dim(sample_size(c.node()))}));
          },
      .reference = multinomial_reference,
      .flags = kNondeterministic};
}
SKIFF_OP_DEF(ai_onnx, RandomNormal) {
  return random("RandomNormal", {{"mean", AttrType::kFloat}, {"scale", AttrType::kFloat}});
}
SKIFF_OP_DEF(ai_onnx, RandomNormalLike) {
  return random("RandomNormalLike", {{"mean", AttrType::kFloat}, {"scale", AttrType::kFloat}});
}
SKIFF_OP_DEF(ai_onnx, RandomUniform) {
  return random("RandomUniform", {{"low", AttrType::kFloat}, {"high", AttrType::kFloat}});
}
SKIFF_OP_DEF(ai_onnx, RandomUniformLike) {
  return random("RandomUniformLike", {{"low", AttrType::kFloat}, {"high", AttrType::kFloat}});
}

}  // namespace skiff
