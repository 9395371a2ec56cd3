// Shape rules of sliding windows, and convolution and pooling worked by hand.
#include <doctest/doctest.h>

#include "unit/ops/run_case.h"

using namespace skiff;
using namespace skiff::cases;

namespace {
const Dim H = Dim::symbol("H"), W = Dim::symbol("W"), N = Dim::symbol("N");
std::string text(const Type& t) { return t.shape.to_string(); }
}  // namespace

TEST_CASE("convolution of symbolic extents") {
  Type x = floats({N, 3, H, W}), w = floats({8, 3, 3, 3});
  CHECK(text(infer_one("Conv", 11, {x, w})) == "[N, 8, H - 2, W - 2]");
  CHECK(text(infer_one("Conv", 11, {x, w}, {{"pads", Ints{1, 1, 1, 1}}})) == "[N, 8, H, W]");
  // Explicit padding and SAME say the same in the same words, so that both branches of a graph are seen to
  // agree.
  Type same =
      infer_one("Conv", 11, {x, w}, {{"auto_pad", std::string("SAME_UPPER")}, {"strides", Ints{2, 2}}});
  Type pads = infer_one("Conv", 11, {x, w}, {{"pads", Ints{1, 1, 1, 1}}, {"strides", Ints{2, 2}}});
  CHECK(text(same) == text(pads));
  CHECK(same.shape[2] == pads.shape[2]);
}

TEST_CASE("convolution of unknown rank takes what the weight tells") {
  Type w = floats({8, 3, 3, 3});
  Type y = infer_one("Conv", 11, {Type::tensor(DType::kFloat), w});
  REQUIRE(y.shape.rank() == 4);
  CHECK(y.shape[1].is(8));
}

TEST_CASE("transposed convolution of symbolic extents") {
  Type y =
      infer_one("ConvTranspose", 11, {floats({N, 4, H, W}), floats({4, 5, 2, 2})}, {{"strides", Ints{2, 2}}});
  CHECK(text(y) == "[N, 5, 2*H, 2*W]");
}

TEST_CASE("the last pooling window of ceil_mode starts inside the input or its left padding") {
  auto extent = [](int64_t in, int64_t k, int64_t s, int64_t begin, int64_t end) {
    Type y = infer_one("MaxPool", 12, {floats({1, 1, in})},
                       {{"kernel_shape", Ints{k}},
                        {"strides", Ints{s}},
                        {"pads", Ints{begin, end}},
                        {"ceil_mode", int64_t{1}}});
    return y.shape[2].value();
  };
  CHECK(extent(8, 3, 2, 0, 0) == 4);  // windows at 0 2 4 6, the last reaches beyond
  CHECK(extent(2, 1, 2, 0, 0) == 1);  // a second window would start behind the input
  CHECK(extent(3, 1, 2, 0, 0) == 2);
}

TEST_CASE("a 1-D convolution by hand") {
  Tensor x = values<int>(DType::kFloat, {1, 1, 5}, {1, 2, 3, 4, 5}),
         w = values<int>(DType::kFloat, {1, 1, 3}, {1, 10, 100});
  OpCase c = make("", "Conv", 11, {x, w, values<int>(DType::kFloat, {1}, {1000})},
                  {{"pads", Ints{1, 1}}, {"strides", Ints{2}}});
  CHECK(to_floats(run1(c)) == std::vector<float>{1210, 1432, 1054});
}

TEST_CASE("groups and dilation by hand") {
  Tensor x = values<int>(DType::kFloat, {1, 2, 3}, {1, 2, 3, 4, 5, 6}),
         w = values<int>(DType::kFloat, {2, 1, 2}, {1, 10, 1, 100});
  OpCase c = make("", "Conv", 11, {x, w}, {{"group", int64_t{2}}, {"dilations", Ints{2}}});
  CHECK(to_floats(run1(c)) == std::vector<float>{31, 604});
}

TEST_CASE("a transposed convolution by hand, and the output_shape that crops it") {
  Tensor x = values<int>(DType::kFloat, {1, 1, 3}, {1, 2, 3}),
         w = values<int>(DType::kFloat, {1, 1, 3}, {1, 10, 100});
  CHECK(to_floats(run1(make("", "ConvTranspose", 11, {x, w}, {{"strides", Ints{2}}}))) ==
        std::vector<float>{1, 10, 102, 20, 203, 30, 300});
  // Two elements too many: SAME_UPPER takes the odd one from the end, NOTSET from the start.
  CHECK(to_floats(
            run1(make("", "ConvTranspose", 11, {x, w}, {{"strides", Ints{2}}, {"output_shape", Ints{6}}}))) ==
        std::vector<float>{10, 102, 20, 203, 30, 300});
  CHECK(to_floats(run1(make(
            "", "ConvTranspose", 11, {x, w},
            {{"strides", Ints{2}}, {"output_shape", Ints{6}}, {"auto_pad", std::string("SAME_UPPER")}}))) ==
        std::vector<float>{1, 10, 102, 20, 203, 30});
}

TEST_CASE("average pooling counts what it should") {
  Tensor x = values<int>(DType::kFloat, {1, 1, 3}, {2, 4, 6});
  std::vector<Attribute> a{{"kernel_shape", Ints{2}}, {"pads", Ints{1, 1}}};
  CHECK(to_floats(run1(make("", "AveragePool", 11, {x}, a))) == std::vector<float>{2, 3, 5, 6});
  a.emplace_back("count_include_pad", int64_t{1});
  CHECK(to_floats(run1(make("", "AveragePool", 11, {x}, a))) == std::vector<float>{1, 3, 5, 3});
}

TEST_CASE("max pooling gives places in both orders") {
  Tensor x = values<int>(DType::kFloat, {1, 1, 2, 3}, {1, 9, 2, 3, 4, 8});
  std::vector<Attribute> a{{"kernel_shape", Ints{2, 2}}};
  auto row = run(with_outputs(2, make("", "MaxPool", 12, {x}, a)));
  CHECK(to_floats(row[0].tensor()) == std::vector<float>{9, 9});
  CHECK(to_ints(row[1].tensor()) == std::vector<int64_t>{1, 1});
  a.emplace_back("storage_order", int64_t{1});
  CHECK(to_ints(run(with_outputs(2, make("", "MaxPool", 12, {x}, a)))[1].tensor()) ==
        std::vector<int64_t>{2, 2});
}
