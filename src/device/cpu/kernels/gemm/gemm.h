// fp32 matrix products: C[M,N] = act(alpha * A[M,K] * B[K,N] + bias + residual).
//
// B is the vector operand and is packed in panels of columns (once, for a constant B); A is read where it
// lies. The caller divides the work: plan() proposes a grid of tasks, run() computes one rectangle of C. The
// value of an element of C does not depend on how C was divided. All pointers need only the alignment of
// float.
#pragma once
#include <stddef.h>
#include <stdint.h>

namespace skiff::cpu {

enum class Act : int32_t {
  kNone = 0,
  kClip,         // min(max(x, p0), p1): Relu is (0, inf), Relu6 is (0, 6)
  kLeakyRelu,    // x < 0 ? p0 * x : x
  kSigmoid,      //
  kTanh,         //
  kSilu,         // x * sigmoid(x)
  kHardSwish,    // x * min(max(x / 6 + 1/2, 0), 1)
  kHardSigmoid,  // min(max(p0 * x + p1, 0), 1)
  kGeluErf,      // ONNX Gelu, approximate = "none"
  kGeluTanh,     // ONNX Gelu, approximate = "tanh"
};

// What happens to a finished sum before it is stored, in the order of the members. Null pointers are left
// out.
struct Epilogue {
  const float* bias = nullptr;      // [N], added to every row (convolution: one per output channel)
  const float* row_bias = nullptr;  // [M], added to every column
  const float* residual =
      nullptr;              // [M,N] with row stride ld_residual. May be C itself (element for element);
  int64_t ld_residual = 0;  //       must not overlap C otherwise.
  Act act = Act::kNone;
  float p0 = 0, p1 = 0;
};

struct GemmArgs {
  int64_t m = 0, n = 0, k = 0;
  const float* a =
      nullptr;  // element (i, p) at a[i * a_row_stride + p * a_k_stride]: row-major A has (lda, 1),
  int64_t a_row_stride = 0;  // transposed A (stored [K,M]) has (1, lda)
  int64_t a_k_stride = 1;
  const float* b = nullptr;  // packed by pack_b
  float* c = nullptr;        // row-major, row stride ldc
  int64_t ldc = 0;
  float alpha = 1;
  Epilogue epilogue;
};

// A grid of tasks over an m x n result: task t is rows [i * m_step, ...) and columns [j * n_step, ...) with
// i = t / n_tasks, j = t % n_tasks, both cut at the end.
struct TaskGrid {
  int64_t m_step = 0, n_step = 0, m_tasks = 0, n_tasks = 0;
  int64_t tasks() const { return m_tasks * n_tasks; }
};

struct GemmKernels {
  // Floats in one vector register; columns that a product's are rounded up to.
  int32_t lanes, unit;

  // Size of a packed B[k,n].
  size_t (*packed_b_bytes)(int64_t k, int64_t n);
  // Packs B[k,n] (row-major, row stride ldb), or, with trans_b, the transpose of a stored B[n,k].
  void (*pack_b)(int64_t k, int64_t n, const float* b, int64_t ldb, bool trans_b, float* packed);
  // The same for columns [n0, n1) alone, to pack at run time on several threads. n0 is a multiple of
  // panel_width(n).
  void (*pack_b_columns)(int64_t k, int64_t n, const float* b, int64_t ldb, bool trans_b, float* packed,
                         int64_t n0, int64_t n1);
  // Columns of a panel of a packed B with n columns: every n0 above and in run() is a multiple of it.
  int64_t (*panel_width)(int64_t n);

  // A grid for `threads` threads that claim tasks one by one; one task if the product is too small to divide.
  TaskGrid (*plan)(int64_t m, int64_t n, int64_t k, int32_t threads);
  // Rows [m0, m1) and columns [n0, n1) of C. n0 is a multiple of panel_width(n), n1 one as well or n.
  void (*run)(const GemmArgs& args, int64_t m0, int64_t m1, int64_t n0, int64_t n1);

  // Columns [n0, n1) of one row C[1,N] with an unpacked B (as in pack_b): args.m = 1, args.b = B, any n0.
  void (*gemv)(const GemmArgs& args, int64_t ldb, bool trans_b, int64_t n0, int64_t n1);

  // In place on a contiguous array.
  void (*activate)(Act act, float p0, float p1, float* x, int64_t count);
};

}  // namespace skiff::cpu
