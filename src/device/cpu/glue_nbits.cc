// com.microsoft's MatMulNBits with constant weights.
#include "device/cpu/glue_epilogue.h"
#include "device/cpu/glue_util.h"
#include "device/cpu/kernels/nbits/nbits.h"

namespace skiff::cpu {
namespace {

NBitsWeights shape_of(const Node& n) {
  NBitsWeights w;
  w.k = n.attr_i("K", 0);
  w.n = n.attr_i("N", 0);
  w.bits = n.attr_i("bits", 4);
  w.block = n.attr_i("block_size", 32);
  return w;
}
int64_t blocks_of(const NBitsWeights& w) { return (w.k + w.block - 1) / w.block; }

struct BoundNBits : BoundKernel {
  const CpuContext* c = nullptr;
  NBitsArgs args;
  int64_t panels = 0, grain = 1;
  bool bias = false;
  size_t workspace() const override {
    return align_up(static_cast<size_t>(args.m * ((args.k + args.block - 1) / args.block)) * sizeof(float));
  }
  void run(const RunArgs& a) override {
    if (args.m == 0) return;
    NBitsArgs g = args;
    g.a = in_floats(a, 0);
    auto* sums = static_cast<float*>(a.workspace);
    c->k->nbits->block_sums(g, sums);
    g.sums = sums;
    g.bias = bias ? in_floats(a, 5) : nullptr;
    g.c = out_floats(a);
    if (grain >= panels)
      c->k->nbits->run(g, 0, panels);
    else
      c->pool->parallel_for(panels, grain, [&](int64_t b, int64_t e) { c->k->nbits->run(g, b, e); });
  }
};

class NBitsKernel : public Kernel {
 public:
  NBitsKernel(const NodeQuery& q, const CpuContext& c) : c_(c), shape_(shape_of(q.node)) {
    NBitsWeights w = shape_;
    const int64_t blocks = blocks_of(w);
    std::vector<float> zero(static_cast<size_t>(w.n * blocks), static_cast<float>(1 << (w.bits - 1)));
    if (const Tensor* z = q.constant(3)) {
      const int64_t row = (blocks * w.bits + 7) / 8, per = 8 / w.bits;
      for (int64_t j = 0; j < w.n; ++j)
        for (int64_t b = 0; b < blocks; ++b) {
          float& to = zero[static_cast<size_t>(j * blocks + b)];
          if (z->dtype() == DType::kUint8) {
            const int byte = z->data<uint8_t>()[j * row + b / per];
            to = static_cast<float>(byte >> (b % per * w.bits) & ((1 << w.bits) - 1));
          } else {
            to = z->data<float>()[j * blocks + b];
          }
        }
    }
    w.q = q.constant(1)->data<uint8_t>();
    w.scale = q.constant(2)->data<float>();
    w.zero = zero.data();
    packed_ = Tensor(DType::kUint8, {static_cast<int64_t>(c.k->nbits->packed_bytes(w))});
    c.k->nbits->pack(w, packed_.raw());
  }
  std::string_view name() const override { return "matmul_nbits"; }
  bool consumes(size_t i) const override { return i >= 1 && i <= 3; }
  size_t packed_bytes() const override { return packed_.bytes(); }
  std::unique_ptr<BoundKernel> bind(std::span<const TensorDesc> in,
                                    std::span<const TensorDesc> out) override {
    Dims y = in[0].dims;
    check(!y.empty() && y.back() == shape_.k, Code::kInvalidModel, "A of shape ", to_string(y),
          " must end in K = ", shape_.k);
    y.back() = shape_.n;
    check(out[0].dims == y, Code::kInvalidModel, "the result is ", to_string(y), ", not the planned ",
          to_string(out[0].dims));
    auto b = std::make_unique<BoundNBits>();
    b->c = &c_;
    b->bias = in.size() > 5 && in[5].dtype != DType::kUndefined;
    check(!b->bias || in[5].dims == Dims{shape_.n}, Code::kInvalidModel, "bias must have ", shape_.n,
          " elements");
    NBitsArgs& g = b->args;
    g.m = element_count(in[0].dims) / shape_.k;
    g.n = shape_.n;
    g.k = shape_.k;
    g.block = shape_.block;
    g.bits = shape_.bits;
    g.packed = packed_.raw();
    b->panels = (g.n + c_.k->nbits->lanes - 1) / c_.k->nbits->lanes;
    const double seconds = 2.0 * static_cast<double>(g.m * g.n) * static_cast<double>(g.k) / (c_.flops * 0.2);
    b->grain = useful_threads(c_, seconds) == 1 ? b->panels : chunk_of(b->panels, seconds);
    return b;
  }

 private:
  const CpuContext& c_;
  NBitsWeights shape_;
  Tensor packed_;
};

std::optional<double> match_nbits(const NodeQuery& q, const CpuContext& c) {
  const NBitsWeights w = shape_of(q.node);
  auto has = [&](size_t i) { return i < q.in.size() && q.in[i] != nullptr; };
  if (w.k < 1 || w.n < 1 || (w.bits != 2 && w.bits != 4 && w.bits != 8) || w.block < 8 ||
      w.block % (32 / w.bits) != 0)
    return std::nullopt;
  const Tensor *b = q.constant(1), *s = q.constant(2), *z = q.constant(3);
  const int64_t blocks = blocks_of(w);
  if (!q.in_dtype(0, DType::kFloat) || !output_is(q, DType::kFloat) || !b || !s ||
      s->dtype() != DType::kFloat || has(4) || (has(3) && !z) || (has(5) && !q.in_dtype(5, DType::kFloat)))
    return std::nullopt;
  if (b->size() != w.n * blocks * w.block * w.bits / 8 || s->size() != w.n * blocks) return std::nullopt;
  if (z && z->dtype() == DType::kUint8 ? z->size() != w.n * ((blocks * w.bits + 7) / 8)
                                       : z && (z->dtype() != DType::kFloat || z->size() != w.n * blocks))
    return std::nullopt;
  Cost cost;
  cost.flops = 2 * static_cast<double>(w.k) * CostContext{q.node, q.in, q.out}.out_elements(0);
  cost.bytes = static_cast<double>(b->size());
  return c.estimate(cost, 0.3);
}

}  // namespace

std::span<const KernelFactory> nbits_factories() {
  static const KernelFactory list[] = {
      {"com.microsoft", "MatMulNBits", "matmul_nbits", match_nbits,
       [](const NodeQuery& q, const CpuContext& c) -> std::unique_ptr<Kernel> {
         return std::make_unique<NBitsKernel>(q, c);
       }},
  };
  return list;
}

}  // namespace skiff::cpu
