// Operators that read or write at indices, for elements of any type. An index outside its axis is an error of
// the run (kInvalidArgument), found before anything is touched there.
#include "device/cpu/glue_util.h"
#include "device/cpu/kernels/move/move.h"

namespace skiff::cpu {
namespace {

// ---------------------------------------------------------------- Gather, OneHot

std::unique_ptr<BoundKernel> plan_gather(const PlanArgs& p) {
  const Dims& x = p.x();
  auto axis = static_cast<size_t>(normalize_axis(p.node.attr_i("axis", 0), rank_of(x)));
  GatherParams params{};
  params.indices_are_32 = p.in[1].dtype == DType::kInt32;
  params.outer = span_of(x, 0, axis);
  params.axis = x[axis];
  params.count = element_count(p.x(1));
  params.row_bytes = span_of(x, axis + 1, x.size()) * elem_bytes(p.in[0].dtype);
  const int64_t rows = params.row_bytes == 0 ? 0 : params.outer * params.count;
  Work w = divide(p.c, rows, move_seconds(2 * bytes_of(p.out[0])) + 5e-9 * static_cast<double>(rows));
  const CpuContext& c = p.c;
  return bound([&c, params, w, label = p.node.label()](const RunArgs& a) {
    GatherParams r = params;
    r.src = in_bytes(a, 0);
    r.indices = in_bytes(a, 1);
    r.dst = out_bytes(a);
    each(c, w, [&](int64_t b, int64_t e) {
      const int64_t wrong = c.k->move->gather(r, b, e);
      if (wrong >= 0)
        fail(Code::kInvalidArgument, label, ": index ", get_int(in_tensor(a, 1), wrong), " is outside [",
             -r.axis, ", ", r.axis - 1, "]");
    });
  });
}

template <class T>
void one_hot_rows(const Tensor& indices, int64_t depth, int64_t inner, const T* values, T* y, int64_t begin,
                  int64_t end) {
  const T off = values[0], on = values[1];
  for (int64_t o = begin; o < end; ++o) {
    T* to = y + o * depth * inner;
    std::fill(to, to + depth * inner, off);
    for (int64_t i = 0; i < inner; ++i) {
      int64_t k = get_int(indices, o * inner + i);
      if (k < -depth || k >= depth) continue;
      to[(k < 0 ? k + depth : k) * inner + i] = on;
    }
  }
}

std::unique_ptr<BoundKernel> plan_one_hot(const PlanArgs& p) {
  const Dims& q = p.x();
  auto axis = static_cast<size_t>(normalize_axis(p.node.attr_i("axis", -1), rank_of(q) + 1));
  if (element_count(p.x(2)) != 2) return nullptr;
  const int64_t outer = span_of(q, 0, axis), inner = span_of(q, axis, q.size()), depth = p.y()[axis];
  const int size = elem_bytes(p.out[0].dtype);
  Work w = divide(p.c, element_count(p.y()) == 0 ? 0 : outer, move_seconds(bytes_of(p.out[0])));
  const CpuContext& c = p.c;
  return bound([&c, w, inner, depth, size](const RunArgs& a) {
    const Tensor& index = in_tensor(a, 0);
    const auto go = [&](auto type) {
      using T = decltype(type);
      each(c, w, [&](int64_t b, int64_t e) {
        one_hot_rows(index, depth, inner, reinterpret_cast<const T*>(in_bytes(a, 2)),
                     reinterpret_cast<T*>(out_bytes(a)), b, e);
      });
    };
    if (size == 1) return go(uint8_t{});
    if (size == 2) return go(uint16_t{});
    if (size == 4) return go(uint32_t{});
    go(uint64_t{});
  });
}

// ---------------------------------------------------------------- GatherND, ScatterND

// Rows of indices address boxes of `bytes` bytes: index k counts along dims[k], strides[k] bytes apart.
struct Address {
  int64_t depth = 0, bytes = 0;
  int64_t dims[kMaxLoopDims] = {}, strides[kMaxLoopDims] = {};

