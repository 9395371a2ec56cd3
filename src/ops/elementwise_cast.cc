// Cast, CastLike, BitCast.
#include <algorithm>
#include <charconv>
#include <cmath>
#include <cstring>

#include "base/half.h"
#include "ops/ref_util.h"
#include "ops/rule_util.h"

namespace skiff {
namespace {

constexpr TypeMask kCastTypes = kAllTypes & ~(mask_of(DType::kComplex64) | mask_of(DType::kComplex128));

// ---------------------------------------------------------------- numbers and text

std::string lower_trimmed(const std::string& s) {
  size_t b = s.find_first_not_of(" \t\r\n"), e = s.find_last_not_of(" \t\r\n");
  std::string r = b == std::string::npos ? "" : s.substr(b, e - b + 1);
  for (char& ch : r)
    if (ch >= 'A' && ch <= 'Z') ch = static_cast<char>(ch - 'A' + 'a');
  return r;
}

// Whole numbers keep all their digits; false when the text is not one.
bool parse_int(const std::string& s, int64_t* v) {
  const char *b = s.data(), *e = b + s.size();
  if (b != e && *b == '+') ++b;
  auto r = std::from_chars(b, e, *v);
  if (r.ec == std::errc() && r.ptr == e) return true;
  uint64_t u = 0;
  r = std::from_chars(b, e, u);
  *v = static_cast<int64_t>(u);
  return r.ec == std::errc() && r.ptr == e;
}

double parse_real(const std::string& text) {
  std::string s = lower_trimmed(text);
  if (s == "true") return 1;
  if (s == "false") return 0;
  size_t sign = !s.empty() && (s[0] == '+' || s[0] == '-');
  double v = 0;
  auto r = std::from_chars(s.data() + sign, s.data() + s.size(), v);
  check(r.ec != std::errc::invalid_argument && r.ptr == s.data() + s.size(), Code::kInvalidArgument,
        "the string '", text.substr(0, 60), "' is not a number");
  if (r.ec == std::errc::result_out_of_range) {
    // from_chars leaves the value alone; the exponent's sign tells overflow from underflow.
    size_t x = s.find('e');
    v = x != std::string::npos && x + 1 < s.size() && s[x + 1] == '-' ? 0 : HUGE_VAL;
  }
  return sign && s[0] == '-' ? -v : v;
}

// The shortest decimal that reads back as the same element, in the manner of Python and NumPy.
std::string real_text(const Tensor& t, int64_t i) {
  double v = get_double(t, i);
  if (v != v) return "NaN";
  if (std::isinf(v)) return v > 0 ? "INF" : "-INF";
  if (v == 0) return std::signbit(v) ? "-0.0" : "0.0";
  Tensor probe(t.dtype(), {1});
  char buf[40];
  std::string digits;
  int exponent = 0;
  for (int p = 0; p <= 16; ++p) {
    auto r = std::to_chars(buf, buf + sizeof buf, std::abs(v), std::chars_format::scientific, p);
    double back = 0;
    std::from_chars(buf, r.ptr, back);
    set_double(probe, 0, back);
    if (get_double(probe, 0) != std::abs(v) && p < 16) continue;
    const char* e = std::find(static_cast<const char*>(buf), static_cast<const char*>(r.ptr), 'e');
    digits.assign(1, buf[0]);
    if (e - buf > 2) digits.append(static_cast<const char*>(buf) + 2, e);
    std::from_chars(e + 1 + (e[1] == '+'), r.ptr, exponent);
    break;
  }
  while (digits.size() > 1 && digits.back() == '0') digits.pop_back();
  std::string s = v < 0 ? "-" : "";
  if (exponent < -4 || exponent >= 16) {
    s += digits[0];
    if (digits.size() > 1) s += "." + digits.substr(1);
    int a = std::abs(exponent);
    return s + (exponent < 0 ? "e-" : "e+") + (a < 10 ? "0" : "") + std::to_string(a);
  }
  auto n = static_cast<int>(digits.size());
  if (exponent < 0) return s + "0." + std::string(static_cast<size_t>(-exponent - 1), '0') + digits;
  if (n <= exponent + 1) return s + digits + std::string(static_cast<size_t>(exponent + 1 - n), '0') + ".0";
  auto whole = static_cast<size_t>(exponent + 1);
  return s + digits.substr(0, whole) + "." + digits.substr(whole);
}

void to_text(const Tensor& x, Tensor& y) {
  for (int64_t i = 0; i < x.size(); ++i) {
    std::string& s = y.data<std::string>()[i];
    if (dtype_is_float(x.dtype()))
      s = real_text(x, i);
    else if (x.dtype() == DType::kBool)
      s = get_int(x, i) ? "True" : "False";
    else if (x.dtype() == DType::kUint64)
      s = std::to_string(static_cast<uint64_t>(get_int(x, i)));
    else
      s = std::to_string(get_int(x, i));
  }
}

void from_text(const Tensor& x, Tensor& y) {
  bool ints = dtype_is_integer(y.dtype());
  for (int64_t i = 0; i < x.size(); ++i) {
    const std::string& s = x.data<std::string>()[i];
    int64_t v = 0;
    if (ints && parse_int(s, &v))
      set_int(y, i, v);
    else
      set_double(y, i, parse_real(s));
  }
}

// ---------------------------------------------------------------- Cast

bool is_float8(DType t) { return (mask_of(t) & rule::kFloat8Types) != 0; }

Float8 float8_kind(DType t) {
  switch (t) {
    case DType::kFloat8E4M3FN: return Float8::kE4M3FN;
    case DType::kFloat8E4M3FNUZ: return Float8::kE4M3FNUZ;
    case DType::kFloat8E5M2: return Float8::kE5M2;
    default: return Float8::kE5M2FNUZ;
  }
}

void convert(const Tensor& x, Tensor& y, bool saturate, E8M0Round mode) {
  DType from = x.dtype(), to = y.dtype();
  if (from == to) return ref::copy(y, 0, 1, x, 0, 1, x.size());
  if (to == DType::kString) return to_text(x, y);
  if (from == DType::kString) return from_text(x, y);
  if (is_float8(to) || to == DType::kFloat8E8M0) {
    auto* out = y.data<uint8_t>();
    for (int64_t i = 0; i < x.size(); ++i) {
      auto f = static_cast<float>(get_double(x, i));
      out[i] =
          is_float8(to) ? float_to_float8(f, float8_kind(to), saturate) : float_to_e8m0(f, saturate, mode);
    }
    return;
  }
  bool int_from = dtype_is_integer(from) || from == DType::kBool;
  bool int_to = dtype_is_integer(to) || to == DType::kBool;
  if (int_from && to == DType::kFloat && from != DType::kUint64) {  // one rounding, not two
    for (int64_t i = 0; i < x.size(); ++i) y.data<float>()[i] = static_cast<float>(get_int(x, i));
    return;
  }
  double real[ref::kBlock];
  int64_t ints[ref::kBlock];
  for (int64_t b = 0; b < x.size(); b += ref::kBlock) {
    int64_t n = std::min(ref::kBlock, x.size() - b);
    if (int_from && int_to) {
      ref::load(x, b, 1, n, ints);
      ref::store(y, b, n, ints);
    } else if (int_to && to != DType::kUint64 && to != DType::kBool) {
      ref::load(x, b, 1, n, real);
      // Beyond int64 the result is undefined by the standard; here it saturates before it wraps.
      for (int64_t i = 0; i < n; ++i) {
        double v = real[i];
        ints[i] =
            v >= 9.2e18 ? INT64_MAX : (v > -9.2e18 ? static_cast<int64_t>(v) : (v == v ? INT64_MIN : 0));
      }
      ref::store(y, b, n, ints);
    } else {
      ref::load(x, b, 1, n, real);
      ref::store(y, b, n, real);
    }
  }
}

void cast_to(KernelContext& c, DType to) {
  const Node& n = c.node();
  std::string mode = n.attr_s("round_mode", "up");
  check(mode == "up" || mode == "down" || mode == "nearest", Code::kInvalidModel,
        "attribute 'round_mode' = '", mode, "'; it must be 'up', 'down' or 'nearest'");
  const Tensor& x = c.in(0);
  Tensor& y = c.out(0, to, x.dims());
  convert(x, y, n.attr_i("saturate", 1) != 0,
          mode == "up" ? E8M0Round::kUp : (mode == "down" ? E8M0Round::kDown : E8M0Round::kNearest));
}

// Known whole numbers survive where the target can hold them.
void pass_cast_data(InferContext& c, DType to) {
  if (!c.has_rank(0) || c.shape(0).rank() > 1) return;
  auto d = rule::numbers(c, 0);
  if (!d) return;
  int bits = to == DType::kString || to == DType::kUndefined ? 0 : dtype_bits(to);
  for (Dim& x : *d) {
    if (to == DType::kBool) {
      x = x.is_const() ? Dim(int64_t{!x.is(0)}) : Dim();
    } else if (bits < 32) {
      if (!x.is_const() || x.value() < 0 || x.value() > 100) x = Dim();
    } else if (x.is_const() && bits == 32 && (x.value() > INT32_MAX || x.value() < INT32_MIN)) {
      x = Dim();
    }
  }
  if (bits) c.set_data(0, std::move(*d));
}

// Before opset 6 the type was a string.
DType cast_target(const Node& n) {
  const Attribute* a = n.attr("to");
  if (a && a->type() == AttrType::kString) {
    std::string s = lower_trimmed(n.attr_s("to", ""));
    DType t = dtype_from_name(s);
    check(t != DType::kUndefined, Code::kInvalidModel, "attribute 'to' = '", s, "' names no element type");
    return t;
  }
  check(a != nullptr, Code::kInvalidModel, "the required attribute 'to' is missing");
  return rule::dtype_attr(n, "to", DType::kUndefined);
}

// ---------------------------------------------------------------- BitCast

DType bit_cast_target(const Node& n, DType from) {
  DType to = rule::dtype_attr(n, "to", DType::kUndefined);
  check(from == DType::kUndefined ||
            (from != DType::kString && to != DType::kString && dtype_bits(to) == dtype_bits(from)),
        Code::kInvalidModel, "BitCast from ", dtype_name(from), " to ", dtype_name(to),
        ": the element sizes differ");
  return to;
}

}  // namespace

SKIFF_OP_DEF(ai_onnx, BitCast) {
  return {.name = "BitCast",
          .versions = {26},
          .inputs = {{"input", kAllTypes & ~rule::kStringType}},
          .outputs = {{"output", kAllTypes & ~rule::kStringType}},
          .attributes = {{"to", AttrType::kInt, true}},
          .infer = [](InferContext& c) { c.set(0, bit_cast_target(c.node(), c.dtype(0)), c.shape(0)); },
          .reference =
              [](KernelContext& c) {
                const Tensor& x = c.in(0);
                Tensor& y = c.out(0, bit_cast_target(c.node(), x.dtype()), x.dims());
                if (x.bytes()) std::memcpy(y.raw(), x.raw(), x.bytes());
              },
          .flags = kElementwise};
}

SKIFF_OP_DEF(ai_onnx, Cast) {
  return {.name = "Cast",
          .versions = {1, 6, 9, 13, 19, 21, 23, 24, 25, 28},
          .inputs = {{"input", kCastTypes}},
          .outputs = {{"output", kCastTypes}},
          // `to` was a text in version 1.
          .attributes = {{"round_mode", AttrType::kString}, {"saturate", AttrType::kInt}},
          .infer =
              [](InferContext& c) {
                DType to = cast_target(c.node());
                c.set(0, to, c.shape(0));
                pass_cast_data(c, to);
              },
          .reference = [](KernelContext& c) { cast_to(c, cast_target(c.node())); },
          .flags = kElementwise};
}

SKIFF_OP_DEF(ai_onnx, CastLike) {
  return {.name = "CastLike",
          .versions = {15, 19, 21, 23, 24, 25},
          .inputs = {{"input", kCastTypes}, {"target_type", kCastTypes}},
          .outputs = {{"output", kCastTypes}},
          .attributes = {{"round_mode", AttrType::kString}, {"saturate", AttrType::kInt}},
          .infer =
              [](InferContext& c) {
                c.set(0, c.dtype(1), c.shape(0));
                if (c.dtype(1) != DType::kUndefined) pass_cast_data(c, c.dtype(1));
              },
          .reference = [](KernelContext& c) { cast_to(c, c.in(1).dtype()); }};
}

}  // namespace skiff
