// Convolutions: Conv, ConvTranspose, ConvInteger, QLinearConv.
#include "ops/conv.h"

#include <cstring>

#include "ops/quantize.h"
#include "ops/real_view.h"

namespace skiff {
namespace {

using ref::RealIn;
using ref::RealOut;

// Adds the bias and rounds to the output's type.
template <class T>
class BiasSink : public RowSink<double> {
 public:
  BiasSink(const T* bias, T* y) : bias_(bias), y_(y) {}
  void row(int64_t m, int64_t offset, double* sums, int64_t n) override {
    double b = bias_ ? bias_[m] : 0;
    for (int64_t i = 0; i < n; ++i) y_[offset + i] = static_cast<T>(sums[i] + b);
  }

 private:
  const T* bias_;
  T* y_;
};

void run_float(KernelContext& c, const ConvShape& s, bool transposed) {
  const Tensor& x = c.in(0);
  const Tensor* bias = c.maybe(2);
  if (bias) ref::expect_dims(*bias, {s.filters}, "B");
  Tensor& y = c.out(0, x.dtype(), s.y_dims());
  ref::with_real(x.dtype(), [&](auto zero) {
    using T = decltype(zero);
    RealIn<T> xs(x), ws(c.in(1)), bs(bias);
    RealOut<T> ys(y);
    BiasSink<T> sink(bs.data(), ys.data());
    if (transposed)
      conv_transpose_rows<T, double>(s, xs.data(), ws.data(), sink, c);
    else
      conv_rows<T, double>(s, xs.data(), ws.data(), sink, c);
    ys.commit();
  });
}

// ---------------------------------------------------------------- Conv

void infer_conv(InferContext& c) { c.set(0, c.dtype(0), conv_output(c.node(), c.shape(0), c.shape(1))); }

void conv_reference(KernelContext& c) {
  run_float(c, conv_shape(c.node(), c.in(0).dims(), c.in(1).dims()), false);
}

Cost cost_conv(const CostContext& c) { return conv_cost(c, 1, false); }

}  // namespace

SKIFF_OP_DEF(ai_onnx, Conv) {
  return {
      .name = "Conv",
      .versions = {1, 11, 22},
      .inputs = {{"X", kFloatTypes, 'T'}, {"W", kFloatTypes, 'T'}, {"B", kFloatTypes, 'T', Arity::kOptional}},
      .outputs = {{"Y", kFloatTypes, 'T'}},
      .attributes = {{"auto_pad", AttrType::kString},
                     {"dilations", AttrType::kInts},
                     {"group", AttrType::kInt},
                     {"kernel_shape", AttrType::kInts},
                     {"pads", AttrType::kInts},
                     {"strides", AttrType::kInts}},
      .infer = infer_conv,
      .reference = conv_reference,
      .cost = cost_conv};
}

// ---------------------------------------------------------------- ConvTranspose

namespace {

void infer_conv_transpose(InferContext& c) {
  c.set(0, c.dtype(0), conv_transpose_output(c.node(), c.shape(0), c.shape(1)));
}

void conv_transpose_reference(KernelContext& c) {
  run_float(c, conv_transpose_shape(c.node(), c.in(0).dims(), c.in(1).dims()), true);
}

Cost cost_conv_transpose(const CostContext& c) { return conv_cost(c, 1, true); }

}  // namespace

SKIFF_OP_DEF(ai_onnx, ConvTranspose) {
  return {
      .name = "ConvTranspose",
      .versions = {1, 11, 22},
      .inputs = {{"X", kFloatTypes, 'T'}, {"W", kFloatTypes, 'T'}, {"B", kFloatTypes, 'T', Arity::kOptional}},
      .outputs = {{"Y", kFloatTypes, 'T'}},
      .attributes = {{"auto_pad", AttrType::kString},
                     {"dilations", AttrType::kInts},
                     {"group", AttrType::kInt},
                     {"kernel_shape", AttrType::kInts},
                     {"output_padding", AttrType::kInts},
                     {"output_shape", AttrType::kInts},
                     {"pads", AttrType::kInts},
                     {"strides", AttrType::kInts}},
      .infer = infer_conv_transpose,
      .reference = conv_transpose_reference,
      .cost = cost_conv_transpose};
}

// ---------------------------------------------------------------- ConvInteger

namespace {

void infer_conv_integer(InferContext& c) {
  c.set(0, DType::kInt32, conv_output(c.node(), c.shape(0), c.shape(1)));
}

class IntSink : public RowSink<int64_t> {
 public:
  explicit IntSink(int32_t* y) : y_(y) {}
  void row(int64_t, int64_t offset, int64_t* sums, int64_t n) override {
    for (int64_t i = 0; i < n; ++i) y_[offset + i] = static_cast<int32_t>(sums[i]);
  }

