// Threads sharing one session: results are those of one thread alone, and `make tsan` sees no race.
#include <doctest/doctest.h>

#include <atomic>
#include <chrono>
#include <thread>

#include "cases/case.h"
#include "onnx/wire_write.h"
#include "ops/interpret.h"
#include "runtime/session.h"
#include "support/proto_maker.h"
#include "tensor/compare.h"

using namespace skiff;
using namespace skiff::runtime;
using namespace skiff::test;

namespace {

// Convolution, a data-dependent shape, a loop over a captured value: every way a run has of keeping state.
std::string busy_model() {
  GraphProto body = graph({}, {"go_out", "next"},
                          {node("Identity", {"go"}, {"go_out"}), node("Add", {"v", "pooled"}, {"next"})});
  body.input = {value("i", 7, {}), value("go", 9, {}), value("v", 1, {-1, 4, 1, 1})};
  body.output = {value("go_out", 9, {}), value("next", 1, {-1, 4, 1, 1})};
  GraphProto g = graph(
      {}, {"total", "positive"},
      {with(node("Conv", {"x", "w"}, {"c"}, "conv"), {attribute("pads", std::vector<int64_t>{1, 1, 1, 1})}),
       node("Relu", {"c"}, {"r"}, "relu"), node("GlobalAveragePool", {"r"}, {"pooled"}, "pool"),
       with(node("Loop", {"trips", "", "pooled"}, {"total"}, "loop"), {graph_attribute("body", body)}),
       node("NonZero", {"r"}, {"positive"}, "nonzero")});
  g.input = {value("x", 1, {-1, 3, 8, 8})};
  g.output[1] = value("positive", 7, {4, -1});
  TensorProto trips = ints("trips", {5});
  trips.dims.clear();
  g.initializer = {onnx::to_proto(cases::random_tensor(DType::kFloat, {4, 3, 3, 3}, 1), "w"), trips};
  return onnx::serialize(model(g));
}

}  // namespace

TEST_CASE("eight threads share a session, each with shapes of its own") {
  const std::string bytes = busy_model();
  for (const char* threads : {"1", "3"})
    for (const char* device : {"cpu", "reference"}) {
      CAPTURE(threads);
      CAPTURE(device);
      SessionOptions o;
      o.set("threads", threads);
      o.set("device", device);
      o.set("profile", "1");
      auto s = Session::load_memory(bytes, o);
      std::vector<std::vector<Datum>> in, want;
      for (uint32_t t = 0; t < 8; ++t) {
        in.push_back({cases::random_tensor(DType::kFloat, {1 + t % 3, 3, 8, 8}, t)});
        want.push_back(Session::load_memory(bytes, {})->run(in.back()));
      }
      std::atomic<int> bad{0};
      std::vector<std::thread> pool;
      for (size_t t = 0; t < 8; ++t)
        pool.emplace_back([&, t] {
          for (int r = 0; r < 10; ++r) {
            std::vector<Datum> got = s->run(in[t]);
            for (size_t k = 0; k < got.size(); ++k)
              if (!compare(got[k], want[t][k], 1e-4, 1e-4).equal) ++bad;
          }
        });
      for (std::thread& t : pool) t.join();
      CHECK(bad.load() == 0);
    }
}

TEST_CASE("eight threads load, run and end sessions of one pool while others are cancelled") {
  const std::string bytes = busy_model();
  SessionOptions o;
  o.set("threads", "2");
  o.set("memory_limit", "64M");
  std::atomic<bool> cancel{false};
  std::atomic<int> done{0};
  std::vector<std::thread> pool;
  for (uint32_t t = 0; t < 8; ++t)
    pool.emplace_back([&, t] {
      for (int r = 0; r < 5; ++r) {
        auto s = Session::load_memory(bytes, o);
        Datum x = cases::random_tensor(DType::kFloat, {2, 3, 8, 8}, t);
        const Datum* in[] = {&x};
        std::vector<Datum> out(2);
        try {
          for (int k = 0; k < 3; ++k) s->run(in, out, {}, t % 2 ? &cancel : nullptr);
          ++done;
        } catch (const Error& e) {
          if (e.code() != Code::kCancelled) throw;
        }
      }
    });
  std::this_thread::sleep_for(std::chrono::milliseconds(20));
  cancel = true;
  for (std::thread& t : pool) t.join();
  CHECK(done.load() >= 20);  // the four threads nobody cancelled
}
