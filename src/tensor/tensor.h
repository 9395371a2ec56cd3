// Tensor: a typed, contiguous, row-major block of elements in host memory, and Datum: any ONNX run-time
// value.
#pragma once
#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include "base/error.h"
#include "tensor/dims.h"
#include "tensor/dtype.h"

namespace skiff {

// Cheap to copy: copies share the elements. Alignment of owned memory is kAlignment bytes.
class Tensor {
 public:
  static constexpr size_t kAlignment = 64;

  Tensor() = default;
  // Allocates; elements are uninitialised (strings are empty). Throws kLimit when the size overflows or
  // memory is out.
  Tensor(DType dtype, Dims dims);
  // Refers to memory owned elsewhere; `keep` (optional) holds that owner alive. Elements must be packed,
  // row-major.
  static Tensor view(DType dtype, Dims dims, const void* data, std::shared_ptr<const void> keep = {});
  static Tensor scalar(int64_t v);
  static Tensor scalar(float v);
  static Tensor from(std::span<const int64_t> v);  // 1-D int64
  static Tensor from(std::span<const float> v, Dims dims);

  bool defined() const { return dtype_ != DType::kUndefined; }
  DType dtype() const { return dtype_; }
  const Dims& dims() const { return dims_; }
  int64_t rank() const { return static_cast<int64_t>(dims_.size()); }
  int64_t dim(int64_t i) const { return dims_[static_cast<size_t>(i)]; }
  int64_t size() const { return size_; }  // elements
  size_t bytes() const { return dtype_bytes(dtype_, size_); }
  bool is_scalar_like() const { return size_ == 1; }

  void* raw() { return data_; }
  const void* raw() const { return data_; }
  // T must be the storage type of dtype (uint16_t for float16/bfloat16, uint8_t for float8 and packed types).
  template <class T>
  T* data() {
    return static_cast<T*>(data_);
  }
  template <class T>
  const T* data() const {
    return static_cast<const T*>(data_);
  }
  template <class T>
  std::span<const T> span() const {
    return {static_cast<const T*>(data_), static_cast<size_t>(size_)};
  }

  // The same elements under other dims (element counts must agree).
  Tensor reshaped(Dims dims) const;
  Tensor clone() const;
  const std::shared_ptr<const void>& owner() const { return keep_; }
  // Points this view elsewhere without touching dtype or dims: how a planned run binds buffers. No checks.
  void rebind(void* data) { data_ = data; }

 private:
  DType dtype_ = DType::kUndefined;
  Dims dims_;
  int64_t size_ = 0;
  void* data_ = nullptr;
  std::shared_ptr<const void> keep_;
};

// Element i as a wide number, for any numeric type, packed ones included (bool as 0/1). Slow: for references
// and tests.
double get_double(const Tensor& t, int64_t i);
int64_t get_int(const Tensor& t, int64_t i);  // floats truncate; uint64 wraps
// Stores with the type's rounding (floats: nearest even; integers: C++ conversion, sub-byte wraps to its
// bits).
void set_double(Tensor& t, int64_t i, double v);
void set_int(Tensor& t, int64_t i, int64_t v);
// Values of an integer tensor (any integer type or bool) as int64. Throws kInvalidArgument for other types.
std::vector<int64_t> to_ints(const Tensor& t);
// Values of any real-valued tensor as float.
std::vector<float> to_floats(const Tensor& t);
// "float[1, 3, 224, 224]"
std::string describe(const Tensor& t);
// Same dtype, dims and bits.
bool identical(const Tensor& a, const Tensor& b);

// Any value an ONNX graph can carry at run time.
class Datum {
 public:
  enum class Kind : uint8_t { kNone, kTensor, kSequence, kMap, kSparse };  // kNone: an empty optional
  // Keys are int64 or string (keys.dtype()); keys is 1-D; values.size() == keys.size().
  struct Map {
    Tensor keys;
    std::vector<Datum> values;
  };
  // COO: dense dims, values 1-D [nnz], indices int64 [nnz] (linear) or [nnz, rank].
  struct Sparse {
    Dims dims;
    Tensor values, indices;
  };

  Datum() = default;
  Datum(Tensor t) : kind_(Kind::kTensor), tensor_(std::move(t)) {}  // NOLINT: implicit on purpose
  static Datum sequence(std::vector<Datum> items, DType elem = DType::kUndefined);
  static Datum map(Map m);
  static Datum sparse(Sparse s);

  Kind kind() const { return kind_; }
  bool is_tensor() const { return kind_ == Kind::kTensor; }
  // Each throws kInvalidArgument when the value is of another kind.
  const Tensor& tensor() const;
  Tensor& tensor();
  const std::vector<Datum>& items() const;
  const Map& map() const;
  const Sparse& sparse() const;
  // Element type of a sequence's tensors: known even when the sequence is empty, if its maker said it.
  DType elem_type() const { return elem_; }

 private:
  Kind kind_ = Kind::kNone;
  DType elem_ = DType::kUndefined;
  Tensor tensor_;
  std::shared_ptr<const std::vector<Datum>> items_;
  std::shared_ptr<const Map> map_;
  std::shared_ptr<const Sparse> sparse_;
};

}  // namespace skiff
