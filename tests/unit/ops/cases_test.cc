// Every operator case against its own expectations: results known from elsewhere, and the shape rule against
// the shapes the reference really makes, with numbers and with symbols.
#include "cases/case.h"

#include <doctest/doctest.h>
#include <cmath>

#include "ops/infer.h"
#include "ops/interpret.h"

using namespace skiff;

namespace {

void expect_close(const Tensor& got, const Tensor& want, double rtol, double atol) {
  REQUIRE(got.dtype() == want.dtype());
  REQUIRE(got.dims() == want.dims());
  for (int64_t i = 0; i < got.size(); ++i) {
    if (got.dtype() == DType::kString) {
      CHECK(got.data<std::string>()[i] == want.data<std::string>()[i]);
      continue;
    }
    double g = get_double(got, i), w = get_double(want, i);
    bool same = g == w || (g != g && w != w) || std::abs(g - w) <= atol + rtol * std::abs(w);
    CHECK_MESSAGE(same, "element ", i, ": ", g, " instead of ", w);
  }
}

// Extents of the inputs as symbols, and what they stand for.
std::vector<std::pair<std::string, int64_t>> make_symbolic(Graph& g) {
  std::vector<std::pair<std::string, int64_t>> symbols;
  for (ValueId v : g.inputs()) {
    Type& t = g.mutable_value(v).type;
    for (size_t a = 0; a < t.shape.rank(); ++a) {
      if (!t.shape[a].is_const()) continue;
      std::string name = cat("s", symbols.size());
      symbols.emplace_back(name, t.shape[a].value());
      t.shape[a] = Dim::symbol(name);
    }
  }
  return symbols;
}

void check_types(const Graph& g, const std::vector<Datum>& out,
                 const std::vector<std::pair<std::string, int64_t>>& symbols) {
  auto lookup = [&](const std::string& n) -> std::optional<int64_t> {
    for (const auto& [name, v] : symbols)
      if (name == n) return v;
    return std::nullopt;
  };
  for (size_t i = 0; i < out.size(); ++i) {
    if (!out[i].is_tensor()) continue;
    const Type& t = g.value(g.outputs()[i]).type;
    const Tensor& y = out[i].tensor();
    CHECK(t.dtype == y.dtype());
    if (!t.shape.has_rank()) continue;
    REQUIRE(t.shape.rank() == y.dims().size());
    for (size_t a = 0; a < t.shape.rank(); ++a) {
      Dim d = t.shape[a].substitute(lookup);
      if (d.is_const()) CHECK_MESSAGE(d.value() == y.dims()[a], "axis ", a, ": ", t.shape[a].to_string());
    }
  }
}

}  // namespace

TEST_CASE("operator cases: expectations and shape rules") {
  for (const cases::OpCase& c : cases::all_cases()) {
    INFO(c.name);
    try {
      Model m = cases::model_of(c);
      infer_types(m.graph);
      std::vector<Datum> out = interpret(m.graph, cases::inputs_of(c));
      check_types(m.graph, out, {});
      for (size_t i = 0; i < c.expected.size(); ++i)
        if (c.expected[i].is_tensor()) expect_close(out[i].tensor(), c.expected[i].tensor(), c.rtol, c.atol);
      Model symbolic = cases::model_of(c);
      auto symbols = make_symbolic(symbolic.graph);
      infer_types(symbolic.graph);
      check_types(symbolic.graph, out, symbols);
    } catch (const Error& e) {
      FAIL_CHECK(c.name, ": ", e.what());
    }
  }
}
