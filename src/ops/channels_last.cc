// Internal operators: convolutions fused with residual and activation in either layout, and channels-last
// forms of standard operators. Passes make them; they are never read from or written to files.
#include "ops/channels_last.h"

#include "ops/conv.h"
#include "ops/elementwise_fns.h"
#include "ops/real_view.h"

namespace skiff {

bool is_nhwc(const Node& n, std::string_view attr, std::string_view def_value) {
  std::string l = n.attr_s(attr, def_value);
  check(l == "NHWC" || l == "NCHW", Code::kInvalidModel, attr, " is '", l, "', it must be NCHW or NHWC");
  return l == "NHWC";
}

std::vector<size_t> to_first(size_t rank) {
  std::vector<size_t> p{0, rank - 1};
  for (size_t i = 1; i + 1 < rank; ++i) p.push_back(i);
  return p;
}
std::vector<size_t> to_last(size_t rank) {
  std::vector<size_t> p{0};
  for (size_t i = 2; i < rank; ++i) p.push_back(i);
  p.push_back(1);
  return p;
}

SymShape permuted(const SymShape& s, bool first) {
  if (!s.has_rank()) return s;
  check(s.rank() >= 3, Code::kInvalidModel, "a channels-last tensor needs rank 3 or more");
  std::vector<Dim> d;
  for (size_t a : first ? to_first(s.rank()) : to_last(s.rank())) d.push_back(s[a]);
  return SymShape(std::move(d));
}

namespace {

Tensor channels_first(const Tensor& t) {
  check(t.rank() >= 3, Code::kInvalidModel, "a channels-last tensor needs rank 3 or more, it has shape ",
        to_string(t.dims()));
  return ref::permuted(t, to_first(t.dims().size()));
}

// ---------------------------------------------------------------- skiff.Conv, skiff.ConvTranspose

void infer_fused(InferContext& c, bool transposed) {
  bool last = is_nhwc(c.node(), "layout", "NCHW");
  bool x_last = is_nhwc(c.node(), "x_layout", last ? "NHWC" : "NCHW");
  SymShape x = x_last ? permuted(c.shape(0), true) : c.shape(0);
  SymShape y =
      transposed ? conv_transpose_output(c.node(), x, c.shape(1)) : conv_output(c.node(), x, c.shape(1));
  c.set(0, c.dtype(0), last ? permuted(y, false) : y);
}

struct Activation {
  std::string name;
  double alpha = 0, beta = 0;
};

Activation activation_of(const Node& n) {
  Activation a{n.attr_s("activation", ""), 0, 0};
  ref::check_activation(a.name);
  bool hard = a.name == "hard_sigmoid";
  a.alpha = n.attr_f("alpha", hard ? 0.2f : 0.0f);
  a.beta = n.attr_f("beta", hard ? 0.5f : 0.0f);
  return a;
}

// Adds bias and residual, applies the activation, rounds.
template <class T>
class FusedSink : public RowSink<double> {
 public:
  FusedSink(const T* bias, const T* residual, Activation act, T* y)
      : bias_(bias), z_(residual), act_(std::move(act)), y_(y) {}
  void row(int64_t m, int64_t offset, double* sums, int64_t n) override {
    double b = bias_ ? bias_[m] : 0;
    for (int64_t i = 0; i < n; ++i) sums[i] += b + (z_ ? static_cast<double>(z_[offset + i]) : 0);
    ref::activate(act_.name, act_.alpha, act_.beta, sums, n);
    for (int64_t i = 0; i < n; ++i) y_[offset + i] = static_cast<T>(sums[i]);
  }

