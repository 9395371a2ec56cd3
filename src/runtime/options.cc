#include "runtime/options.h"

#include <charconv>

#include "base/error.h"
#include "base/memory_budget.h"

namespace skiff::runtime {
namespace {

constexpr OptionInfo kOptions[] = {
    {"threads", "0",
     "threads a run may use, the caller's included; 0: SKIFF_THREADS, else the machine's cores"},
    {"isa", "", "instruction set of the CPU device: generic, sse4, avx2, avx512; empty: the best there is"},
    {"device", "", "device for every node: cpu, reference; empty: the first there is"},
    {"place", "", "placement rules NODE=DEVICE, op:OPERATOR=DEVICE, share:FRACTION=DEVICE, separated by ';'"},
    {"memory_limit", "auto",
     "bytes a session may hold for weights, arenas and outputs; K, M, G suffixes; auto: four fifths of the "
     "machine's "
     "memory; 0: no limit"},
    {"skip_passes", "", "graph passes to skip, separated by ','; 'all': every one that can be skipped"},
    {"profile", "0", "1: measure every node"},
    {"max_model_size", "2G",
     "most bytes of the model file, external data not counted; K, M, G suffixes; 0: no limit"},
    {"max_nodes", "1000000", "most nodes after expansion of functions"},
    {"max_nesting", "32", "deepest nesting of subgraphs (If, Loop, Scan), up to 64"},
    {"max_loop_trips", "1000000000", "most trips of one Loop or Scan"},
    {"time_limit", "3600", "seconds one load or one run may take; 0: no limit"},
    {"fold_limit", "16777216", "most bytes of one folded constant; K, M, G suffixes"},
    {"external_data_dir", "", "folder of external data for models loaded from memory"},
    {"custom_ops", "",
     "shared libraries of custom operators, separated by ';', added to those loaded before"},
};

template <class T>
T number(const std::string& key, const std::string& text, T low, T high, bool suffix = false) {
  T v{};
  const char *b = text.data(), *e = b + text.size();
  auto r = std::from_chars(b, e, v);
  double scale = 1;
  if (suffix && r.ptr + 1 == e) {
    char c = *r.ptr;
    scale = c == 'K' ? 1024.0 : c == 'M' ? 1048576.0 : c == 'G' ? 1073741824.0 : 0.0;
    if (scale > 0) ++r.ptr;
  }
  bool ok = r.ec == std::errc() && r.ptr == e && scale > 0 &&
            static_cast<double>(v) * scale <= static_cast<double>(high) && v >= low;
  check(ok, Code::kInvalidArgument, "option ", key, "='", text, "': expected a number from ", low, " to ",
        high);
  return static_cast<T>(static_cast<double>(v) * scale);
}

}  // namespace

std::span<const OptionInfo> option_list() { return kOptions; }

size_t SessionOptions::automatic_memory_limit() {
  static const uint64_t machine = machine_memory();
  return static_cast<size_t>(machine / 5 * 4);
}

std::vector<std::string> split_list(const std::string& text, char separator) {
  std::vector<std::string> r;
  size_t at = 0;
  while (at <= text.size()) {
    size_t end = std::min(text.find(separator, at), text.size());
    if (end > at) r.push_back(text.substr(at, end - at));
    at = end + 1;
  }
  return r;
}

void SessionOptions::set(const std::string& key, const std::string& value) {
  constexpr int64_t kBig = int64_t{1} << 60;
  if (key == "threads") {
    threads = number<int>(key, value, 0, 1024);
  } else if (key == "isa") {
    isa = value;
  } else if (key == "device") {
    device = value;
  } else if (key == "place") {
    place = value;
  } else if (key == "memory_limit") {
    memory_limit = value == "auto" ? automatic_memory_limit()
                                   : static_cast<size_t>(number<int64_t>(key, value, 0, kBig, true));
  } else if (key == "skip_passes") {
    skip_passes = split_list(value, ',');
  } else if (key == "profile") {
    profile = number<int>(key, value, 0, 1) != 0;
  } else if (key == "max_model_size") {
    max_model_size = static_cast<size_t>(number<int64_t>(key, value, 0, kBig, true));
  } else if (key == "max_nesting") {
    max_nesting = number<int>(key, value, 1, 64);
  } else if (key == "max_nodes") {
    max_nodes = number<int64_t>(key, value, 1, kBig);
  } else if (key == "max_loop_trips") {
    max_loop_trips = number<int64_t>(key, value, 0, kBig);
  } else if (key == "time_limit") {
    time_limit = number<double>(key, value, 0, 1e9);
  } else if (key == "fold_limit") {
    fold_limit = number<int64_t>(key, value, 0, kBig, true);
  } else if (key == "external_data_dir") {
    external_data_dir = value;
  } else {
    std::string all;
    for (const OptionInfo& o : kOptions) all += (all.empty() ? "" : ", ") + std::string(o.name);
    fail(Code::kInvalidArgument, "there is no option '", key, "'; there are: ", all);
  }
}

}  // namespace skiff::runtime
