// Operators that read at indices: Gather, GatherElements, GatherND.
#include <algorithm>

#include "ops/ref_util.h"
#include "ops/rule_util.h"

namespace skiff {
namespace {

// index in [-n, n) -> [0, n).
int64_t wrap_index(int64_t i, int64_t n) {
  check(i >= -n && i < n, Code::kInvalidArgument, "index ", i, " is outside [", -n, ", ", n - 1, "]");
  return i < 0 ? i + n : i;
}

// ---------------------------------------------------------------- Gather

void infer_gather(InferContext& c) {
  if (!c.has_rank(0) || !c.has_rank(1)) return c.set(0, c.dtype(0));
  const SymShape &s = c.shape(0), &q = c.shape(1);
  size_t axis = rule::axis(c.node().attr_i("axis", 0), s.rank());
  const auto& d = s.dims();
  std::vector<Dim> out(d.begin(), d.begin() + static_cast<ptrdiff_t>(axis));
  out.insert(out.end(), q.dims().begin(), q.dims().end());
  out.insert(out.end(), d.begin() + static_cast<ptrdiff_t>(axis) + 1, d.end());
  c.set(0, c.dtype(0), SymShape(std::move(out)));
  if (s.rank() != 1 || q.rank() > 1) return;
  auto data = rule::numbers(c, 0);
  if (!data) return;
  auto index = c.ints(1);
  if (!index) return;
  std::vector<Dim> r;
  auto n = static_cast<int64_t>(data->size());
  for (int64_t i : *index) {
    check(i >= -n && i < n, Code::kInvalidModel, "index ", i, " is outside [", -n, ", ", n - 1, "]");
    r.push_back((*data)[static_cast<size_t>(i < 0 ? i + n : i)]);
  }
  c.set_data(0, std::move(r));
}

void gather_reference(KernelContext& c) {
  const Tensor &x = c.in(0), &q = c.in(1);
  auto axis = static_cast<size_t>(normalize_axis(c.node().attr_i("axis", 0), x.rank()));
  Dims d(x.dims().begin(), x.dims().begin() + axis);
  for (int64_t e : q.dims()) d.push_back(e);
  for (size_t i = axis + 1; i < x.dims().size(); ++i) d.push_back(x.dims()[i]);
  int64_t outer = element_count(x.dims(), 0, axis), n = x.dims()[axis];
  int64_t inner = element_count(x.dims(), axis + 1, x.dims().size());
  std::vector<int64_t> index = to_ints(q);
  for (int64_t& i : index) i = wrap_index(i, n);
  Tensor& y = c.out(0, x.dtype(), d);
  int64_t at = 0;
  for (int64_t o = 0; o < outer; ++o)
    for (int64_t i : index) {
      ref::copy(y, at, 1, x, (o * n + i) * inner, 1, inner);
      at += inner;
    }
}

// ---------------------------------------------------------------- GatherElements

void gather_elements_reference(KernelContext& c) {
  const Tensor &x = c.in(0), &q = c.in(1);
  check(x.rank() == q.rank(), Code::kInvalidModel, "data ", describe(x), " and indices ", describe(q),
        " differ in rank");
  auto axis = static_cast<size_t>(normalize_axis(c.node().attr_i("axis", 0), x.rank()));
  for (size_t k = 0; k < q.dims().size(); ++k)
    check(k == axis || q.dims()[k] <= x.dims()[k], Code::kInvalidModel, "the indices' shape ",
          to_string(q.dims()), " exceeds the data's ", to_string(x.dims()), " along axis ", k);
  Tensor& y = c.out(0, x.dtype(), q.dims());
  Dims own = strides_of(x.dims()), s = own;
  s[axis] = 0;
  ref::StridedRuns r(q.dims(), {strides_of(q.dims()), s});
  while (r.next())
    for (int64_t i = 0; i < r.n(); ++i) {
      int64_t at = r.at(0) + i * r.step(0);
      int64_t from = wrap_index(get_int(q, at), x.dims()[axis]);
      ref::copy(y, at, 1, x, r.at(1) + i * r.step(1) + from * own[axis], 1, 1);
    }
}

// ---------------------------------------------------------------- GatherND

int64_t batch_dims(const Node& n) {
  int64_t b = n.attr_i("batch_dims", 0);
  check(b >= 0, Code::kInvalidModel, "attribute 'batch_dims' = ", b, " is negative");
  return b;
}

void infer_gather_nd(InferContext& c) {
  c.set(0, c.dtype(0));
  if (!c.has_rank(0) || !c.has_rank(1)) return;
  const SymShape &s = c.shape(0), &q = c.shape(1);
  auto b = static_cast<size_t>(batch_dims(c.node()));
  check(q.rank() > b && s.rank() > b, Code::kInvalidModel, "batch_dims = ", b, " leaves no axis of ",
        s.to_string(), " or ", q.to_string());
  const Dim& last = q[q.rank() - 1];
  if (!last.is_const()) return;
  check(last.value() >= 1 && last.value() <= static_cast<int64_t>(s.rank() - b), Code::kInvalidModel,
        "the indices ", q.to_string(), " address more axes than ", s.to_string(), " has");
  std::vector<Dim> d(q.dims().begin(), q.dims().end() - 1);
  d.insert(d.end(), s.dims().begin() + static_cast<ptrdiff_t>(b) + last.value(), s.dims().end());
  c.set(0, c.dtype(0), SymShape(std::move(d)));
}

void gather_nd_reference(KernelContext& c) {
  const Tensor &x = c.in(0), &q = c.in(1);
  int64_t b = batch_dims(c.node());
  check(q.rank() > b && x.rank() > b, Code::kInvalidModel, "batch_dims = ", b, " leaves no axis of ",
        describe(x), " or ", describe(q));
  int64_t depth = q.dim(q.rank() - 1);
  check(depth >= 1 && depth <= x.rank() - b, Code::kInvalidModel, "the indices ", describe(q),
        " address more axes than ", describe(x), " has");
  int64_t batches = 1;
  for (int64_t i = 0; i < b; ++i) {
    check(x.dim(i) == q.dim(i), Code::kInvalidModel, "batch axis ", i, " differs between ", describe(x),
          " and ", describe(q));
    batches *= x.dim(i);
  }
  Dims d(q.dims().begin(), q.dims().end() - 1);
  for (int64_t i = b + depth; i < x.rank(); ++i) d.push_back(x.dim(i));
  Tensor& y = c.out(0, x.dtype(), d);
  if (y.size() == 0) return;
  Dims strides = strides_of(x.dims());
  int64_t inner = element_count(x.dims(), static_cast<size_t>(b + depth), x.dims().size());
  int64_t per_batch = element_count(q.dims(), static_cast<size_t>(b), q.dims().size() - 1);
  int64_t batch_size = element_count(x.dims(), static_cast<size_t>(b), x.dims().size());
  for (int64_t i = 0; i < batches * per_batch; ++i) {
    int64_t from = i / per_batch * batch_size;
    for (int64_t k = 0; k < depth; ++k)
      from += wrap_index(get_int(q, i * depth + k), x.dim(b + k)) * strides[static_cast<size_t>(b + k)];
    ref::copy(y, i * inner, 1, x, from, 1, inner);
  }
}

Cost gather_cost(const CostContext& c) {
  double b = c.in[0] ? dtype_bits(c.in[0]->dtype) / 8.0 : 0;
  return {0, 2 * c.out_elements(0) * b + c.in_elements(1) * 8};
}

}  // namespace

SKIFF_OP_DEF(ai_onnx, Gather) {
  return {.name = "Gather",
          .versions = {1, 11, 13},
          .inputs = {{"data", kAllTypes, 'T'}, {"indices", kIndexTypes}},
          .outputs = {{"output", kAllTypes, 'T'}},
          .attributes = {{"axis", AttrType::kInt}},
          .infer = infer_gather,
          .reference = gather_reference,
          .cost = gather_cost};
}

SKIFF_OP_DEF(ai_onnx, GatherElements) {
  return {.name = "GatherElements",
          .versions = {11, 13},
          .inputs = {{"data", kAllTypes, 'T'}, {"indices", kIndexTypes}},
          .outputs = {{"output", kAllTypes, 'T'}},
          .attributes = {{"axis", AttrType::kInt}},
          .infer = [](InferContext& c) { c.set(0, c.dtype(0), c.shape(1)); },
          .reference = gather_elements_reference,
          .cost = gather_cost};
}

SKIFF_OP_DEF(ai_onnx, GatherND) {
  return {.name = "GatherND",
          .versions = {11, 12, 13},
          .inputs = {{"data", kAllTypes, 'T'}, {"indices", mask_of(DType::kInt64)}},
          .outputs = {{"output", kAllTypes, 'T'}},
          .attributes = {{"batch_dims", AttrType::kInt}},
          .infer = infer_gather_nd,
          .reference = gather_nd_reference,
          .cost = gather_cost};
}

}  // namespace skiff
