// skiff.Elementwise: a chain of elementwise operators over broadcast float inputs, as one node.
#include <algorithm>

#include "ops/elementwise_fns.h"
#include "ops/rule_util.h"

namespace skiff {
namespace {

constexpr int64_t kNoOperand = -1000;

struct Step {
  ref::RealFn fn;
  int64_t operand[2];
  double params[2];
};

// The attributes, checked: every operand is an input or an earlier step.
std::vector<Step> steps_of(const Node& n) {
  std::vector<std::string> ops = n.attr_strings("ops");
  std::vector<int64_t> operands = n.attr_ints("operands");
  std::vector<float> params = n.attr_floats("params");
  check(!ops.empty() && operands.size() == 2 * ops.size() && params.size() == 2 * ops.size(),
        Code::kInvalidModel, "skiff.Elementwise has ", ops.size(), " steps, ", operands.size(),
        " operands and ", params.size(), " params; two of each a step are needed");
  std::vector<Step> steps;
  for (size_t i = 0; i < ops.size(); ++i) {
    const ref::ElementwiseOp* op = ref::find_elementwise(ops[i]);
    check(op && op->fns.real, Code::kInvalidModel, "'", ops[i], "' is not a step of skiff.Elementwise");
    Step s{op->fns.real, {operands[2 * i], operands[2 * i + 1]}, {params[2 * i], params[2 * i + 1]}};
    int arity = 0;
    for (int64_t o : s.operand) {
      if (o == kNoOperand) break;
      ++arity;
      bool ok = o >= 0 ? o < static_cast<int64_t>(n.inputs.size()) : -1 - o < static_cast<int64_t>(i);
      check(ok, Code::kInvalidModel, "operand ", o, " of step ", i,
            " is neither an input nor an earlier step");
    }
    check(arity > 0 && (op->arity == 0 || arity == op->arity), Code::kInvalidModel, "step ", i, " (", ops[i],
          ") has ", arity, " operands");
    if (op->arity == 0) s.params[0] = arity;
    steps.push_back(s);
  }
  return steps;
}

// Rounds each step as the separate operators would.
void round_to(DType t, double* v, int64_t n, Tensor& scratch) {
  if (t == DType::kDouble) return;
  if (t == DType::kFloat) {
    for (int64_t i = 0; i < n; ++i) v[i] = static_cast<float>(v[i]);
    return;
  }
  ref::store(scratch, 0, n, v);
  ref::load(scratch, 0, 1, n, v);
}

void reference(KernelContext& c) {
  std::vector<Step> steps = steps_of(c.node());
  std::vector<Tensor> in;
  std::vector<Dims> dims;
  for (size_t i = 0; i < c.inputs(); ++i) {
    in.push_back(c.in(i));
    dims.push_back(in.back().dims());
  }
  DType t = in[0].dtype();
  Tensor& y = c.out(0, t, ref::broadcast_dims(in));
  Tensor scratch(t, {ref::kBlock});
  auto slot = [](size_t i) { return i * static_cast<size_t>(ref::kBlock); };
  std::vector<double> buffer(slot(in.size() + steps.size()));
  ref::StridedRuns r = ref::broadcast_runs(y.dims(), dims);
  while (r.next()) {
    for (int64_t b = 0; b < r.n(); b += ref::kBlock) {
      int64_t n = std::min(ref::kBlock, r.n() - b);
      for (size_t i = 0; i < in.size(); ++i)
        ref::load(in[i], r.at(i + 1) + b * r.step(i + 1), r.step(i + 1), n, buffer.data() + slot(i));
      double* last = nullptr;
      for (size_t k = 0; k < steps.size(); ++k) {
        const double* args[2] = {};
        for (int j = 0; j < 2; ++j) {
          int64_t o = steps[k].operand[j];
          if (o == kNoOperand) break;
          args[j] =
              buffer.data() + slot(o >= 0 ? static_cast<size_t>(o) : in.size() + static_cast<size_t>(-1 - o));
        }
        last = buffer.data() + slot(in.size() + k);
        steps[k].fn(args, last, n, steps[k].params);
        round_to(t, last, n, scratch);
      }
      ref::store(y, r.at(0) + b, n, last);
    }
  }
}

}  // namespace

SKIFF_OP_DEF(skiff, Elementwise) {
  return {.domain = "skiff",
          .name = "Elementwise",
          .versions = {1},
          .inputs = {{"inputs", kFloatTypes, 'T', Arity::kVariadic}},
          .outputs = {{"output", kFloatTypes, 'T'}},
          .attributes = {{"ops", AttrType::kStrings, true},
                         {"operands", AttrType::kInts, true},
                         {"params", AttrType::kFloats, true}},
          .infer =
              [](InferContext& c) {
                (void)steps_of(c.node());
                infer_broadcast(c);
              },
          .reference = reference,
          .cost =
              [](const CostContext& c) {
                Cost r;
                r.flops = c.out_elements(0) * static_cast<double>(c.node.attr_strings("ops").size());
                for (const Type* t : c.in)
                  if (t) r.bytes += c.elements(t) * dtype_bits(t->dtype) / 8;
                if (!c.out.empty() && c.out[0])
                  r.bytes += c.out_elements(0) * dtype_bits(c.out[0]->dtype) / 8;
                return r;
              },
          .flags = kElementwise | kInternal};
}

}  // namespace skiff
