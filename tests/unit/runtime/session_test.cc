#include "runtime/session.h"

#include <doctest/doctest.h>

#include <cstdlib>
#include <new>
#include <thread>

#include "cases/case.h"
#include "ops/interpret.h"
#include "tensor/compare.h"

using namespace skiff;
using runtime::Session;
using runtime::SessionOptions;

// Counts allocations of this thread while it is armed: a run must make none once shapes are known.
namespace {
thread_local bool armed = false;
thread_local int allocations = 0;
void* counted(size_t n) {
  if (armed) ++allocations;
  void* p = std::malloc(n ? n : 1);
  if (!p) throw std::bad_alloc();
  return p;
}
}  // namespace
// NOLINTBEGIN
void* operator new(size_t n) { return counted(n); }
void* operator new[](size_t n) { return counted(n); }
void* operator new(size_t n, std::align_val_t a) {
  if (armed) ++allocations;
  void* p = std::aligned_alloc(
      static_cast<size_t>(a), (n + static_cast<size_t>(a)) / static_cast<size_t>(a) * static_cast<size_t>(a));
  if (!p) throw std::bad_alloc();
  return p;
}
void* operator new(size_t n, std::align_val_t a, const std::nothrow_t&) noexcept {
  if (armed) ++allocations;
  return std::aligned_alloc(static_cast<size_t>(a),
                            (n + static_cast<size_t>(a)) / static_cast<size_t>(a) * static_cast<size_t>(a));
}
void operator delete(void* p) noexcept { std::free(p); }
void operator delete[](void* p) noexcept { std::free(p); }
void operator delete(void* p, size_t) noexcept { std::free(p); }
void operator delete[](void* p, size_t) noexcept { std::free(p); }
void operator delete(void* p, std::align_val_t) noexcept { std::free(p); }
void operator delete(void* p, size_t, std::align_val_t) noexcept { std::free(p); }
// NOLINTEND

namespace {

struct Builder {
  Model m;
  int counter = 0;
  Builder() {
    m.ir_version = 8;
    m.opsets = {{"", 17}};
  }
  ValueId input(const char* name, SymShape s, DType t = DType::kFloat) {
    return m.graph.add_input(name, Type::tensor(t, s));
  }
  ValueId weight(Dims d, uint32_t seed) {
    return m.graph.add_constant(cat("w", counter++), cases::random_tensor(DType::kFloat, d, seed, -0.5, 0.5));
  }
  ValueId ints(std::vector<int64_t> v) { return m.graph.add_constant(cat("c", counter++), Tensor::from(v)); }
  ValueId op(const char* o, std::vector<ValueId> in, std::vector<Attribute> attrs = {}) {
    Node n;
    n.op = o;
    n.name = cat(o, counter);
    n.opset = 17;
    n.inputs = std::move(in);
    n.attributes = std::move(attrs);
    ValueId out = m.graph.add_value(cat("v", counter++));
    n.outputs = {out};
    m.graph.add_node(std::move(n));
    return out;
  }
};

using Ints = std::vector<int64_t>;

// A small convolutional network with a residual, dynamic batch.
Model small_cnn() {
  Builder b;
  ValueId x = b.input("x", SymShape({Dim::symbol("N"), Dim(3), Dim(12), Dim(12)}));
  ValueId a = b.op(
      "Relu", {b.op("Conv", {x, b.weight({8, 3, 3, 3}, 1), b.weight({8}, 2)}, {{"pads", Ints{1, 1, 1, 1}}})});
  ValueId c =
      b.op("Conv", {a, b.weight({8, 1, 3, 3}, 3)}, {{"pads", Ints{1, 1, 1, 1}}, {"group", int64_t{8}}});
  ValueId d = b.op("Relu", {b.op("Add", {c, a})});
  ValueId e = b.op("Flatten", {b.op("GlobalAveragePool", {d})});
  ValueId f = b.op("Softmax", {b.op("Gemm", {e, b.weight({8, 5}, 4), b.weight({5}, 5)})});
  b.m.graph.mark_output(f);
  return std::move(b.m);
}

std::vector<Datum> oracle(Model m, const std::vector<Datum>& in) {
  resolve_ops(m.graph);
  return interpret(m.graph, in);
}

void expect_close(const std::vector<Datum>& got, const std::vector<Datum>& want, double tol = 1e-5) {
  REQUIRE(got.size() == want.size());
  for (size_t i = 0; i < got.size(); ++i) {
    Difference d = compare(got[i], want[i], tol, tol);
    CHECK_MESSAGE(d.equal, d.text);
  }
}

}  // namespace

