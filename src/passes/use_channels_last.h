// For targets with TargetTraits::channels_last: float convolutions over one or two spatial axes become
// skiff.Conv with layout NHWC between transposes, and the transposes move down through everything that does
// not mind (elementwise, Concat, Split, Slice, Pad, Resize, pools, normalizations, reductions) until they
// cancel. A convolution of at most planar_stem_channels input channels reads planar input itself.
#pragma once
#include "passes/pass.h"

namespace skiff::passes {

bool use_channels_last(Graph& g, PassContext& ctx);

}  // namespace skiff::passes
