// What `make exporters` uncovered, each as small as it goes.
#include "op_test.h"

using namespace skiff;
using namespace skiff::test;

namespace {

// One node of ai.onnx.ml by its reference.
std::vector<Datum> run_ml(const char* op, std::vector<Datum> inputs, std::vector<Attribute> attributes = {},
                          size_t outputs = 1) {
  Node n;
  n.domain = "ai.onnx.ml";
  n.op = op;
  n.opset = 3;
  n.attributes = std::move(attributes);
  n.def = find_op(n.domain, op);
  REQUIRE(n.def != nullptr);
  std::vector<const Datum*> in;
  for (const Datum& d : inputs) {
    in.push_back(&d);
    n.inputs.push_back(static_cast<ValueId>(in.size()));
  }
  for (size_t i = 0; i < outputs; ++i) n.outputs.push_back(static_cast<ValueId>(100 + i));
  return run_reference(n, in);
}

}  // namespace

TEST_CASE("ArrayFeatureExtractor counts negative indices from the end, as radius neighbours want") {
  Tensor x = tensor<float>(DType::kFloat, {2, 3}, {1, 2, 3, 4, 5, 6});
  Tensor pick = tensor<int>(DType::kInt64, {1, 3}, {-1, 0, -3});
  Tensor want = tensor<float>(DType::kFloat, {2, 3}, {3, 1, 1, 6, 4, 4});
  CHECK(identical(run_ml("ArrayFeatureExtractor", {x, pick})[0].tensor(), want));
  for (int64_t bad : {-4, 3}) {
    std::string error;
    try {
      (void)run_ml("ArrayFeatureExtractor", {x, Tensor::from(std::vector<int64_t>{bad})});
    } catch (const Error& e) {
      error = e.what();
    }
    CHECK(contains(error, "lies outside 3 features"));
  }
}
