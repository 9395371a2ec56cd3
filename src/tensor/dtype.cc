#include "tensor/dtype.h"

#include <limits>
#include <string>

#include "base/error.h"

namespace skiff {
namespace {
struct Info {
  std::string_view name, alias;
  int bits;
  bool is_float, is_int, is_signed;
};
constexpr Info kInfo[kDTypeCount] = {
    {"undefined", "", 0, false, false, false},
    {"float", "float32", 32, true, false, true},
    {"uint8", "", 8, false, true, false},
    {"int8", "", 8, false, true, true},
    {"uint16", "", 16, false, true, false},
    {"int16", "", 16, false, true, true},
    {"int32", "", 32, false, true, true},
    {"int64", "", 64, false, true, true},
    {"string", "", static_cast<int>(8 * sizeof(std::string)), false, false, false},
    {"bool", "", 8, false, false, false},
    {"float16", "half", 16, true, false, true},
    {"double", "float64", 64, true, false, true},
    {"uint32", "", 32, false, true, false},
    {"uint64", "", 64, false, true, false},
    {"complex64", "", 64, false, false, true},
    {"complex128", "", 128, false, false, true},
    {"bfloat16", "", 16, true, false, true},
    {"float8e4m3fn", "", 8, true, false, true},
    {"float8e4m3fnuz", "", 8, true, false, true},
    {"float8e5m2", "", 8, true, false, true},
    {"float8e5m2fnuz", "", 8, true, false, true},
    {"uint4", "", 4, false, true, false},
    {"int4", "", 4, false, true, true},
    {"float4e2m1", "", 4, true, false, true},
    {"float8e8m0", "", 8, true, false, false},
    {"uint2", "", 2, false, true, false},
    {"int2", "", 2, false, true, true},
};
const Info& info(DType t) {
  auto i = static_cast<size_t>(t);
  return kInfo[i < kDTypeCount ? i : 0];
}
}  // namespace

int dtype_bits(DType t) { return info(t).bits; }
std::string_view dtype_name(DType t) { return info(t).name; }
DType dtype_from_name(std::string_view name) {
  for (int i = 1; i < kDTypeCount; ++i)
    if (kInfo[i].name == name || (!kInfo[i].alias.empty() && kInfo[i].alias == name))
      return static_cast<DType>(i);
  return DType::kUndefined;
}
bool dtype_is_float(DType t) { return info(t).is_float; }
bool dtype_is_integer(DType t) { return info(t).is_int; }
bool dtype_is_signed(DType t) { return info(t).is_signed; }
size_t dtype_bytes(DType t, int64_t n) {
  check(n >= 0, Code::kInvalidArgument, "negative element count ", n);
  auto bits = static_cast<uint64_t>(dtype_bits(t)), count = static_cast<uint64_t>(n), total = uint64_t{0};
  check(!__builtin_mul_overflow(bits, count, &total) && total <= std::numeric_limits<uint64_t>::max() - 7,
        Code::kLimit, "a tensor of ", n, " ", dtype_name(t), " elements is too large to address");
  return static_cast<size_t>((total + 7) / 8);
}

}  // namespace skiff
