#include "values.h"

#include <algorithm>
#include <charconv>
#include <cmath>
#include <cstring>
#include <limits>

#include "csv.h"
#include "fail.h"
#include "files.h"
#include "npy.h"
#include "text_table.h"

namespace skiff::tool {

namespace {

bool is_real(skiff_dtype t) { return t != SKIFF_STRING && t != SKIFF_COMPLEX64 && t != SKIFF_COMPLEX128; }
bool is_integer(skiff_dtype t) {
  switch (t) {
    case SKIFF_UINT8:
    case SKIFF_INT8:
    case SKIFF_UINT16:
    case SKIFF_INT16:
    case SKIFF_INT32:
    case SKIFF_INT64:
    case SKIFF_UINT32:
    case SKIFF_UINT64:
    case SKIFF_UINT4:
    case SKIFF_INT4:
    case SKIFF_UINT2:
    case SKIFF_INT2: return true;
    default: return false;
  }
}

std::string shortest(double v, bool single) {
  if (std::isnan(v)) return "nan";
  char buffer[40];
  auto r = single ? std::to_chars(buffer, buffer + sizeof buffer, static_cast<float>(v))
                  : std::to_chars(buffer, buffer + sizeof buffer, v);
  return {buffer, r.ptr};
}

// All elements as text, exact for 64-bit integers.
class Elements {
 public:
  explicit Elements(const api::Value& v) : value_(v), dtype_(v.dtype()), count_(v.size()) {
    if (dtype_ == SKIFF_INT64 || dtype_ == SKIFF_UINT64) return;
    if (is_real(dtype_)) numbers_ = doubles_of(v);
  }
  size_t count() const { return count_; }
  const std::vector<double>& numbers() {
    if (numbers_.empty() && count_ > 0 && is_real(dtype_)) numbers_ = doubles_of(value_);
    return numbers_;
  }
  std::string text(size_t i) const {
    if (dtype_ == SKIFF_INT64) return std::to_string(value_.data<int64_t>()[i]);
    if (dtype_ == SKIFF_UINT64) return std::to_string(value_.data<uint64_t>()[i]);
    if (dtype_ == SKIFF_STRING) return value_.string_at(i);
    if (dtype_ == SKIFF_BOOL) return numbers_[i] != 0 ? "true" : "false";
    if (is_integer(dtype_)) return fixed(numbers_[i], 0);
    if (is_real(dtype_)) return shortest(numbers_[i], dtype_ != SKIFF_DOUBLE);
    void* p = nullptr;
    api::check(skiff_tensor_data(value_.get(), &p, nullptr, nullptr));
    double re = dtype_ == SKIFF_COMPLEX64 ? static_cast<double>(static_cast<float*>(p)[2 * i])
                                          : static_cast<double*>(p)[2 * i];
    double im = dtype_ == SKIFF_COMPLEX64 ? static_cast<double>(static_cast<float*>(p)[2 * i + 1])
                                          : static_cast<double*>(p)[2 * i + 1];
    return shortest(re, false) + (im < 0 ? "" : "+") + shortest(im, false) + "j";
  }
  Json json(size_t i) const {
    if (dtype_ == SKIFF_INT64) return value_.data<int64_t>()[i];
    if (dtype_ == SKIFF_UINT64) return value_.data<uint64_t>()[i];
    if (dtype_ == SKIFF_BOOL) return numbers_[i] != 0;
    if (is_integer(dtype_)) return static_cast<int64_t>(numbers_[i]);
    if (!is_real(dtype_)) return text(i);
    if (!std::isfinite(numbers_[i])) return nullptr;
    Json number = Json::parse(shortest(numbers_[i], dtype_ != SKIFF_DOUBLE));  // 0.1, not 0.10000000149
    return number.is_number_integer() ? Json(number.get<double>()) : number;
  }

