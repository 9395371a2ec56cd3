// Element types, numbered as onnx.TensorProto.DataType.
#pragma once
#include <cstddef>
#include <cstdint>
#include <string_view>

namespace skiff {

enum class DType : uint8_t {
  kUndefined = 0,
  kFloat = 1,
  kUint8 = 2,
  kInt8 = 3,
  kUint16 = 4,
  kInt16 = 5,
  kInt32 = 6,
  kInt64 = 7,
  kString = 8,
  kBool = 9,
  kFloat16 = 10,
  kDouble = 11,
  kUint32 = 12,
  kUint64 = 13,
  kComplex64 = 14,
  kComplex128 = 15,
  kBFloat16 = 16,
  kFloat8E4M3FN = 17,
  kFloat8E4M3FNUZ = 18,
  kFloat8E5M2 = 19,
  kFloat8E5M2FNUZ = 20,
  kUint4 = 21,
  kInt4 = 22,
  kFloat4E2M1 = 23,
  kFloat8E8M0 = 24,
  kUint2 = 25,
  kInt2 = 26,
};
inline constexpr int kDTypeCount = 27;

// Bits of one element in a packed buffer: 2 and 4 for the sub-byte types (packed lowest element first),
// 8*sizeof otherwise. kString has the size of std::string: string tensors hold constructed std::string
// objects.
int dtype_bits(DType t);
// ONNX's lower-case name ("float", "float16", "int4", ...); "undefined" for 0 or out of range.
std::string_view dtype_name(DType t);
// Accepts both ONNX's and NumPy's spelling ("float32", "float"). kUndefined when unknown.
DType dtype_from_name(std::string_view name);
bool dtype_is_float(DType t);    // every floating type, float8/float4 included
bool dtype_is_integer(DType t);  // every signed and unsigned integer type; bool is not one
bool dtype_is_signed(DType t);
// Bytes of a packed buffer of n elements. Throws Error kLimit on overflow.
size_t dtype_bytes(DType t, int64_t n);

// A set of types, one bit per number.
using TypeMask = uint64_t;
constexpr TypeMask mask_of(DType t) { return TypeMask{1} << static_cast<int>(t); }

}  // namespace skiff