 private:
  int32_t* y_;
};

void conv_integer_reference(KernelContext& c) {
  ConvShape s = conv_shape(c.node(), c.in(0).dims(), c.in(1).dims());
  // Padding stands for the zero point, so the centred input is padded with 0.
  std::vector<int32_t> x = quant::centred(c.in(0), c.maybe(2), 0), w = quant::centred(c.in(1), c.maybe(3), 0);
  IntSink sink(c.out(0, DType::kInt32, s.y_dims()).data<int32_t>());
  conv_rows<int32_t, int64_t>(s, x.data(), w.data(), sink, c);
}

}  // namespace

SKIFF_OP_DEF(ai_onnx, ConvInteger) {
  return {.name = "ConvInteger",
          .versions = {10},
          .inputs = {{"x", kInt8Types, '1'},
                     {"w", kInt8Types, '2'},
                     {"x_zero_point", kInt8Types, '1', Arity::kOptional},
                     {"w_zero_point", kInt8Types, '2', Arity::kOptional}},
          .outputs = {{"y", mask_of(DType::kInt32), '3'}},
          .attributes = {{"auto_pad", AttrType::kString},
                         {"dilations", AttrType::kInts},
                         {"group", AttrType::kInt},
                         {"kernel_shape", AttrType::kInts},
                         {"pads", AttrType::kInts},
                         {"strides", AttrType::kInts}},
          .infer = infer_conv_integer,
          .reference = conv_integer_reference,
          .cost = cost_conv};
}

// ---------------------------------------------------------------- QLinearConv

namespace {

void infer_qlinear_conv(InferContext& c) {
  c.set(0, c.dtype(7), conv_output(c.node(), c.shape(0), c.shape(3)));
}

class RequantizeSink : public RowSink<int64_t> {
 public:
  RequantizeSink(const int32_t* bias, std::vector<float> scale, int32_t zero, Tensor& y)
      : bias_(bias), scale_(std::move(scale)), zero_(zero), range_(quant::range_of(y.dtype())), y_(y) {}
  void row(int64_t m, int64_t offset, int64_t* sums, int64_t n) override {
    float scale = scale_[scale_.size() == 1 ? 0 : static_cast<size_t>(m)];
    int64_t b = bias_ ? bias_[m] : 0;
    // Both 8-bit types have the same bits for what the range lets through.
    auto* y = y_.data<uint8_t>() + offset;
    for (int64_t i = 0; i < n; ++i)
      y[i] = static_cast<uint8_t>(quant::requantize(static_cast<int32_t>(sums[i] + b), scale, zero_, range_));
  }

 private:
  const int32_t* bias_;
  std::vector<float> scale_;
  int32_t zero_;
  quant::Range range_;
  Tensor& y_;
};

void qlinear_conv_reference(KernelContext& c) {
  ConvShape s = conv_shape(c.node(), c.in(0).dims(), c.in(3).dims());
  std::vector<int32_t> x = quant::centred(c.in(0), c.maybe(2), -1),
                       w = quant::centred(c.in(3), c.maybe(5), 0);
  float x_scale = quant::scale_of(c.in(1)), y_scale = quant::scale_of(c.in(6));
  std::vector<float> scale = to_floats(c.in(4));
  check(scale.size() == 1 || static_cast<int64_t>(scale.size()) == s.filters, Code::kInvalidModel,
        "w_scale has ", scale.size(), " entries for ", s.filters, " output channels");
  for (float& f : scale) f = x_scale * f / y_scale;
  const Tensor* bias = c.maybe(8);
  if (bias) ref::expect_dims(*bias, {s.filters}, "B");
  Tensor& y = c.out(0, c.in(7).dtype(), s.y_dims());
  RequantizeSink sink(bias ? bias->data<int32_t>() : nullptr, std::move(scale), quant::zero_of(c.maybe(7)),
                      y);
  conv_rows<int32_t, int64_t>(s, x.data(), w.data(), sink, c);
}

Cost cost_qlinear_conv(const CostContext& c) { return conv_cost(c, 3, false); }

}  // namespace

SKIFF_OP_DEF(ai_onnx, QLinearConv) {
  return {.name = "QLinearConv",
          .versions = {10},
          .inputs = {{"x", kInt8Types, '1'},
                     {"x_scale", mask_of(DType::kFloat)},
                     {"x_zero_point", kInt8Types, '1'},
                     {"w", kInt8Types, '2'},
                     {"w_scale", mask_of(DType::kFloat)},
                     {"w_zero_point", kInt8Types, '2'},
                     {"y_scale", mask_of(DType::kFloat)},
                     {"y_zero_point", kInt8Types, '3'},
                     {"B", mask_of(DType::kInt32), '4', Arity::kOptional}},
          .outputs = {{"y", kInt8Types, '3'}},
          .attributes = {{"auto_pad", AttrType::kString},
                         {"dilations", AttrType::kInts},
                         {"group", AttrType::kInt},
                         {"kernel_shape", AttrType::kInts},
                         {"pads", AttrType::kInts},
                         {"strides", AttrType::kInts}},
          .infer = infer_qlinear_conv,
          .reference = qlinear_conv_reference,
          .cost = cost_qlinear_conv};
}

}  // namespace skiff
