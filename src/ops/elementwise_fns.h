// The functions behind elementwise operators, by ONNX name: one table serves the references of the single
// operators, of skiff.Elementwise, and of fused activations.
#pragma once
#include <string_view>

#include "ops/ref_util.h"

namespace skiff::ref {

struct ElementwiseOp {
  const char* name;
  int arity;  // 0: any number of inputs; params[0] then is that number
  ElementwiseFns fns;
  bool boolean = false;  // gives bool whatever it takes
  // Attributes that become params[0] and params[1], and their defaults.
  const char* attr[2] = {nullptr, nullptr};
  float def[2] = {0, 0};
};

// Null when the operator has no entry.
const ElementwiseOp* find_elementwise(std::string_view op);

// The parameters a node's attributes give.
struct Params {
  double v[2] = {0, 0};
};
Params params_of(const Node& n, const ElementwiseOp& op);

// Reference of every operator in the table: output 0 = op(inputs broadcast together). Honours the
// `broadcast` and `axis` attributes that binary operators had before opset 7.
void elementwise_reference(KernelContext& c);

// x[i] = activation(x[i]), in place: the `activation` attribute of skiff.Conv and skiff.MatMul ("" none,
// "relu", "clip" (alpha = low, beta = high), "leaky_relu" (alpha), "sigmoid", "tanh", "silu", "hard_swish",
// "hard_sigmoid" (alpha, beta), "gelu", "gelu_tanh"). Throws kInvalidModel for another name.
void activate(std::string_view activation, double alpha, double beta, double* x, int64_t n);
// Throws like activate: for checks before the work.
void check_activation(std::string_view activation);

}  // namespace skiff::ref
