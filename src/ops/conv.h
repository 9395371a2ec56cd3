// The loops of every convolution and its reverse, shared by Conv, ConvInteger, QLinearConv, the fused
// internal forms and their reference implementations.
#pragma once
#include "ops/window.h"

namespace skiff {

// Geometry of one convolution with concrete extents, X [N, C, in...], W [M, C/group, kernel...] (transposed:
// W [C, M/group, kernel...]), Y [N, M, out...].
struct ConvShape {
  int64_t batch = 0, channels = 0, filters = 0, group = 1;
  std::vector<int64_t> in, out;
  Window window;
  Dims y_dims() const;
};

// Checks X and W against the node and works out Y. Throws kInvalidModel.
ConvShape conv_shape(const Node& n, const Dims& x, const Dims& w);
ConvShape conv_transpose_shape(const Node& n, const Dims& x, const Dims& w);
// The same for types: Y of a (possibly symbolic) convolution; of unknown extents where nothing is known.
SymShape conv_output(const Node& n, const SymShape& x, const SymShape& w);
SymShape conv_transpose_output(const Node& n, const SymShape& x, const SymShape& w);

// Takes finished rows of sums: n neighbours along the last axis, from element `offset` of Y [N, M, out...]
// on, of output channel m. The sums may be changed in place.
template <class Acc>
class RowSink {
 public:
  virtual ~RowSink() = default;
  virtual void row(int64_t m, int64_t offset, Acc* sums, int64_t n) = 0;
};

// Instantiated for <float, double>, <double, double> and <int32_t, int64_t>.
template <class T, class Acc>
void conv_rows(const ConvShape& s, const T* x, const T* w, RowSink<Acc>& sink, KernelContext& poll);
template <class T, class Acc>
void conv_transpose_rows(const ConvShape& s, const T* x, const T* w, RowSink<Acc>& sink, KernelContext& poll);

// flops and bytes of a convolution node whose X, W and Y are inputs x, w and output 0.
Cost conv_cost(const CostContext& c, size_t w, bool transposed);

}  // namespace skiff
