// Pooling.
#include "cases/make.h"

namespace skiff::cases {
namespace {

std::vector<OpCase> pools() {
  std::vector<OpCase> r;
  struct P {
    const char* name;
    Dims x;
    std::vector<Attribute> a;
  };
  const std::vector<P> shapes = {
      {"2x2_s2", {1, 8, 9, 12}, {{"kernel_shape", Ints{2, 2}}, {"strides", Ints{2, 2}}}},
      {"3x3_s1_pad", {2, 5, 7, 8}, {{"kernel_shape", Ints{3, 3}}, {"pads", Ints{1, 1, 1, 1}}}},
      {"3x3_s2_pad",
       {1, 19, 15, 14},
       {{"kernel_shape", Ints{3, 3}}, {"strides", Ints{2, 2}}, {"pads", Ints{1, 1, 1, 1}}}},
      {"3x3_s2_uneven",
       {1, 4, 12, 12},
       {{"kernel_shape", Ints{3, 3}}, {"strides", Ints{2, 2}}, {"pads", Ints{0, 0, 1, 1}}}},
      {"3x3_ceil",
       {1, 4, 8, 9},
       {{"kernel_shape", Ints{3, 3}}, {"strides", Ints{2, 2}}, {"ceil_mode", int64_t{1}}}},
      {"2x2_ceil_drop",
       {1, 2, 3, 3},
       {{"kernel_shape", Ints{1, 1}},
        {"strides", Ints{2, 2}},
        {"ceil_mode", int64_t{1}},
        {"pads", Ints{0, 0, 0, 0}}}},
      {"same_upper",
       {1, 3, 9, 8},
       {{"kernel_shape", Ints{3, 3}}, {"strides", Ints{2, 2}}, {"auto_pad", std::string("SAME_UPPER")}}},
      {"same_lower", {1, 3, 8, 8}, {{"kernel_shape", Ints{2, 2}}, {"auto_pad", std::string("SAME_LOWER")}}},
      {"valid", {1, 3, 9, 8}, {{"kernel_shape", Ints{4, 3}}, {"auto_pad", std::string("VALID")}}},
      {"5x5_wide",
       {1, 3, 20, 20},
       {{"kernel_shape", Ints{5, 5}}, {"strides", Ints{3, 3}}, {"pads", Ints{2, 2, 2, 2}}}},
      {"global_sized", {2, 33, 7, 7}, {{"kernel_shape", Ints{7, 7}}}},
      {"1d", {2, 6, 31}, {{"kernel_shape", Ints{4}}, {"strides", Ints{2}}}},
      {"3d", {1, 3, 6, 6, 6}, {{"kernel_shape", Ints{2, 2, 2}}, {"strides", Ints{2, 2, 2}}}},
      {"empty", {0, 3, 6, 6}, {{"kernel_shape", Ints{2, 2}}}},
  };
  uint32_t seed = 1000;
  for (const P& p : shapes) {
    r.push_back(make(cat("max_pool_", p.name), "MaxPool", 12, {f32(p.x, ++seed)}, p.a));
    r.push_back(make(cat("average_pool_", p.name), "AveragePool", 19, {f32(p.x, ++seed)}, p.a));
    std::vector<Attribute> counted = p.a;
    counted.emplace_back("count_include_pad", int64_t{1});
    r.push_back(make(cat("average_pool_counted_", p.name), "AveragePool", 19, {f32(p.x, ++seed)}, counted));
    r.push_back(make(cat("lp_pool_", p.name), "LpPool", 18, {f32(p.x, ++seed)}, p.a));
  }
  r.push_back(make("max_pool_dilated", "MaxPool", 12, {f32({1, 4, 9, 10}, 1)},
                   {{"kernel_shape", Ints{3, 2}}, {"dilations", Ints{2, 3}}}));
  r.push_back(make("average_pool_dilated", "AveragePool", 19, {f32({1, 4, 9, 10}, 2)},
                   {{"kernel_shape", Ints{2, 2}}, {"dilations", Ints{2, 2}}, {"pads", Ints{1, 1, 1, 1}}}));
  r.push_back(with_outputs(2, make("max_pool_indices", "MaxPool", 12, {f32({2, 3, 6, 7}, 3)},
                                   {{"kernel_shape", Ints{2, 2}}, {"strides", Ints{2, 2}}})));
  r.push_back(with_outputs(2, make("max_pool_indices_columns", "MaxPool", 12, {f32({1, 2, 5, 6}, 4)},
                                   {{"kernel_shape", Ints{3, 3}}, {"storage_order", int64_t{1}}})));
  r.push_back(with_tolerance(0, 0,
                             make("max_pool_u8", "MaxPool", 12, {u8({1, 5, 8, 9}, 5)},
                                  {{"kernel_shape", Ints{3, 3}}, {"pads", Ints{1, 1, 1, 1}}})));
  r.push_back(with_tolerance(0, 0,
                             make("max_pool_s8", "MaxPool", 12, {s8({1, 5, 8, 9}, 6)},
                                  {{"kernel_shape", Ints{2, 2}}, {"strides", Ints{2, 2}}})));
  for (const char* op : {"GlobalAveragePool", "GlobalMaxPool", "GlobalLpPool"}) {
    r.push_back(make(cat(op, "_2d"), op, 2, {f32({2, 35, 7, 6}, 7)}));
    r.push_back(make(cat(op, "_1d"), op, 2, {f32({3, 4, 19}, 8)}));
    r.push_back(make(cat(op, "_pixel"), op, 2, {f32({1, 16, 1, 1}, 9)}));
  }
  // 5 and 7 of the 4x4 picture the window implies, 13 and 15 below; placed in 5x5.
  OpCase unpool = make("max_unpool_shape", "MaxUnpool", 11,
                       {values<int>(DType::kFloat, {1, 1, 2, 2}, {1, 2, 3, 4}),
                        values<int>(DType::kInt64, {1, 1, 2, 2}, {5, 7, 13, 15}),
                        values<int>(DType::kInt64, {4}, {1, 1, 5, 5})},
                       {{"kernel_shape", Ints{2, 2}}, {"strides", Ints{2, 2}}}, 2);
  unpool.expected = {values<int>(DType::kFloat, {1, 1, 5, 5}, {0, 0, 0, 0, 0, 0, 1, 0, 2, 0, 0, 0, 0,
                                                               0, 0, 0, 3, 0, 4, 0, 0, 0, 0, 0, 0})};
  r.push_back(unpool);
  return r;
}

const Register kPools(pools);

}  // namespace
}  // namespace skiff::cases
