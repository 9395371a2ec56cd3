#include "device/cpu/kernels/peak/peak.h"

#include "unit/device/kernel_test.h"

using namespace skiff::cpu;

TEST_CASE("peak loops: the work is done and counted") {
  for_each_isa([](const KernelTables& k) {
    float sink = 1;
    CHECK(k.peak->fma(1000, &sink) >= 2.0 * 4 * 1000);
    CHECK(sink > 0);  // every chain tends to 1/4 / (1 - 1/2) = 1/2
    float twice = 1;
    CHECK(k.peak->fma(2000, &twice) == 2 * k.peak->fma(1000, &sink));
    CHECK(sink == doctest::Approx(twice));
    for (int64_t n : {0, 3, 16, 1000, 4099}) {
      const std::vector<float> x(static_cast<size_t>(n), 1.0f);
      std::vector<float> y(x.size(), 5);
      CHECK(k.peak->read(x.data(), n) == static_cast<float>(n));
      k.peak->copy(x.data(), y.data(), n);
      CHECK(same_bits(x, y));
      k.peak->fill(y.data(), n, 7);
      CHECK(same_bits(y, std::vector<float>(x.size(), 7)));
    }
  });
}
