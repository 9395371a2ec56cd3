// fp32 matrix products behind MatMul, Gemm, skiff.MatMul and com.microsoft's FusedMatMul and FusedGemm.
//
// A constant B is packed once. A B known at run time is packed into the workspace, or read where it lies when
// the result has few rows. Batches that share one B become more rows. A result of one column is computed as
// one row: y = A b is y^T = b^T A^T, and A is then read as it lies.
#include <cstring>
#include <functional>

#include "device/cpu/glue_epilogue.h"
#include "ops/ref_matmul.h"

namespace skiff::cpu {
namespace {

// Up to this many rows, reading B once per row is cheaper than packing it.
constexpr int64_t kUnpackedRows = 3;

struct Attributes {
  bool trans_a = false, trans_b = false;
  float alpha = 1, beta = 1;  // of the product; of input 2
};
Attributes attributes_of(const Node& n) {
  if (n.domain == "skiff")
    return {n.attr_i("trans_a", 0) != 0, n.attr_i("trans_b", 0) != 0, n.attr_f("scale", 1), 1};
  if (n.op != "MatMul")
    return {n.attr_i("transA", 0) != 0, n.attr_i("transB", 0) != 0, n.attr_f("alpha", 1),
            n.attr_f("beta", 1)};
  return {};
}

enum class Path : uint8_t {
  kPacked,     // B packed beforehand
  kPack,       // packed by this run
  kRows,       // few rows, B as it lies
  kOneColumn,  // see above
  kNoSum,      // k = 0: the result is what is added
};

// Input `index` where it cannot be given to the kernel as it is: broadcast over the result beforehand.
struct Spread {
  size_t input = 0;
  Dims strides;  // per result axis
};

struct BoundMatMul : BoundKernel {
  const CpuContext* c = nullptr;
  Path path = Path::kPacked;
  GemmArgs args;  // strides, alpha, epilogue without pointers
  TaskGrid grid;  // of one matrix
  int64_t batch = 1, grain = 1, ldb = 0;
  bool trans_b = false;
  std::vector<int64_t> a_first, b_matrix;  // per batch: first element of A, number of the matrix in B
  int64_t b_elements = 0, b_matrices = 1, slot = 0;  // elements of a matrix of B; floats of a packed one
  // kPack: every batch packs its own B just before it is used; into one place when one thread runs.
  bool pack_per_batch = false, one_slot = false;
  int64_t column_step = 0, column_tasks = 0, pack_grain = 1;  // kPack in a pass of its own
  Tensor packed, addend;                                      // constant B; constant input 2 times beta
  int bias = -1, row_bias = -1, residual = -1;                // inputs that are added by the kernel
  std::vector<Spread> spread;
  float beta = 1;  // of input 2 when it is spread
  Dims out;
  int64_t rows = 0, row = 0;  // of the result, as spread over: row is its last extent
  size_t bytes = 0;

  size_t workspace() const override { return bytes; }

  const float* input(const RunArgs& a, size_t i) const {
    return i == 2 && addend.defined() ? addend.data<float>() : floats(a, i);
  }

  void run(const RunArgs& a) override {
    if (rows * row == 0) return;
    auto* y = a.out[0]->tensor().data<float>();
    GemmArgs g = args;
    g.c = y;
    if (!spread.empty() || path == Path::kNoSum) {
      spread_addends(a, y);
      g.epilogue.residual = y;
    }
    if (path == Path::kNoSum)
      return c->k->gemm->activate(args.epilogue.act, args.epilogue.p0, args.epilogue.p1, y, rows * row);
    if (bias >= 0) g.epilogue.bias = input(a, static_cast<size_t>(bias));
    if (row_bias >= 0) g.epilogue.row_bias = input(a, static_cast<size_t>(row_bias));
    if (residual >= 0) g.epilogue.residual = input(a, static_cast<size_t>(residual));
    g.a = floats(a, 0);
    switch (path) {
      case Path::kPacked: return products(g, packed.data<float>());
      case Path::kPack: return pack_and_multiply(g, floats(a, 1), static_cast<float*>(a.workspace));
      case Path::kRows: return few_rows(g, floats(a, 1));
      case Path::kOneColumn: return one_column(g, floats(a, 1));
      case Path::kNoSum: return;
    }
  }

