// Elementwise operators on floats: single ones and skiff.Elementwise chains.
#include <limits>
#include <memory>

#include "device/cpu/glue_util.h"
#include "device/cpu/kernels/elementwise/elementwise.h"
#include "ops/elementwise_fns.h"

namespace skiff::cpu {
namespace {

struct UnaryName {
  std::string_view op;
  UnaryOp f;
};
constexpr UnaryName kUnary[] = {
    {"Abs", UnaryOp::kAbs},
    {"Ceil", UnaryOp::kCeil},
    {"Celu", UnaryOp::kCelu},
    {"Clip", UnaryOp::kClip},
    {"Cos", UnaryOp::kCos},
    {"Elu", UnaryOp::kElu},
    {"Erf", UnaryOp::kErf},
    {"Exp", UnaryOp::kExp},
    {"Floor", UnaryOp::kFloor},
    {"Gelu", UnaryOp::kGelu},
    {"HardSigmoid", UnaryOp::kHardSigmoid},
    {"HardSwish", UnaryOp::kHardSwish},
    {"LeakyRelu", UnaryOp::kLeakyRelu},
    {"Log", UnaryOp::kLog},
    {"Mish", UnaryOp::kMish},
    {"Neg", UnaryOp::kNeg},
    {"Reciprocal", UnaryOp::kReciprocal},
    {"Relu", UnaryOp::kRelu},
    {"Round", UnaryOp::kRound},
    {"Selu", UnaryOp::kSelu},
    {"Sigmoid", UnaryOp::kSigmoid},
    {"Sign", UnaryOp::kSign},
    {"Sin", UnaryOp::kSin},
    {"Softplus", UnaryOp::kSoftplus},
    {"Softsign", UnaryOp::kSoftsign},
    {"Sqrt", UnaryOp::kSqrt},
    {"Swish", UnaryOp::kQuickGelu},
    {"Tanh", UnaryOp::kTanh},
    {"ThresholdedRelu", UnaryOp::kThresholdedRelu},
};

struct BinaryName {
  std::string_view op;
  BinaryOp f;
};
constexpr BinaryName kBinary[] = {
    {"Add", BinaryOp::kAdd}, {"Div", BinaryOp::kDiv}, {"Max", BinaryOp::kMax},     {"Min", BinaryOp::kMin},
    {"Mul", BinaryOp::kMul}, {"Pow", BinaryOp::kPow}, {"PRelu", BinaryOp::kPrelu}, {"Sub", BinaryOp::kSub},
    {"Sum", BinaryOp::kAdd}, {"Mean", BinaryOp::kAdd}};

struct UnaryStep {
  UnaryOp f;
  float alpha, beta;
};

// Parameters as in ref::params_of.
std::optional<UnaryStep> unary_step(std::string_view op, float p0, float p1) {
  for (const UnaryName& u : kUnary) {
    if (u.op != op) continue;
    UnaryStep s{u.f, p0, p1};
    if (u.f == UnaryOp::kGelu && p0 != 0) s.f = UnaryOp::kGeluTanh;
    if (u.f == UnaryOp::kQuickGelu && p0 == 1) s.f = UnaryOp::kSilu;
    return s;
  }
  return std::nullopt;
}

std::optional<BinaryOp> binary_op(std::string_view op) {
  for (const BinaryName& b : kBinary)
    if (b.op == op) return b.f;
  return std::nullopt;
}

// x^e by something cheaper.
std::optional<UnaryStep> power_step(float e) {
  if (e == 1) return UnaryStep{UnaryOp::kIdentity, 0, 0};
  if (e == 2) return UnaryStep{UnaryOp::kSquare, 0, 0};
  if (e == 3) return UnaryStep{UnaryOp::kCube, 0, 0};
  if (e == 0.5F) return UnaryStep{UnaryOp::kPowHalf, 0, 0};
  if (e == -1) return UnaryStep{UnaryOp::kReciprocal, 0, 0};
  return std::nullopt;
}

// Rough cost of an operation on a vectorized core.
double unary_ns(UnaryOp f) {
  switch (f) {
    case UnaryOp::kSigmoid:
    case UnaryOp::kTanh:
    case UnaryOp::kExp:
    case UnaryOp::kLog:
    case UnaryOp::kErf:
    case UnaryOp::kGelu:
    case UnaryOp::kGeluTanh:
    case UnaryOp::kQuickGelu:
    case UnaryOp::kSilu:
    case UnaryOp::kSoftplus:
    case UnaryOp::kElu:
    case UnaryOp::kSelu:
    case UnaryOp::kCelu:
    case UnaryOp::kMish:
    case UnaryOp::kSin:
    case UnaryOp::kCos: return 1;
    default: return 0.1;
  }
}
double binary_ns(BinaryOp f) { return f == BinaryOp::kPow ? 4 : 0.15; }

// Tasks start at whole blocks, so that no two of them write one cache line.
constexpr int64_t kBlock = kChainBlock;

std::unique_ptr<BoundKernel> bind_unary(const CpuContext& c, int64_t n, UnaryStep s) {
  auto elements = static_cast<double>(n);
  Work w = divide(c, n, std::max(move_seconds(8 * elements), elements * unary_ns(s.f) * 1e-9), kBlock);
  return bound([&c, s, w](const RunArgs& a) {
    const float* x = in_floats(a, 0);
    float* y = out_floats(a);
    each(c, w, [&](int64_t b, int64_t e) { c.k->elementwise->unary(s.f, x, y, s.alpha, s.beta, b, e); });
  });
}

// ---------------------------------------------------------------- single operators

std::unique_ptr<BoundKernel> plan_unary(const PlanArgs& p) {
  ref::Params v = ref::params_of(p.node, *ref::find_elementwise(p.node.op));
  auto s = unary_step(p.node.op, static_cast<float>(v.v[0]), static_cast<float>(v.v[1]));
  return bind_unary(p.c, element_count(p.y()), s.value());
}

std::unique_ptr<BoundKernel> plan_clip(const PlanArgs& p) {
  constexpr float kInf = std::numeric_limits<float>::infinity();
  const bool inputs = p.node.opset >= 11;
  const float lo = inputs ? -kInf : p.node.attr_f("min", -kInf);
  const float hi = inputs ? kInf : p.node.attr_f("max", kInf);
  for (size_t i : {1, 2})
    if (p.has(i) && element_count(p.x(i)) != 1) return nullptr;
  const int64_t n = element_count(p.y());
  Work w = divide(p.c, n, move_seconds(8 * static_cast<double>(n)), kBlock);
  const CpuContext& c = p.c;
  return bound([&c, w, lo, hi](const RunArgs& a) {
    const float *x = in_floats(a, 0), *min = maybe_floats(a, 1), *max = maybe_floats(a, 2);
    const float low = min ? *min : lo, high = max ? *max : hi;
    float* y = out_floats(a);
    each(c, w, [&](int64_t b, int64_t e) { c.k->elementwise->unary(UnaryOp::kClip, x, y, low, high, b, e); });
  });
}

std::unique_ptr<BoundKernel> plan_binary(const PlanArgs& p) {
  const CpuContext& c = p.c;
  const BinaryOp op = binary_op(p.node.op).value();
  const Tensor* e = p.constant(1);
  if (op == BinaryOp::kPow && e && e->size() == 1 && p.x() == p.y())
    if (auto s = power_step(e->data<float>()[0])) return bind_unary(c, element_count(p.y()), *s);
  BinaryParams params{};
  const size_t operands[] = {0, 1};
  if (!broadcast_loop(p, operands, &params.loop)) return nullptr;
  auto n = static_cast<double>(params.loop.size);
  Work w = divide(c, params.loop.size, std::max(move_seconds(12 * n), n * binary_ns(op) * 1e-9), kBlock);
  return bound([&c, op, params, w](const RunArgs& a) {
    BinaryParams r = params;
    r.a = in_floats(a, 0);
    r.b = in_floats(a, 1);
    r.y = out_floats(a);
    each(c, w, [&](int64_t b, int64_t end) { c.k->elementwise->binary(op, r, b, end); });
  });
}

// ---------------------------------------------------------------- chains

struct Program {
  std::vector<ChainStep> steps;
  std::vector<size_t> inputs;  // node inputs that are operands of the loop
  double ns = 0;               // per element
};

std::unique_ptr<BoundKernel> bind_program(const PlanArgs& p, Program program) {
  const CpuContext& c = p.c;
  ChainParams params{};
  if (!broadcast_loop(p, program.inputs, &params.loop)) return nullptr;
  auto n = static_cast<double>(params.loop.size);
  double bytes = 4 * n * static_cast<double>(program.inputs.size() + 1);
  Work w = divide(c, params.loop.size, std::max(move_seconds(bytes), n * program.ns * 1e-9), kBlock);
  params.steps = static_cast<int>(program.steps.size());
  return bound([&c, params, w, program = std::move(program)](const RunArgs& a) {
    ChainParams r = params;
    r.step = program.steps.data();
    for (size_t i = 0; i < program.inputs.size(); ++i) r.inputs[i] = in_floats(a, program.inputs[i]);
    r.y = out_floats(a);
    each(c, w, [&](int64_t b, int64_t e) {
      alignas(64) unsigned char scratch[kChainScratchBytes];
      c.k->elementwise->chain(r, scratch, b, e);
    });
  });
}

// Max, Min, Sum and Mean of any number of operands.
std::unique_ptr<BoundKernel> plan_variadic(const PlanArgs& p) {
  if (p.in.size() == 1) return bind_unary(p.c, element_count(p.y()), {UnaryOp::kIdentity, 0, 0});
  const bool mean = p.node.op == "Mean";
  if (p.in.size() == 2 && !mean) return plan_binary(p);
  if (p.in.size() > kMaxLoopOperands) return nullptr;
  const auto op = static_cast<uint8_t>(binary_op(p.node.op).value());
  Program r;
  for (size_t i = 0; i < p.in.size(); ++i) r.inputs.push_back(i);
  uint8_t acc = kChainInput;
  for (size_t i = 1; i < p.in.size(); ++i) {
    const auto dst = static_cast<uint8_t>(kChainReg + i % 2);
    r.steps.push_back({true, op, dst, acc, static_cast<uint8_t>(kChainInput + i), 0, 0});
    acc = dst;
  }
  if (mean)
    r.steps.push_back({false, static_cast<uint8_t>(UnaryOp::kScaleShift), 0, acc, 0,
                       1 / static_cast<float>(p.in.size()), 0});
  r.ns = 0.1 * static_cast<double>(r.steps.size());
  return bind_program(p, std::move(r));
}

std::unique_ptr<BoundKernel> plan_affine(const PlanArgs& p) {
  return bind_unary(p.c, element_count(p.y()),
                    {UnaryOp::kScaleShift, p.node.attr_f("alpha", 1), p.node.attr_f("beta", 0)});
}

// The com.microsoft forms of GELU, with a bias along the last axis if there is one.
std::unique_ptr<BoundKernel> plan_gelu(const PlanArgs& p) {
  const std::string& op = p.node.op;
  UnaryStep s{UnaryOp::kGelu, 0, 0};
  if (op == "FastGelu") s.f = UnaryOp::kGeluTanh;
  if (op == "QuickGelu") s = {UnaryOp::kQuickGelu, p.node.attr_f("alpha", 1.702F), 0};
  if (!p.has(1)) return bind_unary(p.c, element_count(p.y()), s);
  if (p.x().empty() || p.x(1) != Dims{p.x().back()}) return nullptr;
  Program r;
  r.inputs = {0, 1};
  r.steps.push_back({true, static_cast<uint8_t>(BinaryOp::kAdd), 0, kChainInput, kChainInput + 1, 0, 0});
  r.steps.push_back({false, static_cast<uint8_t>(s.f), 0, kChainReg, 0, s.alpha, s.beta});
  r.ns = unary_ns(s.f) + 0.1;
  return bind_program(p, std::move(r));
}

constexpr int64_t kNoOperand = -1000;

// The scalar an input always is.
template <class Constant>
std::optional<float> scalar_constant(const Constant& constant, int64_t operand) {
  if (operand < 0) return std::nullopt;
  const Tensor* t = constant(static_cast<size_t>(operand));
  if (!t || t->size() != 1 || t->dtype() != DType::kFloat) return std::nullopt;
  return t->data<float>()[0];
}

// The node's steps for the chain kernel; nullopt when one is not known to it or registers or operands run
// out. constant(i): the constant value of input i or null. A scalar constant may widen the output's rank, so
// inputs of a node's output shape are what the loop follows: its shape is the output's anyway.
template <class Constant>
std::optional<Program> compile(const Node& n, const Constant& constant) {
  std::vector<std::string> ops = n.attr_strings("ops");
  std::vector<int64_t> operands = n.attr_ints("operands");
  std::vector<float> params = n.attr_floats("params");
  const size_t steps = ops.size();
  if (steps == 0 || operands.size() != 2 * steps || params.size() != 2 * steps) return std::nullopt;
  std::vector<size_t> last_use(steps, 0);
  for (size_t k = 0; k < steps; ++k)
    for (int64_t o : {operands[2 * k], operands[2 * k + 1]}) {
      if (o == kNoOperand || o >= 0) continue;
      if (-1 - o >= static_cast<int64_t>(k)) return std::nullopt;
      last_use[static_cast<size_t>(-1 - o)] = k;
    }
  Program r;
  std::vector<uint8_t> reg(steps, 0);
  size_t holder[kChainRegs];
  std::fill(std::begin(holder), std::end(holder), SIZE_MAX);
  const auto place = [&](int64_t o) -> uint8_t {
    if (o < 0) return reg[static_cast<size_t>(-1 - o)];
    auto at = std::find(r.inputs.begin(), r.inputs.end(), static_cast<size_t>(o));
    auto i = static_cast<size_t>(at - r.inputs.begin());
    if (at == r.inputs.end()) r.inputs.push_back(static_cast<size_t>(o));
    return static_cast<uint8_t>(kChainInput + i);
  };
  for (size_t k = 0; k < steps; ++k) {
    const int64_t oa = operands[2 * k], ob = operands[2 * k + 1];
    if (oa == kNoOperand || oa >= static_cast<int64_t>(n.inputs.size()) ||
        ob >= static_cast<int64_t>(n.inputs.size()))
      return std::nullopt;
    ChainStep s{};
    if (ob == kNoOperand) {
      auto u = unary_step(ops[k], params[2 * k], params[2 * k + 1]);
      if (!u) return std::nullopt;
      s = {false, static_cast<uint8_t>(u->f), 0, place(oa), 0, u->alpha, u->beta};
      r.ns += unary_ns(u->f);
    } else {
      auto b = binary_op(ops[k]);
      if (!b || ops[k] == "Mean") return std::nullopt;
      auto ca = scalar_constant(constant, oa), cb = scalar_constant(constant, ob);
      auto power = *b == BinaryOp::kPow && cb ? power_step(*cb) : std::nullopt;
      if (power) {
        s = {false, static_cast<uint8_t>(power->f), 0, place(oa), 0, 0, 0};
      } else if (cb) {
        s = {true, static_cast<uint8_t>(*b), 0, place(oa), kChainConst, *cb, 0};
      } else if (ca) {
        s = {true, static_cast<uint8_t>(*b), 0, kChainConst, place(ob), *ca, 0};
      } else {
        s = {true, static_cast<uint8_t>(*b), 0, place(oa), place(ob), 0, 0};
      }
      r.ns += power ? 0.1 : binary_ns(*b);
    }
    // The result needs a register of its own; operands read for the last time free theirs afterwards.
    if (k + 1 < steps) {
      auto* free = std::find(std::begin(holder), std::end(holder), SIZE_MAX);
      if (free == std::end(holder)) return std::nullopt;
      s.dst = static_cast<uint8_t>(kChainReg + (free - holder));
      reg[k] = s.dst;
      *free = k;
    }
    for (size_t& h : holder)
      if (h != SIZE_MAX && last_use[h] <= k) h = SIZE_MAX;
    r.steps.push_back(s);
  }
  if (r.inputs.size() > kMaxLoopOperands) return std::nullopt;
  return r;
}

std::unique_ptr<BoundKernel> plan_chain(const PlanArgs& p) {
  auto program = compile(p.node, [&p](size_t i) { return p.constant(i); });
  return program ? bind_program(p, std::move(*program)) : nullptr;
}

// ---------------------------------------------------------------- what matches

bool old_broadcasting(const NodeQuery& q) { return q.node.domain.empty() && q.node.opset < 7; }

std::optional<double> match_unary(const NodeQuery& q, const CpuContext& c) { return match_floats(q, c); }
std::optional<double> match_binary(const NodeQuery& q, const CpuContext& c) {
  if (q.in.size() != 2 || !q.in[1] || old_broadcasting(q)) return std::nullopt;
  return match_floats(q, c);
}
std::optional<double> match_variadic(const NodeQuery& q, const CpuContext& c) {
  if (q.in.size() > kMaxLoopOperands) return std::nullopt;
  for (const Type* t : q.in)
    if (!t) return std::nullopt;
  return match_floats(q, c);
}
std::optional<double> match_chain(const NodeQuery& q, const CpuContext& c) {
  if (!compile(q.node, [&q](size_t i) { return q.constant(i); })) return std::nullopt;
  return match_floats(q, c);
}

constexpr KernelFactory unary(const char* op) {
  return glue<"unary_f32", plan_unary, 1>("", op, match_unary);
}
constexpr KernelFactory binary(const char* op) {
  return glue<"binary_f32", plan_binary, 3>("", op, match_binary);
}
constexpr KernelFactory variadic(const char* op) {
  return glue<"variadic_f32", plan_variadic, 0xff>("", op, match_variadic);
}

}  // namespace

std::span<const KernelFactory> elementwise_factories() {
  static const std::vector<KernelFactory> list = [] {
    std::vector<KernelFactory> r;
    for (const UnaryName& u : kUnary)
      if (u.f != UnaryOp::kClip) r.push_back(unary(u.op.data()));
    r.push_back(glue<"clip_f32", plan_clip, 1>("", "Clip", match_unary));
    r.push_back(glue<"unary_f32", plan_affine, 1>("", "Affine", match_unary));
    for (const char* op : {"Add", "Div", "Mul", "Pow", "PRelu", "Sub"}) r.push_back(binary(op));
    for (const char* op : {"Max", "Mean", "Min", "Sum"}) r.push_back(variadic(op));
    for (const char* op : {"BiasGelu", "FastGelu", "Gelu", "QuickGelu"})
      r.push_back(glue<"gelu_f32", plan_gelu, 1>("com.microsoft", op, match_unary));
    r.push_back(glue<"chain_f32", plan_chain, 0xff>("skiff", "Elementwise", match_chain));
    return r;
  }();
  return list;
}

}  // namespace skiff::cpu
