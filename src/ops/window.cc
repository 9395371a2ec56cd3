#include "ops/window.h"

#include <algorithm>

namespace skiff {

std::vector<int64_t> checked_ints(const Node& n, std::string_view name, size_t count, int64_t def,
                                  int64_t lo) {
  if (!n.has_attr(name)) return std::vector<int64_t>(count, def);
  std::vector<int64_t> v = n.attr_ints(name);
  if (v.empty()) return std::vector<int64_t>(count, def);
  check(v.size() == count, Code::kInvalidModel, "attribute '", name, "' has ", v.size(), " entries, ", count,
        " are needed");
  for (int64_t x : v)
    check(x >= lo && x < kMaxWindow, Code::kInvalidModel, "attribute '", name, "' holds ", x, ", allowed is ",
          lo, " to ", kMaxWindow - 1);
  return v;
}

AutoPad auto_pad_of(const Node& n) {
  std::string s = n.attr_s("auto_pad", "NOTSET");
  if (s.empty() || s == "NOTSET") return AutoPad::kNotSet;
  if (s == "SAME_UPPER") return AutoPad::kSameUpper;
  if (s == "SAME_LOWER") return AutoPad::kSameLower;
  check(s == "VALID", Code::kInvalidModel, "auto_pad '", s,
        "' is not one of NOTSET, SAME_UPPER, SAME_LOWER, VALID");
  return AutoPad::kValid;
}

Window window_of(const Node& n, size_t spatial, std::vector<int64_t> kernel) {
  Window w;
  w.kernel = checked_ints(n, "kernel_shape", spatial, -1, 1);
  if (!kernel.empty()) {
    for (size_t i = 0; i < spatial; ++i) {
      check(w.kernel[i] < 0 || kernel[i] < 0 || w.kernel[i] == kernel[i], Code::kInvalidModel,
            "kernel_shape[", i, "] is ", w.kernel[i], ", the weight has ", kernel[i]);
      if (kernel[i] >= 0) w.kernel[i] = kernel[i];
      check(w.kernel[i] != 0 && w.kernel[i] < kMaxWindow, Code::kInvalidModel, "the kernel has extent ",
            w.kernel[i], " along spatial axis ", i);
    }
  }
  w.stride = checked_ints(n, "strides", spatial, 1, 1);
  w.dilation = checked_ints(n, "dilations", spatial, 1, 1);
  for (size_t i = 0; i < spatial; ++i)
    check(w.kernel[i] < 0 || w.span(i) < kMaxWindow, Code::kInvalidModel, "kernel ", w.kernel[i],
          " with dilation ", w.dilation[i], " is too large");
  w.auto_pad = auto_pad_of(n);
  w.begin.assign(spatial, 0);
  w.end.assign(spatial, 0);
  if (w.auto_pad == AutoPad::kNotSet) {
    std::vector<int64_t> pads = checked_ints(n, "pads", 2 * spatial, 0, 0);
    std::copy(pads.begin(), pads.begin() + static_cast<int64_t>(spatial), w.begin.begin());
    std::copy(pads.begin() + static_cast<int64_t>(spatial), pads.end(), w.end.begin());
  }
  w.ceil = n.attr_i("ceil_mode", 0) != 0;
  return w;
}

Dim Window::out(size_t i, const Dim& in) const {
  if (!in.is_known()) return {};
  // floor((in - 1) / stride) + 1 rather than ceil(in / stride): equal, and the form explicit pads give.
  if (auto_pad == AutoPad::kSameUpper || auto_pad == AutoPad::kSameLower)
    return floor_div(in - Dim(1), stride[i]) + Dim(1);
  if (kernel[i] < 0) return {};
  Dim room = in + Dim(begin[i] + end[i] - span(i));
  if (room.is_const())
    check(room.value() >= 0, Code::kInvalidModel, "the kernel covers ", span(i),
          " elements along spatial axis ", i, ", more than the padded input's ", room.value() + span(i));
  if (!ceil || stride[i] == 1) return floor_div(room, stride[i]) + Dim(1);
  Dim n = floor_div(room + Dim(stride[i] - 1), stride[i]) + Dim(1);
  if (!n.is_const()) {
    // The last window must start inside the input or its left padding.
    return dim_min(n, floor_div(in + Dim(begin[i] - 1), stride[i]) + Dim(1));
  }
  if ((n.value() - 1) * stride[i] >= in.value() + begin[i]) return n - Dim(1);
  return n;
}

void Window::resolve(const std::vector<int64_t>& in) {
  if (auto_pad == AutoPad::kNotSet || auto_pad == AutoPad::kValid) return;
  for (size_t i = 0; i < rank(); ++i) {
    int64_t n = out(i, in[i]).value();
    int64_t total = std::max<int64_t>((n - 1) * stride[i] + span(i) - in[i], 0);
    begin[i] = auto_pad == AutoPad::kSameUpper ? total / 2 : total - total / 2;
    end[i] = total - begin[i];
  }
}

}  // namespace skiff
