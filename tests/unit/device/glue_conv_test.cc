// Every kernel the device offers for a convolution node, on every instruction set, against the reference.
#include <doctest/doctest.h>
#include <stdlib.h>

#include <set>

#include "cases/make.h"
#include "device/cpu/cpu_device.h"
#include "device/cpu/isa.h"
#include "support/node_runner.h"

using namespace skiff;
using test::NodeRunner;

namespace {

bool is_float_conv(const cases::OpCase& c) {
  return (c.op == "Conv" || c.op == "ConvTranspose") && c.inputs[0].tensor().dtype() == DType::kFloat;
}

cases::OpCase weight_at_run_time(cases::OpCase c) {
  c.name += "_weight_input";
  c.constant.clear();
  return c;
}

// Large enough that two threads share the work.
std::vector<cases::OpCase> large_cases() {
  using cases::f32;
  using cases::Ints;
  std::vector<cases::OpCase> r;
  const auto add = [&](std::string name, const char* op, std::vector<Datum> in, std::vector<Attribute> a,
                       const char* domain) {
    a.push_back({"pads", Ints{1, 1, 1, 1}});
    cases::OpCase c = cases::make(std::move(name), op, 1, std::move(in), std::move(a), 1);
    c.constant.resize(3);
    if (*domain)
      c = cases::in_domain(domain, c);
    else
      c.opset = 11;
    r.push_back(std::move(c));
  };
  const Attribute nhwc{"layout", std::string("NHWC")}, silu{"activation", std::string("silu")};
  add("large_nhwc", "Conv",
      {f32({2, 12, 13, 32}, 1), f32({40, 32, 3, 3}, 2), f32({40}, 3), f32({2, 12, 13, 40}, 4)}, {nhwc, silu},
      "skiff");
  add("large_nchw", "Conv",
      {f32({2, 32, 12, 13}, 1), f32({40, 32, 3, 3}, 2), f32({40}, 3), f32({2, 40, 12, 13}, 4)}, {silu},
      "skiff");
  add("large_onnx", "Conv", {f32({1, 32, 16, 17}, 1), f32({40, 32, 3, 3}, 2)}, {}, "");
  add("large_depthwise", "Conv", {f32({1, 40, 40, 64}, 1), f32({64, 1, 3, 3}, 2)},
      {nhwc, {"group", int64_t{64}}}, "skiff");
  add("large_stem", "Conv", {f32({1, 3, 64, 64}, 1), f32({24, 3, 3, 3}, 2)},
      {nhwc, {"x_layout", std::string("NCHW")}}, "skiff");
  add("large_transpose", "ConvTranspose", {f32({1, 32, 12, 13}, 1), f32({32, 24, 3, 3}, 2)},
      {{"strides", Ints{2, 2}}}, "");
  return r;
}

void check_case(const cases::OpCase& c, std::set<std::string>& seen) {
  NodeRunner runner(c), symbolic(c, true);
  for (cpu::Isa isa : cpu::available_isas()) {
    for (int threads : {1, 2}) {
      INFO(cpu::isa_name(isa), ", ", threads, " threads");
      auto d = make_cpu_device({.threads = threads, .isa = std::string(cpu::isa_name(isa))});
      for (const KernelChoice& k : runner.candidates(*d)) seen.insert(k.name);
      runner.check_all(*d);
      // What is chosen without knowing the extents must serve them all.
      const bool flat = c.inputs[0].tensor().rank() <= 4;
      if (symbolic.check_all(*d) == 0 && flat && c.constant.size() > 1 && c.constant[1])
        FAIL_CHECK(c.name, ": only the reference");
    }
  }
}

}  // namespace

TEST_CASE("glue: convolutions") {
  std::set<std::string> seen;
  for (const cases::OpCase& c : cases::all_cases()) {
    if (!is_float_conv(c)) continue;
    check_case(c, seen);
    check_case(weight_at_run_time(c), seen);
  }
  for (const char* name : {"igemm", "depthwise", "few_channels", "planar", "transpose", "winograd_f4"})
    for (const char* layout : {"", "_nchw"}) {
      std::string kernel = cat("conv_", name, layout, "_f32");
      CHECK_MESSAGE(seen.count(kernel) == 1, kernel, " was never offered");
    }
}

TEST_CASE("glue: convolutions on two threads") {
  std::set<std::string> seen;
  for (const cases::OpCase& c : large_cases()) check_case(c, seen);
}

TEST_CASE("glue: the knob for Winograd") {
  const auto offered = [](const char* value) {
    setenv("SKIFF_WINOGRAD", value, 1);
    std::set<std::string> seen;
    for (const cases::OpCase& c : large_cases()) check_case(c, seen);
    unsetenv("SKIFF_WINOGRAD");
    return seen.count("conv_winograd_f4_f32") + 10 * seen.count("conv_winograd_f6_f32");
  };
  CHECK(offered("off") == 0);
  CHECK(offered("f6") == 11);
}

TEST_CASE("glue: com.microsoft.FusedConv") {
  std::set<std::string> seen;
  for (const char* act : {"", "Relu", "LeakyRelu", "Tanh", "Clip", "Sigmoid", "HardSigmoid"}) {
    cases::OpCase c =
        cases::make(cat("fused_conv_", act), "FusedConv", 1,
                    {cases::f32({2, 6, 9, 8}, 1), cases::f32({10, 6, 3, 3}, 2), cases::f32({10}, 3),
                     cases::f32({2, 10, 7, 6}, 4)},
                    {{"activation", std::string(act)}, {"activation_params", cases::Floats{0.1f, 0.5f}}}, 1);
    c.constant[3] = false;
    check_case(cases::in_domain("com.microsoft", c), seen);
  }
  CHECK(seen.count("conv_igemm_nchw_f32") == 1);
}

TEST_CASE("glue: the expected convolution kernel comes first") {
  using cases::f32;
  auto d = make_cpu_device({.threads = 1, .isa = ""});
  const auto first = [&](Dims x, Dims w, int64_t group, const char* x_layout) {
    cases::OpCase c = cases::in_domain(
        "skiff",
        cases::make("choice", "Conv", 1, {f32(std::move(x), 1), f32(std::move(w), 2)},
                    {{"group", group}, {"layout", std::string("NHWC")}, {"x_layout", std::string(x_layout)}},
                    1));
    return NodeRunner(c).candidates(*d)[0].name;
  };
  CHECK(first({1, 28, 28, 64}, {64, 64, 3, 3}, 1, "NHWC") == "conv_winograd_f4_f32");
  CHECK(first({1, 28, 28, 64}, {64, 64, 5, 5}, 1, "NHWC") == "conv_igemm_f32");
  CHECK(first({1, 28, 28, 64}, {64, 64, 1, 1}, 1, "NHWC") == "conv_igemm_f32");
  CHECK(first({1, 28, 28, 64}, {64, 1, 3, 3}, 64, "NHWC") == "conv_depthwise_f32");
  CHECK(first({1, 28, 28, 3}, {64, 3, 7, 7}, 1, "NHWC") == "conv_few_channels_f32");
  CHECK(first({1, 3, 56, 56}, {64, 3, 7, 7}, 1, "NCHW") == "conv_planar_f32");
}
