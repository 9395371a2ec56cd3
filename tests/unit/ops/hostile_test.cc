// Nodes a damaged or hostile model could hold: every one must end in an error that is not a crash.
#include <doctest/doctest.h>

#include "cases/hostile.h"
#include "unit/ops/run_case.h"

using namespace skiff;
using namespace skiff::cases;

TEST_CASE("hostile nodes end in an error") {
  for (const OpCase& c : hostile_cases()) {
    INFO(c.name);
    Code code = Code::kOk;
    try {
      run(c);
    } catch (const Error& e) {
      code = e.code();
      CHECK_FALSE(e.message().empty());
    }
    bool right = code == Code::kInvalidModel || code == Code::kInvalidArgument || code == Code::kLimit;
    CHECK_MESSAGE(right, c.name, " ended with code ", static_cast<int>(code));
  }
}

TEST_CASE("references guard themselves when no shape rule ran before them") {
  for (const OpCase& c : hostile_cases()) {
    INFO(c.name);
    Model m = model_of(c);
    CHECK_THROWS_AS(interpret(m.graph, inputs_of(c)), Error);
  }
}
