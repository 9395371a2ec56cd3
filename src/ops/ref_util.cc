#include "ops/ref_util.h"

#include <algorithm>
#include <complex>
#include <cstring>

#include "base/half.h"
#include "base/interrupt.h"

namespace skiff::ref {

// ---------------------------------------------------------------- iteration

StridedRuns::StridedRuns(const Dims& extents, std::vector<Dims> strides, std::vector<int64_t> starts)
    : strides_(strides.size()), at_(std::move(starts)) {
  size_t k = strides.size();
  at_.resize(k, 0);
  steps_.assign(k, 1);
  Dims e;
  for (size_t i = 0; i < extents.size(); ++i) {
    if (extents[i] == 0) done_ = true;
    if (extents[i] == 1) continue;
    bool merge = !e.empty();
    for (size_t j = 0; j < k && merge; ++j) merge = strides_[j].back() == strides[j][i] * extents[i];
    if (merge) {
      e.back() *= extents[i];
      for (size_t j = 0; j < k; ++j) strides_[j].back() = strides[j][i];
    } else {
      e.push_back(extents[i]);
      for (size_t j = 0; j < k; ++j) strides_[j].push_back(strides[j][i]);
    }
  }
  if (done_) return;
  if (!e.empty()) {
    n_ = e.back();
    e.pop_back();
    for (size_t j = 0; j < k; ++j) {
      steps_[j] = strides_[j].back();
      strides_[j].pop_back();
    }
  }
  extents_ = e;
  index_ = Dims(e.size());
}

bool StridedRuns::next() {
  if (done_) return false;
  thread_local unsigned visited = 0;
  if ((++visited & 1023) == 0) poll_interrupt();
  if (first_) {
    first_ = false;
    return true;
  }
  for (size_t i = extents_.size(); i-- > 0;) {
    if (++index_[i] < extents_[i]) {
      for (size_t j = 0; j < at_.size(); ++j) at_[j] += strides_[j][i];
      return true;
    }
    index_[i] = 0;
    for (size_t j = 0; j < at_.size(); ++j) at_[j] -= strides_[j][i] * (extents_[i] - 1);
  }
  done_ = true;
  return false;
}

Dims broadcast_strides(const Dims& in, const Dims& out) {
  check(in.size() <= out.size(), Code::kInvalidArgument, "shape ", to_string(in), " cannot be broadcast to ",
        to_string(out));
  Dims own = strides_of(in), s(out.size());
  size_t off = out.size() - in.size();
  for (size_t i = 0; i < in.size(); ++i) {
    check(in[i] == out[off + i] || in[i] == 1, Code::kInvalidArgument, "shape ", to_string(in),
          " cannot be broadcast to ", to_string(out));
    s[off + i] = in[i] == 1 ? 0 : own[i];
  }
  return s;
}

StridedRuns broadcast_runs(const Dims& out, const std::vector<Dims>& ins) {
  std::vector<Dims> s{strides_of(out)};
  for (const Dims& d : ins) s.push_back(broadcast_strides(d, out));
  return StridedRuns(out, std::move(s));
}

// ---------------------------------------------------------------- loads and stores

namespace {

template <class T, class W>
void load_as(const Tensor& t, int64_t first, int64_t step, int64_t n, W* out) {
  const T* p = t.data<T>() + first;
  if (step == 1) {
    for (int64_t i = 0; i < n; ++i) out[i] = static_cast<W>(p[i]);
  } else if (step == 0) {
    std::fill(out, out + n, static_cast<W>(*p));
  } else {
    for (int64_t i = 0; i < n; ++i) out[i] = static_cast<W>(p[i * step]);
  }
}

template <class T, class W>
void store_as(Tensor& t, int64_t first, int64_t n, const W* v) {
  T* p = t.data<T>() + first;
  for (int64_t i = 0; i < n; ++i) p[i] = static_cast<T>(v[i]);
}

}  // namespace

void load(const Tensor& t, int64_t first, int64_t step, int64_t n, double* out) {
  if (n <= 0) return;
  switch (t.dtype()) {
    case DType::kFloat: return load_as<float>(t, first, step, n, out);
    case DType::kDouble: return load_as<double>(t, first, step, n, out);
    case DType::kInt64: return load_as<int64_t>(t, first, step, n, out);
    case DType::kInt32: return load_as<int32_t>(t, first, step, n, out);
    case DType::kUint8: return load_as<uint8_t>(t, first, step, n, out);
    case DType::kInt8: return load_as<int8_t>(t, first, step, n, out);
    default:
      for (int64_t i = 0; i < n; ++i) out[i] = get_double(t, first + i * step);
  }
}

void load(const Tensor& t, int64_t first, int64_t step, int64_t n, int64_t* out) {
  if (n <= 0) return;
  switch (t.dtype()) {
    case DType::kInt64: return load_as<int64_t>(t, first, step, n, out);
    case DType::kInt32: return load_as<int32_t>(t, first, step, n, out);
    case DType::kUint8: return load_as<uint8_t>(t, first, step, n, out);
    case DType::kInt8: return load_as<int8_t>(t, first, step, n, out);
    default:
      for (int64_t i = 0; i < n; ++i) out[i] = get_int(t, first + i * step);
  }
}

void store(Tensor& t, int64_t first, int64_t n, const double* v) {
  switch (t.dtype()) {
    case DType::kFloat: return store_as<float>(t, first, n, v);
    case DType::kDouble: return store_as<double>(t, first, n, v);
    default:
      for (int64_t i = 0; i < n; ++i) set_double(t, first + i, v[i]);
  }
}

void store(Tensor& t, int64_t first, int64_t n, const int64_t* v) {
  switch (t.dtype()) {
    case DType::kInt64: return store_as<int64_t>(t, first, n, v);
    case DType::kInt32: return store_as<int32_t>(t, first, n, v);
    case DType::kUint8: return store_as<uint8_t>(t, first, n, v);
    case DType::kInt8: return store_as<int8_t>(t, first, n, v);
    default:
      for (int64_t i = 0; i < n; ++i) set_int(t, first + i, v[i]);
  }
}

std::vector<double> to_doubles(const Tensor& t) {
  std::vector<double> v(static_cast<size_t>(t.size()));
  load(t, 0, 1, t.size(), v.data());
  return v;
}

// ---------------------------------------------------------------- copies

namespace {

template <class T>
void copy_as(Tensor& dst, int64_t df, int64_t ds, const Tensor& src, int64_t sf, int64_t ss, int64_t n) {
  T* d = dst.data<T>() + df;
  const T* s = src.data<T>() + sf;
  for (int64_t i = 0; i < n; ++i) d[i * ds] = s[i * ss];
}

}  // namespace

void copy(Tensor& dst, int64_t df, int64_t ds, const Tensor& src, int64_t sf, int64_t ss, int64_t n) {
  check(dst.dtype() == src.dtype(), Code::kInternal, "copy between ", dtype_name(dst.dtype()), " and ",
        dtype_name(src.dtype()));
  if (n <= 0) return;
  if (dst.dtype() == DType::kString) return copy_as<std::string>(dst, df, ds, src, sf, ss, n);
  int bits = dtype_bits(dst.dtype());
  if (bits >= 8 && ds == 1 && ss == 1) {
    auto b = static_cast<size_t>(bits / 8);
    std::memmove(dst.data<uint8_t>() + static_cast<size_t>(df) * b,
                 src.data<uint8_t>() + static_cast<size_t>(sf) * b, static_cast<size_t>(n) * b);
    return;
  }
  switch (bits) {
    case 8: return copy_as<uint8_t>(dst, df, ds, src, sf, ss, n);
    case 16: return copy_as<uint16_t>(dst, df, ds, src, sf, ss, n);
    case 32: return copy_as<uint32_t>(dst, df, ds, src, sf, ss, n);
    case 64: return copy_as<uint64_t>(dst, df, ds, src, sf, ss, n);
    case 128: return copy_as<std::complex<double>>(dst, df, ds, src, sf, ss, n);
    default: break;
  }
  // Packed: 2 and 4 bits, lowest element first.
  int per = 8 / bits;
  unsigned mask = (1u << bits) - 1;
  for (int64_t i = 0; i < n; ++i) {
    int64_t s = sf + i * ss, d = df + i * ds;
    unsigned v = (src.data<uint8_t>()[s / per] >> (s % per * bits)) & mask;
    uint8_t& b = dst.data<uint8_t>()[d / per];
    auto shift = static_cast<unsigned>(d % per * bits);
    b = static_cast<uint8_t>((b & ~(mask << shift)) | (v << shift));
  }
}

void copy_box(Tensor& dst, int64_t df, const Dims& ds, const Tensor& src, int64_t sf, const Dims& ss,
              const Dims& extents) {
  StridedRuns r(extents, {ds, ss}, {df, sf});
  while (r.next()) copy(dst, r.at(0), r.step(0), src, r.at(1), r.step(1), r.n());
}

void fill_zero(Tensor& t) {
  if (t.dtype() == DType::kString) {
    for (int64_t i = 0; i < t.size(); ++i) t.data<std::string>()[i].clear();
  } else if (t.bytes()) {
    std::memset(t.raw(), 0, t.bytes());
  }
}

void fill(Tensor& dst, const Tensor& src, int64_t index) { copy(dst, 0, 1, src, index, 0, dst.size()); }

// ---------------------------------------------------------------- elementwise

namespace {

template <class W, class Fn>
void run_blocks(Tensor& y, std::span<const Tensor> in, Fn f, const double* params) {
  size_t arity = in.size();
  std::vector<Dims> dims;
  for (const Tensor& t : in) dims.push_back(t.dims());
  std::vector<W> buffer(static_cast<size_t>(kBlock) * (arity + 1));
  std::vector<const W*> args(arity);
  W* out = buffer.data() + static_cast<size_t>(kBlock) * arity;
  StridedRuns r = broadcast_runs(y.dims(), dims);
  while (r.next()) {
    for (int64_t b = 0; b < r.n(); b += kBlock) {
      int64_t n = std::min(kBlock, r.n() - b);
      for (size_t i = 0; i < arity; ++i) {
        W* p = buffer.data() + static_cast<size_t>(kBlock) * i;
        load(in[i], r.at(i + 1) + b * r.step(i + 1), r.step(i + 1), n, p);
        args[i] = p;
      }
      f(args.data(), out, n, params);
      store(y, r.at(0) + b, n, out);
    }
  }
}

}  // namespace

Dims broadcast_dims(std::span<const Tensor> in) {
  Dims d;
  for (const Tensor& t : in) d = broadcast(d, t.dims());
  return d;
}

void elementwise(Tensor& y, std::span<const Tensor> in, const ElementwiseFns& f, const double* params) {
  check(!in.empty(), Code::kInvalidModel, "an elementwise operator needs an input");
  DType t = in[0].dtype();
  bool is_int = dtype_is_integer(t) || t == DType::kBool;
  if (!is_int || !f.integer) {
    check(f.real != nullptr, Code::kInvalidModel, "the operator does not take ", dtype_name(t));
    run_blocks<double>(y, in, f.real, params);
  } else {
    run_blocks<int64_t>(y, in, t == DType::kUint64 && f.unsigned64 ? f.unsigned64 : f.integer, params);
  }
}

void elementwise(KernelContext& c, DType out, const ElementwiseFns& f, const double* params, size_t arity) {
  std::vector<Tensor> in;
  for (size_t i = 0; i < (arity ? arity : c.inputs()); ++i) in.push_back(c.in(i));
  elementwise(c.out(0, out, broadcast_dims(in)), in, f, params);
}

std::vector<int64_t> normalize_axes(std::vector<int64_t> axes, int64_t rank) {
  for (int64_t& a : axes) a = normalize_axis(a, rank);
  std::sort(axes.begin(), axes.end());
  check(std::adjacent_find(axes.begin(), axes.end()) == axes.end(), Code::kInvalidArgument,
        "an axis is listed twice");
  return axes;
}

}  // namespace skiff::ref
