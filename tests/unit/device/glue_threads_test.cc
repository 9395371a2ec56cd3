// Nodes large enough that their work is divided among threads: the result is the reference's, and the same
// bits whatever the number of threads.
#include <doctest/doctest.h>

#include <atomic>
#include <cstdlib>
#include <new>

#include "cases/make.h"
#include "device/cpu/cpu_device.h"
#include "support/node_runner.h"

using namespace skiff;
using namespace skiff::cases;

// Every allocation of the process is counted.
static std::atomic<long> allocations{0};
static void* counted(size_t n, size_t align) {
  ++allocations;
  void* p = std::aligned_alloc(align, (n + align - 1) / align * align);
  if (!p) throw std::bad_alloc();
  return p;
}
void* operator new(size_t n) { return counted(n ? n : 1, alignof(std::max_align_t)); }
void* operator new(size_t n, std::align_val_t a) { return counted(n ? n : 1, static_cast<size_t>(a)); }
void operator delete(void* p) noexcept { std::free(p); }
void operator delete(void* p, size_t) noexcept { std::free(p); }
void operator delete(void* p, std::align_val_t) noexcept { std::free(p); }
void operator delete(void* p, size_t, std::align_val_t) noexcept { std::free(p); }

namespace {

OpCase skiff_node(std::string op, std::vector<Datum> in, std::vector<Attribute> attributes,
                  size_t constants = 99) {
  return in_domain("skiff", make("large_" + op, op, 1, std::move(in), std::move(attributes), constants));
}

std::vector<OpCase> large_cases() {
  const Attribute nhwc{"layout", std::string("NHWC")}, k3{"kernel_shape", Ints{3, 3}},
      s2{"strides", Ints{2, 2}}, p1{"pads", Ints{1, 1, 1, 1}};
  const Tensor image = f32({2, 24, 33, 35}, 1), last = f32({2, 33, 35, 24}, 2), rows = f32({300, 129}, 3);
  std::vector<OpCase> r;
  r.push_back(make("large_sigmoid", "Sigmoid", 13, {rows}));
  r.push_back(make("large_add", "Add", 14, {f32({4, 50, 64, 9}, 4), f32({50, 1, 9}, 5)}));
  r.push_back(make("large_max3", "Max", 13, {rows, f32({129}, 6), f32({300, 1}, 7)}));
  r.push_back(skiff_node("Elementwise", {last, f32({24}, 8), f32({2, 33, 35, 24}, 9), one(DType::kFloat, 2)},
                         {{"ops", Strings{"Mul", "Add", "Sigmoid", "Mul", "Pow"}},
                          {"operands", Ints{0, 1, -1, 2, -2, -1000, -3, -2, -4, 3}},
                          {"params", Floats(10, 0)}},
                         3));
  r.push_back(make("large_cast", "Cast", 13, {rows}, {{"to", int64_t{10}}}));
  r.push_back(make(
      "large_equal", "Equal", 13,
      {random_tensor(DType::kInt64, {200, 300}, 10, 0, 3), random_tensor(DType::kInt64, {300}, 11, 0, 3)}));
  r.push_back(make("large_quantize", "QuantizeLinear", 13, {rows, f32({129}, 12, 0.01, 0.1), u8({129}, 13)},
                   {{"axis", int64_t{1}}}, 1));
  r.push_back(make("large_max_pool", "MaxPool", 12, {image}, {k3, s2, p1}));
  r.push_back(make("large_average_pool", "AveragePool", 11, {image}, {k3, s2, p1}));
  r.push_back(skiff_node("MaxPool", {last}, {nhwc, k3, s2, p1}));
  r.push_back(skiff_node("AveragePool", {last}, {nhwc, k3, p1}));
  r.push_back(make("large_global", "GlobalAveragePool", 1, {image}));
  r.push_back(skiff_node("GlobalAveragePool", {last}, {nhwc}));
  r.push_back(make("large_softmax", "Softmax", 13, {rows}, {{"axis", int64_t{-1}}}));
  for (int64_t n : {2, 5, 15})
    r.push_back(make(cat("large_softmax_", n), "Softmax", 13, {f32({3000, n}, 32, -5, 5)}));
  r.push_back(make("large_log_softmax_3", "LogSoftmax", 13, {f32({3000, 3}, 33, -5, 5)}));
  r.push_back(make("large_softmax_columns", "Softmax", 13, {image}, {{"axis", int64_t{1}}}));
  r.push_back(
      make("large_layer_norm", "LayerNormalization", 17, {rows, f32({129}, 14), f32({129}, 15)}, {}, 1));
  r.push_back(
      make("large_instance_norm", "InstanceNormalization", 6, {image, f32({24}, 16), f32({24}, 17)}, {}, 1));
  r.push_back(skiff_node("InstanceNormalization", {last, f32({24}, 16), f32({24}, 17)}, {nhwc}, 1));
  r.push_back(skiff_node("LRN", {last}, {nhwc, {"size", int64_t{5}}}));
  r.push_back(make("large_lrn", "LRN", 13, {image}, {{"size", int64_t{5}}}));
  r.push_back(make("large_mean", "ReduceMean", 13, {image}, {{"axes", Ints{0, 2, 3}}}));
  r.push_back(make("large_sum", "ReduceSum", 11, {image}, {{"axes", Ints{1, 3}}, {"keepdims", int64_t{0}}}));
  r.push_back(make("large_l2", "ReduceL2", 11, {image}, {{"axes", Ints{0, 2}}}));
  r.push_back(make("large_arg", "ArgMax", 13, {image}, {{"axis", int64_t{1}}}));
  r.push_back(make("large_cumsum", "CumSum", 14, {rows, one(DType::kInt64, 0)}, {}, 1));
  r.push_back(make("large_transpose", "Transpose", 13, {image}, {{"perm", Ints{0, 2, 3, 1}}}));
  r.push_back(
      make("large_concat", "Concat", 13, {last, f32({2, 33, 35, 7}, 18), last}, {{"axis", int64_t{3}}}));
  r.push_back(make("large_concat0", "Concat", 13, {rows, rows, f32({50, 129}, 19)}, {{"axis", int64_t{0}}}));
  r.push_back(
      with_outputs(3, make("large_split", "Split", 13, {last, values<int>(DType::kInt64, {3}, {5, 12, 7})},
                           {{"axis", int64_t{3}}}, 1)));
  for (size_t constants : {1, 99})  // known when planned, or read by every run
    r.push_back(
        make("large_slice", "Slice", 13,
             {image, values<int>(DType::kInt64, {2}, {30, 2}), values<int>(DType::kInt64, {2}, {-100, 21}),
              values<int>(DType::kInt64, {2}, {2, 1}), values<int>(DType::kInt64, {2}, {-1, 2})},
             {}, constants));
  for (const char* mode : {"constant", "reflect", "edge"})
    r.push_back(make(cat("large_pad_", mode), "Pad", 13,
                     {image, values<int>(DType::kInt64, {8}, {0, 0, 3, 2, 0, 0, 1, 4})},
                     {{"mode", std::string(mode)}}, 1));
  r.push_back(make("large_expand", "Expand", 13,
                   {f32({50, 1, 9}, 20), values<int>(DType::kInt64, {4}, {4, 1, 64, 9})}, {}, 1));
  r.push_back(
      make("large_tile", "Tile", 13, {f32({30, 41}, 21), values<int>(DType::kInt64, {2}, {6, 9})}, {}, 1));
  r.push_back(
      make("large_gather", "Gather", 13, {rows, random_tensor(DType::kInt64, {20, 40}, 22, -300, 300)}));
  r.push_back(make(
      "large_one_hot", "OneHot", 11,
      {random_tensor(DType::kInt32, {200}, 23, -257, 257), one(DType::kInt64, 257), f32({2}, 24)}, {}, 1));
  r.push_back(make("large_gather_elements", "GatherElements", 13,
                   {image, random_tensor(DType::kInt64, {2, 40, 33, 35}, 29, -24, 24)},
                   {{"axis", int64_t{1}}}));
  const Tensor places = random_tensor(DType::kInt64, {60, 70, 1}, 30, -300, 300);
  r.push_back(make("large_gather_nd", "GatherND", 13, {rows, places}));
  r.push_back(make("large_scatter_nd", "ScatterND", 13, {rows, places, f32({60, 70, 129}, 31)}));
  for (const char* mode : {"nearest", "linear"})
    for (bool channels_last : {false, true}) {
      const std::vector<double> scales =
          channels_last ? std::vector<double>{1, 2, 1.5, 1} : std::vector<double>{1, 1, 2, 1.5};
      r.push_back(make(cat("large_resize_", mode, channels_last), "Resize", 13,
                       {channels_last ? last : image, Datum(), values(DType::kFloat, {4}, scales)},
                       {{"mode", std::string(mode)}}, 1));
    }
  for (const char* op : {"LSTM", "GRU", "RNN"}) {
    const int64_t gates = op[0] == 'L' ? 4 : op[0] == 'G' ? 3 : 1, h = 96;
    r.push_back(with_outputs(2, make(cat("large_", op), op, 14,
                                     {f32({9, 4, 40}, 25), f32({2, gates * h, 40}, 26, -0.2, 0.2),
                                      f32({2, gates * h, h}, 27, -0.2, 0.2), f32({2, 2 * gates * h}, 28)},
                                     {{"hidden_size", h}, {"direction", std::string("bidirectional")}}, 1)));
  }
  return r;
}

}  // namespace

