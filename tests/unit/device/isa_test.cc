#include "device/cpu/isa.h"

#include <doctest/doctest.h>

#include <string>

#include "base/error.h"

using namespace skiff;
using namespace skiff::cpu;

TEST_CASE("instruction sets: names round-trip, the best is available, an unknown name lists what there is") {
  REQUIRE(!available_isas().empty());
  CHECK(available_isas().front() == Isa::kGeneric);
  bool found = false;
  for (Isa isa : available_isas()) {
    CHECK(isa_from_name(isa_name(isa)) == isa);
    CHECK(static_cast<int>(kernels(isa).isa) <= static_cast<int>(isa));
    found |= isa == best_isa();
  }
  CHECK(found);
  try {
    isa_from_name("mmx");
    FAIL("no error");
  } catch (const Error& e) {
    CHECK(e.code() == Code::kInvalidArgument);
    CHECK(e.message().find("mmx") != std::string::npos);
    CHECK(e.message().find("generic") != std::string::npos);
  }
}