  // Axes [first, first + depth) of a tensor.
  Address(const Dims& x, size_t first, int64_t count, int elem)
      : depth(count), bytes(span_of(x, first + static_cast<size_t>(count), x.size()) * elem) {
    int64_t step = bytes;
    for (int64_t k = depth; k-- > 0;) {
      dims[k] = x[first + static_cast<size_t>(k)];
      strides[k] = step;
      step *= dims[k];
    }
  }
  int64_t at(const int64_t* index) const {
    int64_t r = 0;
    for (int64_t k = 0; k < depth; ++k) {
      const int64_t i = index[k], n = dims[k];
      if (i < -n || i >= n) fail(Code::kInvalidArgument, "index ", i, " is outside [", -n, ", ", n - 1, "]");
      r += (i < 0 ? i + n : i) * strides[k];
    }
    return r;
  }
};

std::unique_ptr<BoundKernel> plan_gather_nd(const PlanArgs& p) {
  const Dims &x = p.x(), &q = p.x(1);
  const int64_t batch_dims = p.node.attr_i("batch_dims", 0);
  if (q.empty() || batch_dims < 0 || batch_dims >= std::min(rank_of(q), rank_of(x))) return nullptr;
  const int64_t depth = q.back();
  if (depth < 1 || depth > rank_of(x) - batch_dims) return nullptr;
  const auto first = static_cast<size_t>(batch_dims);
  for (size_t i = 0; i < first; ++i)
    if (x[i] != q[i]) return nullptr;
  const Address address(x, first, depth, elem_bytes(p.in[0].dtype));
  const int64_t per_batch = span_of(q, first, q.size() - 1), rows = span_of(q, 0, q.size() - 1);
  const int64_t batch_bytes = span_of(x, first, x.size()) * elem_bytes(p.in[0].dtype);
  if (element_count(p.y()) == 0) return nullptr;
  Work w = divide(p.c, rows, move_seconds(2 * bytes_of(p.out[0])) + 5e-9 * static_cast<double>(rows));
  const CpuContext& c = p.c;
  return bound([&c, address, per_batch, batch_bytes, w](const RunArgs& a) {
    const char* from = in_bytes(a, 0);
    const auto* index = in_tensor(a, 1).data<int64_t>();
    char* y = out_bytes(a);
    each(c, w, [&](int64_t b, int64_t e) {
      for (int64_t i = b; i < e; ++i)
        copy_bytes(y + i * address.bytes,
                   from + i / per_batch * batch_bytes + address.at(index + i * address.depth), address.bytes);
    });
  });
}

// Rows are written in order, on one thread: of two that meet, the later one stays, as in the reference.
std::unique_ptr<BoundKernel> plan_scatter_nd(const PlanArgs& p) {
  const Dims &x = p.x(), &q = p.x(1), &u = p.x(2);
  if (q.empty()) return nullptr;
  const int64_t depth = q.back();
  if (depth > rank_of(x)) return nullptr;
  Dims want(q.begin(), q.end() - 1);
  for (auto i = static_cast<size_t>(depth); i < x.size(); ++i) want.push_back(x[i]);
  if (u != want) return nullptr;
  const Address address(x, 0, depth, elem_bytes(p.in[0].dtype));
  const int64_t rows = span_of(q, 0, q.size() - 1);
  const auto bytes = element_count(x) * elem_bytes(p.in[0].dtype);
  Work copy = divide(p.c, bytes, move_seconds(2 * static_cast<double>(bytes)), 4096);
  const CpuContext& c = p.c;
  return bound([&c, address, rows, copy](const RunArgs& a) {
    const char *data = in_bytes(a, 0), *updates = in_bytes(a, 2);
    const auto* index = in_tensor(a, 1).data<int64_t>();
    char* y = out_bytes(a);
    if (data != y) each(c, copy, [&](int64_t b, int64_t e) { copy_bytes(y + b, data + b, e - b); });
    for (int64_t i = 0; i < rows; ++i)
      copy_bytes(y + address.at(index + i * address.depth), updates + i * address.bytes, address.bytes);
  });
}

// ---------------------------------------------------------------- GatherElements

template <class T>
void gather_elements(const GatherParams& r, int64_t inner, int64_t begin, int64_t end, const Tensor& index) {
  // A unit is one row of `inner` indices: [outer][count][inner] of them, data [outer][axis][inner].
  const auto* src = static_cast<const T*>(r.src);
  auto* dst = static_cast<T*>(r.dst);
  for (int64_t u = begin; u < end; ++u) {
    const T* from = src + u / r.count * r.axis * inner;
    for (int64_t i = 0; i < inner; ++i) {
      const int64_t at = u * inner + i;
      int64_t k = r.indices_are_32 ? index.data<int32_t>()[at] : index.data<int64_t>()[at];
      if (k < -r.axis || k >= r.axis)
        fail(Code::kInvalidArgument, "index ", k, " is outside [", -r.axis, ", ", r.axis - 1, "]");
      dst[at] = from[(k < 0 ? k + r.axis : k) * inner + i];
    }
  }
}

// Where the indices cover the data's other axes entirely.
std::unique_ptr<BoundKernel> plan_gather_elements(const PlanArgs& p) {
  const Dims &x = p.x(), &q = p.x(1);
  auto axis = static_cast<size_t>(normalize_axis(p.node.attr_i("axis", 0), rank_of(x)));
  if (x.size() != q.size()) return nullptr;
  for (size_t i = 0; i < x.size(); ++i)
    if (i != axis && i != 0 && x[i] != q[i]) return nullptr;
  if (axis != 0 && q[0] > x[0]) return nullptr;
  GatherParams params{};
  params.indices_are_32 = p.in[1].dtype == DType::kInt32;
  params.outer = span_of(q, 0, axis);
  params.axis = x[axis];
  params.count = q[axis];
  const int64_t inner = span_of(q, axis + 1, q.size());
  const int size = elem_bytes(p.in[0].dtype);
  const auto elements = static_cast<double>(element_count(q));
  Work w = divide(p.c, elements == 0 ? 0 : params.outer * params.count, 2e-9 * elements);
  const CpuContext& c = p.c;
  return bound([&c, params, inner, size, w](const RunArgs& a) {
    GatherParams r = params;
    r.src = in_bytes(a, 0);
    r.dst = out_bytes(a);
    const Tensor& index = in_tensor(a, 1);
    each(c, w, [&](int64_t b, int64_t e) {
      if (size == 1) return gather_elements<uint8_t>(r, inner, b, e, index);
      if (size == 2) return gather_elements<uint16_t>(r, inner, b, e, index);
      if (size == 4) return gather_elements<uint32_t>(r, inner, b, e, index);
      gather_elements<uint64_t>(r, inner, b, e, index);
    });
  });
}

// ---------------------------------------------------------------- what matches

std::optional<double> match_gather(const NodeQuery& q, const CpuContext& c) {
  if (in_rank(q, 0) < 1 || in_rank(q, 1) < 0) return std::nullopt;
  if (!q.in_dtype(1, DType::kInt32) && !q.in_dtype(1, DType::kInt64)) return std::nullopt;
  return match_moves(q, c);
}
std::optional<double> match_one_hot(const NodeQuery& q, const CpuContext& c) {
  if (in_rank(q, 0) < 0 || in_rank(q, 2) < 0 || q.out.empty() || !q.out[0]) return std::nullopt;
  const int size = elem_bytes(q.out[0]->dtype);
  if (size < 1 || size > 8) return std::nullopt;
  return c.estimate(node_cost(q), 0.3);
}

std::optional<double> match_gather_elements(const NodeQuery& q, const CpuContext& c) {
  if (in_rank(q, 0) < 1 || elem_bytes(q.in[0]->dtype) > 8) return std::nullopt;
  return match_gather(q, c);
}
std::optional<double> match_nd(const NodeQuery& q, const CpuContext& c) {
  if (in_rank(q, 0) < 1 || in_rank(q, 1) < 1 || !q.in_dtype(1, DType::kInt64)) return std::nullopt;
  return match_ranked(q, c);
}
std::optional<double> match_scatter_nd(const NodeQuery& q, const CpuContext& c) {
  if (q.node.attr_s("reduction", "none") != "none" || in_rank(q, 2) < 0 || q.in[2]->dtype != q.in[0]->dtype)
    return std::nullopt;
  return match_nd(q, c);
}

}  // namespace

std::span<const KernelFactory> index_factories() {
  static const KernelFactory list[] = {
      glue<"gather", plan_gather>("", "Gather", match_gather),
      glue<"gather_elements", plan_gather_elements>("", "GatherElements", match_gather_elements),
      glue<"gather_nd", plan_gather_nd>("", "GatherND", match_nd),
      glue<"scatter_nd", plan_scatter_nd, 1>("", "ScatterND", match_scatter_nd),
      glue<"one_hot", plan_one_hot>("", "OneHot", match_one_hot),
  };
  return list;
}

}  // namespace skiff::cpu