 private:
  const T *bias_, *z_;
  Activation act_;
  T* y_;
};

void run_fused(KernelContext& c, bool transposed, const Activation& act) {
  const Node& n = c.node();
  bool last = is_nhwc(n, "layout", "NCHW"), x_last = is_nhwc(n, "x_layout", last ? "NHWC" : "NCHW");
  Tensor x = x_last ? channels_first(c.in(0)) : c.in(0);
  const Tensor& w = c.in(1);
  ConvShape s = transposed ? conv_transpose_shape(n, x.dims(), w.dims()) : conv_shape(n, x.dims(), w.dims());
  const Tensor* bias = c.maybe(2);
  if (bias) ref::expect_dims(*bias, {s.filters}, "B");
  Tensor z;
  if (c.has(3)) {
    z = last ? channels_first(c.in(3)) : c.in(3);
    ref::expect_dims(z, s.y_dims(), "Z (channels first)");
  }
  Tensor y(x.dtype(), s.y_dims());
  ref::with_real(x.dtype(), [&](auto zero) {
    using T = decltype(zero);
    ref::RealIn<T> xs(x), ws(w), bs(bias), zs(z.defined() ? &z : nullptr);
    ref::RealOut<T> ys(y);
    FusedSink<T> sink(bs.data(), zs.data(), act, ys.data());
    if (transposed)
      conv_transpose_rows<T, double>(s, xs.data(), ws.data(), sink, c);
    else
      conv_rows<T, double>(s, xs.data(), ws.data(), sink, c);
    ys.commit();
  });
  if (!last) {
    c.set_out(0, std::move(y));
    return;
  }
  Dims d = SymShape(permuted(SymShape(y.dims()), false)).to_dims();
  ref::permute_into(y, to_last(d.size()), c.out(0, y.dtype(), d));
}

void fused_reference(KernelContext& c, bool transposed) { run_fused(c, transposed, activation_of(c.node())); }

void infer_fused_conv(InferContext& c) { infer_fused(c, false); }
void infer_fused_conv_transpose(InferContext& c) { infer_fused(c, true); }
void fused_conv_reference(KernelContext& c) { fused_reference(c, false); }
void fused_conv_transpose_reference(KernelContext& c) { fused_reference(c, true); }
Cost cost_fused_conv(const CostContext& c) { return conv_cost(c, 1, false); }
Cost cost_fused_conv_transpose(const CostContext& c) { return conv_cost(c, 1, true); }

std::vector<Formal> conv_inputs() {
  return {{"X", kFloatTypes, 'T'},
          {"W", kFloatTypes, 'T'},
          {"B", kFloatTypes, 'T', Arity::kOptional},
          {"Z", kFloatTypes, 'T', Arity::kOptional}};
}
std::vector<AttrDef> conv_attributes() {
  return {
      {"activation", AttrType::kString}, {"alpha", AttrType::kFloat},    {"auto_pad", AttrType::kString},
      {"beta", AttrType::kFloat},        {"dilations", AttrType::kInts}, {"group", AttrType::kInt},
      {"kernel_shape", AttrType::kInts}, {"layout", AttrType::kString},  {"output_padding", AttrType::kInts},
      {"output_shape", AttrType::kInts}, {"pads", AttrType::kInts},      {"strides", AttrType::kInts},
      {"x_layout", AttrType::kString}};
}

}  // namespace

SKIFF_OP_DEF(skiff, Conv) {
  return {.domain = "skiff",
          .name = "Conv",
          .versions = {1},
          .inputs = conv_inputs(),
          .outputs = {{"Y", kFloatTypes, 'T'}},
          .attributes = conv_attributes(),
          .infer = infer_fused_conv,
          .reference = fused_conv_reference,
          .cost = cost_fused_conv,
          .flags = kInternal};
}

SKIFF_OP_DEF(skiff, ConvTranspose) {
  return {.domain = "skiff",
          .name = "ConvTranspose",
          .versions = {1},
          .inputs = conv_inputs(),
          .outputs = {{"Y", kFloatTypes, 'T'}},
          .attributes = conv_attributes(),
          .infer = infer_fused_conv_transpose,
          .reference = fused_conv_transpose_reference,
          .cost = cost_fused_conv_transpose,
          .flags = kInternal};
}

// ---------------------------------------------------------------- com.microsoft.FusedConv

namespace {

// The same operator under ONNX's activation names, with the parameters in one list.
void ms_fused_conv_reference(KernelContext& c) {
  struct Name {
    const char *ms, *ours;
  };
  static constexpr Name kNames[] = {
      {"", ""},         {"Relu", "relu"},       {"LeakyRelu", "leaky_relu"},    {"Tanh", "tanh"},
      {"Clip", "clip"}, {"Sigmoid", "sigmoid"}, {"HardSigmoid", "hard_sigmoid"}};
  std::string name = c.node().attr_s("activation", "");
  std::vector<float> p = c.node().attr_floats("activation_params");
  Activation a{"?", p.empty() ? 0.0 : static_cast<double>(p[0]),
               p.size() < 2 ? 0.0 : static_cast<double>(p[1])};
  for (const Name& n : kNames)
    if (name == n.ms) a.name = n.ours;
  check(a.name != "?", Code::kInvalidModel, "activation '", name, "' is not known");
  run_fused(c, false, a);
}

}  // namespace

SKIFF_OP_DEF(com_microsoft, FusedConv) {
  return {.domain = "com.microsoft",
          .name = "FusedConv",
          .versions = {1},
          .inputs = conv_inputs(),
          .outputs = {{"Y", kFloatTypes, 'T'}},
          .attributes = {{"activation", AttrType::kString},
                         {"activation_params", AttrType::kFloats},
                         {"auto_pad", AttrType::kString},
                         {"dilations", AttrType::kInts},
                         {"group", AttrType::kInt},
                         {"kernel_shape", AttrType::kInts},
                         {"pads", AttrType::kInts},
                         {"strides", AttrType::kInts}},
          .infer = infer_fused_conv,
          .reference = ms_fused_conv_reference,
          .cost = cost_fused_conv};
}

// ---------------------------------------------------------------- channels-last forms of standard operators

namespace {

// The node as ONNX would write it.
Node standard_node(const Node& n) {
  Node s = n;
  s.domain.clear();
  s.opset = kNewestOpset;
  if (s.op == "NhwcMaxPool") s.op = "MaxPool";
  s.def = find_op("", s.op);
  check(s.def != nullptr, Code::kInternal, "no standard operator ", n.op);
  return s;
}

void infer_form(InferContext& c) {
  Node n = standard_node(c.node());
  bool last = is_nhwc(c.node(), "layout", "NHWC");
  std::vector<Type> types(c.inputs());
  std::vector<InputInfo> in(c.inputs());
  for (size_t i = 0; i < c.inputs(); ++i) {
    if (!c.has(i)) continue;
    types[i] = c.type(i);
    if (i == 0 && last) types[i].shape = permuted(types[i].shape, true);
    in[i].type = &types[i];
    in[i].constant = c.constant(i);
  }
  std::vector<OutputInfo> out(c.outputs());
  InferContext inner(n, in, out);
  n.def->infer(inner);
  if (out.empty()) return;
  if (last) out[0].type.shape = permuted(out[0].type.shape, false);
  c.set(0, out[0].type);
}

void form_reference(KernelContext& c) {
  Node n = standard_node(c.node());
  bool last = is_nhwc(c.node(), "layout", "NHWC");
  Datum x = last ? channels_first(c.in(0)) : c.in(0);
  std::vector<const Datum*> in;
  for (size_t i = 0; i < c.inputs(); ++i) in.push_back(c.has(i) ? &c.in_datum(i) : nullptr);
  in[0] = &x;
  std::vector<Datum> out(c.outputs());
  KernelContext inner(n, in, out, nullptr);
  n.def->reference(inner);
  if (!last) {
    c.set_out(0, std::move(out[0]));
    return;
  }
  const Tensor& y = out[0].tensor();
  Dims d = permuted(SymShape(y.dims()), false).to_dims();
  ref::permute_into(y, to_last(d.size()), c.out(0, y.dtype(), d));
}

Cost cost_form(const CostContext& c) {
  const OpDef* standard = find_op("", c.node.op);
  if (standard && standard->cost) return standard->cost(c);
  Cost r;
  for (const Type* t : c.in)
    if (t) r.bytes += c.elements(t) * dtype_bits(t->dtype) / 8;
  for (const Type* t : c.out)
    if (t) r.bytes += c.elements(t) * dtype_bits(t->dtype) / 8;
  r.flops = c.out_elements(0);
  return r;
}

// X and up to four more inputs (scale, bias, mean, variance); the rest is the standard operator's.
OpDef form(const char* name, size_t inputs) {
  OpDef d{.domain = "skiff", .name = name, .versions = {1}};
  d.inputs.push_back({"X", kNumericTypes, 'T'});
  for (size_t i = 1; i < inputs; ++i) d.inputs.push_back({"P", kNumericTypes});
  d.outputs = {{"Y", kNumericTypes, 'T'}};
  d.attributes = {{"layout", AttrType::kString}};
  d.infer = infer_form;
  d.reference = form_reference;
  d.cost = cost_form;
  d.flags = kInternal;
  return d;
}

}  // namespace

// com.microsoft's form of 8-bit integers; it has no layout attribute, for it has one layout only.
SKIFF_OP_DEF(com_microsoft, NhwcMaxPool) {
  OpDef d = form("NhwcMaxPool", 1);
  d.domain = "com.microsoft";
  d.inputs[0].types = d.outputs[0].types = kInt8Types;
  d.attributes.clear();
  d.cost = nullptr;
  d.flags = 0;
  return d;
}

SKIFF_OP_DEF(skiff, MaxPool) { return form("MaxPool", 1); }
SKIFF_OP_DEF(skiff, AveragePool) { return form("AveragePool", 1); }
SKIFF_OP_DEF(skiff, LpPool) { return form("LpPool", 1); }
SKIFF_OP_DEF(skiff, GlobalAveragePool) { return form("GlobalAveragePool", 1); }
SKIFF_OP_DEF(skiff, GlobalMaxPool) { return form("GlobalMaxPool", 1); }
SKIFF_OP_DEF(skiff, BatchNormalization) { return form("BatchNormalization", 5); }
SKIFF_OP_DEF(skiff, InstanceNormalization) { return form("InstanceNormalization", 3); }
SKIFF_OP_DEF(skiff, LRN) { return form("LRN", 1); }
SKIFF_OP_DEF(skiff, DepthToSpace) { return form("DepthToSpace", 1); }
SKIFF_OP_DEF(skiff, SpaceToDepth) { return form("SpaceToDepth", 1); }

}  // namespace skiff