TEST_CASE("a network gives what the oracle gives, on either device and split between them") {
  std::vector<Datum> in = {cases::random_tensor(DType::kFloat, {2, 3, 12, 12}, 9)};
  std::vector<Datum> want = oracle(small_cnn(), in);
  for (const char* place :
       {"", "op:Conv=reference", "share:0.5=reference", "share:0.25=reference;op:MatMul=reference"})
    for (const char* device : {"cpu", "reference"})
      for (const char* skip : {"", "all"}) {
        if (*place && std::string(device) == "reference") continue;
        CAPTURE(place);
        CAPTURE(device);
        CAPTURE(skip);
        SessionOptions o;
        o.device = device;
        o.place = std::string(place).find("MatMul") != std::string::npos && *skip ? "" : place;
        if (*skip) o.skip_passes = {skip};
        auto s = Session::from_model(small_cnn(), o);
        expect_close(s->run(in), want);
        expect_close(s->run(in), want);
      }
}

TEST_CASE("shapes may change between runs; programs are kept") {
  auto s = Session::from_model(small_cnn(), {});
  for (int64_t n : {1, 3, 1, 2, 0, 3}) {
    std::vector<Datum> in = {cases::random_tensor(DType::kFloat, {n, 3, 12, 12}, static_cast<uint32_t>(n))};
    expect_close(s->run(in), oracle(small_cnn(), in));
  }
}

TEST_CASE("a run allocates nothing after the first of its shapes") {
  SessionOptions o;
  o.threads = 1;
  auto s = Session::from_model(small_cnn(), o);
  Datum x = cases::random_tensor(DType::kFloat, {1, 3, 12, 12}, 1);
  const Datum* in[] = {&x};
  std::vector<Datum> out(1);
  s->run(in, out);
  s->run(in, out);
  const void* buffer = out[0].tensor().raw();
  allocations = 0;
  armed = true;
  s->run(in, out);
  armed = false;
  CHECK(allocations == 0);
  CHECK(out[0].tensor().raw() == buffer);
}

TEST_CASE("wrong inputs are refused, naming the input and what it should be") {
  auto s = Session::from_model(small_cnn(), {});
  auto message = [&](std::vector<Datum> in) -> std::string {
    try {
      s->run(in);
    } catch (const Error& e) {
      CHECK(e.code() == Code::kInvalidArgument);
      return e.what();
    }
    return "";
  };
  CHECK(message({cases::random_tensor(DType::kFloat, {1, 3, 12}, 1)}).find("rank 4") != std::string::npos);
  CHECK(message({cases::random_tensor(DType::kFloat, {1, 4, 12, 12}, 1)}).find("extent 1 must be 3") !=
        std::string::npos);
  CHECK(message({cases::random_tensor(DType::kDouble, {1, 3, 12, 12}, 1)})
            .find("'x' must have element type float") != std::string::npos);
  CHECK(message({Datum()}).find("'x'") != std::string::npos);
  CHECK(message({}).find("takes 1 inputs") != std::string::npos);
}

TEST_CASE("threads share a session") {
  auto s = Session::from_model(small_cnn(), {});
  std::vector<std::thread> threads;
  std::atomic<int> bad{0};
  for (int t = 0; t < 4; ++t)
    threads.emplace_back([&, t] {
      std::vector<Datum> in = {
          cases::random_tensor(DType::kFloat, {1 + t % 2, 3, 12, 12}, static_cast<uint32_t>(t))};
      std::vector<Datum> want = oracle(small_cnn(), in);
      for (int r = 0; r < 20; ++r)
        if (!compare(s->run(in)[0], want[0], 1e-5, 1e-5).equal) ++bad;
    });
  for (auto& t : threads) t.join();
  CHECK(bad.load() == 0);
}

TEST_CASE("a cancelled run ends; a memory limit holds") {
  auto s = Session::from_model(small_cnn(), {});
  Datum x = cases::random_tensor(DType::kFloat, {1, 3, 12, 12}, 1);
  const Datum* in[] = {&x};
  std::vector<Datum> out(1);
  std::atomic<bool> stop{true};
  try {
    s->run(in, out, {}, &stop);
    FAIL("not cancelled");
  } catch (const Error& e) {
    CHECK(e.code() == Code::kCancelled);
  }
  stop = false;
  s->run(in, out, {}, &stop);
  SessionOptions o;
  o.memory_limit = 20000;
  try {
    auto tight = Session::from_model(small_cnn(), o);
    Datum big = cases::random_tensor(DType::kFloat, {64, 3, 12, 12}, 1);
    const Datum* bin[] = {&big};
    tight->run(bin, out);
    FAIL("no limit");
  } catch (const Error& e) {
    CHECK(e.code() == Code::kLimit);
    CHECK(std::string(e.what()).find("memory_limit") != std::string::npos);
  }
}

