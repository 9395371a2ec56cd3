#include "device/cpu/kernels/elementwise/elementwise.h"

#include "device/cpu/kernels/elementwise/blocks.h"
#include "device/cpu/kernels/elementwise/functions.h"

namespace skiff::cpu::SKIFF_ISA {
namespace {

using UnaryRow = void (*)(const float* x, float* y, int64_t n, float alpha, float beta);
using BinaryRow = void (*)(const float* a, bool a_one, const float* b, bool b_one, float* y, int64_t n);

template <UnaryOp kOp>
void unary_row(const float* x, float* y, int64_t n, float alpha, float beta) {
  int64_t i = 0;
  for (; i + 2 * kLanes <= n; i += 2 * kLanes) {
    const vf u = load(x + i), v = load(x + i + kLanes);
    store(y + i, apply<kOp>(u, alpha, beta));
    store(y + i + kLanes, apply<kOp>(v, alpha, beta));
  }
  for (; i < n; i += kLanes) {
    const int m = n - i < kLanes ? static_cast<int>(n - i) : kLanes;
    store_n(y + i, apply<kOp>(load_n(x + i, m), alpha, beta), m);
  }
}

template <BinaryOp kOp>
void binary_row(const float* a, bool a_one, const float* b, bool b_one, float* y, int64_t n) {
  int64_t i = 0;
  const int64_t whole = n / kLanes * kLanes;
  const vf sa = a_one ? splat(*a) : vf{}, sb = b_one ? splat(*b) : vf{};
  if (!a_one && !b_one) {
    for (; i < whole; i += kLanes) store(y + i, apply<kOp>(load(a + i), load(b + i)));
  } else if (!a_one) {
    for (; i < whole; i += kLanes) store(y + i, apply<kOp>(load(a + i), sb));
  } else if (!b_one) {
    for (; i < whole; i += kLanes) store(y + i, apply<kOp>(sa, load(b + i)));
  }
  for (; i < n; i += kLanes) {
    const int m = n - i < kLanes ? static_cast<int>(n - i) : kLanes;
    store_n(y + i, apply<kOp>(a_one ? sa : load_n(a + i, m), b_one ? sb : load_n(b + i, m)), m);
  }
}

template <int... kOps>
struct Ops {};
template <int kN, int... kOps>
struct Count : Count<kN - 1, kN - 1, kOps...> {};
template <int... kOps>
struct Count<0, kOps...> {
  typedef Ops<kOps...> Type;
};

template <int... kOps>
inline UnaryRow pick_unary(UnaryOp op, Ops<kOps...>) {
  static const UnaryRow rows[] = {unary_row<static_cast<UnaryOp>(kOps)>...};
  return rows[static_cast<int>(op)];
}
template <int... kOps>
inline BinaryRow pick_binary(BinaryOp op, Ops<kOps...>) {
  static const BinaryRow rows[] = {binary_row<static_cast<BinaryOp>(kOps)>...};
  return rows[static_cast<int>(op)];
}
UnaryRow row_of(UnaryOp op) {
  return pick_unary(op, typename Count<static_cast<int>(UnaryOp::kCount)>::Type());
}
BinaryRow row_of(BinaryOp op) {
  return pick_binary(op, typename Count<static_cast<int>(BinaryOp::kCount)>::Type());
}

void unary(UnaryOp op, const float* x, float* y, float alpha, float beta, int64_t begin, int64_t end) {
  if (begin < end) row_of(op)(x + begin, y + begin, end - begin, alpha, beta);
}

// A constant exponent that a cheap function serves as exactly: the unary op that does it, or kCount.
UnaryOp power_of(float e) {
  if (e == 1.0f) return UnaryOp::kIdentity;
  if (e == 2.0f) return UnaryOp::kSquare;
  if (e == 3.0f) return UnaryOp::kCube;
  if (e == 0.5f) return UnaryOp::kPowHalf;
  if (e == -1.0f) return UnaryOp::kReciprocal;
  return UnaryOp::kCount;
}

void binary_block(BinaryOp op, BinaryRow row, const float* a, bool a_one, const float* b, bool b_one,
                  float* y, int64_t n) {
  if (op == BinaryOp::kPow && b_one) {
    const UnaryOp u = power_of(*b);
    if (u != UnaryOp::kCount && !a_one) return row_of(u)(a, y, n, 0, 0);
  }
  row(a, a_one, b, b_one, y, n);
}

void binary(BinaryOp op, const BinaryParams& p, int64_t begin, int64_t end) {
  if (begin >= end) return;
  alignas(64) float buffer[2][kBlock];
  Operand<float> a, b;
  a.init(p.a, p.loop, 0, buffer[0]);
  b.init(p.b, p.loop, 1, buffer[1]);
  const BinaryRow row = row_of(op);
  float* y = static_cast<float*>(p.y);
  bool a_one, b_one;
  if (a.plain() && b.plain()) {  // no blocks needed
    const float* u = a.get(0, begin, end - begin, a_one);
    const float* v = b.get(0, begin, end - begin, b_one);
    return binary_block(op, row, u, a_one, v, b_one, y + begin, end - begin);
  }
  const int64_t periods[2] = {a.period(), b.period()};
  const int64_t length = block_length(p.loop, periods, 2);
  for (int64_t at = begin; at < end;) {
    int64_t block_at;
    const int64_t n = next_block(p.loop, length, at, end, block_at);
    const float* u = a.get(block_at, at, n, a_one);
    const float* v = b.get(block_at, at, n, b_one);
    binary_block(op, row, u, a_one, v, b_one, y + at, n);
    at += n;
  }
}

void chain(const ChainParams& p, void* scratch, int64_t begin, int64_t end) {
  static_assert(kChainBlock == kBlock);
  if (begin >= end) return;
  float* base = static_cast<float*>(scratch);
  float* regs[kChainRegs];
  for (int r = 0; r < kChainRegs; ++r) regs[r] = base + r * kBlock;
  bool reg_one[kChainRegs] = {};
  Operand<float> inputs[kMaxLoopOperands];
  int64_t periods[kMaxLoopOperands];
  for (int i = 0; i < p.loop.operands; ++i) {
    inputs[i].init(p.inputs[i], p.loop, i, base + (kChainRegs + i) * kBlock);
    periods[i] = inputs[i].period();
  }
  const int64_t length = block_length(p.loop, periods, p.loop.operands);
  for (int64_t at = begin; at < end;) {
    int64_t block_at;
    const int64_t n = next_block(p.loop, length, at, end, block_at);
    const float* input[kMaxLoopOperands];
    bool input_one[kMaxLoopOperands];
    for (int i = 0; i < p.loop.operands; ++i) input[i] = inputs[i].get(block_at, at, n, input_one[i]);
    for (int s = 0; s < p.steps; ++s) {
      const ChainStep& step = p.step[s];
      const bool last = s + 1 == p.steps;
      const float* in[2] = {nullptr, nullptr};
      bool one[2] = {false, false};
      for (int k = 0; k < (step.binary ? 2 : 1); ++k) {
        const uint8_t ref = k == 0 ? step.a : step.b;
        if (ref == kChainConst) {
          in[k] = &step.alpha;
          one[k] = true;
        } else if (ref >= kChainInput) {
          in[k] = input[ref - kChainInput];
          one[k] = input_one[ref - kChainInput];
        } else {
          in[k] = regs[ref];
          one[k] = reg_one[ref];
        }
      }
      float* to = last ? p.y + at : regs[step.dst];
      // A step on scalars alone gives a scalar; only y needs it spread.
      const bool scalar = one[0] && (!step.binary || one[1]);
      const int64_t m = scalar ? 1 : n;
      if (!last) reg_one[step.dst] = scalar;
      if (step.binary) {
        const BinaryOp op = static_cast<BinaryOp>(step.op);
        binary_block(op, row_of(op), in[0], one[0], in[1], one[1], to, m);
      } else {
        row_of(static_cast<UnaryOp>(step.op))(in[0], to, m, step.alpha, step.beta);
      }
      if (last && scalar) {
        const float v = *to;
        for (int64_t i = 1; i < n; ++i) to[i] = v;
      }
    }
    at += n;
  }
}

}  // namespace

extern const ElementwiseKernels elementwise_kernels;
const ElementwiseKernels elementwise_kernels = {unary, binary, chain};

}  // namespace skiff::cpu::SKIFF_ISA
