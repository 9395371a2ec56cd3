// Operators that move elements: reshape, transpose, concat, split, slice, pad, tile, expand, gather, scatter.
#include "cases/make.h"

namespace skiff::cases {
namespace {

Tensor i64(std::initializer_list<int64_t> v) {
  return Tensor::from(std::span<const int64_t>(v.begin(), v.size()));
}
Tensor counting(DType t, Dims d) {
  Tensor x(t, std::move(d));
  for (int64_t i = 0; i < x.size(); ++i) set_int(x, i, i);
  return x;
}
OpCase expect(OpCase c, Tensor want) {
  c.expected = {std::move(want)};
  return c;
}

std::vector<OpCase> moves() {
  std::vector<OpCase> r;
  Tensor x = counting(DType::kFloat, {2, 3, 4});
  r.push_back(make("reshape", "Reshape", 14, {x, i64({4, -1})}, {}, 1));
  r.push_back(make("reshape_zero", "Reshape", 14, {x, i64({0, 1, -1})}, {}, 1));
  r.push_back(make("reshape_5", "Reshape", 5, {x, i64({2, 12})}, {}, 1));
  r.push_back(make("reshape_1", "Reshape", 1, {x}, {{"shape", Ints{-1, 6}}}));
  r.push_back(make("reshape_allowzero", "Reshape", 14, {f32({0, 3}, 1), i64({3, 0, 2})},
                   {{"allowzero", int64_t{1}}}, 1));
  for (int64_t a : {0, 1, 2, 3, -1}) r.push_back(make(cat("flatten_", a), "Flatten", 13, {x}, {{"axis", a}}));
  r.push_back(make("squeeze_all", "Squeeze", 13, {f32({1, 3, 1, 2}, 1)}));
  r.push_back(make("squeeze_axes", "Squeeze", 13, {f32({1, 3, 1, 2}, 1), i64({-2})}, {}, 1));
  r.push_back(make("squeeze_11", "Squeeze", 11, {f32({1, 3, 1, 2}, 1)}, {{"axes", Ints{0, 2}}}));
  r.push_back(make("unsqueeze", "Unsqueeze", 13, {x, i64({0, -1})}, {}, 1));
  r.push_back(make("unsqueeze_11", "Unsqueeze", 11, {x}, {{"axes", Ints{1}}}));
  for (const Ints& p : {Ints{0, 1, 2}, Ints{2, 1, 0}, Ints{1, 2, 0}, Ints{0, 2, 1}, Ints{1, 0, 2}})
    for (DType t : {DType::kFloat, DType::kUint8, DType::kInt64, DType::kFloat16, DType::kInt4})
      r.push_back(make(cat("transpose_", p[0], p[1], p[2], "_", dtype_name(t)), "Transpose", 21,
                       {random_tensor(t, {7, 33, 18}, 1, 0, 7)}, {{"perm", p}}));
  r.push_back(make("transpose_default", "Transpose", 13, {x}));
  r.push_back(make("transpose_nhwc", "Transpose", 13, {f32({2, 19, 6, 5}, 1)}, {{"perm", Ints{0, 2, 3, 1}}}));
  r.push_back(
      make("transpose_heads", "Transpose", 13, {f32({1, 9, 4, 16}, 1)}, {{"perm", Ints{0, 2, 1, 3}}}));
  for (int64_t b : {2, 3})
    for (const char* m : {"DCR", "CRD"})
      r.push_back(make(cat("depth_to_space_", m, b), "DepthToSpace", 13,
                       {counting(DType::kFloat, {2, 2 * b * b, 3, 5})},
                       {{"blocksize", b}, {"mode", std::string(m)}}));
  r.push_back(expect(make("depth_to_space_text", "DepthToSpace", 13, {counting(DType::kFloat, {1, 4, 1, 2})},
                          {{"blocksize", int64_t{2}}}),
                     values<int>(DType::kFloat, {1, 1, 2, 4}, {0, 2, 1, 3, 4, 6, 5, 7})));
  r.push_back(make("space_to_depth_crd", "SpaceToDepth", 28, {counting(DType::kFloat, {2, 3, 4, 6})},
                   {{"blocksize", int64_t{2}}, {"mode", std::string("CRD")}}));
  r.push_back(make("space_to_depth", "SpaceToDepth", 13, {counting(DType::kFloat, {2, 3, 4, 6})},
                   {{"blocksize", int64_t{2}}}));
  return r;
}

std::vector<OpCase> joins() {
  std::vector<OpCase> r;
  for (int64_t a : {0, 1, -1})
    for (DType t : {DType::kFloat, DType::kInt64, DType::kUint4})
      r.push_back(make(cat("concat_", a, "_", dtype_name(t)), "Concat", 13,
                       {random_tensor(t, {2, 3, 5}, 1, 0, 9), random_tensor(t, {2, 3, 5}, 2, 0, 9),
                        random_tensor(t, {2, 3, 5}, 3, 0, 9)},
                       {{"axis", a}}));
  r.push_back(make("concat_uneven", "Concat", 13, {f32({2, 3}, 1), f32({2, 0}, 2), f32({2, 17}, 3)},
                   {{"axis", int64_t{1}}}));
  r.push_back(with_outputs(2, make("split_even", "Split", 13, {f32({2, 6, 3}, 1)}, {{"axis", int64_t{1}}})));
  r.push_back(with_outputs(
      3, make("split_sizes", "Split", 13, {f32({2, 6, 3}, 1), i64({1, 3, 2})}, {{"axis", int64_t{1}}}, 1)));
  r.push_back(with_outputs(2, make("split_11", "Split", 11, {f32({6, 3}, 1)}, {{"split", Ints{4, 2}}})));
  r.push_back(
      with_outputs(3, make("split_uneven", "Split", 18, {f32({7, 2}, 1)}, {{"num_outputs", int64_t{3}}})));
  r.push_back(make("expand", "Expand", 13, {f32({3, 1}, 1), i64({2, 1, 6})}, {}, 1));
  r.push_back(make("expand_smaller", "Expand", 13, {f32({3, 4}, 1), i64({1})}, {}, 1));
  r.push_back(make("tile", "Tile", 13, {counting(DType::kInt64, {2, 3}), i64({2, 3})}, {}, 1));
  r.push_back(expect(make("tile_text", "Tile", 13, {counting(DType::kInt64, {2}), i64({2})}, {}, 1),
                     i64({0, 1, 0, 1})));
  return r;
}

std::vector<OpCase> windows() {
  std::vector<OpCase> r;
  Tensor x = counting(DType::kFloat, {4, 5, 6});
  r.push_back(make("slice_first", "Slice", 13, {x, i64({1}), i64({3})}, {}, 1));
  r.push_back(make("slice_axes", "Slice", 13, {x, i64({0, 1}), i64({INT64_MAX, -1}), i64({2, -2})}, {}, 1));
  r.push_back(make("slice_steps", "Slice", 13,
                   {x, i64({0, 5}), i64({4, INT64_MIN}), i64({0, 2}), i64({2, -2})}, {}, 1));
  r.push_back(make("slice_empty", "Slice", 13, {x, i64({3}), i64({1}), i64({1})}, {}, 1));
  r.push_back(make("slice_beyond", "Slice", 13, {x, i64({-100}), i64({100}), i64({1})}, {}, 1));
  r.push_back(make("slice_9", "Slice", 9, {x},
                   {{"starts", Ints{1, 0}}, {"ends", Ints{1000, -1}}, {"axes", Ints{0, 2}}}));
  r.push_back(
      expect(make("slice_reverse", "Slice", 13,
                  {counting(DType::kInt64, {4}), i64({-1}), i64({INT64_MIN}), i64({0}), i64({-1})}, {}, 1),
             i64({3, 2, 1, 0})));
  Tensor p = i64({0, 1, 2, 2, 0, 1});
  for (const char* m : {"constant", "reflect", "edge", "wrap"})
    r.push_back(make(cat("pad_", m), "Pad", 19, {x, p}, {{"mode", std::string(m)}}, 1));
  r.push_back(make("pad_value", "Pad", 13, {x, p, one(DType::kFloat, 7)}, {}, 1));
  r.push_back(make("pad_crop", "Pad", 13, {x, i64({-1, 0, 2, 0, -2, 1})}, {}, 1));
  r.push_back(make("pad_axes", "Pad", 18, {x, i64({1, 2}), Datum(), i64({-1})}, {}, 1));
  r.push_back(make("pad_2", "Pad", 2, {x}, {{"pads", Ints{0, 1, 0, 0, 0, 3}}, {"value", 2.5f}}));
  r.push_back(expect(make("pad_reflect_text", "Pad", 13, {counting(DType::kInt64, {3}), i64({4, 3})},
                          {{"mode", std::string("reflect")}}, 1),
                     i64({0, 1, 2, 1, 0, 1, 2, 1, 0, 1})));
  r.push_back(make("center_crop_pad", "CenterCropPad", 18, {x, i64({3, 8, 6})}, {}, 1));
  for (int64_t k : {-2, 0, 1})
    for (int64_t u : {0, 1})
      r.push_back(make(cat("trilu_", k, "_", u), "Trilu", 14, {x, Tensor::scalar(k)}, {{"upper", u}}, 1));
  return r;
}

std::vector<OpCase> indices() {
  std::vector<OpCase> r;
  Tensor x = counting(DType::kFloat, {4, 5, 6});
  for (int64_t a : {0, 1, 2, -1}) {
    r.push_back(make(cat("gather_", a), "Gather", 13, {x, i64({0, -1, 2, 2})}, {{"axis", a}}));
    r.push_back(
        make(cat("gather_scalar_", a), "Gather", 13, {x, Tensor::scalar(int64_t{-2})}, {{"axis", a}}, 1));
  }
  r.push_back(make("gather_embedding", "Gather", 13,
                   {f32({33, 16}, 1), values<int>(DType::kInt32, {2, 3}, {0, 32, 5, -1, 7, 7})}));
  r.push_back(make("gather_elements", "GatherElements", 13,
                   {x, random_tensor(DType::kInt64, {4, 3, 6}, 1, -5, 5)}, {{"axis", int64_t{1}}}));
  r.push_back(make("gather_nd", "GatherND", 13, {x, values<int>(DType::kInt64, {2, 2}, {0, 1, 3, -1})}));
  r.push_back(make("gather_nd_batch", "GatherND", 13, {x, values<int>(DType::kInt64, {4, 1}, {0, 1, 2, -1})},
                   {{"batch_dims", int64_t{1}}}));
  for (const char* red : {"none", "add", "mul", "max", "min"}) {
    r.push_back(make(cat("scatter_elements_", red), "ScatterElements", 18,
                     {x, values<int>(DType::kInt64, {1, 2, 2}, {0, 3, 1, -1}), f32({1, 2, 2}, 1)},
                     {{"axis", int64_t{1}}, {"reduction", std::string(red)}}));
    r.push_back(make(cat("scatter_nd_", red), "ScatterND", 18,
                     {x, values<int>(DType::kInt64, {3, 2}, {0, 1, 3, -1, 0, 1}), f32({3, 6}, 1)},
                     {{"reduction", std::string(red)}}));
  }
  r.push_back(make("one_hot", "OneHot", 11,
                   {values<int>(DType::kInt64, {2, 2}, {0, 3, -1, 9}), Tensor::scalar(int64_t{4}),
                    values<int>(DType::kFloat, {2}, {2, 5})},
                   {{"axis", int64_t{1}}}, 1));
  r.push_back(expect(make("non_zero", "NonZero", 13, {values<int>(DType::kBool, {2, 2}, {1, 0, 1, 1})}),
                     values<int>(DType::kInt64, {2, 3}, {0, 1, 1, 0, 0, 1})));
  r.push_back(make("compress", "Compress", 11, {x, values<int>(DType::kBool, {3}, {0, 1, 1})},
                   {{"axis", int64_t{1}}}));
  r.push_back(make("compress_flat", "Compress", 11, {x, values<int>(DType::kBool, {3}, {0, 1, 1})}));
  OpCase u =
      with_outputs(4, make("unique", "Unique", 11, {values<int>(DType::kFloat, {6}, {2, 1, 1, 3, 4, 3})},
                           {{"sorted", int64_t{0}}}));
  u.expected = {values<int>(DType::kFloat, {4}, {2, 1, 3, 4}), i64({0, 1, 3, 4}), i64({0, 1, 1, 2, 3, 2}),
                i64({1, 2, 2, 1})};
  r.push_back(u);
  r.push_back(
      make("reverse_sequence", "ReverseSequence", 10, {counting(DType::kFloat, {4, 3, 2}), i64({4, 1, 2})}));
  r.push_back(make("range_int", "Range", 11,
                   {Tensor::scalar(int64_t{10}), Tensor::scalar(int64_t{4}), Tensor::scalar(int64_t{-2})}, {},
                   0));
  r.push_back(make("range_float", "Range", 11,
                   {one(DType::kFloat, 0), one(DType::kFloat, 1), one(DType::kFloat, 0.3)}));
  r.push_back(make("constant_of_shape", "ConstantOfShape", 9, {i64({2, 3})},
                   {{"value", one(DType::kInt32, 7).reshaped({1})}}, 0));
  r.push_back(make("eye_like", "EyeLike", 9, {f32({3, 5}, 1)}, {{"k", int64_t{1}}}));
  r.push_back(make("shape", "Shape", 15, {x}, {{"start", int64_t{-2}}}));
  r.push_back(make("size", "Size", 13, {x}));
  r.push_back(make("identity", "Identity", 13, {x}));
  r.push_back(with_outputs(2, make("dropout", "Dropout", 13, {x})));
  return r;
}

const Register kMoves(moves), kJoins(joins), kWindows(windows), kIndices(indices);

}  // namespace
}  // namespace skiff::cases