TEST_CASE("glue: divided work agrees with the reference on one thread, two and three") {
  const std::vector<OpCase> all = large_cases();
  for (int threads : {1, 2, 3}) {
    auto device = make_cpu_device({.threads = threads, .isa = ""});
    for (const OpCase& c : all) {
      INFO("case ", c.name, " threads ", threads);
      CHECK(test::NodeRunner(c).check_all(*device) > 0);
    }
  }
}

namespace {

// The first candidate of a case's node, bound and with its operands in place.
struct Prepared {
  explicit Prepared(const OpCase& c, Device& d) : model(model_of(c)) {
    Graph& g = model.graph;
    infer_types(g);
    const Node& n = g.node(g.order().front());
    std::vector<const Type*> in_types, out_types;
    std::vector<const Tensor*> constants;
    std::vector<TensorDesc> in_descs, out_descs;
    for (size_t i = 0; i < n.inputs.size(); ++i) {
      const bool there = n.inputs[i] != kNoValue;
      in_types.push_back(there ? &g.value(n.inputs[i]).type : nullptr);
      in.push_back(there ? &c.inputs[i] : nullptr);
      constants.push_back(there && g.value(n.inputs[i]).is_constant() ? &c.inputs[i].tensor() : nullptr);
      in_descs.push_back(there ? TensorDesc{c.inputs[i].tensor().dtype(), c.inputs[i].tensor().dims()}
                               : TensorDesc{});
    }
    for (ValueId v : n.outputs) {
      out_types.push_back(&g.value(v).type);
      out_descs.push_back({g.value(v).type.dtype, g.value(v).type.shape.to_dims()});
      outputs.push_back(Tensor(out_descs.back().dtype, out_descs.back().dims));
    }
    for (Datum& o : outputs) out.push_back(&o);
    const NodeQuery q{n, in_types, out_types, constants};
    kernel = d.prepare(q, d.candidates(q, nullptr).front().name);
    for (size_t i = 0; i < in.size(); ++i)
      if (kernel->consumes(i)) in[i] = nullptr;
    bound = kernel->bind(in_descs, out_descs);
    workspace = d.allocate(bound->workspace());
  }
  void run() { bound->run({in, out, workspace.get(), nullptr}); }