 private:
  // The sum of what cannot be added by the kernel, into the result.
  void spread_addends(const RunArgs& a, float* y) const {
    if (spread.empty()) std::memset(y, 0, static_cast<size_t>(rows * row) * sizeof(float));
    bool first = true;
    for (const Spread& s : spread) {
      const float *x = input(a, s.input), scale = s.input == 2 && !addend.defined() ? beta : 1;
      const int64_t step = s.strides.empty() ? 0 : s.strides.back();
      c->pool->parallel_for(rows, std::max<int64_t>(1, 16384 / row), [&](int64_t begin, int64_t end) {
        for (int64_t r = begin; r < end; ++r) {
          int64_t at = 0, left = r;
          for (size_t d = out.size(); d-- > 1;) {
            at += left % out[d - 1] * s.strides[d - 1];
            left /= out[d - 1];
          }
          float* to = y + r * row;
          if (first)
            for (int64_t j = 0; j < row; ++j) to[j] = scale * x[at + j * step];
          else
            for (int64_t j = 0; j < row; ++j) to[j] += scale * x[at + j * step];
        }
      });
      first = false;
    }
  }

  GemmArgs matrix(const GemmArgs& g, int64_t i) const {
    GemmArgs r = g;
    r.a += a_first[static_cast<size_t>(i)];
    r.c += i * args.m * args.n;
    if (r.epilogue.residual) r.epilogue.residual += i * args.m * args.n;
    return r;
  }

  void product_task(const GemmArgs& g, int64_t t) const {
    const int64_t m0 = t / grid.n_tasks * grid.m_step, n0 = t % grid.n_tasks * grid.n_step;
    c->k->gemm->run(g, m0, std::min(m0 + grid.m_step, g.m), n0, std::min(n0 + grid.n_step, g.n));
  }

  void products(const GemmArgs& g, const float* b) const {
    const int64_t per = grid.tasks();
    run_tasks(c->pool, batch * per, grain, [&](int64_t t) {
      GemmArgs r = matrix(g, t / per);
      r.b = b + b_matrix[static_cast<size_t>(t / per)] * slot;
      product_task(r, t % per);
    });
  }

  void pack_and_multiply(const GemmArgs& g, const float* b, float* ws) const {
    const GemmKernels& k = *c->k->gemm;
    if (!pack_per_batch) {
      run_tasks(c->pool, b_matrices * column_tasks, pack_grain, [&](int64_t t) {
        const int64_t i = t / column_tasks, n0 = t % column_tasks * column_step;
        k.pack_b_columns(g.k, g.n, b + i * b_elements, ldb, trans_b, ws + i * slot, n0,
                         std::min(n0 + column_step, g.n));
      });
      return products(g, ws);
    }
    run_tasks(c->pool, batch, grain, [&](int64_t i) {
      GemmArgs r = matrix(g, i);
      float* to = ws + (one_slot ? 0 : i * slot);
      k.pack_b(g.k, g.n, b + b_matrix[static_cast<size_t>(i)] * b_elements, ldb, trans_b, to);
      r.b = to;
      for (int64_t t = 0; t < grid.tasks(); ++t) {
        if (t > 0) poll_interrupt();
        product_task(r, t);
      }
    });
  }

  void few_rows(const GemmArgs& g, const float* b) const {
    run_tasks(c->pool, batch * column_tasks, grain, [&](int64_t t) {
      const int64_t i = t / column_tasks, n0 = t % column_tasks * column_step;
      GemmArgs r = matrix(g, i);
      r.m = 1;
      r.b = b + b_matrix[static_cast<size_t>(i)] * b_elements;
      for (int64_t j = 0; j < g.m; ++j) {
        c->k->gemm->gemv(r, ldb, trans_b, n0, std::min(n0 + column_step, g.n));
        r.a += g.a_row_stride;
        r.c += g.ldc;
        if (r.epilogue.residual) r.epilogue.residual += g.epilogue.ld_residual;
        if (r.epilogue.row_bias) ++r.epilogue.row_bias;
      }
    });
  }

