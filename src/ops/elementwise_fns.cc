#include "ops/elementwise_fns.h"

#include <bit>
#include <cmath>

namespace skiff::ref {
namespace {

constexpr double kSqrtHalf = 0.70710678118654752440, kSqrt2OverPi = 0.79788456080286535588;

double sigmoid(double x) { return 1 / (1 + std::exp(-x)); }
double softplus(double x) { return std::log1p(std::exp(-std::abs(x))) + (x > 0 ? x : 0); }
double gelu(double x) { return 0.5 * x * (1 + std::erf(x * kSqrtHalf)); }
double gelu_tanh(double x) { return 0.5 * x * (1 + std::tanh(kSqrt2OverPi * (x + 0.044715 * x * x * x))); }
double relu(double x) { return x > 0 || x != x ? x : 0; }
double unit_clip(double x) { return x < 0 ? 0 : (x > 1 ? 1 : x); }
double hard_sigmoid(double x, double a, double b) { return unit_clip(a * x + b); }
double fmax_nan(double a, double b) { return a > b || a != a ? a : b; }
double fmin_nan(double a, double b) { return a < b || a != a ? a : b; }
// The sign of the divisor, as Python's %.
double floor_mod(double a, double b) {
  double r = std::fmod(a, b);
  if (r == 0) return std::copysign(0.0, b);
  return (r < 0) != (b < 0) ? r + b : r;
}

// Integer arithmetic wraps; division by zero gives 0 instead of a trap.
int64_t wrap_add(int64_t a, int64_t b) {
  return static_cast<int64_t>(static_cast<uint64_t>(a) + static_cast<uint64_t>(b));
}
int64_t wrap_sub(int64_t a, int64_t b) {
  return static_cast<int64_t>(static_cast<uint64_t>(a) - static_cast<uint64_t>(b));
}
int64_t wrap_mul(int64_t a, int64_t b) {
  return static_cast<int64_t>(static_cast<uint64_t>(a) * static_cast<uint64_t>(b));
}
int64_t wrap_div(int64_t a, int64_t b) { return b == 0 ? 0 : (b == -1 ? wrap_sub(0, a) : a / b); }
int64_t trunc_rem(int64_t a, int64_t b) { return b == 0 || b == -1 ? 0 : a % b; }
int64_t floor_rem(int64_t a, int64_t b) {
  int64_t r = trunc_rem(a, b);
  return r != 0 && (r < 0) != (b < 0) ? r + b : r;
}

// Variadic folds; p[0] is the number of inputs.
template <auto F, class T>
void fold(const T* const* in, T* out, int64_t n, const double* p) {
  for (int64_t i = 0; i < n; ++i) out[i] = in[0][i];
  for (int k = 1; k < static_cast<int>(p[0]); ++k)
    for (int64_t i = 0; i < n; ++i) out[i] = static_cast<T>(F(out[i], in[k][i]));
}
// Swish of the first input gates the second.
void swiglu(const double* const* in, double* out, int64_t n, const double* p) {
  for (int64_t i = 0; i < n; ++i) out[i] = in[0][i] * sigmoid(p[0] * in[0][i]) * in[1][i];
}
void mean(const double* const* in, double* out, int64_t n, const double* p) {
  fold<[](double a, double b) { return a + b; }, double>(in, out, n, p);
  for (int64_t i = 0; i < n; ++i) out[i] /= p[0];
}

constexpr auto kUmax = [](int64_t a, int64_t b) {
  return static_cast<uint64_t>(a) > static_cast<uint64_t>(b) ? a : b;
};
constexpr auto kUmin = [](int64_t a, int64_t b) {
  return static_cast<uint64_t>(a) < static_cast<uint64_t>(b) ? a : b;
};

// clang-format off
#define REAL1(expr) real_fn1<[](double x, const double* p) { (void)p; return (expr); }>
#define REAL2(expr) real_fn2<[](double a, double b) { return (expr); }>
#define INT1(expr) int_fn1<[](int64_t x) { return (expr); }>
#define INT2(expr) int_fn2<[](int64_t a, int64_t b) { return (expr); }>
#define UINT2(expr) uint_fn2<[](uint64_t a, [[maybe_unused]] uint64_t b) { return (expr); }>

constexpr ElementwiseOp kTable[] = {
    {"Abs", 1, {REAL1(std::abs(x)), INT1(x < 0 ? wrap_sub(0, x) : x), INT1(x)}},
    {"Acos", 1, {REAL1(std::acos(x))}},
    {"Acosh", 1, {REAL1(std::acosh(x))}},
    {"Add", 2, {REAL2(a + b), INT2(wrap_add(a, b))}},
    {"And", 2, {nullptr, INT2(a & b)}, true},
    {"Asin", 1, {REAL1(std::asin(x))}},
    {"Asinh", 1, {REAL1(std::asinh(x))}},
    {"Atan", 1, {REAL1(std::atan(x))}},
    {"Atanh", 1, {REAL1(std::atanh(x))}},
    {"BitwiseAnd", 2, {nullptr, INT2(a & b)}},
    {"BitwiseNot", 1, {nullptr, INT1(~x)}},
    {"BitwiseOr", 2, {nullptr, INT2(a | b)}},
    {"BitwiseXor", 2, {nullptr, INT2(a ^ b)}},
    {"Ceil", 1, {REAL1(std::ceil(x))}},
    {"Celu", 1, {REAL1(x > 0 || x != x ? x : p[0] * std::expm1(x / p[0]))}, false, {"alpha"}, {1}},
    // As a step of skiff.Elementwise: low and high are the parameters.
    {"Clip", 1, {REAL1(fmin_nan(fmax_nan(x, p[0]), p[1]))}},
    {"Cos", 1, {REAL1(std::cos(x))}},
    {"Cosh", 1, {REAL1(std::cosh(x))}},
    {"Div", 2, {REAL2(a / b), INT2(wrap_div(a, b)), UINT2(b == 0 ? 0 : a / b)}},
    {"Elu", 1, {REAL1(x > 0 || x != x ? x : p[0] * std::expm1(x))}, false, {"alpha"}, {1}},
    {"Equal", 2, {REAL2(a == b), INT2(a == b)}, true},
    {"Erf", 1, {REAL1(std::erf(x))}},
    {"Exp", 1, {REAL1(std::exp(x))}},
    {"Floor", 1, {REAL1(std::floor(x))}},
    {"Gelu", 1, {REAL1(p[0] != 0 ? gelu_tanh(x) : gelu(x))}},
    {"Greater", 2, {REAL2(a > b), INT2(a > b), UINT2(a > b)}, true},
    {"GreaterOrEqual", 2, {REAL2(a >= b), INT2(a >= b), UINT2(a >= b)}, true},
    {"HardSigmoid", 1, {REAL1(hard_sigmoid(x, p[0], p[1]))}, false, {"alpha", "beta"}, {0.2f, 0.5f}},
    {"HardSwish", 1, {REAL1(x * hard_sigmoid(x, 1.0 / 6, 0.5))}},
    {"IsInf", 1, {REAL1((x > 0 ? p[1] != 0 : p[0] != 0) && std::isinf(x))}, true},
    {"IsNaN", 1, {REAL1(x != x)}, true},
    {"LeakyRelu", 1, {REAL1(x < 0 ? p[0] * x : x)}, false, {"alpha"}, {0.01f}},
    {"Less", 2, {REAL2(a < b), INT2(a < b), UINT2(a < b)}, true},
    {"LessOrEqual", 2, {REAL2(a <= b), INT2(a <= b), UINT2(a <= b)}, true},
    {"Log", 1, {REAL1(std::log(x))}},
    {"Max", 0, {fold<[](double a, double b) { return fmax_nan(a, b); }, double>,
                fold<[](int64_t a, int64_t b) { return (a > b ? a : b); }, int64_t>, fold<kUmax, int64_t>}},
    {"Mean", 0, {mean}},
    {"Min", 0, {fold<[](double a, double b) { return fmin_nan(a, b); }, double>,
                fold<[](int64_t a, int64_t b) { return (a < b ? a : b); }, int64_t>, fold<kUmin, int64_t>}},
    {"Mish", 1, {REAL1(x * std::tanh(softplus(x)))}},
    {"Mul", 2, {REAL2(a * b), INT2(wrap_mul(a, b))}},
    {"Neg", 1, {REAL1(-x), INT1(wrap_sub(0, x))}},
    {"Not", 1, {nullptr, INT1(x == 0)}, true},
    {"Or", 2, {nullptr, INT2(a | b)}, true},
    {"PRelu", 2, {REAL2(a < 0 ? a * b : a), INT2(a < 0 ? wrap_mul(a, b) : a), UINT2(a)}},
    {"Pow", 2, {REAL2(std::pow(a, b))}},
    {"Reciprocal", 1, {REAL1(1 / x)}},
    {"Relu", 1, {REAL1(relu(x)), INT1(x > 0 ? x : 0)}},
    {"Round", 1, {REAL1(std::nearbyint(x))}},
    {"Selu", 1, {REAL1(x > 0 || x != x ? p[1] * x : p[1] * p[0] * std::expm1(x))}, false,
     {"alpha", "gamma"}, {1.67326319217681884765625f, 1.05070102214813232421875f}},
    {"Shrink", 1, {REAL1(x < -p[1] ? x + p[0] : (x > p[1] ? x - p[0] : 0))}, false, {"bias", "lambd"}, {0, 0.5f}},
    {"Sigmoid", 1, {REAL1(sigmoid(x))}},
    {"Sign", 1, {REAL1(x != x ? x : (x > 0) - (x < 0)), INT1((x > 0) - (x < 0)), INT1(x != 0)}},
    {"Sin", 1, {REAL1(std::sin(x))}},
    {"Sinh", 1, {REAL1(std::sinh(x))}},
    {"Softplus", 1, {REAL1(softplus(x))}},
    {"Softsign", 1, {REAL1(x / (1 + std::abs(x)))}},
    {"Sqrt", 1, {REAL1(std::sqrt(x))}},
    {"Sub", 2, {REAL2(a - b), INT2(wrap_sub(a, b))}},
    {"Sum", 0, {fold<[](double a, double b) { return a + b; }, double>}},
    {"SwiGLU", 2, {swiglu}, false, {"alpha"}, {1}},
    {"Swish", 1, {REAL1(x * sigmoid(p[0] * x))}, false, {"alpha"}, {1}},
    {"Tan", 1, {REAL1(std::tan(x))}},
    {"Tanh", 1, {REAL1(std::tanh(x))}},
    {"ThresholdedRelu", 1, {REAL1(x > p[0] || x != x ? x : 0)}, false, {"alpha"}, {1}},
    {"Xor", 2, {nullptr, INT2((a != 0) != (b != 0))}, true},
};

// Mod's two meanings, chosen by its attribute.
constexpr ElementwiseOp kFloorMod{"Mod", 2, {REAL2(floor_mod(a, b)), INT2(floor_rem(a, b)), UINT2(b == 0 ? 0 : a % b)}};
constexpr ElementwiseOp kTruncMod{"Mod", 2, {REAL2(std::fmod(a, b)), INT2(trunc_rem(a, b)), UINT2(b == 0 ? 0 : a % b)}};
// clang-format on

struct Activation {
  const char* name;
  RealFn fn;
};
constexpr Activation kActivations[] = {
    {"relu", REAL1(relu(x))},
    {"clip", REAL1(fmin_nan(fmax_nan(x, p[0]), p[1]))},
    {"leaky_relu", REAL1(x < 0 ? p[0] * x : x)},
    {"sigmoid", REAL1(sigmoid(x))},
    {"tanh", REAL1(std::tanh(x))},
    {"silu", REAL1(x* sigmoid(x))},
    {"hard_swish", REAL1(x* hard_sigmoid(x, 1.0 / 6, 0.5))},
    {"hard_sigmoid", REAL1(hard_sigmoid(x, p[0], p[1]))},
    {"gelu", REAL1(gelu(x))},
    {"gelu_tanh", REAL1(gelu_tanh(x))},
};

const Activation& find_activation(std::string_view name) {
  for (const Activation& a : kActivations)
    if (name == a.name) return a;
  fail(Code::kInvalidModel, "'", name, "' is not a known activation");
}

// Before opset 7 the second input was broadcast on request only, its first extent at `axis` of the first.
Tensor legacy_align(const Node& n, const Tensor& a, const Tensor& b) {
  if (n.opset >= 7 || !n.domain.empty() || n.attr_i("broadcast", 0) == 0 || !n.has_attr("axis")) return b;
  int64_t axis = normalize_axis(n.attr_i("axis", 0), std::max<int64_t>(a.rank(), 1));
  check(axis + b.rank() <= a.rank(), Code::kInvalidModel, "shape ", to_string(b.dims()), " at axis ", axis,
        " does not fit into ", to_string(a.dims()));
  Dims d = b.dims();
  for (int64_t i = axis + b.rank(); i < a.rank(); ++i) d.push_back(1);
  return b.reshaped(d);
}

}  // namespace

const ElementwiseOp* find_elementwise(std::string_view op) {
  for (const ElementwiseOp& e : kTable)
    if (op == e.name) return &e;
  return nullptr;
}

Params params_of(const Node& n, const ElementwiseOp& op) {
  Params p;
  for (int i = 0; i < 2; ++i)
    if (op.attr[i]) p.v[i] = n.attr_f(op.attr[i], op.def[i]);
  if (n.op == "Gelu") {
    std::string s = n.attr_s("approximate", "none");
    check(s == "none" || s == "tanh", Code::kInvalidModel, "attribute 'approximate' = '", s,
          "'; it must be 'none' or 'tanh'");
    p.v[0] = s == "tanh";
  } else if (n.op == "IsInf") {
    p.v[0] = static_cast<double>(n.attr_i("detect_negative", 1));
    p.v[1] = static_cast<double>(n.attr_i("detect_positive", 1));
  } else if (n.op == "Selu" && n.opset < 6) {
    p.v[0] = n.attr_f("alpha", 1.6732f);
    p.v[1] = n.attr_f("gamma", 1.0507f);
  }
  return p;
}

void elementwise_reference(KernelContext& c) {
  const Node& n = c.node();
  const ElementwiseOp* op = find_elementwise(n.op);
  if (n.op == "Mod") op = n.attr_i("fmod", 0) ? &kTruncMod : &kFloorMod;
  check(op != nullptr, Code::kInternal, n.op, " is not an elementwise operator");
  Params p = params_of(n, *op);
  size_t arity = op->arity ? static_cast<size_t>(op->arity) : c.inputs();
  if (!op->arity) p.v[0] = static_cast<double>(arity);
  std::vector<Tensor> in;
  for (size_t i = 0; i < arity; ++i) in.push_back(c.in(i));
  if (arity == 2) in[1] = legacy_align(n, in[0], in[1]);
  DType t = op->boolean ? DType::kBool : in[0].dtype();
  elementwise(c.out(0, t, broadcast_dims(in)), in, op->fns, p.v);
}

void activate(std::string_view activation, double alpha, double beta, double* x, int64_t n) {
  if (activation.empty()) return;
  double p[2] = {alpha, beta};
  find_activation(activation).fn(&x, x, n, p);
}

void check_activation(std::string_view activation) {
  if (!activation.empty()) (void)find_activation(activation);
}

}  // namespace skiff::ref
