#include "adapt/quantize/options.h"

#include <algorithm>
#include <initializer_list>

#include "adapt/quantize/range.h"
#include "base/error.h"
#include "base/json_reader.h"
#include "base/json_writer.h"

namespace skiff::adapt {
namespace {

struct Field {
  const char *name, *meaning;
  void (*set)(QuantizeOptions&, const Json&, const char* name);
  std::string (*get)(const QuantizeOptions&);
};

[[noreturn]] void bad(const char* name, const char* want) {
  fail(Code::kInvalidArgument, "option '", name, "': ", want, " expected");
}

template <auto Member, double Lo, double Hi>
void set_number(QuantizeOptions& o, const Json& j, const char* name) {
  const double* d = j.number();
  if (!d || !(*d >= Lo && *d <= Hi)) bad(name, cat("a number from ", Lo, " to ", Hi).c_str());
  using T = std::remove_reference_t<decltype(o.*Member)>;
  o.*Member = static_cast<T>(*d);
}
template <auto Member>
void set_flag(QuantizeOptions& o, const Json& j, const char* name) {
  const bool* b = j.boolean();
  if (!b) bad(name, "true or false");
  o.*Member = *b;
}
template <auto Member>
void set_text(QuantizeOptions& o, const Json& j, const char* name) {
  if (!j.string()) bad(name, "a string");
  o.*Member = *j.string();
}
template <auto Member>
void set_list(QuantizeOptions& o, const Json& j, const char* name) {
  if (!j.array()) bad(name, "an array of strings");
  (o.*Member).clear();
  for (const Json& e : *j.array()) {
    if (!e.string()) bad(name, "an array of strings");
    (o.*Member).push_back(*e.string());
  }
}
template <auto Member>
std::string get(const QuantizeOptions& o) {
  using T = std::remove_cvref_t<decltype(o.*Member)>;
  if constexpr (std::is_same_v<T, std::string>) {
    return o.*Member;
  } else if constexpr (std::is_same_v<T, std::vector<std::string>>) {
    std::string s;
    for (const std::string& e : o.*Member) s += (s.empty() ? "" : ",") + e;
    return s;
  } else {
    return cat(o.*Member);
  }
}

using Q = QuantizeOptions;
#define NUMBER(m, lo, hi, meaning)                                                                       \
  Field {                                                                                                \
#m, meaning, set_number < &Q::m, static_cast < double>(lo), static_cast < double>(hi)>, get < &Q::m> \
  }
#define FLAG(m, meaning) \
  Field { #m, meaning, set_flag < &Q::m>, get < &Q::m> }
#define TEXT(m, meaning) \
  Field { #m, meaning, set_text < &Q::m>, get < &Q::m> }
#define LIST(m, meaning) \
  Field { #m, meaning, set_list < &Q::m>, get < &Q::m> }
const Field kFields[] = {
    TEXT(mode, "static (calibrated integers), dynamic, weights (weight-only), float16, bfloat16"),
    TEXT(format, "qdq or qoperator"),
    NUMBER(weight_bits, 4, 8, "4 or 8"),
    NUMBER(activation_bits, 8, 16, "8 or 16"),
    FLAG(per_channel, "a scale for each output channel of a weight"),
    FLAG(symmetric, "activations around zero (int8) instead of a zero point (uint8)"),
    FLAG(power_of_two, "scales are powers of two"),
    TEXT(calibration, "minmax, average, percentile, entropy, mse"),
    NUMBER(percentile, 50, 100, "share of the elements that calibration by percentile covers"),
    NUMBER(block, 16, 4096, "elements of a weight that share a scale (4 bits, weight-only); a power of two"),
    TEXT(weight_method,
         "rtn, mse, hqq, gptq, awq, adaround; empty: gptq for 4 bits in mode static, mse in mode weights, "
         "else rtn"),
    FLAG(equalize, "even out channel ranges across consecutive layers first"),
    FLAG(bias_correction, "take the mean error of each layer out of its bias"),
    NUMBER(smooth, 0, 1, "move ranges from activations to weights (SmoothQuant's alpha); 0: off"),
    NUMBER(outliers, 0, 0.5, "share of a matrix product's input channels kept in float; 0: none"),
    LIST(exclude, "nodes to keep in float, by name or as op:Type"),
    NUMBER(max_drop, -1, 1e9, "the most the score may drop; below 0: no budget"),
    NUMBER(min_sqnr, -1e30, 1e9, "least signal-to-noise ratio of the outputs in dB"),
    NUMBER(min_agreement, -1, 1, "least share of equal decisions"),
    NUMBER(min_cosine, -1, 1, "least cosine similarity of the outputs"),
    LIST(precisions, "what a budget chooses among: int4, int8, int16, float"),
    TEXT(cache, "file of sensitivities, so that a search can be taken up again"),
    TEXT(speed_check, "on: regions that are not faster than in float on this machine go back; off"),
    TEXT(target,
         "instruction set whose cost table decides instead of measurements: avx2, avx512, avx512_vnni ..."),
    NUMBER(max_samples, 1, 1e9, "samples used for calibration"),
    NUMBER(report_samples, 1, 1e9, "samples used for the report's SQNR and for sensitivities"),
};
#undef NUMBER
#undef FLAG
#undef TEXT
#undef LIST

void one_of(const char* name, const std::string& v, std::initializer_list<const char*> list) {
  std::string all;
  for (const char* e : list) {
    if (v == e) return;
    all += cat(all.empty() ? "" : ", ", e);
  }
  fail(Code::kInvalidArgument, "option '", name, "' is one of ", all, ", not '", v, "'");
}

}  // namespace

QuantizeOptions parse_quantize_options(std::string_view text) {
  QuantizeOptions o;
  if (!text.empty()) {
    Json j = Json::parse(text, "the quantizer's options");
    check(j.object() != nullptr, Code::kInvalidArgument, "the quantizer's options must be a JSON object");
    for (const auto& [key, v] : *j.object()) {
      const Field* f = std::find_if(std::begin(kFields), std::end(kFields),
                                    [&k = key](const Field& e) { return k == e.name; });
      if (f != std::end(kFields)) {
        f->set(o, v, f->name);
        continue;
      }
      std::string as_text = v.string() ? *v.string() : v.number() ? cat(*v.number()) : "";
      if (v.number() && *v.number() == static_cast<double>(static_cast<long long>(*v.number())))
        as_text = cat(static_cast<long long>(*v.number()));
      auto options = runtime::option_list();
      bool known =
          std::any_of(options.begin(), options.end(), [&k = key](const auto& e) { return k == e.name; });
      check(known, Code::kInvalidArgument, "the quantizer has no option '", key,
            "'; skiff quantize --help lists them");
      o.session.set(key, as_text);
    }
  }
  one_of("mode", o.mode, {"static", "dynamic", "weights", "float16", "bfloat16"});
  one_of("format", o.format, {"qdq", "qoperator"});
  one_of("weight_method", o.weight_method, {"", "rtn", "mse", "hqq", "gptq", "awq", "adaround"});
  one_of("speed_check", o.speed_check, {"on", "off"});
  range_method(o.calibration);
  // Sixteen levels to the nearest collapse: with samples at hand each integer is chosen by what it does to
  // the output.
  bool narrow = o.weight_bits == 4 || (has_bound(o) && std::find(o.precisions.begin(), o.precisions.end(),
                                                                 "int4") != o.precisions.end());
  if (o.weight_method.empty() && o.mode == "static" && narrow) o.weight_method = "gptq";
  check(o.weight_bits == 4 || o.weight_bits == 8, Code::kInvalidArgument, "weight_bits is 4 or 8");
  check(o.activation_bits == 8 || o.activation_bits == 16, Code::kInvalidArgument,
        "activation_bits is 8 or 16");
  check((o.block & (o.block - 1)) == 0, Code::kInvalidArgument, "block is a power of two");
  for (const std::string& p : o.precisions) one_of("precisions", p, {"int4", "int8", "int16", "float"});
  return o;
}

bool has_bound(const QuantizeOptions& o) {
  return o.max_drop >= 0 || o.min_sqnr > -1e29 || o.min_agreement >= 0 || o.min_cosine >= 0;
}

std::string describe_quantize_options() {
  JsonWriter w;
  w.begin_array();
  QuantizeOptions o;
  for (const Field& f : kFields)
    w.begin_object()
        .field("name", f.name)
        .field("default", f.get(o))
        .field("description", f.meaning)
        .end_object();
  w.end_array();
  return w.take();
}

}  // namespace skiff::adapt
