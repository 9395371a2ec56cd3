#include "adapt/quantize/hessian.h"

#include <algorithm>

#include "adapt/observe.h"
#include "adapt/quantize/calibrate.h"
#include "base/thread_pool.h"
#include "passes/edit.h"

namespace skiff::adapt {

WeightRows weight_rows(const Graph& g, const Node& n) {
  WeightRows r;
  const Tensor* w = passes::constant_of(g, n.input(1));
  if (!w) return r;
  if (n.op == "Conv") {
    r.outputs = w->dim(0);
    r.depth = w->size() / std::max<int64_t>(r.outputs, 1);
    r.output_step = r.depth;
    r.groups = n.attr_i("group", 1);
  } else if ((n.op == "Gemm" || n.op == "MatMul") && w->rank() == 2) {
    bool rows_are_outputs = n.op == "Gemm" && n.attr_i("transB", 0) != 0;
    r.outputs = w->dim(rows_are_outputs ? 0 : 1);
    r.depth = w->dim(rows_are_outputs ? 1 : 0);
    r.output_step = rows_are_outputs ? r.depth : 1;
    r.depth_step = rows_are_outputs ? 1 : r.outputs;
  }
  return r;
}

namespace {

// H += rows^T rows of `count` rows of `depth`.
void add_rows(const std::vector<float>& rows, int64_t count, int64_t depth, float* h, ThreadPool& pool) {
  pool.parallel_for(depth, 8, [&](int64_t begin, int64_t end) {
    for (int64_t i = begin; i < end; ++i) {
      float* to = h + i * depth;
      for (int64_t r = 0; r < count; ++r) {
        const float* x = rows.data() + r * depth;
        float xi = x[i];
        if (xi == 0) continue;
        for (int64_t k = 0; k < depth; ++k) to[k] += xi * x[k];
      }
    }
  });
}

constexpr int64_t kMostPositions = 256;  // of one sample: neighbours say little that is new

void add_conv(const Graph& g, const Node& n, const Tensor& x, Hessian& h, ThreadPool& pool) {
  const Tensor& w = g.value(n.inputs[1]).constant;
  if (x.rank() != w.rank() || x.rank() < 3) return;
  size_t spatial = static_cast<size_t>(x.rank()) - 2;
  std::vector<int64_t> strides = n.attr_ints("strides", std::vector<int64_t>(spatial, 1)),
                       dilations = n.attr_ints("dilations", std::vector<int64_t>(spatial, 1));
  int64_t channels = x.dim(1), per_group = channels / h.groups, kernel = 1, area = 1;
  Dims in, size;
  for (size_t k = 0; k < spatial; ++k) {
    in.push_back(x.dim(static_cast<int64_t>(k) + 2));
    size.push_back(w.dim(static_cast<int64_t>(k) + 2));
    kernel *= size[k];
    area *= in[k];
  }
  // Positions of the kernel's corner that lie inside: those at the padded border are left out.
  Dims places;
  int64_t total = 1;
  for (size_t k = 0; k < spatial; ++k) {
    places.push_back(std::max<int64_t>((in[k] - (size[k] - 1) * dilations[k] - 1) / strides[k] + 1, 0));
    total *= places[k];
  }
  if (total == 0) return;
  int64_t step = std::max<int64_t>(1, total * x.dim(0) / kMostPositions);
  for (int64_t group = 0; group < h.groups; ++group) {
    std::vector<float> rows;
    int64_t count = 0;
    for (int64_t p = 0; p < total * x.dim(0); p += step, ++count) {
      int64_t batch = p / total, rest = p % total;
      Dims at(places);
      for (size_t k = spatial; k-- > 0;) {
        at[k] = rest % places[k] * strides[k];
        rest /= places[k];
      }
      for (int64_t c = 0; c < per_group; ++c) {
        const float* plane = x.data<float>() + (batch * channels + group * per_group + c) * area;
        for (int64_t e = 0; e < kernel; ++e) {
          int64_t left = e, offset = 0, pitch = 1;
          for (size_t k = spatial; k-- > 0;) {
            offset += (at[k] + left % size[k] * dilations[k]) * pitch;
            pitch *= in[k];
            left /= size[k];
          }
          rows.push_back(plane[offset]);
        }
      }
    }
    add_rows(rows, count, h.depth, h.values.data() + group * h.depth * h.depth, pool);
    if (group == 0) h.positions += static_cast<double>(count);
  }
}

void add_matrix(const Tensor& x, Hessian& h, ThreadPool& pool) {
  if (x.rank() == 0 || x.dim(x.rank() - 1) != h.depth) return;
  int64_t total = x.size() / std::max<int64_t>(h.depth, 1),
          step = std::max<int64_t>(1, total / kMostPositions), count = 0;
  std::vector<float> rows;
  for (int64_t r = 0; r < total; r += step, ++count)
    rows.insert(rows.end(), x.data<float>() + r * h.depth, x.data<float>() + (r + 1) * h.depth);
  add_rows(rows, count, h.depth, h.values.data(), pool);
  h.positions += static_cast<double>(count);
}

}  // namespace

std::unordered_map<NodeId, Hessian> collect_hessians(const Model& m, const std::vector<NodeId>& nodes,
                                                     const QuantizeOptions& o, size_t samples,
                                                     const Callbacks& call) {
  const Graph& g = m.graph;
  std::unordered_map<NodeId, Hessian> all;
  std::vector<NodeId> list;
  std::vector<ValueId> inputs;
  for (NodeId id : nodes) {
    WeightRows r = weight_rows(g, g.node(id));
    if (r.outputs == 0 || r.depth > kMostDepth) continue;
    Hessian h;
    h.depth = r.depth;
    h.groups = r.groups;
    h.values.assign(static_cast<size_t>(r.groups * r.depth * r.depth), 0);
    all.emplace(id, std::move(h));
    list.push_back(id);
    inputs.push_back(g.node(id).inputs[0]);
  }
  Observer observer(m, inputs, o.session);
  auto pool = ThreadPool::shared(
      o.session.threads > 0 ? o.session.threads : static_cast<int>(std::thread::hardware_concurrency()));
  std::vector<Datum> in;
  for (size_t i = 0; i < samples && take_sample(m, call, i, in); ++i) {
    observer.run(in, [&](size_t k, const Tensor& x) {
      if (x.dtype() != DType::kFloat) return;
      const Node& n = g.node(list[k]);
      if (n.op == "Conv")
        add_conv(g, n, x, all[list[k]], *pool);
      else
        add_matrix(x, all[list[k]], *pool);
    });
    call.report("second moments", static_cast<double>(i + 1) / static_cast<double>(samples));
  }
  return all;
}

}  // namespace skiff::adapt