  // The operands change places: the row is b, the matrix read by columns is A.
  void one_column(const GemmArgs& g, const float* b) const {
    run_tasks(c->pool, batch * column_tasks, grain, [&](int64_t t) {
      const int64_t i = t / column_tasks, n0 = t % column_tasks * column_step;
      GemmArgs r = matrix(g, i);
      r.b = r.a;
      r.a = b + b_matrix[static_cast<size_t>(i)] * b_elements;
      r.a_k_stride = 1;  // a matrix of one column is contiguous
      std::swap(r.m, r.n);
      std::swap(r.epilogue.bias, r.epilogue.row_bias);
      const bool by_rows = g.a_k_stride == 1;
      c->k->gemm->gemv(r, by_rows ? g.a_row_stride : g.a_k_stride, by_rows, n0,
                       std::min(n0 + column_step, r.n));
    });
  }
};

class MatMulKernel : public Kernel {
 public:
  MatMulKernel(const NodeQuery& q, const CpuContext& c, const char* name, bool packed)
      : c_(c), name_(name), attrs_(attributes_of(q.node)), skiff_(q.node.domain == "skiff") {
    fused_activation(q.node).value().into(epilogue_);
    if (packed) pack(*q.constant(1));
    if (const Tensor* t = q.constant(2); t && attrs_.beta != 1) {
      addend_ = t->clone();
      for (int64_t i = 0; i < t->size(); ++i) addend_.data<float>()[i] *= attrs_.beta;
    }
  }
  std::string_view name() const override { return name_; }
  bool consumes(size_t i) const override {
    return (i == 1 && packed_.defined()) || (i == 2 && addend_.defined());
  }
  bool in_place(size_t i) const override { return i == 3 && skiff_; }
  size_t packed_bytes() const override { return packed_.defined() ? packed_.bytes() : 0; }

  std::unique_ptr<BoundKernel> bind(std::span<const TensorDesc> in,
                                    std::span<const TensorDesc> out) override {
    auto b = std::make_unique<BoundMatMul>();
    const GemmKernels& k = *c_.k->gemm;
    const Dims &ad = in[0].dims, &bd = packed_.defined() ? b_dims_ : in[1].dims;
    ref::MatMulPlan p = ref::plan_matmul(ad, bd, attrs_.trans_a, attrs_.trans_b);
    check(p.out == out[0].dims, Code::kInvalidModel, "the product is ", to_string(p.out),
          ", not the planned ", to_string(out[0].dims));
    b->c = &c_;
    b->out = p.out;
    b->row = p.out.empty() ? 1 : p.out.back();
    b->rows = b->row == 0 ? 0 : element_count(p.out) / b->row;
    if (b->rows * b->row == 0) return b;
    GemmArgs& g = b->args;
    g.m = p.m;
    g.n = p.n;
    g.k = p.k;
    g.a_row_stride = p.a_row;
    g.a_k_stride = p.a_col;
    g.ldc = p.n;
    g.alpha = attrs_.alpha;
    g.epilogue = epilogue_;
    g.epilogue.ld_residual = p.n;
    b->b_elements = p.k * p.n;
    b->trans_b = bd.size() == 1 || attrs_.trans_b;
    b->ldb = b->trans_b ? p.k : p.n;
    b->packed = packed_;
    b->addend = addend_;
    b->beta = attrs_.beta;
    b->batch = element_count(p.batch);
    if (p.k == 0) {
      b->path = Path::kNoSum;
      for (size_t i = 2; i < in.size(); ++i)
        if (in[i].dtype != DType::kUndefined)
          b->spread.push_back({i, ref::broadcast_strides(in[i].dims, p.out)});
      return b;
    }
    b->b_matrices = element_count(bd) / b->b_elements;
    place_batches(*b, p, element_count(ad));
    place_addends(*b, in);
    // Repeated rows of a packed B start at whole vectors of floats.
    b->slot = static_cast<int64_t>(k.packed_b_bytes(g.k, g.n) / sizeof(float));
    const double work = 2 * static_cast<double>(b->batch) * static_cast<double>(g.m) *
                        static_cast<double>(g.n) * static_cast<double>(g.k) / (c_.flops * 0.6);
    const double b_bytes = 4.0 * static_cast<double>(b->b_matrices) * static_cast<double>(b->b_elements);
    if (packed_.defined()) {
      b->path = Path::kPacked;
      plan_products(*b, std::max(work, b_bytes / c_.bytes));
    } else if (g.n == 1) {
      b->path = Path::kOneColumn;
      const double bytes =
          4.0 * static_cast<double>(b->batch) * static_cast<double>(g.m) * static_cast<double>(g.k);
      plan_columns(*b, g.m, std::max(work * 4, bytes / c_.bytes));
    } else if (g.m <= kUnpackedRows) {
      b->path = Path::kRows;
      plan_columns(*b, g.n, std::max(work * 2, b_bytes * static_cast<double>(g.m) / c_.bytes));
    } else {
      b->path = Path::kPack;
      plan_packing(*b, work, 2 * b_bytes / 5e9);
    }
    return b;
  }