TEST_CASE("shape arithmetic is followed at plan time, data-dependent shapes split the program") {
  Builder b;
  ValueId x = b.input("x", SymShape(std::vector<Dim>{Dim::symbol("N"), Dim::symbol("M")}));
  // Reshape to [N*M] through Shape/Gather/Mul, then NonZero of its ReLU, then back into a Gather.
  ValueId shape = b.op("Shape", {x});
  ValueId n = b.op("Gather", {shape, b.ints({0})}), m = b.op("Gather", {shape, b.ints({1})});
  ValueId flat = b.op("Reshape", {x, b.op("Mul", {n, m})});
  ValueId pos = b.op("NonZero", {b.op("Relu", {flat})});
  ValueId idx = b.op("Squeeze", {pos, b.ints({0})});
  ValueId y = b.op("Neg", {b.op("Gather", {flat, idx})});
  b.m.graph.mark_output(y);
  b.m.graph.mark_output(flat);
  auto build = [&] {
    Model c;
    c.ir_version = 8;
    c.opsets = b.m.opsets;
    c.graph = b.m.graph.clone();
    return c;
  };
  auto s = Session::from_model(build(), {});
  for (uint32_t seed : {1u, 2u, 3u}) {
    std::vector<Datum> in = {cases::random_tensor(DType::kFloat, {static_cast<int64_t>(seed), 5}, seed)};
    expect_close(s->run(in), oracle(build(), in));
  }
}

TEST_CASE("a caller's buffer of the wrong shape is refused, the right one is filled in place") {
  auto s = Session::from_model(small_cnn(), {});
  Datum x = cases::random_tensor(DType::kFloat, {1, 3, 12, 12}, 1);
  const Datum* in[] = {&x};
  std::vector<float> buffer(5);
  std::vector<Datum> out = {Tensor::view(DType::kFloat, {1, 5}, buffer.data())};
  uint8_t fixed[] = {1};
  s->run(in, out, fixed);
  float sum = 0;
  for (float f : buffer) sum += f;
  CHECK(sum == doctest::Approx(1.0));
  out[0] = Tensor::view(DType::kFloat, {5}, buffer.data());
  CHECK_THROWS_AS(s->run(in, out, fixed), Error);
}

TEST_CASE("a sparse initializer is a weight like any other") {
  Builder b;
  ValueId x = b.input("x", SymShape(Dims{2, 3}));
  ValueId w = b.m.graph.add_value("w");
  Datum::Sparse sparse;
  sparse.dims = {3, 2};
  sparse.values = Tensor::from(std::vector<float>{2.0F, 5.0F}, {2});
  sparse.indices = Tensor::from(std::vector<int64_t>{1, 4});  // [0, 1] and [2, 0]
  b.m.graph.mutable_value(w).sparse = std::make_shared<const Datum::Sparse>(sparse);
  b.m.graph.mark_output(b.op("MatMul", {x, w}));
  auto s = Session::from_model(std::move(b.m), {});
  std::vector<Datum> in = {Tensor::from(std::vector<float>{1, 2, 3, 4, 5, 6}, {2, 3})};
  expect_close(s->run(in), {Tensor::from(std::vector<float>{15, 2, 30, 8}, {2, 2})});
}

