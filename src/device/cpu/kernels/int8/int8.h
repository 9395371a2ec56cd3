// Kernels on 8-bit integers: products and convolutions with int32 sums, and what surrounds them.
//
// Every result is exact and the same on every instruction set: sums of centred operands in int32 (wrapping,
// never saturating on the way), then IEEE float32 multiplication by a scale, rounding half to even, addition
// of a zero point, clamping. Operands are u8 or s8 bytes as they lie in the tensor. Pointers need only the
// alignment of their elements.
#pragma once
#include <stddef.h>
#include <stdint.h>

namespace skiff::cpu {

// What a finished sum becomes.
enum class QOut : uint8_t {
  kBytes,  // clamp(round(sum * scale) + zero, low, high)
  kFloat,  // sum * scale, then + float_bias
  kInt,    // the sum
};

// B[k, n], element (p, j) at data[p * k_stride + j * n_stride].
struct QWeights {
  int64_t k = 0, n = 0;
  const uint8_t* data = nullptr;
  int64_t k_stride = 0, n_stride = 0;
  bool is_signed = false;
  const int32_t* zero = nullptr;  // zero points: one, or one per column
  int64_t zeros = 1;
};

// Where the rows of A come from. Direct: row r is the `channels` bytes at x + r * pixel. Otherwise row r
// belongs to output position r of a convolution over channels-last images, and consists of kernel[0] x
// kernel[1] taps of `channels` bytes each; pixels outside hold the zero point.
struct QRows {
  const uint8_t* x = nullptr;
  bool is_signed = false, direct = false;
  int32_t zero = 0;
  int64_t pixel = 0, channels = 0;  // bytes
  int64_t in[2] = {1, 1}, out[2] = {1, 1}, kernel[2] = {1, 1}, stride[2] = {1, 1}, dilation[2] = {1, 1},
          pad[2] = {0, 0};
};

struct QStore {
  QOut out = QOut::kBytes;
  bool is_signed = false;               // bytes: s8
  int32_t zero = 0, low = 0, high = 0;  // bytes
  const int32_t* bias = nullptr;        // where sums start from; by prepare_bias and pack_columns
  const float* scale = nullptr;         // per column, by pack_columns; null for kInt
  const float* float_bias = nullptr;    // per column as they come, may be null; kFloat
};

struct QGemm {
  QRows rows;
  int64_t m = 0, n = 0, k = 0;
  const void* b = nullptr;  // by pack
  const int32_t* zero =
      nullptr;           // by pack_columns, of the zero points shifted by weight_shift; null: all are 0
  int32_t zero_all = 0;  // the one shifted zero point, when zero is null
  QStore store;
  void* c = nullptr;
  int64_t ldc = 0;  // elements
};

// groups == channels. Rows of the result are divided among tasks: row r is row r % out[0] of image r /
// out[0].
struct QDepthwise {
  QRows rows;                     // pixel, channels, geometry; not direct
  const void* weights = nullptr;  // by pack_depthwise, which also gives sets
  int32_t sets = 1;
  QStore store;                      // bytes alone; bias and scale in blocks, by pack_depthwise
  const uint8_t* outside = nullptr;  // `channels` bytes of the zero point
  uint8_t* c = nullptr;
};

// y = clamp(round((a - a_zero) * a_scale + (b - b_zero) * b_scale) + y_zero), or round((a - a_zero) * (b -
// b_zero) * a_scale); scales are already divided by that of y.
struct QBinary {
  const uint8_t *a = nullptr, *b = nullptr;
  uint8_t* y = nullptr;
  bool multiply = false, is_signed = false, b_single = false;
  int32_t a_zero = 0, b_zero = 0, y_zero = 0;
  float a_scale = 1, b_scale = 1;
  int32_t low = 0, high = 255;
};

struct Int8Kernels {
  // Part of a byte product's peak: products per lane and instruction, for estimates.
  int32_t lanes, products;
  // What is added to the zero point of B's bytes before `zero` / `zero_all` of QGemm are set: 0 or -128. Sets
  // that centre B when they pack it ask for none: centred is then true.
  bool centred;
  int32_t (*weight_shift)(bool is_signed);

  size_t (*packed_bytes)(int64_t k, int64_t n);
  // bytes_out: QOut of the product is kBytes (columns lie in another order).
  void (*pack)(const QWeights& w, bool bytes_out, void* packed);
  // Columns rounded up to whole vectors: what pack_columns writes.
  int64_t (*padded_columns)(int64_t n);
  // 32-bit values, one per column, in the order of the packed columns; what is beyond n is 0.
  void (*pack_columns)(int64_t n, bool bytes_out, const void* values, void* packed);
  // The start of each column's sum: bias (may be null) with what makes sums of stored bytes those of centred
  // ones.
  void (*prepare_bias)(const QWeights& w, int32_t a_zero, bool a_signed, const int32_t* bias, int32_t* start);
  // Columns a division must be a multiple of.
  int64_t (*panel)();
  size_t (*scratch_bytes)(const QGemm& g);  // of one call of run
  // Rows [m0, m1), columns [n0, n1) of C; n0 a multiple of panel(), n1 too or n.
  void (*run)(const QGemm& g, int64_t m0, int64_t m1, int64_t n0, int64_t n1, void* scratch);

  // Depthwise: w is [channels, taps] with k = taps. packed: weights, then start sums and scales of the
  // blocks; zeros as in QWeights; bias and scale one per channel. Returns `sets`.
  size_t (*depthwise_bytes)(int64_t channels, int64_t kh, int64_t kw);
  int32_t (*pack_depthwise)(const QWeights& w, int64_t kh, int64_t kw, int32_t a_zero, bool a_signed,
                            const int32_t* bias, const float* scale, void* packed);
  void (*depthwise)(const QDepthwise& d, int64_t row0, int64_t row1);

  void (*binary)(const QBinary& p, int64_t begin, int64_t end);
  // y[i] = table[x[i]] over bytes.
  void (*lookup)(const uint8_t* table, const uint8_t* x, uint8_t* y, int64_t n);
  // best[i] = max(best[i], x[i])
  void (*max)(const uint8_t* x, bool is_signed, int64_t n, uint8_t* best);
  // sums[c] += x[p * channels + c] over pixels p.
  void (*add_pixels)(const uint8_t* x, bool is_signed, int64_t pixels, int64_t channels, int32_t* sums);
  // Smallest and largest of x and 0.
  void (*range)(const float* x, int64_t n, float* low, float* high);
  // Operations of `rounds` rounds of the widest byte product: for the peak.
  double (*dot_rounds)(int64_t rounds);
};

}  // namespace skiff::cpu
