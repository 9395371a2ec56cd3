#include "ops/delegate.h"

#include "ops/interpret.h"

namespace skiff {

Node as_operator(const Node& n, const char* op, int opset, const char* domain) {
  Node r = n;
  r.domain = domain;
  r.op = op;
  r.opset = opset;
  r.def = find_op(domain, op);
  check(r.def != nullptr, Code::kInternal, "the operator ", op, " is not in the catalogue");
  return r;
}

void infer_as(InferContext& c, const Node& n) {
  std::vector<InputInfo> in(c.inputs());
  std::vector<std::optional<std::vector<Dim>>> data(c.inputs());
  for (size_t i = 0; i < in.size(); ++i) {
    if (!c.has(i)) continue;
    in[i].type = &c.type(i);
    in[i].constant = c.constant(i);
    data[i] = c.data(i);
    if (data[i]) in[i].data = &*data[i];
  }
  std::vector<OutputInfo> out(c.outputs());
  InferContext inner(n, in, out);
  n.def->infer(inner);
  for (size_t i = 0; i < out.size(); ++i) {
    c.set(i, std::move(out[i].type));
    if (out[i].has_data) c.set_data(i, std::move(out[i].data));
  }
}

void run_as(KernelContext& c, const Node& n, std::span<const Datum* const> in) {
  std::vector<Datum> out = run_reference(n, in);
  for (size_t i = 0; i < out.size(); ++i)
    if (c.wants(i)) c.set_out(i, std::move(out[i]));
}

void run_as(KernelContext& c, const Node& n) {
  std::vector<const Datum*> in;
  for (size_t i = 0; i < c.inputs(); ++i) in.push_back(c.has(i) ? &c.in_datum(i) : nullptr);
  run_as(c, n, in);
}

}  // namespace skiff
