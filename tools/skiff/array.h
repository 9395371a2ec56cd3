// A tensor as the file formats of the command see it: independent of the library, so that each format is a
// small unit.
#pragma once
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <string>
#include <vector>

#include "skiff/skiff.h"

namespace skiff::tool {

struct Array {
  skiff_dtype dtype = SKIFF_UNDEFINED;
  std::vector<int64_t> dims;
  std::vector<unsigned char> bytes;  // row-major elements; empty for strings
  std::vector<std::string> strings;

  size_t count() const {
    size_t n = 1;
    for (int64_t d : dims) n *= static_cast<size_t>(d);
    return n;
  }
  template <class T>
  static Array of(skiff_dtype t, std::vector<int64_t> shape, const std::vector<T>& elements) {
    Array a{t, std::move(shape), {}, {}};
    a.bytes.resize(elements.size() * sizeof(T));
    if (!elements.empty()) std::memcpy(a.bytes.data(), elements.data(), a.bytes.size());
    return a;
  }
  template <class T>
  std::vector<T> as() const {
    std::vector<T> v(bytes.size() / sizeof(T));
    if (!v.empty()) std::memcpy(v.data(), bytes.data(), v.size() * sizeof(T));
    return v;
  }
};

// "1x3x224x224"; "scalar" for rank 0.
std::string dims_text(const std::vector<int64_t>& dims);
// Reads "1x3x224x224" or "1,3,224,224"; extents from 0. Errors: ToolError naming `what`.
std::vector<int64_t> parse_dims(const std::string& text, const std::string& what);

}  // namespace skiff::tool
