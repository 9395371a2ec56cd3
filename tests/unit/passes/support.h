// Small graphs by hand, and the question every pass must answer: are the results still the same?
#pragma once
#include <doctest/doctest.h>

#include <initializer_list>
#include <string>
#include <vector>

#include "graph/graph.h"
#include "ops/op.h"
#include "passes/pipeline.h"

namespace skiff::passes::test {

class Build {
 public:
  explicit Build(int opset = 20) : opset_(opset) {}
  ValueId in(const std::string& name, std::vector<Dim> shape, DType t = DType::kFloat);
  ValueId floats(Dims dims, uint32_t seed = 1, double lo = -1, double hi = 1);  // random constant
  ValueId values(std::vector<float> v, Dims dims);
  ValueId scalar(float v);
  ValueId ints(std::vector<int64_t> v);
  ValueId constant(Tensor t);
  ValueId op(const std::string& op, std::vector<ValueId> in, std::vector<Attribute> attributes = {},
             const std::string& domain = "");
  std::vector<ValueId> multi(const std::string& op, std::vector<ValueId> in,
                             std::vector<Attribute> attributes, size_t outputs);
  void out(ValueId v) { g.mark_output(v); }
  void opset(int v) { opset_ = v; }
  Graph g;

 private:
  std::string fresh(const std::string& hint) { return hint + "_" + std::to_string(next_++); }
  int opset_;
  int next_ = 0;
};

Attribute ints_attr(const char* name, std::vector<int64_t> v);
Attribute int_attr(const char* name, int64_t v);
Attribute float_attr(const char* name, float v);
Attribute string_attr(const char* name, const char* v);

// Live nodes of this operator ("Relu", "skiff.Conv"), subgraphs not counted.
int count(const Graph& g, const std::string& op);
// The first of them; fails the test when there is none.
const Node& find(const Graph& g, const std::string& op);

// A device that wants everything there is.
TargetTraits everything();

// Seeded inputs for the graph: symbolic extents become `symbol`.
std::vector<Datum> random_inputs(const Graph& g, uint32_t seed, int64_t symbol = 3);
// Results agree within rtol * |a| + atol (integers exactly); false with a message otherwise.
bool same_results(const std::vector<Datum>& a, const std::vector<Datum>& b, double rtol = 1e-4,
                  double atol = 1e-5);

// Prepares the graph (operators, types), runs the named pass alone (through run_passes, to its fixed point)
// and checks that names, order and results of the outputs stay. Returns whether the pass changed anything.
bool run_pass(Graph& g, const std::string& pass, const TargetTraits* target = nullptr,
              const PassOptions& options = {});
// The same for the whole lists: general, then target when given.
struct Tolerance {
  double rtol = 1e-4, atol = 1e-5;
};
bool run_all(Graph& g, const TargetTraits* target = nullptr, const PassOptions& options = {},
             const Tolerance& tolerance = {});

}  // namespace skiff::passes::test
