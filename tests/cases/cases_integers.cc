// The internal operators on 8-bit integers, and the channels-last forms convolutional parts use beside them.
// Exact.
#include "cases/make.h"

namespace skiff::cases {
namespace {

Tensor integers(bool u, Dims d, uint32_t seed) { return u ? u8(std::move(d), seed) : s8(std::move(d), seed); }
DType type_of(bool u) { return u ? DType::kUint8 : DType::kInt8; }

struct Conv {
  const char* name;
  int64_t c, h, w, m, k, group, stride, pad, dilation;
};
const Conv kConvs[] = {
    {"1x1", 32, 7, 6, 40, 1, 1, 1, 0, 1},         {"1x1_tail", 13, 5, 3, 19, 1, 1, 1, 0, 1},
    {"1x1_s2", 16, 9, 8, 70, 1, 1, 2, 0, 1},      {"3x3", 16, 11, 13, 24, 3, 1, 1, 1, 1},
    {"dilated", 8, 12, 12, 8, 3, 1, 1, 2, 2},     {"grouped", 16, 8, 8, 32, 3, 4, 1, 1, 1},
    {"dw3x3", 72, 11, 10, 72, 3, 72, 1, 1, 1},    {"dw3x3_s2", 19, 12, 13, 19, 3, 19, 2, 1, 1},
    {"dw5x5", 24, 9, 9, 24, 5, 24, 1, 2, 1},      {"dw9x9", 20, 12, 11, 20, 9, 20, 1, 4, 1},
    {"dw_dilated", 24, 9, 9, 24, 3, 24, 1, 2, 2}, {"stem", 3, 29, 30, 16, 7, 1, 2, 3, 1},
    {"deep", 130, 5, 4, 66, 3, 1, 1, 1, 1},
};

OpCase exact(OpCase c) { return with_tolerance(0, 0, in_domain("skiff", std::move(c))); }

OpCase exact_in(const char* domain, OpCase c) {
  return with_tolerance(0, 0, in_domain(domain, std::move(c)));
}
OpCase constants(OpCase c, std::initializer_list<size_t> which) {
  for (size_t i : which) c.constant[i] = true;
  return c;
}

std::vector<OpCase> convolutions() {
  std::vector<OpCase> r;
  uint32_t seed = 1;
  for (const Conv& s : kConvs)
    for (int kind = 0; kind < 8; ++kind) {
      const bool x_u = kind & 1, w_u = kind & 2, per_channel = kind & 4;
      Dims wd{s.m, s.c / s.group, s.k, s.k};
      Tensor wz = per_channel ? integers(w_u, {s.m}, ++seed) : one(type_of(w_u), w_u ? 121 : 0);
      Tensor ws = per_channel ? f32({s.m}, ++seed, 0.001, 0.02) : one(DType::kFloat, 0.007);
      std::vector<Datum> in{integers(x_u, {2, s.h, s.w, s.c}, ++seed),
                            one(DType::kFloat, 0.03),
                            one(type_of(x_u), x_u ? 110 : -7),
                            integers(w_u, wd, ++seed),
                            ws,
                            wz,
                            one(DType::kFloat, 0.2 * static_cast<double>(s.k)),
                            one(type_of(!x_u), x_u ? -3 : 128)};
      if (kind != 3) in.push_back(random_tensor(DType::kInt32, {s.m}, ++seed, -9000, 9000));
      std::vector<Attribute> a{{"kernel_shape", Ints{s.k, s.k}},
                               {"strides", Ints{s.stride, s.stride}},
                               {"pads", Ints{s.pad, s.pad, s.pad, s.pad}},
                               {"dilations", Ints{s.dilation, s.dilation}},
                               {"group", s.group},
                               {"layout", std::string("NHWC")}};
      if (kind == 5) a.insert(a.end(), {{"low", int64_t{-3}}, {"high", int64_t{60}}});
      r.push_back(exact(make(cat("qconv_", s.name, "_", kind), "QLinearConv", 1, std::move(in), a, 1)));
    }
  r.push_back(exact(
      make("qconv_1d", "QLinearConv", 1,
           {u8({2, 19, 12}, 5), one(DType::kFloat, 0.03), one(DType::kUint8, 9), s8({20, 12, 3}, 6),
            one(DType::kFloat, 0.01), one(DType::kInt8, 0), one(DType::kFloat, 0.5), one(DType::kUint8, 7)},
           {{"kernel_shape", Ints{3}}, {"pads", Ints{1, 1}}, {"layout", std::string("NHWC")}}, 1)));
  r.push_back(exact(
      make("qconv_planar", "QLinearConv", 1,
           {u8({1, 6, 9, 8}, 5), one(DType::kFloat, 0.03), one(DType::kUint8, 9), s8({5, 6, 3, 3}, 6),
            one(DType::kFloat, 0.01), one(DType::kInt8, 0), one(DType::kFloat, 0.5), one(DType::kUint8, 7)},
           {{"kernel_shape", Ints{3, 3}}}, 1)));
  return r;
}

std::vector<OpCase> others() {
  std::vector<OpCase> r;
  for (bool u : {false, true}) {
    const char* tag = u ? "_u8" : "_s8";
    for (bool trans : {false, true})
      for (Dims a : {Dims{1, 96}, Dims{3, 7, 96}, Dims{64, 96}})
        r.push_back(
            exact(make(cat("qmatmul", tag, trans ? "_trans_" : "_", to_string(a)), "QLinearMatMul", 1,
                       {integers(u, a, 7), one(DType::kFloat, 0.02), one(type_of(u), 5),
                        s8(trans ? Dims{75, 96} : Dims{96, 75}, 8), f32({75}, 9, 0.001, 0.02),
                        s8({75}, 10, -3, 3), one(DType::kFloat, 0.4), one(type_of(!u), 11),
                        random_tensor(DType::kInt32, {75}, 11, -9000, 9000)},
                       {{"trans_b", int64_t{trans}}, {"low", int64_t{11}}, {"high", int64_t{90}}}, 1)));
    r.push_back(exact(make(cat("lookup", tag), "Lookup", 1, {integers(u, {3, 5, 41}, 12)},
                           {{"table", integers(!u, {256}, 13)}})));
    r.push_back(exact(make(cat("max_pool_bytes", tag), "MaxPool", 1, {integers(u, {2, 9, 8, 21}, 14)},
                           {{"kernel_shape", Ints{3, 2}},
                            {"strides", Ints{2, 1}},
                            {"pads", Ints{1, 0, 1, 1}},
                            {"layout", std::string("NHWC")}})));
    for (int zeros : {0, 1, 2}) {  // none, one, one per column of B
      const bool w_u = zeros == 1;
      Tensor bz = zeros == 2 ? s8({83}, 23, -9, 9) : one(type_of(w_u), zeros ? 130 : 0);
      std::vector<Datum> in{integers(u, {3, 5, 70}, 21), integers(w_u, {70, 83}, 22), one(type_of(u), 17),
                            bz};
      r.push_back(constants(
          exact_in("", make(cat("matmul_integer_constant", tag, zeros), "MatMulInteger", 10, in)), {1, 3}));
      in = {integers(u, {3, 5, 70}, 24),
            integers(w_u, {70, 83}, 25),
            one(DType::kFloat, 0.013),
            f32({83}, 26, 0.001, 0.02),
            one(type_of(u), 17),
            bz,
            f32({83}, 27)};
      r.push_back(constants(
          exact_in("com.microsoft", make(cat("matmul_to_float", tag, zeros), "MatMulIntegerToFloat", 1, in)),
          {1, 3, 5, 6}));
      in = {f32({2, 9, 70}, 28, u ? 0.5 : -3, 4), integers(w_u, {70, 83}, 29), f32({83}, 30, 0.001, 0.02), bz,
            f32({83}, 31)};
      r.push_back(constants(
          exact_in("com.microsoft", make(cat("dynamic_matmul", tag, zeros), "DynamicQuantizeMatMul", 1, in)),
          {1, 2, 3}));
    }
    OpCase global = make(cat("qglobal_average_nhwc", tag), "QLinearGlobalAveragePool", 1,
                         {integers(u, {2, 7, 6, 37}, 15), one(DType::kFloat, 0.02), one(type_of(u), 3),
                          one(DType::kFloat, 0.005), one(type_of(u), 20)},
                         {{"channels_last", int64_t{1}}}, 1);
    r.push_back(with_tolerance(0, 0, in_domain("com.microsoft", std::move(global))));
    for (const char* op : {"ArgMax", "ArgMin"})
      for (int64_t axis : {0, 1, 2})
        for (int64_t last : {0, 1})
          r.push_back(make(cat(op, "_bytes", tag, axis, last), op, 13, {integers(u, {5, 70, 40}, 20)},
                           {{"axis", axis}, {"keepdims", last}, {"select_last_index", last}}));
    for (int64_t include : {0, 1}) {
      OpCase pool = make(cat("qaverage_nhwc", tag, include), "QLinearAveragePool", 1,
                         {integers(u, {2, 9, 8, 37}, 16), one(DType::kFloat, 0.02), one(type_of(u), 3),
                          one(DType::kFloat, 0.015), one(type_of(u), 20)},
                         {{"channels_last", int64_t{1}},
                          {"count_include_pad", include},
                          {"kernel_shape", Ints{3, 3}},
                          {"strides", Ints{2, 2}},
                          {"pads", Ints{1, 1, 1, 1}},
                          {"ceil_mode", include}},
                         1);
      r.push_back(with_tolerance(0, 0, in_domain("com.microsoft", std::move(pool))));
    }
    for (const char* op : {"QLinearAdd", "QLinearMul"}) {
      OpCase same =
          make(cat(op, "_constants", tag), op, 1,
               {integers(u, {2, 9, 50}, 17), one(DType::kFloat, 0.02), one(type_of(u), 3),
                integers(u, {2, 9, 50}, 18), one(DType::kFloat, 0.03),
                one(type_of(u), -0.0 + (u ? 140 : -14)), one(DType::kFloat, 0.04), one(type_of(u), 9)});
      for (size_t i : {1, 2, 4, 5, 6, 7}) same.constant[i] = true;
      r.push_back(with_tolerance(0, 0, in_domain("com.microsoft", std::move(same))));
    }
  }
  return r;
}

// Weights of 2, 4 and 8 bits in blocks, with and without zero points, a last block that is not full, one row
// and many.
std::vector<OpCase> blocks_of_bits() {
  std::vector<OpCase> r;
  for (int64_t bits : {2, 4, 8})
    for (int64_t rows : {1, 2, 7})
      for (int zeros : {0, 1, 2}) {
        const int64_t k = 90, n = 37, block = 32, blocks = 3;
        Datum zero;
        if (zeros == 1) zero = u8({n, (blocks * bits + 7) / 8}, 41);
        if (zeros == 2) zero = f32({n, blocks}, 42, 0, 4);
        std::vector<Datum> in{f32({2, rows, k}, 43), u8({n, blocks, block * bits / 8}, 44),
                              f32({n * blocks}, 45, 0.01, 0.1), zero};
        if (zeros) in.insert(in.end(), {Datum(), f32({n}, 46)});
        r.push_back(with_tolerance(
            1e-4, 2e-4,
            in_domain("com.microsoft",
                      make(cat("nbits_", bits, "_", rows, "_", zeros), "MatMulNBits", 1, std::move(in),
                           {{"K", k}, {"N", n}, {"bits", bits}, {"block_size", block}}, 1))));
      }
  return r;
}

const Register kBlocksOfBits(blocks_of_bits);
const Register kConvolutions(convolutions);
const Register kOthers(others);

}  // namespace
}  // namespace skiff::cases
