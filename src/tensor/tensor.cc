#include "tensor/tensor.h"

#include <cmath>
#include <cstdlib>
#include <cstring>
#include <new>

#include "base/half.h"
#include "base/memory_budget.h"

namespace skiff {

namespace {

// What a control block weighs beside the elements, so that a million tiny tensors are not free.
constexpr size_t kOverhead = 128;

// Memory of one tensor, and what it is charged to.
struct Block {
  std::shared_ptr<MemoryBudget> budget;
  size_t charged = 0;
  void* elements = nullptr;
  std::string* strings = nullptr;

  Block() = default;
  Block(const Block&) = delete;
  Block& operator=(const Block&) = delete;
  ~Block() {
    ::operator delete (elements, std::align_val_t{Tensor::kAlignment});
    delete[] strings;
    if (budget) budget->release(charged);
  }
  void charge(size_t bytes) {
    const std::shared_ptr<MemoryBudget>& b = BudgetScope::current();
    if (!b) return;
    b->charge(bytes + kOverhead, "a tensor");
    budget = b;
    charged = bytes + kOverhead;
  }
};

}  // namespace

Tensor::Tensor(DType dtype, Dims dims) : dtype_(dtype), dims_(std::move(dims)), size_(element_count(dims_)) {
  check(dtype != DType::kUndefined, Code::kInternal, "a tensor needs an element type");
  auto block = std::make_shared<Block>();
  auto count = static_cast<size_t>(size_);
  bool strings = dtype == DType::kString;
  size_t n = strings ? 0 : bytes();
  if (strings)
    check(!__builtin_mul_overflow(count, sizeof(std::string), &n), Code::kLimit, "shape ", to_string(dims_),
          " has more strings than can be addressed");
  try {
    block->charge(n);
    if (strings)
      data_ = block->strings = new (std::nothrow) std::string[count];
    else
      data_ = block->elements = ::operator new (n + (n == 0), std::align_val_t{kAlignment}, std::nothrow);
    check(data_ != nullptr, Code::kLimit, "out of memory (", n, " bytes)");
  } catch (Error& e) {
    e.add_where(cat("a value of ", dtype_name(dtype), to_string(dims_)));
    throw;
  }
  keep_ = std::shared_ptr<const void>(std::move(block), data_);
}

Tensor Tensor::view(DType dtype, Dims dims, const void* data, std::shared_ptr<const void> keep) {
  Tensor t;
  t.dtype_ = dtype;
  t.dims_ = std::move(dims);
  t.size_ = element_count(t.dims_);
  (void)t.bytes();  // checks that the size is addressable
  t.data_ = const_cast<void*>(data);
  t.keep_ = std::move(keep);
  return t;
}

Tensor Tensor::scalar(int64_t v) {
  Tensor t(DType::kInt64, {});
  *t.data<int64_t>() = v;
  return t;
}

Tensor Tensor::scalar(float v) {
  Tensor t(DType::kFloat, {});
  *t.data<float>() = v;
  return t;
}

Tensor Tensor::from(std::span<const int64_t> v) {
  Tensor t(DType::kInt64, {static_cast<int64_t>(v.size())});
  if (!v.empty()) std::memcpy(t.raw(), v.data(), v.size_bytes());
  return t;
}

Tensor Tensor::from(std::span<const float> v, Dims dims) {
  Tensor t(DType::kFloat, std::move(dims));
  check(t.size() == static_cast<int64_t>(v.size()), Code::kInvalidArgument, v.size(), " values for shape ",
        to_string(t.dims()));
  if (!v.empty()) std::memcpy(t.raw(), v.data(), v.size_bytes());
  return t;
}

Tensor Tensor::reshaped(Dims dims) const {
  check(element_count(dims) == size_, Code::kInvalidArgument, "cannot view ", describe(*this), " as ",
        to_string(dims));
  Tensor t = *this;
  t.dims_ = std::move(dims);
  return t;
}

Tensor Tensor::clone() const {
  if (!defined()) return {};
  Tensor t(dtype_, dims_);
  if (dtype_ == DType::kString) {
    for (int64_t i = 0; i < size_; ++i) t.data<std::string>()[i] = data<std::string>()[i];
  } else if (size_) {
    std::memcpy(t.data_, data_, bytes());
  }
  return t;
}

namespace {
template <class T>
T at(const Tensor& t, int64_t i) {
  return t.data<T>()[i];
}
unsigned packed(const Tensor& t, int64_t i, int bits) {
  int per = 8 / bits, shift = static_cast<int>(i % per) * bits;
  return (t.data<uint8_t>()[i / per] >> shift) & ((1u << bits) - 1);
}
void set_packed(Tensor& t, int64_t i, int bits, unsigned v) {
  int per = 8 / bits, shift = static_cast<int>(i % per) * bits;
  unsigned mask = ((1u << bits) - 1) << shift;
  uint8_t& b = t.data<uint8_t>()[i / per];
  b = static_cast<uint8_t>((b & ~mask) | ((v << shift) & mask));
}
int sign_extend(unsigned v, int bits) { return static_cast<int>(v ^ (1u << (bits - 1))) - (1 << (bits - 1)); }
[[noreturn]] void not_numeric(const Tensor& t) {
  fail(Code::kInvalidArgument, "a ", dtype_name(t.dtype()), " tensor has no numeric elements");
}
Float8 float8_kind(DType t) {
  switch (t) {
    case DType::kFloat8E4M3FN: return Float8::kE4M3FN;
    case DType::kFloat8E4M3FNUZ: return Float8::kE4M3FNUZ;
    case DType::kFloat8E5M2: return Float8::kE5M2;
    default: return Float8::kE5M2FNUZ;
  }
}
}  // namespace

double get_double(const Tensor& t, int64_t i) {
  switch (t.dtype()) {
    case DType::kFloat: return at<float>(t, i);
    case DType::kDouble: return at<double>(t, i);
    case DType::kFloat16: return half_to_float(at<uint16_t>(t, i));
    case DType::kBFloat16: return bfloat16_to_float(at<uint16_t>(t, i));
    case DType::kFloat8E4M3FN:
    case DType::kFloat8E4M3FNUZ:
    case DType::kFloat8E5M2:
    case DType::kFloat8E5M2FNUZ: return float8_to_float(at<uint8_t>(t, i), float8_kind(t.dtype()));
    case DType::kFloat4E2M1: return float4_to_float(static_cast<uint8_t>(packed(t, i, 4)));
    case DType::kFloat8E8M0: return e8m0_to_float(at<uint8_t>(t, i));
    case DType::kUint64: return static_cast<double>(at<uint64_t>(t, i));
    default: return static_cast<double>(get_int(t, i));
  }
}

int64_t get_int(const Tensor& t, int64_t i) {
  switch (t.dtype()) {
    case DType::kInt64: return at<int64_t>(t, i);
    case DType::kInt32: return at<int32_t>(t, i);
    case DType::kInt16: return at<int16_t>(t, i);
    case DType::kInt8: return at<int8_t>(t, i);
    case DType::kUint64: return static_cast<int64_t>(at<uint64_t>(t, i));
    case DType::kUint32: return at<uint32_t>(t, i);
    case DType::kUint16: return at<uint16_t>(t, i);
    case DType::kUint8: return at<uint8_t>(t, i);
    case DType::kBool: return at<uint8_t>(t, i) != 0;
    case DType::kUint4: return packed(t, i, 4);
    case DType::kInt4: return sign_extend(packed(t, i, 4), 4);
    case DType::kUint2: return packed(t, i, 2);
    case DType::kInt2: return sign_extend(packed(t, i, 2), 2);
    case DType::kUndefined:
    case DType::kString:
    case DType::kComplex64:
    case DType::kComplex128: not_numeric(t);
    default: {
      double d = get_double(t, i);
      if (!(d > -9.2e18)) return d == d ? INT64_MIN : 0;
      return d >= 9.2e18 ? INT64_MAX : static_cast<int64_t>(d);
    }
  }
}

void set_double(Tensor& t, int64_t i, double v) {
  switch (t.dtype()) {
    case DType::kFloat: t.data<float>()[i] = static_cast<float>(v); return;
    case DType::kDouble: t.data<double>()[i] = v; return;
    case DType::kFloat16: t.data<uint16_t>()[i] = double_to_half(v); return;
    case DType::kBFloat16: t.data<uint16_t>()[i] = float_to_bfloat16(static_cast<float>(v)); return;
    case DType::kFloat8E4M3FN:
    case DType::kFloat8E4M3FNUZ:
    case DType::kFloat8E5M2:
    case DType::kFloat8E5M2FNUZ:
      t.data<uint8_t>()[i] = float_to_float8(static_cast<float>(v), float8_kind(t.dtype()));
      return;
    case DType::kFloat4E2M1: set_packed(t, i, 4, float_to_float4(static_cast<float>(v))); return;
    case DType::kFloat8E8M0: t.data<uint8_t>()[i] = float_to_e8m0(static_cast<float>(v)); return;
    case DType::kUint64:
      t.data<uint64_t>()[i] = v <= 0
                                  ? static_cast<uint64_t>(v > -9.2e18 ? static_cast<int64_t>(v) : INT64_MIN)
                                  : (v < 1.8446744073709552e19 ? static_cast<uint64_t>(v) : UINT64_MAX);
      return;
    case DType::kBool: t.data<uint8_t>()[i] = v != 0; return;
    default: {
      int64_t n =
          !(v > -9.2e18) ? (v == v ? INT64_MIN : 0) : (v >= 9.2e18 ? INT64_MAX : static_cast<int64_t>(v));
      set_int(t, i, n);
    }
  }
}

void set_int(Tensor& t, int64_t i, int64_t v) {
  switch (t.dtype()) {
    case DType::kInt64: t.data<int64_t>()[i] = v; return;
    case DType::kInt32: t.data<int32_t>()[i] = static_cast<int32_t>(v); return;
    case DType::kInt16: t.data<int16_t>()[i] = static_cast<int16_t>(v); return;
    case DType::kInt8: t.data<int8_t>()[i] = static_cast<int8_t>(v); return;
    case DType::kUint64: t.data<uint64_t>()[i] = static_cast<uint64_t>(v); return;
    case DType::kUint32: t.data<uint32_t>()[i] = static_cast<uint32_t>(v); return;
    case DType::kUint16: t.data<uint16_t>()[i] = static_cast<uint16_t>(v); return;
    case DType::kUint8: t.data<uint8_t>()[i] = static_cast<uint8_t>(v); return;
    case DType::kBool: t.data<uint8_t>()[i] = v != 0; return;
    case DType::kUint4:
    case DType::kInt4: set_packed(t, i, 4, static_cast<unsigned>(v & 15)); return;
    case DType::kUint2:
    case DType::kInt2: set_packed(t, i, 2, static_cast<unsigned>(v & 3)); return;
    case DType::kUndefined:
    case DType::kString:
    case DType::kComplex64:
    case DType::kComplex128: not_numeric(t);
    default: set_double(t, i, static_cast<double>(v));
  }
}

std::vector<int64_t> to_ints(const Tensor& t) {
  check(dtype_is_integer(t.dtype()) || t.dtype() == DType::kBool, Code::kInvalidArgument,
        "expected integers, got ", describe(t));
  std::vector<int64_t> v(static_cast<size_t>(t.size()));
  for (int64_t i = 0; i < t.size(); ++i) v[static_cast<size_t>(i)] = get_int(t, i);
  return v;
}

std::vector<float> to_floats(const Tensor& t) {
  std::vector<float> v(static_cast<size_t>(t.size()));
  for (int64_t i = 0; i < t.size(); ++i) v[static_cast<size_t>(i)] = static_cast<float>(get_double(t, i));
  return v;
}

std::string describe(const Tensor& t) { return cat(dtype_name(t.dtype()), to_string(t.dims())); }

bool identical(const Tensor& a, const Tensor& b) {
  if (a.dtype() != b.dtype() || !(a.dims() == b.dims())) return false;
  if (a.dtype() == DType::kString) {
    for (int64_t i = 0; i < a.size(); ++i)
      if (a.data<std::string>()[i] != b.data<std::string>()[i]) return false;
    return true;
  }
  return a.size() == 0 || std::memcmp(a.raw(), b.raw(), a.bytes()) == 0;
}

Datum Datum::sequence(std::vector<Datum> items, DType elem) {
  Datum d;
  d.kind_ = Kind::kSequence;
  d.elem_ = elem;
  if (elem == DType::kUndefined && !items.empty() && items[0].is_tensor())
    d.elem_ = items[0].tensor().dtype();
  d.items_ = std::make_shared<const std::vector<Datum>>(std::move(items));
  return d;
}

Datum Datum::map(Map m) {
  check(m.keys.size() == static_cast<int64_t>(m.values.size()), Code::kInvalidArgument, "a map of ",
        m.keys.size(), " keys has ", m.values.size(), " values");
  Datum d;
  d.kind_ = Kind::kMap;
  d.map_ = std::make_shared<const Map>(std::move(m));
  return d;
}

Datum Datum::sparse(Sparse s) {
  Datum d;
  d.kind_ = Kind::kSparse;
  d.sparse_ = std::make_shared<const Sparse>(std::move(s));
  return d;
}

namespace {
[[noreturn]] void wrong_kind(Datum::Kind got, const char* want) {
  static constexpr const char* kNames[] = {"an empty optional", "a tensor", "a sequence", "a map",
                                           "a sparse tensor"};
  fail(Code::kInvalidArgument, "expected ", want, ", got ", kNames[static_cast<int>(got)]);
}
}  // namespace

const Tensor& Datum::tensor() const {
  if (kind_ != Kind::kTensor) wrong_kind(kind_, "a tensor");
  return tensor_;
}
Tensor& Datum::tensor() {
  if (kind_ != Kind::kTensor) wrong_kind(kind_, "a tensor");
  return tensor_;
}
const std::vector<Datum>& Datum::items() const {
  if (kind_ != Kind::kSequence) wrong_kind(kind_, "a sequence");
  return *items_;
}
const Datum::Map& Datum::map() const {
  if (kind_ != Kind::kMap) wrong_kind(kind_, "a map");
  return *map_;
}
const Datum::Sparse& Datum::sparse() const {
  if (kind_ != Kind::kSparse) wrong_kind(kind_, "a sparse tensor");
  return *sparse_;
}

}  // namespace skiff