  Model model;
  std::vector<const Datum*> in;
  std::vector<Datum> outputs;
  std::vector<Datum*> out;
  std::unique_ptr<Kernel> kernel;
  std::unique_ptr<BoundKernel> bound;
  std::shared_ptr<void> workspace;
};

}  // namespace

TEST_CASE("glue: indices outside their axis are errors of the run") {
  const Tensor x = f32({4, 5}, 1), bad = values<int>(DType::kInt64, {2, 1}, {0, 5});
  auto device = make_cpu_device({.threads = 1, .isa = ""});
  for (const OpCase& c :
       {make("gather", "Gather", 13, {x, bad}), make("gather_nd", "GatherND", 13, {x, bad}),
        make("gather_elements", "GatherElements", 13, {f32({2, 5}, 3), bad}, {{"axis", int64_t{1}}}),
        make("scatter_nd", "ScatterND", 13, {x, bad, f32({2, 5}, 2)})}) {
    INFO(c.name);
    Prepared p(c, *device);
    CHECK(p.kernel->name() != std::string(kReferenceKernel));
    CHECK_THROWS_AS(p.run(), Error);
  }
}

TEST_CASE("glue: runs allocate nothing") {
  for (int threads : {1, 2}) {
    auto device = make_cpu_device({.threads = threads, .isa = ""});
    for (const OpCase& c : large_cases()) {
      INFO("case ", c.name, " threads ", threads);
      Prepared p(c, *device);
      const long before = allocations;
      p.run();
      CHECK(allocations - before == 0);
    }
  }
}