 private:
  void pack(const Tensor& t) {
    const GemmKernels& k = *c_.k->gemm;
    b_dims_ = t.dims();
    const size_t r = b_dims_.size();
    const int64_t stored_rows = b_dims_[r - 2], stored_columns = b_dims_[r - 1];
    const int64_t kk = attrs_.trans_b ? stored_columns : stored_rows;
    const int64_t n = attrs_.trans_b ? stored_rows : stored_columns;
    const auto slot = static_cast<int64_t>(k.packed_b_bytes(kk, n) / sizeof(float));
    const int64_t count = t.size() / (kk * n);
    packed_ = Tensor(DType::kFloat, {count * slot});
    for (int64_t i = 0; i < count; ++i)
      k.pack_b(kk, n, t.data<float>() + i * kk * n, stored_columns, attrs_.trans_b,
               packed_.data<float>() + i * slot);
  }

  // Operands of every batch; batches that are but more rows of A become that.
  void place_batches(BoundMatMul& b, const ref::MatMulPlan& p, int64_t a_elements) const {
    GemmArgs& g = b.args;
    const bool rows_continue = g.a_k_stride == 1 && (g.m == 1 || g.a_row_stride == g.k);
    if (b.batch > 1 && b.b_matrices == 1 && rows_continue && a_elements == b.batch * g.m * g.k) {
      g.a_row_stride = g.k;
      g.m *= b.batch;
      b.batch = 1;
      b.a_first = b.b_matrix = {0};
      return;
    }
    ref::for_batches(p, [&](int64_t, int64_t fa, int64_t fb) {
      b.a_first.push_back(fa);
      b.b_matrix.push_back(fb / b.b_elements);
    });
  }

  // Gives each addend to the part of the epilogue that fits it; the others are spread over the result.
  void place_addends(BoundMatMul& b, std::span<const TensorDesc> in) const {
    const GemmArgs& g = b.args;
    const int64_t total = b.rows * b.row;
    const bool has_columns = b.row == g.n, scaled = attrs_.beta != 1 && !addend_.defined();
    std::vector<size_t> rest;
    for (size_t i = in.size(); i-- > 2;) {  // the residual chooses first
      if (in[i].dtype == DType::kUndefined) continue;
      const Dims& d = in[i].dims;
      const int64_t size = element_count(d), last = d.empty() ? 1 : d.back();
      const auto number = static_cast<int>(i);
      ref::broadcast_strides(d, b.out);  // throws when it does not fit
      if (i == 2 && scaled)
        rest.push_back(i);
      else if (size == total && (i == 3 || total != g.n) && b.residual < 0)
        b.residual = number;
      else if (size == g.n && last == g.n && has_columns && b.bias < 0)
        b.bias = number;
      else if (size == total && b.residual < 0)
        b.residual = number;
      else if (b.batch == 1 && has_columns && size == g.m && d.size() >= 2 && last == 1 &&
               d[d.size() - 2] == g.m && b.row_bias < 0)
        b.row_bias = number;
      else
        rest.push_back(i);
    }
    if (rest.empty()) return;
    // The sum of these goes through the residual, so what was there is part of it.
    if (b.residual >= 0) rest.push_back(static_cast<size_t>(b.residual));
    b.residual = -1;
    std::sort(rest.begin(), rest.end(),
              std::greater<>());  // Z, which the result may overwrite, is read first
    for (size_t i : rest) b.spread.push_back({i, ref::broadcast_strides(in[i].dims, b.out)});
  }

  void plan_products(BoundMatMul& b, double seconds) const {
    const GemmArgs& g = b.args;
    const int32_t threads = useful_threads(c_, seconds);
    b.grid = c_.k->gemm->plan(g.m, g.n, g.k,
                              parts_of(seconds / static_cast<double>(std::max<int64_t>(b.batch, 1)),
                                       b.batch >= 4 * threads ? 1 : threads));
    b.grain = chunk_of(b.batch * b.grid.tasks(), seconds);
  }

  void plan_columns(BoundMatMul& b, int64_t n, double seconds) const {
    constexpr int64_t kUnit = 64;  // whole cache lines and vectors
    const int64_t wanted =
        useful_threads(c_, seconds) == 1
            ? 1
            : std::max<int64_t>(1, std::min<int64_t>(4 * c_.pool->threads(),
                                                     static_cast<int64_t>(seconds / kChunkSeconds)) /
                                       b.batch);
    b.column_step = std::min(n, ((n + wanted - 1) / wanted + kUnit - 1) / kUnit * kUnit);
    b.column_tasks = (n + b.column_step - 1) / b.column_step;
    b.grain = chunk_of(b.batch * b.column_tasks, seconds);
  }

