#include "adapt/quantize/make_weight.h"

#include "adapt/quantize/rounding.h"

namespace skiff::adapt {

bool needs_hessian(const std::string& method) {
  return method == "gptq" || method == "adaround" || method == "awq";
}

QuantizedWeight make_weight(const Graph& g, const Node& n, const Tensor& w, WeightSpec spec,
                            const std::string& method, const Hessian* h) {
  spec.search = method != "rtn" && (!method.empty() || spec.bits == 4);
  if (method == "hqq") spec.symmetric = spec.search = false;
  std::vector<float> v = to_floats(w);
  Grid grid(w.dims(), spec);
  Scales s = choose_scales(v, grid, spec);
  if (method == "hqq") improve_zeros_hqq(v, grid, s);
  WeightRows rows = weight_rows(g, n);
  std::vector<int8_t> q;
  if (h && rows.outputs > 0 && method == "gptq")
    q = round_gptq(v, grid, s, rows, *h);
  else if (h && rows.outputs > 0 && method == "adaround")
    q = round_adaptively(v, grid, s, rows, *h);
  else
    q = round_to_nearest(v, grid, s);
  return pack(w, grid, s, q, spec);
}

}  // namespace skiff::adapt
