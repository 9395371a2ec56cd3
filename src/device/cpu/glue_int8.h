// What the glue of the 8-bit kernels shares.
#pragma once
#include "device/cpu/glue_util.h"
#include "device/cpu/kernels/int8/int8.h"

namespace skiff::cpu {

bool is_8bit(DType t);

struct TensorScale {
  float scale = 1;
  int32_t zero = 0;
};
// A constant scale (positive, finite) and zero point (absent: 0) of a whole tensor; nullopt when they are not
// that.
std::optional<TensorScale> scalar_params(const NodeQuery& q, size_t scale, size_t zero);

struct Requantization {
  bool is_signed = false;
  int32_t zero = 0, low = 0, high = 255;
  void into(QStore& s) const;
};

// What is constant about a product.
struct ProductConstants {
  int32_t x_zero = 0;
  std::vector<float> scale;     // per column
  std::vector<int32_t> w_zero;  // one, or one per column
  std::vector<int32_t> bias;    // per column, or empty
};

// Packed weights of one or more groups, each with its columns.
struct PackedProduct {
  int64_t k = 0, n = 0, groups = 1;  // k, n of a group
  size_t weight_bytes = 0;           // of a group
  int64_t columns = 0;               // padded, of a group
  Tensor weights, start, scale, zero;
  int32_t zero_all = 0;
  bool column_zeros = false;

  // data: [groups][n][k]; bytes: the result is 8-bit.
  void pack(const CpuContext& c, const uint8_t* data, bool is_signed, bool x_signed,
            const ProductConstants& q, bool bytes);
  size_t bytes() const { return weights.bytes() + start.bytes() + scale.bytes(); }
  void into(QGemm& g, int64_t group) const;
};
// b[k, n] as [n][k]; b[n, k] with trans stays as it is.
std::vector<uint8_t> columns_first(const Tensor& b, bool trans);

// A product cut into tasks of rows and columns, for each of some groups.
struct TaskSplit {
  int64_t m_step = 1, n_step = 1, m_tasks = 1, n_tasks = 1, groups = 1;
  int64_t tasks() const { return m_tasks * n_tasks * groups; }
};
TaskSplit split_product(const CpuContext& c, int64_t m, int64_t n, int64_t k, int64_t groups);

}  // namespace skiff::cpu
