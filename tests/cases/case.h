// One operator case: a node with its inputs. One list drives every device and mode: reference against
// expectations, devices and instruction sets against the reference, passes on and off.
#pragma once
#include <string>
#include <vector>

#include "graph/graph.h"

namespace skiff::cases {

struct OpCase {
  std::string name;  // "conv_3x3_s2_group4"
  std::string domain, op;
  int opset = 0;
  std::vector<Datum> inputs;   // an empty Datum is an absent optional input
  std::vector<bool> constant;  // inputs given as initializers (weights); missing entries are false
  std::vector<Attribute> attributes;
  size_t outputs = 1;
  std::vector<Datum> expected;  // optional: known results (from the standard's text or worked out by hand)
  double rtol = 1e-4, atol = 1e-5;
};

// The whole list: every family's cases_<family>.cc adds its own.
const std::vector<OpCase>& all_cases();

// A graph of the single node; inputs that are not constant become graph inputs in order.
Model model_of(const OpCase& c);
// The graph inputs' values of that model.
std::vector<Datum> inputs_of(const OpCase& c);

// Seeded inputs for cases: uniform in [lo, hi).
Tensor random_tensor(DType t, Dims d, uint32_t seed, double lo = -1, double hi = 1);

// Registers at static-initialisation time: static const Register r(make_cases);
struct Register {
  explicit Register(std::vector<OpCase> (*make)());
};

}  // namespace skiff::cases