TEST_CASE("an input with a default is a constant until a run overrides it") {
  Builder b;
  ValueId x = b.input("x", SymShape(Dims{2, 3}));
  ValueId w = b.m.graph.add_constant("w", Tensor::from(std::vector<float>{1, 0, 0, 1, 1, 1}, {3, 2}));
  ValueId scale = b.m.graph.add_constant("scale", Tensor::from(std::vector<float>{2.0F}, {1}));
  for (ValueId v : {w, scale}) {
    b.m.graph.mutable_value(v).overridable = true;
    b.m.graph.mark_input(v);
  }
  b.m.graph.mark_output(b.op("MatMul", {x, b.op("Mul", {w, scale})}));
  SessionOptions o;
  o.profile = true;
  auto s = Session::from_model(std::move(b.m), o);
  REQUIRE(s->inputs().size() == 3);
  CHECK(s->inputs()[1].optional);
  Datum in = Tensor::from(std::vector<float>{1, 2, 3, 4, 5, 6}, {2, 3});
  std::vector<Datum> plain = {in, Datum(), Datum()};
  std::vector<Datum> usual = {Tensor::from(std::vector<float>{8, 10, 20, 22}, {2, 2})};
  expect_close(s->run(plain), usual);
  // Folded and packed: the product alone is left to run.
  CHECK(s->info_json("").find("matmul_packed_f32") != std::string::npos);
  CHECK(s->profile_json().find("\"Mul\"") == std::string::npos);

  std::vector<Datum> over = {in, Datum(), Tensor::from(std::vector<float>{-1.0F}, {1})};
  expect_close(s->run(over), {Tensor::from(std::vector<float>{-4, -5, -10, -11}, {2, 2})});
  CHECK(s->profile_json().find("\"runs\":1") != std::string::npos);
  over = {in, Tensor::from(std::vector<float>{0, 1, 0, 1, 0, 1}, {3, 2}), Datum()};
  expect_close(s->run(over), {Tensor::from(std::vector<float>{0, 12, 0, 30}, {2, 2})});
  expect_close(s->run(plain), usual);
  over[1] = Tensor::from(std::vector<float>{0, 1}, {2, 1});
  CHECK_THROWS_AS(s->run(over), Error);  // the declared shape still binds
}

TEST_CASE("placement: unknown devices and nodes are errors; the profile names kernels") {
  SessionOptions o;
  o.place = "op:Conv=fpga";
  CHECK_THROWS_AS(Session::from_model(small_cnn(), o), Error);
  o.place = "no_such_node=reference";
  CHECK_THROWS_AS(Session::from_model(small_cnn(), o), Error);
  o.place = "";
  o.profile = true;
  auto s = Session::from_model(small_cnn(), o);
  s->run(std::vector<Datum>{cases::random_tensor(DType::kFloat, {1, 3, 12, 12}, 1)});
  std::string json = s->profile_json();
  CHECK(json.find("\"runs\":1") != std::string::npos);
  CHECK(json.find("Conv") != std::string::npos);
}

TEST_CASE("a sequence keeps what was put into it") {
  // The memory of `first` is free once it is in the sequence, and the chain behind it takes it over.
  Builder b;
  ValueId x = b.input("x", SymShape({Dim(16)}));
  ValueId first = b.op("Neg", {x}), sequence = b.op("SequenceConstruct", {first});
  ValueId chain = x;
  for (const char* o : {"Exp", "Sin", "Abs", "Sqrt", "Tanh", "Cos"}) chain = b.op(o, {chain});
  ValueId kept = b.op("SequenceInsert", {sequence, b.op("Add", {chain, chain})});
  for (const char* o : {"Exp", "Sin", "Abs", "Sqrt"}) chain = b.op(o, {chain});
  b.m.graph.mark_output(b.op("ConcatFromSequence", {kept}, {{"axis", int64_t{0}}}));
  b.m.graph.mark_output(chain);
  std::vector<Datum> in{cases::random_tensor(DType::kFloat, {16}, 1)};
  Model copy;
  copy.ir_version = b.m.ir_version;
  copy.opsets = b.m.opsets;
  copy.graph = b.m.graph.clone();
  std::vector<Datum> want = oracle(std::move(copy), in);
  for (const char* skip : {"", "all"}) {
    Model m;
    m.ir_version = b.m.ir_version;
    m.opsets = b.m.opsets;
    m.graph = b.m.graph.clone();
    resolve_ops(m.graph);
    SessionOptions o;
    if (*skip) o.skip_passes = {skip};
    auto s = Session::from_model(std::move(m), o);
    expect_close(s->run(in), want);
  }
}

TEST_CASE("a report after runs whose shapes depended on values") {
  Builder b;
  ValueId x = b.input("x", SymShape({Dim(6)})), shape = b.input("shape", SymShape({Dim(2)}), DType::kInt64);
  b.m.graph.mark_output(b.op("Reshape", {b.op("Neg", {x}), shape}));
  resolve_ops(b.m.graph);
  auto s = Session::from_model(std::move(b.m), {});
  std::vector<Datum> in{cases::random_tensor(DType::kFloat, {6}, 1), Tensor::from(Ints{2, 3})};
  CHECK(s->run(in)[0].tensor().dims() == Dims{2, 3});
  CHECK(s->info_json("").find("Reshape") != std::string::npos);
  in[1] = Tensor::from(Ints{3, 2});
  CHECK(s->run(in)[0].tensor().dims() == Dims{3, 2});
}
