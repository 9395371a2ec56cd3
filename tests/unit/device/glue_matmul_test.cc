// Every kernel the device offers for a matrix product, on every instruction set, against the reference.
#include <doctest/doctest.h>

#include <set>

#include "cases/make.h"
#include "device/cpu/cpu_device.h"
#include "device/cpu/isa.h"
#include "support/node_runner.h"

using namespace skiff;
using cases::f32;
using cases::OpCase;
using test::NodeRunner;

namespace {

using Attributes = std::vector<Attribute>;

// With B constant and with B an input; addends constant likewise.
void add(std::vector<OpCase>& r, const std::string& name, const char* domain, const char* op,
         std::vector<Datum> in, Attributes a = {}) {
  for (bool constant : {true, false}) {
    OpCase c = cases::make(cat(name, constant ? "_const" : "_input"), op, *domain ? 1 : 13, in, a,
                           constant ? 1 : 99);
    if (c.constant.size() > 3) c.constant[3] = false;  // the residual
    r.push_back(*domain ? cases::in_domain(domain, std::move(c)) : std::move(c));
  }
}

std::vector<OpCase> products() {
  std::vector<OpCase> r;
  struct Shape {
    const char* name;
    Dims a, b;
  };
  const Shape shapes[] = {
      {"plain", {7, 13}, {13, 21}},
      {"one_row", {1, 40}, {40, 70}},
      {"three_rows", {3, 19}, {19, 33}},
      {"one_column", {9, 30}, {30, 1}},
      {"dot", {30}, {30}},
      {"row_vector", {17}, {17, 20}},
      {"column_vector", {6, 17}, {17}},
      {"batches_of_rows", {2, 3, 5, 8}, {8, 12}},
      {"batches", {2, 3, 5, 8}, {2, 3, 8, 12}},
      {"batches_one_row", {2, 3, 1, 8}, {2, 3, 8, 12}},
      {"b_repeats", {2, 3, 5, 8}, {3, 8, 12}},
      {"b_repeats_inside", {2, 3, 5, 8}, {2, 1, 8, 12}},
      {"a_repeats", {5, 8}, {4, 8, 12}},
      {"both_repeat", {2, 1, 5, 8}, {1, 3, 8, 12}},
      {"vector_by_batches", {8}, {4, 8, 12}},
      {"batches_by_vector", {4, 5, 8}, {8}},
      {"no_rows", {0, 8}, {8, 12}},
      {"no_columns", {5, 8}, {8, 0}},
      {"no_sum", {5, 0}, {0, 12}},
      {"no_batches", {0, 5, 8}, {8, 12}},
      {"one", {1, 1}, {1, 1}},
  };
  uint32_t seed = 900;
  for (const Shape& s : shapes)
    add(r, cat("matmul_", s.name), "", "MatMul", {f32(s.a, seed++), f32(s.b, seed++)});

  for (int64_t ta : {0, 1})
    for (int64_t tb : {0, 1})
      for (int64_t m : {1, 2, 9})
        for (int64_t n : {1, 24}) {
          const Dims a = ta ? Dims{11, m} : Dims{m, 11}, b = tb ? Dims{n, 11} : Dims{11, n};
          std::string name = cat("gemm_", ta, tb, "_", m, "x", n);
          const Attribute t1{"transA", ta}, t2{"transB", tb};
          add(r, name, "", "Gemm", {f32(a, seed++), f32(b, seed++)}, {t1, t2, {"alpha", 0.5f}});
          int i = 0;
          for (Dims c : {Dims{n}, Dims{m, n}, Dims{m, 1}, Dims{1, n}, Dims{}, Dims{1}})
            for (float beta : {1.0f, -0.75f})
              add(r, cat(name, "_c", i++), "", "Gemm", {f32(a, seed++), f32(b, seed++), f32(c, seed++)},
                  {t1, t2, {"beta", beta}});
        }

  const char* acts[] = {"",     "relu",       "clip",         "leaky_relu", "sigmoid",  "tanh",
                        "silu", "hard_swish", "hard_sigmoid", "gelu",       "gelu_tanh"};
  size_t turn = 0;
  for (int64_t ta : {0, 1})
    for (int64_t tb : {0, 1})
      for (int64_t m : {1, 3, 6})
        for (int64_t n : {1, 17})
          for (bool batched : {false, true}) {
            const Dims front = batched ? Dims{2, 3} : Dims{};
            const auto dims = [&](int64_t rows, int64_t columns) {
              Dims d = front;
              d.push_back(rows);
              d.push_back(columns);
              return d;
            };
            const Dims a = ta ? dims(10, m) : dims(m, 10), b = tb ? dims(n, 10) : dims(10, n);
            const Dims biases[] = {{n}, {m, 1}, {1}, dims(m, n), {1, n}};
            for (const Dims& bias : biases)
              for (bool residual : {false, true}) {
                std::vector<Datum> in{f32(a, seed++), f32(b, seed++), f32(bias, seed++)};
                if (residual) in.emplace_back(f32(dims(m, n), seed++));
                add(r, cat("skiff_matmul_", turn), "skiff", "MatMul", std::move(in),
                    {{"trans_a", ta},
                     {"trans_b", tb},
                     {"scale", 0.3f},
                     {"activation", std::string(acts[turn % std::size(acts)])},
                     {"alpha", 0.2f},
                     {"beta", 0.6f}});
                ++turn;
              }
          }
  for (int64_t t : {0, 1}) {
    const Attribute ta{"transA", t}, tb{"transB", 1 - t};
    for (const char* op : {"FusedMatMul", "TransposeMatMul"})
      add(r, cat("ms_", op, t), "com.microsoft", op,
          {f32(t ? Dims{2, 9, 5} : Dims{2, 5, 9}, 1), f32(t ? Dims{9, 14} : Dims{14, 9}, 2)},
          {ta, tb, {"alpha", 0.25f}});
    for (const char* act : {"", "Relu", "LeakyRelu", "Tanh", "Sigmoid", "HardSigmoid"})
      add(r, cat("ms_FusedGemm", t, act), "com.microsoft", "FusedGemm",
          {f32(t ? Dims{9, 5} : Dims{5, 9}, 1), f32(t ? Dims{9, 14} : Dims{14, 9}, 2), f32({14}, 3)},
          {ta, tb, {"alpha", 0.25f}, {"beta", 0.5f}, {"activation", std::string(act)}});
  }
  // A residual alone, and one that is repeated.
  add(r, "skiff_matmul_residual", "skiff", "MatMul",
      {f32({2, 5, 8}, 1), f32({8, 12}, 2), {}, f32({2, 5, 12}, 3)});
  add(r, "skiff_matmul_residual_repeats", "skiff", "MatMul",
      {f32({2, 5, 8}, 1), f32({8, 12}, 2), f32({12}, 4), f32({5, 12}, 3)});
  return r;
}

// Enough work for two threads.
std::vector<OpCase> large_products() {
  std::vector<OpCase> r;
  add(r, "large", "", "MatMul", {f32({200, 150}, 1), f32({150, 170}, 2)});
  add(r, "large_deep", "", "Gemm", {f32({33, 3000}, 1), f32({65, 3000}, 2), f32({65}, 3)},
      {{"transB", int64_t{1}}});
  add(r, "large_row", "", "MatMul", {f32({1, 700}, 1), f32({700, 900}, 2)});
  add(r, "large_row_transposed", "", "Gemm", {f32({1, 700}, 1), f32({900, 700}, 2)},
      {{"transB", int64_t{1}}});
  add(r, "large_column", "", "MatMul", {f32({900, 700}, 1), f32({700, 1}, 2)});
  add(r, "large_batches", "", "MatMul", {f32({12, 60, 50}, 1), f32({12, 50, 60}, 2)});
  add(r, "large_few_batches", "", "MatMul", {f32({2, 120, 100}, 1), f32({2, 100, 120}, 2)});
  add(r, "large_repeats", "", "MatMul", {f32({6, 2, 60, 50}, 1), f32({2, 50, 60}, 2)});
  add(r, "large_row_bias", "skiff", "MatMul", {f32({200, 150}, 1), f32({150, 170}, 2), f32({200, 1}, 3)},
      {{"activation", std::string("gelu")}});
  add(r, "large_spread", "skiff", "MatMul",
      {f32({2, 100, 150}, 1), f32({150, 170}, 2), f32({100, 1}, 3), f32({2, 100, 170}, 4)});
  for (OpCase& c : r) c.atol = 2e-4;  // sums of up to 3000 products
  return r;
}

void check_cases(const std::vector<OpCase>& list, std::set<std::string>& seen) {
  struct Machine {
    std::unique_ptr<Device> device;
    std::string name;
  };
  std::vector<Machine> machines;
  for (cpu::Isa isa : cpu::available_isas())
    for (int threads : {1, 2}) {
      std::string name(cpu::isa_name(isa));
      machines.push_back(
          {make_cpu_device({.threads = threads, .isa = name}), cat(name, ", ", threads, " threads")});
    }
  for (const OpCase& c : list) {
    NodeRunner runner(c), symbolic(c, true);
    for (const Machine& m : machines) {
      INFO(m.name);
      for (const KernelChoice& k : runner.candidates(*m.device)) seen.insert(k.name);
      if (runner.check_all(*m.device) == 0 || symbolic.check_all(*m.device) == 0)
        FAIL_CHECK(c.name, ": only the reference");
    }
  }
}

}  // namespace

TEST_CASE("glue: matrix products") {
  std::set<std::string> seen;
  check_cases(products(), seen);
  CHECK(seen.count("matmul_packed_f32") == 1);
  CHECK(seen.count("matmul_f32") == 1);
}

TEST_CASE("glue: matrix products of the shared cases") {
  std::vector<OpCase> list;
  for (const OpCase& c : cases::all_cases())
    if ((c.op == "MatMul" || c.op == "Gemm") && c.inputs[0].tensor().dtype() == DType::kFloat)
      list.push_back(c);
  std::set<std::string> seen;
  check_cases(list, seen);
}

TEST_CASE("glue: matrix products on two threads") {
  std::set<std::string> seen;
  check_cases(large_products(), seen);
}
