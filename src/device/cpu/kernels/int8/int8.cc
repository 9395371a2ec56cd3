#include "device/cpu/kernels/int8/int8.h"

#include "device/cpu/kernels/int8/dot.h"

namespace skiff::cpu::SKIFF_ISA {
namespace {

int64_t panel() { return kPanel; }

double dot_rounds(int64_t rounds) {
  constexpr int kSums = 16;
  vi sum[kSums] = {};
  vi a = splat_i(0x01010101), b = splat_i(0x02010102);
  for (int64_t r = 0; r < rounds; r++) {
    SKIFF_UNROLL for (int i = 0; i < kSums; i++) sum[i] = dot(sum[i], a, b);
#if defined(__SSE2__)
    asm volatile("" : "+x"(a));  // each round is done
#endif
  }
  vi all = {};
  SKIFF_UNROLL for (int i = 0; i < kSums; i++) all ^= sum[i];
  volatile int32_t keep = sum_lanes_i(all);
  (void)keep;
  return 2.0 * (double)rounds * kSums * kLanes * kGroup;
}

}  // namespace

extern const Int8Kernels int8_kernels;
const Int8Kernels int8_kernels = {
    kLanes,
    kGroup,
    !kByteDots,
    q_weight_shift,
    q_packed_bytes,
    q_pack,
    q_padded_columns,
    q_pack_columns,
    q_prepare_bias,
    panel,
    q_scratch_bytes,
    q_run,
    q_depthwise_bytes,
    q_pack_depthwise,
    q_depthwise,
    q_binary,
    q_lookup,
    q_max,
    q_add_pixels,
    q_range,
    dot_rounds,
};

}  // namespace skiff::cpu::SKIFF_ISA
