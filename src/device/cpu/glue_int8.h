// What the glue of the 8-bit kernels shares.
#pragma once
#include "device/cpu/glue_util.h"
#include "device/cpu/kernels/int8/int8.h"

namespace skiff::cpu {

bool is_8bit(DType t);

struct QuantParams {
  float scale = 1;
  int32_t zero = 0;
};
// A constant scale (positive, finite) and zero point (absent: 0) of a whole tensor; nullopt when they are not
// that.
std::optional<QuantParams> scalar_params(const NodeQuery& q, size_t scale, size_t zero);

struct Requantization {
  bool is_signed = false;
  int32_t zero = 0, low = 0, high = 255;
  void into(QStore& s) const;
};

// A product cut into tasks of rows and columns, for each of some groups.
struct TaskSplit {
  int64_t m_step = 1, n_step = 1, m_tasks = 1, n_tasks = 1, groups = 1;
  int64_t tasks() const { return m_tasks * n_tasks * groups; }
};
TaskSplit split_product(const CpuContext& c, int64_t m, int64_t n, int64_t k, int64_t groups);

}  // namespace skiff::cpu