  void plan_packing(BoundMatMul& b, double work, double packing) const {
    const GemmArgs& g = b.args;
    const int32_t threads = useful_threads(c_, work + packing);
    b.pack_per_batch = b.b_matrices == b.batch && (threads == 1 || b.batch >= 2 * threads);
    b.one_slot = b.pack_per_batch && threads == 1;
    if (b.pack_per_batch) {
      b.grid = c_.k->gemm->plan(g.m, g.n, g.k,
                                parts_of(work / static_cast<double>(std::max<int64_t>(b.batch, 1)), 1));
      b.grain = threads == 1 ? b.batch : chunk_of(b.batch, work + packing);
    } else {
      plan_products(b, work);
      const int64_t width = c_.k->gemm->panel_width(g.n);
      b.column_step = std::max<int64_t>(1, 16384 / (width * g.k)) * width;
      b.column_tasks = (g.n + b.column_step - 1) / b.column_step;
      b.pack_grain = chunk_of(b.b_matrices * b.column_tasks, packing);
    }
    b.bytes = static_cast<size_t>((b.one_slot ? 1 : b.b_matrices) * b.slot) * sizeof(float);
  }

  const CpuContext& c_;
  const char* name_;
  Attributes attrs_;
  bool skiff_;
  Epilogue epilogue_;
  Dims b_dims_;
  Tensor packed_, addend_;
};

bool fits(const NodeQuery& q) {
  if (q.in.size() < 2 || !q.in[0] || !q.in[1] || !all_inputs(q, DType::kFloat) ||
      !output_is(q, DType::kFloat) || !fused_activation(q.node))
    return false;
  if (q.node.attr_i("transBatchA", 0) || q.node.attr_i("transBatchB", 0)) return false;
  const int64_t ra = in_rank(q, 0), rb = in_rank(q, 1);
  const bool matrices = q.node.op == "Gemm" || q.node.op == "FusedGemm";
  return ra >= 1 && rb >= 1 && (!matrices || (ra == 2 && rb == 2));
}

// Columns of B; 1 when unknown or when B is a vector.
int64_t columns_of(const NodeQuery& q) {
  const SymShape& b = q.in[1]->shape;
  if (b.rank() < 2) return 1;
  const Dim& n = b[b.rank() - (attributes_of(q.node).trans_b ? 2 : 1)];
  return n.is_const() ? n.value() : 1;
}

std::optional<double> match_packed(const NodeQuery& q, const CpuContext& c) {
  const Tensor* b = q.constant(1);
  if (!fits(q) || !b || b->size() == 0 || b->rank() < 2 || columns_of(q) == 1) return std::nullopt;
  return c.estimate(node_cost(q), std::max(0.05, 0.95 * lane_use(columns_of(q), c.k->gemm->unit)));
}

std::optional<double> match_runtime(const NodeQuery& q, const CpuContext& c) {
  if (!fits(q)) return std::nullopt;
  const CostContext elements{q.node, q.in, q.out};
  Cost packing;
  packing.bytes = 8 * elements.in_elements(1);
  return c.estimate(node_cost(q), std::max(0.05, 0.85 * lane_use(columns_of(q), c.k->gemm->unit))) +
         c.estimate(packing, 1, 0.4);
}

constexpr const char* kPackedName = "matmul_packed_f32";
constexpr const char* kRuntimeName = "matmul_f32";

std::unique_ptr<Kernel> make_packed(const NodeQuery& q, const CpuContext& c) {
  return std::make_unique<MatMulKernel>(q, c, kPackedName, true);
}
std::unique_ptr<Kernel> make_runtime(const NodeQuery& q, const CpuContext& c) {
  return std::make_unique<MatMulKernel>(q, c, kRuntimeName, false);
}

}  // namespace

std::span<const KernelFactory> matmul_factories() {
  static const KernelFactory list[] = {
      {"skiff", "MatMul", kPackedName, match_packed, make_packed},
      {"skiff", "MatMul", kRuntimeName, match_runtime, make_runtime},
      {"", "MatMul", kPackedName, match_packed, make_packed},
      {"", "MatMul", kRuntimeName, match_runtime, make_runtime},
      {"", "Gemm", kPackedName, match_packed, make_packed},
      {"", "Gemm", kRuntimeName, match_runtime, make_runtime},
      {"com.microsoft", "FusedMatMul", kPackedName, match_packed, make_packed},
      {"com.microsoft", "FusedMatMul", kRuntimeName, match_runtime, make_runtime},
      {"com.microsoft", "TransposeMatMul", kPackedName, match_packed, make_packed},
      {"com.microsoft", "TransposeMatMul", kRuntimeName, match_runtime, make_runtime},
      {"com.microsoft", "FusedGemm", kPackedName, match_packed, make_packed},
      {"com.microsoft", "FusedGemm", kRuntimeName, match_runtime, make_runtime},
  };
  return list;
}

}  // namespace skiff::cpu