 private:
  const api::Value& value_;
  skiff_dtype dtype_;
  size_t count_;
  std::vector<double> numbers_;
};

void describe_part(const Elements& e, const std::vector<int64_t>& dims, size_t axis, size_t& at,
                   std::string& out) {
  if (axis == dims.size()) {
    out += e.text(at++);
    return;
  }
  out += '[';
  for (int64_t i = 0; i < dims[axis]; ++i) {
    if (i) out += axis + 1 < dims.size() ? ",\n" + std::string(axis + 3, ' ') : std::string(", ");
    describe_part(e, dims, axis + 1, at, out);
  }
  out += ']';
}

Json json_part(const Elements& e, const std::vector<int64_t>& dims, size_t axis, size_t& at) {
  if (axis == dims.size()) return e.json(at++);
  Json j = Json::array();
  for (int64_t i = 0; i < dims[axis]; ++i) j.push_back(json_part(e, dims, axis + 1, at));
  return j;
}

struct Statistics {
  double min = std::numeric_limits<double>::infinity(), max = -min, mean = 0;
  size_t nans = 0;
};
Statistics statistics(const std::vector<double>& v) {
  Statistics s;
  for (double x : v) {
    if (std::isnan(x)) {
      ++s.nans;
      continue;
    }
    s.min = std::min(s.min, x);
    s.max = std::max(s.max, x);
    s.mean += x;
  }
  if (v.size() > s.nans) s.mean /= static_cast<double>(v.size() - s.nans);
  return s;
}

constexpr size_t kFirst = 8;

}  // namespace

api::Value to_value(const Array& a) {
  api::Value v(a.dtype, a.dims);
  if (a.dtype == SKIFF_STRING) {
    for (size_t i = 0; i < a.strings.size(); ++i)
      api::check(skiff_tensor_set_string(v.get(), i, a.strings[i].data(), a.strings[i].size()));
    return v;
  }
  void* p = nullptr;
  size_t bytes = 0;
  api::check(skiff_tensor_data(v.get(), &p, nullptr, &bytes));
  if (bytes != a.bytes.size())
    fail("an array of ", a.bytes.size(), " bytes does not fill a tensor of ", bytes);
  if (bytes) std::memcpy(p, a.bytes.data(), bytes);
  return v;
}

Array to_array(const api::Value& v) {
  if (v.kind() != SKIFF_KIND_TENSOR) fail("a ", type_text(v), " is not a tensor; write it to a .pb file");
  Array a{v.dtype(), v.dims(), {}, {}};
  if (a.dtype == SKIFF_STRING) {
    for (size_t i = 0, n = v.size(); i < n; ++i) a.strings.push_back(v.string_at(i));
    return a;
  }
  void* p = nullptr;
  size_t bytes = 0;
  api::check(skiff_tensor_data(v.get(), &p, nullptr, &bytes));
  a.bytes.resize(bytes);
  if (bytes) std::memcpy(a.bytes.data(), p, bytes);
  return a;
}

api::Value cast_to(api::Value v, skiff_dtype dtype) {
  if (v.kind() != SKIFF_KIND_TENSOR || v.dtype() == dtype) return v;
  skiff_value* r = nullptr;
  api::check(skiff_tensor_cast(v.get(), dtype, &r));
  return api::Value(r);
}

std::vector<double> doubles_of(const api::Value& v) {
  api::Value copy;
  const api::Value* d = &v;
  if (v.dtype() != SKIFF_DOUBLE) {
    skiff_value* r = nullptr;
    api::check(skiff_tensor_cast(v.get(), SKIFF_DOUBLE, &r));
    copy = api::Value(r);
    d = &copy;
  }
  std::span<double> s = d->data<double>();
  return {s.begin(), s.end()};
}

std::string type_text(const api::Value& v) {
  switch (v.kind()) {
    case SKIFF_KIND_NONE: return "nothing";
    case SKIFF_KIND_SEQUENCE: return cat("sequence of ", v.count(), " items");
    case SKIFF_KIND_MAP: return cat("map of ", v.count(), " entries");
    case SKIFF_KIND_SPARSE: return "sparse tensor";
    default: break;
  }
  std::string s = skiff_dtype_name(v.dtype());
  s += '[';
  bool first = true;
  for (int64_t d : v.dims()) {
    s += (first ? "" : ", ") + std::to_string(d);
    first = false;
  }
  return s + ']';
}

std::string describe(const api::Value& v, size_t limit) {
  if (v.kind() == SKIFF_KIND_SEQUENCE) {
    std::string s = type_text(v) + "\n";
    for (size_t i = 0; i < v.count() && i < limit; ++i)
      s += cat("  [", i, "] ", describe(v.item(i), limit / 4));
    return s;
  }
  if (v.kind() == SKIFF_KIND_MAP) {
    api::Value keys = v.keys();
    Elements k(keys);
    std::string s = type_text(v) + "\n";
    for (size_t i = 0; i < v.count() && i < limit; ++i)
      s += cat("  ", k.text(i), ": ", describe(v.item(i), limit / 4));
    return s;
  }
  if (v.kind() != SKIFF_KIND_TENSOR) return type_text(v) + "\n";
  Elements e(v);
  std::vector<int64_t> dims = v.dims();
  if (e.count() <= limit) {
    size_t at = 0;
    std::string body;
    describe_part(e, dims, 0, at, body);
    return type_text(v) + (dims.size() > 1 ? "\n  " : " ") + body + "\n";
  }
  std::string s = type_text(v);
  if (is_real(v.dtype())) {
    Statistics st = statistics(e.numbers());
    s += "  min " + shortest(st.min, true) + ", max " + shortest(st.max, true) + ", mean " +
         shortest(st.mean, true);
    if (st.nans) s += cat(", ", st.nans, " NaN");
  }
  s += "\n  first:";
  for (size_t i = 0; i < kFirst; ++i) s += " " + e.text(i);
  return s + " ...\n";
}

Json to_json(const api::Value& v, size_t limit) {
  Json j;
  if (v.kind() == SKIFF_KIND_SEQUENCE || v.kind() == SKIFF_KIND_MAP) {
    bool map = v.kind() == SKIFF_KIND_MAP;
    j["kind"] = map ? "map" : "sequence";
    if (map) j["keys"] = to_json(v.keys(), limit);
    Json items = Json::array();
    for (size_t i = 0, n = std::min(v.count(), limit); i < n; ++i) items.push_back(to_json(v.item(i), limit));
    j["count"] = v.count();
    j[map ? "values" : "items"] = items;
    return j;
  }
  if (v.kind() != SKIFF_KIND_TENSOR) {
    j["kind"] = v.kind() == SKIFF_KIND_NONE ? "none" : "sparse";
    return j;
  }
  Elements e(v);
  std::vector<int64_t> dims = v.dims();
  j["kind"] = "tensor";
  j["dtype"] = skiff_dtype_name(v.dtype());
  j["shape"] = dims;
  if (e.count() <= limit) {
    size_t at = 0;
    j["data"] = json_part(e, dims, 0, at);
    return j;
  }
  if (is_real(v.dtype())) {
    Statistics st = statistics(e.numbers());
    j["min"] = st.min;
    j["max"] = st.max;
    j["mean"] = st.mean;
    j["nans"] = st.nans;
  }
  Json first = Json::array();
  for (size_t i = 0; i < kFirst; ++i) first.push_back(e.json(i));
  j["first"] = first;
  return j;
}

void save_value(const api::Value& v, const std::string& name, const std::string& path) {
  std::string ext = extension(path);
  if (ext == "pb") {
    api::check(skiff_value_write_pb(v.get(), name.c_str(), path.c_str()));
  } else if (ext == "npy") {
    write_file(path, encode_npy(to_array(v), path));
  } else if (ext == "npz") {
    write_file(path, encode_npz({{name, to_array(v)}}, path));
  } else if (ext == "txt" || ext == "csv") {
    if (v.kind() != SKIFF_KIND_TENSOR) fail(path, ": a ", type_text(v), " goes into a .pb file only");
    Elements e(v);
    std::vector<int64_t> dims = v.dims();
    size_t columns =
        ext == "csv" && dims.size() > 1 && dims.back() > 0 ? static_cast<size_t>(dims.back()) : 1;
    Table table;
    for (size_t i = 0; i < e.count(); ++i) {
      if (i % columns == 0) table.emplace_back();
      table.back().push_back(e.text(i));
    }
    std::string text;
    if (ext == "csv") {
      text = encode_csv(table);
    } else {
      for (const auto& row : table) text += row[0] + "\n";
    }
    write_file(path, text);
  } else {
    fail(path, ": a file ending in .npy, .npz, .pb, .txt or .csv is needed");
  }
}

}  // namespace skiff::tool
