// Elementwise kernels: unary, binary with broadcasting, where, fused chains. Ranges are flat output elements;
// any split of a range gives the same bits. Outputs may be the very buffer of an input that has the output's
// shape.
#pragma once
#include <stddef.h>
#include <stdint.h>

#include "device/cpu/broadcast.h"

namespace skiff::cpu {

// f32 -> f32. alpha and beta mean what the comment says. NaN passes through every op; where a formula has
// inf * 0 (kGelu, kSilu, kMish at -inf) the limit is given.
enum class UnaryOp : uint8_t {
  kIdentity,
  kAbs,
  kNeg,
  kRelu,
  kLeakyRelu,        // x < 0 ? alpha * x : x
  kThresholdedRelu,  // x > alpha ? x : 0
  kClip,             // min(max(x, alpha), beta)
  kSigmoid,
  kTanh,
  kExp,
  kLog,
  kSqrt,
  kReciprocal,
  kFloor,
  kCeil,
  kRound,  // half to even
  kErf,
  kGelu,         // x/2 * (1 + erf(x / sqrt 2))
  kGeluTanh,     // x/2 * (1 + tanh(sqrt(2/pi) (x + 0.044715 x^3)))
  kQuickGelu,    // x * sigmoid(alpha * x)
  kSilu,         // x * sigmoid(x)
  kHardSwish,    // x * max(0, min(1, x/6 + 1/2))
  kHardSigmoid,  // max(0, min(1, alpha * x + beta))
  kSoftplus,     // log(1 + exp(x))
  kElu,          // x < 0 ? alpha * (exp(x) - 1) : x
  kSelu,         // beta * (x < 0 ? alpha * (exp(x) - 1) : x)
  kCelu,         // max(0, x) + min(0, alpha * (exp(x / alpha) - 1))
  kSoftsign,     // x / (1 + |x|)
  kMish,         // x * tanh(softplus(x))
  kSin,
  kCos,
  kSign,  // NaN stays NaN
  kSquare,
  kCube,
  kPowHalf,     // x^0.5 as pow has it: +0 for -0, inf for -inf
  kScaleShift,  // alpha * x + beta
  kCount,
};

enum class BinaryOp : uint8_t {
  kAdd,
  kSub,
  kMul,
  kDiv,
  kPow,  // f32 only
  kMin,  // f32: NaN if either is
  kMax,
  kPrelu,  // a < 0 ? a * b : a
  kSquaredDifference,
  kCount,
};

// y = op(a, b); operand 0 of loop is a, operand 1 is b, as made by collapse_broadcast. The output is dense.
struct BinaryParams {
  const void* a;
  const void* b;
  void* y;
  LoopShape loop;
};

// A small program run block by block in L1, so that a chain of N ops reads and writes memory once.
// Operands: a register (kChainReg + 0..2), an input of the loop (kChainInput + i) or the step's constant.
inline constexpr uint8_t kChainReg = 0;
inline constexpr uint8_t kChainInput = 16;
inline constexpr uint8_t kChainConst = 255;  // alpha of a binary step
inline constexpr int kChainRegs = 3;
inline constexpr int kChainBlock = 1024;  // elements of a block
inline constexpr size_t kChainScratchBytes =
    (kChainRegs + kMaxLoopOperands) * kChainBlock * sizeof(float) + 64;

struct ChainStep {
  bool binary;
  uint8_t op;    // UnaryOp or BinaryOp
  uint8_t dst;   // register; ignored for the last step, which writes y
  uint8_t a, b;  // operands (b unused by unary steps)
  float alpha, beta;
};

// Inputs with the output's full shape may share y's buffer; others must not overlap it.
struct ChainParams {
  int steps;
  const ChainStep* step;
  const float* inputs[kMaxLoopOperands];  // operand i of loop
  float* y;
  LoopShape loop;
};

struct ElementwiseKernels {
  void (*unary)(UnaryOp op, const float* x, float* y, float alpha, float beta, int64_t begin, int64_t end);
  void (*binary)(BinaryOp op, const BinaryParams& p, int64_t begin, int64_t end);  // f32
  // scratch: kChainScratchBytes, one per thread.
  void (*chain)(const ChainParams& p, void* scratch, int64_t begin, int64_t end);
};

}  // namespace skiff::cpu
