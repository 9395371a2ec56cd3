#include "device/cpu/kernels/conv/conv.h"

#include "device/cpu/kernels/conv/methods.h"

namespace skiff::cpu::SKIFF_ISA {

extern const ConvKernels conv_kernels;
const ConvKernels conv_kernels = {&conv_igemm,     &conv_depthwise, &conv_few_channels, &conv_planar,
                                  &conv_transpose, &conv_winograd4, &conv_winograd6};

}  // namespace skiff::cpu::SKIFF_ISA
