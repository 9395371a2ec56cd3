// Every fast kernel of the CPU device against the reference, on every operator case, instruction set and
// with one thread and two.
#include <doctest/doctest.h>

#include <set>

#include "device/cpu/cpu_device.h"
#include "support/node_runner.h"

using namespace skiff;

namespace {

size_t run_all(const std::string& isa, int threads, bool symbolic) {
  auto device = make_cpu_device({.threads = threads, .isa = isa});
  size_t kernels = 0;
  for (const cases::OpCase& c : cases::all_cases()) {
    INFO("case ", c.name, " isa ", isa, " threads ", threads, symbolic ? " symbolic" : "");
    try {
      kernels += test::NodeRunner(c, symbolic).check_all(*device);
    } catch (const std::exception& e) {
      FAIL_CHECK(c.name, ": ", e.what());
    }
  }
  return kernels;
}

}  // namespace

TEST_CASE("glue: every kernel of every case agrees with the reference") {
  const DeviceInfo info = make_cpu_device({.threads = 1, .isa = ""})->info();
  for (const std::string& isa : info.isas)
    for (int threads : {1, 2}) CHECK(run_all(isa, threads, false) > 100);
}

TEST_CASE("glue: kernels chosen for symbolic extents serve the concrete ones") {
  CHECK(run_all("", 1, true) > 100);
}

TEST_CASE("glue: what image and sequence models spend their time in has a fast kernel") {
  auto device = make_cpu_device({.threads = 1, .isa = ""});
  std::set<std::string> slow, fast;
  for (const cases::OpCase& c : cases::all_cases()) {
    if (c.inputs.empty() || !c.inputs[0].is_tensor() || c.inputs[0].tensor().dtype() != DType::kFloat)
      continue;
    test::NodeRunner r(c);
    const std::string name = c.domain + ":" + c.op;
    (r.candidates(*device).front().name == kReferenceKernel ? slow : fast).insert(name);
  }
  for (const char* op : {":Relu",
                         ":Add",
                         ":Mul",
                         ":Softmax",
                         ":MaxPool",
                         ":AveragePool",
                         ":GlobalAveragePool",
                         ":Concat",
                         ":Slice",
                         ":Transpose",
                         ":Pad",
                         ":Split",
                         ":Gather",
                         ":Expand",
                         ":Resize",
                         ":LayerNormalization",
                         ":InstanceNormalization",
                         ":BatchNormalization",
                         ":ReduceMean",
                         ":ArgMax",
                         ":LSTM",
                         ":GRU",
                         ":Where",
                         "skiff:Elementwise",
                         "skiff:MaxPool",
                         "skiff:AveragePool",
                         "skiff:GlobalAveragePool"})
    CHECK_MESSAGE((fast.count(op) || !slow.count(op)), op, " runs on the reference alone");
}
